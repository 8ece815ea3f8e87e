//! Which policy is in force: the newest text if it is valid, else the last good one, and a word about why (Z9, O4, O7).

use muster_core::group::{Head, PolicyVersion, Refusal};
use muster_core::policy::Policy;
use muster_core::time::{Timestamp, millis};
use sha2::{Digest, Sha256};

use crate::activity::{Activity, Event};
use crate::chain::chain;
use crate::ports::{Claim, GroupStore, PolicySource, PolicyText, StoreError, StoredPolicy};

/// The policy that a decision is taken with.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    /// The policy.
    pub policy: Policy,
    /// Its version.
    pub version: PolicyVersion,
    /// Its text, when this decision is the first with it.
    put: Option<String>,
    /// What became of the newest text.
    newest: Newest,
    /// Why the policy in force is not the newest text.
    pub notice: Option<String>,
}

/// What became of the source's newest text.
#[derive(Clone, Debug, PartialEq)]
enum Newest {
    /// It is in force, or there is none.
    Taken,
    /// It was refused.
    Refused { digest: String, reason: String },
    /// The source could not be read: what was refused before may still be the newest.
    Unknown,
}

/// There is no policy to decide with.
#[derive(Debug, thiserror::Error)]
pub enum NoPolicy {
    /// None has ever been valid.
    #[error("there is no valid policy yet: {0}")]
    NoneYet(String),
    /// The last good one cannot be read.
    #[error("the last good policy cannot be read")]
    Store(#[from] StoreError),
}

/// The policy in force for a group with `head` (none: the group has no HEAD yet). It is read at every decision (O4).
pub async fn in_force<S: GroupStore, P: PolicySource>(
    store: &S,
    source: &P,
    group: &muster_core::group::GroupName,
    head: Option<&Head>,
) -> Result<InForce, NoPolicy> {
    let last = head.and_then(|head| head.policy);
    let stored = match last {
        Some(version) => store.policy(group, version).await?,
        None => None,
    };
    let (notice, newest) = match source.fetch(group).await {
        Ok(None) => (Some("the policy is missing".to_owned()), Newest::Taken),
        Ok(Some(text)) if text.text.trim().is_empty() => (Some("the policy is empty".to_owned()), Newest::Taken),
        Ok(Some(text)) if stored.as_ref().is_some_and(|stored| stored.text == text.text) => (None, Newest::Taken),
        Ok(Some(text)) => match Policy::parse(&text.text) {
            Ok(policy) => {
                let version = version_of(&text, last);
                return Ok(InForce { policy, version, put: Some(text.text), newest: Newest::Taken, notice: None });
            }
            Err(error) => {
                let refused = Newest::Refused { digest: digest(&text.text), reason: error.to_string() };
                (Some(format!("the policy was refused: {error}")), refused)
            }
        },
        Err(error) => (Some(chain(&error)), Newest::Unknown),
    };
    let Some(stored) = stored else {
        return Err(NoPolicy::NoneYet(notice.unwrap_or_default()));
    };
    let policy = Policy::parse(&stored.text).map_err(|error| StoreError::Corrupt(Box::new(error)))?;
    let notice = notice.map(|why| format!("{why}; version {} stays in force", stored.version));
    Ok(InForce { policy, version: stored.version, put: None, newest, notice })
}

/// The source's own number while it rises. A parameter that was deleted and made anew starts again at 1: a number that has
/// been used would name two texts, so the next free one is taken.
fn version_of(text: &PolicyText, last: Option<PolicyVersion>) -> PolicyVersion {
    let next = last.map_or(1, |last| last.0.saturating_add(1));
    PolicyVersion(text.version.map_or(next, |version| version.0.max(next)))
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl InForce {
    /// Whether the newest text was refused (Z9).
    pub const fn refused(&self) -> bool {
        matches!(self.newest, Newest::Refused { .. })
    }

    /// Whether the next claim has something to write down about the policy.
    pub fn has_news(&self, head: &Head) -> bool {
        let seen = head.refusal.as_ref().map(|refusal| &refusal.digest);
        let refused = match &self.newest {
            Newest::Taken => None,
            Newest::Refused { digest, .. } => Some(digest),
            Newest::Unknown => seen,
        };
        self.put.is_some() || seen != refused
    }

    /// Puts a new policy or a new refusal into the claim that is being made.
    pub(crate) fn note(&self, head: &mut Head, claim: &mut Claim, activity: &mut Vec<Activity>, now: Timestamp) {
        let group = head.group.clone();
        let mut say = |id: String, event| activity.push(Activity { group: group.clone(), at: now, id, event });
        head.policy = Some(self.version);
        // A pause that has ended by itself is none: MonitorS sees the mode that holds, and not the one that is written.
        head.mode = self.policy.at(now).mode;
        head.sweep_interval_ms = millis(self.policy.sweep_interval);
        head.signals = self.policy.wanted_signals();
        if let Some(text) = &self.put {
            claim.put_policy = Some(StoredPolicy { version: self.version, text: text.clone(), since: now });
            say(format!("{:010}-policy", head.version), Event::PolicyAccepted { version: self.version });
        }
        match &self.newest {
            Newest::Refused { digest, .. } if head.refusal.as_ref().is_some_and(|seen| seen.digest == *digest) => {}
            Newest::Refused { digest, reason } => {
                head.refusal = Some(Refusal { digest: digest.clone(), at: now, reason: reason.clone() });
                say(format!("{:010}-refusal", head.version), Event::PolicyRefused { reason: reason.clone() });
            }
            Newest::Taken => head.refusal = None,
            Newest::Unknown => {}
        }
    }
}
