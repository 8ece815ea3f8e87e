//! One HTTP/2 connection to one agent.
//!
//! hyper's connection is used as it is: tonic's channel would connect again by itself, outside a visit's deadline, and its
//! tasks may outlive it with a peer that does not read. Here every task of a connection ends when the connection is dropped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};

use crate::failure::Failure;
use crate::metered::{Allowance, Metered};

/// Bytes that a peer may send before we have read: the largest message fits, a flood does not.
const WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes of headers that are read. An agent's have about 100.
const MAX_HEADER_BYTES: u32 = 8 * 1024;

/// Bytes that a peer may send in one visit, all frames counted: the largest message twice, and headers. An honest visit
/// needs under 1 kB.
const VISIT_BYTES: usize = 256 * 1024;

/// Bytes that wait to be sent at most. A request has a few hundred.
const SEND_BUFFER_BYTES: usize = 16 * 1024;

/// How streams to agents are made: over TCP, or over a simulated network.
pub trait Connect: Send + Sync {
    /// What carries the bytes.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Connects to `address`. The visit's deadline ends the wait.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// The network of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Connect for Tcp {
    type Stream = TcpStream;

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        // Without it a call may wait for an acknowledgement; that it cannot be set is no reason not to ask.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// A connection; clones share it. No keep-alive pings: a kept connection outlives the freeze of a Lambda, and whether the
/// agent lives is what the next visit asks.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    allowance: Allowance,
    _life: Arc<watch::Sender<()>>,
}

impl Connection {
    /// Connects to `address`. The HTTP/2 preface is sent; whether the peer speaks HTTP/2 shows in the first call.
    pub(crate) async fn open(network: &impl Connect, address: SocketAddr) -> Result<Self, Failure> {
        let stream = network.connect(address).await.map_err(|error| Failure::of_connecting(&error))?;
        let allowance = Allowance::of(VISIT_BYTES);
        let (life, end) = watch::channel(());
        let tasks = Tasks(end);
        let (sender, connection) = Builder::new(tasks.clone())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .handshake(TokioIo::new(Metered::new(stream, allowance.clone())))
            .await
            .map_err(|error| Failure::of_call(&tonic::Status::from_error(error.into())))?;
        // How it ends is told to the call that waits for it.
        tasks.execute(connection);
        Ok(Self { sender, allowance, _life: Arc::new(life) })
    }

    /// Gives the peer the bytes of a new visit.
    pub(crate) fn renew(&self) {
        self.allowance.renew(VISIT_BYTES);
    }

    /// Whether it is known to have ended. One that is not may still be broken.
    pub(crate) fn has_ended(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

/// Runs a connection's tasks until they are done or the connection is dropped.
#[derive(Clone)]
struct Tasks(watch::Receiver<()>);

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let mut end = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                // Nothing is ever sent: it ends with the sender.
                _ = end.changed() => {}
                _ = task => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn m7_a_connections_tasks_end_with_it_whatever_their_peer_does() {
        let (life, end) = watch::channel(());
        let (held, dropped) = oneshot::channel::<()>();
        Tasks(end).execute(async move {
            pending::<()>().await;
            drop(held);
        });
        drop(life);
        let ended = tokio::time::timeout(Duration::from_secs(30), dropped).await.expect("the task's end");
        assert!(ended.is_err(), "it was dropped, nobody had answered it");
    }
}
