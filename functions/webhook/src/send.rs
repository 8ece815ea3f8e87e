//! How events get there: one POST a batch, tried three times at most, within a deadline.

use std::time::Duration;

use muster_control::activity::Activity;
use muster_core::group::GroupName;
use muster_core::time::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, redirect};

use crate::body::{Format, body};
use crate::events::events;
use crate::sign::{HEADER, signature};
use crate::url::Target;

/// The longest that a send may take, all tries together: it keeps an invocation, but no decision.
pub(crate) const LONGEST: Duration = Duration::from_secs(2);
/// Pauses before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(300)];

/// A receiver of events.
#[derive(Clone, Debug)]
pub struct Webhook {
    client: Client,
    stack: String,
    target: Target,
    secret: Option<Secret>,
    format: Format,
    pauses: [Duration; 2],
}

/// A secret, which is not shown.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("...")
    }
}

/// There is no way to send anything.
#[derive(Debug, thiserror::Error)]
#[error("the webhook's client cannot be made")]
pub struct WebhookError(#[source] reqwest::Error);

/// How a send has ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// There was nothing to tell.
    Nothing,
    /// The receiver has taken so many events.
    Events(usize),
}

/// Why the receiver has not been told. It will not be told again.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It has refused.
    #[error("the webhook answered {0}")]
    Answered(StatusCode),
    /// There was no answer.
    #[error("the webhook cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// No try has ended well in time.
    #[error("the webhook was not told within {0:?}")]
    Late(Duration),
}

impl Webhook {
    /// A receiver at `target` of what happens in the groups of `stack`; with a `secret`, requests are signed.
    ///
    /// The process must have installed its TLS provider before.
    pub fn new(stack: &str, target: Target, secret: Option<String>, format: Format) -> Result<Self, WebhookError> {
        let client = Client::builder()
            // An address that was checked must not become another: by a proxy of the environment, or by a redirect.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
            // An invocation may come minutes after the one before: what was kept is likely cut off.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(WebhookError)?;
        Ok(Self { client, stack: stack.to_owned(), target, secret: secret.map(Secret), format, pauses: PAUSES })
    }

    /// Tells the receiver what is worth telling of `activities`, within `deadline`, two seconds at most. `now` is signed.
    pub async fn send(
        &self,
        group: &GroupName,
        activities: &[Activity],
        now: Timestamp,
        deadline: Duration,
    ) -> Result<Sent, SendError> {
        let events = events(activities);
        if events.is_empty() {
            return Ok(Sent::Nothing);
        }
        let body = body(self.format, &self.stack, group, &events, now);
        let deadline = deadline.min(LONGEST);
        let told = tokio::time::timeout(deadline, self.tell(&body, now)).await;
        told.unwrap_or(Err(SendError::Late(deadline))).map(|()| Sent::Events(events.len()))
    }

    /// Tries, and tries again what another try may mend.
    async fn tell(&self, body: &[u8], now: Timestamp) -> Result<(), SendError> {
        for pause in self.pauses {
            match self.post(body, now).await {
                Err(error) if may_pass(&error) => tokio::time::sleep(pause).await,
                ended => return ended,
            }
        }
        self.post(body, now).await
    }

    async fn post(&self, body: &[u8], now: Timestamp) -> Result<(), SendError> {
        let request = self.client.post(self.target.url()).header(CONTENT_TYPE, "application/json").body(body.to_vec());
        let request = match &self.secret {
            Some(Secret(secret)) => request.header(HEADER, signature(secret, now, body)),
            None => request,
        };
        // The address may hold the receiver's secret, and the error goes into a log.
        let answer = request.send().await.map_err(|error| SendError::Unreachable(error.without_url()))?;
        // Whatever stands in the body, nobody would read it.
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(SendError::Answered(status)) }
    }

    #[cfg(test)]
    pub(crate) fn hasty(mut self) -> Self {
        self.pauses = [Duration::ZERO; 2];
        self
    }
}

/// Whether another try may end better.
fn may_pass(error: &SendError) -> bool {
    match error {
        SendError::Answered(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
        SendError::Unreachable(_) => true,
        SendError::Late(_) => false,
    }
}

#[cfg(test)]
mod tests;
