//! What bounds a look.

use std::time::Duration;

/// The limits of a [`GrpcProbe`](crate::GrpcProbe). The defaults are for production; tests set others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Visits active at once, at least 1.
    ///
    /// Default 64. At the processor share of a 256 MB Lambda, 900 at once with a deadline of 300 ms answered for none of
    /// 810 healthy agents; 64 with 1 s answered for all, in every run.
    pub permits: usize,
    /// How long one visit may take, from its permit: connecting and calling together.
    ///
    /// Default 1 s: Linux sends a lost SYN again after 1 s (RFC 6298), so a shorter one inherits the loss of packets, and
    /// a longer one is spent on agents that will not answer; a lost packet is what the second pass is for.
    pub deadline: Duration,
    /// How late our own event loop may be before silence is taken for our own fault.
    ///
    /// Default 100 ms: a tenth of the deadline. On an idle machine a tick comes 1-2 ms late.
    pub lag_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { permits: 64, deadline: Duration::from_secs(1), lag_limit: Duration::from_millis(100) }
    }
}

impl Settings {
    /// The longest that a look at `targets` agents takes, whatever they do: two passes of `ceil(targets / permits)` times
    /// the deadline. 500 members: 16 s.
    pub fn longest_look(&self, targets: usize) -> Duration {
        let rounds = u32::try_from(targets.div_ceil(self.permits.max(1))).unwrap_or(u32::MAX);
        self.deadline.saturating_mul(rounds).saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_looks_length_has_a_bound() {
        let settings = Settings::default();
        let seconds = |targets| settings.longest_look(targets).as_secs();
        assert_eq!([seconds(0), seconds(1), seconds(64), seconds(65), seconds(500)], [0, 2, 2, 4, 16]);
        assert_eq!(settings.longest_look(usize::MAX), Settings { permits: 0, ..settings }.longest_look(usize::MAX));
    }
}
