//! Over HTTP: calls, the control API, connections that are cut, the binary, and agents that really run.

mod agents;
mod binary;
mod http;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use muster_fake_ec2::{Config, FakeEc2, Running, Settings};
use reqwest::Client;
use serde_json::Value;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A free port of loopback.
fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Instances run at once and end at once.
fn prompt() -> Settings {
    Settings { boot: Duration::ZERO, shutdown: Duration::ZERO, ..Settings::default() }
}

async fn start(config: Config) -> Result<(Running, Client), Box<dyn std::error::Error>> {
    let running = FakeEc2::start(config, anywhere()).await?;
    Ok((running, client()?))
}

/// Plain HTTP needs no TLS; built beside crates that do, reqwest wants to know whose all the same.
fn client() -> reqwest::Result<Client> {
    let _first = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE).build()
}

/// The form of a call.
fn form(action: &str, parameters: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", "2016-11-15").extend_pairs(parameters);
    form.finish()
}

/// One launch.
fn launch() -> String {
    form("RunInstances", &[("ImageId", "ami-0aaaaaaaaaaaaaaa1"), ("MinCount", "1"), ("MaxCount", "1")])
}

async fn post(client: &Client, url: &str, body: impl Into<reqwest::Body>) -> reqwest::Result<(u16, String)> {
    let response = client.post(url).body(body).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

/// A request of the control API; panics where it is refused.
async fn fake(
    client: &Client,
    running: &Running,
    path: &str,
    body: Value,
) -> Result<Value, Box<dyn std::error::Error>> {
    let (status, text) = post(client, &format!("{}/_fake/{path}", running.url()), body.to_string()).await?;
    assert_eq!(status, 200, "{path}: {text}");
    Ok(serde_json::from_str(&text)?)
}
