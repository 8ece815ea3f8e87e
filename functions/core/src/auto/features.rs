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
