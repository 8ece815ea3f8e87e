//! What the doctor asks of a stack.

use muster_aws::clients::Connection;
use muster_aws::fleet::Ec2Fleet;
use muster_aws::parameters::Parameters;
use muster_aws::stacks::{STACK, StackFacts, Stacks};
use muster_aws::tables::Tables;
use muster_aws::tables::schema::{Described, describe};
use muster_control::chain::chain;
use muster_control::ports::Clock;
use muster_core::group::GroupName;

use super::stand::AGENT_PORT;
use crate::doctor::facts::{Account, Facts, Home, TableFacts};
use crate::doctor::gather;
use crate::local::clock::SystemClock;

/// The facts of a stack, of all its groups or of one.
pub(crate) async fn facts(stack: &str, group: Option<&GroupName>) -> Facts {
    let mut account = Account { stack: stack.to_owned(), region: Err(String::new()), tables: None, stacks: None };
    let connection = match Connection::open().await {
        Ok(connection) => connection,
        Err(error) => {
            account.region = Err(chain(&error));
            return Facts { now: SystemClock.now(), home: Home::Account(account), rejected: None, groups: None };
        }
    };
    account.region = Ok(connection.region().unwrap_or_default().to_owned());
    let client = connection.dynamodb();
    let tables = describe(&client, stack).await.map_err(|error| chain(&error));
    let tables = tables.map(|tables| tables.into_iter().map(table).collect::<Vec<_>>());
    let whole = tables.as_ref().is_ok_and(|tables| tables.iter().all(|table| table.status.is_some()));
    account.tables = Some(tables);
    let (mut rejected, mut groups) = (None, None);
    if whole {
        let listed = Stacks::new(&connection).list().await.map_err(|error| chain(&error));
        account.stacks = Some(listed.map(|stacks| {
            let ours = stacks.into_iter().filter(|facts| is_of(facts, stack));
            ours.map(|facts| (facts.name, facts.status, facts.reason)).collect()
        }));
        let (store, policies) = (Tables::new(client, stack), Parameters::new(&connection));
        let fleet = Ec2Fleet::new(&connection, stack, AGENT_PORT);
        rejected = Some(gather::rejected(&store).await);
        groups = Some(gather::groups(&store, &policies, Some(&fleet), group, &Parameters::name).await);
    }
    // The clock last: what has been gathered is older, never younger.
    Facts { now: SystemClock.now(), home: Home::Account(account), rejected, groups }
}

fn table(described: Described) -> TableFacts {
    let Described { definition, status, stream } = described;
    TableFacts { name: definition.name, status, stream: definition.rings.then_some(stream) }
}

/// Whether a stack of CloudFormation belongs to the Muster stack of that name.
fn is_of(facts: &StackFacts, stack: &str) -> bool {
    [facts.tags.get(STACK), facts.parameters.get("Stack")].into_iter().flatten().any(|name| name == stack)
}
