//! What is launched, from what and where (C4, L4-L6, L8, L9).

use std::collections::{BTreeMap, BTreeSet};

use crate::group::{BOOT_FAILURES, Head, Place, SHARD_CAPACITY, Shard, TemplateRecord};
use crate::intent::{Call, Cause, IntentId, LaunchSpec, Token};
use crate::member::{InstanceId, MemberState, Phase};
use crate::plan::Step;
use crate::policy::LaunchDocument;
use crate::report::{Remark, Rule};
use crate::snapshot::Member;
use crate::time::{Timestamp, spoken};

use super::census::{Census, Seat};
use super::draft::Draft;

/// Launches from a template version, open or failed, before the first of them has answered (L9).
const UNTESTED_LAUNCHES: u32 = 3;

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
    for ordered in 0..count.min(below_max).min(in_window) {
        if let Some(Remark { rule, text }) = spread.closed(draft) {
            return draft.wait(rule, format!("{} of {count} launches wait: {text}", count - ordered));
        }
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

/// Orders the launch that replaces `old`, unless nothing may be launched now.
pub(super) fn launch_replacement(census: &Census<'_>, old: &InstanceId, cause: Cause, draft: &mut Draft<'_>) -> bool {
    let mut spread = Spread::of(census, draft);
    if let Some(Remark { rule, text }) = spread.closed(draft) {
        draft.wait(rule, format!("the replacement of {old} waits: {text}"));
        return false;
    }
    spread.launch(cause, Some(old.clone()), draft)
}

/// Why nothing may be launched now, if so.
pub(super) fn closed(census: &Census<'_>, draft: &Draft<'_>) -> Option<Remark> {
    Spread::of(census, draft).closed(draft)
}

/// The record of a member's template version. What a document says nothing about is the one in force.
pub(super) fn record_of<'d>(census: &Census<'_>, member: &Member, draft: &'d mut Draft<'_>) -> &'d mut TemplateRecord {
    let in_force = draft.policy.launch.template.as_deref().unwrap_or_default();
    let template = if member.template.is_empty() { in_force } else { &member.template };
    let own = Some(member.template_version).filter(|version| *version != 0);
    let version = own.or(census.template_version).unwrap_or_default();
    draft.head.template_record(template, version)
}

/// Whether an instance launched from a member's template version has ever answered.
pub(super) fn is_proven(census: &Census<'_>, head: &Head, member: &Member) -> bool {
    Version { template: &member.template, number: member.template_version }.is_proven(census, head)
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

/// A launch template's version; an empty template is what the policy names now.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version<'a> {
    template: &'a str,
    number: u64,
}

impl Version<'_> {
    fn launched(self, template: &str, number: u64) -> bool {
        // What a document says nothing about is the one in force.
        (template.is_empty() || template == self.template) && (number == 0 || number == self.number)
    }

    fn record(self, head: &Head) -> Option<&TemplateRecord> {
        head.templates.iter().find(|known| known.template == self.template && known.version == self.number)
    }

    fn is_proven(self, census: &Census<'_>, head: &Head) -> bool {
        // Who is on its way out without an answer on record may never have given one.
        let answered = |seat: &Seat<'_>| {
            let answered = seat.member.first_answer.or(seat.first_answer.filter(|_| seat.phase.is_actual()));
            answered.is_some() && self.launched(&seat.member.template, seat.member.template_version)
        };
        self.record(head).is_some_and(|record| record.proven) || census.seats.values().any(answered)
    }
}

/// Who is where, so that the next launch goes where there are fewest; and what may be launched at all.
struct Spread<'p> {
    launch: &'p LaunchDocument,
    now: Timestamp,
    /// The version that is launched from; none when it is not known.
    version: Option<u64>,
    /// Members in each of the policy's zones, after whether its breaker is open: such a zone is a last resort.
    zones: Vec<(bool, u32)>,
    shards: BTreeMap<Shard, usize>,
    /// Where launches are not settled yet.
    open: BTreeSet<Place>,
    /// Launches that may still be made before somebody has answered; none when there is no such limit (L9).
    untested: Option<u32>,
}

impl<'p> Spread<'p> {
    fn of(census: &Census<'_>, draft: &Draft<'p>) -> Self {
        let (launch, head) = (&draft.policy.launch, &draft.head);
        let suspect = |zone: &String| (head.zone_breakers.contains_key(zone), 0);
        let mut spread = Self {
            launch,
            now: draft.now,
            version: census.template_version,
            zones: launch.zones.iter().map(suspect).collect(),
            shards: BTreeMap::new(),
            open: BTreeSet::new(),
            untested: None,
        };
        for (id, seat) in &census.seats {
            // Who is being replaced leaves its place to the replacement.
            let stays = seat.phase.is_actual() && !census.pairs.contains_key(id) && !draft.leaving.contains(*id);
            spread.add(&seat.member.zone, seat.member.shard, stays || draft.returning.contains(*id));
        }
        let planned = draft.steps.iter().filter_map(|step| match step {
            Step::Launch { intent } => match &intent.call {
                Call::Launch(spec) => Some(spec),
                Call::Terminate { .. } => None,
            },
            _ => None,
        });
        let specs: Vec<&LaunchSpec> = census.open.values().map(|open| open.spec).chain(planned).collect();
        for spec in &specs {
            spread.add(&spec.zone, spec.shard, true);
            spread.open.insert(place_of(spec));
        }
        spread.untested = spread.untested(census, &specs, draft);
        spread
    }

    /// L9: what a version that has never produced an answering member has room for.
    fn untested(&self, census: &Census<'_>, open: &[&LaunchSpec], draft: &Draft<'_>) -> Option<u32> {
        let version = self.version()?;
        if version.is_proven(census, &draft.head) {
            return None;
        }
        let pending = census.seats.values().filter(|seat| {
            let Member { id, template, template_version, .. } = seat.member;
            seat.phase == Phase::Pending && version.launched(template, *template_version) && !draft.leaving.contains(id)
        });
        let open = open.iter().filter(|spec| version.launched(&spec.template, spec.template_version));
        let failed = version.record(&draft.head).map_or(0, |record| record.failures);
        let used = u32::try_from(pending.count() + open.count()).unwrap_or(u32::MAX).saturating_add(failed);
        Some(UNTESTED_LAUNCHES.saturating_sub(used))
    }

    fn version(&self) -> Option<Version<'p>> {
        Some(Version { template: self.launch.template.as_deref().unwrap_or_default(), number: self.version? })
    }

    /// Why nothing may be launched now, if so.
    fn closed(&self, draft: &Draft<'_>) -> Option<Remark> {
        let closed = |rule, text| Some(Remark { rule, text });
        let Some(version) = self.version() else {
            return closed(Rule::L1, "the launch template's version is not known".into());
        };
        let of = |version: Version<'_>| match version.template {
            "" => "launches".to_owned(),
            template => format!("launches from version {} of {template}", version.number),
        };
        if let Some(refusal) = &draft.head.launch_refusal {
            let left = spoken(refusal.until.since(self.now));
            if self.now < refusal.until {
                return closed(Rule::L5, format!("EC2 refuses, the next is tried in {left}: {}", refusal.reason));
            }
            if !self.open.is_empty() {
                return closed(Rule::L5, "EC2 has refused the last, one is tried first".into());
            }
        }
        let failures = version.record(&draft.head).map_or(0, |record| record.failures);
        if failures >= BOOT_FAILURES {
            let text =
                format!("{failures} {} in a row never answered: stopped until an edit or a new version", of(version));
            return closed(Rule::L8, text);
        }
        if self.untested == Some(0) {
            let text = format!("of {} nobody has answered yet: at most {UNTESTED_LAUNCHES} before", of(version));
            return closed(Rule::L9, text);
        }
        if self.place(draft).is_none() {
            return closed(Rule::L4, self.scarcity(draft));
        }
        None
    }

    /// A member that is on its way out keeps its place in the shard, not in the zone.
    fn add(&mut self, zone: &str, shard: Shard, actual: bool) {
        *self.shards.entry(shard).or_default() += 1;
        if let Some(at) = self.launch.zones.iter().position(|name| name == zone) {
            self.zones[at].1 += u32::from(actual);
        }
    }

    /// How long there is no place to launch in.
    fn scarcity(&self, draft: &Draft<'_>) -> String {
        let places = self.places();
        let named = draft.head.capacity.iter().filter(|scarce| places.contains(&scarce.place));
        match named.map(|scarce| scarce.until).min() {
            Some(until) if self.now < until => {
                format!("EC2 has no capacity anywhere, the next try is in {}", spoken(until.since(self.now)))
            }
            Some(_) | None => "EC2 had no capacity anywhere, one launch tries first".to_owned(),
        }
    }

    /// The first place with capacity, as far as is known.
    fn place(&self, draft: &Draft<'_>) -> Option<Place> {
        self.places().into_iter().find(|place| self.has_capacity(place, draft))
    }

    /// The policy's places: the preferred type first, and of the zones the one with the fewest members, ties in the
    /// configured order (L4, L6).
    fn places(&self) -> Vec<Place> {
        let mut zones: Vec<_> = self.zones.iter().zip(&self.launch.zones).collect();
        // The sort is stable: ties keep the configured order.
        zones.sort_by_key(|(members, _)| **members);
        let zones: Vec<&str> =
            if zones.is_empty() { vec![""] } else { zones.iter().map(|(_, zone)| zone.as_str()).collect() };
        let types: Vec<&str> = self.launch.instance_types.iter().map(String::as_str).collect();
        let types = if types.is_empty() { vec![""] } else { types };
        let places = types.iter().flat_map(|of_type| zones.iter().map(move |zone| (*zone, *of_type)));
        places.map(|(zone, of_type)| Place { zone: zone.into(), instance_type: of_type.into() }).collect()
    }

    /// Whether a place may be tried. One that had no capacity is tried by one launch first.
    fn has_capacity(&self, place: &Place, draft: &Draft<'_>) -> bool {
        let scarce = draft.head.capacity.iter().find(|scarce| scarce.place == *place);
        scarce.is_none_or(|scarce| self.now >= scarce.until && !self.open.contains(place))
    }

    /// Orders one launch; [`Self::closed`] has been asked before.
    fn launch(&mut self, cause: Cause, replaces: Option<InstanceId>, draft: &mut Draft<'_>) -> bool {
        let Some(place) = self.place(draft) else { return false };
        let full = |shard: &Shard| self.shards.get(shard).is_some_and(|members| *members >= SHARD_CAPACITY);
        let shard = (0..=u16::MAX).map(Shard).find(|shard| !full(shard)).unwrap_or_default();
        self.add(&place.zone, shard, true);
        self.open.insert(place.clone());
        self.untested = self.untested.map(|left| left.saturating_sub(1));
        let spec = LaunchSpec {
            group: draft.head.group.clone(),
            shard,
            zone: place.zone,
            instance_type: place.instance_type,
            template: self.launch.template.clone().unwrap_or_default(),
            template_version: self.version.unwrap_or_default(),
            intent: IntentId::default(),
            token: Token(String::new()),
            replaces,
        };
        draft.launch(spec, cause)
    }
}

fn place_of(spec: &LaunchSpec) -> Place {
    Place { zone: spec.zone.clone(), instance_type: spec.instance_type.clone() }
}
