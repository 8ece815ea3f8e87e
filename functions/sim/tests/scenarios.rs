//! The cases that an operator fears, each played from its first minute to its last, with its numbers.

use std::time::Duration;

use muster_core::intent::Cause;
use muster_sim::{Demand, Done, Fault, Outcome, Schedule, run, tell};
use serde_json::{Value, json};

const MINUTE: u64 = 60;

/// A group at 50 % of load each, with the product's own defaults for everything that decides about health, for so many minutes.
fn group(members: u32, max: u32, minutes: u64) -> Schedule {
    let policy = json!({
        "min_instances": members, "max_instances": max, "warm_up": "60s",
        "health": { "grace_period": "300s", "unhealthy_after": "60s", "boot_timeout": "600s" },
        "drain": { "timeout": "120s" },
    });
    Schedule::quiet(1, policy, Demand::constant(50.0 * f64::from(members)), Duration::from_secs(minutes * MINUTE))
}

/// Runs it; no rule may break on the way.
fn played(schedule: &Schedule) -> Outcome {
    let outcome = run(schedule);
    if let Some(violation) = outcome.violations.first() {
        panic!("{violation}\n{}", tell(schedule, None).story.unwrap_or_default());
    }
    outcome
}

fn blackout(minutes: u64) {
    let end = (10 + minutes) * MINUTE;
    // The monitor does not know that it is cut off: silence is all that it sees.
    // It ends when faults stop, so that V6 is judged, too.
    let schedule = group(10, 15, 10 + minutes).at(Fault::BlackoutAll, 10 * MINUTE, end, 1);
    let outcome = played(&schedule);
    assert_eq!(outcome.history.terminated().count(), 0, "terminations, {minutes} minutes");
    assert_eq!(outcome.history.drained().count(), 0, "drains, {minutes} minutes");
    let launched = outcome.history.deeds.iter().filter(|deed| matches!(deed.done, Done::Launched(_))).count();
    assert_eq!(launched, 10, "nobody is launched beside the first ten");
}

#[test]
fn h3_a_total_blackout_of_1_minute_ends_nobody() {
    blackout(1);
}

#[test]
fn h3_a_total_blackout_of_5_minutes_ends_nobody() {
    blackout(5);
}

#[test]
fn h3_a_total_blackout_of_20_minutes_ends_nobody() {
    blackout(20);
}

#[test]
fn h3_a_total_blackout_of_60_minutes_ends_nobody() {
    blackout(60);
}

#[test]
fn v4_of_49_percent_truly_dead_all_are_replaced_within_an_hour() {
    let dead = 49;
    let mut schedule = group(100, 120, 16);
    for n in 0..dead {
        schedule = schedule.at(Fault::Dead, 15 * MINUTE, 15 * MINUTE, 7 + n * 5);
    }
    let outcome = played(&schedule);
    let ended: Vec<_> = outcome.history.terminated().collect();
    let healthy = ended.iter().filter(|deed| matches!(deed.done, Done::Terminated { healthy: true, .. })).count();
    let last = ended.iter().map(|deed| deed.at).max().unwrap_or_default();
    assert_eq!((ended.len(), healthy), (49, 0), "the dead, and nobody else");
    assert!(last <= Duration::from_secs(75 * MINUTE), "the last is replaced {last:?} after the start");
}

#[test]
fn l9_a_bad_image_is_launched_three_times_and_nobody_healthy_goes() {
    let (from, until) = (10 * MINUTE, 40 * MINUTE);
    let mut schedule = group(10, 20, 41).at(Fault::BadImage, from, until, 0);
    // The load doubles, and members are lost: all of that asks for launches.
    schedule.demand = Demand(vec![
        (Duration::ZERO, 500.0),
        (Duration::from_secs(from), 500.0),
        (Duration::from_secs(from + 1), 900.0),
    ]);
    for n in 0..3 {
        schedule = schedule.at(Fault::HandTerminate, from + 30 + n, from + 30 + n, n);
    }
    let outcome = played(&schedule);
    let bad = |deed: &&muster_sim::Deed| deed.done == Done::Launched(2);
    let early = Duration::from_secs(from + 15 * MINUTE);
    let launched = outcome.history.deeds.iter().filter(bad).filter(|deed| deed.at <= early).count();
    assert!((1..=3).contains(&launched), "{launched} launches from the bad image within 15 minutes");
    let healthy = outcome.history.terminated().filter(|deed| {
        deed.at <= Duration::from_secs(until) && matches!(deed.done, Done::Terminated { healthy: true, .. })
    });
    assert_eq!(healthy.count(), 0, "healthy members removed");
}

#[test]
fn l4_eight_hours_without_capacity_leave_the_group_as_it_is() {
    let (from, hours) = (10 * MINUTE, 8 * 60 * MINUTE);
    // Nothing anywhere: see the model of EC2.
    let mut schedule = group(6, 30, 10 + 8 * 60).at(Fault::Capacity, from, from + hours, 12);
    schedule.demand = Demand(vec![
        (Duration::ZERO, 300.0),
        (Duration::from_secs(from), 300.0),
        (Duration::from_secs(from + 60), 480.0),
    ]);
    let outcome = played(&schedule);
    let gone = outcome.history.terminated().chain(outcome.history.drained());
    assert_eq!(gone.count(), 0, "members let go");
    let highest = outcome.history.sizes.iter().map(|size| size.desired).max();
    assert_eq!(highest, Some(12), "one doubling, however often the order fails");
    let whole = outcome.history.sizes.iter().find(|size| size.healthy == 12).map(|size| size.at);
    let within = Duration::from_secs(from + hours + 15 * MINUTE);
    assert!(whole.is_some_and(|at| at <= within), "full size at {whole:?}, not later than {within:?}");
}

#[test]
fn h6_an_upgrade_of_every_agent_drains_nobody() {
    let schedule = group(12, 20, 25).at(Fault::Upgrade, 10 * MINUTE, 15 * MINUTE, 0);
    let outcome = played(&schedule);
    let gone = outcome.history.terminated().chain(outcome.history.drained());
    assert_eq!(gone.count(), 0, "members let go");
}

/// A maximum lowered to 5 lets nobody go faster than the policy's pace.
#[test]
fn f8_a_max_lowered_from_20_to_5_is_paced() {
    let pace = |at_least: u32| -> Value {
        json!({"in_window": "300s", "max_in_per_window": {"percent": 0, "at_least": at_least}})
    };
    let mut schedule = group(5, 20, 60).edit(15 * MINUTE, json!({"min_instances": 5, "max_instances": 5}));
    schedule.policy["min_instances"] = json!(20);
    schedule = schedule.edit(0, pace(3));
    schedule.demand = Demand::constant(200.0);
    let outcome = played(&schedule);
    let begun: Vec<Duration> = outcome.history.drained().map(|deed| deed.at).collect();
    assert_eq!(begun.len(), 15, "15 of 20 go");
    for (n, from) in begun.iter().enumerate() {
        let window = begun[n..].iter().take_while(|at| **at < *from + Duration::from_secs(296)).count();
        assert!(window <= 3, "{window} drains within five minutes of {from:?}");
    }
    assert!(
        outcome.history.terminated().all(|deed| matches!(deed.done, Done::Terminated { cause: Cause::Bounds, .. }))
    );
}

/// The load falls and the maximum, too: whoever is protected stays nevertheless, whoever is not goes.
#[test]
fn d2_the_protected_stay() {
    let mut schedule = group(5, 12, 30).edit(10 * MINUTE, json!({"min_instances": 5, "max_instances": 6}));
    schedule.policy["min_instances"] = json!(10);
    schedule.demand = Demand::constant(50.0);
    let gone = |schedule: &Schedule| played(schedule).history.drained().filter(|d| d.at < schedule.calm).count();
    assert_eq!(gone(&schedule), 5, "nobody is protected");
    schedule.protected = 1.0;
    assert_eq!(gone(&schedule), 0, "everybody is");
}

/// A group is emptied, and filled again: everybody drains first, nobody comes meanwhile, and the minimum is back at once.
#[test]
fn z7_a_group_is_emptied_and_filled_again() {
    let wide = json!({"percent": 10_000, "at_least": 10_000});
    let none = json!({"min_instances": 0, "max_instances": 0, "max_in_per_window": wide});
    let back = json!({"min_instances": 2, "max_instances": 5});
    let mut schedule = group(5, 12, 40).edit(10 * MINUTE, none).edit(20 * MINUTE, back);
    schedule.demand = Demand::constant(100.0);
    let outcome = played(&schedule);
    let minutes = |from: u64, to: u64| Duration::from_secs(from * MINUTE)..Duration::from_secs(to * MINUTE);
    let drained: Vec<Duration> = outcome.history.drained().map(|deed| deed.at).collect();
    assert!(drained.len() == 5 && drained.iter().all(|at| minutes(10, 11).contains(at)), "{drained:?}");
    let ended: Vec<Duration> = outcome.history.terminated().map(|deed| deed.at).collect();
    assert!(ended.len() == 5 && ended.iter().all(|at| minutes(10, 14).contains(at)), "{ended:?}");
    let launched = outcome.history.deeds.iter().filter(|deed| matches!(deed.done, Done::Launched(_)));
    let launched: Vec<Duration> =
        launched.map(|deed| deed.at).filter(|at| *at > Duration::from_secs(9 * MINUTE)).collect();
    assert!(launched.len() == 2 && launched.iter().all(|at| minutes(20, 21).contains(at)), "{launched:?}");
}

/// Whoever was drained for an operator, and whoever was let go for any other reason.
fn for_operator(outcome: &Outcome) -> (usize, usize) {
    let drained = outcome.history.drained().filter(|deed| deed.done == Done::Drained(Cause::Operator)).count();
    (drained, outcome.history.drained().count() - drained)
}

#[test]
fn d8_whom_an_operator_marks_goes_below_max_and_at_max_and_nobody_else_does() {
    for max in [15, 10] {
        let mut schedule = group(8, max, 31);
        if max == 10 {
            schedule.policy["min_instances"] = json!(8);
            schedule.demand = Demand::constant(600.0);
        }
        for n in 0..3 {
            // The mark stays: nobody takes it off.
            schedule = schedule.at(Fault::HandDrain, 12 * MINUTE, 13 * MINUTE, 1 + n * 3);
        }
        let outcome = played(&schedule);
        let (marked, others) = for_operator(&outcome);
        assert_eq!((marked, others), (3, 0), "at most {max}: {:?}", outcome.history.deeds);
        let sizes = outcome.history.sizes.iter().filter(|size| size.at >= Duration::from_secs(12 * MINUTE));
        let least = sizes.map(|size| size.healthy).min();
        assert!(least >= Some(8), "at most {max}: {least:?} healthy members were left");
    }
}

#[test]
fn d8_d4_a_mark_that_is_taken_off_in_time_takes_its_drain_back() {
    let mut schedule = group(8, 15, 31).rate(Fault::Busy, 1.0).at(Fault::HandDrain, 12 * MINUTE, 20 * MINUTE, 3);
    schedule.policy["drain"] = json!({"timeout": "30m"});
    let outcome = played(&schedule);
    let (marked, others) = for_operator(&outcome);
    assert_eq!((marked, others), (1, 1), "somebody else goes in its place: {:?}", outcome.history.deeds);
    let marked = outcome.history.drained().next().map(|deed| deed.id.clone());
    assert!(outcome.history.terminated().all(|deed| Some(&deed.id) != marked.as_ref()), "{:?}", outcome.history.deeds);
}
