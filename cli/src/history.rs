//! `muster history`: what has happened to a group, each thing with its cause.

use std::collections::BTreeSet;
use std::fmt::Write;

use clap::Args;
use muster_control::ports::{Clock, Marks, PolicyDesk};
use muster_core::time::Timestamp;
use muster_web::read::activity::{ActivityKind, ActivityPage, AskedActivity, MOST, USUAL, activity};
use muster_web::stand::{Stand, Store};

use crate::failure::Failure;
use crate::moments::past;
use crate::place::{self, Command, PlaceArgs, StackArgs, group_of, unread};
use crate::policy::{print, say};
use crate::words::{moment, name, plain};

/// Show what has happened to a group, the latest last: decisions, launches, terminations, edits of the policy, each with its cause.
///
///   muster history --since 1h --kind launched,terminated
///   muster history --until 2026-11-22T10:00:00Z --limit 200 --json
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct HistoryArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only what is not older: a time, or a span until now such as 1h.
    #[arg(long, value_name = "TIME|SPAN", value_parser = past)]
    since: Option<Timestamp>,
    /// Only what was before: a time, or a span ago. What an answer gives as "next_until" leads to what was before it.
    #[arg(long, value_name = "TIME|SPAN", value_parser = past)]
    until: Option<Timestamp>,
    /// Only these kinds, with commas: decision, launched, terminated, abandoned, joined, draining, taken-back, disowned, lost,
    /// policy-accepted, policy-refused.
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<ActivityKind>,
    /// How many at most, 1-200: the latest.
    #[arg(long, value_name = "N", default_value_t = USUAL, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    limit: u32,
    /// Print one JSON object: {"items": [...], "next_until"}, the newest first.
    #[arg(long)]
    json: bool,
}

fn kind(text: &str) -> Result<ActivityKind, String> {
    serde_json::from_value(text.into()).map_err(|_| {
        "must be decision, launched, terminated, abandoned, joined, draining, taken-back, disowned, lost, policy-accepted or policy-refused".into()
    })
}

/// Runs the command.
pub fn run(stack: &StackArgs, args: &HistoryArgs) -> Result<(), Failure> {
    place::at(stack, &args.place, args)
}

impl Command for HistoryArgs {
    type Output = ();

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(&self, stand: &Stand<S, P, F, C>) -> Result<(), Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let kinds: BTreeSet<ActivityKind> = self.kinds.iter().copied().collect();
        let asked = AskedActivity { from: self.since, until: self.until, limit: Some(self.limit), kinds };
        let found = activity(stand, &group, &asked).await.map_err(unread(stand.place.as_str()))?;
        if self.json { print(&found) } else { say(&told(&found)) }
    }
}

fn told(found: &ActivityPage) -> String {
    if found.items.is_empty() && found.next_until.is_none() {
        return "nothing".into();
    }
    let mut text = String::new();
    if found.items.is_empty() {
        text.push_str("nothing among the newest; ");
    }
    if let Some(until) = found.next_until {
        // Writing into a string does not fail.
        let _ = writeln!(text, "(before: --until {})", Timestamp::from_millis(until));
    }
    for item in found.items.iter().rev() {
        let times = if item.count > 1 {
            format!(" ({} times since {})", item.count, moment(item.since))
        } else {
            String::new()
        };
        let rule = item.rule.map(|rule| format!(" [{rule}]")).unwrap_or_default();
        let _ = writeln!(text, "{}  {:<15} {}{rule}{times}", moment(item.at), name(&item.kind), plain(&item.text));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::lived::{group, story};

    #[tokio::test]
    async fn the_history_reads_like_this() {
        let lived = story().await;
        let found = activity(&lived.stand, &group(), &AskedActivity::default()).await.expect("the log");
        golden::check("history.txt", &told(&found));
        golden::check_json("history.json", &found);
        let kinds = [ActivityKind::Launched].into();
        let few = AskedActivity { kinds, limit: Some(2), ..AskedActivity::default() };
        let found = activity(&lived.stand, &group(), &few).await.expect("the log");
        golden::check("history-launched.txt", &told(&found));
    }

    #[test]
    fn a_kind_is_named_as_in_the_log() {
        assert_eq!(kind("taken-back"), Ok(ActivityKind::TakenBack));
        assert!(kind("party").expect_err("no kind").starts_with("must be decision, launched"));
    }
}
