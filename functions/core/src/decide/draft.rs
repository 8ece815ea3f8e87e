//! The plan in the making: HEAD as it will be, the steps so far, and what is said about them.

use std::collections::BTreeSet;

use crate::auto::Learnt;
use crate::group::{Head, Heading, Shard};
use crate::intent::{Call, Cause, Intent, IntentId, LaunchSpec};
use crate::member::{InstanceId, Leaving};
use crate::plan::{Departure, Plan, Step};
use crate::policy::{Mode, OnTimeout, Policy};
use crate::report::{Desired, LoadFigures, Remark, Report, Rule};
use crate::snapshot::{Member, Snapshot};
use crate::time::{Timestamp, millis};

use super::census::Census;
use super::size::Sizing;
use super::{ACTIONS_PER_CLAIM, Decision, RECORDS_PER_CLAIM, REMARKS_KEPT, counted, load, outcomes};

pub(super) struct Draft<'a> {
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    slot: Option<Timestamp>,
    before: Head,
    pub(super) head: Head,
    /// HEAD with what has happened written down, and nothing of what is decided: all that a mode that changes nothing keeps.
    factual: Head,
    pub(super) steps: Vec<Step>,
    pub(super) remarks: Vec<Remark>,
    pub(super) waits: Vec<Remark>,
    /// Members that a step of this plan lets go.
    pub(super) leaving: BTreeSet<InstanceId>,
    /// Launches that a step of this plan takes back.
    cancelled: BTreeSet<IntentId>,
    /// Draining members that a step of this plan takes back (D4).
    pub(super) returning: BTreeSet<InstanceId>,
    /// Whether somebody is let go for the load's sake: then the scale-in cooldown starts (F3).
    scales_in: bool,
    /// Steps that the mode kept from being taken, in words (O1).
    withheld: Vec<String>,
    withheld_more: usize,
    postponed: u32,
    actual: u32,
    learnt: Option<Box<Learnt>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(snapshot: &Snapshot, policy: &'a Policy, census: &Census<'_>) -> Self {
        let mut head = snapshot.head.clone();
        outcomes::fold(&mut head, snapshot.now);
        let mut draft = Self {
            policy,
            now: snapshot.now,
            slot: snapshot.sweep.as_ref().map(|sweep| sweep.slot),
            before: snapshot.head.clone(),
            factual: head.clone(),
            head,
            steps: Vec::new(),
            remarks: Vec::new(),
            waits: Vec::new(),
            leaving: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            returning: BTreeSet::new(),
            scales_in: false,
            withheld: Vec::new(),
            withheld_more: 0,
            postponed: 0,
            actual: census.counts.actual,
            learnt: None,
        };
        if let Some(notice) = &snapshot.policy_notice {
            let rule = if snapshot.policy_refused { Rule::Z9 } else { Rule::O7 };
            draft.remark(rule, notice.clone());
        }
        draft
    }

    pub(super) fn remark(&mut self, rule: Rule, text: String) {
        self.remarks.push(Remark { rule, text });
    }

    pub(super) fn wait(&mut self, rule: Rule, text: String) {
        self.waits.push(Remark { rule, text });
    }

    /// From here on HEAD holds what is decided.
    pub(super) fn facts_are_taken(&mut self) {
        self.factual = self.head.clone();
    }

    /// Tells apart a silent agent, a failing application, and ourselves cut off (H2).
    pub(super) fn remark_on_health(&mut self, census: &Census<'_>) {
        if let Some(blind) = census.blind {
            self.remark(Rule::H2, format!("MonitorS itself was cut off or stalled: {blind}"));
        }
        let silent = |health: &crate::health::Health| health.silent_sweeps > 0;
        let failing = |health: &crate::health::Health| health.failing_sweeps > 0;
        let of = |wanted: &dyn Fn(&crate::health::Health) -> bool| {
            census.names(|seat| {
                seat.phase.is_actual() && seat.first_answer.is_some() && seat.member.health.as_ref().is_some_and(wanted)
            })
        };
        if let Some(names) = of(&silent) {
            self.remark(Rule::H2, format!("the agent is silent: {names}"));
        }
        if let Some(names) = of(&|health| failing(health) && !silent(health)) {
            self.remark(Rule::H2, format!("the agent answers, the application fails: {names}"));
        }
    }

    /// Notes that the sweep, if there is a new one, has had its decision (S7), though it be to do nothing.
    pub(super) fn look(&mut self, gate: &Result<(), Remark>) {
        if gate.is_ok() {
            self.head.last_slot = self.slot;
        }
    }

    /// Puts the size that was decided into HEAD, and what the next decisions must remember of it.
    pub(super) fn take(&mut self, sizing: &Sizing, gate: &Result<(), Remark>, census: &Census<'_>) {
        self.head.desired = sizing.desired;
        self.head.heading = self.heading(sizing, census);
        self.waits.extend(sizing.waits.iter().cloned());
        // Without a sweep of its own a decision leaves desired as it is, or as the window has set it.
        if gate.is_ok() || sizing.rule == Rule::F4 {
            self.head.schedule_seen = Some(self.now);
        }
        self.look(gate);
        if gate.is_err() {
            return;
        }
        let keep = self.policy.out.stabilization.max(self.policy.inward.stabilization);
        self.head.remember_recommendation(self.now, sizing.recommended, keep);
        self.head.remember_darkness(self.now, census.nobody_answers());
        if sizing.by_factor && sizing.desired > self.before.desired {
            self.head.factor_out_at = Some(self.now);
        }
    }

    /// Keeps what the rule `auto` has learnt: its sample in HEAD, its state in the plan.
    pub(super) fn learn(&mut self, opinion: Option<load::Opinion>) {
        if let Some(opinion) = opinion {
            self.head.auto.add(opinion.sample);
            self.learnt = Some(Box::new(opinion.learnt));
        }
    }

    /// Where *actual* is heading for the load's sake. A launch has not arrived before EC2 has accepted it; whoever is lost
    /// later is no part of the way.
    fn heading(&self, sizing: &Sizing, census: &Census<'_>) -> Heading {
        let (desired, before) = (sizing.desired, self.before.heading);
        let way = match sizing.cause {
            Some(Cause::Load) if desired > self.before.desired => [before, Heading::Out],
            Some(Cause::Load) => [before, Heading::In],
            None => [before, Heading::There],
            Some(_) => [Heading::There; 2],
        };
        let on_its_way = |heading: &Heading| match heading {
            Heading::There => false,
            Heading::Out => census.accepted() < desired,
            Heading::In => census.effective() > desired,
        };
        way.into_iter().find(on_its_way).unwrap_or_default()
    }

    /// *actual* as C4 counts it: a member under replacement and its replacement are one towards desired, and what this
    /// plan lets go is none.
    pub(super) fn effective(&self, census: &Census<'_>) -> u32 {
        let stays = |id: &&InstanceId| !self.leaving.contains(*id);
        let pairs = census.pairs.iter().filter(|(old, new)| stays(old) && new.iter().all(stays)).count();
        // Whoever is launched first for one that is still there becomes a pair with the claim.
        let first = [Cause::Unhealthy, Cause::Operator];
        let begun = |step: &&Step| matches!(step, Step::Launch { intent } if first.contains(&intent.cause));
        let pairs = pairs + self.steps.iter().filter(begun).count();
        self.actual_after(census).saturating_sub(u32::try_from(pairs).unwrap_or(u32::MAX))
    }

    /// *actual* once this plan is claimed.
    pub(super) fn actual_after(&self, census: &Census<'_>) -> u32 {
        let left =
            self.leaving.iter().filter(|id| census.seats.get(id).is_some_and(|seat| seat.phase.is_actual())).count();
        let launches = self.steps.iter().filter(|step| matches!(step, Step::Launch { .. })).count();
        let gone = u32::try_from(left + self.cancelled.len()).unwrap_or(u32::MAX);
        let returned = u32::try_from(self.returning.len()).unwrap_or(u32::MAX);
        let come = u32::try_from(launches).unwrap_or(u32::MAX).saturating_add(returned);
        self.actual.saturating_sub(gone).saturating_add(come)
    }

    /// How many more members may be let go in the window (F8).
    pub(super) fn room_in(&self) -> u32 {
        let pace = self.policy.inward;
        self.head.terminations.room(self.now, pace.window, pace.limit, self.actual)
    }

    /// Adds a step that writes down what has happened, and says whether it did: what a full claim has no room for is as
    /// true in the next one.
    pub(super) fn record(&mut self, step: Step) -> bool {
        let fits = self.steps.iter().filter(|step| step.is_record()).count() < RECORDS_PER_CLAIM;
        if fits {
            self.steps.push(step);
        } else {
            self.postponed += 1;
        }
        fits
    }

    /// Adds an action, and says whether it did: `out-only` withholds all that lets somebody go (O1), and what a full claim
    /// has no room for is left to the next one.
    fn act(&mut self, step: Step) -> bool {
        if self.policy.mode == Mode::OutOnly && !matches!(step, Step::Launch { .. } | Step::TakeBack { .. }) {
            // A record in DynamoDB holds 400 KB, however many are withheld.
            if self.withheld.len() < REMARKS_KEPT {
                self.withheld.push(step.describe());
            } else {
                self.withheld_more += 1;
            }
            return false;
        }
        let fits = self.steps.iter().filter(|step| !step.is_record()).count() < ACTIONS_PER_CLAIM;
        if fits {
            self.steps.push(step);
        } else {
            self.postponed += 1;
        }
        fits
    }

    pub(super) fn launch(&mut self, mut spec: LaunchSpec, cause: Cause) -> bool {
        let id = self.next_id();
        spec.token = crate::intent::Token::derive(&self.head.stack, &self.head.group, &id);
        spec.intent = id.clone();
        let launched = self.act(Step::Launch { intent: self.intent(id, cause, Call::Launch(spec)) });
        if launched {
            self.head.launches.record(self.now, 1, self.actual, self.policy.out.window);
        }
        launched
    }

    /// Commits the termination of `member`; `paced` unless its drain was counted already (F8).
    pub(super) fn terminate(&mut self, member: &Member, cause: Cause, paced: bool) -> bool {
        let call = Call::Terminate { instance: member.id.clone(), shard: member.shard };
        let intent = self.intent(self.next_id(), cause, call);
        let leaving = self.leaving(cause);
        let terminated = self.act(Step::Terminate { id: member.id.clone(), leaving, intent });
        if terminated {
            self.leaving.insert(member.id.clone());
            if paced {
                self.pace_in(cause);
            }
        }
        terminated
    }

    /// Commits the termination of an instance that is no member (V3).
    pub(super) fn sweep(&mut self, id: &InstanceId) -> bool {
        let call = Call::Terminate { instance: id.clone(), shard: Shard::default() };
        let intent = self.intent(self.next_id(), Cause::Orphan, call);
        self.act(Step::Sweep { id: id.clone(), intent })
    }

    /// Takes a drain back (D4).
    pub(super) fn take_back(&mut self, id: &InstanceId) -> bool {
        let taken = self.act(Step::TakeBack { id: id.clone() });
        if taken {
            self.returning.insert(id.clone());
        }
        taken
    }

    pub(super) fn drain(&mut self, id: &InstanceId, cause: Cause) -> bool {
        let leaving = self.leaving(cause);
        let drained = self.act(Step::Drain { id: id.clone(), leaving });
        if drained {
            self.leaving.insert(id.clone());
            self.pace_in(cause);
        }
        drained
    }

    pub(super) fn cancel(&mut self, intent: &IntentId, cause: Cause) {
        if self.act(Step::Cancel { intent: intent.clone() }) {
            self.cancelled.insert(intent.clone());
            self.scales_in |= cause == Cause::Load;
        }
    }

    fn pace_in(&mut self, cause: Cause) {
        self.scales_in |= cause == Cause::Load;
        self.head.terminations.record(self.now, 1, self.actual, self.policy.inward.window);
    }

    fn leaving(&self, cause: Cause) -> Leaving {
        Leaving {
            since: self.now,
            cause,
            timeout_ms: millis(self.policy.drain_timeout),
            wait: self.policy.on_timeout == OnTimeout::Wait,
        }
    }

    fn next_id(&self) -> IntentId {
        IntentId::of_next_claim(&self.before, u32::try_from(self.steps.len()).unwrap_or(u32::MAX))
    }

    fn intent(&self, id: IntentId, cause: Cause, call: Call) -> Intent {
        Intent {
            id,
            at: self.now,
            cause,
            policy: self.head.policy,
            call,
            attempt: 0,
            lease: None,
            first_leased_at: None,
        }
    }

    /// The decision. In a mode that changes nothing, only what has happened is written down (O1).
    pub(super) fn finish(mut self, census: &Census<'_>, sizing: &Sizing) -> Decision {
        let desired = Desired { before: self.before.desired, after: self.head.desired };
        if self.scales_in {
            self.head.scale_in_at = Some(self.now);
        }
        match self.policy.mode {
            Mode::Active | Mode::OutOnly => {}
            Mode::Observe | Mode::Paused => {
                let (kept, withheld) = std::mem::take(&mut self.steps).into_iter().partition(Step::is_record);
                self.steps = kept;
                let withheld: Vec<Step> = withheld;
                self.withheld.extend(withheld.iter().map(Step::describe));
                self.head = self.observed_head();
            }
        }
        let (remarks, mut waits) = (few(std::mem::take(&mut self.remarks)), few(std::mem::take(&mut self.waits)));
        if self.postponed > 0 {
            let text = format!("{} more actions follow in the next claim", self.postponed);
            waits.push(Remark { rule: Rule::C4, text });
        }
        if self.withheld_more > 0 {
            self.withheld.push(format!("and {} more", self.withheld_more));
        }
        self.head.version = self.before.version.saturating_add(1);
        let headline = [vec![sizing.headline.clone()], self.notes()].concat().join(" ");
        let report = Report {
            at: self.now,
            slot: self.slot,
            policy: self.head.policy,
            mode: self.policy.mode,
            headline,
            rule: sizing.rule,
            desired,
            bounds: (self.policy.min, self.policy.max),
            window: self.policy.window.clone(),
            counts: census.counts,
            load: figures(census, self.before.desired),
            stages: sizing.stages.clone(),
            remarks,
            waits,
            actions: self.steps.iter().map(Step::describe).collect(),
            withheld: self.withheld,
        };
        Decision {
            plan: Plan { head: self.head, learnt: self.learnt, steps: self.steps, postponed: self.postponed },
            report,
        }
    }

    /// HEAD as before, save for what has been seen: a mode that changes nothing starts no cooldown and orders nothing.
    fn observed_head(&self) -> Head {
        Head {
            last_slot: self.head.last_slot,
            schedule_seen: self.head.schedule_seen,
            recommendations: self.head.recommendations.clone(),
            dark: self.head.dark.clone(),
            auto: self.head.auto.clone(),
            orphans: self.head.orphans.clone(),
            ..self.factual.clone()
        }
    }

    /// What the steps mean, one sentence a kind, beside the headline about the size.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let count = |wanted: &dyn Fn(&Step) -> bool| self.steps.iter().filter(|step| wanted(step)).count();
        let replacements = count(&|step| matches!(step, Step::Launch { intent } if intent.cause == Cause::Unhealthy));
        if replacements > 0 {
            notes.push(format!("Launches {} for the unhealthy.", counted(replacements, "replacement")));
        }
        let wished = count(&|step| matches!(step, Step::Launch { intent } if intent.cause == Cause::Operator));
        if wished > 0 {
            notes.push(format!("Launches {} for the marked.", counted(wished, "replacement")));
        }
        let short = [Cause::Bounds, Cause::Lost];
        let launches = count(&|step| matches!(step, Step::Launch { intent } if short.contains(&intent.cause)));
        if launches > 0 {
            notes.push(format!("Launches {} to reach desired.", counted(launches, "instance")));
        }
        for step in &self.steps {
            match step {
                Step::Terminate { id, leaving, .. } if leaving.cause == Cause::Unhealthy => {
                    notes.push(format!("Terminates {id}, unhealthy."));
                }
                Step::Terminate { id, leaving, .. } if leaving.cause == Cause::BootTimeout => {
                    notes.push(format!("Terminates {id}, which never answered."));
                }
                Step::Terminate { id, leaving, .. } if leaving.cause == Cause::Stopped => {
                    notes.push(format!("Terminates {id}, which somebody stopped."));
                }
                Step::Drain { id, leaving } if leaving.cause == Cause::Operator => {
                    notes.push(format!("Drains {id}, marked by an operator."));
                }
                Step::Close { id, departure: Departure::Lost } => notes.push(format!("{id} is lost.")),
                Step::Close { id, departure: Departure::Disowned } => notes.push(format!("{id} is disowned.")),
                Step::TakeBack { id } => notes.push(format!("Takes {id} back.")),
                Step::Sweep { id, .. } => notes.push(format!("Terminates {id}, an orphan.")),
                Step::Close { departure: Departure::Ended, .. } | Step::Confirm { .. } | Step::Drain { .. } => {}
                Step::Terminate { .. } | Step::Cancel { .. } | Step::Launch { .. } => {}
            }
        }
        notes
    }
}

/// The first of `remarks`, and how many more there were.
fn few(mut remarks: Vec<Remark>) -> Vec<Remark> {
    let more = remarks.len().saturating_sub(REMARKS_KEPT);
    if let Some(first) = remarks.get(REMARKS_KEPT) {
        let rest = Remark { rule: first.rule, text: format!("and {more} more") };
        remarks.truncate(REMARKS_KEPT);
        remarks.push(rest);
    }
    remarks
}

/// The three means that the decision looked at.
fn figures(census: &Census<'_>, desired: u32) -> Option<LoadFigures> {
    (census.counts.serving > 0).then(|| LoadFigures {
        mean: load::mean(census),
        at_most: load::mean_with_missing_full(census),
        at_least: load::mean_over_ordered(census, desired),
    })
}
