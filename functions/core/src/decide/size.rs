//! Desired, stage by stage: rule -> stabilisation -> cooldown, projection and rate limit -> schedule -> bounds (Z5).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::group::Head;
use crate::intent::Cause;
use crate::member::MemberState;
use crate::policy::{Mode, Policy, Window};
use crate::report::{Remark, Rule, Stage, StageName};
use crate::time::spoken;

use super::census::Census;
use super::load::{self, Opinion, Recommendation, percent};
use super::{counted, victims};

/// The size that was decided, and how it came about.
pub(super) struct Sizing {
    pub(super) desired: u32,
    /// What the rule asked for before stabilisation; it is remembered (F1).
    pub(super) recommended: u32,
    /// Why desired changed; none when it did not.
    pub(super) cause: Option<Cause>,
    /// Whether load multiplied it: it is remembered (Z2).
    pub(super) by_factor: bool,
    pub(super) rule: Rule,
    pub(super) headline: String,
    pub(super) stages: Vec<Stage>,
    pub(super) waits: Vec<Remark>,
}

impl Sizing {
    pub(super) fn hold(n: u32, rule: Rule, headline: String) -> Self {
        let (stages, waits) = (Vec::new(), Vec::new());
        Self { desired: n, recommended: n, cause: None, by_factor: false, rule, headline, stages, waits }
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
    /// What bound the size last, as the end of a sentence that begins with `why`.
    bound_by: String,
    stages: Vec<Stage>,
    waits: Vec<Remark>,
}

/// Decides desired. With the gate closed, load moves nothing and only the bounds speak.
pub(super) fn size(
    census: &Census<'_>,
    policy: &Policy,
    head: &Head,
    gate: &Result<(), Remark>,
    opinion: Option<&Opinion>,
) -> Sizing {
    let n = head.desired;
    let (rec, waits) = match gate {
        Ok(()) => (load::recommend(census, policy, head, opinion), Vec::new()),
        Err(closed) => {
            let Remark { rule, text: why } = closed.clone();
            (Recommendation { desired: n, stages: Vec::new(), rule, why, by_factor: false }, vec![closed.clone()])
        }
    };
    let Recommendation { desired: recommended, stages, rule, why, by_factor } = rec;
    let bound_by = String::new();
    let mut way = Way { census, policy, head, n, size: recommended, rule, why, bound_by, stages, waits };
    match just_opened(policy, head) {
        Some((window, desired)) => way.schedule(window, desired),
        None if gate.is_ok() => {
            way.stabilise();
            way.limit();
        }
        None => {}
    }
    way.bound();
    way.into_sizing(recommended, by_factor)
}

/// The window that has opened since the schedule was last looked at, and what it sets desired to (F4). One that was open
/// already when the group or its policy came to be sets nothing but bounds.
fn just_opened<'a>(policy: &'a Policy, head: &Head) -> Option<(&'a Window, u32)> {
    let window = policy.window.as_ref()?;
    let seen = head.schedule_seen.unwrap_or(head.born);
    Some((window, window.desired.filter(|_| window.since > seen)?))
}

impl Way<'_> {
    fn stage(&mut self, stage: StageName, size: u32, rule: Rule, text: String) {
        self.size = size;
        self.rule = rule;
        self.stages.push(Stage { stage, desired: size, rule, text });
    }

    /// Goes back to desired as it is, because of `rule`.
    fn hold(&mut self, stage: StageName, rule: Rule, text: String) {
        self.waits.push(Remark { rule, text: text.clone() });
        self.bound_by = format!(", but {text}");
        self.stage(stage, self.n, rule, text);
    }

    /// F1: in by the highest, out by the lowest that was asked for in the window.
    fn stabilise(&mut self) {
        let now = self.census.now;
        let recent = |span| self.head.recommendations.iter().filter(move |seen| now.since(seen.at) < span);
        let (n, size) = (self.n, self.size);
        match size.cmp(&n) {
            Ordering::Less => {
                let span = self.policy.inward.stabilization;
                let highest = recent(span).map(|seen| seen.highest).max().unwrap_or(size).clamp(size, n);
                if highest > size {
                    let text = format!("{highest} was asked for within the last {}", spoken(span));
                    self.shorten(StageName::Stabilised, highest, Rule::F1, text);
                }
            }
            Ordering::Greater => {
                let span = self.policy.out.stabilization;
                let lowest = recent(span).map(|seen| seen.lowest).min().unwrap_or(size).clamp(n, size);
                if lowest < size {
                    let text = format!("only {lowest} was asked for within the last {}", spoken(span));
                    self.shorten(StageName::Stabilised, lowest, Rule::F1, text);
                }
            }
            Ordering::Equal => {}
        }
    }

    /// Moves the size towards desired; all the way is a hold.
    fn shorten(&mut self, stage: StageName, size: u32, rule: Rule, text: String) {
        if size == self.n {
            self.hold(stage, rule, text);
        } else {
            self.bound_by = format!(", and {text}");
            self.stage(stage, size, rule, text);
        }
    }

    fn limit(&mut self) {
        // At the bound there is nothing to limit, and it is the bound that speaks.
        if self.size > self.n && self.n < self.policy.max {
            self.limit_out();
        } else if self.size < self.n && self.n > self.policy.min {
            if self.size == 0 {
                let text = "load lets the last member stay: it could not wake the group";
                self.shorten(StageName::Limited, 1, Rule::Z7, text.into());
            }
            if self.size < self.n {
                self.limit_in();
            }
        }
    }

    /// F4: what a window sets when it opens waits for nothing, and the load is asked again at the next sweep.
    fn schedule(&mut self, window: &Window, desired: u32) {
        let text = format!("desired is {desired} ({window})");
        (self.why, self.bound_by) = (text.clone(), String::new());
        self.stage(StageName::Scheduled, desired, Rule::F4, text);
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
        let room = self.head.launches.room(now, pace.window, pace.limit, self.census.counts.actual);
        let reach = self.census.effective().saturating_add(room).max(self.n);
        if reach < self.size {
            let text = format!("only {} into {}", fits(room, "more member"), spoken(pace.window));
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
        let by_load =
            |state: &MemberState| matches!(state, MemberState::Draining(leaving) if leaving.cause == Cause::Load);
        if let Some(names) = self.census.names(|seat| by_load(&seat.member.state)) {
            return self.hold(StageName::Limited, Rule::F3, format!("the last scale-in is still draining {names}"));
        }
        let asked = self.n - self.size.max(self.policy.min);
        let (step, rule, text) = self.largest_step(asked);
        if step < asked {
            self.shorten(StageName::Limited, self.n - step, rule, text);
        }
    }

    /// The largest step of at most `asked`, and what bound it.
    fn largest_step(&self, asked: u32) -> (u32, Rule, String) {
        let policy = self.policy;
        let mut best = (asked, Rule::Z2, String::new());
        let projected = self.projectable(asked);
        if projected < asked {
            let without = counted(usize::try_from(projected + 1).unwrap_or(usize::MAX), "member");
            let text = self.unbearable(projected + 1).unwrap_or_default();
            best = (projected, Rule::F5, format!("without {without} {text}"));
        }
        let (now, pace) = (self.census.now, policy.inward);
        let room = self.head.terminations.room(now, pace.window, pace.limit, self.census.counts.actual);
        // Launches that nobody has tried are taken back first, and end nobody.
        let free = u32::try_from(victims::untried(self.census).count()).unwrap_or(u32::MAX);
        let takes = room.saturating_add(free);
        if self.needed(best.0) > takes {
            let text = format!("only {} into {}", fits(room, "more termination"), spoken(pace.window));
            best = (self.step_of(takes).min(best.0), Rule::F8, text);
        }
        let reach = victims::Reach::of_load(self.census);
        let choice = victims::choose(self.census, self.needed(best.0), policy, reach, &BTreeSet::new());
        let found = u32::try_from(choice.victims.len()).unwrap_or(u32::MAX);
        if found < self.needed(best.0) {
            let (rule, text) = choice.bound_by;
            best = (self.step_of(found).min(best.0), rule, text);
        }
        best
    }

    /// Members that must go when desired falls by `step`: those beyond desired go for the bounds' sake, and those
    /// short of it need not go at all.
    fn needed(&self, step: u32) -> u32 {
        self.census.effective().saturating_sub(self.n - step)
    }

    /// The step for which `victims` members must go.
    fn step_of(&self, victims: u32) -> u32 {
        self.n.saturating_add(victims).saturating_sub(self.census.effective())
    }

    /// The mean once desired has fallen by `step` and the load is spread over the rest (F5).
    fn projected(&self, step: u32) -> f64 {
        if step >= self.n {
            return f64::INFINITY;
        }
        load::tidy(load::mean_with_missing_full(self.census) * f64::from(self.n) / f64::from(self.n - step))
    }

    /// What would bring the members back once desired has fallen by `step` (F5).
    fn unbearable(&self, step: u32) -> Option<String> {
        let mean = self.projected(step);
        if mean >= load::brings_back(&self.policy.scaling) {
            return Some(format!("the mean would be {}", percent(mean)));
        }
        load::overloaded(self.census, self.policy, self.n, self.n.saturating_sub(step))
    }

    /// The largest step of at most `asked` after which nothing would bring the members back (F5).
    fn projectable(&self, asked: u32) -> u32 {
        let (mut fits, mut most) = (0, asked);
        while fits < most {
            let middle = most - (most - fits) / 2;
            if self.unbearable(middle).is_none() {
                fits = middle;
            } else {
                most = middle - 1;
            }
        }
        fits
    }

    /// Z5: the bounds come last and are absolute.
    fn bound(&mut self) {
        let (min, max) = (self.policy.min, self.policy.max);
        let bounded = self.size.clamp(min, max);
        if bounded == self.size {
            return;
        }
        let window = self.policy.window.as_ref();
        let (name, value, sets) = if self.size < min {
            ("min_instances", min, window.filter(|window| window.min_instances.is_some()))
        } else {
            ("max_instances", max, window.filter(|window| window.max_instances.is_some()))
        };
        let text = format!("{name} is {value}{}", sets.map_or(String::new(), |window| format!(" ({window})")));
        if bounded == self.n {
            self.waits.push(Remark { rule: Rule::Z5, text: text.clone() });
        }
        if self.size == self.n {
            (self.why, self.bound_by) = (text.clone(), String::new());
        } else {
            self.bound_by = format!(", and {text}");
        }
        self.stage(StageName::Bounded, bounded, Rule::Z5, text);
    }

    fn into_sizing(self, recommended: u32, by_factor: bool) -> Sizing {
        let (n, size) = (self.n, self.size);
        // Only up to the bound is it for the bound's sake; a schedule's change is as absolute.
        let absolute = self.rule == Rule::F4 || size == n.clamp(self.policy.min, self.policy.max);
        let cause = if absolute { Cause::Bounds } else { Cause::Load };
        let why = format!("{}{}", self.why, self.bound_by);
        let headline = match (size.cmp(&n), self.rule) {
            (Ordering::Greater, _) => format!("Scale out {n} -> {size}: {why}."),
            (Ordering::Less, _) => format!("Scale in {n} -> {size}: {why}."),
            (Ordering::Equal, Rule::Z1 | Rule::Z3 | Rule::Z7 | Rule::Z10) => format!("No change at {n}: {why}."),
            (Ordering::Equal, _) => format!("Hold at {n}: {why}."),
        };
        let cause = (size != n).then_some(cause);
        let by_factor = by_factor && cause == Some(Cause::Load);
        let (rule, stages, waits) = (self.rule, self.stages, self.waits);
        Sizing { desired: size, recommended, cause, by_factor, rule, headline, stages, waits }
    }
}

/// `1 launch fits`, `2 launches fit`.
fn fits(n: u32, what: &str) -> String {
    let verb = if n == 1 { "fits" } else { "fit" };
    format!("{} {verb}", counted(usize::try_from(n).unwrap_or(usize::MAX), what))
}
