//! Instances that we have launched and that no record knows are terminated (V3), and never more than a few: when many look
//! orphaned it is our records that are wrong. An instance that only carries the group's tag was not launched by us, and is
//! left alone (C1).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::report::{LOOK_ORPHANED, Rule};
use crate::snapshot::{FleetInstance, Snapshot};
use crate::time::spoken;

use super::census::Census;
use super::draft::Draft;
use super::saga::sighted_again;

/// A launch settles long before its instance is this old.
const OLD_ENOUGH: Duration = Duration::from_secs(15 * 60);
/// How often an orphan must have been seen ...
const SEEN_TIMES: u32 = 2;
/// ... and over how long: two looks in one invocation are one look.
const SEEN_FOR: Duration = Duration::from_secs(30);
/// Orphans that one decision sweeps.
const AT_A_TIME: usize = 2;
/// When more than this share of the group in percent, or two, look orphaned ...
const MANY_PERCENT: u64 = 20;
/// ... one is swept in this span.
const MANY_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Sightings kept at most: HEAD must stay small.
const SIGHTINGS_KEPT: usize = 100;

/// Counts who looks orphaned, and sweeps those who are proven to be.
pub(super) fn sweep(snapshot: &Snapshot, census: &Census<'_>, draft: &mut Draft<'_>) {
    let Some(fleet) = &snapshot.fleet else { return };
    let known: BTreeSet<_> = snapshot.members.iter().map(|member| &member.id).collect();
    let strangers = fleet.iter().filter(|instance| instance.ours && !instance.state.is_gone());
    let own = |instance: &&FleetInstance| instance.intent.as_ref().is_some_and(|id| id.is_of(&draft.head));
    let (ours, foreign): (Vec<_>, Vec<_>) = strangers.filter(|instance| !known.contains(&instance.id)).partition(own);
    if let Some(first) = foreign.iter().min_by_key(|instance| &instance.id) {
        let whose = if first.intent.is_some() { "in this life of the group" } else { "by Muster" };
        let text = format!("{} carries the group's tag and was not launched {whose}: left alone", first.id);
        draft.remark(Rule::C1, text);
    }
    let opened = |instance: &&FleetInstance| instance.intent.as_ref().is_some_and(|id| census.open.contains_key(id));
    let old =
        |instance: &&FleetInstance| instance.launched_at.is_none_or(|launched| draft.now.since(launched) >= OLD_ENOUGH);
    // Somebody wants to keep it, for whatever it is worth (D2).
    let kept = |instance: &&FleetInstance| instance.protected;
    let mut lost: Vec<_> =
        ours.into_iter().filter(|i| !opened(i) && old(i) && !kept(i) && !census.ending.contains(&i.id)).collect();
    lost.sort_by(|a, b| a.id.cmp(&b.id));
    lost.truncate(SIGHTINGS_KEPT);
    let before = std::mem::take(&mut draft.head.orphans);
    let seen = lost.iter().map(|i| (i.id.clone(), sighted_again(before.get(&i.id), draft.now)));
    draft.head.orphans = seen.collect();
    end(&lost, census, draft);
}

fn end(lost: &[&FleetInstance], census: &Census<'_>, draft: &mut Draft<'_>) {
    let now = draft.now;
    let proven = |orphan: &&&FleetInstance| {
        // One of which EC2 does not say when it was launched is watched for as long as the others have lived.
        let span = if orphan.launched_at.is_some() { SEEN_FOR } else { OLD_ENOUGH };
        let seen = draft.head.orphans.get(&orphan.id);
        seen.is_some_and(|seen| seen.count >= SEEN_TIMES && now.since(seen.first) >= span)
    };
    let ready: Vec<_> = lost.iter().filter(proven).copied().collect();
    if ready.is_empty() {
        return;
    }
    let share = u64::from(census.counts.actual) * MANY_PERCENT / 100;
    let many = u64::try_from(lost.len()).unwrap_or(u64::MAX) > share.max(2);
    // What the rounds of one doorbell see is one sweep's.
    let pause = if many { MANY_INTERVAL } else { census.period };
    let waits = draft.head.orphan_swept_at.filter(|at| now.since(*at) < pause);
    if many {
        let text = format!("{} {LOOK_ORPHANED}: perhaps our records are wrong", lost.len());
        draft.remark(Rule::V3, text);
    }
    if let Some(at) = waits {
        let left = spoken(pause.saturating_sub(now.since(at)));
        return draft.wait(Rule::V3, format!("the next orphan is terminated in {left}"));
    }
    for orphan in ready.iter().take(if many { 1 } else { AT_A_TIME }) {
        draft.remark(Rule::V3, format!("{} was launched by us and no record knows it", orphan.id));
        if draft.sweep(&orphan.id) {
            // EC2 may list it for a while; before it is told again it must be seen again.
            draft.head.orphans.remove(&orphan.id);
            draft.head.orphan_swept_at = Some(now);
        }
    }
}
