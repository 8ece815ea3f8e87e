//! Who goes when the group is too large (D1, D7, F6). Every victim is named; nothing ever "sets" a count (D5).

use std::collections::{BTreeMap, BTreeSet};

use crate::health::Load;
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

/// The first `count` victims in the order of D1: unhealthy, then Pending, then whom an operator has marked (D8), then from the zone
/// with most members the outdated, the least busy, the oldest; ties by id. Members of a replacement pair are repair's, not ours, and those
/// that are `leaving` already are not chosen again.
pub(super) fn choose<'a>(
    census: &Census<'a>,
    count: u32,
    policy: &Policy,
    reach: Reach,
    leaving: &BTreeSet<InstanceId>,
) -> Choice<'a> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let paired: BTreeSet<_> = census.pairs.iter().flat_map(|(old, new)| [Some(*old), *new]).flatten().collect();
    let stays = |seat: &&Seat<'a>| seat.phase.is_actual() && !leaving.contains(&seat.member.id);
    let unpaired = census.seats.values().filter(stays).filter(|seat| !paired.contains(&seat.member.id));
    let (kept, free): (Vec<_>, Vec<_>) = unpaired.partition(|seat| seat.protected);
    let members = |of: fn(&Seat<'_>) -> bool| {
        free.iter().filter(move |seat| of(seat)).map(|seat| Victim::Member(&seat.member.id))
    };

    let mut victims: Vec<Victim<'a>> = Vec::new();
    if reach == Reach::Everybody && census.trusted {
        victims.extend(members(|seat| seat.unhealthy.is_some()));
    }
    victims.extend(untried(census).map(Victim::Launch));
    victims.extend(members(|seat| seat.phase == Phase::Pending));
    victims.truncate(count);
    if victims.len() == count || reach == Reach::PendingOnly {
        let bound_by = (Rule::F6, "launches are under way, and only they may be taken back".into());
        return Choice { victims, bound_by };
    }

    // D7 looks at all that stay, also at those that are not to be chosen.
    let healthy = census.seats.values().filter(stays).filter(|seat| seat.healthy).count();
    let min = usize::try_from(policy.min).unwrap_or(usize::MAX);
    let mut spare = Spare { healthy, min, refused: false };
    let (marked, free): (Vec<_>, Vec<_>) = free.iter().copied().partition(|seat| seat.wanted_gone().is_some());
    for seat in in_order(census, &marked, policy).into_iter().chain(in_order(census, &free, policy)) {
        if victims.len() == count {
            break;
        }
        if spare.take(seat) {
            victims.push(Victim::Member(&seat.member.id));
        }
    }
    let bound_by = if kept.is_empty() && policy.wants_nobody() {
        (Rule::F6, "launches are under way: who comes of them goes at once".into())
    } else if spare.refused || kept.is_empty() {
        (Rule::D7, format!("fewer than {} healthy members would be left, which is min_instances", spare.min))
    } else {
        (Rule::D2, format!("of those that are left, {} may not go: protected", kept.len()))
    };
    Choice { victims, bound_by }
}

/// Whether a member may go without a drain and without being missed (D1, D7): its silence must be evidence.
fn known_unhealthy(census: &Census<'_>, seat: &Seat<'_>) -> bool {
    census.trusted && seat.unhealthy.is_some()
}

/// Launches that nobody has tried yet, the youngest first; those of replacement pairs are repair's.
pub(super) fn untried<'a>(census: &Census<'a>) -> impl Iterator<Item = &'a IntentId> {
    let replacing = |replaces: &Option<InstanceId>| replaces.as_ref().is_some_and(|old| census.pairs.contains_key(old));
    let open = census.open.values().rev();
    open.filter(move |open| open.intent.attempt == 0 && !replacing(&open.spec.replaces)).map(|open| &open.intent.id)
}

/// The healthy members that D7 counts.
struct Spare {
    healthy: usize,
    min: usize,
    /// Whether somebody had to stay.
    refused: bool,
}

impl Spare {
    /// Takes a member, unless that leaves fewer than min healthy ones. One of which nothing is known is refused like a
    /// healthy one, and is not counted among the rest.
    fn take(&mut self, seat: &Seat<'_>) -> bool {
        let rest = self.healthy - usize::from(seat.healthy);
        let may = rest >= self.min;
        if may {
            self.healthy = rest;
        } else {
            self.refused = true;
        }
        may
    }
}

/// Those of `free` that may be at work, in the order in which they go: always from the zone that then has most.
fn in_order<'s, 'a>(census: &Census<'a>, free: &[&'s Seat<'a>], policy: &Policy) -> Vec<&'s Seat<'a>> {
    let version = census.template_version;
    let mut zones: BTreeMap<&str, Vec<&'s Seat<'a>>> = BTreeMap::new();
    for seat in free.iter().filter(|seat| seat.phase != Phase::Pending && !known_unhealthy(census, seat)) {
        zones.entry(&seat.member.zone).or_default().push(seat);
    }
    let mut ranked = Vec::new();
    for (name, mut zone) in zones {
        zone.sort_by(|a, b| order(a, policy, version).cmp(&order(b, policy, version)));
        // Whoever goes first from a zone of five goes before anybody from a zone of four.
        let paired = census.pairs.values().flatten().chain(census.pairs.keys());
        let others = paired.filter(|id| census.seats[*id].member.zone == name).count();
        let sizes = (1..=zone.len()).rev().map(|size| size + others);
        ranked.extend(sizes.zip(zone));
    }
    ranked.sort_by(|(a_size, a), (b_size, b)| {
        b_size.cmp(a_size).then_with(|| order(a, policy, version).cmp(&order(b, policy, version)))
    });
    ranked.into_iter().map(|(_, seat)| seat).collect()
}

/// The order of D1 inside a zone: smaller goes first.
fn order<'s>(seat: &'s Seat<'_>, policy: &Policy, version: Option<u64>) -> (bool, u64, Timestamp, &'s InstanceId) {
    let (template, own) = (&seat.member.template, seat.member.template_version);
    let other = |wanted: &String| !template.is_empty() && wanted != template;
    let older = policy.launch.template.is_some() && own != 0 && version.is_some_and(|version| version != own);
    let outdated = older || policy.launch.template.as_ref().is_some_and(other);
    // A load that is not known counts as full. Loads are 0-100, so their bits sort as they do.
    let load = seat.serving.map_or(100.0, Load::percent);
    (!outdated, load.to_bits(), seat.member.launched_at, &seat.member.id)
}

/// Lets `count` members go, as far as the rate limit of the window has room (F8).
pub(super) fn let_go(census: &Census<'_>, count: u32, cause: Cause, draft: &mut Draft<'_>) {
    let policy = draft.policy;
    if policy.mode == Mode::OutOnly {
        return draft.wait(Rule::O1, format!("the mode out-only keeps {count} members beyond desired"));
    }
    let reach = if cause == Cause::Load { Reach::of_load(census) } else { Reach::Everybody };
    let choice = choose(census, count, policy, reach, &draft.leaving);
    if choice.victims.len() < usize::try_from(count).unwrap_or(usize::MAX) {
        let (rule, text) = choice.bound_by;
        draft.wait(rule, text);
    }
    // A launch that nobody has tried ends nobody: only members count in the window.
    let members = choice.victims.iter().filter(|victim| matches!(victim, Victim::Member(_))).count();
    let mut room = usize::try_from(draft.room_in()).unwrap_or(usize::MAX);
    if room < members {
        draft.wait(Rule::F8, format!("{room} of {members} terminations fit into {}", spoken(policy.inward.window)));
    }
    for victim in choice.victims {
        match victim {
            Victim::Launch(intent) => draft.cancel(intent, cause),
            Victim::Member(_) if room == 0 => {}
            Victim::Member(id) => {
                room -= 1;
                let seat = &census.seats[id];
                if seat.phase == Phase::Pending || known_unhealthy(census, seat) {
                    draft.terminate(seat.member, cause, true);
                } else {
                    draft.drain(id, cause);
                }
            }
        }
    }
}
