//! What the local world says, one JSON object a line; `muster up --json` hands these lines on as they are.

use std::collections::BTreeMap;

use muster_control::activity::{Activity, Event};
use muster_core::group::Shard;
use muster_core::health::{Health, Seen};
use muster_core::member::InstanceId;
use muster_core::report::Report;
use muster_core::snapshot::InstanceState;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::faults::Injected;
use super::summary::Summary;

/// One line: an object with one key, which says what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The world has started.
    World {
        /// Where store and ledger are.
        state: String,
        /// Whether they stay when the world ends.
        kept: bool,
        /// The policy's file: edit it while the world runs.
        policy: String,
        /// The scenario's title.
        scenario: String,
        /// What differs from AWS.
        differs: String,
        /// What is broken on purpose; none when nothing is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        faults: Option<String>,
        /// Where it can be looked at in a browser; none without a dashboard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dashboard: Option<String>,
    },
    /// A process of the world has started or ended.
    Process {
        /// fleet, monitor, controller or dashboard.
        name: String,
        /// Its process id.
        pid: u32,
        /// How it ended; none while it runs.
        ended: Option<String>,
    },
    /// An instance's agent process has started.
    Instance {
        /// The instance.
        id: InstanceId,
        /// Its agent's process id.
        pid: u32,
        /// Where the agent listens.
        endpoint: String,
        /// EC2's word for its state.
        state: InstanceState,
    },
    /// A sweep was written.
    Sweep(SweepLine),
    /// A decision was claimed.
    Decision {
        /// When.
        at: Timestamp,
        /// HEAD's version after it.
        version: u64,
        /// The first of the equal decisions that it was folded with.
        since: Timestamp,
        /// How many equal decisions there were.
        count: u32,
        /// Why.
        report: Box<Report>,
    },
    /// Something was done.
    Action {
        /// When.
        at: Timestamp,
        /// What.
        #[serde(flatten)]
        event: Event,
    },
    /// Something was broken on purpose.
    Fault {
        /// Who broke it.
        from: String,
        /// How.
        fault: Injected,
        /// The call, the instance or the process.
        what: String,
    },
    /// Something went wrong and was handled.
    Notice {
        /// Who says so.
        from: String,
        /// What.
        text: String,
    },
    /// The run in numbers: the last line.
    Summary(Summary),
}

/// A sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepLine {
    /// When its last answer was in.
    pub at: Timestamp,
    /// Its slot.
    pub slot: Timestamp,
    /// Its shard.
    pub shard: Shard,
    /// The effective period.
    pub period_ms: u64,
    /// Members on the roster.
    pub members: u32,
    /// Those that answered.
    pub answered: u32,
    /// Those that did not.
    pub silent: u32,
    /// Those of which nothing can be said.
    pub unknown: u32,
    /// Mean load of those that answered, in percent.
    pub mean: Option<f64>,
    /// 90th percentile of the same.
    pub p90: Option<f64>,
    /// Why silence says nothing this time.
    pub blind: Option<String>,
    /// The load of each member that answered, in percent.
    pub loads: BTreeMap<InstanceId, f64>,
}

impl From<&Sweep> for SweepLine {
    fn from(sweep: &Sweep) -> Self {
        let counts = &sweep.counts;
        let load = |(id, health): (&InstanceId, &Health)| {
            (health.seen == Seen::Answered).then(|| Some((id.clone(), health.load?.percent()))).flatten()
        };
        Self {
            at: sweep.finished_at,
            slot: sweep.slot,
            shard: sweep.shard,
            period_ms: sweep.period_ms,
            members: counts.members,
            answered: counts.answered,
            silent: counts.silent,
            unknown: counts.unknown,
            mean: counts.mean,
            p90: counts.p90,
            blind: sweep.blind.clone(),
            loads: sweep.members.iter().filter_map(load).collect(),
        }
    }
}

impl From<Activity> for Line {
    fn from(activity: Activity) -> Self {
        match activity.event {
            Event::Decision { report, version, since, count, snapshot: _ } => {
                Self::Decision { at: activity.at, version, since, count, report }
            }
            event @ (Event::Launched { .. }
            | Event::Terminated { .. }
            | Event::Abandoned { .. }
            | Event::Joined { .. }
            | Event::Draining { .. }
            | Event::TakenBack { .. }
            | Event::Disowned { .. }
            | Event::Lost { .. }
            | Event::PolicyAccepted { .. }
            | Event::PolicyRefused { .. }) => Self::Action { at: activity.at, event },
        }
    }
}

/// The line as a person reads it, `elapsed` seconds after the start.
pub fn readable(line: &Line, elapsed: f64) -> String {
    let (kind, text) = match line {
        Line::World { state, kept, policy, scenario, differs, faults, dashboard } => {
            let state = if *kept { state.clone() } else { format!("{state} (temporary: --state DIR keeps it)") };
            let faults = faults.as_ref().map(|faults| format!("\n  faults   {faults}")).unwrap_or_default();
            let dashboard = dashboard.as_ref().map(|url| format!("\n  look     {url}")).unwrap_or_default();
            let text = format!(
                "{scenario}{dashboard}\n  policy   {policy} (edit it: the next decision follows)\n  state    {state}\n  {differs}{faults}"
            );
            return text;
        }
        Line::Process { name, pid, ended: None } => ("process", format!("{name} runs as process {pid}")),
        Line::Process { name, ended: Some(how), .. } => ("process", format!("{name} has ended: {how}")),
        Line::Instance { id, pid, endpoint, .. } => {
            ("instance", format!("{id} runs its agent on {endpoint}, process {pid}"))
        }
        Line::Sweep(sweep) => ("sweep", sweep_text(sweep)),
        Line::Decision { report, .. } => ("decision", decision_text(report)),
        Line::Action { event, .. } => ("action", action_text(event)),
        Line::Fault { from, fault, what } => ("fault", format!("{from}: {what} {}", fault_text(*fault))),
        Line::Notice { from, text } => ("notice", format!("{from}: {text}")),
        Line::Summary(summary) => ("summary", summary.to_string()),
    };
    format!("{elapsed:7.1} s  {kind:<9} {text}")
}

fn sweep_text(sweep: &SweepLine) -> String {
    let mean = sweep.mean.map_or("no load known".to_owned(), |mean| format!("mean load {mean:.1} %"));
    let loads: Vec<String> = sweep.loads.values().take(12).map(|load| format!("{load:.0}")).collect();
    let blind = sweep.blind.as_ref().map(|why| format!(", blind: {why}")).unwrap_or_default();
    format!("{} of {} answer, {mean} [{}]{blind}", sweep.answered, sweep.members, loads.join(" "))
}

fn decision_text(report: &Report) -> String {
    let counts = report.counts;
    let mut text = format!("{} ({} in service", report.headline, counts.in_service);
    for (count, name) in [
        (counts.pending, "pending"),
        (counts.warming, "warming"),
        (counts.suspect, "suspect"),
        (counts.draining, "draining"),
        (counts.terminating, "terminating"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {name}"));
        }
    }
    text.push(')');
    for remark in report.remarks.iter().chain(&report.waits) {
        text.push_str(&format!("\n{:22}{}: {}", "", remark.rule, remark.text));
    }
    text
}

const fn fault_text(fault: Injected) -> &'static str {
    match fault {
        Injected::Throttled => "is throttled",
        Injected::Unavailable => "is not made and not answered",
        Injected::Lost => "is made and not answered",
        Injected::Late => "is late",
        Injected::NoCapacity => "has no capacity",
        Injected::DoorbellLost => "is lost",
        Injected::DoorbellDoubled => "rings twice",
        Injected::AgentFrozen => "is frozen for a moment",
        Injected::AgentKilled => "has its agent killed",
        Injected::AgentRestarted => "has its agent restarted",
        Injected::ProcessKilled => "is killed",
    }
}

fn action_text(event: &Event) -> String {
    match event {
        Event::Decision { report, .. } => report.headline.clone(),
        Event::Launched { instance, zone, cause, replaces, .. } => {
            let place = if zone.is_empty() { String::new() } else { format!(" in {zone}") };
            let whom = replaces.as_ref().map(|id| format!(", replaces {id}")).unwrap_or_default();
            format!("launched {instance}{place} ({cause}{whom})")
        }
        Event::Terminated { instance, cause, .. } => format!("terminated {instance} ({cause})"),
        Event::Abandoned { intent, reason } => format!("gave up intent {intent}: {reason}"),
        Event::Joined { instance, boot_ms } => {
            format!("{instance} has answered, {:.1} s after it was ordered", *boot_ms as f64 / 1000.0)
        }
        Event::Draining { instance, cause } => format!("draining {instance} ({cause})"),
        Event::TakenBack { instance } => format!("taken back {instance}, needed after all"),
        Event::Disowned { instance } => format!("disowned {instance}, no longer tagged as ours"),
        Event::Lost { instance } => format!("{instance} is lost"),
        Event::PolicyAccepted { version } => format!("policy version {version} is in force"),
        Event::PolicyRefused { reason } => format!("the policy edit is refused: {reason}"),
    }
}
