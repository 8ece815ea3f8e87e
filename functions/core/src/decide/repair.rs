//! The unhealthy are replaced (H1, H3, H4, H5), and never because we ourselves cannot see (S5).

use std::collections::BTreeSet;

use crate::intent::Cause;
use crate::member::{InstanceId, MemberState, Phase};
use crate::policy::Mode;
use crate::report::Rule;
use crate::snapshot::Member;
use crate::time::spoken;

use super::census::Census;
use super::draft::Draft;
use super::{counted, launches};

/// Members that may be under replacement at a time while the breaker holds (H3). It grows when the sagas are whole.
const WIDTH: u32 = 1;

/// Replaces unhealthy members, as far as the limits have room. Neither desired nor a cooldown changes (H5).
pub(super) fn repair(census: &Census<'_>, draft: &mut Draft<'_>) {
    let unhealthy: Vec<_> = census
        .seats
        .values()
        .filter(|seat| seat.phase.is_actual() && !draft.leaving.contains(&seat.member.id))
        .filter_map(|seat| Some((seat.member, seat.unhealthy.clone()?)))
        .collect();
    if census.nobody_answers() {
        let text = format!(
            "none of {} members that have answered before answers: assumed to be our own fault, nothing is replaced",
            census.ever
        );
        return draft.remark(Rule::H3, text);
    }
    if draft.policy.mode == Mode::OutOnly && !unhealthy.is_empty() {
        let many = counted(unhealthy.len(), "unhealthy member");
        return draft.wait(Rule::O1, format!("the mode out-only keeps {many}"));
    }
    let breaker = census.mass_silence(draft.policy);
    if breaker {
        let text = format!(
            "{} of {} members are silent together: assumed to be our own fault, replaced one at a time",
            census.silent, census.ever
        );
        draft.remark(Rule::H3, text);
    }
    let (rule, limit) =
        if breaker { (Rule::H3, WIDTH) } else { (Rule::H4, draft.policy.max_replacing.of(draft.head.desired)) };
    let mut vacated = 0;
    let mut busy = under_replacement(census);
    for (member, why) in unhealthy {
        if let Some(replacement) = census.pairs.get(&member.id) {
            if replacement.is_some_and(|id| census.seats[id].phase == Phase::InService) {
                complete(member, &why, draft);
            }
        } else if busy >= limit {
            draft.wait(rule, format!("{} waits for its replacement: {limit} at a time", member.id));
        } else if breaker && !interval_over(draft) {
            let interval = spoken(draft.policy.repair_interval);
            draft.wait(rule, format!("{} waits for its replacement: one every {interval}", member.id));
        } else if begin(census, member, &why, &mut vacated, draft) {
            busy += 1;
            draft.head.repaired_at = Some(draft.now);
        }
    }
}

/// The replacement stands in: now the old one goes.
fn complete(member: &Member, why: &str, draft: &mut Draft<'_>) {
    if draft.room_in() == 0 {
        return draft.wait(Rule::F8, format!("no termination has room for {}, which is replaced", member.id));
    }
    draft.remark(Rule::H4, format!("{} is replaced: {why}", member.id));
    draft.terminate(member, Cause::Unhealthy, true);
}

/// Begins one replacement: launches first when that keeps *actual* within max, otherwise terminates first (H4).
fn begin(census: &Census<'_>, member: &Member, why: &str, vacated: &mut u32, draft: &mut Draft<'_>) -> bool {
    let id = &member.id;
    // A seat that this very plan vacates by terminating first belongs to that member's own replacement.
    if launches::room_below_max(census, draft) > *vacated {
        if launches::room_in_window(census, draft) == 0 {
            draft.wait(Rule::F8, format!("no launch has room to replace {id}"));
            return false;
        }
        draft.remark(Rule::H1, format!("{id} is unhealthy: {why}; its replacement is launched first"));
        launches::launch_replacement(census, id, draft)
    } else {
        if draft.room_in() == 0 {
            draft.wait(Rule::F8, format!("no termination has room to replace {id}"));
            return false;
        }
        draft.remark(Rule::H1, format!("{id} is unhealthy: {why}; at max it is terminated first"));
        let terminated = draft.terminate(member, Cause::Unhealthy, true);
        *vacated += u32::from(terminated);
        terminated
    }
}

/// Members under replacement now: those still there, those terminated first, and those that are gone while their
/// replacement boots.
fn under_replacement(census: &Census<'_>) -> u32 {
    let terminated = census.seats.values().filter(
        |seat| matches!(&seat.member.state, MemberState::Terminating(leaving) if leaving.cause == Cause::Unhealthy),
    );
    let mut busy: BTreeSet<&InstanceId> = terminated.map(|seat| &seat.member.id).collect();
    busy.extend(census.pairs.keys());
    busy.extend(census.replaced(|phase| phase == Phase::Pending));
    u32::try_from(busy.len()).unwrap_or(u32::MAX)
}

fn interval_over(draft: &Draft<'_>) -> bool {
    draft.head.repaired_at.is_none_or(|at| draft.now.since(at) >= draft.policy.repair_interval)
}
