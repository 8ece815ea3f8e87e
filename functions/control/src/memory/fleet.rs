//! EC2 in memory: at most one instance a token, eventual states under a test's control.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec, Token};
use muster_core::member::InstanceId;
use muster_core::snapshot::{FleetInstance, InstanceState};

use crate::ports::{Fleet, FleetError, Found, Launched, Mark, Marks};

/// EC2 in memory.
#[derive(Debug, Default)]
pub struct MemoryFleet(Mutex<Ledger>);

#[derive(Debug, Default)]
struct Ledger {
    instances: Vec<Instance>,
    attempts: BTreeMap<String, u32>,
    scarce: Option<String>,
    refuses: bool,
    unlisted: bool,
    template_version: u64,
}

/// One instance, and the launch that made it; none when somebody else did.
#[derive(Debug)]
struct Instance {
    made: Launched,
    spec: Option<LaunchSpec>,
    group: GroupName,
    facts: FleetInstance,
}

impl MemoryFleet {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets an instance's state, as EC2 or somebody outside would.
    pub fn set(&self, id: &InstanceId, state: InstanceState) {
        self.change(id, |facts| facts.state = state);
    }

    /// Changes what EC2 says of an instance, its tags included.
    pub fn change(&self, id: &InstanceId, change: impl FnOnce(&mut FleetInstance)) {
        if let Some(instance) = self.ledger().instances.iter_mut().find(|instance| instance.facts.id == *id) {
            change(&mut instance.facts);
        }
    }

    /// An instance's state.
    pub fn state(&self, id: &InstanceId) -> Option<InstanceState> {
        let ledger = self.ledger();
        ledger.instances.iter().find(|instance| instance.facts.id == *id).map(|instance| instance.facts.state)
    }

    /// Adds an instance that somebody else has launched.
    pub fn add(&self, group: &GroupName, facts: FleetInstance) {
        let made = Launched { id: facts.id.clone(), endpoint: String::new() };
        self.ledger().instances.push(Instance { made, spec: None, group: group.clone(), facts });
    }

    /// Whether launches fail for want of capacity, everywhere.
    pub fn set_no_capacity(&self, none: bool) {
        self.ledger().scarce = none.then(String::new);
    }

    /// In which zone launches fail for want of capacity.
    pub fn set_no_capacity_in(&self, zone: &str) {
        self.ledger().scarce = Some(zone.to_owned());
    }

    /// Whether launches are refused as they are.
    pub fn set_refusing(&self, refuses: bool) {
        self.ledger().refuses = refuses;
    }

    /// Whether listing fails.
    pub fn set_unlisted(&self, fails: bool) {
        self.ledger().unlisted = fails;
    }

    /// The default version of every launch template.
    pub fn set_template_version(&self, version: u64) {
        self.ledger().template_version = version;
    }

    /// Every instance ever launched here, with its token and its state now.
    pub fn ever(&self) -> Vec<(InstanceId, Token, InstanceState)> {
        let ledger = self.ledger();
        let launched = ledger.instances.iter().filter_map(|instance| Some((instance, instance.spec.as_ref()?)));
        launched.map(|(i, spec)| (i.made.id.clone(), spec.token.clone(), i.facts.state)).collect()
    }
}

impl Ledger {
    /// Refuses an attempt lower than one that has been seen for the same thing.
    fn admit(&mut self, what: &str, attempt: u32) -> Result<(), FleetError> {
        let seen = self.attempts.entry(what.to_owned()).or_insert(attempt);
        if attempt < *seen {
            return Err(FleetError::Superseded);
        }
        *seen = attempt;
        Ok(())
    }

    fn answering(&self) -> Result<(), FleetError> {
        if self.unlisted { Err(FleetError::Unavailable("scripted".into())) } else { Ok(()) }
    }

    fn launched_with(&self, token: &Token) -> Option<(&Instance, &LaunchSpec)> {
        let mut launched = self.instances.iter().filter_map(|instance| Some((instance, instance.spec.as_ref()?)));
        launched.find(|(_, spec)| spec.token == *token)
    }
}

impl Fleet for MemoryFleet {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        let ledger = self.ledger();
        ledger.answering()?;
        let tagged = ledger.instances.iter().filter(|instance| instance.group == *group && instance.facts.ours);
        Ok(tagged.map(|instance| instance.facts.clone()).collect())
    }

    async fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        let ledger = self.ledger();
        ledger.answering()?;
        let named = ledger.instances.iter().filter(|instance| ids.contains(&instance.facts.id));
        let facts = |i: &Instance| FleetInstance { ours: i.facts.ours && i.group == *group, ..i.facts.clone() };
        Ok(named.map(facts).collect())
    }

    async fn template_version(&self, _: &str) -> Result<u64, FleetError> {
        let ledger = self.ledger();
        ledger.answering()?;
        Ok(ledger.template_version.max(1))
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        let mut ledger = self.ledger();
        ledger.admit(&spec.token.0, attempt)?;
        if let Some((instance, before)) = ledger.launched_with(&spec.token) {
            return match (before == spec, instance.facts.state.is_gone()) {
                (true, false) => Ok(instance.made.clone()),
                (true, true) => Err(FleetError::Ended("IdempotentInstanceTerminated".into())),
                (false, _) => Err(FleetError::Refused("IdempotentParameterMismatch".into())),
            };
        }
        if ledger.refuses {
            return Err(FleetError::Refused("UnauthorizedOperation".into()));
        }
        if ledger.scarce.as_ref().is_some_and(|zone| zone.is_empty() || *zone == spec.zone) {
            return Err(FleetError::NoCapacity("InsufficientInstanceCapacity".into()));
        }
        let number = ledger.instances.len() + 1;
        let made = Launched { id: InstanceId(format!("i-{number:04}")), endpoint: format!("127.0.0.1:{number}") };
        let intent = Some(spec.intent.clone());
        let facts = FleetInstance { intent, ..FleetInstance::plain(made.id.clone(), InstanceState::Running) };
        let group = spec.group.clone();
        ledger.instances.push(Instance { made: made.clone(), spec: Some(spec.clone()), group, facts });
        Ok(made)
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        let ledger = self.ledger();
        ledger.answering()?;
        Ok(match ledger.launched_with(&spec.token) {
            None => Found::Nothing,
            Some((instance, _)) if instance.facts.state.is_gone() => Found::Ended(instance.made.id.clone()),
            Some((instance, _)) => Found::Running(instance.made.clone()),
        })
    }

    async fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        intent: &IntentId,
        attempt: u32,
    ) -> Result<(), FleetError> {
        let mut ledger = self.ledger();
        ledger.admit(&intent.0, attempt)?;
        match ledger.instances.iter_mut().find(|known| known.facts.id == *instance) {
            // What EC2 no longer knows has ended (D6).
            None => Ok(()),
            Some(known) if known.group != *group || !known.facts.ours => {
                Err(FleetError::Refused("UnauthorizedOperation: not tagged as this group's".into()))
            }
            Some(known) => {
                if !known.facts.state.is_gone() {
                    known.facts.state = InstanceState::ShuttingDown;
                }
                Ok(())
            }
        }
    }
}

impl Marks for MemoryFleet {
    async fn mark(&self, group: &GroupName, instance: &InstanceId, mark: Mark, on: bool) -> Result<(), FleetError> {
        let mut ledger = self.ledger();
        ledger.answering()?;
        match ledger.instances.iter_mut().find(|known| known.facts.id == *instance) {
            Some(known) if known.group == *group && known.facts.ours => {
                match mark {
                    Mark::Protected => known.facts.protected = on,
                    Mark::Drain => {}
                }
                Ok(())
            }
            Some(_) | None => Err(FleetError::Refused("UnauthorizedOperation: not tagged as this group's".into())),
        }
    }
}
