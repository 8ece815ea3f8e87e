//! What DynamoDB takes and gives at once: pages of 1 MB, transactions of 100 items, items of 400 KB.

use muster_control::chain::chain;
use muster_control::ports::{ActivityLog, Claim, GroupStore, StoreError, StoredPolicy};
use muster_core::group::{Head, PolicyVersion};
use muster_core::intent::{Call, Cause, Intent, IntentId};
use muster_core::member::{InstanceId, MemberRecord};

use crate::emulator::fresh;
use crate::items::{activity, at, claim, group, member};

/// A member whose record is long: ten of them are more than a page.
fn long(n: u64) -> MemberRecord {
    MemberRecord { endpoint: "x".repeat(120_000), ..member(&format!("i-{n:03}")) }
}

fn intent(n: u64) -> Intent {
    Intent {
        id: IntentId(format!("{n:03}")),
        at: at(1),
        cause: Cause::Load,
        policy: None,
        call: Call::Terminate { instance: InstanceId(format!("i-{n:03}")), shard: muster_core::group::Shard(0) },
        attempt: 0,
        lease: None,
        first_leased_at: None,
    }
}

#[tokio::test]
async fn every_page_is_read_and_none_twice() {
    let (tables, _emulator) = fresh().await;
    let members: Vec<MemberRecord> = (0..25).map(long).collect();
    let intents: Vec<Intent> = (0..30).map(intent).collect();
    // A transaction holds 4 MB.
    tables
        .claim(&Claim { put_members: members.clone(), put_intents: intents.clone(), ..claim(1) })
        .await
        .expect("a claim");
    let state = tables.read(&group()).await.expect("a read").expect("a HEAD");
    assert_eq!(state.members.len(), 25);
    assert_eq!((state.members, state.intents), (members, intents));
}

#[tokio::test]
async fn the_newest_activities_are_found_over_many_pages() {
    let (tables, _emulator) = fresh().await;
    let long = |n: u64| muster_control::activity::Activity {
        event: muster_control::activity::Event::PolicyRefused { reason: "x".repeat(100_000) },
        ..activity(&format!("{n}"), n)
    };
    let all: Vec<_> = (10..40).map(long).collect();
    tables.claim(&Claim { activity: all.clone(), ..claim(1) }).await.expect("a claim");
    for limit in [1, 5, 29, 30, 31, usize::MAX] {
        let newest = &all[all.len().saturating_sub(limit)..];
        assert_eq!(tables.since(&group(), at(0), limit).await.expect("a read"), newest, "{limit}");
    }
}

#[tokio::test]
async fn a_transaction_of_a_hundred_items_is_written_and_a_larger_one_refused_as_a_whole() {
    let (tables, _emulator) = fresh().await;
    // HEAD and the list of groups are two of the first claim's items.
    let of =
        |members: u64| Claim { put_members: (0..members).map(|n| member(&format!("i-{n}"))).collect(), ..claim(1) };
    let refused = tables.claim(&of(99)).await.expect_err("101 items");
    assert!(chain(&refused).contains("a transaction of 101 items, DynamoDB takes 100"), "{}", chain(&refused));
    assert_eq!(tables.read(&group()).await.expect("a read"), None);
    tables.claim(&of(98)).await.expect("100 items");
    assert_eq!(tables.read(&group()).await.expect("a read").expect("a HEAD").members.len(), 98);
    // The expiry of an old roster is left away when there is no room for it.
    let roster = |number| muster_core::group::Roster {
        group: group(),
        shard: muster_core::group::Shard(0),
        number: muster_core::group::RosterNumber(number),
        entries: Vec::new(),
    };
    let full = Claim { put_rosters: vec![roster(2)], activity: vec![activity("a", 1)], ..of(97) };
    let full = Claim { expected: Some(1), head: Head { version: 2, ..full.head.clone() }, ..full };
    tables.claim(&full).await.expect("100 items");
}

#[tokio::test]
async fn an_item_that_is_too_long_is_refused_with_all_that_comes_with_it() {
    let (tables, _emulator) = fresh().await;
    let policy = StoredPolicy { version: PolicyVersion(1), text: "x".repeat(500_000), since: at(1) };
    let refused = tables.claim(&Claim { put_policy: Some(policy), ..claim(1) }).await.expect_err("500 kB");
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    let said = chain(&refused);
    assert!(said.contains(r#"the item "GROUP#example POLICY#000000000001" has 5000"#), "{said}");
    assert!(said.contains("DynamoDB takes 409600"), "{said}");
    assert_eq!(tables.head(&group()).await.expect("a read"), None);
}

#[tokio::test]
async fn a_claim_may_speak_of_an_item_twice() {
    let (tables, _emulator) = fresh().await;
    tables.claim(&Claim { put_intents: vec![intent(1)], ..claim(1) }).await.expect("a claim");
    let twice = Claim {
        put_members: vec![member("i-1"), member("i-1"), member("i-2")],
        delete_members: vec!["i-1".into()],
        put_intents: vec![intent(1)],
        cancel_intents: vec![intent(1).id],
        ..claim(2)
    };
    tables.claim(&twice).await.expect("the last word on each holds");
    let state = tables.read(&group()).await.expect("a read").expect("a HEAD");
    assert_eq!((state.members, state.intents), (vec![member("i-2")], Vec::new()));
}
