//! `muster --stack NAME group add|remove|list`, with a stub of CloudFormation and the two functions at work.

mod support;

use std::collections::BTreeMap;
use std::process::Stdio;

use muster_control::activity::Event;
use muster_control::ports::{GroupStore, Groups as _};
use muster_e2e::{BAD_IMAGE, Setup, World, quick_policy, serving};
use muster_fake_ec2::State;
use serde_json::{Value, json as value};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use support::{command, err, json, muster, out, policy_file};

const IMAGE: &str = "ami-0123456789abcdef0";

/// Runs `muster group ...`, which must end with `code`; gives what it says to people.
async fn group(world: &World, code: i32, arguments: &[&str]) -> String {
    let output = muster(world, &[&["group"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", out(&output), err(&output));
    err(&output)
}

fn policy(world: &World, group: &str) -> Option<(u64, Value)> {
    let (version, text) = world.parameters.get(&format!("/muster/{group}/policy"))?;
    Some((version, serde_json::from_str(&text).expect("JSON")))
}

fn parameters(world: &World, stack: &str) -> BTreeMap<String, String> {
    world.cloudformation.stack(stack).unwrap_or_else(|| panic!("no {stack}")).parameters
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_group_is_added_beside_the_first() {
    let world = World::start(Setup::default()).await;
    world.until("a group of two", |state| serving(state).len() == 2).await;
    what_cannot_be_is_refused_before_anything_is_made(&world).await;

    let line = ["group", "add", "batch", "--image", IMAGE, "--subnets", "zone-a,zone-b", "--json"];
    let added = json(&world, &[&line[..], &["--schedule", "rate(5 minutes)"]].concat()).await;
    assert_eq!(
        added["cloudformation"],
        value!({"name": "e2e-batch", "status": "CREATE_COMPLETE", "change": "created"})
    );
    assert_eq!(added["policy"], value!({"parameter": "/muster/batch/policy", "written": 1}));
    assert_eq!(added["launch_template"]["name"], "e2e-batch");
    let launch = value!({"template": "e2e-batch", "zones": ["zone-a", "zone-b"]});
    let scaling = value!({"kind": "auto"});
    let first = value!({"min_instances": 2, "max_instances": 5, "scaling": scaling, "launch": launch});
    assert_eq!(policy(&world, "batch"), Some((1, first)));
    let made = parameters(&world, "e2e-batch");
    let of = |name: &str| made[name].as_str();
    assert_eq!((of("Stack"), of("Group"), of("Image")), ("e2e", "batch", IMAGE));
    assert_eq!((of("SweepSchedule"), of("SchedulePeriod")), ("rate(5 minutes)", "300"));
    let tags = world.cloudformation.stack("e2e-batch").expect("a stack").tags;
    assert_eq!((tags["muster:stack"].as_str(), tags["muster:group"].as_str()), ("e2e", "batch"));

    once_more_changes_what_is_said_and_keeps_the_policy(&world).await;
    a_stack_that_fails_says_why_and_is_made_anew(&world).await;
    both_sides_are_listed(&world).await;

    let state = world.until("still a group of two", |state| serving(state).len() == 2).await;
    assert_eq!(state.head.policy.map(|version| version.0), Some(1), "the first group is untouched");
    assert_eq!(policy(&world, "web").map(|(version, _)| version), Some(1));
    assert_eq!(world.cloudformation.stack("e2e-web").map(|stack| stack.name), None);
}

async fn what_cannot_be_is_refused_before_anything_is_made(world: &World) {
    world.cloudformation.seed("test-api", &[("muster:stack", "test"), ("muster:group", "api")], &[]);
    world.cloudformation.seed("e2e-taken", &[], &[]);
    let bad = policy_file(r#"{"min_instances": 9, "max_instances": 5}"#);
    let bad = bad.path().display().to_string();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["add", "batch"], 2, "--image"),
        (&["add", "a_b", "--image", IMAGE], 2, "CloudFormation takes no stack"),
        (&["add", "foundation", "--image", IMAGE], 2, "foundation"),
        (&["add", "api", "--image", IMAGE], 2, "belongs to the stack test"),
        (&["add", "taken", "--image", IMAGE], 2, "e2e-taken"),
        (&["add", "batch", "--image", IMAGE, "--policy", &bad], 2, "min_instances"),
        (&["--stack", "other", "add", "batch", "--image", IMAGE], 1, "make deploy"),
    ];
    for (arguments, code, named) in cases {
        let said = group(world, code, arguments).await;
        assert!(said.contains(named), "{arguments:?} does not name {named:?}: {said}");
    }
    assert_eq!(world.cloudformation.stacks().len(), 3, "the foundation, test-api and e2e-taken");
    assert_eq!(policy(world, "batch"), None);
}

async fn once_more_changes_what_is_said_and_keeps_the_policy(world: &World) {
    let edited = policy_file(&quick_policy(1, 3));
    let path = edited.path().display().to_string();
    json(world, &["policy", "set", &path, "--group", "batch", "--json"]).await;
    let again = json(world, &["group", "add", "batch", "--instance-type", "m7.large", "--json"]).await;
    assert_eq!(again["cloudformation"]["change"], "updated");
    assert_eq!(again["policy"]["written"], Value::Null, "the operator's edit is kept");
    assert_eq!(policy(world, "batch").map(|(version, _)| version), Some(2));
    let made = parameters(world, "e2e-batch");
    let of = |name: &str| made[name].as_str();
    assert_eq!((of("InstanceType"), of("Image"), of("SchedulePeriod")), ("m7.large", IMAGE, "300"), "the rest is kept");
    let same = muster(world, &["group", "add", "batch"]).await;
    assert!(out(&same).contains("unchanged") && out(&same).contains("kept as it is"), "{}", out(&same));
    assert!(err(&same).contains("its launch.template is lt-0123456789abcdef0, not e2e-batch"), "{}", err(&same));
}

async fn a_stack_that_fails_says_why_and_is_made_anew(world: &World) {
    let said = group(world, 1, &["add", "other", "--image", BAD_IMAGE]).await;
    for word in ["e2e-other is ROLLBACK_COMPLETE", "LaunchTemplate (AWS::EC2::LaunchTemplate)", "ami-bad"] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(policy(world, "other"), None, "there is no policy without a stack");
    group(world, 0, &["add", "other", "--image", IMAGE]).await;
    assert_eq!(world.cloudformation.stack("e2e-other").map(|stack| stack.status), Some("CREATE_COMPLETE".into()));
    assert_eq!(policy(world, "other").map(|(version, _)| version), Some(1));
    let gone = json(world, &["group", "remove", "other", "--json"]).await;
    let text = gone["policy"].as_str().expect("the policy's text");
    assert!(text.contains("e2e-other"), "{gone}");
    assert_eq!((world.cloudformation.stack("e2e-other").is_none(), policy(world, "other")), (true, None));
}

async fn both_sides_are_listed(world: &World) {
    let list = json(world, &["group", "list", "--json"]).await;
    let groups = list["groups"].as_array().expect("groups");
    let names: Vec<_> = groups.iter().map(|group| &group["group"]).collect();
    assert_eq!(names, ["batch", "web"], "{list}");
    assert_eq!(groups[0]["cloudformation"], value!({"name": "e2e-batch", "status": "UPDATE_COMPLETE"}));
    assert_eq!((&groups[0]["records"], &groups[1]["cloudformation"]), (&Value::Null, &Value::Null), "{list}");
    assert_eq!((&groups[1]["records"]["members"], &groups[1]["records"]["desired"]), (&value!(2), &value!(2)));
    assert!(groups[1]["records"]["sweep_age_seconds"].as_u64().is_some_and(|age| age < 60), "{list}");
    let table = out(&muster(world, &["group", "list"]).await);
    for word in ["e2e-batch: UPDATE_COMPLETE", "nothing has been decided yet", "no CloudFormation stack", "version 1"] {
        assert!(table.contains(word), "no {word:?} in\n{table}");
    }
}

async fn interrupted_it_says_where_it_was(world: &World, held: &str) {
    let mut removing = command(world, &["group", "remove", "web", "--force"]);
    let mut removing = removing.stderr(Stdio::piped()).spawn().expect("muster starts");
    let mut said = BufReader::new(removing.stderr.take().expect("a pipe")).lines();
    let first = said.next_line().await.expect("a pipe").expect("a line");
    assert!(first.starts_with("waiting: "), "the policy of nobody is there already: {first}");
    let signal = format!("kill -INT {}", removing.id().expect("it runs"));
    assert!(Command::new("sh").args(["-c", &signal]).status().await.expect("a shell").success());
    assert_eq!(removing.wait().await.expect("an end").code(), Some(130));
    let mut rest = String::new();
    while let Some(line) = said.next_line().await.expect("a pipe") {
        rest += &line;
    }
    for word in ["interrupted", held, "The same command goes on from there"] {
        assert!(rest.contains(word), "no {word:?} in {rest}");
    }
}

/// Changes the tag that spares an instance.
fn protect(world: &World, id: &str, protected: bool) {
    let action = if protected { "CreateTags" } else { "DeleteTags" };
    let form =
        format!("Action={action}&Version=2016-11-15&ResourceId.1={id}&Tag.1.Key=muster%3Aprotected&Tag.1.Value=true");
    let answer = world.ec2.call(form.as_bytes()).answer.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_removed_when_nobody_is_left() {
    let world = World::start(Setup::default()).await;
    let state = world.until("a group of two", |state| serving(state).len() == 2).await;
    group(&world, 0, &["add", "web", "--image", IMAGE]).await;
    let said = group(&world, 1, &["remove", "web"]).await;
    for word in ["2 members", "2 instances in EC2", "--force", "Nothing was changed"] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(policy(&world, "web").map(|(version, _)| version), Some(1));
    let said = group(&world, 2, &["remove", "nobody"]).await;
    assert!(said.contains("no group nobody"), "{said}");

    // A protected member holds it up, and is named; the group is at rest by then.
    let held = serving(&state).remove(0).to_string();
    protect(&world, &held, true);
    let said = group(&world, 1, &["remove", "web", "--force", "--timeout", "8s"]).await;
    for word in [held.as_str(), "protected", "after 8s it is not done", "The same command goes on from there"] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert!(said.contains(&quick_policy(2, 5)), "the policy is told before it is replaced: {said}");
    interrupted_it_says_where_it_was(&world, &held).await;
    assert!(world.cloudformation.stack("e2e-web").is_some(), "MonitorS is still needed");
    protect(&world, &held, false);

    let gone = json(&world, &["group", "remove", "web", "--force", "--json"]).await;
    assert_eq!((&gone["group"], &gone["cloudformation"]), (&value!("web"), &value!("e2e-web")));
    assert_eq!(gone["policy"], value!(quick_policy(2, 5)), "not that of nobody");
    assert!(world.cloudformation.stack("e2e-web").is_none() && policy(&world, "web").is_none());
    assert!(world.instances().iter().all(|instance| instance.state == State::Terminated), "{:?}", world.instances());
    let drained = world.events().await.into_iter().filter(|event| matches!(event, Event::Draining { .. })).count();
    assert_eq!(drained, 2, "both were drained, and asked to finish");
    world.check_ledger(5).await;

    // Its schedule goes on in this world: sweeps ring for a group that is no more, and nobody makes it anew.
    let sweeps = || world.keys("sweeps").len();
    let swept = sweeps();
    world.until_ec2("three more sweeps", |_| sweeps() >= swept + 3).await;
    assert_eq!(world.state().await, None);
    let left: Vec<String> = world.keys("control").into_iter().filter(|key| !key.starts_with("LOCK#")).collect();
    assert_eq!(left, Vec::<String>::new(), "nothing is left of it but the lock of sweeps that go on, which expires");
    assert_eq!(world.tables.groups().await.expect("a list"), []);
    let list = json(&world, &["group", "list", "--json"]).await;
    assert_eq!(list["groups"], value!([]));
    assert!(world.tables.head(&world.group).await.expect("a read").is_none());
}
