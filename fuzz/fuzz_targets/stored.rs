//! What our tables hold, as another version or a hand in the console may have written it: the text is read as every kind of
//! item. What is read can be written and read again, and what follows from it stays small.
#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use muster_control::activity::Activity;
use muster_control::ports::StoredPolicy;
use muster_core::auto::{Learnt, Recent, Sample, Setting};
use muster_core::group::{BOOT_TIMES_KEPT, Head, Roster};
use muster_core::health::Observation;
use muster_core::intent::{Intent, IntentId};
use muster_core::member::MemberRecord;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const INTERVAL: Duration = Duration::from_secs(10);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    muster_fuzz::mutate(data, size, max_size, seed)
});

fuzz_target!(|text: &str| {
    read::<Intent>(text);
    read::<MemberRecord>(text);
    read::<Roster>(text);
    read::<StoredPolicy>(text);
    if let Some(learnt) = read::<Learnt>(text) {
        is_recalled(&learnt);
    }
    if let Some(activity) = read::<Activity>(text) {
        assert!(activity.sort_key().0 <= Timestamp::from_millis(u64::MAX));
    }
    if let Some(head) = read::<Head>(text) {
        goes_on(head);
    }
    if let Some(sweep) = read::<Sweep>(text) {
        is_followed(&sweep);
    }
});

fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) -> Option<T> {
    let item: T = serde_json::from_str(text).ok()?;
    let written = serde_json::to_string(&item).expect("what was read can be written");
    assert_eq!(serde_json::from_str::<T>(&written).expect(&written), item);
    Some(item)
}

/// Whatever it says: a sweep is taken in, and the state stays small.
fn is_recalled(learnt: &Learnt) {
    let setting = Setting { price: 0.1, min: 1, max: 9, boot: Duration::from_secs(90), period: INTERVAL };
    let recent = Recent { stored_at: Some(NOW), samples: vec![Sample::of(NOW, 60.0, 3, None, None)] };
    let recalled = Learnt::recall(Some(learnt), &recent, NOW, &setting);
    assert!(serde_json::to_string(&recalled).expect("plain data").len() < 64 * 1024);
}

/// What a decision asks of HEAD and writes into it.
fn goes_on(mut head: Head) {
    assert!(head.lit_since(Timestamp::EPOCH, NOW) <= NOW.since(Timestamp::EPOCH));
    head.remember_boot_time(head.boot_time());
    assert!(head.boot_times_ms.len() <= BOOT_TIMES_KEPT);
    let (asked, claimed) = (head.recommendations.len(), head.launches.0.len());
    head.remember_recommendation(NOW, u32::MAX, INTERVAL);
    head.launches.record(NOW, u32::MAX, u32::MAX, INTERVAL);
    assert!(head.recommendations.len() <= asked.max(1) + 1 && head.launches.0.len() <= claimed.max(1) + 1);
    head.remember_darkness(NOW, true);
    assert!(IntentId::of_next_claim(&head, 0).0.is_ascii());
}

/// The sweep after this one, in which all are silent.
fn is_followed(sweep: &Sweep) {
    let silence = || Observation::Unreachable { detail: "no answer within 1 s".into() };
    let seen: BTreeMap<_, _> = sweep.members.keys().map(|id| (id.clone(), silence())).collect();
    let next = Sweep::fold(&sweep.group, sweep.shard, NOW, sweep.roster, Some(sweep), &seen, None, NOW, INTERVAL);
    assert!(next.gaps_ms.len() <= 5, "{:?}", next.gaps_ms);
    assert!(Duration::from_millis(next.period_ms) >= INTERVAL, "O8: {}", next.period_ms);
    assert_eq!(next.counts.silent, next.counts.members);
    assert!(next.members.values().all(|health| health.silent_sweeps >= 1), "H1: {next:?}");
}
