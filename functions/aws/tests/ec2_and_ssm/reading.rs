//! What is listed and described: every page, each fact, and nothing concluded from a broken answer.

use std::collections::BTreeSet;

use muster_control::ports::{Fleet, FleetError};
use muster_core::intent::IntentId;
use muster_core::member::InstanceId;
use muster_core::snapshot::{FleetInstance, InstanceState};
use muster_core::time::Timestamp;

use super::stub::{Answer, OURS, Request, Stub, described, ec2, error, group, instance, reservations, spec, xml};

/// 2026-11-22T10:00:00Z, when the stub's instances were launched.
const LAUNCHED: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn no_status() -> Answer {
    ec2("DescribeInstanceStatus", "<instanceStatusSet/>")
}

/// A stub whose instances are `listed`, and nobody's checks fail.
async fn listing(listed: Answer) -> Stub {
    Stub::start(move |request: &Request| match request.action() {
        "DescribeInstances" => listed.clone(),
        _ => no_status(),
    })
    .await
}

fn ids(instances: &[FleetInstance]) -> Vec<&str> {
    instances.iter().map(|instance| instance.id.0.as_str()).collect()
}

#[tokio::test]
async fn c1_a_listing_asks_by_both_tags_and_tells_every_fact() {
    let protected: Vec<_> = OURS.iter().copied().chain([("muster:protected", "true")]).collect();
    let unsure: Vec<_> = OURS[..2].iter().copied().chain([("muster:protected", "yes"), ("muster:drain", "")]).collect();
    let wanted_gone: Vec<_> = OURS.iter().copied().chain([("muster:drain", "true")]).collect();
    let stub = listing(described(&[
        instance("i-1", "running", "10.0.0.1", OURS),
        instance("i-2", "stopping", "10.0.0.2", &protected),
        instance("i-3", "terminated", "", &unsure),
        instance("i-4", "running", "10.0.0.4", &wanted_gone),
    ]))
    .await;
    let told = stub.fleet().await.list(&group()).await.expect("a listing");
    let plain = |id: &str, state| FleetInstance {
        intent: Some(IntentId("18f-0000000007-000".into())),
        launched_at: Some(LAUNCHED),
        ..FleetInstance::plain(id.into(), state)
    };
    let expected = [
        plain("i-1", InstanceState::Running),
        FleetInstance { protected: true, ..plain("i-2", InstanceState::Stopping) },
        FleetInstance { intent: None, ..plain("i-3", InstanceState::Terminated) },
        FleetInstance { drain: true, ..plain("i-4", InstanceState::Running) },
    ];
    assert_eq!(told, expected);
    let form = stub.only("DescribeInstances").form;
    let filters: BTreeSet<_> = [1, 2]
        .map(|n| (form[&format!("Filter.{n}.Name")].clone(), form[&format!("Filter.{n}.Value.1")].clone()))
        .into();
    let wanted = [("tag:muster:stack", "test"), ("tag:muster:group", "web")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(filters, BTreeSet::from(wanted));
    assert!(!form.contains_key("InstanceId.1"), "ids in the call would fail it for one that is unknown");
}

#[tokio::test]
async fn every_page_is_read_and_who_is_on_two_counts_once() {
    let page = |id: &str, next: &str| {
        let list =
            reservations(&[instance("i-0", "running", "10.0.0.9", OURS), instance(id, "running", "10.0.0.1", OURS)]);
        ec2("DescribeInstances", &format!("{list}{next}"))
    };
    let stub = Stub::start(move |request: &Request| {
        match (request.action(), request.form.get("NextToken").map(String::as_str)) {
            ("DescribeInstances", None) => page("i-1", "<nextToken>second</nextToken>"),
            ("DescribeInstances", Some("second")) => page("i-2", "<nextToken>third</nextToken>"),
            // EC2 ends with an empty token as well as with none.
            ("DescribeInstances", Some("third")) => page("i-3", "<nextToken/>"),
            _ => no_status(),
        }
    })
    .await;
    let told = stub.fleet().await.list(&group()).await.expect("a listing");
    assert_eq!(ids(&told), ["i-0", "i-1", "i-2", "i-3"]);
}

#[tokio::test]
async fn a_page_that_fails_fails_the_listing() {
    let stub = Stub::start(move |request: &Request| {
        let first = reservations(&[instance("i-1", "running", "10.0.0.1", OURS)]);
        match (request.action(), request.form.contains_key("NextToken")) {
            ("DescribeInstances", false) => ec2("DescribeInstances", &format!("{first}<nextToken>second</nextToken>")),
            ("DescribeInstances", true) => error(400, "InvalidNextToken", "It has expired."),
            _ => no_status(),
        }
    })
    .await;
    let told = stub.fleet().await.list(&group()).await;
    assert!(matches!(told, Err(FleetError::Refused(_))), "half a list is none: {told:?}");
}

#[tokio::test]
async fn a_listing_that_never_ends_does() {
    let stub = listing(ec2("DescribeInstances", "<reservationSet/><nextToken>again</nextToken>")).await;
    let told = stub.fleet().await.list(&group()).await;
    assert!(matches!(told, Err(FleetError::Unavailable(_))), "{told:?}");
    assert!(stub.actions().len() < 200);
}

#[tokio::test]
async fn s11_a_broken_listing_is_not_a_short_one() {
    let two = [instance("i-1", "running", "10.0.0.1", OURS), instance("i-2", "running", "10.0.0.2", OURS)];
    let whole = xml("DescribeInstances", &reservations(&two));
    let after_one = whole.find("i-2").expect("the second") - 60;
    let cases = [
        Answer::CutOff(200, whole[..after_one].to_owned()),
        Answer::Whole(200, whole[..after_one].to_owned()),
        Answer::Torn(200, whole.clone()),
        Answer::Whole(200, String::new()),
        described(&[instance("i-1", "hibernating", "10.0.0.1", OURS)]),
        described(&[instance("", "running", "10.0.0.1", OURS)]),
        described(&["<item><instanceId>i-1</instanceId></item>".to_owned()]),
    ];
    for answer in cases {
        let kept = format!("{answer:?}");
        let told = listing(answer).await.fleet().await.list(&group()).await;
        assert!(matches!(told, Err(FleetError::Unavailable(_))), "{kept}: {told:?}");
    }
}

#[tokio::test]
async fn h3_impaired_is_whom_either_check_finds_impaired() {
    let stub = Stub::start(|request: &Request| {
        let one = |id: &str| {
            ec2(
                "DescribeInstanceStatus",
                &format!("<instanceStatusSet><item><instanceId>{id}</instanceId></item></instanceStatusSet>"),
            )
        };
        match (request.action(), request.form.get("Filter.1.Name").map(String::as_str)) {
            ("DescribeInstanceStatus", Some("instance-status.status")) => one("i-1"),
            ("DescribeInstanceStatus", Some("system-status.status")) => one("i-2"),
            _ => described(&["i-1", "i-2", "i-3"].map(|id| instance(id, "running", "10.0.0.1", OURS))),
        }
    })
    .await;
    let told = stub.fleet().await.list(&group()).await.expect("a listing");
    assert_eq!(told.iter().map(|i| i.impaired).collect::<Vec<_>>(), [true, true, false]);
    for request in stub.asked().iter().filter(|request| request.action() == "DescribeInstanceStatus") {
        assert_eq!(request.form.get("Filter.1.Value.1").map(String::as_str), Some("impaired"));
    }
}

#[tokio::test]
async fn h3_when_the_checks_cannot_be_asked_nobody_is_impaired_and_the_list_stands() {
    let stub = Stub::start(|request: &Request| match request.action() {
        "DescribeInstances" => described(&[instance("i-1", "running", "10.0.0.1", OURS)]),
        _ => error(403, "UnauthorizedOperation", "ec2:DescribeInstanceStatus"),
    })
    .await;
    let told = stub.fleet().await.list(&group()).await.expect("a listing");
    assert_eq!(told.iter().map(|i| (i.id.0.as_str(), i.impaired)).collect::<Vec<_>>(), [("i-1", false)]);
}

#[tokio::test]
async fn many_ids_are_asked_for_in_parts_and_none_by_no_request() {
    let stub = Stub::start(|request: &Request| {
        if request.action() != "DescribeInstances" {
            return no_status();
        }
        let asked = request.form.iter().filter(|(name, _)| name.starts_with("Filter.1.Value."));
        let known: Vec<String> = asked.map(|(_, id)| instance(id, "running", "10.0.0.1", OURS)).collect();
        described(&known)
    })
    .await;
    let fleet = stub.fleet().await;
    let many: Vec<InstanceId> = (0..450).map(|n| InstanceId(format!("i-{n:017x}"))).collect();
    let told = fleet.describe(&group(), &many).await.expect("a description");
    assert_eq!(told.iter().map(|i| i.id.clone()).collect::<Vec<_>>(), many);
    let parts = stub.actions().iter().filter(|action| *action == "DescribeInstances").count();
    assert_eq!(parts, 3);
    let before = stub.asked().len();
    assert_eq!(fleet.describe(&group(), &[]).await.expect("a description"), Vec::new());
    assert_eq!(stub.asked().len(), before, "without a filter EC2 would tell of everybody");
}

#[tokio::test]
async fn o5_described_is_whoever_has_the_id_and_ours_is_who_has_both_tags() {
    let another = [("muster:stack", "another"), ("muster:group", "web")];
    let stub = listing(described(&[
        instance("i-1", "running", "10.0.0.1", OURS),
        instance("i-2", "running", "10.0.0.2", &another),
        instance("i-3", "running", "10.0.0.3", &[]),
    ]))
    .await;
    let asked: Vec<InstanceId> = ["i-1", "i-2", "i-3", "i-4"].map(InstanceId::from).into();
    let told = stub.fleet().await.describe(&spec().group, &asked).await.expect("a description");
    assert_eq!(
        told.iter().map(|i| (i.id.0.as_str(), i.ours)).collect::<Vec<_>>(),
        [("i-1", true), ("i-2", false), ("i-3", false)]
    );
}
