//! What DynamoDB's errors become, answered by a stand-in that says what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use muster_aws::tables::Tables;
use muster_control::chain::chain;
use muster_control::ports::{GroupStore, HealthStore, LeaseRequest, Release, Settlement, StoreError};
use muster_core::group::Shard;
use muster_core::intent::IntentId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::emulator::{STACK, client};
use crate::items::{at, claim, group};

/// A server that gives every request the same answer, and counts them.
struct StandIn {
    endpoint: String,
    tables: Tables,
    asked: Arc<AtomicU32>,
    server: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl StandIn {
    /// None: it takes the request and never answers.
    async fn answering(answer: Option<(u16, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(AtomicU32::default());
        let counter = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                take_request(&mut connection).await;
                counter.fetch_add(1, Ordering::SeqCst);
                match &answer {
                    Some((status, body)) => give(&mut connection, *status, &body.to_string()).await,
                    None => open.push(connection),
                }
            }
        });
        let endpoint = format!("http://{address}");
        Self { tables: Tables::new(client(&endpoint), STACK), endpoint, asked, server }
    }

    async fn failing(error: &str) -> Self {
        let name = format!("com.amazonaws.dynamodb.v20120810#{error}");
        Self::answering(Some((400, json!({"__type": name, "message": "said so"})))).await
    }

    async fn cancelling(reasons: &[&str]) -> Self {
        let reason = |code: &&str| json!({"Code": code, "Message": "said so"});
        let reasons: Vec<Value> = reasons.iter().map(reason).collect();
        let name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        let body = json!({"__type": name, "Message": "Transaction cancelled", "CancellationReasons": reasons});
        Self::answering(Some((400, body))).await
    }
}

/// Reads to the end of a request's body.
async fn take_request(connection: &mut TcpStream) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = connection.read(&mut buffer).await.expect("a request");
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.trim().parse().expect("a number"));
        if body.len() >= length {
            return;
        }
    }
}

async fn give(connection: &mut TcpStream, status: u16, body: &str) {
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(format!("{head}{body}").as_bytes()).await.expect("an answer");
}

fn lease() -> LeaseRequest {
    LeaseRequest {
        group: group(),
        intent: IntentId("a".into()),
        attempt: 0,
        owner: "me".into(),
        now: at(1),
        until: at(2),
    }
}

fn settlement() -> Settlement {
    Settlement {
        group: group(),
        shard: Shard(0),
        roster_seen: None,
        settled: vec![(IntentId("a".into()), 1)],
        put_members: Vec::new(),
        roster: None,
        outcomes: Vec::new(),
        activity: Vec::new(),
    }
}

#[tokio::test]
async fn a_condition_that_fails_is_a_conflict() {
    for error in ["ConditionalCheckFailedException", "TransactionConflictException"] {
        let stand_in = StandIn::failing(error).await;
        let slot = stand_in.tables.take_slot(&group(), Shard(0), at(1), "me").await;
        assert!(matches!(slot, Err(StoreError::Conflict)), "{error}: {slot:?}");
        let leased = stand_in.tables.lease(&lease()).await;
        assert!(matches!(leased, Err(StoreError::Conflict)), "{error}: {leased:?}");
    }
}

#[tokio::test]
async fn a_cancelled_transaction_is_what_its_reasons_say() {
    for reasons in [
        ["None", "ConditionalCheckFailed"],
        ["TransactionConflict", "None"],
        ["ThrottlingError", "ConditionalCheckFailed"],
    ] {
        let stand_in = StandIn::cancelling(&reasons).await;
        let claimed = stand_in.tables.claim(&claim(1)).await;
        assert!(matches!(claimed, Err(StoreError::Conflict)), "{reasons:?}: {claimed:?}");
    }
    for reasons in [["None", "ThrottlingError"], ["ProvisionedThroughputExceeded", "None"]] {
        let stand_in = StandIn::cancelling(&reasons).await;
        let settled = stand_in.tables.settle(&settlement()).await;
        assert!(matches!(settled, Err(StoreError::Throttled(_))), "{reasons:?}: {settled:?}");
    }
    let stand_in = StandIn::cancelling(&["None", "ItemCollectionSizeLimitExceeded"]).await;
    let claimed = stand_in.tables.claim(&claim(1)).await.expect_err("a cancellation");
    assert!(matches!(claimed, StoreError::Unavailable(_)), "{claimed:?}");
    let said = chain(&claimed);
    assert!(said.contains("item 1: ItemCollectionSizeLimitExceeded: said so"), "{said}");
}

#[tokio::test]
async fn throttling_of_any_kind_is_throttled() {
    for error in ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"] {
        let stand_in = StandIn::failing(error).await;
        let read = stand_in.tables.head(&group()).await;
        assert!(matches!(read, Err(StoreError::Throttled(_))), "{error}: {read:?}");
        let leased = stand_in.tables.lease(&lease()).await;
        assert!(matches!(leased, Err(StoreError::Throttled(_))), "{error}: {leased:?}");
        let settled = stand_in.tables.settle(&settlement()).await;
        assert!(matches!(settled, Err(StoreError::Throttled(_))), "{error}: {settled:?}");
    }
}

#[tokio::test]
async fn everything_else_is_unavailable_and_says_table_operation_and_cause() {
    for error in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"] {
        let stand_in = StandIn::failing(error).await;
        for (failed, says) in [
            (
                stand_in.tables.head(&group()).await.expect_err("a refusal"),
                r#"GetItem on the table "stack-control" failed"#,
            ),
            (
                stand_in.tables.latest(&group(), Shard(0)).await.expect_err("a refusal"),
                r#"Query on the table "stack-sweeps" failed"#,
            ),
            (
                stand_in.tables.settle(&settlement()).await.expect_err("a refusal"),
                r#"TransactWriteItems on the table "stack-control" failed"#,
            ),
        ] {
            assert!(matches!(failed, StoreError::Unavailable(_)), "{error}: {failed:?}");
            let said = chain(&failed);
            assert!(said.contains(says) && said.contains(error) && said.contains("said so"), "{said}");
        }
    }
}

#[tokio::test]
async fn who_does_not_answer_or_is_not_there_is_unavailable() {
    let mute = StandIn::answering(None).await;
    let patience = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(20)).build();
    let impatient = client(&mute.endpoint).config().to_builder().timeout_config(patience).build();
    let impatient = Tables::new(aws_sdk_dynamodb::Client::from_conf(impatient), STACK);
    let unanswered = impatient.lease(&lease()).await.expect_err("no answer");
    assert!(matches!(unanswered, StoreError::Unavailable(_)), "{unanswered:?}");
    let said = chain(&unanswered);
    assert!(said.contains(r#"UpdateItem on the table "stack-control" failed"#) && said.contains("timeout"), "{said}");
    let nobody = Tables::new(client("http://127.0.0.1:1"), STACK);
    let unreachable = nobody.head(&group()).await.expect_err("nobody is there");
    assert!(matches!(unreachable, StoreError::Unavailable(_)), "{unreachable:?}");
}

#[tokio::test]
async fn a_conditional_write_is_made_once_and_a_transaction_again() {
    let stand_in =
        StandIn::answering(Some((500, json!({"__type": "InternalServerError", "message": "said so"})))).await;
    let asked = || stand_in.asked.swap(0, Ordering::SeqCst);
    let tables = &stand_in.tables;
    tables.lease(&lease()).await.expect_err("an error");
    assert_eq!(asked(), 1, "it may have been done, and would meet itself");
    let release = Release { group: group(), intent: IntentId("a".into()), attempt: 1, until: at(1) };
    tables.release(&release).await.expect_err("an error");
    assert_eq!(asked(), 1);
    tables.take_slot(&group(), Shard(0), at(1), "me").await.expect_err("an error");
    assert_eq!(asked(), 1);
    tables.settle(&settlement()).await.expect_err("an error");
    assert_eq!(asked(), 2, "its token says that it is the same");
    tables.head(&group()).await.expect_err("an error");
    assert_eq!(asked(), 2);
}
