//! An agent that does what a test says, and peers that are none.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_control::memory::ManualClock;
use muster_control::ports::{AgentProbe, Order, Probed, Target};
use muster_core::health::{Answer, Observation};
use muster_core::time::Timestamp;
use muster_probe::{GrpcProbe, Settings};
use muster_proto::v1::monitor_c_server::{MonitorC, MonitorCServer};
use muster_proto::v1::{
    GetMetricsRequest, GetMetricsResponse, PingRequest, PingResponse, RegisterRequest, RegisterResponse, State,
    Status as AgentStatus, Summary, UnregisterRequest, UnregisterResponse,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// When to give up on an event that does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Now, for a probe's clock.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A probe that never thinks itself blind.
pub(crate) fn probe(deadline: Duration) -> GrpcProbe<ManualClock> {
    probe_with(Settings { deadline, lag_limit: PATIENCE * 10, ..Settings::default() })
}

pub(crate) fn probe_with(settings: Settings) -> GrpcProbe<ManualClock> {
    GrpcProbe::new(ManualClock::at(NOW), settings)
}

pub(crate) fn look_at(address: SocketAddr) -> Target {
    Target {
        id: address.to_string().as_str().into(),
        endpoint: address.to_string(),
        cursor: 0,
        boot_id: String::new(),
        order: Order::Look,
    }
}

/// What one look says of one agent.
pub(crate) async fn observe(probe: &impl AgentProbe, target: &Target) -> Observation {
    let Probed { observations, blind } = probe.probe(std::slice::from_ref(target)).await;
    assert_eq!(blind, None);
    observations.get(&target.id).expect("an observation of the target").clone()
}

pub(crate) fn answered(observation: &Observation) -> &Answer {
    match observation {
        Observation::Answered(answer) => answer,
        other => panic!("not an answer: {other:?}"),
    }
}

/// What the agent is and what it has been asked.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) status: AgentStatus,
    pub(crate) metrics: GetMetricsResponse,
    /// What the calls have been, in order.
    pub(crate) calls: Vec<&'static str>,
    pub(crate) asked: Vec<GetMetricsRequest>,
    pub(crate) registered: Vec<RegisterRequest>,
    pub(crate) unregistered: Vec<UnregisterRequest>,
    /// `Register` and `Unregister` fail.
    pub(crate) unwilling: bool,
    /// Calls of `GetMetrics` under way, and the most there have been.
    pub(crate) active: usize,
    pub(crate) most_active: usize,
    /// `GetMetrics` waits until it has been called this often.
    pub(crate) gather: usize,
    /// A header of this length comes with every answer.
    pub(crate) header_bytes: usize,
}

/// An agent that serves until it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    facts: Arc<Mutex<Facts>>,
    pub(crate) called: Arc<Notify>,
}

pub(crate) struct Agent {
    pub(crate) address: SocketAddr,
    pub(crate) script: Scripted,
    serving: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Agent {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), "boot").await
    }

    pub(crate) async fn start_at(address: SocketAddr, boot_id: &str) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (boot_id, version) = (boot_id.into(), "1.2.3".into());
        let status = AgentStatus { boot_id, version, state: State::Serving.into(), ..AgentStatus::default() };
        let load = Some(Summary { mean: 42.5, ..Summary::default() });
        let metrics = GetMetricsResponse { cursor: 9, samples: 3, load, ..GetMetricsResponse::default() };
        let facts = Facts {
            status,
            metrics,
            calls: Vec::new(),
            asked: Vec::new(),
            registered: Vec::new(),
            unregistered: Vec::new(),
            unwilling: false,
            active: 0,
            most_active: 0,
            gather: 0,
            header_bytes: 0,
        };
        let script = Scripted { facts: Arc::new(Mutex::new(facts)), called: Arc::new(Notify::new()) };
        let router = Server::builder().add_service(MonitorCServer::new(script.clone()));
        let serving = tokio::spawn(async move {
            router.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("a server");
        });
        Self { address, script, serving }
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.script.facts()
    }
}

/// An agent with a runtime of its own, whose end is that of all its connections.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    life: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Process {
    pub(crate) async fn start_at(address: SocketAddr, boot_id: &'static str) -> Self {
        let (life, end) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let live = async move {
            let agent = Agent::start_at(address, boot_id).await;
            tell.send(agent.address).expect("a test that waits");
            let _ = end.await;
        };
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(live);
        });
        Self { address: told.await.expect("its address"), life, thread }
    }

    pub(crate) fn end(self) {
        drop(self.life);
        self.thread.join().expect("its end");
    }
}

impl Scripted {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl MonitorC for Scripted {
    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        Err(Status::unimplemented("nobody pings here"))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        {
            let mut facts = self.facts();
            facts.calls.push("get-metrics");
            facts.asked.push(request.into_inner());
            facts.active += 1;
            facts.most_active = facts.most_active.max(facts.active);
        }
        self.called.notify_waiters();
        self.called.notify_one();
        loop {
            let more = self.called.notified();
            let all_in = {
                let facts = self.facts();
                facts.asked.len() >= facts.gather
            };
            if all_in {
                break;
            }
            more.await;
        }
        // Whoever is let in too early is still here to be counted.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let mut facts = self.facts();
        facts.active -= 1;
        let status = Some(facts.status.clone());
        let mut response = Response::new(GetMetricsResponse { status, ..facts.metrics.clone() });
        let header = "x".repeat(facts.header_bytes).parse().expect("a header");
        response.metadata_mut().insert("muster-test", header);
        Ok(response)
    }

    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let request = request.into_inner();
        let mut facts = self.facts();
        facts.calls.push("register");
        facts.registered.push(request.clone());
        if facts.unwilling {
            return Err(Status::invalid_argument("not today"));
        }
        let accepted = request.roster >= facts.status.roster;
        if accepted {
            facts.status.roster = request.roster;
            facts.status.lease_remaining_ms = request.lease_ms;
            facts.status.state = State::Serving.into();
        }
        Ok(Response::new(RegisterResponse { accepted, status: Some(facts.status.clone()) }))
    }

    async fn unregister(&self, request: Request<UnregisterRequest>) -> Result<Response<UnregisterResponse>, Status> {
        let request = request.into_inner();
        let mut facts = self.facts();
        facts.calls.push("unregister");
        facts.unregistered.push(request.clone());
        if facts.unwilling {
            return Err(Status::invalid_argument("not today"));
        }
        let accepted = request.roster >= facts.status.roster;
        if accepted {
            let drains = facts.status.state == i32::from(State::Draining);
            facts.status.roster = request.roster;
            facts.status.state = if drains { State::Drained } else { State::Draining }.into();
        }
        let status = Some(facts.status.clone());
        Ok(Response::new(UnregisterResponse { accepted, status, deadline_remaining_ms: 0 }))
    }
}

/// A peer that treats every connection as `behave` does, until the test ends.
pub(crate) async fn peer<F>(behave: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    address
}

/// A listener whose connections the kernel takes and nobody answers.
pub(crate) async fn black_hole() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}
