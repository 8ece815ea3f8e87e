//! What a launch is made of, where it goes, and how many come.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html>

use std::collections::BTreeSet;

use muster_fake_ec2::{Capacity, Config, Settings};

use super::{IMAGE, INSTANCES, World};

#[test]
fn refusals_have_ec2s_codes_and_launch_nothing() {
    let cases: [(&[(&str, &str)], &str); 16] = [
        (&[("ImageId", "")], "MissingParameter"),
        (&[("ImageId", "web")], "InvalidAMIID.Malformed"),
        (&[("MinCount", "")], "MissingParameter"),
        (&[("MinCount", "0")], "InvalidParameterValue"),
        (&[("MinCount", "2")], "InvalidParameterValue"),
        (&[("MaxCount", "many")], "InvalidParameterValue"),
        (&[("SubnetId", "subnet-00000000000000000")], "InvalidSubnetID.NotFound"),
        (&[("Placement.AvailabilityZone", "zone-z")], "InvalidParameterValue"),
        (&[("LaunchTemplate.LaunchTemplateName", "none")], "InvalidLaunchTemplateName.NotFoundException"),
        (&[("LaunchTemplate.LaunchTemplateId", "lt-00000000000000000")], "InvalidLaunchTemplateId.NotFound"),
        (&[("LaunchTemplate.LaunchTemplateId", "web")], "InvalidLaunchTemplateId.Malformed"),
        (&[("TagSpecification.1.ResourceType", "boat")], "InvalidParameterValue"),
        (&[("TagSpecification.1.Tag.1.Key", "k")], "MissingParameter"),
        (&[("Colour", "red")], "UnknownParameter"),
        (&[("Placement.Colour", "red")], "UnknownParameter"),
        (&[("Ipv6AddressCount", "1")], "UnsupportedOperation"),
    ];
    for (more, code) in cases {
        let mut world = World::new();
        assert_eq!(world.launch_code(more), code, "{more:?}");
        assert_eq!(world.ever(), 0, "{more:?}");
    }
}

#[test]
fn types_and_images_exist_when_listed() {
    let config = Config { instance_types: vec!["t3.micro".into()], images: vec![IMAGE.into()], ..Config::default() };
    let mut world = World::of(config);
    world.launch(&[]);
    assert_eq!(world.launch_code(&[("InstanceType", "t3.huge")]), "InvalidParameterValue");
    assert_eq!(world.launch_code(&[("ImageId", "ami-00000000000000000")]), "InvalidAMIID.NotFound");
}

#[test]
fn a_subnet_and_a_templates_own_interfaces_exclude_each_other() {
    let mut world = World::new();
    let subnet = world.call("DescribeSubnets", &[]).texts("subnetSet/item/subnetId")[0].to_owned();
    world.call(
        "CreateLaunchTemplate",
        &[
            ("LaunchTemplateName", "faced"),
            ("LaunchTemplateData.ImageId", "ami-0123456789abcdef0"),
            ("LaunchTemplateData.NetworkInterface.1.AssociatePublicIpAddress", "true"),
        ],
    );
    let template = ("LaunchTemplate.LaunchTemplateName", "faced");
    assert_eq!(world.launch_code(&[template, ("SubnetId", &subnet)]), "InvalidParameterCombination");
    world.launch(&[template]);
    world.launch(&[template, ("Placement.AvailabilityZone", "zone-a")]);
}

#[test]
fn a_launch_is_where_and_what_it_was_told() {
    let mut world = World::new();
    let subnets =
        world.call("DescribeSubnets", &[("Filter.1.Name", "availability-zone"), ("Filter.1.Value.1", "zone-b")]);
    let subnet = subnets.text("subnetSet/item/subnetId").to_owned();
    let id = world.launch(&[
        ("SubnetId", &subnet),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "muster:group"),
        ("TagSpecification.1.Tag.1.Value", "web"),
        ("TagSpecification.2.ResourceType", "volume"),
        ("TagSpecification.2.Tag.1.Key", "disk"),
        ("ClientToken", "the-token"),
        ("InstanceMarketOptions.MarketType", "spot"),
    ]);
    let tree = world.call("DescribeInstances", &[("InstanceId.1", &id)]);
    let text = |name: &str| tree.text(&format!("{INSTANCES}/{name}")).to_owned();
    assert_eq!(text("placement/availabilityZone"), "zone-b");
    assert_eq!(text("subnetId"), subnet);
    assert_eq!(text("imageId"), IMAGE);
    assert_eq!(text("instanceType"), "t3.micro");
    assert_eq!(text("clientToken"), "the-token");
    assert_eq!(text("instanceLifecycle"), "spot");
    assert_eq!(text("launchTime"), "2026-11-22T10:00:00.000Z");
    assert_eq!((text("tagSet/item/key"), text("tagSet/item/value")), ("muster:group".into(), "web".into()));
}

/// The count is as close to MaxCount as capacity allows, and nothing comes when that is below MinCount.
#[test]
fn capacity_gives_fewer_than_asked_but_never_below_the_minimum() {
    let three = vec![Capacity { zone: None, instance_type: None, instances: 3 }];
    let mut world = World::with(Settings { capacity: three, ..Settings::default() });
    let zone = ("Placement.AvailabilityZone", "zone-a");
    let refused = world.try_launch(&[zone, ("MinCount", "4"), ("MaxCount", "5")]);
    assert_eq!(refused, Err((500, "InsufficientInstanceCapacity".to_owned())));
    assert_eq!(world.ever(), 0);
    let made = world.try_launch(&[zone, ("MinCount", "2"), ("MaxCount", "5")]).expect("a launch");
    assert_eq!(made.len(), 3);
    assert_eq!(world.launch_code(&[zone]), "InsufficientInstanceCapacity");
    world.terminate(&made[0]);
    assert_eq!(world.launch_code(&[zone]), "InsufficientInstanceCapacity", "it is still shutting down");
    world.pass(5);
    world.launch(&[zone]);
}

#[test]
fn a_launch_without_a_zone_goes_where_there_is_room() {
    let full = |zone: &str| Capacity { zone: Some(zone.into()), instance_type: None, instances: 0 };
    for (full_zone, expected) in [("zone-a", "zone-b"), ("zone-b", "zone-a")] {
        let mut world = World::with(Settings { capacity: vec![full(full_zone)], ..Settings::default() });
        let id = world.launch(&[]);
        let tree = world.call("DescribeInstances", &[("InstanceId.1", &id)]);
        assert_eq!(tree.text(&format!("{INSTANCES}/placement/availabilityZone")), expected);
    }
    let capacity = ["zone-a", "zone-b"].map(full).into();
    let mut world = World::with(Settings { capacity, ..Settings::default() });
    assert_eq!(world.launch_code(&[]), "InsufficientInstanceCapacity");
}

#[test]
fn the_number_of_instances_is_limited() {
    let mut world = World::with(Settings { max_instances: 2, ..Settings::default() });
    let made = world.try_launch(&[("MaxCount", "5")]).expect("a launch");
    assert_eq!(made.len(), 2);
    assert_eq!(world.try_launch(&[]), Err((400, "InstanceLimitExceeded".to_owned())));
    world.terminate(&made[0]);
    world.pass(5);
    world.launch(&[]);
}

#[test]
fn addresses_are_of_the_zones_network_and_nobody_shares_one() {
    let mut world = World::new();
    for zone in ["zone-a", "zone-b"] {
        world.try_launch(&[("MaxCount", "300"), ("Placement.AvailabilityZone", zone)]).expect("a launch");
    }
    let ledger = world.cloud.ledger(world.now);
    let addresses: BTreeSet<_> = ledger.instances.iter().map(|instance| instance.address).collect();
    assert_eq!(addresses.len(), 600);
    for instance in &ledger.instances {
        let [127, 77, third, _] = instance.address.octets() else { panic!("{}", instance.address) };
        assert_eq!(third / 16, u8::from(instance.zone == "zone-b"), "{} in {}", instance.address, instance.zone);
    }
}

#[test]
fn a_subnet_runs_out_of_addresses() {
    let mut world = World::with(Settings { max_instances: 10_000, ..Settings::default() });
    let zone = ("Placement.AvailabilityZone", "zone-a");
    let made = world.try_launch(&[zone, ("MaxCount", "5000")]).expect("a launch");
    assert_eq!(made.len(), 4091, "a /20 without the five addresses that EC2 keeps");
    assert_eq!(world.launch_code(&[zone]), "InsufficientFreeAddressesInSubnet");
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html>: the answer is an error either way.
#[test]
fn a_dry_run_does_nothing() {
    let mut world = World::new();
    let id = world.launch(&[]);
    world.pass(60);
    assert_eq!(world.try_launch(&[("DryRun", "true")]), Err((412, "DryRunOperation".to_owned())));
    let named = [("InstanceId.1", id.as_str()), ("DryRun", "true")];
    assert_eq!(world.code("TerminateInstances", &named), "DryRunOperation");
    assert_eq!(world.code("StopInstances", &named), "DryRunOperation");
    let tags = [("ResourceId.1", id.as_str()), ("Tag.1.Key", "k"), ("DryRun", "true")];
    assert_eq!(world.code("CreateTags", &tags), "DryRunOperation");
    let template = [("LaunchTemplateName", "web"), ("LaunchTemplateData.ImageId", IMAGE), ("DryRun", "true")];
    assert_eq!(world.code("CreateLaunchTemplate", &template), "DryRunOperation");
    assert_eq!(world.code("DescribeInstances", &[("DryRun", "true")]), "DryRunOperation");
    let ledger = world.cloud.ledger(world.now);
    assert_eq!((ledger.instances.len(), ledger.templates.len()), (1, 0));
    assert_eq!(world.state(&id), "running");
    assert!(ledger.instances[0].tags.is_empty());
    // What is wrong is said before the dry run ends.
    assert_eq!(world.launch_code(&[("DryRun", "true"), ("Colour", "red")]), "UnknownParameter");
    // A dry run uses no token.
    world.launch_code(&[("DryRun", "true"), ("ClientToken", "one")]);
    world.launch(&[("ClientToken", "one"), ("InstanceType", "t3.large")]);
}
