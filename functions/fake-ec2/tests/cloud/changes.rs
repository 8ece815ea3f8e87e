//! Ending, stopping, starting and tagging.

use muster_fake_ec2::{Deed, Settings};

use super::{INSTANCES, World};

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html>
#[test]
fn an_instance_goes_through_its_states_in_time() {
    let mut world = World::new();
    let id = world.launch(&[]);
    assert_eq!(world.state(&id), "pending");
    world.pass(9);
    assert_eq!(world.state(&id), "pending");
    world.pass(1);
    assert_eq!(world.state(&id), "running");
    world.terminate(&id);
    assert_eq!(world.state(&id), "shutting-down");
    world.pass(5);
    assert_eq!(world.state(&id), "terminated");
}

#[test]
fn what_is_terminated_while_it_boots_never_runs() {
    let mut world = World::new();
    let id = world.launch(&[]);
    world.terminate(&id);
    world.pass(60);
    assert_eq!(world.state(&id), "terminated");
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html>: again and again it succeeds.
#[test]
fn terminating_again_succeeds_and_changes_nothing() {
    let mut world = World::new();
    let id = world.launch(&[]);
    world.pass(60);
    let states = |world: &mut World| {
        let tree = world.call("TerminateInstances", &[("InstanceId.1", &id)]);
        let name = |which: &str| tree.text(&format!("instancesSet/item/{which}/name")).to_owned();
        (name("previousState"), name("currentState"))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(states(&mut world), pair("running", "shutting-down"));
    world.pass(1);
    assert_eq!(states(&mut world), pair("shutting-down", "shutting-down"));
    world.pass(4);
    assert_eq!(states(&mut world), pair("terminated", "terminated"), "the second call has not begun it anew");
}

/// About an hour after it ended an instance is unknown.
#[test]
fn a_terminated_instance_is_shown_for_an_hour() {
    let mut world = World::new();
    let id = world.launch(&[]);
    world.terminate(&id);
    world.pass(5 + 3599);
    assert_eq!(world.shown(&[]), [id.as_str()]);
    world.pass(1);
    assert!(world.shown(&[]).is_empty());
    for action in ["DescribeInstances", "TerminateInstances"] {
        assert_eq!(world.code(action, &[("InstanceId.1", &id)]), "InvalidInstanceID.NotFound");
    }
    assert_eq!(world.ever(), 1, "the ledger keeps it");
}

#[test]
fn one_bad_id_fails_the_whole_call() {
    let mut world = World::new();
    let id = world.launch(&[]);
    world.pass(60);
    let bad = [
        ("i-00000000000000000", "InvalidInstanceID.NotFound"),
        ("i-xyz", "InvalidInstanceID.Malformed"),
        ("web-1", "InvalidInstanceID.Malformed"),
    ];
    for action in ["TerminateInstances", "StopInstances", "DescribeInstances", "DescribeInstanceStatus"] {
        for (other, code) in bad {
            assert_eq!(world.code(action, &[("InstanceId.1", &id), ("InstanceId.2", other)]), code, "{action}");
        }
    }
    assert_eq!(world.state(&id), "running");
    assert_eq!(world.code("TerminateInstances", &[]), "MissingParameter");
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Stop_Start.html>
#[test]
fn stopping_and_starting_take_their_time() {
    let mut world = World::new();
    let id = world.launch(&[]);
    let named = [("InstanceId.1", id.as_str())];
    assert_eq!(world.code("StopInstances", &named), "IncorrectInstanceState", "it is pending");
    world.pass(60);
    world.call("StopInstances", &named);
    assert_eq!(world.state(&id), "stopping");
    assert_eq!(world.code("StartInstances", &named), "IncorrectInstanceState");
    world.pass(5);
    assert_eq!(world.state(&id), "stopped");
    let address = world.call("DescribeInstances", &named).text(&format!("{INSTANCES}/privateIpAddress")).to_owned();
    world.call("StartInstances", &named);
    assert_eq!(world.state(&id), "pending");
    world.pass(10);
    let tree = world.call("DescribeInstances", &named);
    assert_eq!(tree.text(&format!("{INSTANCES}/instanceState/name")), "running");
    assert_eq!(tree.text(&format!("{INSTANCES}/privateIpAddress")), address, "the private address stays");
    world.terminate(&id);
    assert_eq!(world.code("StartInstances", &named), "IncorrectInstanceState");
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html>: with a value only a tag that has it goes, without
/// any tag all go but those of `aws:`.
#[test]
fn tags_come_and_go() {
    let mut world = World::new();
    let id = world.launch(&[]);
    let tags = |world: &mut World| {
        let tree = world.call("DescribeInstances", &[("InstanceId.1", &id)]);
        let keys = tree.texts(&format!("{INSTANCES}/tagSet/item/key")).into_iter();
        keys.zip(tree.texts(&format!("{INSTANCES}/tagSet/item/value")))
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>()
    };
    let named = ("ResourceId.1", id.as_str());
    world.call("CreateTags", &[named, ("Tag.1.Key", "a"), ("Tag.1.Value", "1"), ("Tag.2.Key", "b")]);
    assert_eq!(tags(&mut world), ["a=1", "b="]);
    world.call("CreateTags", &[named, ("Tag.1.Key", "a"), ("Tag.1.Value", "<2> & \"3\"")]);
    assert_eq!(tags(&mut world), ["a=<2> & \"3\"", "b="]);
    world.call("DeleteTags", &[named, ("Tag.1.Key", "a"), ("Tag.1.Value", "1")]);
    assert_eq!(tags(&mut world), ["a=<2> & \"3\"", "b="], "another value");
    world.call("DeleteTags", &[named, ("Tag.1.Key", "a")]);
    assert_eq!(tags(&mut world), ["b="]);
    world.call("DeleteTags", &[named]);
    assert!(tags(&mut world).is_empty());
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
#[test]
fn tags_keep_to_ec2s_limits() {
    let mut world = World::new();
    let id = world.launch(&[]);
    let named = ("ResourceId.1", id.as_str());
    let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
    let cases = [
        (vec![("Tag.1.Key", "aws:mine")], "InvalidParameterValue"),
        (vec![("Tag.1.Key", long_key.as_str())], "InvalidParameterValue"),
        (vec![("Tag.1.Key", "k"), ("Tag.1.Value", long_value.as_str())], "InvalidParameterValue"),
        (vec![("Tag.1.Key", "k"), ("Tag.2.Key", "k")], "InvalidParameterValue"),
        (vec![("Tag.1.Value", "v")], "MissingParameter"),
        (vec![], "MissingParameter"),
    ];
    for (tags, code) in cases {
        let all: Vec<_> = [named].into_iter().chain(tags).collect();
        assert_eq!(world.code("CreateTags", &all), code, "{all:?}");
    }
    let names: Vec<String> = (1..=51).map(|n| format!("Tag.{n}.Key")).collect();
    let keys: Vec<String> = (1..=51).map(|n| format!("key-{n}")).collect();
    let many: Vec<_> = names.iter().zip(&keys).map(|(n, k)| (n.as_str(), k.as_str())).chain([named]).collect();
    assert_eq!(world.code("CreateTags", &many), "TagLimitExceeded");
    world.call("CreateTags", &many[1..]);
}

#[test]
fn deeds_from_outside_need_no_call() {
    let mut world = World::with(Settings::default());
    let ids = [world.launch(&[]), world.launch(&[]), world.launch(&[])];
    world.pass(60);
    let before = world.cloud.ledger(world.now).calls_total;
    for (id, deed) in ids.iter().zip([Deed::Terminate, Deed::SpotTake, Deed::Stop]) {
        world.cloud.deed(world.now, id, deed).expect("a deed");
    }
    assert_eq!(world.cloud.ledger(world.now).calls_total, before);
    world.pass(5);
    let states = [world.state(&ids[0]), world.state(&ids[1]), world.state(&ids[2])];
    assert_eq!(states, ["terminated", "terminated", "stopped"]);
    let tree = world.call("DescribeInstances", &[("InstanceId.1", &ids[1])]);
    assert_eq!(tree.text(&format!("{INSTANCES}/stateReason/code")), "Server.SpotInstanceTermination");
    assert!(world.cloud.deed(world.now, "i-00000000000000000", Deed::Stop).is_err());
}
