//! The end of a group.

use std::collections::BTreeMap;

use muster_control::ports::{ActivityLog, Claim, GroupStore, Groups, HealthStore, StoreError, StoredPolicy};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};

use crate::emulator::fresh;
use crate::items::{activity, at, claim, group, member};

fn policy(version: u64, text: &str) -> StoredPolicy {
    StoredPolicy { version: PolicyVersion(version), text: text.into(), since: at(version) }
}

fn roster(number: u64) -> Roster {
    Roster { group: group(), shard: Shard(0), number: RosterNumber(number), entries: Vec::new() }
}

#[tokio::test]
async fn a_group_is_forgotten_whole_and_no_other() {
    let (tables, _emulator) = fresh().await;
    let other = Head { group: "batch".parse().expect("a name"), ..claim(1).head };
    tables.claim(&Claim { head: other.clone(), ..claim(1) }).await.expect("another group");
    // More than one transaction takes.
    let rosters = |from: u64| (from..from + 90).map(roster).collect();
    let first = Claim { put_rosters: rosters(1), put_policy: Some(policy(1, "a")), ..claim(1) };
    tables.claim(&Claim { activity: vec![activity("a", 7)], ..first }).await.expect("a claim");
    tables
        .claim(&Claim { put_rosters: rosters(91), put_policy: Some(policy(2, "b")), ..claim(2) })
        .await
        .expect("a claim");
    tables.take_slot(&group(), Shard(0), at(60_000), "me").await.expect("a slot");
    assert_eq!(tables.policies(&group()).await.expect("a read"), [policy(1, "a"), policy(2, "b")]);

    for wrong in [Some(1), Some(3), None] {
        let refused = tables.forget(&group(), wrong).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{wrong:?}: {refused:?}");
    }
    assert_eq!(tables.policies(&group()).await.expect("a read").len(), 2, "nothing has been deleted");
    tables.forget(&group(), Some(2)).await.expect("the version that was read");
    assert_eq!(tables.read(&group()).await.expect("a read"), None);
    assert_eq!(tables.policies(&group()).await.expect("a read"), []);
    for number in [1, 90, 180] {
        assert_eq!(tables.roster(&group(), Shard(0), RosterNumber(number)).await.expect("a read"), None);
    }
    tables.take_slot(&group(), Shard(0), at(60_000), "another").await.expect("the lock has gone, too");
    assert_eq!(tables.groups().await.expect("a read"), [other.group.clone()] as [GroupName; 1]);
    assert_eq!(tables.head(&other.group).await.expect("a read"), Some(other));
    assert_eq!(tables.since(&group(), at(0), 9).await.expect("a read").len(), 1, "what has happened stays");
    tables.forget(&group(), None).await.expect("once more is as good");
}

#[tokio::test]
async fn whoever_decides_on_a_group_that_is_forgotten_loses_his_claim() {
    let (tables, _emulator) = fresh().await;
    tables.claim(&claim(1)).await.expect("a claim");
    tables.forget(&group(), Some(1)).await.expect("nobody is there");
    let late = Claim { put_members: vec![member("i-1")], ..claim(2) };
    assert!(matches!(tables.claim(&late).await, Err(StoreError::Conflict)));
    let first =
        Claim { head: Head { rosters: BTreeMap::from([(Shard(0), RosterNumber(1))]), ..claim(1).head }, ..claim(1) };
    tables.claim(&first).await.expect("a new group of that name");
    assert!(
        matches!(tables.forget(&group(), None).await, Err(StoreError::Conflict)),
        "which is not the one that was cut off"
    );
}
