//! The shipped way of letting go holds in every state; without any one of its rules it does not.

use super::{D6_CLOSED_LAST, D7_MIN_STAYS, Design, H4_ONE_STAYS, Leaving, Role, S4_TERMINATING};
use crate::checking::{fails, holds};

/// Three members, one of which has to stay; desired falls and rises.
fn shrinking(design: Design) -> Leaving {
    let group = &[Role::Plain; 3];
    Leaving { design, group, min: 1, desired: 3, sizes: 2, flips: 0, deaths: 1, refusals: 0 }
}

/// An unhealthy member, its replacement, and one more; the unhealthy one may recover and fall ill again.
fn replacing(design: Design) -> Leaving {
    let group = &[Role::Old, Role::New, Role::Plain];
    Leaving { design, group, min: 1, desired: 2, sizes: 0, flips: 3, deaths: 1, refusals: 0 }
}

#[test]
fn s4_d4_d6_d7_the_shipped_way_of_scaling_in_holds() {
    holds(
        Leaving {
            group: &[Role::Plain; 4],
            desired: 4,
            sizes: 3,
            deaths: 2,
            refusals: 1,
            ..shrinking(Design::Shipped)
        },
        100_000,
    );
}

#[test]
fn h4_the_shipped_way_of_replacing_holds() {
    holds(Leaving { flips: 4, deaths: 2, refusals: 1, ..replacing(Design::Shipped) }, 50_000);
}

/// Two controllers each let the last but one go, and neither is the other's.
#[test]
fn d7_a_claim_without_the_version_fails() {
    fails(&shrinking(Design::ClaimAnyVersion), D7_MIN_STAYS);
}

/// One gives the replacement up, the other has seen it boot and ends the old one.
#[test]
fn h4_a_claim_without_the_version_fails() {
    fails(&replacing(Design::ClaimAnyVersion), H4_ONE_STAYS);
}

/// What is chosen on a stale reading ends at once, and the records know nothing of it.
#[test]
fn s4_terminating_without_a_claim_fails() {
    fails(&shrinking(Design::TerminateUnclaimed), S4_TERMINATING);
}

/// A committed termination may be on its way already: D4 takes back who is Draining, never who is Terminating.
#[test]
fn s4_taking_back_a_committed_termination_fails() {
    fails(&shrinking(Design::TakeBackTerminating), S4_TERMINATING);
}

/// DescribeInstances is eventually consistent (H7).
#[test]
fn d6_closing_whoever_is_not_listed_fails() {
    fails(&shrinking(Design::CloseUnlisted), D6_CLOSED_LAST);
}

/// The surplus of a replacement is no scale-in: its members are repair's (C4, D1).
#[test]
fn h4_choosing_victims_among_a_pair_fails() {
    fails(&replacing(Design::PairIsTwo), H4_ONE_STAYS);
}
