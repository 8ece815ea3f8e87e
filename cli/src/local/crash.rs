//! Named points at which a test has the controller killed, or `muster up` panic, by
//! `MUSTER_CRASH_AT=claim-launch` and so on. Release builds pass them by. They wrap ports, so that the use cases know nothing of them.

use muster_control::ports::{
    Claim, Fleet, FleetError, Found, GroupState, GroupStore, HealthStore, Launched, LeaseRequest, Release, Settlement,
    StoreError, StoredPolicy,
};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::health::Sweep;
use muster_core::intent::{Call, IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;
use muster_core::time::Timestamp;
use rustix::process::{Signal, getpid, kill_process};

use crate::failure::Failure;

/// The variable that names the point.
pub const VARIABLE: &str = "MUSTER_CRASH_AT";

/// A point in the controller's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// A claim with launches is committed, none is called.
    ClaimLaunch,
    /// EC2 has launched, nothing is settled.
    LaunchSettle,
    /// A member has drained and its termination is committed, EC2 is not told.
    DrainTerminate,
    /// The first sweep is told: `muster up` panics.
    UpPanic,
}

impl CrashPoint {
    /// The point that the environment names; none in release builds.
    pub fn from_environment() -> Result<Option<Self>, Failure> {
        match std::env::var(VARIABLE) {
            Err(_) => Ok(None),
            Ok(_) if !cfg!(debug_assertions) => Ok(None),
            Ok(name) => match name.as_str() {
                "claim-launch" => Ok(Some(Self::ClaimLaunch)),
                "launch-settle" => Ok(Some(Self::LaunchSettle)),
                "drain-terminate" => Ok(Some(Self::DrainTerminate)),
                "up-panic" => Ok(Some(Self::UpPanic)),
                other => Err(Failure::Input(format!(
                    "{VARIABLE} is {other:?}: must be claim-launch, launch-settle, drain-terminate or up-panic"
                ))),
            },
        }
    }
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
        self.pass(CrashPoint::DrainTerminate);
        self.inner.terminate(group, instance, intent, attempt).await
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
        let claimed = self.inner.claim(claim).await;
        if claimed.is_ok() && claim.put_intents.iter().any(|intent| matches!(intent.call, Call::Launch(_))) {
            self.pass(CrashPoint::ClaimLaunch);
        }
        claimed
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<u32, StoreError> {
        self.inner.lease(request).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.inner.release(release).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        self.inner.settle(settlement).await
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
