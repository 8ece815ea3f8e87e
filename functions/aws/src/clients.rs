//! One connection to AWS for all clients: credentials, region and endpoints by the usual environment, deadlines by us.
//!
//! Whatever is foreign or slow must never hang: every call has three deadlines. Connections are kept between calls, and
//! between the invocations of a warm Lambda.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// Tries of a read. Two repeats outlive one bad host and one lost packet; more would only wait for the deadline.
const TRIES: u32 = 3;
/// Before the first repeat at most; doubled before the second.
const BACKOFF: Duration = Duration::from_millis(200);

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Until a connection stands.
    pub connect: Duration,
    /// One try of a read: at most half of `operation`, so that a try which hangs leaves time for another.
    pub attempt: Duration,
    /// A whole operation, its repeats included.
    pub operation: Duration,
}

impl Default for Deadlines {
    /// A controller keeps a minute between its budget and the end of its lease; a call has a sixth of it at most. AWS answers
    /// in well under a second mostly, and a launch in a few.
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), attempt: Duration::from_secs(4), operation: Duration::from_secs(9) }
    }
}

impl Deadlines {
    fn reads(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }

    /// What changes something is tried once: it may take as long as the operation.
    #[cfg(feature = "fleet")]
    fn changes(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(self.operation)
            .operation_timeout(self.operation)
            .build()
    }
}

/// No connection can be made as things are.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No region.
    #[error("no AWS region: set AWS_REGION to one (us-east-1 ...), or name it in the profile of AWS_PROFILE")]
    NoRegion,
}

/// Where all clients get their connections, credentials and deadlines.
#[derive(Clone, Debug)]
pub struct Connection {
    config: SdkConfig,
    deadlines: Deadlines,
}

impl Connection {
    /// By the usual environment: `AWS_REGION`, credentials, `AWS_ENDPOINT_URL` and its kin. Calls nobody yet.
    pub async fn open() -> Result<Self, ConnectionError> {
        Self::open_with(Deadlines::default()).await
    }

    /// The same, with other deadlines.
    pub async fn open_with(deadlines: Deadlines) -> Result<Self, ConnectionError> {
        // The SDK's own chain would ask the metadata service last, and wait for it where there is none.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new());
        let config = defaults(deadlines).region(region).load().await;
        if config.region().is_none() {
            return Err(ConnectionError::NoRegion);
        }
        Ok(Self { config, deadlines })
    }

    /// To one endpoint for everything, whatever the environment says, with credentials that are nobody's: for an emulator or a
    /// stub.
    pub async fn local(endpoint: &str, deadlines: Deadlines) -> Self {
        let config = defaults(deadlines)
            .empty_test_environment()
            .test_credentials()
            .region(Region::from_static("us-east-1"))
            .endpoint_url(endpoint)
            .load()
            .await;
        Self { config, deadlines }
    }

    /// The region.
    pub fn region(&self) -> Option<&str> {
        self.config.region().map(AsRef::as_ref)
    }

    /// How long a call may take.
    pub const fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// DynamoDB.
    #[cfg(feature = "tables")]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// EC2, to read. An answer that has been cut off is an error.
    #[cfg(feature = "fleet")]
    pub fn ec2(&self) -> aws_sdk_ec2::Client {
        aws_sdk_ec2::Client::from_conf(self.ec2_config().build())
    }

    /// EC2, to change it: no repeats. The caller repeats, with the intent's token, and under a lease.
    #[cfg(feature = "fleet")]
    pub(crate) fn ec2_once(&self) -> aws_sdk_ec2::Client {
        let once = self.ec2_config().retry_config(RetryConfig::disabled()).timeout_config(self.deadlines.changes());
        aws_sdk_ec2::Client::from_conf(once.build())
    }

    #[cfg(feature = "fleet")]
    fn ec2_config(&self) -> aws_sdk_ec2::config::Builder {
        aws_sdk_ec2::config::Builder::from(&self.config).interceptor(crate::fleet::whole::WholeAnswer)
    }

    /// CloudFormation. It checks a template and its parameters before it answers, and whoever asks it is a person: each try may take as
    /// long as an operation elsewhere.
    #[cfg(feature = "stacks")]
    pub(crate) fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        let Deadlines { connect, operation, .. } = self.deadlines;
        let patient = Deadlines { connect, attempt: operation, operation: operation * TRIES };
        let config = aws_sdk_cloudformation::config::Builder::from(&self.config).timeout_config(patient.reads());
        aws_sdk_cloudformation::Client::from_conf(config.build())
    }

    /// SSM.
    #[cfg(feature = "parameters")]
    pub fn ssm(&self) -> aws_sdk_ssm::Client {
        aws_sdk_ssm::Client::new(&self.config)
    }
}

/// One pool of connections, with ring: the other provider's first handshake costs 24 ms of CPU, ring's less than one.
fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// What every client has, wherever it calls.
fn defaults(deadlines: Deadlines) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client())
        .timeout_config(deadlines.reads())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(BACKOFF))
}
