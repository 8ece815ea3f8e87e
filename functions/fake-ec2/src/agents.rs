//! The agent processes of the running instances: real ones, with simulated load, each at its instance's private address.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::Shared;
use crate::cloud::Wanted;
use crate::config::AgentSettings;

/// How often agents are told their loads and looked after.
const BEAT: Duration = Duration::from_secs(1);
/// The longest line that is read of an agent.
const LONGEST_LINE: u64 = 1024;
/// A stopped agent reads nothing: what it was to be told is forgotten after this.
const TELL_DEADLINE: Duration = Duration::from_secs(1);

/// What has become of an instance's agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentRecord {
    /// Where it listens, or would.
    pub endpoint: String,
    /// Its process; none when it has ended.
    pub pid: Option<u32>,
    /// Whether it has said that it listens.
    pub listening: bool,
    /// How it has ended.
    pub ended: Option<String>,
}

/// What can be done to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentDeed {
    /// SIGKILL. It stays dead until `start`.
    Kill,
    /// SIGTERM: it says `restarting`, and ends.
    Terminate,
    /// SIGUSR1: it says `leaving`.
    Leave,
    /// SIGSTOP: it hangs.
    Stop,
    /// SIGCONT: it goes on.
    Continue,
    /// Starts it again when it has ended.
    Start,
}

/// The agent processes of this process.
#[derive(Debug)]
pub(crate) struct Agents {
    settings: AgentSettings,
    agents: BTreeMap<String, Agent>,
    listening: mpsc::Sender<(String, u32)>,
}

#[derive(Debug)]
struct Agent {
    /// The life of the instance that it belongs to.
    life: Timestamp,
    /// None once it has ended.
    process: Option<Process>,
    record: AgentRecord,
}

#[derive(Debug)]
struct Process {
    child: Child,
    tell: mpsc::Sender<f64>,
}

impl Agents {
    fn new(settings: AgentSettings, listening: mpsc::Sender<(String, u32)>) -> Self {
        Self { settings, agents: BTreeMap::new(), listening }
    }

    /// Ends agents whose instances run no longer, starts those that are missing, and tells all their loads.
    fn follow(&mut self, wanted: &[Wanted]) {
        let lives: BTreeMap<&str, Timestamp> = wanted.iter().map(|w| (w.id.as_str(), w.life)).collect();
        // Dropping a process kills it; the runtime reaps it.
        self.agents.retain(|id, agent| lives.get(id.as_str()) == Some(&agent.life));
        for wanted in wanted {
            if let Some(agent) = self.agents.get_mut(&wanted.id) {
                agent.look();
                if let Some(process) = &agent.process {
                    // Full: the agent is stopped or slow. The next beat says it again.
                    let _later = process.tell.try_send(wanted.load);
                }
            } else {
                let agent = self.start(wanted);
                self.agents.insert(wanted.id.clone(), agent);
            }
        }
    }

    fn start(&self, wanted: &Wanted) -> Agent {
        let endpoint = format!("{}:{}", wanted.address, self.settings.port);
        let mut record = AgentRecord { endpoint, pid: None, listening: false, ended: None };
        let process = match self.spawn(wanted, &record.endpoint) {
            Ok((process, pid)) => {
                record.pid = Some(pid);
                Some(process)
            }
            Err(error) => {
                record.ended = Some(format!("{} cannot be started: {error}", self.settings.binary.display()));
                None
            }
        };
        Agent { life: wanted.life, process, record }
    }

    fn spawn(&self, wanted: &Wanted, endpoint: &str) -> std::io::Result<(Process, u32)> {
        let mut child = Command::new(&self.settings.binary)
            .args(["--listen", endpoint])
            .args(["--source", "simulated", "--seed", &wanted.number.to_string()])
            .args(["--initial-load", &format!("{:.1}", wanted.load)])
            .args(["--drain-time", &format!("{}ms", self.settings.drain.as_millis())])
            .args(["--restart-time", "0s", "--log", "warn"])
            .args(["--parent-pid", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(pid), Some(stdin), Some(stdout)) = (child.id(), child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("it ended at once"));
        };
        let (tell, targets) = mpsc::channel(1);
        tokio::spawn(tell_targets(stdin, targets));
        tokio::spawn(hear_listening(stdout, wanted.id.clone(), pid, self.listening.clone()));
        Ok((Process { child, tell }, pid))
    }

    fn deed(&mut self, id: &str, deed: AgentDeed, wanted: &[Wanted]) {
        if deed == AgentDeed::Start {
            let dead = self.agents.get_mut(id).is_some_and(|agent| {
                agent.look();
                agent.process.is_none()
            });
            if let Some(wanted) = wanted.iter().find(|wanted| dead && wanted.id == id) {
                let agent = self.start(wanted);
                self.agents.insert(id.into(), agent);
            }
            return;
        }
        let signal = match deed {
            AgentDeed::Kill | AgentDeed::Start => Signal::KILL,
            AgentDeed::Terminate => Signal::TERM,
            AgentDeed::Leave => Signal::USR1,
            AgentDeed::Stop => Signal::STOP,
            AgentDeed::Continue => Signal::CONT,
        };
        let pid = self.agents.get(id).and_then(|agent| agent.record.pid);
        if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            // It may have ended by itself, but nobody else has its number until it is reaped, which happens here.
            let _ended = kill_process(pid, signal);
        }
    }

    fn listens(&mut self, id: &str, pid: u32) {
        if let Some(agent) = self.agents.get_mut(id).filter(|agent| agent.record.pid == Some(pid)) {
            agent.record.listening = true;
        }
    }

    fn look_at_all(&mut self) {
        self.agents.values_mut().for_each(Agent::look);
    }

    fn records(&self) -> BTreeMap<String, AgentRecord> {
        self.agents.iter().map(|(id, agent)| (id.clone(), agent.record.clone())).collect()
    }
}

impl Agent {
    /// Notices that the process has ended.
    fn look(&mut self) {
        let how = match self.process.as_mut().map(|process| process.child.try_wait()) {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(status))) => status.to_string(),
            Some(Err(error)) => error.to_string(),
        };
        self.process = None;
        self.record = AgentRecord { pid: None, listening: false, ended: Some(how), ..self.record.clone() };
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

/// Says that the agent listens, once its one line has come.
async fn hear_listening(stdout: ChildStdout, id: String, pid: u32, listening: mpsc::Sender<(String, u32)>) {
    let mut line = String::new();
    let mut reader = BufReader::new(stdout.take(LONGEST_LINE));
    if reader.read_line(&mut line).await.is_ok() && line.starts_with("listening ") {
        // The receiver ends only with everything.
        let _ended = listening.send((id, pid)).await;
    }
}

/// Follows the instances until it is dropped: it wakes when a call may have changed something, when time changes something, when
/// an agent says something, and once a second.
pub(crate) async fn follow(
    shared: Arc<Shared>,
    settings: AgentSettings,
    mut deeds: mpsc::Receiver<(String, AgentDeed)>,
) {
    let (listening, mut heard) = mpsc::channel(64);
    let mut agents = Agents::new(settings, listening);
    loop {
        let now = shared.now();
        let (wanted, next) = {
            let cloud = shared.cloud();
            (cloud.wanted_agents(now), cloud.next_change(now))
        };
        agents.follow(&wanted);
        shared.report(&agents.records());
        let span = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        let nap = span.unwrap_or(BEAT).min(BEAT);
        tokio::select! {
            () = tokio::time::sleep(nap) => agents.look_at_all(),
            () = shared.changed.notified() => {}
            Some((id, pid)) = heard.recv() => agents.listens(&id, pid),
            Some((id, deed)) = deeds.recv() => agents.deed(&id, deed, &wanted),
        }
    }
}
