//! Chapter "Size" of the contract.

use crate::common::*;
use muster_core::intent::Cause;
use muster_core::policy::{Limit, Policy};
use muster_core::report::{Rule, StageName};
use muster_core::snapshot::InstanceState;
use muster_core::time::Timestamp;

#[test]
fn z1_above_is_out_below_is_in_and_equality_is_nothing() {
    for (load, verdict) in [
        (70.000_1, (8, Rule::Z2)),
        (70.0, (4, Rule::Z1)),
        (45.0, (4, Rule::Z1)),
        (20.0, (4, Rule::Z1)),
        (19.999_9, (2, Rule::Z2)),
    ] {
        assert_eq!(Group::of(&[load; 4]).decide().verdict(), verdict, "{load} %");
    }
}

#[test]
fn z2_scaling_out_multiplies_rounds_up_and_adds_one_at_least() {
    for (n, factor, desired) in
        [(4, 2.0, 8), (3, 1.5, 5), (2, 1.1, 3), (10, 1.1, 11), (10, 1.000_1, 11), (1, 10.0, 10), (20, 1.15, 23)]
    {
        let group = Group::of(&vec![90.0; n]).bounds(1, 100).with(|p| threshold(p).up_factor = factor);
        assert_eq!(group.decide().verdict(), (desired, Rule::Z2), "{n} x {factor}");
    }
}

#[test]
fn z2_scaling_in_removes_its_share_rounded_down_and_one_at_least() {
    for (n, factor, desired) in
        [(8, 0.5, 4), (8, 0.25, 6), (5, 0.5, 3), (3, 0.1, 2), (10, 0.3, 7), (10, 0.7, 3), (100, 0.29, 71)]
    {
        let group = Group::of(&vec![1.0; n]).bounds(1, 100).with(|p| threshold(p).down_factor = factor).ungated();
        assert_eq!(group.decide().verdict(), (desired, Rule::Z2), "{n} x {factor}");
    }
}

#[test]
fn z2_after_a_factor_scale_out_there_is_none_within_one_boot_time() {
    // Before any launch was measured a boot takes 30 s; then it is the median.
    for (boots, ago_s, verdict) in [
        (vec![], 29, (4, Rule::Z2)),
        (vec![], 30, (8, Rule::Z2)),
        (vec![90_000, 100_000, 9_000_000], 99, (4, Rule::Z2)),
        (vec![90_000, 100_000, 9_000_000], 100, (8, Rule::Z2)),
    ] {
        let group = Group::of(&[90.0; 4]).but(|s| {
            s.head.factor_out_at = Some(ago(ago_s));
            s.head.boot_times_ms = boots;
        });
        assert_eq!(group.decide().verdict(), verdict, "{ago_s} s after");
    }
    let decision = Group::of(&[90.0; 4]).decide();
    assert_eq!(decision.plan.head.factor_out_at, Some(NOW), "remembered with the claim");
    assert_eq!(Group::of(&[5.0; 4]).decide().plan.head.factor_out_at, None, "a scale-in is none");
}

#[test]
fn z5_desired_outside_the_bounds_moves_to_the_bound_at_once() {
    let gated = |group: Group| {
        group.but(|s| {
            (s.head.scale_in_at, s.head.launch_accepted_at) = (Some(ago(1)), Some(ago(1)));
            s.head.remember_recommendation(ago(1), 9, seconds_of(300));
        })
    };
    let low = gated(Group::of(&[50.0; 1]).with(|p| p.out.cooldown = seconds_of(600)));
    assert_eq!((low.decide().verdict(), low.decide().launches()), ((2, Rule::Z5), 1));
    let high = gated(Group::of(&[50.0; 10]));
    assert_eq!((high.decide().verdict(), high.decide().drains().len()), ((8, Rule::Z5), 2));
    assert!(!high.decide().waits_for(Rule::Z5));
    let at_max = Group::of(&[90.0; 8]).decide();
    assert_eq!((at_max.verdict(), at_max.waits_for(Rule::Z5)), ((8, Rule::Z5), true));
    // Where there is nothing to limit it is the bound that speaks, and no cooldown.
    let at_min = Group::of(&[5.0; 2]).but(|s| s.head.scale_in_at = Some(ago(1))).decide();
    assert_eq!((at_min.verdict(), at_min.waits_for(Rule::F2)), ((2, Rule::Z5), false));
    let at_max = Group::of(&[90.0; 8]).with(|p| p.out.cooldown = seconds_of(60));
    let at_max = at_max.but(|s| s.head.launch_accepted_at = Some(ago(1))).decide();
    assert_eq!((at_max.verdict(), at_max.waits_for(Rule::F2)), ((8, Rule::Z5), false));
    // Load wants one way, the bound the other: the bound wins.
    assert_eq!(Group::of(&[99.0; 10]).decide().verdict(), (8, Rule::Z5));
    assert_eq!(Group::of(&[1.0; 1]).decide().verdict(), (2, Rule::Z5));
}

#[test]
fn z5_the_stages_come_in_their_order_and_the_bounds_last() {
    let group = Group::of(&[90.0; 6]).but(|s| s.head.remember_recommendation(ago(10), 11, seconds_of(300)));
    let group = group.with(|p| p.out.stabilization = seconds_of(60)).with(|p| {
        (p.out.limit.percent, p.out.limit.at_least) = (50, 1);
    });
    let report = group.decide().report;
    let stages: Vec<_> = report.stages.iter().map(|stage| (stage.stage, stage.desired, stage.rule)).collect();
    let wanted = [
        (StageName::Raw, 12, Rule::Z2),
        (StageName::Filled, 12, Rule::M4),
        (StageName::Stabilised, 11, Rule::F1),
        (StageName::Limited, 9, Rule::F8),
        (StageName::Bounded, 8, Rule::Z5),
    ];
    assert_eq!(stages, wanted);
}

#[test]
fn z5_the_bound_paces_its_actions_by_f8() {
    let group = Group::of(&[50.0; 10]).bounds(1, 2);
    let decision = group.decide();
    assert_eq!(decision.verdict(), (2, Rule::Z5));
    assert_eq!(decision.lets_go().len(), 5, "half of ten in five minutes");
    assert!(decision.waits_for(Rule::F8));
}

#[test]
fn z5_only_what_goes_beyond_the_bound_is_for_the_loads_sake() {
    // From 1 to the bound of 2 it is the bound; a factor of 4 asks for 4.
    let group = Group::of(&[90.0; 1]).with(|p| threshold(p).up_factor = 4.0);
    let decision = group.decide();
    assert_eq!((decision.verdict(), decision.launches_for(Cause::Load)), ((4, Rule::Z2), 3));
    let decision = Group::of(&[50.0; 1]).decide();
    assert_eq!(decision.launches_for(Cause::Bounds), 1);
    assert_eq!(decision.plan.head.factor_out_at, None);
}

#[test]
fn z6_inside_the_bounds_the_result_never_moves_against_the_direction() {
    for n in 2..=8_usize {
        let out = Group::of(&vec![99.0; n]).decide().plan.head.desired as usize;
        let inward = Group::of(&vec![1.0; n]).ungated().decide().plan.head.desired as usize;
        assert!(out >= n && inward <= n, "{n}: {inward} {out}");
        assert_eq!((out == n, inward == n), (n == 8, n == 2));
    }
}

#[test]
fn z7_from_no_members_desired_is_min() {
    let empty = Group::of(&[]);
    let decision = empty.decide();
    assert_eq!((decision.verdict(), decision.launches()), ((2, Rule::Z5), 2));
}

#[test]
fn z7_a_min_of_zero_is_refused_because_load_cannot_wake_an_empty_group() {
    for text in [r#"{"min_instances": 0}"#, r#"{"min_instances": 0, "max_instances": 1}"#] {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.contains("Z7") && error.contains("to empty the group set max_instances to 0"), "{error}");
    }
}

#[test]
fn z8_huge_numbers_saturate() {
    for desired in [u32::MAX, u32::MAX - 1, 1 << 31] {
        for load in [1.0, 15.0, 50.0, 100.0] {
            let group = Group::of(&[load; 4]).ungated().bounds(1, 10_000).desired(desired).with(|p| {
                (threshold(p).up_factor, threshold(p).down_factor) = (10.0, 0.99);
            });
            let decision = group.but(|s| s.head.version = u64::MAX).decide();
            assert_eq!(decision.plan.head.desired, 10_000);
        }
    }
    let far = Group::example().but(|s| s.now = Timestamp::from_millis(u64::MAX)).decide();
    assert_eq!(far.report.rule, Rule::O8);
    let past = Group::example().but(|s| s.now = Timestamp::EPOCH).decide();
    assert_eq!(past.verdict(), (4, Rule::O8), "its sweep is yet to come");
}

#[test]
fn z9_an_invalid_policy_is_refused_whole() {
    for text in [
        r#"{"min_instances": 6, "max_instances": 5}"#,
        r#"{"scaling": {"cpu_up_threshold": 20, "cpu_down_threshold": 70}}"#,
        r#"{"scaling": {"scale_down_factor": 1}}"#,
        r#"{"scaling": {"scale_up_factor": 1e9}}"#,
        r#"{"unknown": 1}"#,
        r#"{"scaling": {"cpu_up_threshold": 1e400}}"#,
        r#"{"scaling": {"cpu_up_threshold": 0.7}}"#,
        r#"{"scaling": {"cpu_down_threshold": 1}}"#,
    ] {
        assert!(Policy::parse(text).is_err(), "{text}");
    }
    let hint = Policy::parse(r#"{"scaling": {"cpu_up_threshold": 0.7}}"#).unwrap_err().to_string();
    assert!(hint.contains("0.7 means 70"), "{hint}");
}

#[test]
fn headlines_read_like_a_sentence() {
    let cases = [
        (Group::of(&[80.5; 2]), "Scale out 2 -> 4: mean load 80.5 % is above 70 %."),
        (Group::of(&[50.0; 3]), "No change at 3: mean load 50 % is within 20 % and 70 %."),
        (Group::of(&[5.0; 4]), "Scale in 4 -> 2: mean load 5 % is below 20 %."),
        (Group::of(&[90.0; 8]), "Hold at 8: mean load 90 % is above 70 %, and max_instances is 8."),
        (Group::of(&[90.0; 5]), "Scale out 5 -> 8: mean load 90 % is above 70 %, and max_instances is 8."),
        (Group::of(&[50.0; 1]), "Scale out 1 -> 2: min_instances is 2. Launches 1 instance to reach desired."),
        (
            Group::of(&[90.0; 2]).desired(4),
            "Hold at 4: mean load 90 % is above 70 %, but over the 4 members there or ordered it is 45 %. \
             Launches 2 instances to reach desired.",
        ),
        (
            Group::of(&[5.0; 4]).but(|s| s.head.scale_in_at = Some(ago(100))),
            "Hold at 4: mean load 5 % is below 20 %, but the scale-in cooldown has 3 m 20 s left.",
        ),
        (
            Group::of(&[90.0; 4])
                .with(|p| p.out.cooldown = seconds_of(60))
                .but(|s| s.head.launch_accepted_at = Some(ago(20))),
            "Hold at 4: mean load 90 % is above 70 %, but the scale-out cooldown has 40 s left.",
        ),
        (
            Group::of(&[19.0; 8]).ungated().with(|p| threshold(p).down_factor = 0.9),
            "Scale in 8 -> 3: mean load 19 % is below 20 %, and without 6 members the mean would be 76 %.",
        ),
        (
            Group::example().whose("i-1", |m| m.health = dead()),
            "No change at 4: mean load 50 % is within 20 % and 70 %. Launches 1 replacement for the unhealthy.",
        ),
        (
            Group::example().bounds(2, 4).whose("i-1", |m| m.health = dead()),
            "No change at 4: mean load 50 % is within 20 % and 70 %. Terminates i-1, unhealthy.",
        ),
        (
            Group::example().and([pending("i-9", 601)]),
            "No change at 4: mean load 50 % is within 20 % and 70 %. Terminates i-9, which never answered.",
        ),
        (
            Group::example().desired(3).ec2_says("i-4", InstanceState::Terminated),
            "No change at 3: mean load 50 % is within 20 % and 70 %. i-4 is lost.",
        ),
        (
            Group::example().desired(3).ec2_says("i-4", InstanceState::Stopped),
            "No change at 3: mean load 50 % is within 20 % and 70 %. Terminates i-4, which somebody stopped.",
        ),
        (
            Group::example().and([draining("i-9", 600, Cause::Load)]),
            "No change at 4: mean load 50 % is within 20 % and 70 %.",
        ),
        (
            Group::of(&[50.0; 3]).desired(4).and([draining("i-9", 30, Cause::Load)]),
            "No change at 4: mean load 50 % is within 20 % and 70 %. Takes i-9 back.",
        ),
        (Group::of(&[50.0; 9]), "Scale in 9 -> 8: max_instances is 8."),
        (
            Group::of(&[5.0; 8]).with(|p| p.inward.limit.percent = 25),
            "Scale in 8 -> 6: mean load 5 % is below 20 %, and only 2 more terminations fit into 5 m.",
        ),
        (
            Group::of(&[90.0; 4]).with(|p| p.out.limit = Limit { percent: 0, at_least: 1 }),
            "Scale out 4 -> 5: mean load 90 % is above 70 %, and only 1 more member fits into 1 m.",
        ),
    ];
    for (group, headline) in cases {
        assert_eq!(group.decide().report.headline, headline);
    }
}

#[test]
fn z1_equality_does_nothing_whatever_floating_point_says() {
    for bound in [70.1, 33.3, 66.6, 70.7] {
        for n in 1..40 {
            let group = Group::of(&vec![bound; n]).bounds(1, 100);
            let up = group.with(|p| threshold(p).up = bound).decide();
            assert_eq!(up.report.rule, Rule::Z1, "{n} at {bound}: {}", up.report.headline);
            let group = Group::of(&vec![bound; n]).bounds(1, 100);
            let down = group.with(|p| (threshold(p).down, threshold(p).up) = (bound, 95.0)).decide();
            assert_eq!(down.report.rule, Rule::Z1, "{n} at {bound}: {}", down.report.headline);
        }
    }
}
