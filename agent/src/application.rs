//! The agent's own probe of the application beside it: one HTTP request every interval.
//!
//! It goes to a literal address over plain HTTP and nowhere else: no name is looked up, no redirect
//! followed, no proxy asked, and at most [`MAX_BODY_BYTES`] of the body are read. One failed probe
//! is reported as it is; how many make a member unhealthy is for the group's policy to say.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};
use url::{Host, Position, Url};

use crate::agent::Agent;

/// How much of a body is searched for the expected text.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How much is read at a time, headers included.
const MAX_READ_BYTES: usize = 64 * 1024;

/// What to ask of the application, and what a good answer is.
#[derive(Clone, Debug)]
pub struct Probe {
    /// `http://` and a literal address.
    pub url: Url,
    /// How long connecting, answering and reading the body may take together.
    pub deadline: Duration,
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
    /// The good status codes.
    pub status: RangeInclusive<u16>,
    /// What a good body contains.
    pub body: Option<String>,
}

/// How the application is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Application {
    /// Nobody has asked it yet, or nobody will.
    #[default]
    Unknown,
    /// The latest probe got a good answer.
    Healthy,
    /// The latest probe did not.
    Failing(Failure),
}

/// Why a probe failed, in the few words that people see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing accepts connections.
    #[error("no connection")]
    Connect,
    /// The deadline has passed.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The status is not among the expected ones.
    #[error("status {0}")]
    Status(u16),
    /// The part of the body that is read lacks the expected text.
    #[error("the body lacks the expected text")]
    Body,
    /// What came back is not HTTP, or ended early.
    #[error("broken answer")]
    Broken,
}

/// A probe that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the application's address {0} is not http:// and a literal address")]
pub struct ProbeError(Url);

/// A probe with the address that it goes to.
#[derive(Debug)]
pub struct Prober {
    probe: Probe,
    address: SocketAddr,
}

impl Prober {
    /// Takes the address out of the URL.
    ///
    /// # Errors
    /// When it has none: a name would have to be looked up.
    pub fn new(probe: Probe) -> Result<Self, ProbeError> {
        let port = probe.url.port_or_known_default();
        let ip = match probe.url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::from(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::from(ip)),
            Some(Host::Domain(_)) | None => None,
        };
        let address = ip.zip(port).filter(|_| probe.url.scheme() == "http");
        let address = address.map(SocketAddr::from).ok_or_else(|| ProbeError(probe.url.clone()))?;
        Ok(Self { probe, address })
    }

    /// Probes for ever and tells `agent` what was found.
    pub async fn run(self, agent: Arc<Agent>) {
        let mut ticks = interval(self.probe.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = Application::Unknown;
        loop {
            ticks.tick().await;
            let found = match self.ask().await {
                Ok(()) => Application::Healthy,
                Err(failure) => Application::Failing(failure),
            };
            if found != before {
                match &found {
                    Application::Failing(failure) => {
                        warn!(url = %self.probe.url, reason = %failure, "The application is failing.");
                    }
                    Application::Healthy | Application::Unknown => {
                        info!(url = %self.probe.url, "The application is healthy.");
                    }
                }
            }
            agent.observe(found.clone());
            before = found;
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why the application is not healthy.
    pub async fn ask(&self) -> Result<(), Failure> {
        let deadline = self.probe.deadline;
        timeout(deadline, self.exchange()).await.map_err(|_| Failure::Deadline(deadline))?
    }

    async fn exchange(&self) -> Result<(), Failure> {
        // A new connection each time: an application that accepts none is not healthy.
        let stream = TcpStream::connect(self.address).await.map_err(|_| Failure::Connect)?;
        let connecting = http1::Builder::new().max_buf_size(MAX_READ_BYTES).handshake(TokioIo::new(stream));
        let (mut sender, connection) = connecting.await.map_err(|_| Failure::Broken)?;
        // The connection ends with this call, however it ends.
        let mut carried = JoinSet::new();
        carried.spawn(connection);
        let response = sender.send_request(self.request()?).await.map_err(|_| Failure::Broken)?;
        let status = response.status().as_u16();
        if !self.probe.status.contains(&status) {
            return Err(Failure::Status(status));
        }
        match &self.probe.body {
            Some(expected) => find(response, expected.as_bytes()).await,
            None => Ok(()),
        }
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, Failure> {
        let url = &self.probe.url;
        let request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(USER_AGENT, concat!("monitor-c/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close");
        request.body(Empty::new()).map_err(|_| Failure::Broken)
    }
}

/// Reads until the text has come, the body ends, or enough has been read.
async fn find(mut response: Response<Incoming>, expected: &[u8]) -> Result<(), Failure> {
    let mut read = Vec::new();
    while let Some(frame) = response.frame().await {
        let Ok(chunk) = frame.map_err(|_| Failure::Broken)?.into_data() else { continue };
        let room = MAX_BODY_BYTES - read.len();
        // What is new can complete a text that began before it.
        let from = read.len().saturating_sub(expected.len());
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if read[from..].windows(expected.len()).any(|window| window == expected) {
            return Ok(());
        }
        if read.len() == MAX_BODY_BYTES {
            break;
        }
    }
    Err(Failure::Body)
}
