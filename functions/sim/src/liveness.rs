//! The liveness rules V1-V6: judged once faults have stopped, at every look until the end.

use std::time::Duration;

use muster_core::group::TemplateRecord;
use muster_core::intent::Call;
use muster_core::member::{InstanceId, MemberState};
use muster_core::policy::ScalingRule;
use muster_core::report::Rule;
use muster_core::time::Timestamp;

use crate::ec2::Instance;
use crate::story::Weight;
use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);
/// V1: a size that `auto` has learnt since is reached within this.
const LEARNT_SIZE_WITHIN: Duration = Duration::from_secs(4 * 60);
/// V1: desired is reached within this, and must then hold.
const WHOLE_WITHIN: Duration = Duration::from_secs(15 * 60);
/// What a look may be late: a sweep and its decision.
const SLACK: Duration = Duration::from_secs(30);
/// V2: three leases are shorter.
const INTENTS_END_WITHIN: Duration = Duration::from_secs(15 * 60);
/// V3.
const ORPHANS_GONE_WITHIN: Duration = Duration::from_secs(30 * 60);
/// V4: half of a group.
const DEAD_REPLACED_WITHIN: Duration = Duration::from_secs(60 * 60);
/// V5: a group is delayed by at most this, and then decided on.
const DECIDED_WITHIN: Duration = Duration::from_secs(5 * 60);
/// L8, L9: launches of one version that never answered; from then on none is made, whether others did answer or not.
const QUARANTINED: u32 = 3;
/// How long a group is watched after it must be whole.
const WATCHED: Duration = Duration::from_secs(5 * 60);

/// What the liveness rules remember.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// V1: since when no breaker is open and no fault is.
    steady_since: Option<Timestamp>,
    /// V5: when the last decision was claimed.
    pub(crate) decided_at: Option<Timestamp>,
    /// V6: sweeps since faults stopped after a blackout, and whether a decision since was not a hold.
    pub(crate) sweeps: u32,
    /// The edit that ended a quarantine last.
    edited: u64,
    /// Whether somebody looked in vain for something that must be.
    pub(crate) unrecovered: bool,
}

impl World {
    /// Looks whether all is well; says whether the run is over.
    pub(crate) fn judge(&mut self) -> bool {
        let calm = self.passed().saturating_sub(self.schedule.calm);
        self.clear_quarantine();
        self.note_steadiness();
        self.v1_the_group_is_whole();
        self.d8_the_marked_are_gone();
        self.v2_intents_end(calm);
        self.v3_orphans_are_gone(calm);
        self.v4_the_dead_are_replaced(calm);
        self.v5_the_group_is_decided_on(calm);
        let open =
            self.view.as_ref().is_some_and(|view| view.head.breaker.is_some() || !view.head.zone_breakers.is_empty());
        let whole = self.liveness.steady_since.is_some_and(|since| self.now.since(since) >= WHOLE_WITHIN + WATCHED);
        let done = whole && !open && self.orphans().is_empty() && self.dead().is_empty();
        done || calm > DEAD_REPLACED_WITHIN + WATCHED || !self.violations.is_empty()
    }

    /// A quarantine is for a person to end (L8, L9): a version whose launches have failed too often, by an edit.
    fn clear_quarantine(&mut self) {
        let Some(view) = &self.view else { return };
        let (template, policy) = (self.template, view.head.policy);
        let stopped = |t: &TemplateRecord| t.version == template && t.failures >= QUARANTINED && t.policy == policy;
        let asked = self.liveness.edited > policy.map_or(0, |policy| policy.0);
        if view.head.templates.iter().any(stopped) && !asked {
            self.tell(Weight::Deed, |_| format!("the operator ends the quarantine of version {template}"));
            self.reedit();
            self.liveness.edited = self.operator.version;
        }
    }

    fn fail(&mut self, rule: &'static str, text: String) {
        self.liveness.unrecovered = true;
        self.violate(rule, text);
    }

    fn note_steadiness(&mut self) {
        let open =
            self.view.as_ref().is_none_or(|view| view.head.breaker.is_some() || !view.head.zone_breakers.is_empty());
        // What is about to open a breaker counts as one that is open.
        let silent = self.silent_share() >= 34 || self.dead().len() >= 2;
        if open || silent {
            self.liveness.steady_since = None;
        } else if self.liveness.steady_since.is_none() {
            self.liveness.steady_since = Some(self.now);
        }
    }

    /// Members that have ever answered and would not answer now, in percent.
    fn silent_share(&self) -> usize {
        let Some(view) = &self.view else { return 0 };
        let ever = |id: &InstanceId| self.agents.get(id).is_some_and(|agent| agent.answered_once);
        let members = || view.members.iter().filter(|m| World::in_actual(&m.state) && ever(&m.id));
        members().filter(|m| !self.well(&m.id)).count() * 100 / members().count().max(1)
    }

    pub(crate) fn healthy(&self) -> u32 {
        let members = self.view.iter().flat_map(|view| &view.members);
        let healthy = members.filter(|m| m.state == MemberState::Active && self.well(&m.id));
        u32::try_from(healthy.count()).unwrap_or(u32::MAX)
    }

    /// Members whose agents will never answer again while their instances run.
    fn dead(&self) -> Vec<InstanceId> {
        let members = self.view.iter().flat_map(|view| &view.members).filter(|m| World::in_actual(&m.state));
        let dead = members.filter(|m| {
            self.ec2.get(&m.id).is_some_and(|instance| instance.alive(self.now))
                && self.agents.get(&m.id).is_some_and(|agent| agent.dead_since.is_some())
        });
        dead.map(|m| m.id.clone()).collect()
    }

    /// Our instances that no record and no open intent knows.
    fn orphans(&self) -> Vec<InstanceId> {
        let Some(view) = &self.view else { return Vec::new() };
        let known = |i: &Instance| {
            let open = |intent: &muster_core::intent::Intent| match &intent.call {
                Call::Launch(_) => i.spec.as_ref().is_some_and(|spec| spec.intent == intent.id),
                Call::Terminate { .. } => false,
            };
            view.members.iter().any(|m| m.id == i.made.id) || view.intents.iter().any(open)
        };
        let own = self.ec2.all().iter().filter(|i| i.spec.is_some() && i.alive(self.now) && i.ours(self.now));
        own.filter(|i| !known(i)).map(|i| i.made.id.clone()).collect()
    }

    fn v1_the_group_is_whole(&mut self) {
        let Some(view) = &self.view else { return };
        let desired = view.head.desired;
        let within = WHOLE_WITHIN + MINUTE * (desired / 100) + SLACK;
        if self.liveness.steady_since.is_none_or(|since| self.now.since(since) < within) {
            return;
        }
        // `auto` goes on learning under a constant load, too: each size that it comes to has its own time to be reached.
        let launched = view.members.iter().map(|member| member.intended_at);
        let moved = launched.chain(view.intents.iter().map(|intent| intent.at)).chain(view.head.scale_in_at).max();
        let learns = self.policy().is_some_and(|policy| matches!(policy.scaling, ScalingRule::Auto(_)));
        if learns && moved.is_some_and(|moved| self.now.since(moved) < LEARNT_SIZE_WITHIN) {
            return;
        }
        let (healthy, actual) = (self.healthy(), crate::safety::actual(view));
        if healthy != desired || actual != desired {
            let text = format!("{healthy} of {actual} members are healthy, desired is {desired}");
            self.fail("V1", text);
        }
    }

    /// D8: whom an operator has marked is gone in the time in which a group must be whole, if there is room for a replacement or
    /// for a gap.
    fn d8_the_marked_are_gone(&mut self) {
        let (Some(view), Some(policy)) = (&self.view, self.policy()) else { return };
        let within = WHOLE_WITHIN + SLACK;
        let steady = self.liveness.steady_since.is_some_and(|since| self.now.since(since) >= within);
        let policy = policy.at(self.now);
        let room = policy.min < policy.max;
        let marked = |id: &InstanceId| {
            self.ec2.get(id).is_some_and(|i| i.alive(self.now) && i.ours(self.now) && i.marked(self.now))
        };
        let stays = view.members.iter().find(|member| World::in_actual(&member.state) && marked(&member.id));
        if let Some(member) = stays.filter(|_| steady && room) {
            let text = format!("{} is marked for draining, and is still at work", member.id);
            self.fail("D8", text);
        }
    }

    fn v2_intents_end(&mut self, calm: Duration) {
        if calm < INTENTS_END_WITHIN + SLACK {
            return;
        }
        let Some(view) = &self.view else { return };
        let old = view.intents.iter().find(|intent| self.now.since(intent.at) > INTENTS_END_WITHIN + SLACK);
        if let Some(text) = old.map(|intent| format!("{} is open since {}", intent.id, intent.at)) {
            self.fail("V2", text);
        }
    }

    fn v3_orphans_are_gone(&mut self, calm: Duration) {
        if calm < ORPHANS_GONE_WITHIN + MINUTE {
            return;
        }
        if let Some(id) = self.orphans().first() {
            self.fail("V3", format!("{id} runs under our tag, no record knows it, and nobody ends it"));
        }
    }

    fn v4_the_dead_are_replaced(&mut self, calm: Duration) {
        if calm < DEAD_REPLACED_WITHIN || self.healthy() == 0 {
            return;
        }
        if let Some(id) = self.dead().first() {
            self.fail("V4", format!("{id} is dead and has not been replaced within an hour"));
        }
        let open =
            self.view.as_ref().is_some_and(|view| view.head.breaker.is_some() || !view.head.zone_breakers.is_empty());
        if open && self.dead().is_empty() {
            self.fail("V4", "a breaker stays open though everybody answers".to_owned());
        }
    }

    fn v5_the_group_is_decided_on(&mut self, calm: Duration) {
        let period = self.policy().map_or(MINUTE, |policy| policy.sweep_interval);
        let within = DECIDED_WITHIN + period + SLACK;
        let last = self.liveness.decided_at.unwrap_or(crate::schedule::START);
        if calm > within && self.now.since(last) > within {
            self.fail("V5", format!("nothing has been decided since {last}"));
        }
    }

    /// V6, at a claim: two sweeps after a blackout that lasted until faults stopped, nothing is held for its sake.
    pub(crate) fn v6_a_blackout_is_over(&mut self, report: &muster_core::report::Report) {
        self.liveness.decided_at = Some(self.now);
        if !self.calm() {
            return;
        }
        self.liveness.sweeps += 1;
        let blackout = crate::fault::Fault::BlackoutAll;
        let until_now = self.schedule.script.iter().any(|h| h.fault == blackout && h.until == self.schedule.calm);
        let held = matches!(report.rule, Rule::M5 | Rule::H2);
        // Those that are silent for a reason of their own are one to hold, and so is a group that is warming up.
        let due = report.counts.in_service + report.counts.suspect;
        if until_now && held && self.liveness.sweeps == 3 && due > 0 && self.silent_share() == 0 {
            let text = format!("the third decision after a blackout still says: {}", report.headline);
            self.fail("V6", text);
        }
    }
}
