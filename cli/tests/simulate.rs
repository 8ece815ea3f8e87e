//! `muster simulate` as a command: its last line is for machines, a seed repeats a run.

use std::process::{Command, Output};

use serde_json::Value;

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_muster")).arg("simulate").args(args).output().expect("muster runs")
}

fn last_line(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.lines().last().unwrap_or_default()).expect("the last line is JSON")
}

#[test]
fn the_last_line_of_json_sums_up() {
    let output = simulate(&["--schedules", "6", "--seed", "1", "--json"]);
    let sum = last_line(&output);
    assert_eq!(
        (sum["schedules"].as_u64(), sum["violations"].as_u64(), sum["unrecovered"].as_u64()),
        (Some(6), Some(0), Some(0))
    );
    assert!(sum["faults"].as_object().is_some_and(|faults| faults.len() > 30), "{sum}");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no bar where nobody looks");
}

#[test]
fn a_seed_repeats_a_run() {
    let [one, other] = [0, 1].map(|_| last_line(&simulate(&["--schedules", "1", "--seed", "7", "--json"])));
    assert_eq!(one, other);
}

#[test]
fn people_get_a_table() {
    let output = simulate(&["--schedules", "1", "--seed", "7"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("crash-before-call") && said.contains("1 schedules in"), "{said}");
}

#[test]
fn no_schedules_are_refused() {
    assert_eq!(simulate(&["--schedules", "0"]).status.code(), Some(2));
}
