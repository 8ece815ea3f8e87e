//! `muster members`: who is in a group, and how each is.

use clap::Args;
use muster_control::ports::{Clock, Marks, PolicyDesk};
use muster_core::time::Timestamp;
use muster_web::read::members::{AskedMembers, MemberLine, Members, members};
use muster_web::stand::{Stand, Store};

use crate::failure::Failure;
use crate::place::{self, Command, PlaceArgs, StackArgs, group_of, unread};
use crate::policy::{print, say};
use crate::words::{age, away, name, or_dash, percent, spark, table};

/// Show who is in a group, and how each is: phase, load of late, last answer, and why it is suspect.
///
///   muster members
///   muster --stack prod members --group web --json
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct MembersArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Print one JSON object: {"members": [...], ...}.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(stack: &StackArgs, args: &MembersArgs) -> Result<(), Failure> {
    place::at(stack, &args.place, args)
}

impl Command for MembersArgs {
    type Output = ();

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(&self, stand: &Stand<S, P, F, C>) -> Result<(), Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let found = members(stand, &group, AskedMembers::default()).await.map_err(unread(stand.place.as_str()))?;
        if self.json { print(&found) } else { say(&told(&found, stand.clock.now())) }
    }
}

fn told(found: &Members, now: Timestamp) -> String {
    if found.members.is_empty() {
        return "nobody".into();
    }
    let rows = found.members.iter().map(|member| {
        [
            member.id.clone(),
            name(&member.phase),
            or_dash(Some(&member.zone).filter(|zone| !zone.is_empty())),
            age(now, member.launched_at),
            percent(member.load),
            spark(&member.spark),
            member.last_answer.map_or_else(|| "never".into(), |at| away(now, at)),
            agent(member),
            notes(member, now),
        ]
    });
    table(["member", "phase", "zone", "age", "load", "of late", "last answer", "agent", "notes"], rows)
}

/// What its agent said last, and its version.
fn agent(member: &MemberLine) -> String {
    let version = Some(member.agent_version.clone()).filter(|version| !version.is_empty());
    let said: Vec<String> = member.agent.map(|agent| name(&agent)).into_iter().chain(version).collect();
    or_dash(Some(said.join(" ")).filter(|said| !said.is_empty()))
}

/// What else there is to say of a member.
fn notes(member: &MemberLine, now: Timestamp) -> String {
    let mut notes = Vec::new();
    if member.hot {
        notes.push("hot".to_owned());
    }
    if member.protected {
        notes.push("protected".to_owned());
    }
    if let Some(since) = member.silent_since {
        notes.push(format!("silent for {}", age(now, since)));
    }
    if let (Some(since), None) = (member.marked_since, &member.leaving) {
        notes.push(format!("marked for draining for {}, its replacement comes first", age(now, since)));
    }
    if let Some(leaving) = &member.leaving {
        let told = if leaving.unregistered_at.is_some() { "" } else { ", not told yet" };
        notes.push(format!("leaving for {} ({}{told})", age(now, leaving.since), leaving.cause));
    }
    notes.extend(member.replaces.as_ref().map(|other| format!("in place of {other}")));
    notes.extend(Some(member.detail.clone()).filter(|detail| !detail.is_empty()));
    notes.extend(member.signals.iter().map(|(name, value)| format!("{name} {value}")));
    notes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::lived::{group, story};

    #[tokio::test]
    async fn the_members_read_like_this() {
        let lived = story().await;
        let found = members(&lived.stand, &group(), AskedMembers::default()).await.expect("the members");
        golden::check("members.txt", &told(&found, lived.stand.clock.now()));
        golden::check_json("members.json", &found);
        assert_eq!(told(&Members::default(), lived.stand.clock.now()), "nobody");
    }
}
