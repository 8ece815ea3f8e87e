//! A small world: one group over the memory ports, a clock that moves when it is told to, agents that behave as scripted,
//! and the [`Port`]s through which everything goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use muster_control::activity::{Activity, Event};
use muster_control::memory::{ManualClock, MemoryFleet, MemoryPolicy, MemoryProbe, MemoryStore, Scripted};
use muster_control::ports::{ActivityLog, GroupState, GroupStore, Target};
use muster_control::reconcile::{Controller, ReconcileError, Reconciled, Settings, reconcile};
use muster_control::sweep::{Monitor, Swept, sweep};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, Shard};
use muster_core::intent::Token;
use muster_core::member::{InstanceId, MemberState};
use muster_core::report::Report;
use muster_core::time::Timestamp;
use serde_json::{Value, json};

pub(crate) use crate::faults::{Call, Fault, Kind};
use crate::faults::{Port, Script};

/// The sweep interval of every test's policy, and the length of a lease and of a controller's budget.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
pub(crate) const LEASE: Duration = Duration::from_secs(120);
pub(crate) const BUDGET: Duration = Duration::from_secs(60);

/// A policy without delays, changed by `changes`: a JSON merge.
pub(crate) fn policy(changes: Value) -> String {
    let mut policy = json!({
        "min_instances": 2, "max_instances": 5, "scaling": { "kind": "threshold" },
        "sweep_interval": "10s", "warm_up": "0s", "cooldown_in": "0s", "stabilization_in": "0s",
        "max_out_per_window": { "percent": 1000, "at_least": 10000 },
        "max_in_per_window": { "percent": 100, "at_least": 100 },
        "health": { "grace_period": "0s", "unhealthy_after": "30s", "boot_timeout": "120s", "repair_interval": "30s" },
        "drain": { "timeout": "60s" },
    });
    merge(&mut policy, changes);
    policy.to_string()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) fleet: MemoryFleet,
    pub(crate) policies: MemoryPolicy,
    pub(crate) probe: MemoryProbe,
    pub(crate) clock: ManualClock,
    script: Mutex<Script>,
}

pub(crate) fn group() -> GroupName {
    GroupName::default()
}

pub(crate) fn id(number: usize) -> InstanceId {
    InstanceId(format!("i-{number:04}"))
}

impl World {
    /// A world in which nothing has happened yet.
    pub(crate) fn new(changes: Value) -> Self {
        Self {
            store: MemoryStore::default(),
            fleet: MemoryFleet::default(),
            policies: MemoryPolicy::of(&policy(changes)),
            probe: MemoryProbe::default(),
            clock: ManualClock::at(Timestamp::from_millis(1_000_000_000)),
            script: Mutex::default(),
        }
    }

    /// A world whose group has its minimum in service, at a load of 50 %.
    pub(crate) async fn grown(changes: Value) -> Self {
        let world = Self::new(changes);
        // A large group is confirmed over several doorbells.
        for _ in 0..12 {
            world.steps(3).await;
            if world.state().await.members.iter().all(|member| member.state == MemberState::Active) {
                break;
            }
        }
        let state = world.state().await;
        assert!(state.members.iter().all(|member| member.state == MemberState::Active));
        assert_eq!(state.members.len(), usize::try_from(state.head.desired).expect("a small group"));
        world
    }

    /// A world with one member in service, so that its launches are known to answer (L9), and with a policy of `changes`
    /// since then.
    pub(crate) async fn proven(changes: Value) -> Self {
        let world = Self::grown(json!({ "min_instances": 1, "max_instances": 1 })).await;
        world.edit(changes);
        world
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What a test changes.

    pub(crate) fn edit(&self, changes: Value) {
        self.policies.set(Some(&policy(changes)));
    }

    /// How every agent without a script of its own behaves.
    pub(crate) fn agents(&self, all: Scripted) {
        self.script().agents.all = all;
    }

    pub(crate) fn agent(&self, id: &InstanceId, own: Scripted) {
        self.script().agents.each.insert(id.clone(), own);
    }

    pub(crate) fn blind(&self, blind: bool) {
        self.script().agents.blind = blind;
    }

    /// Scripts the `nth` next call of a kind, from 1.
    pub(crate) fn at(&self, call: Call, nth: u32, fault: Fault) {
        self.script().once.push((call, nth, fault));
    }

    pub(crate) fn always(&self, call: Call, with: Kind) {
        self.script().always.insert(call, with);
    }

    pub(crate) fn well(&self) {
        let mut script = self.script();
        (script.once, script.always, script.death, script.dead) = (Vec::new(), BTreeMap::new(), None, false);
    }

    /// Lets the maker of the `nth` next call die, before or after it.
    pub(crate) fn death(&self, nth: u32, after: bool) {
        self.script().death = Some((nth, after));
    }

    pub(crate) fn turns(&self, seed: u64) {
        self.script().turns = Some(seed);
    }

    pub(crate) fn hide(&self, id: &InstanceId) {
        self.script().hidden.insert(id.clone());
    }

    pub(crate) fn policy_version(&self, version: Option<u64>) {
        self.script().policy_version = version.map(PolicyVersion);
    }

    // What happens.

    pub(crate) fn port(&self) -> Port<'_> {
        Port(self)
    }

    pub(crate) fn controller(&self, owner: &str) -> Controller<Port<'_>, Port<'_>, Port<'_>, Port<'_>> {
        let settings = Settings { stack: "stack".into(), owner: owner.into(), lease: LEASE, budget: BUDGET };
        let port = self.port();
        Controller { store: port, fleet: port, policies: port, clock: port, settings }
    }

    pub(crate) async fn try_ring(&self, owner: &str) -> Result<Reconciled, ReconcileError> {
        reconcile(&self.controller(owner), &group(), 0.5).await
    }

    /// The doorbell, heard by the controller "one".
    pub(crate) async fn ring(&self) -> Reconciled {
        self.try_ring("one").await.expect("a reconcile")
    }

    /// The doorbell, heard by `owner`, without waiting: for whoever interferes or dies. None: it died.
    pub(crate) fn ring_now(&self, owner: &str) -> Option<Reconciled> {
        let done = self.try_ring(owner).now_or_never();
        self.script().dead = false;
        done.map(|done| done.expect("a reconcile"))
    }

    pub(crate) async fn sweep(&self, shard: Shard) -> Swept {
        self.sweep_by("monitor", shard).await
    }

    pub(crate) async fn sweep_by(&self, name: &str, shard: Shard) -> Swept {
        let port = self.port();
        let monitor = Monitor { store: port, probe: port, clock: port, name: name.into() };
        sweep(&monitor, &group(), shard).await.expect("a sweep")
    }

    /// Moves the clock on by an interval and sweeps every shard, without a doorbell.
    pub(crate) async fn sweep_all(&self) {
        self.clock.advance(INTERVAL);
        let shards = self.store.head(&group()).await.expect("a read").map(|head| head.rosters);
        for shard in shards.map_or(vec![Shard(0)], |rosters| rosters.into_keys().collect()) {
            assert!(matches!(self.sweep(shard).await, Swept::Written(_)));
        }
    }

    /// One interval: all shards are swept, the doorbell rings.
    pub(crate) async fn step(&self) -> Reconciled {
        self.sweep_all().await;
        self.ring().await
    }

    pub(crate) async fn steps(&self, count: u32) {
        for _ in 0..count {
            self.step().await;
        }
    }

    // What a test looks at.

    pub(crate) async fn state(&self) -> GroupState {
        self.store.read(&group()).await.expect("a read").expect("a HEAD")
    }

    pub(crate) async fn head(&self) -> Head {
        self.state().await.head
    }

    pub(crate) async fn member_state(&self, id: &InstanceId) -> Option<MemberState> {
        self.state().await.members.into_iter().find(|member| member.id == *id).map(|member| member.state)
    }

    /// The roster in force.
    pub(crate) async fn roster(&self, shard: Shard) -> Roster {
        let number = self.head().await.rosters[&shard];
        self.store.roster(&group(), shard, number).await.expect("a read").expect("the roster in force")
    }

    pub(crate) async fn log(&self) -> Vec<Activity> {
        self.store.since(&group(), Timestamp::EPOCH, usize::MAX).await.expect("a read")
    }

    pub(crate) async fn logged(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.log().await.iter().filter(|activity| wanted(&activity.event)).count()
    }

    /// The latest decision's report.
    pub(crate) async fn report(&self) -> Report {
        let log = self.log().await.into_iter();
        let reports = log.filter_map(|activity| match activity.event {
            Event::Decision { report, .. } => Some(*report),
            _ => None,
        });
        reports.max_by_key(|report| report.at).expect("a decision")
    }

    /// Instances that have not ended.
    pub(crate) fn running(&self) -> Vec<InstanceId> {
        self.fleet.ever().into_iter().filter(|(_, _, state)| !state.is_gone()).map(|(id, ..)| id).collect()
    }

    /// The calls so far, of a kind.
    pub(crate) fn calls(&self, call: Call) -> usize {
        self.script().calls.iter().filter(|made| **made == call).count()
    }

    pub(crate) fn changing_calls(&self) -> usize {
        self.calls(Call::Launch) + self.calls(Call::Terminate)
    }

    pub(crate) fn largest_claim(&self) -> usize {
        self.script().largest_claim
    }

    /// What the last sweep told each agent.
    pub(crate) fn told(&self) -> Vec<Target> {
        self.probe.asked().pop().unwrap_or_default()
    }

    /// Nothing is lost or doubled: one instance an intent, every instance known, nothing left open.
    pub(crate) async fn assert_whole(&self) {
        let state = self.state().await;
        assert_eq!(state.intents, Vec::new(), "no intent is left");
        let tokens: BTreeSet<Token> = self.fleet.ever().into_iter().map(|(_, token, _)| token).collect();
        assert_eq!(tokens.len(), self.fleet.ever().len(), "S2: one instance a token");
        let known: BTreeSet<InstanceId> = state.members.iter().map(|member| member.id.clone()).collect();
        assert_eq!(known, self.running().into_iter().collect(), "every running instance is a member, and no other");
        let intents: BTreeSet<_> = state.members.iter().map(|member| &member.intent).collect();
        assert_eq!(intents.len(), state.members.len(), "S2: one member an intent");
    }
}
