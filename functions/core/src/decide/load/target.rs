//! A mean to aim at, and how far from it nothing is done (Z3).
//!
//! No boot time is waited for between two scale-outs, as after a factor: who is ordered counts at 0 % (M4), so a second one
//! follows only from a load that has risen further.

use crate::policy::TargetRule;
use crate::report::Rule;

use super::{
    Raw, Recommendation, enough_ordered, mean, mean_with_missing_full, ordered, over_all, percent, saturate, tidy,
    with_full,
};
use crate::decide::census::Census;

pub(super) fn recommend(census: &Census<'_>, rule: TargetRule, n: u32) -> Recommendation {
    let (mean, (lower, upper)) = (mean(census), band(rule));
    let beside = |word: &str| format!("mean load {} is {word} the target {}", percent(mean), percent(rule.target));
    if mean > upper {
        scale_out(census, rule, n, beside("above"))
    } else if mean < lower {
        scale_in(census, rule, n, beside("below"))
    } else {
        let within = format!("within {} of", percent(rule.tolerance * 100.0));
        Recommendation::still(n, Rule::Z3, beside(&within))
    }
}

/// The means between which nothing is done; both are inside.
pub(super) fn band(rule: TargetRule) -> (f64, f64) {
    (tidy(rule.target * (1.0 - rule.tolerance)), tidy(rule.target * (1.0 + rule.tolerance)))
}

/// The members that bring `load`, a sum, to the target.
fn members_for(load: f64, rule: TargetRule) -> u32 {
    saturate((load / rule.target - super::ROUNDING).ceil())
}

fn scale_out(census: &Census<'_>, rule: TargetRule, n: u32, why: String) -> Recommendation {
    let least = n.saturating_add(1);
    let raw = Raw { desired: members_for(mean(census) * f64::from(n), rule).max(least), rule: Rule::Z3, why };
    if let Some((by, text)) = enough_ordered(census, n, band(rule).1) {
        return raw.held(n, by, &text);
    }
    let (wanted, why) = (members_for(census.load_sum, rule).max(least), raw.why.clone());
    raw.becomes(wanted, Rule::Z3, Rule::M4, why, Some(over_all(census, n)))
}

fn scale_in(census: &Census<'_>, rule: TargetRule, n: u32, why: String) -> Recommendation {
    // Where rounding up would keep everybody, one may go all the same: F5 says whether the mean stays within the tolerance.
    let of = |mean: f64, members: u32| members_for(mean * f64::from(members), rule).min(members.saturating_sub(1));
    let raw = Raw { desired: of(mean(census), n), rule: Rule::Z3, why };
    let high = mean_with_missing_full(census);
    if high >= band(rule).0 {
        return raw.held(n, Rule::M3, &with_full(census));
    }
    // Who is pending or warming carries the mean; who is there beyond desired carries a part of the load until he goes.
    let wanted = of(high, n.max(census.counts.actual));
    if wanted >= n {
        return raw.held(n, Rule::M4, &format!("the load of the {} there takes {wanted}", ordered(census, n)));
    }
    let why = raw.why.clone();
    raw.becomes(wanted, Rule::Z3, Rule::M2, why, Some(with_full(census)))
}
