//! The local world with its processes killed at named points and at random ones: nothing is doubled, nothing is lost.

mod support;

use std::path::Path;
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

/// Starts a world whose controller is killed at `points`, one after the other, and gives it back once that has happened.
fn crashed_at(points: &str, state: &str, policy: &str, provoke: impl FnOnce(&mut World)) -> World {
    let args = ["--scenario", "calm", "--state", state, "--policy", policy];
    let mut world = World::up_with(&args, &[("MUSTER_CRASH_AT", points)]);
    provoke(&mut world);
    for point in points.split(',') {
        world.until(&format!("the controller's death at {point}"), |line| {
            line["process"]["name"] == "controller" && line["process"]["ended"].to_string().contains("signal: 9")
        });
    }
    world
}

/// A saga, told with a death at each of its steps.
struct Saga {
    points: &'static str,
    /// The policy at first.
    policy: Value,
    /// What sets the saga off; it is given the policy's file.
    provoke: fn(&mut World, &Path),
    /// How many members there are in the end, and how many instances there ever were.
    members: u64,
    launched: usize,
    terminated: u64,
}

/// The controller dies at each point and is started again: the saga ends as it would have, and nobody is doubled or leaked.
fn assert_survived(saga: &Saga) {
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let file = policy_file(files.path(), saga.policy.clone());
    let path = file.display().to_string();
    let mut world = crashed_at(saga.points, &state, &path, |world| (saga.provoke)(world, &file));
    assert_whole(&mut world, &state, saga.members);
    let (summary, _) = world.end();
    assert_eq!(summary["terminated"], saga.terminated, "{summary}");
    assert_eq!(ledger(&state).1.len(), saga.launched, "instances ever launched");
}

#[test]
fn l1_killed_at_each_step_of_a_launch_there_is_one_instance_an_intent() {
    assert_survived(&Saga {
        points: "claim-launch,lease-launch,launch-settle,launch-settled",
        policy: json!({}),
        provoke: |_, _| {},
        members: 2,
        launched: 2,
        terminated: 0,
    });
}

#[test]
fn d3_killed_at_each_step_of_a_drain_and_its_termination_the_member_still_goes() {
    assert_survived(&Saga {
        points: "claim-drain,drain-claim,claim-terminate,drain-terminate,terminate-settle,terminate-settled",
        policy: json!({"min_instances": 3}),
        provoke: |world, file| {
            world.until_settled(3);
            std::fs::write(file, policy(json!({"min_instances": 2, "max_instances": 2}))).expect("an edit");
        },
        members: 2,
        launched: 3,
        terminated: 1,
    });
}

#[test]
fn d4_killed_when_a_drain_has_been_taken_back_the_member_stays() {
    assert_survived(&Saga {
        points: "claim-take-back",
        policy: json!({"min_instances": 3}),
        provoke: |world, file| {
            world.until_settled(3);
            std::fs::write(file, policy(json!({"min_instances": 2, "max_instances": 2}))).expect("an edit");
            world.until_action("draining");
            std::fs::write(file, policy(json!({"min_instances": 3}))).expect("an edit");
        },
        members: 3,
        launched: 3,
        terminated: 0,
    });
}

#[test]
fn h4_killed_at_each_step_of_a_replacement_one_comes_and_one_goes() {
    assert_survived(&Saga {
        points: "claim-replace,replace-terminate",
        policy: json!({"min_instances": 3}),
        provoke: |world, _| {
            world.until_settled(3);
            let agents = world.agents();
            signal(*agents.values().next().expect("an agent"), Signal::KILL);
        },
        members: 3,
        launched: 4,
        terminated: 1,
    });
}

/// An instance in the ledger that was launched long ago for an intent that nobody knows.
fn add_orphan(state: &str) {
    let path = format!("{state}/ledger.json");
    let mut book: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a ledger")).expect("the ledger is whole");
    let number = book["launched"].as_u64().expect("a number") + 1;
    let instances = book["instances"].as_object_mut().expect("instances");
    let mut orphan = instances.values().next().expect("an instance").clone();
    let endpoint = orphan["endpoint"].as_str().expect("an endpoint").to_owned();
    let (address, port) = endpoint.rsplit_once(':').expect("a port");
    let (net, _) = address.rsplit_once('.').expect("an address");
    orphan["endpoint"] = json!(format!("{net}.200:{port}"));
    orphan["number"] = json!(number);
    orphan["launched_at"] = serde_json::to_value(Timestamp::EPOCH).expect("a time");
    orphan["spec"]["token"] = json!("a token that nobody knows");
    // Of this HEAD's own life, and of no claim that it has ever made.
    let known = orphan["spec"]["intent"].as_str().expect("an intent").to_owned();
    let (life, _) = known.split_once('-').expect("an intent's id");
    orphan["spec"]["intent"] = json!(format!("{life}-9999999999-000"));
    instances.insert("i-orphan".into(), orphan);
    book["launched"] = json!(number);
    std::fs::write(&path, book.to_string()).expect("the ledger");
}

#[test]
fn v3_killed_when_the_end_of_an_orphan_is_claimed_it_ends_all_the_same() {
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let policy = policy_file(files.path(), json!({})).display().to_string();
    let mut world = World::up(&["--scenario", "calm", "--state", &state, "--policy", &policy]);
    world.until_settled(2);
    world.end();
    add_orphan(&state);
    let mut world = crashed_at("claim-sweep", &state, &policy, |_| {});
    world.until("the orphan's end", |line| {
        line["action"]["kind"] == "terminated" && line["action"]["instance"] == "i-orphan"
    });
    assert_whole(&mut world, &state, 2);
    let (summary, _) = world.end();
    assert_eq!((&summary["terminated"], &summary["launched"]), (&json!(1), &json!(0)), "{summary}");
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
