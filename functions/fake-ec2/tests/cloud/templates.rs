//! Launch templates. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/manage-launch-template-versions.html>

use super::{IMAGE, INSTANCES, Pair, World};

const OTHER_IMAGE: &str = "ami-0bbbbbbbbbbbbbbb2";

/// A template `web` with two versions, of which the first is the default; its id.
fn two_versions(world: &mut World) -> String {
    let made = world.call(
        "CreateLaunchTemplate",
        &[
            ("LaunchTemplateName", "web"),
            ("LaunchTemplateData.ImageId", IMAGE),
            ("LaunchTemplateData.InstanceType", "t3.micro"),
            ("LaunchTemplateData.TagSpecification.1.ResourceType", "instance"),
            ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "team"),
            ("LaunchTemplateData.TagSpecification.1.Tag.1.Value", "web"),
            ("LaunchTemplateData.SecurityGroupId.1", "sg-1"),
        ],
    );
    let id = made.text("launchTemplate/launchTemplateId").to_owned();
    let version = world.call(
        "CreateLaunchTemplateVersion",
        &[("LaunchTemplateId", &id), ("SourceVersion", "1"), ("LaunchTemplateData.ImageId", OTHER_IMAGE)],
    );
    assert_eq!(version.text("launchTemplateVersion/versionNumber"), "2");
    assert_eq!(version.text("launchTemplateVersion/defaultVersion"), "false");
    let data = "launchTemplateVersion/launchTemplateData";
    assert_eq!(version.text(&format!("{data}/imageId")), OTHER_IMAGE, "given anew");
    assert_eq!(version.text(&format!("{data}/instanceType")), "t3.micro", "from the source");
    id
}

#[test]
fn versions_are_counted_and_one_is_the_default() {
    let mut world = World::new();
    let id = two_versions(&mut world);
    let shown = world.call("DescribeLaunchTemplates", &[("LaunchTemplateName.1", "web")]);
    let number = |name: &str| shown.text(&format!("launchTemplates/item/{name}")).to_owned();
    assert_eq!((number("defaultVersionNumber"), number("latestVersionNumber")), ("1".into(), "2".into()));
    for (version, number) in [("$Default", "1"), ("$Latest", "2"), ("1", "1"), ("2", "2")] {
        let shown = world
            .call("DescribeLaunchTemplateVersions", &[("LaunchTemplateId", &id), ("LaunchTemplateVersion.1", version)]);
        assert_eq!(shown.text("launchTemplateVersionSet/item/versionNumber"), number, "{version}");
    }
    let modified =
        world.call("ModifyLaunchTemplate", &[("LaunchTemplateName", "web"), ("SetDefaultVersion", "$Latest")]);
    assert_eq!(modified.text("launchTemplate/defaultVersionNumber"), "2");
    let all = world.call("DescribeLaunchTemplateVersions", &[("LaunchTemplateId", &id)]);
    assert_eq!(all.texts("launchTemplateVersionSet/item/defaultVersion"), ["true", "false"], "the newest first");
}

#[test]
fn a_launch_takes_the_version_that_it_names_and_what_it_says_itself_outranks_it() {
    let cases: [(&[Pair<'_>], &str, &str, &str); 5] = [
        (&[], IMAGE, "t3.micro", "1"),
        (&[("LaunchTemplate.Version", "$Default")], IMAGE, "t3.micro", "1"),
        (&[("LaunchTemplate.Version", "$Latest")], OTHER_IMAGE, "t3.micro", "2"),
        (&[("LaunchTemplate.Version", "2"), ("InstanceType", "t3.large")], OTHER_IMAGE, "t3.large", "2"),
        (&[("LaunchTemplate.Version", "2"), ("ImageId", IMAGE)], IMAGE, "t3.micro", "2"),
    ];
    let mut world = World::new();
    let template = two_versions(&mut world);
    for (more, image, kind, version) in cases {
        let mut request =
            vec![("LaunchTemplate.LaunchTemplateId", template.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
        request.extend(more);
        let made = world.call("RunInstances", &request);
        let text = |name: &str| made.text(&format!("instancesSet/item/{name}")).to_owned();
        assert_eq!((text("imageId"), text("instanceType")), (image.into(), kind.into()), "{more:?}");
        // EC2 writes these two tags itself.
        let keys = made.texts("instancesSet/item/tagSet/item/key");
        assert_eq!(keys, ["aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version", "team"]);
        assert_eq!(made.texts("instancesSet/item/tagSet/item/value"), [template.as_str(), version, "web"]);
    }
}

#[test]
fn a_templates_zone_counts_when_the_launch_names_none() {
    let mut world = World::new();
    let data = [
        ("LaunchTemplateName", "in-b"),
        ("LaunchTemplateData.ImageId", IMAGE),
        ("LaunchTemplateData.Placement.AvailabilityZone", "zone-b"),
    ];
    world.call("CreateLaunchTemplate", &data);
    let request = [("LaunchTemplate.LaunchTemplateName", "in-b"), ("MinCount", "1"), ("MaxCount", "1")];
    let zone = "instancesSet/item/placement/availabilityZone";
    assert_eq!(world.call("RunInstances", &request).text(zone), "zone-b");
    let told: Vec<_> = request.into_iter().chain([("Placement.AvailabilityZone", "zone-a")]).collect();
    assert_eq!(world.call("RunInstances", &told).text(zone), "zone-a");
}

#[test]
fn refusals_have_ec2s_codes() {
    let mut world = World::new();
    let id = two_versions(&mut world);
    let image = ("LaunchTemplateData.ImageId", IMAGE);
    let named = ("LaunchTemplateId", id.as_str());
    let cases: Vec<(&str, Vec<Pair<'_>>, &str)> = vec![
        (
            "CreateLaunchTemplate",
            vec![("LaunchTemplateName", "web"), image],
            "InvalidLaunchTemplateName.AlreadyExistsException",
        ),
        (
            "CreateLaunchTemplate",
            vec![("LaunchTemplateName", "a b"), image],
            "InvalidLaunchTemplateName.MalformedException",
        ),
        ("CreateLaunchTemplate", vec![("LaunchTemplateName", "new")], "MissingParameter"),
        ("CreateLaunchTemplate", vec![image], "MissingParameter"),
        (
            "CreateLaunchTemplate",
            vec![("LaunchTemplateName", "new"), ("LaunchTemplateData.Colour", "red")],
            "UnknownParameter",
        ),
        (
            "CreateLaunchTemplateVersion",
            vec![named, ("SourceVersion", "9"), image],
            "InvalidLaunchTemplateId.VersionNotFound",
        ),
        ("CreateLaunchTemplateVersion", vec![image], "MissingParameter"),
        ("ModifyLaunchTemplate", vec![named, ("SetDefaultVersion", "3")], "InvalidLaunchTemplateId.VersionNotFound"),
        ("ModifyLaunchTemplate", vec![named, ("LaunchTemplateName", "web")], "InvalidParameterCombination"),
        (
            "DescribeLaunchTemplates",
            vec![("LaunchTemplateName.1", "nothing")],
            "InvalidLaunchTemplateName.NotFoundException",
        ),
        (
            "DescribeLaunchTemplates",
            vec![("LaunchTemplateId.1", "lt-00000000000000000")],
            "InvalidLaunchTemplateId.NotFound",
        ),
        (
            "DescribeLaunchTemplateVersions",
            vec![named, ("LaunchTemplateVersion.1", "3")],
            "InvalidLaunchTemplateId.VersionNotFound",
        ),
        (
            "RunInstances",
            vec![
                ("LaunchTemplate.LaunchTemplateId", &id),
                ("LaunchTemplate.Version", "3"),
                ("MinCount", "1"),
                ("MaxCount", "1"),
            ],
            "InvalidLaunchTemplateId.VersionNotFound",
        ),
    ];
    for (action, parameters, code) in cases {
        assert_eq!(world.code(action, &parameters), code, "{action} {parameters:?}");
    }
    let ledger = world.cloud.ledger(world.now);
    assert_eq!((ledger.templates.len(), ledger.templates[0].latest_version), (1, 2));
}

#[test]
fn a_template_is_made_once_a_token() {
    let mut world = World::new();
    let request = [("LaunchTemplateName", "web"), ("LaunchTemplateData.ImageId", IMAGE), ("ClientToken", "one")];
    let id = |tree: &super::Tree| tree.text("launchTemplate/launchTemplateId").to_owned();
    let first = world.call("CreateLaunchTemplate", &request);
    assert_eq!(id(&world.call("CreateLaunchTemplate", &request)), id(&first));
    let other = [("LaunchTemplateName", "app"), ("LaunchTemplateData.ImageId", IMAGE), ("ClientToken", "one")];
    assert_eq!(world.code("CreateLaunchTemplate", &other), "IdempotentParameterMismatch");
    let version = [("LaunchTemplateName", "web"), ("LaunchTemplateData.ImageId", OTHER_IMAGE), ("ClientToken", "two")];
    for _ in 0..2 {
        let made = world.call("CreateLaunchTemplateVersion", &version);
        assert_eq!(made.text("launchTemplateVersion/versionNumber"), "2");
    }
}

#[test]
fn what_was_launched_keeps_its_version() {
    let mut world = World::new();
    let template = two_versions(&mut world);
    let request = [("LaunchTemplate.LaunchTemplateId", template.as_str()), ("MinCount", "1"), ("MaxCount", "1")];
    world.call("RunInstances", &request);
    world.call("ModifyLaunchTemplate", &[("LaunchTemplateId", &template), ("SetDefaultVersion", "2")]);
    world.call("RunInstances", &request);
    let shown = world.call("DescribeInstances", &[]);
    assert_eq!(shown.texts(&format!("{INSTANCES}/imageId")), [IMAGE, OTHER_IMAGE]);
    let versions = world.cloud.ledger(world.now).instances.iter().map(|i| i.template_version).collect::<Vec<_>>();
    assert_eq!(versions, [Some(1), Some(2)]);
}
