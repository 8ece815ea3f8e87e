//! A group of instances: its name, its rosters, and HEAD, the one item through which everything about it is serialised.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auto::Recent;
use crate::history::{Lapse, RateLog, Recommendation, Sightings};
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// The signals that the policy in force scales by (Z4), for the same reason: the sweeps keep no others.
    pub signals: BTreeSet<String>,
    /// How many members the group should have. Changed by a claim only.
    pub desired: u32,
    /// Whether *actual* is still on its way to a size that the load asked for.
    pub heading: Heading,
    /// The slot of the last sweep that a load- or health-driven decision was taken on (S7).
    pub last_slot: Option<Timestamp>,
    /// When the schedule was last looked at: a window that has opened since moves desired, once (F4).
    pub schedule_seen: Option<Timestamp>,
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
    /// Members that EC2 last showed marked for draining, and since when: it cannot always be asked, and a launch of before
    /// replaces nobody who was marked after it (D8).
    pub marked: BTreeMap<InstanceId, Timestamp>,
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
    #[serde(deserialize_with = "crate::history::read_dark")]
    pub dark: Vec<Lapse>,
    /// The latest spans in which the mode changed nothing, oldest first: no drain is told of or ended in them (O1).
    pub halted: Vec<Lapse>,
    /// The samples of demand that the rule `auto` has not stored in its state yet.
    pub auto: Recent,
    /// The policy edit that was refused last, while it is still the newest (Z9).
    pub refusal: Option<Refusal>,
    /// The activity record of the last decision, so that an equal one can be folded into it (O2).
    pub last_decision: Option<DecisionMark>,
}

/// Template versions that are remembered.
const TEMPLATES_KEPT: usize = 8;
/// Launches in a row from one template version that never answered, after which it is launched from no more (L8).
pub(crate) const BOOT_FAILURES: u32 = 3;

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

    /// Template versions that nothing is launched from until the policy is edited (L8), save those whose place another version has taken since.
    pub fn quarantined(&self) -> impl Iterator<Item = &TemplateRecord> {
        let failed = |record: &TemplateRecord| record.failures >= BOOT_FAILURES && record.policy == self.policy;
        // The one touched last stands last.
        let replaced = move |at: usize, old: &TemplateRecord| {
            self.templates.iter().skip(at + 1).any(|record| record.template == old.template && !failed(record))
        };
        let records = self.templates.iter().enumerate();
        records.filter(move |(at, record)| failed(record) && !replaced(*at, record)).map(|(_, record)| record)
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
    fn l8_a_version_is_quarantined_until_another_has_its_place_or_the_policy_is_edited() {
        let mut head = Head { policy: Some(PolicyVersion(1)), ..Head::default() };
        let quarantined = |head: &Head| head.quarantined().map(|record| record.version).collect::<Vec<_>>();
        for _ in 0..BOOT_FAILURES {
            assert!(quarantined(&head).is_empty());
            let record = head.template_record("web", 4);
            (record.failures, record.policy) = (record.failures + 1, Some(PolicyVersion(1)));
        }
        head.template_record("other", 1);
        assert_eq!(quarantined(&head), [4], "another template changes nothing");
        head.template_record("web", 5).proven = true;
        assert!(quarantined(&head).is_empty());
        head.template_record("web", 4).failures += 1;
        assert_eq!(quarantined(&head), [4]);
        head.policy = Some(PolicyVersion(2));
        assert!(quarantined(&head).is_empty());
    }

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
}
