//! `muster decide`: the pure decision as a command.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use muster_core::decide::{Decision, decide};
use muster_core::policy::Policy;
use muster_core::snapshot::Snapshot;

use crate::failure::Failure;
use crate::policy::{load, print, read_all, say};

/// The longest snapshot that is read, in bytes: 10,000 members fit ten times over.
const LONGEST: u64 = 64 << 20;

/// Decide what a group should do, from a snapshot on standard input.
///
/// The snapshot is a JSON document; the smallest one that says anything is
///   {"now": "2026-11-22T10:00:00Z", "head": {"desired": 2}, "sweep": {"slot": "2026-11-22T10:00:00Z"},
///    "members": [{"id": "i-1", "health": {"load": 80}}, {"id": "i-2", "health": {"load": 90}}]}
/// The README documents every field. Nothing is changed anywhere.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct DecideArgs {
    /// The policy's file; without it the defaults hold.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Explain the decision in words instead of printing it as JSON.
    #[arg(long)]
    explain: bool,
}

/// Runs the command.
pub fn run(args: &DecideArgs) -> Result<(), Failure> {
    let policy = match &args.policy {
        Some(file) => load(file)?.0,
        None => Policy::default(),
    };
    let text = read_all("the snapshot on standard input", std::io::stdin(), LONGEST)?;
    let snapshot = parse(&text)?;
    let decision = decide(&snapshot, &policy);
    if args.explain { say(&explain(&decision)) } else { print(&decision) }
}

/// The snapshot that `text` holds.
pub fn parse(text: &str) -> Result<Snapshot, Failure> {
    let snapshot = Snapshot::parse_strict(text)
        .map_err(|error| Failure::input("the snapshot on standard input is refused", &error))?;
    let members = snapshot.members.iter().map(|member| &member.id.0);
    let intents = snapshot.intents.iter().map(|intent| &intent.id.0);
    let listed = snapshot.fleet.iter().flatten().map(|instance| &instance.id.0);
    for (kind, twice) in
        [("member", twice(members)), ("intent", twice(intents)), ("instance of the fleet", twice(listed))]
    {
        if let Some(id) = twice {
            return Err(Failure::Input(format!("the snapshot holds {kind} {id} twice")));
        }
    }
    Ok(snapshot)
}

/// The first that comes up again.
fn twice<'a>(mut ids: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = BTreeSet::new();
    ids.find(|id| !seen.insert(*id))
}

/// The decision in words, stage by stage.
pub fn explain(decision: &Decision) -> String {
    let report = &decision.report;
    let counts = report.counts;
    let mut lines = vec![
        report.headline.clone(),
        format!(
            "  members   {} actual: {} pending, {} warming, {} in service, {} suspect; {} draining, {} terminating",
            counts.actual,
            counts.pending,
            counts.warming,
            counts.in_service,
            counts.suspect,
            counts.draining,
            counts.terminating
        ),
    ];
    if let Some(load) = report.load {
        lines.push(format!(
            "  load      mean {:.1} % of {} serving; at most {:.1} %, at least {:.1} % with the others assumed",
            load.mean, counts.serving, load.at_most, load.at_least
        ));
    }
    let (min, max) = report.bounds;
    lines.push(format!("  desired   {} -> {} (min {min}, max {max})", report.desired.before, report.desired.after));
    for stage in &report.stages {
        let name = format!("{:?}", stage.stage).to_lowercase();
        lines.push(format!("  {name:<10}{} by {}: {}", stage.desired, stage.rule, stage.text));
    }
    let remarks = report.remarks.iter().map(|r| ("noted", r.rule.to_string(), &r.text));
    let waits = report.waits.iter().map(|r| ("waits", r.rule.to_string(), &r.text));
    lines.extend(remarks.chain(waits).map(|(kind, rule, text)| format!("  {kind:<10}{rule}: {text}")));
    lines.extend(report.actions.iter().map(|action| format!("  does      {action}")));
    lines.extend(report.withheld.iter().map(|action| format!("  withheld  {action}")));
    lines.join("\n")
}
