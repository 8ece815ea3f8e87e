//! The listener, and a bound on how many connections are open at once.
//!
//! Beyond the bound a connection is closed, not the new one refused: of the address that has most of them, the one that has been
//! silent longest. So whoever opens connections, and says nothing on them or much, keeps nobody at another address out, and an
//! idle monitor that loses its connection only has to open another.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
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

/// Connections open at once. A monitor needs a few. What each may make the agent hold (see [`crate::server`]) times this many
/// leaves it below 40 MB, whatever is done on all of them.
pub const MAX_CONNECTIONS: usize = 64;

/// How long accepting rests after an error such as too many open files, which would otherwise spin.
const REST: Duration = Duration::from_millis(100);

/// The streams of all connections, in the order in which they were last heard: the key grows with every reading. They are held
/// here, not by whoever reads them, so that closing one does not wait for anybody.
#[derive(Debug, Default)]
struct Open {
    places: BTreeMap<u64, Place>,
    readings: u64,
}

#[derive(Debug)]
struct Place {
    stream: TcpStream,
    peer: IpAddr,
    /// Whoever reads.
    waker: Option<Waker>,
}

impl Open {
    /// Gives the place a key that is larger than all others.
    fn insert(&mut self, place: Place) -> u64 {
        self.readings += 1;
        self.places.insert(self.readings, place);
        self.readings
    }

    /// Closes one connection to make room for one of `peer`.
    fn close_one(&mut self, peer: IpAddr) {
        let mut counts = BTreeMap::from([(peer, 1)]);
        for place in self.places.values() {
            *counts.entry(place.peer).or_insert(0) += 1;
        }
        let most = counts.values().max().copied();
        let silent = self.places.iter().find(|(_, place)| counts.get(&place.peer).copied() == most);
        if let Some(place) = silent.map(|(key, _)| *key).and_then(|key| self.places.remove(&key)) {
            debug!(peer = %place.peer, "Closes a connection to make room.");
            // Its next reading finds its place gone and says that the stream has ended.
            place.waker.into_iter().for_each(Waker::wake);
        }
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
    /// Whether one has been accepted since others had their turn.
    accepted: bool,
}

impl Connections {
    /// Accepts from `listener`, keeping at most `limit` connections open.
    #[must_use]
    pub fn new(listener: TcpListener, limit: usize) -> Self {
        Self { listener, open: Arc::default(), limit, rest: None, accepted: false }
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.accepted) {
            // Who came before is heard before the next one comes: else a burst closes connections that nobody has read yet.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(context));
                self.rest = None;
            }
            let (stream, peer) = match ready!(self.listener.poll_accept(context)) {
                Ok((stream, address)) => (stream, address.ip()),
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
            let info = stream.connect_info();
            let mut open = lock(&self.open);
            if open.places.len() >= self.limit {
                open.close_one(peer);
            }
            let key = open.insert(Place { stream, peer, waker: None });
            drop(open);
            self.accepted = true;
            return Poll::Ready(Some(Ok(Connection { open: Arc::clone(&self.open), key, info })));
        }
    }
}

/// An accepted connection; its place is free again once it is dropped.
#[derive(Debug)]
pub struct Connection {
    open: Arc<Mutex<Open>>,
    key: u64,
    info: TcpConnectInfo,
}

impl Connection {
    /// Does `write` to the stream, if it is still there.
    fn write<T>(&self, write: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match lock(&self.open).places.get_mut(&self.key) {
            Some(place) => write(Pin::new(&mut place.stream)),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.open).places.remove(&self.key);
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut open = lock(&this.open);
        let Some(mut place) = open.places.remove(&this.key) else { return Poll::Ready(Ok(())) };
        let polled = Pin::new(&mut place.stream).poll_read(context, buffer);
        place.waker = Some(context.waker().clone());
        if polled.is_ready() {
            this.key = open.insert(place);
        } else {
            open.places.insert(this.key, place);
        }
        drop(open);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.write(|stream| stream.poll_write(context, buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|stream| stream.poll_shutdown(context))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|stream| stream.poll_write_vectored(context, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.open).places.get(&self.key).is_some_and(|place| place.stream.is_write_vectored())
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.info.clone()
    }
}
