//! The unhealthy are replaced (H1, H3, H4, H5), and never because we ourselves cannot see (S5).

use std::collections::{BTreeMap, BTreeSet};

use crate::intent::Cause;
use crate::member::{InstanceId, MemberState, Phase};
use crate::policy::Mode;
use crate::report::{Remark, Rule};
use crate::snapshot::Member;

use super::census::Census;
use super::draft::Draft;
use super::{breaker, counted, launches};

/// Replaces unhealthy members, as far as the limits have room. Neither desired nor a cooldown changes (H5). In a group that is to be
/// empty nobody is followed by anybody (Z7): who goes there goes for the bound's sake, and whoever is protected stays (D2).
pub(super) fn repair(census: &Census<'_>, draft: &mut Draft<'_>) {
    if draft.policy.empties(draft.head.desired) {
        return;
    }
    let blackout = census.nobody_answers();
    let unhealthy: Vec<_> = census
        .seats
        .values()
        .filter(|seat| seat.phase.is_actual() && !draft.leaving.contains(&seat.member.id))
        // With nobody answering silence is ours, unless EC2 itself says that the instance is impaired (H3).
        .filter(|seat| !blackout || seat.impaired)
        .filter_map(|seat| Some((seat, seat.unhealthy.clone()?)))
        .collect();
    if blackout {
        let text = format!(
            "none of {} members that have answered before answers: assumed to be our own fault, nobody is replaced but whom EC2 \
             itself calls impaired",
            census.silence.ever
        );
        draft.remark(Rule::H3, text);
    }
    if draft.policy.mode == Mode::OutOnly && !unhealthy.is_empty() {
        let many = counted(unhealthy.len(), "unhealthy member");
        return draft.wait(Rule::O1, format!("the mode out-only keeps {many}"));
    }
    let limit = draft.policy.max_replacing.of(draft.head.desired);
    let mut vacated = 0;
    let mut busy = Busy::count(census);
    for (seat, why) in unhealthy {
        let Member { id, zone, .. } = seat.member;
        if let Some(replacement) = census.pairs.get(id) {
            if replacement.is_some_and(|id| census.seats[id].phase == Phase::InService) {
                complete(seat.member, &why, draft);
            }
        } else if busy.group >= limit {
            draft.wait(Rule::H4, format!("{id} waits for its replacement: {limit} at a time"));
        } else if let Some(text) = breaker::closed(zone, (busy.of(zone), busy.group), draft) {
            draft.wait(Rule::H3, format!("{id} waits for its replacement: {text}"));
        } else if begin(census, seat.member, &why, &mut vacated, draft) {
            busy.add(zone);
            breaker::begun(zone, draft);
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
        let launched = launches::launch_replacement(census, id, Cause::Unhealthy, draft);
        if launched {
            draft.remark(Rule::H1, format!("{id} is unhealthy: {why}; its replacement is launched first"));
        }
        launched
    } else {
        // Who could not be followed by anybody is not ended.
        if let Some(Remark { rule, text }) = launches::closed(census, draft) {
            draft.wait(rule, format!("{id} is not terminated, its replacement would wait: {text}"));
            return false;
        }
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

/// How many are under replacement now: those still there, those terminated first, and those that are gone while their
/// replacement boots. The last are counted for the group alone: nobody knows their zone any more.
pub(super) struct Busy<'a> {
    pub(super) group: u32,
    zones: BTreeMap<&'a str, u32>,
}

impl<'a> Busy<'a> {
    pub(super) fn count(census: &Census<'a>) -> Self {
        let terminated = census.seats.values().filter(
            |seat| matches!(&seat.member.state, MemberState::Terminating(leaving) if leaving.cause == Cause::Unhealthy),
        );
        let mut ids: BTreeSet<&InstanceId> = terminated.map(|seat| &seat.member.id).collect();
        // A healthy one that an operator has marked must not keep the unhealthy waiting (D8).
        ids.extend(census.pairs.keys().filter(|id| census.seats[**id].unhealthy.is_some()));
        ids.extend(census.replaced(|phase| phase == Phase::Pending));
        let mut busy = Self { group: u32::try_from(ids.len()).unwrap_or(u32::MAX), zones: BTreeMap::new() };
        for zone in ids.iter().filter_map(|id| census.seats.get(id)).map(|seat| seat.member.zone.as_str()) {
            *busy.zones.entry(zone).or_default() += 1;
        }
        busy
    }

    fn of(&self, zone: &str) -> u32 {
        self.zones.get(zone).copied().unwrap_or_default()
    }

    fn add(&mut self, zone: &'a str) {
        self.group += 1;
        *self.zones.entry(zone).or_default() += 1;
    }
}
