//! Chapter "Counting and ownership" of the contract.

use crate::common::*;
use muster_core::health::Health;
use muster_core::intent::Cause;
use muster_core::member::InstanceId;
use muster_core::plan::{Departure, Step};
use muster_core::policy::{Limit, Policy};
use muster_core::report::Rule;
use muster_core::snapshot::{InstanceState, Member};

#[test]
fn c1_a_foreign_instance_is_neither_counted_nor_touched() {
    for state in [InstanceState::Pending, InstanceState::Running, InstanceState::Stopped, InstanceState::Terminated] {
        // It carries our tag, so EC2 lists it; our records do not know it.
        let group = Group::of(&[5.0; 8]).ungated().ec2_says("i-foreign", state);
        let decision = group.decide();
        assert_eq!(decision.report.counts.actual, 8);
        assert_eq!(decision.lets_go().len(), 4);
        assert!(!format!("{:?}", decision.plan).contains("i-foreign"), "{:?}", decision.plan);
    }
}

#[test]
fn c2_draining_and_terminating_members_serve_nothing_and_are_not_actual() {
    for member in [draining("i-9", 10, Cause::Bounds), terminating("i-9", 10, Cause::Bounds)] {
        let busy = Group::of(&[50.0; 4]).and([member]).whose("i-9", |m| m.health = Some(answering(100.0)));
        let decision = busy.decide();
        let counts = decision.report.counts;
        assert_eq!((counts.actual, counts.serving, counts.draining + counts.terminating), (4, 4, 1));
        assert_eq!(decision.report.load.unwrap().mean, 50.0);
        assert_eq!((decision.verdict(), decision.launches()), ((4, Rule::Z1), 0));
    }
}

#[test]
fn c2_who_is_on_the_way_out_leaves_a_gap_that_is_filled_at_once() {
    let decision = Group::of(&[50.0; 3]).and([terminating("i-9", 10, Cause::Unhealthy)]).desired(4).decide();
    assert_eq!(decision.launches(), 1);
}

#[test]
fn c3_an_open_launch_counts_as_pending_whatever_ec2_lists() {
    for attempt in [0, 1, 5] {
        let group = Group::of(&[50.0; 3]).desired(4).but(|s| s.intents = vec![open_launch("l-1", attempt)]);
        let decision = group.decide();
        assert_eq!((decision.report.counts.pending, decision.report.counts.actual), (1, 4));
        assert_eq!(decision.launches(), 0);
    }
    let launched = Group::of(&[50.0; 3]).desired(4).and([pending("i-9", 5)]).ec2_omits("i-9").decide();
    assert_eq!((launched.report.counts.pending, launched.launches()), (1, 0));
}

#[test]
fn c3_who_was_swept_in_vain_is_pending_and_an_answer_without_a_time_came_with_the_sweep() {
    let swept = |health| Group::of(&[50.0; 3]).desired(4).and([Member { health: Some(health), ..pending("i-9", 50) }]);
    let silent = swept(Health { first_answer: None, last_answer: None, ..silent(40, 4) }).decide();
    assert_eq!((silent.report.counts.pending, silent.plan.is_empty()), (1, true), "{:?}", silent.report.actions);
    let answers = swept(Health { first_answer: None, ..answering(50.0) }).decide();
    assert_eq!(answers.plan.steps, [Step::Confirm { id: "i-9".into(), first_answer: ago(2) }]);
    // An active one has answered long ago, where nothing says when.
    let active = swept(Health { first_answer: None, ..answering(50.0) });
    let active = active.whose("i-9", |m| m.state = serving("", 0.0).state).decide();
    assert_eq!((active.report.counts.in_service, active.plan.is_empty()), (4, true));
}

#[test]
fn c4_every_cycle_brings_actual_to_desired_without_a_scaling_decision() {
    for (members, desired, launches, drains) in [(3, 4, 1, 0), (4, 4, 0, 0), (5, 4, 0, 1), (1, 4, 3, 0)] {
        let decision = Group::of(&vec![50.0; members]).desired(desired).decide();
        assert_eq!((decision.plan.head.desired, decision.report.rule), (desired, Rule::Z1));
        assert_eq!((decision.launches(), decision.drains().len()), (launches, drains), "{members} of {desired}");
        assert_eq!(decision.launches_for(Cause::Bounds), launches);
        assert_eq!(decision.report.waits, [], "nothing is in its way");
    }
}

#[test]
fn c4_what_just_fits_waits_for_nothing() {
    // Four are missing; so many are allowed, and so many launches fit into the window.
    for (max, in_window) in [(8, 9), (9, 4), (8, 4)] {
        let limited = |p: &mut Policy| p.out.limit = Limit { percent: 0, at_least: in_window };
        let decision = Group::example().desired(8).bounds(2, max).with(limited).decide();
        assert_eq!((decision.launches(), &decision.report.waits[..]), (4, &[][..]), "{max} {in_window}");
    }
}

#[test]
fn c4_a_lost_instance_is_closed_and_relaunched() {
    let decision = Group::example().ec2_says("i-2", InstanceState::Terminated).decide();
    assert!(decision.plan.steps.contains(&Step::Close { id: InstanceId::from("i-2"), departure: Departure::Lost }));
    assert_eq!((decision.launches(), decision.verdict()), (1, (4, Rule::Z1)));
}

#[test]
fn c4_a_member_under_replacement_and_its_replacement_count_as_one_towards_desired() {
    let pair = Group::example().whose("i-1", |m| m.health = dead());
    let booting = pair.clone().and([pending("i-9", 5)]).whose("i-9", |m| m.replaces = Some("i-1".into())).decide();
    assert_eq!((booting.report.counts.actual, booting.launches(), booting.lets_go().len()), (5, 0, 0));
    let open = pair.but(|s| s.intents = vec![open_replacement("l-1", "i-1")]).decide();
    assert_eq!((open.report.counts.actual, open.launches(), open.lets_go().len()), (5, 0, 0));
}

#[test]
fn c4_a_pair_is_one_also_when_load_asks_for_another_size() {
    // Eight and the replacement of one, which is still warming: nine, which are eight.
    let pair = |load| {
        let group = Group::of(&[load; 8]).bounds(2, 40).ungated().whose("i-1", |m| m.health = dead());
        let group = group.and([serving("i-9", load)]);
        group.whose("i-9", |m| (m.replaces, m.first_answer) = (Some("i-1".into()), Some(ago(5))))
    };
    let four = Limit { percent: 0, at_least: 4 };
    let inward = pair(1.0).with(|p| p.inward.limit = four).decide();
    assert_eq!((inward.verdict(), inward.lets_go().len()), ((4, Rule::Z2), 4), "{:?}", inward.report);
    let outward = pair(100.0).with(|p| p.out.limit = four).decide();
    assert_eq!((outward.verdict(), outward.launches()), ((12, Rule::F8), 4), "{:?}", outward.report);
}

#[test]
fn c4_whose_old_one_is_on_its_way_out_is_no_pair() {
    let group = Group::of(&[50.0; 3]).and([draining("i-8", 5, Cause::Leaving), pending("i-9", 5)]).desired(4);
    let group = group.whose("i-9", |m| m.replaces = Some("i-8".into())).whose("i-8", |m| m.health = dead());
    let decision = group.decide();
    assert_eq!((decision.report.counts.actual, decision.launches()), (4, 0), "{:?}", decision.report.actions);
}

#[test]
fn c4_when_the_old_one_recovers_one_of_the_two_goes() {
    let group = Group::example().and([pending("i-9", 5)]).whose("i-9", |m| m.replaces = Some("i-1".into()));
    assert_eq!(group.decide().terminates(), [("i-9", Cause::Bounds)]);
}

#[test]
fn c4_a_replacement_that_never_boots_leaves_no_gap_behind() {
    let group = Group::example().whose("i-1", |m| m.health = dead());
    let group = group.and([pending("i-9", 601)]).whose("i-9", |m| m.replaces = Some("i-1".into()));
    let decision = group.decide();
    assert_eq!(decision.terminates(), [("i-9", Cause::BootTimeout)]);
    assert_eq!(decision.launches(), 0, "four are desired, and four are there: {:?}", decision.report.actions);
}

#[test]
fn c4_who_goes_already_is_not_chosen_again() {
    let decision = Group::of(&[50.0; 4]).and([pending("i-9", 601)]).desired(3).ungated().decide();
    assert_eq!(decision.lets_go().len(), 2, "{:?}", decision.report.actions);
    assert_eq!(decision.lets_go().iter().filter(|gone| **gone == "i-9").count(), 1);
}

#[test]
fn c4_what_a_claim_has_no_room_for_follows_in_the_next() {
    let group = Group::of(&[50.0; 10]).bounds(2, 100).desired(60);
    let decision = group.decide();
    assert_eq!((decision.launches(), decision.plan.postponed), (24, 26));
    assert!(decision.waits_for(Rule::C4));
    let next = muster_core::decide::decide(&claim(&group.snapshot, &decision.plan), &group.policy);
    assert_eq!((next.launches(), next.plan.postponed), (24, 2));
}

#[test]
fn c4_what_has_happened_is_written_down_in_as_many_claims_as_it_takes() {
    let booted = (0..25).map(|n| Member { health: Some(answering(50.0)), ..pending(&format!("i-b{n:02}"), 50) });
    let group = Group::of(&[50.0; 25]).and(booted).bounds(2, 100).desired(50);
    let group = (1..=25).fold(group, |group, n| group.ec2_says(&format!("i-{n}"), InstanceState::Terminated));
    let mut world = group.snapshot.clone();
    let (mut written, mut left) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let decision = muster_core::decide::decide(&world, &group.policy);
        written.push(decision.plan.steps.iter().filter(|step| step.is_record()).count());
        left.push(decision.plan.postponed);
        assert!(decision.report.remarks.len() <= 22 && decision.report.waits.len() <= 22);
        world = claim(&world, &decision.plan);
    }
    assert_eq!(written, [12, 12, 12, 12, 2, 0]);
    assert_eq!(left, [39, 26, 14, 2, 0, 0], "facts, and a launch beyond 24");
    assert_eq!((world.members.len(), world.intents.len()), (25, 25), "and the lost are launched again");
}
