//! Intents: what has been decided and not yet been done. No call that changes anything in EC2 happens without one,
//! committed first and holding every parameter of the call (L1).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::group::{GroupName, Head, PolicyVersion, Shard};
use crate::member::InstanceId;
use crate::time::Timestamp;

/// The id of an intent: HEAD's birth, the version that committed it, and its place in that claim. Never used twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub String);

impl IntentId {
    /// The id of the `ordinal`th intent of the claim that makes `head` its next version. Ids sort by age.
    pub fn of_next_claim(head: &Head, ordinal: u32) -> Self {
        Self(format!("{:x}-{:010}-{ordinal:03}", head.born.as_millis(), head.version.saturating_add(1)))
    }

    /// Whether it was committed by `head`'s own life: not by another stack's group of the same name, nor by a table that has
    /// been made anew since.
    pub fn is_of(&self, head: &Head) -> bool {
        self.0.strip_prefix(&format!("{:x}", head.born.as_millis())).is_some_and(|rest| rest.starts_with('-'))
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// EC2's client token: at most 64 ASCII characters, derived from the intent and never used with other parameters.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl Token {
    /// The token of `intent` in `group` of `stack`: 64 hexadecimal digits of a SHA-256.
    pub fn derive(stack: &str, group: &GroupName, intent: &IntentId) -> Self {
        let digest = Sha256::digest(format!("{stack}\n{group}\n{intent}"));
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// One change in EC2 that has been committed and is to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Its id.
    pub id: IntentId,
    /// When it was committed.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// The policy version that it was made with (O4).
    pub policy: Option<PolicyVersion>,
    /// The call, whole.
    pub call: Call,
    /// How many times it has been leased. 0: no call can have been made.
    #[serde(default)]
    pub attempt: u32,
    /// Who may carry it out, and until when.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// When it was first leased: the earliest moment of its first call (L10).
    #[serde(default)]
    pub first_leased_at: Option<Timestamp>,
}

/// The call that an intent holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// RunInstances for exactly one instance.
    Launch(LaunchSpec),
    /// TerminateInstances for exactly one instance.
    Terminate {
        /// The instance.
        instance: InstanceId,
        /// Its shard.
        shard: Shard,
    },
}

/// Everything that RunInstances needs; frozen when the intent is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// The group, which the instance's tag names (L7).
    pub group: GroupName,
    /// The shard that the member will belong to.
    pub shard: Shard,
    /// The zone or subnet; empty lets EC2 choose.
    pub zone: String,
    /// The instance type; empty lets the template choose.
    pub instance_type: String,
    /// The launch template; empty when the policy names none.
    pub template: String,
    /// The launch template's numeric version, so that a repeated call never means another image; 0 without a template.
    #[serde(default)]
    pub template_version: u64,
    /// The intent, which the instance's tag names (L7).
    #[serde(default)]
    pub intent: IntentId,
    /// The idempotency token.
    pub token: Token,
    /// The member that it replaces: an unhealthy one, or one that an operator marked for draining.
    pub replaces: Option<InstanceId>,
}

/// The right to carry out an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub owner: String,
    /// When it ends.
    pub until: Timestamp,
}

/// Why an action is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The load asked for another size.
    Load,
    /// min, max or desired: the group had fewer or more members than desired, for no reason of load or health.
    #[default]
    Bounds,
    /// EC2 says that a member has gone: another is launched in its place.
    Lost,
    /// A member was unhealthy (H1).
    Unhealthy,
    /// A launch never answered within the boot timeout (L8).
    BootTimeout,
    /// The agent says that the machine is about to go (H6).
    Leaving,
    /// Somebody stopped the instance (O5).
    Stopped,
    /// An operator marked a member for draining (D8).
    Operator,
    /// An instance of ours that no record knows (V3).
    Orphan,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Bounds => "bounds",
            Self::Lost => "lost",
            Self::Unhealthy => "unhealthy",
            Self::BootTimeout => "boot timeout",
            Self::Leaving => "leaving",
            Self::Stopped => "stopped",
            Self::Operator => "operator",
            Self::Orphan => "orphan",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l1_a_token_is_the_intents_own_and_fits_ec2() {
        let head = Head { version: 6, ..Head::default() };
        let [a, b] = [0, 1].map(|ordinal| IntentId::of_next_claim(&head, ordinal));
        let group = GroupName::default();
        let token = Token::derive("stack", &group, &a);
        assert_eq!(token.0.len(), 64);
        assert!(token.0.is_ascii());
        assert_eq!(token, Token::derive("stack", &group, &a));
        assert_ne!(token, Token::derive("stack", &group, &b));
        assert_ne!(token, Token::derive("other", &group, &a));
        assert!(a < b);
    }
}
