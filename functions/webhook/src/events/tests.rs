//! Which activities are told, and how.

use muster_core::decide::decide;
use muster_core::group::{GroupName, PolicyVersion};
use muster_core::intent::{Cause, IntentId};
use muster_core::member::InstanceId;
use muster_core::policy::Policy;
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_795_341_600_000;

fn instance(name: &str) -> InstanceId {
    InstanceId(name.into())
}

fn activity(event: Event) -> Activity {
    Activity { group: GroupName::default(), at: Timestamp::from_millis(NOW), id: "a".into(), event }
}

fn launched(zone: &str, cause: Cause, replaces: Option<&str>) -> Event {
    let replaces = replaces.map(instance);
    Event::Launched { intent: IntentId("1".into()), instance: instance("i-1"), zone: zone.into(), cause, replaces }
}

/// The policy of a group that goes by thresholds: a mean of 50 % leaves it alone.
fn thresholds() -> Policy {
    Policy::parse(r#"{"scaling": {"kind": "threshold"}}"#).expect("a policy")
}

/// The decision on a snapshot, as it is recorded.
fn decided(snapshot: &Value, count: u32, recorded: bool) -> Activity {
    decided_with(&thresholds(), snapshot, count, recorded)
}

fn decided_with(policy: &Policy, snapshot: &Value, count: u32, recorded: bool) -> Activity {
    let snapshot: Snapshot = serde_json::from_value(snapshot.clone()).expect("a snapshot");
    let report = Box::new(decide(&snapshot, policy).report);
    let recorded = recorded.then(|| Box::new(snapshot.clone()));
    activity(Event::Decision { report, version: 1, since: snapshot.now, count, snapshot: recorded })
}

/// Four members at 50 %, of which so many have been silent for ten sweeps.
fn members(silent: usize) -> Value {
    let member = |n: usize| {
        let silence = if n < silent { 10 } else { 0 };
        let since = (silence > 0).then_some(NOW - 300_000);
        let seen = if silence > 0 { "silent" } else { "answered" };
        let health = json!({
            "seen": seen, "load": 50.0, "silent_sweeps": silence, "silent_since": since,
            "first_answer": 1, "last_answer": since.unwrap_or(NOW - 1_000), "sampled_at": since.unwrap_or(NOW - 1_000),
        });
        json!({"id": format!("i-{n}"), "health": health})
    };
    (0..4).map(member).collect()
}

fn snapshot(silent: usize, head: &Value) -> Value {
    let mut full = json!({
        "now": NOW, "head": {"desired": 4}, "members": members(silent),
        "sweep": {"slot": NOW - 1_000, "period_ms": 10_000},
    });
    full["head"].as_object_mut().expect("a map").extend(head.as_object().cloned().expect("a map"));
    full
}

fn open() -> Value {
    json!({"breaker": {"since": NOW - 600_000, "width": 1, "begun": [NOW - 10_000, 1]}})
}

fn kinds(activity: &Activity) -> Vec<Kind> {
    events(std::slice::from_ref(activity)).into_iter().map(|event| event.kind).collect()
}

#[test]
fn what_ec2_did_is_told_in_a_sentence() {
    let cases = [
        (launched("eu-1a", Cause::Load, None), Kind::Launched, "i-1 was launched in eu-1a (load)"),
        (launched("", Cause::Lost, None), Kind::Launched, "i-1 was launched (lost)"),
        (launched("", Cause::Unhealthy, Some("i-0")), Kind::Replaced, "i-1 was launched in place of i-0 (unhealthy)"),
        (
            Event::Terminated { intent: IntentId("1".into()), instance: instance("i-1"), cause: Cause::Orphan },
            Kind::Terminated,
            "i-1 was terminated (orphan)",
        ),
        (
            Event::PolicyRefused { reason: "min is\nabove max".into() },
            Kind::Refused,
            "the policy was refused: min is above max",
        ),
    ];
    for (event, kind, text) in cases {
        let told = events(&[activity(event)]);
        let [told] = &told[..] else { panic!("one event: {told:?}") };
        assert_eq!((told.kind, told.text.as_str(), told.id.as_str()), (kind, text, "a"));
        assert_eq!(told.instance.is_some(), kind != Kind::Refused);
        assert_eq!(told.replaces.as_deref(), (kind == Kind::Replaced).then_some("i-0"));
    }
}

#[test]
fn what_is_only_on_its_way_is_not_told() {
    let quiet = [
        Event::Abandoned { intent: IntentId("1".into()), reason: "no capacity".into() },
        Event::Joined { instance: instance("i-1"), boot_ms: 1 },
        Event::Draining { instance: instance("i-1"), cause: Cause::Load },
        Event::TakenBack { instance: instance("i-1") },
        Event::Disowned { instance: instance("i-1") },
        Event::Lost { instance: instance("i-1") },
        Event::PolicyAccepted { version: PolicyVersion(1) },
    ];
    for event in quiet {
        assert_eq!(kinds(&activity(event.clone())), [], "{event:?}");
    }
}

#[test]
fn a_decision_is_told_when_it_holds_against_a_wish() {
    let calm = snapshot(0, &json!({}));
    let busy = |head: &Value| {
        let mut busy = snapshot(0, head);
        for n in 0..4 {
            busy["members"][n]["health"]["load"] = json!(5.0);
        }
        busy
    };
    // An idle group wants to shrink, and its cooldown holds it.
    let held = decided(&busy(&json!({"scale_in_at": NOW - 10_000})), 1, true);
    let again = snapshot(0, &json!({"last_slot": NOW - 1_000}));
    let unseen = json!({"now": NOW, "head": {"desired": 4}, "members": members(0)});
    let cases = [
        (decided(&calm, 1, true), vec![], "a size that suits is no news"),
        (decided(&again, 1, true), vec![], "nor is a sweep that has had its decision"),
        (held.clone(), vec![Kind::Held], "what is held up is"),
        (decided(&unseen, 1, true), vec![Kind::Held], "and that there is nothing to decide on"),
    ];
    for (activity, expected, why) in cases {
        assert_eq!(kinds(&activity), expected, "{why}: {activity:?}");
    }
    let text = events(&[held]).remove(0).text;
    assert!(text.starts_with("Hold at 4: "), "{text}");
}

#[test]
fn z7_that_an_emptied_group_is_empty_is_no_news() {
    let nobody = Policy { min: 0, max: 0, ..thresholds() };
    let empty = json!({"now": NOW, "head": {"desired": 0}, "members": [], "sweep": {"slot": NOW - 1_000}, "fleet": []});
    assert_eq!(kinds(&decided_with(&nobody, &empty, 1, true)), []);
    let mut kept = snapshot(0, &json!({"desired": 0}));
    for n in 0..4 {
        kept["members"][n]["health"]["protected"] = json!(true);
    }
    let kept = decided_with(&nobody, &kept, 1, true);
    assert_eq!(kinds(&kept), [Kind::Held], "that somebody stays is");
    let text = events(&[kept]).remove(0).text;
    assert!(text.contains("4 may not go: protected (D2)"), "{text}");
}

#[test]
fn o2_a_folded_repetition_is_not_told_again() {
    let mut idle = snapshot(0, &json!({"scale_in_at": NOW - 10_000}));
    for n in 0..4 {
        idle["members"][n]["health"]["load"] = json!(5.0);
    }
    assert_eq!(kinds(&decided(&idle, 1, true)), [Kind::Held]);
    assert_eq!(kinds(&decided(&idle, 2, true)), []);
    assert_eq!(kinds(&decided(&snapshot(2, &json!({})), 2, true)), []);
}

#[test]
fn h3_a_breaker_is_told_when_it_opens_and_when_it_closes() {
    let breakers = |activity: &Activity| -> Vec<Kind> {
        kinds(activity).into_iter().filter(|kind| matches!(kind, Kind::BreakerOpened | Kind::BreakerClosed)).collect()
    };
    let (closed, open) = (json!({}), open());
    let blind = |mut snapshot: Value| {
        snapshot["sweep"]["blind"] = json!("our own event loop was late");
        snapshot
    };
    let stale = |mut snapshot: Value| {
        snapshot["sweep"]["slot"] = json!(NOW - 300_000);
        snapshot
    };
    let old = |mut snapshot: Value| {
        snapshot["head"]["last_slot"] = json!(NOW - 1_000);
        snapshot
    };
    let cases = [
        (snapshot(2, &closed), true, vec![Kind::BreakerOpened]),
        (snapshot(2, &open), true, vec![]),
        (snapshot(0, &open), true, vec![Kind::BreakerClosed]),
        (snapshot(0, &closed), true, vec![]),
        // Nobody answers, or nobody can say: the breaker stays what it was.
        (snapshot(4, &open), true, vec![]),
        (blind(snapshot(0, &open)), true, vec![]),
        (stale(snapshot(0, &open)), true, vec![]),
        (old(snapshot(0, &open)), true, vec![]),
        // A large group records no snapshot.
        (snapshot(2, &closed), false, vec![Kind::BreakerOpened]),
        (snapshot(0, &open), false, vec![]),
    ];
    for (snapshot, recorded, expected) in cases {
        let activity = decided(&snapshot, 1, recorded);
        assert_eq!(breakers(&activity), expected, "{activity:?}");
        if recorded {
            // What is told is what HEAD says after the decision.
            let snapshot: Snapshot = serde_json::from_value(snapshot).expect("a snapshot");
            let after = decide(&snapshot, &thresholds()).plan.head.breaker.is_some();
            let before = snapshot.head.breaker.is_some();
            assert_eq!(before != after, !expected.is_empty(), "{activity:?}");
        }
    }
}

#[test]
fn a_sentence_has_a_bound() {
    let told = events(&[activity(Event::PolicyRefused { reason: "x".repeat(100_000) })]);
    assert_eq!(told[0].text.chars().count(), TEXT_KEPT);
}
