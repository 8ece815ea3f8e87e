//! What the seed projects TET-P2 and helix would have decided: the same sizes where they were right, and what is done instead where
//! they were not. All members have the mean load and have been in service for long.

use crate::common::*;
use muster_core::policy::{Change, Policy, ScalingRule, StepRule, Stride};
use std::time::Duration;

#[test]
fn the_seeds_sizes_are_ours_where_the_seed_was_right() {
    for (name, mean, count, (min, max), down_factor, change) in [
        ("exactly at the up threshold", 70.0, 2, (2, 5), 0.5, 0),
        ("above the up threshold doubles", 71.0, 2, (2, 5), 0.5, 2),
        ("doubling is capped at max", 90.0, 3, (2, 5), 0.5, 2),
        ("at max nothing is done", 95.0, 5, (2, 5), 0.5, 0),
        ("exactly at the down threshold", 20.0, 4, (2, 5), 0.5, 0),
        ("below the down threshold removes count x factor", 10.0, 4, (2, 5), 0.5, -2),
        ("removal rounds down and respects min", 10.0, 3, (2, 5), 0.5, -1),
        ("at min nothing is done", 5.0, 2, (2, 5), 0.5, 0),
        ("below min one is created although the load is low", 5.0, 1, (2, 5), 0.5, 1),
        ("the down factor is the share removed", 10.0, 8, (1, 10), 0.25, -2),
    ] {
        let group = Group::of(&vec![mean; count]).bounds(min, max).ungated().with(|p| {
            (threshold(p).up, threshold(p).down) = (70.0, 20.0);
            (threshold(p).up_factor, threshold(p).down_factor) = (2.0, down_factor);
            (p.out.cooldown, p.out.stabilization, p.warm_up) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        });
        let decision = group.decide();
        let done = decision.launches() as i64 - decision.lets_go().len() as i64;
        assert_eq!(done, change, "{name}: {}", decision.report.headline);
        assert_eq!(i64::from(decision.plan.head.desired), count as i64 + change, "{name}");
    }
}

/// helix adds or removes one at a time, without factors: a rule of steps.
#[test]
fn helixs_sizes_are_those_of_steps() {
    for (name, mean, count, change) in [
        ("above upper adds one", 71.0, 2, 1),
        ("at upper nothing is done", 70.0, 2, 0),
        ("below lower removes one", 24.0, 3, -1),
        ("at min nothing is done", 10.0, 2, 0),
        ("at max nothing is done", 90.0, 5, 0),
    ] {
        let group = Group::of(&vec![mean; count]).bounds(2, 5).ungated().with(|p| {
            let one = |bound| vec![Stride { bound, change: Change::Members(1) }];
            p.scaling = ScalingRule::Step(StepRule { out: one(70.0), inward: one(25.0) });
            (p.out.cooldown, p.out.stabilization, p.warm_up) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        });
        let decision = group.decide();
        let done = decision.launches() as i64 - decision.lets_go().len() as i64;
        assert_eq!(done, change, "{name}: {}", decision.report.headline);
    }
}

/// Where TET-P2 was wrong: what it did, and why it is not done here, stands beside what is.
#[test]
fn the_seeds_defects_are_not_ours() {
    for (name, mean, count, (up_factor, down_factor), change) in [
        ("from zero it created one a minute until min was reached; min is reached at once", 0.0, 0, (2.0, 0.5), 2),
        ("a factor of 1.5 asked for 1.5 more, which EC2 refuses; sizes are whole, rounded up", 90.0, 3, (1.5, 0.5), 2),
        ("above max it removed by the factor, and so missed max; max is reached at once", 50.0, 9, (2.0, 0.5), -4),
        ("above max a small factor removed nobody, by a call that EC2 refuses", 50.0, 6, (2.0, 0.1), -1),
    ] {
        let group = Group::of(&vec![mean; count]).bounds(2, 5).ungated().with(|p| {
            (threshold(p).up_factor, threshold(p).down_factor) = (up_factor, down_factor);
            (p.out.cooldown, p.out.stabilization, p.warm_up) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        });
        let decision = group.decide();
        let done = decision.launches() as i64 - decision.lets_go().len() as i64;
        assert_eq!(done, change, "{name}: {}", decision.report.headline);
    }
    for (name, text) in [
        ("with a factor of 1 it asked for 0 instances and died", r#"{"scaling": {"scale_up_factor": 1}}"#),
        ("with max below min it asked for -1", r#"{"min_instances": 5, "max_instances": 2}"#),
    ] {
        assert!(Policy::parse(text).is_err(), "{name}: it is refused");
    }
}
