//! Writing the policy, and pausing by it.

use muster_control::ports::{Clock, GroupStore, PolicyDesk, PolicyText, Put, PutError, Revision};
use muster_core::group::{GroupName, PolicyVersion};
use muster_core::policy::Policy;
use muster_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{SteerError, pause};
use crate::read::ReadError;
use crate::stand::Stand;

/// Tries of a pause against others' edits.
const TRIES: u32 = 3;
/// Characters of a pause's reason at most.
const LONGEST_REASON: usize = 200;

/// A policy that has been written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Written {
    /// The source's own number of it.
    pub version: Option<PolicyVersion>,
    /// Its digest.
    pub revision: String,
    /// The version of a text that is overwritten and was not in force: somebody's edit that came in between, or one that is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwrote: Option<PolicyVersion>,
}

impl From<Put> for Written {
    fn from(put: Put) -> Self {
        Self { version: put.version, revision: put.revision.0, overwrote: put.overwrote }
    }
}

/// Writes `text` over the text whose revision is `over`, if it is valid.
pub async fn put<S, P: PolicyDesk, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    text: &str,
    over: Option<&Revision>,
) -> Result<Written, SteerError> {
    Policy::parse(text)?;
    Ok(stand.policies.put(group, text, over).await?.into())
}

/// Pauses the group for a reason, until a time or until somebody resumes it. Where the text is missing or not valid, what is in force is paused and
/// takes its place: whoever stops a group has no time to mend a text.
pub async fn pause<S: GroupStore, P: PolicyDesk, F, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    reason: &str,
    until: Option<Timestamp>,
) -> Result<Written, SteerError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
        let message =
            format!("reason must have 1 to {LONGEST_REASON} characters: who reads it later wants to know why");
        return Err(ReadError::BadRequest(message).into());
    }
    let now = stand.clock.now();
    if let Some(past) = until.filter(|until| *until <= now) {
        return Err(
            ReadError::BadRequest(format!("until must be in the future: it is {past}, and now is {now}")).into()
        );
    }
    let pause = |text: &str| pause::paused(text, reason, until);
    let failed = match edit(stand, group, pause).await {
        Err(failed @ (SteerError::Invalid(_) | SteerError::Read(ReadError::NotFound(_)))) => failed,
        written => return written,
    };
    let Some(text) = in_force(stand, group).await?.and_then(|text| pause(&text)) else { return Err(failed) };
    let found = stand.policies.fetch(group).await.map_err(ReadError::from)?;
    let over = found.as_ref().map(|found| Revision::of(&found.text));
    let written = put(stand, group, &text, over.as_ref()).await?;
    Ok(Written { overwrote: written.overwrote.or(found.and_then(|found| found.version)), ..written })
}

/// The text that decisions are taken with.
async fn in_force<S: GroupStore, P, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
) -> Result<Option<String>, ReadError> {
    let Some(version) = stand.store.head(group).await?.and_then(|head| head.policy) else { return Ok(None) };
    Ok(stand.store.policy(group, version).await?.map(|stored| stored.text))
}

/// Ends the group's pause, and turns the mode `paused` into `active`. A group that is not paused stays as it is.
pub async fn resume<S, P: PolicyDesk, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
) -> Result<Written, SteerError> {
    edit(stand, group, pause::resumed).await
}

/// Writes an edit of the text as it is; where somebody else was first, of what he has written.
async fn edit<S, P: PolicyDesk, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    edit: impl Fn(&str) -> Option<String>,
) -> Result<Written, SteerError> {
    let mut found = stand.policies.fetch(group).await.map_err(ReadError::from)?;
    for tried in 1.. {
        let Some(PolicyText { text, version }) = &found else {
            return Err(ReadError::NotFound(format!("policy of group {group}")).into());
        };
        // What is not valid now is told as it is.
        Policy::parse(text)?;
        let revision = Revision::of(text);
        let Some(edited) = edit(text).filter(|edited| edited != text) else {
            return Ok(Written { version: *version, revision: revision.0, overwrote: None });
        };
        match put(stand, group, &edited, Some(&revision)).await {
            Err(SteerError::Put(PutError::LostUpdate { found: theirs })) if tried < TRIES => found = theirs,
            written => return written,
        }
    }
    Err(SteerError::Put(PutError::LostUpdate { found }))
}
