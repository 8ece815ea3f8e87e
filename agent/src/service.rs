//! Answers `monitor.proto` from the [`Agent`]: decode, one change, encode.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use muster_proto::v1::monitor_c_server::MonitorC;
use muster_proto::v1::{
    AgentSettings, GetMetricsRequest, GetMetricsResponse, PingRequest, PingResponse, RegisterRequest, RegisterResponse,
    Signal, Summary, UnregisterRequest, UnregisterResponse,
};
use tonic::{Request, Response, Status};
use tracing::{debug, info};

use crate::agent::{Agent, millis};
use crate::lifecycle::{DEADLINE, LEASE, SWEEP_INTERVAL, Verdict};
use crate::ring;
use crate::signals::Name;

/// How much of a caller's free text reaches the log.
const LOGGED_CHARACTERS: usize = 128;

/// The gRPC service.
#[derive(Debug)]
pub struct Service {
    agent: Arc<Agent>,
    sample_interval: Duration,
}

impl Service {
    /// Answers for `agent`, which is sampled every `sample_interval`.
    #[must_use]
    pub fn new(agent: Arc<Agent>, sample_interval: Duration) -> Self {
        Self { agent, sample_interval }
    }

    /// Samples that three spans between sweeps need, and one for the edges.
    fn samples_for(&self, sweep_interval: Duration) -> u64 {
        millis(sweep_interval * 3).div_ceil(millis(self.sample_interval).max(1)) + 1
    }
}

#[tonic::async_trait]
impl MonitorC for Service {
    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let sequence = request.into_inner().sequence;
        let status = self.agent.status(&mut self.agent.facts(), self.agent.now());
        Ok(Response::new(PingResponse { sequence, status: Some(status) }))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let request = request.into_inner();
        let known = request.boot_id == self.agent.boot_id();
        let now = self.agent.now();
        let mut facts = self.agent.facts();
        let window = facts.ring.since(if known { request.cursor } else { 0 });
        let signal = |(name, of): (Name, _)| {
            let unit = facts.signals.unit(&name);
            (name.to_string(), Signal { summary: Some(summary(of)), unit })
        };
        let signals = window.signals.into_iter().map(signal).collect();
        let since = |at: Option<Duration>| millis(now.saturating_sub(at.unwrap_or(now)));
        Ok(Response::new(GetMetricsResponse {
            cursor: window.cursor,
            samples: window.samples,
            window_ms: since(window.first_at),
            latest_age_ms: since(facts.ring.latest_at()),
            status: Some(self.agent.status(&mut facts, now)),
            load: window.load.map(summary),
            cpu: window.cpu.map(summary),
            memory: window.memory.map(summary),
            pressure: window.pressure.map(summary),
            steal: window.steal.map(summary),
            signals,
        }))
    }

    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let request = request.into_inner();
        let lease = within("lease_ms", request.lease_ms, &LEASE)?;
        let sweep_interval = match request.settings {
            None | Some(AgentSettings { sweep_interval_ms: 0 }) => None,
            Some(AgentSettings { sweep_interval_ms }) => {
                Some(within("settings.sweep_interval_ms", sweep_interval_ms, &SWEEP_INTERVAL)?)
            }
        };
        let now = self.agent.now();
        let mut facts = self.agent.facts();
        let before = (facts.state(now), facts.lifecycle.roster());
        let verdict = facts.lifecycle.register(now, request.roster, lease);
        if verdict == Verdict::Accepted
            && let Some(interval) = sweep_interval
        {
            facts.ring.keep(self.samples_for(interval));
        }
        let monitor = shown(&request.monitor);
        let group = shown(&request.group);
        if before != (facts.state(now), facts.lifecycle.roster()) {
            info!(?monitor, ?group, roster = request.roster, "Registered.");
        } else {
            debug!(?monitor, ?group, roster = request.roster, ?verdict, "Register repeated or late.");
        }
        self.agent.tell_hook();
        let status = Some(self.agent.status(&mut facts, now));
        Ok(Response::new(RegisterResponse { accepted: verdict == Verdict::Accepted, status }))
    }

    async fn unregister(&self, request: Request<UnregisterRequest>) -> Result<Response<UnregisterResponse>, Status> {
        let request = request.into_inner();
        let deadline = within("deadline_ms", request.deadline_ms, &DEADLINE)?;
        let now = self.agent.now();
        let mut facts = self.agent.facts();
        let before = (facts.state(now), facts.lifecycle.roster());
        let reason = shown(&request.reason);
        let verdict = facts.lifecycle.unregister(now, request.roster, deadline, &reason);
        self.agent.tell_hook();
        if before != (facts.state(now), facts.lifecycle.roster()) {
            info!(?reason, roster = request.roster, ?deadline, "Drains.");
        } else {
            debug!(?reason, roster = request.roster, ?verdict, "Unregister repeated or late.");
        }
        Ok(Response::new(UnregisterResponse {
            accepted: verdict == Verdict::Accepted,
            deadline_remaining_ms: millis(facts.lifecycle.deadline_remaining(now)),
            status: Some(self.agent.status(&mut facts, now)),
        }))
    }
}

/// A caller's milliseconds, refused outside `range` by the name of their `field`.
fn within(field: &str, value_ms: u64, range: &RangeInclusive<Duration>) -> Result<Duration, Status> {
    let value = Duration::from_millis(value_ms);
    if range.contains(&value) {
        return Ok(value);
    }
    let (from, to) = (range.start().as_millis(), range.end().as_millis());
    Err(Status::invalid_argument(format!("{field} is {value_ms}, not within {from}-{to}")))
}

/// The beginning of a caller's text.
fn shown(text: &str) -> String {
    text.chars().take(LOGGED_CHARACTERS).collect()
}

fn summary(summary: ring::Summary) -> Summary {
    let ring::Summary { mean, max, p90, latest } = summary;
    Summary { mean, max, p90, latest }
}
