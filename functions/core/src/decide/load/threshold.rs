//! Two thresholds and two factors (Z1, Z2).

use crate::group::Head;
use crate::policy::ThresholdRule;
use crate::report::Rule;

use super::{
    Raw, Recommendation, enough_ordered, mean, mean_with_missing_full, over_all, percent, saturate, still_booting,
    with_full,
};
use crate::decide::census::Census;

pub(super) fn recommend(census: &Census<'_>, rule: ThresholdRule, head: &Head) -> Recommendation {
    let (n, mean) = (head.desired, mean(census));
    if mean > rule.up {
        scale_out(census, rule, head, mean)
    } else if mean < rule.down {
        scale_in(census, rule, n, mean)
    } else {
        let why = format!("mean load {} is within {} and {}", percent(mean), percent(rule.down), percent(rule.up));
        Recommendation::still(n, Rule::Z1, why)
    }
}

fn scale_out(census: &Census<'_>, rule: ThresholdRule, head: &Head, mean: f64) -> Recommendation {
    let n = head.desired;
    let wanted = saturate((f64::from(n) * rule.up_factor - super::ROUNDING).ceil()).max(n.saturating_add(1));
    let why = format!("mean load {} is above {}", percent(mean), percent(rule.up));
    let raw = Raw { desired: wanted, rule: Rule::Z2, why };
    if let Some((by, text)) = enough_ordered(census, n, rule.up) {
        return raw.held(n, by, &text);
    }
    if let Some(text) = still_booting(census, head) {
        return raw.held(n, Rule::Z2, &text);
    }
    Recommendation { by_factor: true, ..raw.confirmed(Rule::M4, over_all(census, n)) }
}

fn scale_in(census: &Census<'_>, rule: ThresholdRule, n: u32, mean: f64) -> Recommendation {
    let removed = saturate((f64::from(n) * rule.down_factor + super::ROUNDING).floor()).max(1);
    let why = format!("mean load {} is below {}", percent(mean), percent(rule.down));
    let raw = Raw { desired: n.saturating_sub(removed), rule: Rule::Z2, why };
    if mean_with_missing_full(census) < rule.down {
        raw.confirmed(Rule::M2, with_full(census))
    } else {
        raw.held(n, Rule::M3, &with_full(census))
    }
}
