//! What may ask for more members than the rule: each signal of the policy, as a target of its own (Z4).
//!
//! The largest size wins, so the group shrinks only when the rule and all signals let it. A signal that is not known asks for
//! the size as it is.

use crate::policy::{Policy, SignalRule};
use crate::report::{Rule, Stage, StageName};
use crate::signals::is_percentage;

use super::{ROUNDING, Recommendation, ordered, percent, saturate, tidy};
use crate::decide::census::Census;
use crate::member::Phase;

/// `rule`'s recommendation, or that of the signal that asks for more.
pub(super) fn combine(rule: Recommendation, census: &Census<'_>, policy: &Policy, n: u32) -> Recommendation {
    policy.signals.iter().fold(rule, |best, signal| {
        let wish = Gauge::of(census, signal).wish(census, policy, n);
        let mut stages = best.stages;
        let (desired, text) = (best.desired.max(wish.desired), wish.why.clone());
        stages.push(Stage { stage: StageName::Signals, desired, rule: Rule::Z4, text });
        if wish.desired <= best.desired {
            return Recommendation { stages, ..best };
        }
        let why = if wish.desired > n { wish.why } else { format!("{}, but {}", best.why, wish.why) };
        Recommendation { desired, stages, rule: Rule::Z4, why, by_factor: false }
    })
}

/// Which signal would bring the members back if `left` of `n` were left, and with what mean (F5).
pub(in crate::decide) fn overloaded(census: &Census<'_>, policy: &Policy, n: u32, left: u32) -> Option<String> {
    policy.signals.iter().find_map(|signal| {
        let gauge = Gauge::of(census, signal);
        let mean = tidy(gauge.highest() * f64::from(n) / f64::from(left));
        (mean >= gauge.band().1).then(|| format!("the mean {} would be {}", signal.name, gauge.shown(mean)))
    })
}

/// Why what is left of an earlier scale-in may not go on: a signal is not known, or the missing may bear so much of it that it
/// would bring the members back (M2, S10).
pub(in crate::decide) fn unsure(census: &Census<'_>, policy: &Policy) -> Option<String> {
    policy.signals.iter().find_map(|signal| {
        let gauge = Gauge::of(census, signal);
        let high = || gauge.highest() > gauge.band().1;
        let said = || format!("the mean {} is {}{}", signal.name, gauge.shown(gauge.highest()), gauge.with_missing());
        gauge.unavailable(policy).or_else(|| high().then(said))
    })
}

/// What a signal asks for.
struct Wish {
    desired: u32,
    why: String,
}

/// One signal over the members in service.
struct Gauge<'p> {
    signal: &'p SignalRule,
    /// Over those that report it.
    sum: f64,
    reporting: u32,
    missing: u32,
    /// What the missing are assumed to bear when the group scales in (M2).
    assumed: f64,
    actual: u32,
}

impl<'p> Gauge<'p> {
    fn of(census: &Census<'_>, signal: &'p SignalRule) -> Self {
        let mut gauge = Self { signal, sum: 0.0, reporting: 0, missing: 0, assumed: 0.0, actual: census.counts.actual };
        let due = census.seats.values().filter(|seat| matches!(seat.phase, Phase::InService | Phase::Suspect));
        for seat in due {
            let last = seat.member.health.as_ref().and_then(|health| health.signal(&signal.name));
            match last.filter(|_| seat.serving.is_some()) {
                Some(value) => {
                    gauge.sum += value;
                    gauge.reporting += 1;
                }
                None => {
                    // No amount is the most that a member can bear, as 100 % is: what it last bore must do.
                    let most = if is_percentage(&signal.name) { 100.0 } else { last.unwrap_or_default() };
                    gauge.assumed += most.max(signal.target);
                    gauge.missing += 1;
                }
            }
        }
        gauge
    }

    /// As for a mean load that is aimed at (Z3): what must be assumed of the missing and of those on their way is the same.
    fn wish(&self, census: &Census<'_>, policy: &Policy, n: u32) -> Wish {
        if let Some(why) = self.unavailable(policy) {
            return Wish { desired: n, why };
        }
        let (name, target) = (&self.signal.name, self.shown(self.signal.target));
        let (lower, upper) = self.band();
        let there = n.max(self.actual);
        let mean = tidy(self.sum / f64::from(self.reporting.max(1)));
        if mean > upper {
            let why = format!("mean {name} {} is above the target {target}", self.shown(mean));
            let lowest = tidy(self.sum / f64::from(there.max(1)));
            if lowest > upper {
                return Wish { desired: self.members_for(self.sum).max(n.saturating_add(1)), why };
            }
            let why =
                format!("{why}, but over the {} there or ordered it is {}", ordered(census, n), self.shown(lowest));
            return Wish { desired: n, why };
        }
        let highest = self.highest();
        // Where rounding up would keep everybody one may go all the same, as with a target for the load; F5 says whether.
        let takes = self.members_for(highest * f64::from(there)).min(there.saturating_sub(1));
        let desired = if highest < lower { takes.min(n) } else { n };
        Wish {
            desired,
            why: format!(
                "mean {name} {}{} takes {desired} at the target {target}",
                self.shown(highest),
                self.with_missing()
            ),
        }
    }

    /// ` with 2 missing at 100`; nothing when none is.
    fn with_missing(&self) -> String {
        match self.missing {
            0 => String::new(),
            missing => format!(" with {missing} missing at {}", self.shown(self.assumed / f64::from(missing))),
        }
    }

    /// Why nothing can be said of it.
    fn unavailable(&self, policy: &Policy) -> Option<String> {
        let (name, due) = (&self.signal.name, self.reporting + self.missing);
        if self.reporting == 0 {
            return Some(format!("nobody reports {name}"));
        }
        let (least, reporting) = (policy.min_available_percent, self.reporting);
        let enough = u64::from(reporting) * 100 >= u64::from(due) * u64::from(least);
        (!enough).then(|| format!("only {reporting} of {due} members in service report {name}, {least} % must"))
    }

    /// The means between which nothing is done; both are inside.
    fn band(&self) -> (f64, f64) {
        let SignalRule { target, tolerance, .. } = self.signal;
        (tidy(target * (1.0 - tolerance)), tidy(target * (1.0 + tolerance)))
    }

    /// The mean with what is assumed of the missing (M2).
    fn highest(&self) -> f64 {
        tidy((self.sum + self.assumed) / f64::from((self.reporting + self.missing).max(1)))
    }

    /// The members that bring `sum` to the target.
    fn members_for(&self, sum: f64) -> u32 {
        saturate((sum / self.signal.target - ROUNDING).ceil())
    }

    /// An amount as a person reads it: at most two decimals.
    fn shown(&self, amount: f64) -> String {
        if is_percentage(&self.signal.name) {
            return percent(amount);
        }
        ((amount * 100.0).round() / 100.0).to_string()
    }
}
