//! The policy: its text, what is wrong with it, what is in force, and what it was.

use std::collections::BTreeMap;

use muster_control::activity::Event;
use muster_control::ports::{ActivityLog, GroupStore, PolicySource, PolicyText, Revision, StoredPolicy};
use muster_core::group::{GroupName, PolicyVersion};
use muster_core::policy::{PolicyDocument, PolicyError, document};
use muster_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Ms, ReadError, ms};
use crate::stand::Stand;

/// Versions that a history tells at most.
pub const MOST_VERSIONS: u64 = 50;
/// Numbers that are tried for them: a source's numbers rise by more than one where edits were refused.
const MOST_TRIED: u64 = 4 * MOST_VERSIONS;
/// Activities that are looked through for refused edits.
const ACTIVITIES: usize = 200;

/// A group's policy.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PolicyView {
    /// The text as it stands in its source; none when there is none.
    pub text: Option<String>,
    /// Its digest, by which an edit says what it replaces.
    pub revision: Option<String>,
    /// The source's own number of it.
    pub version: Option<PolicyVersion>,
    /// Whether it is valid.
    pub valid: bool,
    /// What is wrong with it.
    pub problems: Vec<ProblemLine>,
    /// The whole document, its defaults filled in; none when it is not valid.
    pub document: Option<PolicyDocument>,
    /// The policy that decisions are taken with.
    pub in_force: Option<InForce>,
    /// Why that is not the text, if it is not.
    pub notice: Option<String>,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InForce {
    /// Its version.
    pub version: PolicyVersion,
    /// When it came into force.
    pub since: Ms,
    /// Its text.
    pub text: String,
}

impl InForce {
    fn of(stored: StoredPolicy) -> Self {
        Self { version: stored.version, since: ms(stored.since), text: stored.text }
    }
}

/// One thing that is wrong with a policy's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProblemLine {
    /// The key, dotted; empty for the whole document.
    pub key: String,
    /// The value as it was written; empty when there is none.
    pub value: String,
    /// What is wrong, with the range.
    pub message: String,
    /// Line of the place in the text, from 1.
    pub line: u32,
    /// Column of the place in the text, in characters, from 1.
    pub column: u32,
}

/// What is wrong with a policy's text, place by place.
pub fn problems(error: &PolicyError) -> Vec<ProblemLine> {
    let line = |problem: &muster_core::policy::Problem| ProblemLine {
        key: problem.key.clone(),
        value: problem.value.clone(),
        message: problem.message.clone(),
        line: super::count(problem.line),
        column: super::count(problem.column),
    };
    error.problems.iter().map(line).collect()
}

/// Whether a text is a valid policy.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Checked {
    /// Whether it is.
    pub valid: bool,
    /// What is wrong with it.
    pub problems: Vec<ProblemLine>,
    /// The whole document, its defaults filled in; none when it is not valid.
    pub document: Option<PolicyDocument>,
}

/// Judges a policy's text.
pub fn check(text: &str) -> Checked {
    match document(text) {
        Ok(document) => Checked { valid: true, problems: Vec::new(), document: Some(document) },
        Err(error) => Checked { valid: false, problems: problems(&error), document: None },
    }
}

/// A group's policy. A group that has never been decided on may have one, too.
pub async fn policy<S: GroupStore, P: PolicySource, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
) -> Result<PolicyView, ReadError> {
    let head = stand.store.head(group).await?;
    let stored = match head.as_ref().and_then(|head| head.policy) {
        Some(version) => stand.store.policy(group, version).await?,
        None => None,
    };
    let found = stand.policies.fetch(group).await?;
    if head.is_none() && found.is_none() {
        return Err(ReadError::no_group(group));
    }
    let checked = found.as_ref().map(|found| check(&found.text));
    let notice = notice(found.as_ref(), checked.as_ref(), stored.as_ref());
    let checked = checked.unwrap_or(Checked { valid: false, problems: Vec::new(), document: None });
    Ok(PolicyView {
        revision: found.as_ref().map(|found| Revision::of(&found.text).0),
        version: found.as_ref().and_then(|found| found.version),
        text: found.map(|found| found.text),
        valid: checked.valid,
        problems: checked.problems,
        document: checked.document,
        in_force: stored.map(InForce::of),
        notice,
    })
}

fn notice(found: Option<&PolicyText>, checked: Option<&Checked>, stored: Option<&StoredPolicy>) -> Option<String> {
    let stays = stored.map_or_else(
        || "none is in force yet".to_owned(),
        |stored| format!("version {} stays in force", stored.version),
    );
    match (found, checked, stored) {
        (None, ..) => Some(format!("the policy is missing; {stays}")),
        (Some(_), Some(checked), _) if !checked.valid => Some(format!("the text is not valid; {stays}")),
        (Some(found), _, Some(stored)) if found.text == stored.text => None,
        (Some(_), ..) => Some("the text is not in force yet: the next decision takes it".into()),
    }
}

/// The policies that have been in force.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PolicyHistory {
    /// The newest first.
    pub versions: Vec<VersionLine>,
    /// Edits that were refused lately, the newest first.
    pub refusals: Vec<RefusalLine>,
}

/// A policy that has been in force.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct VersionLine {
    /// Its version.
    pub version: PolicyVersion,
    /// When it came into force.
    pub since: Ms,
    /// Its text.
    pub text: String,
    /// How it differs from the one before it, setting by setting.
    pub changes: Vec<SettingChange>,
}

/// A setting that has changed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SettingChange {
    /// Its key, dotted.
    pub key: String,
    /// What it was, defaults filled in; null where there was no such setting.
    pub before: Value,
    /// What it is.
    pub after: Value,
}

/// An edit that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RefusalLine {
    /// When it was first seen.
    pub at: Ms,
    /// What was wrong with it.
    pub reason: String,
}

/// The policies that have been in force, [`MOST_VERSIONS`] at most, and edits that were refused among the newest activities.
pub async fn history<S: GroupStore + ActivityLog, P, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
) -> Result<PolicyHistory, ReadError> {
    let head = stand.store.head(group).await?.ok_or_else(|| ReadError::no_group(group))?;
    let last = head.policy.map_or(0, |version| version.0);
    let mut found: Vec<StoredPolicy> = Vec::new();
    // One more than is told: the oldest one's differences need the one before it.
    for tried in 0..MOST_TRIED.min(last) {
        found.extend(stand.store.policy(group, PolicyVersion(last - tried)).await?);
        if found.len() as u64 > MOST_VERSIONS {
            break;
        }
    }
    let settings: Vec<BTreeMap<String, Value>> = found.iter().map(|stored| settings(&stored.text)).collect();
    let nothing = BTreeMap::new();
    let line = |(nth, stored): (usize, &StoredPolicy)| VersionLine {
        version: stored.version,
        since: ms(stored.since),
        text: stored.text.clone(),
        changes: match settings.get(nth + 1) {
            Some(before) => differences(before, settings.get(nth).unwrap_or(&nothing)),
            None => Vec::new(),
        },
    };
    let versions = found.iter().enumerate().map(line);
    let versions = versions.take(usize::try_from(MOST_VERSIONS).unwrap_or(usize::MAX)).collect();
    let activities = stand.store.between(group, Timestamp::EPOCH, None, ACTIVITIES).await?;
    let refused = activities.iter().rev().filter_map(|activity| match &activity.event {
        Event::PolicyRefused { reason } => Some(RefusalLine { at: ms(activity.at), reason: reason.clone() }),
        _ => None,
    });
    Ok(PolicyHistory { versions, refusals: refused.collect() })
}

/// How the settings of two policies' texts differ, defaults filled in.
pub fn changes(before: &str, after: &str) -> Vec<SettingChange> {
    differences(&settings(before), &settings(after))
}

/// Every setting of a policy by its dotted key, defaults filled in; of a text that this program does not understand what it says.
fn settings(text: &str) -> BTreeMap<String, Value> {
    let value = match document(text) {
        Ok(document) => serde_json::to_value(document).unwrap_or_default(),
        Err(_) => serde_json::from_str(text).unwrap_or_default(),
    };
    let mut settings = BTreeMap::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(inner) => open.extend(
                inner
                    .into_iter()
                    .map(|(key, value)| (if path.is_empty() { key } else { format!("{path}.{key}") }, value)),
            ),
            value => drop(settings.insert(path, value)),
        }
    }
    settings
}

/// How settings differ, by key.
fn differences(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<SettingChange> {
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |settings: &BTreeMap<String, Value>, key: &String| settings.get(key).cloned().unwrap_or_default();
    keys.into_iter()
        .map(|key| SettingChange { key: key.clone(), before: of(before, key), after: of(after, key) })
        .filter(|difference| difference.before != difference.after)
        .collect()
}
