//! The monitor process: MonitorS's use case, slot after slot.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use clap::Args;
use muster_control::chain::chain;
use muster_control::ports::{AgentProbe, Clock, GroupStore, StoreError};
use muster_control::sweep::{Monitor, Swept, interval, sweep};
use muster_core::group::{Head, Shard};
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use muster_probe::{GrpcProbe, Settings};

use super::clock::SystemClock;
use super::line::Line;
use super::process::{EndSignal, Place, notice, say};
use crate::failure::Failure;

/// How soon a group without HEAD is looked at again: the controller is about to create it.
const BEFORE_HEAD: Duration = Duration::from_millis(250);

/// What the monitor is told.
#[derive(Clone, Debug, Args)]
pub struct MonitorArgs {
    #[command(flatten)]
    pub(super) place: Place,
}

/// Runs the monitor until `end`; a sweep that has begun is finished.
pub async fn serve(args: &MonitorArgs, mut end: EndSignal) -> Result<(), Failure> {
    let paths = args.place.paths();
    let store = SqliteStore::open(paths.store()).map_err(|error| Failure::run("the store cannot be opened", &error))?;
    let name = format!("monitor-{}", std::process::id());
    let monitor = Monitor { store, probe: GrpcProbe::new(SystemClock, Settings::default()), clock: SystemClock, name };
    let doorbell = doorbell().map_err(|error| Failure::run("the doorbell cannot be made", &error))?;
    loop {
        let wait = match sweep_all(&monitor, args, &doorbell).await {
            Ok(head) => until_next_slot(&monitor, args, head.as_ref()).await,
            Err(error) => {
                notice("monitor", format!("a sweep failed: {}", chain(&error)));
                BEFORE_HEAD
            }
        };
        tokio::select! {
            _ = end.recv() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// A doorbell that never waits: a controller that does not listen must not stop the sweeps.
fn doorbell() -> std::io::Result<UnixDatagram> {
    let doorbell = UnixDatagram::unbound()?;
    doorbell.set_nonblocking(true)?;
    Ok(doorbell)
}

/// Sweeps every shard, and rings for each sweep. A doorbell that nobody hears is harmless: the next one says the same.
async fn sweep_all(
    monitor: &Monitor<SqliteStore, impl AgentProbe, SystemClock>,
    args: &MonitorArgs,
    doorbell: &UnixDatagram,
) -> Result<Option<Head>, StoreError> {
    let group = &args.place.group;
    let head = monitor.store.head(group).await?;
    let shards: Vec<Shard> = head.as_ref().map_or(vec![Shard(0)], |head| head.rosters.keys().copied().collect());
    for shard in shards {
        if let Swept::Written(swept) = sweep(monitor, group, shard).await? {
            say(&Line::Sweep(swept.as_ref().into()));
            let _unheard = doorbell.send_to(b"ding", args.place.paths().doorbell_socket());
        }
    }
    Ok(head)
}

async fn until_next_slot(
    monitor: &Monitor<SqliteStore, impl AgentProbe, SystemClock>,
    args: &MonitorArgs,
    head: Option<&Head>,
) -> Duration {
    if head.is_none() {
        return BEFORE_HEAD;
    }
    match interval(&monitor.store, &args.place.group, head).await {
        Ok(interval) => next_slot(SystemClock.now(), interval),
        Err(_) => BEFORE_HEAD,
    }
}

/// The time from `now` to the next slot.
fn next_slot(now: Timestamp, interval: Duration) -> Duration {
    let slot = now.round_down(interval);
    slot.plus(interval).since(now).max(Duration::from_millis(1))
}
