//! What is launched, and where (C4, L6).

use std::collections::{BTreeMap, BTreeSet};

use crate::group::{SHARD_CAPACITY, Shard};
use crate::intent::{Call, Cause, IntentId, LaunchSpec, Token};
use crate::member::{InstanceId, MemberState, Phase};
use crate::plan::Step;
use crate::policy::LaunchDocument;
use crate::report::Rule;
use crate::time::spoken;

use super::census::Census;
use super::draft::Draft;

/// Orders up to `count` launches, as far as max (S1) and the rate limit (F8) have room.
pub(super) fn launch_missing(census: &Census<'_>, count: u32, cause: Cause, draft: &mut Draft<'_>) {
    let (below_max, in_window) = (room_below_max(census, draft), room_in_window(census, draft));
    if below_max < count && below_max <= in_window {
        let text =
            format!("{below_max} of {count} launches have room below max_instances, which is {}", draft.policy.max);
        draft.wait(Rule::S1, text);
    } else if in_window < count {
        let window = spoken(draft.policy.out.window);
        draft.wait(Rule::F8, format!("{in_window} of {count} launches fit into {window}"));
    }
    let mut spread = Spread::of(census, draft);
    let mut vacated = vacated(census);
    let mut lost = census.lost();
    for _ in 0..count.min(below_max).min(in_window) {
        let replaces = vacated.pop_first().cloned();
        // Whoever fills a seat that was there before is no part of a scale-out, and starts no cooldown (F4, H5).
        let cause = match (&replaces, lost) {
            (Some(_), _) => Cause::Bounds,
            (None, 0) => cause,
            (None, _) => {
                lost -= 1;
                Cause::Lost
            }
        };
        spread.launch(cause, replaces, draft);
    }
}

/// Orders the launch that replaces `old`.
pub(super) fn launch_replacement(census: &Census<'_>, old: &InstanceId, draft: &mut Draft<'_>) -> bool {
    Spread::of(census, draft).launch(Cause::Unhealthy, Some(old.clone()), draft)
}

/// How many launches have room in the window (F8).
pub(super) fn room_in_window(census: &Census<'_>, draft: &Draft<'_>) -> u32 {
    let pace = draft.policy.out;
    draft.head.launches.room(census.now, pace.window, pace.limit, census.counts.actual)
}

/// How many more members fit below max (S1).
pub(super) fn room_below_max(census: &Census<'_>, draft: &Draft<'_>) -> u32 {
    draft.policy.max.saturating_sub(draft.actual_after(census))
}

/// Unhealthy members that were terminated first (H4) and for which nobody has been launched yet.
fn vacated<'a>(census: &Census<'a>) -> BTreeSet<&'a InstanceId> {
    let unhealthy = |state: &MemberState| matches!(state, MemberState::Terminating(l) if l.cause == Cause::Unhealthy);
    let vacated = census.seats.values().filter(|seat| unhealthy(&seat.member.state)).map(|seat| &seat.member.id);
    let filled: BTreeSet<_> = census.replaced(Phase::is_actual).collect();
    vacated.filter(|id| !filled.contains(id)).collect()
}

/// Who is where, so that the next launch goes where there are fewest.
struct Spread<'p> {
    launch: &'p LaunchDocument,
    /// Members in each of the policy's zones.
    zones: Vec<u32>,
    shards: BTreeMap<Shard, usize>,
}

impl<'p> Spread<'p> {
    fn of(census: &Census<'_>, draft: &Draft<'p>) -> Self {
        let launch = &draft.policy.launch;
        let mut spread = Self { launch, zones: vec![0; launch.zones.len()], shards: BTreeMap::new() };
        for seat in census.seats.values() {
            spread.add(&seat.member.zone, seat.member.shard, seat.phase.is_actual());
        }
        for open in census.open.values() {
            spread.add(&open.spec.zone, open.spec.shard, true);
        }
        for step in &draft.steps {
            if let Step::Launch { intent } = step
                && let Call::Launch(spec) = &intent.call
            {
                spread.add(&spec.zone, spec.shard, true);
            }
        }
        spread
    }

    /// A member that is on its way out keeps its place in the shard, not in the zone.
    fn add(&mut self, zone: &str, shard: Shard, actual: bool) {
        *self.shards.entry(shard).or_default() += 1;
        if let Some(at) = self.launch.zones.iter().position(|name| name == zone) {
            self.zones[at] += u32::from(actual);
        }
    }

    /// Orders one launch: into the zone with the fewest members, ties in the configured order (L6).
    fn launch(&mut self, cause: Cause, replaces: Option<InstanceId>, draft: &mut Draft<'_>) -> bool {
        let zones = self.launch.zones.iter().zip(&self.zones);
        let zone = zones.min_by_key(|(_, members)| **members).map(|(zone, _)| zone.clone()).unwrap_or_default();
        let full = |shard: &Shard| self.shards.get(shard).is_some_and(|members| *members >= SHARD_CAPACITY);
        let shard = (0..=u16::MAX).map(Shard).find(|shard| !full(shard)).unwrap_or_default();
        let spec = LaunchSpec {
            group: draft.head.group.clone(),
            shard,
            zone: zone.clone(),
            instance_type: self.launch.instance_types.first().cloned().unwrap_or_default(),
            template: self.launch.template.clone().unwrap_or_default(),
            template_version: 0,
            intent: IntentId::default(),
            token: Token(String::new()),
            replaces,
        };
        self.add(&zone, shard, true);
        draft.launch(spec, cause)
    }
}
