//! What a look does when this process has no descriptors left. A binary of its own: the limit is the whole process's.

use std::time::Duration;

use muster_control::memory::ManualClock;
use muster_control::ports::{AgentProbe, Order, Target};
use muster_core::health::Observation;
use muster_core::time::Timestamp;
use muster_probe::{GrpcProbe, Settings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

#[tokio::test]
async fn h2_a_look_without_descriptors_is_blind_and_holds_nothing_against_anybody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = listener.local_addr().expect("its address").to_string();
    let target = |n: u32| Target {
        id: n.to_string().as_str().into(),
        endpoint: endpoint.clone(),
        cursor: 0,
        boot_id: String::new(),
        order: Order::Look,
    };
    let targets: Vec<Target> = (0..60).map(target).collect();
    // Descriptors are given out from the lowest, so that only a few are left below the limit.
    let next = std::fs::File::open("/dev/null").map(|file| std::os::fd::AsRawFd::as_raw_fd(&file)).expect("a file");
    let limit = u64::try_from(next).expect("a descriptor") + 20;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..getrlimit(Resource::Nofile) }).expect("a lower limit");
    let settings =
        Settings { deadline: Duration::from_millis(200), lag_limit: Duration::from_secs(3600), ..Settings::default() };
    let probe = GrpcProbe::new(ManualClock::at(Timestamp::EPOCH), settings);
    let seen = probe.probe(&targets).await;
    let blind = seen.blind.expect("evidence about ourselves");
    assert!(blind.contains("Too many open files"), "{blind}");
    assert_eq!(seen.observations.len(), 60);
    assert!(seen.observations.values().all(|seen| *seen == Observation::Unknown), "{:?}", seen.observations);
}
