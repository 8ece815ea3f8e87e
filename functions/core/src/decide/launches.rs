//! What is launched, and where (C4, L6).

use std::collections::BTreeMap;

use crate::group::{SHARD_CAPACITY, Shard};
use crate::intent::{Cause, LaunchSpec, Token};
use crate::member::InstanceId;
use crate::plan::Step;
use crate::report::Rule;
use crate::time::spoken;

use super::census::Census;
use super::draft::Draft;

/// Orders up to `count` launches, as far as max (S1) and the rate limit (F8) have room.
pub(super) fn launch_missing(census: &Census<'_>, count: u32, cause: Cause, draft: &mut Draft<'_>) {
    let room = room(census, draft);
    if room < count {
        let pace = draft.policy.out;
        draft.wait(
            Rule::F8,
            format!("{room} of {count} launches have room below max and within {}", spoken(pace.window)),
        );
    }
    for _ in 0..count.min(room) {
        launch_one(census, cause, None, draft);
    }
}

/// How many launches have room now.
pub(super) fn room(census: &Census<'_>, draft: &Draft<'_>) -> u32 {
    let pace = draft.policy.out;
    let below_max = draft.policy.max.saturating_sub(draft.actual_after(census));
    draft.head.launches.room(census.now, pace.window, pace.limit, census.counts.actual).min(below_max)
}

/// Orders one launch: into the zone with the fewest members, ties in the configured order (L6).
pub(super) fn launch_one(census: &Census<'_>, cause: Cause, replaces: Option<InstanceId>, draft: &mut Draft<'_>) {
    let launch = &draft.policy.launch;
    let ordered = draft.steps.iter().filter_map(|step| match step {
        Step::Launch { intent } => match &intent.call {
            crate::intent::Call::Launch(spec) => Some((spec.zone.as_str(), spec.shard)),
            crate::intent::Call::Terminate { .. } => None,
        },
        Step::Confirm { .. }
        | Step::Close { .. }
        | Step::Drain { .. }
        | Step::Terminate { .. }
        | Step::Cancel { .. } => None,
    });
    let (mut zones, mut shards) = (BTreeMap::<&str, u32>::new(), BTreeMap::<Shard, usize>::new());
    let seated =
        census.seats.values().map(|seat| (seat.member.zone.as_str(), seat.member.shard, seat.phase.is_actual()));
    let open = census.open.values().map(|open| (open.spec.zone.as_str(), open.spec.shard, true));
    for (zone, shard, actual) in seated.chain(open).chain(ordered.map(|(zone, shard)| (zone, shard, true))) {
        *shards.entry(shard).or_default() += 1;
        *zones.entry(zone).or_default() += u32::from(actual);
    }
    let zone = launch.zones.iter().min_by_key(|zone| zones.get(zone.as_str()).copied().unwrap_or(0)).cloned();
    let shard = (0..=u16::MAX).map(Shard).find(|shard| shards.get(shard).copied().unwrap_or(0) < SHARD_CAPACITY);
    let spec = LaunchSpec {
        group: draft.head.group.clone(),
        shard: shard.unwrap_or_default(),
        zone: zone.unwrap_or_default(),
        instance_type: launch.instance_types.first().cloned().unwrap_or_default(),
        template: launch.template.clone().unwrap_or_default(),
        token: Token(String::new()),
        replaces,
    };
    draft.launch(spec, cause);
}
