//! The use case over the probe, from HEAD to the sweep that is written.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_control::memory::{ManualClock, MemoryStore};
use muster_control::ports::{Claim, Clock, GroupStore};
use muster_control::sweep::{Monitor, Swept, sweep};
use muster_core::group::{GroupName, Head, Roster, RosterEntry, RosterNumber, Shard, Wanted};
use muster_core::health::{AgentState, Load, Seen};
use muster_probe::{GrpcProbe, Settings};

use crate::support::{Agent, NOW, PATIENCE, black_hole};

#[tokio::test]
async fn a_sweep_over_grpc_registers_drains_measures_and_counts() {
    let (serves, drains) = (Agent::start().await, Agent::start().await);
    let (listener, closed) = black_hole().await;
    drop(listener);
    let number = RosterNumber(3);
    let drain = Wanted::Drain { reason: "load".into(), timeout_ms: 60_000 };
    let wanted =
        [("i-1", serves.address, Wanted::Serve), ("i-2", drains.address, drain), ("i-3", closed, Wanted::Serve)];
    let entries =
        wanted.map(|(id, address, wanted)| RosterEntry { id: id.into(), endpoint: address.to_string(), wanted });
    let group = GroupName::default();
    let head = Head { version: 1, rosters: BTreeMap::from([(Shard(0), number)]), ..Head::default() };
    let roster = Roster { group: group.clone(), shard: Shard(0), number, entries: entries.into() };
    let store = MemoryStore::default();
    store.claim(&Claim { head, put_rosters: vec![roster], ..Claim::default() }).await.expect("a claim");
    let clock = ManualClock::at(NOW);
    let settings = Settings { deadline: PATIENCE, lag_limit: PATIENCE, ..Settings::default() };
    let monitor = Monitor { store, probe: GrpcProbe::new(&clock, settings), clock: &clock, name: "monitor".into() };
    let mut states = Vec::new();
    for _ in 0..2 {
        let Swept::Written(swept) = sweep(&monitor, &group, Shard(0)).await.expect("a sweep") else { panic!("taken") };
        assert_eq!((swept.counts.answered, swept.counts.silent, swept.counts.unknown), (2, 1, 0));
        let health = |id: &str| swept.members[&id.into()].clone();
        assert_eq!((health("i-1").load, health("i-1").agent), (Load::new(42.5), Some(AgentState::Serving)));
        assert_eq!((health("i-3").seen, health("i-3").detail.as_str()), (Seen::Silent, "connection refused"));
        assert_eq!(health("i-2").unregistered_at, Some(NOW), "the drain runs from the first Unregister");
        states.extend(health("i-2").agent);
        clock.sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(states, [AgentState::Draining, AgentState::Drained]);
    let facts = serves.facts();
    assert_eq!(facts.calls, ["get-metrics", "register", "get-metrics"], "registered once, its lease is young");
    assert_eq!((facts.asked[1].cursor, facts.asked[1].boot_id.as_str()), (9, "boot"));
}
