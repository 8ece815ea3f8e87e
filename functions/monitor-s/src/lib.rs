//! MonitorS: what a tick of the schedule comes to. Every slot is one `sweep` of `muster-control`; this crate says when the next
//! one is, and when an invocation ends.
//!
//! What must never be in here: an AWS SDK type, a call that changes EC2 (MonitorS has no right to make one), a judgement about a
//! member, state that outlives an invocation. The probe's kept connections do; a cold probe sees the same, only later.
//!
//! **Where to start reading.** [`rhythm::next`] is the rule, [`watch`] follows it.

pub mod rhythm;

use std::io::Write;
use std::time::Duration;

use muster_control::chain::chain;
use muster_control::ports::{AgentProbe, Clock, GroupStore, HealthStore};
use muster_control::sweep::{Monitor, Swept, interval, sweep};
use muster_core::policy::Policy;
use muster_core::sweep::Sweep;
use muster_core::time::{Timestamp, millis};
use muster_lambda::Failure;
use muster_lambda::clock::within;
use muster_lambda::emf::{Metric, Metrics};
use muster_lambda::events::SweepOrder;
use serde::Serialize;
use tracing::{info, warn};

use crate::rhythm::{Attempt, End, LONGEST, Next, SHORTEST_INTERVAL, Turn, next};

/// Kept of an invocation for its answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);
/// What the store may take of a whole sweep, beside the probe: five calls that mostly take some milliseconds each.
const FOR_THE_STORE: Duration = Duration::from_secs(3);
/// How often a sleep that was too short is prolonged: the clock that names slots is not the one that times sleeps.
const PROLONGED_AT_MOST: u32 = 5;

/// What an invocation has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// Sweeps written.
    pub sweeps: u32,
    /// Sweeps that failed.
    pub failed: u32,
    /// Why it has ended.
    pub ended: End,
}

/// Sweeps the shard that `order` names, slot after slot, until somebody newer does or the time is up.
///
/// `deadline` is the invocation's own, `longest_look` the longest that a probe of so many members takes. Metrics go to `out`. It is
/// an error when there was no sweep for want of the store; that somebody else has swept is none.
pub async fn watch<S, A, C>(
    monitor: &Monitor<S, A, C>,
    stack: &str,
    order: &SweepOrder,
    deadline: Timestamp,
    longest_look: impl Fn(usize) -> Duration,
    out: &mut impl Write,
) -> Result<Watched, Failure>
where
    S: GroupStore + HealthStore,
    A: AgentProbe,
    C: Clock,
{
    let clock = &monitor.clock;
    let metrics = || Metrics::of(stack, &order.group);
    let mut turn = Turn { began: clock.now(), deadline, last_slot: None, failed: None, whole_sweep: FOR_THE_STORE };
    let mut watched = Watched { sweeps: 0, failed: 0, ended: End::LongEnough };
    let mut latest_failure = None;
    let mut known_interval = Policy::default().sweep_interval;
    for _ in 0..=LONGEST.as_secs() / SHORTEST_INTERVAL.as_secs() {
        let began = clock.now();
        let attempt = match attempt(monitor, order, deadline).await {
            Ok(Swept::Written(swept)) => {
                watched.sweeps += 1;
                turn.writes(swept.slot);
                turn.whole_sweep = longest_look(swept.members.len()).saturating_add(FOR_THE_STORE);
                let now = clock.now();
                tell(&swept, now.since(began), metrics()).write(now, out);
                Attempt::Written
            }
            Ok(Swept::Taken) => {
                // The store answers, and the slot is somebody's: there is no want of the store any more.
                latest_failure = None;
                Attempt::Taken
            }
            Err(failure) => {
                warn!(group = %order.group, shard = %order.shard, error_type = failure.name, error = failure.text, "A sweep failed.");
                metrics().with(Metric::Failures, 1_u32).write(clock.now(), out);
                watched.failed += 1;
                latest_failure = Some(failure);
                turn.fails(began);
                Attempt::Failed
            }
        };
        known_interval = wanted(monitor, order, deadline).await.unwrap_or(known_interval);
        match next(&turn, attempt, known_interval, clock.now()) {
            Next::At(slot) => sleep_until(clock, slot).await,
            Next::End(why) => {
                watched.ended = why;
                break;
            }
        }
    }
    info!(group = %order.group, shard = %order.shard, sweeps = watched.sweeps, failed = watched.failed, ended = %watched.ended, "Watched.");
    match latest_failure {
        Some(failure) if watched.sweeps == 0 => Err(failure),
        Some(_) | None => Ok(watched),
    }
}

/// One sweep, within the time that the invocation has.
async fn attempt<S, A, C>(monitor: &Monitor<S, A, C>, order: &SweepOrder, deadline: Timestamp) -> Result<Swept, Failure>
where
    S: GroupStore + HealthStore,
    A: AgentProbe,
    C: Clock,
{
    let left = deadline.since(monitor.clock.now()).saturating_sub(FOR_THE_ANSWER);
    match within(&monitor.clock, left, sweep(monitor, &order.group, order.shard)).await {
        Some(ended) => ended.map_err(|error| Failure::from(&error)),
        None => {
            Err(Failure { name: "Timeout", text: "the sweep was not done when the invocation's time was up".into() })
        }
    }
}

/// The interval that HEAD asks for now; none when it cannot be read.
async fn wanted<S, A, C>(monitor: &Monitor<S, A, C>, order: &SweepOrder, deadline: Timestamp) -> Option<Duration>
where
    S: GroupStore,
    A: Sync,
    C: Clock,
{
    let left = deadline.since(monitor.clock.now()).saturating_sub(FOR_THE_ANSWER);
    match within(&monitor.clock, left, monitor.store.head(&order.group)).await? {
        Ok(head) => Some(interval(head.as_ref())),
        Err(error) => {
            warn!(group = %order.group, error = chain(&error), "The sweep interval could not be read.");
            None
        }
    }
}

async fn sleep_until(clock: &impl Clock, slot: Timestamp) {
    for _ in 0..PROLONGED_AT_MOST {
        let left = slot.since(clock.now());
        if left.is_zero() {
            return;
        }
        clock.sleep(left).await;
    }
}

/// What a sweep has seen, in numbers. A sweep that cannot be trusted is told in words, too.
fn tell(swept: &Sweep, took: Duration, metrics: Metrics) -> Metrics {
    let Sweep { group, shard, slot, blind, counts, .. } = swept;
    if let Some(blind) = blind {
        warn!(%group, %shard, %slot, blind, "A sweep was blind.");
    }
    let took_ms = millis(took) as f64;
    metrics
        .with(Metric::Members, counts.members)
        .with(Metric::Answered, counts.answered)
        .with(Metric::Unreachable, counts.silent)
        .with(Metric::Unknown, counts.unknown)
        .with(Metric::BlindSweeps, u32::from(blind.is_some()))
        .with(Metric::SweepDuration, took_ms)
        .with(Metric::Failures, 0_u32)
}
