//! The safety invariants of the contract that a single decision can hold or break; `properties.rs` has the rest.

use crate::common::*;
use muster_core::decide::decide;
use muster_core::group::Heading;
use muster_core::intent::Cause;
use muster_core::policy::Limit;
use muster_core::report::Rule;
use muster_core::snapshot::{FleetInstance, InstanceState, Member, Snapshot};

#[test]
fn s1_actual_never_exceeds_max() {
    // A pair and a full group: what is missing waits for the old one to go.
    let pair = Group::example().whose("i-1", |m| m.health = dead()).desired(5).bounds(2, 5);
    let pair = pair.but(|s| s.intents = vec![open_replacement("l-1", "i-1")]);
    let decision = pair.decide();
    assert_eq!((decision.report.counts.actual, decision.launches()), (5, 0));
    assert!(decision.waits_for(Rule::S1));
    // Who drains is not actual, and does not take a place; who is taken back does (D4).
    let group = Group::of(&[90.0; 4]).and([draining("i-9", 5, Cause::Leaving)]);
    assert_eq!(group.decide().launches(), 4);
    let taken = Group::of(&[90.0; 4]).and([draining("i-9", 5, Cause::Load)]).decide();
    assert_eq!((taken.takes_back(), taken.launches()), (vec!["i-9"], 3));
}

#[test]
fn s5_while_nobody_answers_nobody_goes_for_load_or_health() {
    let mut dark = Group::of(&[1.0; 8]).ungated().with(|p| p.min_available_percent = 0);
    for n in 1..=8 {
        dark = dark.whose(&format!("i-{n}"), |m| m.health = dead());
    }
    let dark = dark.and([pending("i-9", 7000), draining("i-x", 7000, Cause::Load)]).desired(9).bounds(2, 20);
    let decision = dark.decide();
    assert_eq!(decision.lets_go(), [""; 0]);
    // One answers: the unhealthy are replaced again, carefully.
    let decision = dark.whose("i-8", |m| m.health = Some(answering(50.0))).decide();
    assert!(!decision.lets_go().is_empty());
}

#[test]
fn s5_whoever_is_about_to_be_closed_is_a_witness_of_darkness() {
    let gone = |s: &mut Snapshot| listed(s).state = InstanceState::Terminated;
    let disowned = |s: &mut Snapshot| listed(s).ours = false;
    for close in [gone as fn(&mut Snapshot), disowned] {
        let others = || [pending("i-9", 7000), draining("i-x", 7000, Cause::Load)];
        let group = Group::of(&[50.0]).and(others()).desired(2).bounds(1, 8).but(close);
        let lit = group.decide();
        assert_eq!((lit.closes().len(), lit.lets_go()), (1, vec!["i-x", "i-9"]), "it has answered, and they did not");
        // It was the only one that had ever answered, and was silent: the sweep says nothing of the others.
        let dark = group.whose("i-1", |m| m.health = dead()).decide();
        assert_eq!((dark.closes().len(), dark.lets_go()), (1, vec![]), "{:?}", dark.report.actions);
    }
}

#[test]
fn s5_who_has_never_answered_is_no_witness_of_darkness() {
    let booting = Group::of(&[]).and([pending("i-8", 50), pending("i-9", 7000)]).desired(2);
    let decision = booting.ec2_says("i-8", InstanceState::Terminated).decide();
    assert_eq!((decision.closes().len(), decision.terminates()), (1, vec![("i-9", Cause::BootTimeout)]));
}

/// What EC2 says of `i-1`.
fn listed(snapshot: &mut Snapshot) -> &mut FleetInstance {
    let mut fleet = snapshot.fleet.iter_mut().flatten();
    fleet.find(|listed| listed.id.0 == "i-1").expect("it is listed")
}

#[test]
fn s5_the_rest_of_a_scale_in_waits_while_the_warming_are_silent() {
    // None of them is missing (M4), and yet nobody answers.
    let silent = |m: &mut Member| (m.first_answer, m.health) = (Some(ago(5)), Some(silent(5, 1)));
    let rest = Group::of(&[50.0; 3]).desired(2).but(|s| s.head.heading = Heading::In);
    let dark = (1..=3).fold(rest, |group, n| group.whose(&format!("i-{n}"), silent)).decide();
    assert_eq!((dark.lets_go().len(), dark.waits_for(Rule::M5)), (0, true), "{:?}", dark.report.actions);
}

#[test]
fn s7_a_sweep_yields_one_decision_for_load_or_health() {
    let group = Group::of(&[90.0; 4]).bounds(2, 100).with(|p| p.out.limit = Limit { percent: 0, at_least: 4 });
    let group = group.whose("i-1", |m| m.health = dead()).and([pending("i-9", 700)]).desired(5);
    let slot = group.snapshot.sweep.as_ref().unwrap().slot;
    let first = group.decide();
    assert_eq!(first.plan.head.last_slot, Some(slot));
    for last in [slot, slot.plus(seconds_of(10))] {
        let decision = group.clone().but(|s| s.head.last_slot = Some(last)).decide();
        assert_eq!((decision.verdict(), decision.plan.is_empty()), ((5, Rule::S7), true));
        assert_eq!(decision.plan.head.last_slot, Some(last));
    }
    let earlier = group.but(|s| s.head.last_slot = Some(ago(12))).decide();
    assert!(!earlier.plan.is_empty());
}

#[test]
fn s7_load_waits_for_every_shard() {
    let decision = Group::of(&[90.0; 4]).but(|s| s.sweep.as_mut().unwrap().awaited = 1).decide();
    assert_eq!((decision.verdict(), decision.plan.head.last_slot), ((4, Rule::M5), None));
    let decision = Group::of(&[90.0; 4]).but(|s| s.sweep = None).decide();
    assert_eq!((decision.verdict(), decision.plan.is_empty()), ((4, Rule::M5), true));
}

#[test]
fn s7_the_version_rises_with_every_claim() {
    let mut group = Group::of(&[90.0; 4]);
    for version in 8..12 {
        let decision = decide(&group.snapshot, &group.policy);
        assert_eq!(decision.plan.head.version, version);
        group.snapshot = claim(&group.snapshot, &decision.plan);
    }
}

#[test]
fn s8_nobody_goes_for_health_inside_boot_timeout_or_grace_period() {
    let young = |n: u64| {
        let mut member = serving(&format!("i-{n}"), 50.0);
        (member.health, member.launched_at, member.first_answer) = (dead(), ago(299), Some(ago(290)));
        member
    };
    let group = Group::example().and([young(8), pending("i-9", 599)]).desired(6).bounds(2, 6);
    assert!(group.decide().plan.is_empty(), "{:?}", group.decide().report.actions);
    // Silence of the young is silence all the same: it opens the breaker, and is no sample.
    assert_eq!(group.decide().report.counts.missing, 1);
}

#[test]
fn s10_m2_the_rest_of_a_scale_in_waits_while_the_missing_may_be_busy() {
    let rest = |loads: &[f64]| Group::of(loads).desired(2).but(|s| s.head.heading = Heading::In);
    assert_eq!(rest(&[60.0; 3]).decide().drains(), ["i-1"], "all are known");
    // Two at 60 % and one at 100 % are 73 %, which is above the upper threshold; with 50 % it is not.
    let unknown = |group: Group| group.whose("i-3", |m| m.health = Some(silent(5, 1))).decide();
    let decision = unknown(rest(&[60.0; 3]));
    assert_eq!((decision.lets_go().len(), decision.waits_for(Rule::M2)), (0, true), "{:?}", decision.report.actions);
    assert_eq!(unknown(rest(&[50.0; 3])).drains().len(), 1);
    assert_eq!(rest(&[70.0; 3]).decide().drains().len(), 1, "equality does nothing (Z1)");
    // A bound is no matter of load.
    let bound = unknown(Group::of(&[60.0; 3]).desired(2));
    assert_eq!(bound.drains().len(), 1);
}
