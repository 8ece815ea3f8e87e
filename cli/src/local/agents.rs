//! The agent processes behind the ledger's running instances: real ones, with simulated load.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use muster_core::member::InstanceId;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use super::ledger::Entry;

/// How long a drain takes an agent: long enough to be seen.
const DRAIN_TIME: &str = "1s";
/// The longest line that is read of an agent.
const LONGEST_LINE: u64 = 1024;
/// A stopped agent reads nothing: what it was to be told is forgotten after this.
const TELL_DEADLINE: Duration = Duration::from_secs(1);

/// The agents that this process has started.
#[derive(Debug)]
pub struct Agents {
    binary: PathBuf,
    running: BTreeMap<InstanceId, Agent>,
    listening: mpsc::Sender<InstanceId>,
}

#[derive(Debug)]
struct Agent {
    child: Child,
    pid: u32,
    number: u32,
    tell: mpsc::Sender<f64>,
}

impl Agent {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ended = kill_process(pid, signal);
        }
    }
}

impl Agents {
    /// Agents of `binary`; the id of each one that begins to listen is sent to `listening`.
    pub const fn new(binary: PathBuf, listening: mpsc::Sender<InstanceId>) -> Self {
        Self { binary, running: BTreeMap::new(), listening }
    }

    /// Whether the instance has an agent process.
    pub fn has(&self, id: &InstanceId) -> bool {
        self.running.contains_key(id)
    }

    /// Its process id.
    pub fn pid(&self, id: &InstanceId) -> Option<u32> {
        self.running.get(id).map(|agent| agent.pid)
    }

    /// Starts the agent of an instance.
    pub fn start(&mut self, id: &InstanceId, entry: &Entry, load: f64) -> std::io::Result<()> {
        let mut child = Command::new(&self.binary)
            .args(["--listen", &entry.endpoint])
            .args(["--source", "simulated", "--seed", &entry.number.to_string()])
            .args(["--initial-load", &format!("{:.1}", load.clamp(0.0, 100.0))])
            .args(["--drain-time", DRAIN_TIME, "--restart-time", "0s", "--log", "warn"])
            .args(["--parent-pid", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(pid), Some(stdin), Some(stdout)) = (child.id(), child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("the agent ended at once"));
        };
        let (tell, targets) = mpsc::channel(1);
        tokio::spawn(tell_targets(stdin, targets));
        tokio::spawn(hear_listening(stdout, id.clone(), self.listening.clone()));
        self.running.insert(id.clone(), Agent { child, pid, number: entry.number, tell });
        Ok(())
    }

    /// Tells every agent the load that it should move towards.
    pub fn tell(&self, load: f64) {
        for agent in self.running.values() {
            // Full: the agent is stopped or slow. The next second says it again.
            let _later = agent.tell.try_send(load);
        }
    }

    /// Kills an instance's agent.
    pub fn kill(&mut self, id: &InstanceId) {
        if let Some(agent) = self.running.get_mut(id) {
            // It may have ended by itself: then there is nothing to kill.
            let _ended = agent.child.start_kill();
        }
    }

    /// Sends `signal` to an instance's agent.
    pub fn signal_one(&self, id: &InstanceId, signal: Signal) {
        self.running.get(id).into_iter().for_each(|agent| agent.signal(signal));
    }

    /// Sends `signal` to the `count` oldest agents; none means all.
    pub fn signal(&self, signal: Signal, count: Option<u32>) {
        let mut oldest: Vec<&Agent> = self.running.values().collect();
        oldest.sort_by_key(|agent| agent.number);
        let count = count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
        oldest.into_iter().take(count).for_each(|agent| agent.signal(signal));
    }

    /// Forgets the agents that have ended, and tells how.
    pub fn reap(&mut self) -> Vec<(InstanceId, String)> {
        let mut ended = Vec::new();
        self.running.retain(|id, agent| match agent.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                ended.push((id.clone(), status.to_string()));
                false
            }
            Err(error) => {
                ended.push((id.clone(), error.to_string()));
                false
            }
        });
        ended
    }

    /// Ends all agents and waits until they have.
    pub async fn end(&mut self) {
        for agent in self.running.values_mut() {
            let _ended = agent.child.kill().await;
        }
        self.running.clear();
    }
}

async fn tell_targets(mut stdin: ChildStdin, mut targets: mpsc::Receiver<f64>) {
    while let Some(load) = targets.recv().await {
        let line = format!("target {load:.2}\n");
        if let Ok(Err(_)) = tokio::time::timeout(TELL_DEADLINE, stdin.write_all(line.as_bytes())).await {
            return;
        }
    }
}

async fn hear_listening(stdout: ChildStdout, id: InstanceId, listening: mpsc::Sender<InstanceId>) {
    let mut line = String::new();
    let mut reader = BufReader::new(stdout.take(LONGEST_LINE));
    if reader.read_line(&mut line).await.is_ok() && line.starts_with("listening ") {
        // The fleet ends its receiver only when it ends itself.
        let _ended = listening.send(id).await;
    }
}
