//! Where the agent is in its life, and who monitors it.
//!
//! A state machine without clock or I/O: every call carries the time since the agent's start. What
//! changes it is a roster with a number, and a number lower than one seen before changes nothing,
//! so that a late or repeated call cannot undo a newer one.

use std::ops::RangeInclusive;
use std::time::Duration;

use muster_proto::v1::State;

/// How long a registration may hold.
pub const LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// How long a drain may be given.
pub const DEADLINE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(48 * 3600);

/// How often a monitor may intend to call, if it says so at all.
pub const SWEEP_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Whether a roster's number let a request through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request was carried out.
    Accepted,
    /// The number was lower than one seen before: nothing was changed.
    Outdated,
}

/// What the end of the process means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The agent comes back: its silence has a known cause.
    Restarting,
    /// The machine goes too. Outranks [`Self::Restarting`].
    Leaving,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    since: Duration,
    deadline: Duration,
}

/// The agent's life so far.
#[derive(Debug)]
pub struct Lifecycle {
    /// How long a drain keeps the agent busy.
    drain_time: Duration,
    /// Whether the application has been healthy once.
    ready: bool,
    drain: Option<Drain>,
    ending: Option<Ending>,
    roster: u64,
    lease_end: Duration,
}

impl Lifecycle {
    /// A life that begins as starting, or as serving when there is no application to wait for.
    #[must_use]
    pub fn new(drain_time: Duration, ready: bool) -> Self {
        let (drain, ending) = (None, None);
        Self { drain_time, ready, drain, ending, roster: 0, lease_end: Duration::ZERO }
    }

    /// The application is healthy: from now on the agent serves, whatever the application does.
    pub fn application_is_healthy(&mut self) {
        self.ready = true;
    }

    /// The end is near. Never taken back.
    pub fn end(&mut self, ending: Ending) {
        self.ending = self.ending.max(Some(ending));
    }

    /// Somebody monitors the agent for `lease` from `now`. Cancels a drain, an ended one too: whoever
    /// has been told `drained` knows better than the agent whether that may still be taken back.
    pub fn register(&mut self, now: Duration, roster: u64, lease: Duration) -> Verdict {
        if roster < self.roster {
            return Verdict::Outdated;
        }
        self.roster = roster;
        self.lease_end = now.saturating_add(lease);
        self.drain = None;
        Verdict::Accepted
    }

    /// Drains, with `deadline` counted from the first request of this drain.
    pub fn unregister(&mut self, now: Duration, roster: u64, deadline: Duration) -> Verdict {
        if roster < self.roster {
            return Verdict::Outdated;
        }
        self.roster = roster;
        let since = self.drain.map_or(now, |drain| drain.since);
        self.drain = Some(Drain { since, deadline });
        Verdict::Accepted
    }

    /// The state at `now`.
    ///
    /// A missed deadline does not end a drain: what follows is for the group's policy to say.
    #[must_use]
    pub fn state(&self, now: Duration) -> State {
        match (self.ending, self.drain) {
            (Some(Ending::Leaving), _) => State::Leaving,
            (Some(Ending::Restarting), _) => State::Restarting,
            (None, Some(drain)) if now.saturating_sub(drain.since) < self.drain_time => State::Draining,
            (None, Some(_)) => State::Drained,
            (None, None) if self.ready => State::Serving,
            (None, None) => State::Starting,
        }
    }

    /// The highest roster number seen; 0 before any.
    #[must_use]
    pub fn roster(&self) -> u64 {
        self.roster
    }

    /// What is left of the lease at `now`; zero when nobody monitors the agent.
    #[must_use]
    pub fn lease_remaining(&self, now: Duration) -> Duration {
        self.lease_end.saturating_sub(now)
    }

    /// What is left of the drain's deadline at `now`; zero without a drain.
    #[must_use]
    pub fn deadline_remaining(&self, now: Duration) -> Duration {
        self.drain.map_or(Duration::ZERO, |drain| drain.since.saturating_add(drain.deadline).saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Healthy,
        Register(u64),
        Unregister(u64, u64),
        End(Ending),
        /// Seconds pass.
        Wait(u64),
    }
    use Ending::{Leaving, Restarting};
    use Step::{End, Healthy, Register, Unregister, Wait};

    const LEASE_SECONDS: u64 = 100;

    fn live(drain_seconds: u64, ready: bool, steps: &[Step]) -> (Lifecycle, Duration, Vec<Verdict>) {
        let mut life = Lifecycle::new(Duration::from_secs(drain_seconds), ready);
        let mut now = Duration::ZERO;
        let mut verdicts = Vec::new();
        for step in steps {
            match *step {
                Healthy => life.application_is_healthy(),
                Register(roster) => {
                    verdicts.push(life.register(now, roster, Duration::from_secs(LEASE_SECONDS)));
                }
                Unregister(roster, seconds) => {
                    verdicts.push(life.unregister(now, roster, Duration::from_secs(seconds)));
                }
                End(ending) => life.end(ending),
                Wait(seconds) => now += Duration::from_secs(seconds),
            }
        }
        (life, now, verdicts)
    }

    #[test]
    fn states() {
        // drain time, steps, state
        let cases: &[(u64, &[Step], State)] = &[
            (0, &[], State::Starting),
            (0, &[Register(1)], State::Starting),
            (0, &[Healthy], State::Serving),
            (0, &[Healthy, Unregister(1, 60)], State::Drained),
            (9, &[Healthy, Unregister(1, 60)], State::Draining),
            (9, &[Healthy, Unregister(1, 60), Wait(8)], State::Draining),
            (9, &[Healthy, Unregister(1, 60), Wait(9)], State::Drained),
            // A repeated request does not begin the drain anew.
            (9, &[Healthy, Unregister(1, 60), Wait(8), Unregister(2, 60), Wait(1)], State::Drained),
            // A missed deadline is not an end.
            (9, &[Healthy, Unregister(1, 2), Wait(8)], State::Draining),
            (9, &[Healthy, Unregister(1, 60), Register(1)], State::Serving),
            (9, &[Healthy, Unregister(1, 60), Register(2), Wait(9)], State::Serving),
            (9, &[Healthy, Unregister(1, 60), Wait(9), Register(2)], State::Serving),
            (9, &[Healthy, Unregister(2, 60), Register(1)], State::Draining),
            (9, &[Healthy, Register(2), Unregister(1, 60)], State::Serving),
            // A drain after a cancelled one takes its full time.
            (9, &[Healthy, Unregister(1, 6), Wait(8), Register(2), Unregister(3, 6), Wait(8)], State::Draining),
            // Cancelling does not make a starting agent serve.
            (9, &[Unregister(1, 60), Register(2)], State::Starting),
            (9, &[Unregister(1, 60), Healthy], State::Draining),
            (0, &[Healthy, End(Restarting)], State::Restarting),
            (0, &[Healthy, End(Restarting), Register(1)], State::Restarting),
            (0, &[End(Restarting), Unregister(1, 60)], State::Restarting),
            (0, &[End(Restarting), End(Leaving)], State::Leaving),
            (0, &[End(Leaving), End(Restarting)], State::Leaving),
        ];
        for (drain_time, steps, state) in cases {
            let (life, now, _) = live(*drain_time, false, steps);
            assert_eq!(life.state(now), *state, "{steps:?}");
        }
        assert_eq!(live(0, true, &[]).0.state(Duration::ZERO), State::Serving);
    }

    #[test]
    fn rosters() {
        use Verdict::{Accepted, Outdated};
        let cases: &[(&[Step], &[Verdict], u64)] = &[
            (&[Register(0)], &[Accepted], 0),
            (&[Register(5), Register(5)], &[Accepted, Accepted], 5),
            (&[Register(5), Unregister(4, 1)], &[Accepted, Outdated], 5),
            (&[Unregister(5, 1), Unregister(5, 1)], &[Accepted, Accepted], 5),
            (&[Unregister(5, 1), Register(4), Register(6)], &[Accepted, Outdated, Accepted], 6),
            (&[Register(u64::MAX), Register(u64::MAX)], &[Accepted, Accepted], u64::MAX),
        ];
        for (steps, verdicts, roster) in cases {
            let (life, _, got) = live(0, true, steps);
            assert_eq!((got.as_slice(), life.roster()), (*verdicts, *roster), "{steps:?}");
        }
    }

    #[test]
    fn leases_and_deadlines() {
        // steps, seconds left of the lease, seconds left of the deadline
        let cases: &[(&[Step], u64, u64)] = &[
            (&[Wait(5)], 0, 0),
            (&[Register(1), Wait(30)], 70, 0),
            (&[Register(1), Wait(30), Register(1)], 100, 0),
            (&[Register(1), Wait(101)], 0, 0),
            (&[Register(2), Wait(30), Register(1)], 70, 0),
            (&[Unregister(1, 60), Wait(20)], 0, 40),
            (&[Unregister(1, 60), Wait(20), Unregister(1, 60)], 0, 40),
            (&[Unregister(1, 60), Wait(20), Unregister(2, 90)], 0, 70),
            (&[Unregister(2, 60), Wait(20), Unregister(1, 90)], 0, 40),
            (&[Unregister(1, 60), Wait(61)], 0, 0),
            (&[Unregister(1, 60), Wait(20), Register(1)], 100, 0),
        ];
        for (steps, lease, deadline) in cases {
            let (life, now, _) = live(0, true, steps);
            assert_eq!(life.lease_remaining(now).as_secs(), *lease, "{steps:?}");
            assert_eq!(life.deadline_remaining(now).as_secs(), *deadline, "{steps:?}");
        }
    }
}
