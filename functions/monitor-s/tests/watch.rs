//! Invocations over ports in memory and a clock of their own.

use std::sync::Mutex;
use std::time::Duration;

use monitor_s::rhythm::End;
use monitor_s::{Watched, watch};
use muster_control::faulty::{Call, Fate, Faulty, Kind};
use muster_control::memory::{ManualClock, MemoryProbe, MemoryStore, Scripted};
use muster_control::ports::{AgentProbe, Claim, Clock, GroupStore, HealthStore, Probed, Target};
use muster_control::sweep::Monitor;
use muster_core::group::{GroupName, Head, Roster, RosterEntry, RosterNumber, Shard, Wanted};
use muster_core::member::InstanceId;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use muster_lambda::Failure;
use muster_lambda::events::SweepOrder;
use serde_json::Value;
use tokio::time::Instant;

const MINUTE: Timestamp = Timestamp::from_millis(1_795_341_600_000);
const TWO_AGENTS: Duration = Duration::from_secs(2);

fn at(seconds: u64) -> Timestamp {
    MINUTE.plus(Duration::from_secs(seconds))
}

/// Tokio's paused time, counted from the minute: it moves on when everybody sleeps.
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        MINUTE.plus(self.0.elapsed())
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Agents of which each look takes a while; by then somebody may have done something to the store.
struct Slow {
    agents: MemoryProbe,
    looks: Mutex<Vec<Duration>>,
}

impl Slow {
    /// The looks take so long, one after the other; all that follow take none.
    fn looks(spans: &[Duration]) -> Self {
        let mut spans = spans.to_vec();
        spans.reverse();
        Self { agents: MemoryProbe::default(), looks: Mutex::new(spans) }
    }
}

impl AgentProbe for Slow {
    async fn probe(&self, targets: &[Target]) -> Probed {
        let span = self.looks.lock().expect("nobody panics").pop();
        tokio::time::sleep(span.unwrap_or_default()).await;
        self.agents.probe(targets).await
    }
}

fn group() -> GroupName {
    "web".parse().expect("a name")
}

fn order() -> SweepOrder {
    SweepOrder { group: group(), shard: Shard(0) }
}

/// A store with a group of two members, swept every `interval`.
async fn store(interval: Duration) -> MemoryStore {
    let store = MemoryStore::default();
    set_interval(&store, None, interval).await;
    store
}

async fn set_interval<S: GroupStore>(store: &S, expected: Option<u64>, interval: Duration) {
    let entry = |n: u32| RosterEntry {
        id: InstanceId(format!("i-{n}")),
        endpoint: format!("127.0.0.1:{n}"),
        wanted: Wanted::Serve,
    };
    let number = RosterNumber(expected.unwrap_or_default() + 1);
    let roster = Roster { group: group(), shard: Shard(0), number, entries: (1..=2).map(entry).collect() };
    let head = Head {
        group: group(),
        version: number.0,
        rosters: [(Shard(0), number)].into(),
        sweep_interval_ms: u64::try_from(interval.as_millis()).expect("small"),
        ..Head::default()
    };
    store.claim(&Claim { expected, head, put_rosters: vec![roster], ..Claim::default() }).await.expect("a claim");
}

fn monitor<S, A>(store: S, probe: A) -> Monitor<S, A, Paused> {
    Monitor { store, probe, clock: Paused(Instant::now()), name: "prod/request".into() }
}

/// An invocation that begins after so many seconds and has five minutes.
async fn invoked<S, A>(monitor: &Monitor<S, A, Paused>, after: u64) -> (Result<Watched, Failure>, Vec<Value>)
where
    S: GroupStore + HealthStore,
    A: AgentProbe,
{
    invoked_for(monitor, after, 300).await
}

async fn invoked_for<S, A>(
    monitor: &Monitor<S, A, Paused>,
    after: u64,
    seconds: u64,
) -> (Result<Watched, Failure>, Vec<Value>)
where
    S: GroupStore + HealthStore,
    A: AgentProbe,
{
    tokio::time::sleep(Duration::from_secs(after)).await;
    let deadline = monitor.clock.now().plus(Duration::from_secs(seconds));
    let mut out = Vec::new();
    let ended = watch(monitor, "prod", &order(), deadline, |_| TWO_AGENTS, &mut out).await;
    let lines = String::from_utf8(out).expect("text");
    (ended, lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

fn slots(store: &MemoryStore) -> Vec<u64> {
    store.doorbells(&group()).iter().map(|(_, slot)| slot.since(MINUTE).as_secs()).collect()
}

fn ended(sweeps: u32, failed: u32, ended: End) -> Watched {
    Watched { sweeps, failed, ended }
}

#[tokio::test(start_paused = true)]
async fn an_invocation_alone_sweeps_every_slot_for_two_and_a_half_minutes() {
    let monitor = monitor(store(Duration::from_secs(10)).await, MemoryProbe::default());
    let (watched, _) = invoked(&monitor, 0).await;
    assert_eq!(watched, Ok(ended(16, 0, End::LongEnough)));
    assert_eq!(slots(&monitor.store), (0..=150).step_by(10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_newer_invocation_takes_over_and_no_slot_is_left_out() {
    let monitor = monitor(store(Duration::from_secs(10)).await, MemoryProbe::default());
    let ((first, _), (second, _), (twin, _)) =
        tokio::join!(invoked(&monitor, 3), invoked(&monitor, 63), invoked(&monitor, 63));
    let ended = [first, second, twin].map(|watched| watched.expect("swept"));
    assert!(ended.iter().all(|watched| matches!(watched.ended, End::TakenOver | End::LongEnough)), "{ended:?}");
    let swept = slots(&monitor.store);
    assert_eq!(swept, (0..=210).step_by(10).collect::<Vec<_>>());
    assert_eq!(ended.iter().map(|watched| watched.sweeps as usize).sum::<usize>(), swept.len());
}

#[tokio::test(start_paused = true)]
async fn with_a_long_interval_an_invocation_sweeps_once() {
    let monitor = monitor(store(Duration::from_secs(120)).await, MemoryProbe::default());
    assert_eq!(invoked(&monitor, 1).await.0, Ok(ended(1, 0, End::NextTick)));
    assert_eq!(invoked(&monitor, 60).await.0, Ok(ended(0, 0, End::NextTick)), "this minute has no slot of its own");
    assert_eq!(invoked(&monitor, 60).await.0, Ok(ended(1, 0, End::NextTick)));
    assert_eq!(slots(&monitor.store), [0, 120]);
}

#[tokio::test(start_paused = true)]
async fn an_interval_that_changes_is_followed_from_the_next_slot_on() {
    let monitor = monitor(store(Duration::from_secs(10)).await, MemoryProbe::default());
    let edit = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        set_interval(&monitor.store, Some(1), Duration::from_secs(30)).await;
    };
    let ((watched, _), ()) = tokio::join!(invoked(&monitor, 0), edit);
    assert_eq!(watched.expect("swept").ended, End::LongEnough);
    // At 20 the slot is the one of 0, which is over.
    assert_eq!(slots(&monitor.store), [0, 10, 30, 60, 90, 120, 150]);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_longer_than_the_interval_skips_and_does_not_pile_up() {
    let long = Duration::from_millis(7_300);
    let probe = Slow::looks(&[long, long]);
    let monitor = monitor(store(Duration::from_secs(1)).await, probe);
    let (watched, _) = invoked_for(&monitor, 0, 22).await;
    assert_eq!(watched.expect("swept").ended, End::OutOfTime);
    assert_eq!(slots(&monitor.store), [0, 8, 16, 17], "a sweep of 5 s at most ends before 22");
}

#[tokio::test(start_paused = true)]
async fn m7_agents_that_do_not_answer_and_a_monitor_that_sees_nothing_are_seen_and_not_failures() {
    let probe = MemoryProbe::default();
    probe.script(&InstanceId("i-1".into()), Scripted::Load(40.0));
    probe.receive_at(at(0), None);
    let monitor = monitor(store(Duration::from_secs(120)).await, probe);
    let (watched, lines) = invoked(&monitor, 0).await;
    assert_eq!(watched, Ok(ended(1, 0, End::NextTick)));
    let [line] = &lines[..] else { panic!("one line a sweep: {lines:?}") };
    let names = ["Members", "Answered", "Unreachable", "Unknown", "BlindSweeps", "Failures"];
    assert_eq!(names.map(|name| line[name].as_f64()), [2.0, 1.0, 1.0, 0.0, 0.0, 0.0].map(Some));
    assert!(line["SweepDuration"].is_number() && line["Group"] == "web" && line["Stack"] == "prod", "{line}");
    monitor.probe.receive_at(at(120), Some("our own event loop was late"));
    let (watched, lines) = invoked(&monitor, 120).await;
    assert_eq!(watched, Ok(ended(1, 0, End::NextTick)));
    assert_eq!(["Unknown", "BlindSweeps"].map(|name| lines[0][name].as_f64()), [1.0, 1.0].map(Some));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_tried_at_every_slot_and_then_told_by_its_name() {
    let down = |_: Call| Fate::fails(Kind::Throttled);
    let clock = ManualClock::at(at(0));
    let down = Faulty { inner: store(Duration::from_secs(10)).await, schedule: down, clock };
    let monitor = monitor(down, MemoryProbe::default());
    let (watched, lines) = invoked_for(&monitor, 0, 33).await;
    assert_eq!(watched.expect_err("down").name, "Store.Throttled");
    let failures = lines.iter().filter(|line| line["Failures"] == 1.0).count();
    assert_eq!(failures, 4, "at 0, 10, 20 and 30, of which the last sweep may take 3 s: {lines:?}");
    // One that comes back in time is no failure of the invocation.
    let flaky = Mutex::new(0);
    let once = move |call: Call| {
        let mut calls = flaky.lock().expect("nobody panics");
        *calls += u32::from(call == Call::TakeSlot);
        if call == Call::TakeSlot && *calls == 1 { Fate::fails(Kind::Unavailable) } else { Fate::GOES }
    };
    let clock = ManualClock::at(at(0));
    let flaky = Faulty { inner: store(Duration::from_secs(10)).await, schedule: once, clock };
    let monitor = self::monitor(flaky, MemoryProbe::default());
    assert_eq!(invoked_for(&monitor, 0, 14).await.0, Ok(ended(1, 1, End::OutOfTime)));
}

/// A store that fails the first so many calls of a kind; with `done` they have their effect, and only the answer is lost.
fn failing(call: Call, times: u32, done: bool) -> impl Fn(Call) -> Fate + Send + Sync {
    let calls = Mutex::new(0);
    move |made: Call| {
        let mut calls = calls.lock().expect("nobody panics");
        *calls += u32::from(made == call);
        match made == call && *calls <= times {
            true if done => Fate::LOST,
            true => Fate::fails(Kind::Unavailable),
            false => Fate::GOES,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_long_interval_a_sweep_that_fails_half_way_is_tried_again_by_the_same_invocation() {
    for call in [Call::TakeSlot, Call::Roster, Call::Latest, Call::Append] {
        for (times, wait) in [(1, 1), (3, 7)] {
            let clock = ManualClock::at(at(0));
            let schedule = failing(call, times, false);
            let flaky = Faulty { inner: store(Duration::from_secs(120)).await, schedule, clock };
            let monitor = monitor(flaky, MemoryProbe::default());
            let before = monitor.clock.now();
            let (watched, lines) = invoked(&monitor, 0).await;
            assert_eq!(watched, Ok(ended(1, times, End::NextTick)), "{call:?}");
            assert_eq!(monitor.clock.now().since(before), Duration::from_secs(wait), "{call:?}");
            assert_eq!(slots(&monitor.store.inner), [0], "{call:?}");
            assert_eq!(lines.len(), times as usize + 1, "a line for each: {lines:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_long_interval_a_store_that_stays_down_is_given_up() {
    let clock = ManualClock::at(at(0));
    let down =
        Faulty { inner: store(Duration::from_secs(120)).await, schedule: failing(Call::Append, 99, false), clock };
    let monitor = monitor(down, MemoryProbe::default());
    let before = monitor.clock.now();
    let (watched, lines) = invoked(&monitor, 0).await;
    assert_eq!(watched.expect_err("down").name, "Store.Unavailable");
    assert_eq!((lines.len(), monitor.clock.now().since(before)), (6, Duration::from_secs(31)));
    // Lambda runs a failed invocation again under its name: it has the slot that it has claimed.
    let schedule = |_: Call| Fate::GOES;
    let well = Faulty { inner: monitor.store.inner, schedule, clock: ManualClock::at(at(0)) };
    let monitor = self::monitor(well, MemoryProbe::default());
    assert_eq!(invoked(&monitor, 0).await.0, Ok(ended(1, 0, End::NextTick)));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_was_written_after_all_is_not_written_twice() {
    for (interval, expected) in [(120, End::NextTick), (10, End::OutOfTime)] {
        let clock = ManualClock::at(at(0));
        let schedule = failing(Call::Append, 1, true);
        let lossy = Faulty { inner: store(Duration::from_secs(interval)).await, schedule, clock };
        let monitor = monitor(lossy, MemoryProbe::default());
        let (watched, _) = invoked_for(&monitor, 0, 28).await;
        // The slot has its sweep: that is no failure of the invocation.
        assert_eq!(watched.map(|watched| watched.ended), Ok(expected));
        let swept = slots(&monitor.store.inner);
        assert_eq!(swept, if interval == 10 { vec![0, 10, 20] } else { vec![0] }, "every {interval} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_dropped_before_the_invocation_is_cut_off() {
    let forever = Duration::from_secs(86_400);
    let monitor = monitor(store(Duration::from_secs(10)).await, Slow::looks(&[forever]));
    let before = monitor.clock.now();
    let (watched, _) = invoked_for(&monitor, 0, 30).await;
    assert_eq!(watched.expect_err("nothing was swept").name, "Timeout");
    let took = monitor.clock.now().since(before);
    assert_eq!(took, Duration::from_millis(29_500), "with half a second for the answer");
    assert!(slots(&monitor.store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_group_without_head_is_swept_empty_so_that_its_doorbell_rings() {
    let monitor = monitor(MemoryStore::default(), MemoryProbe::default());
    assert_eq!(invoked_for(&monitor, 0, 12).await.0, Ok(ended(1, 0, End::OutOfTime)));
    assert_eq!(slots(&monitor.store), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_cold_and_a_warm_invocation_act_alike() {
    let mut written: Vec<Vec<Sweep>> = Vec::new();
    for cold in [true, false] {
        let probe = || {
            let probe = MemoryProbe::default();
            probe.script(&InstanceId("i-1".into()), Scripted::Load(40.0));
            probe.receive_at(at(1), None);
            probe
        };
        let mut monitor = monitor(store(Duration::from_secs(60)).await, probe());
        let mut sweeps = Vec::new();
        for _ in 0..3 {
            assert_eq!(invoked(&monitor, 60).await.0, Ok(ended(1, 0, End::NextTick)));
            sweeps.extend(monitor.store.latest(&group(), Shard(0)).await.expect("memory"));
            if cold {
                monitor.probe = probe();
            }
        }
        written.push(sweeps);
    }
    assert_eq!(written[0].len(), 3);
    assert_eq!(written[0], written[1]);
}
