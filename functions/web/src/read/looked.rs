//! One look at a group: what most of the read model begins with.

use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use muster_control::activity::{Activity, Event};
use muster_control::ports::{ActivityLog, Clock, GroupStore, HealthStore, StoredPolicy};
use muster_core::group::{GroupName, Head};
use muster_core::health::{Load, Seen};
use muster_core::policy::{Policy, ScalingRule};
use muster_core::report::Report;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Ms, ReadError, ms};
use crate::stand::Stand;

/// Activities of one millisecond that a decision is looked for among: a claim writes fewer.
const OF_ONE_MOMENT: usize = 200;
/// Effective periods after which a sweep is too old to go by (O8).
pub(crate) const STALE_PERIODS: u32 = 3;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) now: Timestamp,
    pub(crate) head: Head,
    /// The latest sweep of each shard that has one.
    pub(crate) sweeps: Vec<Sweep>,
    /// The policy in force as it was put.
    pub(crate) stored: Option<StoredPolicy>,
    /// The same at this moment; none when this program does not understand it.
    pub(crate) policy: Option<Policy>,
    pub(crate) decision: Option<Decided>,
}

/// A decision's record.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Decided {
    /// Its id here: when the first of the equal decisions was taken, and its id in the record.
    pub id: String,
    /// When the last of the equal decisions was taken.
    pub at: Ms,
    /// When the first was.
    pub since: Ms,
    /// How many there were.
    pub count: u32,
    /// HEAD's version after it.
    pub version: u64,
    /// Why.
    pub report: Report,
}

impl Decided {
    /// The decision that an activity is, if it is one.
    pub(crate) fn of(activity: &Activity) -> Option<Self> {
        let Event::Decision { report, version, since, count, snapshot: _ } = &activity.event else { return None };
        Some(Self {
            id: decision_id(*since, &activity.id),
            at: ms(activity.at),
            since: ms(*since),
            count: *count,
            version: *version,
            report: Report::clone(report),
        })
    }
}

/// The id under which a decision can be found again: its place in the record, and its id there.
pub(crate) fn decision_id(since: Timestamp, id: &str) -> String {
    format!("{}~{id}", ms(since))
}

/// The decision that stands at a place of the record.
pub(crate) async fn decision_at<S: ActivityLog>(
    store: &S,
    group: &GroupName,
    since: Timestamp,
    id: &str,
) -> Result<Option<Decided>, ReadError> {
    let end = Some(since.plus(Duration::from_millis(1)));
    let found = store.between(group, since, end, OF_ONE_MOMENT).await?;
    Ok(found.iter().find(|activity| activity.id == id).and_then(Decided::of))
}

impl Looked {
    /// Looks at a group.
    pub(crate) async fn at<S, P, F, C>(stand: &Stand<S, P, F, C>, group: &GroupName) -> Result<Self, ReadError>
    where
        S: GroupStore + HealthStore + ActivityLog,
        C: Clock,
    {
        let head = stand.store.head(group).await?.ok_or_else(|| ReadError::no_group(group))?;
        Self::with(stand, head).await
    }

    /// Looks at the group of a HEAD that has been read.
    pub(crate) async fn with<S, P, F, C>(stand: &Stand<S, P, F, C>, head: Head) -> Result<Self, ReadError>
    where
        S: GroupStore + HealthStore + ActivityLog,
        C: Clock,
    {
        let (store, group, now) = (&stand.store, &head.group, stand.clock.now());
        let latest = head.rosters.keys().map(|shard| store.latest(group, *shard));
        let sweeps = async { Ok::<_, ReadError>(try_join_all(latest).await?) };
        let records = try_join(stored_policy(store, &head), last_decision(store, &head));
        let (sweeps, (stored, decision)) = try_join(sweeps, records).await?;
        let policy = stored.as_ref().and_then(|stored| Policy::parse(&stored.text).ok());
        let policy = policy.map(|policy| policy.at(now).into_owned());
        Ok(Self { now, sweeps: sweeps.into_iter().flatten().collect(), stored, policy, decision, head })
    }

    pub(crate) fn report(&self) -> Option<&Report> {
        self.decision.as_ref().map(|decision| &decision.report)
    }

    /// The effective period of the sweeps.
    pub(crate) fn period(&self) -> Duration {
        let swept = self.sweeps.iter().map(|sweep| sweep.period_ms).max().unwrap_or_default();
        Duration::from_millis(swept.max(self.head.sweep_interval_ms).max(1))
    }

    /// The slot of the newest sweep.
    pub(crate) fn slot(&self) -> Option<Timestamp> {
        self.sweeps.iter().map(|sweep| sweep.slot).max()
    }

    /// How old the newest sweep is, when it is too old to go by.
    pub(crate) fn stale(&self) -> Option<Duration> {
        let age = self.now.since(self.slot()?);
        (age > self.period() * STALE_PERIODS).then_some(age)
    }

    /// The health that the shard's latest sweep tells of a member.
    pub(crate) fn health(&self, member: &muster_core::member::MemberRecord) -> Option<&muster_core::health::Health> {
        self.sweeps.iter().find(|sweep| sweep.shard == member.shard)?.members.get(&member.id)
    }

    /// Members from which the latest sweeps have an answer, and not; by their counts.
    pub(crate) fn sweep(&self) -> Option<SweepNow> {
        let slot = self.slot()?;
        let sum = |count: fn(&Sweep) -> u32| self.sweeps.iter().map(count).fold(0, u32::saturating_add);
        let mut loads: Vec<f64> = self
            .sweeps
            .iter()
            .flat_map(|sweep| sweep.members.values())
            .filter(|health| health.seen == Seen::Answered)
            .filter_map(|health| health.load)
            .map(Load::percent)
            .collect();
        loads.sort_by(f64::total_cmp);
        let rank = (loads.len() * 9).div_ceil(10).saturating_sub(1);
        Some(SweepNow {
            slot: ms(slot),
            finished_at: ms(self.sweeps.iter().map(|sweep| sweep.finished_at).max().unwrap_or(slot)),
            period_ms: ms(Timestamp::EPOCH.plus(self.period())),
            members: sum(|sweep| sweep.counts.members),
            answered: sum(|sweep| sweep.counts.answered),
            silent: sum(|sweep| sweep.counts.silent),
            unknown: sum(|sweep| sweep.counts.unknown),
            mean: (!loads.is_empty()).then(|| loads.iter().sum::<f64>() / loads.len() as f64),
            p90: loads.get(rank).copied(),
            blind: self.sweeps.iter().filter(|sweep| sweep.slot == slot).find_map(|sweep| sweep.blind.clone()),
        })
    }

    /// The pause that the policy in force holds, if it still holds.
    pub(crate) fn pause(&self) -> Option<Pause> {
        let text: Value = serde_json::from_str(&self.stored.as_ref()?.text).ok()?;
        let pause = Pause::of(text.get("pause")?)?;
        pause.until.is_none_or(|until| ms(self.now) < until).then_some(pause)
    }

    /// The mode that is in force at this moment, by its name in a policy.
    pub(crate) fn mode(&self) -> muster_core::policy::Mode {
        match (&self.policy, self.pause()) {
            (_, Some(_)) => muster_core::policy::Mode::Paused,
            (Some(policy), None) => policy.mode,
            (None, None) => self.head.mode,
        }
    }

    /// Fewest and most members at this moment.
    pub(crate) fn bounds(&self) -> Option<(u32, u32)> {
        let policy = self.policy.as_ref().map(|policy| (policy.min, policy.max));
        policy.or_else(|| self.report().map(|report| report.bounds))
    }
}

/// The latest sweep of all shards together.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SweepNow {
    /// Its slot.
    pub slot: Ms,
    /// When its last answer was in.
    pub finished_at: Ms,
    /// The effective period.
    pub period_ms: u64,
    /// Members on the rosters.
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
    /// Why it could not be trusted, if so.
    pub blind: Option<String>,
}

/// Why and until when a group is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pause {
    /// Why, in the operator's words.
    pub reason: String,
    /// When it ends by itself; none: never.
    pub until: Option<Ms>,
}

impl Pause {
    /// What the field `pause` of a policy's text says.
    fn of(field: &Value) -> Option<Self> {
        let reason = field.get("reason")?.as_str()?.to_owned();
        let until = match field.get("until") {
            None | Some(Value::Null) => None,
            Some(until) => Some(ms(serde_json::from_value(until.clone()).ok()?)),
        };
        Some(Self { reason, until })
    }
}

/// The means at which the rule acts: below the one it scales in, above the other out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Thresholds {
    /// Below it, in percent; none: it never scales in by a mean.
    pub low: Option<f64>,
    /// Above it, in percent; none: it does not go by a mean.
    pub high: Option<f64>,
}

impl Thresholds {
    /// Those of a rule.
    pub fn of(rule: &ScalingRule) -> Self {
        let tidy = |value: f64| (value * 1e9).round() / 1e9;
        match rule {
            ScalingRule::Threshold(rule) => Self { low: Some(rule.down), high: Some(rule.up) },
            ScalingRule::Target(rule) => Self {
                low: Some(tidy(rule.target * (1.0 - rule.tolerance))),
                high: Some(tidy(rule.target * (1.0 + rule.tolerance))),
            },
            ScalingRule::Step(rule) => {
                Self { low: rule.inward.first().map(|step| step.bound), high: rule.out.first().map(|step| step.bound) }
            }
            ScalingRule::Auto(_) => Self::default(),
        }
    }
}

async fn stored_policy<S: GroupStore>(store: &S, head: &Head) -> Result<Option<StoredPolicy>, ReadError> {
    match head.policy {
        Some(version) => Ok(store.policy(&head.group, version).await?),
        None => Ok(None),
    }
}

async fn last_decision<S: ActivityLog>(store: &S, head: &Head) -> Result<Option<Decided>, ReadError> {
    match &head.last_decision {
        Some(mark) => decision_at(store, &head.group, mark.since, &mark.id).await,
        None => Ok(None),
    }
}
