//! What earlier calls have come to, folded into what decisions must remember of it (F3, L4, L5). Settlements only append
//! to HEAD's outcomes; what they mean is decided here.

use std::time::Duration;

use crate::group::{Head, LaunchRefusal, Outcome, Place, Scarcity};
use crate::intent::Cause;
use crate::time::Timestamp;

/// A place without capacity is left alone for this long ... (L4)
const SCARCE_FIRST: Duration = Duration::from_secs(3 * 60);
/// ... doubling to this.
const SCARCE_LAST: Duration = Duration::from_secs(10 * 60);
/// A scarcity that nothing has been heard of for this long after its end is forgotten.
const SCARCE_KEPT: Duration = Duration::from_secs(30 * 60);
/// Places remembered at most: 16 zones of 32 types each could fail, HEAD must stay small.
const PLACES_KEPT: usize = 64;
/// After EC2 has refused a launch as it is, nothing is launched for this long ... (L5)
const REFUSED_FIRST: Duration = Duration::from_secs(60);
/// ... doubling to this: V1 gives a group 15 minutes.
const REFUSED_LAST: Duration = Duration::from_secs(10 * 60);

/// Folds HEAD's outcomes into the rest of it.
pub(super) fn fold(head: &mut Head, now: Timestamp) {
    for outcome in std::mem::take(&mut head.outcomes) {
        match outcome {
            Outcome::Launched { at, cause, place } => {
                if cause == Cause::Load {
                    head.launch_accepted_at = head.launch_accepted_at.max(Some(at));
                }
                head.capacity.retain(|scarce| scarce.place != place);
                head.launch_refusal = None;
            }
            Outcome::NoCapacity { at, place } => note_scarcity(head, at, place),
            Outcome::Refused { at, reason } => note_refusal(head, at, reason),
        }
    }
    head.capacity.retain(|scarce| now.since(scarce.until) < SCARCE_KEPT);
    // An edited policy may have cured what EC2 refused, and its operator has looked at what did not boot.
    head.launch_refusal.take_if(|refusal| refusal.policy != head.policy);
    let policy = head.policy;
    for template in head.templates.iter_mut().filter(|template| template.policy != policy) {
        template.failures = 0;
    }
}

fn note_scarcity(head: &mut Head, at: Timestamp, place: Place) {
    match head.capacity.iter_mut().find(|scarce| scarce.place == place) {
        // Several launches of one claim fail together: that is one failure.
        Some(scarce) if at < scarce.until => {}
        Some(scarce) => {
            scarce.failures = scarce.failures.saturating_add(1);
            scarce.until = at.plus(backoff(SCARCE_FIRST, SCARCE_LAST, scarce.failures));
        }
        None => {
            let until = at.plus(SCARCE_FIRST);
            head.capacity.push(Scarcity { place, failures: 1, until });
            let excess = head.capacity.len().saturating_sub(PLACES_KEPT);
            head.capacity.drain(..excess);
        }
    }
}

fn note_refusal(head: &mut Head, at: Timestamp, reason: String) {
    let failures = match &head.launch_refusal {
        Some(refusal) if at < refusal.until => refusal.failures,
        Some(refusal) => refusal.failures.saturating_add(1),
        None => 1,
    };
    let until = at.plus(backoff(REFUSED_FIRST, REFUSED_LAST, failures));
    head.launch_refusal = Some(LaunchRefusal { reason, failures, until, policy: head.policy });
}

/// `first`, doubled with every failure after the first, and never more than `last`.
fn backoff(first: Duration, last: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    first.saturating_mul(1 << doublings).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l4_a_place_is_left_alone_for_three_minutes_doubling_to_ten() {
        let minutes: Vec<u64> = (1..=5).map(|n| backoff(SCARCE_FIRST, SCARCE_LAST, n).as_secs() / 60).collect();
        assert_eq!(minutes, [3, 6, 10, 10, 10]);
        assert_eq!(backoff(REFUSED_FIRST, REFUSED_LAST, u32::MAX), REFUSED_LAST);
    }

    #[test]
    fn l4_what_fails_together_is_one_failure() {
        let at = Timestamp::from_millis(1_000_000);
        let outcome = |at| Outcome::NoCapacity { at, place: Place::default() };
        let mut head = Head { outcomes: vec![outcome(at), outcome(at)], ..Head::default() };
        fold(&mut head, at);
        assert_eq!((head.capacity[0].failures, head.outcomes.len()), (1, 0));
        let later = head.capacity[0].until;
        head.outcomes = vec![outcome(later)];
        fold(&mut head, later);
        assert_eq!((head.capacity[0].failures, head.capacity[0].until), (2, later.plus(SCARCE_FIRST * 2)));
        head.outcomes = vec![Outcome::Launched { at: later, cause: Cause::Bounds, place: Place::default() }];
        fold(&mut head, later);
        assert_eq!((head.capacity, head.launch_accepted_at), (Vec::new(), None));
    }
}
