//! The ports of a world: the memory ports, with calls that fail, die or wait for their turn as a test has scripted. Every
//! call is checked against what must hold at it whatever the test is about.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::time::Duration;

use muster_control::faulty::MadeUp;
pub(crate) use muster_control::faulty::{Call, Kind};
use muster_control::memory::Scripted;
use muster_control::ports::{
    AgentProbe, Claim, Clock, Fleet, FleetError, Found, GroupState, GroupStore, HealthStore, Launched, LeaseRequest,
    PolicySource, PolicySourceError, PolicyText, Probed, Release, Settlement, StoreError, StoredPolicy, Target,
};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::{Call as Ec2Call, Intent, IntentId, LaunchSpec, Token};
use muster_core::member::{InstanceId, MemberState};
use muster_core::snapshot::{FleetInstance, InstanceState};
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;

use crate::world::{World, group};

/// What happens at a call instead of what should.
pub(crate) enum Fault {
    /// It is not made, and this is the answer.
    Fails(Kind),
    /// It is made, and its answer is lost.
    Unanswered,
    /// Whoever makes it dies just before.
    DiesBefore,
    /// Whoever makes it dies just after.
    DiesAfter,
    /// Something else happens first.
    First(Box<dyn FnOnce(&World) + Send>),
}

#[derive(Default)]
pub(crate) struct Script {
    /// Faults of the nth next call, and of every call from now on.
    pub(crate) once: Vec<(Call, u32, Fault)>,
    pub(crate) always: BTreeMap<Call, Kind>,
    /// The nth next call of any kind, of which its maker dies: before or after it.
    pub(crate) death: Option<(u32, bool)>,
    /// Somebody has just died: none of its calls goes on.
    pub(crate) dead: bool,
    /// Seed of the turns that calls take when controllers run at the same time.
    pub(crate) turns: Option<u64>,
    pub(crate) calls: Vec<Call>,
    pub(crate) largest_claim: usize,
    /// Instances that EC2's listing leaves out.
    pub(crate) hidden: BTreeSet<InstanceId>,
    /// The version that the policy's source gives its text.
    pub(crate) policy_version: Option<PolicyVersion>,
    pub(crate) agents: Agents,
}

pub(crate) struct Agents {
    pub(crate) all: Scripted,
    pub(crate) each: BTreeMap<InstanceId, Scripted>,
    pub(crate) blind: bool,
}

impl Default for Agents {
    fn default() -> Self {
        Self { all: Scripted::Load(50.0), each: BTreeMap::new(), blind: false }
    }
}

/// All the ports of a world.
#[derive(Clone, Copy)]
pub(crate) struct Port<'w>(pub(crate) &'w World);

enum Now {
    Go,
    Fail(Kind),
    GoUnanswered,
    Die,
    GoAndDie,
}

impl Port<'_> {
    async fn around<T, E: MadeUp>(self, call: Call, made: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        for _ in 0..self.turn() {
            tokio::task::yield_now().await;
        }
        match self.meet(call) {
            Now::Go => made.await,
            Now::Fail(with) => Err(E::of(with)),
            Now::GoUnanswered => {
                let _ = made.await;
                Err(E::of(Kind::Unavailable))
            }
            Now::Die => pending().await,
            Now::GoAndDie => {
                let _ = made.await;
                pending().await
            }
        }
    }

    /// How long the next call waits for its turn.
    fn turn(self) -> u64 {
        let mut script = self.0.script();
        let Some(seed) = &mut script.turns else { return 0 };
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % 4
    }

    /// Counts the call and finds what the test wants of it.
    fn meet(self, call: Call) -> Now {
        let mut script = self.0.script();
        if script.dead {
            return Now::Die;
        }
        script.calls.push(call);
        if let Some((nth, after)) = &mut script.death {
            *nth -= 1;
            if *nth == 0 {
                let now = if *after { Now::GoAndDie } else { Now::Die };
                (script.death, script.dead) = (None, true);
                return now;
            }
        }
        for (_, nth, _) in script.once.iter_mut().filter(|(kind, ..)| *kind == call) {
            *nth -= 1;
        }
        let due = script.once.iter().position(|(kind, nth, _)| *kind == call && *nth == 0);
        match due.map(|due| script.once.remove(due).2) {
            Some(Fault::Fails(with)) => Now::Fail(with),
            Some(Fault::Unanswered) => Now::GoUnanswered,
            Some(fault @ (Fault::DiesBefore | Fault::DiesAfter)) => {
                script.dead = true;
                if matches!(fault, Fault::DiesAfter) { Now::GoAndDie } else { Now::Die }
            }
            Some(Fault::First(first)) => {
                drop(script);
                first(self.0);
                Now::Go
            }
            None => script.always.get(&call).map_or(Now::Go, |with| Now::Fail(*with)),
        }
    }

    /// Runs a write and checks that the version has risen with it (S7).
    async fn raising<T>(self, made: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let version = async || self.0.store.head(&group()).await.ok().flatten().map(|head| head.version);
        let before = version().await;
        let done = made.await;
        assert!(done.is_err() || version().await > before, "S7: the version strictly increases");
        done
    }

    /// The intent that a call must come from: committed, and leased with this attempt (L1).
    async fn leased(self, attempt: u32, of: impl Fn(&Intent) -> bool) -> Option<Intent> {
        let now = self.now();
        let state = self.0.state().await;
        let mut intents = state.intents.into_iter();
        intents.find(|i| of(i) && i.attempt == attempt && i.lease.as_ref().is_some_and(|lease| lease.until > now))
    }
}

impl GroupStore for Port<'_> {
    async fn head(&self, group: &GroupName) -> Result<Option<Head>, StoreError> {
        self.around(Call::Head, self.0.store.head(group)).await
    }

    async fn read(&self, group: &GroupName) -> Result<Option<GroupState>, StoreError> {
        self.around(Call::Read, self.0.store.read(group)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let ids: BTreeSet<_> = claim.activity.iter().map(|activity| &activity.id).collect();
        assert_eq!(ids.len(), claim.activity.len(), "an activity hides another");
        let members = claim.put_members.len() + claim.delete_members.len();
        let intents = claim.put_intents.len() + claim.cancel_intents.len();
        let items = 2 + members + intents + claim.put_rosters.len() + claim.activity.len();
        assert!(items <= 100, "{items} items are more than a DynamoDB transaction holds");
        {
            let mut script = self.0.script();
            script.largest_claim = script.largest_claim.max(claim.put_intents.len());
        }
        self.around(Call::Claim, self.raising(self.0.store.claim(claim))).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<u32, StoreError> {
        self.around(Call::Lease, self.0.store.lease(request)).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        self.around(Call::Release, self.0.store.release(release)).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let items = 2 + settlement.settled.len() + settlement.put_members.len() + settlement.activity.len();
        assert!(items <= 100, "{items} items are more than a DynamoDB transaction holds");
        self.around(Call::Settle, self.raising(self.0.store.settle(settlement))).await
    }

    async fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        self.around(Call::Roster, self.0.store.roster(group, shard, number)).await
    }

    async fn policy(&self, group: &GroupName, version: PolicyVersion) -> Result<Option<StoredPolicy>, StoreError> {
        self.around(Call::Policy, self.0.store.policy(group, version)).await
    }
}

impl HealthStore for Port<'_> {
    async fn take_slot(&self, group: &GroupName, shard: Shard, slot: Timestamp, owner: &str) -> Result<(), StoreError> {
        self.around(Call::TakeSlot, self.0.store.take_slot(group, shard, slot, owner)).await
    }

    async fn append(&self, sweep: &Sweep) -> Result<(), StoreError> {
        self.around(Call::Append, self.0.store.append(sweep)).await
    }

    async fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        self.around(Call::Latest, self.0.store.latest(group, shard)).await
    }
}

impl PolicySource for Port<'_> {
    async fn fetch(&self, group: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        let text = self.around(Call::Fetch, self.0.policies.fetch(group)).await?;
        let version = self.0.script().policy_version;
        Ok(text.map(|text| PolicyText { version, ..text }))
    }
}

impl Fleet for Port<'_> {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        let mut listed = self.around(Call::List, self.0.fleet.list(group)).await?;
        listed.retain(|instance| !self.0.script().hidden.contains(&instance.id));
        Ok(listed)
    }

    async fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        let mut described = self.around(Call::Describe, self.0.fleet.describe(group, ids)).await?;
        described.retain(|instance| !self.0.script().hidden.contains(&instance.id));
        Ok(described)
    }

    async fn template_version(&self, template: &str) -> Result<u64, FleetError> {
        self.around(Call::TemplateVersion, self.0.fleet.template_version(template)).await
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        self.around(Call::Find, self.0.fleet.find(spec)).await
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        let own = |intent: &Intent| intent.call == Ec2Call::Launch(spec.clone());
        let intent =
            self.leased(attempt, own).await.expect("L1: an intent with these parameters, leased by the caller");
        assert_eq!(spec.token, Token::derive("stack", &spec.group, &intent.id), "L1: the intent's own token");
        self.around(Call::Launch, self.0.fleet.launch(spec, attempt)).await
    }

    async fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        by: &IntentId,
        attempt: u32,
    ) -> Result<(), FleetError> {
        let own = |intent: &Intent| {
            intent.id == *by && matches!(&intent.call, Ec2Call::Terminate { instance: i, .. } if i == instance)
        };
        self.leased(attempt, own).await.expect("L1: an intent for this instance, leased by the caller");
        let state = self.0.member_state(instance).await;
        assert!(matches!(state, None | Some(MemberState::Terminating(_))), "S4: {instance} is {state:?}");
        self.around(Call::Terminate, self.0.fleet.terminate(group, instance, by, attempt)).await
    }
}

impl AgentProbe for Port<'_> {
    async fn probe(&self, targets: &[Target]) -> Probed {
        {
            let script = self.0.script();
            for (id, _, state) in self.0.fleet.ever() {
                let own = script.agents.each.get(&id).unwrap_or(&script.agents.all);
                let silent = state.is_gone() || state == InstanceState::Stopped;
                self.0.probe.script(&id, if silent { Scripted::Silent } else { own.clone() });
            }
            self.0.probe.receive_at(self.now(), script.agents.blind.then_some("the event loop stalled"));
        }
        self.0.probe.probe(targets).await
    }
}

impl Clock for Port<'_> {
    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn sleep(&self, span: Duration) {
        self.0.clock.sleep(span).await;
    }
}
