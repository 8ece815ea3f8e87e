//! MonitorC's process: settings, wiring, signals, exit code. See the library for what it does.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use monitor_c::agent::Agent;
use monitor_c::application::Prober;
use monitor_c::config::{Config, SourceKind};
use monitor_c::lifecycle::{Ending, Lifecycle};
use monitor_c::metrics::{Proc, Source};
use monitor_c::server::{Health, serve};
use monitor_c::service::Service;
use monitor_c::simulate::{Simulated, steer};
use monitor_c::{hook, metrics, parent, signals};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tracing::{error, info};

/// How long calls in flight may take once the agent has stopped listening.
const GOODBYE: Duration = Duration::from_millis(500);

/// Enough to read lines, parse them and log them.
const STEERING_STACK_BYTES: usize = 128 * 1024;

fn main() -> ExitCode {
    let config = match Config::read(std::env::args_os()) {
        Ok(config) => config,
        Err(error) => {
            // Nothing is left to do when even this cannot be printed.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    tracing_subscriber::fmt()
        .with_max_level(config.log)
        .with_target(false)
        .with_ansi(false)
        .with_writer(io::stderr)
        .init();
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = chain(&*error), "Failed.");
            ExitCode::FAILURE
        }
    }
}

/// An error and its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn start(config: Config) -> Result<(), Box<dyn Error>> {
    if let Some(pid) = config.parent_pid {
        parent::die_with(pid)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(config))
}

async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    let signals = Signals::new()?;
    let source = source(&config)?;
    let prober = config.probe().map(Prober::new).transpose()?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let address = listener.local_addr()?;
    let heard = config.signals_socket.as_deref().map(signals::bind).transpose();
    let heard = heard.map_err(|error| format!("cannot listen on {:?}: {error}", config.signals_socket))?;

    let boot_id = format!("{:032x}", fastrand::Rng::new().u128(..));
    let lifecycle = Lifecycle::new(config.drain_time, config.drain_hook.is_some(), prober.is_none());
    let agent = Arc::new(Agent::new(boot_id, lifecycle, config.protected_file));
    let service = Service::new(Arc::clone(&agent), config.sample_interval);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        // A dropped sender would mean the same.
        let _ = stopped.await;
    };
    let (health, serving) = serve(listener, service, shutdown).await?;
    tokio::spawn(metrics::run(source, config.sample_interval, Arc::clone(&agent)));
    if let Some(prober) = prober {
        tokio::spawn(prober.run(Arc::clone(&agent)));
    }
    if let Some(listener) = heard {
        tokio::spawn(signals::listen(listener, Arc::clone(&agent)));
    }
    if let Some(path) = config.signals_file {
        tokio::spawn(signals::watch(path, config.sample_interval, Arc::clone(&agent)));
    }
    if let Some(program) = config.drain_hook {
        tokio::spawn(hook::run(program, Arc::clone(&agent)));
    }

    info!(%address, boot_id = agent.boot_id(), version = env!("CARGO_PKG_VERSION"), "Listening.");
    // The parent reads this line: one write, nothing before it.
    io::stdout().write_all(format!("listening {address}\n").as_bytes())?;

    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => ended?,
        () = signals.end(&agent, &health, config.restart_time) => {
            let _ = stop.send(());
            if timeout(GOODBYE, &mut serving).await.is_err() {
                info!("Left open streams behind.");
            }
        }
    }
    info!("Ended.");
    Ok(())
}

fn source(config: &Config) -> io::Result<Source> {
    match config.source {
        SourceKind::Proc => Ok(Source::Proc(Proc::default())),
        SourceKind::Simulated => {
            let (sender, target) = watch::channel(config.initial_load);
            // Reading standard input blocks; the thread ends with the process.
            std::thread::Builder::new()
                .name("steering".into())
                .stack_size(STEERING_STACK_BYTES)
                .spawn(move || steer(io::stdin().lock(), &sender))?;
            Ok(Source::Simulated(Simulated::new(
                config.seed,
                config.initial_load,
                config.noise,
                config.sample_interval,
                target,
            )))
        }
    }
}

/// The signals that the agent understands, caught from the moment this exists.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    leave: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            leave: signal(SignalKind::user_defined1())?,
        })
    }

    /// Returns when the agent should stop listening: `restart_time` after it was told to end, so that
    /// a monitor can hear why it will be silent, or at once when it is told again.
    async fn end(mut self, agent: &Agent, health: &Health, restart_time: Duration) {
        self.told_to_end(agent, health).await;
        agent.end(Ending::Restarting);
        health.not_serving().await;
        info!(state = agent.state().as_str_name(), "Ends.");
        // Time is up, or somebody is in a hurry: either way it goes on with the end.
        let _ = timeout(restart_time, self.told_to_end(agent, health)).await;
    }

    async fn told_to_end(&mut self, agent: &Agent, health: &Health) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.leave.recv() => {
                    agent.end(Ending::Leaving);
                    health.not_serving().await;
                    info!("Leaves: the machine is about to go.");
                }
            }
        }
    }
}
