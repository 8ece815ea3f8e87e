//! Spans as a policy writes them: `"10s"`, `"5m"`, `"1h 30m"`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::millis;

/// A span of time, written with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match millis(self.0) {
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span with its unit, such as \"10s\", \"5m\" or \"1h\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                // A bare number carries no unit; jiff would reject it too, with a less helpful word.
                let signed: jiff::SignedDuration = text.trim().parse().map_err(|_| wrong())?;
                Duration::try_from(signed).map(Span).map_err(|_| wrong())
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "span", "examples": ["10s", "5m", "1h"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_only() {
        for (text, ms) in [("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("1m 30s", 90_000), ("250ms", 250)] {
            let span: Span = serde_json::from_value(text.into()).expect(text);
            assert_eq!(millis(span.0), ms, "{text}");
            let again: Span = serde_json::from_str(&serde_json::to_string(&span).unwrap()).unwrap();
            assert_eq!(again, span);
        }
        for text in ["10", "", "ten", "-5s", "5 parsecs"] {
            assert!(serde_json::from_value::<Span>(text.into()).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Span>("10").is_err());
    }
}
