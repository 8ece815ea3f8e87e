//! A small world for the tests: one group over the embedded store, swept and decided on by the very use cases, and a stand over the same ports.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use muster_control::memory::{ManualClock, MemoryFleet, MemoryPolicy, MemoryProbe, Scripted};
use muster_control::ports::{
    Clock, GroupStore, PolicyDesk, PolicySource, PolicySourceError, PolicyText, Put, PutError, Revision,
};
use muster_control::reconcile::{Controller, Settings, reconcile};
use muster_control::sweep::{Monitor, sweep};
use muster_core::group::{GroupName, Shard};
use muster_core::member::InstanceId;
use muster_core::snapshot::{FleetInstance, InstanceState};
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use muster_web::stand::Stand;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The store's file.
const STORE: &str = "store.sqlite";

/// A clock that two may look at.
#[derive(Clone, Debug)]
pub(crate) struct Ticking(Arc<ManualClock>);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn sleep(&self, span: Duration) {
        self.0.sleep(span).await;
    }
}

/// A policy that two may look at.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<MemoryPolicy>);

impl PolicySource for Desk {
    async fn fetch(&self, group: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        self.0.fetch(group).await
    }
}

impl PolicyDesk for Desk {
    async fn put(&self, group: &GroupName, text: &str, over: Option<&Revision>) -> Result<Put, PutError> {
        self.0.put(group, text, over).await
    }
}

pub(crate) type TestStand = Stand<SqliteStore, Desk, MemoryFleet, Ticking>;

pub(crate) struct World {
    pub(crate) controller: Controller<SqliteStore, MemoryFleet, Desk, Ticking>,
    pub(crate) probe: MemoryProbe,
    clock: Ticking,
    folder: TempDir,
}

pub(crate) fn group() -> GroupName {
    GroupName::default()
}

/// A policy without delays, changed by `changes`.
pub(crate) fn policy(changes: Value) -> String {
    let mut policy = json!({
        "min_instances": 2, "max_instances": 5, "sweep_interval": "10s", "warm_up": "0s", "cooldown_in": "0s", "scaling": {"kind": "threshold"},
        "stabilization_in": "0s", "health": { "grace_period": "0s", "unhealthy_after": "30s" },
    });
    if let (Value::Object(policy), Value::Object(changes)) = (&mut policy, changes) {
        policy.extend(changes);
    }
    policy.to_string()
}

impl World {
    pub(crate) fn new(changes: Value) -> Self {
        Self::at(Timestamp::from_millis(1_795_348_800_000), changes)
    }

    /// A world that begins then.
    pub(crate) fn at(begin: Timestamp, changes: Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join(STORE)).expect("a store");
        let clock = Ticking(Arc::new(ManualClock::at(begin)));
        let settings = Settings {
            stack: "test".into(),
            owner: "one".into(),
            lease: Duration::from_secs(120),
            budget: Duration::from_secs(60),
        };
        let policies = Desk(Arc::new(MemoryPolicy::of(&policy(changes))));
        let controller = Controller { store, fleet: MemoryFleet::default(), policies, clock: clock.clone(), settings };
        Self { controller, probe: MemoryProbe::default(), clock, folder }
    }

    /// A world whose group has grown to its minimum, at a load of 50 %.
    pub(crate) async fn grown(changes: Value) -> Self {
        let world = Self::new(changes);
        world.steps(4, 50.0).await;
        world
    }

    /// So many sweeps, each decided on, in which every agent tells `load`.
    pub(crate) async fn steps(&self, count: u32, load: f64) {
        for _ in 0..count {
            for id in self.members().await {
                self.probe.script(&id, Scripted::Load(load));
            }
            self.step().await;
        }
    }

    /// One sweep and what follows from it.
    pub(crate) async fn step(&self) {
        self.clock.0.advance(Duration::from_secs(10));
        self.probe.receive_at(self.clock.now(), None);
        self.sweep_and_decide().await;
    }

    pub(crate) async fn sweep_and_decide(&self) {
        self.sweep().await;
        reconcile(&self.controller, &group(), 0.5).await.expect("a decision");
    }

    pub(crate) async fn sweep(&self) {
        let Controller { store, .. } = &self.controller;
        let monitor =
            Monitor { store: store.clone(), probe: &self.probe, clock: self.clock.clone(), name: "monitor".into() };
        // Before the first decision there is no roster: the sweep says so.
        let head = store.head(&group()).await.expect("a read").unwrap_or_default();
        let first = head.rosters.is_empty().then_some(Shard(0));
        for shard in head.rosters.keys().copied().chain(first) {
            sweep(&monitor, &group(), shard).await.expect("a sweep");
        }
    }

    /// Where its store is.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join(STORE)
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.clock.0.advance(span);
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now().as_millis()
    }

    pub(crate) async fn members(&self) -> Vec<InstanceId> {
        let state = self.controller.store.read(&group()).await.expect("a read");
        state.map(|state| state.members).unwrap_or_default().into_iter().map(|member| member.id).collect()
    }

    pub(crate) fn edit(&self, text: Option<&str>) {
        self.controller.policies.0.set(text);
    }

    pub(crate) async fn policy_text(&self) -> Option<String> {
        self.controller.policies.fetch(&group()).await.expect("a read").map(|found| found.text)
    }

    /// A stand over the same store, policy and clock; its instances are the group's as they are now.
    pub(crate) async fn stand(&self) -> TestStand {
        let fleet = MemoryFleet::default();
        for id in self.members().await {
            fleet.add(&group(), FleetInstance::plain(id, InstanceState::Running));
        }
        Stand {
            store: self.controller.store.clone(),
            policies: self.controller.policies.clone(),
            fleet,
            clock: self.clock.clone(),
            place: "local".into(),
        }
    }
}
