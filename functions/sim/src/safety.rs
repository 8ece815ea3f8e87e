//! The safety invariants, judged by one who sees everything, after every step. Here are those of what exists and of what is
//! called, S1-S4, S7's version, S11, O1 and D2; those of decisions are in `decisions`.
//!
//! Each rule is a function named for it. What must never be in here: a weaker reading because the code does not keep the
//! rule yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_control::activity::Event as Deed;
use muster_control::ports::{Claim, GroupState, Order, Probed, Settlement, Target};
use muster_core::health::{Health, Observation, Seen};
use muster_core::intent::{Call, Cause, Intent, IntentId, LaunchSpec};
use muster_core::member::{InstanceId, MemberRecord, MemberState};
use muster_core::policy::{Mode, Policy};
use muster_core::report::Report;
use muster_core::snapshot::Snapshot;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;

use crate::decisions::{CLOCKS, let_go};
use crate::dice::Purpose;
use crate::fault::Fault;
use crate::weak::Weakness;
use crate::world::{RunId, World};

/// One decision in so many is taken again with other input (S9, S10).
const SAMPLED: u64 = 12;
/// The longest text of an agent that may be stored (S11).
const LONGEST_TEXT: usize = 400;
/// DynamoDB's limits: the items of a transaction, and an item's bytes with a margin (S11).
const TRANSACTION_ITEMS: usize = 100;
const HEAD_BYTES: usize = 350_000;
/// V3: an orphan is at least this old.
const ORPHANS_ARE: Duration = Duration::from_secs(15 * 60);
/// O1: a sweep reads the mode shortly before it probes.
const SWEEP_READS_AHEAD: Duration = Duration::from_secs(2);

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
    /// S4: proven orphans whose end is committed.
    orphans: BTreeSet<InstanceId>,
    /// S5: members that have answered in a sweep that was written: an answer that nobody wrote down is none.
    pub(crate) answered: BTreeSet<InstanceId>,
    /// S5: slots in whose sweep nobody answered who had ever done so.
    pub(crate) dark: BTreeSet<Timestamp>,
    /// S6.
    pub(crate) launches: Vec<Actions>,
    pub(crate) terminations: Vec<Actions>,
    /// D2: members that EC2 has shown to be protected, and those whose agents have said so, with the slot of that sweep.
    pub(crate) tagged: BTreeSet<InstanceId>,
    pub(crate) said: BTreeMap<InstanceId, Timestamp>,
    /// O1: the mode in force, and since when.
    mode: Option<(Mode, Timestamp)>,
}

impl Safety {
    /// An instance has been gone for so long that nothing can be asked of it any more.
    pub(crate) fn forget(&mut self, id: &InstanceId) {
        self.orphans.remove(id);
        self.answered.remove(id);
        self.tagged.remove(id);
        self.said.remove(id);
    }
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
                    self.s4_an_orphan_is_proven(before, instance);
                }
                Call::Terminate { .. } => {}
            }
        }
        self.check_version(before);
        let puts = claim.put_members.len() + claim.put_intents.len() + claim.put_rosters.len();
        let takes = claim.delete_members.len() + claim.cancel_intents.len();
        self.s11_a_transaction_fits(
            1 + puts
                + takes
                + usize::from(claim.put_policy.is_some())
                + usize::from(claim.put_learnt.is_some())
                + claim.activity.len(),
        );
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
        // A pause ends by the clock of whoever decides.
        self.o1_a_claim_obeys_the_mode(before, claim, &policy.at(report.at));
        self.d2_the_protected_stay(before, claim, report, snapshot);
        self.d8_the_marked_are_let_go_within_limits(before, claim, snapshot, &policy.at(report.at));
        if let Some(snapshot) = snapshot
            && self.dice.of(Purpose::Sample, claim.head.version).u64(0..SAMPLED) == 0
        {
            self.s9_decide_is_pure(snapshot, &policy, claim.head.version);
            self.s10_decide_is_monotone(snapshot, &policy, claim.head.version);
        }
    }

    fn s1_actual_stays_below_max(&mut self) {
        let (Some(view), Some(max)) = (&self.view, self.policy().map(|policy| policy.at(self.now).max)) else { return };
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
        let (ceiling, known) = (self.safety.ceiling, self.policy().is_some());
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
        // Two weaker designs change what they launch on purpose: S2 must find them.
        let bent = matches!(self.weakness, Some(Weakness::RandomToken | Weakness::SameTokenElsewhere));
        if !self.safety.committed.get(&spec.intent).is_some_and(|committed| bent || committed == spec) {
            let text = format!("{id} was launched for {} as nobody has committed it: {spec:?}", spec.intent);
            self.violate("S3", text);
        }
    }

    /// S4: no record and no open launch knows an orphan; it is of our making, and old enough for both to have been there.
    fn s4_an_orphan_is_proven(&mut self, before: Option<&GroupState>, id: &InstanceId) {
        let Some(instance) = self.ec2.get(id) else { return };
        let recorded = before.is_some_and(|before| before.members.iter().any(|member| member.id == *id));
        let opened = instance.spec.as_ref().is_some_and(|spec| {
            before.is_some_and(|before| before.intents.iter().any(|intent| intent.id == spec.intent))
        });
        let young = self.now.since(instance.launched_at) + CLOCKS < ORPHANS_ARE;
        let foreign = instance.spec.is_none();
        if recorded || opened || young || foreign {
            let why = [(recorded, "has a record"), (opened, "has an open intent"), (young, "is young")];
            let why = why.iter().find(|(so, _)| *so).map_or("is somebody else's", |(_, why)| why);
            return self.violate("S4", format!("{id} is to be ended as an orphan, but {why}"));
        }
        self.safety.orphans.insert(id.clone());
    }

    /// O1, of a claim: a mode that changes nothing writes down what has happened, and one for launches lets nobody go.
    fn o1_a_claim_obeys_the_mode(&mut self, before: &GroupState, claim: &Claim, policy: &Policy) {
        let state = |id: &InstanceId| before.members.iter().find(|was| was.id == *id).map(|was| &was.state);
        let moved = |member: &MemberRecord| match (state(&member.id), &member.state) {
            (Some(MemberState::Pending), MemberState::Active) => false,
            (was, is) => was != Some(is),
        };
        let ends = |intent: &Intent| matches!(intent.call, Call::Terminate { .. });
        let goes = |member: &&MemberRecord| moved(member) && !World::in_actual(&member.state);
        let acts = match policy.mode {
            Mode::Active => false,
            Mode::OutOnly => claim.put_intents.iter().any(ends) || claim.put_members.iter().any(|m| goes(&m)),
            Mode::Observe | Mode::Paused => {
                let intents = claim.put_intents.len() + claim.cancel_intents.len();
                intents > 0 || claim.put_members.iter().any(moved) || claim.head.desired != before.head.desired
            }
        };
        if acts {
            let text = format!("a claim in mode {:?} does {:?}", policy.mode, decision(claim).map(|(r, _)| &r.actions));
            self.violate("O1", text);
        }
    }

    /// O1, of a sweep: agents are told nothing in a mode that changes nothing.
    pub(crate) fn o1_a_sweep_obeys_the_mode(&mut self, targets: &[Target]) {
        let silent = self.safety.mode.is_some_and(|(mode, since)| {
            matches!(mode, Mode::Observe | Mode::Paused) && self.now.since(since) > SWEEP_READS_AHEAD
        });
        let told = targets.iter().find(|target| target.order != Order::Look).filter(|_| silent);
        if let Some(target) = told {
            self.violate("O1", format!("{} is told {:?} though nothing may be changed", target.id, target.order));
        }
    }

    /// D2: whoever EC2 or its own agent has shown to be protected goes neither for load nor for bounds, nor for an operator's mark.
    fn d2_the_protected_stay(
        &mut self,
        before: &GroupState,
        claim: &Claim,
        report: &Report,
        snapshot: Option<&Snapshot>,
    ) {
        let listed = snapshot.and_then(|snapshot| snapshot.fleet.as_ref()).into_iter().flatten();
        self.safety.tagged.extend(listed.filter(|seen| seen.protected).map(|seen| seen.id.clone()));
        // Faults have stopped: nobody is protected any more.
        if self.calm() {
            return;
        }
        for gone in let_go(before, claim) {
            let said = self.safety.said.get(gone.id).is_some_and(|since| report.slot >= Some(*since));
            let protected = self.safety.tagged.contains(gone.id) || said;
            let spared = matches!(gone.cause, Cause::Load | Cause::Bounds | Cause::Operator);
            if protected && World::in_actual(gone.was) && spared {
                self.violate("D2", format!("{} goes for {} and is protected", gone.id, gone.cause));
            }
        }
    }

    /// S11: a transaction and HEAD stay within what DynamoDB takes.
    pub(crate) fn s11_a_transaction_fits(&mut self, items: usize) {
        if items > TRANSACTION_ITEMS {
            self.violate("S11", format!("a transaction of {items} items"));
        }
        let head = self.view.as_ref().and_then(|view| serde_json::to_vec(&view.head).ok()).map_or(0, |head| head.len());
        if head > HEAD_BYTES {
            self.violate("S11", format!("HEAD has grown to {head} bytes"));
        }
    }

    pub(crate) fn check_settlement(&mut self, settlement: &Settlement) {
        let made = settlement.put_members.len() + usize::from(settlement.roster.is_some());
        self.s11_a_transaction_fits(1 + settlement.settled.len() + made + settlement.activity.len());
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
        for (id, _) in sweep.members.iter().filter(|(_, health)| health.seen == Seen::Answered) {
            if self.agents.get(id).is_some_and(|agent| agent.protected) {
                self.safety.said.entry(id.clone()).or_insert(sweep.slot);
            }
        }
        let long = |text: &String| text.len() > LONGEST_TEXT;
        let texts = |health: &Health| [&health.detail, &health.boot_id, &health.version].into_iter().any(long);
        if let Some((id, _)) = sweep.members.iter().find(|(_, health)| texts(health)) {
            self.violate("S11", format!("the sweep keeps a flood of text from {id}"));
        }
    }
}
