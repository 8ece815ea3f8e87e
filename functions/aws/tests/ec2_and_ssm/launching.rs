//! What a launch asks of EC2, and what it makes of the answer.

use std::collections::BTreeMap;

use muster_control::ports::{Fleet, FleetError, Found, Launched};
use muster_core::intent::LaunchSpec;

use super::stub::{Answer, OURS, Request, Stub, described, ec2, error, instance, ran, spec};

const ID: &str = "i-1234567890abcdef0";

fn made() -> Launched {
    Launched { id: ID.into(), endpoint: "10.0.1.17:7717".into() }
}

/// What RunInstances is asked for `spec`, without what every request has.
async fn asked(spec: &LaunchSpec) -> BTreeMap<String, String> {
    let stub = Stub::giving([ran(&instance(ID, "pending", "10.0.1.17", OURS))]).await;
    assert_eq!(stub.fleet().await.launch(spec, 1).await.expect("a launch"), made());
    let mut form = stub.only("RunInstances").form;
    form.retain(|name, _| !["Action", "Version"].contains(&name.as_str()));
    form
}

#[tokio::test]
async fn l7_one_call_holds_token_template_place_and_tags() {
    let token = spec().token.0;
    let expected = [
        ("ClientToken", token.as_str()),
        ("InstanceType", "t3.small"),
        ("LaunchTemplate.LaunchTemplateId", "lt-0123456789abcdef0"),
        ("LaunchTemplate.Version", "3"),
        ("MaxCount", "1"),
        ("MinCount", "1"),
        ("Placement.AvailabilityZone", "us-east-1a"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "muster:stack"),
        ("TagSpecification.1.Tag.1.Value", "test"),
        ("TagSpecification.1.Tag.2.Key", "muster:group"),
        ("TagSpecification.1.Tag.2.Value", "web"),
        ("TagSpecification.1.Tag.3.Key", "muster:intent"),
        ("TagSpecification.1.Tag.3.Value", "18f-0000000007-000"),
    ];
    let expected: BTreeMap<String, String> = expected.map(|(name, value)| (name.into(), value.into())).into();
    assert_eq!(asked(&spec()).await, expected);
}

#[tokio::test]
async fn a_subnet_a_template_by_name_and_what_the_template_decides() {
    let form = asked(&LaunchSpec { zone: "subnet-0a1b".into(), template: "web".into(), ..spec() }).await;
    assert_eq!(form.get("SubnetId").map(String::as_str), Some("subnet-0a1b"));
    assert!(!form.contains_key("Placement.AvailabilityZone"));
    assert_eq!(form.get("LaunchTemplate.LaunchTemplateName").map(String::as_str), Some("web"));
    assert!(!form.contains_key("LaunchTemplate.LaunchTemplateId"));
    let form = asked(&LaunchSpec { zone: String::new(), instance_type: String::new(), ..spec() }).await;
    let decided = ["SubnetId", "Placement.AvailabilityZone", "InstanceType"];
    assert!(decided.iter().all(|name| !form.contains_key(*name)), "{form:?}");
}

#[tokio::test]
async fn without_a_template_nothing_is_called() {
    let stub = Stub::giving([error(500, "InternalError", "")]).await;
    let refused = stub.fleet().await.launch(&LaunchSpec { template: String::new(), ..spec() }, 1).await;
    assert!(matches!(refused, Err(FleetError::Refused(_))), "{refused:?}");
    assert!(stub.asked().is_empty());
}

#[tokio::test]
async fn an_address_that_comes_late_is_looked_up_once() {
    let late = |found: &'static str| {
        Stub::start(move |request: &Request| match request.action() {
            "RunInstances" => ran(&instance(ID, "pending", "", OURS)),
            _ => described(&[instance(ID, "pending", found, OURS)]),
        })
    };
    let stub = late("10.0.1.17").await;
    assert_eq!(stub.fleet().await.launch(&spec(), 1).await.expect("a launch"), made());
    let stub = late("").await;
    let failed = stub.fleet().await.launch(&spec(), 1).await;
    assert!(matches!(failed, Err(FleetError::Unavailable(_))), "{failed:?}");
    assert_eq!(stub.actions(), ["RunInstances", "DescribeInstances"]);
}

#[tokio::test]
async fn an_answer_that_tells_of_an_end_is_no_launch() {
    let stub = Stub::giving([ran(&instance(ID, "shutting-down", "10.0.1.17", OURS))]).await;
    let ended = stub.fleet().await.launch(&spec(), 2).await;
    assert!(matches!(ended, Err(FleetError::Ended(_))), "{ended:?}");
}

#[tokio::test]
async fn l10_a_launch_is_found_by_its_token_with_or_without_tags() {
    let other = &[("muster:stack", "test"), ("muster:group", "web"), ("muster:intent", "another")];
    let alive = |tags| instance(ID, "running", "10.0.1.17", tags);
    let gone = |tags| instance("i-0ad", "terminated", "", tags);
    let cases = [
        (vec![], Found::Nothing),
        (vec![alive(OURS)], Found::Running(made())),
        (vec![alive(&[])], Found::Running(made())),
        (vec![alive(other)], Found::Nothing),
        (vec![gone(OURS)], Found::Ended("i-0ad".into())),
        (vec![gone(&[])], Found::Ended("i-0ad".into())),
        (vec![gone(OURS), alive(OURS)], Found::Running(made())),
    ];
    for (instances, found) in cases {
        let stub = Stub::giving([described(&instances)]).await;
        assert_eq!(stub.fleet().await.find(&spec()).await.expect("an answer"), found, "{instances:?}");
        let form = stub.only("DescribeInstances").form;
        assert_eq!(form.get("Filter.1.Name").map(String::as_str), Some("client-token"));
        assert_eq!(form.get("Filter.1.Value.1"), Some(&spec().token.0));
    }
    let stub = Stub::giving([described(&[instance(ID, "pending", "", OURS)])]).await;
    let unknown = stub.fleet().await.find(&spec()).await;
    assert!(matches!(unknown, Err(FleetError::Unavailable(_))), "there is one, but where? {unknown:?}");
}

#[tokio::test]
async fn a_template_is_asked_for_by_id_or_by_name() {
    let version = |number: &str| {
        let item = format!("<item><defaultVersionNumber>{number}</defaultVersionNumber></item>");
        ec2("DescribeLaunchTemplates", &format!("<launchTemplates>{item}</launchTemplates>"))
    };
    for (template, name) in [("lt-0a1b", "LaunchTemplateId.1"), ("web", "LaunchTemplateName.1")] {
        let stub = Stub::giving([version("12")]).await;
        assert_eq!(stub.fleet().await.template_version(template).await.expect("a version"), 12);
        assert_eq!(stub.only("DescribeLaunchTemplates").form.get(name).map(String::as_str), Some(template));
    }
    for odd in [
        version("-1"),
        version(""),
        ec2("DescribeLaunchTemplates", "<launchTemplates/>"),
        Answer::Whole(200, "".into()),
    ] {
        let told = Stub::giving([odd]).await.fleet().await.template_version("web").await;
        assert!(matches!(told, Err(FleetError::Unavailable(_))), "{told:?}");
    }
}
