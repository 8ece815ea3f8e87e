//! The target rule: chapter "Size" of the contract, and what the chapters on measurements and flapping ask of it.

use crate::common::*;
use muster_core::policy::{Policy, ScalingRule, TargetRule};
use muster_core::report::{Rule, StageName};
use std::time::Duration;

/// A group that aims at 60 % with a tolerance of a tenth: nothing is done from 54 % to 66 %.
fn aiming(loads: &[f64]) -> Group {
    aiming_at(60.0, 0.1, loads)
}

fn aiming_at(target: f64, tolerance: f64, loads: &[f64]) -> Group {
    let rule = ScalingRule::Target(TargetRule { target, tolerance });
    Group::of(loads).bounds(1, 100).ungated().with(|p| p.scaling = rule)
}

fn missing(mut group: Group, names: std::ops::RangeInclusive<u32>) -> Group {
    for n in names {
        group = group.whose(&format!("i-{n}"), |m| m.health = Some(silent(5, 1)));
    }
    group
}

#[test]
fn z3_desired_is_what_brings_the_mean_to_the_target() {
    for (load, n, desired) in [
        (85.0, 4, 6),
        (90.0, 4, 6),
        (90.1, 4, 7),
        (100.0, 1, 2),
        (100.0, 10, 17),
        (66.1, 10, 12),
        (30.0, 4, 2),
        (30.1, 4, 3),
        (1.0, 4, 1),
        (0.0, 8, 1),
        (53.9, 20, 18),
    ] {
        assert_eq!(aiming(&vec![load; n]).decide().verdict().0, desired, "{n} at {load} %");
    }
    assert_eq!(aiming(&[85.0; 4]).decide().verdict(), (6, Rule::Z3));
    assert_eq!(aiming(&[30.0; 4]).decide().verdict(), (2, Rule::Z3));
}

#[test]
fn z3_inside_the_tolerance_nothing_is_done_and_its_ends_are_inside() {
    for (target, tolerance, load, moves) in [
        (60.0, 0.1, 66.0, 0),
        (60.0, 0.1, 66.000_1, 1),
        (60.0, 0.1, 54.0, 0),
        (60.0, 0.1, 53.999_9, -1),
        (60.0, 0.0, 60.0, 0),
        (60.0, 0.0, 60.000_1, 1),
        (60.0, 0.0, 59.999_9, -1),
        (60.0, 0.5, 90.0, 0),
        (60.0, 0.5, 30.0, 0),
        (60.0, 0.5, 29.9, -1),
        (33.3, 0.1, 36.63, 0),
        (70.1, 0.0, 70.1, 0),
    ] {
        for n in [20_usize, 33] {
            let decision = aiming_at(target, tolerance, &vec![load; n]).decide();
            let raw = &decision.report.stages[0];
            let way = i64::from(raw.desired) - n as i64;
            assert_eq!((way.signum(), raw.rule), (moves, Rule::Z3), "{n} at {load} %: {}", decision.report.headline);
        }
    }
}

#[test]
fn z3_one_goes_where_the_mean_stays_within_the_tolerance_and_else_nobody() {
    // 5 x 51 / 60 is 4.25, so five; but four at 63.75 % are within the tolerance.
    assert_eq!(aiming(&[51.0; 5]).decide().verdict(), (4, Rule::Z3));
    // 5 x 53 / 4 = 66.25 would bring the fifth back.
    let held = aiming(&[53.0; 5]).decide();
    assert_eq!((held.verdict(), held.waits_for(Rule::F5)), ((5, Rule::F5), true));
    assert_eq!(aiming(&[50.0; 3]).decide().verdict(), (3, Rule::F5));
}

#[test]
fn z3_there_is_no_guard_of_one_boot_time_as_after_a_factor() {
    let decision = aiming(&[85.0; 4]).but(|s| s.head.factor_out_at = Some(ago(1))).decide();
    assert_eq!((decision.verdict(), decision.plan.head.factor_out_at), ((6, Rule::Z3), Some(ago(1))));
    assert_eq!(aiming(&[85.0; 4]).decide().plan.head.factor_out_at, None, "and it is none");
}

#[test]
fn z3_the_stages_bounds_and_limits_are_the_same_as_those_of_any_rule() {
    let report = aiming(&[85.0; 4]).bounds(2, 5).decide().report;
    let stages: Vec<_> = report.stages.iter().map(|stage| (stage.stage, stage.desired, stage.rule)).collect();
    let wanted = [(StageName::Raw, 6, Rule::Z3), (StageName::Filled, 6, Rule::M4), (StageName::Bounded, 5, Rule::Z5)];
    assert_eq!(stages, wanted);
    let gated = aiming(&[20.0; 8]).with(|p| p.inward.cooldown = seconds_of(300));
    assert_eq!(gated.but(|s| s.head.scale_in_at = Some(ago(1))).decide().verdict(), (8, Rule::F2));
    let stable = aiming(&[20.0; 8]).with(|p| p.inward.stabilization = seconds_of(300));
    let stable = stable.but(|s| s.head.remember_recommendation(ago(10), 6, seconds_of(300)));
    assert_eq!(stable.decide().verdict(), (6, Rule::F1));
    let paced = aiming(&[20.0; 8]).with(|p| (p.inward.limit.percent, p.inward.limit.at_least) = (25, 1));
    assert_eq!(paced.decide().verdict(), (6, Rule::F8));
}

#[test]
fn z3_the_report_says_it_in_a_sentence() {
    for (group, headline) in [
        (aiming(&[85.0; 2]), "Scale out 2 -> 3: mean load 85 % is above the target 60 %."),
        (aiming(&[20.0; 4]), "Scale in 4 -> 2: mean load 20 % is below the target 60 %."),
        (aiming(&[62.5; 3]), "No change at 3: mean load 62.5 % is within 10 % of the target 60 %."),
        (
            aiming(&[90.0; 2]).desired(4),
            "Hold at 4: mean load 90 % is above the target 60 %, but over the 4 members there or ordered it is 45 %. \
             Launches 2 instances to reach desired.",
        ),
        (missing(aiming(&[30.0; 4]), 4..=4), "Scale in 4 -> 3: mean load 30 % is below the target 60 %."),
        (
            missing(aiming(&[50.0; 4]), 3..=4),
            "Hold at 4: mean load 50 % is below the target 60 %, but with 2 missing members at 100 % it is 75 %.",
        ),
        (
            aiming(&[50.0; 3]),
            "Hold at 3: mean load 50 % is below the target 60 %, but without 1 member the mean would be 75 %.",
        ),
    ] {
        assert_eq!(group.decide().report.headline, headline);
    }
}

#[test]
fn m2_for_a_target_the_missing_are_full_when_scaling_in_and_idle_when_scaling_out() {
    // (7 x 20 + 100) / 8 = 30: four of eight, not three.
    assert_eq!(aiming(&[20.0; 8]).decide().verdict(), (3, Rule::Z3));
    assert_eq!(missing(aiming(&[20.0; 8]), 8..=8).decide().verdict(), (4, Rule::Z3));
    // 8 x 90 / 60 is 12; without one of them 7 x 90 / 60 = 10.5.
    assert_eq!(aiming(&[90.0; 8]).decide().verdict(), (12, Rule::Z3));
    assert_eq!(missing(aiming(&[90.0; 8]), 8..=8).decide().verdict(), (11, Rule::Z3));
}

#[test]
fn m3_for_a_target_what_turns_round_or_falls_inside_the_tolerance_is_held() {
    // 3 x 80 / 4 = 60 is the target; 2 x 80 / 4 = 40 would be a scale-in; (2 x 20 + 200) / 4 = 60, (40 + 300) / 4 = 85.
    for (group, says) in [
        (missing(aiming(&[80.0; 4]), 4..=4), "but with 1 missing member at 0 % it is 60 %"),
        (missing(aiming(&[80.0; 4]), 3..=4), "but with 2 missing members at 0 % it is 40 %"),
        (missing(aiming(&[20.0; 4]), 3..=4), "but with 2 missing members at 100 % it is 60 %"),
        (missing(aiming(&[50.0; 4]), 3..=4), "but with 2 missing members at 100 % it is 75 %"),
    ] {
        let decision = group.decide();
        assert_eq!(decision.verdict(), (4, Rule::M3), "{}", decision.report.headline);
        assert!(decision.plan.is_empty() && decision.report.headline.contains(says), "{}", decision.report.headline);
    }
}

#[test]
fn m4_for_a_target_the_same_need_is_not_ordered_twice() {
    let young = |m: &mut muster_core::snapshot::Member| m.first_answer = Some(ago(5));
    // 2 x 100 / 60 is 4. With 4 ordered the mean over them is 50 %, however they are on their way.
    let busy = aiming(&[100.0; 2]);
    assert_eq!(busy.decide().verdict(), (4, Rule::Z3));
    let busy = busy.desired(4);
    let open = busy.clone().but(|s| s.intents = vec![open_launch("l-1", 0), open_launch("l-2", 1)]);
    let booting = busy.clone().and([pending("i-8", 5), pending("i-9", 5)]);
    let warming = busy.clone().and([serving("i-8", 0.0), serving("i-9", 0.0)]).whose("i-8", young).whose("i-9", young);
    for group in [busy, open, booting, warming] {
        assert_eq!(group.decide().verdict(), (4, Rule::M4));
    }
    // The load has risen further: 3 x 100 over 4 is 75 %, which takes five.
    let risen = aiming(&[100.0; 3]).desired(4).and([pending("i-9", 5)]);
    assert_eq!((risen.decide().verdict(), risen.decide().launches()), ((5, Rule::Z3), 1));
}

#[test]
fn m4_for_a_target_who_is_on_his_way_carries_the_mean_when_scaling_in() {
    // Two at 20 % and two pending: four at 20 % take two, and F6 lets only the pending go.
    let group = aiming(&[20.0; 2]).desired(4).and([pending("i-8", 5), pending("i-9", 5)]);
    let decision = group.decide();
    assert_eq!((decision.verdict().0, decision.lets_go()), (2, vec!["i-8", "i-9"]));
    // Four are there and three desired: their 160 % take three, though three of them at 40 % would take two.
    let decision = aiming(&[40.0; 4]).desired(3).decide();
    assert_eq!(decision.verdict(), (3, Rule::M4));
    assert!(decision.report.headline.contains("but the load of the 4 members there takes 3"));
}

#[test]
fn m5_for_a_target_too_few_samples_move_nothing() {
    assert_eq!(missing(aiming(&[90.0; 4]), 2..=4).decide().verdict(), (4, Rule::M5));
    assert_eq!(missing(aiming(&[5.0; 4]), 2..=4).decide().verdict(), (4, Rule::M5));
}

#[test]
fn f5_for_a_target_what_would_bring_members_back_is_the_end_of_its_tolerance() {
    // 8 x 20 = 160: three at 53.3 %. With a missing one at 100 %: 240, four at 60 %.
    for (target, tolerance, load, desired) in [(60.0, 0.0, 20.0, 3), (60.0, 0.5, 20.0, 3), (10.0, 0.1, 8.0, 7)] {
        let decision = aiming_at(target, tolerance, &[load; 8]).decide();
        assert_eq!(decision.verdict().0, desired, "{}", decision.report.headline);
    }
    // What is left of a scale-in waits while the missing may be too busy for it.
    let rest = aiming(&[50.0; 8]).desired(6).but(|s| s.head.heading = muster_core::group::Heading::In);
    assert_eq!(rest.decide().drains().len(), 2);
    let unsure = missing(rest, 6..=8).decide();
    assert_eq!((unsure.lets_go().len(), unsure.waits_for(Rule::M2)), (0, true));
}

#[test]
fn f7_for_a_target_a_constant_load_reaches_a_fixed_point_near_it() {
    for total in [10.0, 61.0, 119.0, 130.0, 333.0, 400.0, 1_000.0] {
        let mut group = aiming(&[(total / 4.0_f64).min(100.0); 4]);
        let mut quiet = 0;
        for _ in 0..200 {
            let decision = group.decide();
            let still = decision.plan.is_empty() && decision.plan.head.desired == group.snapshot.head.desired;
            quiet = if still { quiet + 1 } else { 0 };
            group.snapshot = claim(&group.snapshot, &decision.plan);
            carry_out(&mut group.snapshot);
            sweep(&mut group.snapshot, Duration::from_secs(10), total);
        }
        let desired = group.snapshot.head.desired;
        assert!(quiet > 100, "{total} %: quiet for {quiet}");
        let mean = total / f64::from(desired);
        let fewer = total / f64::from(desired.saturating_sub(1));
        assert!(mean <= 66.0 && fewer >= 60.0, "{total} %: {desired} members");
    }
}

#[test]
fn z8_for_a_target_huge_numbers_saturate() {
    for desired in [u32::MAX, u32::MAX - 1, 1 << 31] {
        for load in [1.0, 60.0, 100.0] {
            let group = aiming_at(10.0, 0.0, &[load; 4]).bounds(1, 10_000).desired(desired);
            assert_eq!(group.decide().plan.head.desired, 10_000, "{load} %");
        }
    }
}

#[test]
fn z9_a_target_is_read_with_its_tolerance() {
    let policy = Policy::parse(r#"{"scaling": {"kind": "target", "target": 55.5, "tolerance": 0}}"#).unwrap();
    assert_eq!(policy.scaling, ScalingRule::Target(TargetRule { target: 55.5, tolerance: 0.0 }));
    let policy = Policy::parse(r#"{"scaling": {"kind": "target"}}"#).unwrap();
    assert_eq!(policy.scaling, ScalingRule::Target(TargetRule { target: 60.0, tolerance: 0.1 }));
}
