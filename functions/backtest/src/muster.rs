//! The shipped decision as a scaler: every stage of [`muster_core::decide`] on a whole snapshot, sweep after sweep, with HEAD
//! carried from claim to claim.
//!
//! What stands around the decision in production is done here at once and without failure: a claim is never lost, EC2 accepts
//! every launch, agents answer as soon as their instance serves and are refused before, a drain has drained. A world that
//! chooses its own victims is told a count, so a member that was let go may stay and another go: what is known of each is kept
//! by its id for as long as it is seen.

use std::collections::VecDeque;
use std::time::Duration;

use muster_core::auto::Learnt;
use muster_core::decide::decide;
use muster_core::group::{Head, Outcome, Place};
use muster_core::health::{AgentState, Answer, Application, Health, Observation as Probe, fold};
use muster_core::intent::{Call, Intent};
use muster_core::member::{InstanceId, MemberState};
use muster_core::plan::{Plan, Step};
use muster_core::policy::Policy;
use muster_core::report::Report;
use muster_core::signals;
use muster_core::snapshot::{FleetInstance, InstanceState, Member, Snapshot, SweepFacts};
use muster_core::time::{Timestamp, millis};

use crate::matrix::Contender;
use crate::scaler::{Bounds, Observation, Scaler, count};
use crate::trace::STEP_S;

/// Claims that one sweep may lead to, as in production: a step may make room for the next, but not for ever.
const ROUNDS: usize = 12;
/// The earliest moment that a group lives in: what is long ago must lie before it, and after 1970.
const EARLIEST_S: f64 = 30.0 * 86_400.0;

/// A group that the shipped decision scales.
#[derive(Debug)]
pub struct Muster {
    policy: Policy,
    period: Duration,
    head: Head,
    learnt: Option<Box<Learnt>>,
    /// What is known of each instance that was seen in the last sweep, in the order of their ids.
    known: Vec<Member>,
    /// Launches whose instances have not been seen yet, the oldest first.
    ordered: VecDeque<Member>,
    /// What is added to the world's clock; none before the first sweep.
    shift_s: Option<f64>,
    report: Option<Report>,
}

/// An instance as a sweep finds it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// Its id.
    pub id: &'a InstanceId,
    /// Seconds since it was ordered.
    pub age_s: f64,
    /// Whether it serves; its agent answers then.
    pub serves: bool,
    /// The load that its agent reports, in percent; what is no load is a missing sample.
    pub cpu: Option<f64>,
    /// The requests a second that come to it, if its application counts them.
    pub rate: Option<f64>,
}

/// The contender `name`: the decision with `policy` in each world's bounds.
pub fn contender(name: &str, policy: Policy) -> Contender {
    Contender::new(name, move |world| Box::new(Muster::new(policy.clone(), world.bounds)))
}

impl Muster {
    /// A group with `policy`, but these bounds, swept as often as the policy says and a world's steps allow.
    pub fn new(policy: Policy, bounds: Bounds) -> Self {
        let steps = (policy.sweep_interval.as_secs_f64() / STEP_S).round().max(1.0);
        Self::every(policy, bounds, Duration::from_secs_f64(steps * STEP_S))
    }

    /// The same, swept every `period`.
    pub fn every(policy: Policy, bounds: Bounds, period: Duration) -> Self {
        Self {
            // A recorded load is the processor's, of some other day: a signal that nobody reports would only keep the group from
            // shrinking (Z4), and a window would open at no time of its own.
            policy: Policy { min: bounds.min, max: bounds.max, signals: Vec::new(), schedule: Vec::new(), ..policy },
            period,
            head: Head::default(),
            learnt: None,
            known: Vec::new(),
            ordered: VecDeque::new(),
            shift_s: None,
            report: None,
        }
    }

    /// Why the last decision was what it was; none before the first.
    pub const fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Sweeps the group at `unix_s`, decides, and says how many instances there are to be. `desired` is what it began with.
    pub fn sweep<'a>(&mut self, unix_s: f64, desired: u32, seen: impl Iterator<Item = Sighting<'a>>) -> u32 {
        let first = self.shift_s.is_none();
        let shift_s = *self.shift_s.get_or_insert((EARLIEST_S - unix_s).max(0.0));
        let now = at(unix_s + shift_s);
        if first {
            self.head.desired = desired;
        }
        self.meet(now, first, seen);
        let mut snapshot = self.snapshot(now);
        let mut moved = Vec::new();
        for _ in 0..ROUNDS {
            let decision = decide(&snapshot, &self.policy);
            let more = makes_room(&decision.plan);
            keep_those_that_move(&decision.plan, &snapshot, &mut moved);
            carry_out(decision.plan, &mut snapshot);
            self.report = Some(decision.report);
            if !more {
                break;
            }
        }
        self.remember(snapshot, moved)
    }

    /// Takes down who was seen, and forgets who was not.
    fn meet<'a>(&mut self, now: Timestamp, first: bool, seen: impl Iterator<Item = Sighting<'a>>) {
        let mut met = vec![false; self.known.len()];
        let mut new = Vec::new();
        for sighting in seen {
            let observed = probe(&sighting, now);
            if let Ok(at) = self.known.binary_search_by(|member| member.id.cmp(sighting.id)) {
                let member = &mut self.known[at];
                member.health = Some(fold(member.health.as_ref(), &observed, now));
                met[at] = true;
            } else {
                let ordered = self.ordered.pop_front().unwrap_or_else(|| stranger(now, &sighting, first));
                let health = Some(fold(None, &observed, now));
                new.push(Member { id: sighting.id.clone(), health, ..ordered });
            }
        }
        let mut met = met.into_iter();
        self.known.retain(|_| met.next() == Some(true));
        if !new.is_empty() {
            self.known.append(&mut new);
            self.known.sort_by(|a, b| a.id.cmp(&b.id));
            self.known.dedup_by(|a, b| a.id == b.id);
        }
        // A launch that the world did not make never was.
        self.ordered.clear();
    }

    fn snapshot(&mut self, now: Timestamp) -> Snapshot {
        let state = |member: &Member| match member.state {
            MemberState::Pending => InstanceState::Pending,
            MemberState::Active | MemberState::Draining(_) | MemberState::Terminating(_) => InstanceState::Running,
        };
        let listed = self.known.iter().map(|member| FleetInstance::plain(member.id.clone(), state(member)));
        Snapshot {
            now,
            sweep: Some(SweepFacts { slot: now, period_ms: millis(self.period), blind: None, awaited: 0 }),
            fleet: Some(listed.collect()),
            members: std::mem::take(&mut self.known),
            head: std::mem::take(&mut self.head),
            learnt: self.learnt.take(),
            intents: Vec::new(),
            template_version: Some(self.policy.launch.template_version.unwrap_or_default()),
            policy_notice: None,
            policy_refused: false,
        }
    }

    /// Keeps what the next sweep must know, and says how many there are to be. Of those that `moved` who is let go is known as
    /// he was: the world may let another one go.
    fn remember(&mut self, snapshot: Snapshot, moved: Vec<Member>) -> u32 {
        (self.head, self.learnt) = (snapshot.head, snapshot.learnt);
        self.known = snapshot.members;
        self.known.retain(|member| matches!(member.state, MemberState::Pending | MemberState::Active));
        let staying = count(self.known.len());
        // Those that were launched now, which nobody has seen, stand behind all others.
        let launched = self.known.iter().position(|member| member.health.is_none());
        self.ordered.extend(self.known.split_off(launched.unwrap_or(self.known.len())));
        for member in moved {
            if let Err(at) = self.known.binary_search_by(|known| known.id.cmp(&member.id)) {
                self.known.insert(at, member);
            }
        }
        staying
    }
}

impl Scaler for Muster {
    fn interval_s(&self) -> f64 {
        self.period.as_secs_f64()
    }

    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
        let age_s = |ordered_s: f64| seen.at_s - ordered_s;
        let ready = seen.ready.iter().zip(seen.loads()).map(|(instance, load)| Sighting {
            id: &instance.id,
            age_s: age_s(instance.ordered_s),
            serves: true,
            cpu: Some(load),
            rate: None,
        });
        let booting = seen.booting.iter().map(|instance| Sighting {
            id: &instance.id,
            age_s: age_s(instance.ordered_s),
            serves: false,
            cpu: None,
            rate: None,
        });
        Some(self.sweep(seen.unix_s, seen.desired, ready.chain(booting)))
    }
}

/// A moment, from seconds since 1970.
fn at(unix_s: f64) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::try_from_secs_f64(unix_s).unwrap_or_default())
}

/// A member that no launch of ours explains. Who serves when the group is first seen has done so since it was ordered.
fn stranger(now: Timestamp, sighting: &Sighting<'_>, first: bool) -> Member {
    let intended_at = now.minus(Duration::try_from_secs_f64(sighting.age_s).unwrap_or_default());
    let in_service = first && sighting.serves;
    Member {
        first_answer: in_service.then_some(intended_at),
        state: if in_service { MemberState::Active } else { MemberState::Pending },
        ..member(intended_at)
    }
}

/// A member that was ordered at `at`, of which nothing else is known.
fn member(at: Timestamp) -> Member {
    Member {
        id: InstanceId::default(),
        shard: Default::default(),
        zone: String::new(),
        template: String::new(),
        template_version: 0,
        state: MemberState::Pending,
        intended_at: at,
        launched_at: at,
        first_answer: None,
        replaces: None,
        health: None,
    }
}

/// What MonitorS would get from an instance's agent.
fn probe(sighting: &Sighting<'_>, now: Timestamp) -> Probe {
    if !sighting.serves {
        return Probe::Refused { detail: "booting".into() };
    }
    Probe::Answered(Answer {
        received_at: now,
        boot_id: String::new(),
        version: String::new(),
        state: AgentState::Serving,
        application: Application::NotProbed,
        load: sighting.cpu,
        cursor: 0,
        unregistered: false,
        protected: false,
        signals: sighting.rate.map(|rate| (signals::RATE.to_owned(), rate)).into_iter().collect(),
    })
}

/// Adds to `moved`, as he is, everybody of whom `plan` says something for the first time; who was launched just now, and has
/// not been seen, is not known at all.
fn keep_those_that_move(plan: &Plan, snapshot: &Snapshot, moved: &mut Vec<Member>) {
    for step in &plan.steps {
        let id = match step {
            Step::Launch { .. } | Step::Cancel { .. } => continue,
            Step::Confirm { id, .. }
            | Step::TakeBack { id }
            | Step::Drain { id, .. }
            | Step::Terminate { id, .. }
            | Step::Close { id, .. }
            | Step::Sweep { id, .. } => id,
        };
        let member = snapshot.members.iter().find(|member| member.id == *id && member.health.is_some());
        moved.extend(member.filter(|member| moved.iter().all(|kept| kept.id != member.id)).cloned());
    }
}

/// Whether a plan does something that may make room for more, so that it is decided again.
fn makes_room(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| !step.is_record()) || (plan.postponed > 0 && !plan.is_empty())
}

/// The group after `plan` has been claimed and carried out, as far as a group can be in which nothing ever fails.
pub fn carry_out(plan: Plan, snapshot: &mut Snapshot) {
    let now = snapshot.now;
    snapshot.head = plan.head;
    snapshot.learnt = plan.learnt.or(snapshot.learnt.take());
    for step in plan.steps {
        match step {
            Step::Launch { intent } => launch(intent, snapshot),
            Step::Cancel { intent } => snapshot.intents.retain(|open| open.id != intent),
            Step::Confirm { id, first_answer } => of(snapshot, &id, |member| {
                (member.state, member.first_answer) = (MemberState::Active, Some(first_answer));
            }),
            Step::TakeBack { id } => of(snapshot, &id, |member| member.state = MemberState::Active),
            Step::Drain { id, leaving } => of(snapshot, &id, |member| {
                member.state = MemberState::Draining(leaving);
                // It has nothing to finish: the next round hears that it has drained.
                let health = member.health.get_or_insert_with(Health::default);
                (health.agent, health.unregistered_at) = (Some(AgentState::Drained), Some(now));
            }),
            Step::Terminate { id, .. } | Step::Close { id, .. } | Step::Sweep { id, .. } => {
                snapshot.members.retain(|member| member.id != id);
                snapshot.fleet.iter_mut().for_each(|fleet| fleet.retain(|instance| instance.id != id));
            }
        }
    }
}

fn of(snapshot: &mut Snapshot, id: &InstanceId, change: impl FnOnce(&mut Member)) {
    if let Some(member) = snapshot.members.iter_mut().find(|member| member.id == *id) {
        change(member);
    }
}

/// EC2 accepts a launch, and its settlement is written down.
fn launch(intent: Intent, snapshot: &mut Snapshot) {
    let (now, cause) = (snapshot.now, intent.cause);
    let Call::Launch(spec) = intent.call else { return };
    // Only the world knows what it will be called.
    let id = InstanceId(format!("launch-{}", intent.id));
    snapshot.fleet.iter_mut().for_each(|fleet| fleet.push(FleetInstance::plain(id.clone(), InstanceState::Pending)));
    let place = Place { zone: spec.zone.clone(), instance_type: spec.instance_type };
    snapshot.head.outcomes.push(Outcome::Launched { at: now, cause, place });
    snapshot.members.push(Member {
        id,
        shard: spec.shard,
        zone: spec.zone,
        template: spec.template,
        template_version: spec.template_version,
        replaces: spec.replaces,
        ..member(now)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group of `min` to 60 under thresholds, and how it goes on when instances are as the world says.
    struct Group {
        muster: Muster,
        at_s: f64,
    }

    impl Group {
        fn new(min: u32) -> Self {
            let policy = Policy::parse(r#"{"scaling": {"kind": "threshold"}}"#).expect("a policy");
            Self { muster: Muster::new(policy, Bounds { min, max: 60 }), at_s: 0.0 }
        }

        /// A sweep ten seconds after the last, that finds `(id, age, load)`; no load is an instance that boots.
        fn sweep(&mut self, found: &[(&str, f64, Option<f64>)]) -> u32 {
            self.at_s += 10.0;
            let ids: Vec<InstanceId> = found.iter().map(|(id, ..)| InstanceId::from(*id)).collect();
            let seen = ids.iter().zip(found).map(|(id, (_, age_s, cpu))| Sighting {
                id,
                age_s: *age_s,
                serves: cpu.is_some(),
                cpu: *cpu,
                rate: None,
            });
            self.muster.sweep(self.at_s, 2, seen)
        }
    }

    const LONG: f64 = 1e6;

    #[test]
    fn a_busy_group_doubles_and_waits_until_the_launched_have_booted() {
        let mut group = Group::new(1);
        let busy = [("a", LONG, Some(90.0)), ("b", LONG, Some(90.0))];
        assert_eq!(group.sweep(&busy), 4);
        assert!(group.muster.head.launch_accepted_at.is_some(), "EC2 has accepted, and the next round knows it");
        let booting = [busy[0], busy[1], ("c", 10.0, None), ("d", 10.0, None)];
        assert_eq!(group.sweep(&booting), 4, "over those that are ordered it is 45 %");
        let booted = [busy[0], busy[1], ("c", 20.0, Some(50.0)), ("d", 20.0, Some(50.0))];
        assert_eq!(group.sweep(&booted), 4);
        assert_eq!(group.muster.head.boot_times_ms, [20_000, 20_000], "it has measured how long booting takes");
    }

    #[test]
    fn an_idle_group_shrinks_after_its_window_and_the_drained_are_gone_at_once() {
        let mut group = Group::new(1);
        let idle = [("a", LONG, Some(5.0)), ("b", LONG, Some(5.0))];
        group.sweep(&[("a", LONG, Some(50.0)), ("b", LONG, Some(50.0))]);
        let sizes: Vec<u32> = (0..40).map(|_| group.sweep(&idle)).collect();
        let first = sizes.iter().position(|size| *size == 1).expect("it shrinks");
        assert_eq!(first, 29, "when five minutes have passed since it asked for two");
        assert!(group.muster.head.scale_in_at.is_some());
    }

    #[test]
    fn it_knows_those_again_that_it_let_go_and_the_world_kept() {
        let mut group = Group::new(1);
        for _ in 0..32 {
            group.sweep(&[("a", LONG, Some(5.0)), ("b", LONG, Some(6.0))]);
        }
        // It chose the idler one, the world the other one.
        assert_eq!(group.sweep(&[("a", LONG, Some(95.0))]), 2, "the one that is left is in service, and busy");
        assert!(group.muster.head.boot_times_ms.is_empty(), "nobody is taken for new");
    }

    #[test]
    fn a_large_step_takes_several_claims_of_one_sweep() {
        let mut group = Group::new(60);
        let ids: Vec<String> = (0..8).map(|n| format!("i-{n}")).collect();
        let found: Vec<_> = ids.iter().map(|id| (id.as_str(), LONG, Some(50.0))).collect();
        assert_eq!(group.sweep(&found), 60);
        assert!(group.muster.head.version >= 3, "24 launches fit into a claim");
        assert!(group.muster.report().is_some());
    }
}
