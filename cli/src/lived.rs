//! For tests: a group that has lived through something, over ports in memory and in its own time. The same every time.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_control::memory::{ManualClock, MemoryFleet, MemoryPolicy, MemoryProbe, MemoryStore, Scripted};
use muster_control::ports::Clock;
use muster_control::reconcile::{Controller, Settings, reconcile};
use muster_control::sweep::{Monitor, Swept, sweep};
use muster_core::group::{GroupName, Shard};
use muster_core::member::InstanceId;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use muster_web::stand::Stand;
use serde_json::{Value, json};

/// The sweep interval of every policy here.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// What a test looks at.
pub(crate) type TestStand = Stand<MemoryStore, MemoryPolicy, MemoryFleet, ManualClock>;

/// A group, while it lives.
pub(crate) struct Lived {
    pub(crate) stand: TestStand,
    pub(crate) sweeps: Vec<Sweep>,
    /// Agents that differ from the others.
    pub(crate) agents: BTreeMap<u32, Scripted>,
    probe: MemoryProbe,
}

pub(crate) fn group() -> GroupName {
    "web".parse().expect("a name")
}

pub(crate) fn id(number: u32) -> InstanceId {
    InstanceId(format!("i-{number:04}"))
}

/// A policy without delays, with `changes` merged into its top level.
pub(crate) fn policy(changes: Value) -> Value {
    let mut policy = json!({
        "min_instances": 2, "max_instances": 6, "sweep_interval": "10s", "warm_up": "0s", "cooldown_in": "60s", "stabilization_in": "0s",
        "scaling": {"kind": "threshold"},
        "launch": {"zones": ["eu-a", "eu-b"]}, "health": {"grace_period": "0s", "unhealthy_after": "120s"}
    });
    if let (Value::Object(policy), Value::Object(changes)) = (&mut policy, changes) {
        policy.extend(changes);
    }
    policy
}

impl Lived {
    /// A group of which there is nothing but a policy.
    pub(crate) fn new(policy: &Value) -> Self {
        let stand = Stand {
            store: MemoryStore::default(),
            policies: MemoryPolicy::of(&policy.to_string()),
            fleet: MemoryFleet::default(),
            clock: ManualClock::at(Timestamp::from_millis(1_800_000_000_000)),
            place: "stack prod".into(),
        };
        Self { stand, sweeps: Vec::new(), agents: BTreeMap::new(), probe: MemoryProbe::default() }
    }

    /// One interval: everybody is swept, with this load, and the doorbell rings.
    pub(crate) async fn step(&mut self, load: f64) {
        let Self { stand, probe, .. } = self;
        let settings = Settings {
            stack: "prod".into(),
            owner: "one".into(),
            lease: Duration::from_secs(120),
            budget: Duration::from_secs(60),
        };
        stand.clock.advance(INTERVAL);
        for number in 1..=40 {
            let own = self.agents.get(&number).cloned();
            probe.script(&id(number), own.unwrap_or(Scripted::Load(load)));
        }
        probe.receive_at(stand.clock.now(), None);
        let taken = std::mem::take(&mut stand.store);
        let monitor =
            Monitor { store: taken, probe: std::mem::take(probe), clock: &stand.clock, name: "monitor".into() };
        if let Swept::Written(swept) = sweep(&monitor, &group(), Shard(0)).await.expect("a sweep") {
            self.sweeps.push(*swept);
        }
        *probe = monitor.probe;
        let controller = Controller {
            store: monitor.store,
            fleet: std::mem::take(&mut stand.fleet),
            policies: std::mem::take(&mut stand.policies),
            clock: &stand.clock,
            settings,
        };
        reconcile(&controller, &group(), 0.5).await.expect("a decision");
        (stand.store, stand.fleet, stand.policies) = (controller.store, controller.fleet, controller.policies);
    }

    pub(crate) async fn steps(&mut self, count: u32, load: f64) {
        for _ in 0..count {
            self.step(load).await;
        }
    }
}

/// A group that has grown from two to four, has one silent member, one that is hot, an accepted edit and a refused one.
pub(crate) async fn story() -> Lived {
    let mut lived = Lived::new(&policy(json!({})));
    lived.steps(4, 45.0).await;
    lived.steps(3, 82.0).await;
    lived.stand.policies.set(Some(&policy(json!({"max_instances": 5})).to_string()));
    lived.agents.insert(2, Scripted::Silent);
    lived.agents.insert(3, Scripted::Load(91.5));
    lived.steps(6, 38.0).await;
    lived.stand.policies.set(Some(r#"{"min_instances": 9, "max_instances": 5}"#));
    lived.steps(2, 38.0).await;
    lived
}
