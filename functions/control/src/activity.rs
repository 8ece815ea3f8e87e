//! What has happened to a group, as people read it later.

use muster_core::group::{GroupName, PolicyVersion};
use muster_core::intent::{Cause, IntentId};
use muster_core::member::InstanceId;
use muster_core::report::Report;
use muster_core::snapshot::Snapshot;
use muster_core::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Members up to which a decision's whole snapshot is recorded with it; larger groups are replayed from their sweeps.
const SNAPSHOT_MEMBERS: usize = 50;
/// Intents and listed instances up to which it is: a small group that is to be large has hundreds of them, and an item has room for 400 KB.
const SNAPSHOT_REST: usize = 200;

/// One thing that has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// The group.
    pub group: GroupName,
    /// When.
    pub at: Timestamp,
    /// Unique within the group; writing the same id again replaces the record, and its sort key must be the same.
    pub id: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Event {
    /// A decision, inaction too. Equal consecutive ones are one record (O2).
    Decision {
        /// The last of the equal decisions' reports.
        report: Box<Report>,
        /// HEAD's version after it.
        version: u64,
        /// The time of the first.
        since: Timestamp,
        /// How many there were.
        count: u32,
        /// What the last of them was decided on; none for large groups.
        #[serde(default, deserialize_with = "read_snapshot", serialize_with = "write_snapshot")]
        snapshot: Option<Box<Snapshot>>,
    },
    /// EC2 accepted a launch.
    Launched {
        /// The intent.
        intent: IntentId,
        /// The instance.
        instance: InstanceId,
        /// Its zone.
        zone: String,
        /// Why.
        cause: Cause,
        /// Whom it replaces.
        replaces: Option<InstanceId>,
    },
    /// EC2 accepted a termination.
    Terminated {
        /// The intent.
        intent: IntentId,
        /// The instance.
        instance: InstanceId,
        /// Why.
        cause: Cause,
    },
    /// A launch or a termination was given up by the holder of its lease: EC2 said that it will not be. A member whose
    /// termination was given up stays Terminating, and a later decision terminates it again.
    Abandoned {
        /// The intent, of either kind.
        intent: IntentId,
        /// Why.
        reason: String,
    },
    /// A member answered for the first time.
    Joined {
        /// The instance.
        instance: InstanceId,
        /// From intent to first answer.
        boot_ms: u64,
    },
    /// A member began to drain.
    Draining {
        /// The instance.
        instance: InstanceId,
        /// Why.
        cause: Cause,
    },
    /// A member's drain was taken back: it serves on.
    TakenBack {
        /// The instance.
        instance: InstanceId,
    },
    /// Somebody has taken the group's tag from a member: its record is closed, the instance is left alone.
    Disowned {
        /// The instance.
        instance: InstanceId,
    },
    /// EC2 says that a member is gone that nobody here had ended.
    Lost {
        /// The instance.
        instance: InstanceId,
    },
    /// A policy came into force.
    PolicyAccepted {
        /// Its version.
        version: PolicyVersion,
    },
    /// An edit was refused; the last valid policy stays in force.
    PolicyRefused {
        /// What is wrong with it.
        reason: String,
    },
}

impl Activity {
    /// The key under which activities sort by time: what is written again under its id keeps its place.
    pub fn sort_key(&self) -> (Timestamp, &str) {
        let at = match &self.event {
            Event::Decision { since, .. } => *since,
            Event::Launched { .. }
            | Event::Terminated { .. }
            | Event::Abandoned { .. }
            | Event::Joined { .. }
            | Event::Draining { .. }
            | Event::TakenBack { .. }
            | Event::Disowned { .. }
            | Event::Lost { .. }
            | Event::PolicyAccepted { .. }
            | Event::PolicyRefused { .. } => self.at,
        };
        (at, &self.id)
    }
}

/// The snapshot as it is recorded with a decision.
pub(crate) fn recorded(snapshot: &Snapshot) -> Option<Box<Snapshot>> {
    let rest = snapshot.intents.len() + snapshot.fleet.as_ref().map_or(0, Vec::len);
    (snapshot.members.len() <= SNAPSHOT_MEMBERS && rest <= SNAPSHOT_REST).then(|| Box::new(snapshot.clone()))
}

/// What the rule `auto` knew stays out of the log: it is larger than all the rest, the same from sweep to sweep, and follows from the
/// sweeps.
fn write_snapshot<S: Serializer>(snapshot: &Option<Box<Snapshot>>, serializer: S) -> Result<S::Ok, S::Error> {
    match snapshot {
        Some(snapshot) if snapshot.learnt.is_some() => {
            Some(Snapshot { learnt: None, ..Snapshot::clone(snapshot) }).serialize(serializer)
        }
        snapshot => snapshot.serialize(serializer),
    }
}

/// A tagged enum's fields pass through a buffer in which the keys of a map are texts and nothing else; a shard's number is
/// read out of one by way of JSON only. One of a newer version, which cannot be replayed here, is none: the rest of the log
/// must be readable after a rollback.
fn read_snapshot<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Snapshot>>, D::Error> {
    let snapshot = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(snapshot.and_then(|snapshot| serde_json::from_value(snapshot).ok()))
}

#[cfg(test)]
mod tests {
    use muster_core::decide::decide;
    use muster_core::policy::Policy;
    use serde_json::json;

    use super::*;

    /// A small group that is to be large has hundreds of intents, and nothing may come of a claim that is too large for the table.
    #[test]
    fn a_snapshot_of_many_is_not_recorded() {
        let snapshot = |members: usize, intents: usize| -> Snapshot {
            let members = vec![json!({"id": "i-1"}); members];
            let intents = vec![
                json!({"id": "1", "at": 1, "cause": "load", "policy": null, "call": {"terminate": {"instance": "i-1", "shard": 0}}});
                intents
            ];
            let snapshot = json!({"now": 1, "head": {}, "members": members, "intents": intents});
            serde_json::from_value(snapshot).expect("a snapshot")
        };
        for (members, intents, is) in
            [(0, 0, true), (50, 200, true), (51, 0, false), (0, 201, false), (2, 1_000, false)]
        {
            assert_eq!(recorded(&snapshot(members, intents)).is_some(), is, "{members} members, {intents} intents");
        }
    }

    #[test]
    fn a_decision_of_a_newer_version_is_read_without_the_snapshot_that_cannot_be() {
        let snapshot: Snapshot = serde_json::from_value(json!({"now": 1, "head": {"desired": 2}})).expect("a snapshot");
        let report = Box::new(decide(&snapshot, &Policy::default()).report);
        let event =
            Event::Decision { report, version: 1, since: snapshot.now, count: 1, snapshot: recorded(&snapshot) };
        let group = GroupName::default();
        let written = Activity { group, at: snapshot.now, id: "1-decision".into(), event };
        let mut stored = serde_json::to_value(&written).expect("plain data");
        assert_eq!(serde_json::from_value::<Activity>(stored.clone()).expect("ours"), written);
        stored["snapshot"]["weather"] = json!("fine");
        let read: Activity = serde_json::from_value(stored).expect("still readable");
        assert!(matches!(read.event, Event::Decision { snapshot: None, count: 1, .. }), "{read:?}");
    }
}
