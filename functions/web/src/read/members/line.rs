//! One member: what its record says, and what the latest sweep of its shard knows of it.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::health::{AgentState, Health, Load, Seen};
use muster_core::member::{InstanceId, Leaving, MemberRecord, MemberState, Phase};
use muster_core::policy::Policy;
use muster_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::read::looked::Thresholds;
use crate::read::now::cause;
use crate::read::{Looked, Ms, ms};

/// A load above it is hot where the rule has no upper threshold.
const HOT: f64 = 90.0;

/// A member.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MemberLine {
    /// The instance.
    pub id: String,
    /// The zone or subnet that it was launched into; empty when the policy names none.
    pub zone: String,
    /// The shard whose sweep covers it.
    pub shard: u16,
    /// Where it is in its life.
    pub phase: Phase,
    /// Its latest load, in percent.
    pub load: Option<f64>,
    /// What else was measured with that load, by name.
    pub signals: BTreeMap<String, f64>,
    /// When its agent last answered.
    pub last_answer: Option<Ms>,
    /// When its present silence was first noticed.
    pub silent_since: Option<Ms>,
    /// Why the last probe gave no answer, or why the application fails; empty when neither is so.
    pub detail: String,
    /// What its agent said last of where it is in its life.
    pub agent: Option<AgentState>,
    /// Its agent's version in its last answer; empty when it has never told one.
    pub agent_version: String,
    /// Since when it is marked to be drained by hand (D8). Its replacement comes first: until then it is not on its way out.
    pub marked_since: Option<Ms>,
    /// Whether it may not be a victim of a scale-in (D2).
    pub protected: bool,
    /// Whether its own agent asks for that: then taking the tag away does not end it.
    pub protected_by_agent: bool,
    /// Why and since when it is on its way out.
    pub leaving: Option<LeavingLine>,
    /// The unhealthy member that it was launched to replace.
    pub replaces: Option<String>,
    /// The launch template that it was launched from; empty when the policy names none.
    pub template: String,
    /// That template's version; 0 without a template.
    pub template_version: u64,
    /// When EC2 accepted its launch.
    pub launched_at: Ms,
    /// When its agent first answered.
    pub first_answer: Option<Ms>,
    /// Its loads of late in percent, the oldest first; null where it gave none. Only in a list: of one member they are asked for over any time.
    pub spark: Vec<Option<f64>>,
    /// Whether its load is above the group's upper threshold; above 90 % where the rule has none.
    pub hot: bool,
}

/// Why and since when a member is on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeavingLine {
    /// Since when.
    pub since: Ms,
    /// Why.
    pub cause: String,
    /// How long its drain may take.
    pub timeout_ms: u64,
    /// When its agent was told to drain.
    pub unregistered_at: Option<Ms>,
}

/// What is known of a member; its loads of late are filled in where they have been read.
pub(super) fn line(record: &MemberRecord, looked: &Looked) -> MemberLine {
    let health = looked.health(record);
    let load = health.and_then(|health| health.load).map(Load::percent);
    let high = looked.policy.as_ref().and_then(|policy| Thresholds::of(&policy.scaling).high).unwrap_or(HOT);
    let told = |of: fn(&Health) -> bool| health.is_some_and(of);
    MemberLine {
        id: record.id.to_string(),
        zone: record.zone.clone(),
        shard: record.shard.0,
        phase: phase(record, looked),
        load,
        signals: health.map_or_else(BTreeMap::new, |health| {
            health.signals.iter().map(|(name, value)| (name.to_owned(), value)).collect()
        }),
        last_answer: health.and_then(|health| health.last_answer).map(ms),
        silent_since: health.and_then(|health| health.silent_since).map(ms),
        detail: health.map_or_else(String::new, |health| health.detail.clone()),
        agent: health.and_then(|health| health.agent),
        agent_version: health.map_or_else(String::new, |health| health.version.clone()),
        marked_since: looked.head.marked.get(&record.id).copied().map(ms),
        protected: looked.head.protected.contains(&record.id) || told(|health| health.protected),
        protected_by_agent: told(|health| health.protected),
        leaving: leaving(record).map(|leaving| LeavingLine {
            since: ms(leaving.since),
            cause: cause(leaving.cause),
            timeout_ms: leaving.timeout_ms,
            unregistered_at: health.and_then(|health| health.unregistered_at).map(ms),
        }),
        replaces: record.replaces.as_ref().map(InstanceId::to_string),
        template: record.template.clone(),
        template_version: record.template_version,
        launched_at: ms(record.launched_at),
        first_answer: record.first_answer.or_else(|| health?.first_answer).map(ms),
        spark: Vec::new(),
        hot: told(|health| health.seen == Seen::Answered) && load.is_some_and(|load| load > high),
    }
}

const fn leaving(record: &MemberRecord) -> Option<&Leaving> {
    match &record.state {
        MemberState::Pending | MemberState::Active => None,
        MemberState::Draining(leaving) | MemberState::Terminating(leaving) => Some(leaving),
    }
}

/// The phase of a member, as the core's census counts it (a test holds it to that).
fn phase(record: &MemberRecord, looked: &Looked) -> Phase {
    let fresh = looked.sweeps.iter().find(|sweep| sweep.shard == record.shard);
    let fresh = fresh.filter(|sweep| Some(sweep.slot) == looked.slot());
    let health = fresh.and_then(|sweep| sweep.members.get(&record.id));
    let warm_up = looked.policy.as_ref().map_or_else(|| Policy::default().warm_up, |policy| policy.warm_up);
    phase_of(record, health, looked.slot().unwrap_or(looked.now), looked.now, warm_up)
}

fn phase_of(
    record: &MemberRecord,
    health: Option<&Health>,
    slot: Timestamp,
    now: Timestamp,
    warm_up: Duration,
) -> Phase {
    let pending = record.state == MemberState::Pending;
    let answered = health.is_some_and(|health| health.seen == Seen::Answered);
    let first_answer = record
        .first_answer
        .or_else(|| health.and_then(|health| health.first_answer))
        .or_else(|| (pending && answered).then_some(slot))
        .or((!pending).then_some(Timestamp::EPOCH));
    let failing = health.is_some_and(|health| health.failing_sweeps > 0);
    match (&record.state, first_answer) {
        (MemberState::Draining(_), _) => Phase::Draining,
        (MemberState::Terminating(_), _) => Phase::Terminating,
        (MemberState::Pending | MemberState::Active, None) => Phase::Pending,
        (MemberState::Pending | MemberState::Active, Some(first)) if now.since(first) < warm_up => Phase::Warming,
        (MemberState::Pending | MemberState::Active, Some(_)) if answered && !failing => Phase::InService,
        (MemberState::Pending | MemberState::Active, Some(_)) => Phase::Suspect,
    }
}
