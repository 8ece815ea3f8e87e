//! A pause: for a while, or until somebody takes it out of the policy, nothing is decided (O1). It needs no second edit to end.

use std::borrow::Cow;
use std::fmt;

use garde::Validate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::checks::{Check, refuse};
use crate::time::Timestamp;

/// Characters of a reason at most: it stands in every report while the pause holds.
const LONGEST_REASON: usize = 200;

/// A pause: while it holds, the mode is `paused`, whatever `mode` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct PauseDocument {
    /// Why, for reports, 1-200 characters without control characters.
    #[garde(custom(sayable))]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"))]
    pub reason: String,
    /// When it ends by itself, in UTC: `2026-11-22T18:00:00Z`. Without it the pause holds until it is taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(skip)]
    #[schemars(with = "Instant")]
    pub until: Option<Instant>,
}

impl PauseDocument {
    /// A pause with every key.
    pub(super) fn every_key() -> Self {
        Self { until: Some(Instant(Timestamp::EPOCH)), ..Self::default() }
    }
}

fn sayable(reason: &str, (): &()) -> Check {
    if (1..=LONGEST_REASON).contains(&reason.chars().count()) && !reason.chars().any(char::is_control) {
        return Ok(());
    }
    refuse(format!("must be given, with 1 to {LONGEST_REASON} characters and no control characters"))
}

/// A point in time as a policy writes it: RFC 3339 in UTC, so that it means the same to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub Timestamp);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Instant;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in UTC, such as \"2026-11-22T18:00:00Z\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Instant, E> {
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                // Another offset would be understood, and read wrongly by whoever looks at the policy later.
                let instant: jiff::Timestamp =
                    text.strip_suffix('Z').and_then(|_| text.parse().ok()).ok_or_else(wrong)?;
                let ms = u64::try_from(instant.as_millisecond()).map_err(|_| wrong())?;
                Ok(Instant(Timestamp::from_millis(ms)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "pattern": "Z$", "examples": ["2026-11-22T18:00:00Z"] })
    }
}

/// A valid pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Why.
    pub reason: String,
    /// When it ends by itself; none: when it is taken out of the policy.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Pause {
    /// The pause of a valid document.
    pub(super) fn of(document: &PauseDocument) -> Self {
        Self { reason: document.reason.clone(), until: document.until.map(|until| until.0) }
    }

    /// Whether it holds at `now`. At the moment of its end it does no more.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.until.map_or(Ok(()), |until| write!(f, ", until {until}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, Policy};
    use super::*;

    fn at(text: &str) -> Timestamp {
        serde_json::from_value(text.into()).expect(text)
    }

    fn policy(pause: &str) -> Policy {
        let text = format!(r#"{{"min_instances": 2, "max_instances": 5, "mode": "out-only", "pause": {pause}}}"#);
        Policy::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_pause_holds_until_its_end_and_one_without_an_end_for_good() {
        let noon = policy(r#"{"reason": "a migration", "until": "2026-11-22T12:00:00Z"}"#);
        let endless = policy(r#"{"reason": "a migration"}"#);
        for (now, mode) in [
            ("2026-11-22T11:59:59.999Z", Mode::Paused),
            ("2026-11-22T12:00:00Z", Mode::OutOnly),
            ("2027-01-01T00:00:00Z", Mode::OutOnly),
        ] {
            let held = noon.at(at(now));
            assert_eq!((held.mode, held.pause.is_some()), (mode, mode == Mode::Paused), "{now}");
            assert_eq!(endless.at(at(now)).mode, Mode::Paused, "{now}");
            assert_eq!((noon.mode, noon.pause.is_some()), (Mode::OutOnly, true), "who shows the policy sees both");
        }
        let said = [&noon, &endless].map(|policy| policy.pause.as_ref().expect("a pause").to_string());
        assert_eq!(said, ["a migration, until 2026-11-22T12:00:00Z", "a migration"]);
    }

    #[test]
    fn z9_a_pause_is_refused_with_key_value_and_range() {
        for (pause, says) in [
            ("{}", "pause.reason must be given, with 1 to 200 characters and no control characters"),
            (r#"{"reason": ""}"#, r#"pause.reason is "": must be given, with 1 to 200 characters"#),
            (r#"{"reason": "a\u0007b"}"#, "pause.reason is \"a\\u0007b\": must be given"),
            (r#"{"reason": "a\nb"}"#, "no control characters"),
            (r#"{"reason": 5}"#, "pause.reason is 5: invalid type: integer `5`, expected a string. Why, for reports"),
            (r#"{"reason": "a", "until": "soon"}"#, r#"pause.until is "soon": invalid value"#),
            (r#"{"reason": "a", "until": "soon"}"#, r#"expected a time in UTC, such as "2026-11-22T18:00:00Z""#),
            (r#"{"reason": "a", "until": "2026-11-22T18:00:00+01:00"}"#, "expected a time in UTC"),
            (r#"{"reason": "a", "until": "2026-11-22"}"#, "expected a time in UTC"),
            (r#"{"reason": "a", "until": "1969-12-31T23:59:59Z"}"#, "expected a time in UTC"),
            (r#"{"reason": "a", "until": 1763834400000}"#, "expected a time in UTC"),
            (r#"{"reason": "a", "for": "1h"}"#, "pause.for is not a key of the policy (known here: reason, until)"),
            (r#""a""#, r#"pause is "a": must be an object: {...}"#),
            ("null", "pause is null: must be an object: {...}"),
        ] {
            let text = format!(r#"{{"pause": {pause}}}"#);
            let refusal = Policy::parse(&text).expect_err(&text).to_string();
            assert!(refusal.contains(says), "{refusal}");
        }
        let longest = format!(r#"{{"reason": "{}"}}"#, "\u{e4}".repeat(LONGEST_REASON));
        assert_eq!(policy(&longest).pause.map(|pause| pause.reason.chars().count()), Some(LONGEST_REASON));
    }

    #[test]
    fn a_document_writes_its_pause_as_it_reads_it_and_none_not_at_all() {
        let text = r#"{"reason":"a","until":"2026-11-22T18:00:00Z"}"#;
        let pause: PauseDocument = serde_json::from_str(text).expect("a pause");
        assert_eq!(serde_json::to_string(&pause).expect("plain data"), text);
        let document = serde_json::to_value(super::super::PolicyDocument::default()).expect("plain data");
        assert!(document.get("pause").is_none(), "{document}");
    }
}
