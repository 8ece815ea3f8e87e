//! Against an EC2 of our own, over HTTP: the suite that every fleet must pass, and what goes wrong by its rules.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use muster_aws::clients::{Connection, Deadlines};
use muster_aws::fleet::Ec2Fleet;
use muster_control::ports::{Fleet, FleetError, Found};
use muster_control::{fleet_conformance, fleet_model};
use muster_core::group::{GroupName, Shard};
use muster_core::intent::{IntentId, LaunchSpec, Token};
use muster_core::snapshot::InstanceState;
use muster_fake_ec2::{Config, Deed, FakeEc2, Rule, Running, Settings, State, TemplateSeed, When};

/// Long enough that nothing of it passes within a test.
const LONG: Duration = Duration::from_secs(3_600);

/// An EC2 that has the suite's launch template, whose pages are small, and a fleet over it.
async fn fleet() -> (Ec2Fleet, Running) {
    let template = TemplateSeed {
        name: "suite".into(),
        id: Some("lt-0123456789abcdef0".into()),
        image: "ami-0abcdef1234567890".into(),
        instance_type: "t3.micro".into(),
    };
    let settings = Settings { page_size: 5, boot: LONG, ..Settings::default() };
    let config = Config { templates: vec![template], settings, ..Config::default() };
    let loopback: SocketAddr = ([127, 0, 0, 1], 0).into();
    let ec2 = FakeEc2::start(config, loopback).await.expect("it listens");
    let connection = Connection::local(&ec2.url(), Deadlines::default()).await;
    (Ec2Fleet::new(&connection, "test", 7717), ec2)
}

mod conformance {
    use super::*;
    fleet_conformance!(fleet());
    fleet_model!(4, "tests/ec2_and_ssm/model.regressions", fleet());
}

fn group() -> GroupName {
    GroupName::default()
}

fn spec() -> LaunchSpec {
    LaunchSpec {
        group: group(),
        shard: Shard(0),
        zone: "us-east-1a".into(),
        instance_type: "t3.small".into(),
        template: "lt-0123456789abcdef0".into(),
        template_version: 1,
        intent: IntentId("18f-0000000007-000".into()),
        token: Token("5ca1ab1e".repeat(8)),
        replaces: None,
    }
}

fn ending() -> IntentId {
    IntentId("ending".into())
}

fn rule(ec2: &Running, action: &str, rule: Rule) {
    ec2.ec2.add_rules(vec![Rule { action: Some(action.into()), ..rule }]).expect("a rule");
}

fn fails(code: &str) -> Rule {
    Rule { code: Some(code.into()), ..Rule::default() }
}

/// How many calls of an action there have been.
fn calls(ec2: &Running, action: &str) -> usize {
    ec2.ec2.ledger().calls.iter().filter(|call| call.action == action).count()
}

fn alive(ec2: &Running) -> usize {
    let ended = |state| matches!(state, State::ShuttingDown | State::Terminated);
    ec2.ec2.ledger().instances.iter().filter(|instance| !ended(instance.state)).count()
}

#[tokio::test]
async fn l7_an_instance_is_what_its_spec_says() {
    let (fleet, ec2) = fleet().await;
    let made = fleet.launch(&spec(), 1).await.expect("a launch");
    let [instance] = &ec2.ec2.ledger().instances[..] else { panic!("one instance") };
    assert_eq!(made.endpoint, format!("{}:7717", instance.address));
    assert_eq!((instance.zone.as_str(), instance.instance_type.as_str()), ("us-east-1a", "t3.small"));
    assert_eq!(instance.template_version, Some(1));
    assert_eq!(instance.token, Some(spec().token.0));
    let own: BTreeMap<&str, &str> =
        instance.tags.iter().filter(|(key, _)| key.starts_with("muster:")).map(|(k, v)| (&**k, &**v)).collect();
    let named = [("muster:group", "example"), ("muster:intent", "18f-0000000007-000"), ("muster:stack", "test")];
    assert_eq!(own, BTreeMap::from(named));
    let subnet = LaunchSpec { zone: instance.subnet.clone(), token: Token("b".repeat(64)), ..spec() };
    fleet.launch(&subnet, 1).await.expect("a launch into the subnet");
    assert_eq!(ec2.ec2.ledger().instances[1].subnet, instance.subnet);
}

#[tokio::test]
async fn l9_a_launch_keeps_the_version_of_its_intent_when_the_default_moves_on() {
    let (fleet, ec2) = fleet().await;
    for form in [
        "Action=CreateLaunchTemplateVersion&LaunchTemplateId=lt-0123456789abcdef0&SourceVersion=1\
         &LaunchTemplateData.ImageId=ami-0fedcba9876543210",
        "Action=ModifyLaunchTemplate&LaunchTemplateName=suite&SetDefaultVersion=2",
    ] {
        let answer = ec2.ec2.call(format!("{form}&Version=2016-11-15").as_bytes()).answer.expect("an answer");
        assert_eq!(answer.status, 200, "{form}");
    }
    assert_eq!(fleet.template_version("suite").await.expect("a version"), 2);
    fleet.launch(&spec(), 1).await.expect("a launch");
    let [instance] = &ec2.ec2.ledger().instances[..] else { panic!("one instance") };
    assert_eq!((instance.template_version, instance.image.as_str()), (Some(1), "ami-0abcdef1234567890"));
    let none = fleet.launch(&LaunchSpec { template_version: 0, token: Token("b".repeat(64)), ..spec() }, 1).await;
    assert!(matches!(none, Err(FleetError::Refused(_))), "never the default in its place: {none:?}");
}

#[tokio::test]
async fn s2_a_tokens_zone_is_part_of_it_for_ec2_so_a_token_never_changes_its_zone() {
    let (fleet, ec2) = fleet().await;
    fleet.launch(&spec(), 1).await.expect("a launch");
    fleet.launch(&LaunchSpec { zone: "us-east-1b".into(), ..spec() }, 1).await.expect("to EC2 it is another launch");
    assert_eq!(alive(&ec2), 2);
}

#[tokio::test]
async fn l4_without_capacity_in_a_place_another_has_it() {
    let (fleet, ec2) = fleet().await;
    let made = fleet.launch(&spec(), 1).await.expect("a launch");
    let when = When { zone: Some("us-east-1a".into()), ..When::default() };
    rule(&ec2, "RunInstances", Rule { when, ..fails("InsufficientInstanceCapacity") });
    let other = LaunchSpec { token: Token("b".repeat(64)), ..spec() };
    let none = fleet.launch(&other, 1).await;
    assert!(matches!(none, Err(FleetError::NoCapacity(_))), "{none:?}");
    assert_eq!(fleet.launch(&spec(), 2).await.expect("what there is"), made, "a token outlives the capacity");
    let elsewhere = LaunchSpec { zone: "us-east-1b".into(), token: Token("c".repeat(64)), ..spec() };
    fleet.launch(&elsewhere, 1).await.expect("a launch");
    assert_eq!(alive(&ec2), 2);
}

#[tokio::test]
async fn a_throttled_launch_has_done_nothing_and_is_left_to_its_caller() {
    let (fleet, ec2) = fleet().await;
    rule(&ec2, "RunInstances", Rule { times: Some(1), ..fails("RequestLimitExceeded") });
    let throttled = fleet.launch(&spec(), 1).await;
    assert!(matches!(throttled, Err(FleetError::Throttled(_))), "{throttled:?}");
    assert_eq!((calls(&ec2, "RunInstances"), alive(&ec2)), (1, 0));
    fleet.launch(&spec(), 2).await.expect("the same launch");
    assert_eq!(alive(&ec2), 1);
}

#[tokio::test]
async fn a_launch_may_take_longer_than_a_reads_try() {
    let (_, ec2) = fleet().await;
    let hasty = Deadlines { attempt: Duration::from_millis(20), ..Deadlines::default() };
    let fleet = Ec2Fleet::new(&Connection::local(&ec2.url(), hasty).await, "test", 7717);
    rule(&ec2, "RunInstances", Rule { latency_ms: 100, ..Rule::default() });
    fleet.launch(&spec(), 1).await.expect("a launch");
}

#[tokio::test]
async fn a_throttled_read_is_repeated() {
    let (fleet, ec2) = fleet().await;
    let made = fleet.launch(&spec(), 1).await.expect("a launch");
    rule(&ec2, "DescribeInstances", Rule { times: Some(1), ..fails("RequestLimitExceeded") });
    let listed = fleet.list(&group()).await.expect("the second answer");
    assert_eq!(listed.iter().map(|i| &i.id).collect::<Vec<_>>(), [&made.id]);
    assert_eq!(calls(&ec2, "DescribeInstances"), 2);
    rule(&ec2, "DescribeInstances", fails("RequestLimitExceeded"));
    let throttled = fleet.list(&group()).await;
    assert!(matches!(throttled, Err(FleetError::Throttled(_))), "{throttled:?}");
}

#[tokio::test]
async fn l5_a_refused_launch_says_why() {
    let (fleet, ec2) = fleet().await;
    rule(&ec2, "RunInstances", Rule { times: Some(1), ..fails("UnauthorizedOperation") });
    let refused = fleet.launch(&spec(), 1).await;
    assert!(matches!(refused, Err(FleetError::Refused(_))), "{refused:?}");
    for wrong in [
        LaunchSpec { template: "lt-0aaaaaaaaaaaaaaaa".into(), ..spec() },
        LaunchSpec { template: "not-there".into(), ..spec() },
        LaunchSpec { template_version: 9, ..spec() },
        LaunchSpec { zone: "subnet-0aaaaaaaaaaaaaaaa".into(), ..spec() },
        LaunchSpec { zone: "eu-west-1a".into(), ..spec() },
        LaunchSpec { token: Token("x".repeat(65)), ..spec() },
    ] {
        let refused = fleet.launch(&wrong, 1).await;
        assert!(matches!(refused, Err(FleetError::Refused(_))), "{wrong:?}: {refused:?}");
    }
    assert_eq!(alive(&ec2), 0);
}

#[tokio::test]
async fn s2_a_launch_whose_answer_is_lost_is_the_tokens_own() {
    let (fleet, ec2) = fleet().await;
    // Connections are kept: the answer is lost on one that has been used before, too.
    fleet.list(&group()).await.expect("a listing");
    for lost in [
        Rule { after: true, times: Some(1), ..Rule::default() },
        Rule { after: true, times: Some(1), ..fails("InternalError") },
    ] {
        rule(&ec2, "RunInstances", lost);
    }
    for attempt in [1, 2] {
        let unknown = fleet.launch(&spec(), attempt).await;
        assert!(matches!(unknown, Err(FleetError::Unavailable(_))), "{unknown:?}");
        assert_eq!(
            calls(&ec2, "RunInstances"),
            attempt as usize,
            "a launch is called once, also when its connection ends"
        );
    }
    let made = fleet.launch(&spec(), 3).await.expect("the same launch");
    assert_eq!(fleet.find(&spec()).await.expect("an answer"), Found::Running(made));
    assert_eq!(alive(&ec2), 1);
}

#[tokio::test]
async fn a_launch_that_never_came_is_known_to_nobody() {
    let (fleet, ec2) = fleet().await;
    rule(&ec2, "RunInstances", Rule { no_answer: true, times: Some(1), ..Rule::default() });
    let unknown = fleet.launch(&spec(), 1).await;
    assert!(matches!(unknown, Err(FleetError::Unavailable(_))), "{unknown:?}");
    assert_eq!(fleet.find(&spec()).await.expect("an answer"), Found::Nothing);
    fleet.launch(&spec(), 2).await.expect("a launch");
    assert_eq!(alive(&ec2), 1);
}

#[tokio::test]
async fn d6_a_termination_whose_answer_is_lost_is_repeated_with_success() {
    let (fleet, ec2) = fleet().await;
    let made = fleet.launch(&spec(), 1).await.expect("a launch");
    rule(&ec2, "TerminateInstances", Rule { after: true, times: Some(1), ..Rule::default() });
    let unknown = fleet.terminate(&group(), &made.id, &ending(), 1).await;
    assert!(matches!(unknown, Err(FleetError::Unavailable(_))), "{unknown:?}");
    assert_eq!((calls(&ec2, "TerminateInstances"), alive(&ec2)), (1, 0));
    fleet.terminate(&group(), &made.id, &ending(), 2).await.expect("it has ended");
}

#[tokio::test]
async fn d6_what_ec2_does_not_list_yet_is_terminated_all_the_same() {
    let (fleet, ec2) = fleet().await;
    ec2.ec2.set_settings(Settings { lag: LONG, ..ec2.ec2.settings() });
    let made = fleet.launch(&spec(), 1).await.expect("a launch");
    assert_eq!(fleet.describe(&group(), std::slice::from_ref(&made.id)).await.expect("a description"), []);
    fleet.terminate(&group(), &made.id, &ending(), 1).await.expect("a termination");
    assert_eq!(alive(&ec2), 0);
}

#[tokio::test]
async fn c1_a_foreign_instance_is_spared_by_us_and_before_it_is_listed_by_iam() {
    let (fleet, ec2) = fleet().await;
    let connection = Connection::local(&ec2.url(), Deadlines::default()).await;
    let neighbour = Ec2Fleet::new(&connection, "neighbour", 7717);
    let theirs = neighbour.launch(&spec(), 1).await.expect("a launch of another stack");
    assert_eq!(fleet.list(&group()).await.expect("a listing"), []);
    let refused = fleet.terminate(&group(), &theirs.id, &ending(), 1).await;
    assert!(matches!(refused, Err(FleetError::Refused(_))), "{refused:?}");
    assert_eq!(calls(&ec2, "TerminateInstances"), 0);
    // The role's own condition, as the stack's template gives it.
    let lacks_tag = [("muster:stack".to_owned(), "test".to_owned())].into();
    let when = When { lacks_tag, ..When::default() };
    rule(&ec2, "TerminateInstances", Rule { when, ..fails("UnauthorizedOperation") });
    ec2.ec2.set_settings(Settings { lag: LONG, ..ec2.ec2.settings() });
    let refused = fleet.terminate(&group(), &theirs.id, &ending(), 2).await;
    assert!(matches!(refused, Err(FleetError::Refused(_))), "{refused:?}");
    assert_eq!((calls(&ec2, "TerminateInstances"), alive(&ec2)), (1, 1));
}

#[tokio::test]
async fn h3_o5_what_happens_outside_is_told() {
    let (fleet, ec2) = fleet().await;
    ec2.ec2.set_settings(Settings { boot: Duration::ZERO, shutdown: LONG, ..ec2.ec2.settings() });
    let specs = [1, 2, 3].map(|n| LaunchSpec { token: Token(format!("{n}").repeat(64)), ..spec() });
    let mut ids = Vec::new();
    for spec in &specs {
        ids.push(fleet.launch(spec, 1).await.expect("a launch").id);
    }
    ec2.ec2.deed(&ids[0].0, Deed::Impair).expect("it is there");
    ec2.ec2.deed(&ids[1].0, Deed::SpotTake).expect("it is there");
    ec2.ec2.deed(&ids[2].0, Deed::Stop).expect("it is there");
    let told: BTreeMap<_, _> =
        fleet.list(&group()).await.expect("a listing").into_iter().map(|i| (i.id, (i.state, i.impaired))).collect();
    let expected = [
        (ids[0].clone(), (InstanceState::Running, true)),
        (ids[1].clone(), (InstanceState::ShuttingDown, false)),
        (ids[2].clone(), (InstanceState::Stopping, false)),
    ];
    assert_eq!(told, BTreeMap::from(expected));
    assert_eq!(fleet.find(&specs[1]).await.expect("an answer"), Found::Ended(ids[1].clone()));
}
