//! What the four processes of the local world have in common: they die with their parent, end on SIGTERM, and say what
//! they do as JSON lines on standard output.

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
pub use tokio::signal::unix::Signal as EndSignal;
use tokio::signal::unix::{SignalKind, signal};

use super::line::Line;
use super::paths::Paths;
use crate::failure::Failure;

/// What every process of the local world is told.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The group.
    #[arg(long)]
    pub group: muster_core::group::GroupName,
    /// Where store and ledger are.
    #[arg(long)]
    pub state: PathBuf,
    /// Where the sockets are.
    #[arg(long)]
    pub run: PathBuf,
    /// The process that this one must not outlive.
    #[arg(long)]
    pub parent_pid: i32,
}

impl Place {
    /// The world's files.
    pub fn paths(&self) -> Paths {
        Paths { state: self.state.clone(), run: self.run.clone() }
    }
}

/// A runtime of one thread: children are started from it, and the kernel's parent-death signal follows the thread.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run("the runtime cannot be started", &error))
}

/// Runs `work`, which shall end in order when the signal it is given comes. SIGINT is the supervisor's to hear.
pub fn run<F>(place: &Place, work: impl FnOnce(EndSignal) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    die_with_parent(place.parent_pid)?;
    runtime()?.block_on(async {
        let end = signal(SignalKind::terminate()).map_err(|error| Failure::run("SIGTERM cannot be heard", &error))?;
        work(end).await
    })
}

/// Asks the kernel to kill this process when its parent ends, and makes sure that it has not ended already.
fn die_with_parent(parent: i32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure::run("the parent's death cannot be watched", &error))?;
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(parent) {
        return Err(Failure::Run(format!("the parent, process {parent}, has ended")));
    }
    Ok(())
}

/// Says a line to the supervisor. When that is gone, so are we in a moment.
pub fn say(line: &Line) {
    if let Ok(text) = serde_json::to_string(line) {
        let _gone = writeln!(std::io::stdout().lock(), "{text}");
    }
}

/// Says something that went wrong and was handled.
pub fn notice(from: &str, text: String) {
    say(&Line::Notice { from: from.to_owned(), text });
}
