//! What this store promises beyond the ports: whose files it opens, what it waits for, what it forgets, and that what the
//! use cases write comes back to the bit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use muster_control::activity::{Activity, Event};
use muster_control::memory::{ManualClock, MemoryFleet, MemoryPolicy, MemoryProbe, MemoryStore, Scripted};
use muster_control::ports::{ActivityLog, Claim, Clock, GroupState, GroupStore, HealthStore, StoreError};
use muster_control::reconcile::{Controller, Settings, reconcile};
use muster_control::sweep::{Monitor, sweep};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::sweep::{Sweep, SweepCounts};
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use rusqlite::Connection;
use tempfile::TempDir;

const DAY_MS: u64 = 24 * 3600 * 1000;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    (folder, path)
}

fn group() -> GroupName {
    GroupName::default()
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn head(version: u64) -> Head {
    Head { version, ..Head::default() }
}

fn claim(version: u64) -> Claim {
    Claim { expected: (version > 1).then(|| version - 1), head: head(version), ..Claim::default() }
}

fn roster(number: u64) -> Roster {
    Roster { group: group(), shard: Shard(0), number: RosterNumber(number), entries: Vec::new() }
}

fn swept(slot: u64, roster: u64) -> Sweep {
    Sweep {
        group: group(),
        shard: Shard(0),
        slot: at(slot),
        roster: Some(RosterNumber(roster)),
        finished_at: at(slot),
        period_ms: 1_000,
        gaps_ms: Vec::new(),
        blind: None,
        counts: SweepCounts::default(),
        members: BTreeMap::new(),
    }
}

fn activity(id: &str, ms: u64) -> Activity {
    Activity { group: group(), at: at(ms), id: id.into(), event: Event::PolicyAccepted { version: PolicyVersion(ms) } }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn corrupt(error: &StoreError, says: &str) {
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    assert!(chain(error).contains(says), "{}", chain(error));
}

#[tokio::test]
async fn what_was_written_is_there_for_the_next_opening() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).expect("a new store");
    store.claim(&claim(1)).await.expect("a claim");
    drop(store);
    let store = SqliteStore::open(&path).expect("the same store");
    assert_eq!(store.head(&group()).await.expect("a read"), Some(head(1)));
}

#[test]
fn a_file_of_another_application_is_refused_and_left_as_it_is() {
    let (_folder, path) = folder();
    let theirs = Connection::open(&path).expect("a database");
    theirs.execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 1;").expect("a table of theirs");
    drop(theirs);
    let before = std::fs::read(&path).expect("the file");
    corrupt(&SqliteStore::open(&path).expect_err("not ours"), "another application");
    assert_eq!(std::fs::read(&path).expect("the file"), before);
}

#[test]
fn a_newer_schema_is_refused_by_its_number() {
    let (_folder, path) = folder();
    drop(SqliteStore::open(&path).expect("a new store"));
    Connection::open(&path).expect("the file").pragma_update(None, "user_version", 5).expect("a pragma");
    for opened in [SqliteStore::open(&path), SqliteStore::open_read_only(&path)] {
        corrupt(&opened.expect_err("newer than we are"), "has schema version 5, this program knows version 4");
    }
}

#[test]
fn what_is_no_database_is_refused() {
    let (_folder, path) = folder();
    std::fs::write(&path, "not a database, but long enough to have a header ".repeat(10)).expect("a file");
    corrupt(&SqliteStore::open(&path).expect_err("no database"), "not a database");
}

#[test]
fn a_folder_that_is_not_there_is_an_error_of_the_place() {
    let (_folder, path) = folder();
    let error = SqliteStore::open(path.join("deeper")).expect_err("no folder");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[test]
fn many_may_open_a_new_file_at_once() {
    for _ in 0..8 {
        let (_folder, path) = folder();
        std::thread::scope(|scope| {
            let opened: Vec<_> = (0..6).map(|_| scope.spawn(|| SqliteStore::open(&path).map(drop))).collect();
            for one in opened {
                one.join().expect("no panic").expect("a store");
            }
        });
    }
}

#[tokio::test]
async fn a_reader_sees_and_changes_nothing() {
    let (_folder, path) = folder();
    let missing = SqliteStore::open_read_only(&path).expect_err("no file");
    assert!(matches!(missing, StoreError::Unavailable(_)), "{missing:?}");
    let store = SqliteStore::open(&path).expect("a new store");
    store.claim(&claim(1)).await.expect("a claim");
    let reader = SqliteStore::open_read_only(&path).expect("a reader");
    assert_eq!(reader.head(&group()).await.expect("a read"), Some(head(1)));
    let refused = reader.claim(&claim(2)).await.expect_err("a reader");
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
}

#[tokio::test]
async fn a_write_waits_for_another_process_without_stalling_the_event_loop() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).expect("a new store");
    let other = Connection::open(&path).expect("another connection");
    other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let first = claim(1);
    // On this one thread the lock is given back only if the claim's wait lets the other task run.
    let release = async { other.execute_batch("COMMIT").expect("the end of the other's write") };
    let (claimed, ()) = tokio::join!(store.claim(&first), release);
    claimed.expect("a claim, after the wait");
}

#[tokio::test]
async fn readers_do_not_wait_for_a_writer() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).expect("a new store");
    store.claim(&claim(1)).await.expect("a claim");
    let other = Connection::open(&path).expect("another connection");
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM heads;").expect("an unfinished write");
    assert_eq!(store.head(&group()).await.expect("a read"), Some(head(1)));
}

#[tokio::test]
async fn a_document_that_is_not_ours_is_named_and_not_overwritten() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).expect("a new store");
    store.claim(&claim(1)).await.expect("a claim");
    let other = Connection::open(&path).expect("another connection");
    other.execute_batch("UPDATE heads SET doc = '{\"version\": 1, \"desired\": \"red\"}'").expect("an edit");
    corrupt(&store.head(&group()).await.expect_err("not a HEAD"), "is not a Head: invalid type");
    corrupt(&store.claim(&claim(2)).await.expect_err("not a HEAD"), "is not a Head");
    let text: String = other.query_row("SELECT doc FROM heads", [], |row| row.get(0)).expect("the document");
    assert!(text.contains("red"), "{text}");
}

#[tokio::test]
async fn sweeps_of_the_last_day_are_kept_and_the_rosters_that_they_name() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).expect("a new store");
    let rosters = (1..=4).map(roster).collect();
    store.claim(&Claim { put_rosters: rosters, ..claim(1) }).await.expect("a claim");
    for (slot, roster) in [(1_000, 1), (2_000, 2), (3_000, 3), (3_000 + DAY_MS, 4)] {
        store.append(&swept(slot, roster)).await.expect("a sweep");
    }
    let other = Connection::open(&path).expect("another connection");
    let count = |table: &str| -> u32 {
        other.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
    };
    assert_eq!((count("sweeps"), count("rosters")), (2, 2));
    for (number, kept) in [(2, None), (3, Some(roster(3))), (4, Some(roster(4)))] {
        assert_eq!(store.roster(&group(), Shard(0), RosterNumber(number)).await.expect("a read"), kept);
    }
}

#[tokio::test]
async fn activities_of_the_last_month_are_kept_and_one_append_forgets_a_bounded_number() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).expect("a new store");
    let old = (0..250).map(|n| activity(&format!("old-{n}"), n)).collect();
    store.claim(&Claim { activity: old, ..claim(1) }).await.expect("a claim");
    for (version, left) in [(2, 151), (3, 52), (4, 3), (5, 4)] {
        let young = activity(&format!("young-{version}"), 40 * DAY_MS);
        store.claim(&Claim { activity: vec![young], ..claim(version) }).await.expect("a claim");
        assert_eq!(store.since(&group(), at(0), usize::MAX).await.expect("a read").len(), left);
    }
}

/// A few minutes of a group's life: it is created, grows under load, loses a member.
async fn a_life<S: GroupStore + HealthStore + ActivityLog>(mut store: S) -> (GroupState, Vec<Activity>, Sweep) {
    let (clock, probe) = (ManualClock::at(at(1_700_000_000_000)), MemoryProbe::default());
    let mut fleet = MemoryFleet::default();
    for round in 0..24_u32 {
        for (id, ..) in fleet.ever() {
            // A third is no sum of powers of two: it comes back equal only when no bit is lost.
            probe.script(&id, Scripted::Load(71.0 + f64::from(round) / 3.0));
        }
        if let (12.., Some((id, ..))) = (round, fleet.ever().first()) {
            probe.script(id, Scripted::Silent);
        }
        probe.receive_at(clock.now(), None);
        let monitor = Monitor { store, probe: &probe, clock: &clock, name: "monitor".into() };
        sweep(&monitor, &group(), Shard(0)).await.expect("a sweep");
        let settings = Settings {
            stack: "stack".into(),
            owner: "me".into(),
            lease: Duration::from_secs(5),
            budget: Duration::from_secs(60),
        };
        let policies = MemoryPolicy::of(r#"{"max_instances": 8, "scaling": {"kind": "threshold"}}"#);
        let controller = Controller { store: monitor.store, fleet, policies, clock: &clock, settings };
        reconcile(&controller, &group(), 0.5).await.expect("a decision");
        (store, fleet) = (controller.store, controller.fleet);
        clock.advance(Duration::from_secs(30));
    }
    let state = store.read(&group()).await.expect("a read").expect("a HEAD");
    let activity = store.since(&group(), Timestamp::EPOCH, usize::MAX).await.expect("the activities");
    (state, activity, store.latest(&group(), Shard(0)).await.expect("a read").expect("a sweep"))
}

#[tokio::test]
async fn o3_a_groups_life_is_the_same_to_the_bit_as_in_memory() {
    let (_folder, path) = folder();
    let (state, activity, sweep) = a_life(SqliteStore::open(&path).expect("a new store")).await;
    let expected = a_life(MemoryStore::default()).await;
    assert!(activity.iter().any(|activity| matches!(activity.event, Event::Launched { .. })), "it has grown");
    assert_eq!((state, sweep), (expected.0, expected.2));
    assert_eq!(activity, expected.1);
}

#[tokio::test]
async fn v4_a_sweep_that_cannot_be_read_stops_neither_the_next_sweep_nor_the_decision() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).expect("a new store");
    let (clock, probe, fleet) = (ManualClock::at(at(DAY_MS)), MemoryProbe::default(), MemoryFleet::default());
    let settings = Settings {
        stack: "stack".into(),
        owner: "me".into(),
        lease: Duration::from_secs(5),
        budget: Duration::from_secs(60),
    };
    let policies = MemoryPolicy::of(r#"{"min_instances": 2}"#);
    let monitor = Monitor { store: store.clone(), probe: &probe, clock: &clock, name: "monitor".into() };
    let controller = Controller { store: store.clone(), fleet, policies, clock: &clock, settings };
    sweep(&monitor, &group(), Shard(0)).await.expect("a sweep");
    reconcile(&controller, &group(), 0.5).await.expect("a decision");

    let file = Connection::open(&path).expect("the file");
    file.execute("UPDATE sweeps SET doc = '{}'", []).expect("an edit by hand");
    assert!(matches!(store.latest(&group(), Shard(0)).await, Err(StoreError::Corrupt(_))));
    let looked = reconcile(&controller, &group(), 0.5).await.expect("bounds and intents go on");
    assert!(looked.troubles.iter().any(|trouble| trouble.contains("shard 0")), "{looked:?}");
    clock.advance(Duration::from_secs(10));
    sweep(&monitor, &group(), Shard(0)).await.expect("the next sweep begins anew");
    let healed = store.latest(&group(), Shard(0)).await.expect("a read").expect("a sweep");
    assert_eq!((healed.slot, healed.members.len()), (at(DAY_MS + 10_000), 2));
}
