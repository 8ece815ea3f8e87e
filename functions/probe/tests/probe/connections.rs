//! Connections that are kept, and kept ones that have broken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use muster_control::ports::AgentProbe;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::{Agent, PATIENCE, Process, answered, look_at, observe, peer, probe};

/// What stands between the probe and an agent, and what becomes of the connections through it.
struct Line {
    address: SocketAddr,
    fate: watch::Sender<Fate>,
    made: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// They carry.
    Carry,
    /// Those that there are end.
    Cut,
    /// Those that there are carry nothing any more, and do not say so.
    Freeze,
}

impl Line {
    async fn to(agent: SocketAddr) -> Self {
        let (fate, made) = (watch::Sender::new(Fate::Carry), Arc::new(AtomicUsize::new(0)));
        let (fates, count) = (fate.clone(), Arc::clone(&made));
        let address = peer(move |mut near| {
            count.fetch_add(1, Ordering::SeqCst);
            let mut fate = fates.subscribe();
            async move {
                let Ok(mut far) = TcpStream::connect(agent).await else { return };
                fate.mark_unchanged();
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    Ok(()) = fate.changed() => {
                        let fate = *fate.borrow();
                        if fate == Fate::Freeze {
                            std::future::pending::<()>().await;
                        }
                    }
                }
            }
        })
        .await;
        Self { address, fate, made }
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_look() {
    let agent = Agent::start().await;
    let line = Line::to(agent.address).await;
    let probe = probe(PATIENCE);
    for _ in 0..5 {
        answered(&observe(&probe, &look_at(line.address)).await);
    }
    assert_eq!((line.made(), probe.connections()), (1, 1));
}

#[tokio::test]
async fn connections_to_others_than_the_last_targets_are_forgotten() {
    let agents = [Agent::start().await, Agent::start().await];
    let probe = probe(PATIENCE);
    probe.probe(&agents.each_ref().map(|agent| look_at(agent.address))).await;
    assert_eq!(probe.connections(), 2);
    probe.probe(&[look_at(agents[0].address)]).await;
    assert_eq!(probe.connections(), 1);
    probe.probe(&[]).await;
    assert_eq!(probe.connections(), 0);
}

#[tokio::test]
async fn a_kept_connection_that_was_cut_makes_no_agent_look_dead() {
    let agent = Agent::start().await;
    let line = Line::to(agent.address).await;
    let probe = probe(PATIENCE);
    answered(&observe(&probe, &look_at(line.address)).await);
    line.fate.send(Fate::Cut).expect("a connection");
    answered(&observe(&probe, &look_at(line.address)).await);
    assert_eq!(line.made(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_carries_nothing_costs_one_deadline_and_makes_no_agent_look_dead() {
    let agent = Agent::start().await;
    let line = Line::to(agent.address).await;
    let probe = probe(Duration::from_secs(1));
    answered(&observe(&probe, &look_at(line.address)).await);
    line.fate.send(Fate::Freeze).expect("a connection");
    answered(&observe(&probe, &look_at(line.address)).await);
    answered(&observe(&probe, &look_at(line.address)).await);
    assert_eq!(line.made(), 2, "the new connection is the one that is kept");
}

#[tokio::test]
async fn an_agent_that_was_started_again_on_its_port_answers_with_its_new_boot_id() {
    let agent = Process::start_at("127.0.0.1:0".parse().expect("an address"), "boot").await;
    let (probe, target) = (probe(PATIENCE), look_at(agent.address));
    assert_eq!(answered(&observe(&probe, &target).await).boot_id, "boot");
    let address = agent.address;
    agent.end();
    let _again = Process::start_at(address, "boot again").await;
    assert_eq!(answered(&observe(&probe, &target).await).boot_id, "boot again");
}
