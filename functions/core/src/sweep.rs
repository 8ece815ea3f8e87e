//! One pass over the members of a shard, how it follows from the one before, and what is left of it for those who need less.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::group::{GroupName, RosterNumber, Shard};
use crate::health::{Health, Load, Observation, Seen, fold};
use crate::member::InstanceId;
use crate::signals;
use crate::time::{Timestamp, millis};

/// Gaps between slots whose median makes the effective period (O8).
const GAPS: usize = 5;

/// One pass over a shard's members: written once and last, and that write is the doorbell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The group.
    pub group: GroupName,
    /// The shard.
    pub shard: Shard,
    /// The sweep's start, rounded down to the interval: names it.
    pub slot: Timestamp,
    /// The roster that was swept; none while the group has no HEAD.
    pub roster: Option<RosterNumber>,
    /// When the last answer was in.
    pub finished_at: Timestamp,
    /// The effective period: the larger of the interval and the median of the last five gaps between slots (O8).
    pub period_ms: u64,
    /// The last gaps between slots, newest last.
    pub gaps_ms: Vec<u64>,
    /// Set when MonitorS had evidence that it was itself cut off or stalled: then silence says nothing (H2).
    pub blind: Option<String>,
    /// What a person wants to read first.
    pub counts: SweepCounts,
    /// Each member's health.
    pub members: BTreeMap<InstanceId, Health>,
}

/// What is left of a sweep when its members are left out: a record of many is read as these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepFigures {
    /// When.
    pub slot: Timestamp,
    /// Of which shard.
    pub shard: Shard,
    /// Why it could not be trusted, if so.
    pub blind: Option<String>,
    /// Its counts.
    pub counts: SweepCounts,
}

/// A sweep as a chart of its members needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepLoads {
    /// When.
    pub slot: Timestamp,
    /// The load of each member that answered and gave one.
    pub members: BTreeMap<InstanceId, Option<Load>>,
}

/// A sweep in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SweepCounts {
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
    /// Requests a second that came to all of those together, as those have it that count them; none when nobody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

impl Sweep {
    /// The sweep at `slot` that follows `previous`, from one observation of each member. A member that `observations`
    /// does not hold is unknown.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a fact of the one sweep; a struct would only be unpacked here"
    )]
    pub fn fold(
        group: &GroupName,
        shard: Shard,
        slot: Timestamp,
        roster: Option<RosterNumber>,
        previous: Option<&Self>,
        observations: &BTreeMap<InstanceId, Observation>,
        blind: Option<String>,
        finished_at: Timestamp,
        interval: Duration,
    ) -> Self {
        let members: BTreeMap<InstanceId, Health> = observations
            .iter()
            .map(|(id, observation)| {
                let before = previous.and_then(|sweep| sweep.members.get(id));
                (id.clone(), fold(before, observation, finished_at))
            })
            .collect();
        let mut gaps_ms = previous.map(|sweep| sweep.gaps_ms.clone()).unwrap_or_default();
        if let Some(before) = previous {
            gaps_ms.push(millis(slot.since(before.slot)));
            gaps_ms.drain(..gaps_ms.len().saturating_sub(GAPS));
        }
        let period_ms = effective_period(interval, &gaps_ms);
        let counts = SweepCounts::of(&members);
        Self { group: group.clone(), shard, slot, roster, finished_at, period_ms, gaps_ms, blind, counts, members }
    }

    /// What a chart of its members needs.
    pub fn loads(&self) -> SweepLoads {
        let load = |health: &Health| health.load.filter(|_| health.seen == Seen::Answered);
        let members = self.members.iter().map(|(id, health)| (id.clone(), load(health))).collect();
        SweepLoads { slot: self.slot, members }
    }

    /// The sweep without its members.
    pub fn figures(&self) -> SweepFigures {
        let Self { slot, shard, blind, counts, .. } = self;
        SweepFigures { slot: *slot, shard: *shard, blind: blind.clone(), counts: counts.clone() }
    }
}

/// The larger of the interval and the median of the gaps.
fn effective_period(interval: Duration, gaps_ms: &[u64]) -> u64 {
    let mut sorted = gaps_ms.to_vec();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    median.max(millis(interval))
}

impl SweepCounts {
    fn of(members: &BTreeMap<InstanceId, Health>) -> Self {
        let count = |seen| u32::try_from(members.values().filter(|m| m.seen == seen).count()).unwrap_or(u32::MAX);
        let answered = || members.values().filter(|m| m.seen == Seen::Answered);
        let mut loads: Vec<f64> = answered().filter_map(|m| m.load).map(Load::percent).collect();
        loads.sort_by(f64::total_cmp);
        let rank = (loads.len() * 9).div_ceil(10).saturating_sub(1);
        let mean = |each: &[f64]| (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64);
        let rates: Vec<f64> = answered().filter_map(|m| m.signal(signals::RATE)).collect();
        Self {
            members: u32::try_from(members.len()).unwrap_or(u32::MAX),
            answered: count(Seen::Answered),
            silent: count(Seen::Silent),
            unknown: count(Seen::Unknown),
            mean: mean(&loads),
            p90: loads.get(rank).copied(),
            rate: mean(&rates).map(|rate| rate * answered().count() as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Answer;
    use crate::health::tests::{answer, silence};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn o8_the_effective_period_is_the_median_gap_but_never_below_the_interval() {
        let second = Duration::from_secs(1);
        assert_eq!(effective_period(second, &[]), 1_000);
        assert_eq!(effective_period(second, &[1_000, 1_000, 9_000]), 1_000, "one late sweep is an outlier");
        assert_eq!(effective_period(second, &[2_000, 3_000, 2_000, 1_000, 2_000]), 2_000);
        assert_eq!(effective_period(Duration::from_secs(60), &[1_000]), 60_000);
    }

    #[test]
    fn a_sweep_counts_what_it_saw() {
        let observations = BTreeMap::from([
            (InstanceId::from("i-1"), Observation::Answered(answer(1_000, 10.0))),
            (InstanceId::from("i-2"), Observation::Answered(answer(1_000, 30.0))),
            (InstanceId::from("i-3"), silence()),
            (InstanceId::from("i-4"), Observation::Unknown),
        ]);
        let group = GroupName::default();
        let interval = Duration::from_secs(1);
        let sweep = Sweep::fold(&group, Shard(0), at(0), None, None, &observations, None, at(1_000), interval);
        let counts = SweepCounts {
            members: 4,
            answered: 2,
            silent: 1,
            unknown: 1,
            mean: Some(20.0),
            p90: Some(30.0),
            rate: None,
        };
        assert_eq!(sweep.counts, counts);
        let next =
            Sweep::fold(&group, Shard(0), at(4_000), None, Some(&sweep), &observations, None, at(5_000), interval);
        assert_eq!((next.gaps_ms, next.period_ms), (vec![4_000], 4_000));
    }

    #[test]
    fn the_requests_of_all_are_told_by_those_that_count_them() {
        let member = |rate: Option<f64>| {
            let signals = rate.map(|rate| (signals::RATE.to_owned(), rate)).into_iter().collect();
            fold(None, &Observation::Answered(Answer { signals, ..answer(1_000, 50.0) }), at(1))
        };
        let told = |each: &[Option<f64>]| {
            let members = (0..).zip(each).map(|(n, rate): (u32, _)| (InstanceId(n.to_string()), member(*rate)));
            let gone = (InstanceId::from("gone"), fold(None, &silence(), at(1)));
            SweepCounts::of(&members.chain([gone]).collect()).rate
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[None, None]), None);
        assert_eq!(told(&[Some(100.0), Some(140.0)]), Some(240.0));
        assert_eq!(told(&[Some(100.0), None, Some(140.0)]), Some(360.0), "load is spread evenly, here as for the mean");
        // An older sweep has none.
        let old = r#"{"members": 1, "answered": 1, "silent": 0, "unknown": 0, "mean": 5.0, "p90": 5.0}"#;
        assert_eq!(serde_json::from_str::<SweepCounts>(old).expect("it is read").rate, None);
    }

    #[test]
    fn nine_in_ten_are_no_busier_than_the_90th_percentile() {
        for (members, p90) in
            [(0, None), (1, Some(1.0)), (9, Some(9.0)), (10, Some(9.0)), (11, Some(10.0)), (20, Some(18.0))]
        {
            let load = |n: u32| fold(None, &Observation::Answered(answer(1_000, n.into())), at(1));
            let members = (1..=members).rev().map(|n| (InstanceId(n.to_string()), load(n))).collect();
            assert_eq!(SweepCounts::of(&members).p90, p90, "{} members", members.len());
        }
    }
}
