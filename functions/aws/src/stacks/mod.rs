//! Stacks of CloudFormation, for the operator's command alone: no function enables this.
//!
//! A stack is made or changed from a template's text and followed to its end; what CloudFormation says on the way is told, and what has
//! failed becomes the error. Every call that changes something carries a token, so that the SDK may repeat it.

mod failure;
mod follow;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Capability, Parameter, Stack, Tag};

use crate::clients::Connection;
use crate::failure::Failure;

pub use failure::StackError;
pub use follow::{Step, Watcher};

use failure::{is_absent, is_unchanged, refused};

/// The tag that names the Muster stack of what Muster has made.
pub const STACK: &str = "muster:stack";
/// The tag that names its group.
pub const GROUP: &str = "muster:group";
/// Pages of a listing: an account has 2,000 stacks unless it has asked for more, and a page holds what fits into 1 MB.
const PAGES: usize = 200;

/// The stacks of an account and region.
#[derive(Clone, Debug)]
pub struct Stacks {
    client: Client,
}

/// What CloudFormation says of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackFacts {
    /// Its ARN, which outlives it: a stack that has been deleted is found by it alone.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Such as `CREATE_COMPLETE`.
    pub status: String,
    /// Why it has that status.
    pub reason: Option<String>,
    /// Its parameters, with the values that they have now.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// What it exports.
    pub exports: BTreeSet<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl StackFacts {
    /// Whether CloudFormation is still at it. A change set that waits to be looked at is nothing under way.
    pub fn is_moving(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    /// Whether it has gone.
    pub fn is_gone(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    /// Whether all that is left of it is its name: its creation failed, and has been taken back.
    pub fn is_husk(&self) -> bool {
        self.status == "ROLLBACK_COMPLETE"
    }
}

/// What a stack shall be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// The template.
    pub template: &'a str,
    /// Every parameter of the template. What is none keeps the value that it has, or gets the template's default.
    pub parameters: &'a BTreeMap<&'a str, Option<String>>,
    /// Its tags.
    pub tags: &'a [(&'a str, &'a str)],
    /// Names this wish: the same again is the same one. Letters, digits and `-`, at most 128.
    pub token: &'a str,
}

/// What has become of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Created,
    /// It has changed.
    Updated,
    /// It was so already.
    Unchanged,
}

impl Stacks {
    /// Over `connection`.
    pub fn new(connection: &Connection) -> Self {
        Self { client: connection.cloudformation() }
    }

    /// Every stack that has not been deleted.
    pub async fn list(&self) -> Result<Vec<StackFacts>, StackError> {
        const CALL: &str = "DescribeStacks";
        let (mut found, mut next) = (Vec::new(), None);
        for _ in 0..PAGES {
            let answer = self.client.describe_stacks().set_next_token(next).send().await;
            let answer = answer.map_err(|error| refused(Failure::new(CALL, error)))?;
            found.extend(answer.stacks().iter().map(facts).filter(|stack| !stack.is_gone()));
            next = answer.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(StackError::Unavailable(Box::new(Failure::odd(CALL, format!("there are more than {PAGES} pages")))))
    }

    /// The stack of that name or ARN.
    pub async fn find(&self, name: &str) -> Result<Option<StackFacts>, StackError> {
        match self.client.describe_stacks().stack_name(name).send().await {
            Ok(answer) => Ok(answer.stacks().first().map(facts).filter(|stack| !stack.is_gone())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(refused(Failure::new("DescribeStacks", error))),
        }
    }

    /// Makes the stack as `wanted`, or changes `present` into it, and follows that to its end.
    pub async fn apply(
        &self,
        wanted: &Wanted<'_>,
        present: Option<&StackFacts>,
        watcher: &mut Watcher<'_>,
    ) -> Result<(Change, StackFacts), StackError> {
        let (change, id) = match present {
            Some(present) => {
                self.remember(&present.id, watcher).await;
                let changed = self.update(wanted, present).await?;
                (if changed { Change::Updated } else { Change::Unchanged }, present.id.clone())
            }
            None => (Change::Created, self.create(wanted).await?),
        };
        let end = self.follow(&id, watcher).await?.ok_or_else(|| StackError::gone(wanted.name))?;
        match (change, end.status.as_str()) {
            (Change::Unchanged, _) | (_, "CREATE_COMPLETE" | "UPDATE_COMPLETE") => Ok((change, end)),
            _ => Err(watcher.failure(&end)),
        }
    }

    /// Deletes the stack and follows that to its end. One that has gone already is success.
    pub async fn delete(&self, present: &StackFacts, token: &str, watcher: &mut Watcher<'_>) -> Result<(), StackError> {
        self.remember(&present.id, watcher).await;
        let asked = self.client.delete_stack().stack_name(&present.id).client_request_token(token).send().await;
        match asked {
            Ok(_) => {}
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(refused(Failure::new("DeleteStack", error))),
        }
        // The first look may be too early to see the deletion begin.
        match self.follow_until(&present.id, watcher, |stack| stack.status == "DELETE_FAILED").await? {
            None => Ok(()),
            Some(end) => Err(watcher.failure(&end)),
        }
    }

    async fn create(&self, wanted: &Wanted<'_>) -> Result<String, StackError> {
        const CALL: &str = "CreateStack";
        let given = wanted.parameters.iter().filter_map(|(name, value)| Some(parameter(name, value.as_deref()?)));
        let request = self.client.create_stack().stack_name(wanted.name).template_body(wanted.template);
        let request = request.set_parameters(Some(given.collect())).set_tags(Some(tags(wanted.tags)));
        let request = request.capabilities(Capability::CapabilityIam).client_request_token(wanted.token);
        let answer = request.send().await.map_err(|error| refused(Failure::new(CALL, error)))?;
        answer.stack_id.ok_or_else(|| refused(Failure::odd(CALL, "there is no stack's id in it")))
    }

    /// Whether there was anything to change.
    async fn update(&self, wanted: &Wanted<'_>, present: &StackFacts) -> Result<bool, StackError> {
        let parameters = wanted.parameters.iter().filter_map(|(name, value)| match value {
            Some(value) => Some(parameter(name, value)),
            // A parameter that the template has got since has no previous value.
            None if present.parameters.contains_key(*name) => {
                Some(Parameter::builder().parameter_key(*name).use_previous_value(true).build())
            }
            None => None,
        });
        let request = self.client.update_stack().stack_name(&present.id).template_body(wanted.template);
        let request = request.set_parameters(Some(parameters.collect())).set_tags(Some(with_others(wanted, present)));
        let request = request.capabilities(Capability::CapabilityIam).client_request_token(wanted.token);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_unchanged(&error) => Ok(false),
            Err(error) => Err(refused(Failure::new("UpdateStack", error))),
        }
    }
}

/// Bytes as a launch template takes its user data.
pub fn base64(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes)
}

fn parameter(name: &str, value: &str) -> Parameter {
    Parameter::builder().parameter_key(name).parameter_value(value).build()
}

fn tags(tags: &[(&str, &str)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect()
}

/// The tags that are wanted and those that somebody else has put there: what a change does not name, it takes off.
fn with_others(wanted: &Wanted<'_>, present: &StackFacts) -> Vec<Tag> {
    let ours = |key: &str| wanted.tags.iter().any(|(known, _)| *known == key) || key.starts_with("aws:");
    let others = present.tags.iter().filter(|(key, _)| !ours(key));
    let others: Vec<(&str, &str)> = others.map(|(key, value)| (key.as_str(), value.as_str())).collect();
    [tags(wanted.tags), tags(&others)].concat()
}

fn facts(stack: &Stack) -> StackFacts {
    fn pair(key: Option<&str>, value: Option<&str>) -> Option<(String, String)> {
        Some((key?.to_owned(), value.unwrap_or_default().to_owned()))
    }
    let outputs = stack.outputs();
    StackFacts {
        id: stack.stack_id().unwrap_or_default().to_owned(),
        name: stack.stack_name().unwrap_or_default().to_owned(),
        status: stack.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        reason: stack.stack_status_reason().map(str::to_owned),
        parameters: stack
            .parameters()
            .iter()
            .filter_map(|one| pair(one.parameter_key(), one.parameter_value()))
            .collect(),
        outputs: outputs.iter().filter_map(|one| pair(one.output_key(), one.output_value())).collect(),
        exports: outputs.iter().filter_map(|one| one.export_name().map(str::to_owned)).collect(),
        tags: stack.tags().iter().filter_map(|one| pair(one.key(), one.value())).collect(),
    }
}
