//! Peers that are no agents, or broken ones (M7).

use std::time::Duration;

use muster_control::ports::{AgentProbe, Target};
use muster_core::health::Observation;
use muster_probe::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{Agent, PATIENCE, answered, black_hole, look_at, observe, peer, probe, probe_with};

/// For those that never answer.
const SHORT: Duration = Duration::from_millis(200);

/// An empty SETTINGS frame: the first thing that an HTTP/2 server says.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A PING frame.
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// A HEADERS frame of 16 kB that never comes to its end.
const LONG_HEADERS: [u8; 9] = [0, 0x40, 0, 1, 4, 0, 0, 0, 1];

async fn floods(mut stream: TcpStream) {
    let flood = [SETTINGS.to_vec(), PING.repeat(4_000)].concat();
    let (mut reader, mut writer) = stream.split();
    // It reads, too, or it would soon wait for us.
    let read = async { while reader.read(&mut [0; 64 * 1024]).await.is_ok_and(|bytes| bytes > 0) {} };
    let write = async { while writer.write_all(&flood).await.is_ok() {} };
    tokio::join!(read, write);
}

async fn drips(mut stream: TcpStream) {
    let _ = stream.write_all(&[SETTINGS, LONG_HEADERS].concat()).await;
    while stream.write_all(&[0x82]).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn says(mut stream: TcpStream, what: Vec<u8>) {
    let _ = stream.write_all(&what).await;
    // The connection stays: that it ends must not be what is noticed.
    while stream.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {}
}

async fn hangs(mut stream: TcpStream) {
    while stream.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {}
}

fn unreachable(seen: &Observation, says: &str) {
    assert!(matches!(seen, Observation::Unreachable { detail } if detail.contains(says)), "{seen:?}");
}

fn bad(seen: &Observation, says: &str) {
    assert!(matches!(seen, Observation::BadAnswer { detail } if detail.contains(says)), "{seen:?}");
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address");
    let seen = observe(&probe(PATIENCE), &look_at(closed)).await;
    assert_eq!(seen, Observation::Refused { detail: "connection refused".into() });
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_a_bad_answer() {
    let (_listener, hole) = black_hole().await;
    let target = Target { endpoint: "agent.internal:50051".into(), ..look_at(hole) };
    bad(&observe(&probe(PATIENCE), &target).await, "\"agent.internal:50051\" is not address:port");
}

#[tokio::test]
async fn m7_who_does_not_answer_in_time_is_unreachable() {
    let (_listener, hole) = black_hole().await;
    unreachable(&observe(&probe(SHORT), &look_at(hole)).await, "no answer within 200 ms");
    for address in [peer(hangs).await, peer(drips).await] {
        unreachable(&observe(&probe(SHORT), &look_at(address)).await, "no answer within 200 ms");
    }
}

#[tokio::test]
async fn m7_a_flood_ends_the_connection() {
    let address = peer(floods).await;
    bad(&observe(&probe(PATIENCE), &look_at(address)).await, "the peer floods");
}

#[tokio::test]
async fn who_closes_before_answering_is_unreachable() {
    let address = peer(|stream| async { drop(stream) }).await;
    unreachable(&observe(&probe(PATIENCE), &look_at(address)).await, "the connection ended");
}

#[tokio::test]
async fn m7_garbage_is_a_bad_answer() {
    let mut random = fastrand::Rng::with_seed(5);
    let noise = std::iter::repeat_with(|| random.u8(..)).take(4_096).collect();
    for garbage in [b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), noise, vec![0; 4_096], vec![0xff; 4_096]] {
        let address = peer(move |stream| says(stream, garbage.clone())).await;
        bad(&observe(&probe(PATIENCE), &look_at(address)).await, "");
    }
}

#[tokio::test]
async fn m7_a_message_or_header_over_the_limit_is_a_bad_answer() {
    let agent = Agent::start().await;
    let probe = probe(PATIENCE);
    agent.facts().status.boot_id = "x".repeat(100 * 1024);
    bad(&observe(&probe, &look_at(agent.address)).await, "message length too large");
    agent.facts().status.boot_id.clear();
    answered(&observe(&probe, &look_at(agent.address)).await);
    agent.facts().header_bytes = 100 * 1024;
    bad(&observe(&probe, &look_at(agent.address)).await, "");
}

#[tokio::test]
async fn m7_bad_peers_cost_their_own_slots_and_no_healthy_agent_its_answer() {
    let mut targets = Vec::new();
    let (_listener, hole) = black_hole().await;
    let noise = peer(|stream| says(stream, vec![0xaa; 1 << 20])).await;
    for address in [hole, noise, peer(hangs).await, peer(drips).await, peer(floods).await] {
        targets.push(look_at(address));
    }
    let mut agents = Vec::new();
    for _ in 0..20 {
        agents.push(Agent::start().await);
    }
    targets.extend(agents.iter().map(|agent| look_at(agent.address)));
    let settings = Settings { permits: 8, deadline: Duration::from_secs(1), lag_limit: PATIENCE };
    let seen = probe_with(settings).probe(&targets).await.observations;
    for agent in &agents {
        answered(&seen[&look_at(agent.address).id]);
    }
    assert_eq!(seen.values().filter(|seen| matches!(seen, Observation::Answered(_))).count(), agents.len());
}

#[tokio::test]
async fn m7_nothing_of_a_failed_visit_lives_on() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let address = peer(move |stream| {
        let ended = ended.clone();
        async move {
            hangs(stream).await;
            let _ = ended.send(());
        }
    })
    .await;
    let probe = probe(SHORT);
    observe(&probe, &look_at(address)).await;
    assert_eq!(probe.connections(), 0);
    for pass in ["first", "second"] {
        timeout(PATIENCE, ends.recv()).await.unwrap_or_else(|_| panic!("the {pass} pass's connection lives on"));
    }
}
