//! Sweeps: readable or packed, each one doorbell, and the same to whoever reads them.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use muster_control::ports::{HealthStore, StoreError};
use muster_core::group::{RosterNumber, Shard};
use muster_core::health::{Health, Load, Seen};
use muster_core::member::InstanceId;
use muster_core::sweep::{Sweep, SweepCounts};

use crate::emulator::{Emulator, STACK, fresh};
use crate::items::{at, group};

const START: u64 = 1_700_000_000_000;
const DAY_S: u64 = 24 * 3600;

/// A sweep of `members` members, `slot` seconds after the start.
fn sweep(shard: u16, slot: u64, members: u64) -> Sweep {
    let finished = START + slot * 1000 + 700;
    let health = |n: u64| Health {
        first_answer: Some(at(START - 5_000)),
        last_answer: Some(at(finished - n % 500)),
        sampled_at: Some(at(finished - n % 500)),
        load: Load::new(50.0 + n as f64 / 100.0),
        boot_id: format!("{:032x}", u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        version: "0.1.0".into(),
        cursor: 100 + slot,
        ..Health::default()
    };
    let members: BTreeMap<_, _> = (0..members).map(|n| (InstanceId(format!("i-{n:017x}")), health(n))).collect();
    let count = u32::try_from(members.len()).expect("few");
    Sweep {
        group: group(),
        shard: Shard(shard),
        slot: at(START + slot * 1000),
        roster: Some(RosterNumber(4)),
        finished_at: at(finished),
        period_ms: 10_000,
        gaps_ms: vec![10_000, 20_000],
        blind: Some("the network of this monitor is gone".into()),
        counts: SweepCounts { members: count, answered: count, mean: Some(170.0 / 3.0), ..SweepCounts::default() },
        members,
    }
}

/// The doorbells that have rung: what happened, and the sort key.
fn rung(emulator: &Emulator) -> Vec<(String, String)> {
    let database = &emulator.database;
    let request = ListStreamsRequest { table_name: Some(format!("{STACK}-sweeps")), ..ListStreamsRequest::default() };
    let streams = database.list_streams(request).expect("the streams").streams;
    let stream_arn = streams[0].stream_arn.clone();
    let request = DescribeStreamRequest { stream_arn: stream_arn.clone(), ..DescribeStreamRequest::default() };
    let described = database.describe_stream(request).expect("the stream").stream_description;
    assert_eq!(described.stream_view_type, "KEYS_ONLY");
    let request = GetShardIteratorRequest {
        stream_arn,
        shard_id: described.shards[0].shard_id.clone(),
        shard_iterator_type: "TRIM_HORIZON".into(),
        ..GetShardIteratorRequest::default()
    };
    let shard_iterator =
        database.get_shard_iterator(request).expect("an iterator").shard_iterator.expect("an iterator");
    let request = GetRecordsRequest { shard_iterator, ..GetRecordsRequest::default() };
    let records = database.get_records(request).expect("the records").records;
    let sort_key = |item: &dynoxide::Item| match item.get("sk") {
        Some(dynoxide::AttributeValue::S(key)) => key.clone(),
        other => panic!("no sort key: {other:?}"),
    };
    let of = |record: &dynoxide::actions::get_records::Record| {
        assert!(record.dynamodb.new_image.is_none(), "keys only");
        (record.event_name.clone(), sort_key(&record.dynamodb.keys))
    };
    records.iter().map(of).collect()
}

async fn item(emulator: &Emulator, sk: &str) -> Option<std::collections::HashMap<String, AttributeValue>> {
    let request = emulator.client.get_item().table_name(format!("{STACK}-sweeps")).consistent_read(true);
    let request = request.key("pk", AttributeValue::S("GROUP#example".into()));
    request.key("sk", AttributeValue::S(sk.into())).send().await.expect("a read").item
}

#[tokio::test]
async fn a_sweep_of_few_members_is_a_map_that_a_person_can_read() {
    let (tables, emulator) = fresh().await;
    let few = sweep(7, 10, 50);
    tables.append(&few).await.expect("a sweep");
    assert_eq!(tables.latest(&group(), Shard(7)).await.expect("a read"), Some(few));
    let item = item(&emulator, "S#1700000010000#00007").await.expect("the item");
    let members = item["members"].as_m().expect("a map");
    let one = members["i-00000000000000003"].as_m().expect("a map");
    assert_eq!(one["load"], AttributeValue::N("50.03".into()));
    assert_eq!(one["last_answer"], AttributeValue::S("2023-11-14T22:13:30.697Z".into()));
    assert_eq!(item["mean"], AttributeValue::N("56.666666666666664".into()));
    assert_eq!(item["answered"], AttributeValue::N("50".into()));
    assert_eq!(item["expires_at"], AttributeValue::N((1_700_000_010 + 30 * DAY_S).to_string()));
}

#[tokio::test]
async fn large_sweeps_stand_on_a_base_that_outlives_them_and_are_the_same_to_a_cold_reader() {
    let (tables, emulator) = fresh().await;
    for slot in [10, 20, 30] {
        // Each is written by a process that has remembered nothing, too.
        let writer = if slot == 20 { emulator.tables() } else { tables.clone() };
        let large = sweep(0, slot, 51);
        writer.append(&large).await.expect("a sweep");
        for reader in [&tables, &emulator.tables()] {
            assert_eq!(reader.latest(&group(), Shard(0)).await.expect("a read").as_ref(), Some(&large));
        }
    }
    let base = item(&emulator, "B#1700000010000#00000").await.expect("the base");
    // A day in which sweeps may name it, thirty in which they are kept, and one more.
    assert_eq!(base["expires_at"], AttributeValue::N((1_700_000_010 + 32 * DAY_S).to_string()));
    for slot in [20, 30] {
        assert_eq!(item(&emulator, &format!("B#17000000{slot}000#00000")).await, None);
        let swept = item(&emulator, &format!("S#17000000{slot}000#00000")).await.expect("the item");
        assert_eq!(swept["base"], AttributeValue::S("2023-11-14T22:13:30Z".into()));
        assert!(!swept.contains_key("members"));
    }
}

#[tokio::test]
async fn every_append_rings_once_with_the_sweeps_own_key() {
    let (tables, emulator) = fresh().await;
    for slot in [10, 20] {
        tables.append(&sweep(0, slot, 60)).await.expect("a sweep");
        tables.append(&sweep(1, slot, 3)).await.expect("a sweep");
        assert!(matches!(tables.append(&sweep(0, slot, 60)).await, Err(StoreError::Conflict)));
        assert!(matches!(tables.append(&sweep(1, slot, 60)).await, Err(StoreError::Conflict)));
    }
    let all = rung(&emulator);
    let doorbells: Vec<&str> =
        all.iter().filter(|(_, key)| key.starts_with("S#")).map(|(_, key)| key.as_str()).collect();
    assert_eq!(
        doorbells,
        ["S#1700000010000#00000", "S#1700000010000#00001", "S#1700000020000#00000", "S#1700000020000#00001"]
    );
    assert!(all.iter().all(|(event, _)| event == "INSERT"), "{all:?}");
    assert_eq!(all.len(), 5, "beside them only the base, which the filter leaves out: {all:?}");
}

#[tokio::test]
async fn a_base_that_is_gone_is_made_anew_and_its_sweeps_cannot_be_read() {
    let (tables, emulator) = fresh().await;
    tables.append(&sweep(0, 10, 60)).await.expect("a sweep");
    let request = emulator.client.delete_item().table_name(format!("{STACK}-sweeps"));
    let request = request.key("pk", AttributeValue::S("GROUP#example".into()));
    request.key("sk", AttributeValue::S("B#1700000010000#00000".into())).send().await.expect("a deletion");
    let cold = emulator.tables();
    let error = cold.latest(&group(), Shard(0)).await.expect_err("without its base");
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    cold.append(&sweep(0, 20, 60)).await.expect("the next sweep");
    assert_eq!(cold.latest(&group(), Shard(0)).await.expect("a read"), Some(sweep(0, 20, 60)));
}

#[tokio::test]
async fn a_shards_latest_is_found_behind_many_sweeps_of_others() {
    let (tables, _emulator) = fresh().await;
    let old = sweep(3, 1, 2);
    tables.append(&old).await.expect("a sweep");
    for slot in 2..120 {
        tables.append(&sweep(4, slot, 0)).await.expect("a sweep");
    }
    assert_eq!(tables.latest(&group(), Shard(3)).await.expect("a read"), Some(old));
    assert_eq!(tables.latest(&group(), Shard(5)).await.expect("a read"), None);
}

#[tokio::test]
async fn a_blackout_of_a_large_shard_and_its_end_come_back() {
    let (tables, emulator) = fresh().await;
    let mut known: Option<Sweep> = None;
    for slot in 1..30_u64 {
        let mut now = sweep(0, slot * 10, 120);
        if (10..20).contains(&slot) {
            let before = known.clone().expect("a sweep before").members;
            let silent = |health: Health| Health {
                seen: Seen::Silent,
                silent_since: health.silent_since.or(Some(now.finished_at)),
                silent_sweeps: health.silent_sweeps + 1,
                detail: "no answer within 1 s".into(),
                ..health
            };
            now.members = before.into_iter().map(|(id, health)| (id, silent(health))).collect();
        }
        emulator.tables().append(&now).await.expect("a sweep");
        assert_eq!(tables.latest(&group(), Shard(0)).await.expect("a read"), Some(now.clone()));
        known = Some(now);
    }
}

#[tokio::test]
async fn a_slot_is_taken_by_its_owner_as_the_console_shows() {
    let (tables, emulator) = fresh().await;
    tables.take_slot(&group(), Shard(2), at(START), "monitor-1").await.expect("a slot");
    let later = at(START).plus(Duration::from_secs(10));
    tables.take_slot(&group(), Shard(2), later, "monitor-2").await.expect("the next slot");
    let request = emulator.client.get_item().table_name(format!("{STACK}-control")).consistent_read(true);
    let request = request.key("pk", AttributeValue::S("GROUP#example".into()));
    let lock = request.key("sk", AttributeValue::S("LOCK#sweep#2".into())).send().await.expect("a read").item;
    assert_eq!(lock.expect("the lock")["owner"], AttributeValue::S("monitor-2".into()));
}
