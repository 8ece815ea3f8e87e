//! DynamoDB in this process, over HTTP on a port of its own.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use dynoxide::Database;
use muster_aws::tables::{Tables, schema};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const STACK: &str = "stack";

/// DynamoDB with the tables of [`STACK`]; it ends when this is dropped.
pub(crate) struct Emulator {
    pub(crate) client: Client,
    pub(crate) database: Database,
    server: JoinHandle<()>,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Emulator {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let database = Database::memory().expect("a database");
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let client = client(&format!("http://{address}"));
        schema::create(&client, STACK).await.expect("the tables");
        Self { client, database, server }
    }

    /// Tables of a process that has remembered nothing.
    pub(crate) fn tables(&self) -> Tables {
        Tables::new(self.client.clone(), STACK)
    }
}

pub(crate) async fn fresh() -> (Tables, Emulator) {
    let emulator = Emulator::start().await;
    (emulator.tables(), emulator)
}

/// A client as the functions have it, but quick to give up.
pub(crate) fn client(endpoint: &str) -> Client {
    let attempt = Duration::from_secs(10);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("AKIAEXAMPLE", "secret", None, None, "tests"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1)))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).build());
    Client::from_conf(config.build())
}
