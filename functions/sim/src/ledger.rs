//! Which faults changed an outcome. A fault counts when the run takes a branch that only a fault causes: a retry, a lost
//! claim, a take-over, a fallback, a hold, an adoption. It is read off what the use cases did, not off the injection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_control::activity::Event as Deed;
use muster_control::ports::{Claim, GroupState, Settlement};
use muster_core::decide::decide;
use muster_core::group::Outcome;
use muster_core::health::Seen;
use muster_core::intent::{Call, Cause, IntentId};
use muster_core::member::{InstanceId, MemberRecord, MemberState};
use muster_core::report::{Report, Rule};
use muster_core::snapshot::Snapshot;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;

use crate::fault::Fault;
use crate::safety::decision;
use crate::world::{Function, RIGHT, RunId, World};

/// An invocation of the monitor older than this goes on only because no other has taken over.
const TICK: Duration = Duration::from_secs(66);

/// What a fault has left undone.
#[derive(Debug)]
struct Debt {
    fault: Fault,
    /// Whose work it was.
    by: RunId,
    intents: BTreeSet<IntentId>,
}

/// Who has done something, and the fault without which it would not have been there.
type By = (RunId, Option<Fault>);

/// What is owed, and what has been counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    debts: Vec<Debt>,
    /// Slots that a fault kept from being decided on.
    missed: BTreeMap<Timestamp, Fault>,
    /// The fault that kept a slot from being swept.
    unswept: Option<Fault>,
    /// The last tick that was late.
    pub(crate) late_tick: Option<Timestamp>,
    /// Why a member did not answer the last probe, and by which happening.
    pub(crate) silences: BTreeMap<InstanceId, (Fault, usize)>,
    /// Whom each happening met.
    pub(crate) chosen: BTreeMap<usize, InstanceId>,
    /// Who wrote HEAD last, who leased each intent last, who took a slot last.
    head_by: Option<By>,
    lease_by: BTreeMap<IntentId, By>,
    slot_by: Option<By>,
    /// Invocations whose being there has been counted.
    credited: BTreeSet<RunId>,
    /// Happenings, and what was wrong with members, that have been counted.
    counted: BTreeSet<(Fault, usize)>,
    members: BTreeSet<(Fault, InstanceId)>,
}

/// Whether a report names a rule.
fn names(report: &Report, rules: &[Rule]) -> bool {
    let told = report.waits.iter().chain(&report.remarks).map(|remark| remark.rule);
    told.chain([report.rule]).any(|rule| rules.contains(&rule))
}

impl World {
    fn once(&mut self, fault: Fault, number: usize) {
        if self.ledger.counted.insert((fault, number)) {
            self.tally.change(fault);
        }
    }

    /// A fault keeps a slot from being decided on, unless it has been.
    pub(crate) fn miss(&mut self, slot: Timestamp, fault: Fault) {
        if self.view.as_ref().is_some_and(|view| view.head.last_slot < Some(slot)) {
            self.ledger.missed.entry(slot).or_insert(fault);
        }
    }

    /// Writes down what an invocation leaves undone.
    pub(crate) fn owe(&mut self, run: RunId, fault: Fault) {
        let Some(mine) = self.runs.get(&run) else { return };
        match mine.start.function {
            Function::Monitor => self.ledger.unswept = Some(fault),
            Function::Controller => {
                let called = mine.calling.iter().filter(|_| matches!(fault, Fault::LostReply | Fault::Ec2Throttle));
                let called: BTreeSet<IntentId> = called.cloned().collect();
                let intents =
                    if called.is_empty() { mine.leased.union(&mine.claimed).cloned().collect() } else { called };
                if !intents.is_empty() {
                    self.ledger.debts.push(Debt { fault, by: run, intents });
                }
            }
        }
    }

    /// An invocation whose claim or transaction was refused for nothing tries again.
    pub(crate) fn tries_again(&mut self, run: RunId) {
        if self.runs.get_mut(&run).is_some_and(|mine| std::mem::take(&mut mine.conflicted)) {
            self.tally.change(Fault::StoreConflict);
        }
    }

    fn by(&self, run: RunId) -> Option<By> {
        self.runs.get(&run).map(|mine| (run, mine.start.origin))
    }

    /// A claim or a settlement is refused: somebody else has written HEAD.
    pub(crate) fn lost_claim(&mut self, run: RunId) {
        self.lost(run, self.ledger.head_by);
    }

    pub(crate) fn lost_lease(&mut self, run: RunId, intent: &IntentId) {
        self.lost(run, self.ledger.lease_by.get(intent).copied());
    }

    pub(crate) fn writes_head(&mut self, run: RunId) {
        self.ledger.head_by = self.by(run);
    }

    /// Somebody else was first: whichever of the two is there only by a fault has changed something.
    fn lost(&mut self, run: RunId, winner: Option<By>) {
        let (Some(loser), Some(winner)) = (self.by(run), winner.filter(|(other, _)| *other != run)) else { return };
        for (run, origin) in [loser, winner] {
            if let Some(fault) = origin
                && self.ledger.credited.insert(run)
            {
                self.tally.change(fault);
            }
        }
    }

    /// An invocation has come to its end: what kept it from deciding leaves its slots to somebody else.
    pub(crate) fn ended(&mut self, run: RunId) {
        let Some(mine) = self.runs.get(&run).filter(|mine| mine.claims == 0) else { return };
        let Some(fault) = mine.hindered else { return };
        for slot in mine.start.slots.clone() {
            self.miss(slot, fault);
        }
    }

    pub(crate) fn leased(&mut self, run: RunId, intent: &IntentId) {
        for mine in self.runs.values_mut() {
            mine.claimed.remove(intent);
        }
        if let Some(mine) = self.runs.get_mut(&run) {
            mine.leased.insert(intent.clone());
        }
        if let Some(by) = self.by(run) {
            self.ledger.lease_by.insert(intent.clone(), by);
        }
        let Self { ledger, tally, .. } = self;
        for debt in &mut ledger.debts {
            // Whoever goes on with its own work takes nothing over, but repeats a call that was not answered or not made.
            let repeats = matches!(debt.fault, Fault::LostReply | Fault::Ec2Throttle);
            if debt.intents.remove(intent) && (repeats || debt.by != run) {
                tally.change(debt.fault);
            }
        }
        ledger.debts.retain(|debt| !debt.intents.is_empty());
    }

    pub(crate) fn settled(&mut self, settlement: &Settlement) {
        for outcome in &settlement.outcomes {
            match outcome {
                Outcome::NoCapacity { .. } => self.tally.change(Fault::Capacity),
                Outcome::Refused { .. } => self.tally.change(Fault::Permission),
                Outcome::Launched { .. } => {}
            }
        }
        let refused =
            |event: &Deed| matches!(event, Deed::Abandoned { reason, .. } if reason.contains("TerminateInstances"));
        if settlement.activity.iter().any(|activity| refused(&activity.event)) {
            self.tally.change(Fault::Permission);
        }
        for (id, _) in &settlement.settled {
            for mine in self.runs.values_mut() {
                mine.leased.remove(id);
            }
            for debt in &mut self.ledger.debts {
                debt.intents.remove(id);
            }
        }
    }

    pub(crate) fn takes_slot(&mut self, run: RunId, slot: Timestamp, taken: bool) {
        let period = self.policy().map_or(Duration::from_secs(10), |policy| policy.sweep_interval);
        let right = self.now.round_down(period);
        let Some(mine) = self.runs.get_mut(&run) else { return };
        if taken {
            mine.slot = Some(slot);
            mine.early = mine.skew != RIGHT && slot > right;
            self.ledger.slot_by = self.by(run);
            return;
        }
        // Somebody whose clock is ahead has taken a slot before its time.
        if self.runs.values().any(|other| other.early && other.slot == Some(slot)) {
            self.tally.change(Fault::ClockSkew);
        }
        self.lost(run, self.ledger.slot_by);
    }

    pub(crate) fn swept(&mut self, run: RunId, sweep: &Sweep) {
        let gap = sweep.gaps_ms.last().copied().unwrap_or_default();
        let period = self.policy().map_or(10_000, |policy| muster_core::time::millis(policy.sweep_interval));
        let wide = gap > period + period / 2;
        let old = self.runs.get(&run).is_some_and(|mine| self.now.since(mine.began) > TICK);
        if let Some(fault) = self.ledger.unswept.take()
            && wide
        {
            self.tally.change(fault);
        }
        if !(wide || old) {
            return;
        }
        let now = self.passed();
        let recent = Duration::from_secs(150);
        let missing = self.schedule.script.iter().position(|happening| {
            happening.fault == Fault::TickMissing && happening.from <= now && now < happening.until + recent
        });
        if let Some(number) = missing {
            self.once(Fault::TickMissing, number);
        } else if self.ledger.late_tick.take().is_some() {
            self.tally.change(Fault::TickLate);
        }
    }

    /// What a claim shows of the faults before it.
    pub(crate) fn claimed(&mut self, run: RunId, before: Option<&GroupState>, claim: &Claim) {
        let Some(mine) = self.runs.get_mut(&run) else { return };
        mine.claims += 1;
        mine.claimed.extend(claim.put_intents.iter().map(|intent| intent.id.clone()));
        let (stale, origin) = (std::mem::take(&mut mine.stale), mine.start.origin);
        if let Some(slot) = claim.head.last_slot {
            let later = self.ledger.missed.split_off(&Timestamp::from_millis(slot.as_millis() + 1));
            for (missed, fault) in std::mem::replace(&mut self.ledger.missed, later) {
                // A late doorbell that comes before any other has changed nothing but the time.
                if slot > missed || origin != Some(fault) {
                    self.tally.change(fault);
                }
            }
        }
        let Some(before) = before else { return };
        self.policy_shows(before, claim);
        if let Some((report, Some(snapshot))) = decision(claim) {
            self.silence_shows(report, snapshot);
            self.clock_shows(run, claim, report, snapshot);
            self.throttle_shows(claim, report, snapshot);
        }
        self.members_show(before, claim);
        if stale {
            let gone = |id: &InstanceId| self.ec2.get(id).is_none_or(|instance| !instance.alive(self.now));
            let doubted = claim.head.not_found.keys().any(|id| !gone(id));
            let kept = before.members.iter().any(|m| gone(&m.id) && !claim.delete_members.contains(&m.id));
            if doubted || kept {
                self.tally.change(Fault::StaleDescribe);
            }
        }
    }

    fn policy_shows(&mut self, before: &GroupState, claim: &Claim) {
        if claim.put_policy.is_some()
            && let Some(why) = self.operator.why
        {
            self.tally.change(why);
        }
        if claim.head.refusal.is_some() && claim.head.refusal != before.head.refusal {
            self.tally.change(Fault::PolicyInvalid);
        }
        let missing = decision(claim).is_some_and(|(report, _)| names(report, &[Rule::O7]));
        if missing && let Some((number, _)) = self.under_way(Fault::PolicyDeleted) {
            self.once(Fault::PolicyDeleted, number);
        }
    }

    /// With the right clock the same would have been decided, or not.
    fn clock_shows(&mut self, run: RunId, claim: &Claim, report: &Report, snapshot: &Snapshot) {
        let skew = self.runs.get(&run).map_or(RIGHT, |mine| mine.skew);
        let now = Timestamp::from_millis(snapshot.now.as_millis() + RIGHT - skew);
        if skew != RIGHT && self.decides_otherwise(claim, report, &Snapshot { now, ..snapshot.clone() }) {
            self.tally.change(Fault::ClockSkew);
        }
    }

    /// With what EC2 would have said the same would have been decided, or not.
    fn throttle_shows(&mut self, claim: &Claim, report: &Report, snapshot: &Snapshot) {
        if snapshot.fleet.is_some() && snapshot.template_version.is_some() {
            return;
        }
        let prompt = |_: &crate::ec2::Instance| Duration::ZERO;
        let ids: Vec<InstanceId> = snapshot.members.iter().map(|member| member.id.clone()).collect();
        let mut fleet = self.ec2.list(&self.group, self.now, prompt);
        let unlisted = self.ec2.describe(&self.group, &ids, self.now, prompt);
        fleet.extend(unlisted.into_iter().filter(|seen| !seen.ours));
        let known = Snapshot {
            fleet: snapshot.fleet.clone().or(Some(fleet)),
            template_version: snapshot.template_version.or(Some(self.template)),
            ..snapshot.clone()
        };
        if self.decides_otherwise(claim, report, &known) {
            self.tally.change(Fault::Ec2Throttle);
        }
    }

    /// Whether something else would be decided on `snapshot`.
    fn decides_otherwise(&self, claim: &Claim, report: &Report, snapshot: &Snapshot) -> bool {
        let Some(policy) = claim.head.policy.and_then(|version| self.policies.get(&version)) else { return false };
        let other = decide(snapshot, policy).report;
        (other.rule, other.desired, &other.actions) != (report.rule, report.desired, &report.actions)
    }

    fn silence_shows(&mut self, report: &Report, snapshot: &Snapshot) {
        let held = names(report, &[Rule::M5, Rule::H2, Rule::H3, Rule::M2, Rule::M3]);
        let mut shown = Vec::new();
        for member in &snapshot.members {
            let Some(health) = &member.health else { continue };
            if health.seen != Seen::Answered {
                let silence = self.ledger.silences.get(&member.id).copied();
                shown.extend(silence.filter(|(fault, _)| {
                    let blackout = matches!(fault, Fault::BlackoutAll | Fault::BlackoutZone);
                    blackout && held || matches!(fault, Fault::Silence | Fault::Upgrade) && report.counts.suspect > 0
                }));
                continue;
            }
            let Some(agent) = self.agents.get(&member.id) else { continue };
            if let Some((_, number, _)) = agent.lie
                && health.sampled_at != health.last_answer
            {
                shown.push((Fault::Lie, number));
            }
            if let Some((_, number)) = agent.failing
                && health.failing_sweeps > 0
            {
                shown.push((Fault::Failing, number));
            }
        }
        for (fault, number) in shown {
            self.once(fault, number);
        }
    }

    /// What is wrong with a member that is let go or replaced.
    fn trouble(&self, id: &InstanceId) -> Option<Fault> {
        let (instance, agent) = (self.ec2.get(id)?, self.agents.get(id)?);
        if instance.taken_by == Some(Fault::HandStop) {
            return Some(Fault::HandStop);
        }
        if instance.impaired {
            return Some(Fault::Impaired);
        }
        let never = if agent.answered_once { None } else { agent.boots_badly };
        never.or(agent.dead_since.map(|_| Fault::Dead))
    }

    fn members_show(&mut self, before: &GroupState, claim: &Claim) {
        let old = |id: &InstanceId| before.members.iter().find(|member| member.id == *id);
        let mut shown: Vec<(Option<Fault>, &InstanceId)> = Vec::new();
        for member in &claim.put_members {
            let was = old(&member.id).map(|was: &MemberRecord| &was.state);
            let fault = match (was, &member.state) {
                (Some(MemberState::Draining(_)), MemberState::Terminating(_)) => {
                    let busy = self.agents.get(&member.id).is_some_and(|agent| agent.drains_in.is_none());
                    busy.then_some(Fault::Busy)
                }
                (_, MemberState::Draining(leaving)) if leaving.cause == Cause::Leaving => Some(Fault::Leaving),
                (_, MemberState::Draining(leaving)) if leaving.cause == Cause::Operator => Some(Fault::HandDrain),
                (Some(MemberState::Pending | MemberState::Active), MemberState::Terminating(_)) => {
                    self.trouble(&member.id)
                }
                _ => None,
            };
            shown.push((fault, &member.id));
        }
        for intent in &claim.put_intents {
            match &intent.call {
                Call::Launch(spec) => shown.extend(spec.replaces.as_ref().map(|old| (self.trouble(old), old))),
                Call::Terminate { instance, .. } => {
                    shown.push(((intent.cause == Cause::Orphan).then_some(Fault::HandRetag), instance));
                }
            }
        }
        for id in &claim.delete_members {
            let ending = old(id).is_some_and(|was| matches!(was.state, MemberState::Terminating(_)));
            let taken = self.ec2.get(id).and_then(|instance| instance.taken_by);
            shown.push((taken.filter(|_| !ending), id));
        }
        for (fault, id) in shown.into_iter().filter_map(|(fault, id)| Some((fault?, id))) {
            if self.ledger.members.insert((fault, id.clone())) {
                self.tally.change(fault);
            }
        }
    }
}
