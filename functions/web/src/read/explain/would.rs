//! What would have to happen for a decision to change.

use std::cmp::Ordering;

use muster_core::policy::{Change, Mode, Pace, Policy, ScalingRule};
use muster_core::report::{Report, Rule, StageName};
use muster_core::time::spoken;

use super::super::looked::Thresholds;
use super::super::percent;

/// The sentences; none where the policy is not known and the report says nothing of it.
pub(super) fn would(report: &Report, policy: Option<&Policy>) -> Vec<String> {
    let mut told = Vec::new();
    match report.mode {
        Mode::Paused => return vec!["would decide again when the pause ends or the policy's mode is active".into()],
        Mode::Observe => told.push("would act when the policy's mode is active".into()),
        Mode::Active | Mode::OutOnly => {}
    }
    if let Some(blocked) = blocked(report) {
        told.push(blocked.into());
        return told;
    }
    let Some(policy) = policy else { return told };
    told.extend(scale_out(report, policy));
    told.extend(scale_in(report, policy));
    told
}

/// What must come first, while load moves nothing at all.
fn blocked(report: &Report) -> Option<&'static str> {
    let closed = |rule| report.rule == rule || report.waits.iter().any(|wait| wait.rule == rule);
    if report.slot.is_none() {
        Some("would go by load and health with its first sweep")
    } else if closed(Rule::O8) {
        Some("would go by load and health again with the next fresh sweep")
    } else if report.rule == Rule::M5 {
        Some("would go by the load again when enough members answer with a fresh sample")
    } else if report.rule == Rule::Z7 {
        Some("would launch when its schedule or an edit of its policy asks for somebody")
    } else {
        None
    }
}

/// Whether something of this rule is waited for that holds a direction back.
fn waits(report: &Report, rule: Rule) -> bool {
    report.waits.iter().any(|wait| wait.rule == rule)
}

fn scale_out(report: &Report, policy: &Policy) -> Option<String> {
    let (max, desired) = (policy.max, report.desired.after);
    if desired >= max {
        return Some(format!("would scale out no further: {max} is max_instances"));
    }
    let held = held(report, policy.out, Ordering::Greater);
    let ScalingRule::Auto(_) = &policy.scaling else {
        let (high, mean) = (Thresholds::of(&policy.scaling).high?, report.load.map(|load| load.mean));
        let step = step_out(&policy.scaling, desired);
        return Some(match (held, mean) {
            (Some(held), _) => format!("would scale out{step} {held}, if the mean is still above {}", percent(high)),
            (None, Some(mean)) => {
                format!("would scale out{step} above {}: the mean is {}", percent(high), percent(mean))
            }
            (None, None) => format!("would scale out{step} above {}", percent(high)),
        });
    };
    let held = held.map_or_else(String::new, |held| format!(", {held}"));
    Some(format!(
        "would scale out as soon as the rules that did best lately ask for more than {desired}, at once when processors are full{held}"
    ))
}

fn scale_in(report: &Report, policy: &Policy) -> Option<String> {
    let (min, desired) = (policy.min, report.desired.after);
    if report.mode == Mode::OutOnly {
        return Some("would scale in when the policy's mode is active".into());
    }
    if desired <= min {
        return Some(format!("would scale in no further: {min} is min_instances"));
    }
    let held = held(report, policy.inward, Ordering::Less);
    let rule = &policy.scaling;
    if let ScalingRule::Auto(_) = rule {
        let held = held.map_or_else(String::new, |held| format!(", {held}"));
        let text = format!(
            "would scale in when the rules that did best lately ask for fewer than {desired} for long enough{held}"
        );
        return Some(text);
    }
    let Some(low) = Thresholds::of(rule).low else {
        return Some("would never scale in: the policy has no step for it".into());
    };
    if let Some(held) = held {
        return Some(format!("would scale in {held}, if the mean is still below {}", percent(low)));
    }
    // The rest must bear what the one who goes has borne (F5).
    let bearable = Thresholds::of(rule).high.map_or(100.0, |high| high * f64::from(desired - 1) / f64::from(desired));
    let projected = if bearable < low { ", so that the rest would bear it" } else { "" };
    let lasts = match policy.inward.stabilization {
        span if span.is_zero() => String::new(),
        span => format!(" for {}", spoken(span)),
    };
    let missing = match (report.counts.missing, report.load) {
        (0, _) | (_, None) => String::new(),
        (_, Some(load)) => format!(" with the missing at 100 %: now that is {}", percent(load.at_most)),
    };
    Some(format!("would scale in if the mean fell below {}{lasts}{projected}{missing}", percent(low.min(bearable))))
}

/// By how much, where a step is a number of members.
fn step_out(rule: &ScalingRule, desired: u32) -> String {
    match rule {
        ScalingRule::Step(rule) => rule.out.first().map_or_else(String::new, |step| match step.change {
            Change::Members(members) => format!(" by {members}"),
            Change::Percent(_) => format!(" by {}", step.change.of(desired)),
        }),
        ScalingRule::Threshold(_) | ScalingRule::Target(_) | ScalingRule::Auto(_) => String::new(),
    }
}

/// What holds back a change that the load asks for already, if that is the way that it asks for.
fn held(report: &Report, pace: Pace, way: Ordering) -> Option<String> {
    let asked = report
        .stages
        .iter()
        .rev()
        .find(|stage| matches!(stage.stage, StageName::Raw | StageName::Filled | StageName::Signals));
    if asked?.desired.cmp(&report.desired.before) != way {
        return None;
    }
    let size = if way == Ordering::Less { "larger" } else { "smaller" };
    if waits(report, Rule::F2) {
        Some(format!("when its cooldown of {} is over", spoken(pace.cooldown)))
    } else if waits(report, Rule::F1) {
        Some(format!("when nothing {size} has been asked for for {}", spoken(pace.stabilization)))
    } else if waits(report, Rule::F3) {
        Some("when the last scale-in has drained".into())
    } else if waits(report, Rule::F8) {
        Some(format!("when the window of {} has room", spoken(pace.window)))
    } else {
        None
    }
}
