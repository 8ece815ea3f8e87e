//! The demand as it was: the last minutes finely, the last day minute by minute.

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::time::{Timestamp, millis};

/// Minutes that are kept: a day, and what a look around yesterday's same minute needs.
const MINUTES_KEPT: usize = 1_500;
/// The fine part's grain.
const SLOT_MS: u64 = 10_000;
/// How far the fine part goes back.
const TAIL_MS: u64 = 180_000;
const MINUTE_MS: u64 = 60_000;
/// What is this instant: two sweeps of ten seconds, or one that takes longer.
const INSTANT_MS: u64 = 20_000;
/// Points that tell of a slope.
const POINTS_OF_A_SLOPE: f64 = 3.0;

/// The demand as it was, in thousandths of a fully used instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The minute that is being filled, in minutes since 1970.
    minute: u64,
    filling: Mean,
    /// The whole minutes before it, oldest first. A minute without a sample has what the one before had.
    minutes: Vec<u32>,
    /// The last three minutes, oldest first.
    tail: Vec<Slot>,
}

/// A mean in the making.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    sum: u64,
    n: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Slot {
    /// The first sample in it.
    at: Timestamp,
    mean: Mean,
}

impl Mean {
    fn add(&mut self, demand: u32) {
        self.sum = self.sum.saturating_add(demand.into());
        self.n = self.n.saturating_add(1);
    }

    /// Nothing has the mean 0.
    fn value(self) -> f64 {
        self.sum as f64 / f64::from(self.n.max(1))
    }

    fn whole(self) -> u32 {
        u32::try_from(self.sum / u64::from(self.n.max(1))).unwrap_or(u32::MAX)
    }
}

impl Record {
    pub(super) fn begin(at: Timestamp) -> Self {
        Self { minute: at.as_millis() / MINUTE_MS, filling: Mean::default(), minutes: Vec::new(), tail: Vec::new() }
    }

    /// Adds a sample that is later than all before; whether it has begun a new minute.
    pub(super) fn add(&mut self, sample: &Sample) -> bool {
        let ms = sample.at.as_millis();
        let minute = ms / MINUTE_MS;
        let turns = minute > self.minute;
        if turns {
            self.turn_to(minute);
        }
        self.filling.add(sample.demand);
        self.tail.retain(|slot| ms.saturating_sub(slot.at.as_millis()) <= TAIL_MS);
        match self.tail.last_mut().filter(|slot| slot.at.as_millis() / SLOT_MS == ms / SLOT_MS) {
            Some(slot) => slot.mean.add(sample.demand),
            None => {
                let mut mean = Mean::default();
                mean.add(sample.demand);
                self.tail.push(Slot { at: sample.at, mean });
            }
        }
        turns
    }

    fn turn_to(&mut self, minute: u64) {
        let passed = usize::try_from(minute - self.minute).unwrap_or(usize::MAX).min(MINUTES_KEPT);
        let demand = match (self.filling.n, self.minutes.last()) {
            (0, None) => None,
            (0, Some(last)) => Some(*last),
            _ => Some(self.filling.whole()),
        };
        if let Some(demand) = demand {
            self.minutes.extend(std::iter::repeat_n(demand, passed));
        }
        self.minutes.drain(..self.minutes.len().saturating_sub(MINUTES_KEPT));
        (self.minute, self.filling) = (minute, Mean::default());
    }

    /// The whole minutes, oldest first.
    pub(super) fn minutes(&self) -> &[u32] {
        &self.minutes
    }

    /// The mean of what was seen in the `ms` up to the latest sample; of at least that sample.
    fn mean_of(&self, ms: u64) -> f64 {
        let Some(last) = self.tail.last() else { return 0.0 };
        let inside = self.tail.iter().rev().take_while(|slot| millis(last.at.since(slot.at)) < ms);
        let (sum, n) = inside.fold((0.0, 0.0), |(sum, n), slot| (sum + slot.mean.value(), n + 1.0));
        sum / n
    }

    /// The mean of the last minute.
    pub(super) fn last_minute(&self) -> f64 {
        self.mean_of(MINUTE_MS)
    }

    /// The mean of the last 20 seconds.
    pub(super) fn instant(&self) -> f64 {
        self.mean_of(INSTANT_MS)
    }

    /// The demand now: the last minute's, or what it is this instant.
    pub(super) fn now(&self) -> f64 {
        self.instant().max(self.last_minute())
    }

    /// The mean of the last three minutes.
    pub(super) fn lately(&self) -> f64 {
        self.mean_of(TAIL_MS)
    }

    /// By how much the demand has risen a second in the last `ms`; none from a few samples.
    pub(super) fn slope(&self, ms: u64) -> Option<f64> {
        let last = self.tail.last()?;
        let points =
            || self.tail.iter().map(|slot| (millis(last.at.since(slot.at)), slot)).filter(|(age, _)| *age <= ms);
        // Seconds before the last.
        let points = || points().map(|(age, slot)| (-(age as f64) / 1_000.0, slot.mean.value()));
        let (n, sum_x, sum_y) = points().fold((0.0, 0.0, 0.0), |(n, x, y), point| (n + 1.0, x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / n, sum_y / n);
        let (over, under) = points().fold((0.0, 0.0), |(over, under), (x, y)| {
            (over + (x - mean_x) * (y - mean_y), under + (x - mean_x) * (x - mean_x))
        });
        (n >= POINTS_OF_A_SLOPE && under > 0.0).then(|| over / under)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auto::tests::{at, sample};

    fn of(demands: &[(u64, u32)]) -> Record {
        let mut record = Record::begin(at(0));
        demands.iter().for_each(|(seconds, demand)| _ = record.add(&sample(*seconds, *demand)));
        record
    }

    #[test]
    fn z10_a_minute_is_the_mean_of_its_samples_and_whole_once_the_next_begins() {
        let mut record = Record::begin(at(0));
        let turns = [(0, 1_000), (30, 2_000), (60, 5_000), (119, 6_000), (120, 0)];
        let turns = turns.map(|(seconds, demand)| record.add(&sample(seconds, demand)));
        assert_eq!(turns, [false, false, true, false, true]);
        assert_eq!(record.minutes(), [1_500, 5_500]);
    }

    #[test]
    fn z10_a_minute_without_a_sample_has_what_the_one_before_had() {
        let record = of(&[(0, 1_000), (70, 3_000), (240, 9_000)]);
        assert_eq!(record.minutes(), [1_000, 3_000, 3_000, 3_000]);
        // Nothing was known before the first sample.
        assert_eq!(of(&[(600, 9_000), (660, 1_000)]).minutes(), [9_000]);
    }

    #[test]
    fn z10_no_more_than_a_day_and_an_hour_is_kept_however_long_the_gap() {
        for gap in [1_600 * 60, 365 * 86_400, 100_000 * 86_400] {
            let record = of(&[(0, 1_000), (60, 2_000), (60 + gap, 3_000)]);
            assert_eq!(record.minutes(), [2_000; MINUTES_KEPT], "{gap} s");
            assert_eq!((record.now(), record.slope(120_000)), (3_000.0, None), "{gap} s");
        }
    }

    #[test]
    fn z10_the_last_minutes_are_kept_finely() {
        // 0, 1,000, ... 6,000 in ten seconds each: the last minute has the last six of them, this instant the last two.
        let mut rising: Vec<_> = (0..=6).map(|n| (10 * n, 1_000 * n as u32)).collect();
        let record = of(&rising);
        assert_eq!((record.last_minute(), record.instant(), record.now()), (3_500.0, 5_500.0, 5_500.0));
        assert_eq!(record.lately(), 3_000.0);
        // Two in the same ten seconds count as one.
        rising.push((65, 8_000));
        assert_eq!(of(&rising).instant(), 6_000.0);
        let falling: Vec<_> = (0..=6).map(|n| (10 * n, 6_000 - 1_000 * n as u32)).collect();
        assert_eq!(of(&falling).now(), 2_500.0, "what falls is the last minute's");
        let long: Vec<_> = (0..=600).map(|n| (n, 1_000)).collect();
        assert_eq!(of(&long).tail.len(), 19);
        assert_eq!(Record::begin(at(0)).now(), 0.0);
    }

    #[test]
    fn z10_a_slope_is_the_straight_line_that_fits_best() {
        for (demands, slope) in [
            (vec![(0, 0), (10, 1_000), (20, 2_000)], Some(100.0)),
            (vec![(0, 2_000), (10, 1_000), (20, 0)], Some(-100.0)),
            (vec![(0, 1_000), (10, 0), (20, 2_000)], Some(50.0)),
            (vec![(0, 1_000), (60, 1_600), (120, 2_200)], Some(10.0)),
            // Older than two minutes: it is not looked at, and two points are too few.
            (vec![(0, 9_000), (60, 1_600), (130, 2_200)], None),
            (vec![(0, 0), (10, 1_000)], None),
            (vec![(0, 0)], None),
            (vec![], None),
        ] {
            assert_eq!(of(&demands).slope(120_000), slope, "{demands:?}");
        }
    }
}
