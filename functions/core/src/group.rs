//! A group of instances: its name, its rosters, and HEAD, the one item through which everything about it is serialised.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::intent::Cause;
use crate::member::InstanceId;
use crate::policy::Mode;
use crate::time::Timestamp;

/// Boot time assumed before any launch has been measured.
pub const BOOT_TIME_BEFORE_ANY: Duration = Duration::from_secs(30);
/// Launches whose boot time is remembered; the median of five outlives two outliers.
pub const BOOT_TIMES_KEPT: usize = 5;
/// Members a shard holds at most: a Lambda has 1,024 file descriptors for good.
pub const SHARD_CAPACITY: usize = 500;
/// Recommendations and rate entries in one slice of their window are merged, to the safe side: HEAD stays small, and
/// the window is blurred by less than 2 %.
const HISTORY_SLICES: u32 = 60;
/// Spans of darkness kept: more than a drain or a boot is likely to see.
const DARK_SPANS_KEPT: usize = 8;
/// Entries kept in HEAD at most, whatever window they were kept for.
const HISTORY_KEPT: usize = 64;

/// The name of a group: 1-64 characters of `a-z A-Z 0-9 - _ .`, as it appears in tags, keys and parameter names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

/// A text that cannot name a group.
#[derive(Debug, thiserror::Error)]
#[error("group name {0:?} must have 1-64 characters of a-z, A-Z, 0-9, '-', '_' or '.'")]
pub struct GroupNameError(String);

impl FromStr for GroupName {
    type Err = GroupNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if fits { Ok(Self(text.to_owned())) } else { Err(GroupNameError(text.chars().take(80).collect())) }
    }
}

impl TryFrom<String> for GroupName {
    type Error = GroupNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> Self {
        name.0
    }
}

impl Default for GroupName {
    /// `example`, the group of documents that do not say.
    fn default() -> Self {
        Self("example".to_owned())
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One shard of a group: at most [`SHARD_CAPACITY`] members that one sweep covers. A member keeps its shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(pub u16);

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a shard's roster. It only rises; an agent ignores a lower one than it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RosterNumber(pub u64);

impl RosterNumber {
    /// The number of the roster after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for RosterNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a policy's version, given by its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyVersion(pub u64);

impl fmt::Display for PolicyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who was in a shard, in order, and what was wanted of them. Immutable: every change of membership puts the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// The group.
    pub group: GroupName,
    /// The shard.
    pub shard: Shard,
    /// This roster's number.
    pub number: RosterNumber,
    /// The members, in the order of their ids.
    pub entries: Vec<RosterEntry>,
}

/// One member on a roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// The instance.
    pub id: InstanceId,
    /// Where its agent listens: `address:port`.
    pub endpoint: String,
    /// What MonitorS shall tell the agent.
    pub wanted: Wanted,
}

/// What is wanted of a member; the sweep tells its agent by `Register` or `Unregister`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "want")]
pub enum Wanted {
    /// To serve.
    Serve,
    /// To drain: finish what is in flight, within the timeout.
    Drain {
        /// Why, for people and for the application.
        reason: String,
        /// How long the agent may take, counted from the first `Unregister` that reached it.
        timeout_ms: u64,
    },
}

/// The item that serialises a group: every transaction that changes membership or desired raises its version (O6, S7).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    /// The group.
    pub group: GroupName,
    /// The stack that the group belongs to; part of every client token.
    pub stack: String,
    /// When this HEAD was created. Part of every intent's id, so that a table made anew never repeats a token.
    pub born: Timestamp,
    /// Strictly increasing.
    pub version: u64,
    /// The roster in force of each shard.
    pub rosters: BTreeMap<Shard, RosterNumber>,
    /// The policy version in force; none before the first valid policy.
    pub policy: Option<PolicyVersion>,
    /// The mode of the policy in force, so that MonitorS sees it without reading the policy.
    pub mode: Mode,
    /// The sweep interval of the policy in force, for the same reason; 0 before the first valid policy.
    pub sweep_interval_ms: u64,
    /// How many members the group should have. Changed by a claim only.
    pub desired: u32,
    /// Whether *actual* is still on its way to a size that the load asked for.
    pub heading: Heading,
    /// The slot of the last sweep that a load- or health-driven decision was taken on (S7).
    pub last_slot: Option<Timestamp>,
    /// What the rule asked for lately, before stabilisation (F1).
    pub recommendations: Vec<Recommendation>,
    /// When the last load-driven scale-out by factor was claimed (Z2).
    pub factor_out_at: Option<Timestamp>,
    /// Spans from intent to first answer of the latest launches, oldest first.
    pub boot_times_ms: Vec<u64>,
    /// When EC2 last accepted a load-driven launch: the scale-out cooldown's start (F3).
    pub launch_accepted_at: Option<Timestamp>,
    /// When the last load-driven scale-in was claimed: the scale-in cooldown's start (F3).
    pub scale_in_at: Option<Timestamp>,
    /// Launches claimed lately (F8).
    pub launches: RateLog,
    /// Terminations and drains claimed lately (F8).
    pub terminations: RateLog,
    /// Members that EC2 did not list, and how often in a row (H7).
    pub not_found: BTreeMap<InstanceId, Sightings>,
    /// Members that EC2 last called protected from scale-in, for when it cannot be asked (D2).
    pub protected: BTreeSet<InstanceId>,
    /// How calls have ended since the last claim; the next one folds them into what follows (L4, L5, F3).
    pub outcomes: Vec<Outcome>,
    /// Places without capacity, which are left alone for a while (L4).
    pub capacity: Vec<Scarcity>,
    /// Launches that EC2 refuses wherever they are tried (L5).
    pub launch_refusal: Option<LaunchRefusal>,
    /// How launches from the latest template versions have ended (L8, L9).
    pub templates: Vec<TemplateRecord>,
    /// The group's breaker, while it is open (H3).
    pub breaker: Option<Breaker>,
    /// The breakers of zones, while they are open (H3).
    pub zone_breakers: BTreeMap<String, Breaker>,
    /// Instances of ours that no record knows, and how often in a row they were seen (V3).
    pub orphans: BTreeMap<InstanceId, Sightings>,
    /// When an orphan was last swept while more looked orphaned than may be.
    pub orphan_swept_at: Option<Timestamp>,
    /// The latest spans in which nobody answered, oldest first: clocks that wait for an answer stand still in them (D3, L8).
    #[serde(deserialize_with = "read_dark")]
    pub dark: Vec<Darkness>,
    /// The latest spans in which the mode changed nothing, oldest first: no drain is told of or ended in them (O1).
    pub halted: Vec<Darkness>,
    /// The policy edit that was refused last, while it is still the newest (Z9).
    pub refusal: Option<Refusal>,
    /// The activity record of the last decision, so that an equal one can be folded into it (O2).
    pub last_decision: Option<DecisionMark>,
}

/// Template versions that are remembered.
const TEMPLATES_KEPT: usize = 8;

impl Head {
    /// The record of a template version, made when there is none; the one longest untouched gives way.
    pub fn template_record(&mut self, template: &str, version: u64) -> &mut TemplateRecord {
        let known = self.templates.iter().position(|known| known.template == template && known.version == version);
        let record = match known {
            Some(at) => self.templates.remove(at),
            None => TemplateRecord { template: template.to_owned(), version, ..TemplateRecord::default() },
        };
        self.templates.drain(..(self.templates.len() + 1).saturating_sub(TEMPLATES_KEPT));
        self.templates.push(record);
        let last = self.templates.len() - 1;
        &mut self.templates[last]
    }

    /// The median of the measured boot times; [`BOOT_TIME_BEFORE_ANY`] before any.
    pub fn boot_time(&self) -> Duration {
        let mut times = self.boot_times_ms.clone();
        times.sort_unstable();
        times.get(times.len() / 2).map_or(BOOT_TIME_BEFORE_ANY, |ms| Duration::from_millis(*ms))
    }

    /// Adds a measured boot time and forgets the oldest beyond [`BOOT_TIMES_KEPT`].
    pub fn remember_boot_time(&mut self, span: Duration) {
        self.boot_times_ms.push(crate::time::millis(span));
        let excess = self.boot_times_ms.len().saturating_sub(BOOT_TIMES_KEPT);
        self.boot_times_ms.drain(..excess);
    }

    /// Notes whether anybody answered at `now`.
    pub fn remember_darkness(&mut self, now: Timestamp, dark: bool) {
        match (self.dark.last_mut(), dark) {
            (Some(span), true) if span.lasts => span.until = now,
            (_, true) => self.dark.push(Darkness { since: now, until: now, lasts: true }),
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
            None if halted => self.halted.push(Darkness { since: now, until: now, lasts: true }),
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

/// The way from *actual* to a desired that the load asked for. One claim may be too small for it: what the next ones do
/// towards that size is as load-driven as the first (D3, F3, S5). What is lost after it has been reached is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heading {
    /// It has been reached, or desired was moved by a bound.
    #[default]
    There,
    /// Launches are still to be claimed or accepted.
    Out,
    /// Members are still to be let go.
    In,
}

/// A span in which nobody who had ever answered did, or in which the mode changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Darkness {
    /// The first decision that saw it.
    pub since: Timestamp,
    /// The last one.
    pub until: Timestamp,
    /// Whether it was still so at the last decision.
    pub lasts: bool,
}

/// Reads the spans of darkness, or the one span that earlier versions kept.
fn read_dark<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Darkness>, D::Error> {
    struct Spans;
    impl<'de> Visitor<'de> for Spans {
        type Value = Vec<Darkness>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of spans")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Darkness::deserialize(MapAccessDeserializer::new(map)).map(|span| vec![span])
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
fn overlap(spans: &[Darkness], start: Timestamp, now: Timestamp) -> Duration {
    let inside = |span: &Darkness| {
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

/// How a call to EC2 has ended, as its settlement writes it down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// EC2 accepted a launch.
    Launched {
        /// When.
        at: Timestamp,
        /// Why it was launched.
        cause: Cause,
        /// Where.
        place: Place,
    },
    /// EC2 had no capacity for a launch (L4).
    NoCapacity {
        /// When.
        at: Timestamp,
        /// Where.
        place: Place,
    },
    /// EC2 refused a launch for a reason that no other place cures (L5).
    Refused {
        /// When.
        at: Timestamp,
        /// What EC2 said, shortened.
        reason: String,
    },
}

/// Where an instance is launched: a zone and an instance type of the policy's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The zone or subnet; empty lets EC2 choose.
    pub zone: String,
    /// The instance type; empty lets the template choose.
    pub instance_type: String,
}

/// A place in which EC2 had no capacity (L4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scarcity {
    /// The place.
    pub place: Place,
    /// Failures in a row.
    pub failures: u32,
    /// Until when it is left alone.
    pub until: Timestamp,
}

/// Launches that EC2 refuses (L5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchRefusal {
    /// What EC2 said.
    pub reason: String,
    /// Refusals in a row.
    pub failures: u32,
    /// Until when nothing is launched.
    pub until: Timestamp,
    /// The policy in force then: another one is tried at once.
    pub policy: Option<PolicyVersion>,
}

/// How launches from one template version have ended (L8, L9).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateRecord {
    /// The template; empty when the policy names none.
    pub template: String,
    /// Its version; 0 without a template.
    pub version: u64,
    /// Whether an instance launched from it has ever answered.
    pub proven: bool,
    /// Launches in a row that never answered.
    pub failures: u32,
    /// The policy in force at the last failure: another one clears them, for then an operator has looked.
    pub policy: Option<PolicyVersion>,
}

/// A breaker that is open, half: while many are silent together, few are replaced (H3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Since when.
    pub since: Timestamp,
    /// Members that may be replaced in one repair interval.
    pub width: u32,
    /// Replacements begun in the present interval, and when it began.
    pub begun: (Timestamp, u32),
}

/// A policy text that was not accepted, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Names the refused text, so that it is reported once.
    pub digest: String,
    /// When it was first seen.
    pub at: Timestamp,
    /// What is wrong with it, in one line.
    pub reason: String,
}

/// The last decision's activity record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionMark {
    /// The record's id.
    pub id: String,
    /// What makes two decisions equal.
    pub fold_key: String,
    /// The first of the equal decisions.
    pub since: Timestamp,
    /// How many there were.
    pub count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_name_fits_tags_keys_and_parameter_names() {
        for name in ["web", "a", "Web-1_b.c", &"x".repeat(64)] {
            assert_eq!(name.parse::<GroupName>().map(|name| name.to_string()).ok().as_deref(), Some(name));
        }
        for name in ["", "a b", "a/b", "a#b", "\u{e4}", "a\n", &"x".repeat(65)] {
            assert!(name.parse::<GroupName>().is_err(), "{name:?}");
            assert!(GroupName::try_from(name.to_owned()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_numbers_of_a_group_are_written_as_numbers() {
        let written = [Shard(3).to_string(), RosterNumber(4).to_string(), PolicyVersion(5).to_string()];
        assert_eq!(written, ["3", "4", "5"]);
    }

    #[test]
    fn darkness_is_read_from_a_list_and_from_the_one_span_that_was_kept_before() {
        let span =
            |since| Darkness { since: Timestamp::from_millis(since), until: Timestamp::from_millis(9), lasts: true };
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
