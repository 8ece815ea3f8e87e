//! What every attack has: the agent, the monitor beside it, the bounds, and HTTP/2 by hand.

use std::error::Error;
use std::fs;
use std::net::Ipv4Addr;

use monitor_c::connections::MAX_CONNECTIONS;
use muster_proto::v1::monitor_c_client::MonitorCClient;
use muster_proto::v1::{GetMetricsRequest, PingRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tonic::transport::Endpoint;

use crate::support::{Agent, Client, Outcome, PATIENCE};

pub(crate) type Attempt<T> = Result<T, Box<dyn Error>>;

/// Most memory that the agent may ever have held, in bytes.
///
/// At rest the debug build holds 9 MB. What a caller can make it hold on every stream of every connection at once is bounded
/// by its limits at some 25 MB; the rest is the allocator's. An instance with 512 MB does not miss it.
const MAX_RESIDENT_BYTES: u64 = 40 << 20;

/// Descriptors beside those of connections: standard streams, the listener, the runtime's own, signals, `/proc`.
const OTHER_DESCRIPTORS: usize = 32;

/// How often the monitor looks once an attack has done its worst and still holds what it holds.
const LOOKS: usize = 20;

/// An agent under fire.
pub(crate) struct Target {
    agent: Agent,
    pid: u32,
}

impl Target {
    pub(crate) async fn start() -> Attempt<Self> {
        let agent = Agent::start(&["--sample-interval", "50ms", "--noise", "0"]).await?;
        let pid = agent.pid().ok_or("it has ended")?;
        Ok(Self { agent, pid })
    }

    pub(crate) async fn connect(&self) -> Attempt<TcpStream> {
        let stream = TcpStream::connect(&self.agent.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection over which HTTP/2 has begun, with `settings` of the client's.
    pub(crate) async fn speak(&self, settings: &[(u16, u32)]) -> Attempt<TcpStream> {
        let mut stream = self.connect().await?;
        stream.write_all(&hello(settings)).await?;
        Ok(stream)
    }

    /// Connects from another address than the monitor's.
    pub(crate) async fn connect_from(&self, address: Ipv4Addr) -> Attempt<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        Ok(socket.connect(self.agent.address.parse()?).await?)
    }

    pub(crate) async fn client(&self) -> Attempt<Client> {
        self.agent.client().await
    }

    /// Lets `attack` go on beside a monitor that asks all the while, and some times more while what the attack returns -
    /// connections, for one - is still held.
    pub(crate) async fn endures<T>(&self, attack: impl Future<Output = Attempt<T>>) -> Outcome {
        self.fire(attack).await.map(drop)
    }

    /// As [`Self::endures`], and the monitor's connection is not closed, either.
    pub(crate) async fn endures_unbroken<T>(&self, attack: impl Future<Output = Attempt<T>>) -> Outcome {
        assert_eq!(self.fire(attack).await?.closed, 0);
        Ok(())
    }

    async fn fire<T>(&self, attack: impl Future<Output = Attempt<T>>) -> Attempt<Monitor> {
        let mut monitor = Monitor::of(self).await?;
        let under_fire = async {
            tokio::select! {
                held = attack => held,
                failed = async { loop { if let Err(failed) = monitor.look().await { return failed } } } => Err(failed),
            }
        };
        let held = timeout(4 * PATIENCE, under_fire).await??;
        for _ in 0..LOOKS {
            monitor.look().await?;
        }
        drop(held);
        let resident = peak_bytes(self.pid)?;
        println!("{} looks, {} kB, {} descriptors", monitor.looks, resident >> 10, monitor.most_open);
        assert!(resident < MAX_RESIDENT_BYTES, "the agent has held {} kB", resident >> 10);
        assert!(monitor.most_open <= MAX_CONNECTIONS + OTHER_DESCRIPTORS, "{} descriptors", monitor.most_open);
        Ok(monitor)
    }
}

/// A well-behaved monitor: like muster-probe it keeps a connection, and asks once more over a new one before it gives up.
struct Monitor {
    endpoint: Endpoint,
    pid: u32,
    kept: Client,
    boot_id: String,
    cursor: u64,
    looks: usize,
    /// How often it found its connection closed.
    closed: usize,
    most_open: usize,
}

impl Monitor {
    async fn of(target: &Target) -> Attempt<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{}", target.agent.address))?;
        let mut kept = MonitorCClient::new(endpoint.connect().await?);
        let status = kept.ping(PingRequest::default()).await?.into_inner().status.ok_or("no status")?;
        let boot_id = status.boot_id;
        Ok(Self { endpoint, pid: target.pid, kept, boot_id, cursor: 0, looks: 0, closed: 0, most_open: 0 })
    }

    async fn look(&mut self) -> Outcome {
        if self.ask().await.is_err() {
            self.closed += 1;
            self.kept = MonitorCClient::new(timeout(PATIENCE, self.endpoint.connect()).await??);
            self.ask().await?;
        }
        self.looks += 1;
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid))?.count();
        self.most_open = self.most_open.max(open);
        Ok(())
    }

    async fn ask(&mut self) -> Outcome {
        let request = GetMetricsRequest { cursor: self.cursor, boot_id: self.boot_id.clone() };
        let answer = timeout(PATIENCE, self.kept.get_metrics(request)).await??.into_inner();
        let status = answer.status.ok_or("no status")?;
        assert_eq!(status.boot_id, self.boot_id, "the agent has been started again");
        assert!(answer.cursor >= self.cursor, "no sample is taken back");
        self.cursor = answer.cursor;
        Ok(())
    }
}

/// The most memory that a process has ever held.
fn peak_bytes(pid: u32) -> Attempt<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes << 10)
}

/// Reads until the agent closes the connection, with an error or without.
pub(crate) async fn closes(stream: &mut TcpStream) -> Outcome {
    let mut buffer = vec![0; 16 << 10];
    let read = async { while stream.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {} };
    Ok(timeout(PATIENCE, read).await?)
}

/// Reads until `text` has come: whether it has, before the agent closed the connection.
pub(crate) async fn hears(stream: &mut TcpStream, text: &[u8]) -> Attempt<bool> {
    let mut heard = Vec::new();
    while !heard.windows(text.len()).any(|window| window == text) {
        if !timeout(PATIENCE, stream.read_buf(&mut heard)).await?.is_ok_and(|bytes| bytes > 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the agent has read all that was sent, and still wants more: it answers a PING with the same bytes.
pub(crate) async fn echoes(stream: &mut TcpStream) -> Attempt<bool> {
    let text = b"echo. . ";
    Ok(stream.write_all(&frame(PING, 0, 0, text)).await.is_ok() && hears(stream, text).await?)
}

/// Writes `what` until all is written or the agent has had enough; reads meanwhile, or both would soon wait.
pub(crate) async fn pours(stream: &mut TcpStream, what: &[u8]) {
    let (mut reader, mut writer) = stream.split();
    let read = async {
        let mut buffer = vec![0; 16 << 10];
        while reader.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
    };
    tokio::select! { () = read => {}, _ = writer.write_all(what) => {} }
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `SETTINGS_INITIAL_WINDOW_SIZE`.
pub(crate) const INITIAL_WINDOW: u16 = 4;

/// An HTTP/2 frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What a client says first.
pub(crate) fn hello(settings: &[(u16, u32)]) -> Vec<u8> {
    let of = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let settings: Vec<u8> = settings.iter().flat_map(of).collect();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &settings)[..]].concat()
}

/// A string of HPACK, as it is.
fn string(text: &str) -> Vec<u8> {
    let mut coded = Vec::new();
    match u8::try_from(text.len()) {
        Ok(length @ 0..127) => coded.push(length),
        _ => {
            coded.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                coded.push(u8::try_from(rest % 128 + 128).expect("below 256"));
                rest /= 128;
            }
            coded.push(u8::try_from(rest).expect("below 128"));
        }
    }
    [coded, text.into()].concat()
}

/// One header that no table remembers.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// The headers of a gRPC call of `path`.
pub(crate) fn call(path: &str) -> Vec<u8> {
    let pseudo = [vec![0x83, 0x86, 0x04], string(path), vec![0x01], string("agent")].concat();
    [pseudo, header("content-type", "application/grpc"), header("te", "trailers")].concat()
}

pub(crate) const PING_CALL: &str = "/muster.v1.MonitorC/Ping";

/// A gRPC message, or its beginning: `announced` bytes, of which `payload` are there.
pub(crate) fn message(announced: u32, payload: &[u8]) -> Vec<u8> {
    [&[0], &announced.to_be_bytes()[..], payload].concat()
}

/// The streams that a client may open, from the first.
pub(crate) fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}
