//! What is written down: every decision, once, with what it stood on.

use std::time::Duration;

use muster_control::activity::{Activity, Event};
use muster_control::memory::Scripted;
use muster_control::ports::{GroupStore, HealthStore};
use muster_control::sweep::Swept;
use muster_core::decide::decide;
use muster_core::group::Shard;
use muster_core::member::InstanceId;
use muster_core::policy::Policy;
use muster_core::report::Report;
use serde_json::json;

use crate::world::{Call, Fault, INTERVAL, Kind, World, group, id};

/// How many decisions the log tells of.
async fn decided(world: &World) -> u32 {
    let count = |activity: Activity| match activity.event {
        Event::Decision { count, .. } => count,
        _ => 0,
    };
    world.log().await.into_iter().map(count).sum()
}

#[tokio::test]
async fn o2_equal_consecutive_decisions_are_one_record_with_a_count_and_a_range() {
    let world = World::grown(json!({})).await;
    world.step().await;
    let before = world.log().await.len();
    let first = world.report().await.at;
    world.steps(9).await;
    let log = world.log().await;
    assert_eq!(log.len(), before, "nine more, and no record more");
    let Some(Activity { at, event: Event::Decision { report, since, count, .. }, .. }) = log.last() else {
        panic!("the last record is no decision")
    };
    assert!(*count >= 10 && *since <= first, "{count} since {since}");
    assert_eq!((*at, report.at), (first.plus(9 * INTERVAL), first.plus(9 * INTERVAL)));
    world.agents(Scripted::Load(90.0));
    world.step().await;
    assert!(world.log().await.len() > before, "another decision is another record");
}

#[tokio::test]
async fn o2_every_sweep_is_decided_and_counted_inaction_too() {
    let world = World::new(json!({}));
    for load in [50.0, 50.0, 33.3, 90.0, 90.0, 50.0, 5.0, 5.0, 50.0, 50.0, 50.0] {
        world.agents(Scripted::Load(load));
        let before = decided(&world).await;
        world.step().await;
        assert!(decided(&world).await > before, "a sweep without a decision");
    }
}

#[tokio::test]
async fn o2_who_joins_and_drains_in_one_decision_is_recorded_twice() {
    let world = World::grown(json!({})).await;
    world.edit(json!({ "min_instances": 4 }));
    world.ring().await;
    world.sweep_all().await;
    world.agents(Scripted::Load(60.0));
    for newcomer in [3, 4] {
        world.agent(&id(newcomer), Scripted::Load(40.0));
    }
    world.edit(json!({ "min_instances": 1, "max_instances": 2 }));
    world.step().await;
    let of = |wanted: usize| move |instance: &InstanceId| *instance == id(wanted);
    for newcomer in [3, 4].map(of) {
        assert_eq!(
            world.logged(|event| matches!(event, Event::Joined { instance, .. } if newcomer(instance))).await,
            1
        );
        assert_eq!(
            world.logged(|event| matches!(event, Event::Draining { instance, .. } if newcomer(instance))).await,
            1
        );
    }
}

#[tokio::test]
async fn o3_a_recorded_decision_replays_to_the_bit() {
    let world = World::new(json!({ "max_instances": 7 }));
    let mut seed = 7_u64;
    for round in 0..60_u32 {
        for member in 1..=12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let share = f64::from(u32::try_from(seed >> 32).expect("32 bits")) / f64::from(u32::MAX);
            let load = if round / 12 % 2 == 0 { 60.0 + 40.0 * share } else { 25.0 * share };
            world.agent(&id(member), if share > 0.97 { Scripted::Silent } else { Scripted::Load(load) });
        }
        if round == 30 {
            world.edit(json!({ "min_instances": 3, "max_instances": 6 }));
        }
        if round == 40 {
            world.policies.set(None);
        }
        world.step().await;
    }
    let log = world.log().await;
    let mut replayed = 0;
    for activity in &log {
        let text = serde_json::to_string(activity).expect("JSON");
        let read: Activity = serde_json::from_str(&text).expect("what was written");
        assert!(read == *activity, "{} is not what was written", activity.id);
        let Event::Decision { report, snapshot, version, .. } = read.event else { continue };
        let snapshot = snapshot.expect("a small group's snapshot");
        let policy = report.policy.expect("a policy version");
        let policy = world.store.policy(&group(), policy).await.expect("a read").expect("the policy");
        let again = decide(&snapshot, &Policy::parse(&policy.text).expect("it was valid"));
        assert_eq!((&again.report, again.plan.head.version), (&*report, version));
        let bits = |report: &Report| serde_json::to_string(report).expect("JSON");
        assert_eq!(bits(&again.report), bits(&report));
        replayed += 1;
    }
    assert!(replayed > 20, "only {replayed} records");
}

#[tokio::test]
async fn o8_on_a_stale_sweep_load_and_health_move_nothing() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    world.agents(Scripted::Load(90.0));
    world.agent(&id(1), Scripted::Failing);
    world.sweep_all().await;
    world.clock.advance(3 * INTERVAL + Duration::from_secs(1));
    world.ring().await;
    assert_eq!((world.running().len(), world.head().await.desired), (3, 3));
    // A lost member and an edit are dealt with all the same.
    world.fleet.set(&id(2), muster_core::snapshot::InstanceState::Terminated);
    world.ring().await;
    assert_eq!((world.running().len(), world.calls(Call::Launch)), (3, 4));
    world.edit(json!({ "min_instances": 4 }));
    world.ring().await;
    assert_eq!((world.running().len(), world.head().await.desired), (4, 4));
    assert_eq!(world.calls(Call::Terminate), 0);
}

#[tokio::test]
async fn o8_on_a_stale_sweep_drains_and_open_intents_go_on() {
    let world = World::grown(json!({ "min_instances": 4 })).await;
    world.agents(Scripted::Load(5.0));
    world.edit(json!({}));
    world.step().await;
    world.clock.advance(Duration::from_secs(600));
    world.ring().await;
    assert_eq!(world.running().len(), 2, "their time to drain is over");
    world.assert_whole().await;
}

#[tokio::test]
async fn s7_a_sweep_moves_the_size_once_however_often_it_is_delivered() {
    let world = World::grown(json!({ "max_instances": 40 })).await;
    world.agents(Scripted::Load(100.0));
    world.sweep_all().await;
    let (one, two) = futures_util::future::join(world.try_ring("one"), world.try_ring("two")).await;
    assert!(one.is_ok() && two.is_ok());
    for _ in 0..10 {
        world.ring().await;
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(world.head().await.desired, 4);
    assert_eq!(
        world.head().await.last_slot,
        world.store.latest(&group(), Shard(0)).await.expect("a read").map(|s| s.slot)
    );
}

#[tokio::test]
async fn a_slot_is_swept_once() {
    let world = World::grown(json!({})).await;
    world.sweep_all().await;
    assert_eq!(world.sweep(Shard(0)).await, Swept::Taken);
    world.clock.advance(INTERVAL / 2);
    assert_eq!(world.sweep(Shard(0)).await, Swept::Taken, "its time has not come");
    world.clock.advance(INTERVAL);
    world.at(Call::Append, 1, Fault::Fails(Kind::Conflict));
    assert_eq!(world.sweep(Shard(0)).await, Swept::Taken, "somebody else has written it");
}

#[tokio::test]
async fn a_monitor_that_died_after_taking_its_slot_costs_that_slot_and_no_more() {
    let world = World::grown(json!({})).await;
    world.clock.advance(INTERVAL);
    world.at(Call::Append, 1, Fault::DiesBefore);
    assert!(futures_util::FutureExt::now_or_never(world.sweep(Shard(0))).is_none());
    world.well();
    assert_eq!(world.sweep_by("another", Shard(0)).await, Swept::Taken);
    world.step().await;
    assert_eq!(world.report().await.counts.serving, 2);
}

#[tokio::test]
async fn a_monitor_that_failed_half_way_has_its_slot_again_and_writes_it_once() {
    let world = World::grown(json!({})).await;
    world.clock.advance(INTERVAL);
    world.at(Call::Append, 1, Fault::DiesBefore);
    assert!(futures_util::FutureExt::now_or_never(world.sweep(Shard(0))).is_none());
    world.well();
    assert!(matches!(world.sweep(Shard(0)).await, Swept::Written(_)));
    assert_eq!(world.sweep(Shard(0)).await, Swept::Taken);
    // What was written and not answered for is not written again.
    world.clock.advance(INTERVAL);
    world.at(Call::Append, 1, Fault::DiesAfter);
    assert!(futures_util::FutureExt::now_or_never(world.sweep(Shard(0))).is_none());
    world.well();
    assert_eq!(world.sweep(Shard(0)).await, Swept::Taken);
}

#[tokio::test]
async fn a_sweep_forgets_members_that_have_left() {
    let world = World::grown(json!({})).await;
    world.fleet.set(&id(1), muster_core::snapshot::InstanceState::Terminated);
    world.steps(2).await;
    let sweep = world.store.latest(&group(), Shard(0)).await.expect("a read").expect("a sweep");
    assert_eq!(sweep.members.into_keys().collect::<Vec<_>>(), world.running());
}
