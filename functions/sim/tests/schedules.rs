//! Faulty schedules, drawn from seeds: no rule breaks, equal seeds give equal runs, and every kind of fault bites.

use muster_sim::{Fault, Schedule, kept, run, simulate, tell};

/// Schedules of one test run; `muster simulate` runs as many as somebody wants.
const SCHEDULES: u64 = 300;

fn assert_clean(seeds: &[u64]) -> muster_sim::Summary {
    let summary = simulate(seeds, 2, |_| true);
    for failure in &summary.failures {
        println!("seed {} breaks {}\n{}", failure.seed, failure.violation, failure.story.clone().unwrap_or_default());
    }
    assert_eq!((summary.violations, summary.unrecovered), (0, 0), "see the stories above");
    summary
}

#[test]
fn seeds_that_ever_failed_break_nothing_now() {
    let seeds: Vec<u64> = kept().map(|(seed, _)| seed).collect();
    assert!(!seeds.is_empty());
    assert_clean(&seeds);
}

#[test]
fn no_rule_breaks_and_every_fault_changes_an_outcome() {
    let seeds: Vec<u64> = (1_000_000..1_000_000 + SCHEDULES).collect();
    let summary = assert_clean(&seeds);
    assert!(summary.port_calls >= 300, "{} port calls in the median", summary.port_calls);
    let idle: Vec<Fault> = Fault::ALL.iter().copied().filter(|fault| summary.tally.changed(*fault) == 0).collect();
    assert_eq!(idle, Vec::new(), "a fault that never bit cannot pass for one survived");
}

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in 0..8 {
        let schedule = Schedule::of(seed);
        let (one, other, told) = (run(&schedule), run(&schedule), tell(&schedule, None));
        assert_eq!((one.digest, one.port_calls, one.tally), (other.digest, other.port_calls, other.tally));
        assert_eq!(one.digest, told.digest, "telling a story changes nothing");
        assert_eq!(one.history, other.history);
    }
}

#[test]
fn a_schedule_is_half_an_hour_of_five_members_or_more() {
    for seed in 0..200 {
        let schedule = Schedule::of(seed);
        assert!(schedule.calm.as_secs() >= 30 * 60);
        assert!(schedule.policy["min_instances"].as_u64() >= Some(5));
    }
}

#[test]
fn a_fault_left_out_takes_only_its_own_draws_with_it() {
    for seed in 0..50 {
        let schedule = Schedule::of(seed);
        for fault in schedule.faults() {
            let less = schedule.without(fault);
            assert!(!less.faults().contains(&fault));
            assert_eq!(less.faults().len() + 1, schedule.faults().len());
            assert!(less.script.iter().all(|happening| schedule.script.contains(happening)));
        }
    }
}
