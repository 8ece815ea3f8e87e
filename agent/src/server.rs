//! The gRPC server and what it allows a caller.
//!
//! Everything a caller can make the agent hold is bounded here and in [`crate::connections`], so that
//! no caller can stop the sampling, another caller, or the machine.

use std::future::Future;
use std::time::Duration;

use muster_proto::FILE_DESCRIPTOR_SET;
use muster_proto::v1::monitor_c_server::MonitorCServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_reflection::server::Builder;

use crate::connections::{Connections, MAX_CONNECTIONS};
use crate::service::Service;

/// Largest message that is read. An honest one has a few hundred bytes. A call whose message lacks its last byte holds it.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// Bytes that a caller may send before they are taken, on a stream and on the whole connection.
const WINDOW_BYTES: u32 = 64 * 1024;

/// Largest set of headers that is read, as HTTP/2 counts it. An honest one has some 300 bytes; in memory the smallest headers
/// take seven times what they count.
const MAX_HEADER_BYTES: u32 = 4 * 1024;

/// Streams open at once on a connection; a monitor has one call in flight for an agent. Each can be made to hold some 50 kB.
const MAX_STREAMS: u32 = 8;

/// How long one call may take, its request's slow arrival included. Answers need microseconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that is silent for this long is asked for a sign of life. A frozen Lambda cannot give
/// one, and its kept connection should survive the freeze between two sweeps.
const KEEPALIVE: Duration = Duration::from_secs(600);

/// How long the sign of life may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The descriptors for reflection do not fit together.
    #[error("reflection cannot be set up")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport has failed.
    #[error("the gRPC server has failed")]
    Transport(#[from] tonic::transport::Error),
}

/// What the standard health service says of the agent.
#[derive(Clone, Debug)]
pub struct Health(HealthReporter);

impl Health {
    /// Says that the agent is about to end.
    pub async fn not_serving(&self) {
        for name in ["", <MonitorCServer<Service> as tonic::server::NamedService>::NAME] {
            self.0.set_service_status(name, ServingStatus::NotServing).await;
        }
    }
}

/// Everything that the agent serves, with its limits, for whatever connections come; and what tells its health.
///
/// # Errors
/// When the descriptors for reflection are broken, which a test would have seen.
pub async fn router(service: Service) -> Result<(Health, Router), ServerError> {
    let monitor = MonitorCServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let (reporter, health) = health_reporter();
    reporter.set_serving::<MonitorCServer<Service>>().await;
    let reflection = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let router = Server::builder()
        .timeout(CALL_TIMEOUT)
        .concurrency_limit_per_connection(MAX_STREAMS as usize)
        .load_shed(true)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(monitor)
        .add_service(health.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(reflection().build_v1()?.max_decoding_message_size(MAX_MESSAGE_BYTES))
        // Python's and older tools' reflection clients still ask for the alpha version.
        .add_service(reflection().build_v1alpha()?.max_decoding_message_size(MAX_MESSAGE_BYTES));
    Ok((Health(reporter), router))
}

/// Prepares the server: its future serves until `shutdown`, then waits for the calls in flight.
///
/// # Errors
/// As [`router`].
pub async fn serve(
    listener: TcpListener,
    service: Service,
    shutdown: impl Future<Output = ()>,
) -> Result<(Health, impl Future<Output = Result<(), ServerError>>), ServerError> {
    let (health, router) = router(service).await?;
    let connections = Connections::new(listener, MAX_CONNECTIONS);
    let serving = async move { Ok(router.serve_with_incoming_shutdown(connections, shutdown).await?) };
    Ok((health, serving))
}
