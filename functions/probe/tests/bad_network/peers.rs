//! Hosts beside the agents that are none, or that are hostile (M7).

use std::time::Duration;

use muster_core::health::Observation;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use turmoil::net::TcpStream;
use turmoil::{partition, repair};

use crate::agents::peer;
use crate::world::{MONITOR, Peer, name, tell};

/// An empty SETTINGS frame: the first thing that an HTTP/2 server says.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A PING frame.
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// Bytes after which a flood rests: more than a visit may read, and little enough to be simulated quickly.
const FLOOD_BYTES: usize = 1 << 20;

async fn floods(stream: TcpStream) {
    let (mut reader, mut writer) = split(stream);
    let read = async { while reader.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {} };
    let write = async {
        let _ = writer.write_all(&SETTINGS).await;
        for _ in 0..FLOOD_BYTES / (PING.len() * 500) {
            if writer.write_all(&PING.repeat(500)).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(read, write);
}

async fn hangs(mut stream: TcpStream) {
    while stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {}
}

async fn drips(mut stream: TcpStream) {
    let _ = stream.write_all(&SETTINGS).await;
    while stream.write_all(&[0]).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn babbles(mut stream: TcpStream) {
    let _ = stream.write_all(&[0xaa; 4096]).await;
    hangs(stream).await;
}

const PEERS: [Peer; 5] = [
    ("floods", || Box::pin(peer(floods))),
    ("hangs", || Box::pin(peer(hangs))),
    ("drips", || Box::pin(peer(drips))),
    ("babbles", || Box::pin(peer(babbles))),
    ("closes", || Box::pin(peer(|stream| async { drop(stream) }))),
];

#[test]
fn m7_bad_hosts_cost_no_agent_its_answer_on_a_bad_network_either() {
    tell(&PEERS, |_, mut monitor| async move {
        for cut in [None, Some(2), None] {
            if let Some(number) = cut {
                partition(MONITOR, name(number));
            }
            let seen = monitor.look().await;
            seen.only_silent(cut.as_slice());
            repair(MONITOR, name(2));
            for (host, _) in PEERS {
                let seen = seen.of(host);
                let failed = matches!(seen, Observation::Unreachable { .. } | Observation::BadAnswer { .. });
                assert!(failed, "{host}: {seen:?}");
            }
        }
    });
}
