//! `muster up --faults`: real processes, and everything between them breaks. What was promised holds all the same.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use muster_control::activity::{Activity, Event};
use muster_control::ports::{ActivityLog, GroupState, GroupStore};
use muster_core::group::GroupName;
use muster_core::intent::Cause;
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use serde_json::{Value, json};
use support::{World, assert_whole, directory, policy_file};

/// The load while things break: for four, for eight, and for four again. Whether it is followed in time is not promised.
const SCENARIO: &str = "title = \"up and down\"\n[[phase]]\nfor = \"4s\"\ndemand = 200\n[[phase]]\nfor = \"3s\"\ndemand = 480\n\
                        ramp = true\n[[phase]]\nfor = \"18s\"\ndemand = 480\n[[phase]]\nfor = \"3s\"\ndemand = 60\nramp = true\n";

/// What was injected, by kind: what befell.
fn injected(lines: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for fault in lines.iter().filter_map(|line| line.get("fault")) {
        let text = |key: &str| fault[key].as_str().expect("a text").to_owned();
        found.entry(text("fault")).or_default().push(text("what"));
    }
    found
}

/// What the store says of the group: its state, and what has been done. A process may be killed before it tells.
fn stored(state: &str) -> (GroupState, Vec<Activity>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let store = SqliteStore::open_read_only(format!("{state}/store.sqlite")).expect("the store");
    let group: GroupName = "local".parse().expect("a name");
    runtime.block_on(async {
        let read = store.read(&group).await.expect("a read").expect("a HEAD");
        (read, store.since(&group, Timestamp::EPOCH, usize::MAX).await.expect("a read"))
    })
}

#[test]
fn rough_faults_lose_nothing_double_nothing_and_kill_nobody_by_mistake() {
    let seed = std::env::var("MUSTER_TEST_SEED").unwrap_or_else(|_| fastrand::u64(..).to_string());
    println!("MUSTER_TEST_SEED={seed}");
    let files = directory();
    let state = files.path().join("state").display().to_string();
    let zones: Vec<String> = (1..=4).map(|n| format!("zone-{n}")).collect();
    let changes = json!({"min_instances": 4, "max_instances": 10, "launch": {"zones": zones}});
    let policy = policy_file(files.path(), changes).display().to_string();
    let scenario = files.path().join("scenario.toml");
    std::fs::write(&scenario, SCENARIO).expect("a scenario file");
    let scenario = scenario.display().to_string();
    let args = ["--scenario", &scenario, "--state", &state, "--policy", &policy];
    let mut world = World::up(&[&args[..], &["--faults", "rough", "--faults-for", "45s", "--seed", &seed]].concat());
    let told = world.until("the introduction", |line| line.get("world").is_some());
    assert!(told["world"]["faults"].as_str().is_some_and(|text| text.starts_with("rough for 45 s")), "{told}");
    world.until("the end of the faults", |line| line["notice"]["from"] == "faults");
    for _ in 0..2 {
        world.until("a sweep that all answer", |line| {
            line["sweep"]["members"].as_u64() >= Some(4) && line["sweep"]["members"] == line["sweep"]["answered"]
        });
    }
    // A member's record may end before the intent that ended it: that waits for a lease.
    let mut sweeps = 0;
    while !stored(&state).0.intents.is_empty() {
        world.until("a sweep", |line| line.get("sweep").is_some());
        sweeps += 1;
        assert!(sweeps < 30, "V2: intents are left: {:?}", stored(&state).0.intents);
    }
    assert_whole(&mut world, &state, 4);
    let (summary, lines) = world.end();
    let injected = injected(&lines);
    println!("{summary}");
    let counted = injected.iter().map(|(kind, what)| (kind.clone(), json!(what.len()))).collect();
    assert_eq!(summary["faults"], Value::Object(counted), "the summary counts what was injected");
    for kind in ["lost", "late", "agent", "process-killed"] {
        assert!(injected.keys().any(|known| known.starts_with(kind)), "no {kind} in 45 s: {}", summary["faults"]);
    }
    let killed: BTreeSet<&String> = injected.get("agent-killed").into_iter().flatten().collect();
    let mut ended = BTreeSet::new();
    for activity in stored(&state).1 {
        if let Event::Terminated { instance, cause, .. } = activity.event {
            let dead = killed.contains(&instance.0);
            let healthy = matches!(cause, Cause::Load | Cause::Bounds);
            let known = dead && matches!(cause, Cause::Unhealthy | Cause::BootTimeout);
            assert!(healthy || known, "{instance} was terminated: {cause}\n{injected:?}");
            ended.insert(instance.0);
        }
    }
    assert!(killed.iter().all(|id| ended.contains(*id)), "who was killed is replaced: {killed:?}, {ended:?}");
}

#[test]
fn without_faults_none_are_told() {
    let mut world = World::up(&["--scenario", "calm"]);
    world.until_settled(2);
    let (summary, lines) = world.end();
    assert!(summary.get("faults").is_none() && injected(&lines).is_empty(), "{summary}");
    assert!(lines.iter().all(|line| line["world"].get("faults").is_none()));
}
