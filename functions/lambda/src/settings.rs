//! The settings of the functions: environment variables, read once, before the first event.
//!
//! Every problem is told at once, each with the variable, its value and what it may be. A secret's value is never told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use muster_core::time::Timestamp;

/// What all our variables begin with.
const PREFIX: &str = "MUSTER_";
/// Every variable there is: any other with our prefix is likely a slip.
const KNOWN: &[&str] = &[STACK, AGENT_PORT, LEASE_SECONDS, WEBHOOK_URL, WEBHOOK_SECRET, WEBHOOK_FORMAT];
/// Characters of a value that a problem shows.
const SHOWN: usize = 80;

/// The stack's name.
pub const STACK: &str = "MUSTER_STACK";
/// Where agents listen.
pub const AGENT_PORT: &str = "MUSTER_AGENT_PORT";
/// The length of a lease on an intent.
pub const LEASE_SECONDS: &str = "MUSTER_LEASE_SECONDS";
/// Whom the group's events are told.
pub const WEBHOOK_URL: &str = "MUSTER_WEBHOOK_URL";
/// What they are signed with.
pub const WEBHOOK_SECRET: &str = "MUSTER_WEBHOOK_SECRET";
/// How they are written.
pub const WEBHOOK_FORMAT: &str = "MUSTER_WEBHOOK_FORMAT";

/// The agent's own default.
const DEFAULT_AGENT_PORT: u16 = 7717;
/// Above the two minutes that the controller's function is given, and what [`check_lease`] asks for beside them.
const DEFAULT_LEASE_SECONDS: u64 = 180;
/// What a lease must have left when the invocation ends: clocks differ, and the last call may have been made late.
const LEASE_BEYOND: Duration = Duration::from_secs(60);

/// One setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    variable: &'static str,
    /// As it may be shown; none when it is missing.
    value: Option<String>,
    range: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, range } = self;
        match value {
            Some(value) => write!(f, "{variable} is {value}; it must be {range}"),
            None => write!(f, "{variable} is missing; it must be {range}"),
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(". "))]
pub struct SettingsError(Vec<Problem>);

/// The environment, while settings are taken from it.
#[derive(Debug)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Environment {
    /// Of the variables with our prefix among `pairs`. An empty one counts as missing: templates cannot leave one out.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = pairs.into_iter().filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty());
        Self { variables: ours.collect(), problems: Vec::new() }
    }

    /// Of this process. What is no text cannot be a setting.
    pub fn of_process() -> Self {
        Self::of(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Variables that look like ours and are none.
    pub fn unknown(&self) -> BTreeSet<&str> {
        self.variables.keys().map(String::as_str).filter(|name| !KNOWN.contains(name)).collect()
    }

    /// A variable's text, if it has one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// What `parse` makes of a variable. When it makes nothing of it, or there is none and no `default`, that is a problem.
    pub fn take<T>(
        &mut self,
        name: &'static str,
        range: &str,
        default: Option<T>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.text(name) {
            None if default.is_some() => default,
            None => self.problem(name, None, range),
            Some(text) => match parse(text) {
                Some(value) => Some(value),
                None => {
                    let shown = format!("{:?}", text.chars().take(SHOWN).collect::<String>());
                    self.problem(name, Some(shown), range)
                }
            },
        }
    }

    /// Notes a problem, with the value as it may be shown.
    pub fn problem<T>(&mut self, variable: &'static str, value: Option<String>, range: &str) -> Option<T> {
        self.problems.push(Problem { variable, value, range: range.to_owned() });
        None
    }

    /// `settings`, unless anything was wrong.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, SettingsError> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            Some(_) | None => Err(SettingsError(self.problems)),
        }
    }

    /// The stack.
    pub fn stack(&mut self) -> Option<String> {
        let fits = |text: &str| {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            ((1..=32).contains(&text.len()) && text.bytes().all(legal)).then(|| text.to_owned())
        };
        self.take(STACK, "1 to 32 characters of a-z, 0-9 and '-'", None, fits)
    }

    /// The agents' port.
    pub fn agent_port(&mut self) -> Option<u16> {
        let parse = |text: &str| text.parse().ok().filter(|port| *port > 0);
        self.take(AGENT_PORT, "a port of 1 to 65535", Some(DEFAULT_AGENT_PORT), parse)
    }

    /// The length of a lease.
    pub fn lease(&mut self) -> Option<Duration> {
        let parse = |text: &str| text.parse().ok().filter(|seconds| (61..=3_600).contains(seconds));
        let seconds = self.take(LEASE_SECONDS, "61 to 3600 seconds", Some(DEFAULT_LEASE_SECONDS), parse);
        seconds.map(Duration::from_secs)
    }
}

/// Whether a lease that is taken in an invocation with this deadline outlives it by a minute: a call that outlived its lease could
/// act beside the next holder's.
pub fn check_lease(lease: Duration, now: Timestamp, deadline: Timestamp) -> Result<(), SettingsError> {
    let needed = deadline.since(now).saturating_add(LEASE_BEYOND);
    if lease >= needed {
        return Ok(());
    }
    let seconds = needed.as_secs() + u64::from(needed.subsec_nanos() > 0);
    let range = format!("at least {seconds} seconds: what this invocation may take, and 60 more");
    let value = Some(format!("{:?}", lease.as_secs().to_string()));
    Err(SettingsError(vec![Problem { variable: LEASE_SECONDS, value, range }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn read(pairs: &[(&str, &str)]) -> Result<(String, u16, u64), String> {
        let mut environment = environment(pairs);
        let (stack, port, lease) = (environment.stack(), environment.agent_port(), environment.lease());
        let all = || Some((stack?, port?, lease?.as_secs()));
        let all = all();
        environment.finish(all).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_a_default_but_the_stack() {
        assert_eq!(read(&[(STACK, "prod-1")]), Ok(("prod-1".into(), 7717, 180)));
        let all = [(STACK, "x"), (AGENT_PORT, "1"), (LEASE_SECONDS, "3600")];
        assert_eq!(read(&all), Ok(("x".into(), 1, 3600)));
        let refused = read(&[("PATH", "/bin"), (STACK, "")]);
        assert_eq!(refused, Err("MUSTER_STACK is missing; it must be 1 to 32 characters of a-z, 0-9 and '-'".into()));
    }

    #[test]
    fn every_problem_is_told_at_once_with_variable_value_and_range() {
        let refused = read(&[(STACK, "Prod"), (AGENT_PORT, "65536"), (LEASE_SECONDS, "60")]).expect_err("all wrong");
        assert_eq!(
            refused,
            "MUSTER_STACK is \"Prod\"; it must be 1 to 32 characters of a-z, 0-9 and '-'. \
             MUSTER_AGENT_PORT is \"65536\"; it must be a port of 1 to 65535. \
             MUSTER_LEASE_SECONDS is \"60\"; it must be 61 to 3600 seconds"
        );
    }

    #[test]
    fn each_setting_keeps_its_range() {
        let long = "a".repeat(33);
        let cases: [(&'static str, &[&str]); 3] = [
            (STACK, &["a_b", "a b", "\u{e4}", "a/b", &long]),
            (AGENT_PORT, &["0", "-1", "65536", "http", "7717 "]),
            (LEASE_SECONDS, &["60", "3601", "0", "1.5", "3m"]),
        ];
        for (name, values) in cases {
            for value in values {
                let mut pairs = vec![(STACK, "prod")];
                pairs.retain(|(other, _)| *other != name);
                pairs.push((name, value));
                let refused = read(&pairs).expect_err(value);
                assert!(refused.starts_with(&format!("{name} is ")) && refused.contains("it must be"), "{refused}");
            }
        }
    }

    #[test]
    fn a_slip_in_a_variables_name_is_seen() {
        let slipped = environment(&[(STACK, "prod"), ("MUSTER_WEBHOK_URL", "x"), ("AWS_REGION", "eu")]);
        assert_eq!(slipped.unknown(), BTreeSet::from(["MUSTER_WEBHOK_URL"]));
    }

    #[test]
    fn a_lease_outlives_its_invocation_by_a_minute() {
        let now = Timestamp::from_millis(1_000_000);
        let deadline = |seconds| now.plus(Duration::from_secs(seconds));
        let lease = Duration::from_secs(180);
        assert_eq!(check_lease(lease, now, deadline(120)), Ok(()));
        assert_eq!(check_lease(lease, deadline(120), now), Ok(()), "a deadline in the past leaves no time");
        let refused = check_lease(lease, now, deadline(120).plus(Duration::from_millis(1))).expect_err("too long");
        assert_eq!(
            refused.to_string(),
            "MUSTER_LEASE_SECONDS is \"180\"; it must be at least 181 seconds: what this invocation may take, and 60 more"
        );
    }
}
