//! Desired, stage by stage: rule -> stabilisation -> cooldown, projection and rate limit -> bounds (Z5).

use crate::group::Head;
use crate::intent::Cause;
use crate::member::{MemberState, Phase};
use crate::policy::{Mode, Policy};
use crate::report::{Remark, Rule, Stage, StageName};
use crate::time::spoken;

use super::census::Census;
use super::load::{self, percent};
use super::victims;

/// The size that was decided, and how it came about.
pub(super) struct Sizing {
    pub(super) desired: u32,
    /// What the rule asked for before stabilisation; it is remembered (F1).
    pub(super) recommended: u32,
    /// Why desired changed; none when it did not.
    pub(super) cause: Option<Cause>,
    pub(super) rule: Rule,
    pub(super) headline: String,
    pub(super) stages: Vec<Stage>,
    pub(super) waits: Vec<Remark>,
}

impl Sizing {
    pub(super) fn hold(n: u32, rule: Rule, headline: String) -> Self {
        Self { desired: n, recommended: n, cause: None, rule, headline, stages: Vec::new(), waits: Vec::new() }
    }
}

/// The way of one size through the stages.
struct Way<'a> {
    census: &'a Census<'a>,
    policy: &'a Policy,
    head: &'a Head,
    /// Desired as stored.
    n: u32,
    size: u32,
    rule: Rule,
    why: String,
    stages: Vec<Stage>,
    waits: Vec<Remark>,
}

/// Decides desired. With the gate closed, load moves nothing and only the bounds speak.
pub(super) fn size(census: &Census<'_>, policy: &Policy, head: &Head, gate: &Result<(), Remark>) -> Sizing {
    let n = head.desired;
    let (recommended, mut way) = match gate {
        Ok(()) => {
            let rec = load::recommend(census, policy, head);
            let waits = Vec::new();
            let way = Way {
                census,
                policy,
                head,
                n,
                size: rec.desired,
                rule: rec.rule,
                why: rec.why,
                stages: rec.stages,
                waits,
            };
            (rec.desired, way)
        }
        Err(closed) => {
            let (why, waits) = (closed.text.clone(), vec![closed.clone()]);
            (n, Way { census, policy, head, n, size: n, rule: closed.rule, why, stages: Vec::new(), waits })
        }
    };
    if gate.is_ok() {
        way.stabilise();
        way.limit();
    }
    way.bound();
    way.into_sizing(recommended)
}

impl Way<'_> {
    fn stage(&mut self, stage: StageName, size: u32, rule: Rule, text: String) {
        self.size = size;
        self.stages.push(Stage { stage, desired: size, rule, text });
    }

    /// Goes back to desired as it is, because of `rule`.
    fn hold(&mut self, stage: StageName, rule: Rule, text: String) {
        self.waits.push(Remark { rule, text: text.clone() });
        self.why = format!("{}, but {text}", self.why);
        self.rule = rule;
        self.stage(stage, self.n, rule, text);
    }

    /// F1: in by the highest, out by the lowest that was asked for in the window.
    fn stabilise(&mut self) {
        let now = self.census.now;
        let recent = |span| self.head.recommendations.iter().filter(move |seen| now.since(seen.at) < span);
        let (n, size) = (self.n, self.size);
        if size < n {
            let span = self.policy.inward.stabilization;
            let highest = recent(span).map(|seen| seen.highest).max().unwrap_or(size).clamp(size, n);
            if highest > size {
                let text = format!("{highest} was asked for within the last {}", spoken(span));
                self.shorten(StageName::Stabilised, highest, Rule::F1, text);
            }
        } else if size > n {
            let span = self.policy.out.stabilization;
            let lowest = recent(span).map(|seen| seen.lowest).min().unwrap_or(size).clamp(n, size);
            if lowest < size {
                let text = format!("only {lowest} was asked for within the last {}", spoken(span));
                self.shorten(StageName::Stabilised, lowest, Rule::F1, text);
            }
        }
    }

    /// Moves the size towards desired; all the way is a hold.
    fn shorten(&mut self, stage: StageName, size: u32, rule: Rule, text: String) {
        if size == self.n {
            self.hold(stage, rule, text);
        } else {
            self.rule = rule;
            self.stage(stage, size, rule, text);
        }
    }

    fn limit(&mut self) {
        if self.size > self.n {
            self.limit_out();
        } else if self.size < self.n {
            self.limit_in();
        }
    }

    /// F2 and F8 for scale-out.
    fn limit_out(&mut self) {
        let (now, pace) = (self.census.now, self.policy.out);
        if let Some(since) = self.head.launch_accepted_at
            && now.since(since) < pace.cooldown
        {
            let left = spoken(pace.cooldown - now.since(since));
            return self.hold(StageName::Limited, Rule::F2, format!("the scale-out cooldown has {left} left"));
        }
        let actual = self.census.counts.actual;
        let room = self.head.launches.room(now, pace.window, pace.limit, actual);
        let reach = actual.saturating_add(room).max(self.n);
        if reach < self.size {
            let text = format!("{room} more launches fit into {}", spoken(pace.window));
            self.shorten(StageName::Limited, reach, Rule::F8, text);
        }
    }

    /// O1, F2, F3, F5, F6, F8 and D7 for scale-in: the largest step that passes them all.
    fn limit_in(&mut self) {
        let (now, pace) = (self.census.now, self.policy.inward);
        if self.policy.mode == Mode::OutOnly {
            return self.hold(StageName::Limited, Rule::O1, "the mode out-only lets nobody go".into());
        }
        if let Some(since) = self.head.scale_in_at
            && now.since(since) < pace.cooldown
        {
            let left = spoken(pace.cooldown - now.since(since));
            return self.hold(StageName::Limited, Rule::F2, format!("the scale-in cooldown has {left} left"));
        }
        let draining = |seat: &super::census::Seat<'_>| {
            seat.phase == Phase::Draining
                && matches!(&seat.member.state, MemberState::Draining(l) if l.cause == Cause::Load)
        };
        if let Some(names) = self.census.names(draining) {
            return self.hold(StageName::Limited, Rule::F3, format!("the last scale-in is still draining {names}"));
        }
        let asked = self.n - self.size;
        let (step, rule, text) = self.largest_step(asked);
        if step < asked {
            self.shorten(StageName::Limited, self.n - step, rule, text);
        }
    }

    /// The largest step of at most `asked`, and what bound it.
    fn largest_step(&self, asked: u32) -> (u32, Rule, String) {
        let (n, policy) = (self.n, self.policy);
        // Members beyond desired go for the bounds' sake; members short of desired need not go at all.
        let effective =
            self.census.counts.actual.saturating_sub(u32::try_from(self.census.pairs.len()).unwrap_or(u32::MAX));
        let mut best = (asked, Rule::Z2, String::new());
        // F5: the projection may not reach the threshold that would bring the members back.
        let mean = load::mean_with_missing_full(self.census);
        let projected = |k: u32| if k >= n { f64::INFINITY } else { mean * f64::from(n) / f64::from(n - k) };
        while best.0 > 0 && projected(best.0) >= policy.threshold.up {
            let text = format!("without {} members the mean would be {}", best.0, percent(projected(best.0)));
            best = (best.0 - 1, Rule::F5, text);
        }
        let needed = |k: u32| effective.saturating_sub(n - k);
        let room = self.head.terminations.room(
            self.census.now,
            policy.inward.window,
            policy.inward.limit,
            self.census.counts.actual,
        );
        if needed(best.0) > room {
            let text = format!("{room} more terminations fit into {}", spoken(policy.inward.window));
            best = ((n + room).saturating_sub(effective).min(best.0), Rule::F8, text);
        }
        let choice = victims::choose(self.census, needed(best.0), policy, victims::Reach::of_load(self.census));
        let found = u32::try_from(choice.victims.len()).unwrap_or(u32::MAX);
        if found < needed(best.0) {
            let (rule, text) = choice.bound_by;
            best = ((n + found).saturating_sub(effective).min(best.0), rule, text);
        }
        best
    }

    /// Z5: the bounds come last and are absolute.
    fn bound(&mut self) {
        let (min, max) = (self.policy.min, self.policy.max);
        let bounded = self.size.clamp(min, max);
        if bounded != self.size {
            let (name, value) = if bounded == min { ("min_instances", min) } else { ("max_instances", max) };
            let text = format!("{name} is {value}");
            self.rule = Rule::Z5;
            if bounded == self.n {
                self.waits.push(Remark { rule: Rule::Z5, text: text.clone() });
            }
            self.why = if self.size == self.n { text.clone() } else { format!("{}, and {text}", self.why) };
            self.stage(StageName::Bounded, bounded, Rule::Z5, text);
        }
    }

    fn into_sizing(self, recommended: u32) -> Sizing {
        let (n, size) = (self.n, self.size);
        let inside = (self.policy.min..=self.policy.max).contains(&n);
        let cause = (size != n).then_some(if inside { Cause::Load } else { Cause::Bounds });
        let headline = match (size.cmp(&n), self.rule) {
            (std::cmp::Ordering::Greater, _) => format!("Scale out {n} -> {size}: {}.", self.why),
            (std::cmp::Ordering::Less, _) => format!("Scale in {n} -> {size}: {}.", self.why),
            (std::cmp::Ordering::Equal, Rule::Z1) => format!("No change at {n}: {}.", self.why),
            (std::cmp::Ordering::Equal, _) => format!("Hold at {n}: {}.", self.why),
        };
        Sizing { desired: size, recommended, cause, rule: self.rule, headline, stages: self.stages, waits: self.waits }
    }
}
