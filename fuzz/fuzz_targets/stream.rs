//! A conversation with a world that is another program. Whatever it says, each line gets one line of JSON or an error with the
//! line's number; what is ordered lies inside the world's bounds once the group is there; the same words get the same answers.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use muster_backtest::stream::{Reply, Stream};
use muster_core::policy::Policy;
use serde_json::Value;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    muster_fuzz::mutate_lines(data, size, max_size, seed)
});

fuzz_target!(|text: &str| {
    assert_eq!(converse(text), converse(text));
});

/// The answers until the end or the first error, which comes last.
fn converse(text: &str) -> Vec<String> {
    let mut stream = Stream::new(Policy::default());
    let mut answers = Vec::new();
    for (nth, line) in (1..).zip(text.lines()) {
        match stream.take(line) {
            Ok(Reply::Line(answer)) => {
                let answered: Value = serde_json::from_str(&answer).expect(&answer);
                assert!(
                    answered["ok"] == true || answered["desired"].as_u64().is_some_and(|size| size <= 20_000),
                    "{answer}"
                );
                answers.push(answer);
            }
            Ok(Reply::End) => break,
            Err(error) => {
                assert_eq!(error.line, nth);
                answers.push(error.to_string());
                break;
            }
        }
    }
    answers
}
