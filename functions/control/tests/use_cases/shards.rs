//! Groups of more than one shard: each has its roster and its sweep, and one that does not come in is not waited for for
//! ever.

use muster_control::memory::Scripted;
use muster_core::group::{SHARD_CAPACITY, Shard};
use muster_core::report::Rule;
use muster_core::snapshot::InstanceState;
use serde_json::json;

use crate::world::{INTERVAL, World, id};

const MEMBERS: usize = 520;
const FIRST: Shard = Shard(0);
const SECOND: Shard = Shard(1);

async fn large() -> World {
    World::grown(json!({ "min_instances": MEMBERS, "max_instances": 2 * MEMBERS })).await
}

async fn sizes(world: &World) -> [usize; 2] {
    [world.roster(FIRST).await.entries.len(), world.roster(SECOND).await.entries.len()]
}

#[tokio::test]
async fn more_than_a_shard_holds_goes_to_the_next_and_both_are_kept() {
    let world = large().await;
    assert_eq!(sizes(&world).await, [SHARD_CAPACITY, MEMBERS - SHARD_CAPACITY]);
    world.step().await;
    assert_eq!(world.report().await.counts.serving, 520);
    // One of each shard is lost: each roster changes by itself.
    let rosters = world.head().await.rosters;
    world.fleet.set(&id(1), InstanceState::Terminated);
    world.step().await;
    let now = world.head().await.rosters;
    assert!(now[&FIRST] > rosters[&FIRST]);
    assert_eq!(now[&SECOND], rosters[&SECOND], "the place that became free is taken again");
    assert_eq!(sizes(&world).await, [SHARD_CAPACITY, MEMBERS - SHARD_CAPACITY]);
    let last = world.roster(SECOND).await.entries[0].id.clone();
    world.fleet.set(&last, InstanceState::Terminated);
    world.step().await;
    assert_eq!(sizes(&world).await, [SHARD_CAPACITY, MEMBERS - SHARD_CAPACITY]);
    assert_eq!(world.head().await.rosters[&FIRST], now[&FIRST]);
    world.assert_whole().await;
}

#[tokio::test]
async fn the_sweep_of_a_missing_shard_is_awaited_and_then_unknown() {
    let world = large().await;
    world.step().await;
    world.agents(Scripted::Load(90.0));
    let desired = world.head().await.desired;
    let slot = world.head().await.last_slot;

    // The first shard's sweep alone decides nothing while the other's may still come ...
    world.clock.advance(INTERVAL);
    world.sweep(FIRST).await;
    world.ring().await;
    assert_eq!((world.head().await.last_slot, world.head().await.desired), (slot, desired));
    // ... and when it comes, both are decided on.
    world.sweep(SECOND).await;
    world.ring().await;
    assert_eq!((world.head().await.desired, world.report().await.counts.missing), (2 * desired, 0));
    world.agents(Scripted::Load(50.0));
    world.steps(4).await;

    // It does not come. When its time is up, or with the next slot, its members are unknown, and nobody is harmed.
    let slot = world.head().await.last_slot;
    for missed in 1..=3_u32 {
        world.clock.advance(INTERVAL);
        world.sweep(FIRST).await;
        world.ring().await;
        let decided = world.head().await.last_slot > slot;
        assert_eq!(decided, missed > 1, "slot {missed} without the shard");
    }
    let report = world.report().await;
    assert_eq!(report.counts.serving, 500);
    assert!(report.counts.missing >= 20);

    // Back again, it is waited for as before.
    world.steps(2).await;
    assert_eq!(world.report().await.counts.missing, 0);
}

#[tokio::test]
async fn when_the_slots_time_is_up_a_look_in_between_decides_without_the_missing_shard() {
    let world = large().await;
    world.step().await;
    let slot = world.head().await.last_slot;
    world.clock.advance(INTERVAL);
    world.sweep(FIRST).await;
    world.ring().await;
    assert_eq!(world.head().await.last_slot, slot);
    world.clock.advance(INTERVAL);
    world.ring().await;
    assert!(world.head().await.last_slot > slot);
    assert_ne!(world.report().await.rule, Rule::S7);
}
