//! The fleet process: stands in for EC2. It owns the ledger of instances and their agents, and spreads the scenario's
//! demand over them.
//!
//! The death of an agent is not the death of its instance: the ledger says running until it is terminated, so that health
//! is found out by sweeping.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use muster_control::ports::Clock;
use muster_core::member::InstanceId;
use muster_core::snapshot::InstanceState;
use muster_core::time::Timestamp;
use rustix::process::Signal;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::agents::Agents;
use super::clock::SystemClock;
use super::faults::FaultArgs;
use super::ledger::{Ledger, Net};
use super::line::Line;
use super::mishaps::Mishaps;
use super::process::{EndSignal, Place, notice, say};
use super::scenario::{Scenario, What};
use super::wire::{Request, Response, read, write};
use crate::failure::Failure;

/// How often boots, ends and events are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often the agents are told their load.
const DEMAND_EVERY: Duration = Duration::from_secs(1);
/// An instance boots for 2 to 4 s.
const BOOT_MS: std::ops::RangeInclusive<u64> = 2_000..=4_000;
/// An ended instance is shutting down for this long, then terminated.
const SHUTTING_DOWN: Duration = Duration::from_secs(1);
/// An agent that ended before it listened is started again after this.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A client that does not finish its request is dropped.
const REQUEST_DEADLINE: Duration = Duration::from_secs(2);

/// What the fleet is told.
#[derive(Clone, Debug, Args)]
pub struct FleetArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// The agent's binary.
    #[arg(long)]
    pub(super) agent: PathBuf,
    /// The scenario.
    #[arg(long)]
    pub(super) scenario: String,
    /// When the scenario began, in milliseconds since 1970: a fleet that is started again goes on with it.
    #[arg(long)]
    pub(super) began_ms: u64,
    /// Seeds boot times.
    #[arg(long)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) faults: FaultArgs,
}

/// The instances and their agents.
#[derive(Debug)]
struct Fleet {
    ledger: Ledger,
    agents: Agents,
    scenario: Scenario,
    began: Timestamp,
    seed: u64,
    /// Scenario events that have been carried out.
    events_done: usize,
    /// Freezes that are to end, and how many agents they hold.
    thaws: Vec<(Timestamp, Option<u32>)>,
    /// Instances whose agent has listened since this process runs: one that ends after that stays dead.
    listened: BTreeSet<InstanceId>,
    /// When an agent was last started for an instance.
    tried: BTreeMap<InstanceId, Timestamp>,
    demand_told: Timestamp,
    mishaps: Mishaps,
}

type Call = (Request, oneshot::Sender<Response>);

/// Runs the fleet until `end`.
pub async fn serve(args: &FleetArgs, mut end: EndSignal) -> Result<(), Failure> {
    let paths = args.place.paths();
    let net = Net { second: fastrand::u8(16..=250), port: fastrand::u16(20_000..=29_999) };
    let ledger = Ledger::open(&paths.ledger(), net)
        .map_err(|error| Failure::run(&format!("the ledger {} cannot be read", paths.ledger().display()), &error))?;
    let socket = paths.fleet_socket();
    // A fleet that was killed leaves its socket behind.
    let _absent = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)
        .map_err(|error| Failure::run(&format!("{} cannot be listened on", socket.display()), &error))?;
    let (listening, mut listens) = mpsc::channel(64);
    let agents = Agents::new(args.agent.clone(), listening);
    let began = Timestamp::from_millis(args.began_ms);
    let mut fleet = Fleet::new(ledger, agents, Scenario::load(&args.scenario)?, began, args, SystemClock.now());
    let (calls, mut called) = mpsc::channel::<Call>(64);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = end.recv() => break,
            Ok((stream, _)) = listener.accept() => {
                tokio::spawn(tokio::time::timeout(REQUEST_DEADLINE, take_call(stream, calls.clone())));
            }
            Some((request, answer)) = called.recv() => {
                // A client that has gone meanwhile asks again, with the same token.
                let _gone = answer.send(fleet.answer(&request, SystemClock.now()));
            }
            Some(id) = listens.recv() => fleet.booted(&id),
            _ = tick.tick() => fleet.tick(SystemClock.now()),
        }
    }
    fleet.agents.end().await;
    Ok(())
}

async fn take_call(mut stream: UnixStream, calls: mpsc::Sender<Call>) {
    let Ok(Some(request)) = read(&mut stream).await else { return };
    let (answer, answered) = oneshot::channel();
    if calls.send((request, answer)).await.is_ok()
        && let Ok(response) = answered.await
    {
        let _gone = write(&mut stream, &response).await;
    }
}

impl Fleet {
    /// The fleet of `ledger`, under `scenario` since `began`.
    fn new(
        ledger: Ledger,
        agents: Agents,
        mut scenario: Scenario,
        began: Timestamp,
        args: &FleetArgs,
        now: Timestamp,
    ) -> Self {
        scenario.events.sort_by_key(|event| event.at);
        // Events that lie in the past have happened: to the process before this one.
        let events_done = scenario.events.iter().filter(|event| event.at.0 < now.since(began)).count();
        let (listened, tried) = (BTreeSet::new(), BTreeMap::new());
        let demand_told = Timestamp::EPOCH;
        let (seed, thaws, mishaps) = (args.seed, Vec::new(), Mishaps::new(&args.faults));
        Self { ledger, agents, scenario, began, seed, events_done, thaws, listened, tried, demand_told, mishaps }
    }

    /// Answers one call, as EC2 would.
    fn answer(&mut self, request: &Request, now: Timestamp) -> Response {
        let outcome = match request {
            Request::List { group } => Ok(Response::Listed(self.ledger.list(group))),
            Request::Launch { spec, .. } if self.ledger.is_new(spec) && self.mishaps.lacks_capacity(spec) => {
                Ok(Response::NoCapacity("InsufficientInstanceCapacity".into()))
            }
            Request::Launch { spec, attempt } => self.ledger.launch(spec, *attempt, now),
            Request::Describe { group, ids } => Ok(Response::Listed(self.ledger.describe(group, ids))),
            // Templates are EC2's: here each has the one version.
            Request::TemplateVersion { .. } => Ok(Response::Version(1)),
            Request::Find { spec } => Ok(Response::Found(self.ledger.find(spec))),
            Request::Terminate { group, instance, intent, attempt } => {
                let ended = self.ledger.terminate(group, instance, intent, *attempt, now);
                if self.ledger.instances().get(instance).is_none_or(|entry| entry.state.is_gone()) {
                    self.agents.kill(instance);
                }
                ended
            }
            Request::Mark { group, instance, mark, on } => self.ledger.mark(group, instance, *mark, *on),
        };
        outcome.unwrap_or_else(|error| Response::Failed(format!("the ledger cannot be written: {error}")))
    }

    /// The load of each running instance: the demand, spread over all of them.
    fn share(&self, now: Timestamp) -> f64 {
        let running = self.ledger.instances().values().filter(|entry| entry.state == InstanceState::Running).count();
        (self.scenario.demand(now.since(self.began)) / running.max(1) as f64).min(100.0)
    }

    fn booted(&mut self, id: &InstanceId) {
        self.listened.insert(id.clone());
        self.advance(id, InstanceState::Pending, InstanceState::Running);
        match (self.ledger.instances().get(id), self.agents.pid(id)) {
            (Some(entry), Some(pid)) if entry.state == InstanceState::Running => {
                say(&Line::Instance { id: id.clone(), pid, endpoint: entry.endpoint.clone(), state: entry.state });
            }
            // It was terminated while it booted.
            (Some(_) | None, _) => self.agents.kill(id),
        }
    }

    fn advance(&mut self, id: &InstanceId, from: InstanceState, to: InstanceState) {
        if let Err(error) = self.ledger.advance(id, from, to) {
            notice("fleet", format!("the ledger cannot be written: {error}"));
        }
    }

    fn tick(&mut self, now: Timestamp) {
        for (id, how) in self.agents.reap() {
            if self.ledger.instances().get(&id).is_some_and(|entry| !entry.state.is_gone()) {
                notice("fleet", format!("the agent of {id} has ended ({how}); its instance runs on"));
            }
        }
        self.move_states(now);
        self.play_events(now);
        self.befall(now);
        if now.since(self.demand_told) >= DEMAND_EVERY {
            self.demand_told = now;
            self.agents.tell(self.share(now));
            self.ledger.forget_ended(now);
            let known = self.ledger.instances();
            self.listened.retain(|id| known.contains_key(id));
            self.tried.retain(|id, _| known.contains_key(id));
        }
    }

    /// Starts the agents that are due, and moves what is shutting down to terminated. A running instance gets its agent again
    /// after this process was started again: same instance, new boot id.
    fn move_states(&mut self, now: Timestamp) {
        let mut ended = Vec::new();
        let mut due = Vec::new();
        for (id, entry) in self.ledger.instances() {
            let boot =
                Duration::from_millis(fastrand::Rng::with_seed(self.seed ^ u64::from(entry.number)).u64(BOOT_MS));
            match entry.state {
                InstanceState::Pending if now.since(entry.launched_at) >= boot => due.push((id.clone(), entry.clone())),
                InstanceState::Running => due.push((id.clone(), entry.clone())),
                InstanceState::ShuttingDown if entry.ended_at.is_none_or(|at| now.since(at) >= SHUTTING_DOWN) => {
                    ended.push(id.clone());
                }
                InstanceState::Pending
                | InstanceState::Stopping
                | InstanceState::Stopped
                | InstanceState::ShuttingDown
                | InstanceState::Terminated => {}
            }
        }
        let share = self.share(now);
        for (id, entry) in due {
            let load = if entry.state == InstanceState::Running { share } else { 0.0 };
            self.start_agent(&id, &entry, load, now);
        }
        for id in ended {
            self.advance(&id, InstanceState::ShuttingDown, InstanceState::Terminated);
        }
    }

    /// Starts an instance's agent, unless it has one or had one that listened; not more than once in a while.
    fn start_agent(&mut self, id: &InstanceId, entry: &super::ledger::Entry, load: f64, now: Timestamp) {
        let lately = self.tried.get(id).is_some_and(|tried| now.since(*tried) < TRY_AGAIN_AFTER);
        if lately || self.agents.has(id) || self.listened.contains(id) {
            return;
        }
        self.tried.insert(id.clone(), now);
        if let Err(error) = self.agents.start(id, entry, load) {
            notice("fleet", format!("the agent of {id} cannot be started: {error}"));
        }
    }

    fn befall(&mut self, now: Timestamp) {
        let running = self.ledger.instances().iter().filter(|(_, entry)| entry.state == InstanceState::Running);
        let serving: Vec<InstanceId> =
            running.map(|(id, _)| id.clone()).filter(|id| self.listened.contains(id)).collect();
        if let Some(restarted) = self.mishaps.befall(&mut self.agents, &serving, now) {
            self.listened.remove(&restarted);
        }
    }

    fn play_events(&mut self, now: Timestamp) {
        let elapsed = now.since(self.began);
        while let Some(event) = self.scenario.events.get(self.events_done).filter(|event| event.at.0 <= elapsed) {
            let agents = event.agents;
            match event.what {
                What::Freeze => {
                    notice("scenario", "agents stop answering; their instances run on".into());
                    self.agents.signal(Signal::STOP, agents);
                    self.thaws.extend(event.lasts.map(|lasts| (now.plus(lasts.0), agents)));
                }
                What::Thaw => self.agents.signal(Signal::CONT, agents),
                What::Kill => self.agents.signal(Signal::KILL, agents),
            }
            self.events_done += 1;
        }
        let agents = &self.agents;
        self.thaws.retain(|(at, count)| {
            let due = now >= *at;
            if due {
                notice("scenario", "agents answer again".into());
                agents.signal(Signal::CONT, *count);
            }
            !due
        });
    }
}
