//! Under `--faults` the controller and the monitor are killed now and then: the part of the faults that `muster up` injects
//! itself, and the word that they are over.

use std::time::Duration;

use tokio::time::Instant;

use super::faults::FaultArgs;
use super::supervisor::Role;

/// Who is killed, and when.
#[derive(Debug)]
pub struct Kills {
    faults: FaultArgs,
    random: fastrand::Rng,
    next: Option<Instant>,
    /// When everything goes well again; none: never.
    over: Option<Instant>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// This process is to be killed.
    Kill(Role),
    /// From now on nothing is injected.
    Over,
}

impl Kills {
    /// Kills as `faults` asks for, from now on and for `lasts`.
    pub fn new(faults: FaultArgs, lasts: Option<Duration>) -> Self {
        let random = fastrand::Rng::with_seed(faults.faults_seed);
        let over = lasts.filter(|_| faults.now().is_some()).map(|lasts| Instant::now() + lasts);
        let mut kills = Self { faults, random, next: None, over };
        kills.plan();
        kills
    }

    fn plan(&mut self) {
        let every = self.faults.now().map(|intensity| intensity.kills_every_ms);
        self.next = every.map(|every| Instant::now() + Duration::from_millis(self.random.u64(every)));
    }

    /// What a process that is started now is told: each has a seed of its own, so that one that was killed does not meet the
    /// same faults again.
    pub fn faults_of_next(&mut self) -> FaultArgs {
        FaultArgs { faults_seed: self.random.u64(..), ..self.faults.clone() }
    }

    /// Ends when something is due.
    pub async fn due(&self) {
        match self.next.into_iter().chain(self.over).min() {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// What is due now.
    pub fn take(&mut self) -> Option<Due> {
        let now = Instant::now();
        if self.over.is_some_and(|over| now >= over) {
            (self.next, self.over) = (None, None);
            return Some(Due::Over);
        }
        self.next.filter(|next| now >= *next)?;
        self.plan();
        Some(Due::Kill(if self.random.bool() { Role::Controller } else { Role::Monitor }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::faults::Level;

    fn kills(faults: Level, lasts: Option<Duration>) -> Kills {
        Kills::new(FaultArgs { faults, faults_until_ms: u64::MAX, faults_seed: 7 }, lasts)
    }

    #[tokio::test(start_paused = true)]
    async fn processes_are_killed_until_it_is_over() {
        let mut kills = kills(Level::Rough, Some(Duration::from_secs(60)));
        let mut killed = 0;
        let due = loop {
            kills.due().await;
            match kills.take() {
                Some(Due::Kill(role)) => {
                    assert_ne!(role, Role::Fleet);
                    killed += 1;
                }
                due => break due,
            }
        };
        assert_eq!(due, Some(Due::Over));
        assert!((60 / 8..=60 / 3).contains(&killed), "{killed} kills in a minute");
        assert!(kills.next.is_none() && kills.over.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn without_faults_nothing_is_ever_due() {
        let kills = kills(Level::None, Some(Duration::from_secs(1)));
        let waited = tokio::time::timeout(Duration::from_secs(3600), kills.due()).await;
        assert!(waited.is_err());
    }
}
