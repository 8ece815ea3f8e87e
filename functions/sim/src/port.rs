//! The ports of one invocation: every call takes its time before and after its effect, and may fail, die, hang or lose its
//! answer in between.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use muster_control::faulty::{Call, Kind, MadeUp};
use muster_control::ports::{
    AgentProbe, Claim, Clock, Fleet, FleetError, Found, GroupState, GroupStore, HealthStore, Launched, LeaseRequest,
    PolicySource, PolicySourceError, PolicyText, Probed, Release, Settlement, StoreError, StoredPolicy, Target,
};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::{IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;

use crate::fate::{Fate, Turn};
use crate::story::Weight;
use crate::weak;
use crate::world::{Event, RIGHT, RunId, World};

/// The world, shared by the invocations of one schedule. Only one of them runs at a time.
pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All ports of one invocation.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) world: Shared,
    pub(crate) run: RunId,
}

/// A span of virtual time.
struct Pass<'p> {
    port: &'p Port,
    span: Duration,
    until: Option<Timestamp>,
}

impl Future for Pass<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut world = lock(&self.port.world);
        match self.until {
            Some(until) if world.now >= until => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                let until = world.now.plus(self.span);
                world.at(until, Event::Wake(self.port.run, context.waker().clone()));
                drop(world);
                self.until = Some(until);
                Poll::Pending
            }
        }
    }
}

impl Port {
    fn pass(&self, span: Duration) -> Pass<'_> {
        Pass { port: self, span, until: None }
    }

    /// Says for which intent the next call is.
    fn calls_for(&self, intent: &IntentId) {
        if let Some(mine) = lock(&self.world).runs.get_mut(&self.run) {
            mine.calling = Some(intent.clone());
        }
    }

    /// The end of the invocation, between two steps.
    async fn die<T>(&self) -> T {
        lock(&self.world).kill(self.run);
        pending().await
    }

    async fn around<T, E: MadeUp>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut World, RunId) -> Result<T, E>,
    ) -> Result<T, E> {
        let Fate { before, after, turn } = lock(&self.world).fate(self.run, call);
        self.pass(before).await;
        match turn {
            Turn::DiesBefore => return self.die().await,
            Turn::Fails(kind) => return Err(E::of(kind)),
            Turn::Fine | Turn::DiesAfter | Turn::Lost | Turn::Hangs => {}
        }
        let done = {
            let mut world = lock(&self.world);
            let done = effect(&mut world, self.run);
            world.note(self.run, call as u64 * 2 + u64::from(done.is_ok()));
            world.tell(Weight::Call, |w| {
                format!("{} {call:?} {}", w.who(self.run), if done.is_ok() { "" } else { "fails" })
            });
            done
        };
        match turn {
            Turn::DiesAfter => self.die().await,
            Turn::Hangs => pending().await,
            Turn::Lost => {
                self.pass(after).await;
                Err(E::of(Kind::Unavailable))
            }
            Turn::Fine | Turn::DiesBefore | Turn::Fails(_) => {
                self.pass(after).await;
                done
            }
        }
    }
}

impl GroupStore for Port {
    async fn head(&self, _: &GroupName) -> Result<Option<Head>, StoreError> {
        self.around(Call::Head, |world, _| Ok(world.view.as_ref().map(|view| view.head.clone()))).await
    }

    async fn read(&self, _: &GroupName) -> Result<Option<GroupState>, StoreError> {
        self.around(Call::Read, |world, run| Ok(world.read(run))).await
    }

    async fn claim(&self, claim: &Claim) -> Result<(), StoreError> {
        self.around(Call::Claim, |world, run| world.claim(run, &weak::claim(world, claim))).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<u32, StoreError> {
        self.around(Call::Lease, |world, run| world.lease(run, request)).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.around(Call::Release, |world, run| world.release(run, release)).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        self.around(Call::Settle, |world, run| world.settle(run, settlement)).await
    }

    async fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        self.around(Call::Roster, |world, _| world.roster(group, shard, number)).await
    }

    async fn policy(&self, group: &GroupName, version: PolicyVersion) -> Result<Option<StoredPolicy>, StoreError> {
        self.around(Call::Policy, |world, _| world.stored_policy(group, version)).await
    }
}

impl HealthStore for Port {
    async fn take_slot(&self, group: &GroupName, shard: Shard, slot: Timestamp, owner: &str) -> Result<(), StoreError> {
        self.around(Call::TakeSlot, |world, run| world.take_slot(run, group, shard, slot, owner)).await
    }

    async fn append(&self, sweep: &Sweep) -> Result<(), StoreError> {
        self.around(Call::Append, |world, run| world.append(run, sweep)).await
    }

    async fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        self.around(Call::Latest, |world, _| world.latest(group, shard)).await
    }
}

impl PolicySource for Port {
    async fn fetch(&self, _: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        self.around(Call::Fetch, |world, _| Ok(world.operator.policy())).await
    }
}

impl Fleet for Port {
    async fn list(&self, _: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        self.around(Call::List, |world, run| Ok(world.list(run))).await
    }

    async fn describe(&self, _: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        self.around(Call::Describe, |world, run| Ok(world.describe(run, ids))).await
    }

    async fn template_version(&self, _: &str) -> Result<u64, FleetError> {
        self.around(Call::TemplateVersion, |world, _| Ok(world.template)).await
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        let spec = weak::launch(&lock(&self.world), spec, attempt);
        self.calls_for(&spec.intent);
        let made = self.around(Call::Launch, |world, run| world.launch(run, &spec)).await;
        weak::launched(&lock(&self.world), made)
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        self.around(Call::Find, |world, run| Ok(world.find(run, spec))).await
    }

    async fn terminate(
        &self,
        _: &GroupName,
        instance: &InstanceId,
        intent: &IntentId,
        _: u32,
    ) -> Result<(), FleetError> {
        self.calls_for(intent);
        self.around(Call::Terminate, |world, run| world.terminate(run, instance, intent)).await
    }
}

impl AgentProbe for Port {
    async fn probe(&self, targets: &[Target]) -> Probed {
        let probed: Result<Probed, StoreError> =
            self.around(Call::Probe, |world, run| Ok(world.probe(run, targets))).await;
        probed.unwrap_or_default()
    }
}

impl Clock for Port {
    fn now(&self) -> Timestamp {
        let world = lock(&self.world);
        let skew = world.runs.get(&self.run).map_or(RIGHT, |run| run.skew);
        Timestamp::from_millis(world.now.as_millis() + skew - RIGHT)
    }

    async fn sleep(&self, span: Duration) {
        self.pass(span).await;
    }
}
