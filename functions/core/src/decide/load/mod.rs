//! From the members' loads to a recommendation: the policy's rule on what is known, then again on what must be assumed of
//! the missing and the not yet serving (M1-M5).
//!
//! What is assumed is the same for every rule and stands here; [`threshold`], [`target`], [`step`] and [`auto`] are the kinds of
//! rule. [`signals`] has what may ask for more than the rule does.

mod auto;
mod signals;
mod step;
mod target;
mod threshold;

use crate::group::Head;
use crate::policy::{Policy, ScalingRule};
use crate::report::{Rule, Stage, StageName};
use crate::time::spoken;

pub(super) use auto::{Opinion, opinion};

use super::census::Census;
use super::counted;

pub(super) use signals::{overloaded, unsure};

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

/// The mean above which the rule would bring members back (F5).
pub(super) fn brings_back(rule: &ScalingRule) -> f64 {
    match rule {
        ScalingRule::Threshold(rule) => rule.up,
        ScalingRule::Target(rule) => target::band(*rule).1,
        ScalingRule::Step(rule) => step::lowest(rule),
        ScalingRule::Auto(_) => 100.0 * crate::auto::OVERLOADED,
    }
}

/// What the rule asks for.
pub(super) struct Recommendation {
    pub(super) desired: u32,
    pub(super) stages: Vec<Stage>,
    pub(super) rule: Rule,
    pub(super) why: String,
    /// Whether it multiplies desired: then there is no further such one within one boot time (Z2).
    pub(super) by_factor: bool,
}

impl Recommendation {
    /// Nothing is asked for.
    fn still(n: u32, rule: Rule, why: String) -> Self {
        Raw { desired: n, rule, why: why.clone() }.becomes(n, rule, rule, why, None)
    }
}

/// What the rule says of the mean as it is, before anything is assumed.
struct Raw {
    desired: u32,
    rule: Rule,
    why: String,
}

impl Raw {
    /// The recommendation of `rule` once `filled` has looked at what must be assumed, and has said `text` of it.
    fn becomes(self, desired: u32, rule: Rule, filled: Rule, why: String, text: Option<String>) -> Recommendation {
        let mut stages = vec![Stage { stage: StageName::Raw, desired: self.desired, rule: self.rule, text: self.why }];
        stages.extend(text.map(|text| Stage { stage: StageName::Filled, desired, rule: filled, text }));
        Recommendation { desired, stages, rule, why, by_factor: false }
    }

    /// It is confirmed, because of `filled`.
    fn confirmed(self, filled: Rule, text: String) -> Recommendation {
        let (desired, rule, why) = (self.desired, self.rule, self.why.clone());
        self.becomes(desired, rule, filled, why, Some(text))
    }

    /// Less is done than it asks for, because of `filled`.
    fn lowered(self, desired: u32, filled: Rule, text: &str) -> Recommendation {
        let (rule, why) = (self.rule, format!("{}, but {text}", self.why));
        self.becomes(desired, rule, filled, why.clone(), Some(why))
    }

    /// Nothing is done after all, because of `rule`.
    fn held(self, n: u32, rule: Rule, text: &str) -> Recommendation {
        Recommendation { rule, ..self.lowered(n, rule, text) }
    }
}

/// The size that the load asks for, from the desired size as it is.
pub(super) fn recommend(
    census: &Census<'_>,
    policy: &Policy,
    head: &Head,
    opinion: Option<&Opinion>,
) -> Recommendation {
    let n = head.desired;
    if policy.empties(n) {
        return Recommendation::still(n, Rule::Z7, nobody_wanted(census));
    }
    if let Some(why) = too_thin(census, policy) {
        return Recommendation::still(n, Rule::M5, why);
    }
    let rule = match &policy.scaling {
        ScalingRule::Threshold(rule) => threshold::recommend(census, *rule, head),
        ScalingRule::Target(rule) => target::recommend(census, *rule, n),
        ScalingRule::Step(rule) => step::recommend(census, rule, head),
        ScalingRule::Auto(_) => auto::recommend(census, opinion, n),
    };
    signals::combine(rule, census, policy, n)
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

/// Why those who are missing, on their way or still to be launched are enough, at 0 %, for a load above `bound` (M2-M4).
fn enough_ordered(census: &Census<'_>, n: u32, bound: f64) -> Option<(Rule, String)> {
    let low = mean_over_ordered(census, n);
    if low > bound {
        return None;
    }
    // The missing alone may turn it; else it is the members on their way that hold.
    let with_missing = tidy(census.load_sum / f64::from((census.counts.serving + census.counts.missing).max(1)));
    Some(if with_missing <= bound {
        (Rule::M3, format!("with {} at 0 % it is {}", missing(census), percent(with_missing)))
    } else {
        (Rule::M4, format!("over the {} there or ordered it is {}", ordered(census, n), percent(low)))
    })
}

/// Why desired may not be multiplied again: what was launched last may not have booted (Z2).
fn still_booting(census: &Census<'_>, head: &Head) -> Option<String> {
    let (passed, boot) = (census.now.since(head.factor_out_at?), head.boot_time());
    let young = passed < boot;
    young.then(|| format!("the last scale-out is {} old and booting takes {}", spoken(passed), spoken(boot)))
}

/// What the mean is over all members there or ordered (M4).
fn over_all(census: &Census<'_>, n: u32) -> String {
    format!("over all members there or ordered it is {}", percent(mean_over_ordered(census, n)))
}

/// What the mean is with the missing at 100 % (M2).
fn with_full(census: &Census<'_>) -> String {
    format!("with {} at 100 % it is {}", missing(census), percent(mean_with_missing_full(census)))
}

/// `4 members`, by max(desired, actual).
fn ordered(census: &Census<'_>, n: u32) -> String {
    counted(usize::try_from(n.max(census.counts.actual)).unwrap_or(usize::MAX), "member")
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
