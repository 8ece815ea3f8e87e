//! The safety invariants S1-S11, judged by one who sees everything, after every step.
//!
//! Each rule is a function named for it. What must never be in here: a weaker reading because the code does not keep the
//! rule yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_control::activity::Event as Deed;
use muster_control::ports::{Claim, GroupState, Probed};
use muster_core::decide::{Decision, decide};
use muster_core::health::{Load, Observation, Seen, Sweep};
use muster_core::intent::{Call, Cause, IntentId, LaunchSpec};
use muster_core::member::{InstanceId, MemberState};
use muster_core::plan::Step;
use muster_core::policy::{Limit, Policy};
use muster_core::report::Report;
use muster_core::snapshot::Snapshot;
use muster_core::time::Timestamp;

use crate::dice::Purpose;
use crate::fault::Fault;
use crate::world::{RunId, World};

/// How far two clocks may lie apart.
const CLOCKS: Duration = Duration::from_secs(4);
/// One decision in so many is taken again with other input (S9, S10).
const SAMPLED: u64 = 12;
/// The longest text of an agent that may be stored (S11).
const LONGEST_TEXT: usize = 400;

/// Actions of one claim.
#[derive(Clone, Copy, Debug)]
struct Actions {
    at: Timestamp,
    count: u32,
    actual: u32,
}

/// What the invariants remember.
#[derive(Debug, Default)]
pub(crate) struct Safety {
    /// S1: the most members that there may be, and max when that was said.
    ceiling: u32,
    max: u32,
    actual: u32,
    /// S3: every launch that was ever committed.
    committed: BTreeMap<IntentId, LaunchSpec>,
    /// S2: every intent that has made an instance.
    made: BTreeMap<IntentId, InstanceId>,
    /// S4: orphans whose end is committed.
    orphans: BTreeSet<InstanceId>,
    /// S5: slots in whose sweep nobody answered who had ever done so.
    dark: BTreeSet<Timestamp>,
    /// S6.
    launches: Vec<Actions>,
    terminations: Vec<Actions>,
}

/// The decision in a claim.
pub(crate) fn decision(claim: &Claim) -> Option<(&Report, Option<&Snapshot>)> {
    claim.activity.iter().find_map(|activity| match &activity.event {
        Deed::Decision { report, snapshot, .. } => Some((report.as_ref(), snapshot.as_deref())),
        _ => None,
    })
}

/// Members in *actual* by the tables: Pending, Warming, InService, Suspect, and open launches.
pub(crate) fn actual(state: &GroupState) -> u32 {
    let members = state.members.iter().filter(|member| World::in_actual(&member.state)).count();
    let open = state.intents.iter().filter(|intent| matches!(intent.call, Call::Launch(_))).count();
    u32::try_from(members + open).unwrap_or(u32::MAX)
}

/// A member that a claim lets go: what it was before, and why it goes.
struct LetGo<'c> {
    id: &'c InstanceId,
    was: &'c MemberState,
    launched_at: Timestamp,
    cause: Cause,
    ends: bool,
}

fn let_go<'c>(before: &'c GroupState, claim: &'c Claim) -> Vec<LetGo<'c>> {
    let gone = |member: &'c muster_core::member::MemberRecord| {
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
    /// After every step.
    pub(crate) fn check_state(&mut self) {
        self.s1_actual_stays_below_max();
        self.s1_live_exceeds_max_only_by_those_that_leave();
    }

    /// When a claim has been committed.
    pub(crate) fn check_claim(&mut self, before: Option<&GroupState>, claim: &Claim) {
        for intent in &claim.put_intents {
            match &intent.call {
                Call::Launch(spec) => {
                    self.safety.committed.insert(intent.id.clone(), spec.clone());
                }
                Call::Terminate { instance, .. } if intent.cause == Cause::Orphan => {
                    self.safety.orphans.insert(instance.clone());
                }
                Call::Terminate { .. } => {}
            }
        }
        self.check_version(before);
        let (Some(before), Some((report, snapshot))) = (before, decision(claim)) else { return };
        let Some(policy) = self.policy().cloned() else { return };
        self.s5_nobody_goes_while_nobody_answers(before, claim, report);
        self.s6_windows_hold(before, claim, report, &policy);
        self.s6_replacements_stay_inside_their_limit(before, claim, &policy);
        self.s7_a_sweep_is_decided_on_once(before, claim, &policy);
        self.s8_the_young_are_not_judged(before, claim, &policy);
        if let Some(snapshot) = snapshot
            && self.dice.of(Purpose::Sample, claim.head.version).u64(0..SAMPLED) == 0
        {
            self.s9_decide_is_pure(snapshot, &policy, claim.head.version);
            self.s10_decide_is_monotone(snapshot, &policy, claim.head.version);
        }
    }

    fn s1_actual_stays_below_max(&mut self) {
        let (Some(view), Some(max)) = (&self.view, self.policy().map(|policy| policy.max)) else { return };
        let actual = actual(view);
        let safety = &mut self.safety;
        // Those that were there when max was lowered may stay.
        let kept = if max < safety.max { safety.actual } else { safety.ceiling.min(safety.actual) };
        (safety.ceiling, safety.max, safety.actual) = (max.max(kept), max, actual);
        let ceiling = safety.ceiling;
        if actual > ceiling {
            self.violate("S1", format!("actual is {actual}, max_instances {max}, and {ceiling} were there before"));
        }
    }

    fn s1_live_exceeds_max_only_by_those_that_leave(&mut self) {
        let Some(view) = &self.view else { return };
        let stays = |id: &InstanceId| {
            let record = view.members.iter().find(|member| member.id == *id);
            record.is_none_or(|member| World::in_actual(&member.state))
        };
        // What a person has taken out of the group's hands is not the group's.
        let own = self.ec2.all().iter().filter(|i| i.spec.is_some() && i.taken_by != Some(Fault::HandRetag));
        let own = own.filter(|i| i.alive(self.now) && i.ours(self.now) && !self.safety.orphans.contains(&i.made.id));
        let live = u32::try_from(own.filter(|i| stays(&i.made.id)).count()).unwrap_or(u32::MAX);
        let (ceiling, known) = (self.safety.ceiling, self.safety.max > 0);
        if known && live > ceiling {
            let text = format!(
                "EC2 runs {live} instances that are neither Draining nor Terminating, at most {ceiling} may be"
            );
            self.violate("S1", text);
        }
    }

    /// S2 and S3, at the birth of an instance.
    pub(crate) fn check_launch(&mut self, id: &InstanceId, spec: &LaunchSpec) {
        self.s2_one_instance_for_one_intent(id, spec);
        self.s3_an_intent_was_committed_before(id, spec);
        self.check_state();
    }

    fn s2_one_instance_for_one_intent(&mut self, id: &InstanceId, spec: &LaunchSpec) {
        if let Some(first) = self.safety.made.insert(spec.intent.clone(), id.clone()) {
            self.violate("S2", format!("intent {} has launched {first} and now {id}", spec.intent));
        }
    }

    fn s3_an_intent_was_committed_before(&mut self, id: &InstanceId, spec: &LaunchSpec) {
        let zonal = |committed: &LaunchSpec| {
            committed.group == spec.group && committed.template == spec.template && committed.shard == spec.shard
        };
        if !self.safety.committed.get(&spec.intent).is_some_and(zonal) {
            self.violate("S3", format!("{id} was launched for {}, which nobody has committed", spec.intent));
        }
    }

    /// S4, at a call of TerminateInstances.
    pub(crate) fn check_termination(&mut self, id: &InstanceId, intent: &IntentId) {
        let record = self.view.iter().flat_map(|view| &view.members).find(|member| member.id == *id);
        let may = match record.map(|member| &member.state) {
            Some(MemberState::Terminating(_)) => true,
            Some(MemberState::Pending | MemberState::Active | MemberState::Draining(_)) => false,
            // Its record is closed: EC2 has said that it is gone, or it is an orphan.
            None => {
                let proven = self.safety.orphans.contains(id);
                proven || self.ec2.get(id).is_none_or(|instance| !instance.alive(self.now) || !instance.ours(self.now))
            }
        };
        if !may {
            let state = record.map(|member| format!("{:?}", member.state)).unwrap_or_else(|| "not a member".into());
            self.violate("S4", format!("{intent} terminates {id}, which is {state}"));
        }
        let foreign = self.ec2.get(id).is_some_and(|instance| instance.spec.is_none());
        if foreign {
            self.violate("S4", format!("{intent} terminates {id}, which somebody else has launched"));
        }
    }

    /// What a probe saw, for S5.
    pub(crate) fn probed(&mut self, run: RunId, probed: &Probed) {
        let Some(slot) = self.runs.get(&run).and_then(|mine| mine.slot) else { return };
        // Who is gone by EC2's word is not silent (H7).
        let known = |id: &InstanceId| {
            let answered = self.agents.get(id).is_some_and(|agent| agent.answered_once);
            answered && self.ec2.get(id).is_some_and(|instance| instance.alive(self.now))
        };
        let answered = |seen: &Observation| matches!(seen, Observation::Answered(_));
        let ever = probed.observations.keys().filter(|id| known(id)).count();
        if ever > 0 && !probed.observations.values().any(answered) {
            self.safety.dark.insert(slot);
        }
    }

    fn s5_nobody_goes_while_nobody_answers(&mut self, before: &GroupState, claim: &Claim, report: &Report) {
        if !report.slot.is_some_and(|slot| self.safety.dark.contains(&slot)) {
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

    fn s6_windows_hold(&mut self, before: &GroupState, claim: &Claim, report: &Report, policy: &Policy) {
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
        launches.push(now(launched));
        terminations.push(now(ended));
        let kinds = [(&*launches, policy.out, "launches"), (&*terminations, policy.inward, "terminations")];
        let broken = kinds.map(|(log, pace, what)| {
            let (used, limit) = window(log, report.at, pace.window, pace.limit)?;
            (used > limit).then(|| format!("{used} {what} within {:?}, at most {limit} may be", pace.window))
        });
        for text in broken.into_iter().flatten() {
            self.violate("S6", text);
        }
    }

    fn s6_replacements_stay_inside_their_limit(&mut self, before: &GroupState, claim: &Claim, policy: &Policy) {
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

    /// S7, in part: every write raises the version.
    pub(crate) fn check_version(&mut self, before: Option<&GroupState>) {
        let version = |state: &GroupState| state.head.version;
        let (old, new) = (before.map(version), self.view.as_ref().map(version));
        if new <= old {
            self.violate("S7", format!("the version went from {old:?} to {new:?}"));
        }
    }

    fn s7_a_sweep_is_decided_on_once(&mut self, before: &GroupState, claim: &Claim, policy: &Policy) {
        let (old, new) = (before.head.last_slot, claim.head.last_slot);
        if new > old {
            return;
        }
        if new < old {
            return self.violate("S7", format!("the last slot went back from {old:?} to {new:?}"));
        }
        let (was, is) = (before.head.desired, claim.head.desired);
        if is != was && is != was.clamp(policy.min, policy.max) {
            self.violate("S7", format!("desired went from {was} to {is} without a sweep of its own"));
        }
        let for_health = |cause: Cause| matches!(cause, Cause::Unhealthy | Cause::BootTimeout);
        let replaces = |intent: &&muster_core::intent::Intent| {
            matches!(intent.call, Call::Launch(_)) && intent.cause == Cause::Unhealthy
        };
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

    fn s8_the_young_are_not_judged(&mut self, before: &GroupState, claim: &Claim, policy: &Policy) {
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

    fn s9_decide_is_pure(&mut self, snapshot: &Snapshot, policy: &Policy, version: u64) {
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

    fn s10_decide_is_monotone(&mut self, snapshot: &Snapshot, policy: &Policy, version: u64) {
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
            let judged = |cause: Cause| matches!(cause, Cause::Load | Cause::BootTimeout);
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

    /// S11: no agent grows our tables.
    pub(crate) fn check_sweep(&mut self, sweep: &Sweep) {
        let long = |text: &String| text.len() > LONGEST_TEXT;
        if let Some((id, _)) = sweep.members.iter().find(|(_, health)| long(&health.detail) || long(&health.boot_id)) {
            self.violate("S11", format!("the sweep keeps a flood of text from {id}"));
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
