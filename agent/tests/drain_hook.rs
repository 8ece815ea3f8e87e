//! The drain hook and the protected file: the real agent, with small shell scripts as hooks.
//!
//! Hooks speak through a named pipe and wait at another: a test waits for what they say, never for time, and hooks end with
//! their test at the latest.

mod support;

use std::error::Error;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

use muster_proto::v1::{PingRequest, RegisterRequest, State, UnregisterRequest};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use support::{Agent, Client, Outcome, PATIENCE, eventually};

/// Never reached.
const HOUR_MS: u64 = 3_600_000;

/// A script, and its pipes.
struct Hook {
    _home: TempDir,
    path: String,
    said: BufReader<pipe::Receiver>,
    /// The gate: `WAIT` waits while it is held.
    go: Option<File>,
}

impl Hook {
    /// A hook that runs `script`. What it writes is what the test hears; in its place `WAIT` waits at the gate.
    fn new(script: &str) -> Result<Self, Box<dyn Error>> {
        let home = tempfile::tempdir()?;
        let [path, said, go] = ["hook", "said", "go"].map(|name| home.path().join(name));
        for pipe in [&said, &go] {
            mkfifoat(CWD, pipe, Mode::RUSR | Mode::WUSR)?;
        }
        let script = script.replace("WAIT", "cat <&3");
        fs::write(&path, format!("#!/bin/sh\nexec > {} 3< {}\n{script}\n", said.display(), go.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        // Opened both ways, a pipe keeps nobody waiting for its other side.
        let said = BufReader::new(pipe::OpenOptions::new().read_write(true).open_receiver(said)?);
        let go = Some(File::options().read(true).write(true).open(go)?);
        Ok(Self { path: path.display().to_string(), said, go, _home: home })
    }

    /// The next line that a hook says.
    async fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        timeout(PATIENCE, self.said.read_line(&mut line)).await??;
        Ok(line.trim_end().to_owned())
    }

    async fn agent(&self, arguments: &[&str]) -> Result<(Agent, Client), Box<dyn Error>> {
        let agent = Agent::start(&[&["--drain-hook", &self.path], arguments].concat()).await?;
        let client = agent.client().await?;
        Ok((agent, client))
    }
}

async fn unregister(client: &Client, roster: u64, deadline_ms: u64, reason: &str) -> Result<State, tonic::Status> {
    let request = UnregisterRequest { reason: reason.into(), roster, deadline_ms };
    let response = client.clone().unregister(request).await?.into_inner();
    assert!(response.accepted);
    Ok(response.status.unwrap_or_default().state())
}

async fn register(client: &Client, roster: u64) -> Result<State, tonic::Status> {
    let request = RegisterRequest { roster, lease_ms: 60_000, ..RegisterRequest::default() };
    let response = client.clone().register(request).await?.into_inner();
    assert!(response.accepted);
    Ok(response.status.unwrap_or_default().state())
}

async fn ping(client: &Client) -> Result<muster_proto::v1::Status, tonic::Status> {
    Ok(client.clone().ping(PingRequest::default()).await?.into_inner().status.unwrap_or_default())
}

async fn drained(client: &Client) -> Outcome {
    eventually("drained", async || Ok((ping(client).await?.state() == State::Drained).then_some(()))).await
}

#[tokio::test]
async fn the_hook_learns_why_and_how_long_and_keeps_the_agent_busy() -> Outcome {
    let mut hook = Hook::new("echo \"$# [$MUSTER_DRAIN_REASON] $MUSTER_DRAIN_DEADLINE_SECONDS\"\nWAIT")?;
    let (_agent, client) = hook.agent(&[]).await?;
    assert_eq!(unregister(&client, 1, 60_000, "scale in:\0 load\n50 %").await?, State::Draining);
    let first = hook.line().await?;
    let seconds: u64 = first.strip_prefix("0 [scale in: load50 %] ").ok_or(first.clone())?.parse()?;
    assert!((1..60).contains(&seconds), "{first}");
    // Asked again, it is still busy, and the hook runs once.
    assert_eq!(unregister(&client, 1, 60_000, "scale in").await?, State::Draining);
    drop(hook.go.take());
    drained(&client).await?;
    assert_eq!(unregister(&client, 2, 60_000, "scale in").await?, State::Drained);
    assert_eq!(hook.said.buffer(), b"");
    Ok(())
}

#[tokio::test]
async fn a_hook_that_fails_or_cannot_be_started_counts_as_ended() -> Outcome {
    let fails = Hook::new("exit 3")?;
    for path in [fails.path.as_str(), "/nowhere/drain", "/proc/version"] {
        let agent = Agent::start(&["--drain-hook", path]).await?;
        let client = agent.client().await?;
        unregister(&client, 1, HOUR_MS, "scale in").await?;
        drained(&client).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_missed_deadline_ends_the_hook() -> Outcome {
    let mut hook = Hook::new("trap 'echo told to end; exit 1' TERM\necho runs\nWAIT & wait")?;
    let (_agent, client) = hook.agent(&[]).await?;
    // Long enough to begin on a busy machine: with less, the hook would rightly not run at all.
    assert_eq!(unregister(&client, 1, 2_000, "scale in").await?, State::Draining);
    assert_eq!(hook.line().await?, "runs");
    assert_eq!(hook.line().await?, "told to end");
    drained(&client).await
}

#[tokio::test]
async fn a_drain_without_time_runs_no_hook() -> Outcome {
    let mut hook = Hook::new("echo $MUSTER_DRAIN_REASON")?;
    let (_agent, client) = hook.agent(&[]).await?;
    assert_eq!(unregister(&client, 1, 0, "first").await?, State::Drained);
    register(&client, 2).await?;
    unregister(&client, 3, HOUR_MS, "second").await?;
    assert_eq!(hook.line().await?, "second");
    Ok(())
}

#[tokio::test]
async fn a_drain_taken_back_ends_the_hook_and_one_that_begins_anew_runs_it_anew() -> Outcome {
    // Each says when it begins and when it ends: two at once would show.
    let script = "trap 'echo ends $MUSTER_DRAIN_REASON; exit 0' TERM\necho begins $MUSTER_DRAIN_REASON\nWAIT & wait";
    let mut hook = Hook::new(script)?;
    let (_agent, client) = hook.agent(&[]).await?;
    unregister(&client, 1, HOUR_MS, "first").await?;
    assert_eq!(hook.line().await?, "begins first");
    assert_eq!(register(&client, 2).await?, State::Serving);
    assert_eq!(unregister(&client, 3, HOUR_MS, "second").await?, State::Draining);
    assert_eq!(hook.line().await?, "ends first");
    assert_eq!(hook.line().await?, "begins second");
    assert_eq!(register(&client, 4).await?, State::Serving);
    assert_eq!(hook.line().await?, "ends second");
    Ok(())
}

#[tokio::test]
async fn a_hook_that_ignores_sigterm_is_killed_and_the_next_waits_for_its_end() -> Outcome {
    let script = "[ $MUSTER_DRAIN_REASON = second ] && { echo second; exit 0; }\ntrap '' TERM\necho $$\nWAIT";
    let mut hook = Hook::new(script)?;
    let (_agent, client) = hook.agent(&[]).await?;
    unregister(&client, 1, HOUR_MS, "first").await?;
    let first = hook.line().await?;
    register(&client, 2).await?;
    unregister(&client, 3, HOUR_MS, "second").await?;
    assert_eq!(hook.line().await?, "second");
    assert!(!fs::exists(format!("/proc/{first}"))?, "the first has been killed and waited for");
    drained(&client).await
}

#[tokio::test]
async fn what_a_hook_leaves_behind_when_it_is_ended_is_killed() -> Outcome {
    let mut hook = Hook::new("(trap '' TERM; sh -c 'echo $PPID'; WAIT; :) &\ntrap 'exit 0' TERM\nwait")?;
    let (_agent, client) = hook.agent(&[]).await?;
    unregister(&client, 1, HOUR_MS, "scale in").await?;
    let child = hook.line().await?;
    assert!(!gone(&child));
    register(&client, 2).await?;
    eventually("the end of the child", async || Ok(gone(&child).then_some(()))).await
}

#[tokio::test]
async fn the_end_of_the_agent_is_the_end_of_the_hook() -> Outcome {
    for (signal, trap) in [(Signal::TERM, "echo told to end; exit 0"), (Signal::INT, "")] {
        let mut hook = Hook::new(&format!("trap '{trap}' TERM\necho $$\nWAIT & wait"))?;
        let (mut agent, client) = hook.agent(&["--restart-time", "1m"]).await?;
        unregister(&client, 1, HOUR_MS, "scale in").await?;
        let pid = hook.line().await?;
        agent.signal(signal)?;
        eventually("restarting", async || Ok((ping(&client).await?.state() == State::Restarting).then_some(())))
            .await?;
        if !trap.is_empty() {
            assert_eq!(hook.line().await?, "told to end");
        }
        // It does not wait for a hook that does not listen.
        agent.signal(signal)?;
        assert_eq!(agent.ended().await?.code(), Some(0));
        eventually("the end of the hook", async || Ok(gone(&pid).then_some(()))).await?;
    }
    Ok(())
}

/// Whether a process has ended; what nobody has waited for yet has.
fn gone(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.trim_start().starts_with(['Z', 'X']))
}

#[tokio::test]
async fn the_instance_is_protected_while_the_file_exists() -> Outcome {
    let home = tempfile::tempdir()?;
    let file = home.path().join("protected");
    let agent = Agent::start(&["--protected-file", &file.display().to_string()]).await?;
    let client = agent.client().await?;
    assert!(!ping(&client).await?.protected);
    fs::write(&file, "")?;
    assert!(ping(&client).await?.protected);
    fs::remove_file(&file)?;
    assert!(!ping(&client).await?.protected);
    // What cannot be looked at may be there: here a folder on the way is a file.
    fs::write(home.path().join("folder"), "")?;
    let hidden = home.path().join("folder/protected").display().to_string();
    let agent = Agent::start(&["--protected-file", &hidden]).await?;
    assert!(ping(&agent.client().await?).await?.protected);
    Ok(())
}

#[tokio::test]
async fn without_a_file_nothing_is_protected() -> Outcome {
    let agent = Agent::start(&[]).await?;
    assert!(!ping(&agent.client().await?).await?.protected);
    Ok(())
}
