//! Deaths between any two calls, lost answers, and controllers at the same time.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use futures_util::future::{join, join3};
use muster_control::activity::Event;
use muster_control::memory::Scripted;
use muster_control::ports::{Clock, GroupStore, LeaseRequest};
use muster_control::reconcile::{Reconciled, reconcile, reconcile_into};
use muster_core::group::Shard;
use muster_core::snapshot::InstanceState;
use serde_json::json;

use crate::world::{BUDGET, Call, Fault, INTERVAL, Kind, LEASE, World, group, id};

/// A group whose next doorbell scales it out.
async fn about_to_grow() -> World {
    let world = World::grown(json!({})).await;
    world.agents(Scripted::Load(90.0));
    world.sweep_all().await;
    world
}

/// A group whose next doorbell terminates a member that has drained, and replaces one that is gone.
async fn about_to_shrink() -> World {
    let world = World::grown(json!({ "min_instances": 1, "max_instances": 8 })).await;
    world.agents(Scripted::Load(95.0));
    world.steps(8).await;
    world.agents(Scripted::Load(5.0));
    world.step().await;
    world.sweep_all().await;
    world
}

async fn assert_recovers(world: &World) {
    world.well();
    world.clock.advance(LEASE);
    world.sweep_all().await;
    world.try_ring("two").await.expect("a reconcile");
    for _ in 0..12 {
        world.sweep_all().await;
        world.try_ring("two").await.expect("a reconcile");
    }
    world.assert_whole().await;
    assert_eq!(world.running().len(), usize::try_from(world.head().await.desired).expect("a small group"));
}

#[tokio::test]
async fn l1_s2_whoever_dies_before_or_after_any_call_another_finishes() {
    let mut deaths = 0;
    for after in [false, true] {
        for nth in 1.. {
            let mut died = false;
            for world in [about_to_grow().await, about_to_shrink().await] {
                world.death(nth, after);
                died |= world.ring_now("one").is_none();
                world.agents(Scripted::Load(50.0));
                assert_recovers(&world).await;
            }
            if !died {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 30, "only {deaths} deaths: the calls have become fewer than the story has");
}

#[tokio::test]
async fn what_a_reconcile_has_done_before_it_is_dropped_is_told() {
    let ids = async |world: &World| -> BTreeSet<String> { world.log().await.into_iter().map(|a| a.id).collect() };
    let mut told = 0;
    for nth in 1.. {
        let world = about_to_grow().await;
        let before = ids(&world).await;
        world.death(nth, false);
        let mut done = Reconciled::default();
        let ended = reconcile_into(&world.controller("one"), &group(), 0.5, &mut done).now_or_never();
        world.script().dead = false;
        let logged: BTreeSet<String> = ids(&world).await.difference(&before).cloned().collect();
        let said: BTreeSet<String> = done.activity.into_iter().map(|activity| activity.id).collect();
        assert_eq!(said.difference(&before).cloned().collect::<BTreeSet<_>>(), logged, "cut off at call {nth}");
        if ended.is_some() {
            break;
        }
        told += usize::from(!said.is_empty());
    }
    assert!(told > 10, "only {told} were cut off when they had something to tell");
}

#[tokio::test]
async fn l1_the_deaths_that_matter_leave_one_instance_an_intent() {
    let points = [
        ("after the claim", Call::Claim, Fault::DiesAfter, 0),
        ("before the lease", Call::Lease, Fault::DiesBefore, 0),
        ("after the lease", Call::Lease, Fault::DiesAfter, 0),
        ("before the launch", Call::Launch, Fault::DiesBefore, 0),
        ("after the launch", Call::Launch, Fault::DiesAfter, 1),
        ("before settling", Call::Settle, Fault::DiesBefore, 2),
        ("after settling", Call::Settle, Fault::DiesAfter, 2),
    ];
    for (point, call, fault, launched) in points {
        let world = about_to_grow().await;
        world.at(call, 1, fault);
        assert_eq!(world.ring_now("one"), None, "{point}");
        assert_eq!(world.running().len(), 2 + launched, "{point}");
        world.agents(Scripted::Load(50.0));
        assert_recovers(&world).await;
        assert_eq!(world.running().len(), 4, "{point}: the order is carried out, once");
    }
}

#[tokio::test]
async fn whoever_dies_around_a_termination_has_it_finished_by_another() {
    for (call, fault) in [(Call::Terminate, Fault::DiesBefore), (Call::Terminate, Fault::DiesAfter)] {
        let world = about_to_shrink().await;
        world.at(call, 1, fault);
        assert_eq!(world.ring_now("one"), None);
        world.agents(Scripted::Load(50.0));
        assert_recovers(&world).await;
    }
}

#[tokio::test]
async fn while_a_lease_is_held_nobody_else_calls() {
    let world = about_to_grow().await;
    world.at(Call::Settle, 1, Fault::DiesBefore);
    assert_eq!(world.ring_now("one"), None);
    let calls = world.changing_calls();
    for _ in 0..5 {
        world.sweep_all().await;
        world.try_ring("two").await.expect("a reconcile");
    }
    assert_eq!(world.changing_calls(), calls);
    world.clock.advance(LEASE);
    world.try_ring("two").await.expect("a reconcile");
    assert_eq!((world.changing_calls(), world.running().len()), (calls + 2, 4), "the same two, again");
    world.assert_whole().await;
}

#[tokio::test]
async fn a_lease_that_another_holds_is_not_asked_for() {
    let world = about_to_grow().await;
    world.at(Call::Settle, 1, Fault::DiesBefore);
    assert_eq!(world.ring_now("one"), None);
    let leases = world.calls(Call::Lease);
    world.try_ring("two").await.expect("a reconcile");
    assert_eq!(world.calls(Call::Lease), leases);
}

#[tokio::test]
async fn o6_a_claim_between_read_and_claim_lets_one_of_two_act() {
    let world = about_to_grow().await;
    world.at(
        Call::Claim,
        1,
        Fault::First(Box::new(|world| {
            world.ring_now("two").expect("it lives");
        })),
    );
    let done = world.ring().await;
    assert_eq!((world.running().len(), world.head().await.desired), (4, 4), "doubled once");
    assert_eq!((done.activity.len(), done.contended), (0, false), "the loser finds nothing left to do");
    world.assert_whole().await;
}

#[tokio::test]
async fn o6_controllers_that_run_at_the_same_time_never_act_twice() {
    for seed in 0..60 {
        let world = World::new(json!({ "min_instances": 2, "max_instances": 9 }));
        world.turns(seed);
        for load in [50.0, 90.0, 90.0, 90.0, 50.0, 5.0, 5.0, 5.0, 50.0, 50.0, 50.0, 50.0, 50.0] {
            world.agents(Scripted::Load(load));
            world.sweep_all().await;
            let (one, two, three) = join3(world.try_ring("one"), world.try_ring("two"), world.try_ring("three")).await;
            for done in [one, two, three] {
                done.expect("a reconcile");
            }
            let actual = world.state().await.members.len();
            assert!(actual <= 9, "S1, seed {seed}: {actual} members");
        }
        world.clock.advance(LEASE);
        world.steps(12).await;
        world.assert_whole().await;
        let desired = usize::try_from(world.head().await.desired).expect("a small group");
        assert_eq!(world.running().len(), desired, "seed {seed}");
    }
}

#[tokio::test]
async fn o6_two_first_claims_make_one_group() {
    for seed in 0..20 {
        let world = World::new(json!({}));
        world.turns(seed);
        world.sweep_all().await;
        let (one, two) = join(world.try_ring("one"), world.try_ring("two")).await;
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(world.running().len(), 2, "seed {seed}");
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn a_settlement_lost_to_a_change_of_membership_is_built_again() {
    let world = about_to_grow().await;
    world.at(
        Call::Settle,
        1,
        Fault::First(Box::new(|world| {
            // A member is gone: the other controller closes its record, and launches and settles another.
            world.fleet.set(&id(1), InstanceState::Terminated);
            world.ring_now("two").expect("it lives");
        })),
    );
    world.ring().await;
    let state = world.state().await;
    assert_eq!(state.members.len(), 4);
    let listed: Vec<_> = world.roster(Shard(0)).await.entries.into_iter().map(|entry| entry.id).collect();
    assert_eq!(listed, world.running(), "the roster in force names everybody");
    world.assert_whole().await;
}

#[tokio::test]
async fn what_another_has_leased_meanwhile_is_not_settled_and_the_rest_is() {
    let world = about_to_grow().await;
    world.at(
        Call::Settle,
        1,
        Fault::First(Box::new(|world| {
            world.clock.advance(LEASE);
            let state = world.store.read(&group()).now_or_never().expect("memory waits for nobody");
            let intent = state.expect("a read").expect("a HEAD").intents.remove(0);
            let (now, owner) = (world.clock.now(), "two".to_owned());
            let (attempt, until) = (intent.attempt, now.plus(LEASE));
            let request = LeaseRequest { group: group(), intent: intent.id, attempt, owner, now, until };
            world.store.lease(&request).now_or_never().expect("memory waits for nobody").expect("the lease has ended");
        })),
    );
    world.ring().await;
    let state = world.state().await;
    assert_eq!((state.intents.len(), state.members.len(), world.running().len()), (1, 3, 4));
    world.agents(Scripted::Load(50.0));
    assert_recovers(&world).await;
    assert_eq!(world.running().len(), 4);
}

#[tokio::test]
async fn a_settlement_that_keeps_losing_is_left_to_the_next_lease() {
    let world = about_to_grow().await;
    world.always(Call::Settle, Kind::Conflict);
    world.ring().await;
    assert_eq!((world.state().await.intents.len(), world.running().len()), (2, 4));
    assert_recovers(&world).await;
}

#[tokio::test]
async fn a_settlement_whose_answer_was_lost_is_not_repeated() {
    let world = about_to_grow().await;
    world.at(Call::Settle, 1, Fault::Unanswered);
    let done = world.ring().await;
    assert!(done.troubles.iter().any(|why| why.contains("left to their next lease")), "{done:?}");
    assert!(
        !done.activity.iter().any(|a| matches!(a.event, Event::Launched { .. })),
        "whether it was written is unknown"
    );
    assert!(done.activity.iter().any(|a| matches!(a.event, Event::Decision { .. })), "the claim is told");
    world.ring().await;
    assert_eq!(world.changing_calls(), 4);
    world.assert_whole().await;
}

#[tokio::test]
async fn what_was_done_before_the_store_failed_is_told_with_the_trouble() {
    // Reads of a growing look: the group, the group again to carry out, again to settle, and the next look's.
    for nth in 1..=4 {
        let world = about_to_grow().await;
        world.at(Call::Read, nth, Fault::Fails(Kind::Unavailable));
        let done = world.try_ring("one").await;
        if nth == 1 {
            assert!(done.is_err(), "nothing had been done");
            continue;
        }
        let done = done.expect("something had been done");
        let launched = done.activity.iter().filter(|a| matches!(a.event, Event::Launched { .. })).count();
        assert!(done.activity.iter().any(|a| matches!(a.event, Event::Decision { .. })), "{nth}: {done:?}");
        assert_eq!(launched, if nth < 4 { 0 } else { 2 }, "{nth}: {done:?}");
        assert!(done.troubles.iter().any(|why| why.contains("an injected fault")), "{nth}: {done:?}");
        assert_recovers(&world).await;
    }
}

#[tokio::test]
async fn f3_a_settlement_that_comes_late_never_moves_the_cooldown_back() {
    let world = about_to_grow().await;
    // The first launch takes all the time there is; before it is settled the other controller makes the second.
    world.at(Call::Launch, 1, Fault::First(Box::new(|world| world.clock.advance(BUDGET))));
    world.at(
        Call::Settle,
        1,
        Fault::First(Box::new(|world| {
            world.clock.advance(INTERVAL);
            world.ring_now("two").expect("it lives");
        })),
    );
    world.ring().await;
    let state = world.state().await;
    let accepted: Vec<_> = state.members.iter().skip(2).map(|member| member.launched_at).collect();
    assert_eq!(accepted.len(), 2);
    assert_ne!(accepted[0], accepted[1]);
    // The next decision takes both into account.
    world.ring().await;
    world.step().await;
    assert_eq!(world.head().await.launch_accepted_at, accepted.into_iter().max());
    world.assert_whole().await;
}

#[tokio::test]
async fn a_claim_that_always_loses_is_given_up() {
    let world = about_to_grow().await;
    let before = world.calls(Call::Claim);
    world.always(Call::Claim, Kind::Conflict);
    // Whatever the caller's idea of a random share is.
    let done = reconcile(&world.controller("one"), &group(), f64::NAN).await.expect("a reconcile");
    assert!(done.contended);
    assert_eq!((world.calls(Call::Claim) - before, world.running().len()), (4, 2));
}

#[tokio::test]
async fn claims_lost_now_and_then_do_not_add_up() {
    let world = World::proven(json!({ "min_instances": 120, "max_instances": 200 })).await;
    for nth in [2, 4, 6, 8, 10] {
        world.at(Call::Claim, nth, Fault::Fails(Kind::Conflict));
    }
    let done = world.step().await;
    assert_eq!((done.contended, world.running().len()), (false, 120));
}

#[tokio::test]
async fn a_policy_that_never_rests_ends_the_rounds_all_the_same() {
    let world = World::grown(json!({})).await;
    let before = world.calls(Call::Fetch);
    for nth in 1..=100 {
        let text = json!({ "max_instances": 5 + nth % 2 });
        world.at(Call::Fetch, nth, Fault::First(Box::new(move |world| world.edit(text))));
    }
    world.step().await;
    assert_eq!(world.calls(Call::Fetch) - before, 12);
}
