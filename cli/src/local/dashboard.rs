//! The dashboard process: what the world does and why, at an address of this machine. It reads the store, and writes the policy's file and
//! marks on instances when somebody asks for it; the loop goes on whether it runs or not.
//!
//! Its listener is `muster up`'s, and comes as standard input: so the address stays while the process is started again, and whoever asks meanwhile
//! waits a moment.

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::PathBuf;

use clap::Args;
use muster_embedded::SqliteStore;
use muster_web::api::{Guards, router, serve as serve_http};
use muster_web::stand::Stand;

use super::clock::SystemClock;
use super::fleet_client::FleetClient;
use super::policy_file::PolicyFile;
use super::process::{EndSignal, Place};
use crate::failure::Failure;

/// The port that is taken when nobody says which: beside the agent's own.
pub const PORT: u16 = 7718;

/// What the dashboard is told.
#[derive(Clone, Debug, Args)]
pub struct DashboardArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// The policy's file.
    #[arg(long)]
    pub(super) policy: PathBuf,
}

/// Serves until `end`.
pub async fn serve(args: &DashboardArgs, mut end: EndSignal) -> Result<(), Failure> {
    let paths = args.place.paths();
    let store = SqliteStore::open_read_only(paths.store())
        .map_err(|error| Failure::run("the store cannot be opened", &error))?;
    let failed = |error| Failure::run("standard input is no listener", &error);
    let listener = std::io::stdin().as_fd().try_clone_to_owned().map(TcpListener::from).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let stand = Stand {
        store,
        policies: PolicyFile(args.policy.clone()),
        fleet: FleetClient(paths.fleet_socket()),
        clock: SystemClock,
        place: "local".to_owned(),
    };
    let end = async move {
        let _asked = end.recv().await;
    };
    serve_http(listener, router(stand, Guards::loopback(port)), end).await;
    Ok(())
}

/// A listener on loopback: at `asked`, or else at [`PORT`] or, when that is taken, at any that is free.
pub fn listen(asked: Option<u16>) -> Result<TcpListener, Failure> {
    let at = |port| TcpListener::bind(("127.0.0.1", port));
    match asked {
        Some(port) => {
            at(port).map_err(|error| Failure::input(&format!("port {port} of 127.0.0.1 cannot be listened on"), &error))
        }
        None => at(PORT).or_else(|_| at(0)).map_err(|error| Failure::run("127.0.0.1 cannot be listened on", &error)),
    }
}

/// The address that a listener on loopback is asked under.
pub fn url(listener: &TcpListener) -> Option<String> {
    listener.local_addr().ok().map(|address| format!("http://127.0.0.1:{}/", address.port()))
}
