//! Which of a group's activities its operator is told, in his words.
//!
//! | kind | when |
//! |---|---|
//! | `launched` | EC2 accepted a launch that replaces nobody |
//! | `replaced` | EC2 accepted a launch in place of an unhealthy member |
//! | `terminated` | EC2 accepted a termination |
//! | `held` | a decision does nothing for another reason than that the size suits: once, and again when the reason changes |
//! | `refused` | an edit of the policy was refused |
//! | `breaker-opened` | many members are silent together, and few are replaced from now on |
//! | `breaker-closed` | that is over |
//!
//! A decision that is folded into the one before it (O2) is not told again. Whether a breaker was open before is in the snapshot
//! that is recorded with a decision; groups above 50 members record none, and are told when a breaker opens, but not when it closes.

use muster_control::activity::{Activity, Event};
use muster_core::policy::Mode;
use muster_core::report::{Report, Rule};
use muster_core::snapshot::Snapshot;
use muster_core::time::Timestamp;
use serde::Serialize;

/// Characters of a sentence: parts of it are EC2's or the operator's own.
const TEXT_KEPT: usize = 500;

/// One thing that the operator is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupEvent {
    /// What has happened.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// The activity's id, by which it is found in the log. One activity may be told as two events of different kinds.
    pub id: String,
    /// A sentence for people.
    pub text: String,
    /// The instance, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The unhealthy instance that another is launched in place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// EC2 accepted a launch.
    Launched,
    /// EC2 accepted a launch in place of an unhealthy member.
    Replaced,
    /// EC2 accepted a termination.
    Terminated,
    /// The size is kept, for a reason.
    Held,
    /// An edit of the policy was refused.
    Refused,
    /// Few are replaced from now on.
    BreakerOpened,
    /// That is over.
    BreakerClosed,
}

/// What the operator is told of `activities`, in their order.
pub fn events(activities: &[Activity]) -> Vec<GroupEvent> {
    activities.iter().flat_map(told).collect()
}

fn told(activity: &Activity) -> Vec<GroupEvent> {
    let event = |kind, text: String| GroupEvent {
        kind,
        at: activity.at,
        id: activity.id.clone(),
        text: text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_KEPT).collect(),
        instance: None,
        replaces: None,
    };
    match &activity.event {
        Event::Launched { instance, zone, cause, replaces, .. } => {
            let place = if zone.is_empty() { String::new() } else { format!(" in {zone}") };
            let (kind, text) = match replaces {
                None => (Kind::Launched, format!("{instance} was launched{place} ({cause})")),
                Some(old) => (Kind::Replaced, format!("{instance} was launched{place} in place of {old} ({cause})")),
            };
            let replaces = replaces.as_ref().map(ToString::to_string);
            vec![GroupEvent { instance: Some(instance.to_string()), replaces, ..event(kind, text) }]
        }
        Event::Terminated { instance, cause, .. } => {
            let text = format!("{instance} was terminated ({cause})");
            vec![GroupEvent { instance: Some(instance.to_string()), ..event(Kind::Terminated, text) }]
        }
        Event::PolicyRefused { reason } => vec![event(Kind::Refused, format!("the policy was refused: {reason}"))],
        // What is folded into the decision before it has been told with that one.
        Event::Decision { count, .. } if *count > 1 => Vec::new(),
        Event::Decision { report, snapshot, .. } => {
            let held = held(report).map(|text| (Kind::Held, text));
            held.into_iter().chain(breaker(report, snapshot.as_deref())).map(|(kind, text)| event(kind, text)).collect()
        }
        Event::Abandoned { .. }
        | Event::Joined { .. }
        | Event::Draining { .. }
        | Event::TakenBack { .. }
        | Event::Disowned { .. }
        | Event::Lost { .. }
        | Event::PolicyAccepted { .. } => Vec::new(),
    }
}

/// Why a decision kept the size and did nothing, when that is more than that the size suits (Z1, Z3), that nobody is wanted (Z7), that a window
/// wants it (F4) or that the sweep has had its decision (S7).
fn held(report: &Report) -> Option<String> {
    let Report { desired, rule, actions, stages, waits, withheld, headline, .. } = report;
    let moved = desired.before != desired.after || !actions.is_empty();
    let wished = stages.iter().any(|stage| stage.desired != desired.before);
    let waits: Vec<_> = waits.iter().filter(|wait| wait.rule != Rule::S7).collect();
    let suits = matches!(rule, Rule::F4 | Rule::Z1 | Rule::Z3 | Rule::Z7 | Rule::S7)
        && !wished
        && waits.is_empty()
        && withheld.is_empty();
    if moved || suits {
        return None;
    }
    let why = waits.iter().map(|wait| format!("{} ({})", wait.text, wait.rule));
    let more = withheld.iter().map(|step| format!("withheld: {step}"));
    Some([headline.clone()].into_iter().chain(why).chain(more).collect::<Vec<_>>().join("; "))
}

/// Whether a breaker has opened or closed with this decision.
fn breaker(report: &Report, snapshot: Option<&Snapshot>) -> Option<(Kind, String)> {
    let said = |part: &str| report.remarks.iter().find(|r| r.rule == Rule::H3 && r.text.contains(part));
    let was_open = snapshot.map(|snapshot| snapshot.head.breaker.is_some() || !snapshot.head.zone_breakers.is_empty());
    match (said("are silent together"), was_open) {
        (Some(open), None | Some(false)) => Some((Kind::BreakerOpened, open.text.clone())),
        // While nobody at all answers a breaker is kept and not spoken of.
        (None, Some(true)) if snapshot.is_some_and(|s| judges(s, report)) && said("none of").is_none() => {
            Some((Kind::BreakerClosed, "the members answer again: replacements are no longer held back".into()))
        }
        (Some(_) | None, _) => None,
    }
}

/// Whether the decision has judged the breakers: it does on a sweep that is new, whole and not blind.
fn judges(snapshot: &Snapshot, report: &Report) -> bool {
    let sweep = snapshot.sweep.as_ref();
    let new = sweep
        .is_some_and(|sweep| sweep.blind.is_none() && sweep.awaited == 0 && snapshot.head.last_slot < Some(sweep.slot));
    let stale = report.rule == Rule::O8 || report.waits.iter().any(|wait| wait.rule == Rule::O8);
    new && !stale && report.mode != Mode::Paused
}

#[cfg(test)]
mod tests;
