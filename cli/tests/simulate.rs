//! `muster simulate` as a command: its last line is for machines, a seed repeats a run.

use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
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
    assert_eq!(sum.get("interrupted"), None, "it was not");
}

/// Whether a process hears SIGINT, by the kernel's word.
fn hears_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("the kernel tells");
    u64::from_str_radix(caught.trim(), 16).expect("a mask") & 0b10 != 0
}

#[test]
fn a_run_that_is_interrupted_tells_what_it_has_and_that_it_was_cut_short() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    let command = command.args(["simulate", "--schedules", "100000", "--seed", "1", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("muster runs");
    while !hears_interrupts(child.id()) {
        std::thread::yield_now();
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id");
    kill_process(pid, Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    let sum = last_line(&output);
    let done = sum["schedules"].as_u64().expect("a number");
    assert!((1..100_000).contains(&done), "{sum}");
    assert_eq!((&sum["interrupted"], output.status.code()), (&Value::Bool(true), Some(130)));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("interrupted after {done} of 100000 schedules")), "{said}");
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
