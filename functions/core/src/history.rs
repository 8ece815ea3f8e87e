//! What HEAD remembers for a while, so that decisions can look back: what was asked for, what was done, and when nothing
//! could be seen or done. Every list is bounded, because HEAD must stay small; what is merged keeps its safe side.

use std::fmt;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::group::Head;
use crate::time::Timestamp;

/// Recommendations and rate entries in one slice of their window are merged, to the safe side: HEAD stays small, and
/// the window is blurred by less than 2 %.
const HISTORY_SLICES: u32 = 60;
/// Spans of darkness kept: more than a drain or a boot is likely to see.
const DARK_SPANS_KEPT: usize = 8;
/// Entries kept in HEAD at most, whatever window they were kept for.
const HISTORY_KEPT: usize = 64;

impl Head {
    /// Notes whether anybody answered at `now`.
    pub fn remember_darkness(&mut self, now: Timestamp, dark: bool) {
        match (self.dark.last_mut(), dark) {
            (Some(span), true) if span.lasts => span.until = now,
            (_, true) => self.dark.push(Lapse { since: now, until: now, lasts: true }),
            (Some(span), false) => span.lasts = false,
            (None, false) => {}
        }
        self.dark.drain(..self.dark.len().saturating_sub(DARK_SPANS_KEPT));
    }

    /// The time from `start` to `now` without the spans in which nobody answered.
    pub fn lit_since(&self, start: Timestamp, now: Timestamp) -> Duration {
        now.since(start).saturating_sub(overlap(&self.dark, start, now))
    }

    /// Notes whether the mode at `now` changes nothing.
    pub fn remember_halt(&mut self, now: Timestamp, halted: bool) {
        match self.halted.last_mut().filter(|span| span.lasts) {
            Some(span) => (span.until, span.lasts) = (now, halted),
            None if halted => self.halted.push(Lapse { since: now, until: now, lasts: true }),
            None => {}
        }
        self.halted.drain(..self.halted.len().saturating_sub(DARK_SPANS_KEPT));
    }

    /// The time that a mode which changes nothing took between `start` and `now`.
    pub fn halted_since(&self, start: Timestamp, now: Timestamp) -> Duration {
        overlap(&self.halted, start, now)
    }

    /// Adds what the rule asked for at `at`, and forgets what is older than `keep`.
    pub fn remember_recommendation(&mut self, at: Timestamp, desired: u32, keep: Duration) {
        self.recommendations.retain(|seen| at.since(seen.at) <= keep);
        match self.recommendations.last_mut() {
            Some(last) if (last.highest, last.lowest) == (desired, desired) => last.at = at,
            Some(last) if same_slice(last.at, at, keep) => last.widen(at, desired, desired),
            Some(_) | None => self.recommendations.push(Recommendation { at, highest: desired, lowest: desired }),
        }
        if self.recommendations.len() > HISTORY_KEPT {
            let oldest = self.recommendations.remove(0);
            let next = &mut self.recommendations[0];
            next.widen(next.at, oldest.highest, oldest.lowest);
        }
    }
}

/// A span in which something did not go on: nobody who had ever answered did, or the mode changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapse {
    /// The first decision that saw it.
    pub since: Timestamp,
    /// The last one.
    pub until: Timestamp,
    /// Whether it was still so at the last decision.
    pub lasts: bool,
}

/// Reads the spans of darkness, or the one span that earlier versions kept.
pub(crate) fn read_dark<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Lapse>, D::Error> {
    struct Spans;
    impl<'de> Visitor<'de> for Spans {
        type Value = Vec<Lapse>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of spans")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Lapse::deserialize(MapAccessDeserializer::new(map)).map(|span| vec![span])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_any(Spans)
}

/// What the rule asked for at a time. Merged entries hold a range, so that each direction keeps its safe end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// When it was last asked for.
    pub at: Timestamp,
    /// The highest size asked for.
    pub highest: u32,
    /// The lowest size asked for.
    pub lowest: u32,
}

impl Recommendation {
    fn widen(&mut self, at: Timestamp, highest: u32, lowest: u32) {
        *self = Self { at, highest: self.highest.max(highest), lowest: self.lowest.min(lowest) };
    }
}

/// Actions claimed lately, for the rate limits (F8). It is stored, never in memory alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RateLog(pub Vec<RateEntry>);

/// A number of actions claimed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateEntry {
    /// When they were claimed.
    pub at: Timestamp,
    /// How many.
    pub count: u32,
    /// The group's *actual* just before.
    pub actual: u32,
}

impl RateLog {
    /// How many more actions fit into the window that ends at `now`. The limit is a share of *actual* at the window's
    /// start: before its first action, or now when it holds none.
    pub fn room(&self, now: Timestamp, window: Duration, limit: crate::policy::Limit, actual: u32) -> u32 {
        let mut inside = self.0.iter().filter(|entry| now.since(entry.at) < window).peekable();
        let base = inside.peek().map_or(actual, |first| first.actual);
        let used = inside.fold(0_u32, |sum, entry| sum.saturating_add(entry.count));
        limit.of(base).saturating_sub(used)
    }

    /// Adds `count` actions at `now` and forgets entries older than `keep`.
    pub fn record(&mut self, now: Timestamp, count: u32, actual: u32, keep: Duration) {
        self.0.retain(|entry| now.since(entry.at) < keep);
        if count == 0 {
            return;
        }
        match self.0.last_mut() {
            // The merged entry keeps the later time, so it is never forgotten too early, and the base at its start.
            Some(last) if same_slice(last.at, now, keep) => {
                *last = RateEntry { at: now, count: last.count.saturating_add(count), ..*last };
            }
            Some(_) | None => self.0.push(RateEntry { at: now, count, actual }),
        }
        if self.0.len() > HISTORY_KEPT {
            let oldest = self.0.remove(0);
            self.0[0].count = self.0[0].count.saturating_add(oldest.count);
            self.0[0].actual = oldest.actual;
        }
    }
}

/// How much of the time from `start` to `now` lies in `spans`.
fn overlap(spans: &[Lapse], start: Timestamp, now: Timestamp) -> Duration {
    let inside = |span: &Lapse| {
        let until = if span.lasts { now } else { span.until };
        until.min(now).since(span.since.max(start))
    };
    spans.iter().map(inside).fold(Duration::ZERO, Duration::saturating_add)
}

/// Whether two instants lie so close together in a history of `keep` that they share an entry.
fn same_slice(a: Timestamp, b: Timestamp, keep: Duration) -> bool {
    let slice = keep / HISTORY_SLICES;
    a.round_down(slice) == b.round_down(slice)
}

/// How often in a row something was seen, and since when: a member missing from EC2's listing (H7), an orphan in it (V3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// When it was first seen.
    pub first: Timestamp,
    /// How often in a row.
    pub count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn darkness_is_read_from_a_list_and_from_the_one_span_that_was_kept_before() {
        let span =
            |since| Lapse { since: Timestamp::from_millis(since), until: Timestamp::from_millis(9), lasts: true };
        for (text, dark) in [
            (
                r#"[{"since": 1, "until": 9, "lasts": true}, {"since": 2, "until": 9, "lasts": true}]"#,
                vec![span(1), span(2)],
            ),
            (r#"{"since": 1, "until": 9, "lasts": true}"#, vec![span(1)]),
            ("null", vec![]),
        ] {
            let head: Head = serde_json::from_str(&format!(r#"{{"dark": {text}}}"#)).expect(text);
            assert_eq!(head.dark, dark, "{text}");
        }
        let error = serde_json::from_str::<Head>(r#"{"dark": 1}"#).expect_err("a number is no span").to_string();
        assert!(error.contains("expected a list of spans"), "{error}");
    }
}
