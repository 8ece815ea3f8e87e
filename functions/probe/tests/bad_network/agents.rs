//! The agent of `agent/`, and peers that are none, as hosts of the simulation.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream;
use monitor_c::agent::Agent;
use monitor_c::lifecycle::Lifecycle;
use monitor_c::metrics::{self, Source};
use monitor_c::server;
use monitor_c::service::Service;
use monitor_c::simulate::Simulated;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tonic::transport::server::Connected;
use turmoil::net::{TcpListener, TcpStream};

use crate::world::PORT;

/// How often an agent samples.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// How long a drain keeps an agent busy.
const DRAIN_TIME: Duration = Duration::from_secs(3600);

/// A stream of the simulation, as tonic takes it.
struct Accepted(TcpStream);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The agent's process, but for its settings and signals: it holds `load` from its first sample on.
pub(crate) async fn agent(boot_id: String, load: f64) -> turmoil::Result {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let agent = Arc::new(Agent::new(boot_id, Lifecycle::new(DRAIN_TIME, false, true), None));
    let service = Service::new(Arc::clone(&agent), SAMPLE_INTERVAL);
    let (_steering, target) = watch::channel(load);
    let source = Source::Simulated(Simulated::new(0, load, 0.0, SAMPLE_INTERVAL, target));
    tokio::spawn(metrics::run(source, SAMPLE_INTERVAL, agent));
    let (_health, router) = server::router(service).await?;
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| Accepted(stream));
        Some((accepted, listener))
    });
    Ok(router.serve_with_incoming(incoming).await?)
}

/// A host that treats every connection as `behave` does.
pub(crate) async fn peer<F>(behave: impl Fn(TcpStream) -> F) -> turmoil::Result
where
    F: Future<Output = ()> + 'static + Send,
{
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(behave(stream));
    }
}
