//! What wakes the functions. An event says "look at this group", never what to do there.
//!
//! | event | MonitorS | ControllerASG |
//! |---|---|---|
//! | `{"group": "web"}`, as a schedule's input or a direct call | sweeps it | looks at it |
//! | `{"group": "web", "shard": 1}` | sweeps that shard | is refused |
//! | `{"groups": ["web", "api"]}` | is refused | looks at them |
//! | `{"reconcile": "all"}` | is refused | looks at every group of the stack |
//! | the scheduled event of a rule, or of a schedule without an input | is refused: it names no group | the same as `{"reconcile": "all"}` |
//! | a batch of the sweeps' stream | is refused | looks at each group that it names, once |
//!
//! A batch is never refused. Each record is read by itself; one that is not a new sweep's is counted by its reason and
//! acknowledged, for a poison record that failed its batch would come back until it expires (V5).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_lambda_events::dynamodb::EventRecord;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use muster_core::group::{GroupName, Shard};
use serde::Deserialize;
use serde_json::Value;

/// Groups that a direct call may name.
const GROUPS_AT_MOST: usize = 1_000;
/// Characters of an unknown event that its refusal shows.
const SHOWN: usize = 120;

/// The partition key of a group's items, before its name.
const GROUP_KEY: &str = "GROUP#";
/// The sort key of a sweep, before its slot.
const SWEEP_KEY: &str = "S#";

/// What MonitorS is to sweep.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepOrder {
    /// The group.
    pub group: GroupName,
    /// The shard; the first when the event names none.
    #[serde(default)]
    pub shard: Shard,
}

impl SweepOrder {
    /// Reads a schedule's input, or a direct call.
    pub fn read(event: &Value) -> Result<Self, EventError> {
        Self::deserialize(event).map_err(|error| EventError::new(event, r#"{"group": "web", "shard": 0}"#, &error))
    }
}

/// The groups that ControllerASG is to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doorbell {
    /// These, once each, rung by a batch of the stream.
    Batch(Batch),
    /// These, named by a direct call.
    Groups(BTreeSet<GroupName>),
    /// Every group of the stack.
    All,
}

/// A batch of the stream, coalesced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The groups that new sweeps were written for.
    pub groups: BTreeSet<GroupName>,
    /// The records that ring for nobody, counted by their reason.
    pub ignored: BTreeMap<Ignored, u32>,
}

/// Why a record rings for nobody. It is acknowledged all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// It is not a record of a DynamoDB stream as it is documented.
    Unreadable,
    /// It is of another service.
    Foreign,
    /// It changes or removes an item; the end of a sweep's time to live does.
    NotAnInsert,
    /// It names no key.
    Keyless,
    /// Its key is not a sweep's.
    NotASweep,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "unreadable",
            Self::Foreign => "foreign",
            Self::NotAnInsert => "not-an-insert",
            Self::Keyless => "keyless",
            Self::NotASweep => "not-a-sweep",
        })
    }
}

/// An event that wakes nobody.
#[derive(Debug, thiserror::Error)]
#[error("the event is not one of {wanted}: {problem}{shown}")]
pub struct EventError {
    wanted: &'static str,
    problem: String,
    /// How it begins, where that may be shown.
    shown: String,
}

impl EventError {
    fn new(event: &Value, wanted: &'static str, problem: &dyn fmt::Display) -> Self {
        let shown = format!("; it begins {}", shortened(&event.to_string()));
        Self { wanted, problem: shortened(&problem.to_string()), shown }
    }

    /// Of an event whose content is nobody's business.
    pub(crate) fn unshown(wanted: &'static str, problem: &dyn fmt::Display) -> Self {
        Self { wanted, problem: shortened(&problem.to_string()), shown: String::new() }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    group: GroupName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Several {
    groups: BTreeSet<GroupName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Every {
    #[serde(rename = "reconcile")]
    _all: All,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum All {
    All,
}

impl Doorbell {
    /// Reads whatever wakes ControllerASG.
    pub fn read(event: &Value) -> Result<Self, EventError> {
        let has = |field| event.get(field).is_some();
        let wanted =
            r#"a stream batch, a scheduled event, {"group": "web"}, {"groups": ["web"]}, {"reconcile": "all"}"#;
        let refused = |problem: &dyn fmt::Display| EventError::new(event, wanted, problem);
        if let Some(records) = event.get("Records") {
            return Ok(Self::Batch(Batch::of(records)));
        }
        if has("detail-type") {
            return scheduled(event).map(|()| Self::All).map_err(|problem| refused(&problem));
        }
        if has("group") {
            let One { group } = One::deserialize(event).map_err(|error| refused(&error))?;
            return Ok(Self::Groups(BTreeSet::from([group])));
        }
        if has("groups") {
            let Several { groups } = Several::deserialize(event).map_err(|error| refused(&error))?;
            return match groups.len() {
                1..=GROUPS_AT_MOST => Ok(Self::Groups(groups)),
                len => Err(refused(&format!("it names {len} groups, 1 to {GROUPS_AT_MOST} may be"))),
            };
        }
        Every::deserialize(event).map(|_| Self::All).map_err(|error| refused(&error))
    }
}

/// Whether an event of EventBridge is the tick of a rule or of a schedule. Any other would look at all groups whenever
/// something happens that a rule was made too wide for.
fn scheduled(event: &Value) -> Result<(), String> {
    let event: EventBridgeEvent = EventBridgeEvent::deserialize(event).map_err(|error| error.to_string())?;
    let ticks =
        matches!(event.source.as_str(), "aws.events" | "aws.scheduler") && event.detail_type == "Scheduled Event";
    if ticks { Ok(()) } else { Err(format!("{:?} of {:?} is no tick", event.detail_type, event.source)) }
}

impl Batch {
    fn of(records: &Value) -> Self {
        let mut batch = Self::default();
        let Some(records) = records.as_array() else {
            batch.ignored.insert(Ignored::Unreadable, 1);
            return batch;
        };
        for record in records {
            match group_of(record) {
                Ok(group) => drop(batch.groups.insert(group)),
                Err(why) => *batch.ignored.entry(why).or_default() += 1,
            }
        }
        batch
    }
}

/// The group of the new sweep that a record tells of.
fn group_of(record: &Value) -> Result<GroupName, Ignored> {
    if record.get("eventSource").is_some_and(|source| source != "aws:dynamodb") {
        return Err(Ignored::Foreign);
    }
    let read = EventRecord::deserialize(record).map_err(|_| Ignored::Unreadable)?;
    if read.event_name != "INSERT" {
        return Err(Ignored::NotAnInsert);
    }
    if read.change.keys.is_empty() {
        return Err(Ignored::Keyless);
    }
    // The typed value is serde_dynamo's, whose name only the SDK's owner may say; the document holds the same.
    let key = |name: &str| record.pointer(&format!("/dynamodb/Keys/{name}/S")).and_then(Value::as_str);
    let (Some(partition), Some(sort)) = (key("pk"), key("sk")) else { return Err(Ignored::NotASweep) };
    let name = partition.strip_prefix(GROUP_KEY).filter(|_| sort.starts_with(SWEEP_KEY));
    name.and_then(|name| name.parse().ok()).ok_or(Ignored::NotASweep)
}
