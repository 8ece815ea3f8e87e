//! `muster backtest` as a command: every option, every source, every refusal.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use muster_control::ports::{Claim, GroupStore, HealthStore, StoredPolicy};
use muster_core::group::{GroupName, Head, PolicyVersion, Shard};
use muster_core::sweep::{Sweep, SweepCounts};
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use serde_json::Value;

/// A folder with `new.json`, `old.json` and `load.csv`: an hour of 50 requests a second with ten minutes of 150 in it.
fn files() -> tempfile::TempDir {
    let files = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: String| std::fs::write(files.path().join(name), text).expect("a file");
    put("new.json", r#"{"min_instances": 2, "max_instances": 8, "scaling": {"kind": "target"}, "launch": {"instance_types": ["t3.medium"]}}"#.into());
    put("old.json", r#"{"min_instances": 2, "max_instances": 4, "scaling": {"kind": "threshold"}}"#.into());
    let rate = |minute: u32| if (20..30).contains(&minute) { 150 } else { 50 };
    let lines = (0..60).map(|minute| format!("{},{}\n", 1_700_000_000 + minute * 60, rate(minute)));
    put("load.csv", lines.collect());
    files
}

fn backtest(files: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.current_dir(files).env_remove("MUSTER_STACK").args(["backtest", "--policy", "new.json"]).args(args);
    command.output().expect("muster runs")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no bar where nobody looks");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&said(output)).expect("JSON")
}

fn names(outcome: &Value) -> Vec<&str> {
    outcome["rows"].as_array().expect("rows").iter().filter_map(|row| row["name"].as_str()).collect()
}

#[test]
fn a_trace_is_played_beside_another_policy() {
    let files = files();
    let args = ["--against", "old.json", "--trace", "load.csv", "--capacity", "25", "--boot", "60s"];
    let text = said(&backtest(files.path(), &args));
    for part in [
        "load.csv: 1 h from 2023-11-14T22:13:20Z; it keeps 2.7 instances fully used in the mean, 6.0 at most.",
        "An instance serves 25.0 requests a second.",
        "Booting takes 1 m (as given). An instance costs $0.0416 an hour (on-demand, Linux, us-east-1,",
        "new.json against old.json: overload ",
        "The worst minutes of new.json:\n  2023-11-14T22:33:20Z",
        "The load is shorter than a day",
        "\noracle ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("EC2"), "nobody asked for them");
    let outcome = json(&backtest(files.path(), &[&args[..], &["--json", "--peers", "--price", "0.1"]].concat()));
    assert_eq!(names(&outcome)[..3], ["new.json", "old.json", "EC2 target tracking 60 %"]);
    assert_eq!((&outcome["price_per_hour"], &outcome["boot"]["from"]), (&0.1.into(), &"given".into()));
    let [new, old] = [0, 1].map(|nth| outcome["rows"][nth]["over_percent"].as_f64().expect("a share"));
    assert!(new < old, "{new} {old}: four instances cannot do it");
    assert_eq!(outcome["rows"][1]["bounds"], serde_json::json!([2, 4]), "its own");
}

#[test]
fn what_nobody_has_said_is_assumed_and_told() {
    let files = files();
    let text = said(&backtest(files.path(), &["--trace", "load.csv"]));
    for part in [
        "the busiest half per cent of the time needs 4.",
        "Booting takes 1 m 30 s (assumed).",
        "What an instance serves is assumed",
        "The boot time of 90 s is assumed",
        "EC2 step scaling",
        "Kubernetes HPA 60 %",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let peak = json(&backtest(files.path(), &["--trace", "load.csv", "--peak", "6", "--json"]));
    assert_eq!((&peak["capacity"]["instances"], &peak["capacity"]["assumed"]), (&6.into(), &false.into()));
}

#[test]
fn a_chart_is_a_picture_or_a_page() {
    let files = files();
    for (file, begins, ends) in [("a.svg", "<svg", "</svg>\n"), ("a.html", "<!doctype html>", "</html>\n")] {
        let text = said(&backtest(files.path(), &["--trace", "load.csv", "--against", "old.json", "--chart", file]));
        assert!(text.ends_with(&format!("The chart is in {file}.\n")), "{text}");
        let drawn = std::fs::read_to_string(files.path().join(file)).expect("the chart");
        assert!(drawn.starts_with(begins) && drawn.ends_with(ends) && drawn.contains("old.json"), "{drawn}");
        assert!(
            !drawn.contains("http://")
                || drawn.matches("http").count() == drawn.matches("http://www.w3.org/2000/svg").count()
        );
    }
}

/// A local world's folder: an hour in which 2 members at 40 % became 3 at 100 % for five minutes; then ten minutes are missing.
/// With requests told, 25 a second keep one busy, and in those five minutes 5 would have been needed.
async fn world(folder: &Path, policy: Option<&str>, told: bool) -> PathBuf {
    let state = folder.join("state");
    std::fs::create_dir_all(&state).expect("a folder");
    let store = SqliteStore::open(state.join("store.sqlite")).expect("a store");
    let group: GroupName = "local".parse().expect("a name");
    let version = PolicyVersion(3);
    let put_policy = policy.map(|text| StoredPolicy { version, text: text.into(), since: Timestamp::EPOCH });
    let head = Head {
        group: group.clone(),
        version: 1,
        policy: Some(version),
        boot_times_ms: vec![40_000, 44_000, 90_000],
        ..Head::default()
    };
    store.claim(&Claim { head, put_policy, ..Claim::default() }).await.expect("a claim");
    for nth in (0..360).filter(|nth| !(180..240).contains(nth)) {
        let (answered, mean, rate) = if (60..90).contains(&nth) { (3, 100.0, 125.0) } else { (2, 40.0, 20.0) };
        let slot = Timestamp::from_millis(1_700_000_000_000 + nth * 10_000);
        let rate = told.then_some(rate);
        let counts = SweepCounts { members: answered, answered, mean: Some(mean), rate, ..SweepCounts::default() };
        let blind = (nth == 10).then(|| "stalled".to_owned());
        let sweep = Sweep {
            group: group.clone(),
            shard: Shard(0),
            slot,
            roster: None,
            finished_at: slot,
            period_ms: 10_000,
            gaps_ms: Vec::new(),
            blind,
            counts,
            members: Default::default(),
        };
        store.append(&sweep).await.expect("a sweep");
    }
    state
}

#[tokio::test]
async fn of_a_saturated_group_the_requests_tell_what_was_asked_of_it() {
    let files = files();
    world(files.path(), None, true).await;
    let text = said(&backtest(files.path(), &["--state", "state"]));
    assert!(!text.contains("saturated"), "nothing is guessed: {text}");
    let outcome = json(&backtest(files.path(), &["--state", "state", "--json"]));
    assert_eq!((outcome["load_most"].as_f64(), outcome["gaps"]["saturated"].as_u64()), (Some(5.0), Some(30)));
}

#[tokio::test]
async fn a_local_worlds_own_sweeps_are_played_beside_the_policy_in_force() {
    let files = files();
    world(files.path(), Some(r#"{"min_instances": 3, "max_instances": 6, "scaling": {"kind": "threshold"}}"#), false)
        .await;
    let text = said(&backtest(files.path(), &["--state", "state"]));
    for part in [
        "group local of state: 1 h from 2023-11-14T22:13:20Z",
        "Booting takes 44 s (as the group has measured it).",
        "in force (3)",
        "In 10.0 % of the sweeps the group was saturated",
        "16.7 % of the time is not recorded and bridged by straight lines; 1 of 300 sweeps were blind, 0 had no answer.",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let outcome = json(&backtest(
        files.path(),
        &["--state", "state", "--json", "--saturated", "2", "--boot", "5s", "--group", "local"],
    ));
    assert_eq!(names(&outcome), ["new.json", "in force (3)", "oracle"]);
    assert_eq!((outcome["load_most"].as_f64(), outcome["boot"]["seconds"].as_f64()), (Some(6.0), Some(5.0)));
    assert_eq!(outcome["gaps"]["assumed"], 30);
    let against = json(&backtest(files.path(), &["--state", "state", "--json", "--against", "old.json"]));
    assert_eq!(names(&against), ["new.json", "old.json", "oracle"]);
    let late = backtest(files.path(), &["--state", "state", "--since", "7d"]);
    refused(&late, "of 0 sweeps 0 tell a load");
    refused(&backtest(files.path(), &["--state", "state", "--group", "other"]), "has no group other");
}

#[tokio::test]
async fn a_policy_in_force_that_cannot_be_read_is_no_reason_to_fail() {
    let files = files();
    world(files.path(), Some(r#"{"of_a_newer_muster": 1}"#), false).await;
    let outcome = json(&backtest(files.path(), &["--state", "state", "--json"]));
    assert_eq!(names(&outcome)[..2], ["new.json", "EC2 target tracking 60 %"]);
}

fn refused(output: &Output, says: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{says}: {said}");
    assert!(said.contains(says), "{says:?} is not in\n{said}");
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let files = files();
    let put = |name: &str, text: &str| std::fs::write(files.path().join(name), text).expect("a file");
    put("bad.csv", "0,1\n10,x\n");
    put("bad.json", "{\"min_instances\": 9, \"max_instances\": 3}");
    put("none.json", "{\"min_instances\": 0, \"max_instances\": 0}");
    let trace = |args: &[&str]| backtest(files.path(), &[&["--trace", "load.csv"], args].concat());
    refused(&backtest(files.path(), &[]), "which load? Say --trace FILE.csv or --state DIR");
    refused(&backtest(files.path(), &["--trace", "bad.csv"]), "bad.csv: line 2: \"x\" is no number");
    refused(&backtest(files.path(), &["--trace", "nowhere.csv"]), "nowhere.csv cannot be read");
    refused(&backtest(files.path(), &["--state", "nowhere"]), "store.sqlite cannot be read");
    refused(&backtest(files.path(), &["--trace", "load.csv", "--state", "x"]), "cannot be used with");
    refused(&trace(&["--against", "bad.json"]), "bad.json is refused");
    refused(&trace(&["--against", "none.json"]), "none.json cannot be played: max_instances is 0");
    refused(&trace(&["--boot", "2h"]), "must be at most 1h");
    refused(&trace(&["--boot", "90"]), "must be a span with its unit");
    refused(&trace(&["--capacity", "0"]), "must be requests a second, from 0.000001 to 1000000000");
    refused(&trace(&["--capacity", "5", "--peak", "5"]), "cannot be used with");
    refused(&trace(&["--peak", "0"]), "0 is not in 1..=10000");
    refused(&trace(&["--since", "7d"]), "cannot be used with");
    refused(&trace(&["--price", "m1.tiny"]), "must be US dollars an hour, or one of t3.micro");
    refused(&trace(&["--chart", "a.png"]), "must end in .svg or .html");
    refused(&backtest(files.path(), &["--state", "x", "--saturated", "0.5"]), "must be a multiple, from 1 to 100");
    refused(&backtest(files.path(), &["--state", "x", "--since", "400d"]), "must be above 0 and at most 366d");
    let unwritable = trace(&["--chart", "no/such/folder.svg"]);
    assert_eq!(unwritable.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unwritable.stderr).contains("--chart no/such/folder.svg cannot be written"));
}
