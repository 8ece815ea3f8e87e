//! What every store must do.
#![expect(missing_docs, reason = "each case's name is its sentence")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use muster_core::auto::{Learnt, Recent, Sample, Setting};
use muster_core::decide::decide;
use muster_core::group::{GroupName, Head, Outcome, Place, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::health::{Health, Load, Seen};
use muster_core::intent::{Call, Cause, Intent, IntentId};
use muster_core::member::{InstanceId, MemberRecord, MemberState};
use muster_core::policy::Policy;
use muster_core::snapshot::Snapshot;
use muster_core::sweep::{Sweep, SweepCounts};
use muster_core::time::Timestamp;
use serde_json::json;

use crate::activity::{Activity, Event};
use crate::ports::{
    ActivityLog, Claim, GroupState, GroupStore, Groups, HealthStore, LeaseRequest, Parts, Rejected, Rejections,
    Release, Settlement, StoreError, StoredPolicy, SweepLog,
};

/// What a store is here: all its ports.
pub trait Store: GroupStore + HealthStore + SweepLog + ActivityLog + Groups + Rejections {}
impl<S: GroupStore + HealthStore + SweepLog + ActivityLog + Groups + Rejections> Store for S {}

fn group() -> GroupName {
    GroupName::default()
}

pub(super) const fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn head(version: u64) -> Head {
    Head { version, desired: 2, rosters: BTreeMap::from([(Shard(0), RosterNumber(1))]), ..Head::default() }
}

fn first() -> Claim {
    Claim { expected: None, head: head(1), put_rosters: vec![roster(1)], ..Claim::default() }
}

fn next(version: u64) -> Claim {
    Claim { expected: Some(version), head: head(version + 1), ..Claim::default() }
}

fn roster(number: u64) -> Roster {
    Roster { group: group(), shard: Shard(0), number: RosterNumber(number), entries: Vec::new() }
}

pub(super) fn intent(id: &str) -> Intent {
    let call = Call::Terminate { instance: InstanceId::from("i-1"), shard: Shard(0) };
    Intent {
        id: IntentId(id.into()),
        at: at(1),
        cause: Cause::Load,
        policy: None,
        call,
        attempt: 0,
        lease: None,
        first_leased_at: None,
    }
}

pub(super) fn member(id: &str) -> MemberRecord {
    MemberRecord {
        id: InstanceId::from(id),
        shard: Shard(0),
        endpoint: "127.0.0.1:1".into(),
        zone: "a".into(),
        template: String::new(),
        template_version: 0,
        intent: IntentId("x".into()),
        intended_at: at(1),
        launched_at: at(2),
        first_answer: None,
        replaces: None,
        state: MemberState::Pending,
    }
}

pub(super) fn activity(id: &str, ms: u64) -> Activity {
    Activity { group: group(), at: at(ms), id: id.into(), event: Event::PolicyAccepted { version: PolicyVersion(ms) } }
}

/// The record of equal decisions, the first of them taken at `since`, the last at `ms`.
pub(super) fn decision(id: &str, since: u64, ms: u64) -> Activity {
    let snapshot: Snapshot = serde_json::from_value(json!({"now": ms, "head": {}})).expect("a snapshot");
    let report = Box::new(decide(&snapshot, &Policy::default()).report);
    let event = Event::Decision { report, version: 1, since: at(since), count: 1, snapshot: None };
    Activity { group: group(), at: at(ms), id: id.into(), event }
}

pub(super) fn accepted(ms: u64) -> Outcome {
    Outcome::Launched { at: at(ms), cause: Cause::Load, place: Place::default() }
}

pub(super) fn sweep(slot: u64) -> Sweep {
    Sweep {
        group: group(),
        shard: Shard(0),
        slot: at(slot),
        roster: None,
        finished_at: at(slot + 5),
        period_ms: 1_000,
        gaps_ms: Vec::new(),
        blind: None,
        counts: SweepCounts::default(),
        members: BTreeMap::new(),
    }
}

fn lease(id: &str, attempt: u32, now: u64, until: u64) -> LeaseRequest {
    let (now, until) = (at(now), at(until));
    LeaseRequest { group: group(), intent: IntentId(id.into()), attempt, owner: "me".into(), now, until }
}

fn settlement(id: &str, attempt: u32) -> Settlement {
    Settlement {
        group: group(),
        shard: Shard(0),
        roster_seen: Some(RosterNumber(1)),
        settled: vec![(IntentId(id.into()), attempt)],
        put_members: Vec::new(),
        roster: None,
        outcomes: Vec::new(),
        activity: vec![activity("settled", 9)],
    }
}

async fn state<S: Store>(store: &S) -> GroupState {
    store.read(&group()).await.expect("a read").expect("a HEAD")
}

fn conflict<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Conflict))
}

pub async fn a_group_is_unknown_before_its_first_claim<S: Store>(store: &S) {
    assert_eq!(store.head(&group()).await.expect("a read"), None);
    assert_eq!(store.read(&group()).await.expect("a read"), None);
    assert!(conflict(&store.claim(&next(1)).await));
    assert_eq!(store.latest(&group(), Shard(0)).await.expect("a read"), None);
    assert_eq!(store.since(&group(), at(0), 10).await.expect("a read"), Vec::new());
}

pub async fn a_first_claim_creates_head_once<S: Store>(store: &S) {
    store.claim(&first()).await.expect("the first claim");
    assert!(conflict(&store.claim(&first()).await));
    assert_eq!(store.head(&group()).await.expect("a read"), Some(head(1)));
    assert_eq!(state(store).await, GroupState { head: head(1), ..GroupState::default() });
}

pub async fn a_claim_writes_all_or_nothing<S: Store>(store: &S) {
    store.claim(&first()).await.expect("the first claim");
    let whole = Claim {
        put_members: vec![member("i-1"), member("i-2")],
        put_intents: vec![intent("a")],
        put_rosters: vec![roster(2)],
        put_policy: Some(StoredPolicy { version: PolicyVersion(4), text: "{}".into(), since: at(1) }),
        activity: vec![activity("a", 1)],
        ..next(1)
    };
    let refused = Claim { cancel_intents: vec![IntentId("not there".into())], ..whole.clone() };
    assert!(conflict(&store.claim(&refused).await));
    assert_eq!(state(store).await, GroupState { head: head(1), ..GroupState::default() });
    assert_eq!(store.roster(&group(), Shard(0), RosterNumber(2)).await.expect("a read"), None);
    assert_eq!(store.policy(&group(), PolicyVersion(4)).await.expect("a read"), None);
    assert_eq!(store.since(&group(), at(0), 10).await.expect("a read"), Vec::new());
    store.claim(&whole).await.expect("the claim without the bad condition");
    let now = state(store).await;
    assert_eq!((now.head.version, now.members.len(), now.intents), (2, 2, vec![intent("a")]));
    assert_eq!(store.intents(&group()).await.expect("a read"), [intent("a")]);
    assert_eq!(store.since(&group(), at(0), 10).await.expect("a read"), vec![activity("a", 1)]);
}

pub async fn a_claim_on_an_old_version_is_a_conflict<S: Store>(store: &S) {
    store.claim(&first()).await.expect("the first claim");
    store.claim(&next(1)).await.expect("the second");
    assert!(conflict(&store.claim(&next(1)).await));
    assert!(conflict(&store.claim(&next(3)).await));
    assert_eq!(state(store).await.head.version, 2);
}

pub async fn of_many_claims_at_once_one_wins<S: Store>(store: &S) {
    store.claim(&first()).await.expect("the first claim");
    let claims: Vec<Claim> =
        (0..8).map(|n| Claim { put_members: vec![member(&format!("i-{n}"))], ..next(1) }).collect();
    let outcomes = join_all(claims.iter().map(|claim| store.claim(claim))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| conflict(outcome)).count(), 7);
    assert_eq!(state(store).await.members.len(), 1);
}

pub async fn a_claim_overwrites_the_record_of_an_equal_decision<S: Store>(store: &S) {
    // An equal decision's record says when it was last taken, and keeps the place of the first time.
    let (once, again) = (decision("b", 2, 2), decision("b", 2, 9));
    let before = vec![activity("a", 1), once, activity("c", 3)];
    store.claim(&Claim { activity: before, ..first() }).await.expect("a claim");
    store.claim(&Claim { activity: vec![again.clone()], ..next(1) }).await.expect("a claim");
    let found = store.since(&group(), at(0), 10).await.expect("a read");
    assert_eq!(found, vec![activity("a", 1), again, activity("c", 3)]);
}

pub async fn members_are_put_replaced_and_deleted<S: Store>(store: &S) {
    store.claim(&Claim { put_members: vec![member("i-1"), member("i-2")], ..first() }).await.expect("a claim");
    let active = MemberRecord { state: MemberState::Active, ..member("i-2") };
    let claim = Claim { put_members: vec![active.clone()], delete_members: vec!["i-1".into()], ..next(1) };
    store.claim(&claim).await.expect("a claim");
    assert_eq!(state(store).await.members, vec![active]);
}

pub async fn what_has_been_learnt_is_kept_for_whom_head_says_it_is<S: Store>(store: &S) {
    let setting =
        Setting { price: 0.1, min: 1, max: 9, boot: Duration::from_secs(30), period: Duration::from_secs(10) };
    let learnt = |n| {
        let samples = (1..=n).map(|n| Sample::of(at(n * 10_000), 50.0, 3, None, None)).collect();
        let recent = Recent { stored_at: None, samples };
        Box::new(Learnt::recall(None, &recent, at(n * 10_000), &setting))
    };
    let head = |n, stored_at| Head { auto: Recent { stored_at, samples: Vec::new() }, ..head(n) };
    store.claim(&Claim { put_learnt: Some(learnt(1)), ..first() }).await.expect("a claim");
    assert_eq!(state(store).await.learnt, None, "HEAD does not know of it");
    let claim = Claim { put_learnt: Some(learnt(9)), head: head(2, Some(at(90_000))), ..next(1) };
    store.claim(&claim).await.expect("a claim");
    assert_eq!(state(store).await.learnt, Some(learnt(9)));
    store.claim(&Claim { head: head(3, Some(at(90_000))), ..next(2) }).await.expect("a claim");
    assert_eq!(state(store).await.learnt, Some(learnt(9)), "a claim without it leaves it as it is");
}

pub async fn rosters_and_policies_are_kept_by_number<S: Store>(store: &S) {
    let policy =
        |n| StoredPolicy { version: PolicyVersion(n), text: format!("{{\"min_instances\":{n}}}"), since: at(n) };
    store.claim(&Claim { put_policy: Some(policy(1)), ..first() }).await.expect("a claim");
    let claim = Claim { put_policy: Some(policy(2)), put_rosters: vec![roster(2)], ..next(1) };
    store.claim(&claim).await.expect("a claim");
    for n in [1, 2] {
        assert_eq!(store.roster(&group(), Shard(0), RosterNumber(n)).await.expect("a read"), Some(roster(n)));
        assert_eq!(store.policy(&group(), PolicyVersion(n)).await.expect("a read"), Some(policy(n)));
    }
    assert_eq!(store.roster(&group(), Shard(1), RosterNumber(1)).await.expect("a read"), None);
    assert_eq!(store.policy(&group(), PolicyVersion(3)).await.expect("a read"), None);
}

pub async fn an_intent_is_leased_by_one_at_a_time<S: Store>(store: &S) {
    assert!(conflict(&store.lease(&lease("a", 0, 10, 20)).await), "what is not there cannot be leased");
    store.claim(&Claim { put_intents: vec![intent("a")], ..first() }).await.expect("a claim");
    assert_eq!(store.lease(&lease("a", 0, 10, 20)).await.expect("a lease"), 1);
    assert!(conflict(&store.lease(&lease("a", 0, 30, 40)).await), "the attempt has moved on");
    assert!(conflict(&store.lease(&lease("a", 1, 19, 40)).await), "the lease has not ended");
    assert_eq!(store.lease(&lease("a", 1, 20, 40)).await.expect("the next lease"), 2);
    let held = state(store).await.intents[0].clone();
    assert_eq!((held.attempt, held.lease.map(|lease| lease.until)), (2, Some(at(40))));
}

pub async fn a_lease_does_not_raise_the_version<S: Store>(store: &S) {
    store.claim(&Claim { put_intents: vec![intent("a")], ..first() }).await.expect("a claim");
    store.lease(&lease("a", 0, 10, 20)).await.expect("a lease");
    assert_eq!(state(store).await.head.version, 1);
}

pub async fn an_untried_intent_can_be_taken_back_and_a_leased_one_cannot<S: Store>(store: &S) {
    store.claim(&Claim { put_intents: vec![intent("a"), intent("b")], ..first() }).await.expect("a claim");
    store.lease(&lease("b", 0, 10, 20)).await.expect("a lease");
    let cancel = |id: &str| Claim { cancel_intents: vec![IntentId(id.into())], ..next(1) };
    assert!(conflict(&store.claim(&cancel("b")).await), "a call may have been made, even after the lease");
    store.claim(&cancel("a")).await.expect("nobody has tried it");
    assert_eq!(state(store).await.intents.len(), 1);
}

pub async fn a_settlement_ends_its_intents_and_raises_the_version<S: Store>(store: &S) {
    store.claim(&Claim { put_intents: vec![intent("a"), intent("b")], ..first() }).await.expect("a claim");
    for id in ["a", "b"] {
        store.lease(&lease(id, 0, 10, 20)).await.expect("a lease");
    }
    let settled = vec![(IntentId("a".into()), 1), (IntentId("b".into()), 1)];
    let put_members = vec![member("i-1")];
    let outcomes = vec![accepted(15)];
    let whole = Settlement { settled, put_members, roster: Some(roster(2)), outcomes, ..settlement("a", 1) };
    store.settle(&whole).await.expect("a settlement");
    let now = state(store).await;
    assert_eq!((now.head.version, now.intents.len(), now.members), (2, 0, vec![member("i-1")]));
    assert_eq!(now.head.rosters[&Shard(0)], RosterNumber(2));
    assert_eq!(now.head.outcomes, vec![accepted(15)]);
    assert_eq!(store.roster(&group(), Shard(0), RosterNumber(2)).await.expect("a read"), Some(roster(2)));
    assert_eq!(store.since(&group(), at(0), 10).await.expect("a read"), vec![activity("settled", 9)]);
    assert!(conflict(&store.settle(&whole).await), "an intent is settled once");
}

pub async fn a_settlement_needs_its_own_attempt_and_the_roster_as_read<S: Store>(store: &S) {
    assert!(conflict(&store.settle(&settlement("a", 1)).await), "there is no such group");
    store.claim(&Claim { put_intents: vec![intent("a")], ..first() }).await.expect("a claim");
    store.lease(&lease("a", 0, 10, 20)).await.expect("a lease");
    store.lease(&lease("a", 1, 20, 30)).await.expect("the next lease");
    assert!(conflict(&store.settle(&settlement("a", 1)).await), "the lease was lost");
    let other = Settlement { roster_seen: Some(RosterNumber(7)), ..settlement("a", 2) };
    assert!(conflict(&store.settle(&other).await), "the membership has changed");
    assert!(conflict(&store.settle(&Settlement { roster_seen: None, ..settlement("a", 2) }).await));
    assert_eq!(state(store).await.head.version, 1);
    store.settle(&settlement("a", 2)).await.expect("the holder settles");
}

pub async fn outcomes_of_settlements_add_up_until_a_claim_takes_them<S: Store>(store: &S) {
    store.claim(&Claim { put_intents: vec![intent("a"), intent("b")], ..first() }).await.expect("a claim");
    for (id, outcome) in [("a", accepted(30)), ("b", accepted(20))] {
        store.lease(&lease(id, 0, 10, 20)).await.expect("a lease");
        let settlement = Settlement { outcomes: vec![outcome], ..settlement(id, 1) };
        store.settle(&settlement).await.expect("a settlement");
    }
    assert_eq!(state(store).await.head.outcomes, vec![accepted(30), accepted(20)]);
    store.claim(&next(3)).await.expect("a claim");
    assert_eq!(state(store).await.head.outcomes, Vec::new());
}

pub async fn a_first_lease_is_remembered_and_a_later_one_is_not<S: Store>(store: &S) {
    store.claim(&Claim { put_intents: vec![intent("a")], ..first() }).await.expect("a claim");
    store.lease(&lease("a", 0, 10, 20)).await.expect("a lease");
    store.lease(&lease("a", 1, 30, 40)).await.expect("the next lease");
    assert_eq!(state(store).await.intents[0].first_leased_at, Some(at(10)));
}

pub async fn a_lease_is_released_by_its_own_attempt_only<S: Store>(store: &S) {
    let release = |attempt, until| Release { group: group(), intent: IntentId("a".into()), attempt, until: at(until) };
    assert!(conflict(&store.release(&release(1, 5)).await), "there is no such group");
    store.claim(&Claim { put_intents: vec![intent("a")], ..first() }).await.expect("a claim");
    store.lease(&lease("a", 0, 10, 100)).await.expect("a lease");
    assert!(conflict(&store.release(&release(0, 15)).await));
    store.release(&release(1, 15)).await.expect("the holder releases");
    assert_eq!(state(store).await.head.version, 1);
    assert!(conflict(&store.lease(&lease("a", 1, 14, 100)).await), "not before it has ended");
    assert_eq!(store.lease(&lease("a", 1, 15, 100)).await.expect("the next lease"), 2);
    assert!(conflict(&store.release(&release(1, 16)).await), "the lease is another's now");
}

pub async fn a_slot_is_taken_once_and_never_backwards<S: Store>(store: &S) {
    store.take_slot(&group(), Shard(0), at(1_000), "a").await.expect("a slot");
    assert!(conflict(&store.take_slot(&group(), Shard(0), at(1_000), "b").await));
    assert!(conflict(&store.take_slot(&group(), Shard(0), at(500), "b").await));
    store.take_slot(&group(), Shard(1), at(500), "b").await.expect("another shard's slot");
    store.take_slot(&group(), Shard(0), at(2_000), "b").await.expect("the next slot");
}

pub async fn a_slot_is_taken_again_by_its_owner_and_by_nobody_else<S: Store>(store: &S) {
    store.take_slot(&group(), Shard(0), at(1_000), "a").await.expect("a slot");
    store.take_slot(&group(), Shard(0), at(1_000), "a").await.expect("its own slot, again");
    assert!(conflict(&store.take_slot(&group(), Shard(0), at(1_000), "b").await), "it stays the first one's");
    assert!(conflict(&store.take_slot(&group(), Shard(0), at(500), "a").await), "an earlier one is over");
    store.take_slot(&group(), Shard(1), at(1_000), "b").await.expect("another shard's slot");
    store.take_slot(&group(), Shard(0), at(2_000), "b").await.expect("the next slot");
    for slot in [1_000, 2_000] {
        assert!(conflict(&store.take_slot(&group(), Shard(0), at(slot), "a").await), "{slot}: another has the next");
    }
    store.take_slot(&group(), Shard(0), at(2_000), "b").await.expect("its own slot, again");
}

pub async fn a_sweep_is_written_once<S: Store>(store: &S) {
    store.append(&sweep(1_000)).await.expect("a sweep");
    assert!(conflict(&store.append(&sweep(1_000)).await));
    store.append(&sweep(3_000)).await.expect("a sweep");
    store.append(&sweep(2_000)).await.expect("a late sweep");
    assert_eq!(store.latest(&group(), Shard(0)).await.expect("a read"), Some(sweep(3_000)));
}

pub async fn shards_and_groups_are_kept_apart<S: Store>(store: &S) {
    let other: GroupName = "other".parse().expect("a name");
    store.claim(&first()).await.expect("a claim");
    assert_eq!(store.read(&other).await.expect("a read"), None);
    let theirs = Claim { head: Head { group: other.clone(), ..head(1) }, ..first() };
    store.claim(&theirs).await.expect("another group's first claim");
    store.append(&sweep(1_000)).await.expect("a sweep");
    let shard = Sweep { shard: Shard(1), ..sweep(5_000) };
    store.append(&shard).await.expect("another shard's sweep");
    assert_eq!(store.latest(&group(), Shard(0)).await.expect("a read"), Some(sweep(1_000)));
    assert_eq!(store.latest(&group(), Shard(1)).await.expect("a read"), Some(shard));
    assert_eq!(store.latest(&other, Shard(0)).await.expect("a read"), None);
}

pub async fn the_record_of_sweeps_is_read_page_by_page<S: Store>(store: &S) {
    let counts = SweepCounts {
        members: 3,
        answered: 2,
        silent: 1,
        mean: Some(62.5),
        p90: Some(70.0),
        rate: Some(250.5),
        ..SweepCounts::default()
    };
    let told = Sweep { counts, blind: Some("cut off".into()), shard: Shard(1), ..sweep(2_000) };
    // Neither group, shard nor slot is in order.
    let other = Sweep { group: "other".parse().expect("a name"), ..sweep(2_000) };
    for sweep in [&told, &sweep(3_000), &other, &sweep(1_000), &sweep(2_000)] {
        store.append(sweep).await.expect("a sweep");
    }
    let expected = [sweep(1_000), sweep(2_000), told, sweep(3_000)].map(|sweep| sweep.figures());
    let (mut found, mut after) = (Vec::new(), (at(0), Shard(0)));
    loop {
        let page = store.sweeps_after(&group(), after, 3).await.expect("a read");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        after = (last.slot, last.shard);
        found.extend(page);
    }
    assert_eq!(found, expected);
    let later = store.sweeps_after(&group(), (at(2_000), Shard(0)), 10).await.expect("a read");
    assert_eq!(later, expected[2..], "after one shard's come the others of the same slot");
}

pub async fn activities_come_back_in_order_and_bounded<S: Store>(store: &S) {
    let activity = vec![activity("c", 30), activity("a", 10), activity("b", 20)];
    store.claim(&Claim { activity, ..first() }).await.expect("a claim");
    let ids = |found: Vec<Activity>| found.into_iter().map(|activity| activity.id).collect::<String>();
    assert_eq!(ids(store.since(&group(), at(0), 10).await.expect("a read")), "abc");
    assert_eq!(ids(store.since(&group(), at(20), 10).await.expect("a read")), "bc");
    assert_eq!(ids(store.since(&group(), at(0), 2).await.expect("a read")), "bc");
}

pub async fn sweeps_are_sampled_part_by_part<S: Store>(store: &S) {
    let health = |seen, load| Health { seen, load: Load::new(load), ..Health::default() };
    let members = [
        ("i-1", health(Seen::Answered, 40.0)),
        ("i-2", health(Seen::Silent, 50.0)),
        ("i-3", health(Seen::Answered, -1.0)),
    ];
    let members = BTreeMap::from(members.map(|(id, health)| (InstanceId::from(id), health)));
    let at_slot = |slot| Sweep { members: members.clone(), ..sweep(slot) };
    // Of another shard, of another group, and before and after the span.
    let beside = Sweep { shard: Shard(1), ..at_slot(1_000) };
    let other = Sweep { group: "other".parse().expect("a name"), ..at_slot(1_000) };
    for sweep in [&beside, &other, &at_slot(900), &at_slot(4_000)] {
        store.append(sweep).await.expect("a sweep");
    }
    for slot in [1_000, 1_500, 1_999, 2_001, 3_999] {
        store.append(&at_slot(slot)).await.expect("a sweep");
    }
    let sampled = async |shard, points| {
        let parts = Parts { shard: Shard(shard), from: at(1_000), until: at(4_000), points };
        let whole = store.sampled(&group(), parts).await.expect("a read");
        let figures = store.sampled_figures(&group(), parts).await.expect("a read");
        assert_eq!(figures, whole.iter().map(Sweep::figures).collect::<Vec<_>>(), "of the same sweeps");
        let loads = store.sampled_loads(&group(), parts).await.expect("a read");
        assert_eq!(loads, whole.iter().map(Sweep::loads).collect::<Vec<_>>(), "of the same sweeps");
        whole
    };
    assert_eq!(sampled(0, 3).await, [1_000, 2_001, 3_999].map(at_slot), "whole sweeps, the first of each second");
    assert_eq!(sampled(0, 1).await, [at_slot(1_000)]);
    assert_eq!(sampled(0, 6).await.len(), 4, "fewer where nothing was swept");
    assert_eq!(sampled(1, 3).await, [beside]);
    assert_eq!(sampled(0, 0).await, []);
    for (shard, from, until) in [(0, 4_000, 1_000), (2, 0, 9_000)] {
        let parts = Parts { shard: Shard(shard), from: at(from), until: at(until), points: 3 };
        assert_eq!(store.sampled(&group(), parts).await.expect("a read"), [], "{parts:?}");
    }
}

pub async fn activities_are_read_backwards_page_by_page<S: Store>(store: &S) {
    let activity = vec![activity("a", 10), activity("b", 20), activity("c", 30), activity("d", 40)];
    store.claim(&Claim { activity, ..first() }).await.expect("a claim");
    let read = async |from, until: Option<u64>, limit| {
        let found = store.between(&group(), at(from), until.map(at), limit).await.expect("a read");
        found.into_iter().map(|activity| activity.id).collect::<String>()
    };
    assert_eq!(read(0, None, 10).await, "abcd");
    assert_eq!(read(0, None, 2).await, "cd");
    assert_eq!(read(0, Some(30), 2).await, "ab", "what is at its end is not in it");
    assert_eq!(read(20, Some(40), 10).await, "bc", "what is at its start is");
    assert_eq!(read(0, Some(10), 10).await, "");
    assert_eq!(read(30, Some(20), 10).await, "", "a span that ends before it begins");
    assert_eq!(read(0, Some(30), 0).await, "");
}

pub async fn groups_are_known_from_their_first_claim_on<S: Store>(store: &S) {
    assert_eq!(store.groups().await.expect("a read"), Vec::new());
    let named = |name: &str| name.parse::<GroupName>().expect("a name");
    for name in ["web", "batch", "api"] {
        let head = Head { group: named(name), ..head(1) };
        store.claim(&Claim { head, put_rosters: Vec::new(), ..first() }).await.expect("a first claim");
    }
    assert_eq!(store.groups().await.expect("a read"), ["api", "batch", "web"].map(named));
}

pub async fn rejected_records_add_up_and_the_last_reason_stands<S: Store>(store: &S) {
    assert_eq!(store.rejected().await.expect("a read"), None);
    store.reject(2, "unreadable", at(10)).await.expect("a count");
    store.reject(3, "not-a-sweep", at(20)).await.expect("a count");
    let all = Rejected { records: 5, last_at: at(20), reason: "not-a-sweep".into() };
    assert_eq!(store.rejected().await.expect("a read"), Some(all));
    assert_eq!(store.groups().await.expect("a read"), Vec::new(), "they are no group's");
}
