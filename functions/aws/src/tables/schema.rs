//! The tables: their names, keys, stream and expiry. The templates of a stack say the same.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TimeToLiveSpecification,
};
use muster_control::ports::StoreError;

use super::failure::{failure, unsent};

/// The partition key of every table, a text.
pub const PARTITION_KEY: &str = "pk";
/// The sort key of every table, a text.
pub const SORT_KEY: &str = "sk";
/// When DynamoDB may delete an item, in seconds since 1970.
pub const EXPIRES_AT: &str = "expires_at";

/// The names of a stack's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// HEAD, members, intents, rosters, policies, locks, the list of groups, and the records that rang for nobody.
    pub control: String,
    /// The sweeps and their bases.
    pub sweeps: String,
    /// What has happened.
    pub activity: String,
}

impl Names {
    /// The names of `stack`'s tables.
    pub fn of(stack: &str) -> Self {
        let name = |table: &str| format!("{stack}-{table}");
        Self { control: name("control"), sweeps: name("sweeps"), activity: name("activity") }
    }
}

/// One table. All are billed on demand and keyed by [`PARTITION_KEY`] and [`SORT_KEY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Whether it has a stream of keys: the doorbell.
    pub rings: bool,
    /// Whether items of it expire at [`EXPIRES_AT`].
    pub expires: bool,
}

/// The tables of `stack`.
pub fn definitions(stack: &str) -> [Definition; 3] {
    let Names { control, sweeps, activity } = Names::of(stack);
    [
        Definition { name: control, rings: false, expires: true },
        Definition { name: sweeps, rings: true, expires: true },
        Definition { name: activity, rings: false, expires: false },
    ]
}

/// A table as DynamoDB describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What it should be.
    pub definition: Definition,
    /// Its status, such as `ACTIVE`; none when there is no such table.
    pub status: Option<String>,
    /// Whether its stream is on.
    pub stream: bool,
}

/// How the tables of `stack` are, for an operator who asks what is wrong.
///
/// # Errors
/// `Unavailable` when DynamoDB refuses or does not answer; the chain says how.
pub async fn describe(client: &Client, stack: &str) -> Result<Vec<Described>, StoreError> {
    let mut found = Vec::new();
    for definition in definitions(stack) {
        let table = match client.describe_table().table_name(&definition.name).send().await {
            Ok(answer) => answer.table,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => None,
            Err(error) => return Err(failure("DescribeTable", &definition.name, error)),
        };
        let status = table.as_ref().and_then(|table| table.table_status()).map(|status| status.as_str().to_owned());
        let stream = table.as_ref().and_then(|table| table.stream_specification());
        let stream = stream.is_some_and(|stream| stream.stream_enabled());
        found.push(Described { definition, status, stream });
    }
    Ok(found)
}

/// Makes the tables of `stack` where there are none, for tests and for an emulator: they have neither recovery nor
/// protection, and in AWS they would not be ready yet when this returns.
///
/// # Errors
/// `Unavailable` when DynamoDB refuses.
pub async fn create(client: &Client, stack: &str) -> Result<(), StoreError> {
    for definition in definitions(stack) {
        create_one(client, &definition).await?;
    }
    Ok(())
}

async fn create_one(client: &Client, definition: &Definition) -> Result<(), StoreError> {
    let name = &definition.name;
    let mut request = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in [(PARTITION_KEY, KeyType::Hash), (SORT_KEY, KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder().attribute_name(key).key_type(kind);
        request = request
            .attribute_definitions(attribute.build().map_err(unsent)?)
            .key_schema(element.build().map_err(unsent)?);
    }
    if definition.rings {
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::KeysOnly);
        request = request.stream_specification(stream.build().map_err(unsent)?);
    }
    match request.send().await {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => {
            return Ok(());
        }
        Err(error) => return Err(failure("CreateTable", name, error)),
    }
    if definition.expires {
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES_AT);
        let request = client.update_time_to_live().table_name(name);
        let request = request.time_to_live_specification(expiry.build().map_err(unsent)?);
        request.send().await.map_err(|error| failure("UpdateTimeToLive", name, error))?;
    }
    Ok(())
}
