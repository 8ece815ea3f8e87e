//! EC2 in memory: at most one instance a token, eventual states under a test's control.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use muster_core::group::GroupName;
use muster_core::intent::{LaunchSpec, Token};
use muster_core::member::InstanceId;
use muster_core::snapshot::{FleetInstance, InstanceState};

use crate::ports::{Fleet, FleetError, Launched};

/// EC2 in memory.
#[derive(Debug, Default)]
pub struct MemoryFleet(Mutex<Ledger>);

#[derive(Debug, Default)]
struct Ledger {
    instances: Vec<(Launched, LaunchSpec, InstanceState)>,
    attempts: BTreeMap<String, u32>,
    no_capacity: bool,
    unlisted: bool,
}

impl MemoryFleet {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets an instance's state, as EC2 or somebody outside would.
    pub fn set(&self, id: &InstanceId, state: InstanceState) {
        for (made, _, now) in &mut self.ledger().instances {
            if made.id == *id {
                *now = state;
            }
        }
    }

    /// Whether launches fail for want of capacity.
    pub fn set_no_capacity(&self, none: bool) {
        self.ledger().no_capacity = none;
    }

    /// Whether listing fails.
    pub fn set_unlisted(&self, fails: bool) {
        self.ledger().unlisted = fails;
    }

    /// Every instance ever launched, with its token and its state now.
    pub fn ever(&self) -> Vec<(InstanceId, Token, InstanceState)> {
        self.ledger()
            .instances
            .iter()
            .map(|(made, spec, state)| (made.id.clone(), spec.token.clone(), *state))
            .collect()
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
}

impl Fleet for MemoryFleet {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        let ledger = self.ledger();
        if ledger.unlisted {
            return Err(FleetError::Unavailable("scripted".into()));
        }
        let ours = ledger.instances.iter().filter(|(_, spec, _)| spec.group == *group);
        Ok(ours.map(|(made, _, state)| FleetInstance { id: made.id.clone(), state: *state }).collect())
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        let mut ledger = self.ledger();
        ledger.admit(&spec.token.0, attempt)?;
        if let Some((made, before, state)) = ledger.instances.iter().find(|(_, before, _)| before.token == spec.token) {
            return match (before == spec, state.is_gone()) {
                (true, false) => Ok(made.clone()),
                (true, true) => Err(FleetError::Refused("IdempotentInstanceTerminated".into())),
                (false, _) => Err(FleetError::Refused("IdempotentParameterMismatch".into())),
            };
        }
        if ledger.no_capacity {
            return Err(FleetError::NoCapacity("InsufficientInstanceCapacity".into()));
        }
        let number = ledger.instances.len() + 1;
        let made = Launched { id: InstanceId(format!("i-{number:04}")), endpoint: format!("127.0.0.1:{number}") };
        ledger.instances.push((made.clone(), spec.clone(), InstanceState::Running));
        Ok(made)
    }

    async fn terminate(&self, group: &GroupName, instance: &InstanceId, attempt: u32) -> Result<(), FleetError> {
        let mut ledger = self.ledger();
        ledger.admit(&instance.0, attempt)?;
        match ledger.instances.iter_mut().find(|(made, spec, _)| made.id == *instance && spec.group == *group) {
            Some((_, _, state)) => {
                if !state.is_gone() {
                    *state = InstanceState::ShuttingDown;
                }
                Ok(())
            }
            // What EC2 no longer knows has ended (D6).
            None => Ok(()),
        }
    }
}
