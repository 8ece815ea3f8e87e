//! All that changes while the agent runs, in one place and behind one lock.
//!
//! The sampler and the application's probe write it, the service reads it and writes the
//! [`Lifecycle`]. Nobody holds the lock across an `await`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use muster_proto::v1::{ApplicationHealth, State, Status};

use crate::application::Application;
use crate::lifecycle::Lifecycle;
use crate::ring::Ring;

/// The agent as its callers know it.
#[derive(Debug)]
pub struct Agent {
    boot_id: String,
    started: Instant,
    facts: Mutex<Facts>,
}

/// What changes.
#[derive(Debug)]
pub struct Facts {
    /// Where the agent is in its life.
    pub lifecycle: Lifecycle,
    /// What was measured.
    pub ring: Ring,
    application: Application,
    answers: u64,
}

impl Agent {
    /// An agent that starts now. `boot_id` must differ from that of every other start.
    #[must_use]
    pub fn new(boot_id: String, lifecycle: Lifecycle) -> Self {
        let (ring, application) = (Ring::default(), Application::Unknown);
        let facts = Mutex::new(Facts { lifecycle, ring, application, answers: 0 });
        Self { boot_id, started: Instant::now(), facts }
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
        self.facts().lifecycle.state(self.now())
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
            state: facts.lifecycle.state(now).into(),
            application: application.into(),
            application_detail: detail,
            roster: facts.lifecycle.roster(),
            lease_remaining_ms: millis(facts.lifecycle.lease_remaining(now)),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: millis(now),
        }
    }
}

/// Whole milliseconds, as answers carry them.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
