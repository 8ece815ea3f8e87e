//! Steps: for each bound so many members or such a share (Z1, Z2).
//!
//! Of the steps that speak the one that changes most counts. In a list of steps that grow it is the farthest; in any other, a
//! busier group would get less than a calmer one (S10).

use crate::group::Head;
use crate::policy::{Change, StepRule, Stride};
use crate::report::Rule;

use super::{
    Raw, Recommendation, enough_ordered, mean, mean_over_ordered, mean_with_missing_full, ordered, over_all, percent,
    still_booting, with_full,
};
use crate::decide::census::Census;

pub(super) fn recommend(census: &Census<'_>, rule: &StepRule, head: &Head) -> Recommendation {
    let (n, mean) = (head.desired, mean(census));
    if let Some(step) = most(rule.out.iter().filter(|step| mean > step.bound), n) {
        return scale_out(census, rule, head, step, mean);
    }
    if let Some(step) = most(rule.inward.iter().filter(|step| mean < step.bound), n) {
        return scale_in(census, rule, n, step, mean);
    }
    let (up, mean) = (percent(lowest(rule)), percent(mean));
    let why = match rule.inward.first() {
        Some(down) => format!("mean load {mean} is within {} and {up}", percent(down.bound)),
        None => format!("mean load {mean} is not above {up}"),
    };
    Recommendation::still(n, Rule::Z1, why)
}

/// The lowest bound of a step out.
pub(super) fn lowest(rule: &StepRule) -> f64 {
    rule.out.first().map_or(100.0, |step| step.bound)
}

/// The step that changes most, of several the farthest.
fn most<'r>(steps: impl Iterator<Item = &'r Stride>, n: u32) -> Option<Stride> {
    steps.max_by_key(|step| step.change.of(n)).copied()
}

const fn multiplies(step: &Stride) -> bool {
    matches!(step.change, Change::Percent(_))
}

fn scale_out(census: &Census<'_>, rule: &StepRule, head: &Head, step: Stride, mean: f64) -> Recommendation {
    let n = head.desired;
    let after = |step: Stride| n.saturating_add(step.change.of(n));
    let why = format!("mean load {} is above {}", percent(mean), percent(step.bound));
    let raw = Raw { desired: after(step), rule: Rule::Z2, why };
    if let Some((by, text)) = enough_ordered(census, n, lowest(rule)) {
        return raw.held(n, by, &text);
    }
    // Who is on his way counts at 0 %, and the steps that still speak are those that still count (M4).
    let low = mean_over_ordered(census, n);
    let reached = rule.out.iter().filter(|step| low > step.bound);
    let booting = still_booting(census, head);
    let free = reached.clone().filter(|step| booting.is_none() || !multiplies(step));
    let (all, free) = (most(reached, n).map(after), most(free, n));
    let Some(free) = free else { return raw.held(n, Rule::Z2, &booting.unwrap_or_default()) };
    let wanted = after(free);
    let recommendation = match booting.filter(|_| all > Some(wanted)) {
        Some(text) => raw.lowered(wanted, Rule::Z2, &text),
        None if wanted < raw.desired => {
            let text = format!("over the {} there or ordered it is {}", ordered(census, n), percent(low));
            raw.lowered(wanted, Rule::M4, &text)
        }
        None => raw.confirmed(Rule::M4, over_all(census, n)),
    };
    Recommendation { by_factor: multiplies(&free), ..recommendation }
}

fn scale_in(census: &Census<'_>, rule: &StepRule, n: u32, step: Stride, mean: f64) -> Recommendation {
    let after = |step: Stride| n.saturating_sub(step.change.of(n));
    let why = format!("mean load {} is below {}", percent(mean), percent(step.bound));
    let raw = Raw { desired: after(step), rule: Rule::Z2, why };
    let high = mean_with_missing_full(census);
    match most(rule.inward.iter().filter(|step| high < step.bound), n).map(after) {
        None => raw.held(n, Rule::M3, &with_full(census)),
        Some(wanted) if wanted > raw.desired => raw.lowered(wanted, Rule::M2, &with_full(census)),
        Some(_) => raw.confirmed(Rule::M2, with_full(census)),
    }
}
