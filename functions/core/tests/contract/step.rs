//! The step rule: chapter "Size" of the contract, and what the chapters on measurements and flapping ask of it.

use crate::common::*;
use muster_core::policy::{Change, Policy, ScalingRule, StepRule, Stride};
use muster_core::report::{Rule, StageName};
use std::time::Duration;

/// Two steps each way: above 70 one more, above 85 half more; below 25 one less, below 10 three tenths less.
const STEPS: &str = r#"{"scaling": {"kind": "step", "steps": [
    {"above": 85, "change_percent": 50}, {"above": 70, "change": 1},
    {"below": 25, "change": -1}, {"below": 10, "change_percent": -30}]}}"#;

fn rule(text: &str) -> ScalingRule {
    Policy::parse(text).expect("a policy").scaling
}

fn stepping(loads: &[f64]) -> Group {
    Group::of(loads).bounds(1, 100).ungated().with(|p| p.scaling = rule(STEPS))
}

fn by(steps: &str, loads: &[f64]) -> Group {
    let text = format!("{{\"scaling\": {{\"kind\": \"step\", \"steps\": [{steps}]}}}}");
    stepping(loads).with(|p| p.scaling = rule(&text))
}

fn missing(mut group: Group, names: std::ops::RangeInclusive<u32>) -> Group {
    for n in names {
        group = group.whose(&format!("i-{n}"), |m| m.health = Some(silent(5, 1)));
    }
    group
}

#[test]
fn z2_step_beyond_a_bound_its_step_is_taken_and_equality_does_nothing() {
    for (load, n, verdict) in [
        (70.0, 4, (4, Rule::Z1)),
        (70.000_1, 4, (5, Rule::Z2)),
        (85.0, 4, (5, Rule::Z2)),
        (85.1, 4, (6, Rule::Z2)),
        (100.0, 10, (15, Rule::Z2)),
        (45.0, 4, (4, Rule::Z1)),
        (25.0, 4, (4, Rule::Z1)),
        (24.999_9, 4, (3, Rule::Z2)),
        (10.0, 10, (9, Rule::Z2)),
        (9.9, 10, (7, Rule::Z2)),
    ] {
        assert_eq!(stepping(&vec![load; n]).decide().verdict(), verdict, "{n} at {load} %");
    }
}

#[test]
fn z2_step_a_share_is_rounded_up_and_one_member_at_least() {
    for (load, n, desired) in [(90.0, 1, 2), (90.0, 3, 5), (90.0, 5, 8), (5.0, 2, 1), (5.0, 4, 2), (5.0, 11, 7)] {
        assert_eq!(stepping(&vec![load; n]).decide().verdict(), (desired, Rule::Z2), "{n} at {load} %");
    }
    assert_eq!([0, 1, 99, 100, 101].map(|n| Change::Percent(1).of(n)), [1, 1, 1, 1, 2]);
    assert_eq!([0, 7].map(|n| Change::Members(3).of(n)), [3, 3]);
    assert_eq!(Change::Percent(1_000).of(u32::MAX), u32::MAX);
}

#[test]
fn z2_step_of_those_that_speak_the_one_that_changes_most_counts() {
    // Five more above 70 and half more above 85: of four members half is two.
    let mixed = r#"{"above": 70, "change": 5}, {"above": 85, "change_percent": 50},
        {"below": 25, "change": -4}, {"below": 10, "change_percent": -30}"#;
    for (load, n, desired) in [(75.0, 4, 9), (90.0, 4, 9), (90.0, 20, 30), (20.0, 10, 6), (5.0, 10, 6), (5.0, 20, 14)] {
        assert_eq!(by(mixed, &vec![load; n]).decide().verdict(), (desired, Rule::Z2), "{n} at {load} %");
    }
}

#[test]
fn z2_step_by_a_share_there_is_no_second_one_within_one_boot_time() {
    let lately = |load: f64, seconds| stepping(&[load; 4]).but(|s| s.head.factor_out_at = Some(ago(seconds))).decide();
    // A step by a count needs no guard, and speaks in place of the share.
    assert_eq!([lately(90.0, 29), lately(90.0, 30)].map(|d| d.verdict()), [(5, Rule::Z2), (6, Rule::Z2)]);
    assert_eq!(lately(75.0, 29).verdict(), (5, Rule::Z2));
    assert_eq!(
        lately(90.0, 29).report.headline,
        "Scale out 4 -> 5: mean load 90 % is above 85 %, but the last scale-out is 29 s old and booting takes 30 s."
    );
    let alone = by(r#"{"above": 70, "change_percent": 50}"#, &[90.0; 4]);
    let held = alone.but(|s| s.head.factor_out_at = Some(ago(29))).decide();
    assert_eq!(held.verdict(), (4, Rule::Z2));
    assert!(held.report.headline.starts_with("Hold at 4: "), "{}", held.report.headline);
    // Only a share is remembered.
    for (load, marked) in [(90.0, true), (75.0, false), (5.0, false)] {
        assert_eq!(stepping(&[load; 4]).decide().plan.head.factor_out_at.is_some(), marked, "{load} %");
    }
}

#[test]
fn z2_step_the_seeds_one_by_one_sizes() {
    let one_by_one = r#"{"above": 70, "change": 1}, {"below": 25, "change": -1}"#;
    for (name, mean, count, (min, max), desired) in [
        ("above the up threshold one is added", 71.0, 2, (2, 5), 3),
        ("exactly at the up threshold", 70.0, 2, (2, 5), 2),
        ("below the down threshold one is removed", 24.0, 3, (2, 5), 2),
        ("exactly at the down threshold", 25.0, 3, (2, 5), 3),
        ("at min nothing is done", 24.0, 2, (2, 5), 2),
        ("at max nothing is done", 95.0, 5, (2, 5), 5),
    ] {
        let decision = by(one_by_one, &vec![mean; count]).bounds(min, max).decide();
        assert_eq!(decision.plan.head.desired, desired, "{name}: {}", decision.report.headline);
        let done = decision.launches() as i64 - decision.lets_go().len() as i64;
        assert_eq!(done, i64::from(desired) - count as i64, "{name}");
    }
}

#[test]
fn z2_step_the_stages_bounds_and_limits_are_the_same_as_those_of_any_rule() {
    let report = stepping(&[90.0; 4]).bounds(2, 5).decide().report;
    let stages: Vec<_> = report.stages.iter().map(|stage| (stage.stage, stage.desired, stage.rule)).collect();
    let wanted = [(StageName::Raw, 6, Rule::Z2), (StageName::Filled, 6, Rule::M4), (StageName::Bounded, 5, Rule::Z5)];
    assert_eq!(stages, wanted);
    let gated = stepping(&[20.0; 8]).with(|p| p.inward.cooldown = seconds_of(300));
    assert_eq!(gated.but(|s| s.head.scale_in_at = Some(ago(1))).decide().verdict(), (8, Rule::F2));
    let paced = stepping(&[5.0; 8]).with(|p| (p.inward.limit.percent, p.inward.limit.at_least) = (25, 1));
    assert_eq!(paced.decide().verdict(), (6, Rule::F8));
}

#[test]
fn z2_step_the_report_says_it_in_a_sentence() {
    let outward = r#"{"above": 70, "change": 2}"#;
    for (group, headline) in [
        (stepping(&[90.0; 2]), "Scale out 2 -> 3: mean load 90 % is above 85 %."),
        (stepping(&[75.0; 2]), "Scale out 2 -> 3: mean load 75 % is above 70 %."),
        (stepping(&[5.0; 4]), "Scale in 4 -> 2: mean load 5 % is below 10 %."),
        (stepping(&[50.0; 3]), "No change at 3: mean load 50 % is within 25 % and 70 %."),
        (by(outward, &[50.0; 3]), "No change at 3: mean load 50 % is not above 70 %."),
        (
            stepping(&[100.0; 6]).desired(8),
            "Scale out 8 -> 9: mean load 100 % is above 85 %, but over the 8 members there or ordered it is 75 %.",
        ),
        (
            missing(stepping(&[4.0; 10]), 10..=10),
            "Scale in 10 -> 9: mean load 4 % is below 10 %, but with 1 missing member at 100 % it is 13.6 %.",
        ),
    ] {
        assert_eq!(group.decide().report.headline, headline);
    }
}

#[test]
fn m2_for_steps_the_missing_are_full_when_scaling_in_and_idle_when_scaling_out() {
    // (9 x 4 + 100) / 10 = 13.6 is below 25 and not below 10; 9 x 90 / 10 = 81 is above 70 and not above 85.
    assert_eq!(stepping(&[4.0; 10]).decide().verdict(), (7, Rule::Z2));
    let fewer = missing(stepping(&[4.0; 10]), 10..=10).decide();
    assert_eq!((fewer.verdict(), fewer.report.stages[1].rule), ((9, Rule::Z2), Rule::M2));
    assert_eq!(stepping(&[90.0; 10]).decide().verdict(), (15, Rule::Z2));
    assert_eq!(missing(stepping(&[90.0; 10]), 10..=10).decide().verdict(), (11, Rule::Z2));
}

#[test]
fn m3_for_steps_what_turns_round_or_falls_between_them_is_held() {
    for (group, says) in [
        (missing(stepping(&[90.0; 4]), 4..=4), "but with 1 missing member at 0 % it is 67.5 %"),
        (missing(stepping(&[5.0; 4]), 4..=4), "but with 1 missing member at 100 % it is 28.75 %"),
    ] {
        let decision = group.decide();
        assert_eq!(decision.verdict(), (4, Rule::M3), "{}", decision.report.headline);
        assert!(decision.plan.is_empty() && decision.report.headline.contains(says), "{}", decision.report.headline);
    }
}

#[test]
fn m4_for_steps_what_is_on_its_way_counts_towards_the_step() {
    let young = |m: &mut muster_core::snapshot::Member| m.first_answer = Some(ago(5));
    let busy = stepping(&[90.0; 2]).desired(4);
    let open = busy.clone().but(|s| s.intents = vec![open_launch("l-1", 0), open_launch("l-2", 1)]);
    let booting = busy.clone().and([pending("i-8", 5), pending("i-9", 5)]);
    let warming = busy.clone().and([serving("i-8", 0.0), serving("i-9", 0.0)]).whose("i-8", young).whose("i-9", young);
    for group in [busy, open, booting, warming] {
        assert_eq!(group.decide().verdict(), (4, Rule::M4));
    }
    // 6 x 100 over 8 is 75 %: the step above 70 still speaks, the one above 85 no more.
    let risen = stepping(&[100.0; 6]).desired(8).and([pending("i-8", 5), pending("i-9", 5)]).decide();
    assert_eq!((risen.verdict(), risen.report.stages[1].rule), ((9, Rule::Z2), Rule::M4));
    assert_eq!(risen.plan.head.factor_out_at, None);
}

#[test]
fn m5_for_steps_too_few_samples_move_nothing() {
    assert_eq!(missing(stepping(&[90.0; 4]), 2..=4).decide().verdict(), (4, Rule::M5));
    assert_eq!(missing(stepping(&[5.0; 4]), 2..=4).decide().verdict(), (4, Rule::M5));
}

#[test]
fn f5_for_steps_what_would_bring_members_back_is_the_lowest_step_out() {
    // 24 % x 8 / (8 - k) must stay below 40 %: k = 3 gives 38.4 %, k = 4 gives 48 %.
    let steps = r#"{"above": 90, "change": 9}, {"above": 40, "change": 1}, {"below": 25, "change": -6}"#;
    assert_eq!(by(steps, &[24.0; 8]).decide().verdict(), (5, Rule::F5));
}

#[test]
fn f7_for_steps_a_constant_load_reaches_a_fixed_point() {
    for total in [10.0, 90.0, 130.0, 290.0, 400.0, 1_000.0] {
        let mut group = stepping(&[(total / 4.0_f64).min(100.0); 4]);
        let mut quiet = 0;
        for _ in 0..200 {
            let decision = group.decide();
            let still = decision.plan.is_empty() && decision.plan.head.desired == group.snapshot.head.desired;
            quiet = if still { quiet + 1 } else { 0 };
            group.snapshot = claim(&group.snapshot, &decision.plan);
            carry_out(&mut group.snapshot);
            sweep(&mut group.snapshot, Duration::from_secs(10), total);
        }
        let mean = total / f64::from(group.snapshot.head.desired);
        assert!(quiet > 100 && mean <= 70.0, "{total} %: quiet for {quiet} at {mean} %");
    }
}

#[test]
fn z8_for_steps_huge_numbers_saturate() {
    let huge = r#"{"above": 70, "change_percent": 1000}, {"below": 25, "change_percent": -99}"#;
    for desired in [u32::MAX, u32::MAX - 1, 1 << 31] {
        for load in [1.0, 50.0, 100.0] {
            let group = by(huge, &[load; 4]).bounds(1, 10_000).desired(desired);
            assert_eq!(group.decide().plan.head.desired, 10_000, "{load} %");
        }
    }
}

#[test]
fn z9_steps_are_read_in_any_order() {
    let stride = |bound, change| Stride { bound, change };
    let out = vec![stride(70.0, Change::Members(1)), stride(85.0, Change::Percent(50))];
    let inward = vec![stride(25.0, Change::Members(1)), stride(10.0, Change::Percent(30))];
    assert_eq!(rule(STEPS), ScalingRule::Step(StepRule { out, inward }));
    let usual = rule(r#"{"scaling": {"kind": "step"}}"#);
    let (out, inward) = (vec![stride(70.0, Change::Members(1))], vec![stride(25.0, Change::Members(1))]);
    assert_eq!(usual, ScalingRule::Step(StepRule { out, inward }));
}
