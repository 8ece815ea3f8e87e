//! The Runtime API of Lambda, as a function's bootstrap sees it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

/// What an invocation came to: the function's response, or the error that it reported.
pub(crate) type Outcome = Result<Value, Value>;

/// One function's Runtime API. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    rung: Notify,
    /// How often the function has asked for an invocation.
    asked: watch::Sender<u32>,
    /// What it reported when it could not start.
    failed: watch::Sender<Option<Value>>,
}

#[derive(Debug, Default)]
struct Queue {
    count: u64,
    waiting: VecDeque<Invocation>,
    running: BTreeMap<String, oneshot::Sender<Outcome>>,
}

#[derive(Debug)]
struct Invocation {
    id: String,
    event: Vec<u8>,
    deadline_ms: u128,
    answer: oneshot::Sender<Outcome>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuntimeApi {
    /// Listens on a port of loopback that the system chooses.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            rung: Notify::new(),
            asked: watch::Sender::new(0),
            failed: watch::Sender::new(None),
        });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It serves until the task is aborted.
            let _ended = axum::serve(listener, routes).await;
        });
        Ok(Self { address, shared, server })
    }

    /// `address:port`, for AWS_LAMBDA_RUNTIME_API.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends when the function has asked for its first invocation, or has reported that it cannot start.
    pub(crate) async fn first_next(&self) -> Result<(), Value> {
        let (mut asked, mut failed) = (self.shared.asked.subscribe(), self.shared.failed.subscribe());
        tokio::select! {
            _ = asked.wait_for(|asked| *asked > 0) => Ok(()),
            reported = failed.wait_for(Option::is_some) => {
                Err(reported.ok().and_then(|reported| reported.clone()).unwrap_or_default())
            }
        }
    }

    /// Queues an event; the receiver tells what came of it. A receiver that fails means that nobody will answer.
    pub(crate) fn invoke(&self, event: &Value, timeout: Duration) -> oneshot::Receiver<Outcome> {
        let (answer, outcome) = oneshot::channel();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut queue = self.shared.queue();
        queue.count += 1;
        let id = format!("{:08x}-0000-4000-8000-{:012x}", now.subsec_nanos(), queue.count);
        let deadline_ms = (now + timeout).as_millis();
        let event = event.to_string().into_bytes();
        queue.waiting.push_back(Invocation { id, event, deadline_ms, answer });
        drop(queue);
        self.shared.rung.notify_one();
        outcome
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.send_modify(|asked| *asked += 1);
    loop {
        let rung = shared.rung.notified();
        if let Some(invocation) = take(&shared) {
            return invocation;
        }
        rung.await;
    }
}

/// The oldest invocation that nobody has, as the answer that hands it over.
fn take(shared: &Shared) -> Option<Response> {
    let mut queue = shared.queue();
    let Invocation { id, event, deadline_ms, answer } = queue.waiting.pop_front()?;
    queue.running.insert(id.clone(), answer);
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:f:live";
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", arn.to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    Some((headers, event).into_response())
}

fn end(shared: &Shared, id: &str, outcome: Outcome) -> StatusCode {
    match shared.queue().running.remove(id) {
        Some(answer) => {
            // Who has given up waiting does not want it.
            let _unwanted = answer.send(outcome);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    end(&shared, &id, Ok(json(&body)))
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    end(&shared, &id, Err(json(&body)))
}

async fn init_error(State(shared): State<Arc<Shared>>, _: HeaderMap, body: Bytes) -> StatusCode {
    shared.failed.send_replace(Some(json(&body)));
    StatusCode::ACCEPTED
}

/// What the function sent; text that is no JSON is kept as text, so that a test can show it.
fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}
