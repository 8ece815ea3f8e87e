//! What would have to happen for a decision to change.

use muster_core::policy::{Change, Mode, Pace, Policy, ScalingRule};
use muster_core::report::{Report, Rule};
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
    if closed(Rule::O8) {
        Some("would go by load and health again with the next fresh sweep")
    } else if report.rule == Rule::M5 {
        Some("would go by the load again when enough members answer with a fresh sample")
    } else if report.rule == Rule::Z7 {
        Some("would launch when its schedule or an edit of its policy asks for somebody")
    } else {
        None
    }
}

fn scale_out(report: &Report, policy: &Policy) -> Option<String> {
    let (max, desired) = (policy.max, report.desired.after);
    if desired >= max {
        return Some(format!("would scale out no further: {max} is max_instances"));
    }
    let after = after(policy.out, report, "scale-out");
    match &policy.scaling {
        ScalingRule::Auto(_) => Some(format!(
            "would scale out as soon as the rules that did best lately ask for more than {desired}, at once when processors are full{after}"
        )),
        rule => {
            let high = Thresholds::of(rule).high?;
            Some(format!("would scale out{} above {}{}{after}", step_out(rule, desired), percent(high), mean(report)))
        }
    }
}

fn scale_in(report: &Report, policy: &Policy) -> Option<String> {
    let (min, desired) = (policy.min, report.desired.after);
    if report.mode == Mode::OutOnly {
        return Some("would scale in when the policy's mode is active".into());
    }
    if desired <= min {
        return Some(format!("would scale in no further: {min} is min_instances"));
    }
    let after = after(policy.inward, report, "scale-in");
    match &policy.scaling {
        ScalingRule::Auto(_) => Some(format!(
            "would scale in when the rules that did best lately ask for fewer than {desired} for long enough{after}"
        )),
        rule => {
            let Some(low) = Thresholds::of(rule).low else {
                return Some("would never scale in: the policy has no step for it".into());
            };
            let lasts = match policy.inward.stabilization {
                span if span.is_zero() => String::new(),
                span => format!(" for {}", spoken(span)),
            };
            let missing = match report.counts.missing {
                0 => "",
                _ => ", the missing counted at 100 %",
            };
            Some(format!("would scale in if the mean fell below {}{lasts}{missing}{after}", percent(low)))
        }
    }
}

/// What the mean is, for comparison.
fn mean(report: &Report) -> String {
    report.load.map_or_else(String::new, |load| format!(": the mean is {}", percent(load.mean)))
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

/// What that would have to wait for besides.
fn after(pace: Pace, report: &Report, direction: &str) -> String {
    let waits = report.waits.iter().find(|wait| wait.rule == Rule::F2 && wait.text.contains(direction));
    match waits {
        Some(_) if !pace.cooldown.is_zero() => format!(", once its cooldown of {} is over", spoken(pace.cooldown)),
        Some(_) | None => String::new(),
    }
}
