//! The machine's clock. This is the one place of the functions that reads it.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use muster_control::ports::Clock;
use muster_core::time::{Timestamp, millis};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// What `work` comes to, unless it takes longer than `span` by `clock`: then it is dropped, and none is returned.
pub async fn within<T>(clock: &impl Clock, span: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        // What is ready in time is taken, however late it is looked at.
        biased;
        done = work => Some(done),
        () = clock.sleep(span) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_too_long_is_dropped() {
        let late = within(&SystemClock, Duration::from_secs(2), tokio::time::sleep(Duration::from_secs(3)));
        assert_eq!(late.await, None);
        let never = within(&SystemClock, Duration::from_secs(2), std::future::pending::<()>());
        assert_eq!(never.await, None);
        let ready = within(&SystemClock, Duration::ZERO, std::future::ready(7));
        assert_eq!(ready.await, Some(7));
    }
}
