//! Measures a decision beside the mere reading of its input. `bench/run` calls it.
//!
//! Reads snapshots on standard input, one JSON document a line, and prints one JSON list with an object for each: the
//! microseconds that `decide` and that serde_json's parsing of the same snapshot took in each of `RUNS` runs, and
//! what was decided.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the core reads no clock and prints nothing; what measures it must"
)]

use std::error::Error;
use std::hint::black_box;
use std::io::stdin;
use std::time::{Duration, Instant};

use muster_core::decide::decide;
use muster_core::policy::Policy;
use muster_core::snapshot::Snapshot;
use serde_json::json;

/// Times that each figure is measured.
const RUNS: usize = 31;

/// A run repeats its work until it lasts this long: far above the clock's own cost, and below the time after which a
/// busy machine gives the processor to somebody else.
const SHORTEST_RUN: Duration = Duration::from_millis(1);

/// Thresholds, with room for the largest group that there may be.
const POLICY: &str = r#"{"min_instances": 1, "max_instances": 10000, "scaling": {"kind": "threshold"}}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::parse(POLICY)?;
    let mut figures = Vec::new();
    for line in stdin().lines() {
        let line = line?;
        let snapshot: Snapshot = serde_json::from_str(&line)?;
        let decision = decide(&snapshot, &policy);
        figures.push(json!({
            "decide_us": times_us(|| drop(black_box(decide(black_box(&snapshot), &policy)))),
            "parse_us": times_us(|| drop(black_box(serde_json::from_str::<Snapshot>(black_box(&line))))),
            "desired": decision.report.desired,
            "steps": decision.plan.steps.len(),
        }));
    }
    println!("{}", json!(figures));
    Ok(())
}

/// How long `work` takes, in microseconds, in each run.
fn times_us(mut work: impl FnMut()) -> Vec<f64> {
    let mut run = |repeats: u32| {
        let start = Instant::now();
        (0..repeats).for_each(|_| work());
        start.elapsed()
    };
    let mut repeats = 1;
    while run(repeats) < SHORTEST_RUN {
        repeats *= 2;
    }
    (0..RUNS).map(|_| run(repeats).as_secs_f64() * 1e6 / f64::from(repeats)).collect()
}
