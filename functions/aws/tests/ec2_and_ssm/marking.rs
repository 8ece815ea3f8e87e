//! What operators tell by tags, and whom they may tell it of.

use muster_control::ports::{FleetError, Mark, Marks};

use super::stub::{Answer, OURS, Request, Stub, described, ec2, error, group, instance};

const ID: &str = "i-1234567890abcdef0";

/// Marks where EC2 lists `known` and answers the call with `answer`; and what was called, with its parameters.
async fn marked(known: &[String], mark: Mark, on: bool, answer: Answer) -> (Result<(), FleetError>, Vec<String>) {
    let listed = described(known);
    let stub = Stub::start(move |request: &Request| match request.action() {
        "DescribeInstances" => listed.clone(),
        _ => answer.clone(),
    })
    .await;
    let result = stub.fleet().await.mark(&group(), &ID.into(), mark, on).await;
    assert_eq!(stub.actions().first().map(String::as_str), Some("DescribeInstances"), "it looks first");
    let calls = stub.asked().into_iter().filter(|request| request.action() != "DescribeInstances").map(|request| {
        let form = |key: &str| request.form.get(key).cloned().unwrap_or_default();
        let (id, key, value) = (form("ResourceId.1"), form("Tag.1.Key"), form("Tag.1.Value"));
        format!("{} {id} {key}={value}", request.action())
    });
    (result, calls.collect())
}

fn done(action: &str) -> Answer {
    ec2(action, "<return>true</return>")
}

#[tokio::test]
async fn a_mark_is_a_tag_and_its_end_takes_the_tag_off_whatever_it_holds() {
    let ours = [instance(ID, "running", "10.0.0.1", OURS)];
    for (mark, on, called) in [
        (Mark::Drain, true, format!("CreateTags {ID} muster:drain=true")),
        (Mark::Drain, false, format!("DeleteTags {ID} muster:drain=")),
        (Mark::Protected, true, format!("CreateTags {ID} muster:protected=true")),
        (Mark::Protected, false, format!("DeleteTags {ID} muster:protected=")),
    ] {
        let action = if on { "CreateTags" } else { "DeleteTags" };
        let (result, calls) = marked(&ours, mark, on, done(action)).await;
        result.expect("a mark");
        assert_eq!(calls, [called]);
    }
}

#[tokio::test]
async fn c1_neither_a_foreign_instance_nor_an_unknown_one_is_ever_tagged() {
    let foreign: [&[(&str, &str)]; 4] = [
        &[],
        &[("muster:group", "web")],
        &[("muster:stack", "test")],
        &[("muster:stack", "another"), ("muster:group", "web")],
    ];
    let known = foreign.map(|tags| vec![instance(ID, "running", "10.0.0.1", tags)]);
    for known in known.into_iter().chain([Vec::new()]) {
        for on in [true, false] {
            let (result, calls) = marked(&known, Mark::Drain, on, done("CreateTags")).await;
            assert!(matches!(result, Err(FleetError::Refused(_))), "{known:?}: {result:?}");
            assert_eq!(calls, Vec::<String>::new(), "{known:?}");
        }
    }
}

#[tokio::test]
async fn a_mark_fails_as_other_calls_do() {
    let ours = [instance(ID, "running", "10.0.0.1", OURS)];
    let (result, calls) = marked(&ours, Mark::Drain, true, error(403, "UnauthorizedOperation", "ec2:CreateTags")).await;
    assert!(matches!(result, Err(FleetError::Refused(_))), "{result:?}");
    assert_eq!(calls.len(), 1, "it is called once");
    let (result, _) = marked(&ours, Mark::Drain, true, error(503, "RequestLimitExceeded", "")).await;
    assert!(matches!(result, Err(FleetError::Throttled(_))), "{result:?}");
    let (result, _) = marked(&ours, Mark::Drain, false, error(500, "InternalError", "")).await;
    assert!(matches!(result, Err(FleetError::Unavailable(_))), "{result:?}");
    let (result, _) = marked(&ours, Mark::Drain, true, error(400, "ConcurrentTagAccess", "")).await;
    assert!(matches!(result, Err(FleetError::Unavailable(_))), "it passes by itself: {result:?}");
}
