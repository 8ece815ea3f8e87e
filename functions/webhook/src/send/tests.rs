//! A receiver on loopback, and what reaches it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use muster_control::activity::Event;
use muster_core::intent::{Cause, IntentId};
use muster_core::member::InstanceId;
use serde_json::Value;

use super::*;
use crate::body::EVENTS_AT_MOST;

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);
const LONG: Duration = Duration::from_secs(30);

/// What has been posted, in order.
type Posted = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// How a receiver answers the requests, in order; the last answer is for all that follow.
#[derive(Clone, Copy)]
enum Reply {
    Status(u16),
    RedirectHere,
    Never,
}

/// A receiver; it ends with the test's runtime.
async fn receiver(replies: &'static [Reply]) -> (SocketAddr, Posted) {
    let posted = Posted::default();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let seen = Arc::clone(&posted);
    let answer = move |headers: HeaderMap, body: Bytes| {
        let at = {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push((headers, body));
            seen.len() - 1
        };
        let reply = replies.get(at).or(replies.last()).copied().unwrap_or(Reply::Status(204));
        reply_to(reply, address)
    };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, posted)
}

async fn reply_to(reply: Reply, address: SocketAddr) -> Response {
    match reply {
        Reply::Status(status) => axum::http::StatusCode::from_u16(status).expect("a status").into_response(),
        Reply::RedirectHere => {
            let location = [(axum::http::header::LOCATION, format!("http://{address}/elsewhere"))];
            (axum::http::StatusCode::TEMPORARY_REDIRECT, location).into_response()
        }
        Reply::Never => std::future::pending().await,
    }
}

fn webhook(address: SocketAddr, secret: Option<&str>) -> Webhook {
    // Another test may have been first.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let target = format!("http://{address}/hook").parse().expect("loopback");
    Webhook::new("prod", target, secret.map(str::to_owned), Format::Json).expect("a client").hasty()
}

fn group() -> GroupName {
    "web".parse().expect("a name")
}

fn terminated(n: usize) -> Vec<Activity> {
    let of = |n: usize| {
        let (instance, intent) = (InstanceId(format!("i-{n}")), IntentId(n.to_string()));
        let event = Event::Terminated { intent, instance, cause: Cause::Load };
        Activity { group: group(), at: NOW, id: format!("intent-{n}"), event }
    };
    (0..n).map(of).collect()
}

fn taken(posted: &Posted) -> Vec<(HeaderMap, Bytes)> {
    posted.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[tokio::test]
async fn a_batch_is_one_signed_post() {
    let (address, posted) = receiver(&[Reply::Status(204)]).await;
    let sent = webhook(address, Some("key")).send(&group(), &terminated(3), NOW, LONG).await;
    assert_eq!(sent.expect("taken"), Sent::Events(3));
    let posted = taken(&posted);
    let [(headers, body)] = &posted[..] else { panic!("one request: {posted:?}") };
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers[HEADER], signature("key", NOW, body).as_str(), "the very bytes that arrive are signed");
    let document: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(document["events"][2]["text"], "i-2 was terminated (load)");
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed_and_without_events_nothing_is_sent() {
    let (address, posted) = receiver(&[Reply::Status(200)]).await;
    let webhook = webhook(address, None);
    assert_eq!(webhook.send(&group(), &[], NOW, LONG).await.expect("nothing"), Sent::Nothing);
    assert_eq!(webhook.send(&group(), &terminated(1), NOW, LONG).await.expect("taken"), Sent::Events(1));
    let posted = taken(&posted);
    assert!(posted.len() == 1 && !posted[0].0.contains_key(HEADER), "{posted:?}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_twice() {
    let (address, posted) = receiver(&[Reply::Status(503), Reply::Status(429), Reply::Status(200)]).await;
    assert!(webhook(address, None).send(&group(), &terminated(1), NOW, LONG).await.is_ok());
    let bodies: Vec<Bytes> = taken(&posted).into_iter().map(|(_, body)| body).collect();
    assert!(bodies.len() == 3 && bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    let (address, posted) = receiver(&[Reply::Status(500)]).await;
    let failed = webhook(address, None).send(&group(), &terminated(1), NOW, LONG).await.expect_err("never");
    assert_eq!(
        (failed.to_string(), taken(&posted).len()),
        ("the webhook answered 500 Internal Server Error".into(), 3)
    );
}

#[tokio::test]
async fn a_refusal_is_not_tried_again_and_a_redirect_is_not_followed() {
    for (replies, status) in [(&[Reply::Status(404)], 404), (&[Reply::Status(400)], 400), (&[Reply::RedirectHere], 307)]
    {
        let (address, posted) = receiver(replies).await;
        let failed = webhook(address, None).send(&group(), &terminated(1), NOW, LONG).await.expect_err("refused");
        assert!(matches!(failed, SendError::Answered(answered) if answered.as_u16() == status), "{failed}");
        assert_eq!(taken(&posted).len(), 1);
    }
}

#[tokio::test]
async fn nobody_is_waited_for() {
    let (address, _posted) = receiver(&[Reply::Never]).await;
    let deadline = Duration::from_millis(50);
    let failed = webhook(address, None).send(&group(), &terminated(1), NOW, deadline).await.expect_err("late");
    assert!(matches!(failed, SendError::Late(waited) if waited == deadline), "{failed}");
}

#[tokio::test]
async fn who_cannot_be_reached_is_told_of_without_the_address() {
    let gone = {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback");
        listener.local_addr().expect("bound")
    };
    let failed = webhook(gone, Some("key")).send(&group(), &terminated(1), NOW, LONG).await.expect_err("nobody");
    let chain = muster_control::chain::chain(&failed);
    assert!(
        matches!(failed, SendError::Unreachable(_)) && !chain.contains("hook:") && !chain.contains("/hook"),
        "{chain}"
    );
}

#[tokio::test]
async fn many_events_are_one_bounded_post() {
    let (address, posted) = receiver(&[Reply::Status(200)]).await;
    assert!(webhook(address, None).send(&group(), &terminated(1_000), NOW, LONG).await.is_ok());
    let posted = taken(&posted);
    let document: Value = serde_json::from_slice(&posted[0].1).expect("JSON");
    assert_eq!((posted.len(), document["events"].as_array().map(Vec::len)), (1, Some(EVENTS_AT_MOST)));
}

#[test]
fn a_webhook_is_shown_without_its_secrets() {
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let shown = format!("{:?}", webhook(address, Some("hush")));
    assert!(!shown.contains("hush") && !shown.contains("/hook"), "{shown}");
}
