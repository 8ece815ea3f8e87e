//! All that changes while the agent runs, in one place and behind one lock.
//!
//! The sampler and the application's probe write it, the service reads it and writes the
//! [`Lifecycle`]. Nobody holds the lock across an `await`.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_proto::v1::{ApplicationHealth, State, Status};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::application::Application;
use crate::lifecycle::{Ending, HookRun, Lifecycle};
use crate::ring::{Ring, Sample};
use crate::signals::Signals;

/// The agent as its callers know it.
#[derive(Debug)]
pub struct Agent {
    boot_id: String,
    started: Instant,
    protected_file: Option<PathBuf>,
    facts: Mutex<Facts>,
    /// Told after every change that can matter to the drain hook.
    hook: Notify,
}

/// What changes.
#[derive(Debug)]
pub struct Facts {
    /// Where the agent is in its life.
    pub lifecycle: Lifecycle,
    /// What was measured.
    pub ring: Ring,
    /// What the application has said.
    pub signals: Signals,
    application: Application,
    answers: u64,
}

impl Facts {
    /// The state at `now`: a drain has not ended while the application says that it is busy.
    #[must_use]
    pub fn state(&self, now: Duration) -> State {
        match self.lifecycle.state(now) {
            State::Drained if self.signals.is_busy(now) => State::Draining,
            state => state,
        }
    }
}

impl Agent {
    /// An agent that starts now. `boot_id` must differ from that of every other start. While `protected_file` exists, the
    /// agent says that its instance is protected.
    #[must_use]
    pub fn new(boot_id: String, lifecycle: Lifecycle, protected_file: Option<PathBuf>) -> Self {
        let (ring, application) = (Ring::default(), Application::Unknown);
        let facts = Mutex::new(Facts { lifecycle, ring, signals: Signals::default(), application, answers: 0 });
        Self { boot_id, started: Instant::now(), protected_file, facts, hook: Notify::new() }
    }

    /// The facts, for as long as the guard lives.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        // Every change is complete in itself, so a panic elsewhere leaves nothing half done.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the agent's start: the only clock that it has.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// One value for the life of the process.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// The state at this moment.
    #[must_use]
    pub fn state(&self) -> State {
        self.facts().state(self.now())
    }

    /// Adds a sample, with what the application says at this moment.
    pub fn sample(&self, sample: Sample) {
        let now = self.now();
        let mut facts = self.facts();
        let signals = facts.signals.sample(now);
        facts.ring.push(now, sample, signals);
    }

    /// The end is near.
    pub fn end(&self, ending: Ending) {
        self.facts().lifecycle.end(ending);
        self.tell_hook();
    }

    /// The run of the drain hook that this moment asks for.
    #[must_use]
    pub fn hook_run(&self) -> Option<HookRun> {
        self.facts().lifecycle.hook_run(self.now())
    }

    /// Returns when [`Self::hook_run`] may have changed since the last call, time aside. For one waiter.
    pub async fn hook_changed(&self) {
        self.hook.notified().await;
    }

    /// Says that [`Self::hook_run`] may have changed.
    pub fn tell_hook(&self) {
        self.hook.notify_one();
    }

    /// Whether the instance asks to be spared by scale-in. Asked anew for every answer: it costs about a microsecond, and
    /// nobody has to wait for an answer that is right.
    fn is_protected(&self) -> bool {
        // A file that cannot be looked at may be there: the safe side is to lose no machine.
        self.protected_file.as_ref().is_some_and(|file| fs::exists(file).unwrap_or(true))
    }

    /// Notes what a probe of the application has found.
    pub fn observe(&self, application: Application) {
        let mut facts = self.facts();
        if application == Application::Healthy {
            facts.lifecycle.application_is_healthy();
        }
        facts.application = application;
    }

    /// What every answer begins with; counts the answer.
    pub fn status(&self, facts: &mut Facts, now: Duration) -> Status {
        facts.answers += 1;
        let (application, detail) = match &facts.application {
            Application::Unknown => (ApplicationHealth::Unspecified, String::new()),
            Application::Healthy => (ApplicationHealth::Healthy, String::new()),
            Application::Failing(reason) => (ApplicationHealth::Failing, reason.to_string()),
        };
        Status {
            boot_id: self.boot_id.clone(),
            sequence: facts.answers,
            state: facts.state(now).into(),
            application: application.into(),
            application_detail: detail,
            roster: facts.lifecycle.roster(),
            lease_remaining_ms: millis(facts.lifecycle.lease_remaining(now)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: millis(now),
            protected: self.is_protected() || facts.signals.is_protected(now),
        }
    }
}

/// Whole milliseconds, as answers carry them.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
