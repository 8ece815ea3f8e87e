//! What may have become of one member of the base, in numbers.

use std::time::Duration;

use muster_core::health::{Health, Load, Seen};
use muster_core::time::{Timestamp, millis};

/// Stands where a load does when the member's sample is still the base's.
const NO_SAMPLE: u16 = u16::MAX;

/// What has become of a member of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is as in the base.
    Same,
    /// It answered, is well, and all else is as in the base.
    Usual(Reading),
    /// It answered, and its application has failed in so many sweeps more.
    Failing(Reading, u16),
    /// It has been silent in so many sweeps more.
    Silent(u16),
    /// Nothing is known of this sweep, all else is as in the base.
    Unknown,
    /// It is not there.
    Absent,
    /// Another list has the fields that differ.
    Changed,
}

/// What an answer says that is another number every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// How long before the sweep's end it was received, in milliseconds.
    pub(super) age_ms: u16,
    /// The load in hundredths of a percent, or [`NO_SAMPLE`].
    pub(super) load: u16,
    /// The cursor, less what the base's has become at one a second.
    pub(super) cursor: i16,
}

impl Kind {
    /// The description that reads back as `truth`; [`Kind::Changed`] when none does.
    pub(super) fn of(base: &Health, truth: &Health, finished_at: Timestamp) -> Self {
        let reading = Reading::of(base, truth, finished_at);
        let more = |now: u32, before: u32| now.checked_sub(before).and_then(|more| u16::try_from(more).ok());
        let candidates = [
            Some(Self::Same),
            reading.map(Self::Usual),
            reading.zip(more(truth.failing_sweeps, base.failing_sweeps)).map(|(reading, n)| Self::Failing(reading, n)),
            more(truth.silent_sweeps, base.silent_sweeps).map(Self::Silent),
            Some(Self::Unknown),
        ];
        let reads_back = |kind: &Self| kind.health(base, finished_at).as_ref() == Some(truth);
        candidates.into_iter().flatten().find(reads_back).unwrap_or(Self::Changed)
    }

    /// The health that the description means; none when it means none.
    pub(super) fn health(self, base: &Health, finished_at: Timestamp) -> Option<Health> {
        let before = || base.clone();
        match self {
            Self::Same => Some(before()),
            Self::Usual(reading) => {
                let well = Health { failing_since: None, failing_sweeps: 0, detail: String::new(), ..before() };
                reading.after(well, finished_at)
            }
            Self::Failing(reading, sweeps) => {
                let failing_sweeps = base.failing_sweeps.checked_add(sweeps.into())?;
                reading.after(Health { failing_sweeps, ..before() }, finished_at)
            }
            Self::Silent(sweeps) => {
                let silent_sweeps = base.silent_sweeps.checked_add(sweeps.into())?;
                Some(Health { seen: Seen::Silent, silent_sweeps, ..before() })
            }
            Self::Unknown => Some(Health { seen: Seen::Unknown, ..before() }),
            Self::Absent | Self::Changed => None,
        }
    }
}

impl Reading {
    /// The reading that may give `truth`.
    fn of(base: &Health, truth: &Health, finished_at: Timestamp) -> Option<Self> {
        let received = truth.last_answer?;
        let load = match truth.load {
            Some(load) if truth.sampled_at == Some(received) => hundredths(load)?,
            Some(_) | None => NO_SAMPLE,
        };
        let age_ms = u16::try_from(millis(finished_at.since(received))).ok()?;
        let cursor = i16::try_from(i128::from(truth.cursor) - expected_cursor(base, received)).ok()?;
        Some(Self { age_ms, load, cursor })
    }

    /// `before` after this answer.
    fn after(self, before: Health, finished_at: Timestamp) -> Option<Health> {
        let received = finished_at.minus(Duration::from_millis(self.age_ms.into()));
        let cursor = expected_cursor(&before, received) + i128::from(self.cursor);
        let sample = match self.load {
            NO_SAMPLE => (before.load, before.sampled_at),
            load => (Some(Load::new(f64::from(load) / 100.0)?), Some(received)),
        };
        Some(Health {
            seen: Seen::Answered,
            last_answer: Some(received),
            silent_since: None,
            silent_sweeps: 0,
            load: sample.0,
            sampled_at: sample.1,
            cursor: u64::try_from(cursor).ok()?,
            ..before
        })
    }
}

/// A load in whole hundredths of a percent; one that is none reads back as another, and is found out.
fn hundredths(load: Load) -> Option<u16> {
    let hundredths = (load.percent() * 100.0).round();
    (0..=10_000).contains(&(hundredths as i64)).then_some(hundredths as u16)
}

/// The base's cursor when an agent takes one sample a second.
fn expected_cursor(base: &Health, received: Timestamp) -> i128 {
    let since = base.last_answer.map_or(0, |last| millis(received.since(last)) / 1000);
    i128::from(base.cursor) + i128::from(since)
}
