//! The policy in SSM.

use std::error::Error;

use muster_aws::clients::Deadlines;
use muster_aws::parameters::{Parameters, PutError};
use muster_control::ports::{self, PolicyDesk, PolicySource, PolicyText, Revision};
use muster_core::group::PolicyVersion;

use super::stub::{Answer, Stub, group};

const POLICY: &str = r#"{"min_instances": 2, "max_instances": 5}"#;

async fn parameters(stub: &Stub) -> Parameters {
    Parameters::new(&stub.connection(Deadlines::default()).await)
}

/// An error as SSM gives it.
fn refusal(code: &str) -> Answer {
    Answer::Whole(400, format!(r#"{{"__type":"{code}","message":"Because of that."}}"#))
}

#[tokio::test]
async fn the_text_comes_with_ssms_version() {
    let parameter = serde_json::json!({"Parameter": {
        "Name": "/muster/web/policy", "Type": "String", "Value": POLICY, "Version": 12, "DataType": "text",
        "LastModifiedDate": 1_795_341_600.5, "ARN": "arn:aws:ssm:us-east-1:123456789012:parameter/muster/web/policy"
    }});
    let stub = Stub::giving([Answer::Whole(200, parameter.to_string())]).await;
    let fetched = parameters(&stub).await.fetch(&group()).await.expect("an answer");
    assert_eq!(fetched, Some(PolicyText { text: POLICY.into(), version: Some(PolicyVersion(12)) }));
    let asked: serde_json::Value = serde_json::from_str(&stub.asked()[0].body).expect("JSON");
    assert_eq!(asked["Name"], "/muster/web/policy");
}

#[tokio::test]
async fn o7_a_parameter_that_is_not_there_is_none_and_everything_else_an_error() {
    let stub = Stub::giving([refusal("ParameterNotFound")]).await;
    assert_eq!(parameters(&stub).await.fetch(&group()).await.expect("an answer"), None);
    for answer in [
        refusal("AccessDeniedException"),
        refusal("ParameterVersionNotFound"),
        refusal("InvalidKeyId"),
        Answer::Whole(200, "{}".into()),
        Answer::Whole(200, r#"{"Parameter":{"Name":"/muster/web/policy"}}"#.into()),
        Answer::Whole(404, "<html>Not found</html>".into()),
        Answer::Torn(200, r#"{"Parameter":{"#.into()),
    ] {
        let kept = format!("{answer:?}");
        let stub = Stub::giving([answer]).await;
        let failed = parameters(&stub).await.fetch(&group()).await;
        assert!(failed.is_err(), "{kept}: {failed:?}");
    }
}

#[tokio::test]
async fn an_error_tells_the_call_and_the_code() {
    let stub = Stub::giving([refusal("AccessDeniedException")]).await;
    let failed = parameters(&stub).await.fetch(&group()).await.expect_err("a refusal");
    let source = failed.source().expect("a cause").to_string();
    assert!(source.contains("GetParameter failed with AccessDeniedException: Because of that."), "{source}");
}

#[tokio::test]
async fn a_policy_is_put_whole_over_the_last_one() {
    let answer = || Answer::Whole(200, r#"{"Version":13,"Tier":"Standard"}"#.into());
    let stub = Stub::giving([answer(), answer()]).await;
    let policy = parameters(&stub).await;
    assert_eq!(policy.put(&group(), POLICY).await.expect("a version"), PolicyVersion(13));
    assert_eq!(policy.put_first(&group(), POLICY).await.expect("a version"), Some(PolicyVersion(13)));
    let asked = |nth: usize| serde_json::from_str::<serde_json::Value>(&stub.asked()[nth].body).expect("JSON");
    // What is there keeps its type and its tier.
    let over = serde_json::json!({"Name": "/muster/web/policy", "Value": POLICY, "Overwrite": true});
    assert_eq!(asked(0), over);
    let first = serde_json::json!({
        "Name": "/muster/web/policy", "Value": POLICY, "Type": "String", "Overwrite": false, "Tier": "Standard"
    });
    assert_eq!(asked(1), first);
}

#[tokio::test]
async fn z9_what_a_standard_parameter_cannot_hold_is_refused_before_any_call() {
    let stub = Stub::giving([Answer::Whole(200, r#"{"Version":1}"#.into())]).await;
    let policy = parameters(&stub).await;
    assert!(matches!(policy.put(&group(), "").await, Err(PutError::Empty)));
    let long = "ä".repeat(2_049);
    assert!(matches!(policy.put(&group(), &long).await, Err(PutError::TooLong { bytes: 4_098 })));
    assert!(stub.asked().is_empty());
    policy.put(&group(), &"x".repeat(4_096)).await.expect("the longest that fits");
}

#[tokio::test]
async fn a_refused_policy_was_not_written_and_a_lost_answer_may_have_been() {
    for code in ["ParameterMaxVersionLimitExceeded", "AccessDeniedException", "ValidationException"] {
        let stub = Stub::giving([refusal(code)]).await;
        let put = parameters(&stub).await.put(&group(), POLICY).await;
        assert!(matches!(put, Err(PutError::Refused(_))), "{code}: {put:?}");
    }
    let stub = Stub::giving([Answer::Whole(200, "{}".into())]).await;
    let put = parameters(&stub).await.put(&group(), POLICY).await;
    assert!(matches!(put, Err(PutError::Unavailable(_))), "{put:?}");
}

#[tokio::test]
async fn a_first_policy_is_written_over_nobodys() {
    let stub = Stub::giving([Answer::Whole(200, r#"{"Version":1}"#.into()), refusal("ParameterAlreadyExists")]).await;
    let policies = parameters(&stub).await;
    assert_eq!(policies.put_first(&group(), POLICY).await.expect("a version"), Some(PolicyVersion(1)));
    assert_eq!(policies.put_first(&group(), POLICY).await.expect("an answer"), None, "there is one");
    let asked: serde_json::Value = serde_json::from_str(&stub.asked()[0].body).expect("JSON");
    assert_eq!(asked["Overwrite"], false);
    let stub = Stub::giving([refusal("AccessDeniedException")]).await;
    let put = parameters(&stub).await.put_first(&group(), POLICY).await;
    assert!(matches!(put, Err(PutError::Refused(_))), "{put:?}");
}

#[tokio::test]
async fn a_policy_that_is_not_there_is_deleted() {
    let stub =
        Stub::giving([Answer::Whole(200, "{}".into()), refusal("ParameterNotFound"), refusal("AccessDeniedException")])
            .await;
    let policies = parameters(&stub).await;
    assert!(policies.delete(&group()).await.expect("an answer"));
    assert!(!policies.delete(&group()).await.expect("an answer"));
    assert!(matches!(policies.delete(&group()).await, Err(PutError::Refused(_))));
}

/// The parameter as it stands, with its number.
fn standing(text: &str, version: u64) -> Answer {
    let parameter = serde_json::json!({"Parameter": {"Name": "/muster/web/policy", "Value": text, "Version": version}});
    Answer::Whole(200, parameter.to_string())
}

fn became(version: u64) -> Answer {
    Answer::Whole(200, format!(r#"{{"Version":{version}}}"#))
}

#[tokio::test]
async fn an_edit_is_written_over_the_text_that_it_names_and_says_whom_it_has_overwritten() {
    let over = Revision::of("old");
    let put = async |answers: Vec<Answer>, over: Option<&Revision>| {
        let stub = Stub::giving(answers).await;
        let put = PolicyDesk::put(&parameters(&stub).await, &group(), POLICY, over).await;
        (put, stub.asked().len())
    };
    let (written, calls) = put(vec![standing("old", 7), became(8)], Some(&over)).await;
    let written = written.expect("nobody was in the way");
    assert_eq!((written.version, written.overwrote, calls), (Some(PolicyVersion(8)), None, 2));
    assert_eq!(written.revision, Revision::of(POLICY));
    let (written, _) = put(vec![standing("old", 7), became(9)], Some(&over)).await;
    assert_eq!(written.expect("written").overwrote, Some(PolicyVersion(8)), "somebody wrote between look and write");
    let (lost, calls) = put(vec![standing("new", 8)], Some(&over)).await;
    assert!(matches!(lost, Err(ports::PutError::LostUpdate { found: Some(found) }) if found.text == "new"));
    assert_eq!(calls, 1, "nothing was written");
    let (lost, _) = put(vec![refusal("ParameterNotFound")], Some(&over)).await;
    assert!(matches!(lost, Err(ports::PutError::LostUpdate { found: None })));
    let (first, _) = put(vec![refusal("ParameterNotFound"), became(1)], None).await;
    assert_eq!(first.expect("the first").version, Some(PolicyVersion(1)));
    let (lost, _) =
        put(vec![refusal("ParameterNotFound"), refusal("ParameterAlreadyExists"), standing("theirs", 1)], None).await;
    assert!(matches!(lost, Err(ports::PutError::LostUpdate { found: Some(found) }) if found.text == "theirs"));
    let (refused, _) = put(vec![standing("old", 7), refusal("AccessDeniedException")], Some(&over)).await;
    assert!(matches!(refused, Err(ports::PutError::Refused(_))));
}
