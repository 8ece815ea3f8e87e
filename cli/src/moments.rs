//! Times and spans as an operator types them.

use std::time::Duration;

use muster_control::ports::Clock;
use muster_core::policy::Span;
use muster_core::time::Timestamp;

use crate::local::clock::SystemClock;

/// The longest span that is taken: a year and a day.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A span with its unit, such as 90s, 12h or 7d.
pub fn span(text: &str) -> Result<Duration, String> {
    let days = text.trim().strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok());
    let span = match days {
        Some(days) => Duration::from_secs(u64::from(days) * 86_400),
        None => {
            serde_json::from_value::<Span>(text.into())
                .map_err(|_| "must be a span with its unit, such as 90s, 12h or 7d".to_owned())?
                .0
        }
    };
    if span.is_zero() || span > LONGEST { Err("must be above 0 and at most 366d".into()) } else { Ok(span) }
}

/// A time: RFC 3339 (2026-11-22T10:00:00Z), or so long ago (10m).
pub fn past(text: &str) -> Result<Timestamp, String> {
    absolute(text).or_else(|| Some(SystemClock.now().minus(span(text).ok()?))).ok_or_else(|| told("ago"))
}

/// A time: RFC 3339 (2026-11-22T18:00:00Z), or so long from now (2h).
pub fn coming(text: &str) -> Result<Timestamp, String> {
    absolute(text).or_else(|| Some(SystemClock.now().plus(span(text).ok()?))).ok_or_else(|| told("from now"))
}

fn absolute(text: &str) -> Option<Timestamp> {
    serde_json::from_value(text.into()).ok()
}

fn told(way: &str) -> String {
    format!("must be a time such as 2026-11-22T10:00:00Z, or a span {way} such as 10m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_absolutely_or_by_a_span() {
        let noon = Timestamp::from_millis(1_795_348_800_000);
        assert_eq!((past("2026-11-22T12:00:00Z"), coming("2026-11-22T12:00:00Z")), (Ok(noon), Ok(noon)));
        let (before, now, after) = (past("1h").expect("a time"), SystemClock.now(), coming("1d").expect("a time"));
        assert!(before < now && now < after && after.since(now) > Duration::from_secs(86_000));
        for wrong in ["yesterday", "10", "0s", "400d", "", "2026-11-22"] {
            assert!(past(wrong).is_err() && coming(wrong).is_err() && span(wrong).is_err(), "{wrong}");
        }
        assert_eq!(span("7d"), Ok(Duration::from_secs(7 * 86_400)));
    }
}
