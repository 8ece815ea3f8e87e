//! A recorded load. What is accepted has a rate for each step, finite and not negative; what is refused says where.
#![no_main]

use libfuzzer_sys::fuzz_target;
use muster_backtest::trace::{Trace, TraceError};

/// Steps in the longest load that is played, a year.
const MOST: u32 = 366 * 8_640;
/// Steps in the longest that is made here: a gap of months between two bins costs a few bytes.
const PLAYED: u32 = 10_000;

fuzz_target!(|text: &str| {
    match Trace::parse(text) {
        Ok(trace) => {
            assert!((1..=MOST).contains(&trace.steps()), "{}", trace.steps());
            if trace.steps() > PLAYED {
                return;
            }
            let demand = trace.demand();
            assert_eq!(demand.rates.len(), trace.steps() as usize);
            assert!(demand.rates.iter().all(|rate| (0.0..=1e12).contains(rate)));
            assert!((0.0..=1e12).contains(&demand.quantile(0.995)));
        }
        Err(TraceError::Line { line, problem }) => {
            assert!((1..=text.lines().count()).contains(&line) && problem.len() < 1_024, "{line}: {problem}");
        }
        Err(TraceError::Whole(problem)) => assert!(problem.len() < 1_024, "{problem}"),
    }
});
