//! What the use cases write comes back to the bit (O3).

use std::time::Duration;

use muster_control::activity::{Activity, Event};
use muster_control::memory::{ManualClock, MemoryFleet, MemoryPolicy, MemoryProbe, MemoryStore, Scripted};
use muster_control::ports::{ActivityLog, Clock, GroupState, GroupStore, HealthStore};
use muster_control::reconcile::{Controller, Settings, reconcile};
use muster_control::sweep::{Monitor, sweep};
use muster_core::group::{GroupName, Shard};
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;

use crate::emulator::fresh;

/// A few minutes of a group's life: it is created, grows under load, loses a member.
async fn a_life<S: GroupStore + HealthStore + ActivityLog>(
    mut store: S,
    policy: &str,
) -> (GroupState, Vec<Activity>, Sweep) {
    let group = GroupName::default();
    let (clock, probe) = (ManualClock::at(Timestamp::from_millis(1_700_000_000_000)), MemoryProbe::default());
    let mut fleet = MemoryFleet::default();
    for round in 0..24_u32 {
        for (id, ..) in fleet.ever() {
            // A third is no sum of powers of two, and no decimal fraction either.
            probe.script(&id, Scripted::Load(71.0 + f64::from(round) / 3.0));
        }
        if let (12.., Some((id, ..))) = (round, fleet.ever().first()) {
            probe.script(id, Scripted::Silent);
        }
        probe.receive_at(clock.now(), None);
        let monitor = Monitor { store, probe: &probe, clock: &clock, name: "monitor".into() };
        sweep(&monitor, &group, Shard(0)).await.expect("a sweep");
        let settings = Settings {
            stack: "stack".into(),
            owner: "me".into(),
            lease: Duration::from_secs(5),
            budget: Duration::from_secs(60),
        };
        let policies = MemoryPolicy::of(policy);
        let controller = Controller { store: monitor.store, fleet, policies, clock: &clock, settings };
        reconcile(&controller, &group, 0.5).await.expect("a decision");
        (store, fleet) = (controller.store, controller.fleet);
        clock.advance(Duration::from_secs(30));
    }
    let state = store.read(&group).await.expect("a read").expect("a HEAD");
    let activity = store.since(&group, Timestamp::EPOCH, usize::MAX).await.expect("the activities");
    (state, activity, store.latest(&group, Shard(0)).await.expect("a read").expect("a sweep"))
}

#[tokio::test]
async fn o3_a_groups_life_is_the_same_to_the_bit_as_in_memory() {
    // One launch at a time: which of several leases comes first over a network is anybody's guess, and so are the ids then.
    let policy = r#"{"min_instances": 2, "max_instances": 8, "scaling": {"kind": "threshold"},
        "max_out_per_window": {"percent": 1, "at_least": 1}}"#;
    let (tables, _emulator) = fresh().await;
    let (state, activity, sweep) = a_life(tables, policy).await;
    let expected = a_life(MemoryStore::default(), policy).await;
    assert!(activity.iter().any(|activity| matches!(activity.event, Event::Launched { .. })), "it has grown");
    assert!(state.members.len() > 2, "{} members", state.members.len());
    assert_eq!((state, sweep), (expected.0, expected.2));
    assert_eq!(activity, expected.1);
}
