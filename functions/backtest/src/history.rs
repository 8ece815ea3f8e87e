//! The load that a group has really had: what its sweeps saw, as demand.
//!
//! The unit is the instance: a demand of 2.5 keeps two and a half instances fully used, so that an instance's capacity is 1. A
//! sweep in which 4 members answer with a mean of 60 % has seen 2.4. Above saturation a processor says nothing more: then the
//! requests tell, where members report them, at as many an instance as the unsaturated sweeps have shown; else the group is
//! taken to have had a stated multiple of what it could do.
//!
//! A sweep that was blind, or that nobody answered, is none. A short gap is held, so that nothing of what comes is seen early; a
//! longer one is bridged by a straight line. How much of the record that is, is told ([`Gaps`]).

use std::collections::BTreeMap;

use muster_core::group::Shard;
use muster_core::sweep::SweepFigures;
use muster_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::scaler::{count, size};
use crate::trace::{Demand, MOST_STEPS, STEP_S};

/// Mean load, in percent, from which on more demand cannot be seen.
pub const SATURATED: f64 = 95.0;
/// What a saturated group is taken to have been asked for, as a multiple of what it could do, where nothing else says it.
pub const SATURATED_AT: f64 = 1.25;
/// Below this mean load, in percent, requests say little about what one costs: a host is never quite idle.
const TELLING: f64 = 20.0;
/// Multiples of what a group could do that told requests may come to: more is a lie.
const MOST_ASKED: f64 = 100.0;
/// Usual gaps between two sweeps that are held; more are bridged.
const HELD_GAPS: f64 = 3.0;

/// One sweep of one shard, as far as it tells of load.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// Of which shard.
    pub shard: Shard,
    /// Members that answered.
    pub answered: u32,
    /// Their mean load in percent; none when nobody told one.
    pub mean: Option<f64>,
    /// Whether it could not be trusted.
    pub blind: bool,
    /// Requests a second of those that answered together; none when they do not tell.
    pub rate: Option<f64>,
}

/// A record as it can be played.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Instances that would have been fully used, step by step.
    pub demand: Demand,
    /// What in it is not seen but assumed.
    pub gaps: Gaps,
}

/// How much of a record is not seen but assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Gaps {
    /// Sweeps in it.
    pub sweeps: u32,
    /// Those that could not be trusted.
    pub blind: u32,
    /// Those that nobody answered, or nobody with a load.
    pub unanswered: u32,
    /// Those in which the group was saturated.
    pub saturated: u32,
    /// Those of them whose demand is an assumption, for nobody told the requests.
    pub assumed: u32,
    /// What was assumed of them: this multiple of what the group could do.
    pub assumed_at: f64,
    /// The share of the time that lies in gaps, in percent.
    pub bridged_percent: f64,
}

/// Why a record cannot be played.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HistoryError {
    /// There is too little in it.
    #[error("of {sweeps} sweeps {seen} tell a load: it takes 2 at least")]
    Short {
        /// Sweeps in the record.
        sweeps: u32,
        /// Those that tell a load.
        seen: u32,
    },
    /// There is too much of it.
    #[error("the record spans {days:.0} days: 366 are played at most")]
    Long {
        /// How long it is.
        days: f64,
    },
}

impl Look {
    /// What a stored sweep tells.
    pub fn of(sweep: &SweepFigures) -> Self {
        let SweepFigures { slot, shard, counts, blind } = sweep;
        Self {
            at: *slot,
            shard: *shard,
            answered: counts.answered,
            mean: counts.mean,
            blind: blind.is_some(),
            rate: counts.rate,
        }
    }

    /// Instances' worth that was done; none when it tells no load.
    fn done(&self) -> Option<f64> {
        let mean = self.mean.filter(|mean| (0.0..=100.0).contains(mean))?;
        (!self.blind && self.answered > 0).then(|| f64::from(self.answered) * mean / 100.0)
    }

    fn is_saturated(&self) -> bool {
        self.mean.is_some_and(|mean| mean >= SATURATED)
    }

    /// Requests a second that were told, if that is a number.
    fn requests(&self) -> Option<f64> {
        self.rate.filter(|rate| rate.is_finite() && *rate > 0.0)
    }
}

/// The record of `looks`, in any order. Where nothing else says it, a saturated group is taken to have been asked for
/// `saturated_at` times what it could do.
pub fn record(looks: &[Look], saturated_at: f64) -> Result<Recording, HistoryError> {
    let mut gaps = Gaps { sweeps: count(looks.len()), assumed_at: saturated_at, ..Gaps::default() };
    let capacity = capacity(looks);
    let mut shards: BTreeMap<Shard, Strand> = BTreeMap::new();
    for look in looks {
        let shard = shards.entry(look.shard).or_default();
        shard.times.push(seconds(look.at));
        if let Some(demand) = gaps.take(look, capacity) {
            shard.seen.push((seconds(look.at), demand));
        }
    }
    let seen = || shards.values().flat_map(|shard| &shard.seen).map(|(at_s, _)| *at_s);
    let (first, last) = (seen().fold(f64::MAX, f64::min), seen().fold(0.0, f64::max));
    let start_s = (first / STEP_S).floor() * STEP_S;
    let steps = ((last - start_s) / STEP_S).floor() + 1.0;
    if seen().count() < 2 {
        return Err(HistoryError::Short { sweeps: gaps.sweeps, seen: count(seen().count()) });
    }
    if steps > MOST_STEPS {
        return Err(HistoryError::Long { days: steps * STEP_S / 86_400.0 });
    }
    let mut rates = vec![0.0; size(steps) as usize];
    let (mut bridged, mut covered) = (0, 0);
    for shard in shards.into_values() {
        let (of, among) = shard.pour(start_s, &mut rates);
        (bridged, covered) = (bridged + of, covered + among);
    }
    gaps.bridged_percent = 100.0 * f64::from(bridged) / f64::from(covered.max(1));
    Ok(Recording { demand: Demand { start_unix_s: start_s, rates }, gaps })
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1_000.0
}

/// Requests a second that keep one instance fully used, as the unsaturated sweeps have it: the median.
fn capacity(looks: &[Look]) -> Option<f64> {
    let telling = looks.iter().filter(|look| !look.is_saturated() && look.mean.is_some_and(|mean| mean >= TELLING));
    let mut each: Vec<f64> = telling.filter_map(|look| Some(look.requests()? / look.done()?)).collect();
    each.sort_by(f64::total_cmp);
    each.get(each.len() / 2).copied()
}

impl Gaps {
    /// The demand that a look tells, and counts what it does not.
    fn take(&mut self, look: &Look, capacity: Option<f64>) -> Option<f64> {
        let Some(done) = look.done() else {
            let why = if look.blind { &mut self.blind } else { &mut self.unanswered };
            *why += 1;
            return None;
        };
        if !look.is_saturated() {
            return Some(done);
        }
        self.saturated += 1;
        let asked = look.requests().zip(capacity).map(|(requests, capacity)| requests / capacity);
        self.assumed += u32::from(asked.is_none());
        let could = f64::from(look.answered);
        Some(asked.map_or(could * self.assumed_at, |asked| asked.min(could * MOST_ASKED)).max(done))
    }
}

/// What is known of one shard.
#[derive(Default)]
struct Strand {
    /// When it was swept, in seconds since 1970.
    times: Vec<f64>,
    /// Its demand, where a sweep told it.
    seen: Vec<(f64, f64)>,
}

impl Strand {
    /// Adds its demand to `rates`, from its first look to its last. Gives the steps that are bridged, and all of its steps.
    fn pour(mut self, start_s: f64, rates: &mut [f64]) -> (u32, u32) {
        self.seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        let held = (HELD_GAPS * self.usual_gap_s() / STEP_S).max(1.0);
        let means = means(start_s, &self.seen);
        let mut bridged = 0;
        for pair in means.windows(2) {
            let ((from, before), (to, after)) = (pair[0], pair[1]);
            let span = to - from;
            let is_gap = f64::from(span) > held;
            bridged += if is_gap { span - 1 } else { 0 };
            for step in 0..span {
                let moved = if is_gap { (after - before) * f64::from(step) / f64::from(span) } else { 0.0 };
                add(rates, from + step, before + moved);
            }
        }
        if let Some((last, demand)) = means.last() {
            add(rates, *last, *demand);
        }
        let covered = means.first().zip(means.last()).map_or(0, |((first, _), (last, _))| last - first + 1);
        (bridged, covered)
    }

    /// The median gap between two sweeps.
    fn usual_gap_s(&mut self) -> f64 {
        self.times.sort_by(f64::total_cmp);
        let mut gaps: Vec<f64> = self.times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied().unwrap_or_default()
    }
}

fn add(rates: &mut [f64], step: u32, demand: f64) {
    rates.iter_mut().skip(step as usize).take(1).for_each(|rate| *rate += demand);
}

/// The mean of what was seen in each step in which something was seen.
fn means(start_s: f64, seen: &[(f64, f64)]) -> Vec<(u32, f64)> {
    let step_of = |at_s: f64| size((at_s - start_s) / STEP_S);
    seen.chunk_by(|a, b| step_of(a.0) == step_of(b.0))
        .map(|chunk| {
            let sum: f64 = chunk.iter().map(|(_, demand)| demand).sum();
            (chunk.first().map_or(0, |(at_s, _)| step_of(*at_s)), sum / chunk.len() as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks ten seconds apart, each with the members that answer and their mean.
    fn looks(each: &[(u32, f64)]) -> Vec<Look> {
        let look = |(nth, (answered, mean)): (u64, &(u32, f64))| Look {
            at: Timestamp::from_millis(1_000_000 + nth * 10_000),
            shard: Shard(0),
            answered: *answered,
            mean: Some(*mean),
            blind: false,
            rate: None,
        };
        (0..).zip(each).map(look).collect()
    }

    fn near(rates: &[f64], expected: &[f64]) {
        let same = rates.len() == expected.len() && rates.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(same, "{rates:?} is not {expected:?}");
    }

    #[test]
    fn demand_is_the_mean_times_those_that_serve() {
        let recording = record(&looks(&[(4, 60.0), (2, 30.0), (3, 0.0)]), 1.25).unwrap();
        assert_eq!(recording.demand.start_unix_s, 1_000.0);
        near(&recording.demand.rates, &[2.4, 0.6, 0.0]);
        assert_eq!(recording.gaps, Gaps { sweeps: 3, assumed_at: 1.25, ..Gaps::default() });
    }

    #[test]
    fn above_saturation_the_requests_tell_or_else_the_assumption() {
        let mut three = looks(&[(2, 50.0), (2, 98.0), (2, 100.0)]);
        let assumed = record(&three, 1.5).unwrap();
        near(&assumed.demand.rates, &[1.0, 3.0, 3.0]);
        assert_eq!((assumed.gaps.saturated, assumed.gaps.assumed), (2, 2));
        // 100 requests a second keep one busy; 500 came, and the third look does not tell.
        three[0].rate = Some(100.0);
        three[1].rate = Some(500.0);
        let told = record(&three, 1.5).unwrap();
        near(&told.demand.rates, &[1.0, 5.0, 3.0]);
        assert_eq!((told.gaps.saturated, told.gaps.assumed), (2, 1));
        three[1].rate = Some(f64::MAX);
        near(&record(&three, 1.5).unwrap().demand.rates, &[1.0, 200.0, 3.0]);
        three[1].rate = Some(f64::NAN);
        near(&record(&three, 1.5).unwrap().demand.rates, &[1.0, 3.0, 3.0]);
    }

    #[test]
    fn short_gaps_are_held_and_long_ones_bridged_and_counted() {
        let mut twelve = looks(&[(1, 10.0); 12]);
        twelve[11].mean = Some(90.0);
        // Two are missing: that is held. Six in a row are blind or unanswered: that is bridged.
        twelve[6].answered = 0;
        twelve[7].mean = None;
        twelve[8].mean = Some(f64::NAN);
        twelve[5].blind = true;
        (twelve[9].blind, twelve[10].blind) = (true, true);
        twelve.drain(1..3);
        let recording = record(&twelve, 1.25).unwrap();
        let line = (0..7).map(|n| 0.1 + 0.8 * f64::from(n) / 7.0);
        let expected: Vec<f64> = [0.1; 4].into_iter().chain(line).chain([0.9]).collect();
        near(&recording.demand.rates, &expected);
        let Gaps { sweeps, blind, unanswered, bridged_percent, .. } = recording.gaps;
        assert_eq!((sweeps, blind, unanswered), (10, 3, 3));
        assert!((bridged_percent - 50.0).abs() < 1e-9, "{bridged_percent}");
    }

    #[test]
    fn shards_add_up_whatever_the_order_and_looks_of_one_step_are_averaged() {
        let mut all = looks(&[(1, 40.0), (1, 60.0)]);
        let other = looks(&[(2, 50.0), (2, 50.0)]);
        all.extend(other.into_iter().map(|look| Look { shard: Shard(1), ..look }));
        all.push(Look { at: Timestamp::from_millis(1_005_000), mean: Some(20.0), ..all[0].clone() });
        all.reverse();
        near(&record(&all, 1.25).unwrap().demand.rates, &[1.3, 1.6]);
    }

    #[test]
    fn too_little_and_too_much_are_refused() {
        let say = |looks: &[Look]| record(looks, 1.25).expect_err("refused").to_string();
        assert_eq!(say(&[]), "of 0 sweeps 0 tell a load: it takes 2 at least");
        let mut three = looks(&[(1, 10.0), (0, 10.0), (1, 10.0)]);
        three[2].blind = true;
        assert_eq!(say(&three), "of 3 sweeps 1 tell a load: it takes 2 at least");
        three[2] = Look { at: Timestamp::from_millis(400 * 86_400_000), ..three[0].clone() };
        assert_eq!(say(&three), "the record spans 400 days: 366 are played at most");
    }
}
