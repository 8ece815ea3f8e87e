//! Launches: ordered once, carried out once, whatever the doorbells and EC2 do.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_control::activity::Event;
use muster_control::execute::{Allowed, Executed, execute};
use muster_control::memory::Scripted;
use muster_control::ports::{Clock, GroupStore};
use muster_control::sweep::Swept;
use muster_core::decide::ACTIONS_PER_CLAIM;
use muster_core::group::Shard;
use muster_core::intent::{Call as Ec2Call, Cause, Token};
use muster_core::member::MemberState;
use muster_core::policy::Mode;
use muster_core::snapshot::InstanceState;
use serde_json::json;

use crate::world::{BUDGET, Call, Fault, LEASE, With, World, group, id};

async fn tokens(world: &World) -> Vec<Token> {
    let launch = |intent: muster_core::intent::Intent| match intent.call {
        Ec2Call::Launch(spec) => Some(spec.token),
        Ec2Call::Terminate { .. } => None,
    };
    world.state().await.intents.into_iter().filter_map(launch).collect()
}

#[tokio::test]
async fn c3_c4_an_unknown_group_is_swept_empty_and_its_doorbell_makes_it() {
    let world = World::new(json!({}));
    let Swept::Written(sweep) = world.sweep(Shard(0)).await else { panic!("the slot is free") };
    assert_eq!((sweep.roster, sweep.members.len(), world.store.doorbells(&group()).len()), (None, 0, 1));
    world.ring().await;
    let state = world.state().await;
    assert_eq!((state.head.desired, world.running().len()), (2, 2));
    assert!(state.members.iter().all(|member| member.state == MemberState::Pending));
    assert_eq!(world.logged(|event| matches!(event, Event::PolicyAccepted { .. })).await, 1);
    assert_eq!(world.logged(|event| matches!(event, Event::Launched { .. })).await, 2);
    world.assert_whole().await;
}

#[tokio::test]
async fn c3_a_launch_counts_from_its_intent_on() {
    let world = World::new(json!({}));
    world.always(Call::Launch, With::Unavailable);
    world.steps(5).await;
    assert_eq!(tokens(&world).await.len(), 2, "two are missing, and two are ordered");
    assert_eq!(world.report().await.counts.pending, 2);
}

#[tokio::test]
async fn c4_a_lost_instance_is_launched_again_without_a_decision_about_size() {
    let world = World::grown(json!({})).await;
    let lost = world.running()[0].clone();
    world.fleet.set(&lost, muster_core::snapshot::InstanceState::Terminated);
    world.step().await;
    assert_eq!((world.running().len(), world.head().await.desired), (2, 2));
    assert_eq!(world.logged(|event| matches!(event, Event::Lost { instance } if *instance == lost)).await, 1);
    world.assert_whole().await;
}

#[tokio::test]
async fn l1_every_call_in_a_life_comes_from_a_committed_and_leased_intent() {
    // The world's fleet checks each call; here is a life that has all kinds of them.
    let world = World::grown(json!({})).await;
    world.agents(Scripted::Load(90.0));
    world.steps(3).await;
    world.agent(&world.running()[1], Scripted::Failing);
    world.steps(8).await;
    world.agents(Scripted::Load(5.0));
    world.steps(20).await;
    let (launches, terminations) = (world.calls(Call::Launch), world.calls(Call::Terminate));
    assert!(launches >= 5 && terminations >= 3, "{launches} launches, {terminations} terminations");
    world.assert_whole().await;
}

#[tokio::test]
async fn l2_repeated_and_late_doorbells_launch_nothing() {
    let world = World::grown(json!({})).await;
    world.agents(Scripted::Load(90.0));
    world.step().await;
    assert_eq!(world.running().len(), 4);
    let (version, calls) = (world.head().await.version, world.changing_calls());
    for _ in 0..20 {
        let done = world.ring().await;
        assert_eq!(done.activity, Vec::new());
    }
    world.clock.advance(Duration::from_secs(3_600));
    for _ in 0..3 {
        world.ring().await;
    }
    // That the sweeps have stopped is written down, once (O2, O8).
    assert_eq!((world.head().await.version, world.changing_calls()), (version + 1, calls));
}

#[tokio::test]
async fn l3_partial_success_counts_and_the_rest_is_ordered_later() {
    let world = World::new(json!({ "min_instances": 4 }));
    world.at(Call::Launch, 2, Fault::Fails(With::NoCapacity));
    world.at(Call::Launch, 3, Fault::Fails(With::Refused));
    world.step().await;
    assert_eq!(world.running().len(), 2, "what came counts");
    assert_eq!(world.calls(Call::Launch), 4, "what was refused is not tried again at once");
    assert_eq!(tokens(&world).await, Vec::new(), "a refused launch is given up");
    assert_eq!(world.logged(|event| matches!(event, Event::Abandoned { .. })).await, 2);
    world.step().await;
    assert_eq!((world.running().len(), world.calls(Call::Launch)), (4, 6));
    world.assert_whole().await;
}

#[tokio::test]
async fn l3_while_there_is_no_capacity_a_doorbell_asks_once() {
    let world = World::grown(json!({})).await;
    world.fleet.set_no_capacity(true);
    world.agents(Scripted::Load(90.0));
    world.step().await;
    assert_eq!((world.calls(Call::Launch), world.head().await.desired), (2 + 2, 4));
    world.step().await;
    assert_eq!((world.calls(Call::Launch), world.head().await.desired), (4 + 2, 4), "ordered again, not more");
    world.fleet.set_no_capacity(false);
    world.step().await;
    assert_eq!(world.running().len(), 4);
    world.assert_whole().await;
}

#[tokio::test]
async fn f3_a_launch_that_wholly_failed_starts_no_cooldown() {
    let world = World::grown(json!({ "cooldown_out": "300s" })).await;
    assert_eq!(world.head().await.launch_accepted_at, None, "nor does one for the bounds");
    world.agents(Scripted::Load(90.0));
    world.always(Call::Launch, With::NoCapacity);
    world.step().await;
    assert_eq!(world.head().await.launch_accepted_at, None);
    // What the load asked for is still what the load asked for when it comes at last, however often it was refused.
    world.well();
    world.step().await;
    let accepted = world.head().await.launch_accepted_at;
    assert!(accepted.is_some());
    // Whoever is lost and launched again starts none.
    world.agents(Scripted::Load(50.0));
    world.steps(3).await;
    world.fleet.set(&id(1), InstanceState::Terminated);
    world.steps(2).await;
    let lost = |event: &Event| matches!(event, Event::Launched { cause: Cause::Lost, .. });
    assert_eq!((world.logged(lost).await, world.head().await.launch_accepted_at), (1, accepted));
}

#[tokio::test]
async fn l1_an_answer_that_was_lost_is_asked_for_again_with_the_same_token_after_the_lease() {
    for unanswered in [true, false] {
        let world = World::new(json!({ "min_instances": 1, "max_instances": 1 }));
        world.at(Call::Launch, 1, if unanswered { Fault::Unanswered } else { Fault::Fails(With::Throttled) });
        world.step().await;
        let before = tokens(&world).await;
        assert_eq!(before.len(), 1, "not knowing ends no intent");
        world.steps(3).await;
        assert_eq!(world.calls(Call::Launch), 1, "the lease is still held");
        world.clock.advance(LEASE);
        world.ring().await;
        assert_eq!(world.calls(Call::Launch), 2);
        let launched: Vec<Token> = world.fleet.ever().into_iter().map(|(_, token, _)| token).collect();
        assert_eq!(launched, before, "one instance, with the intent's token");
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn a_large_order_is_carried_out_over_several_claims() {
    let world = World::new(json!({ "min_instances": 70, "max_instances": 100 }));
    world.step().await;
    let claims = 1 + 70_usize.div_ceil(ACTIONS_PER_CLAIM);
    assert_eq!((world.running().len(), world.calls(Call::Claim)), (70, claims), "one of them made HEAD");
    assert_eq!(world.largest_claim(), ACTIONS_PER_CLAIM);
    world.assert_whole().await;
}

#[tokio::test]
async fn launches_left_over_from_many_claims_are_settled_in_transactions_that_fit() {
    let world = World::new(json!({ "min_instances": 70, "max_instances": 100 }));
    world.always(Call::Launch, With::Unavailable);
    let done = world.step().await;
    assert!(done.troubles.iter().any(|why| why.contains("is left to its next lease: EC2 did not answer")), "{done:?}");
    assert_eq!(tokens(&world).await.len(), 70);
    world.well();
    world.clock.advance(LEASE);
    world.ring().await;
    assert_eq!((world.running().len(), world.calls(Call::Settle)), (70, 3), "30, 30 and 10");
    world.assert_whole().await;
}

#[tokio::test]
async fn with_no_time_left_no_call_is_begun() {
    let world = World::new(json!({}));
    world.always(Call::Lease, With::Conflict);
    world.step().await;
    world.well();
    let controller = world.controller("one");
    let allowed = Allowed::by(Mode::Active);
    let executed = execute(&controller, &group(), allowed, world.clock.now()).await.expect("an execute");
    assert_eq!((executed, world.calls(Call::Launch)), (Executed::default(), 0));
    assert!(world.state().await.intents.iter().all(|intent| intent.attempt == 0), "nor is a lease taken");
}

#[tokio::test]
async fn when_the_time_is_up_the_rest_is_left_to_the_next_doorbell() {
    let world = World::new(json!({ "min_instances": 5 }));
    world.at(Call::Launch, 2, Fault::First(Box::new(|world| world.clock.advance(BUDGET))));
    world.step().await;
    assert_eq!(world.running().len(), 2, "a call that was begun is finished, and settled");
    let attempts: Vec<u32> = world.state().await.intents.iter().map(|intent| intent.attempt).collect();
    assert_eq!(attempts, [0, 0, 0]);
    world.ring().await;
    assert_eq!(world.running().len(), 5);
    world.assert_whole().await;
}

#[tokio::test]
async fn a_lease_that_came_too_late_is_not_used() {
    let world = World::new(json!({ "min_instances": 1 }));
    world.at(Call::Lease, 1, Fault::First(Box::new(|world| world.clock.advance(LEASE))));
    world.step().await;
    assert_eq!(world.calls(Call::Launch), 0);
    world.ring().await;
    assert_eq!(world.running().len(), 1);
    world.assert_whole().await;
}

#[tokio::test]
async fn a_doorbell_without_any_budget_does_nothing() {
    let world = World::new(json!({}));
    let mut controller = world.controller("one");
    controller.settings.budget = Duration::ZERO;
    let done = muster_control::reconcile::reconcile(&controller, &group(), f64::NAN).await.expect("a reconcile");
    assert_eq!((done.activity.len(), world.store.head(&group()).await.expect("a read")), (0, None));
}

#[tokio::test]
async fn l6_launches_go_to_the_zone_with_the_fewest() {
    let world = World::new(json!({ "min_instances": 4, "launch": { "zones": ["b", "a"] } }));
    world.step().await;
    let zones: Vec<String> = world.state().await.members.into_iter().map(|member| member.zone).collect();
    assert_eq!(zones, ["b", "a", "b", "a"]);
    assert_eq!(zones.iter().collect::<BTreeSet<_>>().len(), 2);
}
