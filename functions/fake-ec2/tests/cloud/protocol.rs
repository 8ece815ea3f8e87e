//! The protocol itself: requests in the form of the documentation's examples, with data of our own, and what answers look like.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html>

use super::{IMAGE, World};

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html>, examples "launch an instance in a zone" and "with tags".
#[test]
fn run_instances_as_documented() {
    let mut world = World::new();
    let tree = world
        .try_form(&format!(
            "Action=RunInstances&ImageId={IMAGE}&InstanceType=t2.large&MaxCount=2&MinCount=1&KeyName=a-key\
             &Placement.AvailabilityZone=zone-b&Monitoring.Enabled=true&SecurityGroupId.1=sg-0a&SecurityGroupId.2=sg-0b\
             &TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=owner\
             &TagSpecification.1.Tag.1.Value=team%20a%2Bb&Version=2016-11-15\
             &AWSAccessKeyId=AKIDEXAMPLE&SignatureVersion=2&SignatureMethod=HmacSHA256\
             &Timestamp=2026-11-22T10%3A00%3A00Z&Signature=c2ln"
        ))
        .expect("a launch");
    assert_eq!(tree.name, "RunInstancesResponse");
    assert!(tree.text("reservationId").starts_with("r-"));
    assert_eq!(tree.text("ownerId"), "123456789012");
    assert_eq!(tree.texts("instancesSet/item/amiLaunchIndex"), ["0", "1"]);
    assert_eq!(tree.texts("instancesSet/item/instanceState/code"), ["0", "0"]);
    assert_eq!(tree.texts("instancesSet/item/instanceState/name"), ["pending", "pending"]);
    assert_eq!(tree.texts("instancesSet/item/tagSet/item/value"), ["team a+b", "team a+b"]);
    assert_eq!(tree.texts("instancesSet/item/monitoring/state").len(), 2);
    for id in tree.texts("instancesSet/item/instanceId") {
        let digits = id.strip_prefix("i-").expect("an instance's id");
        assert!(digits.len() == 17 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    assert!(!tree.has("instancesSet/item/instanceLifecycle"), "it is only there for Spot");
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html>
#[test]
fn terminate_instances_as_documented() {
    let mut world = World::new();
    let id = world.launch(&[]);
    world.pass(60);
    let tree =
        world.try_form(&format!("Action=TerminateInstances&InstanceId.1={id}&Version=2016-11-15")).expect("an end");
    assert_eq!(tree.name, "TerminateInstancesResponse");
    let text = |path: &str| tree.text(&format!("instancesSet/item/{path}")).to_owned();
    assert_eq!(text("instanceId"), id);
    assert_eq!((text("currentState/code"), text("currentState/name")), ("32".into(), "shutting-down".into()));
    assert_eq!((text("previousState/code"), text("previousState/name")), ("16".into(), "running".into()));
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>, examples with filters.
#[test]
fn describe_instances_as_documented() {
    let mut world = World::new();
    let id = world.launch(&[("InstanceType", "m1.large"), ("ClientToken", "abc")]);
    world.launch(&[("InstanceType", "c5.large")]);
    let form = "Action=DescribeInstances&Filter.1.Name=instance-type&Filter.1.Value.1=m1.small\
                &Filter.1.Value.2=m1.large&Filter.2.Name=instance-state-name&Filter.2.Value.1=pending&Version=2016-11-15";
    let tree = world.try_form(form).expect("a description");
    assert_eq!(tree.name, "DescribeInstancesResponse");
    assert_eq!(tree.all("reservationSet/item").len(), 1);
    assert_eq!(tree.text("reservationSet/item/ownerId"), "123456789012");
    let text = |path: &str| tree.text(&format!("reservationSet/item/instancesSet/item/{path}")).to_owned();
    assert_eq!(text("instanceId"), id);
    assert_eq!(text("clientToken"), "abc");
    assert!(text("privateIpAddress").starts_with("127.77."));
    assert!(!tree.has("nextToken"));
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html> and its neighbours.
#[test]
fn launch_templates_as_documented() {
    let mut world = World::new();
    let made = world
        .try_form(&format!(
            "Action=CreateLaunchTemplate&LaunchTemplateName=web.front&VersionDescription=first\
             &LaunchTemplateData.NetworkInterface.1.DeviceIndex=0\
             &LaunchTemplateData.NetworkInterface.1.AssociatePublicIpAddress=true\
             &LaunchTemplateData.ImageId={IMAGE}&LaunchTemplateData.InstanceType=t2.small\
             &LaunchTemplateData.TagSpecification.1.ResourceType=instance\
             &LaunchTemplateData.TagSpecification.1.Tag.1.Key=purpose\
             &LaunchTemplateData.TagSpecification.1.Tag.1.Value=web&Version=2016-11-15"
        ))
        .expect("a template");
    assert_eq!(made.name, "CreateLaunchTemplateResponse");
    assert_eq!(made.text("launchTemplate/launchTemplateName"), "web.front");
    assert_eq!(made.text("launchTemplate/defaultVersionNumber"), "1");
    assert_eq!(made.text("launchTemplate/latestVersionNumber"), "1");
    assert_eq!(made.text("launchTemplate/createTime"), "2026-11-22T10:00:00.000Z");
    let id = made.text("launchTemplate/launchTemplateId");
    let version = format!(
        "Action=CreateLaunchTemplateVersion&LaunchTemplateId={id}&SourceVersion=1&VersionDescription=second\
         &LaunchTemplateData.ImageId=ami-0bbbbbbbbbbbbbbb2&Version=2016-11-15"
    );
    let version = world.try_form(&version).expect("a version");
    assert_eq!(version.text("launchTemplateVersion/versionDescription"), "second");
    let modify = format!("Action=ModifyLaunchTemplate&LaunchTemplateId={id}&SetDefaultVersion=2&Version=2016-11-15");
    let modified = world.try_form(&modify).expect("a change");
    assert_eq!(modified.text("launchTemplate/defaultVersionNumber"), "2");
    let describe = format!(
        "Action=DescribeLaunchTemplateVersions&LaunchTemplateId={id}&LaunchTemplateVersion.1=1\
         &LaunchTemplateVersion.2=2&Version=2016-11-15"
    );
    let shown = world.try_form(&describe).expect("versions");
    assert_eq!(shown.texts("launchTemplateVersionSet/item/versionNumber"), ["1", "2"]);
    let tags = "launchTemplateVersionSet/item/launchTemplateData/tagSpecificationSet/item";
    assert_eq!(shown.texts(&format!("{tags}/resourceType")), ["instance", "instance"]);
    assert_eq!(shown.texts(&format!("{tags}/tagSet/item/value")), ["web", "web"]);
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>
#[test]
fn tags_as_documented() {
    let mut world = World::new();
    let (one, two) = (world.launch(&[]), world.launch(&[]));
    let create = format!(
        "Action=CreateTags&ResourceId.1={one}&ResourceId.2={two}&Tag.1.Key=webserver&Tag.1.Value=\
         &Tag.2.Key=stack&Tag.2.Value=Test&Version=2016-11-15"
    );
    let done = world.try_form(&create).expect("tags");
    assert_eq!((done.name.as_str(), done.text("return")), ("CreateTagsResponse", "true"));
    let delete = format!("Action=DeleteTags&ResourceId.1={one}&Tag.1.Key=stack&Tag.2.Key=webserver&Version=2016-11-15");
    assert_eq!(world.try_form(&delete).expect("no tags").text("return"), "true");
    let tagged = [("Filter.1.Name", "tag-key"), ("Filter.1.Value.1", "webserver")];
    assert_eq!(world.shown(&tagged), [two]);
}

#[test]
fn what_is_not_understood_is_said() {
    let cases = [
        ("", "MissingAction"),
        ("Version=2016-11-15", "MissingAction"),
        ("Action=DescribeInstances", "MissingParameter"),
        ("Action=DescribeInstances&Version=2010-01-01", "NoSuchVersion"),
        ("Action=LaunchRockets&Version=2016-11-15", "InvalidAction"),
        ("Action=DescribeInstances&Version=2016-11-15&Colour=red", "UnknownParameter"),
        ("Action=DescribeInstances&Version=2016-11-15&InstanceId=i-0", "UnknownParameter"),
        ("Action=DescribeInstances&Version=2016-11-15&InstanceId.x=i-0", "UnknownParameter"),
        ("Action=DescribeInstances&Version=2016-11-15&InstanceId.1.Id=i-0", "InvalidParameterValue"),
        ("Action=DescribeInstances&Version=2016-11-15&DryRun=maybe", "InvalidParameterValue"),
        ("Action=DescribeInstances&Version=2016-11-15&MaxResults=5&MaxResults=6", "MalformedQueryString"),
        ("%FF=%FF&Action=%00", "MissingParameter"),
    ];
    for (form, code) in cases {
        assert_eq!(World::new().try_form(form), Err((400, code.to_owned())), "{form}");
    }
}

/// Whatever comes in, what goes out can be read.
#[test]
fn hostile_texts_come_back_as_texts() {
    let mut world = World::new();
    let value = "<item>&amp;]]>\u{1}\u{0}\"'é";
    let id = world.launch(&[
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "k"),
        ("TagSpecification.1.Tag.1.Value", value),
    ]);
    let tree = world.call("DescribeInstances", &[("InstanceId.1", &id)]);
    let path = format!("{}/tagSet/item/value", super::INSTANCES);
    assert_eq!(tree.text(&path), "<item>&amp;]]>\"'é");
    assert_eq!(world.code("<Action>&", &[]), "InvalidAction");
}

#[test]
fn the_call_log_is_bounded() {
    let mut world = World::new();
    for _ in 0..10_003 {
        world.cloud.call(world.now, b"Action=Nothing");
    }
    let ledger = world.cloud.ledger(world.now);
    assert_eq!((ledger.calls_total, ledger.calls.len(), ledger.calls[0].number), (10_003, 10_000, 4));
}

#[test]
fn the_ledger_tells_of_every_instance_and_call() {
    let mut world = World::new();
    let id = world.launch(&[
        ("ClientToken", "one"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "muster:intent"),
        ("TagSpecification.1.Tag.1.Value", "intent-7"),
    ]);
    world.pass(60);
    world.terminate(&id);
    let ledger = world.cloud.ledger(world.now);
    let [instance] = &ledger.instances[..] else { panic!("one instance") };
    assert_eq!((instance.token.as_deref(), instance.intent.as_deref()), (Some("one"), Some("intent-7")));
    assert_eq!(instance.ended, Some(world.now));
    let calls: Vec<_> = ledger.calls.iter().map(|call| (call.action.as_str(), &call.instances[..])).collect();
    let ids = [id];
    assert_eq!(calls, [("RunInstances", &ids[..]), ("TerminateInstances", &ids[..])]);
    world.cloud.reset(world.now);
    let empty = world.cloud.ledger(world.now);
    assert_eq!((empty.instances.len(), empty.calls.len(), empty.rules.len()), (0, 0, 0));
    assert_ne!(world.launch(&[("ClientToken", "one")]), ids[0]);
}
