//! CloudFormation's stacks.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_aws::clients::Deadlines;
use muster_aws::stacks::{Change, StackError, StackFacts, Stacks, Step, Wanted, Watcher};
use muster_control::chain::chain;

use super::stub::{Answer, Stub};

const PRESENT: &str = "arn:aws:cloudformation:eu-central-1:111122223333:stack/prod-web/1";

/// How long a stack is followed: three looks take one second.
const LIMIT: Duration = Duration::from_secs(4);

fn whole(action: &str, result: &str) -> Answer {
    Answer::Whole(200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
}

fn refusal(code: &str, text: &str) -> Answer {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error>");
    Answer::Whole(400, format!("<ErrorResponse>{error}<RequestId>r-1</RequestId></ErrorResponse>"))
}

fn stack(status: &str) -> String {
    format!(
        "<member><StackId>{PRESENT}</StackId><StackName>prod-web</StackName><CreationTime>2026-11-22T10:00:00Z</CreationTime>\
         <StackStatus>{status}</StackStatus><Parameters><member><ParameterKey>Image</ParameterKey><ParameterValue>ami-1</ParameterValue>\
         </member></Parameters><Tags><member><Key>muster:group</Key><Value>old</Value></member>\
         <member><Key>team</Key><Value>a</Value></member></Tags><Outputs><member>\
         <OutputKey>A</OutputKey><OutputValue>b</OutputValue><ExportName>prod-A</ExportName></member></Outputs></member>"
    )
}

fn described(status: &str) -> Answer {
    whole("DescribeStacks", &format!("<Stacks>{}</Stacks>", stack(status)))
}

fn event(id: u32, status: &str, reason: &str) -> String {
    format!(
        "<member><EventId>e-{id}</EventId><LogicalResourceId>Role{id}</LogicalResourceId><ResourceType>AWS::IAM::Role</ResourceType>\
         <ResourceStatus>{status}</ResourceStatus><ResourceStatusReason>{reason}</ResourceStatusReason></member>"
    )
}

async fn stacks(stub: &Stub) -> Stacks {
    Stacks::new(&stub.connection(Deadlines::default()).await)
}

/// A CloudFormation that has one stack, whose statuses come one after the other, and these events.
async fn at_work(statuses: &'static [&'static str], events: String, change: Answer) -> Stub {
    let looks = std::sync::atomic::AtomicUsize::new(0);
    Stub::start(move |request| match request.action() {
        "DescribeStacks" => {
            let look = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match statuses.get(look).or(statuses.last()) {
                Some(&"gone") | None => refusal("ValidationError", "Stack with id prod-web does not exist"),
                Some(status) => described(status),
            }
        }
        "DescribeStackEvents" => whole("DescribeStackEvents", &format!("<StackEvents>{events}</StackEvents>")),
        _ => change.clone(),
    })
    .await
}

async fn applied(stub: &Stub, present: Option<&StackFacts>) -> Result<(Change, StackFacts), StackError> {
    let parameters = BTreeMap::from([("Group", Some("web".to_owned())), ("Image", None), ("New", None)]);
    let tags = [("muster:group", "web")];
    let wanted = Wanted { name: "prod-web", template: "T", parameters: &parameters, tags: &tags, token: "token-1" };
    let mut tell = |_: &Step| {};
    stacks(stub).await.apply(&wanted, present, &mut Watcher::new(LIMIT, &mut tell)).await
}

async fn present(stub: &Stub) -> StackFacts {
    stacks(stub).await.find("prod-web").await.expect("an answer").expect("a stack")
}

#[tokio::test]
async fn a_stack_is_read_whole_and_every_page_of_them() {
    let page = |token: &str, status: &str| {
        whole("DescribeStacks", &format!("<Stacks>{}</Stacks><NextToken>{token}</NextToken>", stack(status)))
    };
    let stub =
        Stub::giving([page("t", "CREATE_COMPLETE"), page("u", "DELETE_COMPLETE"), described("UPDATE_IN_PROGRESS")])
            .await;
    let found = stacks(&stub).await.list().await.expect("every page");
    let statuses: Vec<_> = found.iter().map(|facts| (facts.status.as_str(), facts.is_moving())).collect();
    assert_eq!(statuses, [("CREATE_COMPLETE", false), ("UPDATE_IN_PROGRESS", true)], "the deleted one is left out");
    assert_eq!(stub.asked()[2].form["NextToken"], "u");
    let one = &found[0];
    assert_eq!((one.id.as_str(), one.name.as_str()), (PRESENT, "prod-web"));
    assert_eq!((one.parameters["Image"].as_str(), one.tags["muster:group"].as_str()), ("ami-1", "old"));
    assert!(one.outputs["A"] == "b" && one.exports.contains("prod-A"));
}

#[tokio::test]
async fn a_stack_that_is_not_there_is_none_and_everything_else_an_error() {
    let stub = Stub::giving([refusal("ValidationError", "Stack with id x does not exist")]).await;
    assert_eq!(stacks(&stub).await.find("x").await.expect("an answer"), None);
    for code in ["AccessDenied", "ValidationError"] {
        let stub = Stub::giving([refusal(code, "Because of that.")]).await;
        let failed = stacks(&stub).await.find("x").await.expect_err(code);
        assert!(matches!(failed, StackError::Refused(_)), "{failed}");
        assert!(
            chain(&failed).contains(&format!("DescribeStacks failed with {code}: Because of that.")),
            "{}",
            chain(&failed)
        );
    }
}

#[tokio::test]
async fn a_new_stack_has_what_is_given_and_is_followed_to_its_end() {
    let made = whole("CreateStack", &format!("<StackId>{PRESENT}</StackId>"));
    let stub = at_work(&["CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"], String::new(), made).await;
    let (change, facts) = applied(&stub, None).await.expect("a stack");
    assert_eq!((change, facts.status.as_str()), (Change::Created, "CREATE_COMPLETE"));
    let asked = stub.only("CreateStack").form;
    let of = |name: &str| asked.get(name).map(String::as_str);
    assert_eq!(
        (of("StackName"), of("TemplateBody"), of("ClientRequestToken")),
        (Some("prod-web"), Some("T"), Some("token-1"))
    );
    assert_eq!((of("Parameters.member.1.ParameterKey"), of("Parameters.member.2.ParameterKey")), (Some("Group"), None));
    assert_eq!((of("Capabilities.member.1"), of("Tags.member.1.Value")), (Some("CAPABILITY_IAM"), Some("web")));
}

#[tokio::test]
async fn a_change_keeps_what_is_not_given_and_no_change_is_success() {
    let looks = &["CREATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"];
    let stub = at_work(looks, String::new(), whole("UpdateStack", &format!("<StackId>{PRESENT}</StackId>"))).await;
    let before = present(&stub).await;
    let (change, facts) = applied(&stub, Some(&before)).await.expect("a stack");
    assert_eq!((change, facts.status.as_str()), (Change::Updated, "UPDATE_COMPLETE"));
    let asked = stub.only("UpdateStack").form;
    let of = |name: &str| asked.get(name).map(String::as_str);
    assert_eq!((of("StackName"), of("Parameters.member.1.ParameterValue")), (Some(PRESENT), Some("web")));
    assert_eq!(of("Parameters.member.2.ParameterKey"), Some("Image"));
    assert_eq!(of("Parameters.member.2.UsePreviousValue"), Some("true"));
    assert_eq!((of("Tags.member.1.Value"), of("Tags.member.2.Value")), (Some("web"), Some("a")), "others' tags stay");
    assert_eq!(of("Parameters.member.3.ParameterKey"), None, "what the stack has not had gets the template's default");
    let same = refusal("ValidationError", "No updates are to be performed.");
    let stub = at_work(&["CREATE_COMPLETE"], String::new(), same).await;
    let before = present(&stub).await;
    assert_eq!(applied(&stub, Some(&before)).await.expect("a stack").0, Change::Unchanged);
}

#[tokio::test]
async fn what_has_failed_is_the_errors_text() {
    let events = [
        event(3, "ROLLBACK_IN_PROGRESS", "of itself"),
        event(2, "CREATE_FAILED", "Resource creation cancelled"),
        event(1, "CREATE_FAILED", "no such image"),
    ];
    let made = whole("CreateStack", &format!("<StackId>{PRESENT}</StackId>"));
    let stub = at_work(&["CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE"], events.concat(), made.clone()).await;
    let failed = applied(&stub, None).await.expect_err("a failure").to_string();
    assert_eq!(
        failed,
        "the CloudFormation stack prod-web is ROLLBACK_COMPLETE\n  Role1 (AWS::IAM::Role): no such image"
    );
    let stub = at_work(&["CREATE_IN_PROGRESS"], String::new(), made).await;
    let late = applied(&stub, None).await.expect_err("a failure");
    assert!(matches!(&late, StackError::Late { status, .. } if status == "CREATE_IN_PROGRESS"), "{late}");
}

#[tokio::test]
async fn a_deletion_is_followed_until_it_has_gone() {
    let deleted = whole("DeleteStack", "");
    for (looks, ended) in [
        (&["CREATE_COMPLETE", "CREATE_COMPLETE", "DELETE_IN_PROGRESS", "gone"] as &[&str], true),
        (&["CREATE_COMPLETE", "DELETE_COMPLETE"], true),
        (&["CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED"], false),
    ] {
        let stub = at_work(looks, String::new(), deleted.clone()).await;
        let before = present(&stub).await;
        let (stacks, mut tell) = (stacks(&stub).await, |_: &Step| {});
        let mut watcher = Watcher::new(LIMIT, &mut tell);
        let outcome = stacks.delete(&before, "token-1", &mut watcher).await;
        assert_eq!(outcome.is_ok(), ended, "{looks:?}: {outcome:?}");
        assert_eq!(stub.only("DeleteStack").form["StackName"], PRESENT, "by its ARN, not another of its name");
    }
}
