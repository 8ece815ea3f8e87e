//! What MonitorS does: one pass over a shard's agents, written once and last. It touches agents and the store only.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_core::group::{GroupName, Head, Roster, RosterEntry, Shard, Wanted};
use muster_core::health::Observation;
use muster_core::policy::{Mode, Policy};
use muster_core::sweep::Sweep;

use crate::ports::{AgentProbe, Clock, GroupStore, HealthStore, Order, StoreError, Target};

/// Sweep intervals that a registration outlives: a monitor that is gone for longer is gone.
const REGISTRATION_INTERVALS: u32 = 30;

/// What a sweep stands on.
#[derive(Debug)]
pub struct Monitor<S, A, C> {
    /// Groups and sweeps.
    pub store: S,
    /// The agents.
    pub probe: A,
    /// Time.
    pub clock: C,
    /// Who sweeps: names the owner of a slot, and the monitor to the agents.
    pub name: String,
}

/// How a sweep ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Swept {
    /// It is written, and the doorbell has rung.
    Written(Box<Sweep>),
    /// The slot belongs to somebody else, or its time has not come.
    Taken,
}

/// The interval at which a group wants to be swept: its policy's, or the default before it has one.
pub fn interval(head: Option<&Head>) -> Duration {
    let told = head.map(|head| Duration::from_millis(head.sweep_interval_ms)).filter(|interval| !interval.is_zero());
    told.unwrap_or_else(|| Policy::default().sweep_interval)
}

/// Sweeps one shard of a group once. A group without HEAD gets an empty sweep: its doorbell makes the controller create it.
///
/// After an error it may be tried again under the same name: a slot that the failed attempt has claimed is claimed again, and a sweep
/// that it has written after all is not written twice.
pub async fn sweep<S, A, C>(monitor: &Monitor<S, A, C>, group: &GroupName, shard: Shard) -> Result<Swept, StoreError>
where
    S: GroupStore + HealthStore,
    A: AgentProbe,
    C: Clock,
{
    let store = &monitor.store;
    let head = store.head(group).await?;
    let interval = interval(head.as_ref());
    let slot = monitor.clock.now().round_down(interval);
    match store.take_slot(group, shard, slot, &monitor.name).await {
        Ok(()) => {}
        Err(StoreError::Conflict) => return Ok(Swept::Taken),
        Err(error) => return Err(error),
    }
    let roster = match head.as_ref().and_then(|head| head.rosters.get(&shard)) {
        Some(number) => store.roster(group, shard, *number).await?,
        None => None,
    };
    let previous = match store.latest(group, shard).await {
        // What cannot be read must not stop the sweeps for ever: this one begins anew, which condemns nobody (H1).
        Err(StoreError::Corrupt(_)) => None,
        read => read?,
    };
    let mode = head.as_ref().map_or(Mode::Active, |head| head.mode);
    let targets = targets(monitor, roster.as_ref(), previous.as_ref(), mode, interval);
    let mut probed = monitor.probe.probe(&targets).await;
    // Of whom the probe says nothing, nothing is known; of whom it was not asked, nothing is taken.
    let wanted = head.map(|head| head.signals).unwrap_or_default();
    let mut observed = |id| scaled_by(&wanted, probed.observations.remove(id).unwrap_or(Observation::Unknown));
    let observations = targets.iter().map(|target| (target.id.clone(), observed(&target.id))).collect();
    let number = roster.map(|roster| roster.number);
    let finished_at = monitor.clock.now();
    let sweep =
        Sweep::fold(group, shard, slot, number, previous.as_ref(), &observations, probed.blind, finished_at, interval);
    match store.append(&sweep).await {
        Ok(()) => Ok(Swept::Written(Box::new(sweep))),
        Err(StoreError::Conflict) => Ok(Swept::Taken),
        Err(error) => Err(error),
    }
}

/// The observation with those signals alone that the group is scaled by: every other would be stored for nothing.
fn scaled_by(wanted: &BTreeSet<String>, mut observation: Observation) -> Observation {
    if let Observation::Answered(answer) = &mut observation {
        answer.signals.retain(|name, _| wanted.contains(name));
    }
    observation
}

fn targets<S, A, C>(
    monitor: &Monitor<S, A, C>,
    roster: Option<&Roster>,
    previous: Option<&Sweep>,
    mode: Mode,
    interval: Duration,
) -> Vec<Target> {
    let Some(roster) = roster else { return Vec::new() };
    let target = |entry: &RosterEntry| {
        let health = previous.and_then(|sweep| sweep.members.get(&entry.id));
        let order = match (mode, &entry.wanted) {
            // In these modes nothing is changed anywhere, not even in an agent (O1).
            (Mode::Observe | Mode::Paused, _) => Order::Look,
            (Mode::Active | Mode::OutOnly, Wanted::Serve) => Order::Register {
                monitor: monitor.name.clone(),
                group: roster.group.clone(),
                roster: roster.number,
                lease: (interval * REGISTRATION_INTERVALS).min(Duration::from_secs(3600)),
                sweep_interval: interval,
            },
            (Mode::Active | Mode::OutOnly, Wanted::Drain { reason, timeout_ms }) => Order::Unregister {
                reason: reason.clone(),
                roster: roster.number,
                deadline: Duration::from_millis(*timeout_ms),
            },
        };
        Target {
            id: entry.id.clone(),
            endpoint: entry.endpoint.clone(),
            cursor: health.map_or(0, |health| health.cursor),
            boot_id: health.map(|health| health.boot_id.clone()).unwrap_or_default(),
            order,
        }
    };
    roster.entries.iter().map(target).collect()
}
