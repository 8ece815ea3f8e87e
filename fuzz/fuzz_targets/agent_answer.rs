//! What an agent sends: the input is a row of length-delimited `GetMetricsResponse`s, one for each sweep. One agent of a group
//! of four sends them; the other three are honest, at 50 %.
//!
//! It must not panic, fill our tables (S11), move the mean of n by more than 100/n points (M7), or make the group do
//! anything to the honest.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use muster_core::decide::decide;
use muster_core::group::{GroupName, Head, Shard};
use muster_core::health::{AgentState, Answer, Application, Health, Observation};
use muster_core::member::{InstanceId, MemberState};
use muster_core::plan::Step;
use muster_core::policy::Policy;
use muster_core::signals;
use muster_core::snapshot::{Member, Snapshot, SweepFacts};
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use muster_proto::v1::GetMetricsResponse;
use prost::Message;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const INTERVAL: Duration = Duration::from_secs(10);
/// More than it takes to be unhealthy.
const SWEEPS: u64 = 12;
const LIAR: &str = "i-liar";
const HONEST: [&str; 3] = ["i-1", "i-2", "i-3"];
/// Characters that are kept of a foreign text.
const KEPT: usize = 120;

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    let mut last: Option<Sweep> = None;
    for n in 1..=SWEEPS {
        // What is no message at all never comes to us: tonic makes a failed call of it.
        let Ok(message) = GetMetricsResponse::decode_length_delimited(&mut rest) else { return };
        let now = START.plus(INTERVAL * u32::try_from(n).expect("it is small"));
        let seen = muster_probe::observe(message, now);
        is_cut(&seen);
        let everybody = HONEST.map(|id| (id, honest(now))).into_iter().chain([(LIAR, seen)]);
        let seen: BTreeMap<_, _> = everybody.map(|(id, seen)| (InstanceId::from(id), seen)).collect();
        let sweep = Sweep::fold(&GroupName::default(), Shard(0), now, None, last.as_ref(), &seen, None, now, INTERVAL);
        check(&sweep);
        last = Some(sweep);
    }
});

fn honest(now: Timestamp) -> Observation {
    Observation::Answered(Answer {
        received_at: now,
        boot_id: "b".into(),
        version: "0.1.0".into(),
        state: AgentState::Serving,
        application: Application::NotProbed,
        load: Some(50.0),
        cursor: 1,
        protected: false,
        signals: Default::default(),
        unregistered: false,
    })
}

fn is_cut(seen: &Observation) {
    let texts = match seen {
        Observation::Answered(answer) => match &answer.application {
            Application::Failing { detail } => vec![&answer.boot_id, &answer.version, detail],
            Application::NotProbed | Application::Healthy => vec![&answer.boot_id, &answer.version],
        },
        Observation::BadAnswer { detail } => vec![detail],
        Observation::Unreachable { .. } | Observation::Refused { .. } | Observation::Unknown => {
            panic!("a message has come: {seen:?}")
        }
    };
    for text in texts {
        assert!(text.chars().count() <= KEPT && !text.chars().any(char::is_control), "{text:?}");
    }
}

fn check(sweep: &Sweep) {
    let liar = &sweep.members[&InstanceId::from(LIAR)];
    assert!(liar.load.is_none_or(|load| (0.0..=100.0).contains(&load.percent())), "M6: {liar:?}");
    let amount = |(name, value): (&str, f64)| signals::is_name(name) && (0.0..=signals::MOST).contains(&value);
    assert!(liar.signals.iter().all(amount) && liar.signals.iter().count() <= signals::KEPT, "M6: {liar:?}");
    let mean = sweep.counts.mean.expect("three are honest");
    assert!((mean - 50.0).abs() <= 100.0 / 4.0, "M7: {mean}");
    let written = serde_json::to_string(sweep).expect("a sweep is plain data");
    assert_eq!(&serde_json::from_str::<Sweep>(&written).expect("a sweep"), sweep);
    assert!(written.len() < 8 * 1024, "S11: {} bytes", written.len());
    // By thresholds a mean near 50 % leaves four alone.
    let policy = Policy::parse(r#"{"scaling": {"kind": "threshold"}}"#).expect("a policy");
    let decision = decide(&snapshot(sweep), &policy);
    assert_eq!(decision.plan.head.desired, 4, "M7: {:?}", decision.report);
    for step in &decision.plan.steps {
        if let Step::Drain { id, .. } | Step::Terminate { id, .. } | Step::Close { id, .. } = step {
            assert_eq!(id.0, LIAR, "M7: {:?}", decision.report);
        }
    }
}

/// A group of four in service for long, as `sweep` saw it.
fn snapshot(sweep: &Sweep) -> Snapshot {
    let long_ago = START.minus(Duration::from_secs(86_400));
    let member = |(id, health): (&InstanceId, &Health)| Member {
        id: id.clone(),
        shard: Shard(0),
        zone: String::new(),
        template: String::new(),
        template_version: 0,
        state: MemberState::Active,
        intended_at: long_ago,
        launched_at: long_ago,
        first_answer: Some(long_ago),
        replaces: None,
        health: Some(health.clone()),
    };
    Snapshot {
        now: sweep.finished_at,
        head: Head { desired: 4, ..Head::default() },
        sweep: Some(SweepFacts { slot: sweep.slot, period_ms: sweep.period_ms, blind: None, awaited: 0 }),
        members: sweep.members.iter().map(member).collect(),
        intents: Vec::new(),
        fleet: None,
        template_version: None,
        learnt: None,
        policy_notice: None,
        policy_refused: false,
    }
}
