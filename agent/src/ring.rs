//! The samples not yet forgotten, and the summary of a window of them.
//!
//! Every sample has a number, counted from 1 for the life of the process. A cursor is the number of
//! the last sample that a caller has seen, so several callers can read without disturbing each other
//! and nobody misses or repeats a sample, however late the next call comes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::signals::Name;

/// Samples kept when nobody has asked for more: ten minutes of one-second samples.
pub const MIN_CAPACITY: usize = 600;

/// Samples kept at most: three of the longest sweep intervals (1 h) of one-second samples, 700 kB.
pub const MAX_CAPACITY: usize = 3 * 3600;

/// The part of a window that the load is taken over: its latest quarter, and no fewer than three samples. A sweep that comes just after the
/// load has risen still sees it rise; over the whole window it would be half of what it is, and the group would grow an interval later.
const LOAD_PART: usize = 4;
const LOAD_SAMPLES: usize = 3;

/// What was measured at one moment. Every number is a percentage, finite and inside 0-100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Share of processor time in use since the sample before.
    pub cpu: f64,
    /// Share of memory in use.
    pub memory: Option<f64>,
    /// Share of time in which some task waited for the processor.
    pub pressure: Option<f64>,
    /// Share of processor time taken by the hypervisor.
    pub steal: Option<f64>,
}

/// A percentage fit to be sent: `None` when it is not a number, else held inside 0-100.
#[must_use]
pub fn percent(value: f64) -> Option<f64> {
    value.is_finite().then(|| value.clamp(0.0, 100.0))
}

/// One signal over a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Largest value.
    pub max: f64,
    /// 90th percentile by nearest rank: the smallest value that at least 90 % do not exceed.
    pub p90: f64,
    /// The last value.
    pub latest: f64,
}

impl Summary {
    /// Summarises `values`, in the order they were measured; `None` when there are none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        let latest = *values.last()?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let rank = (values.len() * 9).div_ceil(10) - 1;
        let (_, p90, above) = values.select_nth_unstable_by(rank, f64::total_cmp);
        let p90 = *p90;
        let max = above.iter().copied().fold(p90, f64::max);
        Some(Self {
            // A mean of equal values must not exceed them by a rounding error.
            mean: mean.min(max),
            max,
            p90,
            latest,
        })
    }
}

/// The samples after a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The number of the latest sample ever taken: the next call's cursor.
    pub cursor: u64,
    /// How many samples the window holds.
    pub samples: u32,
    /// When its first sample was taken, since the agent's start.
    pub first_at: Option<Duration>,
    /// Of the processor, over the latest part of the window: what the group is scaled by.
    pub load: Option<Summary>,
    /// Of the processor; every other summary is `None` when this one is.
    pub cpu: Option<Summary>,
    /// Of memory.
    pub memory: Option<Summary>,
    /// Of pressure.
    pub pressure: Option<Summary>,
    /// Of steal.
    pub steal: Option<Summary>,
    /// Of each of the application's signals that hold, over the same latest part as the load.
    pub signals: BTreeMap<Name, Summary>,
}

/// A sample, and what the application said when it was taken.
#[derive(Debug)]
struct Taken {
    at: Duration,
    sample: Sample,
    signals: Vec<(Name, f64)>,
}

/// A bounded queue of samples: the oldest gives way to the newest.
#[derive(Debug)]
pub struct Ring {
    samples: VecDeque<Taken>,
    capacity: usize,
    taken: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self { samples: VecDeque::new(), capacity: MIN_CAPACITY, taken: 0 }
    }
}

impl Ring {
    /// Adds the sample taken at `at`, measured from the agent's start, with the application's signals.
    pub fn push(&mut self, at: Duration, sample: Sample, signals: Vec<(Name, f64)>) {
        while self.samples.len() >= self.capacity {
            self.samples.pop_front();
        }
        self.samples.push_back(Taken { at, sample, signals });
        self.taken += 1;
    }

    /// Makes room for `samples`, held inside [`MIN_CAPACITY`] and [`MAX_CAPACITY`].
    pub fn keep(&mut self, samples: u64) {
        let wanted = usize::try_from(samples).unwrap_or(MAX_CAPACITY);
        self.capacity = wanted.clamp(MIN_CAPACITY, MAX_CAPACITY);
        while self.samples.len() > self.capacity {
            self.samples.pop_front();
        }
    }

    /// When the latest sample was taken, since the agent's start; `None` before any.
    #[must_use]
    pub fn latest_at(&self) -> Option<Duration> {
        self.samples.back().map(|taken| taken.at)
    }

    /// The samples after `cursor`: all that the ring holds for 0, and for a number that no sample has
    /// had yet, which this ring cannot have given out.
    #[must_use]
    pub fn since(&self, cursor: u64) -> Window {
        let cursor = if cursor > self.taken { 0 } else { cursor };
        let held = self.samples.len();
        let fresh = usize::try_from(self.taken - cursor).unwrap_or(held).min(held);
        let window = || self.samples.iter().skip(held - fresh);
        let samples = || window().map(|taken| &taken.sample);
        let latest = (fresh / LOAD_PART).max(LOAD_SAMPLES).min(fresh);
        let told = || window().skip(fresh - latest).flat_map(|taken| &taken.signals);
        // Those alone that still hold: another one would be what a dead application has said.
        let names = window().next_back().into_iter().flat_map(|taken| &taken.signals).map(|(name, _)| name);
        let signals = names.filter_map(|name| {
            let of = told().filter(|(other, _)| other == name).map(|(_, value)| *value);
            Some((Name::clone(name), Summary::of(of)?))
        });
        Window {
            cursor: self.taken,
            samples: u32::try_from(fresh).expect("a ring holds at most MAX_CAPACITY samples"),
            first_at: window().next().map(|taken| taken.at),
            load: Summary::of(samples().skip(fresh - latest).map(|sample| sample.cpu)),
            cpu: Summary::of(samples().map(|sample| sample.cpu)),
            memory: Summary::of(samples().filter_map(|sample| sample.memory)),
            pressure: Summary::of(samples().filter_map(|sample| sample.pressure)),
            steal: Summary::of(samples().filter_map(|sample| sample.steal)),
            signals: signals.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu: f64) -> Sample {
        Sample { cpu, memory: Some(50.0), pressure: None, steal: Some(0.0) }
    }

    /// A ring of samples 1, 2, ... `count` percent, one a second.
    fn ring(count: u64) -> Ring {
        let mut ring = Ring::default();
        for number in 1..=count {
            ring.push(Duration::from_secs(number), sample((number % 101) as f64), Vec::new());
        }
        ring
    }

    #[test]
    fn summaries() {
        // values, mean, max, p90, latest
        let cases: &[(&[f64], f64, f64, f64, f64)] = &[
            (&[7.0], 7.0, 7.0, 7.0, 7.0),
            (&[1.0, 3.0], 2.0, 3.0, 3.0, 3.0),
            (&[3.0, 1.0], 2.0, 3.0, 3.0, 1.0),
            (&[10.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], 5.5, 10.0, 9.0, 9.0),
            (&[0.0, 0.0, 0.0, 0.0, 100.0], 20.0, 100.0, 100.0, 100.0),
            (&[100.0; 3], 100.0, 100.0, 100.0, 100.0),
        ];
        for (values, mean, max, p90, latest) in cases {
            let expected = Summary { mean: *mean, max: *max, p90: *p90, latest: *latest };
            assert_eq!(Summary::of(values.iter().copied()), Some(expected), "{values:?}");
        }
        assert_eq!(Summary::of(std::iter::empty()), None);
    }

    #[test]
    fn windows() {
        let ten = ring(10);
        // cursor, samples, first second, latest
        let cases = [
            (0, 10, Some(1), Some(10.0)),
            (1, 9, Some(2), Some(10.0)),
            (9, 1, Some(10), Some(10.0)),
            (10, 0, None, None),
            (11, 10, Some(1), Some(10.0)),
            (u64::MAX, 10, Some(1), Some(10.0)),
        ];
        for (cursor, samples, first, latest) in cases {
            let window = ten.since(cursor);
            assert_eq!(window.cursor, 10, "cursor {cursor}");
            assert_eq!(window.samples, samples, "cursor {cursor}");
            assert_eq!(window.first_at, first.map(Duration::from_secs), "cursor {cursor}");
            assert_eq!(window.cpu.map(|cpu| cpu.latest), latest, "cursor {cursor}");
            assert_eq!(window.pressure, None, "cursor {cursor}");
        }
    }

    #[test]
    fn the_load_is_of_the_latest_quarter_of_the_window_and_of_three_samples_at_least() {
        // cursor of a hundred samples of 1, 2 ... 100 %; the mean of how many of the latest
        let cases = [(0, 25), (60, 10), (90, 3), (97, 3), (98, 2), (99, 1)];
        for (cursor, latest) in cases {
            let load = ring(100).since(cursor).load.expect("there are samples");
            assert_eq!((load.mean, load.latest), (100.0 - (f64::from(latest) - 1.0) / 2.0, 100.0), "cursor {cursor}");
        }
        assert_eq!(ring(100).since(100).load, None);
    }

    #[test]
    fn signals_are_summarised_like_the_load_while_they_hold() {
        let mut ring = Ring::default();
        let rate = |second: u64| vec![(Name::from("rate"), second as f64)];
        (1..=100).for_each(|second| ring.push(Duration::from_secs(second), sample(1.0), rate(second)));
        let of = |ring: &Ring, cursor| ring.since(cursor).signals.get("rate").map(|rate| (rate.mean, rate.latest));
        assert_eq!(
            (of(&ring, 0), of(&ring, 60), of(&ring, 99)),
            (Some((88.0, 100.0)), Some((95.5, 100.0)), Some((100.0, 100.0)))
        );
        assert_eq!(of(&ring, 100), None, "no sample, no signal");
        ring.push(Duration::from_secs(101), sample(1.0), Vec::new());
        assert_eq!(of(&ring, 0), None, "it holds no longer");
    }

    #[test]
    fn an_empty_ring_has_no_summary() {
        let window = Ring::default().since(0);
        assert_eq!((window.cursor, window.samples, window.cpu), (0, 0, None));
        assert_eq!(Ring::default().latest_at(), None);
    }

    #[test]
    fn a_cursor_older_than_the_ring_gets_all_that_is_left() {
        let ring = ring(700);
        let window = ring.since(3);
        assert_eq!((window.cursor, window.samples), (700, MIN_CAPACITY as u32));
        assert_eq!(window.first_at, Some(Duration::from_secs(101)));
    }

    #[test]
    fn capacity_is_bounded() {
        let mut ring = Ring::default();
        for (asked, kept) in [(0, MIN_CAPACITY), (2_000, 2_000), (u64::MAX, MAX_CAPACITY)] {
            ring.keep(asked);
            for second in 0..=MAX_CAPACITY {
                ring.push(Duration::from_secs(second as u64), sample(1.0), Vec::new());
            }
            assert_eq!(ring.since(0).samples as usize, kept, "asked for {asked}");
        }
        ring.keep(0);
        assert_eq!(ring.since(0).samples as usize, MIN_CAPACITY);
    }

    #[test]
    fn percentages_are_finite_and_bounded() {
        let cases = [
            (50.5, Some(50.5)),
            (-0.1, Some(0.0)),
            (100.1, Some(100.0)),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (f64::NEG_INFINITY, None),
        ];
        for (value, expected) in cases {
            assert_eq!(percent(value), expected, "{value}");
        }
    }
}
