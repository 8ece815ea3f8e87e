//! Steps that follow from earlier decisions: facts are written down, drains and terminations are brought to their end.
//! They need no fresh sweep (O8), and every one may be repeated harmlessly.

use std::time::Duration;

use crate::group::Sightings;
use crate::intent::Cause;
use crate::member::{MemberState, Phase};
use crate::plan::Step;
use crate::report::Rule;
use crate::time::{Timestamp, spoken};

use super::census::Census;
use super::draft::Draft;

/// NotFound is EC2's word only when given this often ... (H7)
const NOT_FOUND_TIMES: u32 = 3;
/// ... over at least this long: DescribeInstances is eventually consistent (H7).
const NOT_FOUND_SPAN: Duration = Duration::from_secs(3600);
/// Sweep periods that a drain may take beyond its timeout when no `Unregister` gets through (D3).
const DRAIN_GRACE_PERIODS: u32 = 3;
/// A Terminating member that EC2 still lists as running this long after is terminated again.
const TERMINATE_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Whether so many listings without a member prove that it is gone (H7).
pub(super) fn proves_absence(seen: &Sightings, now: Timestamp) -> bool {
    seen.count >= NOT_FOUND_TIMES && now.since(seen.first) >= NOT_FOUND_SPAN
}

/// Writes down first answers and departures, and counts who is not listed.
pub(super) fn record_facts(census: &Census<'_>, draft: &mut Draft<'_>) {
    for member in &census.gone {
        let lost = !matches!(member.state, MemberState::Terminating(_));
        draft.steps.push(Step::Close { id: member.id.clone(), lost });
        draft.head.not_found.remove(&member.id);
        if lost {
            draft.remark(Rule::H7, format!("EC2 says that {} is gone, though nobody here ended it", member.id));
        }
    }
    if let Some(unlisted) = &census.unlisted {
        draft.head.not_found.retain(|id, _| unlisted.contains(id));
        for id in unlisted.iter().filter(|id| census.seats.contains_key(*id)) {
            let seen = draft.head.not_found.entry((*id).clone()).or_insert(Sightings { first: census.now, count: 0 });
            seen.count = seen.count.saturating_add(1);
        }
    } else {
        draft.remark(Rule::H7, "EC2 could not be asked: nothing is concluded about who is gone".into());
    }
    for seat in census.seats.values() {
        if seat.member.state == MemberState::Pending
            && let Some(first_answer) = seat.first_answer
        {
            draft.steps.push(Step::Confirm { id: seat.member.id.clone(), first_answer });
            draft.head.remember_boot_time(first_answer.since(seat.member.intended_at));
            draft.head.boot_failures = 0;
        }
    }
}

/// Terminates members that have drained or had their time (D3).
pub(super) fn finish_drains(census: &Census<'_>, draft: &mut Draft<'_>) {
    for seat in census.seats.values() {
        let MemberState::Draining(leaving) = &seat.member.state else { continue };
        let timeout = Duration::from_millis(leaving.timeout_ms);
        let delivered = seat.member.health.as_ref().and_then(|health| health.unregistered_at);
        let (start, span) = match delivered {
            Some(at) => (at, timeout),
            None => (leaving.since, timeout + census.period * DRAIN_GRACE_PERIODS),
        };
        // Silence of everybody is ours to mend: a drain for the load's sake waits it out.
        let passed = if leaving.cause == Cause::Load {
            draft.head.lit_since(start, census.now)
        } else {
            census.now.since(start)
        };
        let over = passed >= span && !(leaving.cause == Cause::Load && census.nobody_answers());
        if seat.drained() || over {
            draft.remark(
                Rule::D3,
                if seat.drained() {
                    format!("{} has drained", seat.member.id)
                } else {
                    format!("{} has had its {} to drain", seat.member.id, spoken(timeout))
                },
            );
            draft.terminate(seat.member, leaving.cause, false, false);
        } else {
            draft.wait(
                Rule::D3,
                format!("{} is draining, {} left", seat.member.id, spoken(span.saturating_sub(passed))),
            );
        }
    }
}

/// Terminates again what EC2 still lists although it was told to end it: the call may be repeated (D6).
pub(super) fn repeat_terminations(census: &Census<'_>, draft: &mut Draft<'_>) {
    for seat in census.seats.values() {
        let MemberState::Terminating(leaving) = &seat.member.state else { continue };
        let listed = census.unlisted.as_ref().is_some_and(|unlisted| !unlisted.contains(&seat.member.id));
        let open = census.ending.contains(&seat.member.id);
        if listed && !open && census.now.since(leaving.since) >= TERMINATE_AGAIN_AFTER {
            draft.remark(Rule::D6, format!("EC2 still lists {}: it is terminated again", seat.member.id));
            draft.terminate(seat.member, leaving.cause, false, false);
        }
    }
}

/// Terminates launches whose agent never answered in time (L8).
pub(super) fn give_up_boots(census: &Census<'_>, draft: &mut Draft<'_>) {
    if census.nobody_answers() {
        return;
    }
    for seat in census.seats.values().filter(|seat| seat.phase == Phase::Pending) {
        if draft.head.lit_since(seat.member.launched_at, census.now) >= draft.policy.boot_timeout {
            draft.remark(
                Rule::L8,
                format!("{} has not answered within {}", seat.member.id, spoken(draft.policy.boot_timeout)),
            );
            draft.terminate(seat.member, Cause::BootTimeout, false, true);
            draft.head.boot_failures = draft.head.boot_failures.saturating_add(1);
        }
    }
}
