//! The shipped launch saga holds in every state; without any one of its rules it does not.

use super::{Design, Launching, NO_LEAK, S1_ALIVE, S1_BOUNDED, S2_ONE_PER_INTENT, S3_INTENT_FIRST};
use crate::checking::{fails, holds};

/// Two workers fill two slots; a test states only its difference.
fn example(design: Design) -> Launching {
    Launching { design, workers: 2, max: 2, deaths: 2, shortages: 1, refusals: 0, cancels: 0 }
}

#[test]
fn s1_s2_s3_the_shipped_saga_holds_with_three_workers_three_slots_and_four_faults() {
    holds(Launching { workers: 3, max: 3, deaths: 2, shortages: 2, ..example(Design::Shipped) }, 800_000);
}

#[test]
fn f6_launches_may_be_taken_back_as_long_as_nobody_has_tried_them() {
    holds(Launching { workers: 3, cancels: 1, ..example(Design::Shipped) }, 130_000);
}

/// Without a claim's version two who have counted the same gap both fill it.
#[test]
fn s1_a_claim_without_the_version_fails() {
    fails(&example(Design::ClaimAnyVersion), S1_BOUNDED);
}

/// What has been launched is not shown yet, and what has been ordered is never shown.
#[test]
fn s1_counting_by_describe_fails() {
    fails(&example(Design::CountByDescribe), S1_BOUNDED);
    fails(&example(Design::CountByDescribe), S1_ALIVE);
}

/// Whoever dies after the call leaves an instance of which nobody knows.
#[test]
fn s3_a_call_before_its_claim_fails() {
    fails(&example(Design::CallBeforeClaim), S3_INTENT_FIRST);
}

/// A repeated call is another call.
#[test]
fn s2_a_token_for_each_attempt_fails() {
    fails(&example(Design::RandomToken), S2_ONE_PER_INTENT);
}

/// The other zone does not know the token: when the reply from there is lost, the first zone launches as well.
#[test]
fn s2_a_token_tried_in_another_zone_fails() {
    fails(&example(Design::TokenIntoOtherZone), S2_ONE_PER_INTENT);
}

/// One gives up while the call of another is on its way.
#[test]
fn l1_abandoning_without_a_lease_fails() {
    fails(&example(Design::NoLease), NO_LEAK);
}

/// A lease that has come and gone in between may have launched.
#[test]
fn l1_abandoning_whenever_nobody_holds_the_intent_fails() {
    fails(&example(Design::AbandonWhenFree), NO_LEAK);
}

/// An answer of long ago gives up what a later attempt has launched.
#[test]
fn l1_settling_without_the_attempt_fails() {
    fails(&example(Design::SettleAnyAttempt), NO_LEAK);
}

/// The next holder finds no capacity and gives up; then the late call launches.
#[test]
fn l1_a_call_that_outlives_its_lease_fails() {
    fails(&example(Design::CallOutlivesLease), NO_LEAK);
}

/// The claim sees an intent untried, and its lease does not raise the version.
#[test]
fn f6_taking_a_launch_back_without_asking_whether_it_was_tried_fails() {
    fails(&Launching { cancels: 1, ..example(Design::CancelTried) }, NO_LEAK);
}

/// A refusal that comes before EC2 looks at the token - a permission taken away, a template deleted - says nothing of earlier
/// attempts: one of them may have launched, and its instance is then nobody's.
#[test]
fn l10_giving_up_a_later_attempt_without_looking_leaks() {
    fails(&Launching { refusals: 1, ..example(Design::RefusalsEndAnyAttempt) }, NO_LEAK);
}

/// The code looks up what earlier attempts have launched before it gives an intent up (L10).
#[test]
fn l10_refusals_leak_nothing() {
    holds(Launching { refusals: 2, ..example(Design::Shipped) }, 100_000);
}
