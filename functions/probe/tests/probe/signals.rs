//! From an application's socket to the decision on its group, through the real agent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use monitor_c::agent::Agent;
use monitor_c::lifecycle::Lifecycle;
use monitor_c::ring::Sample;
use monitor_c::server::serve;
use monitor_c::service::Service;
use monitor_c::signals::{bind, listen};
use muster_control::memory::{ManualClock, MemoryStore};
use muster_control::ports::{Claim, GroupStore};
use muster_control::sweep::{Monitor, Swept, sweep};
use muster_core::decide::decide;
use muster_core::group::{GroupName, Head, Roster, RosterEntry, RosterNumber, Shard, Wanted};
use muster_core::policy::Policy;
use muster_core::report::Rule;
use muster_core::snapshot::Snapshot;
use muster_probe::{GrpcProbe, Settings};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UnixStream};

use crate::support::{NOW, PATIENCE};

#[tokio::test]
async fn z4_what_an_application_says_over_its_socket_scales_its_group() {
    let lifecycle = Lifecycle::new(Duration::ZERO, false, true);
    let agent = Arc::new(Agent::new("boot".into(), lifecycle, None));
    let network = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = network.local_addr().expect("its address").to_string();
    let service = Service::new(Arc::clone(&agent), Duration::from_secs(1));
    let (_health, serving) = serve(network, service, std::future::pending()).await.expect("a server");
    tokio::spawn(serving);
    let socket = Path::new(env!("CARGO_TARGET_TMPDIR")).join("z4.sock");
    tokio::spawn(listen(bind(&socket).expect("a socket"), Arc::clone(&agent)));
    let mut application = UnixStream::connect(&socket).await.expect("a connection");
    application.write_all(b"rate 250 req/s\nqueue_depth 7\nprotected true\n").await.expect("it is heard");
    while !agent.facts().signals.is_protected(agent.now()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    agent.sample(Sample { cpu: 40.0, memory: Some(30.0), pressure: None, steal: None });

    let text = r#"{"min_instances": 1, "warm_up": "0s", "signals": [{"name": "rate", "target": 100}]}"#;
    let policy = Policy::parse(text).expect("a policy");
    let (group, number) = (GroupName::default(), RosterNumber(1));
    let rosters = BTreeMap::from([(Shard(0), number)]);
    let head = Head { version: 1, rosters, signals: policy.wanted_signals(), ..Head::default() };
    let entries = vec![RosterEntry { id: "i-1".into(), endpoint, wanted: Wanted::Serve }];
    let roster = Roster { group: group.clone(), shard: Shard(0), number, entries };
    let store = MemoryStore::default();
    store.claim(&Claim { head, put_rosters: vec![roster], ..Claim::default() }).await.expect("a claim");
    let clock = ManualClock::at(NOW);
    let settings = Settings { deadline: PATIENCE, lag_limit: PATIENCE, ..Settings::default() };
    let monitor = Monitor { store, probe: GrpcProbe::new(&clock, settings), clock: &clock, name: "monitor".into() };
    let Swept::Written(swept) = sweep(&monitor, &group, Shard(0)).await.expect("a sweep") else { panic!("taken") };
    let health = &swept.members[&"i-1".into()];
    let signals: Vec<_> = health.signals.iter().collect();
    assert_eq!(signals, [("rate", 250.0)], "the group is scaled by nothing else");
    assert!(health.protected);

    let at = NOW.as_millis();
    let text = format!(
        r#"{{"now": {at}, "head": {{"desired": 1}}, "sweep": {{"slot": {at}}}, "members": [{{"id": "i-1"}}],
            "fleet": [{{"id": "i-1", "state": "running"}}]}}"#
    );
    let mut snapshot = Snapshot::parse_strict(&text).expect("a snapshot");
    snapshot.members[0].health = Some(health.clone());
    let report = decide(&snapshot, &policy).report;
    assert_eq!((report.desired.after, report.rule), (3, Rule::Z4), "{}", report.headline);
}
