//! Starts the real agent and waits for what it does, never for time.

#![allow(dead_code, reason = "no test binary uses all of it")]

use std::error::Error;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use muster_proto::v1::monitor_c_client::MonitorCClient;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;
pub(crate) type Client = MonitorCClient<Channel>;

/// When to give up on an event that does not come; long enough for a machine busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The agent's program with nothing but `arguments`.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monitor-c"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MUSTER_AGENT_") {
            command.env_remove(name);
        }
    }
    // What goes wrong is wanted beside a failed test, nothing else.
    command.env("MUSTER_AGENT_LOG", "error");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

/// A running agent with the simulated source, on a port of its own; killed when dropped.
pub(crate) struct Agent {
    pub(crate) address: String,
    child: Child,
    input: ChildStdin,
}

impl Agent {
    pub(crate) async fn start(arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let fixed = ["--listen", "127.0.0.1:0", "--source", "simulated"];
        let mut child = command(&[&fixed, arguments].concat()).spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut line = String::new();
        timeout(PATIENCE, BufReader::new(output).read_line(&mut line)).await??;
        let address = line.strip_prefix("listening ").ok_or("not the line expected")?;
        Ok(Self { address: address.trim_end().to_owned(), child, input })
    }

    pub(crate) async fn channel(&self) -> Result<Channel, Box<dyn Error>> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
        Ok(endpoint.timeout(PATIENCE).connect().await?)
    }

    pub(crate) async fn client(&self) -> Result<Client, Box<dyn Error>> {
        Ok(Client::new(self.channel().await?))
    }

    pub(crate) async fn steer(&mut self, line: &str) -> Outcome {
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.input.flush().await?)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Outcome {
        let pid = self.child.id().ok_or("it has ended")?;
        let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("not a process id")?;
        Ok(kill_process(pid, signal)?)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(crate) async fn ended(&mut self) -> Result<ExitStatus, Box<dyn Error>> {
        Ok(timeout(PATIENCE, self.child.wait()).await??)
    }
}

/// Asks until the answer is `Some`.
pub(crate) async fn eventually<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, tonic::Status>,
) -> Result<T, Box<dyn Error>> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        sleep(Duration::from_millis(5)).await;
    }
    Err(format!("waited in vain: {what}").into())
}
