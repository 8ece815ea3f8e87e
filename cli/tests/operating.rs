//! The operator's commands against a world that runs, and against what it leaves behind.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::{World, directory};

/// A command, as an operator types it whose worlds are written down in `worlds`.
fn muster(worlds: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.env("XDG_RUNTIME_DIR", worlds).env_remove("MUSTER_STACK").args(args).output().expect("muster runs")
}

fn json_of(worlds: &Path, args: &[&str]) -> Value {
    let output = muster(worlds, &[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn a_world_that_runs_is_looked_at_and_steered_and_what_it_leaves_is_looked_at() {
    let (worlds, state) = (directory(), directory());
    let (at, folder) = (worlds.path(), state.path().to_str().expect("a path"));
    let none = muster(at, &["status"]);
    assert_eq!(code(&none), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no world runs on this machine"));
    let runtime = [("XDG_RUNTIME_DIR", at.to_str().expect("a path"))];
    let mut world = World::up_with(&["--scenario", "calm", "--state", folder], &runtime);
    world.until_settled(2);

    // Nobody says which world: there is one.
    let all = json_of(at, &["status"]);
    let line = &all["groups"][0];
    assert_eq!((&line["group"], &line["attention"], &line["desired"]), (&json!("local"), &json!("fine"), &json!(2)));
    let one = json_of(at, &["status", "--group", "local"]);
    assert_eq!((&one["mode"], &one["counts"]["in_service"]), (&json!("active"), &json!(2)));
    let members = json_of(at, &["members"]);
    assert_eq!(members["members"].as_array().map(Vec::len), Some(2));
    let launched = json_of(at, &["history", "--kind", "launched"]);
    assert_eq!(launched["items"].as_array().map(Vec::len), Some(2));
    let last = json_of(at, &["explain"]);
    let again = json_of(at, &["explain", last["id"].as_str().expect("an id")]);
    assert_eq!(again["explained"]["headline"], again["report"]["headline"]);
    assert_eq!(code(&muster(at, &["explain", "--at", "1d"])), Some(2), "nothing was decided yesterday");
    for words in [&["status"][..], &["status", "--group", "local"], &["members"], &["history"], &["explain"]] {
        let output = muster(at, words);
        assert!(output.status.success() && !output.stdout.is_empty(), "{words:?}");
    }
    let doctor = muster(at, &["doctor"]);
    assert_eq!(code(&doctor), Some(0), "{}", String::from_utf8_lossy(&doctor.stdout));

    // An edit over what was seen is followed; one over something else is not made.
    let policy = json_of(at, &["policy", "get"]);
    let revision = policy["revision"].as_str().expect("a revision");
    let mut document: Value = serde_json::from_str(policy["text"].as_str().expect("a text")).expect("JSON");
    document["min_instances"] = json!(3);
    let file = state.path().join("three.json");
    std::fs::write(&file, document.to_string()).expect("a file");
    let file = file.to_str().expect("a path");
    let differs = json_of(at, &["policy", "diff", file]);
    assert_eq!(differs["changes"], json!([{"key": "min_instances", "before": 2, "after": 3}]));
    json_of(at, &["policy", "set", file, "--over", revision]);
    world.until_settled(3);
    let lost = muster(at, &["policy", "set", file, "--over", revision]);
    assert_eq!(code(&lost), Some(1));
    assert!(String::from_utf8_lossy(&lost.stderr).contains("somebody else has edited it"));
    let history = json_of(at, &["policy", "history"]);
    assert_eq!(history["versions"].as_array().map(Vec::len), Some(2));
    json_of(at, &["policy", "rollback", "1"]);
    world.until("the first policy again", |line| line["decision"]["report"]["bounds"] == json!([2, 5]));
    assert_eq!(code(&muster(at, &["top"])), Some(2), "it is no terminal");

    world.end();
    let place = ["--state", folder];
    let replayed = json_of(at, &[&["replay"][..], &place].concat());
    assert_eq!((&replayed["differ"], &replayed["cannot"]), (&json!(0), &json!([])), "{replayed}");
    assert!(replayed["agree"].as_u64() > Some(5), "{replayed}");
    let doctor = muster(at, &[&["doctor"][..], &place].concat());
    assert_eq!(code(&doctor), Some(3), "{}", String::from_utf8_lossy(&doctor.stdout));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("BAD   processes"));
    assert!(muster(at, &[&["members"][..], &place].concat()).status.success());
}

#[test]
fn what_a_shell_needs_is_printed_for_each_shell() {
    let nowhere = directory();
    let help = String::from_utf8(muster(nowhere.path(), &["--help"]).stdout).expect("text");
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(commands.len() > 15 && commands.contains(&"replay"), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = muster(nowhere.path(), &["completions", shell]);
        let script = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && script.contains("rollback"), "{shell}");
        let missing: Vec<_> = commands.iter().filter(|name| !script.contains(**name)).collect();
        assert!(missing.is_empty(), "{shell}: {missing:?}");
    }
    let stack = muster(nowhere.path(), &["--stack", "prod", "status"]);
    assert_ne!(code(&stack), Some(0), "there is no AWS here");
}

/// Every command with its options, as fish completes them: what is renamed or taken away is seen in reviews. `MUSTER_GOLDEN=write` takes it over.
#[cfg(feature = "aws")]
#[test]
fn commands_and_options_are_those_that_were_agreed() {
    use std::collections::{BTreeMap, BTreeSet};

    let script = String::from_utf8(muster(directory().path(), &["completions", "fish"]).stdout).expect("text");
    let mut commands: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in script.lines() {
        let Some((when, what)) = line.strip_prefix("complete -c muster -n \"").and_then(|rest| rest.split_once('"'))
        else {
            continue;
        };
        let words =
            when.split([' ', ';']).filter(|word| !word.is_empty() && !word.starts_with("__fish") && *word != "and");
        // What is completed where no subcommand has been named yet is the command's own.
        let command = words.take_while(|word| *word != "not").collect::<Vec<_>>().join(" ");
        let options = commands.entry(command).or_default();
        options
            .extend(what.split(" -l ").nth(1).and_then(|rest| rest.split(' ').next()).map(|name| format!("--{name}")));
    }
    let told = |(command, options): (&String, &BTreeSet<String>)| {
        let options = options.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        format!("{}\n", format!("muster {command}: {options}").replace(" :", ":").trim_end())
    };
    let text: String = commands.iter().map(told).collect();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/completions.txt");
    if std::env::var_os("MUSTER_GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::write(file, &text).expect("the golden text is written");
    }
    assert_eq!(text, std::fs::read_to_string(file).unwrap_or_default(), "MUSTER_GOLDEN=write takes it over");
}
