//! What the seed project TET-P2 would have decided, where it was right. All members have the mean load and have been in
//! service for long.

use crate::common::*;
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
