//! Many schedules over several threads, and what they came to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use crate::fault::Tally;
use crate::schedule::Schedule;
use crate::shrink::shrink;
use crate::sim::{Outcome, run, tell};
use crate::story::Violation;

/// Schedules that failed and are told in full at most; the others are counted.
const TOLD: usize = 5;

/// A schedule that broke a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed: it repeats the run.
    pub seed: u64,
    /// What was broken first.
    pub violation: Violation,
    /// The smallest schedule that breaks the same rule, and what happens in it.
    pub story: Option<String>,
}

/// What many schedules came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Schedules that were run.
    pub schedules: u64,
    /// Schedules that broke a rule.
    pub violations: u64,
    /// Those of them in which a group did not come right once faults had stopped.
    pub unrecovered: u64,
    /// What the faults did.
    pub tally: Tally,
    /// The median of the port calls of a schedule.
    pub port_calls: u64,
    /// The first failures, by seed.
    pub failures: Vec<Failure>,
}

/// Runs the schedules of `seeds` on `threads` threads. `progress` is told after each, and ends the run by saying no.
pub fn simulate(seeds: &[u64], threads: usize, mut progress: impl FnMut(u64) -> bool) -> Summary {
    let next = AtomicU64::new(0);
    let go_on = AtomicBool::new(true);
    let (outcomes, received) = mpsc::channel::<Outcome>();
    let mut summary = Summary::default();
    let mut calls = Vec::new();
    let mut failed: Vec<(u64, Violation)> = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (outcomes, next, go_on) = (outcomes.clone(), &next, &go_on);
            scope.spawn(move || {
                while go_on.load(Ordering::Relaxed) {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                    let Some(seed) = seeds.get(at) else { break };
                    if outcomes.send(run(&Schedule::of(*seed))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(outcomes);
        for outcome in received {
            summary.schedules += 1;
            summary.tally.add(&outcome.tally);
            summary.unrecovered += u64::from(outcome.unrecovered);
            calls.push(outcome.port_calls);
            if let Some(violation) = outcome.violations.into_iter().next() {
                summary.violations += 1;
                failed.push((outcome.seed, violation));
            }
            if !progress(summary.schedules) {
                go_on.store(false, Ordering::Relaxed);
            }
        }
    });
    calls.sort_unstable();
    summary.port_calls = calls.get(calls.len() / 2).copied().unwrap_or_default();
    failed.sort_by_key(|(seed, _)| *seed);
    summary.failures = failed.into_iter().enumerate().map(|(nth, failure)| explain(failure, nth < TOLD)).collect();
    summary
}

fn explain((seed, violation): (u64, Violation), told: bool) -> Failure {
    let story = told.then(|| {
        let smallest = shrink(&Schedule::of(seed), violation.rule, None);
        let story = tell(&smallest, None).story.unwrap_or_default();
        format!("{smallest}{story}")
    });
    Failure { seed, violation, story }
}
