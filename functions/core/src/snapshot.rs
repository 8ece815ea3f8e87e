//! Everything that a decision may depend on, besides the policy.
//!
//! It is also the document that `muster decide` reads, so that a decision can be written by hand, recorded and
//! replayed: every field that can have a sensible default has one.

use serde::{Deserialize, Serialize};

use crate::group::{Head, Shard};
use crate::health::Health;
use crate::intent::Intent;
use crate::member::{InstanceId, MemberRecord, MemberState};
use crate::time::Timestamp;

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
    /// What EC2 lists under the group's tag. None: EC2 could not be asked, and nothing is concluded from its silence.
    #[serde(default)]
    pub fleet: Option<Vec<FleetInstance>>,
    /// Why the policy in force is not the newest text: it was refused (Z9) or is gone (O7).
    #[serde(default)]
    pub policy_notice: Option<String>,
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
    /// The unhealthy member that it was launched to replace.
    #[serde(default)]
    pub replaces: Option<InstanceId>,
    /// What the sweeps know of it; none when no sweep has covered it.
    #[serde(default)]
    pub health: Option<Health>,
}

impl Member {
    /// The member that `record` and the sweeps tell of.
    pub fn of(record: &MemberRecord, health: Option<Health>) -> Self {
        Self {
            id: record.id.clone(),
            shard: record.shard,
            zone: record.zone.clone(),
            template: record.template.clone(),
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
    /// Whether EC2 says that the instance will not come back (H7, D6).
    pub const fn is_gone(self) -> bool {
        match self {
            Self::ShuttingDown | Self::Terminated => true,
            Self::Pending | Self::Running | Self::Stopping | Self::Stopped => false,
        }
    }
}
