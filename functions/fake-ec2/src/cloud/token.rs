//! Client tokens of `RunInstances`.
//!
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>: with a zone or a subnet in the request a token
//! holds in that zone, without it in the region. What the page does not say is decided here, to the safe side of a test: a token
//! without a zone and the same token with one are a mismatch; a launch that failed leaves its token unused; an instance counts
//! as terminated from the moment that it is shutting down; and only when all instances of a token have ended is the call refused.

use std::time::Duration;

use jiff::Timestamp;

use crate::fault::Fault;
use crate::query::{Params, Texts};

use super::Cloud;
use super::instance::{State, earlier};

/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
const LONGEST_TOKEN: usize = 64;

/// A launch that a token has made.
#[derive(Clone, Debug)]
pub(crate) struct TokenUse {
    pub(super) zone: Option<String>,
    pub(super) request: Texts,
    pub(super) instances: Vec<usize>,
    pub(super) at: Timestamp,
}

/// The error of a token that was used with other parameters.
pub(crate) fn mismatch() -> Fault {
    Fault::new(
        "IdempotentParameterMismatch",
        "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
    )
}

impl Cloud {
    /// The instances that the token has made there.
    pub(super) fn recall(
        &mut self,
        now: Timestamp,
        token: &str,
        zone: Option<&str>,
        request: &Texts,
    ) -> Result<Option<Vec<usize>>, Fault> {
        if let (Some(memory), Some(uses)) = (self.config.settings.token_memory_ms, self.tokens.get_mut(token)) {
            let oldest = earlier(now, Duration::from_millis(memory));
            uses.retain(|used| used.at > oldest);
        }
        let uses = self.tokens.get(token).map(Vec::as_slice).unwrap_or_default();
        let Some(used) = uses.iter().find(|used| used.zone.as_deref() == zone) else {
            let other_scope = uses.iter().any(|used| used.zone.is_none() != zone.is_none());
            return if other_scope { Err(mismatch()) } else { Ok(None) };
        };
        if used.request != *request {
            return Err(mismatch());
        }
        if used.instances.iter().all(|at| self.instances[*at].state(now).is_some_and(State::has_ended)) {
            let message = "The client token has been used by a request whose instances have been terminated.";
            return Err(Fault::new("IdempotentInstanceTerminated", message));
        }
        Ok(Some(used.instances.clone()))
    }
}

/// Takes a launch's token.
pub(super) fn take_token(params: &mut Params) -> Result<Option<String>, Fault> {
    let token = params.take("ClientToken").filter(|token| !token.is_empty());
    if let Some(token) = token.as_ref().filter(|token| token.len() > LONGEST_TOKEN || !token.is_ascii()) {
        return Err(Fault::value("clientToken", token));
    }
    Ok(token)
}
