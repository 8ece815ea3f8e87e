//! A member: an instance that carries our tag and is known to our own records (C1).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::group::Shard;
use crate::intent::{Cause, IntentId};
use crate::time::Timestamp;

/// EC2's id of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub String);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for InstanceId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// What is stored of a member. Everything else is derived from times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The instance.
    pub id: InstanceId,
    /// The shard whose sweep covers it; never changed.
    pub shard: Shard,
    /// Where its agent listens: `address:port`.
    pub endpoint: String,
    /// The zone or subnet of the policy that it was launched into; empty when the policy names none.
    pub zone: String,
    /// The launch template that it was launched from; empty when the policy names none.
    pub template: String,
    /// That template's version; 0 without a template.
    #[serde(default)]
    pub template_version: u64,
    /// The intent that it was launched for (S3).
    pub intent: IntentId,
    /// When that intent was committed.
    pub intended_at: Timestamp,
    /// When EC2 accepted the launch.
    pub launched_at: Timestamp,
    /// When its agent first answered; none while it is Pending.
    pub first_answer: Option<Timestamp>,
    /// The member that it was launched to replace: an unhealthy one (H4), or one that an operator marked for draining (D8).
    pub replaces: Option<InstanceId>,
    /// The stored state.
    pub state: MemberState,
}

/// The states that are stored. Warming, InService and Suspect are derived (see [`Phase`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// EC2 accepted the launch, the agent has never answered.
    Pending,
    /// The agent has answered.
    #[default]
    Active,
    /// Asked to finish its work, before it is terminated.
    Draining(Leaving),
    /// A terminate intent is committed.
    Terminating(Leaving),
}

/// Why and since when a member is on its way out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leaving {
    /// When the state was claimed.
    pub since: Timestamp,
    /// Why.
    pub cause: Cause,
    /// How long a drain may take, in milliseconds, frozen when it was claimed (O4).
    pub timeout_ms: u64,
    /// Whether a drain that takes longer is waited for, frozen likewise.
    pub wait: bool,
}

/// Where a member is in its life, as the contract counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Launched, never answered.
    Pending,
    /// Answers, younger than the warm-up.
    Warming,
    /// Answers and serves.
    InService,
    /// In service, but its agent or application has stopped answering.
    Suspect,
    /// Asked to finish.
    Draining,
    /// On its way out.
    Terminating,
}

impl Phase {
    /// Whether the phase counts in *actual* (C2).
    pub const fn is_actual(self) -> bool {
        match self {
            Self::Pending | Self::Warming | Self::InService | Self::Suspect => true,
            Self::Draining | Self::Terminating => false,
        }
    }
}
