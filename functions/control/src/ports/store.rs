//! What is kept: groups, their sweeps and their activities; what a use case reads of them and writes in one transaction.

use std::future::Future;

use muster_core::auto::Learnt;
use muster_core::group::{GroupName, Head, Outcome, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::{Intent, IntentId};
use muster_core::member::{InstanceId, MemberRecord};
use muster_core::sweep::{Sweep, SweepFigures, SweepLoads};
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Cause;
use crate::activity::Activity;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A condition did not hold: somebody else was first. A normal outcome; read again.
    #[error("another writer was first")]
    Conflict,
    /// The store asks for less.
    #[error("the store is throttling")]
    Throttled(#[source] Cause),
    /// The store cannot be reached, or its answer did not come: the write may or may not have happened.
    #[error("the store is not available")]
    Unavailable(#[source] Cause),
    /// What is stored cannot be understood.
    #[error("the store holds something that is not ours")]
    Corrupt(#[source] Cause),
}

/// A group's serialised state: HEAD first, then intents and members (the read protocol). Sound only because every write
/// that changes membership raises HEAD's version, and every claim is conditioned on it.
pub trait GroupStore: Send + Sync {
    /// HEAD alone, read strongly; none before the group's first claim.
    fn head(&self, group: &GroupName) -> impl Future<Output = Result<Option<Head>, StoreError>> + Send;

    /// HEAD, then all intents, then all members, read strongly and in that order: what a claim has written in between shows in the
    /// members at the latest, so that no intent is seen without what its claim made of its member.
    fn read(&self, group: &GroupName) -> impl Future<Output = Result<Option<GroupState>, StoreError>> + Send;

    /// Writes all of a claim or nothing.
    ///
    /// `Conflict` unless HEAD's version is `expected` (none: there is no HEAD) and nobody has ever leased any of the
    /// intents that the claim cancels.
    fn claim(&self, claim: &Claim) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes the lease of an intent: its attempt becomes `request.attempt + 1`, which is returned. The first lease leaves
    /// `request.now` in the intent (L10).
    ///
    /// `Conflict` unless the intent exists, its attempt is `request.attempt` and its lease, if any, has ended at
    /// `request.now`. Does not raise HEAD's version.
    fn lease(&self, request: &LeaseRequest) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Ends a lease early, at `release.until`: its holder knows that no call of it is under way and nothing has come of it.
    ///
    /// `Conflict` unless the intent exists with the attempt given. Does not raise HEAD's version.
    fn release(&self, release: &Release) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends leased intents, all or none: removes them, writes their members and roster, appends their outcomes to HEAD's,
    /// adds one to HEAD's version.
    ///
    /// `Conflict` unless every intent exists with the attempt given and the shard's roster is `roster_seen`.
    fn settle(&self, settlement: &Settlement) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A roster by its number; immutable, so any copy will do.
    fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> impl Future<Output = Result<Option<Roster>, StoreError>> + Send;

    /// A policy that a claim has put.
    fn policy(
        &self,
        group: &GroupName,
        version: PolicyVersion,
    ) -> impl Future<Output = Result<Option<StoredPolicy>, StoreError>> + Send;
}

/// The sweeps. Appending one rings the doorbell.
pub trait HealthStore: Send + Sync {
    /// Claims a slot for `owner`, before its sweep begins. `Conflict` when a later slot of the shard is claimed, or this one
    /// by somebody else: who has claimed it may do so again, for the sweep has failed or the answer was lost.
    fn take_slot(
        &self,
        group: &GroupName,
        shard: Shard,
        slot: Timestamp,
        owner: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes a sweep, once. `Conflict` when its slot holds one already.
    fn append(&self, sweep: &Sweep) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The shard's sweep with the latest slot.
    fn latest(&self, group: &GroupName, shard: Shard)
    -> impl Future<Output = Result<Option<Sweep>, StoreError>> + Send;
}

/// The record of the sweeps, for charts and backtests: no decision reads it, so it need not be strong.
pub trait SweepLog: Send + Sync {
    /// The figures of the first `limit` sweeps of all shards that come after `after`, in the order of slots and then of
    /// shards; fewer when there are no more. So the last one of a page is where the next begins.
    fn sweeps_after(
        &self,
        group: &GroupName,
        after: (Timestamp, Shard),
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SweepFigures>, StoreError>> + Send;

    /// Whole sweeps of one shard, in the order of their slots: the first one of each part, and none where nothing was swept.
    fn sampled(&self, group: &GroupName, parts: Parts) -> impl Future<Output = Result<Vec<Sweep>, StoreError>> + Send;

    /// The figures of the same sweeps: what a chart of the group needs, whose members nobody has to unpack.
    fn sampled_figures(
        &self,
        group: &GroupName,
        parts: Parts,
    ) -> impl Future<Output = Result<Vec<SweepFigures>, StoreError>> + Send;

    /// Their members' loads.
    fn sampled_loads(
        &self,
        group: &GroupName,
        parts: Parts,
    ) -> impl Future<Output = Result<Vec<SweepLoads>, StoreError>> + Send;
}

/// Parts of a span that are looked at, at most.
pub const MOST_PARTS: u32 = 1_000;

/// Equal parts of the time from `from` until before `until`, in which the sweeps of one shard are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The shard.
    pub shard: Shard,
    /// From when on.
    pub from: Timestamp,
    /// Until before when.
    pub until: Timestamp,
    /// How many parts; at most [`MOST_PARTS`] are looked at, and none shorter than a millisecond.
    pub points: u32,
}

impl Parts {
    /// Each part, from its first moment until before the first of the next.
    pub fn each(self) -> impl Iterator<Item = (Timestamp, Timestamp)> + Clone {
        let (start, span) = (self.from.as_millis(), self.until.as_millis().saturating_sub(self.from.as_millis()));
        let count = u64::from(self.points.min(MOST_PARTS)).min(span);
        // The product fits: a thousand times the last instant that can be written.
        let edge = move |nth: u64| Timestamp::from_millis(start + span * nth / count.max(1));
        (0..count).map(move |nth| (edge(nth), edge(nth + 1)))
    }
}

/// What has happened, append-only; claims and settlements write to it in their own transactions.
pub trait ActivityLog: Send + Sync {
    /// The newest `limit` activities at or after `from` and before `until` (none: to the end), oldest first.
    fn between(
        &self,
        group: &GroupName,
        from: Timestamp,
        until: Option<Timestamp>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Activity>, StoreError>> + Send;

    /// The newest `limit` activities at or after `from`, oldest first.
    fn since(
        &self,
        group: &GroupName,
        from: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Activity>, StoreError>> + Send {
        self.between(group, from, None, limit)
    }
}

/// Which groups there are and what each has under way, for those who look on: they need not read every member for it. No decision reads it.
pub trait Groups: Send + Sync {
    /// Every group of the store that has ever had a claim, by name.
    fn groups(&self) -> impl Future<Output = Result<Vec<GroupName>, StoreError>> + Send;

    /// The group's intents that are not settled, by id; none of a group that is unknown.
    fn intents(&self, group: &GroupName) -> impl Future<Output = Result<Vec<Intent>, StoreError>> + Send;
}

/// Records of the doorbell's stream that rang for nobody (V5). They name no group: the count is the store's. No decision reads it.
pub trait Rejections: Send + Sync {
    /// Counts records that were acknowledged all the same, at `at`; `reason` is what was wrong with the last of them.
    fn reject(&self, records: u32, reason: &str, at: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All that have ever been counted; none: there was none.
    fn rejected(&self) -> impl Future<Output = Result<Option<Rejected>, StoreError>> + Send;
}

/// Records that rang for nobody, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub records: u64,
    /// When the last ones came.
    pub last_at: Timestamp,
    /// What was wrong with the last one.
    pub reason: String,
}

/// A group as it is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupState {
    /// HEAD.
    pub head: Head,
    /// All members.
    pub members: Vec<MemberRecord>,
    /// All intents that are not settled.
    pub intents: Vec<Intent>,
    /// What the rule `auto` knew when it was stored last; none unless HEAD says that it has been, and when it cannot be read: it is
    /// learnt again.
    pub learnt: Option<Box<Learnt>>,
}

/// A valid policy that has been in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// Its version.
    pub version: PolicyVersion,
    /// Its text.
    pub text: String,
    /// When it came into force.
    pub since: Timestamp,
}

/// One decision, as one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// The version that HEAD must have; none: there must be no HEAD.
    pub expected: Option<u64>,
    /// HEAD afterwards; it names the group, and its version is above `expected`.
    pub head: Head,
    /// Members to write.
    pub put_members: Vec<MemberRecord>,
    /// Members whose records end.
    pub delete_members: Vec<InstanceId>,
    /// Intents to write.
    pub put_intents: Vec<Intent>,
    /// Intents to take back, on the condition that nobody has ever leased them.
    pub cancel_intents: Vec<IntentId>,
    /// Rosters to put.
    pub put_rosters: Vec<Roster>,
    /// The policy, when it is new.
    pub put_policy: Option<StoredPolicy>,
    /// What the rule `auto` knows, when it is to be stored: HEAD says so.
    pub put_learnt: Option<Box<Learnt>>,
    /// What to write into the activity log; an id that is there already is overwritten (O2: folding). It keeps its sort key.
    pub activity: Vec<Activity>,
}

/// A wish for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The group.
    pub group: GroupName,
    /// The intent.
    pub intent: IntentId,
    /// The attempt as it was read.
    pub attempt: u32,
    /// Who wants it.
    pub owner: String,
    /// The time at which an earlier lease must have ended.
    pub now: Timestamp,
    /// When this lease will end.
    pub until: Timestamp,
}

/// The early end of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The group.
    pub group: GroupName,
    /// The intent.
    pub intent: IntentId,
    /// The attempt that the lease was given for.
    pub attempt: u32,
    /// When the lease ends now.
    pub until: Timestamp,
}

/// The end of a shard's leased intents, as one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The group.
    pub group: GroupName,
    /// The shard.
    pub shard: Shard,
    /// The shard's roster as read; none when it had none.
    pub roster_seen: Option<RosterNumber>,
    /// The intents, each with the attempt under which it was carried out.
    pub settled: Vec<(IntentId, u32)>,
    /// Members that the launches have made.
    pub put_members: Vec<MemberRecord>,
    /// The shard's next roster, when its membership changes.
    pub roster: Option<Roster>,
    /// How the calls have ended, for the next decision.
    pub outcomes: Vec<Outcome>,
    /// What to write into the activity log.
    pub activity: Vec<Activity>,
}
