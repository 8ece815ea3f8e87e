//! A clock that moves only when it is told to, or slept on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use muster_core::time::{Timestamp, millis};

use crate::ports::Clock;

/// A clock for tests: sleeping moves it on at once.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.as_millis()))
    }

    /// Moves on by `span`.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(millis(span), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, span: Duration) {
        self.advance(span);
    }
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> Timestamp {
        (*self).now()
    }

    async fn sleep(&self, span: Duration) {
        (*self).sleep(span).await;
    }
}
