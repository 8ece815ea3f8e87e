//! The run in numbers, counted from what was said and written.

use std::collections::BTreeMap;
use std::fmt;

use muster_control::activity::Event;
use muster_core::intent::Cause;
use serde::{Deserialize, Serialize};

use super::faults::Injected;
use super::line::Line;

/// A run in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Sweeps that were written.
    pub sweeps: u64,
    /// Decisions that were claimed.
    pub decisions: u64,
    /// Launches after the first `min_instances`, replacements included.
    pub launched: u64,
    /// Terminations; the end of the run is none.
    pub terminated: u64,
    /// Members that were unhealthy, lost or never answered, and were ended or closed for it.
    pub replaced: u64,
    /// Most members in service at a time.
    pub peak_in_service: u32,
    /// Members in service at the last decision.
    pub final_in_service: u32,
    /// From intent to first answer; none when nobody joined.
    pub boot_seconds_mean: Option<f64>,
    /// Faults that were injected, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<Injected, u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boot = self.boot_seconds_mean.map_or("-".to_owned(), |mean| format!("{mean:.1} s"));
        write!(
            f,
            "{} sweeps, {} decisions, {} launched, {} terminated, {} replaced, peak {} in service, {} at the end, mean boot {boot}",
            self.sweeps,
            self.decisions,
            self.launched,
            self.terminated,
            self.replaced,
            self.peak_in_service,
            self.final_in_service
        )?;
        match self.faults.values().sum::<u64>() {
            0 => Ok(()),
            faults => write!(f, ", {faults} faults injected"),
        }
    }
}

impl Summary {
    /// Counts a line. Actions are counted from the store at the end: a process may be killed before it says them.
    pub fn count_line(&mut self, line: &Line) {
        match line {
            Line::Sweep(_) => self.sweeps += 1,
            Line::Decision { report, .. } => {
                self.decisions += 1;
                self.peak_in_service = self.peak_in_service.max(report.counts.in_service);
                self.final_in_service = report.counts.in_service;
            }
            Line::Fault { fault, .. } => *self.faults.entry(*fault).or_default() += 1,
            Line::World { .. }
            | Line::Process { .. }
            | Line::Instance { .. }
            | Line::Action { .. }
            | Line::Notice { .. }
            | Line::Summary(_) => {}
        }
    }

    /// Counts what the store says has been done. `first` launches filled the group at the start.
    pub fn count_events<'a>(&mut self, events: impl Iterator<Item = &'a Event>, first: u32) {
        let mut boots = Vec::new();
        for event in events {
            match event {
                Event::Launched { .. } => self.launched += 1,
                Event::Terminated { cause, .. } => {
                    self.terminated += 1;
                    self.replaced += u64::from(matches!(cause, Cause::Unhealthy | Cause::BootTimeout));
                }
                Event::Lost { .. } => self.replaced += 1,
                Event::Joined { boot_ms, .. } => boots.push(*boot_ms as f64 / 1000.0),
                Event::Decision { .. }
                | Event::Abandoned { .. }
                | Event::Draining { .. }
                | Event::TakenBack { .. }
                | Event::Disowned { .. }
                | Event::PolicyAccepted { .. }
                | Event::PolicyRefused { .. } => {}
            }
        }
        self.launched = self.launched.saturating_sub(u64::from(first));
        self.boot_seconds_mean = (!boots.is_empty()).then(|| boots.iter().sum::<f64>() / boots.len() as f64);
    }
}
