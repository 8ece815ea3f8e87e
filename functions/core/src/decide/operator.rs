//! Members that an operator marks for draining are replaced first and then drained (D8). The mark is a tag that EC2 tells of; it
//! moves neither desired nor a cooldown (F4, H5), and spares nobody a limit: F8, H4's and D7's hold as for everybody.

use std::collections::BTreeSet;

use crate::group::Heading;
use crate::intent::Cause;
use crate::member::{InstanceId, Phase};
use crate::plan::Step;
use crate::policy::Mode;
use crate::report::{Remark, Rule};

use super::census::{Census, Seat};
use super::draft::Draft;
use super::repair::Busy;
use super::{counted, launches, saga};

/// Takes back the drains of those whose mark has been taken off, as far as max has room: the operator has thought better of it.
pub(super) fn take_back(census: &Census<'_>, draft: &mut Draft<'_>) {
    if draft.policy.empties(draft.head.desired) {
        return;
    }
    for seat in census.seats.values().filter(|seat| seat.asked && seat.marked.is_none()) {
        let leaving = saga::returns(census, seat, &draft.head);
        if leaving.is_none_or(|leaving| leaving.cause != Cause::Operator) {
            continue;
        }
        let id = &seat.member.id;
        if launches::room_below_max(census, draft) == 0 {
            draft.wait(Rule::S1, format!("{id} is no longer marked, and max_instances has no room to take it back"));
        } else if draft.take_back(id) {
            draft.remark(Rule::D8, format!("{id} is no longer marked for draining: its drain is taken back"));
        }
    }
}

/// Replaces and drains the members that are marked. The unhealthy are repair's, marked or not. In a group that is to be empty
/// everybody goes for the bound's sake (Z7).
pub(super) fn drain_marked(census: &Census<'_>, draft: &mut Draft<'_>) {
    if draft.policy.empties(draft.head.desired) {
        return;
    }
    if let Some(names) = census.names(|seat| seat.phase.is_actual() && seat.marked.is_some() && seat.protected) {
        draft.remark(Rule::D2, format!("marked for draining and protected, so they stay: {names}"));
    }
    let stays = |seat: &&Seat<'_>| seat.phase.is_actual() && !draft.leaving.contains(&seat.member.id);
    let wanted = |seat: &&Seat<'_>| seat.asked && seat.wanted_gone().is_some() && seat.unhealthy.is_none();
    let marked: Vec<_> = census.seats.values().filter(stays).filter(wanted).collect();
    if marked.is_empty() {
        return;
    }
    let many = counted(marked.len(), "marked member");
    if draft.policy.mode == Mode::OutOnly {
        return draft.wait(Rule::O1, format!("the mode out-only keeps {many}"));
    }
    // While silence may be our own fault, nobody who is well is let go for anybody's wish.
    if census.nobody_answers() || draft.head.breaker.is_some() {
        return draft.wait(Rule::H3, format!("{many} stay while many are silent together"));
    }
    let healthy = census.seats.values().filter(stays).filter(|seat| seat.healthy).count();
    let mut turn = Turn { census, draft, busy: 0, healthy, closed: false };
    turn.busy = turn.under_way();
    for seat in marked {
        turn.take(seat);
    }
}

/// One pass over those that are marked.
struct Turn<'t, 'a, 'p> {
    census: &'t Census<'a>,
    draft: &'t mut Draft<'p>,
    /// Members under replacement.
    busy: u32,
    /// The healthy members that D7 counts.
    healthy: usize,
    /// Whether nothing may be launched now: it has been said, and holds for all that are left.
    closed: bool,
}

impl Turn<'_, '_, '_> {
    /// How many are under replacement before this pass: the unhealthy, the marked, and those that this plan has begun with.
    fn under_way(&self) -> u32 {
        let booting: BTreeSet<&InstanceId> = self.census.replaced(|phase| phase == Phase::Pending).collect();
        let more = |id: &&&InstanceId| self.census.seats[**id].unhealthy.is_none() && !booting.contains(**id);
        let paired = self.census.pairs.keys().filter(more).count();
        let begun = self.draft.steps.iter().filter(|step| match step {
            Step::Launch { intent } => intent.cause == Cause::Unhealthy,
            Step::Terminate { id, leaving, .. } => {
                leaving.cause == Cause::Unhealthy && !self.census.pairs.contains_key(id)
            }
            Step::Confirm { .. } | Step::Close { .. } | Step::TakeBack { .. } => false,
            Step::Sweep { .. } | Step::Drain { .. } | Step::Cancel { .. } => false,
        });
        let more = u32::try_from(paired + begun.count()).unwrap_or(u32::MAX);
        Busy::count(self.census).group.saturating_add(more)
    }

    /// How many of desired are not in service now: whoever is let go first adds to them.
    fn unfilled(&self) -> u32 {
        let there = |seat: &&Seat<'_>| matches!(seat.phase, Phase::InService | Phase::Suspect);
        let stays = |seat: &&Seat<'_>| !self.draft.leaving.contains(&seat.member.id);
        let there = self.census.seats.values().filter(there).filter(stays).count();
        self.draft.head.desired.saturating_sub(u32::try_from(there).unwrap_or(u32::MAX))
    }

    fn take(&mut self, seat: &Seat<'_>) {
        let id = &seat.member.id;
        if let Some(replacement) = self.census.pairs.get(id) {
            let serves = |new: &InstanceId| {
                self.census.seats[new].phase == Phase::InService && !self.draft.leaving.contains(new)
            };
            if replacement.is_some_and(serves) {
                self.drain(seat, "its replacement is in service");
            } else if seat.phase == Phase::Pending {
                self.end(seat);
            }
            return;
        }
        let (effective, desired) = (self.draft.effective(self.census), self.draft.head.desired);
        if effective > desired && self.draft.head.heading == Heading::In {
            // Whether so many may go for the load's sake is being asked, and this one goes first then.
            return self.draft.wait(Rule::D8, format!("{id} is marked, and waits for the scale-in that is under way"));
        }
        if effective > desired {
            let _gone = if seat.phase == Phase::Pending {
                self.end(seat)
            } else {
                self.drain(seat, "there are more than desired")
            };
            return;
        }
        if self.closed {
            return;
        }
        let limit = self.draft.policy.max_replacing.of(desired);
        if self.busy >= limit {
            return self.draft.wait(Rule::H4, format!("{id} is marked, and waits for its turn: {limit} at a time"));
        }
        let begun = if seat.phase == Phase::Pending {
            self.end(seat)
        } else if launches::room_below_max(self.census, self.draft) > desired - effective {
            self.launch_first(id)
        } else if desired < self.draft.policy.max {
            // Only others' replacements are in the way, and they stand in soon.
            return self.draft.wait(Rule::S1, format!("{id} is marked, and waits for room below max_instances"));
        } else {
            self.drain_first(seat, limit)
        };
        self.busy += u32::from(begun);
    }

    /// Below max its replacement is launched first.
    fn launch_first(&mut self, id: &InstanceId) -> bool {
        if launches::room_in_window(self.census, self.draft) == 0 {
            self.draft.wait(Rule::F8, format!("no launch has room to replace {id}, which is marked"));
            self.closed = true;
            return false;
        }
        let launched = launches::launch_replacement(self.census, id, Cause::Operator, self.draft);
        self.closed = !launched;
        if launched {
            self.draft.remark(Rule::D8, format!("{id} is marked for draining: its replacement is launched first"));
        }
        launched
    }

    /// At max there is no room for both: it goes first, unless that opens more gaps than may be open at a time.
    fn drain_first(&mut self, seat: &Seat<'_>, limit: u32) -> bool {
        let id = &seat.member.id;
        if self.unfilled() >= limit {
            let text =
                format!("{id} is marked, and waits until desired is in service: {limit} may be missing at a time");
            self.draft.wait(Rule::H4, text);
            return false;
        }
        // Who could not be followed by anybody is not let go.
        if let Some(Remark { rule, text }) = launches::closed(self.census, self.draft) {
            self.draft.wait(rule, format!("{id} is not drained, its replacement would wait: {text}"));
            self.closed = true;
            return false;
        }
        self.drain(seat, "at max it goes first")
    }

    /// Drains a member, unless fewer than min healthy ones would be left (D7), or no termination has room (F8).
    fn drain(&mut self, seat: &Seat<'_>, why: &str) -> bool {
        let (id, min) = (&seat.member.id, self.draft.policy.min);
        let rest = self.healthy - usize::from(seat.healthy);
        if rest < usize::try_from(min).unwrap_or(usize::MAX) {
            let text = format!("{id} is marked, but fewer than {min} healthy members would be left: min_instances");
            self.draft.wait(Rule::D7, text);
            return false;
        }
        if self.draft.room_in() == 0 {
            self.draft.wait(Rule::F8, format!("no drain has room for {id}, which is marked"));
            return false;
        }
        self.draft.remark(Rule::D8, format!("{id} is marked for draining: {why}"));
        let drained = self.draft.drain(id, Cause::Operator);
        if drained {
            self.healthy = rest;
        }
        drained
    }

    /// Ends a member that has never answered: it has nothing to finish, and nobody misses it.
    fn end(&mut self, seat: &Seat<'_>) -> bool {
        let id = &seat.member.id;
        if self.draft.room_in() == 0 {
            self.draft.wait(Rule::F8, format!("no termination has room for {id}, which is marked"));
            return false;
        }
        self.draft.remark(Rule::D8, format!("{id} is marked for draining, and has never answered"));
        self.draft.terminate(seat.member, Cause::Operator, true)
    }
}
