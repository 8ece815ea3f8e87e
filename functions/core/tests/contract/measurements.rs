//! Chapter "Measurements" of the contract.

use crate::common::*;
use muster_core::health::{Answer, Health, Load, Observation, Seen, fold};
use muster_core::report::Rule;
use muster_core::time::Timestamp;

#[test]
fn m1_the_mean_is_of_serving_members_only_and_a_missing_sample_is_not_zero() {
    let group = Group::of(&[60.0, 60.0, 60.0, 60.0]).whose("i-4", |m| m.health = Some(silent(5, 1)));
    let report = group.decide().report;
    assert_eq!((report.load.unwrap().mean, report.counts.serving, report.counts.missing), (60.0, 3, 1));
}

#[test]
fn m1_a_sample_may_be_three_periods_old_or_as_old_as_the_policy_says() {
    for (age, allowed, serving) in [(30, None, 4), (31, None, 3), (60, Some(60), 4), (61, Some(60), 3)] {
        let group = Group::example().with(|p| p.max_sample_age = allowed.map(seconds_of));
        let group = group.whose("i-1", |m| m.health.as_mut().unwrap().sampled_at = Some(ago(age)));
        let counts = group.decide().report.counts;
        assert_eq!((counts.serving, counts.missing), (serving, 4 - serving), "{age} s");
    }
}

#[test]
fn m1_a_sample_without_a_time_is_as_old_as_the_sweep() {
    for (age, serving) in [(30, 4), (31, 3)] {
        let group = Group::example().but(|s| s.sweep.as_mut().unwrap().slot = ago(age));
        let group = group.whose("i-1", |m| m.health.as_mut().unwrap().sampled_at = None);
        assert_eq!(group.decide().report.counts.serving, serving);
    }
}

#[test]
fn m2_scaling_in_assumes_the_missing_at_full_load() {
    let idle = Group::of(&[10.0; 8]).ungated();
    assert_eq!(idle.decide().verdict(), (4, Rule::Z2));
    // (7 x 10 + 100) / 8 = 21.25, above the threshold of 20.
    let one_missing = idle.whose("i-8", |m| m.health = Some(silent(5, 1)));
    assert_eq!(one_missing.decide().verdict(), (8, Rule::M3));
    assert_eq!(one_missing.decide().report.load.unwrap().at_most, 21.25);
    // (7 x 5 + 100) / 8 = 16.9: in all the same.
    let idler = Group::of(&[5.0; 8]).ungated().whose("i-8", |m| m.health = Some(silent(5, 1)));
    assert_eq!(idler.decide().verdict(), (4, Rule::Z2));
}

#[test]
fn m2_scaling_out_assumes_the_missing_at_zero() {
    // 3 x 90 / 4 = 67.5, not above 70.
    let group = Group::of(&[90.0; 4]).whose("i-4", |m| m.health = Some(silent(5, 1)));
    assert_eq!(group.decide().verdict(), (4, Rule::M3));
    // 3 x 100 / 4 = 75.
    let group = Group::of(&[100.0; 4]).whose("i-4", |m| m.health = Some(silent(5, 1)));
    assert_eq!(group.decide().verdict(), (8, Rule::Z2));
}

#[test]
fn m3_what_turns_round_or_falls_into_the_dead_band_is_held_and_said() {
    // Two of four at 75 %: 37.5 over all, in the dead band. Half of them answer, which is enough.
    let dead_band = Group::of(&[75.0; 4]).whose("i-3", |m| m.health = Some(silent(5, 1)));
    let dead_band = dead_band.whose("i-4", |m| m.health = Some(silent(5, 1)));
    // One of five at 75 %: 15 over all, which would be a scale-in.
    let mut turned = Group::of(&[75.0; 5]).with(|p| p.min_available_percent = 0);
    for name in ["i-2", "i-3", "i-4", "i-5"] {
        turned = turned.whose(name, |m| m.health = Some(silent(5, 1)));
    }
    for group in [dead_band, turned] {
        let decision = group.decide();
        assert_eq!(decision.verdict(), (group.snapshot.head.desired, Rule::M3));
        assert!(decision.plan.is_empty());
        assert!(decision.report.headline.contains("missing members at 0 %"), "{}", decision.report.headline);
        assert_eq!(decision.report.stages[0].desired, (group.snapshot.head.desired * 2).min(10), "raw, before M2");
    }
}

#[test]
fn m4_a_warming_member_is_left_out_of_the_mean() {
    for (age, counts) in [(59, (1, 4, 50.0)), (60, (0, 5, 60.0))] {
        let group = Group::example().and([serving("i-9", 100.0)]).desired(5);
        let group = group.whose("i-9", |m| m.first_answer = Some(ago(age)));
        let report = group.decide().report;
        let mean = report.load.unwrap().mean;
        assert_eq!((report.counts.warming, report.counts.serving, mean), counts, "{age} s");
    }
}

#[test]
fn m4_the_same_need_is_not_ordered_twice() {
    // Two at 90 %, two on their way: over four it is 45 %.
    let busy = Group::of(&[90.0; 2]).desired(4);
    let not_launched = busy.clone();
    let open = busy.clone().but(|s| s.intents = vec![open_launch("l-1", 0), open_launch("l-2", 1)]);
    let booting = busy.clone().and([pending("i-8", 5), pending("i-9", 5)]);
    let young = |m: &mut muster_core::snapshot::Member| m.first_answer = Some(ago(5));
    let warming = busy.and([serving("i-8", 0.0), serving("i-9", 0.0)]).whose("i-8", young).whose("i-9", young);
    for (group, on_their_way) in [(not_launched, 2), (open, 0), (booting, 0), (warming, 0)] {
        let decision = group.decide();
        assert_eq!(decision.verdict(), (4, Rule::M4));
        assert_eq!(decision.launches(), on_their_way, "what is missing is launched all the same (C4)");
    }
    // More are there than desired: actual counts.
    let more = Group::of(&[90.0; 2]).and([pending("i-8", 5), pending("i-9", 5)]).desired(2);
    assert_eq!(more.decide().report.load.unwrap().at_least, 45.0);
}

#[test]
fn m5_without_a_fresh_sample_nothing_moves() {
    let mut none = Group::of(&[90.0; 3]);
    for name in ["i-1", "i-2", "i-3"] {
        none = none.whose(name, |m| m.health.as_mut().unwrap().sampled_at = Some(ago(300)));
    }
    for group in [none, Group::of(&[]).and([pending("i-1", 5), pending("i-2", 5)]).desired(2)] {
        let decision = group.decide();
        assert_eq!(decision.verdict(), (group.snapshot.head.desired, Rule::M5));
        assert!(decision.plan.is_empty());
        assert_eq!(decision.report.load, None);
    }
}

#[test]
fn m5_enough_of_those_in_service_must_answer() {
    for (silent_members, load, percent, rule) in [
        (1, 90.0, 50, Rule::M3),
        (2, 100.0, 50, Rule::M3),
        (3, 100.0, 50, Rule::M5),
        (3, 100.0, 25, Rule::M3),
        (3, 100.0, 26, Rule::M5),
        (3, 10.0, 50, Rule::M5),
        (0, 90.0, 100, Rule::Z2),
    ] {
        let mut group = Group::of(&[load; 4]).with(|p| p.min_available_percent = percent);
        for n in 1..=silent_members {
            group = group.whose(&format!("i-{n}"), |m| m.health = Some(silent(5, 1)));
        }
        assert_eq!(group.decide().report.rule, rule, "{silent_members} silent, {percent} % must answer");
    }
}

#[test]
fn m5_bounds_and_lost_members_are_repaired_all_the_same() {
    let dark = |n: usize| {
        let mut group = Group::of(&vec![50.0; n]);
        for n in 1..=n {
            group = group.whose(&format!("i-{n}"), |m| m.health = Some(silent(5, 1)));
        }
        group
    };
    assert_eq!(dark(3).bounds(5, 8).decide().verdict(), (5, Rule::Z5));
    assert_eq!(dark(3).desired(4).decide().launches(), 1);
}

#[test]
fn m6_no_load_is_outside_0_to_100() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.001, 100.001, f64::MAX] {
        assert_eq!(Load::new(wrong), None);
        assert!(serde_json::from_str::<Load>(&format!("{wrong:?}")).is_err());
    }
    assert!(Load::new(-0.0).unwrap().percent().is_sign_positive(), "loads sort as their bits do");
}

#[test]
fn m7_a_lying_agent_moves_the_mean_by_no_more_than_its_share() {
    let honest = Group::example().decide().report.load.unwrap().mean;
    for lie in [0.0, 100.0, 1e300, -1e300, f64::NAN] {
        let group = Group::example().whose("i-1", |m| {
            let answer = Answer {
                received_at: ago(2),
                boot_id: String::new(),
                version: String::new(),
                state: Default::default(),
                application: Default::default(),
                load: Some(lie),
                cursor: u64::MAX,
                unregistered: true,
                protected: false,
                signals: Default::default(),
            };
            let health = Health { load: None, sampled_at: None, ..answering(0.0) };
            m.health = Some(fold(Some(&health), &Observation::Answered(answer), NOW));
        });
        let mean = group.decide().report.load.unwrap().mean;
        assert!((mean - honest).abs() <= 100.0 / 4.0, "{lie}: {mean}");
    }
}

#[test]
fn m8_an_answer_counts_from_when_it_was_received() {
    // The wire carries no clock of the agent's; what the fold keeps is the receiver's.
    let answer = Answer {
        received_at: Timestamp::from_millis(5_000),
        boot_id: "b".into(),
        version: "0.1.0".into(),
        state: Default::default(),
        application: Default::default(),
        load: Some(1.0),
        cursor: 99_000_000,
        unregistered: false,
        protected: false,
        signals: Default::default(),
    };
    let health = fold(None, &Observation::Answered(answer), Timestamp::from_millis(9_000));
    let at = Some(Timestamp::from_millis(5_000));
    assert_eq!((health.sampled_at, health.last_answer, health.first_answer), (at, at, at));
    assert_eq!(health.seen, Seen::Answered);
}

#[test]
fn m6_a_load_that_is_none_is_a_missing_sample_in_a_snapshot_too() {
    for load in ["150", "-1", "100.5", "null"] {
        let text = format!(r#"{{"load": {load}}}"#);
        let health: muster_core::health::Health = serde_json::from_str(&text).expect("a health");
        assert_eq!(health.load, None, "{load}");
    }
}

#[test]
fn m5_a_member_whose_application_fails_has_answered() {
    let ill = |m: &mut muster_core::snapshot::Member| m.health = Some(failing(10, 1));
    let group = Group::of(&[90.0; 4]).whose("i-2", ill).whose("i-3", ill).whose("i-4", ill);
    assert_ne!(group.decide().report.rule, Rule::M5, "all four answer");
}
