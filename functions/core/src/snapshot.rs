//! Everything that a decision may depend on, besides the policy.
//!
//! It is also the document that `muster decide` reads, so that a decision can be written by hand, recorded and
//! replayed: every field that can have a sensible default has one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auto::Learnt;
use crate::group::{Head, Shard};
use crate::health::Health;
use crate::intent::{Intent, IntentId};
use crate::member::{InstanceId, MemberRecord, MemberState};
use crate::time::Timestamp;

/// Unknown fields of a snapshot that a refusal names at most.
const UNKNOWN_FIELDS_TOLD: usize = 10;

/// What is known of a group at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The clock, read once.
    pub now: Timestamp,
    /// HEAD. `desired` is the only field that a document written by hand needs.
    #[serde(default)]
    pub head: Head,
    /// The latest sweep; none before the first.
    #[serde(default)]
    pub sweep: Option<SweepFacts>,
    /// The members, in any order.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Intents not yet settled, in any order.
    #[serde(default)]
    pub intents: Vec<Intent>,
    /// What EC2 lists under the group's tag, and what it says of members that this list does not hold. None: EC2 could not
    /// be asked, and nothing is concluded from its silence.
    #[serde(default)]
    pub fleet: Option<Vec<FleetInstance>>,
    /// What the rule `auto` had stored last; none for another rule, and when it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt: Option<Box<Learnt>>,
    /// The version of the policy's launch template that a launch would use now; 0 without a template, or where a document
    /// does not say. None: EC2 could not be asked.
    #[serde(default = "unsaid")]
    pub template_version: Option<u64>,
    /// Why the policy in force is not the newest text.
    #[serde(default)]
    pub policy_notice: Option<String>,
    /// Whether that is because the newest text was refused (Z9); otherwise it is missing, empty or cannot be read (O7).
    #[serde(default)]
    pub policy_refused: bool,
}

/// The sweep as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepFacts {
    /// Its slot.
    pub slot: Timestamp,
    /// Its effective period; 0 means the policy's interval.
    #[serde(default)]
    pub period_ms: u64,
    /// Why MonitorS could not trust its own eyes, if it could not.
    #[serde(default)]
    pub blind: Option<String>,
    /// Shards whose sweep has not come in and whose time is not yet up: load and health wait for them.
    #[serde(default)]
    pub awaited: u32,
}

/// A member, with what the sweeps know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The instance.
    pub id: InstanceId,
    /// Its shard.
    #[serde(default)]
    pub shard: Shard,
    /// The zone that it was launched into.
    #[serde(default)]
    pub zone: String,
    /// The template that it was launched from; empty is the one in force.
    #[serde(default)]
    pub template: String,
    /// That template's version; 0 is the one in force.
    #[serde(default)]
    pub template_version: u64,
    /// The stored state: `"active"`, `"pending"`, `{"draining": {...}}`, `{"terminating": {...}}`.
    #[serde(default)]
    pub state: MemberState,
    /// When its intent was committed. Default: long ago.
    #[serde(default)]
    pub intended_at: Timestamp,
    /// When EC2 accepted its launch. Default: long ago.
    #[serde(default)]
    pub launched_at: Timestamp,
    /// When its agent first answered. Default: long ago, unless the state is pending.
    #[serde(default)]
    pub first_answer: Option<Timestamp>,
    /// The member that it was launched to replace: an unhealthy one, or one that an operator marked for draining.
    #[serde(default)]
    pub replaces: Option<InstanceId>,
    /// What the sweeps know of it; none when no sweep has covered it.
    #[serde(default)]
    pub health: Option<Health>,
}

/// A snapshot that is refused.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is no snapshot.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It holds fields that mean nothing, named by their paths.
    #[error("unknown field `{}`", .0.join("`, `"))]
    UnknownFields(Vec<String>),
}

impl Snapshot {
    /// Reads a snapshot written by hand: a field that means nothing is refused at every depth, while what is stored may
    /// hold fields that only a newer version knows.
    pub fn parse_strict(text: &str) -> Result<Self, SnapshotError> {
        let snapshot: Self = serde_json::from_str(text)?;
        let mut unknown = Vec::new();
        without_meaning(&serde_json::from_str(text)?, &serde_json::to_value(&snapshot)?, "", &mut unknown);
        if unknown.is_empty() { Ok(snapshot) } else { Err(SnapshotError::UnknownFields(unknown)) }
    }
}

/// Collects the paths of what was written and is not in what was understood, as [`Snapshot`] writes it: every field that it
/// knows is there. Asking serde alone is not enough: it ignores what an internally tagged enum does not have.
fn without_meaning(written: &Value, understood: &Value, path: &str, unknown: &mut Vec<String>) {
    let under = |key: &dyn std::fmt::Display| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            for (key, inner) in written {
                match understood.get(key) {
                    Some(understood) => without_meaning(inner, understood, &under(key), unknown),
                    None => tell(unknown, || under(key)),
                }
            }
        }
        (Value::Array(written), Value::Array(understood)) => {
            for (nth, (inner, understood)) in written.iter().zip(understood).enumerate() {
                without_meaning(inner, understood, &under(&nth), unknown);
            }
        }
        // The one span of darkness that earlier versions kept, where there is a list now.
        (Value::Object(_), Value::Array(list)) => {
            if let [understood] = &list[..] {
                without_meaning(written, understood, path, unknown);
            }
        }
        // serde takes a list for a record, field by field: nobody can say what stands where.
        (Value::Array(_), Value::Object(_)) => tell(unknown, || path.to_owned()),
        _ => {}
    }
}

/// Adds a path to those that are told, unless there are enough: many long ones are more than the text.
fn tell(unknown: &mut Vec<String>, path: impl FnOnce() -> String) {
    if unknown.len() < UNKNOWN_FIELDS_TOLD {
        unknown.push(path());
    }
}

impl Member {
    /// The member that `record` and the sweeps tell of.
    pub fn of(record: &MemberRecord, health: Option<Health>) -> Self {
        Self {
            id: record.id.clone(),
            shard: record.shard,
            zone: record.zone.clone(),
            template: record.template.clone(),
            template_version: record.template_version,
            state: record.state.clone(),
            intended_at: record.intended_at,
            launched_at: record.launched_at,
            first_answer: record.first_answer,
            replaces: record.replaces.clone(),
            health,
        }
    }
}

/// An instance as EC2 lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetInstance {
    /// Its id.
    pub id: InstanceId,
    /// Its state.
    pub state: InstanceState,
    /// The intent that its tag names; none when it carries no such tag, so that it was not launched by Muster.
    #[serde(default)]
    pub intent: Option<IntentId>,
    /// When EC2 launched it, if EC2 says so.
    #[serde(default)]
    pub launched_at: Option<Timestamp>,
    /// Whether it carries the group's tag.
    #[serde(default = "yes")]
    pub ours: bool,
    /// Whether it carries the tag `muster:protected=true` (D2).
    #[serde(default)]
    pub protected: bool,
    /// Whether it carries the tag `muster:drain=true`: an operator wants it drained and replaced (D8).
    #[serde(default)]
    pub drain: bool,
    /// Whether EC2's own status checks fail (H3).
    #[serde(default)]
    pub impaired: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "it is the default of an option")]
const fn unsaid() -> Option<u64> {
    Some(0)
}

const fn yes() -> bool {
    true
}

impl FleetInstance {
    /// An instance of the group, in a state, of which nothing else is said.
    pub const fn plain(id: InstanceId, state: InstanceState) -> Self {
        Self { id, state, intent: None, launched_at: None, ours: true, protected: false, drain: false, impaired: false }
    }
}

/// EC2's instance states. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Launching.
    Pending,
    /// Running.
    Running,
    /// On its way to stopped.
    Stopping,
    /// Stopped.
    Stopped,
    /// On its way to terminated.
    ShuttingDown,
    /// Gone; listed for about an hour more.
    Terminated,
}

impl InstanceState {
    /// Whether somebody has stopped the instance (O5).
    pub const fn is_stopped(self) -> bool {
        match self {
            Self::Stopping | Self::Stopped => true,
            Self::Pending | Self::Running | Self::ShuttingDown | Self::Terminated => false,
        }
    }

    /// Whether EC2 says that the instance will not come back (H7, D6).
    pub const fn is_gone(self) -> bool {
        match self {
            Self::ShuttingDown | Self::Terminated => true,
            Self::Pending | Self::Running | Self::Stopping | Self::Stopped => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Outcome;

    #[test]
    fn what_is_stored_may_hold_fields_of_a_newer_version() {
        let head: Head = serde_json::from_str(r#"{"desired": 3, "colour": "red"}"#).expect("a HEAD");
        assert_eq!(head, Head { desired: 3, ..Head::default() });
        let health: Health = serde_json::from_str(r#"{"seen": "silent", "mood": 1}"#).expect("a health");
        assert_eq!(health.seen, crate::health::Seen::Silent);
        let text = r#"{"id": "1", "at": 1, "cause": "load", "policy": null, "tint": 1,
            "call": {"terminate": {"instance": "i-1", "shard": 0, "force": true}}}"#;
        assert!(serde_json::from_str::<Intent>(text).is_ok());
        let text = r#"{"outcome": "refused", "at": 1, "reason": "no", "code": 403}"#;
        assert!(serde_json::from_str::<Outcome>(text).is_ok());
    }

    /// Texts of records in a HEAD that say all that there is to say.
    const RECORDS: [(&str, &str); 16] = [
        ("recommendations", r#"[{"at": 1, "highest": 3, "lowest": 3}]"#),
        ("launches", r#"[{"at": 1, "count": 1, "actual": 2}]"#),
        ("terminations", r#"[{"at": 1, "count": 1, "actual": 2}]"#),
        ("not_found", r#"{"i-b": {"first": 1, "count": 2}}"#),
        ("orphans", r#"{"i-b": {"first": 1, "count": 2}}"#),
        (
            "outcomes",
            r#"[{"outcome": "launched", "at": 1, "cause": "load", "place": {"zone": "", "instance_type": ""}}]"#,
        ),
        ("outcomes", r#"[{"outcome": "no-capacity", "at": 1, "place": {"zone": "", "instance_type": ""}}]"#),
        ("outcomes", r#"[{"outcome": "refused", "at": 1, "reason": "no"}]"#),
        ("capacity", r#"[{"place": {"zone": "", "instance_type": ""}, "failures": 1, "until": 1}]"#),
        ("launch_refusal", r#"{"reason": "no", "failures": 1, "until": 1, "policy": 3}"#),
        ("templates", r#"[{"template": "lt-1", "version": 7, "proven": true, "failures": 0, "policy": 3}]"#),
        ("breaker", r#"{"since": 1, "width": 2, "begun": [1, 1]}"#),
        ("zone_breakers", r#"{"a": {"since": 1, "width": 2, "begun": [1, 1]}}"#),
        ("dark", r#"[{"since": 1, "until": 1, "lasts": false}]"#),
        ("refusal", r#"{"digest": "d", "at": 1, "reason": "no"}"#),
        ("last_decision", r#"{"id": "d", "fold_key": "k", "since": 1, "count": 1}"#),
    ];

    /// The copies of `value` that lack one field of a record in it, with the field's name.
    fn with_one_left_out(value: &Value) -> Vec<(String, Value)> {
        let within = |inner: &Value, put: &dyn Fn(Value) -> Value| {
            let copies = with_one_left_out(inner).into_iter();
            copies.map(|(name, inner)| (name, put(inner))).collect::<Vec<_>>()
        };
        match value {
            Value::Object(fields) => {
                let without = fields.keys().map(|key| {
                    let mut fields = fields.clone();
                    fields.remove(key);
                    (key.clone(), Value::Object(fields))
                });
                let inside = fields.iter().flat_map(|(key, inner)| {
                    within(inner, &|inner| {
                        let mut fields = fields.clone();
                        fields.insert(key.clone(), inner);
                        Value::Object(fields)
                    })
                });
                without.chain(inside).collect()
            }
            Value::Array(list) => {
                list.first().map_or_else(Vec::new, |first| within(first, &|inner| Value::Array(vec![inner])))
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_record_in_head_is_written_whole_save_for_templates_and_policies() {
        let head = |key: &str, value: &Value| {
            Snapshot::parse_strict(&format!(r#"{{"now": 1, "head": {{"{key}": {value}}}}}"#)).is_ok()
        };
        for (key, text) in RECORDS {
            let whole: Value = serde_json::from_str(text).expect(text);
            assert!(head(key, &whole), "{key}: {text}");
            for (left_out, value) in with_one_left_out(&whole) {
                // What is kept by a member's or a zone's name may lack any.
                let optional = key == "templates" || ["policy", "i-b", "a"].contains(&left_out.as_str());
                assert_eq!(head(key, &value), optional, "{key} without {left_out}");
            }
        }
    }

    #[test]
    fn an_intent_needs_its_call_and_may_leave_out_its_attempts() {
        let read = |intent: &Value| Snapshot::parse_strict(&format!(r#"{{"now": 1, "intents": [{intent}]}}"#)).is_ok();
        let optional = ["policy", "attempt", "lease", "first_leased_at", "template_version", "intent", "replaces"];
        for call in [
            r#"{"launch": {"group": "example", "shard": 0, "zone": "", "instance_type": "", "template": "lt-1",
                "template_version": 1, "intent": "a", "token": "t", "replaces": "i-1"}}"#,
            r#"{"terminate": {"instance": "i-1", "shard": 0}}"#,
        ] {
            let text = format!(
                r#"{{"id": "a", "at": 1, "cause": "load", "policy": 1, "attempt": 1, "first_leased_at": 1, "call": {call},
                "lease": {{"owner": "c", "until": 1}}}}"#
            );
            let whole: Value = serde_json::from_str(&text).expect(&text);
            assert!(read(&whole), "{whole}");
            for (left_out, intent) in with_one_left_out(&whole) {
                assert_eq!(read(&intent), optional.contains(&left_out.as_str()), "{left_out}: {intent}");
            }
        }
    }

    #[test]
    fn a_snapshot_written_by_hand_may_not_at_any_depth() {
        let leaving = r#"{"id": "a", "state": {"draining": {"sinse": 1}}}"#;
        let outcome = |field, value| {
            let place = r#"{"zone": "a", "instance_type": "b"}"#;
            format!(r#"{{"outcome": "no-capacity", "at": 1, "place": {place}, "{field}": {value}}}"#)
        };
        for (text, path) in [
            (r#"{"now": 1, "head": {"desird": 3}}"#.to_owned(), "unknown field `head.desird`"),
            (
                r#"{"now": 1, "head": {"dark": [{"since": 1, "until": 1, "lasts": true, "x": 1}]}}"#.into(),
                "`head.dark.0.x`",
            ),
            (r#"{"now": 1, "members": [{"id": "a", "health": {"lod": 3}}]}"#.into(), "`members.0.health.lod`"),
            (format!(r#"{{"now": 1, "members": [{leaving}]}}"#), "`members.0.state.draining.sinse`"),
            (
                r#"{"now": 1, "head": {"dark": {"since": 1, "until": 1, "lasts": true, "x": 1}}}"#.into(),
                "`head.dark.x`",
            ),
            (format!(r#"{{"now": 1, "head": {{"outcomes": [{}]}}}}"#, outcome("x", "{}")), "`head.outcomes.0.x`"),
            (
                format!(r#"{{"now": 1, "head": {{"outcomes": [{}]}}}}"#, outcome("cause", "\"load\"")),
                "`head.outcomes.0.cause`",
            ),
            (r#"{"now": 1, "head": {"recommendations": [[1, 2, 3]]}}"#.into(), "`head.recommendations.0`"),
            (r#"{"now": 1, "member": []}"#.into(), "unknown field `member`"),
            (r#"{"now": 1} x"#.into(), "trailing characters"),
        ] {
            let said = Snapshot::parse_strict(&text).expect_err(path).to_string();
            assert!(said.contains(path), "{text}: {said}");
        }
        assert!(Snapshot::parse_strict(r#"{"now": 1, "head": {"desired": 3}}"#).is_ok());
    }

    #[test]
    fn s11_of_many_unknown_fields_ten_are_named() {
        for (unknown, named) in [(9, 9), (10, 10), (11, 10), (1_000, 10)] {
            let fields: String = (0..unknown).map(|n| format!(r#", "x{n}": 0"#)).collect();
            let text = format!(r#"{{"now": 1, "head": {{"desired": 3{fields}}}}}"#);
            let said = Snapshot::parse_strict(&text).expect_err("they mean nothing").to_string();
            assert_eq!(said.matches("`head.x").count(), named, "{said}");
        }
    }

    #[test]
    fn what_a_document_leaves_out_keeps_nothing_from_being_done() {
        let text = r#"{"now": 1, "fleet": [{"id": "i-1", "state": "running"}]}"#;
        let snapshot = Snapshot::parse_strict(text).expect("a snapshot");
        assert_eq!(snapshot.template_version, Some(0), "none would mean that EC2 could not be asked");
        assert_eq!(snapshot.fleet, Some(vec![FleetInstance::plain("i-1".into(), InstanceState::Running)]), "ours");
    }
}
