//! What is foreign or slow must never hang: every call ends by its deadlines, here short ones.

use std::time::Duration;

use muster_aws::clients::{Connection, Deadlines};
use muster_aws::fleet::Ec2Fleet;
use muster_aws::parameters::Parameters;
use muster_control::ports::{Fleet, FleetError, PolicySource};
use muster_core::intent::IntentId;
use tokio::net::TcpListener;

use super::stub::{Answer, Stub, group, spec};

fn short() -> Deadlines {
    let [connect, attempt, operation] = [1_000, 60, 200].map(Duration::from_millis);
    Deadlines { connect, attempt, operation }
}

/// Whether a call has come to nothing, and nothing is known.
fn unavailable<T: std::fmt::Debug>(answer: &Result<T, FleetError>) -> bool {
    matches!(answer, Err(FleetError::Unavailable(_)))
}

async fn every_call_ends(fleet: &Ec2Fleet) {
    let launched = fleet.launch(&spec(), 1).await;
    assert!(unavailable(&launched), "{launched:?}");
    let ended = fleet.terminate(&group(), &"i-1".into(), &IntentId("ending".into()), 1).await;
    assert!(unavailable(&ended), "{ended:?}");
    let listed = fleet.list(&group()).await;
    assert!(unavailable(&listed), "{listed:?}");
    let described = fleet.describe(&group(), &["i-1".into()]).await;
    assert!(unavailable(&described), "{described:?}");
    let found = fleet.find(&spec()).await;
    assert!(unavailable(&found), "{found:?}");
    let version = fleet.template_version("web").await;
    assert!(unavailable(&version), "{version:?}");
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers() {
    let stub = Stub::giving([Answer::Silence]).await;
    every_call_ends(&stub.fleet_within(short()).await).await;
    let launches = stub.actions().iter().filter(|action| *action == "RunInstances").count();
    assert!(launches <= 1, "what may have happened is not repeated here: {launches}");
    assert!(!stub.actions().contains(&"TerminateInstances".to_owned()), "without a look nothing is ended (C1)");
    let policy = Parameters::new(&stub.connection(short()).await);
    policy.fetch(&group()).await.expect_err("no answer");
    policy.put(&group(), "{}").await.expect_err("no answer");
}

#[tokio::test]
async fn a_server_that_answers_for_ever() {
    let stub = Stub::giving([Answer::Trickle]).await;
    every_call_ends(&stub.fleet_within(short()).await).await;
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let connection = Connection::local(&format!("http://{address}"), short()).await;
    every_call_ends(&Ec2Fleet::new(&connection, "test", 7717)).await;
}

#[tokio::test]
async fn a_queue_that_nobody_serves() {
    // The system accepts the connection, and nobody ever reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let connection = Connection::local(&format!("http://{address}"), short()).await;
    every_call_ends(&Ec2Fleet::new(&connection, "test", 7717)).await;
}

#[test]
fn the_deadlines_leave_a_minute_after_the_budget_untouched() {
    let usual = Deadlines::default();
    assert!(usual.operation <= Duration::from_secs(10), "{usual:?}");
    assert!(usual.attempt * 2 <= usual.operation, "a try that hangs leaves time for another: {usual:?}");
    assert!(usual.connect < usual.attempt, "{usual:?}");
}
