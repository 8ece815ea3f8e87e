//! Named points at which a test has the controller killed, or `muster up` panic, by `MUSTER_CRASH_AT=claim-launch` and so on:
//! one for every step of every saga, named by what has just been done and what has not. Of several, separated by commas, each
//! start of the controller meets the next. Release builds pass them by. They wrap ports, so that the use cases know nothing
//! of them.

use muster_control::activity::{Activity, Event};
use muster_control::ports::{
    Claim, Fleet, FleetError, Found, GroupState, GroupStore, HealthStore, Launched, LeaseRequest, Release, Settlement,
    StoreError, StoredPolicy,
};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::{Call, Cause, Intent, IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use rustix::process::{Signal, getpid, kill_process};

use crate::failure::Failure;

/// The variable that names the points.
pub const VARIABLE: &str = "MUSTER_CRASH_AT";

/// A point in the controller's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// A claim with launches is committed, none is leased.
    ClaimLaunch,
    /// A launch is leased, EC2 is not called.
    LeaseLaunch,
    /// EC2 has launched, nothing is settled.
    LaunchSettle,
    /// Launches are settled.
    LaunchSettled,
    /// A claim that marks a member for draining is committed.
    ClaimDrain,
    /// The termination of a member is decided, and not claimed.
    DrainClaim,
    /// The termination of a member is committed, and not leased.
    ClaimTerminate,
    /// The termination of a member is leased, EC2 is not told.
    DrainTerminate,
    /// EC2 has been told to terminate, nothing is settled.
    TerminateSettle,
    /// Terminations are settled.
    TerminateSettled,
    /// A claim with a replacement's launch is committed, it is not leased.
    ClaimReplace,
    /// The termination of a member that was unhealthy is leased, EC2 is not told.
    ReplaceTerminate,
    /// A claim that takes a drain back is committed.
    ClaimTakeBack,
    /// A claim that terminates an orphan is committed, its termination is not leased.
    ClaimSweep,
    /// The first sweep is told: `muster up` panics.
    UpPanic,
}

impl CrashPoint {
    /// All of them, by name.
    pub const NAMES: [(&str, Self); 15] = [
        ("claim-launch", Self::ClaimLaunch),
        ("lease-launch", Self::LeaseLaunch),
        ("launch-settle", Self::LaunchSettle),
        ("launch-settled", Self::LaunchSettled),
        ("claim-drain", Self::ClaimDrain),
        ("drain-claim", Self::DrainClaim),
        ("claim-terminate", Self::ClaimTerminate),
        ("drain-terminate", Self::DrainTerminate),
        ("terminate-settle", Self::TerminateSettle),
        ("terminate-settled", Self::TerminateSettled),
        ("claim-replace", Self::ClaimReplace),
        ("replace-terminate", Self::ReplaceTerminate),
        ("claim-take-back", Self::ClaimTakeBack),
        ("claim-sweep", Self::ClaimSweep),
        ("up-panic", Self::UpPanic),
    ];

    /// The first point that the environment names; none in release builds.
    pub fn from_environment() -> Result<Option<Self>, Failure> {
        Ok(points()?.first().copied())
    }

    fn named(name: &str) -> Result<Self, Failure> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, point)| *point).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            Failure::Input(format!("{VARIABLE} holds {name:?}: must be of {}", names.join(", ")))
        })
    }
}

/// The points that the environment names, in order; none in release builds.
fn points() -> Result<Vec<CrashPoint>, Failure> {
    match std::env::var(VARIABLE) {
        Ok(names) if cfg!(debug_assertions) => names.split(',').map(CrashPoint::named).collect(),
        Ok(_) | Err(_) => Ok(Vec::new()),
    }
}

/// What [`VARIABLE`] is to be for a process that has been started `starts` times before; none: it meets no more points.
pub fn left_after(starts: usize) -> Option<String> {
    let names = std::env::var(VARIABLE).ok()?;
    let left: Vec<&str> = names.split(',').skip(starts).collect();
    (!left.is_empty()).then(|| left.join(","))
}

/// A port whose process is killed at a point.
#[derive(Debug)]
pub struct Crashing<P> {
    /// The port.
    pub inner: P,
    /// The point; none: nothing happens.
    pub point: Option<CrashPoint>,
}

impl<P> Crashing<P> {
    fn pass(&self, point: CrashPoint) {
        if self.point == Some(point) {
            // Nothing may run after this, not even a destructor.
            let _killed = kill_process(getpid(), Signal::KILL);
        }
    }

    fn pass_if(&self, holds: bool, point: CrashPoint) {
        if holds {
            self.pass(point);
        }
    }
}

impl<P: GroupStore> Crashing<P> {
    /// The intent of a lease; asked for only when there is a point to pass.
    async fn leased(&self, request: &LeaseRequest) -> Option<Intent> {
        self.point?;
        let state = self.inner.read(&request.group).await.ok().flatten()?;
        state.intents.into_iter().find(|intent| intent.id == request.intent)
    }
}

fn any(activity: &[Activity], wanted: impl Fn(&Event) -> bool) -> bool {
    activity.iter().any(|activity| wanted(&activity.event))
}

impl<P: Fleet> Fleet for Crashing<P> {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        self.inner.list(group).await
    }

    async fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        self.inner.describe(group, ids).await
    }

    async fn template_version(&self, template: &str) -> Result<u64, FleetError> {
        self.inner.template_version(template).await
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        self.inner.find(spec).await
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        let launched = self.inner.launch(spec, attempt).await;
        self.pass(CrashPoint::LaunchSettle);
        launched
    }

    async fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        intent: &IntentId,
        attempt: u32,
    ) -> Result<(), FleetError> {
        let terminated = self.inner.terminate(group, instance, intent, attempt).await;
        self.pass(CrashPoint::TerminateSettle);
        terminated
    }
}

impl<P: GroupStore> GroupStore for Crashing<P> {
    async fn head(&self, group: &GroupName) -> Result<Option<Head>, StoreError> {
        self.inner.head(group).await
    }

    async fn read(&self, group: &GroupName) -> Result<Option<GroupState>, StoreError> {
        self.inner.read(group).await
    }

    async fn claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let ends = |i: &Intent| matches!(i.call, Call::Terminate { .. });
        let orphan = |i: &Intent| i.cause == Cause::Orphan;
        let some = |wanted: &dyn Fn(&Intent) -> bool| claim.put_intents.iter().any(wanted);
        self.pass_if(some(&|i| ends(i) && !orphan(i)), CrashPoint::DrainClaim);
        let claimed = self.inner.claim(claim).await;
        if claimed.is_ok() {
            self.pass_if(some(&|i| matches!(i.call, Call::Launch(_))), CrashPoint::ClaimLaunch);
            self.pass_if(
                some(&|i| matches!(&i.call, Call::Launch(spec) if spec.replaces.is_some())),
                CrashPoint::ClaimReplace,
            );
            self.pass_if(some(&|i| ends(i) && !orphan(i)), CrashPoint::ClaimTerminate);
            self.pass_if(some(&|i| ends(i) && orphan(i)), CrashPoint::ClaimSweep);
            self.pass_if(any(&claim.activity, |e| matches!(e, Event::Draining { .. })), CrashPoint::ClaimDrain);
            self.pass_if(any(&claim.activity, |e| matches!(e, Event::TakenBack { .. })), CrashPoint::ClaimTakeBack);
        }
        claimed
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<u32, StoreError> {
        let leased = self.inner.lease(request).await;
        if leased.is_ok()
            && let Some(intent) = self.leased(request).await
        {
            let ends = matches!(intent.call, Call::Terminate { .. });
            self.pass_if(!ends, CrashPoint::LeaseLaunch);
            self.pass_if(ends, CrashPoint::DrainTerminate);
            self.pass_if(ends && intent.cause == Cause::Unhealthy, CrashPoint::ReplaceTerminate);
        }
        leased
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.inner.release(release).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let settled = self.inner.settle(settlement).await;
        if settled.is_ok() {
            let ended = &settlement.activity;
            self.pass_if(any(ended, |e| matches!(e, Event::Launched { .. })), CrashPoint::LaunchSettled);
            self.pass_if(any(ended, |e| matches!(e, Event::Terminated { .. })), CrashPoint::TerminateSettled);
        }
        settled
    }

    async fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        self.inner.roster(group, shard, number).await
    }

    async fn policy(&self, group: &GroupName, version: PolicyVersion) -> Result<Option<StoredPolicy>, StoreError> {
        self.inner.policy(group, version).await
    }
}

impl<P: HealthStore> HealthStore for Crashing<P> {
    async fn take_slot(&self, group: &GroupName, shard: Shard, slot: Timestamp, owner: &str) -> Result<(), StoreError> {
        self.inner.take_slot(group, shard, slot, owner).await
    }

    async fn append(&self, sweep: &Sweep) -> Result<(), StoreError> {
        self.inner.append(sweep).await
    }

    async fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        self.inner.latest(group, shard).await
    }
}
