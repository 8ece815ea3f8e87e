//! `muster --stack NAME status`: each group in a line, and why it has the size that it has.

use std::time::Duration;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use muster_control::activity::Event;
use muster_control::ports::{ActivityLog, Clock, GroupStore, HealthStore, StoreError};
use muster_core::group::{GroupName, Head, PolicyVersion};
use muster_core::health::Sweep;
use muster_core::policy::Mode;
use muster_core::report::Report;
use muster_core::time::Timestamp;
use serde::Serialize;

use super::{Cloud, StackArgs, run};
use crate::failure::Failure;
use crate::local::clock::SystemClock;
use crate::policy::{print, say};

/// Activities among which the last decision is looked for.
const ACTIVITIES: usize = 200;

/// Which groups to show.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// One group; by default all of the stack.
    #[arg(long)]
    group: Option<GroupName>,
    /// Print one JSON object: {"stack", "groups": [...]}.
    #[arg(long)]
    json: bool,
}

/// A group as it stands in the tables.
#[derive(Debug, Serialize)]
struct GroupStatus {
    group: GroupName,
    mode: Mode,
    /// None before the first decision.
    policy: Option<PolicyVersion>,
    /// Why the newest edit of the policy is not in force.
    refused: Option<String>,
    desired: u32,
    members: u32,
    intents: u32,
    sweep: Option<SweepStatus>,
    /// The last decision's report.
    decision: Option<Report>,
}

/// The latest sweep of all shards together.
#[derive(Debug, Serialize)]
struct SweepStatus {
    slot: Timestamp,
    age_seconds: u64,
    members: u32,
    answered: u32,
    silent: u32,
    unknown: u32,
    /// Of those that answered, in percent.
    mean: Option<f64>,
    blind: Option<String>,
}

/// Prints the status.
pub fn status(stack: &StackArgs, args: &StatusArgs) -> Result<(), Failure> {
    run(async {
        let cloud = Cloud::open(stack).await?;
        let names = match &args.group {
            Some(group) => vec![group.clone()],
            None => cloud.groups().await?,
        };
        let now = SystemClock.now();
        let mut groups = Vec::new();
        for group in &names {
            let looked = look(&cloud.tables, group, now).await;
            let found = looked.map_err(|error| Failure::run(&format!("group {group} cannot be read"), &error))?;
            let none = || Failure::Input(format!("stack {} has no group {group}", cloud.stack));
            groups.push(found.ok_or_else(none)?);
        }
        if args.json {
            return print(&serde_json::json!({"stack": cloud.stack, "groups": groups}));
        }
        if groups.is_empty() {
            return say(&format!("stack {} has no group yet: its first sweep makes one", cloud.stack));
        }
        say(&table(&groups).to_string())
    })
}

async fn look<S>(store: &S, group: &GroupName, now: Timestamp) -> Result<Option<GroupStatus>, StoreError>
where
    S: GroupStore + HealthStore + ActivityLog,
{
    let Some(state) = store.read(group).await? else { return Ok(None) };
    let mut sweeps = Vec::new();
    for shard in state.head.rosters.keys() {
        sweeps.extend(store.latest(group, *shard).await?);
    }
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    Ok(Some(GroupStatus {
        group: group.clone(),
        mode: state.head.mode,
        policy: state.head.policy,
        refused: state.head.refusal.as_ref().map(|refusal| refusal.reason.clone()),
        desired: state.head.desired,
        members: count(state.members.len()),
        intents: count(state.intents.len()),
        sweep: together(&sweeps, now),
        decision: last_decision(store, &state.head).await?,
    }))
}

/// The shards' sweeps as one: its mean is over all that answered.
fn together(sweeps: &[Sweep], now: Timestamp) -> Option<SweepStatus> {
    let slot = sweeps.iter().map(|sweep| sweep.slot).max()?;
    let finished = sweeps.iter().map(|sweep| sweep.finished_at).max().unwrap_or(slot);
    let sum = |count: fn(&Sweep) -> u32| sweeps.iter().map(count).fold(0, u32::saturating_add);
    let measured = sweeps.iter().filter_map(|sweep| Some((sweep.counts.mean?, f64::from(sweep.counts.answered))));
    let (total, weight) = measured.fold((0.0, 0.0), |(total, weight), (mean, n)| (total + mean * n, weight + n));
    Some(SweepStatus {
        slot,
        age_seconds: now.since(finished).as_secs(),
        members: sum(|sweep| sweep.counts.members),
        answered: sum(|sweep| sweep.counts.answered),
        silent: sum(|sweep| sweep.counts.silent),
        unknown: sum(|sweep| sweep.counts.unknown),
        mean: (weight > 0.0).then(|| total / weight),
        blind: sweeps.iter().find_map(|sweep| sweep.blind.clone()),
    })
}

async fn last_decision<S: ActivityLog>(store: &S, head: &Head) -> Result<Option<Report>, StoreError> {
    let Some(mark) = &head.last_decision else { return Ok(None) };
    let activities = store.since(&head.group, mark.since, ACTIVITIES).await?;
    let found = activities.into_iter().find(|activity| activity.id == mark.id);
    Ok(found.and_then(|activity| match activity.event {
        Event::Decision { report, .. } => Some(*report),
        _ => None,
    }))
}

fn table(groups: &[GroupStatus]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["group", "mode", "desired", "members", "min-max", "last sweep", "why"]);
    for group in groups {
        let counts = group.decision.as_ref().map(|report| report.counts);
        let members = counts.map_or(group.members.to_string(), |counts| {
            format!("{} ({} in service)", counts.actual, counts.in_service)
        });
        let bounds = group.decision.as_ref().map_or("-".into(), |report| {
            let (min, max) = report.bounds;
            format!("{min}-{max}")
        });
        table.add_row([
            group.group.to_string(),
            mode(group.mode).to_owned(),
            group.desired.to_string(),
            members,
            bounds,
            group.sweep.as_ref().map_or("none yet".into(), sweep_cell),
            why(group),
        ]);
    }
    table
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Active => "active",
        Mode::OutOnly => "out-only",
        Mode::Observe => "observe",
        Mode::Paused => "paused",
    }
}

fn sweep_cell(sweep: &SweepStatus) -> String {
    let mean = sweep.mean.map_or(String::new(), |mean| format!(", mean load {mean:.1} %"));
    let blind = sweep.blind.as_ref().map_or(String::new(), |why| format!(", blind: {why}"));
    let age = Duration::from_secs(sweep.age_seconds).as_secs();
    format!("{age} s ago, {} of {} answer{mean}{blind}", sweep.answered, sweep.members)
}

/// The headline, what it waits for, and what is wrong with the policy.
fn why(group: &GroupStatus) -> String {
    let Some(report) = &group.decision else { return "no decision yet".into() };
    let waits = report.waits.iter().map(|wait| format!("waits: {} ({})", wait.text, wait.rule));
    let refused = group.refused.iter().map(|reason| format!("the newest policy is refused: {reason}"));
    let lines = std::iter::once(format!("{} ({})", report.headline, report.rule)).chain(waits).chain(refused);
    lines.collect::<Vec<_>>().join("\n")
}
