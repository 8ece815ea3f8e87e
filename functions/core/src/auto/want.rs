//! From what the rules ask for to one size: the floor, the boost, and how long a small change must last.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Record;
use super::shadows::{Blend, Shadows};
use super::{OVERLOADED, Sample, Setting, rounded_up};
use crate::time::{Timestamp, spoken};

/// A group whose processors are full is taken to need so many times as many, by what the demand was before: one that has doubled
/// needs 2 / 0.9 times it, and must not be met with twice as much as that.
const BOOST_OF_DEMAND: f64 = 4.3;
/// But at least and at most so many times as many as carry the load.
const FIRST_BOOST: (f64, f64) = (2.5, 3.0);
/// If they are full again once those have come, it was far from enough, and a demand that has grown tenfold must be met by then.
const NEXT_BOOST: f64 = 3.4;
/// After so many times what it takes, what was asked for is not waited for any more.
const LATE: u32 = 2;
/// What was asked for is there when this share of it is.
const ARRIVED: f64 = 0.9;
/// From the third boost on it must have been there for so long: a load is that of the seconds before.
const SEEN_FOR: Duration = Duration::from_secs(20);
/// Processors that are full again within so many periods have been full all the time.
const STRAIN_GAP: u32 = 3;
/// After full processors, how the demand rises is not known for so long.
const BLURRED: Duration = Duration::from_secs(180);
/// A growth of at most this share of the group must be asked for all of [`GROWTH_LASTS`].
const SMALL_GROWTH: f64 = 0.26;
const GROWTH_LASTS: Duration = Duration::from_secs(60);
/// A reduction of less than this share of the group must be asked for all of [`REDUCTION_LASTS`].
const SMALL_REDUCTION: f64 = 0.1;
const REDUCTION_LASTS: Duration = Duration::from_secs(300);
/// The grain in which it is remembered what was asked for.
const GRAIN: Duration = Duration::from_secs(10);

/// When the processors were full, and what was before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Strain {
    /// The latest sample that says so.
    last: Option<Timestamp>,
    /// What was asked for last on its account, and when.
    boost: u32,
    boosted_at: Timestamp,
    /// How often.
    boosts: u32,
    /// Since when that is there.
    arrived_at: Option<Timestamp>,
    /// The demand before it, in thousandths.
    demand: f64,
}

impl Strain {
    /// Takes a sample in, before `record` has it.
    pub(super) fn feel(&mut self, sample: &Sample, record: &Record, setting: &Setting) {
        if !sample.saturated {
            return;
        }
        let gap = setting.period.max(Duration::from_secs(20)).saturating_mul(STRAIN_GAP);
        if self.last.is_none_or(|last| sample.at.since(last) > gap) {
            *self = Self { demand: record.lately(), ..Self::default() };
        }
        self.last = Some(sample.at);
        // Who was asked for and is still to come cannot have helped yet.
        let arrived = f64::from(sample.carried_by) >= ARRIVED * f64::from(self.boost);
        self.arrived_at = self.arrived_at.filter(|_| arrived).or(arrived.then_some(sample.at));
        let seen_for = self.arrived_at.map_or(Duration::ZERO, |at| sample.at.since(at));
        let late = sample.at.since(self.boosted_at) > setting.lead().saturating_mul(LATE);
        if late || (arrived && (self.boosts < 2 || seen_for >= SEEN_FOR)) {
            let carry = f64::from(sample.carried_by);
            let first = (BOOST_OF_DEMAND * self.demand / 1_000.0).clamp(FIRST_BOOST.0 * carry, FIRST_BOOST.1 * carry);
            let boost = if self.boosts == 0 { first } else { NEXT_BOOST * carry };
            (self.boost, self.boosted_at, self.arrived_at) = (rounded_up(boost), sample.at, None);
            self.boosts = self.boosts.saturating_add(1);
        }
    }

    /// Whether it was so lately that nobody can say how the demand rises.
    pub(super) fn blurs(&self, at: Timestamp) -> bool {
        self.last.is_some_and(|last| at.since(last) < BLURRED)
    }
}

/// What is wanted of the group after the latest sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Want {
    demand: u32,
    carried_by: u32,
    by_rules: u32,
    /// What the last minute needs.
    floor: u32,
    /// What full processors are taken to need; 0 when they are not full.
    boost: u32,
}

impl Want {
    pub(super) fn of(sample: &Sample, blend: &Blend, record: &Record, strain: &Strain, setting: &Setting) -> Self {
        Self {
            demand: sample.demand,
            carried_by: sample.carried_by,
            by_rules: rounded_up(blend.0).clamp(setting.min, setting.max),
            floor: rounded_up(record.last_minute() / (1_000.0 * OVERLOADED)),
            boost: if sample.saturated { strain.boost } else { 0 },
        }
    }

    pub(super) fn size(&self) -> u32 {
        self.by_rules.max(self.floor).max(self.boost)
    }

    /// Why it is so many.
    pub(super) fn account(&self, shadows: &Shadows, price: f64) -> String {
        let Self { demand, carried_by, by_rules, floor, boost } = *self;
        let demand = f64::from(demand) / 1_000.0;
        if boost > 0 && boost == self.size() {
            return format!(
                "the processors of {carried_by} are full, and how much more there is to do cannot be seen: {boost}"
            );
        }
        if floor > by_rules {
            return format!("the demand of the last minute, {demand:.1} now, needs {floor} at 90 %");
        }
        format!("for a demand of {demand:.1} {by_rules}: {}", shadows.account(price))
    }
}

/// What was asked for lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Asks(Vec<Ask>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Ask {
    at: Timestamp,
    highest: u32,
    lowest: u32,
}

impl Asks {
    pub(super) fn add(&mut self, at: Timestamp, size: u32) {
        self.0.retain(|ask| at.since(ask.at) <= REDUCTION_LASTS);
        match self.0.last_mut().filter(|ask| ask.at.round_down(GRAIN) == at.round_down(GRAIN)) {
            Some(ask) => (ask.highest, ask.lowest) = (ask.highest.max(size), ask.lowest.min(size)),
            None => self.0.push(Ask { at, highest: size, lowest: size }),
        }
    }

    /// What is asked for of a group of `n`: a small change only once it has lasted. And in words, if that makes a difference.
    pub(super) fn settle(&self, n: u32, want: &Want, now: Timestamp, period: Duration) -> (u32, String) {
        let (size, share) = (want.size(), f64::from(n));
        let lately = |span: Duration| self.0.iter().filter(move |ask| now.since(ask.at) <= span);
        if size > n && want.boost == 0 && f64::from(size - n) <= SMALL_GROWTH * share {
            let lasts = lately(GROWTH_LASTS.saturating_sub(period)).map(|ask| ask.lowest).min().unwrap_or(size);
            let settled = lasts.max(want.floor).clamp(n, size);
            return (settled, waits(settled, size, GROWTH_LASTS));
        }
        if size < n && f64::from(n - size) < SMALL_REDUCTION * share {
            let lasts = lately(REDUCTION_LASTS).map(|ask| ask.highest).max().unwrap_or(size);
            let settled = lasts.clamp(size, n);
            return (settled, waits(settled, size, REDUCTION_LASTS));
        }
        (size, String::new())
    }
}

fn waits(settled: u32, size: u32, span: Duration) -> String {
    if settled == size { String::new() } else { format!(" (so small a change must last for {})", spoken(span)) }
}
