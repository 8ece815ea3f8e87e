//! What is terminated, and what never is.

use muster_control::ports::{Fleet, FleetError};
use muster_core::intent::IntentId;

use super::stub::{Answer, OURS, Request, Stub, described, ec2, error, group, instance};

const ID: &str = "i-1234567890abcdef0";

fn ended() -> Answer {
    let states = "<currentState><code>32</code><name>shutting-down</name></currentState>\
                  <previousState><code>16</code><name>running</name></previousState>";
    let item = format!("<item><instanceId>{ID}</instanceId>{states}</item>");
    ec2("TerminateInstances", &format!("<instancesSet>{item}</instancesSet>"))
}

/// Terminates where EC2 lists `known` and answers the call with `answer`.
async fn terminated(known: &[String], answer: Answer) -> (Result<(), FleetError>, Vec<String>) {
    let listed = described(known);
    let stub = Stub::start(move |request: &Request| match request.action() {
        "DescribeInstances" => listed.clone(),
        _ => answer.clone(),
    })
    .await;
    let result = stub.fleet().await.terminate(&group(), &ID.into(), &IntentId("ending".into()), 1).await;
    let form = &stub.asked()[0].form;
    assert_eq!(form.get("Filter.1.Name").map(String::as_str), Some("instance-id"), "it looks first: {form:?}");
    assert_eq!(form.get("Filter.1.Value.1").map(String::as_str), Some(ID));
    let calls = stub.asked().into_iter().filter(|request| request.action() != "DescribeInstances");
    (result, calls.map(|request| format!("{} {}", request.action(), request.form["InstanceId.1"])).collect())
}

fn called() -> Vec<String> {
    vec![format!("TerminateInstances {ID}")]
}

#[tokio::test]
async fn ours_is_terminated_by_its_id() {
    let (result, calls) = terminated(&[instance(ID, "running", "10.0.0.1", OURS)], ended()).await;
    result.expect("a termination");
    assert_eq!(calls, called());
}

#[tokio::test]
async fn c1_what_does_not_carry_both_tags_is_never_touched() {
    let foreign: [&[(&str, &str)]; 6] = [
        &[],
        &[("muster:group", "web")],
        &[("muster:stack", "test")],
        &[("muster:stack", "test"), ("muster:group", "other")],
        &[("muster:stack", "another"), ("muster:group", "web")],
        &[("muster:stack", "TEST"), ("muster:group", "web"), ("Name", "web")],
    ];
    for tags in foreign {
        let (result, calls) = terminated(&[instance(ID, "running", "10.0.0.1", tags)], ended()).await;
        assert!(matches!(result, Err(FleetError::Refused(_))), "{tags:?}: {result:?}");
        assert_eq!(calls, Vec::<String>::new(), "{tags:?}");
    }
}

#[tokio::test]
async fn d6_what_has_ended_is_not_called_again_whether_or_not_its_tags_are_left() {
    for (state, tags) in [("shutting-down", OURS), ("terminated", OURS), ("terminated", &[][..])] {
        let (result, calls) = terminated(&[instance(ID, state, "", tags)], ended()).await;
        result.expect("it has ended");
        assert_eq!(calls, Vec::<String>::new(), "{state}");
    }
    let other = &[("muster:stack", "test"), ("muster:group", "other")];
    let (result, _) = terminated(&[instance(ID, "terminated", "", other)], ended()).await;
    assert!(matches!(result, Err(FleetError::Refused(_))), "another group's end is not ours to tell: {result:?}");
}

#[tokio::test]
async fn d6_what_is_not_listed_is_called_and_then_unknown_or_not_ours() {
    let (result, calls) = terminated(&[], ended()).await;
    result.expect("a list that lags hides nothing");
    assert_eq!(calls, called());
    let unknown = error(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    let (result, calls) = terminated(&[], unknown).await;
    result.expect("it has ended long ago");
    assert_eq!(calls, called());
    let (result, _) = terminated(&[], error(403, "UnauthorizedOperation", "Not tagged.")).await;
    assert!(
        matches!(result, Err(FleetError::Refused(_))),
        "IAM's condition on the tag, for a foreign or a forgotten one (C1): {result:?}"
    );
}

#[tokio::test]
async fn a_termination_is_called_once_whatever_comes_of_it() {
    let ours = [instance(ID, "running", "10.0.0.1", OURS)];
    let nothing = ec2("TerminateInstances", "<instancesSet/>");
    for answer in [error(500, "InternalError", ""), error(503, "Unavailable", ""), nothing] {
        let (result, calls) = terminated(&ours, answer).await;
        assert!(matches!(result, Err(FleetError::Unavailable(_))), "{result:?}");
        assert_eq!(calls, called());
    }
    let (result, calls) = terminated(&ours, error(503, "RequestLimitExceeded", "")).await;
    assert!(matches!(result, Err(FleetError::Throttled(_))), "{result:?}");
    assert_eq!(calls, called());
    let (result, _) = terminated(&ours, error(400, "OperationNotPermitted", "It is protected.")).await;
    assert!(matches!(result, Err(FleetError::Refused(_))), "{result:?}");
}

#[tokio::test]
async fn c1_without_a_look_nothing_is_called() {
    let stub = Stub::giving([error(403, "UnauthorizedOperation", "ec2:DescribeInstances")]).await;
    let result = stub.fleet().await.terminate(&group(), &ID.into(), &IntentId("ending".into()), 1).await;
    assert!(matches!(result, Err(FleetError::Refused(_))), "{result:?}");
    assert_eq!(stub.actions(), ["DescribeInstances"]);
}
