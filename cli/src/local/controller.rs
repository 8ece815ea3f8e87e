//! The controller process: ControllerASG's use case at every doorbell, and every few seconds whatever happens.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use muster_control::chain::chain;
use muster_control::faulty::Faulty;
use muster_control::ports::Clock;
use muster_control::reconcile::{Controller, Settings, reconcile};
use muster_embedded::SqliteStore;
use tokio::net::UnixDatagram;

use super::clock::SystemClock;
use super::crash::{CrashPoint, Crashing};
use super::faults::FaultArgs;
use super::fleet_client::FleetClient;
use super::policy_file::PolicyFile;
use super::process::{EndSignal, Place, notice, say};
use crate::failure::Failure;

/// Here a lease is short, so that a killed controller is soon made up for; on AWS it outlives the longest invocation.
const LEASE: Duration = Duration::from_secs(5);
/// Nothing new is begun after this; shorter than the lease, so that no call outlives it.
const BUDGET: Duration = Duration::from_millis(2_500);
/// How often the group is looked at without a doorbell; on AWS it is every five minutes.
const WITHOUT_DOORBELL: Duration = Duration::from_secs(5);

/// What the controller is told.
#[derive(Clone, Debug, Args)]
pub struct ControllerArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// The policy's file.
    #[arg(long)]
    pub(super) policy: PathBuf,
    #[command(flatten)]
    pub(super) faults: FaultArgs,
}

/// Runs the controller until `end`; what has begun is finished.
pub async fn serve(args: &ControllerArgs, mut end: EndSignal) -> Result<(), Failure> {
    let paths = args.place.paths();
    let store = SqliteStore::open(paths.store()).map_err(|error| Failure::run("the store cannot be opened", &error))?;
    let socket = paths.doorbell_socket();
    // A controller that was killed leaves its socket behind.
    let _absent = std::fs::remove_file(&socket);
    let doorbell = UnixDatagram::bind(&socket)
        .map_err(|error| Failure::run(&format!("{} cannot be listened on", socket.display()), &error))?;
    let point = CrashPoint::from_environment()?;
    let owner = format!("controller-{}-{}", std::process::id(), SystemClock.now().as_millis());
    let controller = Controller {
        store: Faulty {
            inner: Crashing { inner: store, point },
            schedule: args.faults.injecting("controller"),
            clock: SystemClock,
        },
        fleet: Faulty {
            inner: Crashing { inner: FleetClient(paths.fleet_socket()), point },
            schedule: args.faults.injecting("controller"),
            clock: SystemClock,
        },
        policies: PolicyFile(args.policy.clone()),
        clock: SystemClock,
        settings: Settings { stack: "local".into(), owner, lease: LEASE, budget: BUDGET },
    };
    let mut said = String::new();
    let mut ring = [0_u8; 16];
    loop {
        match reconcile(&controller, &args.place.group, fastrand::f64()).await {
            Ok(done) => {
                said.clear();
                done.activity.into_iter().for_each(|activity| say(&activity.into()));
                done.troubles.into_iter().for_each(|trouble| notice("controller", trouble));
            }
            Err(error) => {
                let text = chain(&error);
                if text != said {
                    notice("controller", format!("no decision: {text}"));
                    said = text;
                }
            }
        }
        tokio::select! {
            _ = end.recv() => return Ok(()),
            _ = doorbell.recv(&mut ring) => {}
            () = tokio::time::sleep(WITHOUT_DOORBELL) => {}
        }
        // Doorbells that rang meanwhile say nothing more than the one that was heard.
        while doorbell.try_recv(&mut ring).is_ok() {}
    }
}
