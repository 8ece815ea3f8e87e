//! Tests of the tests: each weaker design is played through the same schedules, and the invariants must find it.
//!
//! A design is bent into the ports of one invocation, so everything but the weakness is the code that ships.

use std::time::Duration;

use muster_sim::{Demand, Fault, Schedule, Weakness, run_weak};
use serde_json::json;

/// The first of `within` schedules in which the design breaks one of `rules`; a panic when there is none.
fn caught(weakness: Weakness, rules: &[&str], within: u64) {
    let mut others = Vec::new();
    for seed in 0..within {
        let outcome = run_weak(&Schedule::of(seed), weakness);
        let found: Vec<&str> = outcome.violations.iter().map(|violation| violation.rule).collect();
        if found.iter().any(|rule| rules.contains(rule)) {
            println!("{weakness:?} is caught by seed {seed}: {}", outcome.violations[0]);
            return;
        }
        others.extend(found);
    }
    panic!("{weakness:?} breaks none of {rules:?} within {within} schedules, but {others:?}");
}

#[test]
fn a_random_token_for_each_attempt_launches_twice() {
    caught(Weakness::RandomToken, &["S2"], 60);
}

#[test]
fn counting_by_describe_launches_beyond_max() {
    caught(Weakness::CountByDescribe, &["S1"], 300);
}

#[test]
fn a_claim_without_the_version_decides_twice() {
    caught(Weakness::UnconditionalClaim, &["S1", "S6", "S7"], 100);
}

#[test]
fn the_same_token_in_a_fallback_zone_launches_twice() {
    caught(Weakness::SameTokenElsewhere, &["S2"], 100);
}

#[test]
fn a_breaker_that_latches_never_replaces_half_a_group() {
    caught(Weakness::LatchingBreaker, &["V4"], 300);
}

#[test]
fn giving_up_an_intent_that_had_no_answer_leaks_an_instance() {
    caught(Weakness::AbandonUnanswered, &["S1"], 200);
}

#[test]
fn silence_taken_for_idleness_lets_members_go_in_the_dark() {
    caught(Weakness::SilenceIsZero, &["S5"], 200);
}

/// Two holders of one intent: one gives it up for want of capacity while the other's call goes through.
#[test]
fn abandoning_without_a_lease_leaks_an_instance() {
    let mut rules = Vec::new();
    // Such a race is rare: the search begins shortly before one that is known.
    for seed in 175..600 {
        let policy = json!({"min_instances": 8, "max_instances": 8});
        let mut schedule = Schedule::quiet(seed, policy, Demand::constant(300.0), Duration::from_secs(1_800));
        schedule = schedule.rate(Fault::Overlap, 1.0).rate(Fault::LostReply, 0.3);
        for n in 0..40 {
            let from = 100 + n * 40 + seed % 7;
            schedule = schedule.at(Fault::HandTerminate, from, from, n * 3 + seed);
            // The doorbell after it finds capacity gone and back from one second to the next.
            for second in (0..30).step_by(2) {
                schedule = schedule.at(Fault::Capacity, from + second, from + second + 1, 12);
            }
        }
        let outcome = run_weak(&schedule, Weakness::NoLease);
        rules.extend(outcome.violations.iter().map(|violation| violation.rule));
        if rules.contains(&"S1") {
            println!("seed {seed}: {}", outcome.violations[0]);
            return;
        }
    }
    panic!("no leak in any schedule, but {rules:?}");
}
