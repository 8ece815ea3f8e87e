//! `muster up`: supervises the fleet, the monitor and the controller, and tells what they do.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;
use muster_control::ports::{ActivityLog, Clock, GroupStore};
use muster_core::group::GroupName;
use muster_core::policy::{Policy, Span};
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::clock::SystemClock;
use super::crash::{self, CrashPoint};
use super::line::{Line, readable};
use super::paths::Paths;
use super::process::runtime;
use super::scenario::Scenario;
use super::summary::Summary;
use crate::failure::Failure;
use crate::policy::load;

/// The policy of a world that is given none: quick, so that something is seen. It says so at the start.
const DEMO_POLICY: &str = include_str!("../../scenarios/policy.json");
/// What differs from AWS.
const DIFFERS: &str = "Instances are entries in a ledger with a real agent process each; load is simulated. The policy is quick: \
                       sweeps every second, warm-up 3 s, grace and unhealthy after 5 s, cooldown in 10 s; boots take 2-4 s.";
/// Pause before a process that has died is started again.
const RESTART_AFTER: Duration = Duration::from_millis(200);
/// A process that lives for less than this did not start well ...
const STARTED_WELL: Duration = Duration::from_secs(2);
/// ... and when that happens so often in a row the world ends.
const BAD_STARTS: u32 = 10;
/// How long the processes have to end in order.
const END_DEADLINE: Duration = Duration::from_secs(5);
/// Activities that a summary reads at most.
const MOST_ACTIVITIES: usize = 1_000_000;

/// Run the whole loop on this machine, without an AWS account: real agents, simulated load.
///
/// The group grows under load, shrinks when it goes, and heals when an agent is killed: try `kill -9` or `kill -STOP` on a
/// monitor-c process, or edit the policy's file. Ctrl-C ends everything.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// The load: calm, surge, blackout, or a TOML file (see the README).
    #[arg(long, default_value = "surge", value_name = "NAME|FILE.toml")]
    scenario: String,
    /// The policy's file; edits take effect on the next decision. Default: a quick demo policy, written to the state.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Keep store and ledger here, and go on with them next time. Default: a temporary directory.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// End after this long, such as 120s or 5m. Default: at Ctrl-C.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    lasts: Option<Duration>,
    /// One JSON object a line: sweeps, decisions with their reports, actions; the last one is the summary.
    #[arg(long)]
    json: bool,
    /// The group's name.
    #[arg(long, default_value = "local")]
    group: GroupName,
    /// Seeds the boot times. Default: drawn.
    #[arg(long)]
    seed: Option<u64>,
    /// The agent's binary. Default: monitor-c beside this one.
    #[arg(long, env = "MUSTER_AGENT", value_name = "FILE")]
    agent: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: Span = serde_json::from_value(text.into())
        .map_err(|_| "must be a span with its unit, such as 120s or 5m".to_owned())?;
    Ok(span.0)
}

/// Runs the world.
pub fn run(args: &UpArgs) -> Result<(), Failure> {
    let scenario = Scenario::load(&args.scenario)?;
    let temporary = tempfile::Builder::new().prefix("muster-").tempdir();
    let temporary = temporary.map_err(|error| Failure::run("no temporary directory can be made", &error))?;
    let state = match &args.state {
        Some(state) => std::path::absolute(state).map_err(|error| Failure::input("--state cannot be used", &error))?,
        None => temporary.path().join("state"),
    };
    std::fs::create_dir_all(&state)
        .map_err(|error| Failure::input(&format!("--state {} cannot be made", state.display()), &error))?;
    let paths = Paths { state, run: temporary.path().to_owned() };
    let _lock = lock(&paths)?;
    let (policy_file, policy) = policy(args, &paths)?;
    let world = World {
        args,
        paths,
        policy_file,
        agent: agent(args)?,
        began: SystemClock.now(),
        title: scenario.title,
        crash_point: CrashPoint::from_environment()?,
    };
    runtime()?.block_on(world.run(&policy))
}

/// Two worlds over one state would fight.
fn lock(paths: &Paths) -> Result<File, Failure> {
    let file = File::create(paths.lock()).map_err(|error| Failure::run("the state cannot be locked", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure::Input(format!("--state {} is in use by another muster up", paths.state.display()))),
    }
}

/// The policy's file, and the policy in it: a world does not start with a wrong one.
fn policy(args: &UpArgs, paths: &Paths) -> Result<(PathBuf, Policy), Failure> {
    let file = match &args.policy {
        Some(file) => std::path::absolute(file).map_err(|error| Failure::input("--policy cannot be used", &error))?,
        None => paths.policy(),
    };
    if args.policy.is_none() && !file.exists() {
        std::fs::write(&file, DEMO_POLICY)
            .map_err(|error| Failure::run("the demo policy cannot be written", &error))?;
    }
    let (policy, _) = load(&file)?;
    Ok((file, policy))
}

fn agent(args: &UpArgs) -> Result<PathBuf, Failure> {
    let file = match &args.agent {
        Some(file) => file.clone(),
        None => muster()?.with_file_name("monitor-c"),
    };
    if file.is_file() {
        return Ok(file);
    }
    Err(Failure::Input(format!(
        "the agent {} is not there: build it (cargo build -p monitor-c), or name it with --agent or MUSTER_AGENT",
        file.display()
    )))
}

fn muster() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::run("the muster binary cannot be found", &error))
}

/// The supervised processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Fleet,
    Monitor,
    Controller,
}

impl Role {
    const ALL: [Self; 3] = [Self::Fleet, Self::Monitor, Self::Controller];

    const fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Monitor => "monitor",
            Self::Controller => "controller",
        }
    }
}

/// What the supervisor hears of its children.
enum Heard {
    Line(Line),
    Ended(Role, u32, String),
    Due(Role),
}

struct World<'a> {
    args: &'a UpArgs,
    paths: Paths,
    policy_file: PathBuf,
    agent: PathBuf,
    began: Timestamp,
    title: String,
    crash_point: Option<CrashPoint>,
}

/// The running world: who lives, and what has been counted.
struct Watch {
    pids: [Option<u32>; 3],
    started: [Instant; 3],
    bad_starts: [u32; 3],
    first_start: [bool; 3],
    summary: Summary,
    ending: bool,
}

impl World<'_> {
    async fn run(&self, policy: &Policy) -> Result<(), Failure> {
        let store = SqliteStore::open(self.paths.store())
            .map_err(|error| Failure::run("the store cannot be opened", &error))?;
        let first = self.to_fill(&store, policy).await?;
        let hear = |kind| signal(kind).map_err(|error| Failure::run("signals cannot be heard", &error));
        let (mut interrupt, mut terminate) = (hear(SignalKind::interrupt())?, hear(SignalKind::terminate())?);
        let (tell, mut heard) = mpsc::channel(256);
        let now = Instant::now();
        let mut watch = Watch {
            pids: [None; 3],
            started: [now; 3],
            bad_starts: [0; 3],
            first_start: [true; 3],
            summary: Summary::default(),
            ending: false,
        };
        self.show(&self.introduction())?;
        for role in Role::ALL {
            self.start(role, &mut watch, &tell)?;
        }
        let over = async {
            match self.args.lasts {
                Some(lasts) => tokio::time::sleep(lasts).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                () = &mut over => break,
                Some(heard) = heard.recv() => self.react(heard, &mut watch, &tell)?,
            }
        }
        watch.ending = true;
        // A second signal ends the world at once: the kernel takes everybody with us.
        tokio::select! {
            ended = self.end(&mut watch, &mut heard, &tell) => ended?,
            _ = interrupt.recv() => return Err(Failure::Run("interrupted while ending".into())),
            _ = terminate.recv() => return Err(Failure::Run("interrupted while ending".into())),
        }
        let done = store.since(&self.args.group, self.began, MOST_ACTIVITIES).await;
        let done = done.map_err(|error| Failure::run("the run cannot be summed up", &error))?;
        watch.summary.count_events(done.iter().map(|activity| &activity.event), first);
        self.show(&Line::Summary(watch.summary))
    }

    /// How many launches will only fill the group to its minimum.
    async fn to_fill(&self, store: &SqliteStore, policy: &Policy) -> Result<u32, Failure> {
        let state =
            store.read(&self.args.group).await.map_err(|error| Failure::run("the store cannot be read", &error))?;
        let there = state.map_or(0, |state| state.members.len() + state.intents.len());
        Ok(policy.min.saturating_sub(u32::try_from(there).unwrap_or(u32::MAX)))
    }

    fn introduction(&self) -> Line {
        let kept = if self.args.state.is_some() { "" } else { " (temporary: --state DIR keeps it)" };
        Line::World {
            state: format!("{}{kept}", self.paths.state.display()),
            policy: self.policy_file.display().to_string(),
            scenario: self.title.clone(),
            differs: DIFFERS.to_owned(),
        }
    }

    /// Prints a line. Nobody left to read it ends the world.
    fn show(&self, line: &Line) -> Result<(), Failure> {
        let text = if self.args.json {
            serde_json::to_string(line).map_err(|error| Failure::run("a line cannot be written", &error))?
        } else if matches!(line, Line::Decision { count, .. } if *count > 1) {
            // Nothing but time has passed: a person has read it.
            return Ok(());
        } else {
            readable(line, SystemClock.now().since(self.began).as_secs_f64())
        };
        writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Failure::run("nobody reads any more", &error))
    }

    fn react(&self, heard: Heard, watch: &mut Watch, tell: &mpsc::Sender<Heard>) -> Result<(), Failure> {
        match heard {
            Heard::Line(line) => {
                watch.summary.count_line(&line);
                self.show(&line)?;
                let panics = self.crash_point == Some(CrashPoint::UpPanic) && matches!(line, Line::Sweep(_));
                assert!(!panics, "asked to by {}", crash::VARIABLE);
                Ok(())
            }
            Heard::Due(role) if watch.ending => {
                watch.pids[role as usize] = None;
                Ok(())
            }
            Heard::Due(role) => self.start(role, watch, tell),
            Heard::Ended(role, pid, how) => {
                watch.pids[role as usize] = None;
                self.show(&Line::Process { name: role.name().into(), pid, ended: Some(how.clone()) })?;
                if watch.ending {
                    return Ok(());
                }
                let bad = &mut watch.bad_starts[role as usize];
                *bad = if watch.started[role as usize].elapsed() < STARTED_WELL { *bad + 1 } else { 0 };
                if *bad >= BAD_STARTS {
                    return Err(Failure::Run(format!("the {} does not start: {how}", role.name())));
                }
                let tell = tell.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(RESTART_AFTER).await;
                    let _ended = tell.send(Heard::Due(role)).await;
                });
                Ok(())
            }
        }
    }

    fn start(&self, role: Role, watch: &mut Watch, tell: &mpsc::Sender<Heard>) -> Result<(), Failure> {
        let mut command = self.command(role)?;
        let first = std::mem::take(&mut watch.first_start[role as usize]);
        if !first {
            // A named crash point is passed once: the process that follows must get over it.
            command.env_remove(crash::VARIABLE);
        }
        let mut child =
            command.spawn().map_err(|error| Failure::run(&format!("the {} cannot be started", role.name()), &error))?;
        let pid = child.id().unwrap_or_default();
        watch.pids[role as usize] = Some(pid);
        watch.started[role as usize] = Instant::now();
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(watch_child(role, pid, child, stdout, tell.clone()));
        }
        self.show(&Line::Process { name: role.name().into(), pid, ended: None })
    }

    fn command(&self, role: Role) -> Result<Command, Failure> {
        let mut command = Command::new(muster()?);
        let pid = std::process::id().to_string();
        command.args(["local", role.name(), "--group", &self.args.group.to_string(), "--parent-pid", &pid]);
        command.arg("--state").arg(&self.paths.state).arg("--run").arg(&self.paths.run);
        match role {
            Role::Fleet => {
                let seed = self.args.seed.unwrap_or_else(|| fastrand::u64(..));
                command.arg("--agent").arg(&self.agent).args(["--scenario", &self.args.scenario]);
                command.args(["--seed", &seed.to_string(), "--began-ms", &self.began.as_millis().to_string()]);
            }
            Role::Monitor => {}
            Role::Controller => {
                command.arg("--policy").arg(&self.policy_file);
            }
        }
        // Their own process group: Ctrl-C on the terminal is ours to hear, and ends them in order.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).process_group(0);
        Ok(command)
    }

    /// Ends the processes: first those that act, then the fleet with its agents.
    async fn end(
        &self,
        watch: &mut Watch,
        heard: &mut mpsc::Receiver<Heard>,
        tell: &mpsc::Sender<Heard>,
    ) -> Result<(), Failure> {
        for wave in [&[Role::Monitor, Role::Controller][..], &[Role::Fleet][..]] {
            signal_all(watch, wave, Signal::TERM);
            let deadline = tokio::time::sleep(END_DEADLINE);
            tokio::pin!(deadline);
            while wave.iter().any(|role| watch.pids[*role as usize].is_some()) {
                tokio::select! {
                    Some(heard) = heard.recv() => self.react(heard, watch, tell)?,
                    () = &mut deadline => {
                        signal_all(watch, wave, Signal::KILL);
                        deadline.as_mut().reset(tokio::time::Instant::now() + END_DEADLINE);
                    }
                }
            }
        }
        Ok(())
    }
}

fn signal_all(watch: &Watch, roles: &[Role], signal: Signal) {
    for pid in roles.iter().filter_map(|role| watch.pids[*role as usize]) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ended = kill_process(pid, signal);
        }
    }
}

/// Hands on what a child says until it ends, and then how it ended.
async fn watch_child(role: Role, pid: u32, mut child: Child, stdout: ChildStdout, tell: mpsc::Sender<Heard>) {
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
