//! How many are visited at once, from when a deadline runs, and when we know that it is our own fault.

use std::time::Duration;

use muster_control::ports::{AgentProbe, Target};
use muster_core::health::Observation;
use muster_probe::Settings;

use crate::support::{Agent, PATIENCE, answered, black_hole, look_at, probe, probe_with};

#[tokio::test]
async fn no_more_are_visited_at_once_than_there_are_permits_and_no_fewer() {
    let agent = Agent::start().await;
    // Nobody is answered before all permits are in use; whoever came in beside them would be counted.
    agent.facts().gather = 64;
    let target = |n: u32| Target { id: n.to_string().as_str().into(), ..look_at(agent.address) };
    let targets: Vec<Target> = (0..200).map(target).collect();
    let seen = probe(PATIENCE).probe(&targets).await;
    assert_eq!(seen.observations.len(), 200);
    for seen in seen.observations.values() {
        answered(seen);
    }
    assert_eq!(agent.facts().most_active, 64);
}

#[tokio::test]
async fn a_deadline_starts_with_the_permit_so_that_slow_ones_cost_nobody_else_their_time() {
    let (_listener, hole) = black_hole().await;
    let agent = Agent::start().await;
    let slow = |n: u32| Target { id: n.to_string().as_str().into(), ..look_at(hole) };
    let targets = [slow(1), slow(2), slow(3), look_at(agent.address)];
    let deadline = Duration::from_millis(400);
    // In both passes it waits for three deadlines before its turn comes.
    let seen = probe_with(Settings { permits: 1, deadline, lag_limit: PATIENCE }).probe(&targets).await;
    answered(&seen.observations[&targets[3].id]);
}

#[tokio::test]
async fn h2_a_loop_that_stood_still_makes_silence_unknown_and_leaves_answers_answers() {
    let (_listener, hole) = black_hole().await;
    let agent = Agent::start().await;
    let targets = [look_at(hole), look_at(agent.address)];
    let called = agent.script.called.clone();
    let blocks = tokio::spawn(async move {
        called.notified().await;
        std::thread::sleep(Duration::from_millis(200));
    });
    let probe = probe_with(Settings { deadline: Duration::from_secs(1), ..Settings::default() });
    let seen = probe.probe(&targets).await;
    blocks.await.expect("the block");
    let blind = seen.blind.expect("evidence about ourselves");
    assert!(blind.contains("our own event loop was"), "{blind}");
    assert_eq!(seen.observations[&targets[0].id], Observation::Unknown);
    answered(&seen.observations[&targets[1].id]);
}

#[tokio::test]
async fn silence_alone_is_no_evidence_about_ourselves() {
    let (_listener, hole) = black_hole().await;
    let targets = [look_at(hole)];
    let seen = probe(Duration::from_millis(50)).probe(&targets).await;
    assert_eq!(seen.blind, None, "that nobody answered is judged in the core");
    assert!(matches!(seen.observations[&targets[0].id], Observation::Unreachable { .. }));
}

/// An address that the kernel refuses a way to by itself: the broadcast address of the loopback network.
fn unroutable() -> Target {
    look_at("127.255.255.255:80".parse().expect("an address"))
}

#[tokio::test]
async fn v4_one_endpoint_without_a_route_blinds_us_for_nobody_else() {
    let (_listener, hole) = black_hole().await;
    let agent = Agent::start().await;
    let targets = [unroutable(), look_at(hole), look_at(agent.address)];
    let seen = probe(Duration::from_millis(500)).probe(&targets).await;
    assert_eq!(seen.blind, None);
    assert_eq!(seen.observations[&targets[0].id], Observation::Unknown, "nothing is held against it");
    assert!(matches!(seen.observations[&targets[1].id], Observation::Unreachable { .. }), "the dead stay dead");
    answered(&seen.observations[&targets[2].id]);
}

#[tokio::test]
async fn h2_without_a_route_and_without_any_answer_we_are_blind() {
    let (_listener, hole) = black_hole().await;
    let targets = [unroutable(), look_at(hole)];
    let seen = probe(Duration::from_millis(50)).probe(&targets).await;
    assert!(seen.blind.is_some_and(|why| why.contains("connecting: ")));
    assert!(seen.observations.values().all(|seen| *seen == Observation::Unknown));
}

#[tokio::test]
async fn nobody_to_look_at_is_no_trouble() {
    let seen = probe(PATIENCE).probe(&[]).await;
    assert_eq!((seen.observations.len(), seen.blind), (0, None));
}
