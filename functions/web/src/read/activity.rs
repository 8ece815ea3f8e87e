//! What has happened, page by page, the newest first.

use std::collections::BTreeSet;

use muster_control::activity::{Activity, Event};
use muster_control::ports::ActivityLog;
use muster_core::group::GroupName;
use muster_core::report::Rule;
use muster_core::time::{Timestamp, spoken};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::looked::decision_id;
use super::now::cause;
use super::{Ms, ReadError, ms};
use crate::stand::Stand;

/// Activities in a page when nobody says how many.
pub const USUAL: u32 = 50;
/// Activities in a page at most.
pub const MOST: u32 = 200;
/// Activities of one millisecond at most: a claim writes fewer.
const OF_ONE_MOMENT: usize = 100;
/// Pages of the log that one answer looks through for the kinds that are wanted.
const PAGES: u32 = 5;

/// A page of what has happened.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ActivityPage {
    /// The newest first.
    pub items: Vec<ActivityItem>,
    /// `until` of the page that goes on where this one ends; none: there is nothing before it.
    pub next_until: Option<Ms>,
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ActivityItem {
    /// Its id; of a decision the id under which it is found again.
    pub id: String,
    /// When; of equal decisions when the last was taken.
    pub at: Ms,
    /// When the first of equal decisions was taken; else as `at`. The items are in its order.
    pub since: Ms,
    /// How many equal decisions there were; else 1.
    pub count: u32,
    /// What.
    pub kind: ActivityKind,
    /// In words.
    pub text: String,
    /// The instance that it is about.
    pub instance: Option<String>,
    /// Why.
    pub cause: Option<String>,
    /// The decision that it is or follows from, where that is known.
    pub decision: Option<String>,
    /// The rule that bound the decision.
    pub rule: Option<Rule>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the event of that name in the activity log")]
pub enum ActivityKind {
    Decision,
    Launched,
    Terminated,
    Abandoned,
    Joined,
    Draining,
    TakenBack,
    Disowned,
    Lost,
    PolicyAccepted,
    PolicyRefused,
}

/// Which activities are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedActivity {
    /// From when on; everything when nobody says it.
    pub from: Option<Timestamp>,
    /// Until before when; to the end when nobody says it.
    pub until: Option<Timestamp>,
    /// How many at most; [`USUAL`] when nobody says it, [`MOST`] at most.
    pub limit: Option<u32>,
    /// Which kinds; all when there is none.
    pub kinds: BTreeSet<ActivityKind>,
}

/// A page of what has happened to a group.
pub async fn activity<S: ActivityLog, P, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    asked: &AskedActivity,
) -> Result<ActivityPage, ReadError> {
    let limit = asked.limit.unwrap_or(USUAL).clamp(1, MOST) as usize;
    let from = asked.from.unwrap_or(Timestamp::EPOCH);
    let (mut items, mut until) = (Vec::new(), asked.until);
    for _ in 0..PAGES {
        let size = if asked.kinds.is_empty() { limit } else { MOST as usize };
        let (page, next) = page(&stand.store, group, from, until, size).await?;
        let links = links(&page);
        for activity in page.iter().rev() {
            let item = item(activity, &links);
            if !asked.kinds.is_empty() && !asked.kinds.contains(&item.kind) {
                continue;
            }
            // A page ends between two moments, so that the next one begins behind all of one.
            let full = items.len() >= limit;
            if full && items.last().is_some_and(|last: &ActivityItem| last.since != item.since) {
                let next_until = items.last().map(|last: &ActivityItem| last.since);
                return Ok(ActivityPage { items, next_until });
            }
            items.push(item);
        }
        until = next;
        if next.is_none() || items.len() >= limit {
            break;
        }
    }
    Ok(ActivityPage { items, next_until: until.map(ms) })
}

/// The newest activities before `until`, oldest first, more than `limit` if there are; and before when the next ones are.
async fn page<S: ActivityLog>(
    store: &S,
    group: &GroupName,
    from: Timestamp,
    until: Option<Timestamp>,
    limit: usize,
) -> Result<(Vec<Activity>, Option<Timestamp>), ReadError> {
    let most = limit + OF_ONE_MOMENT;
    let mut found = store.between(group, from, until, most).await?;
    if found.len() < most {
        return Ok((found, None));
    }
    let moment = |activity: &Activity| activity.sort_key().0;
    // There may be more of the oldest moment: it is left to the next page, unless there is no other.
    let oldest = found.first().map(moment);
    if found.last().map(moment) != oldest {
        found.retain(|activity| Some(moment(activity)) != oldest);
    }
    let next = found.first().map(moment);
    Ok((found, next))
}

/// The decisions of a page: HEAD's version after each, and the id under which it is found.
fn links(page: &[Activity]) -> Vec<(u64, String)> {
    let of = |activity: &Activity| match &activity.event {
        Event::Decision { version, since, .. } => Some((*version, decision_id(*since, &activity.id))),
        _ => None,
    };
    page.iter().filter_map(of).collect()
}

fn item(activity: &Activity, links: &[(u64, String)]) -> ActivityItem {
    let plain = |kind, text: String| ActivityItem {
        id: activity.id.clone(),
        at: ms(activity.at),
        since: ms(activity.sort_key().0),
        count: 1,
        kind,
        text,
        instance: None,
        cause: None,
        decision: claimed_by(&activity.id)
            .and_then(|version| links.iter().find(|(of, _)| *of == version).map(|(_, id)| id.clone())),
        rule: None,
    };
    let about = |item: ActivityItem, instance: &muster_core::member::InstanceId| ActivityItem {
        instance: Some(instance.to_string()),
        ..item
    };
    match &activity.event {
        Event::Decision { report, since, count, .. } => {
            let id = decision_id(*since, &activity.id);
            let item = plain(ActivityKind::Decision, report.headline.clone());
            ActivityItem { id: id.clone(), count: *count, decision: Some(id), rule: Some(report.rule), ..item }
        }
        Event::Launched { instance, zone, cause: why, replaces, .. } => {
            let place = if zone.is_empty() { String::new() } else { format!(" in {zone}") };
            let whom = replaces.as_ref().map(|id| format!(", in place of {id}")).unwrap_or_default();
            let text = format!("{instance} was launched{place} ({}{whom})", cause(*why));
            ActivityItem { cause: Some(cause(*why)), ..about(plain(ActivityKind::Launched, text), instance) }
        }
        Event::Terminated { instance, cause: why, .. } => {
            let text = format!("{instance} was terminated ({})", cause(*why));
            ActivityItem { cause: Some(cause(*why)), ..about(plain(ActivityKind::Terminated, text), instance) }
        }
        Event::Abandoned { intent, reason } => {
            plain(ActivityKind::Abandoned, format!("a call was given up: {reason} (intent {intent})"))
        }
        Event::Joined { instance, boot_ms } => {
            let took = spoken(std::time::Duration::from_millis(*boot_ms));
            about(
                plain(ActivityKind::Joined, format!("{instance} has answered, {took} after it was ordered")),
                instance,
            )
        }
        Event::Draining { instance, cause: why } => {
            let text = format!("{instance} drains ({})", cause(*why));
            ActivityItem { cause: Some(cause(*why)), ..about(plain(ActivityKind::Draining, text), instance) }
        }
        Event::TakenBack { instance } => about(
            plain(ActivityKind::TakenBack, format!("{instance} is needed after all: its drain is taken back")),
            instance,
        ),
        Event::Disowned { instance } => about(
            plain(ActivityKind::Disowned, format!("{instance} is no longer tagged as ours, and left alone")),
            instance,
        ),
        Event::Lost { instance } => {
            about(plain(ActivityKind::Lost, format!("{instance} is gone, and nobody here has ended it")), instance)
        }
        Event::PolicyAccepted { version } => {
            plain(ActivityKind::PolicyAccepted, format!("policy version {version} is in force"))
        }
        Event::PolicyRefused { reason } => {
            plain(ActivityKind::PolicyRefused, format!("an edit of the policy was refused: {reason}"))
        }
    }
}

/// HEAD's version after the claim that an activity follows from, by its id: `VERSION-...`, or `intent-BORN-VERSION-ORDINAL`.
fn claimed_by(id: &str) -> Option<u64> {
    let version = match id.strip_prefix("intent-") {
        Some(intent) => intent.split('-').nth(1)?,
        None => id.split('-').next()?,
    };
    version.parse().ok()
}
