//! Points in time and spans, as the core uses them. Nothing here reads a clock.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// 9999-12-30T22:00:00Z, the last second that has an RFC 3339 form in every time zone: jiff writes none after it.
const LATEST_MS: u64 = 253_402_207_200_000;

/// A point in time, in whole milliseconds since the Unix epoch.
///
/// Written as RFC 3339 in UTC (`2026-11-22T10:00:00Z`); read from that form or from milliseconds. Arithmetic
/// saturates (Z8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z; stands for "long ago" where a record says nothing.
    pub const EPOCH: Self = Self(0);

    /// Milliseconds since the epoch; instants after the last that can be written become that one.
    pub const fn from_millis(ms: u64) -> Self {
        Self(if ms > LATEST_MS { LATEST_MS } else { ms })
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time that has passed since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This instant and `span` more.
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(span)))
    }

    /// This instant less `span`; not before the epoch.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// The latest multiple of `interval` that is not after this instant: the slot of a sweep.
    pub fn round_down(self, interval: Duration) -> Self {
        let step = millis(interval).max(1);
        Self(self.0 / step * step)
    }

    /// The same for jiff, which knows every instant that can be written.
    pub(crate) fn instant(self) -> jiff::Timestamp {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.instant().fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As it is written: in RFC 3339.
impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

/// The forms that a timestamp is read from.
struct Form;

impl de::Visitor<'_> for Form {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 time such as \"2026-11-22T10:00:00Z\", or milliseconds since 1970")
    }

    fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Timestamp, E> {
        Ok(Timestamp::from_millis(ms))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        let instant: jiff::Timestamp = text.parse().map_err(|error| {
            E::custom(format!("{text:?} is not an RFC 3339 time such as \"2026-11-22T10:00:00Z\": {error}"))
        })?;
        let ms = u64::try_from(instant.as_millisecond());
        ms.map(Timestamp::from_millis).map_err(|_| E::custom(format!("{text:?} lies before 1970")))
    }
}

/// A span in milliseconds, saturating.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A span as people write it: `45 s`, `1 m 12 s`, `2 h 5 m`, `250 ms`.
pub fn spoken(span: Duration) -> String {
    let ms = millis(span);
    let seconds = ms / 1000;
    match seconds {
        0 if ms > 0 => format!("{ms} ms"),
        0..=59 => format!("{seconds} s"),
        60..=3599 => match seconds % 60 {
            0 => format!("{} m", seconds / 60),
            rest => format!("{} m {rest} s", seconds / 60),
        },
        _ => match seconds % 3600 / 60 {
            0 => format!("{} h", seconds / 3600),
            rest => format!("{} h {rest} m", seconds / 3600),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_read_from_both_forms_and_written_as_one() {
        let text: Timestamp = serde_json::from_str("\"2026-11-22T10:00:00.250Z\"").unwrap();
        let number: Timestamp = serde_json::from_str(&text.as_millis().to_string()).unwrap();
        assert_eq!(text, number);
        assert_eq!(serde_json::to_string(&text).unwrap(), "\"2026-11-22T10:00:00.25Z\"");
    }

    #[test]
    fn z8_arithmetic_saturates() {
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(Timestamp::EPOCH.minus(Duration::MAX), Timestamp::EPOCH);
        assert_eq!(Timestamp::EPOCH.since(end), Duration::ZERO);
        assert!(end.to_string().starts_with("9999-"));
    }

    #[test]
    fn a_slot_never_lies_after_its_instant() {
        let at = Timestamp::from_millis(12_345);
        assert_eq!(at.round_down(Duration::from_secs(10)), Timestamp::from_millis(10_000));
        assert_eq!(at.round_down(Duration::ZERO), at);
    }

    #[test]
    fn spans_are_spoken_in_two_units_at_most() {
        let of = |s| spoken(Duration::from_secs(s));
        assert_eq!([of(0), of(45), of(72), of(300), of(7500)], ["0 s", "45 s", "1 m 12 s", "5 m", "2 h 5 m"]);
        assert_eq!(spoken(Duration::from_millis(250)), "250 ms");
    }
}
