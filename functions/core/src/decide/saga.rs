//! Steps that follow from earlier decisions: facts are written down, drains and terminations are brought to their end.
//! They need no fresh sweep (O8), and every one may be repeated harmlessly.

use std::time::Duration;

use crate::group::Head;
use crate::health::Health;
use crate::history::Sightings;
use crate::intent::Cause;
use crate::member::{Leaving, MemberState, Phase};
use crate::plan::{Departure, Step};
use crate::report::Rule;
use crate::snapshot::Member;
use crate::time::{Timestamp, spoken};

use super::breaker::{self, Proof};
use super::census::{Census, Seat};
use super::draft::Draft;
use super::launches;

/// NotFound is EC2's word only when given this often ... (H7)
const NOT_FOUND_TIMES: u32 = 3;
/// ... over at least this long: DescribeInstances is eventually consistent (H7).
const NOT_FOUND_SPAN: Duration = Duration::from_secs(3600);
/// Sweep periods that a drain may take beyond its timeout, because `Unregister` crosses over with a sweep (D3).
const DRAIN_GRACE_PERIODS: u32 = 3;
/// Members that are counted as not listed at a time, for the same reason.
const NOT_FOUND_KEPT: usize = 500;
/// Protected members that are remembered for when EC2 cannot be asked: HEAD must stay small.
const PROTECTED_KEPT: usize = 500;
/// Members marked for draining that are remembered, for the same reason.
const MARKED_KEPT: usize = 500;
/// A Terminating member that EC2 still lists as running this long after is terminated again.
const TERMINATE_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The sightings of what has been seen once more.
pub(super) fn sighted_again(before: Option<&Sightings>, now: Timestamp) -> Sightings {
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
        let ended = matches!(member.state, MemberState::Terminating(_));
        let departure = if ended { Departure::Ended } else { Departure::Lost };
        if !draft.record(Step::Close { id: member.id.clone(), departure }) {
            continue;
        }
        draft.head.not_found.remove(&member.id);
        if !ended {
            draft.remark(Rule::H7, format!("EC2 says that {} is gone, though nobody here ended it", member.id));
            lost_unanswered(census, member, draft);
        }
    }
    for member in &census.disowned {
        if draft.record(Step::Close { id: member.id.clone(), departure: Departure::Disowned }) {
            draft.head.not_found.remove(&member.id);
            let text = format!("{} no longer carries the group's tag: it is left alone", member.id);
            draft.remark(Rule::O5, text);
        }
    }
    if let Some(tagged) = &census.tagged {
        draft.head.protected = tagged.iter().take(PROTECTED_KEPT).map(|id| (*id).clone()).collect();
    }
    if census.unlisted.is_some() {
        let marked = census.seats.values().filter_map(|seat| Some((seat.member.id.clone(), seat.marked?)));
        draft.head.marked = marked.take(MARKED_KEPT).collect();
    }
    if let Some(unlisted) = &census.unlisted {
        draft.head.not_found.retain(|id, _| unlisted.contains(id));
        for id in unlisted.iter().filter(|id| census.seats.contains_key(*id)) {
            let before = draft.head.not_found.get(*id);
            if before.is_some() || draft.head.not_found.len() < NOT_FOUND_KEPT {
                let seen = sighted_again(before, census.now);
                draft.head.not_found.insert((*id).clone(), seen);
            }
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
            let record = launches::record_of(census, seat.member, draft);
            (record.proven, record.failures) = (true, 0);
            prove(seat.member, Proof::Healthy, draft);
        }
    }
}

/// A launch that is gone before it ever answered: a version of which nobody has ever answered has failed once more (L9).
fn lost_unanswered(census: &Census<'_>, member: &Member, draft: &mut Draft<'_>) {
    let answered = member.health.as_ref().is_some_and(|health| health.first_answer.is_some());
    if member.state != MemberState::Pending || answered {
        return;
    }
    prove(member, Proof::Failed, draft);
    if !launches::is_proven(census, &draft.head, member) {
        note_failure(census, member, draft);
    }
}

/// What a replacement has come to turns the breaker's width (H3).
fn prove(member: &Member, proof: Proof, draft: &mut Draft<'_>) {
    if member.replaces.is_some() {
        breaker::prove(proof, &mut draft.head);
    }
}

/// Notes that a launch from a member's template version has failed (L8, L9).
fn note_failure(census: &Census<'_>, member: &Member, draft: &mut Draft<'_>) {
    let policy = draft.head.policy;
    let record = launches::record_of(census, member, draft);
    record.failures = record.failures.saturating_add(1);
    record.policy = policy;
}

/// Terminates members that somebody has stopped: they serve nobody, and could come back beside those that replace them
/// (O5).
pub(super) fn end_stopped(census: &Census<'_>, draft: &mut Draft<'_>) {
    let stopped = census.seats.values().filter(|seat| seat.stopped && seat.phase != Phase::Terminating);
    for seat in stopped {
        let id = &seat.member.id;
        draft.remark(Rule::O5, format!("somebody has stopped {id}"));
        let paced = seat.phase.is_actual();
        if paced && draft.room_in() == 0 {
            draft.wait(Rule::F8, format!("no termination has room for {id}"));
        } else {
            draft.terminate(seat.member, Cause::Stopped, paced);
        }
    }
}

/// Drains members whose machine is about to go, by its agent's word (H6).
pub(super) fn drain_leaving(census: &Census<'_>, draft: &mut Draft<'_>) {
    for seat in census.seats.values().filter(|seat| seat.phase.is_actual() && seat.leaves()) {
        let id = &seat.member.id;
        if draft.leaving.contains(id) {
            continue;
        }
        draft.remark(Rule::H6, format!("{id} says that its machine is about to go"));
        if draft.room_in() == 0 {
            draft.wait(Rule::F8, format!("no drain has room for {id}"));
        } else {
            draft.drain(id, Cause::Leaving);
        }
    }
}

/// Takes back drains before anything new is launched: the youngest first, and never one that has drained (D4).
pub(super) fn take_back(census: &Census<'_>, draft: &mut Draft<'_>) {
    let mut drains: Vec<_> = census
        .seats
        .values()
        // Whom an operator wants gone would have to go again at once (D8).
        .filter(|seat| seat.wanted_gone().is_none())
        .filter_map(|seat| {
            let leaving = returns(census, seat, &draft.head)?;
            matches!(leaving.cause, Cause::Load | Cause::Bounds).then_some((leaving.since, &seat.member.id))
        })
        .collect();
    drains.sort_by(|(a_since, a), (b_since, b)| b_since.cmp(a_since).then_with(|| a.cmp(b)));
    for (_, id) in drains {
        let short = draft.effective(census) < draft.head.desired;
        if !short || launches::room_below_max(census, draft) == 0 {
            break;
        }
        if draft.take_back(id) {
            draft.remark(Rule::D4, format!("{id} is needed after all: its drain is taken back"));
        }
    }
}

/// The drain of a member that could be taken back (D4): it has not drained, its machine is there, it serves, and it has time left.
/// One that has had its time is finished: whether it answered just now must not decide about its end (S10).
pub(super) fn returns<'a>(census: &Census<'_>, seat: &Seat<'a>, head: &Head) -> Option<&'a Leaving> {
    let MemberState::Draining(leaving) = &seat.member.state else { return None };
    let serves = seat.answered() && seat.unhealthy.is_none() && !seat.leaves() && !seat.stopped;
    let left = time_to_drain(census, leaving, seat.member.health.as_ref(), head);
    (serves && !seat.drained() && (leaving.wait || !left.is_zero())).then_some(leaving)
}

/// Terminates members that have drained or had their time (D3).
pub(super) fn finish_drains(census: &Census<'_>, draft: &mut Draft<'_>) {
    for seat in census.seats.values() {
        let MemberState::Draining(leaving) = &seat.member.state else { continue };
        if draft.returning.contains(&seat.member.id) || draft.leaving.contains(&seat.member.id) {
            continue;
        }
        let left = time_to_drain(census, leaving, seat.member.health.as_ref(), &draft.head);
        // Silence of everybody is ours to mend: a drain for the load's sake waits it out.
        let waits = leaving.cause == Cause::Load && census.nobody_answers();
        let id = &seat.member.id;
        if seat.drained() && !waits {
            draft.remark(Rule::D3, format!("{id} has drained"));
        } else if left.is_zero() && leaving.wait && !waits {
            // Its patience ends with its agent: who never answers again never says that it has drained.
            let Some(why) = seat.unhealthy.as_ref().filter(|_| seat.dead && census.trusted) else {
                draft.wait(Rule::D3, format!("{id} has had its time to drain, and is waited for"));
                continue;
            };
            draft.remark(Rule::D3, format!("{id} was waited for, but {why}"));
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
    // While the mode changes nothing nobody is told to drain (O1): that time is not the member's.
    let passed = |start| {
        let passed = match leaving.cause {
            Cause::Load => head.lit_since(start, census.now),
            Cause::Bounds
            | Cause::Lost
            | Cause::Unhealthy
            | Cause::BootTimeout
            | Cause::Leaving
            | Cause::Stopped
            | Cause::Operator
            | Cause::Orphan => census.now.since(start),
        };
        passed.saturating_sub(head.halted_since(start, census.now))
    };
    let cap = (timeout + census.period * DRAIN_GRACE_PERIODS).saturating_sub(passed(leaving.since));
    let delivered = health.and_then(|health| health.unregistered_at);
    // One that was delivered in an earlier drain, since taken back, says nothing about this one.
    delivered.map_or(cap, |at| timeout.saturating_sub(passed(at.max(leaving.since))).min(cap))
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
        } else if draft.terminate(seat.member, Cause::BootTimeout, true) {
            note_failure(census, seat.member, draft);
            prove(seat.member, Proof::Failed, draft);
        }
    }
}
