//! What stands in the tables, and what is made of what a hand in the console has changed.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use muster_control::activity::{Activity, Event};
use muster_control::chain::chain;
use muster_control::ports::{
    ActivityLog, Claim, GroupStore, Groups, HealthStore, Settlement, StoreError, StoredPolicy,
};
use muster_core::group::{Breaker, GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::history::Sightings;
use muster_core::intent::{Call, Cause, Intent, IntentId, Lease};
use muster_core::member::{InstanceId, Leaving, MemberRecord, MemberState};
use muster_core::time::Timestamp;

use crate::emulator::{Emulator, STACK, fresh};

const DAY_S: u64 = 24 * 3600;

pub(crate) fn group() -> GroupName {
    GroupName::default()
}

pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

pub(crate) fn claim(version: u64) -> Claim {
    Claim {
        expected: (version > 1).then(|| version - 1),
        head: Head { version, ..Head::default() },
        ..Claim::default()
    }
}

pub(crate) fn activity(id: &str, ms: u64) -> Activity {
    Activity { group: group(), at: at(ms), id: id.into(), event: Event::PolicyAccepted { version: PolicyVersion(ms) } }
}

pub(crate) fn member(id: &str) -> MemberRecord {
    MemberRecord {
        id: InstanceId::from(id),
        shard: Shard(3),
        endpoint: "10.0.0.1:50051".into(),
        zone: String::new(),
        template: "lt-1".into(),
        template_version: u64::MAX,
        intent: IntentId("x".into()),
        intended_at: at(1),
        launched_at: at(u64::MAX),
        first_answer: None,
        replaces: None,
        state: MemberState::Pending,
    }
}

fn roster(shard: u16, number: u64) -> Roster {
    Roster { group: group(), shard: Shard(shard), number: RosterNumber(number), entries: Vec::new() }
}

/// An item as it stands in the table, if it does.
async fn raw(emulator: &Emulator, table: &str, sk: &str) -> Option<HashMap<String, AttributeValue>> {
    let request = emulator.client.get_item().table_name(format!("{STACK}-{table}")).consistent_read(true);
    let request = request.key("pk", AttributeValue::S("GROUP#example".into()));
    request.key("sk", AttributeValue::S(sk.into())).send().await.expect("a read").item
}

#[tokio::test]
async fn o3_maps_by_number_tagged_values_and_the_ends_of_numbers_come_back() {
    let (tables, _emulator) = fresh().await;
    let breaker = Breaker { since: at(5), width: u32::MAX, begun: (at(6), 7) };
    let zones = ["", "a", "()", "()b"].map(|zone| (zone.to_owned(), breaker.clone()));
    let head = Head {
        version: u64::MAX - 1,
        rosters: BTreeMap::from([(Shard(0), RosterNumber(u64::MAX)), (Shard(12), RosterNumber(3))]),
        zone_breakers: BTreeMap::from(zones),
        breaker: Some(breaker),
        boot_times_ms: vec![0, u64::MAX],
        orphans: BTreeMap::from([(InstanceId::from("i-1"), Sightings { first: at(2), count: 3 })]),
        ..Head::default()
    };
    let leaving = Leaving { since: at(3), cause: Cause::Leaving, timeout_ms: u64::MAX, wait: true };
    let members = vec![member("i-1"), MemberRecord { state: MemberState::Draining(leaving), ..member("i-2") }];
    let intent = Intent {
        id: IntentId("b".into()),
        at: at(250),
        cause: Cause::BootTimeout,
        policy: Some(PolicyVersion(7)),
        call: Call::Terminate { instance: InstanceId::from("i-1"), shard: Shard(9) },
        attempt: 3,
        lease: Some(Lease { owner: String::new(), until: at(1_250) }),
        first_leased_at: Some(at(1)),
    };
    let untried = Intent { id: IntentId("a".into()), attempt: 0, lease: None, first_leased_at: None, ..intent.clone() };
    let whole = Claim {
        head: head.clone(),
        put_members: members.clone(),
        put_intents: vec![intent.clone(), untried.clone()],
        ..Claim::default()
    };
    tables.claim(&whole).await.expect("a claim");
    let state = tables.read(&group()).await.expect("a read").expect("a HEAD");
    assert_eq!((state.head, state.members, state.intents), (head, members, vec![untried, intent]));
}

#[tokio::test]
async fn a_lease_ends_by_the_clock_and_not_by_the_alphabet() {
    let (tables, _emulator) = fresh().await;
    let intent = |id: &str, until| Intent {
        id: IntentId(id.into()),
        at: at(0),
        cause: Cause::Load,
        policy: None,
        call: Call::Terminate { instance: InstanceId::from("i-1"), shard: Shard(0) },
        attempt: 1,
        lease: Some(Lease { owner: "me".into(), until: at(until) }),
        first_leased_at: Some(at(0)),
    };
    // As texts "…:01.25Z" is before "…:01Z".
    let put_intents = vec![intent("a", 1_250), intent("b", 1_000)];
    tables.claim(&Claim { put_intents, ..claim(1) }).await.expect("a claim");
    let lease = |id: &str, now| muster_control::ports::LeaseRequest {
        group: group(),
        intent: IntentId(id.into()),
        attempt: 1,
        owner: "other".into(),
        now: at(now),
        until: at(now + 1_000),
    };
    assert!(matches!(tables.lease(&lease("a", 1_000)).await, Err(StoreError::Conflict)), "it has not ended");
    assert_eq!(tables.lease(&lease("b", 1_250)).await.expect("it has ended"), 2);
}

#[tokio::test]
async fn the_groups_of_a_stack_are_listed_with_their_first_claim() {
    let (tables, _emulator) = fresh().await;
    assert_eq!(tables.groups().await.expect("a read"), Vec::new());
    for name in ["web", "batch"] {
        let group: GroupName = name.parse().expect("a name");
        let head = Head { group, ..claim(1).head };
        tables.claim(&Claim { head, ..claim(1) }).await.expect("a first claim");
    }
    let names = tables.groups().await.expect("a read").iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names, ["batch", "web"]);
}

#[tokio::test]
async fn only_a_superseded_roster_and_a_lock_expire() {
    let (tables, emulator) = fresh().await;
    let policy = StoredPolicy { version: PolicyVersion(1), text: "{}".into(), since: at(1) };
    let head = |version| Head { rosters: BTreeMap::from([(Shard(0), RosterNumber(version))]), ..claim(version).head };
    let put = |version| Claim {
        head: head(version),
        put_rosters: vec![roster(0, version)],
        activity: vec![activity("a", version * 1_000)],
        ..claim(version)
    };
    let first = Claim { put_members: vec![member("i-1")], put_policy: Some(policy), ..put(1) };
    tables.claim(&first).await.expect("a claim");
    tables.claim(&put(2)).await.expect("a claim");
    let settlement = Settlement {
        group: group(),
        shard: Shard(0),
        roster_seen: Some(RosterNumber(2)),
        settled: Vec::new(),
        put_members: Vec::new(),
        roster: Some(roster(0, 3)),
        outcomes: Vec::new(),
        activity: vec![activity("b", 5_000)],
    };
    tables.settle(&settlement).await.expect("a settlement");
    tables.take_slot(&group(), Shard(0), at(60_000), "me").await.expect("a slot");
    for (sk, expires) in [
        ("LOCK#sweep#0", Some(30 * DAY_S + 60)),
        ("ROSTER#00000#000000000001", Some(30 * DAY_S + 2)),
        ("ROSTER#00000#000000000002", Some(30 * DAY_S + 5)),
        ("ROSTER#00000#000000000003", None),
        ("HEAD", None),
        ("MEMBER#i-1", None),
        ("POLICY#000000000001", None),
    ] {
        let item = raw(&emulator, "control", sk).await.expect(sk);
        assert_eq!(item.get("expires_at"), expires.map(|s| AttributeValue::N(s.to_string())).as_ref(), "{sk}");
    }
    for number in 1..=3 {
        let read = tables.roster(&group(), Shard(0), RosterNumber(number)).await.expect("a read");
        assert_eq!(read, Some(roster(0, number)), "it can be read until then");
    }
}

#[tokio::test]
async fn a_roster_that_was_deleted_keeps_nobody_from_putting_the_next() {
    let (tables, _emulator) = fresh().await;
    let activity = vec![activity("a", 1_000)];
    let seventh = Claim { put_rosters: vec![roster(0, 7)], activity, ..claim(1) };
    tables.claim(&seventh).await.expect("there is no sixth");
    assert_eq!(tables.roster(&group(), Shard(0), RosterNumber(6)).await.expect("a read"), None);
}

#[tokio::test]
async fn activities_sort_by_time_whatever_their_ids() {
    let (tables, emulator) = fresh().await;
    let late = 1_700_000_000_000;
    let activities = vec![activity("a", late), activity("z", 9), activity("m", 99)];
    tables.claim(&Claim { activity: activities, ..claim(1) }).await.expect("a claim");
    let found = tables.since(&group(), at(9), usize::MAX).await.expect("a read");
    assert_eq!(found.iter().map(|activity| activity.id.as_str()).collect::<String>(), "zma");
    let item = raw(&emulator, "activity", "1700000000000#a").await.expect("the item");
    assert_eq!(item["kind"], AttributeValue::S("policy-accepted".into()), "it can be read in the console");
    assert_eq!(item.get("expires_at"), None);
    assert_eq!(tables.since(&group(), at(0), 0).await.expect("a read"), Vec::new());
}

#[tokio::test]
async fn an_item_that_is_not_ours_is_named_and_not_overwritten() {
    let (tables, emulator) = fresh().await;
    tables.claim(&Claim { put_members: vec![member("i-1")], ..claim(1) }).await.expect("a claim");
    let edit = |sk: &str, attribute: &str| {
        let request = emulator.client.update_item().table_name(format!("{STACK}-control"));
        let request = request.key("pk", AttributeValue::S("GROUP#example".into()));
        let request = request.key("sk", AttributeValue::S(sk.into())).update_expression("SET #a = :red");
        request
            .expression_attribute_names("#a", attribute)
            .expression_attribute_values(":red", AttributeValue::S("red".into()))
    };
    edit("MEMBER#i-1", "shard").send().await.expect("an edit");
    let error = tables.read(&group()).await.expect_err("not a member");
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    let said = chain(&error);
    assert!(
        said.contains(r#"the item "GROUP#example MEMBER#i-1" of the table "stack-control" is not a MemberRecord"#),
        "{said}"
    );
    edit("HEAD", "desired").send().await.expect("an edit");
    assert!(matches!(tables.head(&group()).await, Err(StoreError::Corrupt(_))));
    let head = raw(&emulator, "control", "HEAD").await.expect("the item");
    assert_eq!(head["desired"], AttributeValue::S("red".into()));
}
