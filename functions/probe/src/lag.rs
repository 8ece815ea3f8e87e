//! How late our own event loop was: the evidence that silence may be our own fault.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How often the loop is looked at.
const TICK: Duration = Duration::from_millis(10);

/// The largest lateness of a tick.
#[derive(Debug)]
pub(crate) struct Lag(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    /// When the pending tick is due.
    due: Instant,
    largest: Duration,
}

impl Lag {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Mutex::new(Seen { due: Instant::now() + TICK, largest: Duration::ZERO }))
    }

    /// Ticks for as long as it is polled.
    pub(crate) async fn watch(&self) -> Infallible {
        loop {
            let due = self.seen().due;
            sleep_until(due).await;
            let mut seen = self.seen();
            seen.note();
            seen.due = Instant::now() + TICK;
        }
    }

    /// The largest lateness so far, that of a tick included which is due and could not come: the poll that ends the look
    /// may itself be the one that stood still.
    pub(crate) fn largest(&self) -> Duration {
        let mut seen = self.seen();
        seen.note();
        seen.largest
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn note(&mut self) {
        self.largest = self.largest.max(self.due.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lateness_is_measured_and_the_largest_is_kept() {
        let lag = Lag::start();
        let watched = async {
            tokio::time::sleep(Duration::from_millis(35)).await;
            // What a poll that blocks does to the clock of everybody else.
            tokio::time::advance(Duration::from_millis(200)).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        tokio::select! { biased; never = lag.watch() => match never {}, () = watched => {} }
        let largest = lag.largest();
        assert!((Duration::from_millis(190)..=Duration::from_millis(202)).contains(&largest), "{largest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_that_blocks_and_then_ends_the_look_is_measured_too() {
        let lag = Lag::start();
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(lag.largest(), Duration::from_millis(190));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_loop_is_not_late() {
        let lag = Lag::start();
        let look = tokio::time::sleep(Duration::from_secs(60));
        tokio::select! { biased; never = lag.watch() => match never {}, () = look => {} }
        assert!(lag.largest() < Duration::from_millis(3), "{:?}", lag.largest());
    }
}
