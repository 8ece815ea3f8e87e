//! What the use cases need of the world. Named for the domain, few methods each; every implementation passes the suites in
//! `conformance`. Errors carry only what a caller acts on.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use muster_core::auto::Learnt;
use muster_core::group::{GroupName, Head, Outcome, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::health::{Observation, Sweep, SweepFigures, SweepLoads};
use muster_core::intent::{Intent, IntentId, LaunchSpec};
use muster_core::member::{InstanceId, MemberRecord};
use muster_core::snapshot::FleetInstance;
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::activity::Activity;

/// An error's cause, for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

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

/// Which groups there are.
pub trait Groups: Send + Sync {
    /// Every group of the store that has ever had a claim, by name.
    fn groups(&self) -> impl Future<Output = Result<Vec<GroupName>, StoreError>> + Send;
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

/// Where the operator writes the policy.
pub trait PolicySource: Send + Sync {
    /// The text as it is now; none when there is none.
    fn fetch(&self, group: &GroupName) -> impl Future<Output = Result<Option<PolicyText>, PolicySourceError>> + Send;
}

/// The policy's source cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the policy cannot be read")]
pub struct PolicySourceError(#[source] pub Cause);

/// A policy's text by its digest: so a file and a parameter are alike, and the same text written again is no edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub String);

impl Revision {
    /// The revision that `text` is: the first 32 hexadecimal digits of its SHA-256.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Where the operator writes the policy, for writing it: nobody's edit is lost unseen.
pub trait PolicyDesk: PolicySource {
    /// Writes `text` over the text whose revision is `over`; none: only when there is no text.
    ///
    /// `LostUpdate` when another text is there, or none; then nothing is written. The text is not judged: that is the caller's.
    fn put(
        &self,
        group: &GroupName,
        text: &str,
        over: Option<&Revision>,
    ) -> impl Future<Output = Result<Put, PutError>> + Send;
}

/// A policy that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The source's own version number, if it has one.
    pub version: Option<PolicyVersion>,
    /// What is there now.
    pub revision: Revision,
    /// The version of an edit that came between the look and the write and is now overwritten: a source without conditional
    /// writes can only tell.
    pub overwrote: Option<PolicyVersion>,
}

/// Why a policy was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Another text is there than the one that was to be replaced.
    #[error("somebody else has edited the policy: nothing was written")]
    LostUpdate {
        /// The text that is there; none when there is none.
        found: Option<PolicyText>,
    },
    /// The source keeps no text of this length.
    #[error("the policy has {bytes} bytes, and {most} fit")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest that fits.
        most: usize,
    },
    /// It can never be written as it is: a permission, a parameter, a folder. Nothing was written.
    #[error("the policy cannot be written")]
    Refused(#[source] Cause),
    /// No answer of use: it may or may not have been written.
    #[error("the policy's source did not answer")]
    Unavailable(#[source] Cause),
}

/// The running instances of a group, and the only way to change them.
///
/// Every call ends within a deadline of the implementation's own, shorter than the time between a controller's budget and
/// the end of its lease: a call that outlived its lease could act beside the next holder's.
pub trait Fleet: Send + Sync {
    /// Every instance that carries the group's tag, every page. Eventually consistent.
    fn list(&self, group: &GroupName) -> impl Future<Output = Result<Vec<FleetInstance>, FleetError>> + Send;

    /// What EC2 says of the instances with these ids, whatever tags they carry; an id that it does not know is left out.
    fn describe(
        &self,
        group: &GroupName,
        ids: &[InstanceId],
    ) -> impl Future<Output = Result<Vec<FleetInstance>, FleetError>> + Send;

    /// The number of the launch template's default version.
    fn template_version(&self, template: &str) -> impl Future<Output = Result<u64, FleetError>> + Send;

    /// Launches `spec` at most once per `spec.token`, however often it is called with that token while EC2 remembers it.
    /// `attempt` is the lease's: an implementation may refuse a lower one than it has seen.
    fn launch(&self, spec: &LaunchSpec, attempt: u32) -> impl Future<Output = Result<Launched, FleetError>> + Send;

    /// The instance that `spec` has launched, by client token and intent tag: for when EC2 may have forgotten the token
    /// (L10).
    fn find(&self, spec: &LaunchSpec) -> impl Future<Output = Result<Found, FleetError>> + Send;

    /// Ends one instance for `intent`; ending what has ended is success (D6). An instance that does not carry the group's
    /// tag is `Refused`, and never touched (C1).
    fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        intent: &IntentId,
        attempt: u32,
    ) -> impl Future<Output = Result<(), FleetError>> + Send;
}

/// The tags by which an operator tells the controller something of one instance; it learns of them by [`Fleet::list`].
///
/// A port of its own: whoever steers a group by hand holds it, himself or by Dashboard, and no function that decides.
pub trait Marks: Send + Sync {
    /// Sets the mark of an instance, or takes it off; what is so already stays so. An instance that does not carry the group's tag,
    /// one that EC2 does not know among them, is `Refused`, and never touched (C1).
    fn mark(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        mark: Mark,
        on: bool,
    ) -> impl Future<Output = Result<(), FleetError>> + Send;
}

/// What an operator may tell of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// It may not be a scale-in victim (D2).
    Protected,
    /// It is to be replaced and drained (D8).
    Drain,
}

impl Mark {
    /// The key of the tag in EC2, whose value is [`Self::VALUE`].
    pub const fn key(self) -> &'static str {
        match self {
            Self::Protected => "muster:protected",
            Self::Drain => "muster:drain",
        }
    }

    /// The value of a tag that is set; any other means that it is not.
    pub const VALUE: &'static str = "true";
}

/// An instance that EC2 has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launched {
    /// Its id.
    pub id: InstanceId,
    /// Where its agent will listen: `address:port`.
    pub endpoint: String,
}

/// What a launch has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Nothing.
    Nothing,
    /// This instance, which has not ended.
    Running(Launched),
    /// An instance that has ended.
    Ended(InstanceId),
}

/// Why EC2 did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Too many calls: the same again, later.
    #[error("EC2 is throttling")]
    Throttled(#[source] Cause),
    /// No instance of that type in that zone now. Nothing was launched.
    #[error("EC2 has no capacity")]
    NoCapacity(#[source] Cause),
    /// The call can never succeed as it is: a permission, an image, a parameter. Nothing was done.
    #[error("EC2 refuses the call")]
    Refused(#[source] Cause),
    /// The token has launched an instance that has ended since. Nothing was done.
    #[error("the instance of this token has ended")]
    Ended(#[source] Cause),
    /// A later attempt has been seen: this caller has lost its lease.
    #[error("a later attempt is under way")]
    Superseded,
    /// No answer: it may or may not have happened.
    #[error("EC2 did not answer")]
    Unavailable(#[source] Cause),
}

/// One bounded look at many agents.
pub trait AgentProbe: Send + Sync {
    /// Asks every target, within the probe's own deadline. Never fails: what could not be seen is data.
    fn probe(&self, targets: &[Target]) -> impl Future<Output = Probed> + Send;
}

/// An agent to ask, and what to tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The member.
    pub id: InstanceId,
    /// Where its agent listens: `address:port`.
    pub endpoint: String,
    /// The cursor of its last answer, and the boot id that it belongs to.
    pub cursor: u64,
    /// See `cursor`.
    pub boot_id: String,
    /// What to tell the agent; [`Order::Look`] tells it nothing.
    pub order: Order,
}

/// What to tell an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing: only look.
    Look,
    /// `Register`, if it is not registered with this roster or its lease nears its end.
    Register {
        /// Who monitors.
        monitor: String,
        /// The group.
        group: GroupName,
        /// The roster's number.
        roster: RosterNumber,
        /// How long the registration holds.
        lease: Duration,
        /// The sweep interval, as a setting for the agent.
        sweep_interval: Duration,
    },
    /// `Unregister`.
    Unregister {
        /// Why.
        reason: String,
        /// The roster's number.
        roster: RosterNumber,
        /// How long the agent may take.
        deadline: Duration,
    },
}

/// What a probe saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probed {
    /// One observation of each target.
    pub observations: BTreeMap<InstanceId, Observation>,
    /// Why silence says nothing this time: evidence about ourselves only.
    pub blind: Option<String>,
}

/// Time. A use case asks it once for its decision, and again only for what has a deadline.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Ends after `span`.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send;
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

/// A policy text as its source gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// The text.
    pub text: String,
    /// The source's own version number, if it has one.
    pub version: Option<PolicyVersion>,
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
