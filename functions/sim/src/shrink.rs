//! A failing schedule is made as small as it will go: faults are left out one by one while the same rule breaks.

use crate::schedule::Schedule;
use crate::sim::{Outcome, run, run_weak};
use crate::weak::Weakness;

fn play(schedule: &Schedule, weakness: Option<Weakness>) -> Outcome {
    match weakness {
        None => run(schedule),
        Some(weakness) => run_weak(schedule, weakness),
    }
}

/// The smallest schedule found that breaks `rule`, by leaving out kinds of fault, then single happenings.
pub fn shrink(schedule: &Schedule, rule: &str, weakness: Option<Weakness>) -> Schedule {
    let breaks = |schedule: &Schedule| play(schedule, weakness).violations.iter().any(|found| found.rule == rule);
    let mut smallest = schedule.clone();
    for fault in schedule.faults() {
        let less = smallest.without(fault);
        if breaks(&less) {
            smallest = less;
        }
    }
    for happening in schedule.script.iter().rev() {
        let mut less = smallest.clone();
        less.script.retain(|kept| kept != happening);
        if less.script.len() < smallest.script.len() && breaks(&less) {
            smallest = less;
        }
    }
    smallest
}
