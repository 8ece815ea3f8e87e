//! Describing calls: the lag, filters, pages, statuses.

use std::time::Duration;

use muster_fake_ec2::{Deed, Settings};

use super::{INSTANCES, World};

/// A filter's name and values.
type Named<'a> = (&'a str, Vec<&'a str>);

fn lagging() -> World {
    World::with(Settings { lag: Duration::from_secs(3), ..Settings::default() })
}

/// <https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>
#[test]
fn with_a_lag_a_new_instance_is_not_found_yet() {
    let mut world = lagging();
    let id = world.launch(&[("ClientToken", "one")]);
    world.pass(2);
    assert_eq!(world.code("DescribeInstances", &[("InstanceId.1", &id)]), "InvalidInstanceID.NotFound");
    assert_eq!(world.code("DescribeInstanceStatus", &[("InstanceId.1", &id)]), "InvalidInstanceID.NotFound");
    assert!(world.shown(&[("Filter.1.Name", "client-token"), ("Filter.1.Value.1", "one")]).is_empty());
    assert_eq!(world.launch(&[("ClientToken", "one")]), id, "a token is no description");
    world.pass(1);
    assert_eq!(world.state(&id), "pending");
    world.pass(9);
    assert_eq!(world.state(&id), "pending", "it runs since 2 s");
    world.pass(1);
    assert_eq!(world.state(&id), "running");
}

#[test]
fn with_a_lag_a_terminated_instance_still_runs() {
    let mut world = lagging();
    let id = world.launch(&[]);
    world.pass(60);
    world.terminate(&id);
    world.pass(2);
    assert_eq!(world.state(&id), "running");
    let tree = world.call("TerminateInstances", &[("InstanceId.1", &id)]);
    assert_eq!(tree.text("instancesSet/item/previousState/name"), "shutting-down", "changing calls see the truth");
    world.pass(1);
    assert_eq!(world.state(&id), "shutting-down");
    world.pass(5);
    assert_eq!(world.state(&id), "terminated");
}

#[test]
fn with_a_lag_tags_change_late() {
    let mut world = lagging();
    let id = world.launch(&[]);
    world.pass(60);
    world.call("CreateTags", &[("ResourceId.1", &id), ("Tag.1.Key", "k")]);
    let tagged = [("Filter.1.Name", "tag-key"), ("Filter.1.Value.1", "k")];
    assert!(world.shown(&tagged).is_empty());
    world.pass(3);
    assert_eq!(world.shown(&tagged), [id]);
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>: values of a filter are alternatives, filters all count.
#[test]
fn filters_choose() {
    let mut world = World::new();
    let tags = |group: &'static str| {
        [
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "muster:group"),
            ("TagSpecification.1.Tag.1.Value", group),
        ]
    };
    let launch = |world: &mut World, group, more: &[(&str, &str)]| {
        let all: Vec<_> = tags(group).into_iter().chain(more.iter().copied()).collect();
        world.launch(&all)
    };
    let web = launch(&mut world, "web", &[("ClientToken", "token-1"), ("Placement.AvailabilityZone", "zone-a")]);
    let app = launch(&mut world, "app", &[("ClientToken", "token-2"), ("Placement.AvailabilityZone", "zone-b")]);
    let bare = world.launch(&[("InstanceType", "c5.large")]);
    world.pass(60);
    world.terminate(&app);
    let all = [web.as_str(), &app, &bare];
    let cases: Vec<(Vec<Named<'_>>, Vec<&str>)> = vec![
        (vec![("tag:muster:group", vec!["web"])], vec![&web]),
        (vec![("tag:muster:group", vec!["web", "app"])], vec![&web, &app]),
        (vec![("tag:muster:group", vec!["w*"])], vec![&web]),
        (vec![("tag:muster:group", vec!["?pp"])], vec![&app]),
        (vec![("tag:muster:group", vec!["Web"])], vec![]),
        (vec![("tag-key", vec!["muster:*"])], vec![&web, &app]),
        (vec![("client-token", vec!["token-2"])], vec![&app]),
        (vec![("client-token", vec!["token-*"]), ("instance-state-name", vec!["running", "pending"])], vec![&web]),
        (vec![("instance-state-name", vec!["shutting-down"])], vec![&app]),
        (vec![("instance-state-code", vec!["16"])], vec![&web, &bare]),
        (vec![("instance-id", vec![&bare, &web])], vec![&web, &bare]),
        (vec![("instance-type", vec!["c5.*"])], vec![&bare]),
        (vec![("availability-zone", vec!["zone-b"])], vec![&app]),
        (vec![("instance-id", vec!["i-00000000000000000"])], vec![]),
        (vec![("image-id", vec!["*"])], all.to_vec()),
    ];
    for (filters, expected) in cases {
        let mut parameters = Vec::new();
        for (n, (name, values)) in filters.iter().enumerate() {
            parameters.push((format!("Filter.{}.Name", n + 1), (*name).to_owned()));
            let values = values.iter().enumerate();
            parameters
                .extend(values.map(|(v, value)| (format!("Filter.{}.Value.{}", n + 1, v + 1), (*value).to_owned())));
        }
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(world.shown(&parameters), expected, "{filters:?}");
    }
    let refused = [
        vec![("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")],
        vec![("Filter.1.Name", "instance-id")],
        vec![("Filter.1.Value.1", "red")],
    ];
    let codes = refused.map(|filters| world.code("DescribeInstances", &filters));
    assert_eq!(codes, ["InvalidParameterValue", "InvalidParameterValue", "MissingParameter"]);
}

#[test]
fn pages_show_everything_once() {
    let mut world = World::new();
    let all: Vec<String> = (0..3).flat_map(|_| world.try_launch(&[("MaxCount", "4")]).expect("a launch")).collect();
    let mut seen = Vec::new();
    let mut token = None;
    for expected in [5, 5, 2] {
        let mut parameters = vec![("MaxResults", "5")];
        parameters.extend(token.as_deref().map(|token| ("NextToken", token)));
        let tree = world.call("DescribeInstances", &parameters);
        let ids = tree.texts(&format!("{INSTANCES}/instanceId"));
        assert_eq!(ids.len(), expected);
        seen.extend(ids.into_iter().map(str::to_owned));
        token = tree.has("nextToken").then(|| tree.text("nextToken").to_owned());
    }
    assert_eq!(token, None);
    assert_eq!(seen, all);
}

#[test]
fn a_page_is_never_larger_than_set() {
    let mut world = World::with(Settings { page_size: 2, ..Settings::default() });
    let all = world.try_launch(&[("MaxCount", "3")]).expect("a launch");
    let first = world.call("DescribeInstances", &[]);
    let next = first.text("nextToken").to_owned();
    assert_eq!(first.all(INSTANCES).len(), 2);
    assert_eq!(world.shown(&[("NextToken", &next)]), all[2..]);
}

#[test]
fn bad_pages_are_refused() {
    let mut world = World::new();
    let id = world.launch(&[]);
    let cases = [
        (vec![("MaxResults", "4")], "InvalidParameterValue"),
        (vec![("MaxResults", "x")], "InvalidParameterValue"),
        (vec![("NextToken", "x")], "InvalidNextToken"),
        (vec![("MaxResults", "5"), ("InstanceId.1", id.as_str())], "InvalidParameterCombination"),
    ];
    for (parameters, code) in cases {
        assert_eq!(world.code("DescribeInstances", &parameters), code, "{parameters:?}");
    }
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html>: only what runs, unless all are wanted.
#[test]
fn statuses_follow_the_checks() {
    let checks = Duration::from_secs(20);
    let mut world = World::with(Settings { checks, ..Settings::default() });
    let ids = [world.launch(&[]), world.launch(&[])];
    let statuses = |world: &mut World, parameters: &[(&str, &str)]| {
        let tree = world.call("DescribeInstanceStatus", parameters);
        let status = |name: &str| tree.texts(&format!("instanceStatusSet/item/{name}/status")).join(",");
        format!("{} {}", status("instanceStatus"), status("systemStatus"))
    };
    assert_eq!(statuses(&mut world, &[]), " ");
    let all = [("IncludeAllInstances", "true")];
    assert_eq!(statuses(&mut world, &all), "not-applicable,not-applicable not-applicable,not-applicable");
    world.pass(10);
    assert_eq!(statuses(&mut world, &[]), "initializing,initializing initializing,initializing");
    world.pass(20);
    world.cloud.deed(world.now, &ids[0], Deed::Impair).expect("a deed");
    assert_eq!(statuses(&mut world, &[]), "impaired,ok impaired,ok");
    for name in ["instance-status.status", "system-status.status"] {
        let filter = [("Filter.1.Name", name), ("Filter.1.Value.1", "impaired")];
        let tree = world.call("DescribeInstanceStatus", &filter);
        assert_eq!(tree.texts("instanceStatusSet/item/instanceId"), [ids[0].as_str()]);
    }
    world.cloud.deed(world.now, &ids[0], Deed::Heal).expect("a deed");
    assert_eq!(statuses(&mut world, &[]), "ok,ok ok,ok");
}

#[test]
fn tags_are_described_across_resources() {
    let mut world = World::new();
    let id = world.launch(&[]);
    world.call("CreateTags", &[("ResourceId.1", &id), ("Tag.1.Key", "k"), ("Tag.1.Value", "v")]);
    let template = [
        ("LaunchTemplateName", "web"),
        ("LaunchTemplateData.ImageId", super::IMAGE),
        ("TagSpecification.1.ResourceType", "launch-template"),
        ("TagSpecification.1.Tag.1.Key", "k"),
        ("TagSpecification.1.Tag.1.Value", "w"),
    ];
    world.call("CreateLaunchTemplate", &template);
    let tree = world.call("DescribeTags", &[("Filter.1.Name", "key"), ("Filter.1.Value.1", "k")]);
    assert_eq!(tree.texts("tagSet/item/resourceType"), ["instance", "launch-template"]);
    let filter = [("Filter.1.Name", "resource-id"), ("Filter.1.Value.1", id.as_str())];
    assert_eq!(world.call("DescribeTags", &filter).texts("tagSet/item/value"), ["v"]);
}
