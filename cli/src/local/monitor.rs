//! The monitor process: MonitorS's use case, slot after slot.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use clap::Args;
use muster_control::chain::chain;
use muster_control::faulty::Faulty;
use muster_control::ports::{AgentProbe, Clock, GroupStore, StoreError};
use muster_control::sweep::{Monitor, Swept, interval, sweep};
use muster_core::group::{Head, Shard};
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use muster_probe::{GrpcProbe, Settings};

use super::clock::SystemClock;
use super::faults::{FaultArgs, Injected, Injecting, injected};
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
    #[command(flatten)]
    pub(super) faults: FaultArgs,
}

/// The store, as the monitor meets it.
type Store = Faulty<SqliteStore, Injecting, SystemClock>;

/// Runs the monitor until `end`; a sweep that has begun is finished.
pub async fn serve(args: &MonitorArgs, mut end: EndSignal) -> Result<(), Failure> {
    let paths = args.place.paths();
    let store = SqliteStore::open(paths.store()).map_err(|error| Failure::run("the store cannot be opened", &error))?;
    let store = Faulty { inner: store, schedule: args.faults.injecting("monitor"), clock: SystemClock };
    let name = format!("monitor-{}", std::process::id());
    let monitor = Monitor { store, probe: GrpcProbe::new(SystemClock, Settings::default()), clock: SystemClock, name };
    // The one place that draws without a generator of its own: the doorbell.
    fastrand::seed(args.faults.faults_seed);
    let doorbell = doorbell().map_err(|error| Failure::run("the doorbell cannot be made", &error))?;
    loop {
        let wait = match sweep_all(&monitor, args, &doorbell).await {
            Ok(head) => until_next_slot(head.as_ref()),
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
    monitor: &Monitor<Store, impl AgentProbe, SystemClock>,
    args: &MonitorArgs,
    doorbell: &UnixDatagram,
) -> Result<Option<Head>, StoreError> {
    let group = &args.place.group;
    let head = monitor.store.head(group).await?;
    let shards: Vec<Shard> = head.as_ref().map_or(vec![Shard(0)], |head| head.rosters.keys().copied().collect());
    for shard in shards {
        if let Swept::Written(swept) = sweep(monitor, group, shard).await? {
            say(&Line::Sweep(swept.as_ref().into()));
            for _ in 0..rings(args) {
                let _unheard = doorbell.send_to(b"ding", args.place.paths().doorbell_socket());
            }
        }
    }
    Ok(head)
}

/// How often the doorbell rings: once, unless it is lost or doubled.
fn rings(args: &MonitorArgs) -> u32 {
    let Some(intensity) = args.faults.now() else { return 1 };
    let (drawn, rate) = (fastrand::u16(0..1_000), intensity.doorbells);
    let (rings, fault) = if drawn < rate {
        (0, Injected::DoorbellLost)
    } else if drawn < 2 * rate {
        (2, Injected::DoorbellDoubled)
    } else {
        return 1;
    };
    say(&injected("monitor", fault, "doorbell"));
    rings
}

fn until_next_slot(head: Option<&Head>) -> Duration {
    if head.is_none() { BEFORE_HEAD } else { next_slot(SystemClock.now(), interval(head)) }
}

/// The time from `now` to the next slot.
fn next_slot(now: Timestamp, interval: Duration) -> Duration {
    let slot = now.round_down(interval);
    slot.plus(interval).since(now).max(Duration::from_millis(1))
}
