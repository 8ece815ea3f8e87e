//! `muster --stack NAME ...` against real tables, a live group and a parameter: what an operator types.

mod support;

use muster_core::time::Timestamp;
use muster_e2e::{Setup, World, binary, quick_policy, serving};
use tokio::process::Command;

use support::{err, json, muster, out, policy_file};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_a_stack_and_steers_it() {
    let world = World::start(Setup::default()).await;
    world.until("a group of two", |state| serving(state).len() == 2).await;

    let status = json(&world, &["--stack", "e2e", "status", "--json"]).await;
    let group = &status["groups"][0];
    assert_eq!((&status["place"], &group["group"]), (&"stack e2e".into(), &"web".into()), "{status}");
    assert_eq!((&group["desired"], &group["actual"], &group["mode"]), (&2.into(), &2.into(), &"active".into()));
    assert!(group["last_slot"].is_u64(), "{status}");
    assert!(group["headline"].as_str().is_some_and(|headline| !headline.is_empty()), "{status}");
    for (arguments, words) in [
        (&["status"][..], ["web", "active", "2-5"]),
        (&["status", "--group", "web"], ["stack e2e", "active", "of 2 answer"]),
    ] {
        let told = out(&muster(&world, arguments).await);
        for word in words {
            assert!(told.contains(word), "no {word:?} in\n{told}");
        }
    }

    a_dry_sweep_asks_everybody_and_writes_nothing(&world).await;
    an_edit_is_checked_before_it_is_written(&world).await;
}

async fn a_dry_sweep_asks_everybody_and_writes_nothing(world: &World) {
    let before = Timestamp::EPOCH;
    let sweeps = json(world, &["sweep", "--once", "--dry-run", "--json"]).await;
    let members = sweeps[0]["members"].as_object().expect("members");
    assert_eq!(members.len(), 2, "{sweeps}");
    assert!(members.values().all(|health| health["seen"] == "answered" && health["load"].is_number()), "{sweeps}");
    let slot: Timestamp = serde_json::from_value(sweeps[0]["slot"].clone()).expect("a slot");
    assert!(slot > before);
    let shown = out(&muster(world, &["sweep", "--once", "--dry-run", "--group", "web"]).await);
    assert!(shown.contains("2 of 2 answer"), "{shown}");
    let unsaid = muster(world, &["sweep", "--dry-run"]).await;
    assert_eq!(unsaid.status.code(), Some(2), "{}", err(&unsaid));
}

async fn an_edit_is_checked_before_it_is_written(world: &World) {
    let stored = json(world, &["policy", "get", "--json"]).await;
    assert_eq!((&stored["version"], &stored["valid"]), (&1.into(), &true.into()), "{stored}");
    let bad = policy_file(r#"{"min_instances": 9, "max_instances": 5}"#);
    let refused = muster(world, &["policy", "set", &bad.path().display().to_string()]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("min_instances"), "{}", err(&refused));

    let good = policy_file(&quick_policy(3, 5));
    let path = good.path().display().to_string();
    let late = muster(world, &["policy", "set", &path, "--over", "7"]).await;
    assert_eq!(late.status.code(), Some(1), "somebody else's edit is not lost unseen: {}", err(&late));
    let written = json(world, &["policy", "set", &path, "--over", "1", "--json"]).await;
    assert_eq!(written["version"], 2);
    let text = out(&muster(world, &["policy", "get", "--group", "web"]).await);
    assert_eq!(text.trim_end(), quick_policy(3, 5));
    world.until("three, as the edit says (O4)", |state| serving(state).len() == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_said_by_name() {
    let world = World::start(Setup::default()).await;
    world.until("a group", |_| true).await;
    let cases: [(&[&str], i32, &str); 5] = [
        (&["status", "--group", "nobody"], 2, "nobody"),
        (&["--stack", "other", "status"], 1, "other"),
        (&["policy", "get", "--group", "nobody"], 2, "nobody"),
        (&["status", "--group", "not a name"], 2, "group name"),
        (&["policy", "set", "/nowhere/policy.json"], 2, "/nowhere/policy.json"),
    ];
    for (arguments, code, named) in cases {
        let output = muster(&world, arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(named), "{arguments:?} does not name {named:?}: {}", err(&output));
    }
    let nameless = Command::new(binary("muster")).env_clear().arg("status").output().await.expect("muster runs");
    assert_eq!(nameless.status.code(), Some(2));
    assert!(err(&nameless).contains("--stack"), "{}", err(&nameless));
}
