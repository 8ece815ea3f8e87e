//! The safety invariants, judged by one who sees everything, after every step. Here are those of what exists and of what is
//! called, S1-S4, S7's version, S11 and O1; those of decisions are in `decisions`.
//!
//! Each rule is a function named for it. What must never be in here: a weaker reading because the code does not keep the
//! rule yet.

use std::collections::{BTreeMap, BTreeSet};

use muster_control::activity::Event as Deed;
use muster_control::ports::{Claim, GroupState, Probed};
use muster_core::health::{Observation, Sweep};
use muster_core::intent::{Call, Cause, IntentId, LaunchSpec};
use muster_core::member::{InstanceId, MemberState};
use muster_core::policy::Mode;
use muster_core::report::Report;
use muster_core::snapshot::Snapshot;
use muster_core::time::Timestamp;

use crate::dice::Purpose;
use crate::fault::Fault;
use crate::world::{RunId, World};

/// One decision in so many is taken again with other input (S9, S10).
const SAMPLED: u64 = 12;
/// The longest text of an agent that may be stored (S11).
const LONGEST_TEXT: usize = 400;

/// Actions of one claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actions {
    pub(crate) at: Timestamp,
    pub(crate) count: u32,
    pub(crate) actual: u32,
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
    /// S5: members that have answered in a sweep that was written: an answer that nobody wrote down is none.
    pub(crate) answered: BTreeSet<InstanceId>,
    /// S5: slots in whose sweep nobody answered who had ever done so.
    pub(crate) dark: BTreeSet<Timestamp>,
    /// S6.
    pub(crate) launches: Vec<Actions>,
    pub(crate) terminations: Vec<Actions>,
    /// O1: the mode in force, and since when.
    mode: Option<(Mode, Timestamp)>,
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
        if self.safety.mode.is_none_or(|(mode, _)| mode != claim.head.mode) {
            self.safety.mode = Some((claim.head.mode, self.now));
        }
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

    /// O1, at every call that changes something: who began when the mode was known already may not make it.
    pub(crate) fn o1_the_mode_is_obeyed(&mut self, run: RunId, ends: bool) {
        let (Some((mode, since)), Some(mine)) = (self.safety.mode, self.runs.get(&run)) else { return };
        let forbids = match mode {
            Mode::Active => false,
            Mode::OutOnly => ends,
            Mode::Observe | Mode::Paused => true,
        };
        if forbids && mine.began > since {
            self.violate("O1", format!("{} changes something in mode {mode:?}", self.who(run)));
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
            self.safety.answered.contains(id) && self.ec2.get(id).is_some_and(|instance| instance.alive(self.now))
        };
        let answered = |seen: &Observation| matches!(seen, Observation::Answered(_));
        let ever = probed.observations.keys().filter(|id| known(id)).count();
        if ever > 0 && !probed.observations.values().any(answered) {
            self.safety.dark.insert(slot);
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

    /// S11: no agent grows our tables.
    pub(crate) fn check_sweep(&mut self, sweep: &Sweep) {
        let answered = sweep.members.iter().filter(|(_, health)| health.first_answer.is_some());
        self.safety.answered.extend(answered.map(|(id, _)| id.clone()));
        let long = |text: &String| text.len() > LONGEST_TEXT;
        if let Some((id, _)) = sweep.members.iter().find(|(_, health)| long(&health.detail) || long(&health.boot_id)) {
            self.violate("S11", format!("the sweep keeps a flood of text from {id}"));
        }
    }
}
