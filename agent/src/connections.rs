//! The listener, and a bound on how many connections are open at once.
//!
//! Beyond the bound the connection that has been silent longest is closed, not the new one refused:
//! whoever opens connections and says nothing cannot keep the monitor out, and an idle monitor that
//! loses its connection only has to open another.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, warn};

/// Connections open at once. A monitor needs a few; each costs about 20 kB, so that even a flood of
/// them leaves the agent below 8 MB.
pub const MAX_CONNECTIONS: usize = 128;

/// How long accepting rests after an error such as too many open files, which would otherwise spin.
const REST: Duration = Duration::from_millis(100);

/// The connections in the order in which they were last heard: the key grows with every reading.
#[derive(Debug, Default)]
struct Open {
    silent: BTreeMap<u64, Option<Waker>>,
    readings: u64,
}

impl Open {
    /// Gives the connection a key that is larger than all others.
    fn hear(&mut self, key: Option<u64>, waker: Option<Waker>) -> u64 {
        if let Some(key) = key {
            self.silent.remove(&key);
        }
        self.readings += 1;
        self.silent.insert(self.readings, waker);
        self.readings
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts connections for ever; never ends with an error.
#[derive(Debug)]
pub struct Connections {
    listener: TcpListener,
    open: Arc<Mutex<Open>>,
    limit: usize,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Connections {
    /// Accepts from `listener`, keeping at most `limit` connections open.
    #[must_use]
    pub fn new(listener: TcpListener, limit: usize) -> Self {
        Self { listener, open: Arc::default(), limit, rest: None }
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(context));
                self.rest = None;
            }
            let stream = match ready!(self.listener.poll_accept(context)) {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "Could not accept a connection.");
                    self.rest = Some(Box::pin(tokio::time::sleep(REST)));
                    continue;
                }
            };
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "The connection is gone already.");
                continue;
            }
            let mut open = lock(&self.open);
            if open.silent.len() >= self.limit
                && let Some((_, waker)) = open.silent.pop_first()
            {
                debug!("Closes the connection that has been silent longest.");
                // Its next reading finds its key gone and says that the stream has ended.
                waker.into_iter().for_each(Waker::wake);
            }
            let key = open.hear(None, None);
            drop(open);
            let open = Arc::clone(&self.open);
            return Poll::Ready(Some(Ok(Connection { stream, open, key })));
        }
    }
}

/// An accepted connection; its place is free again once it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    open: Arc<Mutex<Open>>,
    key: u64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.open).silent.remove(&self.key);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !lock(&self.open).silent.contains_key(&self.key) {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let waker = Some(context.waker().clone());
        let mut open = lock(&self.open);
        match &polled {
            Poll::Pending => {
                if let Some(slot) = open.silent.get_mut(&self.key) {
                    *slot = waker;
                }
            }
            Poll::Ready(_) => {
                let key = open.hear(Some(self.key), waker);
                drop(open);
                self.key = key;
            }
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}
