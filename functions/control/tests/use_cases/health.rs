//! Silence and failure: the unhealthy are replaced, one that cannot see replaces nobody.

use std::time::Duration;

use muster_control::memory::{MemoryProbe, Scripted};
use muster_control::ports::{AgentProbe, HealthStore, Probed, Target};
use muster_control::sweep::{Monitor, sweep};
use muster_core::group::Shard;
use muster_core::health::{Observation, Seen};
use muster_core::report::{Rule, StageName};
use serde_json::json;

use crate::world::{Call, INTERVAL, World, group, id};

#[tokio::test]
async fn s5_a_blackout_of_all_agents_terminates_nobody_however_long() {
    for length in [3, 30, 600] {
        let world = World::grown(json!({ "min_instances": 4, "max_instances": 8 })).await;
        let before = world.changing_calls();
        world.agents(Scripted::Silent);
        world.steps(length).await;
        assert_eq!((world.changing_calls(), world.running().len()), (before, 4), "{length} sweeps");
        // V6: after it, the first decision that is not a hold comes within two sweeps.
        world.agents(Scripted::Load(90.0));
        let mut spoken = Vec::new();
        for _ in 0..2 {
            world.step().await;
            spoken.push(world.report().await.stages.iter().find(|s| s.stage == StageName::Raw).map(|stage| stage.rule));
        }
        assert!(spoken.iter().any(|rule| *rule != Some(Rule::M5)), "{spoken:?}");
        assert_eq!(world.head().await.desired, 8);
        assert_eq!(world.calls(Call::Terminate), 0);
    }
}

#[tokio::test]
async fn s5_a_blackout_while_members_drain_for_the_load_ends_nobody() {
    let world = World::grown(json!({ "min_instances": 4 })).await;
    world.agents(Scripted::Load(5.0));
    world.edit(json!({}));
    world.step().await;
    world.agents(Scripted::Silent);
    world.steps(100).await;
    assert_eq!((world.running().len(), world.calls(Call::Terminate)), (4, 0));
    world.agents(Scripted::Load(50.0));
    world.steps(3).await;
    assert_eq!(world.running().len(), 2, "and the drains end when there is an answer");
}

#[tokio::test]
async fn h2_a_blind_sweep_holds_nothing_against_anybody() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    let before = world.changing_calls();
    world.agents(Scripted::Silent);
    world.blind(true);
    world.steps(20).await;
    let sweep = world.store.latest(&group(), Shard(0)).await.expect("a read").expect("a sweep");
    assert!(sweep.members.values().all(|health| (health.seen, health.silent_sweeps) == (Seen::Unknown, 0)));
    assert!(world.report().await.remarks.iter().any(|remark| remark.rule == Rule::H2));
    assert_eq!(world.changing_calls(), before);
}

#[tokio::test]
async fn h1_one_miss_never_kills() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    let before = world.changing_calls();
    for _ in 0..10 {
        world.agent(&id(1), Scripted::Silent);
        world.step().await;
        world.agent(&id(1), Scripted::Load(50.0));
        world.step().await;
    }
    assert_eq!(world.changing_calls(), before);
}

#[tokio::test]
async fn h4_below_max_a_replacement_is_launched_first() {
    for unhealthy in [Scripted::Silent, Scripted::Failing] {
        let world = World::grown(json!({ "min_instances": 3 })).await;
        world.agent(&id(1), unhealthy);
        let mut most = 0;
        let mut fewest = usize::MAX;
        for _ in 0..12 {
            world.step().await;
            (most, fewest) = (most.max(world.running().len()), fewest.min(world.running().len()));
        }
        assert_eq!((most, fewest), (4, 3));
        assert_eq!(world.running(), [id(2), id(3), id(4)]);
        assert_eq!((world.calls(Call::Launch), world.calls(Call::Terminate)), (4, 1));
        let head = world.head().await;
        assert_eq!((head.desired, head.launch_accepted_at, head.scale_in_at), (3, None, None), "H5");
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn h4_at_max_the_unhealthy_is_terminated_first() {
    let world = World::grown(json!({ "min_instances": 3, "max_instances": 3 })).await;
    world.agent(&id(1), Scripted::Silent);
    let mut most = 0;
    for _ in 0..12 {
        world.step().await;
        most = most.max(world.state().await.members.iter().filter(|m| m.first_answer.is_some()).count());
    }
    assert_eq!(most, 3, "S1");
    assert_eq!(world.running(), [id(2), id(3), id(4)]);
    assert_eq!((world.calls(Call::Launch), world.calls(Call::Terminate)), (4, 1));
    let head = world.head().await;
    assert_eq!((head.desired, head.launch_accepted_at, head.scale_in_at), (3, None, None), "H5");
    world.assert_whole().await;
}

#[tokio::test]
async fn l8_a_boot_that_never_answers_is_ended_and_made_good() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    world.edit(json!({ "min_instances": 4 }));
    world.ring().await;
    world.agent(&id(4), Scripted::Silent);
    world.steps(11).await;
    assert_eq!(world.calls(Call::Terminate), 0, "S8: it has its time");
    world.steps(3).await;
    assert_eq!(world.running(), [id(1), id(2), id(3), id(5)]);
    assert!(world.head().await.templates.iter().all(|t| t.failures == 0), "the next one has answered");
    world.assert_whole().await;
}

/// A probe that keeps silent about the first it is asked of, and speaks of one it was not.
struct Careless<'a>(&'a MemoryProbe);

impl AgentProbe for Careless<'_> {
    async fn probe(&self, targets: &[Target]) -> Probed {
        let mut probed = self.0.probe(targets).await;
        probed.observations.remove(&targets[0].id);
        probed.observations.insert("i-foreign".into(), Observation::Refused { detail: "nothing listens".into() });
        probed
    }
}

#[tokio::test]
async fn of_whom_a_probe_says_nothing_nothing_is_known_and_nothing_forgotten() {
    let world = World::grown(json!({})).await;
    world.clock.advance(INTERVAL);
    let probe = Careless(&world.probe);
    let monitor = Monitor { store: world.port(), probe, clock: world.port(), name: "monitor".into() };
    sweep(&monitor, &group(), Shard(0)).await.expect("a sweep");
    let swept = world.store.latest(&group(), Shard(0)).await.expect("a read").expect("a sweep");
    assert_eq!(swept.members.keys().cloned().collect::<Vec<_>>(), world.running());
    let first = &swept.members[&id(1)];
    assert_eq!((first.seen, first.boot_id.as_str(), first.cursor), (Seen::Unknown, "boot", 2));
    world.clock.advance(Duration::from_secs(1));
    world.ring().await;
    assert_eq!(world.running().len(), 2);
}
