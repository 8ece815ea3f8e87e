//! The local world with its processes killed at named points and at random ones: nothing is doubled, nothing is lost.

mod support;

use std::time::Duration;

use muster_core::time::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};
use support::{World, assert_whole, directory, ledger, policy, policy_file, signal};

/// A world over the same state makes the group whole again, within 30 s of its own clock.
fn resume_and_recover(args: &[&str], state: &str, n: u64) -> (Value, Vec<Value>) {
    let mut world = World::up(args);
    let time =
        |line: &Value, kind: &str| -> Timestamp { serde_json::from_value(line[kind]["at"].clone()).expect("a time") };
    let first = world.until("the first sweep", |line| line.get("sweep").is_some());
    assert_whole(&mut world, state, n);
    let settled = world.seen.iter().rev().find(|line| line.get("decision").is_some()).expect("a decision");
    let took = time(settled, "decision").since(time(&first, "sweep"));
    assert!(took <= Duration::from_secs(30), "it took {took:?}");
    world.end()
}

/// Starts a world whose controller is killed at `point`, and gives it back once that has happened.
fn crashed_at(point: &str, state: &str, policy: &str, provoke: impl FnOnce(&mut World)) -> World {
    let args = ["--scenario", "calm", "--state", state, "--policy", policy];
    let mut world = World::up_with(&args, &[("MUSTER_CRASH_AT", point)]);
    provoke(&mut world);
    world.until("the controller's death", |line| {
        line["process"]["name"] == "controller" && line["process"]["ended"].to_string().contains("signal: 9")
    });
    world
}

#[test]
fn l1_killed_between_claim_and_launch_the_launches_are_made_up_for_once() {
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let policy = policy_file(files.path(), json!({})).display().to_string();
    let mut world = crashed_at("claim-launch", &state, &policy, |_| {});
    assert_whole(&mut world, &state, 2);
    let (summary, _) = world.end();
    assert_eq!((&summary["launched"], &summary["terminated"]), (&json!(0), &json!(0)), "{summary}");
}

#[test]
fn l1_claimed_launches_outlive_the_whole_world() {
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let policy = policy_file(files.path(), json!({})).display().to_string();
    crashed_at("claim-launch", &state, &policy, |_| {}).kill();
    let args = ["--scenario", "calm", "--state", &state, "--policy", &policy];
    let (summary, _) = resume_and_recover(&args, &state, 2);
    assert_eq!((&summary["launched"], &summary["terminated"]), (&json!(0), &json!(0)), "{summary}");
    assert_eq!(ledger(&state).1.len(), 2, "two launches were wanted, and two were made");
}

#[test]
fn l1_killed_between_launch_and_settle_no_instance_is_doubled_or_lost() {
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let policy = policy_file(files.path(), json!({})).display().to_string();
    let world = crashed_at("launch-settle", &state, &policy, |_| {});
    // This time everything dies before the lease has ended, and another world takes over.
    world.kill();
    let args = ["--scenario", "calm", "--state", &state, "--policy", &policy];
    let (summary, lines) = resume_and_recover(&args, &state, 2);
    assert_eq!(summary["launched"], 0, "{summary}");
    assert!(lines.iter().all(|line| line["action"]["kind"] != "terminated"));
    assert_eq!(ledger(&state).1.len(), 2, "two launches were wanted, and two were made");
}

#[test]
fn d3_killed_between_drain_and_terminate_the_drained_member_still_goes() {
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let file = policy_file(files.path(), json!({"min_instances": 3}));
    let path = file.display().to_string();
    let mut world = crashed_at("drain-terminate", &state, &path, |world| {
        world.until_settled(3);
        std::fs::write(&file, policy(json!({"min_instances": 2, "max_instances": 2}))).expect("an edit");
        world.until_action("draining");
    });
    assert_whole(&mut world, &state, 2);
    let (summary, _) = world.end();
    assert_eq!(summary["terminated"], 1, "{summary}");
}

#[test]
fn whoever_is_killed_at_random_moments_the_group_is_what_it_should_be() {
    let seed =
        std::env::var("MUSTER_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("MUSTER_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let policy = policy_file(files.path(), json!({"min_instances": 3})).display().to_string();
    let args = ["--scenario", "calm", "--state", &state, "--policy", &policy];
    let mut world = World::up(&args);
    for round in 0..5 {
        // A random number of lines later is a random moment of the world's life.
        let mut lines = random.u32(1..25);
        world.until("a random moment", |_| {
            lines -= 1;
            lines == 0
        });
        let victim = ["controller", "monitor", "fleet", "muster up"][random.usize(0..4)];
        println!("round {round}: kill -9 {victim}");
        if victim == "muster up" {
            world.kill();
            world = World::up(&args);
        } else {
            let pid = world.process(victim);
            signal(pid, Signal::KILL);
            world.until("its start", |line| {
                line["process"]["name"] == victim && line["process"]["ended"].is_null() && line["process"]["pid"] != pid
            });
        }
    }
    world.kill();
    resume_and_recover(&args, &state, 3);
}

#[test]
fn a_stopped_controller_does_not_stop_the_sweeps() {
    let mut world = World::up(&["--scenario", "calm"]);
    world.until_settled(2);
    let controller = world.process("controller");
    signal(controller, Signal::STOP);
    let mut sweeps = 0;
    world.until("more sweeps than a doorbell holds", |line| {
        sweeps += u32::from(line.get("sweep").is_some());
        sweeps >= 15
    });
    signal(controller, Signal::CONT);
    world.until_settled(2);
    let (summary, _) = world.end();
    assert_eq!(summary["terminated"], 0, "{summary}");
}

#[test]
fn a_panic_and_sigterm_leave_no_process_behind() {
    let world = World::up_with(&["--scenario", "calm"], &[("MUSTER_CRASH_AT", "up-panic")]);
    let status = world.wait();
    assert_eq!(status.code(), Some(101), "a panic's own exit code");
    let mut world = World::up(&["--scenario", "calm"]);
    world.until("an agent", |line| line.get("instance").is_some());
    signal(world.pid(), Signal::TERM);
    let (summary, _) = world.summary();
    assert_eq!(summary["terminated"], 0, "the end of the run terminates nobody: {summary}");
}
