//! A decision, and what there is to say of it.

use std::time::Duration;

use muster_control::ports::{ActivityLog, GroupStore};
use muster_core::group::GroupName;
use muster_core::policy::Policy;
use muster_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::ReadError;
use super::explain::{Explained, explained};
use super::looked::{Decided, decision_at};
use crate::stand::Stand;

/// Activities that are looked through at a time for the decision in force at a time.
const PAGE: usize = 50;
/// How often that is done.
const PAGES: u32 = 6;

/// A decision, explained.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DecisionExplained {
    /// The decision.
    #[serde(flatten)]
    pub decision: Decided,
    /// What there is to say of it.
    pub explained: Explained,
}

/// The decision with this id.
pub async fn decision<S, P, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    id: &str,
) -> Result<DecisionExplained, ReadError>
where
    S: GroupStore + ActivityLog,
{
    let unknown =
        || ReadError::NotFound(format!("decision {:?} of group {group}", id.chars().take(80).collect::<String>()));
    let (since, id) = id.split_once('~').ok_or_else(unknown)?;
    let since = Timestamp::from_millis(since.parse().map_err(|_| unknown())?);
    let found = decision_at(&stand.store, group, since, id).await?.ok_or_else(unknown)?;
    tell(stand, group, found).await
}

/// The last decision, or the one in force at a time.
pub async fn explain<S, P, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    at: Option<Timestamp>,
) -> Result<DecisionExplained, ReadError>
where
    S: GroupStore + ActivityLog,
{
    let head = stand.store.head(group).await?.ok_or_else(|| ReadError::no_group(group))?;
    let found = match (at, &head.last_decision) {
        (None, Some(mark)) => decision_at(&stand.store, group, mark.since, &mark.id).await?,
        (None, None) => None,
        (Some(at), _) => in_force_at(&stand.store, group, at).await?,
    };
    let when = at.map_or_else(String::new, |at| format!(" at {at}"));
    let found = found.ok_or_else(|| ReadError::NotFound(format!("decision on group {group}{when}")))?;
    tell(stand, group, found).await
}

/// The decision that had been taken last at a time.
async fn in_force_at<S: ActivityLog>(
    store: &S,
    group: &GroupName,
    at: Timestamp,
) -> Result<Option<Decided>, ReadError> {
    let mut until = at.plus(Duration::from_millis(1));
    for _ in 0..PAGES {
        let page = store.between(group, Timestamp::EPOCH, Some(until), PAGE).await?;
        if let Some(found) = page.iter().rev().find_map(Decided::of) {
            return Ok(Some(found));
        }
        match page.first() {
            Some(first) if page.len() == PAGE => until = first.sort_key().0,
            _ => break,
        }
    }
    Ok(None)
}

async fn tell<S, P, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    decision: Decided,
) -> Result<DecisionExplained, ReadError>
where
    S: GroupStore,
{
    let stored = match decision.report.policy {
        Some(version) => stand.store.policy(group, version).await?,
        None => None,
    };
    let policy = stored.and_then(|stored| Policy::parse(&stored.text).ok());
    let policy = policy.map(|policy| policy.at(decision.report.at).into_owned());
    let explained = explained(&decision.report, policy.as_ref());
    Ok(DecisionExplained { decision, explained })
}
