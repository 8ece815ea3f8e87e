//! The machine's clock. This is the one place of the local world that reads it.

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
