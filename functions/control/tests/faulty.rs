//! What `Faulty` does to the calls that its schedule names, and to no other. That a failed call changes nothing and a lost one
//! has happened is compared with the model in the conformance suite.

use std::sync::Mutex;
use std::time::Duration;

use muster_control::faulty::{Call, End, Fate, Faulty, Kind, Rates, Schedule, Seeded};
use muster_control::memory::{ManualClock, MemoryFleet, MemoryPolicy, MemoryProbe, MemoryStore, Scripted};
use muster_control::ports::{
    AgentProbe, Clock, Fleet, FleetError, GroupStore, Order, PolicySource, StoreError, Target,
};
use muster_core::group::GroupName;
use muster_core::health::Observation;
use muster_core::member::InstanceId;
use muster_core::time::Timestamp;

/// A schedule of one fate for one kind of call, and a clock that shows what was waited for.
fn with<P>(inner: P, call: Call, fate: Fate) -> Faulty<P, impl Schedule, ManualClock> {
    let schedule = move |made| if made == call { fate } else { Fate::GOES };
    Faulty { inner, schedule, clock: ManualClock::at(Timestamp::EPOCH) }
}

fn group() -> GroupName {
    GroupName::default()
}

#[tokio::test]
async fn delays_before_and_after_are_slept_on_the_clock() {
    let fate = Fate { after: Duration::from_secs(3), ..Fate::late(Duration::from_secs(2)) };
    let store = with(MemoryStore::default(), Call::Head, fate);
    store.head(&group()).await.expect("it only takes its time");
    assert_eq!(store.clock.now(), Timestamp::from_millis(5_000));
    store.read(&group()).await.expect("another call");
    assert_eq!(store.clock.now(), Timestamp::from_millis(5_000));
}

#[tokio::test]
async fn each_kind_is_the_ports_own_error() {
    for (kind, store_says, fleet_says) in [
        (Kind::Throttled, "the store is throttling", "EC2 is throttling"),
        (Kind::Conflict, "another writer was first", "a later attempt is under way"),
        (Kind::NoCapacity, "the store is not available", "EC2 has no capacity"),
        (Kind::Refused, "the store is not available", "EC2 refuses the call"),
        (Kind::Unavailable, "the store is not available", "EC2 did not answer"),
    ] {
        let store = with(MemoryStore::default(), Call::Read, Fate::fails(kind));
        let error: StoreError = store.read(&group()).await.expect_err("a fault");
        assert_eq!(error.to_string(), store_says, "{kind:?}");
        let fleet = with(MemoryFleet::default(), Call::List, Fate::fails(kind));
        let error: FleetError = fleet.list(&group()).await.expect_err("a fault");
        assert_eq!(error.to_string(), fleet_says, "{kind:?}");
    }
    let policies = with(MemoryPolicy::of("{}"), Call::Fetch, Fate::LOST);
    assert!(policies.fetch(&group()).await.is_err());
}

#[tokio::test]
async fn a_probe_that_is_not_made_is_blind_and_one_whose_answers_are_lost_sees_silence() {
    let id = InstanceId::from("i-1");
    let agents = MemoryProbe::default();
    agents.script(&id, Scripted::Load(40.0));
    let target = Target {
        id: id.clone(),
        endpoint: "127.0.0.1:1".into(),
        cursor: 0,
        boot_id: String::new(),
        order: Order::Look,
    };
    let targets = [target];
    for (fate, asked, blind) in
        [(Fate::GOES, 1, false), (Fate::fails(Kind::Throttled), 1, true), (Fate::LOST, 2, false)]
    {
        let probed = with(&agents, Call::Probe, fate).probe(&targets).await;
        let seen = &probed.observations[&id];
        let expected = match fate.end {
            End::Answered => matches!(seen, Observation::Answered(_)),
            End::Fails(_) => *seen == Observation::Unknown,
            End::Lost => matches!(seen, Observation::Unreachable { .. }),
        };
        assert!(expected, "{fate:?}: {seen:?}");
        assert_eq!((agents.asked().len(), probed.blind.is_some()), (asked, blind), "{fate:?}");
    }
}

#[tokio::test]
async fn rates_and_a_seed_are_a_schedule() {
    let rates = Rates { throttled: 500, ..Rates::default() };
    let outcomes = async |seed| {
        let (schedule, clock) = (Seeded::new(rates, seed), ManualClock::at(Timestamp::EPOCH));
        let store = Faulty { inner: MemoryStore::default(), schedule, clock };
        let mut throttled = Vec::new();
        for _ in 0..64 {
            throttled.push(matches!(store.head(&group()).await, Err(StoreError::Throttled(_))));
        }
        throttled
    };
    let drawn = outcomes(1).await;
    assert!((20..=44).contains(&drawn.iter().filter(|throttled| **throttled).count()), "{drawn:?}");
    assert_eq!(drawn, outcomes(1).await);
}

#[tokio::test]
async fn a_schedule_hears_of_every_call_in_order() {
    let heard = Mutex::new(Vec::new());
    let schedule = |call| {
        heard.lock().expect("nobody panics with it").push(call);
        Fate::GOES
    };
    let store = Faulty { inner: MemoryStore::default(), schedule, clock: ManualClock::at(Timestamp::EPOCH) };
    store.head(&group()).await.expect("a read");
    store.read(&group()).await.expect("a read");
    assert_eq!(*heard.lock().expect("nobody panics with it"), [Call::Head, Call::Read]);
}
