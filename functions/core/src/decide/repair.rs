//! The unhealthy are replaced (H1, H3, H4, H5), and never because we ourselves cannot see (S5).

use crate::intent::Cause;
use crate::member::{MemberState, Phase};
use crate::policy::Mode;
use crate::report::Rule;
use crate::time::spoken;

use super::census::Census;
use super::draft::Draft;
use super::launches;

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
        return draft
            .wait(Rule::O1, format!("the mode out-only replaces none of {} unhealthy members", unhealthy.len()));
    }
    let breaker = census.mass_silence(draft.policy);
    if breaker {
        let text = format!(
            "{} of {} members are silent together: assumed to be our own fault, replaced one at a time",
            census.silent, census.ever
        );
        draft.remark(Rule::H3, text);
    }
    let mut busy = under_replacement(census);
    let limit = if breaker { WIDTH } else { draft.policy.max_replacing.of(draft.head.desired) };
    for (member, why) in unhealthy {
        match census.pairs.get(&member.id) {
            Some(replacement) => {
                // The replacement stands in: now the old one goes.
                let ready = replacement.is_some_and(|id| census.seats[id].phase == Phase::InService);
                if ready && room_in(census, draft) {
                    draft.remark(Rule::H4, format!("{} is replaced: {why}", member.id));
                    draft.terminate(member, Cause::Unhealthy, true, true);
                }
            }
            None if busy >= limit => {
                draft.wait(Rule::H4, format!("{} waits for its replacement: {limit} at a time", member.id))
            }
            None => {
                if breaker && !interval_over(draft) {
                    draft.wait(
                        Rule::H3,
                        format!(
                            "{} waits for its replacement: one every {}",
                            member.id,
                            spoken(draft.policy.repair_interval)
                        ),
                    );
                    continue;
                }
                busy += 1;
                begin(census, member, &why, draft);
            }
        }
    }
}

/// Begins one replacement: launches first when that keeps *actual* within max, otherwise terminates first (H4).
fn begin(census: &Census<'_>, member: &crate::snapshot::Member, why: &str, draft: &mut Draft<'_>) {
    if draft.actual_after(census) < draft.policy.max {
        if launches::room(census, draft) == 0 {
            return draft.wait(Rule::F8, format!("no launch has room to replace {}", member.id));
        }
        draft.remark(Rule::H1, format!("{} is unhealthy: {why}; its replacement is launched first", member.id));
        launches::launch_one(census, Cause::Unhealthy, Some(member.id.clone()), draft);
    } else {
        if !room_in(census, draft) {
            return draft.wait(Rule::F8, format!("no termination has room to replace {}", member.id));
        }
        draft.remark(Rule::H1, format!("{} is unhealthy: {why}; at max it is terminated first", member.id));
        draft.terminate(member, Cause::Unhealthy, true, true);
    }
    draft.head.repaired_at = Some(draft.now);
}

/// Members under replacement now: pairs, and those terminated first whose seat is not filled again.
fn under_replacement(census: &Census<'_>) -> u32 {
    let first = census.seats.values().filter(
        |seat| matches!(&seat.member.state, MemberState::Terminating(leaving) if leaving.cause == Cause::Unhealthy),
    );
    u32::try_from(census.pairs.len() + first.count()).unwrap_or(u32::MAX)
}

fn interval_over(draft: &Draft<'_>) -> bool {
    draft.head.repaired_at.is_none_or(|at| draft.now.since(at) >= draft.policy.repair_interval)
}

fn room_in(census: &Census<'_>, draft: &Draft<'_>) -> bool {
    let pace = draft.policy.inward;
    draft.head.terminations.room(census.now, pace.window, pace.limit, census.counts.actual) > 0
}
