//! Who goes when the group is too large (D1, D7, F6). Every victim is named; nothing ever "sets" a count (D5).

use std::collections::{BTreeMap, BTreeSet};

use crate::intent::{Cause, IntentId};
use crate::member::{InstanceId, Phase};
use crate::policy::{Mode, Policy};
use crate::report::Rule;
use crate::time::{Timestamp, spoken};

use super::census::{Census, Seat};
use super::draft::Draft;

/// Who may be chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everybody in *actual*.
    Everybody,
    /// Launches and Pending members only: some are under way, and the load asks for fewer (F6).
    PendingOnly,
}

impl Reach {
    /// Whom a load-driven scale-in may take.
    pub(super) fn of_load(census: &Census<'_>) -> Self {
        if census.counts.pending > 0 { Self::PendingOnly } else { Self::Everybody }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Victim<'a> {
    /// A launch that nobody has tried yet.
    Launch(&'a IntentId),
    Member(&'a InstanceId),
}

pub(super) struct Choice<'a> {
    pub(super) victims: Vec<Victim<'a>>,
    /// What kept it from choosing more, when it chose fewer than it was asked for.
    pub(super) bound_by: (Rule, String),
}

/// The first `count` victims in the order of D1: unhealthy, then Pending, then from the zone with most members the
/// outdated, the least busy, the oldest; ties by id. Members of a replacement pair are repair's, not ours.
pub(super) fn choose<'a>(census: &Census<'a>, count: u32, policy: &Policy, reach: Reach) -> Choice<'a> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let paired: BTreeSet<_> = census.pairs.iter().flat_map(|(old, new)| [Some(*old), *new]).flatten().collect();
    let free = || census.seats.values().filter(|seat| seat.phase.is_actual() && !paired.contains(&seat.member.id));
    let replacing = |replaces: &Option<InstanceId>| replaces.as_ref().is_some_and(|old| census.pairs.contains_key(old));

    let mut victims: Vec<Victim<'a>> = Vec::new();
    if reach == Reach::Everybody {
        victims.extend(free().filter(|seat| seat.unhealthy.is_some()).map(|seat| Victim::Member(&seat.member.id)));
    }
    let untried = census.open.values().rev().filter(|open| open.intent.attempt == 0 && !replacing(&open.spec.replaces));
    victims.extend(untried.map(|open| Victim::Launch(&open.intent.id)));
    victims.extend(free().filter(|seat| seat.phase == Phase::Pending).map(|seat| Victim::Member(&seat.member.id)));
    victims.truncate(count);
    let missing = count - victims.len();
    if missing == 0 || reach == Reach::PendingOnly {
        return Choice {
            victims,
            bound_by: (Rule::F6, "launches are under way, and only they may be taken back".into()),
        };
    }
    let bound_by = choose_serving(census, missing, policy, &paired, &mut victims);
    Choice { victims, bound_by }
}

/// Adds up to `count` members that may be at work, as long as `min` healthy ones remain (D7).
fn choose_serving<'a>(
    census: &Census<'a>,
    count: usize,
    policy: &Policy,
    paired: &BTreeSet<&InstanceId>,
    victims: &mut Vec<Victim<'a>>,
) -> (Rule, String) {
    let at_work = |seat: &&Seat<'a>| {
        matches!(seat.phase, Phase::Warming | Phase::InService | Phase::Suspect) && seat.unhealthy.is_none()
    };
    let mut left: BTreeMap<&str, Vec<&Seat<'a>>> = BTreeMap::new();
    for seat in census.seats.values().filter(at_work) {
        left.entry(&seat.member.zone).or_default().push(seat);
    }
    for zone in left.values_mut() {
        // The best victim last, so that it can be popped.
        zone.sort_by(|a, b| order(b, policy).cmp(&order(a, policy)));
    }
    let mut healthy = census.seats.values().filter(|seat| seat.phase.is_actual() && seat.healthy).count();
    let min = usize::try_from(policy.min).unwrap_or(usize::MAX);
    let mut passed_over = 0_usize;
    let mut chosen = 0_usize;
    while chosen < count {
        // The zone with most members; ties go to the first in the order of names. A paired member is never taken.
        let Some(zone) = left.values_mut().filter(|zone| !zone.is_empty()).max_by_key(|zone| zone.len()) else { break };
        let Some(seat) = zone.pop() else { break };
        let rest = healthy - usize::from(seat.healthy);
        if paired.contains(&seat.member.id) {
            continue;
        }
        if rest < min {
            passed_over += 1;
            continue;
        }
        healthy = rest;
        chosen += 1;
        victims.push(Victim::Member(&seat.member.id));
    }
    (Rule::D7, format!("fewer than {min} healthy members would be left without {passed_over} more"))
}

/// The order of D1 inside a zone: smaller goes first.
fn order<'s>(seat: &'s Seat<'_>, policy: &Policy) -> (bool, u64, Timestamp, &'s InstanceId) {
    let template = &seat.member.template;
    let outdated = policy.launch.template.as_ref().is_some_and(|wanted| !template.is_empty() && wanted != template);
    // A load that is not known counts as full. Loads are 0-100, so their bits sort as they do.
    let load = seat.serving.map_or(100.0, crate::health::Load::percent);
    (!outdated, load.to_bits(), seat.member.launched_at, &seat.member.id)
}

/// Lets `count` members go, as far as the rate limit of the window has room (F8).
pub(super) fn let_go(census: &Census<'_>, count: u32, cause: Cause, draft: &mut Draft<'_>) {
    let policy = draft.policy;
    if policy.mode == Mode::OutOnly {
        return draft.wait(Rule::O1, format!("the mode out-only keeps {count} members beyond desired"));
    }
    let room =
        draft.head.terminations.room(census.now, policy.inward.window, policy.inward.limit, census.counts.actual);
    if room < count {
        draft.wait(Rule::F8, format!("{room} of {count} terminations fit into {}", spoken(policy.inward.window)));
    }
    let reach = if cause == Cause::Load { Reach::of_load(census) } else { Reach::Everybody };
    let count = count.min(room);
    let choice = choose(census, count, policy, reach);
    if choice.victims.len() < usize::try_from(count).unwrap_or(usize::MAX) {
        let (rule, text) = choice.bound_by;
        draft.wait(rule, text);
    }
    for victim in choice.victims {
        match victim {
            Victim::Launch(intent) => draft.cancel(intent),
            Victim::Member(id) => {
                let seat = &census.seats[id];
                if seat.phase == Phase::Pending || seat.unhealthy.is_some() {
                    draft.terminate(seat.member, cause, false, true);
                } else {
                    draft.drain(id, cause);
                }
            }
        }
    }
}
