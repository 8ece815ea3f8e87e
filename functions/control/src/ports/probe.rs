//! The agents: one look at many of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use muster_core::group::{GroupName, RosterNumber};
use muster_core::health::Observation;
use muster_core::member::InstanceId;

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
