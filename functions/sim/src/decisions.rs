//! The safety invariants of decisions, S5-S10: judged at every claim, by what it changes and not by what it says.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_control::ports::{Claim, GroupState};
use muster_core::decide::{Decision, decide};
use muster_core::health::{Health, Load, Seen};
use muster_core::intent::{Call, Cause, Intent};
use muster_core::member::{InstanceId, MemberRecord, MemberState};
use muster_core::plan::Step;
use muster_core::policy::{Limit, Policy};
use muster_core::report::Report;
use muster_core::snapshot::Snapshot;
use muster_core::time::Timestamp;

use crate::dice::Purpose;
use crate::safety::{Actions, Safety, actual};
use crate::world::World;

/// S6: no window is longer than an hour, and no two clocks lie further apart than the second one.
const REMEMBERED: Duration = Duration::from_secs(2 * 3_600);
/// How far two clocks may lie apart.
pub(crate) const CLOCKS: Duration = Duration::from_secs(4);

/// A member that a claim lets go: what it was before, and why it goes.
pub(crate) struct LetGo<'c> {
    pub(crate) id: &'c InstanceId,
    pub(crate) was: &'c MemberState,
    launched_at: Timestamp,
    pub(crate) cause: Cause,
    ends: bool,
}

pub(crate) fn let_go<'c>(before: &'c GroupState, claim: &'c Claim) -> Vec<LetGo<'c>> {
    let gone = |member: &'c MemberRecord| {
        let was = before.members.iter().find(|was| was.id == member.id)?;
        let (leaving, ends) = match (&was.state, &member.state) {
            (MemberState::Terminating(_), _) => return None,
            (_, MemberState::Terminating(leaving)) => (leaving, true),
            (MemberState::Draining(_), _) => return None,
            (_, MemberState::Draining(leaving)) => (leaving, false),
            _ => return None,
        };
        Some(LetGo { id: &was.id, was: &was.state, launched_at: was.launched_at, cause: leaving.cause, ends })
    };
    claim.put_members.iter().filter_map(gone).collect()
}

impl World {
    pub(crate) fn s5_nobody_goes_while_nobody_answers(&mut self, before: &GroupState, claim: &Claim, report: &Report) {
        // Who is no member any more, by EC2's word or by its tag, is not silent (H7, O5), nor is who was on its way out.
        let silent = |member: &MemberRecord| {
            self.safety.answered.contains(&member.id)
                && self.ec2.get(&member.id).is_some_and(|instance| instance.alive(self.now))
        };
        let stays = |member: &&MemberRecord| !claim.delete_members.contains(&member.id);
        let mut members = before.members.iter().filter(|member| World::in_actual(&member.state)).filter(stays);
        let dark = report.slot.is_some_and(|slot| self.safety.dark.contains(&slot));
        if !dark || !members.any(silent) {
            return;
        }
        for gone in let_go(before, claim) {
            let judged = matches!(gone.cause, Cause::Load | Cause::Unhealthy | Cause::BootTimeout);
            let impaired = self.ec2.get(gone.id).is_some_and(|instance| instance.impaired);
            let drained = matches!(gone.was, MemberState::Draining(_)) && gone.cause != Cause::Load;
            if judged && !impaired && !drained {
                self.violate("S5", format!("{} goes for {} while nobody answers", gone.id, gone.cause));
            }
        }
    }

    pub(crate) fn s6_windows_hold(&mut self, before: &GroupState, claim: &Claim, report: &Report, policy: &Policy) {
        let launched = claim.put_intents.iter().filter(|intent| matches!(intent.call, Call::Launch(_))).count();
        let gone = let_go(before, claim);
        // Those that are Draining already were counted when they began.
        let paced = |gone: &&LetGo<'_>| World::in_actual(gone.was);
        let ended = gone.iter().filter(paced).count();
        let now = |count: usize| Actions {
            at: report.at,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            actual: actual(before),
        };
        let Safety { launches, terminations, .. } = &mut self.safety;
        for (log, count) in [(&mut *launches, launched), (&mut *terminations, ended)] {
            log.retain(|actions| report.at.since(actions.at) < REMEMBERED);
            log.push(now(count));
        }
        let kinds = [(&*launches, policy.out, "launches"), (&*terminations, policy.inward, "terminations")];
        let broken = kinds.map(|(log, pace, what)| {
            let (used, limit) = window(log, report.at, pace.window, pace.limit)?;
            (used > limit).then(|| format!("{used} {what} within {:?}, at most {limit} may be", pace.window))
        });
        for text in broken.into_iter().flatten() {
            self.violate("S6", text);
        }
    }

    pub(crate) fn s6_replacements_stay_inside_their_limit(
        &mut self,
        before: &GroupState,
        claim: &Claim,
        policy: &Policy,
    ) {
        let begun = claim.put_intents.iter().filter(|intent| {
            matches!(&intent.call, Call::Launch(spec) if spec.replaces.is_some() && intent.cause == Cause::Unhealthy)
        });
        let first = let_go(before, claim);
        // Whoever has a replacement was begun before: this is that replacement's end.
        let replaced = |id: &InstanceId| before.members.iter().any(|member| member.replaces.as_ref() == Some(id));
        let first = first.iter().filter(|gone| {
            gone.cause == Cause::Unhealthy && gone.ends && World::in_actual(gone.was) && !replaced(gone.id)
        });
        if begun.count() + first.count() == 0 {
            return;
        }
        let Some(view) = &self.view else { return };
        let mut busy: BTreeSet<&InstanceId> = BTreeSet::new();
        for intent in &view.intents {
            if let Call::Launch(spec) = &intent.call
                && intent.cause == Cause::Unhealthy
            {
                busy.extend(spec.replaces.as_ref());
            }
        }
        let ends = |state: &MemberState| matches!(state, MemberState::Terminating(l) if l.cause == Cause::Unhealthy);
        let going = |id: &InstanceId| view.members.iter().any(|member| member.id == *id);
        let pending = view.members.iter().filter(|member| member.state == MemberState::Pending);
        busy.extend(pending.filter_map(|member| member.replaces.as_ref()).filter(|old| going(old)));
        busy.extend(view.members.iter().filter(|member| ends(&member.state)).map(|member| &member.id));
        let limit = policy.max_replacing.of(view.head.desired.max(before.head.desired));
        let width = view.head.breaker.as_ref().map_or(u32::MAX, |breaker| breaker.width);
        let count = u32::try_from(busy.len()).unwrap_or(u32::MAX);
        if count > limit.min(width) {
            let text =
                format!("{count} members are under replacement, at most {limit} may be, and {width} by the breaker");
            self.violate("S6", text);
        }
    }

    /// D8 with D7 and H4: at its end there are min healthy members by what was known, no more are under replacement than may be, and
    /// nobody goes whom EC2 did not show to be marked.
    pub(crate) fn d8_the_marked_are_let_go_within_limits(
        &mut self,
        before: &GroupState,
        claim: &Claim,
        snapshot: Option<&Snapshot>,
        policy: &Policy,
    ) {
        let Some(snapshot) = snapshot else { return };
        let gone = let_go(before, claim);
        let left = |id: &InstanceId| gone.iter().any(|gone| gone.id == id);
        let serves = |state: &MemberState| World::in_actual(state);
        let healthy = snapshot.members.iter().filter(|member| {
            let well = |health: &Health| health.seen == Seen::Answered && health.failing_sweeps == 0;
            serves(&member.state) && !left(&member.id) && member.health.as_ref().is_some_and(well)
        });
        let healthy = healthy.count();
        let of_operator = || gone.iter().filter(|g| g.cause == Cause::Operator && serves(g.was));
        let shown = |id: &InstanceId| snapshot.fleet.iter().flatten().any(|seen| seen.id == *id && seen.drain);
        if let Some(unasked) = of_operator().find(|gone| !shown(gone.id)) {
            return self.violate("D8", format!("{} goes for an operator who has not marked it", unasked.id));
        }
        let drained = of_operator().any(|gone| !gone.ends);
        if drained && healthy < usize::try_from(policy.min).unwrap_or(usize::MAX) {
            self.violate(
                "D7",
                format!("{healthy} healthy members are left by an operator's mark, min is {}", policy.min),
            );
        }
        let replaces = |intent: &Intent| match &intent.call {
            Call::Launch(spec) => spec.replaces.clone(),
            Call::Terminate { .. } => None,
        };
        if !claim.put_intents.iter().any(|intent| intent.cause == Cause::Operator && replaces(intent).is_some()) {
            return;
        }
        let Some(view) = &self.view else { return };
        let limit = policy.max_replacing.of(view.head.desired);
        let mut busy: BTreeSet<InstanceId> = view.intents.iter().filter_map(replaces).collect();
        let there = |id: &&InstanceId| view.members.iter().any(|member| member.id == **id);
        let pending = view.members.iter().filter(|member| member.state == MemberState::Pending);
        busy.extend(pending.filter_map(|member| member.replaces.as_ref()).filter(there).cloned());
        let count = u32::try_from(busy.len()).unwrap_or(u32::MAX);
        if count > limit {
            self.violate("S6", format!("{count} members are under replacement by a mark, at most {limit} may be"));
        }
    }

    pub(crate) fn s7_a_sweep_is_decided_on_once(&mut self, before: &GroupState, claim: &Claim, policy: &Policy) {
        let (old, new) = (before.head.last_slot, claim.head.last_slot);
        if new > old {
            return;
        }
        if new < old {
            return self.violate("S7", format!("the last slot went back from {old:?} to {new:?}"));
        }
        let (was, is) = (before.head.desired, claim.head.desired);
        let policy = policy.at(self.now);
        let scheduled = policy.window.as_ref().and_then(|window| window.desired);
        if is != was && is != was.clamp(policy.min, policy.max) && Some(is) != scheduled {
            self.violate("S7", format!("desired went from {was} to {is} without a sweep of its own"));
        }
        let for_health = |cause: Cause| matches!(cause, Cause::Unhealthy | Cause::BootTimeout);
        let replaces = |intent: &&Intent| matches!(intent.call, Call::Launch(_)) && intent.cause == Cause::Unhealthy;
        if let Some(intent) = claim.put_intents.iter().find(replaces) {
            self.violate("S7", format!("{} replaces a member without a sweep of its own", intent.id));
        }
        for gone in let_go(before, claim) {
            let listed = self.ec2.get(gone.id).is_some_and(|instance| instance.impaired);
            if for_health(gone.cause) && World::in_actual(gone.was) && !listed {
                self.violate("S7", format!("{} goes for its health without a sweep of its own", gone.id));
            }
        }
    }

    pub(crate) fn s8_the_young_are_not_judged(&mut self, before: &GroupState, claim: &Claim, policy: &Policy) {
        for gone in let_go(before, claim) {
            let age = self.now.since(gone.launched_at) + CLOCKS;
            let pending = *gone.was == MemberState::Pending;
            let (judged, span) = match gone.cause {
                Cause::BootTimeout => (pending, policy.boot_timeout),
                Cause::Unhealthy => (World::in_actual(gone.was), policy.grace_period),
                _ => (false, Duration::ZERO),
            };
            let impaired = self.ec2.get(gone.id).is_some_and(|instance| instance.impaired);
            if judged && age < span && !impaired {
                let text = format!(
                    "{} goes for its {} {age:?} after its launch, {span:?} must have passed",
                    gone.id, gone.cause
                );
                self.violate("S8", text);
            }
        }
    }

    pub(crate) fn s9_decide_is_pure(&mut self, snapshot: &Snapshot, policy: &Policy, version: u64) {
        let mut shuffled = snapshot.clone();
        let mut rng = self.dice.of(Purpose::Sample, version + 1);
        rng.shuffle(&mut shuffled.members);
        rng.shuffle(&mut shuffled.intents);
        if let Some(fleet) = &mut shuffled.fleet {
            rng.shuffle(fleet);
        }
        if decide(&shuffled, policy) != decide(snapshot, policy) {
            self.violate("S9", format!("the decision of version {version} depends on the order of its input"));
        }
    }

    pub(crate) fn s10_decide_is_monotone(&mut self, snapshot: &Snapshot, policy: &Policy, version: u64) {
        let mut rng = self.dice.of(Purpose::Sample, version + 2);
        let (mut busier, mut less) = (snapshot.clone(), snapshot.clone());
        for member in &mut busier.members {
            let more = rng.f64() * 60.0;
            if let Some(health) = &mut member.health {
                health.load = health.load.and_then(|load| Load::new((load.percent() + more).min(100.0)));
            }
        }
        for member in &mut less.members {
            if rng.bool()
                && let Some(health) = &mut member.health
            {
                health.seen = Seen::Unknown;
                health.load = None;
            }
        }
        let as_is = decide(snapshot, policy);
        if decide(&busier, policy).plan.head.desired < as_is.plan.head.desired {
            self.violate("S10", format!("at version {version} more load lowers desired"));
        }
        let gone = |decision: &Decision| {
            // Who leaves by its own word takes room in the same window.
            let judged = |cause: Cause| matches!(cause, Cause::Load | Cause::BootTimeout | Cause::Leaving);
            let steps = decision.plan.steps.iter();
            let gone = steps.filter(|step| match step {
                Step::Drain { leaving, .. } | Step::Terminate { leaving, .. } => judged(leaving.cause),
                _ => false,
            });
            gone.count()
        };
        if gone(&decide(&less, policy)) > gone(&as_is) {
            self.violate("S10", format!("at version {version} knowing less terminates more"));
        }
    }
}

/// Actions in the window that ends now, and how many may be; none when the last claim added none.
fn window(log: &[Actions], now: Timestamp, window: Duration, limit: Limit) -> Option<(u32, u32)> {
    let last = log.last().filter(|last| last.count > 0)?;
    let inside = || log.iter().filter(|actions| actions.count > 0 && now.since(actions.at) < window);
    let used = inside().fold(0_u32, |sum, actions| sum.saturating_add(actions.count));
    let base = inside().next().map_or(last.actual, |first| first.actual).max(last.actual);
    Some((used, limit.of(base)))
}
