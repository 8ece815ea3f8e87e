//! The whole loop on one machine, with real processes: growing, shrinking, healing, obeying the operator.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{World, directory, policy, policy_file, signal};

fn report(line: &Value) -> &Value {
    &line["decision"]["report"]
}

/// The mean loads around each load-driven growth: just before it, and once as many members are in service as it asked for.
fn growths(lines: &[Value]) -> Vec<(f64, f64)> {
    let mut found = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let desired = &report(line)["desired"];
        let (before, after) = (desired["before"].as_u64(), desired["after"].as_u64());
        if before >= after || report(line)["stages"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let grown = |line: &&Value| report(line)["counts"]["in_service"].as_u64() >= after;
        let mean = |line: &Value| report(line)["load"]["mean"].as_f64();
        if let (Some(old), Some(new)) = (mean(line), lines[n..].iter().find(grown).and_then(mean)) {
            found.push((old, new));
        }
    }
    found
}

#[test]
fn the_group_grows_under_a_surge_and_comes_back() {
    let (summary, lines) = World::up(&["--scenario", "surge", "--for", "120s"]).summary();
    assert!(summary["peak_in_service"].as_u64() > Some(2), "{summary}");
    assert_eq!(summary["final_in_service"], 2, "{summary}");
    assert!(summary["launched"].as_u64() >= Some(1) && summary["terminated"].as_u64() >= Some(1), "{summary}");
    assert_eq!(summary["replaced"], 0, "{summary}");
    assert!(summary["boot_seconds_mean"].as_f64() > Some(0.0), "{summary}");
    let growths = growths(&lines);
    assert!(!growths.is_empty(), "no load-driven growth");
    assert!(growths.iter().all(|(before, after)| after < before), "{growths:?}");
}

#[test]
fn z5_with_a_maximum_of_two_the_peak_is_two() {
    let files = directory();
    let policy = policy_file(files.path(), json!({"max_instances": 2}));
    let args = ["--scenario", "surge", "--for", "45s", "--policy", policy.to_str().expect("a path")];
    let (summary, lines) = World::up(&args).summary();
    assert_eq!((&summary["peak_in_service"], &summary["launched"]), (&json!(2), &json!(0)), "{summary}");
    let bound = lines.iter().any(|line| report(line)["rule"] == "Z5" && report(line)["desired"]["after"] == 2);
    assert!(bound, "nobody said that the maximum holds the group back");
}

#[test]
fn a_scenario_that_nobody_has_seen_before_is_followed() {
    let files = directory();
    let scenario = files.path().join("steps.toml");
    let text = "title = \"steps\"\n[[phase]]\nfor = \"12s\"\ndemand = 70\n[[phase]]\nfor = \"20s\"\ndemand = 255\nramp = true\n\
                [[phase]]\nfor = \"20s\"\ndemand = 255\n";
    std::fs::write(&scenario, text).expect("a scenario file");
    let policy = policy_file(files.path(), json!({"max_instances": 8}));
    let paths = [scenario, policy].map(|path| path.display().to_string());
    let mut world = World::up(&["--scenario", &paths[0], "--policy", &paths[1]]);
    world.until_settled(2);
    let growth = world.until("a growth for the load's sake", |line| {
        report(line)["desired"]["before"] == 2 && report(line)["desired"]["after"] == 4
    });
    assert_eq!(report(&growth)["rule"], "Z2");
    // 255 over four is 63.75 %: there it rests.
    world.until_settled(4);
    world.until("the load spread over four", |line| {
        line["sweep"]["loads"].as_object().is_some_and(|loads| {
            loads.len() == 4 && loads.values().all(|load| (60.0..68.0).contains(&load.as_f64().unwrap_or(0.0)))
        })
    });
    world.end();
}

/// Kills one agent of a settled group and waits until the group is whole again without it. Gives what was said from the
/// kill on, and the victim.
fn kill_one_and_heal(min: u64, max: u64) -> (Vec<Value>, String) {
    let files = directory();
    let policy = policy_file(files.path(), json!({"min_instances": min, "max_instances": max}));
    let mut world = World::up(&["--scenario", "calm", "--policy", policy.to_str().expect("a path")]);
    world.until_settled(min);
    let before = world.agents();
    let (victim, pid) = before.iter().next().map(|(id, pid)| (id.clone(), *pid)).expect("an agent");
    let from = world.seen.len();
    signal(pid, Signal::KILL);
    world.until("its end", |line| {
        line["action"]["kind"] == "terminated" && line["action"]["instance"] == victim.as_str()
    });
    world.until_settled(min);
    let after = world.agents();
    assert!(
        before.iter().filter(|(id, _)| **id != victim).all(|(id, pid)| after[id] == *pid),
        "the others are untouched"
    );
    let terminated: BTreeSet<String> = world.actions("terminated").iter().map(|a| a["instance"].to_string()).collect();
    assert_eq!(terminated, BTreeSet::from([format!("\"{victim}\"")]), "nobody else was ended");
    let (summary, lines) = world.end();
    assert_eq!(summary["replaced"], 1, "{summary}");
    (lines[from..].to_vec(), victim)
}

/// Where the victim's replacement was launched, and where it was ended.
fn order(lines: &[Value], victim: &str) -> (usize, usize) {
    let launched = lines.iter().position(|line| line["action"]["kind"] == "launched").expect("a launch");
    let ended = |line: &Value| line["action"]["kind"] == "terminated" && line["action"]["instance"] == victim;
    (launched, lines.iter().position(ended).expect("an end"))
}

/// H1: nothing happens to the victim before three sweeps have missed it for `unhealthy_after`.
fn assert_patience(lines: &[Value], victim: &str) {
    let acted = lines
        .iter()
        .position(|line| matches!(line["action"]["kind"].as_str(), Some("launched" | "terminated")))
        .expect("an action");
    let misses = |line: &&Value| line["sweep"]["silent"].as_u64() >= Some(1);
    let missed: Vec<&Value> = lines[..acted].iter().filter(misses).collect();
    assert!(missed.len() >= 3, "{victim} was given up after {} sweeps", missed.len());
    let time = |value: &Value| -> i64 {
        let text = value.as_str().expect("a time");
        let at: muster_core::time::Timestamp = serde_json::from_value(json!(text)).expect("a time");
        i64::try_from(at.as_millis()).expect("a time of our age")
    };
    let waited = time(&lines[acted]["action"]["at"]) - time(&missed[0]["sweep"]["at"]);
    assert!(waited >= 5_000, "{victim} was given up after {waited} ms");
}

#[test]
fn h4_a_killed_agent_is_replaced_launch_first_with_two_of_at_most_five() {
    let (lines, victim) = kill_one_and_heal(2, 5);
    assert_patience(&lines, &victim);
    let (launched, ended) = order(&lines, &victim);
    assert!(launched < ended, "below the maximum the replacement comes first");
}

#[test]
fn h4_a_killed_agent_is_replaced_launch_first_with_five_of_at_most_eight() {
    let (lines, victim) = kill_one_and_heal(5, 8);
    assert_patience(&lines, &victim);
    let (launched, ended) = order(&lines, &victim);
    assert!(launched < ended, "below the maximum the replacement comes first");
}

#[test]
fn h4_a_killed_agent_is_replaced_terminate_first_with_five_of_at_most_five() {
    let (lines, victim) = kill_one_and_heal(5, 5);
    assert_patience(&lines, &victim);
    let (launched, ended) = order(&lines, &victim);
    assert!(ended < launched, "at the maximum the old one goes first");
}

#[test]
fn s5_when_all_agents_are_stopped_nobody_is_terminated_and_sight_returns_within_two_sweeps() {
    let mut world = World::up(&["--scenario", "calm"]);
    world.until_settled(2);
    let agents = world.agents();
    agents.values().for_each(|pid| signal(*pid, Signal::STOP));
    // Well past unhealthy_after, and three sweeps.
    let mut silent = 0;
    let mut since = None;
    world.until("a long silence of everybody", |line| {
        silent += u32::from(line["sweep"]["silent"].as_u64() >= Some(2));
        if silent == 1 && since.is_none() {
            since = serde_json::from_value::<muster_core::time::Timestamp>(line["sweep"]["at"].clone()).ok();
        }
        let now = serde_json::from_value::<muster_core::time::Timestamp>(line["sweep"]["at"].clone()).ok();
        silent >= 6 && now.zip(since).is_some_and(|(now, since)| now.since(since).as_secs() >= 12)
    });
    world.until("an alarm", |line| {
        report(line)["remarks"].as_array().is_some_and(|r| r.iter().any(|r| r["rule"] == "H3"))
    });
    agents.values().for_each(|pid| signal(*pid, Signal::CONT));
    world.until("all answers", |line| line["sweep"]["answered"] == 2);
    let mut sweeps = 1;
    let back = world.until("a decision that is no M5 hold", |line| {
        sweeps += u32::from(line.get("sweep").is_some());
        line.get("decision").is_some() && report(line)["rule"] != "M5"
    });
    assert!(sweeps <= 2, "{sweeps} sweeps until {back}");
    world.until_settled(2);
    let (summary, _) = world.end();
    assert_eq!((&summary["terminated"], &summary["launched"]), (&json!(0), &json!(0)), "{summary}");
}

#[test]
fn s5_the_blackout_scenario_terminates_nobody() {
    let mut world = World::up(&["--scenario", "blackout"]);
    world.until_settled(2);
    world.until("the blackout", |line| line["sweep"]["silent"] == 2);
    world.until("its end", |line| line["sweep"]["answered"] == 2);
    world.until_settled(2);
    let (summary, _) = world.end();
    assert_eq!((&summary["terminated"], &summary["launched"]), (&json!(0), &json!(0)), "{summary}");
}

#[test]
fn o4_a_policy_edit_takes_effect_on_the_next_decision_and_a_wrong_one_changes_nothing() {
    let files = directory();
    let file = policy_file(files.path(), json!({}));
    let mut world = World::up(&["--scenario", "calm", "--policy", file.to_str().expect("a path")]);
    world.until_settled(2);
    for (edit, says) in [
        (
            policy(json!({"min_instances": 9, "max_instances": 3})),
            "min_instances is 9: must not be above max_instances, which is 3",
        ),
        (policy(json!({"scaling": {"cpu_up_threshold": 0.7, "cpu_down_threshold": 0.2}})), "0.7 means 70"),
        (policy(json!({"min_instance": 2})), "min_instance is not a key of the policy"),
        ("{\"min_instances\": 4,".to_owned(), "the policy is not JSON"),
    ] {
        std::fs::write(&file, &edit).expect("an edit");
        let refusal = world.until_action("policy-refused");
        let reason = refusal["reason"].as_str().expect("a reason");
        assert!(reason.contains(says) && reason.contains("line"), "{reason}");
        let decision = world.until("a decision under the old policy", |line| line.get("decision").is_some());
        assert_eq!((&report(&decision)["policy"], &report(&decision)["bounds"]), (&json!(1), &json!([2, 5])));
    }
    std::fs::remove_file(&file).expect("a deleted policy");
    world.until("a word about the missing policy", |line| {
        report(line)["remarks"].to_string().contains("the policy is missing; version 1 stays in force")
    });
    std::fs::write(&file, policy(json!({"min_instances": 4}))).expect("an edit");
    world.until_action("policy-accepted");
    let next = world.until("the next decision", |line| line.get("decision").is_some());
    assert_eq!(report(&next)["desired"], json!({"before": 2, "after": 4}));
    world.until_settled(4);
    let (summary, _) = world.end();
    assert_eq!(summary["terminated"], 0, "{summary}");
}

#[test]
fn a_world_that_cannot_start_says_why() {
    let run = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_muster")).args(args).output().expect("muster runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let files = directory();
    let wrong = policy_file(files.path(), json!({"max_instances": 1}));
    for (args, says) in [
        (&["up", "--scenario", "rush"][..], "--scenario is \"rush\""),
        (&["up", "--for", "10"][..], "such as 120s or 5m"),
        (&["up", "--agent", "nowhere"][..], "build it (cargo build -p monitor-c)"),
        (&["up", "--policy", wrong.to_str().expect("a path")][..], "must not be above max_instances"),
    ] {
        let (code, said) = run(args);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn two_worlds_do_not_share_a_state() {
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let mut world = World::up(&["--scenario", "calm", "--state", &state]);
    world.until("the first sweep", |line| line.get("sweep").is_some());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(["up", "--state", &state])
        .output()
        .expect("muster runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in use by another muster up"));
    world.end();
}

#[test]
fn every_line_is_an_object_with_one_key() {
    let (_, lines) = World::up(&["--scenario", "calm", "--for", "3s"]).summary();
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for line in &lines {
        let object = line.as_object().expect("an object");
        assert_eq!(object.len(), 1, "{line}");
        *kinds.entry(object.keys().next().expect("a key").clone()).or_default() += 1;
    }
    for kind in ["world", "process", "sweep", "decision", "action", "summary"] {
        assert!(kinds.contains_key(kind), "{kind} is missing in {kinds:?}");
    }
}
