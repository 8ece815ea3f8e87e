//! `muster up`: supervises the fleet, the monitor, the controller and the dashboard, and tells what they do.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use muster_control::ports::{ActivityLog, Clock, GroupStore};
use muster_core::group::GroupName;
use muster_core::member::MemberState;
use muster_core::policy::{Policy, Span};
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use rustix::process::Signal;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::clock::SystemClock;
use super::crash::CrashPoint;
use super::dashboard;
use super::faults::{FaultArgs, Injected, Level, injected};
use super::kills::{Due, Kills};
use super::line::Line;
use super::live::{Live, Stderr, is_on_terminal};
use super::output::Output;
use super::paths::Paths;
use super::process::runtime;
use super::scenario::Scenario;
use super::summary::Summary;
use super::supervisor::{Heard, Role, Supervisor};
use super::worlds::{self, WorldEntry};
use crate::failure::Failure;
use crate::policy::load;

/// The policy of a world that is given none: quick, so that something is seen. It says so at the start.
const DEMO_POLICY: &str = include_str!("../../scenarios/policy.json");
/// What differs from AWS.
const DIFFERS: &str = "Instances are entries in a ledger with a real agent process each; load is simulated. The policy is quick: \
                       sweeps every second, warm-up 3 s, grace and unhealthy after 5 s, cooldown in 10 s; boots take 2-4 s.";
/// How long the processes have to end in order.
const END_DEADLINE: Duration = Duration::from_secs(5);
/// Activities that a summary reads at most: the newest.
const MOST_ACTIVITIES: usize = 100_000;

/// Run the whole loop on this machine, without an AWS account: real agents, simulated load.
///
/// The group grows under load, shrinks when it goes, and heals when an agent is killed: try `kill -9` or `kill -STOP` on a
/// monitor-c process, or edit the policy's file. On a terminal it is shown live, as `muster top` does; elsewhere, and with --lines, what
/// happens is told line by line. Ctrl-C ends everything.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// The load: calm, surge, blackout, day, flash, or a TOML file (see the README).
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
    /// Tell what happens line by line on a terminal, too, instead of showing it.
    #[arg(long)]
    lines: bool,
    /// One JSON object a line: sweeps, decisions with their reports, actions; the last one is the summary.
    #[arg(long)]
    json: bool,
    /// The group's name.
    #[arg(long, default_value = "local")]
    group: GroupName,
    /// Seeds the boot times and the faults. Default: drawn.
    #[arg(long)]
    seed: Option<u64>,
    /// Break things while it runs: mild now and then, rough every couple of seconds. It says how at the start.
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL")]
    faults: Level,
    /// Break nothing any more after this long. Default: never stop.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    faults_for: Option<Duration>,
    /// Show what goes on at this port of 127.0.0.1. Default: 7718, or any that is free.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    dashboard: Option<u16>,
    /// Show nothing.
    #[arg(long, conflicts_with = "dashboard")]
    no_dashboard: bool,
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
    let stderr = if is_on_terminal() && !args.json && !args.lines { Some(Stderr::new()?) } else { None };
    let listener = if args.no_dashboard { None } else { Some(dashboard::listen(args.dashboard)?) };
    let world = World {
        args,
        scenario: keep_scenario(&args.scenario, &paths)?,
        paths,
        policy_file,
        listener,
        agent: agent(args)?,
        began: SystemClock.now(),
        title: scenario.title,
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
        crash_point: CrashPoint::from_environment()?,
        stderr,
    };
    // Without an entry the world is as good, only nobody finds it.
    let _entered = world.entry().enter();
    let output = Output::start(args.json);
    let ended = runtime()?.block_on(world.run(&policy, output));
    if let Some(tail) = world.stderr.map(Stderr::tail).filter(|tail| !tail.is_empty()) {
        eprint!("{tail}");
    }
    ended
}

/// Waits until nobody looks any more; for ever where nothing is shown.
async fn seen(live: &mut Option<Live>) -> Result<(), Failure> {
    match live {
        Some(live) => live.ended().await,
        None => std::future::pending().await,
    }
}

/// Two worlds over one state would fight.
fn lock(paths: &Paths) -> Result<File, Failure> {
    let file = File::create(paths.lock()).map_err(|error| Failure::run("the state cannot be locked", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure::Input(format!("--state {} is in use by another muster up", paths.state.display()))),
    }
}

/// The scenario's name, or a copy of its file: a fleet that is started again must find it as it was.
fn keep_scenario(scenario: &str, paths: &Paths) -> Result<String, Failure> {
    if !scenario.ends_with(".toml") {
        return Ok(scenario.to_owned());
    }
    let copy = paths.run.join("scenario.toml");
    std::fs::copy(scenario, &copy).map_err(|error| Failure::run("the scenario cannot be copied", &error))?;
    Ok(copy.display().to_string())
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

struct World<'a> {
    args: &'a UpArgs,
    scenario: String,
    paths: Paths,
    policy_file: PathBuf,
    /// The dashboard's: it stays while that process is started again.
    listener: Option<TcpListener>,
    agent: PathBuf,
    began: Timestamp,
    title: String,
    seed: u64,
    crash_point: Option<CrashPoint>,
    /// Where the processes complain to, while the world is shown live.
    stderr: Option<Stderr>,
}

/// The running world.
struct Running {
    supervisor: Supervisor,
    heard: mpsc::Receiver<Heard>,
    summary: Summary,
    output: Output,
    kills: Kills,
}

impl World<'_> {
    async fn run(&self, policy: &Policy, output: Output) -> Result<(), Failure> {
        let store = SqliteStore::open(self.paths.store())
            .map_err(|error| Failure::run("the store cannot be opened", &error))?;
        let first = self.to_fill(&store, policy).await?;
        let hear = |kind| signal(kind).map_err(|error| Failure::run("signals cannot be heard", &error));
        let (mut interrupt, mut terminate) = (hear(SignalKind::interrupt())?, hear(SignalKind::terminate())?);
        let (tell, heard) = mpsc::channel(256);
        let kills = Kills::new(self.faults(), self.args.faults_for);
        let mut running =
            Running { supervisor: Supervisor::new(tell), heard, summary: Summary::default(), output, kills };
        self.show(&running.output, &self.introduction())?;
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Dashboard || self.listener.is_some()) {
            self.start(role, &mut running)?;
        }
        let mut live = self.stderr.is_some().then(|| Live::start(self.paths.state.clone(), self.args.group.clone()));
        running.output.hush(live.is_some());
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
                ended = seen(&mut live) => break ended?,
                () = running.kills.due() => self.strike(&mut running)?,
                // A reader that pauses holds up what is told, never what is heard of signals.
                () = running.output.room(), if !running.output.has_room() => {}
                Some(heard) = running.heard.recv(), if running.output.has_room() => self.react(heard, &mut running)?,
            }
        }
        drop(live);
        running.output.hush(false);
        running.supervisor.begin_to_end();
        // A second signal ends the world at once: the kernel takes everybody with us.
        tokio::select! {
            ended = self.end(&mut running) => ended?,
            _ = interrupt.recv() => return Err(Failure::Run("interrupted while ending".into())),
            _ = terminate.recv() => return Err(Failure::Run("interrupted while ending".into())),
        }
        let done = store.since(&self.args.group, self.began, MOST_ACTIVITIES).await;
        let done = done.map_err(|error| Failure::run("the run cannot be summed up", &error))?;
        running.summary.count_events(done.iter().map(|activity| &activity.event), first);
        self.show(&running.output, &Line::Summary(running.summary))?;
        running.output.finish(END_DEADLINE).await
    }

    /// How many launches will only fill the group to its minimum.
    async fn to_fill(&self, store: &SqliteStore, policy: &Policy) -> Result<u32, Failure> {
        let state =
            store.read(&self.args.group).await.map_err(|error| Failure::run("the store cannot be read", &error))?;
        let members = state.map(|state| state.members).unwrap_or_default();
        let stay = members.iter().filter(|member| matches!(member.state, MemberState::Pending | MemberState::Active));
        Ok(policy.min.saturating_sub(u32::try_from(stay.count()).unwrap_or(u32::MAX)))
    }

    fn introduction(&self) -> Line {
        Line::World {
            state: self.paths.state.display().to_string(),
            kept: self.args.state.is_some(),
            policy: self.policy_file.display().to_string(),
            scenario: self.title.clone(),
            differs: DIFFERS.to_owned(),
            faults: self.args.faults.told(self.seed, self.args.faults_for),
            dashboard: self.listener.as_ref().and_then(dashboard::url),
        }
    }

    /// How other commands find this world.
    fn entry(&self) -> WorldEntry {
        let pid = std::process::id();
        WorldEntry {
            state: self.paths.state.clone(),
            run: self.paths.run.clone(),
            policy: self.policy_file.clone(),
            group: self.args.group.clone(),
            dashboard: self.listener.as_ref().and_then(dashboard::url),
            pid,
            started: worlds::started(pid),
        }
    }

    /// What is to be broken, from the start on.
    fn faults(&self) -> FaultArgs {
        let until = self.args.faults_for.map(|lasts| self.began.plus(lasts).as_millis());
        FaultArgs { faults: self.args.faults, faults_until_ms: until.unwrap_or(u64::MAX), faults_seed: self.seed }
    }

    /// Does to the processes what is due.
    fn strike(&self, running: &mut Running) -> Result<(), Failure> {
        let line = match running.kills.take() {
            None => return Ok(()),
            Some(Due::Over) => Line::Notice { from: "faults".into(), text: "nothing is broken any more".into() },
            Some(Due::Kill(role)) => {
                running.supervisor.signal(&[role], Signal::KILL);
                injected("muster up", Injected::ProcessKilled, role.name())
            }
        };
        running.summary.count_line(&line);
        self.show(&running.output, &line)
    }

    fn show(&self, output: &Output, line: &Line) -> Result<(), Failure> {
        output.tell(line, SystemClock.now().since(self.began))
    }

    fn react(&self, heard: Heard, running: &mut Running) -> Result<(), Failure> {
        match heard {
            Heard::Line(line) => {
                running.summary.count_line(&line);
                self.show(&running.output, &line)?;
                let panics = self.crash_point == Some(CrashPoint::UpPanic) && matches!(line, Line::Sweep(_));
                assert!(!panics, "a test asked for it");
                Ok(())
            }
            Heard::Due(role) => self.start(role, running),
            Heard::Ended(role, pid, how) => {
                let line = Line::Process { name: role.name().into(), pid, ended: Some(how.clone()) };
                self.show(&running.output, &line)?;
                match running.supervisor.ended(role, &how)? {
                    Some(line) => self.show(&running.output, &line),
                    None => Ok(()),
                }
            }
        }
    }

    fn start(&self, role: Role, running: &mut Running) -> Result<(), Failure> {
        let command = self.command(role, &running.kills.faults_of_next())?;
        match running.supervisor.start(role, command)? {
            Some(line) => self.show(&running.output, &line),
            None => Ok(()),
        }
    }

    fn command(&self, role: Role, faults: &FaultArgs) -> Result<Command, Failure> {
        let mut command = Command::new(muster()?);
        let pid = std::process::id().to_string();
        command.args(["local", role.name(), "--group", &self.args.group.to_string(), "--parent-pid", &pid]);
        command.arg("--state").arg(&self.paths.state).arg("--run").arg(&self.paths.run);
        let mut stdin = Stdio::null();
        match role {
            Role::Fleet => {
                command.args(faults.as_arguments());
                command.arg("--agent").arg(&self.agent).args(["--scenario", &self.scenario]);
                command.args(["--seed", &self.seed.to_string(), "--began-ms", &self.began.as_millis().to_string()]);
            }
            Role::Monitor => {
                command.args(faults.as_arguments());
            }
            Role::Controller => {
                command.args(faults.as_arguments());
                command.arg("--policy").arg(&self.policy_file);
            }
            Role::Dashboard => {
                command.arg("--policy").arg(&self.policy_file);
                let listener = self.listener.as_ref().map(TcpListener::try_clone).transpose();
                let listener = listener.map_err(|error| Failure::run("the listener cannot be handed on", &error))?;
                stdin = listener.map_or_else(Stdio::null, |listener| OwnedFd::from(listener).into());
            }
        }
        // Their own process group: Ctrl-C on the terminal is ours to hear, and ends them in order.
        if let Some(stderr) = &self.stderr {
            command.stderr(stderr.writer()?);
        }
        command.stdin(stdin).stdout(Stdio::piped()).kill_on_drop(true).process_group(0);
        Ok(command)
    }

    /// Ends the processes: first those that act, then the fleet with its agents.
    async fn end(&self, running: &mut Running) -> Result<(), Failure> {
        for wave in [&[Role::Monitor, Role::Controller, Role::Dashboard][..], &[Role::Fleet][..]] {
            running.supervisor.signal(wave, Signal::TERM);
            let deadline = tokio::time::sleep(END_DEADLINE);
            tokio::pin!(deadline);
            while running.supervisor.any_runs(wave) {
                tokio::select! {
                    Some(heard) = running.heard.recv() => self.react(heard, running)?,
                    () = &mut deadline => {
                        running.supervisor.signal(wave, Signal::KILL);
                        deadline.as_mut().reset(tokio::time::Instant::now() + END_DEADLINE);
                    }
                }
            }
        }
        Ok(())
    }
}
