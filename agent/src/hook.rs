//! Runs the drain hook: the operator's program that brings the work on this instance to its end.
//!
//! It is started once for each drain, without a shell, without arguments and without input, in a process group of its own.
//! While it runs the agent is busy. It is ended when the drain's time is up, when the drain is taken back and when the agent
//! ends: SIGTERM to its group, SIGKILL to what is left of it when it has ended, or [`KILL_AFTER`] later. A hook that fails, or
//! cannot be started, is logged and counts as ended: what cannot be saved must not keep an instance for ever. Only a SIGKILL
//! of the agent leaves its hook behind; systemd ends it then, with the rest of the unit.
//!
//! *What* is to run is [`crate::lifecycle`]'s to say; this carries it out, one hook after the other and never two at once.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::agent::Agent;
use crate::lifecycle::HookRun;

/// The variable that holds why the agent drains.
pub const REASON: &str = "MUSTER_DRAIN_REASON";

/// The variable that holds how many whole seconds the hook may take.
pub const DEADLINE_SECONDS: &str = "MUSTER_DRAIN_DEADLINE_SECONDS";

/// How long a hook may take to end after SIGTERM. Long enough to say goodbye, short beside any drain.
const KILL_AFTER: Duration = Duration::from_secs(5);

/// Runs `program` whenever `agent` drains, for ever. Dropping it kills what runs.
pub async fn run(program: PathBuf, agent: Arc<Agent>) {
    loop {
        match agent.hook_run() {
            Some(due) => {
                carry_out(&program, &due, &agent).await;
                agent.facts().lifecycle.hook_ended(due.drain);
            }
            None => agent.hook_changed().await,
        }
    }
}

/// Runs the hook to its end, one way or another.
async fn carry_out(program: &Path, due: &HookRun, agent: &Agent) {
    let mut running = match Running::start(program, due) {
        Ok(running) => running,
        Err(error) => return warn!(?program, %error, "The drain hook cannot be started: the drain goes on without it."),
    };
    agent.facts().lifecycle.hook_begins(due.drain);
    info!(?program, deadline = ?due.remaining, "The drain hook runs.");
    let ended = tokio::select! {
        ended = running.wait() => ended,
        () = withdrawn(agent, due.drain) => {
            info!(?program, "The drain hook is no longer wanted.");
            running.end().await
        }
    };
    match ended {
        Ok(status) if status.success() => info!(?program, "The drain hook has ended."),
        Ok(status) => warn!(?program, %status, "The drain hook has failed: the drain goes on without it."),
        Err(error) => warn!(?program, %error, "The drain hook is lost: the drain goes on without it."),
    }
}

/// Returns when the hook of the drain `number` is not to run any longer.
async fn withdrawn(agent: &Agent, number: u64) {
    while let Some(due) = agent.hook_run().filter(|due| due.drain == number) {
        tokio::select! {
            () = sleep(due.remaining) => {}
            () = agent.hook_changed() => {}
        }
    }
}

/// A hook and its process group; killed when dropped before it has ended.
struct Running {
    child: Child,
    /// The group bears the hook's own process id, which is no other's until the hook has been waited for.
    group: Option<Pid>,
    /// Told when any child of this process changes.
    children: tokio::signal::unix::Signal,
}

impl Running {
    fn start(program: &Path, due: &HookRun) -> io::Result<Self> {
        // A variable cannot hold a zero byte, and whoever reads it in a log wants one line.
        let reason: String = due.reason.chars().filter(|character| !character.is_control()).collect();
        // Before there is a hook, so that its end is not missed.
        let children = signal(SignalKind::child())?;
        let child = Command::new(program)
            .env(REASON, reason)
            .env(DEADLINE_SECONDS, due.remaining.as_secs().to_string())
            .stdin(Stdio::null())
            // Standard output is for the agent's own line: what the hook says goes where the log goes.
            .stdout(io::stderr())
            .process_group(0)
            .spawn()?;
        Ok(Self { group: Some(Pid::from_child(&child)), child, children })
    }

    /// The hook's own end; what it leaves running is its own affair.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.ended().await?;
        self.group = None;
        self.child.wait()
    }

    /// Ends the hook with all that it has started.
    async fn end(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM);
        // Ended or not: the group's last members go now.
        let _ = timeout(KILL_AFTER, self.ended()).await;
        self.signal(Signal::KILL);
        self.wait().await
    }

    /// Returns when the hook has ended, and leaves it to be waited for.
    async fn ended(&mut self) -> io::Result<()> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while let Some(pid) = self.group
            && waitid(WaitId::Pid(pid), look)?.is_none()
        {
            self.children.recv().await;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group
            && let Err(error) = kill_process_group(group, signal)
        {
            warn!(%error, ?signal, "The drain hook cannot be signalled.");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
