//! Members on their way out: drained first, terminated by name, forgotten when EC2 says so.

use std::time::Duration;

use muster_control::activity::Event;
use muster_control::memory::Scripted;
use muster_control::ports::{Clock, Mark, Marks, Order};
use muster_control::sweep::Swept;
use muster_core::group::Shard;
use muster_core::intent::{Cause, IntentId};
use muster_core::member::{InstanceId, MemberState};
use muster_core::report::Rule;
use muster_core::snapshot::{FleetInstance, InstanceState};
use serde_json::json;

use crate::world::{Call, Fault, INTERVAL, Kind, LEASE, World, group, id};

/// A group of four that the load has just told to halve, and who drains.
async fn halving() -> (World, Vec<InstanceId>) {
    let world = World::grown(json!({ "min_instances": 4 })).await;
    world.agents(Scripted::Load(5.0));
    world.edit(json!({}));
    world.step().await;
    let leaving = draining(&world).await;
    assert_eq!(leaving.len(), 2);
    (world, leaving)
}

async fn draining(world: &World) -> Vec<InstanceId> {
    let members = world.state().await.members.into_iter();
    members.filter(|member| matches!(member.state, MemberState::Draining(_))).map(|member| member.id).collect()
}

#[tokio::test]
async fn d3_a_drain_goes_from_mark_to_unregister_to_drained_to_terminated() {
    let (world, leaving) = halving().await;
    assert_eq!(world.calls(Call::Terminate), 0, "marked only");
    let number = world.head().await.rosters[&Shard(0)];
    world.sweep_all().await;
    for target in world.told() {
        match target.order {
            Order::Unregister { roster, deadline, reason } if leaving.contains(&target.id) => {
                assert_eq!((roster, deadline, reason.as_str()), (number, Duration::from_secs(60), "load"));
            }
            Order::Register { roster, .. } if !leaving.contains(&target.id) => assert_eq!(roster, number),
            order => panic!("{} is told {order:?}", target.id),
        }
    }
    world.ring().await;
    assert_eq!((world.calls(Call::Terminate), world.running().len()), (2, 2));
    assert_eq!(world.logged(|event| matches!(event, Event::Terminated { .. })).await, 2);
    world.step().await;
    assert_eq!(world.told().len(), 2, "whom EC2 ends nobody sweeps");
    world.assert_whole().await;
}

#[tokio::test]
async fn d3_who_stays_busy_has_its_timeout_and_no_more() {
    let (world, leaving) = halving().await;
    for id in &leaving {
        world.agent(id, Scripted::Busy(50.0));
    }
    // Told 10 s after the mark; 60 s from then on.
    world.steps(6).await;
    assert_eq!(world.calls(Call::Terminate), 0);
    world.steps(1).await;
    assert_eq!(world.calls(Call::Terminate), 2);
    assert_eq!(world.logged(|event| matches!(event, Event::Draining { .. })).await, 2);
}

#[tokio::test]
async fn d3_who_cannot_be_told_has_three_periods_more() {
    let (world, leaving) = halving().await;
    for id in &leaving {
        world.agent(id, Scripted::Silent);
    }
    world.steps(8).await;
    assert_eq!(world.calls(Call::Terminate), 0);
    world.steps(1).await;
    assert_eq!(world.calls(Call::Terminate), 2);
}

#[tokio::test]
async fn d6_a_record_goes_only_after_ec2_says_so() {
    let (world, leaving) = halving().await;
    // EC2 still lists them as running when it is asked again.
    let first = leaving.clone();
    world.at(
        Call::List,
        2,
        Fault::First(Box::new(move |world| {
            for id in &first {
                world.fleet.set(id, InstanceState::Running);
            }
        })),
    );
    world.step().await;
    assert_eq!(world.calls(Call::Terminate), 2);
    for id in &leaving {
        assert!(matches!(world.member_state(id).await, Some(MemberState::Terminating(_))));
    }
    world.steps(3).await;
    assert_eq!(world.told().len(), 2, "whom EC2 shall end nobody sweeps");
    assert_eq!(world.calls(Call::Terminate), 2, "EC2 has its time");
    world.steps(4).await;
    assert_eq!(world.calls(Call::Terminate), 4, "and is told again");
    assert_eq!(world.running().len(), 2);
    world.assert_whole().await;
}

#[tokio::test]
async fn d6_a_termination_of_whom_ec2_has_ended_meanwhile_is_settled() {
    let (world, leaving) = halving().await;
    world.always(Call::Terminate, Kind::Unavailable);
    world.step().await;
    assert_eq!(world.state().await.intents.len(), 2);
    for id in &leaving {
        world.fleet.set(id, InstanceState::Terminated);
    }
    world.step().await;
    let state = world.state().await;
    assert_eq!((state.members.len(), state.intents.len()), (2, 2), "the records are closed, the calls still open");
    world.well();
    world.clock.advance(LEASE);
    world.step().await;
    world.assert_whole().await;
    assert_eq!(world.logged(|event| matches!(event, Event::Lost { .. })).await, 0, "they were ended, not lost");
}

#[tokio::test]
async fn a_termination_that_ec2_refuses_is_given_up_and_ordered_again() {
    let (world, leaving) = halving().await;
    world.at(Call::Terminate, 1, Fault::Fails(Kind::Refused));
    world.step().await;
    assert_eq!(world.running().len(), 3);
    assert!(matches!(world.member_state(&leaving[0]).await, Some(MemberState::Terminating(_))));
    world.steps(8).await;
    assert_eq!(world.running().len(), 2);
    world.assert_whole().await;
}

#[tokio::test]
async fn the_largest_claim_fits_a_transaction() {
    // As many drains as a claim takes, together with as many first answers, and an edit. The world's store counts.
    let world = World::grown(json!({ "min_instances": 60, "max_instances": 200 })).await;
    world.edit(json!({ "min_instances": 90, "max_instances": 200 }));
    world.ring().await;
    world.sweep_all().await;
    world.edit(json!({ "min_instances": 40, "max_instances": 50 }));
    world.ring().await;
    assert_eq!(draining(&world).await.len(), 40);
}

#[tokio::test]
async fn d3_register_always_carries_the_roster_in_force() {
    let world = World::grown(json!({})).await;
    let mut numbers = Vec::new();
    for load in [90.0, 50.0, 5.0, 5.0, 50.0, 50.0] {
        world.agents(Scripted::Load(load));
        let number = world.head().await.rosters[&Shard(0)];
        world.sweep_all().await;
        for target in world.told() {
            let (Order::Register { roster, .. } | Order::Unregister { roster, .. }) = target.order else {
                panic!("{} is only looked at", target.id)
            };
            assert_eq!(roster, number);
        }
        numbers.push(number);
        world.ring().await;
    }
    assert!(numbers.is_sorted() && numbers.first() != numbers.last(), "{numbers:?}");
    let listed: Vec<_> = world.roster(Shard(0)).await.entries.into_iter().map(|entry| entry.id).collect();
    assert_eq!(listed, world.running());
}

#[tokio::test]
async fn d3_a_roster_with_a_change_has_a_number_of_its_own() {
    let world = World::new(json!({ "min_instances": 4 }));
    let number = async || world.head().await.rosters[&Shard(0)].0;
    world.step().await;
    assert_eq!(number().await, 2, "an empty one, and that of the settlement");
    world.steps(3).await;
    assert_eq!(number().await, 3, "the fourth was launched when another had answered (L9), who is on it already");
    world.agents(Scripted::Busy(5.0));
    world.edit(json!({}));
    world.step().await;
    assert_eq!((draining(&world).await.len(), number().await), (2, 4), "that of the claim");
}

#[tokio::test]
async fn d3_a_sweep_names_the_roster_that_it_asked() {
    let world = World::grown(json!({})).await;
    world.agents(Scripted::Load(90.0));
    world.sweep_all().await;
    let asked = world.head().await.rosters[&Shard(0)];
    // Its members change while it is under way.
    world.clock.advance(INTERVAL);
    let grow = |world: &World| drop(world.ring_now("two").expect("it lives"));
    world.at(Call::Latest, 1, Fault::First(Box::new(grow)));
    let Swept::Written(sweep) = world.sweep(Shard(0)).await else { panic!("the slot is free") };
    assert_eq!((sweep.roster, sweep.members.len()), (Some(asked), 2));
    assert_ne!(world.head().await.rosters[&Shard(0)], asked);
}

#[tokio::test]
async fn h7_ec2s_word_that_a_member_is_gone_outranks_silence() {
    for state in [InstanceState::ShuttingDown, InstanceState::Terminated] {
        let world = World::grown(json!({ "min_instances": 3 })).await;
        world.fleet.set(&id(1), state);
        world.step().await;
        assert_eq!(world.member_state(&id(1)).await, None, "at once: no silence is waited for");
        assert_eq!((world.running().len(), world.calls(Call::Terminate)), (3, 0));
        assert_eq!(world.logged(|event| matches!(event, Event::Lost { .. })).await, 1);
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn o5_an_instance_that_somebody_stopped_is_ended_and_made_up_for() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    world.fleet.set(&id(1), InstanceState::Stopped);
    world.step().await;
    assert_eq!(
        (world.member_state(&id(1)).await, world.running().len()),
        (None, 3),
        "it could come back beside the other"
    );
    assert_eq!(world.logged(|e| matches!(e, Event::Terminated { cause: Cause::Stopped, .. })).await, 1);
    world.assert_whole().await;
}

#[tokio::test]
async fn o5_an_instance_without_our_tag_is_disowned_and_left_alone() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    world.fleet.change(&id(1), |facts| facts.ours = false);
    world.steps(20).await;
    let disowned = |event: &Event| matches!(event, Event::Disowned { instance } if *instance == id(1));
    assert_eq!((world.logged(disowned).await, world.member_state(&id(1)).await), (1, None));
    assert_eq!(
        (world.calls(Call::Terminate), world.running().len()),
        (0, 4),
        "it runs on, and one has taken its place"
    );
}

#[tokio::test]
async fn s4_a_termination_whose_member_was_closed_meanwhile_is_not_carried_out() {
    let gone = |world: &World| world.fleet.set(&id(1), InstanceState::Terminated);
    let disowned = |world: &World| world.fleet.change(&id(1), |facts| facts.ours = false);
    for (close, abandoned) in [(gone as fn(&World), 0), (disowned, 1)] {
        let world = World::grown(json!({ "min_instances": 3 })).await;
        // Tags that are missing say nothing yet of who has just been launched.
        world.clock.advance(Duration::from_secs(60));
        world.fleet.set(&id(1), InstanceState::Stopped);
        world.at(Call::Terminate, 1, Fault::Fails(Kind::Unavailable));
        world.step().await;
        assert!(matches!(world.member_state(&id(1)).await, Some(MemberState::Terminating(_))));
        close(&world);
        world.step().await;
        assert_eq!((world.member_state(&id(1)).await, world.state().await.intents.len()), (None, 1));
        world.clock.advance(LEASE);
        world.ring().await;
        assert_eq!((world.state().await.intents.len(), world.calls(Call::Terminate)), (0, 1), "it only ends");
        // What EC2 says is gone was ended, whoever told it so (D6).
        let logged = world.logged(|event| matches!(event, Event::Abandoned { .. })).await;
        let ended = world.logged(|event| matches!(event, Event::Terminated { .. })).await;
        assert_eq!((logged, ended), (abandoned, 1 - abandoned));
    }
}

#[tokio::test]
async fn h7_whose_record_is_closed_is_on_no_roster_any_more() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    // In this mode nobody is launched, whose settlement would put another roster.
    world.edit(json!({ "mode": "observe", "min_instances": 3 }));
    world.fleet.set(&id(1), InstanceState::Terminated);
    world.step().await;
    let listed: Vec<_> = world.roster(Shard(0)).await.entries.into_iter().map(|entry| entry.id).collect();
    assert_eq!(listed, [id(2), id(3)]);
    world.sweep_all().await;
    assert_eq!(world.told().len(), 2, "nobody asks it");
}

#[tokio::test]
async fn v3_an_instance_of_ours_that_no_record_knows_is_ended() {
    let world = World::grown(json!({})).await;
    let IntentId(own) = IntentId::of_next_claim(&world.head().await, 99);
    let stray = |name: &str, intent: Option<&str>| FleetInstance {
        intent: intent.map(|id| IntentId(id.into())),
        launched_at: Some(world.clock.now()),
        ..FleetInstance::plain(name.into(), InstanceState::Running)
    };
    world.fleet.add(&group(), stray("i-orphan", Some(&own)));
    world.fleet.add(&group(), stray("i-foreign", None));
    world.fleet.add(&group(), stray("i-other", Some("of-another-life")));
    world.steps(89).await;
    assert_eq!(world.calls(Call::Terminate), 0, "an instance is watched for 15 minutes");
    world.steps(8).await;
    assert_eq!(world.calls(Call::Terminate), 1);
    let state = |name: &str| world.fleet.state(&name.into());
    assert_eq!(state("i-orphan"), Some(InstanceState::ShuttingDown));
    assert_eq!(state("i-foreign"), Some(InstanceState::Running), "Muster has not launched it (C1)");
    assert_eq!(state("i-other"), Some(InstanceState::Running), "another stack has, or a table that was lost (C1)");
    world.steps(30).await;
    assert_eq!(world.calls(Call::Terminate), 1);
}

#[tokio::test]
async fn v3_ec2_is_listed_before_the_records_are_read() {
    // The other way round, what is launched and settled in between would be nobody's.
    let world = World::grown(json!({})).await;
    let before = world.script().calls.len();
    world.ring().await;
    let calls = world.script().calls.split_off(before);
    let first = |call| calls.iter().position(|made| *made == call);
    assert!(first(Call::List).is_some() && first(Call::List) < first(Call::Read), "{calls:?}");
}

#[tokio::test]
async fn d4_a_rising_load_takes_back_a_drain_before_anything_is_launched() {
    let world = World::grown(json!({ "min_instances": 1, "max_instances": 5 })).await;
    world.agents(Scripted::Load(90.0));
    world.steps(3).await;
    let launches = world.calls(Call::Launch);
    assert!(world.running().len() >= 2);
    world.agents(Scripted::Busy(5.0));
    world.steps(2).await;
    let draining = world.state().await.members.into_iter().filter(|m| matches!(m.state, MemberState::Draining(_)));
    let draining: Vec<_> = draining.map(|member| member.id).collect();
    assert!(!draining.is_empty());
    world.agents(Scripted::Busy(90.0));
    world.step().await;
    assert_eq!(world.member_state(&draining[0]).await, Some(MemberState::Active));
    assert_eq!((world.calls(Call::Launch), world.calls(Call::Terminate)), (launches, 0));
    assert!(world.logged(|event| matches!(event, Event::TakenBack { .. })).await > 0);
    world.step().await;
    assert!(world.told().iter().all(|told| matches!(told.order, Order::Register { .. })), "which its agent is told");
}

#[tokio::test]
async fn h7_a_listing_that_fails_concludes_nothing() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    world.fleet.set(&id(1), InstanceState::Terminated);
    world.fleet.set_unlisted(true);
    world.step().await;
    assert_eq!(world.member_state(&id(1)).await, Some(MemberState::Active));
    assert_eq!((world.calls(Call::Launch), world.head().await.not_found.len()), (3, 0));
    assert!(world.report().await.remarks.iter().any(|remark| remark.rule == Rule::H7));
    world.fleet.set_unlisted(false);
    world.step().await;
    assert_eq!(world.member_state(&id(1)).await, None);
}

#[tokio::test]
async fn h7_not_found_is_a_word_only_three_times_over_an_hour() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    world.hide(&id(1));
    world.steps(20).await;
    assert_eq!((world.member_state(&id(1)).await, world.running().len()), (Some(MemberState::Active), 3));
    world.clock.advance(Duration::from_secs(3_600));
    world.steps(2).await;
    assert_eq!((world.member_state(&id(1)).await, world.calls(Call::Launch)), (None, 4));
    assert_eq!(world.head().await.not_found.len(), 0, "and it is forgotten");
}

#[tokio::test]
async fn z7_an_emptied_group_drains_stays_empty_and_comes_back() {
    let world = World::grown(json!({ "min_instances": 3 })).await;
    world.agents(Scripted::Load(95.0));
    world.edit(json!({ "min_instances": 0, "max_instances": 0 }));
    world.ring().await;
    assert_eq!((draining(&world).await.len(), world.calls(Call::Terminate)), (3, 0), "drained first");
    world.steps(1).await;
    assert_eq!((world.calls(Call::Terminate), world.running().len()), (3, 0));
    world.steps(2).await;
    world.assert_whole().await;
    let (launches, version) = (world.calls(Call::Launch), world.head().await.version);
    // Sweeps of nobody, and of nobody by a monitor that is cut off, are no reason to do anything.
    world.steps(3).await;
    world.blind(true);
    world.steps(3).await;
    world.blind(false);
    let state = world.state().await;
    assert_eq!((state.members.len(), state.head.desired, world.calls(Call::Launch)), (0, 0, launches));
    assert!(state.head.version > version, "every sweep is decided on");
    let report = world.report().await;
    assert_eq!(report.headline, "No change at 0: nobody is wanted, and nobody is there: nothing to do.");
    world.edit(json!({}));
    world.ring().await;
    assert_eq!((world.calls(Call::Launch), world.running().len()), (launches + 2, 2), "min, without a sweep");
    world.steps(3).await;
    world.assert_whole().await;
}

#[tokio::test]
async fn z7_a_group_that_is_made_empty_begins_calmly() {
    let world = World::new(json!({ "min_instances": 0, "max_instances": 0 }));
    world.steps(3).await;
    assert_eq!((world.changing_calls(), world.head().await.desired), (0, 0));
}

async fn mark(world: &World, instance: &InstanceId, on: bool) {
    world.fleet.mark(&group(), instance, Mark::Drain, on).await.expect("a mark");
}

#[tokio::test]
async fn d8_whom_an_operator_marks_is_replaced_and_then_drained() {
    let world = World::grown(json!({})).await;
    mark(&world, &id(1), true).await;
    world.step().await;
    assert_eq!((world.running().len(), world.calls(Call::Terminate)), (3, 0), "its replacement comes first");
    assert_eq!(world.member_state(&id(1)).await, Some(MemberState::Active));
    world.step().await;
    assert_eq!(draining(&world).await, [id(1)]);
    world.sweep_all().await;
    let reasons = world.told().into_iter().filter_map(|target| match target.order {
        Order::Unregister { reason, .. } => Some((target.id, reason)),
        Order::Look | Order::Register { .. } => None,
    });
    assert_eq!(reasons.collect::<Vec<_>>(), [(id(1), "operator".to_owned())]);
    world.ring().await;
    world.step().await;
    assert_eq!((world.running(), world.member_state(&id(1)).await), (vec![id(2), id(3)], None));
    let old = id(1);
    let replaced = |event: &Event| matches!(event, Event::Launched { cause: Cause::Operator, replaces: Some(of), .. } if *of == old);
    assert_eq!(world.logged(replaced).await, 1);
    assert_eq!(world.logged(|event| matches!(event, Event::Terminated { cause: Cause::Operator, .. })).await, 1);
    assert_eq!((world.head().await.desired, world.head().await.scale_in_at), (2, None));
    assert!(world.head().await.marked.is_empty());
    world.assert_whole().await;
}

#[tokio::test]
async fn d8_whose_mark_is_taken_off_stays() {
    let world = World::grown(json!({})).await;
    world.agent(&id(1), Scripted::Busy(60.0));
    mark(&world, &id(1), true).await;
    world.steps(2).await;
    assert_eq!(draining(&world).await, [id(1)]);
    mark(&world, &id(1), false).await;
    world.step().await;
    assert_eq!(world.member_state(&id(1)).await, Some(MemberState::Active));
    world.steps(4).await;
    assert!(world.running().contains(&id(1)));
    assert_eq!((world.running().len(), draining(&world).await.len()), (2, 0), "somebody else goes instead");
    world.assert_whole().await;
}

#[tokio::test]
async fn d8_while_ec2_cannot_be_asked_nothing_begins_and_nothing_is_taken_back() {
    let world = World::grown(json!({})).await;
    world.agent(&id(1), Scripted::Busy(50.0));
    mark(&world, &id(1), true).await;
    world.steps(2).await;
    assert_eq!(draining(&world).await, [id(1)]);
    world.always(Call::List, Kind::Unavailable);
    mark(&world, &id(1), false).await;
    mark(&world, &id(2), true).await;
    let calls = world.changing_calls();
    world.steps(3).await;
    assert_eq!((world.changing_calls(), draining(&world).await), (calls, vec![id(1)]));
    world.well();
    world.step().await;
    assert_eq!(world.member_state(&id(1)).await, Some(MemberState::Active));
}
