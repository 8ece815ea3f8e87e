//! From the members' loads to a recommendation: the threshold rule on what is known, then again on what must be
//! assumed of the missing and the not yet serving (M1-M5, Z1, Z2).

use std::cmp::Ordering;

use crate::group::Head;
use crate::policy::Policy;
use crate::report::{Rule, Stage, StageName};
use crate::time::spoken;

use super::census::Census;
use super::counted;

/// Products like 10 x 1.1 come out a hair above the whole number that people mean.
const ROUNDING: f64 = 1e-9;
/// Steps of a mean in one per cent.
const PER_UNIT: f64 = 1e9;

/// Mean load of the serving members; 0 when nobody serves.
pub(super) fn mean(census: &Census<'_>) -> f64 {
    tidy(census.load_sum / f64::from(census.counts.serving.max(1)))
}

/// A mean without the dust of floating point: ten loads of 70.1 % are 70.1 % and not above it (Z1).
pub(super) fn tidy(mean: f64) -> f64 {
    (mean * PER_UNIT).round() / PER_UNIT
}

/// The mean with every missing member at 100 %, which is never below a threshold (M2).
pub(super) fn mean_with_missing_full(census: &Census<'_>) -> f64 {
    let missing = f64::from(census.counts.missing);
    tidy((census.load_sum + 100.0 * missing) / (f64::from(census.counts.serving) + missing).max(1.0))
}

/// The sum of the loads over max(desired, actual): Pending, Warming, missing and not yet launched members at 0 %
/// (M2, M4).
pub(super) fn mean_over_ordered(census: &Census<'_>, desired: u32) -> f64 {
    tidy(census.load_sum / f64::from(desired.max(census.counts.actual).max(1)))
}

/// What the rule asks for.
pub(super) struct Recommendation {
    pub(super) desired: u32,
    pub(super) stages: Vec<Stage>,
    pub(super) rule: Rule,
    pub(super) why: String,
}

impl Recommendation {
    fn stage(stage: StageName, desired: u32, rule: Rule, text: &str) -> Stage {
        Stage { stage, desired, rule, text: text.to_owned() }
    }

    fn hold(n: u32, rule: Rule, why: String) -> Self {
        let stages = vec![Self::stage(StageName::Raw, n, rule, &why)];
        Self { desired: n, stages, rule, why }
    }
}

/// The size that the load asks for, from the desired size as it is.
pub(super) fn recommend(census: &Census<'_>, policy: &Policy, head: &Head) -> Recommendation {
    let n = head.desired;
    if policy.wants_nobody() {
        return Recommendation::hold(n, Rule::Z7, nobody_wanted(census));
    }
    if let Some(why) = too_thin(census, policy) {
        return Recommendation::hold(n, Rule::M5, why);
    }
    let rule = policy.threshold;
    let mean = mean(census);
    if mean > rule.up {
        scale_out(census, policy, head, mean)
    } else if mean < rule.down {
        scale_in(census, policy, n, mean)
    } else {
        let why = format!("mean load {} is within {} and {}", percent(mean), percent(rule.down), percent(rule.up));
        Recommendation::hold(n, Rule::Z1, why)
    }
}

/// What there is to say of a group that is to be empty: its load asks for nothing (Z7).
fn nobody_wanted(census: &Census<'_>) -> String {
    let counts = census.counts;
    let there = counts.actual + counts.draining + counts.terminating;
    let rest = if there == 0 { ", and nobody is there: nothing to do" } else { "" };
    format!("nobody is wanted{rest}")
}

/// Why too little is known for load to move anything (M5).
fn too_thin(census: &Census<'_>, policy: &Policy) -> Option<String> {
    let counts = census.counts;
    let due = counts.in_service + counts.suspect;
    if counts.serving == 0 {
        return Some(match due {
            0 => format!("nobody is in service yet ({} pending, {} warming)", counts.pending, counts.warming),
            due => format!("none of {due} members in service has a fresh sample"),
        });
    }
    let enough = u64::from(census.answering) * 100 >= u64::from(due) * u64::from(policy.min_available_percent);
    (!enough).then(|| {
        format!("only {} of {due} members in service answer, {} % must", census.answering, policy.min_available_percent)
    })
}

fn scale_out(census: &Census<'_>, policy: &Policy, head: &Head, mean: f64) -> Recommendation {
    let n = head.desired;
    let rule = policy.threshold;
    let above = format!("mean load {} is above {}", percent(mean), percent(rule.up));
    let wanted = (f64::from(n) * rule.up_factor - ROUNDING).ceil();
    let wanted = saturate(wanted).max(n.saturating_add(1));
    let mut stages = vec![Recommendation::stage(StageName::Raw, wanted, Rule::Z2, &above)];
    let low = mean_over_ordered(census, n);
    let hold = |mut stages: Vec<Stage>, rule, why: String| {
        stages.push(Recommendation::stage(StageName::Filled, n, rule, &why));
        Recommendation { desired: n, stages, rule, why }
    };
    if low <= rule.up {
        let counts = census.counts;
        // The missing alone may turn it; else it is the members on their way that hold.
        let with_missing = tidy(census.load_sum / f64::from((counts.serving + counts.missing).max(1)));
        let (by, text) = if with_missing <= rule.up {
            (Rule::M3, format!("with {} at 0 % it is {}", missing(census), percent(with_missing)))
        } else {
            let ordered = counted(usize::try_from(n.max(counts.actual)).unwrap_or(usize::MAX), "member");
            (Rule::M4, format!("over the {ordered} there or ordered it is {}", percent(low)))
        };
        return hold(stages, by, format!("{above}, but {text}"));
    }
    if let Some(since) = head.factor_out_at {
        let (passed, boot) = (census.now.since(since), head.boot_time());
        if passed < boot {
            let (passed, boot) = (spoken(passed), spoken(boot));
            let why = format!("{above}, but the last scale-out is {passed} old and booting takes {boot}");
            return hold(stages, Rule::Z2, why);
        }
    }
    stages.push(Recommendation::stage(
        StageName::Filled,
        wanted,
        Rule::M4,
        &format!("over all members there or ordered it is {}", percent(low)),
    ));
    Recommendation { desired: wanted, stages, rule: Rule::Z2, why: above }
}

fn scale_in(census: &Census<'_>, policy: &Policy, n: u32, mean: f64) -> Recommendation {
    let rule = policy.threshold;
    let below = format!("mean load {} is below {}", percent(mean), percent(rule.down));
    let removed = saturate((f64::from(n) * rule.down_factor + ROUNDING).floor()).max(1);
    let wanted = n.saturating_sub(removed);
    let mut stages = vec![Recommendation::stage(StageName::Raw, wanted, Rule::Z2, &below)];
    let high = mean_with_missing_full(census);
    match high.partial_cmp(&rule.down) {
        Some(Ordering::Less) => {
            let text = format!("with {} at 100 % it is {}", missing(census), percent(high));
            stages.push(Recommendation::stage(StageName::Filled, wanted, Rule::M2, &text));
            Recommendation { desired: wanted, stages, rule: Rule::Z2, why: below }
        }
        Some(Ordering::Equal | Ordering::Greater) | None => {
            let why = format!("{below}, but with {} at 100 % it is {}", missing(census), percent(high));
            stages.push(Recommendation::stage(StageName::Filled, n, Rule::M3, &why));
            Recommendation { desired: n, stages, rule: Rule::M3, why }
        }
    }
}

/// `1 missing member`.
fn missing(census: &Census<'_>) -> String {
    counted(usize::try_from(census.counts.missing).unwrap_or(usize::MAX), "missing member")
}

/// A size from a float, saturating (Z8).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and NaN becomes 0"
)]
fn saturate(size: f64) -> u32 {
    size as u32
}

/// Percent as a person reads it: at most two decimals.
pub(super) fn percent(value: f64) -> String {
    let hundredths = (value * 100.0).round() / 100.0;
    format!("{hundredths} %")
}
