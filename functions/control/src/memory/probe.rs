//! Agents that answer as a test has scripted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use muster_core::health::{AgentState, Answer, Application, Observation};
use muster_core::member::InstanceId;
use muster_core::time::Timestamp;

use crate::ports::{AgentProbe, Order, Probed, Target};

/// How a scripted agent behaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Scripted {
    /// It answers with this load, and drains at once when asked.
    Load(f64),
    /// It answers with this load, and never finishes draining.
    Busy(f64),
    /// It answers, its application fails.
    Failing,
    /// It does not answer.
    Silent,
}

/// Agents in memory. One that has no script does not answer.
#[derive(Debug, Default)]
pub struct MemoryProbe {
    agents: Mutex<BTreeMap<InstanceId, Scripted>>,
    state: Mutex<(Timestamp, Option<String>, Vec<Vec<Target>>)>,
}

impl MemoryProbe {
    /// Scripts one agent.
    pub fn script(&self, id: &InstanceId, behaviour: Scripted) {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), behaviour);
    }

    /// Sets the time at which answers are received, and whether the monitor is blind.
    pub fn receive_at(&self, now: Timestamp, blind: Option<&str>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.0, state.1) = (now, blind.map(str::to_owned));
    }

    /// The targets of every probe so far.
    pub fn asked(&self) -> Vec<Vec<Target>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).2.clone()
    }
}

impl AgentProbe for MemoryProbe {
    async fn probe(&self, targets: &[Target]) -> Probed {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.2.push(targets.to_vec());
        let (received_at, blind) = (state.0, state.1.clone());
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let observe = |target: &Target| {
            let asked_to_drain = matches!(target.order, Order::Unregister { .. });
            let answer = |load, state, application| {
                Observation::Answered(Answer {
                    received_at,
                    boot_id: "boot".into(),
                    version: "0.1.0".into(),
                    state,
                    application,
                    load: Some(load),
                    cursor: target.cursor + 1,
                    unregistered: asked_to_drain,
                    protected: false,
                    signals: Default::default(),
                })
            };
            let state = |after| if asked_to_drain { after } else { AgentState::Serving };
            match agents.get(&target.id) {
                Some(Scripted::Load(load)) => answer(*load, state(AgentState::Drained), Application::NotProbed),
                Some(Scripted::Busy(load)) => answer(*load, state(AgentState::Draining), Application::NotProbed),
                Some(Scripted::Failing) => {
                    answer(0.0, state(AgentState::Drained), Application::Failing { detail: "status 503".into() })
                }
                Some(Scripted::Silent) | None if blind.is_some() => Observation::Unknown,
                Some(Scripted::Silent) | None => Observation::Unreachable { detail: "no answer".into() },
            }
        };
        let observations = targets.iter().map(|target| (target.id.clone(), observe(target))).collect();
        Probed { observations, blind }
    }
}

impl<A: AgentProbe> AgentProbe for &A {
    async fn probe(&self, targets: &[Target]) -> Probed {
        (*self).probe(targets).await
    }
}
