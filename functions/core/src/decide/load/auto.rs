//! The cheapest of many rules (Z10): what [`crate::auto`] asks for, and what must be assumed of those of whom nothing is known.

use std::time::Duration;

use crate::auto::{Asked, Learnt, Sample, Setting};
use crate::policy::{Policy, ScalingRule};
use crate::report::Rule;
use crate::signals;
use crate::snapshot::Snapshot;
use crate::time::spoken;

use super::{Raw, Recommendation, mean, mean_with_missing_full, missing, too_thin};
use crate::decide::census::Census;

/// Boot time assumed before any launch has been measured. Longer than what a factor waits for: a rule that takes launches for quicker
/// than they are asks too late.
const BOOT_TIME_BEFORE_ANY: Duration = Duration::from_secs(120);

/// What the rule makes of a sweep.
pub(in crate::decide) struct Opinion {
    /// What it knows with this sweep.
    pub(in crate::decide) learnt: Learnt,
    /// What this sweep says.
    pub(in crate::decide) sample: Sample,
    asked: Asked,
    /// What it would ask for if those of whom nothing is known had nothing to do, and if they were full.
    at_least: u32,
    at_most: u32,
}

/// What the rule `auto` makes of a sweep that is to be judged; none for another rule, and when too little is known (M5).
pub(in crate::decide) fn opinion(snapshot: &Snapshot, census: &Census<'_>, policy: &Policy) -> Option<Opinion> {
    let ScalingRule::Auto(rule) = &policy.scaling else { return None };
    let sweep = snapshot.sweep.as_ref()?;
    let head = &snapshot.head;
    if policy.empties(head.desired) || too_thin(census, policy).is_some() {
        return None;
    }
    let boot = if head.boot_times_ms.is_empty() { BOOT_TIME_BEFORE_ANY } else { head.boot_time() };
    let period = census.period;
    let setting = Setting { price: rule.price, min: policy.min, max: policy.max, boot, period };
    let before = Learnt::recall(snapshot.learnt.as_deref(), &head.auto, sweep.slot, &setting);
    let ask = |sample: &Sample| {
        let mut learnt = before.clone();
        learnt.see(sample, &setting);
        let asked = learnt.asks(head.desired, &setting);
        (learnt, asked)
    };
    let (counts, mean) = (census.counts, mean(census));
    // Whoever serves carries a share, whether his load is known or not; who is draining gets no new work.
    let carry = counts.serving + counts.warming + counts.missing;
    let (rate, capacity) = (rate(census, carry), before.capacity());
    let of = |mean, carried_by| Sample::of(sweep.slot, mean, carried_by, rate, capacity);
    let sample = of(mean, carry);
    let (learnt, asked) = ask(&sample);
    let (mut at_least, mut at_most) = (asked.desired, asked.desired);
    if carry > counts.serving {
        at_least = at_least.min(ask(&of(mean, counts.serving)).1.desired);
        at_most = at_most.max(ask(&of(mean_with_missing_full(census), carry)).1.desired);
    }
    Some(Opinion { learnt, sample, asked, at_least, at_most })
}

/// Requests a second that come to the group, if all who serve report theirs; whoever else carries is taken to get as many.
fn rate(census: &Census<'_>, carry: u32) -> Option<f64> {
    let serving = census.seats.values().filter(|seat| seat.serving.is_some());
    let rates = serving.map(|seat| seat.member.health.as_ref()?.signal(signals::RATE));
    let sum = rates.sum::<Option<f64>>()?;
    Some(sum * f64::from(carry) / f64::from(census.counts.serving.max(1)))
}

pub(super) fn recommend(census: &Census<'_>, opinion: Option<&Opinion>, n: u32) -> Recommendation {
    let Some(Opinion { learnt, asked, at_least, at_most, .. }) = opinion else {
        return Recommendation::still(n, Rule::M5, "too little is known".into());
    };
    let raw = Raw { desired: asked.desired, rule: Rule::Z10, why: asked.why.clone() };
    if asked.desired > n && *at_least < asked.desired {
        let text = format!("without those of whom nothing is known it is {at_least}");
        return if *at_least <= n { raw.held(n, Rule::M3, &text) } else { raw.lowered(*at_least, Rule::M4, &text) };
    }
    if asked.desired < n
        && let Some(left) = learnt.is_careful()
    {
        return raw.held(n, Rule::Z10, &format!("what it knew is lost, and it lets nobody go for {}", spoken(left)));
    }
    if asked.desired < n && *at_most > asked.desired {
        let text = format!("with {} at 100 % it is {at_most}", missing(census));
        return if *at_most >= n { raw.held(n, Rule::M3, &text) } else { raw.lowered(*at_most, Rule::M2, &text) };
    }
    let why = raw.why.clone();
    raw.becomes(asked.desired, Rule::Z10, Rule::Z10, why, None)
}
