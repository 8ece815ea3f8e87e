//! Tests of the tests: each weaker design is played through the same schedules, and the invariants must find it.
//!
//! A design is bent into the ports of one invocation, so everything but the weakness is the code that ships.

use muster_sim::{Schedule, Weakness, run_weak};

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
