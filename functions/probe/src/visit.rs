//! What is said to one agent in one visit.

use std::time::Duration;

use muster_control::ports::{Clock, Order, Target};
use muster_core::health::{AgentState, Answer};
use muster_core::time::millis;
use muster_proto::v1::monitor_c_client::MonitorCClient;
use muster_proto::v1::{
    AgentSettings, GetMetricsRequest, RegisterRequest, RegisterResponse, Status, UnregisterRequest,
};
use tonic::codegen::http::Uri;

use crate::answer::{answer, state, status};
use crate::connection::Connection;
use crate::failure::Failure;

/// Largest message that is read; an honest one has a few hundred bytes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The spans that the contract allows; an agent refuses others.
const LEASE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
const SWEEP_INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
const DRAIN_DEADLINE: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(48 * 3600));

/// An agent, over a connection.
pub(crate) struct Visit<'a, C> {
    client: MonitorCClient<Connection>,
    target: &'a Target,
    clock: &'a C,
}

impl<'a, C: Clock> Visit<'a, C> {
    /// A visit of `target`, whose agent is at `origin`.
    pub(crate) fn new(connection: Connection, origin: Uri, target: &'a Target, clock: &'a C) -> Self {
        let client = MonitorCClient::with_origin(connection, origin)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { client, target, clock }
    }

    /// Says what is to be said. `seen` holds the answer as soon as there is one: what comes after it can fail without
    /// making an agent silent that has answered.
    pub(crate) async fn pay(mut self, seen: &mut Option<Answer>) -> Result<(), Failure> {
        let unregistered = self.unregister().await?;
        let request = GetMetricsRequest { cursor: self.target.cursor, boot_id: self.target.boot_id.clone() };
        let metrics = self.client.get_metrics(request).await.map_err(|status| Failure::of_call(&status))?;
        let (answer, status) = answer(metrics.into_inner(), self.clock.now())?;
        let answer = seen.insert(Answer { unregistered, ..answer });
        if let Some(after) = self.register(&status, answer.state).await? {
            answer.state = after;
        }
        Ok(())
    }

    /// Asks for the drain that is ordered, in every sweep: repeating it is how its end is learnt. Whether it was accepted.
    async fn unregister(&mut self) -> Result<bool, Failure> {
        let Order::Unregister { reason, roster, deadline } = &self.target.order else { return Ok(false) };
        let request = UnregisterRequest {
            reason: reason.clone(),
            roster: roster.0,
            deadline_ms: within(*deadline, DRAIN_DEADLINE),
        };
        match self.client.unregister(request).await {
            Ok(response) => Ok(response.into_inner().accepted),
            // The agent is there and does not want to: its metrics still count.
            Err(status) if std::error::Error::source(&status).is_none() => Ok(false),
            Err(status) => Err(Failure::of_call(&status)),
        }
    }

    /// Registers as ordered, if the agent needs it; the state after it.
    async fn register(&mut self, seen: &Status, state_before: AgentState) -> Result<Option<AgentState>, Failure> {
        let Order::Register { monitor, group, roster, lease, sweep_interval } = &self.target.order else {
            return Ok(None);
        };
        let lease_ms = within(*lease, LEASE);
        let drains = matches!(state_before, AgentState::Draining | AgentState::Drained);
        if seen.roster >= roster.0 && !drains && seen.lease_remaining_ms >= lease_ms / 2 {
            return Ok(None);
        }
        let request = RegisterRequest {
            monitor: monitor.clone(),
            group: group.to_string(),
            roster: roster.0,
            lease_ms,
            settings: Some(AgentSettings { sweep_interval_ms: within(*sweep_interval, SWEEP_INTERVAL) }),
        };
        let response = self.client.register(request).await.map_err(|status| Failure::of_call(&status))?;
        let RegisterResponse { status: after, .. } = response.into_inner();
        state(&status(after)?).map(Some)
    }
}

/// Milliseconds of `span`, moved into the range that the contract allows.
fn within(span: Duration, (from, to): (Duration, Duration)) -> u64 {
    millis(span.clamp(from, to))
}
