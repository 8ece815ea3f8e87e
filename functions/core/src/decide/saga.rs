//! Steps that follow from earlier decisions: facts are written down, drains and terminations are brought to their end.
//! They need no fresh sweep (O8), and every one may be repeated harmlessly.

use std::time::Duration;

use crate::group::{Head, Sightings};
use crate::health::Health;
use crate::intent::Cause;
use crate::member::{Leaving, MemberState, Phase};
use crate::plan::Step;
use crate::report::Rule;
use crate::time::{Timestamp, spoken};

use super::census::Census;
use super::draft::Draft;

/// NotFound is EC2's word only when given this often ... (H7)
const NOT_FOUND_TIMES: u32 = 3;
/// ... over at least this long: DescribeInstances is eventually consistent (H7).
const NOT_FOUND_SPAN: Duration = Duration::from_secs(3600);
/// Sweep periods that a drain may take beyond its timeout, because `Unregister` crosses over with a sweep (D3).
const DRAIN_GRACE_PERIODS: u32 = 3;
/// A Terminating member that EC2 still lists as running this long after is terminated again.
const TERMINATE_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The sightings of a member that this listing does not hold, either.
pub(super) fn unlisted_again(before: Option<&Sightings>, now: Timestamp) -> Sightings {
    let (first, count) = before.map_or((now, 0), |seen| (seen.first, seen.count));
    Sightings { first, count: count.saturating_add(1) }
}

/// Whether so many listings without a member prove that it is gone (H7).
pub(super) fn proves_absence(seen: &Sightings, now: Timestamp) -> bool {
    seen.count >= NOT_FOUND_TIMES && now.since(seen.first) >= NOT_FOUND_SPAN
}

/// Writes down first answers and departures, and counts who is not listed.
pub(super) fn record_facts(census: &Census<'_>, draft: &mut Draft<'_>) {
    for member in &census.gone {
        let lost = !matches!(member.state, MemberState::Terminating(_));
        if !draft.record(Step::Close { id: member.id.clone(), lost }) {
            continue;
        }
        draft.head.not_found.remove(&member.id);
        if lost {
            draft.remark(Rule::H7, format!("EC2 says that {} is gone, though nobody here ended it", member.id));
        }
    }
    if let Some(unlisted) = &census.unlisted {
        draft.head.not_found.retain(|id, _| unlisted.contains(id));
        for id in unlisted.iter().filter(|id| census.seats.contains_key(*id)) {
            let seen = unlisted_again(draft.head.not_found.get(*id), census.now);
            draft.head.not_found.insert((*id).clone(), seen);
        }
    } else {
        draft.remark(Rule::H7, "EC2 could not be asked: nothing is concluded about who is gone".into());
    }
    for seat in census.seats.values() {
        if seat.member.state == MemberState::Pending
            && let Some(first_answer) = seat.first_answer
            && draft.record(Step::Confirm { id: seat.member.id.clone(), first_answer })
        {
            draft.head.remember_boot_time(first_answer.since(seat.member.intended_at));
        }
    }
}

/// Terminates members that have drained or had their time (D3).
pub(super) fn finish_drains(census: &Census<'_>, draft: &mut Draft<'_>) {
    for seat in census.seats.values() {
        let MemberState::Draining(leaving) = &seat.member.state else { continue };
        let left = time_to_drain(census, leaving, seat.member.health.as_ref(), &draft.head);
        // Silence of everybody is ours to mend: a drain for the load's sake waits it out.
        let waits = leaving.cause == Cause::Load && census.nobody_answers();
        let id = &seat.member.id;
        if seat.drained() && !waits {
            draft.remark(Rule::D3, format!("{id} has drained"));
        } else if left.is_zero() && !waits {
            draft.remark(Rule::D3, format!("{id} has had its time to drain"));
        } else {
            draft.wait(Rule::D3, format!("{id} is draining, {} left", spoken(left)));
            continue;
        }
        draft.terminate(seat.member, leaving.cause, false);
    }
}

/// The time until a drain's deadline: it runs from the first `Unregister` that was delivered, and ends at most three
/// periods later than if that had been at once.
fn time_to_drain(census: &Census<'_>, leaving: &Leaving, health: Option<&Health>, head: &Head) -> Duration {
    let timeout = Duration::from_millis(leaving.timeout_ms);
    let passed = |start| match leaving.cause {
        Cause::Load => head.lit_since(start, census.now),
        _ => census.now.since(start),
    };
    let cap = (timeout + census.period * DRAIN_GRACE_PERIODS).saturating_sub(passed(leaving.since));
    let delivered = health.and_then(|health| health.unregistered_at);
    delivered.map_or(cap, |at| timeout.saturating_sub(passed(at)).min(cap))
}

/// Terminates again what EC2 still lists although it was told to end it: the call may be repeated (D6).
pub(super) fn repeat_terminations(census: &Census<'_>, draft: &mut Draft<'_>) {
    for seat in census.seats.values() {
        let MemberState::Terminating(leaving) = &seat.member.state else { continue };
        let listed = census.unlisted.as_ref().is_some_and(|unlisted| !unlisted.contains(&seat.member.id));
        let open = census.ending.contains(&seat.member.id);
        if listed && !open && census.now.since(leaving.since) >= TERMINATE_AGAIN_AFTER {
            draft.remark(Rule::D6, format!("EC2 still lists {}: it is terminated again", seat.member.id));
            draft.terminate(seat.member, leaving.cause, false);
        }
    }
}

/// Terminates launches whose agent never answered in time (L8).
pub(super) fn give_up_boots(census: &Census<'_>, draft: &mut Draft<'_>) {
    if census.nobody_answers() {
        return;
    }
    for seat in census.seats.values().filter(|seat| seat.phase == Phase::Pending) {
        if draft.head.lit_since(seat.member.launched_at, census.now) < draft.policy.boot_timeout {
            continue;
        }
        let text = format!("{} has not answered within {}", seat.member.id, spoken(draft.policy.boot_timeout));
        draft.remark(Rule::L8, text);
        if draft.room_in() == 0 {
            draft.wait(Rule::F8, format!("no termination has room to give {} up", seat.member.id));
        } else {
            draft.terminate(seat.member, Cause::BootTimeout, true);
        }
    }
}
