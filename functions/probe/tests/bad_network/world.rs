//! A monitor, its agents, and the network between them.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use muster_control::ports::{AgentProbe, Clock, Order, Probed, Target};
use muster_core::health::{Answer, Observation};
use muster_core::time::{Timestamp, millis};
use muster_probe::{Connect, GrpcProbe, Settings};
use tokio::time::Instant;
use turmoil::Sim;
use turmoil::net::TcpStream;

use crate::agents::agent;

/// The seeds with which every story is told.
const SEEDS: std::ops::Range<u64> = 0..3;

/// Where agents listen.
pub(crate) const PORT: u16 = 7717;

/// A message's way takes between these, so that a visit takes a few tens of milliseconds.
const LATENCY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// The step of the simulation: what happens within it happens at once.
const TICK: Duration = Duration::from_millis(2);

/// From the end of a look to the next: some samples are taken meanwhile.
const PAUSE: Duration = Duration::from_millis(300);

/// How long a story may take, in the time of the simulation.
const LONGEST: Duration = Duration::from_secs(300);

/// The deadline of a visit.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

pub(crate) const MONITOR: &str = "monitor";

/// How many agents there are.
pub(crate) const AGENTS: usize = 5;

/// The name of an agent's host.
pub(crate) fn name(number: usize) -> String {
    format!("agent-{number}")
}

/// The load of an agent: no two have the same, and none has 0.
pub(crate) fn load(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("a few")) * 10.0 + 15.0
}

/// The simulated network, which tells of a lost SYN and of a host that is down as a refusal. On a real one that is silence.
struct Net;

impl Connect for Net {
    type Stream = TcpStream;

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        match TcpStream::connect(address).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => pending().await,
            made => made,
        }
    }
}

/// The monitor's own clock, in the time of the simulation.
struct SimulatedClock;

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(millis(turmoil::elapsed()))
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// What only somebody outside can do to a host.
enum Deed {
    Crash(String),
    Bounce(String),
    Latency(String, Duration),
}

/// Somebody outside.
#[derive(Clone, Default)]
pub(crate) struct Outside(Arc<Mutex<Vec<Deed>>>);

impl Outside {
    async fn asks(&self, deed: Deed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
        // It is done between two ticks.
        tokio::time::sleep(2 * TICK).await;
    }

    /// The host is gone, without a word to anybody.
    pub(crate) async fn crash(&self, host: &str) {
        self.asks(Deed::Crash(host.into())).await;
    }

    /// The host is there again, from the beginning.
    pub(crate) async fn bounce(&self, host: &str) {
        self.asks(Deed::Bounce(host.into())).await;
    }

    /// Every message between the host and the monitor takes this long.
    pub(crate) async fn delay(&self, host: &str, latency: Duration) {
        self.asks(Deed::Latency(host.into(), latency)).await;
    }

    fn carry_out(&self, sim: &mut Sim<'_>) {
        for deed in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            match deed {
                Deed::Crash(host) => sim.crash(host),
                Deed::Bounce(host) => sim.bounce(host),
                Deed::Latency(host, latency) => sim.set_link_latency(host, MONITOR, latency),
            }
        }
    }
}

/// The monitor, with what it knows from its last look.
pub(crate) struct Monitor {
    probe: GrpcProbe<SimulatedClock, Net>,
    settings: Settings,
    targets: Vec<Target>,
    pub(crate) outside: Outside,
}

impl Monitor {
    fn new<'a>(hosts: impl Iterator<Item = (&'a str, IpAddr)>, outside: Outside) -> Self {
        let settings = Settings { deadline: DEADLINE, ..Settings::default() };
        let target = |(host, address): (&str, IpAddr)| Target {
            id: host.into(),
            endpoint: SocketAddr::new(address, PORT).to_string(),
            cursor: 0,
            boot_id: String::new(),
            order: Order::Look,
        };
        let targets = hosts.map(target).collect();
        Self { probe: GrpcProbe::over(Net, SimulatedClock, settings), settings, targets, outside }
    }

    /// Orders something of one agent from now on.
    pub(crate) fn orders(&mut self, host: &str, order: Order) {
        let target = self.targets.iter_mut().find(|target| target.id == host.into());
        target.expect("a host").order = order;
    }

    /// Looks once, as a sweep does; what holds of every look is asserted here.
    pub(crate) async fn look(&mut self) -> Seen {
        let start = Instant::now();
        let Probed { observations, blind } = self.probe.probe(&self.targets).await;
        let took = start.elapsed();
        assert!(took <= self.settings.longest_look(self.targets.len()) + Duration::from_millis(10), "{took:?}");
        assert_eq!(observations.len(), self.targets.len(), "one observation of each");
        // What the network does to others is no evidence about ourselves: whether all are silent is judged in the core.
        assert_eq!(blind, None);
        for target in &mut self.targets {
            if let Observation::Answered(answer) = &observations[&target.id] {
                assert!(!answer.boot_id.is_empty());
                (target.cursor, target.boot_id) = (answer.cursor, answer.boot_id.clone());
            }
        }
        tokio::time::sleep(PAUSE).await;
        Seen { of: observations.into_iter().map(|(id, seen)| (id.to_string(), seen)).collect(), took }
    }
}

/// What a look has seen.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    of: BTreeMap<String, Observation>,
    pub(crate) took: Duration,
}

impl Seen {
    pub(crate) fn of(&self, host: &str) -> &Observation {
        &self.of[host]
    }

    /// The agent's own answer, with its own load; of which start is in its boot id.
    pub(crate) fn answered(&self, number: usize) -> &Answer {
        match self.of(&name(number)) {
            Observation::Answered(answer) => {
                assert!(answer.boot_id.starts_with(&format!("{}.", name(number))), "{answer:?}");
                assert_eq!(answer.load, Some(load(number)), "{answer:?}");
                answer
            }
            other => panic!("{} has not answered: {other:?}", name(number)),
        }
    }

    pub(crate) fn silent(&self, number: usize) {
        let seen = self.of(&name(number));
        assert!(matches!(seen, Observation::Unreachable { .. }), "{}: {seen:?}", name(number));
    }

    /// Those of `silent` are, all others have answered.
    pub(crate) fn only_silent(&self, silent: &[usize]) {
        for number in 0..AGENTS {
            if silent.contains(&number) {
                self.silent(number);
            } else {
                self.answered(number);
            }
        }
    }

    /// A line for comparing two tellings of a story.
    pub(crate) fn line(&self) -> String {
        let word = |seen: &Observation| match seen {
            Observation::Answered(answer) => format!("{} {:?} {:?}", answer.boot_id, answer.load, answer.state),
            other => format!("{other:?}"),
        };
        self.of.values().map(|seen| word(seen) + "; ").collect()
    }
}

/// A host beside the agents.
pub(crate) type Peer = (&'static str, fn() -> std::pin::Pin<Box<dyn Future<Output = turmoil::Result>>>);

/// Tells a story with every seed: agents, `peers`, and a monitor that does what the story says.
pub(crate) fn tell<F>(peers: &[Peer], story: impl Fn(u64, Monitor) -> F)
where
    F: Future<Output = ()> + 'static,
{
    for seed in SEEDS {
        println!("seed {seed}");
        tell_once(seed, peers, &story);
    }
}

/// Tells a story with one seed.
pub(crate) fn tell_once<F>(seed: u64, peers: &[Peer], story: impl Fn(u64, Monitor) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .min_message_latency(LATENCY.0)
        .max_message_latency(LATENCY.1)
        .simulation_duration(LONGEST)
        .tick_duration(TICK)
        // A flood is many messages under way at once; what has no room would end the simulation.
        .tcp_capacity(1 << 16)
        .build();
    let mut hosts = Vec::new();
    for number in 0..AGENTS {
        let boots = AtomicUsize::new(0);
        let start = move || agent(format!("{}.{}", name(number), boots.fetch_add(1, Ordering::SeqCst)), load(number));
        sim.host(name(number), start);
        hosts.push(name(number));
    }
    for (host, start) in peers {
        sim.host(*host, start);
        hosts.push((*host).to_owned());
    }
    let outside = Outside::default();
    let targets = hosts.iter().map(|host| (host.as_str(), sim.lookup(host.as_str())));
    let story = story(seed, Monitor::new(targets, outside.clone()));
    sim.client(MONITOR, async {
        story.await;
        Ok(())
    });
    while !sim.step().expect("a simulation that goes on") {
        outside.carry_out(&mut sim);
    }
}
