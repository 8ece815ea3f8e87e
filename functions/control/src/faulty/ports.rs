//! The ports, each call under its schedule.

use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::health::Observation;
use muster_core::intent::{Intent, IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;
use muster_core::sweep::{Sweep, SweepFigures, SweepLoads};
use muster_core::time::Timestamp;

use super::{CAUSE, Call, End, Faulty, Schedule};
use crate::activity::Activity;
use crate::ports::{
    ActivityLog, AgentProbe, Claim, Clock, Fleet, FleetError, Found, GroupState, GroupStore, Groups, HealthStore,
    Launched, LeaseRequest, Mark, Marks, Parts, PolicySource, PolicySourceError, PolicyText, Probed, Rejected,
    Rejections, Release, Settlement, StoreError, StoredPolicy, SweepLog, Target,
};

impl<P: GroupStore, S: Schedule, C: Clock> GroupStore for Faulty<P, S, C> {
    async fn head(&self, group: &GroupName) -> Result<Option<Head>, StoreError> {
        self.meet(Call::Head, self.inner.head(group)).await
    }

    async fn read(&self, group: &GroupName) -> Result<Option<GroupState>, StoreError> {
        self.meet(Call::Read, self.inner.read(group)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<(), StoreError> {
        self.meet(Call::Claim, self.inner.claim(claim)).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<u32, StoreError> {
        self.meet(Call::Lease, self.inner.lease(request)).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.meet(Call::Release, self.inner.release(release)).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        self.meet(Call::Settle, self.inner.settle(settlement)).await
    }

    async fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        self.meet(Call::Roster, self.inner.roster(group, shard, number)).await
    }

    async fn policy(&self, group: &GroupName, version: PolicyVersion) -> Result<Option<StoredPolicy>, StoreError> {
        self.meet(Call::Policy, self.inner.policy(group, version)).await
    }
}

impl<P: HealthStore, S: Schedule, C: Clock> HealthStore for Faulty<P, S, C> {
    async fn take_slot(&self, group: &GroupName, shard: Shard, slot: Timestamp, owner: &str) -> Result<(), StoreError> {
        self.meet(Call::TakeSlot, self.inner.take_slot(group, shard, slot, owner)).await
    }

    async fn append(&self, sweep: &Sweep) -> Result<(), StoreError> {
        self.meet(Call::Append, self.inner.append(sweep)).await
    }

    async fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        self.meet(Call::Latest, self.inner.latest(group, shard)).await
    }
}

/// Passed on as it is: nothing that acts reads it.
impl<P: SweepLog, S: Schedule, C: Clock> SweepLog for Faulty<P, S, C> {
    async fn sweeps_after(
        &self,
        group: &GroupName,
        after: (Timestamp, Shard),
        limit: usize,
    ) -> Result<Vec<SweepFigures>, StoreError> {
        self.inner.sweeps_after(group, after, limit).await
    }

    async fn sampled(&self, group: &GroupName, parts: Parts) -> Result<Vec<Sweep>, StoreError> {
        self.inner.sampled(group, parts).await
    }

    async fn sampled_figures(&self, group: &GroupName, parts: Parts) -> Result<Vec<SweepFigures>, StoreError> {
        self.inner.sampled_figures(group, parts).await
    }

    async fn sampled_loads(&self, group: &GroupName, parts: Parts) -> Result<Vec<SweepLoads>, StoreError> {
        self.inner.sampled_loads(group, parts).await
    }
}

/// Passed on as it is, likewise.
impl<P: Groups, S: Schedule, C: Clock> Groups for Faulty<P, S, C> {
    async fn groups(&self) -> Result<Vec<GroupName>, StoreError> {
        self.inner.groups().await
    }

    async fn intents(&self, group: &GroupName) -> Result<Vec<Intent>, StoreError> {
        self.inner.intents(group).await
    }
}

/// Passed on as it is, likewise.
impl<P: Rejections, S: Schedule, C: Clock> Rejections for Faulty<P, S, C> {
    async fn reject(&self, records: u32, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        self.inner.reject(records, reason, at).await
    }

    async fn rejected(&self) -> Result<Option<Rejected>, StoreError> {
        self.inner.rejected().await
    }
}

impl<P: ActivityLog, S: Schedule, C: Clock> ActivityLog for Faulty<P, S, C> {
    async fn between(
        &self,
        group: &GroupName,
        from: Timestamp,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        self.meet(Call::Since, self.inner.between(group, from, until, limit)).await
    }
}

impl<P: PolicySource, S: Schedule, C: Clock> PolicySource for Faulty<P, S, C> {
    async fn fetch(&self, group: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        self.meet(Call::Fetch, self.inner.fetch(group)).await
    }
}

impl<P: Fleet, S: Schedule, C: Clock> Fleet for Faulty<P, S, C> {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        self.meet(Call::List, self.inner.list(group)).await
    }

    async fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        self.meet(Call::Describe, self.inner.describe(group, ids)).await
    }

    async fn template_version(&self, template: &str) -> Result<u64, FleetError> {
        self.meet(Call::TemplateVersion, self.inner.template_version(template)).await
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        self.meet(Call::Launch, self.inner.launch(spec, attempt)).await
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        self.meet(Call::Find, self.inner.find(spec)).await
    }

    async fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        intent: &IntentId,
        attempt: u32,
    ) -> Result<(), FleetError> {
        self.meet(Call::Terminate, self.inner.terminate(group, instance, intent, attempt)).await
    }
}

impl<P: Marks, S: Schedule, C: Clock> Marks for Faulty<P, S, C> {
    async fn mark(&self, group: &GroupName, instance: &InstanceId, mark: Mark, on: bool) -> Result<(), FleetError> {
        self.meet(Call::Mark, self.inner.mark(group, instance, mark, on)).await
    }
}

/// A probe never fails. One that is not made knows nothing and says why; one whose answers are lost sees silence.
impl<P: AgentProbe, S: Schedule, C: Clock> AgentProbe for Faulty<P, S, C> {
    async fn probe(&self, targets: &[Target]) -> Probed {
        let fate = self.schedule.fate(Call::Probe);
        self.wait(fate.before).await;
        let all = |seen: Observation| targets.iter().map(|target| (target.id.clone(), seen.clone())).collect();
        let probed = match fate.end {
            End::Answered => self.inner.probe(targets).await,
            End::Fails(_) => Probed { observations: all(Observation::Unknown), blind: Some(CAUSE.into()) },
            End::Lost => {
                let _lost = self.inner.probe(targets).await;
                Probed { observations: all(Observation::Unreachable { detail: CAUSE.into() }), blind: None }
            }
        };
        self.wait(fate.after).await;
        probed
    }
}
