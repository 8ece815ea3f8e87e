//! The agents on the instances: what each would answer, and why it does not.

use std::time::Duration;

use muster_control::ports::{Order, Target};
use muster_core::health::{AgentState, Answer, Application, Observation};
use muster_core::time::Timestamp;

use crate::fault::Fault;

/// How much text a flooding agent sends.
const FLOOD: usize = 2_000;

/// One agent.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) zone: String,
    /// When it answers first; none: never.
    pub(crate) boots_at: Option<Timestamp>,
    /// Why it boots late or never.
    pub(crate) boots_badly: Option<Fault>,
    /// Dead for good, since.
    pub(crate) dead_since: Option<Timestamp>,
    /// Silent, failing, lying, until; each with the happening that it comes from.
    pub(crate) silent: Option<(Timestamp, Fault, usize)>,
    pub(crate) failing: Option<(Timestamp, usize)>,
    pub(crate) lie: Option<(Timestamp, usize, u64)>,
    /// About to be stopped for an upgrade, from ... until it is back.
    pub(crate) upgrade: Option<(Timestamp, Timestamp, usize)>,
    pub(crate) leaving: bool,
    pub(crate) protected: bool,
    boot: u32,
    roster: u64,
    pub(crate) draining_since: Option<Timestamp>,
    /// How long it takes to drain; none: it never does.
    pub(crate) drains_in: Option<Duration>,
    pub(crate) answered_once: bool,
}

impl Agent {
    pub(crate) fn new(zone: &str, boots_at: Option<Timestamp>, drains_in: Option<Duration>) -> Self {
        Self {
            zone: zone.to_owned(),
            boots_at,
            boots_badly: None,
            dead_since: None,
            silent: None,
            failing: None,
            lie: None,
            upgrade: None,
            leaving: false,
            protected: false,
            boot: 1,
            roster: 0,
            draining_since: None,
            drains_in,
            answered_once: false,
        }
    }

    pub(crate) fn booted(&self, now: Timestamp) -> bool {
        self.boots_at.is_some_and(|at| at <= now)
    }

    /// Whether it takes a share of the load.
    pub(crate) fn works(&self, now: Timestamp) -> bool {
        self.booted(now) && self.dead_since.is_none() && self.draining_since.is_none()
    }

    /// Why it would not answer now though its instance runs, if it would not.
    pub(crate) fn silence(&self, now: Timestamp) -> Option<(Option<Fault>, usize)> {
        if !self.booted(now) {
            return Some((self.boots_badly, 0));
        }
        if self.dead_since.is_some() {
            return Some((Some(Fault::Dead), 0));
        }
        match self.silent {
            Some((until, fault, number)) if now < until => return Some((Some(fault), number)),
            _ => {}
        }
        match self.upgrade {
            Some((from, until, number)) if from.plus(Duration::from_secs(5)) <= now && now < until => {
                Some((Some(Fault::Upgrade), number))
            }
            _ => None,
        }
    }

    /// Its answer to an order. `load` is its true share.
    pub(crate) fn answer(&mut self, target: &Target, now: Timestamp, load: f64) -> Observation {
        if let Some((_, until, _)) = self.upgrade
            && now >= until
        {
            self.upgrade = None;
            self.boot += 1;
            (self.roster, self.draining_since) = (0, None);
        }
        let unregistered = self.obey(&target.order, now);
        self.answered_once = true;
        let drained =
            self.draining_since.is_some_and(|since| self.drains_in.is_some_and(|span| now.since(since) >= span));
        let restarts = self.upgrade.is_some_and(|(from, ..)| from <= now);
        let state = match (self.leaving, restarts, self.draining_since) {
            (true, ..) => AgentState::Leaving,
            (_, true, _) => AgentState::Restarting,
            (_, _, Some(_)) if drained => AgentState::Drained,
            (_, _, Some(_)) => AgentState::Draining,
            (_, _, None) => AgentState::Serving,
        };
        let application = match self.failing {
            Some((until, _)) if now < until => Application::Failing { detail: "x".repeat(FLOOD) },
            _ => Application::Healthy,
        };
        Observation::Answered(Answer {
            received_at: now,
            boot_id: format!("boot-{}", self.boot),
            version: "0.1.0".into(),
            state,
            application,
            load: Some(self.says(now, load)),
            cursor: target.cursor + 1,
            unregistered,
            protected: self.protected,
            signals: Default::default(),
        })
    }

    /// Takes the order, unless its roster is older than one that it has seen. Says whether it was an `Unregister`.
    fn obey(&mut self, order: &Order, now: Timestamp) -> bool {
        match order {
            Order::Register { roster, .. } if roster.0 >= self.roster => {
                self.roster = roster.0;
                self.draining_since = None;
                false
            }
            Order::Unregister { roster, .. } if roster.0 >= self.roster => {
                self.roster = roster.0;
                self.draining_since = self.draining_since.or(Some(now));
                true
            }
            Order::Look | Order::Register { .. } | Order::Unregister { .. } => false,
        }
    }

    /// The load that it tells: its own, or a lie.
    fn says(&self, now: Timestamp, load: f64) -> f64 {
        match self.lie {
            Some((until, _, kind)) if now < until => match kind % 7 {
                0 => f64::NAN,
                1 => 1e300,
                2 => -5.0,
                3 => 1_000.0,
                4 => 0.0,
                5 => 100.0,
                _ => f64::INFINITY,
            },
            _ => load,
        }
    }
}
