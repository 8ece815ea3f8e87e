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

/// The run of the drain hook that is due: whatever else of it runs is to be ended first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRun {
    /// Which drain it belongs to: another number is another drain.
    pub drain: u64,
    /// Why the agent drains.
    pub reason: String,
    /// What is left of the drain's deadline; never zero.
    pub remaining: Duration,
}

#[derive(Debug)]
struct Drain {
    /// Counts the drains of this life, from 1.
    number: u64,
    since: Duration,
    deadline: Duration,
    reason: String,
    hook: Hook,
}

/// The hook of one drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hook {
    /// It has ended, or there is none.
    Done,
    /// It is to run while the deadline allows it.
    Due,
    /// It runs: only [`Lifecycle::hook_ended`] tells that it does not.
    Runs,
}

impl Drain {
    /// Whether the hook keeps the agent busy.
    fn is_hooked(&self, now: Duration) -> bool {
        self.hook == Hook::Runs || self.hook == Hook::Due && !self.remaining(now).is_zero()
    }

    fn remaining(&self, now: Duration) -> Duration {
        self.since.saturating_add(self.deadline).saturating_sub(now)
    }
}

/// The agent's life so far.
#[derive(Debug)]
pub struct Lifecycle {
    /// How long a drain keeps the agent busy, whatever the hook does.
    drain_time: Duration,
    /// Whether a drain has a hook.
    hook: bool,
    /// Whether the application has been healthy once.
    ready: bool,
    drain: Option<Drain>,
    drains: u64,
    ending: Option<Ending>,
    /// Whether the process is about to end: the machine's leaving alone does not say so.
    stopping: bool,
    roster: u64,
    lease_end: Duration,
}

impl Lifecycle {
    /// A life that begins as starting, or as serving when there is no application to wait for. With a `hook` a drain lasts
    /// until [`Self::hook_ended`], too.
    #[must_use]
    pub fn new(drain_time: Duration, hook: bool, ready: bool) -> Self {
        let (drain, ending, lease_end) = (None, None, Duration::ZERO);
        Self { drain_time, hook, ready, drain, drains: 0, ending, stopping: false, roster: 0, lease_end }
    }

    /// The application is healthy: from now on the agent serves, whatever the application does.
    pub fn application_is_healthy(&mut self) {
        self.ready = true;
    }

    /// The end is near. Never taken back.
    pub fn end(&mut self, ending: Ending) {
        self.ending = self.ending.max(Some(ending));
        self.stopping |= ending == Ending::Restarting;
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

    /// Drains, with `deadline` counted from the first request of this drain, whose `reason` stays.
    pub fn unregister(&mut self, now: Duration, roster: u64, deadline: Duration, reason: &str) -> Verdict {
        if roster < self.roster {
            return Verdict::Outdated;
        }
        self.roster = roster;
        if let Some(drain) = &mut self.drain {
            if !drain.is_hooked(now) {
                // What has been said to be over stays over, whatever time there is now.
                drain.hook = Hook::Done;
            }
            drain.deadline = deadline;
            return Verdict::Accepted;
        }
        self.drains += 1;
        let hook = if self.hook { Hook::Due } else { Hook::Done };
        self.drain = Some(Drain { number: self.drains, since: now, deadline, reason: reason.to_owned(), hook });
        Verdict::Accepted
    }

    /// The run of the hook that `now` asks for, whether it has begun or not. None while nothing drains, once the hook has
    /// ended, and when the time of the drain or of the process is up: a hook that runs then is to be ended.
    #[must_use]
    pub fn hook_run(&self, now: Duration) -> Option<HookRun> {
        let drain = self.drain.as_ref().filter(|drain| drain.hook != Hook::Done && !self.stopping)?;
        let remaining = drain.remaining(now);
        let run = || HookRun { drain: drain.number, reason: drain.reason.clone(), remaining };
        (!remaining.is_zero()).then(run)
    }

    /// The hook of the drain `number` runs: the agent is busy until it has ended.
    pub fn hook_begins(&mut self, number: u64) {
        self.set_hook(number, Hook::Runs);
    }

    /// The hook of the drain `number` has ended, well or not, or cannot begin.
    pub fn hook_ended(&mut self, number: u64) {
        self.set_hook(number, Hook::Done);
    }

    fn set_hook(&mut self, number: u64, hook: Hook) {
        if let Some(drain) = self.drain.as_mut().filter(|drain| drain.number == number) {
            drain.hook = hook;
        }
    }

    /// The state at `now`.
    ///
    /// A missed deadline does not end a drain: what follows is for the group's policy to say.
    #[must_use]
    pub fn state(&self, now: Duration) -> State {
        let busy = |drain: &Drain| drain.is_hooked(now) || now.saturating_sub(drain.since) < self.drain_time;
        match (self.ending, &self.drain) {
            (Some(Ending::Leaving), _) => State::Leaving,
            (Some(Ending::Restarting), _) => State::Restarting,
            (None, Some(drain)) if busy(drain) => State::Draining,
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
        self.drain.as_ref().map_or(Duration::ZERO, |drain| drain.remaining(now))
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
        /// The hook of the drain with this number begins, or ends.
        Begins(u64),
        Ended(u64),
        End(Ending),
        /// Seconds pass.
        Wait(u64),
    }
    use Ending::{Leaving, Restarting};
    use Step::{Begins, End, Ended, Healthy, Register, Unregister, Wait};

    const LEASE_SECONDS: u64 = 100;

    fn live(drain_seconds: u64, ready: bool, steps: &[Step]) -> (Lifecycle, Duration, Vec<Verdict>) {
        pass(Lifecycle::new(Duration::from_secs(drain_seconds), false, ready), steps)
    }

    fn pass(mut life: Lifecycle, steps: &[Step]) -> (Lifecycle, Duration, Vec<Verdict>) {
        let mut now = Duration::ZERO;
        let mut verdicts = Vec::new();
        for step in steps {
            match *step {
                Healthy => life.application_is_healthy(),
                Register(roster) => {
                    verdicts.push(life.register(now, roster, Duration::from_secs(LEASE_SECONDS)));
                }
                Unregister(roster, seconds) => {
                    verdicts.push(life.unregister(now, roster, Duration::from_secs(seconds), "a reason"));
                }
                Begins(number) => life.hook_begins(number),
                Ended(number) => life.hook_ended(number),
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

    #[test]
    fn a_hook_keeps_the_agent_busy_until_it_has_ended() {
        // drain time, steps, state, the drain whose hook is to run and the seconds that are left
        type Case = (u64, &'static [Step], State, Option<(u64, u64)>);
        let cases: &[Case] = &[
            (0, &[], State::Serving, None),
            (0, &[Unregister(1, 60)], State::Draining, Some((1, 60))),
            (0, &[Unregister(1, 60), Begins(1), Wait(20)], State::Draining, Some((1, 40))),
            (0, &[Unregister(1, 60), Begins(1), Ended(1)], State::Drained, None),
            // It cannot begin.
            (0, &[Unregister(1, 60), Ended(1)], State::Drained, None),
            // The drain's time, too, has to pass.
            (9, &[Unregister(1, 60), Begins(1), Ended(1), Wait(8)], State::Draining, None),
            (9, &[Unregister(1, 60), Begins(1), Wait(9)], State::Draining, Some((1, 51))),
            // A hook beyond the deadline is to be ended, and keeps the agent busy until it has.
            (0, &[Unregister(1, 60), Begins(1), Wait(60)], State::Draining, None),
            (0, &[Unregister(1, 60), Begins(1), Wait(60), Ended(1)], State::Drained, None),
            // One that has not begun by then never does, not even with more time later.
            (0, &[Unregister(1, 0)], State::Drained, None),
            (0, &[Unregister(1, 5), Wait(5)], State::Drained, None),
            (0, &[Unregister(1, 5), Wait(5), Unregister(1, 60)], State::Drained, None),
            (0, &[Unregister(1, 5), Begins(1), Wait(4), Unregister(1, 60)], State::Draining, Some((1, 56))),
            // A drain that is taken back has none, and one that begins anew has another.
            (0, &[Unregister(1, 60), Begins(1), Register(2)], State::Serving, None),
            (0, &[Unregister(1, 60), Begins(1), Register(2), Unregister(3, 60)], State::Draining, Some((2, 60))),
            // The end of another drain's hook is not its end.
            (
                0,
                &[Unregister(1, 60), Register(2), Unregister(3, 60), Begins(2), Ended(1)],
                State::Draining,
                Some((2, 60)),
            ),
            (0, &[Unregister(1, 60), Begins(1), Ended(1), Register(2), Ended(1)], State::Serving, None),
            // A late request changes nothing.
            (0, &[Unregister(2, 60), Begins(1), Register(1)], State::Draining, Some((1, 60))),
            // The end of the process is the hook's; that of the machine is what it is for.
            (0, &[Unregister(1, 60), Begins(1), End(Restarting)], State::Restarting, None),
            (0, &[Unregister(1, 60), Begins(1), End(Leaving)], State::Leaving, Some((1, 60))),
            (0, &[Unregister(1, 60), Begins(1), End(Leaving), End(Restarting)], State::Leaving, None),
        ];
        for (drain_time, steps, state, run) in cases {
            let (life, now, _) = pass(Lifecycle::new(Duration::from_secs(*drain_time), true, true), steps);
            assert_eq!(life.state(now), *state, "{steps:?}");
            let found = life.hook_run(now);
            assert!(found.iter().all(|run| run.reason == "a reason"));
            assert_eq!(found.map(|run| (run.drain, run.remaining.as_secs())), *run, "{steps:?}");
        }
    }
}
