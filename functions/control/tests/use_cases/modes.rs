//! Modes: what may not be done is not done on any path (O1).

use std::time::Duration;

use muster_control::memory::Scripted;
use muster_control::ports::{Clock, Order};
use muster_core::member::MemberState;
use muster_core::policy::Mode;
use muster_core::snapshot::InstanceState;
use serde_json::json;

use crate::world::{Call, INTERVAL, Kind, LEASE, World, id};

const STILL: [&str; 2] = ["observe", "paused"];

#[tokio::test]
async fn o1_observe_and_paused_never_change_anything() {
    for mode in STILL {
        let world = World::grown(json!({ "min_instances": 4 })).await;
        let calls = world.changing_calls();
        world.edit(json!({ "mode": mode, "min_instances": 4 }));
        world.ring().await;
        let desired = world.head().await.desired;
        // Load, silence, a lost member, another minimum: all of them would move an active group.
        world.agents(Scripted::Load(95.0));
        world.steps(5).await;
        world.agents(Scripted::Load(2.0));
        world.steps(5).await;
        world.agent(&id(1), Scripted::Silent);
        world.fleet.set(&id(2), InstanceState::Terminated);
        world.steps(10).await;
        world.edit(json!({ "mode": mode, "min_instances": 5 }));
        world.steps(5).await;
        assert_eq!((world.changing_calls(), world.head().await.desired), (calls, desired), "{mode}");
        assert_eq!(world.state().await.intents, Vec::new(), "{mode}");
        assert_eq!(world.member_state(&id(2)).await, None, "{mode}: what EC2 says is written down");
    }
}

#[tokio::test]
async fn o1_in_observe_and_paused_agents_are_only_looked_at() {
    for mode in STILL {
        let world = World::grown(json!({})).await;
        assert!(world.told().iter().all(|target| matches!(target.order, Order::Register { .. })));
        world.edit(json!({ "mode": mode }));
        world.ring().await;
        world.steps(3).await;
        assert_eq!(world.told().len(), 2, "they are swept all the same");
        assert!(world.told().iter().all(|target| target.order == Order::Look), "{mode}");
    }
}

#[tokio::test]
async fn o1_a_new_group_in_observe_or_paused_stays_empty() {
    for mode in STILL {
        let world = World::new(json!({ "mode": mode }));
        world.steps(5).await;
        assert_eq!((world.changing_calls(), world.head().await.desired), (0, 2), "{mode}");
        world.edit(json!({}));
        world.step().await;
        assert_eq!(world.running().len(), 2, "and fills when it becomes active");
    }
}

#[tokio::test]
async fn o1_intents_of_before_wait_until_the_group_is_active_again() {
    for mode in STILL {
        let world = World::new(json!({}));
        world.always(Call::Launch, Kind::Unavailable);
        world.step().await;
        world.well();
        world.edit(json!({ "mode": mode }));
        world.clock.advance(LEASE);
        world.steps(3).await;
        assert_eq!((world.calls(Call::Launch), world.state().await.intents.len()), (2, 2), "{mode}");
        world.edit(json!({}));
        world.ring().await;
        assert_eq!(world.running().len(), 2);
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn o1_a_drain_of_before_is_neither_told_nor_ended() {
    for mode in STILL {
        let world = World::grown(json!({ "min_instances": 4 })).await;
        world.agents(Scripted::Load(5.0));
        world.edit(json!({}));
        world.step().await;
        let draining = |state: &MemberState| matches!(state, MemberState::Draining(_));
        let before = world.state().await.members.iter().filter(|member| draining(&member.state)).count();
        assert!(before > 0);
        world.edit(json!({ "mode": mode }));
        world.ring().await;
        world.steps(20).await;
        let after = world.state().await.members.iter().filter(|member| draining(&member.state)).count();
        assert_eq!((after, world.calls(Call::Terminate)), (before, 0), "{mode}");
        assert!(world.told().iter().all(|target| target.order == Order::Look), "{mode}");
    }
}

#[tokio::test]
async fn o1_a_mode_that_changes_nothing_is_not_decided_over_and_over() {
    for mode in STILL {
        // More is missing than one claim takes.
        let world = World::new(json!({ "mode": mode, "min_instances": 70, "max_instances": 100 }));
        world.step().await;
        let (version, lists) = (world.head().await.version, world.calls(Call::List));
        for _ in 0..5 {
            world.ring().await;
        }
        assert_eq!(world.head().await.version, version, "{mode}");
        assert_eq!(world.calls(Call::List) - lists, 5, "{mode}: one look a doorbell");
    }
}

#[tokio::test]
async fn o1_out_only_launches_and_lets_nobody_go() {
    let world = World::grown(json!({ "mode": "out-only" })).await;
    world.agents(Scripted::Load(95.0));
    world.steps(8).await;
    assert_eq!(world.running().len(), 5);
    world.agents(Scripted::Load(2.0));
    world.steps(20).await;
    world.agent(&id(1), Scripted::Silent);
    world.steps(20).await;
    world.edit(json!({ "mode": "out-only", "min_instances": 1, "max_instances": 2 }));
    world.steps(20).await;
    assert_eq!((world.running().len(), world.calls(Call::Terminate)), (5, 0));
    let states = world.state().await.members.into_iter().map(|member| member.state);
    assert!(states.into_iter().all(|state| state == MemberState::Active), "nor is a drain begun");
}

#[tokio::test]
async fn o1_out_only_makes_no_termination_that_was_ordered_before() {
    let world = World::grown(json!({ "min_instances": 4 })).await;
    world.agents(Scripted::Load(5.0));
    world.edit(json!({}));
    world.always(Call::Terminate, Kind::Unavailable);
    world.steps(2).await;
    world.agents(Scripted::Load(50.0));
    assert_eq!((world.calls(Call::Terminate), world.state().await.intents.len()), (2, 2));
    world.well();
    world.edit(json!({ "mode": "out-only" }));
    world.clock.advance(LEASE);
    world.steps(3).await;
    assert_eq!((world.calls(Call::Terminate), world.running().len()), (2, 4));
    world.edit(json!({}));
    world.ring().await;
    assert_eq!(world.running().len(), 2);
    world.assert_whole().await;
}

#[tokio::test]
async fn o1_out_only_waits_with_a_boot_that_never_answers() {
    let world = World::new(json!({ "mode": "out-only", "max_instances": 2 }));
    world.step().await;
    world.agent(&id(1), Scripted::Silent);
    world.steps(40).await;
    assert_eq!((world.running().len(), world.calls(Call::Terminate)), (2, 0), "S1: max is 2");
}

/// When the world's clock shows so many seconds more.
fn in_seconds(world: &World, seconds: u64) -> String {
    world.clock.now().plus(Duration::from_secs(seconds)).to_string()
}

#[tokio::test]
async fn o1_a_pause_ends_by_itself_at_the_next_look() {
    let world = World::grown(json!({})).await;
    let pause = json!({ "reason": "a migration", "until": in_seconds(&world, 45) });
    world.edit(json!({ "pause": pause, "min_instances": 4 }));
    world.ring().await;
    assert_eq!((world.head().await.mode, world.running().len()), (Mode::Paused, 2), "MonitorS sees it");
    world.steps(3).await;
    assert!(world.told().iter().all(|target| target.order == Order::Look));
    let version = world.head().await.version;
    world.ring().await;
    assert_eq!(world.head().await.version, version, "nothing is new");
    // Nobody has edited anything, and no sweep has come in: the look itself is enough.
    world.clock.advance(Duration::from_secs(20));
    world.ring().await;
    assert_eq!((world.head().await.mode, world.running().len()), (Mode::Active, 4));
    world.step().await;
    world.step().await;
    assert!(world.told().iter().all(|target| matches!(target.order, Order::Register { .. })));
    world.assert_whole().await;
}

#[tokio::test]
async fn o1_intents_of_before_wait_until_the_pause_is_over() {
    let world = World::new(json!({}));
    world.always(Call::Launch, Kind::Unavailable);
    world.step().await;
    world.well();
    let pause = json!({ "reason": "a migration", "until": in_seconds(&world, 600) });
    world.edit(json!({ "pause": pause }));
    world.clock.advance(LEASE);
    world.steps(3).await;
    assert_eq!((world.calls(Call::Launch), world.state().await.intents.len()), (2, 2));
    world.clock.advance(Duration::from_secs(600));
    world.ring().await;
    assert_eq!(world.running().len(), 2);
    world.assert_whole().await;
}

#[tokio::test]
async fn o1_the_mode_is_seen_by_the_monitor_at_the_next_sweep() {
    let world = World::grown(json!({})).await;
    world.edit(json!({ "mode": "paused" }));
    world.sweep_all().await;
    assert!(world.told().iter().all(|target| matches!(target.order, Order::Register { .. })), "nobody has decided yet");
    world.ring().await;
    world.clock.advance(INTERVAL);
    world.sweep(muster_core::group::Shard(0)).await;
    assert!(world.told().iter().all(|target| target.order == Order::Look));
}
