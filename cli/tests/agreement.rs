//! The three ways to play a policy agree: the backtest, the simulator over the very use cases, and `muster decide --stream`.

use std::time::Duration;

use muster_backtest::muster::Muster;
use muster_backtest::scaler::{Bounds, Observation, Scaler};
use muster_backtest::stream::{Reply, Stream};
use muster_backtest::trace::{Demand, STEP_S};
use muster_backtest::world::{Run, World};
use muster_core::policy::Policy;
use muster_sim::{Demand as Load, Schedule, run};
use serde_json::{Value, json};

/// The middle of the simulator's boot times, which are 15 to 50 s.
const BOOT_S: f64 = 32.5;
const MINUTE: u64 = 60;

/// The load of an hour in percent of one member: it jumps up twice and down twice, and stays in between.
fn load() -> Load {
    let levels = [(0, 230.0), (12, 570.0), (24, 860.0), (36, 460.0), (48, 230.0)];
    let mut corners = Vec::new();
    for (minute, level) in levels {
        let at = Duration::from_secs(minute * MINUTE);
        if let Some((_, before)) = corners.last().copied() {
            corners.push((at.saturating_sub(Duration::from_secs(1)), before));
        }
        corners.push((at, level));
    }
    Load(corners)
}

/// The same for the backtest: 100 is one instance.
fn demand(steps: u32) -> Demand {
    let at = |step| load().at(Duration::from_secs_f64(f64::from(step) * STEP_S)) / 100.0;
    Demand { start_unix_s: muster_sim::START.as_millis() as f64 / 1_000.0, rates: (0..steps).map(at).collect() }
}

fn world<'d>(demand: &'d Demand, policy: &Policy) -> World<'d> {
    let bounds = Bounds { min: policy.min, max: policy.max };
    World { capacity: 1.0, ..World::of(demand, 1, bounds, BOOT_S, 1) }
}

fn sizes(run: &Run) -> Vec<u32> {
    run.ready.iter().zip(&run.booting).map(|(ready, booting)| ready + booting).collect()
}

/// In how many of `steps` the simulator's desired size is the backtest's, and for how many in a row it is not.
fn agreement(scaling: &Value, steps: u32) -> (u32, u32) {
    let changes = json!({ "min_instances": 4, "max_instances": 20, "scaling": scaling });
    let schedule = Schedule::quiet(1, changes, load(), Duration::from_secs(60 * MINUTE));
    let policy = Policy::parse(&schedule.policy.to_string()).expect("the simulator's policy");
    let demand = demand(steps);
    let played = sizes(&world(&demand, &policy).play(&mut Muster::new(policy.clone(), world(&demand, &policy).bounds)));
    let simulated = run(&schedule).history.sizes;
    // The simulator's group begins with nobody: the first minutes are its own.
    let (mut equal, mut apart, mut longest) = (0, 0, 0);
    for (step, size) in (0..steps).zip(played).skip(30) {
        let now = Duration::from_secs_f64(f64::from(step) * STEP_S);
        let before = simulated.iter().rev().find(|size| size.at <= now + Duration::from_secs_f64(STEP_S));
        let same = before.expect("a claim").desired == size;
        equal += u32::from(same);
        apart = if same { 0 } else { apart + 1 };
        longest = longest.max(apart);
    }
    (equal, longest)
}

/// They need not agree at every step: the simulator's instances boot in 15 to 50 s and the backtest's in 29 to 36, agents
/// report the very load there and a noisy one here, and the simulator's sweeps lie between the steps. Each moves a change of the
/// size by a sweep or two. Where a load creeps past a threshold the noise moves it further, which is why this one jumps.
#[test]
fn the_backtest_and_the_simulator_have_the_same_size_at_nearly_all_steps() {
    for scaling in [
        json!({ "kind": "threshold" }),
        json!({ "kind": "target", "target": 60 }),
        json!({ "kind": "step", "steps": [{ "above": 70, "change": 2 }, { "below": 30, "change": -1 }] }),
    ] {
        let (equal, longest) = agreement(&scaling, 360);
        let percent = 100 * equal / 330;
        println!("{scaling}: equal at {percent} % of the steps, at most {longest} in a row are not");
        assert!(percent >= 90 && longest <= 18, "{scaling}: {percent} %, {longest}");
    }
}

/// The world's sweeps as another program would tell them.
struct Streamed(Stream);

impl Streamed {
    fn new(policy: Policy) -> Self {
        let init = json!({ "type": "init", "min": policy.min, "max": policy.max, "interval_s": 10 });
        let mut stream = Stream::new(policy);
        stream.take(&init.to_string()).expect("an init");
        Self(stream)
    }
}

impl Scaler for Streamed {
    fn interval_s(&self) -> f64 {
        STEP_S
    }

    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
        let sample = |id: &str, ordered_s: f64, state: &str, cpu: Option<f64>| json!({ "instance_id": id, "state": state, "age_s": seen.at_s - ordered_s, "cpu": cpu });
        let ready =
            seen.ready.iter().zip(seen.loads()).map(|(i, load)| sample(&i.id.0, i.ordered_s, "ready", Some(load)));
        let booting = seen.booting.iter().map(|i| sample(&i.id.0, i.ordered_s, "booting", None));
        let samples: Vec<Value> = ready.chain(booting).collect();
        let tick = json!({ "type": "tick", "unix": seen.unix_s, "desired": seen.desired, "samples": samples });
        let Reply::Line(answer) = self.0.take(&tick.to_string()).expect("a tick") else { panic!("an answer") };
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        u32::try_from(answer["desired"].as_u64().expect("a size")).ok()
    }
}

#[test]
fn the_backtest_and_the_stream_have_the_same_size_at_every_step() {
    let policy =
        Policy::parse(r#"{"min_instances": 4, "max_instances": 20, "scaling": {"kind": "target"}}"#).expect("a policy");
    let demand = demand(720);
    let world = world(&demand, &policy);
    let played = sizes(&world.play(&mut Muster::new(policy.clone(), world.bounds)));
    let streamed = sizes(&world.play(&mut Streamed::new(policy)));
    assert!(played.iter().any(|size| *size > 10), "something has happened");
    assert_eq!(played, streamed);
}
