//! The README is true: its examples decide as it says, its table of settings is the policy's, its commands exist.

use std::io::Write;
use std::ops::Range;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use muster_core::policy::PolicyDocument;
use serde_json::{Value, json};

const README: &str = include_str!("../../README.md");
/// The policy of the examples that show none.
const THRESHOLDS: &str = r#"{"scaling": {"kind": "threshold"}}"#;

/// Writes what `MUSTER_GOLDEN=write` asks for into the README as it is now: two tests may do so, one after the other.
fn rewrite(change: impl FnOnce(&str) -> String) -> bool {
    static WRITING: Mutex<()> = Mutex::new(());
    if std::env::var_os("MUSTER_GOLDEN").is_none_or(|wish| wish != "write") {
        return false;
    }
    let _alone = WRITING.lock().expect("nobody fails while he writes");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(file).expect("the README");
    std::fs::write(file, change(&text)).expect("the README is written");
    true
}

fn muster(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("muster starts");
    // A command that refuses its policy does not read on.
    let _unread = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("muster ends")
}

/// The fenced JSON blocks, with the word behind `json`.
fn blocks() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```json ") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((kind.to_owned(), text.join("\n")));
        }
    }
    found
}

/// A step as the examples write it.
fn step(step: &Value) -> String {
    let kind = step["step"].as_str().expect("a step");
    match (step["id"].as_str(), step["intent"]["call"]["launch"]["replaces"].as_str()) {
        (Some(id), _) => format!("{kind} {id}"),
        (None, Some(replaced)) => format!("{kind} for {replaced}"),
        (None, None) => kind.to_owned(),
    }
}

#[test]
fn the_examples_decide_as_the_readme_says() {
    let files = tempfile::tempdir().expect("a directory");
    assert!(README.contains(&format!("Where they show no policy it is `{THRESHOLDS}`")));
    let (mut policy, mut snapshot) = (THRESHOLDS.to_owned(), String::new());
    let mut examples = 0;
    for (kind, text) in blocks() {
        match kind.as_str() {
            "policy" => policy = text,
            "snapshot" => snapshot = text,
            "expected" => {
                let file = files.path().join("policy.json");
                std::fs::write(&file, &policy).expect("a policy file");
                let output = muster(&["decide", "--policy", file.to_str().expect("a path")], &snapshot);
                let expected: Value = serde_json::from_str(&text).expect("JSON");
                check(&output, &expected, &snapshot);
                examples += 1;
                policy = THRESHOLDS.to_owned();
            }
            "example" => {
                let output = muster(&["decide"], &text);
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            }
            other => panic!("```json {other}"),
        }
    }
    assert!(examples >= 8, "only {examples} examples were found");
}

fn check(output: &Output, expected: &Value, snapshot: &str) {
    if let Some(refused) = expected["refused"].as_str() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(said.contains(refused), "{said}");
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let decision: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let steps: Vec<String> = decision["plan"]["steps"].as_array().expect("steps").iter().map(step).collect();
    let report = &decision["report"];
    let actual = json!({"desired": report["desired"], "rule": report["rule"], "steps": steps});
    assert_eq!(&actual, expected, "{snapshot}\n{}", report["headline"]);
}

#[test]
fn the_explanation_is_made_of_words() {
    let (_, snapshot) = blocks().into_iter().find(|(kind, _)| kind == "snapshot").expect("a snapshot");
    let files = tempfile::tempdir().expect("a directory");
    let file = files.path().join("policy.json");
    std::fs::write(&file, THRESHOLDS).expect("a policy file");
    let output = muster(&["decide", "--explain", "--policy", file.to_str().expect("a path")], &snapshot);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("Scale out 2 -> 4: "), "{said}");
    assert!(said.contains("(Z2)") && said.contains("Done: launch "), "{said}");
}

/// Every situation of `text` that has an explanation: where that stands, its policy and its snapshot.
fn situations(text: &str) -> Vec<(Range<usize>, String, String)> {
    let (mut policy, mut snapshot, mut found, mut at) = (None, (String::new(), String::new()), Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        at += line.len();
        let block = text[at..].split("\n```").next().unwrap_or_default();
        match line {
            "```json policy\n" => policy = Some(block.to_owned()),
            "```json snapshot\n" => snapshot = (policy.take().unwrap_or_else(|| THRESHOLDS.into()), block.to_owned()),
            "```text explain\n" => found.push((at..at + block.len(), snapshot.0.clone(), snapshot.1.clone())),
            _ => {}
        }
    }
    found
}

/// What `muster decide --explain` says of a snapshot.
fn explained(policy: &str, snapshot: &str) -> String {
    let files = tempfile::tempdir().expect("a directory");
    let file = files.path().join("policy.json");
    std::fs::write(&file, policy).expect("a policy file");
    let output = muster(&["decide", "--explain", "--policy", file.to_str().expect("a path")], snapshot);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[test]
fn ten_situations_are_explained_as_the_readme_says() {
    let written = rewrite(|text| {
        let (mut written, mut from) = (String::new(), 0);
        for (place, policy, snapshot) in situations(text) {
            written += &text[from..place.start];
            written += &explained(&policy, &snapshot);
            from = place.end;
        }
        written + &text[from..]
    });
    let situations = situations(README);
    assert!(situations.len() >= 10, "only {}", situations.len());
    for (place, policy, snapshot) in situations.into_iter().filter(|_| !written) {
        let said = explained(&policy, &snapshot);
        assert!(said == README[place], "{snapshot}\nis explained as\n{said}");
    }
}

/// The fenced transcripts: a command behind a `$`, and what it says.
#[test]
fn a_transcript_is_what_the_command_says() {
    let transcripts: Vec<&str> = README.split("```console\n$ muster ").skip(1).collect();
    assert!(!transcripts.is_empty());
    for transcript in transcripts {
        let text = transcript.split("\n```").next().expect("its end");
        let (command, expected) = text.split_once('\n').expect("what it says");
        let mut muster = Command::new(env!("CARGO_BIN_EXE_muster"));
        let muster = muster.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).args(command.split(' '));
        let output = muster.output().expect("muster runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), expected, "{command}");
    }
}

/// The README's table of settings is what `muster policy settings` prints. `MUSTER_GOLDEN=write` puts it there.
#[test]
fn the_table_of_settings_is_written_from_the_schema() {
    const BEGIN: &str =
        "<!-- written by `muster policy settings`: MUSTER_GOLDEN=write cargo test -p muster --test readme -->\n";
    const END: &str = "\n<!-- end of the table -->";
    let output = muster(&["policy", "settings"], "");
    let table = String::from_utf8(output.stdout).expect("text");
    let table = table.trim_end();
    let parts = |text: &str| {
        let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
        let (kept, after) = rest.split_once(END).expect("where it ends");
        [before, kept, after].map(str::to_owned)
    };
    let written = rewrite(|text| {
        let [before, _, after] = parts(text);
        [&before, BEGIN, table, END, &after].concat()
    });
    let [_, kept, _] = parts(README);
    if written {
        return;
    }
    let differs = table.lines().zip(kept.lines()).find(|(now, kept)| now != kept);
    assert!(
        kept == table,
        "the policy has changed, the README has not: MUSTER_GOLDEN=write takes it over: {differs:?}"
    );
}

#[test]
fn a_policy_is_validated_in_words_and_as_json() {
    let defaults = muster(&["policy", "show-defaults"], "");
    let defaults = String::from_utf8_lossy(&defaults.stdout).into_owned();
    let valid = muster(&["policy", "validate", "-"], &defaults);
    assert_eq!(
        (valid.status.code(), String::from_utf8_lossy(&valid.stdout).trim()),
        (Some(0), "- is valid: 2 to 5 instances")
    );
    let none = muster(&["policy", "validate", "-"], "{\"min_instances\": 0, \"max_instances\": 0}");
    let said = String::from_utf8_lossy(&none.stdout).into_owned();
    assert_eq!((none.status.code(), said.trim()), (Some(0), "- is valid: it empties the group"));
    let wrong = muster(&["policy", "validate", "-", "--json"], "{\n  \"min_instances\": 9, \"max_instances\": 3}");
    assert_eq!(wrong.status.code(), Some(2));
    let verdict: Value = serde_json::from_slice(&wrong.stdout).expect("JSON");
    let problem = &verdict["problems"][0];
    assert_eq!(
        (&verdict["valid"], &problem["key"], &problem["line"]),
        (&json!(false), &json!("min_instances"), &json!(2))
    );
    let pointed = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(pointed.contains("[-:2:20]") || pointed.contains("[2:20]"), "{pointed}");
}

#[test]
fn the_schema_names_every_setting_with_its_help() {
    let output = muster(&["policy", "schema"], "");
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let properties = schema["properties"].as_object().expect("properties");
    let document = serde_json::to_value(PolicyDocument::default()).expect("plain data");
    for key in document.as_object().expect("an object").keys() {
        assert!(properties[key]["description"].is_string() || properties[key]["$ref"].is_string(), "{key}");
    }
    assert_eq!(properties["max_instances"]["maximum"], 10_000);
}

#[test]
fn a_wrong_snapshot_is_refused_with_the_place() {
    for (snapshot, says) in [
        ("{", "EOF while parsing"),
        ("{}", "missing field `now`"),
        ("{\"now\": \"yesterday\"}", "is not an RFC 3339 time"),
        ("{\"now\": 1, \"members\": [{\"id\": \"a\"}, {\"id\": \"a\"}]}", "holds member a twice"),
        ("{\"now\": 1, \"members\": [{\"id\": \"a\", \"health\": {\"lod\": 1}}]}", "members.0.health.lod"),
        ("{\"now\": 1, \"member\": []}", "unknown field `member`"),
    ] {
        let output = muster(&["decide"], snapshot);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{snapshot}");
        assert!(said.contains(says), "{snapshot}: {said}");
    }
}
