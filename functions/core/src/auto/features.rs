//! What a rule looks at: each feature is a demand that the group may be prepared for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Record;

/// One way to look at the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feature {
    /// The demand now.
    Now,
    /// The highest of so many minutes.
    Highest(u16),
    /// What so many per cent of so many minutes lay below.
    Quantile(u16, u16),
    /// What the demand will be when what is asked for now serves, if it goes on as in the last two minutes.
    Trend,
    /// The demand now and what it grew by so many minutes ago, and twice and three times as many.
    Cycle(u16),
    /// The highest around this time yesterday, if today is as busy.
    Yesterday,
}

/// The features, in the order of [`values`].
pub(super) const FEATURES: [Feature; 15] = [
    Feature::Now,
    Feature::Highest(3),
    Feature::Highest(8),
    Feature::Highest(20),
    Feature::Highest(60),
    Feature::Quantile(60, 90),
    Feature::Quantile(60, 70),
    Feature::Quantile(240, 95),
    Feature::Quantile(240, 80),
    Feature::Quantile(240, 50),
    Feature::Trend,
    Feature::Cycle(60),
    Feature::Cycle(120),
    Feature::Cycle(1_440),
    Feature::Yesterday,
];

/// Cycles that are looked back.
const CYCLES: usize = 3;
/// The share of a trend that is believed.
const TREND_BELIEVED: f64 = 0.7;
/// The time in which it shows.
const TREND_MS: u64 = 120_000;
/// A forecast is not below this share of the highest of so many minutes, nor below that share of what is this instant.
const TREND_FLOOR: (f64, usize, f64) = (0.9, 3, 0.7);
/// A load is seen for so long before it is acted on.
const SEEN_AFTER: Duration = Duration::from_secs(10);
/// Where the highest of eight minutes stands among the features.
const LATELY: usize = 2;
/// Minutes of which the median says how busy a day is.
const LEVEL: usize = 30;
/// Minutes around the same time yesterday.
const AROUND: usize = 8;

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("the demand now"),
            Self::Highest(minutes) => write!(f, "the highest of {minutes} min"),
            Self::Quantile(minutes, percent) => write!(f, "{percent} % of {minutes} min"),
            Self::Trend => f.write_str("the trend"),
            Self::Cycle(minutes) => write!(f, "the rise of {} h ago", minutes / 60),
            Self::Yesterday => f.write_str("yesterday's highest at this time"),
        }
    }
}

/// What of the features changes once a minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Prepared(Vec<Option<f32>>);

impl Prepared {
    /// What the whole minutes of `record` say, for who asks `lead` ahead.
    pub(super) fn of(record: &Record, lead: Duration) -> Self {
        let minutes = record.minutes();
        let lead = lead.saturating_add(SEEN_AFTER);
        let lead = usize::try_from((lead.as_secs() + 30) / 60).unwrap_or(usize::MAX);
        let of = |feature: &Feature| match *feature {
            Feature::Now => None,
            Feature::Highest(n) => Some(highest(latest(minutes, n.into()))),
            Feature::Quantile(n, percent) => quantile(latest(minutes, n.into()), percent),
            Feature::Trend => Some(TREND_FLOOR.0 * highest(latest(minutes, TREND_FLOOR.1))),
            Feature::Cycle(n) => rise(minutes, n.into(), lead),
            Feature::Yesterday => yesterday(minutes, lead),
        };
        Self(FEATURES.iter().map(|feature| of(feature).map(narrow)).collect())
    }
}

/// The features, in thousandths of a fully used instance. `blurred` when nobody can say how the demand rises.
pub(super) fn values(record: &Record, prepared: &Prepared, lead: Duration, blurred: bool) -> [f64; FEATURES.len()] {
    let (now, last_minute) = (record.now(), record.last_minute());
    let prepared = |nth: usize| prepared.0.get(nth).copied().flatten().map(f64::from);
    let lately = now.max(prepared(LATELY).unwrap_or(0.0));
    let mut values = [now; FEATURES.len()];
    for (nth, (value, feature)) in values.iter_mut().zip(&FEATURES).enumerate() {
        let seen = prepared(nth);
        *value = match feature {
            Feature::Now => now,
            Feature::Highest(_) | Feature::Quantile(..) => seen.unwrap_or(now).max(now),
            Feature::Trend => match record.slope(TREND_MS).filter(|_| !blurred) {
                Some(slope) => {
                    let (instant, ahead) = (record.instant(), lead.saturating_add(SEEN_AFTER).as_secs_f64());
                    let grown = instant + TREND_BELIEVED * slope * ahead;
                    grown.max(seen.unwrap_or(0.0)).max(TREND_FLOOR.2 * instant)
                }
                None => now,
            },
            Feature::Cycle(_) => seen.map_or(lately, |rise| lately.max(last_minute + rise)),
            Feature::Yesterday => seen.map_or(lately, |highest| lately.max(highest)),
        };
    }
    values
}

fn latest(minutes: &[u32], n: usize) -> &[u32] {
    &minutes[minutes.len().saturating_sub(n)..]
}

fn highest(minutes: &[u32]) -> f64 {
    minutes.iter().copied().max().unwrap_or_default().into()
}

fn quantile(minutes: &[u32], percent: u16) -> Option<f64> {
    let mut sorted = minutes.to_vec();
    let nth = (sorted.len().checked_sub(1)? * usize::from(percent) + 50) / 100;
    let (_, value, _) = sorted.select_nth_unstable(nth);
    Some((*value).into())
}

/// The minutes from `begin` to before `end`, as far as there are any.
fn between(minutes: &[u32], begin: usize, end: usize) -> &[u32] {
    minutes.get(begin..end.min(minutes.len())).unwrap_or_default()
}

/// By how much the demand rose within `lead` minutes, on the mean of the last cycles of `period` minutes.
fn rise(minutes: &[u32], period: usize, lead: usize) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0.0);
    for cycle in 1..=CYCLES {
        let Some(then) = minutes.len().checked_sub(cycle * period).filter(|then| *then >= 2) else { break };
        let after = between(minutes, (then + lead).saturating_sub(1), then + lead + 2);
        if after.is_empty() {
            break;
        }
        sum += highest(after) - f64::from(minutes[then - 1]) / 2.0 - f64::from(minutes[then - 2]) / 2.0;
        n += 1.0;
    }
    (n > 0.0).then(|| (sum / n).max(0.0))
}

/// The highest around `lead` minutes after this time yesterday, times how much busier today is.
fn yesterday(minutes: &[u32], lead: usize) -> Option<f64> {
    let then = minutes.len().checked_sub(1_440).filter(|then| *then >= LEVEL)?;
    let around = between(minutes, (then + lead).saturating_sub(AROUND), then + lead + AROUND + 1);
    let level = |minutes: &[u32]| quantile(minutes, 50).unwrap_or(0.0) + 1e-3;
    let busier = level(latest(minutes, LEVEL + 1)) / level(between(minutes, then - LEVEL, then + 1));
    Some(highest(around) * busier.clamp(0.5, 2.0))
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a demand")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auto::tests::{at, sample};

    /// Half a minute and the time until a load is seen: what is asked for now serves in the next minute.
    const LEAD: Duration = Duration::from_secs(50);

    /// A record of one sample a minute, of which the last is now.
    fn minutely(demands: &[u32]) -> Record {
        let mut record = Record::begin(at(0));
        (0..).zip(demands).for_each(|(minute, demand)| _ = record.add(&sample(60 * minute, *demand)));
        record
    }

    /// The features in thousandths, without the dust of floating point.
    fn values_of(record: &Record, blurred: bool) -> [f64; FEATURES.len()] {
        values(record, &Prepared::of(record, LEAD), LEAD, blurred).map(f64::round)
    }

    fn value(record: &Record, feature: Feature) -> f64 {
        let nth = FEATURES.iter().position(|known| *known == feature).expect("a feature of the family");
        values_of(record, false)[nth]
    }

    #[test]
    fn z10_what_is_highest_and_what_most_minutes_lay_below() {
        // A hundred minutes from 100,000 down to 1,000, and 500 now.
        let falling: Vec<u32> = (1..=100).rev().map(|n| 1_000 * n).chain([500]).collect();
        let record = minutely(&falling);
        for (feature, wanted) in [
            (Feature::Now, 500.0),
            (Feature::Highest(3), 3_000.0),
            (Feature::Highest(8), 8_000.0),
            (Feature::Highest(20), 20_000.0),
            (Feature::Highest(60), 60_000.0),
            // The 54th and the 42nd of the lowest 60; the 95th, 80th and 51st of all that there are.
            (Feature::Quantile(60, 90), 54_000.0),
            (Feature::Quantile(60, 70), 42_000.0),
            (Feature::Quantile(240, 95), 95_000.0),
            (Feature::Quantile(240, 80), 80_000.0),
            (Feature::Quantile(240, 50), 51_000.0),
            // It falls by 12.5 a second, but not below nine tenths of the highest of three minutes.
            (Feature::Trend, 2_700.0),
        ] {
            assert_eq!(value(&record, feature), wanted, "{feature}");
        }
        let risen: Vec<u32> = falling.into_iter().chain([1_000_000]).collect();
        let values = values_of(&minutely(&risen), true);
        assert!(values.iter().all(|value| *value >= 1_000_000.0), "none is below what is now: {values:?}");
    }

    #[test]
    fn z10_a_trend_goes_on_until_what_is_asked_for_serves() {
        let record = |demands: [u32; 3]| {
            let mut record = Record::begin(at(0));
            (0..).zip(demands).for_each(|(nth, demand)| _ = record.add(&sample(10 * nth, demand)));
            record
        };
        // 100 a second for 60 s, of which seven tenths are believed, on top of the mean of 20 s.
        assert_eq!(value(&record([1_000, 2_000, 3_000]), Feature::Trend), 2_500.0 + 4_200.0);
        assert_eq!(value(&record([3_000, 2_000, 1_000]), Feature::Trend), 0.7 * 1_500.0);
        assert_eq!(values_of(&record([1_000, 2_000, 3_000]), true)[10], 2_500.0, "nobody can say how it rises");
    }

    #[test]
    fn z10_what_it_rose_by_a_cycle_ago_it_is_taken_to_rise_by_again() {
        let hours = |minutes: usize, peaks: &[(usize, u32)]| {
            let mut demands = vec![1_000; minutes + 1];
            peaks.iter().for_each(|(minute, demand)| demands[*minute] = *demand);
            minutely(&demands)
        };
        // After 70 minutes the tenth is an hour ago, and what is asked for then serves from the eleventh on.
        for (minutes, peaks, hour, two_hours) in [
            (70, vec![(11, 4_000)], 4_000.0, 1_000.0),
            (70, vec![(10, 4_000)], 4_000.0, 1_000.0),
            (70, vec![(12, 4_000)], 4_000.0, 1_000.0),
            (70, vec![(13, 4_000)], 1_000.0, 1_000.0),
            (70, vec![(9, 4_000)], 1_000.0, 1_000.0),
            (70, vec![(9, 2_000), (11, 4_000)], 3_500.0, 1_000.0),
            // Two cycles: the mean of both.
            (130, vec![(11, 4_000), (71, 2_000)], 3_000.0, 4_000.0),
            (130, vec![(71, 4_000)], 2_500.0, 1_000.0),
            (61, vec![(2, 4_000)], 1_000.0, 1_000.0),
            (1, vec![], 1_000.0, 1_000.0),
        ] {
            let record = hours(minutes, &peaks);
            let both = (value(&record, Feature::Cycle(60)), value(&record, Feature::Cycle(120)));
            assert_eq!(both, (hour, two_hours), "{minutes}: {peaks:?}");
        }
        assert_eq!(value(&hours(1_450, &[(11, 4_000)]), Feature::Cycle(1_440)), 4_000.0);
    }

    #[test]
    fn z10_yesterday_counts_as_much_as_today_is_busier() {
        // The fortieth of 1,480 minutes is a day ago.
        for (peak, today, wanted) in [
            (45, 1_000, 6_000.0),
            (33, 1_000, 6_000.0),
            (49, 1_000, 6_000.0),
            (32, 1_000, 1_000.0),
            (50, 1_000, 1_000.0),
            (45, 1_500, 9_000.0),
            (45, 2_000, 12_000.0),
            (45, 5_000, 12_000.0),
            (45, 100, 3_000.0),
        ] {
            let mut demands = vec![1_000; 1_440];
            demands.extend([today; 41]);
            demands[peak] = 6_000;
            assert_eq!(value(&minutely(&demands), Feature::Yesterday), wanted, "{peak}: {today}");
        }
        assert_eq!(value(&minutely(&[1_000; 1_469]), Feature::Yesterday), 1_000.0, "there is too little of it");
    }

    #[test]
    fn z10_nothing_seen_is_no_demand() {
        assert_eq!(values_of(&Record::begin(at(0)), false), [0.0; FEATURES.len()]);
    }
}
