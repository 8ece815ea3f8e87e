//! Keeps the fleet, the monitor, the controller and the dashboard running, and ends them in order.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use super::crash;
use super::line::Line;
use crate::failure::Failure;

/// Pause before a process that has died is started again.
const RESTART_AFTER: Duration = Duration::from_millis(200);
/// A process that lives for less than this did not start well ...
const STARTED_WELL: Duration = Duration::from_secs(2);
/// ... and when that happens so often in a row the world ends, or goes on without it.
const BAD_STARTS: u32 = 10;

/// The supervised processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Stands in for EC2.
    Fleet,
    /// Sweeps.
    Monitor,
    /// Decides and acts.
    Controller,
    /// Shows what the others do.
    Dashboard,
}

impl Role {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 4] = [Self::Fleet, Self::Monitor, Self::Controller, Self::Dashboard];

    /// Whether the world ends when it cannot be started: nothing waits for the dashboard.
    pub const fn is_needed(self) -> bool {
        match self {
            Self::Fleet | Self::Monitor | Self::Controller => true,
            Self::Dashboard => false,
        }
    }

    /// Its name, which is also its subcommand.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Monitor => "monitor",
            Self::Controller => "controller",
            Self::Dashboard => "dashboard",
        }
    }
}

/// What is heard of the processes.
#[derive(Debug)]
pub enum Heard {
    /// A process has said something.
    Line(Line),
    /// A process has ended, and how.
    Ended(Role, u32, String),
    /// It is time to start a process again.
    Due(Role),
}

/// One process, now and over time.
#[derive(Debug)]
struct Post {
    pid: Option<u32>,
    started: Option<Instant>,
    /// How many times it has been started.
    starts: usize,
    bad_starts: u32,
}

/// The processes.
#[derive(Debug)]
pub struct Supervisor {
    posts: [Post; 4],
    tell: mpsc::Sender<Heard>,
    ending: bool,
}

impl Supervisor {
    /// A supervisor that tells what it hears to `tell`.
    pub fn new(tell: mpsc::Sender<Heard>) -> Self {
        let posts = Role::ALL.map(|_| Post { pid: None, started: None, starts: 0, bad_starts: 0 });
        Self { posts, tell, ending: false }
    }

    /// Starts a process, unless the world is ending.
    pub fn start(&mut self, role: Role, mut command: Command) -> Result<Option<Line>, Failure> {
        if self.ending {
            return Ok(None);
        }
        let post = &mut self.posts[role as usize];
        // A named crash point is passed once: the process that follows must get over it, and may meet the next.
        match crash::left_after(post.starts) {
            Some(points) => command.env(crash::VARIABLE, points),
            None => command.env_remove(crash::VARIABLE),
        };
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if role.is_needed() => {
                return Err(Failure::run(&format!("the {} cannot be started", role.name()), &error));
            }
            Err(error) => {
                let text = format!("the {} cannot be started, and the world goes on without it: {error}", role.name());
                return Ok(Some(Line::Notice { from: "muster up".into(), text }));
            }
        };
        let pid = child.id().unwrap_or_default();
        (post.pid, post.started) = (Some(pid), Some(Instant::now()));
        post.starts += 1;
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(watch(role, pid, child, stdout, self.tell.clone()));
        }
        Ok(Some(Line::Process { name: role.name().into(), pid, ended: None }))
    }

    /// Notes that a process has ended; it is due again in a moment, unless the world is ending or it never starts well.
    /// A line: it never does, and the world goes on without it.
    pub fn ended(&mut self, role: Role, how: &str) -> Result<Option<Line>, Failure> {
        let post = &mut self.posts[role as usize];
        post.pid = None;
        if self.ending {
            return Ok(None);
        }
        let started_well = post.started.is_some_and(|started| started.elapsed() >= STARTED_WELL);
        post.bad_starts = if started_well { 0 } else { post.bad_starts + 1 };
        if post.bad_starts >= BAD_STARTS && role.is_needed() {
            return Err(Failure::Run(format!("the {} does not start: {how}", role.name())));
        }
        if post.bad_starts >= BAD_STARTS {
            let text = format!("the {} does not start, and the world goes on without it: {how}", role.name());
            return Ok(Some(Line::Notice { from: "muster up".into(), text }));
        }
        let tell = self.tell.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RESTART_AFTER).await;
            // The world has ended meanwhile.
            let _ended = tell.send(Heard::Due(role)).await;
        });
        Ok(None)
    }

    /// From now on nobody is started again.
    pub const fn begin_to_end(&mut self) {
        self.ending = true;
    }

    /// Whether one of `roles` still runs.
    pub fn any_runs(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.posts[*role as usize].pid.is_some())
    }

    /// Sends a signal to those of `roles` that run.
    pub fn signal(&self, roles: &[Role], signal: Signal) {
        for pid in roles.iter().filter_map(|role| self.posts[*role as usize].pid) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ended = kill_process(pid, signal);
            }
        }
    }
}

/// Hands on what a child says until it ends, and then how it ended.
async fn watch(role: Role, pid: u32, mut child: Child, stdout: ChildStdout, tell: mpsc::Sender<Heard>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        let line = serde_json::from_str(&text).unwrap_or(Line::Notice { from: role.name().into(), text });
        if tell.send(Heard::Line(line)).await.is_err() {
            return;
        }
    }
    let how = match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    let _ended = tell.send(Heard::Ended(role, pid, how)).await;
}
