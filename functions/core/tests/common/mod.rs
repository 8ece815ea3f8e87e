//! A sane group, so that a test states only its difference; and a tiny world that carries plans out.
#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::time::Duration;

use muster_core::decide::{Decision, decide};
use muster_core::group::{Head, TemplateRecord};
use muster_core::health::{AgentState, Health, Load, Seen};
use muster_core::intent::{Call, Cause, Intent, IntentId, LaunchSpec, Token};
use muster_core::member::{InstanceId, Leaving, MemberState};
use muster_core::plan::{Departure, Plan, Step};
use muster_core::policy::{Policy, ScalingRule, ThresholdRule};
use muster_core::report::Rule;
use muster_core::snapshot::{FleetInstance, InstanceState, Member, Snapshot, SweepFacts};
use muster_core::time::Timestamp;

/// The clock of every test.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn ago(seconds: u64) -> Timestamp {
    NOW.minus(seconds_of(seconds))
}

pub(crate) const fn seconds_of(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::from(text)
}

/// A group and its policy.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) policy: Policy,
    pub(crate) snapshot: Snapshot,
}

impl Group {
    /// Four members `i-1` to `i-4` in service at 50 %, as desired; 2 to 8 are allowed; everything else is [`thresholds`].
    pub(crate) fn example() -> Self {
        Self::of(&[50.0; 4])
    }

    /// One member in service for each load, as desired.
    pub(crate) fn of(loads: &[f64]) -> Self {
        let members: Vec<_> = (1..).zip(loads).map(|(n, load)| serving(&format!("i-{n}"), *load)).collect();
        let mut snapshot = Snapshot {
            learnt: None,
            now: NOW,
            head: Default::default(),
            sweep: Some(SweepFacts { slot: ago(2), period_ms: 10_000, blind: None, awaited: 0 }),
            members,
            intents: Vec::new(),
            fleet: None,
            template_version: Some(1),
            policy_notice: None,
            policy_refused: false,
        };
        snapshot.head.desired = u32::try_from(loads.len()).expect("a test group is small");
        snapshot.head.version = 7;
        let mut group = Self { policy: Policy { min: 2, max: 8, ..thresholds() }, snapshot };
        group.list_all();
        group
    }

    /// Changes the policy.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    /// Changes the snapshot.
    pub(crate) fn but(mut self, change: impl FnOnce(&mut Snapshot)) -> Self {
        change(&mut self.snapshot);
        self
    }

    /// Changes one member.
    pub(crate) fn whose(mut self, name: &str, change: impl FnOnce(&mut Member)) -> Self {
        change(self.snapshot.members.iter_mut().find(|member| member.id.0 == name).expect("the group has that member"));
        self
    }

    /// Adds members, and EC2 lists them as running.
    pub(crate) fn and(mut self, members: impl IntoIterator<Item = Member>) -> Self {
        self.snapshot.members.extend(members);
        self.list_all();
        self
    }

    pub(crate) fn desired(self, desired: u32) -> Self {
        self.but(|snapshot| snapshot.head.desired = desired)
    }

    pub(crate) fn bounds(self, min: u32, max: u32) -> Self {
        self.with(|policy| (policy.min, policy.max) = (min, max))
    }

    /// Without the gates that hold scale-in back.
    pub(crate) fn ungated(self) -> Self {
        self.with(|policy| {
            policy.inward.cooldown = Duration::ZERO;
            policy.inward.stabilization = Duration::ZERO;
            policy.inward.limit.percent = 10_000;
        })
    }

    /// EC2 lists every member as running.
    fn list_all(&mut self) {
        let list = self.snapshot.members.iter();
        self.snapshot.fleet =
            Some(list.map(|member| FleetInstance::plain(member.id.clone(), InstanceState::Running)).collect());
    }

    /// What EC2 says of one instance.
    pub(crate) fn ec2_says(self, name: &str, state: InstanceState) -> Self {
        self.but(|snapshot| {
            let fleet = snapshot.fleet.get_or_insert_default();
            fleet.retain(|instance| instance.id.0 != name);
            fleet.push(FleetInstance::plain(id(name), state));
        })
    }

    /// EC2 does not list the instance.
    pub(crate) fn ec2_omits(self, name: &str) -> Self {
        self.but(|snapshot| snapshot.fleet.get_or_insert_default().retain(|instance| instance.id.0 != name))
    }

    pub(crate) fn decide(&self) -> Decision {
        decide(&self.snapshot, &self.policy)
    }
}

/// The policy that says nothing but that its rule is `threshold`: the one whose sizes are seen at a glance.
pub(crate) fn thresholds() -> Policy {
    Policy::parse(r#"{"scaling": {"kind": "threshold"}}"#).expect("a policy")
}

/// The threshold rule of a policy that has one.
pub(crate) fn threshold(policy: &mut Policy) -> &mut ThresholdRule {
    match &mut policy.scaling {
        ScalingRule::Threshold(rule) => rule,
        ScalingRule::Target(_) | ScalingRule::Step(_) | ScalingRule::Auto(_) => panic!("it has no thresholds"),
    }
}

/// A member that has been in service for long.
pub(crate) fn serving(name: &str, load: f64) -> Member {
    Member { state: MemberState::Active, health: Some(answering(load)), ..member(name) }
}

fn member(name: &str) -> Member {
    Member {
        id: id(name),
        shard: Default::default(),
        zone: String::new(),
        template: String::new(),
        template_version: 0,
        state: MemberState::Active,
        intended_at: ago(86_400),
        launched_at: ago(86_400),
        first_answer: Some(ago(86_000)),
        replaces: None,
        health: None,
    }
}

/// A member that EC2 accepted so many seconds ago and that has never answered.
pub(crate) fn pending(name: &str, launched_ago: u64) -> Member {
    let at = ago(launched_ago);
    Member { state: MemberState::Pending, intended_at: at, launched_at: at, first_answer: None, ..member(name) }
}

/// On its way out, with two minutes to drain.
pub(crate) fn leaving(since_ago: u64, cause: Cause) -> Leaving {
    Leaving { since: ago(since_ago), cause, timeout_ms: 120_000, wait: false }
}

/// A member that was asked to drain so many seconds ago, with two minutes to do so.
pub(crate) fn draining(name: &str, since_ago: u64, cause: Cause) -> Member {
    let leaving = leaving(since_ago, cause);
    Member { state: MemberState::Draining(leaving), ..serving(name, 50.0) }
}

/// A member whose termination was claimed so many seconds ago.
pub(crate) fn terminating(name: &str, since_ago: u64, cause: Cause) -> Member {
    let leaving = leaving(since_ago, cause);
    Member { state: MemberState::Terminating(leaving), ..serving(name, 50.0) }
}

pub(crate) fn answering(load: f64) -> Health {
    Health {
        seen: Seen::Answered,
        first_answer: Some(ago(86_000)),
        last_answer: Some(ago(2)),
        load: Load::new(load),
        sampled_at: Some(ago(2)),
        agent: Some(AgentState::Serving),
        ..Health::default()
    }
}

/// Health after so many sweeps without an answer.
pub(crate) fn silent(since_ago: u64, sweeps: u32) -> Health {
    Health {
        seen: Seen::Silent,
        silent_since: Some(ago(since_ago)),
        silent_sweeps: sweeps,
        last_answer: Some(ago(since_ago + 10)),
        sampled_at: Some(ago(since_ago + 10)),
        ..answering(50.0)
    }
}

/// Health while the agent answers and the application has failed for so many sweeps.
pub(crate) fn failing(since_ago: u64, sweeps: u32) -> Health {
    Health { failing_since: Some(ago(since_ago)), failing_sweeps: sweeps, ..answering(50.0) }
}

/// Unhealthy beyond doubt.
pub(crate) fn dead() -> Option<Health> {
    Some(silent(600, 60))
}

/// HEAD's record of the launches of a policy that names no template.
pub(crate) fn untemplated(failures: u32, proven: bool) -> TemplateRecord {
    TemplateRecord { failures, proven, ..TemplateRecord::default() }
}

/// Launches in a row that never answered, over all template versions.
pub(crate) fn boot_failures(head: &Head) -> u32 {
    head.templates.iter().map(|record| record.failures).sum()
}

/// A launch that is committed and not settled.
pub(crate) fn open_launch(name: &str, attempt: u32) -> Intent {
    let spec = LaunchSpec {
        group: Default::default(),
        shard: Default::default(),
        zone: String::new(),
        instance_type: String::new(),
        template: String::new(),
        template_version: 0,
        intent: IntentId(name.to_owned()),
        token: Token(name.to_owned()),
        replaces: None,
    };
    let id = IntentId(name.to_owned());
    Intent {
        id,
        at: ago(5),
        cause: Cause::Load,
        policy: None,
        call: Call::Launch(spec),
        attempt,
        lease: None,
        first_leased_at: None,
    }
}

/// An open launch that replaces `old`.
pub(crate) fn open_replacement(name: &str, old: &str) -> Intent {
    let mut intent = open_launch(name, 1);
    if let Call::Launch(spec) = &mut intent.call {
        spec.replaces = Some(id(old));
    }
    intent
}

/// What a test asks of a decision.
pub(crate) trait Asked {
    fn launches(&self) -> usize;
    fn launches_for(&self, cause: Cause) -> usize;
    /// Members drained or terminated, in the order of the steps.
    fn lets_go(&self) -> Vec<&str>;
    fn drains(&self) -> Vec<&str>;
    fn terminates(&self) -> Vec<(&str, Cause)>;
    fn cancels(&self) -> Vec<&str>;
    /// Drains that are taken back.
    fn takes_back(&self) -> Vec<&str>;
    /// Orphans that are terminated.
    fn sweeps(&self) -> Vec<&str>;
    /// Members whose record is closed, and how.
    fn closes(&self) -> Vec<(&str, Departure)>;
    /// What a wait of this rule says; empty when none does.
    fn waits_text(&self, rule: Rule) -> String;
    /// What a remark of this rule says; empty when none does.
    fn remark_text(&self, rule: Rule) -> String;
    fn waits_for(&self, rule: Rule) -> bool;
    fn remarks_on(&self, rule: Rule) -> bool;
    /// Desired after it, and the rule that bound it.
    fn verdict(&self) -> (u32, Rule);
    fn launch_specs(&self) -> Vec<&LaunchSpec>;
}

impl Asked for Decision {
    fn launches(&self) -> usize {
        self.launch_specs().len()
    }

    fn launches_for(&self, cause: Cause) -> usize {
        self.plan.steps.iter().filter(|step| matches!(step, Step::Launch { intent } if intent.cause == cause)).count()
    }

    fn lets_go(&self) -> Vec<&str> {
        let ids = self.plan.steps.iter().filter_map(|step| match step {
            Step::Drain { id, .. } | Step::Terminate { id, .. } => Some(id),
            Step::Confirm { .. } | Step::Close { .. } | Step::Cancel { .. } | Step::Launch { .. } => None,
            Step::TakeBack { .. } | Step::Sweep { .. } => None,
        });
        ids.map(|id| id.0.as_str()).collect()
    }

    fn drains(&self) -> Vec<&str> {
        let steps = self.plan.steps.iter();
        steps.filter_map(|step| if let Step::Drain { id, .. } = step { Some(id.0.as_str()) } else { None }).collect()
    }

    fn terminates(&self) -> Vec<(&str, Cause)> {
        let steps = self.plan.steps.iter().filter_map(|step| match step {
            Step::Terminate { id, leaving, .. } => Some((id.0.as_str(), leaving.cause)),
            _ => None,
        });
        steps.collect()
    }

    fn cancels(&self) -> Vec<&str> {
        let steps = self.plan.steps.iter();
        steps.filter_map(|s| if let Step::Cancel { intent } = s { Some(intent.0.as_str()) } else { None }).collect()
    }

    fn takes_back(&self) -> Vec<&str> {
        let steps = self.plan.steps.iter();
        steps.filter_map(|step| if let Step::TakeBack { id } = step { Some(id.0.as_str()) } else { None }).collect()
    }

    fn sweeps(&self) -> Vec<&str> {
        let steps = self.plan.steps.iter();
        steps.filter_map(|step| if let Step::Sweep { id, .. } = step { Some(id.0.as_str()) } else { None }).collect()
    }

    fn closes(&self) -> Vec<(&str, Departure)> {
        let steps = self.plan.steps.iter().filter_map(|step| match step {
            Step::Close { id, departure } => Some((id.0.as_str(), *departure)),
            _ => None,
        });
        steps.collect()
    }

    fn waits_text(&self, rule: Rule) -> String {
        self.report.waits.iter().find(|wait| wait.rule == rule).map(|wait| wait.text.clone()).unwrap_or_default()
    }

    fn remark_text(&self, rule: Rule) -> String {
        self.report.remarks.iter().find(|said| said.rule == rule).map(|said| said.text.clone()).unwrap_or_default()
    }

    fn waits_for(&self, rule: Rule) -> bool {
        self.report.waits.iter().any(|wait| wait.rule == rule)
    }

    fn remarks_on(&self, rule: Rule) -> bool {
        self.report.remarks.iter().any(|remark| remark.rule == rule)
    }

    fn verdict(&self) -> (u32, Rule) {
        (self.plan.head.desired, self.report.rule)
    }

    fn launch_specs(&self) -> Vec<&LaunchSpec> {
        let calls = self.plan.steps.iter().filter_map(|step| match step {
            Step::Launch { intent } => Some(&intent.call),
            _ => None,
        });
        calls.filter_map(|call| if let Call::Launch(spec) = call { Some(spec) } else { None }).collect()
    }
}

/// The snapshot once `plan` is claimed, and nothing has been carried out yet.
pub(crate) fn claim(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut next = snapshot.clone();
    next.head = plan.head.clone();
    for step in &plan.steps {
        let mut state = |wanted: &InstanceId, state: MemberState| {
            next.members.iter_mut().filter(|member| member.id == *wanted).for_each(|member| {
                member.state = state.clone();
            });
        };
        match step {
            Step::Confirm { id, first_answer } => {
                state(id, MemberState::Active);
                let member = next.members.iter_mut().find(|member| member.id == *id).expect("a member is confirmed");
                member.first_answer = Some(*first_answer);
            }
            Step::Close { id, .. } => next.members.retain(|member| member.id != *id),
            Step::Drain { id, leaving } => state(id, MemberState::Draining(leaving.clone())),
            Step::TakeBack { id } => state(id, MemberState::Active),
            Step::Sweep { intent, .. } => next.intents.push(intent.clone()),
            Step::Terminate { id, leaving, intent, .. } => {
                state(id, MemberState::Terminating(leaving.clone()));
                next.intents.push(intent.clone());
            }
            Step::Cancel { intent } => next.intents.retain(|open| open.id != *intent),
            Step::Launch { intent } => next.intents.push(intent.clone()),
        }
    }
    next
}

/// EC2 does what was committed: launches run, what is terminated is gone.
pub(crate) fn carry_out(snapshot: &mut Snapshot) {
    for intent in std::mem::take(&mut snapshot.intents) {
        match intent.call {
            Call::Launch(spec) => {
                let name = format!("i-{}", intent.id);
                if intent.cause == Cause::Load {
                    snapshot.head.launch_accepted_at = Some(snapshot.now);
                }
                snapshot.fleet.get_or_insert_default().push(FleetInstance::plain(id(&name), InstanceState::Running));
                snapshot.members.push(Member {
                    intended_at: intent.at,
                    launched_at: snapshot.now,
                    zone: spec.zone,
                    template: spec.template,
                    template_version: spec.template_version,
                    shard: spec.shard,
                    replaces: spec.replaces,
                    ..pending(&name, 0)
                });
            }
            Call::Terminate { instance, .. } => {
                let fleet = snapshot.fleet.get_or_insert_default().iter_mut().filter(|listed| listed.id == instance);
                fleet.for_each(|listed| listed.state = InstanceState::Terminated);
            }
        }
    }
}

/// The next sweep: every running member answers, and shares `total` percent evenly; who drains has drained.
pub(crate) fn sweep(snapshot: &mut Snapshot, period: Duration, total: f64) {
    snapshot.now = snapshot.now.plus(period);
    let now = snapshot.now;
    snapshot.sweep = Some(SweepFacts { slot: now, period_ms: 0, blind: None, awaited: 0 });
    let gone = |member: &Member| {
        let listed = snapshot.fleet.iter().flatten().find(|listed| listed.id == member.id);
        listed.is_none_or(|listed| listed.state.is_gone())
    };
    let running: Vec<_> = snapshot.members.iter().map(|member| !gone(member)).collect();
    let at_work =
        snapshot.members.iter().zip(&running).filter(|(member, running)| {
            **running && matches!(member.state, MemberState::Active | MemberState::Pending)
        });
    let share = (total / f64::from(u32::try_from(at_work.count()).expect("a test group is small").max(1))).min(100.0);
    for (member, running) in snapshot.members.iter_mut().zip(running) {
        if !running {
            continue;
        }
        let before = member.health.take().unwrap_or_default();
        let drains = matches!(member.state, MemberState::Draining(_));
        member.health = Some(Health {
            first_answer: before.first_answer.or(Some(now)),
            last_answer: Some(now),
            load: Load::new(share),
            sampled_at: Some(now),
            agent: Some(if drains { AgentState::Drained } else { AgentState::Serving }),
            unregistered_at: drains.then_some(now),
            ..Health::default()
        });
    }
}
