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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auto::tests::{at, sample};

    /// What is asked for serves after 115 s.
    const SETTING: Setting =
        Setting { price: 0.1, min: 1, max: 10_000, boot: Duration::from_secs(100), period: Duration::from_secs(10) };

    /// A record of `demand` for three minutes, up to 0.
    fn steady(demand: u32) -> Record {
        let mut record = Record::begin(at(0));
        (0..=18).for_each(|nth| _ = record.add(&sample(10 * nth, demand)));
        record
    }

    fn full(seconds: u64, carried_by: u32) -> Sample {
        Sample { carried_by, saturated: true, ..sample(180 + seconds, 1_000 * carried_by) }
    }

    /// The boosts of full processors, sample after sample: seconds and who carries.
    fn boosts(demand: u32, samples: &[(u64, u32)]) -> Vec<u32> {
        let (record, mut strain) = (steady(demand), Strain::default());
        let felt = samples.iter().map(|(seconds, carried_by)| {
            strain.feel(&full(*seconds, *carried_by), &record, &SETTING);
            strain.boost
        });
        felt.collect()
    }

    #[test]
    fn z10_the_first_boost_goes_by_the_demand_before_it_within_two_and_a_half_and_three_times() {
        for (demand, boost) in
            [(0, 25), (5_000, 25), (5_900, 26), (6_500, 28), (6_900, 30), (9_000, 30), (u32::MAX, 30)]
        {
            assert_eq!(boosts(demand, &[(10, 10)]), [boost], "{demand}");
        }
        assert_eq!(boosts(0, &[(10, 1)]), [3]);
    }

    #[test]
    fn z10_boosts_follow_each_other_once_what_was_asked_for_has_come() {
        // Of 28 nine tenths are 26, of 89 they are 81; a boost is late after 230 s.
        for (samples, wanted) in [
            (vec![(10, 10), (20, 10), (60, 20), (110, 25)], vec![28, 28, 28, 28]),
            (vec![(10, 10), (60, 25), (110, 26)], vec![28, 28, 89]),
            // The third is seen for 20 s before it is believed.
            (vec![(10, 10), (20, 26), (30, 81), (40, 81), (50, 81)], vec![28, 89, 89, 89, 276]),
            (vec![(10, 10), (20, 26), (30, 81), (40, 80), (50, 81), (60, 81)], vec![28, 89, 89, 89, 89, 89]),
            // In vain: it is late.
            (
                vec![(10, 10), (70, 10), (130, 10), (190, 10), (240, 10), (241, 10), (250, 10)],
                vec![28, 28, 28, 28, 28, 34, 34],
            ),
            // They were not full for more than three periods or 60 s: it is another time.
            (vec![(10, 10), (20, 26), (80, 26)], vec![28, 89, 89]),
            (vec![(10, 10), (20, 26), (81, 26)], vec![28, 89, 65]),
        ] {
            assert_eq!(boosts(6_500, &samples), wanted, "{samples:?}");
        }
    }

    #[test]
    fn z10_after_full_processors_nobody_can_say_for_three_minutes_how_the_demand_rises() {
        let mut strain = Strain::default();
        assert!(!strain.blurs(at(0)));
        strain.feel(&full(0, 4), &steady(1_000), &SETTING);
        let blurs = [180, 240, 359, 360].map(|seconds| strain.blurs(at(seconds)));
        assert_eq!(blurs, [true, true, true, false]);
    }

    #[test]
    fn z10_the_last_minute_is_never_above_90_percent() {
        for (demand, floor) in [(0, 0), (899, 1), (900, 1), (901, 2), (9_000, 10), (9_001, 11), (u32::MAX, 4_772_186)] {
            let none = (Blend(0.0), Strain::default());
            let want = Want::of(&sample(180, demand), &none.0, &steady(demand), &none.1, &SETTING);
            assert_eq!((want.floor, want.size()), (floor, floor.max(1)), "{demand}");
        }
    }

    #[test]
    fn z10_the_largest_of_rules_floor_and_boost_is_wanted() {
        let size = |by_rules, floor, boost| Want { by_rules, floor, boost, ..Want::default() }.size();
        assert_eq!([size(3, 2, 1), size(1, 3, 2), size(2, 1, 3)], [3; 3]);
        let strain = Strain { boost: 50, ..Strain::default() };
        let want = |sample: Sample| Want::of(&sample, &Blend(20_000.0), &steady(0), &strain, &SETTING);
        assert_eq!((want(full(0, 4)).boost, want(sample(180, 4_000)).boost), (50, 0), "only while they are full");
        assert_eq!(want(full(0, 4)).by_rules, 10_000, "the bounds are the policy's");
    }

    #[test]
    fn z10_a_small_change_must_have_lasted() {
        // Members, what was asked for when, what is asked for after 600 s, and what becomes of it.
        for (n, asks, size, settled) in [
            // A growth of at most 26 %: all of 60 s, of which the sweep's own ten have passed.
            (100, vec![(560, 126), (580, 126)], 126, 126),
            (100, vec![(550, 100), (580, 126)], 126, 100),
            (100, vec![(549, 100), (580, 126)], 126, 126),
            (100, vec![(560, 110), (580, 126)], 126, 110),
            (100, vec![(590, 100)], 127, 127),
            // A reduction of less than 10 %: all of 300 s.
            (100, vec![(300, 100)], 91, 100),
            (100, vec![(299, 100)], 91, 91),
            (100, vec![(310, 95)], 91, 95),
            (100, vec![(310, 120)], 91, 100),
            (100, vec![(590, 100)], 90, 90),
        ] {
            let mut lately = Asks::default();
            asks.iter().for_each(|(seconds, size)| lately.add(at(*seconds), *size));
            lately.add(at(600), size);
            let want = Want { by_rules: size, ..Want::default() };
            let (desired, words) = lately.settle(n, &want, at(600), SETTING.period);
            assert_eq!((desired, words.is_empty()), (settled, settled == size), "{asks:?}, then {size}");
        }
    }

    #[test]
    fn z10_what_must_be_waits_for_nothing() {
        let mut lately = Asks::default();
        (0..6).for_each(|nth| lately.add(at(550 + 10 * nth), 100));
        let settle = |want: Want| lately.settle(100, &want, at(600), SETTING.period).0;
        assert_eq!(settle(Want { by_rules: 110, ..Want::default() }), 100);
        assert_eq!(settle(Want { by_rules: 110, floor: 105, ..Want::default() }), 105);
        assert_eq!(settle(Want { by_rules: 100, boost: 110, ..Want::default() }), 110);
    }

    #[test]
    fn z10_what_was_asked_for_is_kept_for_five_minutes_in_grains_of_ten_seconds() {
        let mut asks = Asks::default();
        (0..3_600_u32).for_each(|second| asks.add(at(second.into()), second));
        assert!(asks.0.len() <= 31, "{}", asks.0.len());
        assert_eq!(asks.0.last().map(|ask| (ask.lowest, ask.highest)), Some((3_590, 3_599)));
    }
}
