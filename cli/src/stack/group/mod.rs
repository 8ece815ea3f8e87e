//! `muster --stack NAME group add|remove|list`: a group's stack of CloudFormation, its policy's parameter and its records.
//!
//! Each step is one that may be repeated: a command that was cut off is continued by the same command. Progress goes to standard
//! error, the answer to standard output. Start with [`template`], then `add`; `remove` never ends an instance itself, it has the
//! controller do so.

mod add;
mod census;
mod list;
mod policies;
mod remove;
mod template;

use std::time::Duration;

use clap::Subcommand;
use muster_aws::stacks::{StackError, StackFacts, Stacks, Step};
use muster_control::ports::{Clock, PolicySource, PolicyText};
use muster_core::group::GroupName;
use muster_core::time::Timestamp;

pub use add::AddArgs;
pub use list::ListArgs;
pub use remove::RemoveArgs;

use super::{Cloud, StackArgs, run as blocking};
use crate::failure::Failure;
use crate::local::clock::SystemClock;

/// How long a change of a group's stack is followed. It takes a minute or two; a role that AWS is slow with, some more.
const STACK_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What to do with the groups of a stack.
#[derive(Clone, Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group, or change one: its CloudFormation stack NAME-GROUP, and its policy if there is none yet. Touches no other group.
    Add(Box<AddArgs>),
    /// Take a group away for good. Refuses while anybody lives in it, unless --force drains it first.
    Remove(RemoveArgs),
    /// Show the groups of the stack, as CloudFormation and the control table know them.
    List(ListArgs),
}

/// Runs the command.
pub fn run(stack: &StackArgs, command: &GroupCommand) -> Result<(), Failure> {
    blocking(async {
        let cloud = Cloud::open(stack).await?;
        let stacks = Stacks::new(&cloud.connection);
        let desk = Desk { cloud, stacks };
        match command {
            GroupCommand::Add(args) => add::add(&desk, args).await,
            GroupCommand::Remove(args) => remove::remove(&desk, args).await,
            GroupCommand::List(args) => list::list(&desk, args).await,
        }
    })
}

/// What these commands work with.
struct Desk {
    cloud: Cloud,
    stacks: Stacks,
}

impl Desk {
    fn name(&self) -> &str {
        &self.cloud.stack
    }

    /// Every CloudFormation stack of the account and region.
    async fn all_stacks(&self) -> Result<Vec<StackFacts>, Failure> {
        self.stacks.list().await.map_err(|error| Failure::run("the CloudFormation stacks cannot be listed", &error))
    }

    /// The group's policy as it stands in the parameter.
    async fn policy(&self, group: &GroupName) -> Result<Option<PolicyText>, Failure> {
        let fetched = self.cloud.policies.fetch(group).await;
        fetched.map_err(|error| Failure::run(&format!("the policy of {group} cannot be read"), &error))
    }

    /// A name for one wish to CloudFormation.
    fn token(&self) -> String {
        format!("muster-{:x}-{}", SystemClock.now().as_millis(), std::process::id())
    }
}

/// Says what is going on.
fn tell(line: &str) {
    eprintln!("{line}");
}

/// Says what has befallen one thing of a stack.
fn tell_step(step: &Step) {
    let reason = step.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    tell(&format!("  {} {} ({}){reason}", step.status, step.resource, step.kind));
}

fn stack_failed(what: String) -> impl Fn(StackError) -> Failure {
    move |error| Failure::run(&what, &error)
}

/// The seconds since then.
fn age_seconds(then: Timestamp) -> u64 {
    SystemClock.now().since(then).as_secs()
}
