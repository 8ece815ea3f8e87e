//! `muster explain`: a decision in sentences, stage by stage, and what would have to happen for it to change.

use std::fmt::Write;

use clap::Args;
use muster_control::ports::{Clock, Marks, PolicyDesk};
use muster_core::time::Timestamp;
use muster_web::read::decisions::{DecisionExplained, decision, explain};
use muster_web::read::explain::Explained;
use muster_web::stand::{Stand, Store};

use crate::failure::Failure;
use crate::moments::past;
use crate::place::{self, Command, PlaceArgs, StackArgs, group_of, unread};
use crate::policy::{print, say};
use crate::words::{moment, plain};

/// Explain why a group has the size that it has: what was seen, stage by stage what came of it, and what would have to happen for it to change.
///
///   muster explain                            the last decision
///   muster explain --at 10m                   the one that was in force ten minutes ago
///   muster explain 1763805600000~0000000042-decision   the one with this id, as `history --json` tells it
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ExplainArgs {
    /// The decision's id.
    #[arg(value_name = "DECISION", conflicts_with = "at")]
    decision: Option<String>,
    /// The decision in force at this time, or so long ago.
    #[arg(long, value_name = "TIME|SPAN", value_parser = past)]
    at: Option<Timestamp>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Print one JSON object: the decision, its report, and "explained".
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(stack: &StackArgs, args: &ExplainArgs) -> Result<(), Failure> {
    place::at(stack, &args.place, args)
}

impl Command for ExplainArgs {
    type Output = ();

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(&self, stand: &Stand<S, P, F, C>) -> Result<(), Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let found = match &self.decision {
            Some(id) => decision(stand, &group, id).await,
            None => explain(stand, &group, self.at).await,
        };
        let found = found.map_err(unread(stand.place.as_str()))?;
        if self.json { print(&found) } else { say(&told(&found)) }
    }
}

fn told(found: &DecisionExplained) -> String {
    let decided = &found.decision;
    let times = match decided.count {
        1 => String::new(),
        many => format!(", the last of {many} alike since {}", moment(decided.since)),
    };
    format!(
        "{}\n  Decided at {}{times}; id {}.",
        in_sentences(&found.explained),
        moment(decided.at),
        plain(&decided.id)
    )
}

/// A decision in sentences, rule by rule.
pub(crate) fn in_sentences(explained: &Explained) -> String {
    let mut text = plain(&explained.headline);
    let would = explained.would.iter().map(|would| format!("It {would}."));
    for sentence in explained.sentences.iter().cloned().chain(would) {
        // Writing into a string does not fail.
        let _ = write!(text, "\n  {}", plain(&sentence));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::lived::{group, story};

    #[tokio::test]
    async fn a_decision_reads_like_this() {
        let lived = story().await;
        let last = explain(&lived.stand, &group(), None).await.expect("the last decision");
        golden::check("explain.txt", &told(&last));
        golden::check_json("explain.json", &last);
        let grown = Timestamp::from_millis(1_800_000_050_000);
        let grown = explain(&lived.stand, &group(), Some(grown)).await.expect("the decision of then");
        golden::check("explain-at.txt", &told(&grown));
        let again = decision(&lived.stand, &group(), &grown.decision.id).await.expect("the same by its id");
        assert_eq!(again, grown);
    }
}
