//! The breaker (H3): while many are silent together it is probably our own fault, and few are replaced. It is kept for the
//! group and for each zone, is half-open by construction and never latches: one replacement an interval always passes, and
//! each that proves healthy opens it wider.

use crate::group::{Breaker, Head};
use crate::policy::Policy;
use crate::report::Rule;
use crate::time::{Timestamp, spoken};

use super::census::{Census, Silence};
use super::draft::Draft;

/// The widest a breaker opens; beyond it `max_replacing` is what limits.
const WIDEST: u32 = 64;

/// How a replacement has turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Its agent has answered.
    Healthy,
    /// It never did, or was lost before.
    Failed,
}

/// Opens and closes the breakers by what this sweep has seen.
pub(super) fn update(census: &Census<'_>, draft: &mut Draft<'_>) {
    let (now, policy) = (draft.now, draft.policy);
    let head = &mut draft.head;
    turn(&mut head.breaker, census.silence, policy, now);
    // In a group of one zone the group's own breaker says it all.
    let several = census.zones.len() > 1;
    let mut zones = std::mem::take(&mut head.zone_breakers);
    for (zone, silence) in census.zones.iter().filter(|_| several) {
        let mut breaker = zones.remove(*zone);
        turn(&mut breaker, *silence, policy, now);
        head.zone_breakers.extend(breaker.map(|breaker| ((*zone).to_owned(), breaker)));
    }
    remark(census, draft);
}

/// Turns the width of every open breaker by how a replacement has turned out. It is a fact, whatever sweep it came with.
pub(super) fn prove(proof: Proof, head: &mut Head) {
    for breaker in head.breaker.iter_mut().chain(head.zone_breakers.values_mut()) {
        breaker.width = match proof {
            Proof::Healthy => breaker.width.saturating_mul(2).min(WIDEST),
            Proof::Failed => 1,
        };
    }
}

fn turn(breaker: &mut Option<Breaker>, silence: Silence, policy: &Policy, now: Timestamp) {
    if silence.is_mass(policy) {
        let breaker = breaker.get_or_insert(Breaker { since: now, width: 1, begun: (now, 0) });
        breaker.width = breaker.width.clamp(1, WIDEST);
        if breaker.begun.0 > now || now.since(breaker.begun.0) >= policy.repair_interval {
            breaker.begun = (now, 0);
        }
    } else {
        *breaker = None;
    }
}

fn remark(census: &Census<'_>, draft: &mut Draft<'_>) {
    if census.nobody_answers() {
        return;
    }
    let say = |place: &str, silence: Silence, breaker: &Breaker| {
        let Silence { ever, silent } = silence;
        format!(
            "{silent} of {ever} members{place} are silent together: assumed to be our own fault, {} replaced at a time",
            breaker.width
        )
    };
    let group = draft.head.breaker.as_ref().map(|breaker| say("", census.silence, breaker));
    let zones =
        draft.head.zone_breakers.iter().filter_map(|(zone, breaker)| {
            Some(say(&format!(" in {zone}"), *census.zones.get(zone.as_str())?, breaker))
        });
    let texts: Vec<String> = group.into_iter().chain(zones).collect();
    texts.into_iter().for_each(|text| draft.remark(Rule::H3, text));
}

/// Why no replacement of a member in `zone` may begin now, if so; `busy` are under replacement there and in the group.
pub(super) fn closed(zone: &str, busy: (u32, u32), draft: &Draft<'_>) -> Option<String> {
    let (in_zone, in_group) = busy;
    let of_zone = draft.head.zone_breakers.get(zone).map(|breaker| (breaker, in_zone));
    let of_group = draft.head.breaker.as_ref().map(|breaker| (breaker, in_group));
    of_zone.into_iter().chain(of_group).find_map(|(breaker, busy)| {
        let interval = draft.policy.repair_interval;
        if busy >= breaker.width {
            Some(format!("{} at a time", breaker.width))
        } else if breaker.begun.1 >= breaker.width {
            let left = interval.saturating_sub(draft.now.since(breaker.begun.0));
            Some(format!("{} in {}, {} left", breaker.width, spoken(interval), spoken(left)))
        } else {
            None
        }
    })
}

/// Notes that the replacement of a member in `zone` has begun. An interval begins with its first.
pub(super) fn begun(zone: &str, draft: &mut Draft<'_>) {
    let (now, head) = (draft.now, &mut draft.head);
    for breaker in head.zone_breakers.get_mut(zone).into_iter().chain(&mut head.breaker) {
        let since = if breaker.begun.1 == 0 { now } else { breaker.begun.0 };
        breaker.begun = (since, breaker.begun.1.saturating_add(1));
    }
}
