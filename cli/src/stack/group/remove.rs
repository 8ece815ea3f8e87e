//! `group remove`: takes a group away, once nobody lives in it.
//!
//! It ends no instance. `--force` writes a policy of nobody, by which the controller drains and terminates as at any other time, under
//! its own rules; so the schedule of the sweeps goes only when everybody has gone. The steps, each of which may be repeated: the policy
//! of nobody, the wait, the CloudFormation stack, the policy's parameter, the records. The parameter goes before HEAD: whoever finds no
//! HEAD finds no policy to make a new one with.

use std::cell::RefCell;
use std::time::Duration;

use clap::Args;
use muster_aws::fleet::Ec2Fleet;
use muster_aws::stacks::{StackFacts, Watcher};
use muster_control::ports::StoreError;
use muster_core::group::GroupName;
use muster_core::policy::Span;
use serde::Serialize;
use tokio::time::Instant;

use super::census::Census;
use super::{Desk, STACK_LIMIT, policies, stack_failed, tell, tell_step, template};
use crate::failure::Failure;
use crate::policy::{print, say};

/// Between two looks at a group that is being emptied.
const PAUSE: Duration = Duration::from_secs(2);
/// How long an empty group's controller is waited for to take up the policy of nobody. Where sweeps come, the next one does it; where none
/// come nobody decides, and there is nothing to wait for.
const UPTAKE: Duration = Duration::from_secs(90);
/// Tries to forget a group that somebody decides on at that moment.
const TRIES: u32 = 5;

/// Which group to take away.
#[derive(Clone, Debug, Args)]
pub struct RemoveArgs {
    /// The group.
    group: GroupName,
    /// Drain and end everybody who lives in it first, by a policy of nobody. Everything else in its policy holds, drains above all.
    #[arg(long)]
    force: bool,
    /// How long to wait until nobody is left.
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = span)]
    timeout: Duration,
    /// Print one JSON object: {"stack", "group", "cloudformation", "policy"}; `policy` is the text that the parameter had.
    #[arg(long)]
    json: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    let span: Span = serde_json::from_value(text.into())
        .map_err(|_| "must be a span with its unit, such as 90s or 30m".to_owned())?;
    Ok(span.0)
}

/// What has gone.
#[derive(Debug, Serialize)]
struct Removed<'a> {
    stack: &'a str,
    group: &'a GroupName,
    /// The stack that was deleted; none when there was none any more.
    cloudformation: Option<String>,
    /// The policy's text as it was before the removal, so that nothing is lost.
    policy: Option<String>,
}

pub(super) async fn remove(desk: &Desk, args: &RemoveArgs) -> Result<(), Failure> {
    let fleet = Ec2Fleet::new(&desk.cloud.connection, desk.name(), 0);
    let removal = Removal { desk, args, fleet, stage: RefCell::default() };
    let removed = tokio::select! {
        removed = removal.run() => removed?,
        Ok(()) = tokio::signal::ctrl_c() => return Err(removal.interrupted()),
    };
    if args.json {
        return print(&removed);
    }
    say(&format!("group {} of stack {} is removed", removed.group, removed.stack))?;
    match &removed.policy {
        Some(text) => say(&format!("its policy was:\n{}", text.trim_end())),
        None => Ok(()),
    }
}

struct Removal<'a> {
    desk: &'a Desk,
    args: &'a RemoveArgs,
    fleet: Ec2Fleet,
    /// What is being waited for, for whoever interrupts it.
    stage: RefCell<String>,
}

impl Removal<'_> {
    async fn run(&self) -> Result<Removed<'_>, Failure> {
        let (desk, group) = (self.desk, &self.args.group);
        let stack = self.stack().await?;
        let census = self.census().await?;
        self.check(&census, stack.as_ref()).await?;
        let before = self.policy_before().await?;
        // With neither schedule nor anybody left, an earlier removal has come further than this.
        if census.head.is_some() && !(stack.is_none() && census.is_empty()) {
            self.empty(census, before.as_deref()).await?;
        }
        if let Some(stack) = &stack {
            self.delete_stack(stack).await?;
        }
        self.enter("deleting its policy's parameter");
        let deleted = desk.cloud.policies.delete(group).await;
        deleted.map_err(|error| Failure::run(&format!("the policy of {group} cannot be deleted"), &error))?;
        self.forget().await?;
        Ok(Removed { stack: desk.name(), group, cloudformation: stack.map(|facts| facts.name), policy: before })
    }

    /// The group's CloudFormation stack.
    async fn stack(&self) -> Result<Option<StackFacts>, Failure> {
        let all = self.desk.all_stacks().await?;
        Ok(template::of_group(&all, self.desk.name(), &self.args.group).cloned())
    }

    async fn census(&self) -> Result<Census, Failure> {
        Census::take(&self.desk.cloud.tables, &self.fleet, &self.args.group).await
    }

    /// Refuses what there is not, and what lives.
    async fn check(&self, census: &Census, stack: Option<&StackFacts>) -> Result<(), Failure> {
        let (desk, group, name) = (self.desk, &self.args.group, self.desk.name());
        if census.head.is_none() && stack.is_none() && !desk.cloud.groups().await?.contains(group) {
            return Err(Failure::Input(format!("stack {name} has no group {group}")));
        }
        if census.is_empty() {
            return Ok(());
        }
        if census.head.is_none() {
            let held = census.held_up().join("; ");
            return Err(Failure::Run(format!(
                "group {group} has no records that anybody could end its instances by: {held}"
            )));
        }
        if self.args.force {
            return Ok(());
        }
        Err(Failure::Run(format!(
            "group {group} is not empty: {}. Nothing was changed. `muster --stack {name} group remove {group} --force` drains and ends \
             them all, and then removes it",
            census.text()
        )))
    }

    /// The policy's text as its operator has it: the parameter's, unless a removal has been there before; then the last one in force.
    async fn policy_before(&self) -> Result<Option<String>, Failure> {
        let (desk, group) = (self.desk, &self.args.group);
        let present = desk.policy(group).await?.map(|found| found.text);
        if present.as_ref().is_some_and(|text| !policies::wants_nobody(text)) {
            return Ok(present);
        }
        let stored = desk.cloud.tables.policies(group).await;
        let stored =
            stored.map_err(|error| Failure::run(&format!("the policies of {group} cannot be read"), &error))?;
        let last = stored.into_iter().rev().map(|stored| stored.text).find(|text| !policies::wants_nobody(text));
        Ok(last.or(present))
    }

    /// Has the controller end everybody, and see to it that nobody comes.
    async fn empty(&self, census: Census, before: Option<&str>) -> Result<(), Failure> {
        let (desk, group) = (self.desk, &self.args.group);
        let present = desk.policy(group).await?;
        if present.is_none_or(|present| !policies::wants_nobody(&present.text)) {
            self.enter("writing a policy of nobody");
            if let Some(before) = before {
                tell(&format!("the policy of {group} is replaced by one of nobody. It was:\n{}", before.trim_end()));
            }
            let nobody = policies::of_nobody(before.unwrap_or("{}")).or_else(|| policies::of_nobody("{}"));
            let written = desk.cloud.policies.put(group, &nobody.unwrap_or_default()).await;
            written.map_err(|error| Failure::run(&format!("the policy of {group} cannot be written"), &error))?;
        }
        self.wait(census, before).await
    }

    /// Writes the policy from before again, if there is one.
    async fn take_back(&self, before: Option<&str>) -> Result<bool, Failure> {
        let Some(before) = before else { return Ok(false) };
        let group = &self.args.group;
        let written = self.desk.cloud.policies.put(group, before).await;
        written.map_err(|error| Failure::run(&format!("the policy of {group} cannot be written back"), &error))?;
        Ok(true)
    }

    /// Waits until nobody is left and nobody can come any more.
    async fn wait(&self, first: Census, before: Option<&str>) -> Result<(), Failure> {
        let began = Instant::now();
        let refused_before = first.head.as_ref().and_then(|head| head.refusal.as_ref()).map(|refusal| refusal.at);
        let (mut census, mut told) = (first, String::new());
        loop {
            let in_force = self.nobody_is_in_force(&census).await?;
            let late = began.elapsed() >= self.args.timeout;
            if census.is_empty() && (in_force || late || began.elapsed() >= UPTAKE) {
                return Ok(());
            }
            let refusal = census.head.as_ref().and_then(|head| head.refusal.as_ref());
            if let Some(refusal) = refusal.filter(|refusal| !in_force && Some(refusal.at) != refused_before) {
                let reason = &refusal.reason;
                let back =
                    if self.take_back(before).await? { " The policy from before has been written back." } else { "" };
                return Err(Failure::Run(format!(
                    "the controller refuses the policy of nobody, so it is older than this command: {reason}.{back}"
                )));
            }
            let text = self.text(&census, in_force);
            if text != told {
                tell(&text);
                self.enter(&text);
                told = text;
            }
            if late {
                let waited = Span(self.args.timeout);
                return Err(Failure::Run(format!("after {waited} it is not done. {}", self.remains())));
            }
            tokio::time::sleep(PAUSE.min(self.args.timeout)).await;
            census = self.census().await?;
        }
    }

    /// Whether the policy that decisions are taken with wants nobody.
    async fn nobody_is_in_force(&self, census: &Census) -> Result<bool, Failure> {
        use muster_control::ports::GroupStore;
        let group = &self.args.group;
        let Some(version) = census.head.as_ref().and_then(|head| head.policy) else { return Ok(false) };
        let stored = self.desk.cloud.tables.policy(group, version).await;
        let stored = stored.map_err(|error| Failure::run(&format!("the policy of {group} cannot be read"), &error))?;
        Ok(stored.is_some_and(|stored| policies::wants_nobody(&stored.text)))
    }

    fn text(&self, census: &Census, in_force: bool) -> String {
        let unheard = if in_force { "" } else { "; the controller has not taken up the policy of nobody yet" };
        let held: String = census.held_up().iter().map(|line| format!("\n  {line}")).collect();
        format!("waiting: {}{unheard}{held}", census.text())
    }

    async fn delete_stack(&self, stack: &StackFacts) -> Result<(), Failure> {
        self.enter(&format!("deleting the CloudFormation stack {}", stack.name));
        tell(&format!("deleting the CloudFormation stack {}", stack.name));
        let mut teller = tell_step;
        let mut watcher = Watcher::new(STACK_LIMIT, &mut teller);
        let deleted = self.desk.stacks.delete(stack, &self.desk.token(), &mut watcher).await;
        deleted.map_err(stack_failed(format!("the stack of group {} is not deleted", self.args.group)))
    }

    /// Forgets the records, as nobody lives there.
    async fn forget(&self) -> Result<(), Failure> {
        let (tables, group) = (&self.desk.cloud.tables, &self.args.group);
        self.enter("deleting its records");
        tell("deleting its records");
        for _ in 0..TRIES {
            let census = self.census().await?;
            if !census.has_no_records() {
                break;
            }
            match tables.forget(group, census.head.map(|head| head.version)).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(Failure::run(&format!("the records of {group} cannot be deleted"), &error)),
            }
        }
        Err(Failure::Run(format!("group {group} has changed meanwhile: run the same command again")))
    }

    fn enter(&self, stage: &str) {
        stage.clone_into(&mut self.stage.borrow_mut());
    }

    /// What there is left to do.
    fn remains(&self) -> String {
        let stage = self.stage.borrow();
        let stage = if stage.is_empty() { "nothing was changed" } else { stage.as_str() };
        format!("It was at this: {stage}\nThe same command goes on from there")
    }

    fn interrupted(&self) -> Failure {
        Failure::Interrupted(format!("the removal of {} was interrupted. {}", self.args.group, self.remains()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_a_unit() {
        assert_eq!(span("30m"), Ok(Duration::from_secs(1_800)));
        assert!(span("30").is_err());
    }
}
