//! Launches: ordered once, carried out once, whatever the doorbells and EC2 do.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_control::activity::Event;
use muster_control::execute::{Allowed, execute};
use muster_control::memory::Scripted;
use muster_control::ports::{Clock, GroupStore};
use muster_control::reconcile::Reconciled;
use muster_control::sweep::Swept;
use muster_core::decide::ACTIONS_PER_CLAIM;
use muster_core::group::Shard;
use muster_core::intent::{Call as Ec2Call, Cause, Token};
use muster_core::member::MemberState;
use muster_core::policy::Mode;
use muster_core::report::Rule;
use muster_core::snapshot::InstanceState;
use serde_json::json;

use crate::world::{BUDGET, Call, Fault, Kind, LEASE, World, group, id};

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
    world.always(Call::Launch, Kind::Unavailable);
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
    let world = World::proven(json!({ "min_instances": 5 })).await;
    world.at(Call::Launch, 2, Fault::Fails(Kind::NoCapacity));
    world.at(Call::Launch, 3, Fault::Fails(Kind::Refused));
    world.at(Call::Launch, 4, Fault::Fails(Kind::NoCapacity));
    world.step().await;
    assert_eq!(world.running().len(), 2, "what came counts");
    assert_eq!(world.calls(Call::Launch), 5, "what was refused is not tried again at once");
    assert_eq!(tokens(&world).await, Vec::new(), "a refused launch is given up");
    assert_eq!(world.logged(|event| matches!(event, Event::Abandoned { .. })).await, 3);
    world.steps(20).await;
    assert_eq!((world.running().len(), world.calls(Call::Launch)), (5, 8));
    world.assert_whole().await;
}

#[tokio::test]
async fn l4_while_there_is_no_capacity_nothing_more_is_ordered_and_little_is_tried() {
    let world = World::grown(json!({})).await;
    world.fleet.set_no_capacity(true);
    world.agents(Scripted::Load(90.0));
    world.step().await;
    assert_eq!((world.calls(Call::Launch), world.head().await.desired), (2 + 2, 4));
    world.steps(17).await;
    assert_eq!(
        (world.calls(Call::Launch), world.head().await.desired),
        (2 + 2, 4),
        "the place is left alone for 3 minutes"
    );
    world.steps(2).await;
    assert_eq!((world.calls(Call::Launch), world.head().await.desired), (4 + 1, 4), "then one tries it");
    world.fleet.set_no_capacity(false);
    world.agents(Scripted::Load(50.0));
    world.steps(37).await;
    assert_eq!((world.running().len(), world.calls(Call::Launch)), (4, 5 + 2));
    world.assert_whole().await;
}

#[tokio::test]
async fn l4_without_capacity_in_one_zone_the_next_is_tried_at_once() {
    let world = World::grown(json!({ "launch": { "zones": ["a", "b"] } })).await;
    world.fleet.set_no_capacity_in("a");
    world.agents(Scripted::Load(90.0));
    let done = world.step().await;
    assert_eq!(world.running().len(), 4, "{:?}", done.troubles);
    let zones: Vec<String> = world.state().await.members.into_iter().map(|member| member.zone).collect();
    assert_eq!(zones, ["a", "b", "b", "b"]);
    assert_eq!(world.calls(Call::Launch), 2 + 3, "the one that failed is a new intent elsewhere");
    world.assert_whole().await;
}

#[tokio::test]
async fn l5_what_ec2_refuses_everywhere_stops_launching_until_it_is_cured() {
    let world = World::grown(json!({ "launch": { "zones": ["a", "b"] } })).await;
    world.fleet.set_refusing(true);
    world.agents(Scripted::Load(90.0));
    world.step().await;
    assert_eq!((world.calls(Call::Launch), world.running().len()), (4, 2), "no other zone is tried");
    world.steps(4).await;
    assert_eq!(world.calls(Call::Launch), 4);
    assert!(world.report().await.waits.iter().any(|wait| wait.rule == Rule::L5 && wait.text.contains("Unauthorized")));
    world.fleet.set_refusing(false);
    world.agents(Scripted::Load(50.0));
    world.steps(4).await;
    assert_eq!(world.running().len(), 4, "after a minute one is tried, and then the rest");
    world.assert_whole().await;
}

#[tokio::test]
async fn l10_a_token_that_ec2_may_have_forgotten_is_looked_up_and_not_used_again() {
    for launched in [true, false] {
        let world = World::new(json!({ "min_instances": 1, "max_instances": 1 }));
        world.at(Call::Launch, 1, if launched { Fault::Unanswered } else { Fault::Fails(Kind::Unavailable) });
        world.step().await;
        let before = tokens(&world).await;
        world.clock.advance(Duration::from_secs(15 * 60));
        world.step().await;
        assert_eq!(world.calls(Call::Find), 1);
        let made: Vec<Token> = world.fleet.ever().into_iter().map(|(_, token, _)| token).collect();
        assert_eq!((made.len(), made == before), (1, launched), "what was not launched is launched by a new intent");
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn l10_what_has_ended_since_is_not_launched_again_with_its_token() {
    let world = World::new(json!({ "min_instances": 1, "max_instances": 1 }));
    world.at(Call::Launch, 1, Fault::Unanswered);
    world.step().await;
    world.fleet.set(&id(1), InstanceState::Terminated);
    world.clock.advance(Duration::from_secs(15 * 60));
    world.step().await;
    assert_eq!((world.calls(Call::Find), world.calls(Call::Launch)), (1, 2), "the second is a new intent's");
    assert_eq!(world.running(), [id(2)]);
    world.assert_whole().await;
}

#[tokio::test]
async fn l10_before_a_repeated_launch_is_given_up_it_is_looked_up() {
    for (with, launched) in [Kind::Refused, Kind::NoCapacity].into_iter().flat_map(|w| [(w, true), (w, false)]) {
        let world = World::new(json!({ "min_instances": 1, "max_instances": 1 }));
        world.at(Call::Launch, 1, if launched { Fault::Unanswered } else { Fault::Fails(Kind::Unavailable) });
        world.step().await;
        // EC2 looks at permissions before the token: this says nothing of what the first call has come to.
        world.at(Call::Launch, 1, Fault::Fails(with));
        world.clock.advance(LEASE);
        world.ring().await;
        assert_eq!((world.calls(Call::Launch), world.calls(Call::Find)), (2, 1), "{with:?}");
        let given_up = world.logged(|event| matches!(event, Event::Abandoned { .. })).await;
        assert_eq!((world.running().len(), given_up), if launched { (1, 0) } else { (0, 1) }, "{with:?}");
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn f3_a_launch_that_wholly_failed_starts_no_cooldown() {
    let world = World::grown(json!({ "cooldown_out": "300s" })).await;
    assert_eq!(world.head().await.launch_accepted_at, None, "nor does one for the bounds");
    world.agents(Scripted::Load(90.0));
    world.always(Call::Launch, Kind::NoCapacity);
    world.step().await;
    assert_eq!(world.head().await.launch_accepted_at, None);
    // What the load asked for is still what the load asked for when it comes at last, however often it was refused.
    world.well();
    world.steps(20).await;
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
        world.at(Call::Launch, 1, if unanswered { Fault::Unanswered } else { Fault::Fails(Kind::Unavailable) });
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
async fn l1_who_hears_of_a_later_attempt_ends_no_intent() {
    let world = World::new(json!({ "min_instances": 1, "max_instances": 1 }));
    world.at(Call::Launch, 1, Fault::Fails(Kind::Conflict));
    world.step().await;
    assert_eq!((tokens(&world).await.len(), world.logged(|e| matches!(e, Event::Abandoned { .. })).await), (1, 0));
}

#[tokio::test]
async fn a_call_that_was_throttled_is_made_again_at_the_next_doorbell() {
    let world = World::new(json!({ "min_instances": 1, "max_instances": 1 }));
    world.at(Call::Launch, 1, Fault::Fails(Kind::Throttled));
    world.step().await;
    assert_eq!((world.calls(Call::Launch), tokens(&world).await.len()), (1, 1));
    world.step().await;
    assert_eq!((world.calls(Call::Launch), world.running().len()), (2, 1), "nothing was done: no lease is waited for");
    world.assert_whole().await;
}

#[tokio::test]
async fn a_large_order_is_carried_out_over_several_claims() {
    let world = World::proven(json!({ "min_instances": 71, "max_instances": 100 })).await;
    let before = world.calls(Call::Claim);
    world.step().await;
    let claims = 70_usize.div_ceil(ACTIONS_PER_CLAIM);
    assert_eq!((world.running().len(), world.calls(Call::Claim) - before), (71, claims));
    assert_eq!(world.largest_claim(), ACTIONS_PER_CLAIM);
    world.assert_whole().await;
}

#[tokio::test]
async fn launches_left_over_from_many_claims_are_settled_in_transactions_that_fit() {
    let world = World::proven(json!({ "min_instances": 71, "max_instances": 100 })).await;
    let before = world.calls(Call::Settle);
    world.always(Call::Launch, Kind::Unavailable);
    let done = world.step().await;
    assert!(done.troubles.iter().any(|why| why.contains("is left to its next lease: EC2 did not answer")), "{done:?}");
    assert_eq!(tokens(&world).await.len(), 70);
    world.well();
    world.clock.advance(LEASE);
    world.ring().await;
    assert_eq!((world.running().len(), world.calls(Call::Settle) - before), (71, 3), "30, 30 and 10");
    world.assert_whole().await;
}

#[tokio::test]
async fn with_no_time_left_no_call_is_begun() {
    let world = World::new(json!({}));
    world.always(Call::Lease, Kind::Conflict);
    world.step().await;
    world.well();
    let controller = world.controller("one");
    let allowed = Allowed::by(Mode::Active);
    let mut done = Reconciled::default();
    execute(&controller, &group(), allowed, world.clock.now(), &mut done).await.expect("an execute");
    assert_eq!((done, world.calls(Call::Launch)), (Reconciled::default(), 0));
    assert!(world.state().await.intents.iter().all(|intent| intent.attempt == 0), "nor is a lease taken");
}

#[tokio::test]
async fn when_the_time_is_up_the_rest_is_left_to_the_next_doorbell() {
    let world = World::proven(json!({ "min_instances": 6, "max_instances": 6 })).await;
    world.at(Call::Launch, 2, Fault::First(Box::new(|world| world.clock.advance(BUDGET))));
    world.step().await;
    assert_eq!(world.running().len(), 1 + 2, "a call that was begun is finished, and settled");
    let attempts: Vec<u32> = world.state().await.intents.iter().map(|intent| intent.attempt).collect();
    assert_eq!(attempts, [0, 0, 0]);
    world.ring().await;
    assert_eq!(world.running().len(), 6);
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
async fn a_lease_that_came_after_the_time_was_up_is_given_back() {
    let world = World::new(json!({ "min_instances": 1 }));
    world.at(Call::Lease, 1, Fault::First(Box::new(|world| world.clock.advance(BUDGET))));
    world.step().await;
    assert_eq!((world.calls(Call::Launch), world.calls(Call::Release)), (0, 1), "half of the lease is left");
    world.ring().await;
    assert_eq!(world.running().len(), 1, "and nobody waits for its end");
    world.assert_whole().await;
}

#[tokio::test]
async fn a_lease_that_is_over_when_it_comes_is_not_used_whatever_time_is_left() {
    let world = World::new(json!({ "min_instances": 1 }));
    world.always(Call::Lease, Kind::Conflict);
    world.step().await;
    world.well();
    world.at(Call::Lease, 1, Fault::First(Box::new(|world| world.clock.advance(LEASE))));
    let deadline = world.clock.now().plus(LEASE * 3);
    let (controller, mut done) = (world.controller("one"), Reconciled::default());
    execute(&controller, &group(), Allowed::by(Mode::Active), deadline, &mut done).await.expect("an execute");
    assert_eq!((done, world.calls(Call::Launch)), (Reconciled::default(), 0));
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
    let world = World::grown(json!({ "min_instances": 4, "launch": { "zones": ["b", "a"] } })).await;
    let zones: Vec<String> = world.state().await.members.into_iter().map(|member| member.zone).collect();
    assert_eq!(zones, ["b", "a", "b", "a"]);
    assert_eq!(zones.iter().collect::<BTreeSet<_>>().len(), 2);
}
