//! A stub of SSM's Parameter Store: the calls that Muster makes of it, over the JSON protocol.
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Parameters by name, each with its version.
#[derive(Debug)]
pub struct Parameters {
    address: SocketAddr,
    values: Values,
    server: JoinHandle<()>,
}

type Values = Arc<Mutex<BTreeMap<String, (u64, String)>>>;

impl Parameters {
    /// Listens on loopback; there are no parameters yet.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let values = Values::default();
        let routes = Router::new().route("/", post(call)).with_state(Arc::clone(&values));
        let server = tokio::spawn(async move {
            // It serves until the task is aborted.
            let _ended = axum::serve(listener, routes).await;
        });
        Ok(Self { address, values, server })
    }

    /// Its URL, for AWS_ENDPOINT_URL_SSM.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes a parameter, as the console does; none deletes it. Gives its version.
    pub fn set(&self, name: &str, value: Option<&str>) -> u64 {
        let mut values = lock(&self.values);
        match value {
            Some(value) => put(&mut values, name, value),
            None => values.remove(name).map_or(0, |(version, _)| version),
        }
    }
}

impl Parameters {
    /// A parameter's version and value.
    pub fn get(&self, name: &str) -> Option<(u64, String)> {
        lock(&self.values).get(name).cloned()
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(values: &Values) -> MutexGuard<'_, BTreeMap<String, (u64, String)>> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put(values: &mut BTreeMap<String, (u64, String)>, name: &str, value: &str) -> u64 {
    let version = values.get(name).map_or(0, |(version, _)| *version) + 1;
    values.insert(name.to_owned(), (version, value.to_owned()));
    version
}

async fn call(State(values): State<Values>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let name = asked["Name"].as_str().unwrap_or_default();
    let mut values = lock(&values);
    match target.as_str() {
        "AmazonSSM.GetParameter" => match values.get(name) {
            Some((version, value)) => answer(
                StatusCode::OK,
                &json!({"Parameter": {"Name": name, "Type": "String", "Value": value, "Version": version}}),
            ),
            None => answer(StatusCode::BAD_REQUEST, &json!({"__type": "ParameterNotFound"})),
        },
        "AmazonSSM.PutParameter" if asked["Overwrite"] != true && values.contains_key(name) => {
            answer(StatusCode::BAD_REQUEST, &json!({"__type": "ParameterAlreadyExists"}))
        }
        "AmazonSSM.DeleteParameter" => match values.remove(name) {
            Some(_) => answer(StatusCode::OK, &json!({})),
            None => answer(StatusCode::BAD_REQUEST, &json!({"__type": "ParameterNotFound"})),
        },
        "AmazonSSM.PutParameter" => {
            let version = put(&mut values, name, asked["Value"].as_str().unwrap_or_default());
            answer(StatusCode::OK, &json!({"Tier": "Standard", "Version": version}))
        }
        _ => answer(StatusCode::BAD_REQUEST, &json!({"__type": "UnknownOperationException"})),
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}
