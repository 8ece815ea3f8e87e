//! What is said of decisions, situation by situation: `explained/golden.txt` is reviewed like code. The decisions are the core's own.

use muster_core::decide::decide;
use muster_core::policy::Policy;
use muster_core::report::Report;
use muster_core::snapshot::Snapshot;
use muster_web::read::explain::explained;
use serde_json::{Value, json};

const NOW: u64 = 1_795_348_800_000;

/// A member that answers with a load, or is silent.
fn member(nth: u32, load: Option<f64>) -> Value {
    let health = match load {
        Some(load) => json!({"load": load, "last_answer": NOW - 1_000}),
        None => {
            json!({"seen": "silent", "silent_sweeps": 1, "silent_since": NOW - 1_000, "load": 50.0, "sampled_at": NOW - 400_000})
        }
    };
    json!({"id": format!("i-{nth:04}"), "health": health})
}

/// A group of so many members with a load, on a sweep of just now, changed by `changes`.
fn snapshot(loads: &[Option<f64>], changes: &Value) -> Snapshot {
    let members: Vec<Value> = (1..).zip(loads).map(|(nth, load)| member(nth, *load)).collect();
    let mut document = json!({
        "now": NOW, "head": {"desired": loads.len(), "version": 7, "policy": 3}, "sweep": {"slot": NOW - 2_000, "period_ms": 10_000},
        "members": members,
        "fleet": (1..=loads.len()).map(|nth| json!({"id": format!("i-{nth:04}"), "state": "running"})).collect::<Vec<_>>(),
    });
    merge(&mut document, changes);
    serde_json::from_value(document).expect("a snapshot")
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from.clone(),
    }
}

fn policy(changes: &Value) -> Policy {
    let mut document =
        json!({"min_instances": 2, "max_instances": 8, "warm_up": "0s", "scaling": {"kind": "threshold"}});
    merge(&mut document, changes);
    Policy::parse(&document.to_string()).expect("a policy")
}

fn report(loads: &[Option<f64>], snapshot_changes: &Value, policy_changes: &Value) -> (Report, Policy) {
    let policy = policy(policy_changes);
    let snapshot = snapshot(loads, snapshot_changes);
    (decide(&snapshot, &policy).report, policy.at(snapshot.now).into_owned())
}

/// Each situation in a word, with what makes it.
fn situations() -> Vec<(&'static str, (Report, Policy))> {
    let four = |load: f64| vec![Some(load); 4];
    let none = json!({});
    let target = json!({"scaling": {"kind": "target", "target": 60, "tolerance": 0.1}});
    let step = json!({"scaling": {"kind": "step", "steps": [
        {"above": 70, "change": 1}, {"above": 85, "change": 3}, {"below": 30, "change": -1},
    ]}});
    let auto = json!({"scaling": {"kind": "auto"}});
    let cooled = json!({"stabilization_in": "0s"});
    vec![
        ("nothing to do", report(&four(54.0), &none, &none)),
        ("scale out", report(&four(82.5), &none, &none)),
        (
            "scale-out cooldown",
            report(
                &four(82.5),
                &json!({"head": {"launch_accepted_at": NOW - 15_000}}),
                &json!({"cooldown_out": "60s"}),
            ),
        ),
        ("at max", report(&four(95.0), &none, &json!({"max_instances": 4}))),
        ("scale in", report(&four(5.0), &none, &cooled)),
        (
            "scale-in stabilised",
            report(
                &four(5.0),
                &json!({"head": {"recommendations": [{"at": NOW - 60_000, "highest": 4, "lowest": 4}]}}),
                &json!({"stabilization_in": "300s"}),
            ),
        ),
        (
            "scale-in cooldown",
            report(
                &four(5.0),
                &json!({"head": {"scale_in_at": NOW - 100_000}}),
                &json!({"stabilization_in": "0s", "cooldown_in": "300s"}),
            ),
        ),
        (
            "scale in limited by the projection",
            report(
                &[Some(55.0), Some(56.0), Some(57.0)],
                &none,
                &json!({"stabilization_in": "0s", "scaling": {"kind": "target", "target": 70, "tolerance": 0.1}}),
            ),
        ),
        (
            "agents silent, data too thin to scale in",
            report(&[Some(10.0), Some(10.0), Some(10.0), None], &none, &cooled),
        ),
        ("too few answer", report(&[Some(10.0), None, None, None], &none, &cooled)),
        ("blind sweep", report(&four(82.5), &json!({"sweep": {"blind": "every probe timed out at once"}}), &none)),
        ("stale sweep", report(&four(82.5), &json!({"sweep": {"slot": NOW - 300_000}}), &none)),
        ("no sweep yet", report(&four(82.5), &json!({"sweep": null}), &none)),
        (
            "breaker open",
            report(
                &[Some(50.0), None, None, Some(50.0)],
                &json!({"head": {"breaker": {"since": NOW - 9_000, "width": 1, "begun": [NOW - 9_000, 0]}}}),
                &none,
            ),
        ),
        ("paused", report(&four(82.5), &none, &json!({"mode": "paused"}))),
        ("observed", report(&four(82.5), &none, &json!({"mode": "observe"}))),
        ("out only", report(&four(5.0), &none, &json!({"mode": "out-only", "stabilization_in": "0s"}))),
        (
            "policy refused",
            report(
                &four(54.0),
                &json!({"policy_notice": "the policy was refused: min_instances is -1; version 3 stays in force", "policy_refused": true}),
                &none,
            ),
        ),
        ("target", report(&four(80.0), &none, &target)),
        ("steps", report(&four(90.0), &none, &step)),
        ("auto's choice", report(&four(90.0), &none, &auto)),
        (
            "a window of the schedule",
            report(
                &four(54.0),
                &json!({"head": {"born": NOW - 90_000_000, "schedule_seen": NOW - 60_000}}),
                &json!({"schedule": [{"name": "day", "cron": "0 * * * *", "time_zone": "UTC", "lasts": "1h", "desired": 6}]}),
            ),
        ),
        (
            "launches refused",
            report(
                &four(95.0),
                &json!({"head": {"policy": 3, "launch_refusal": {"reason": "UnauthorizedOperation", "failures": 2, "until": NOW + 60_000, "policy": 3}}}),
                &none,
            ),
        ),
        (
            "nobody wanted",
            report(&[], &json!({"head": {"desired": 0}}), &json!({"min_instances": 0, "max_instances": 0})),
        ),
    ]
}

fn told(name: &str, report: &Report, policy: Option<&Policy>) -> String {
    let told = explained(report, policy);
    let mut text = format!("== {name}\n{}\n", told.headline);
    told.sentences.iter().for_each(|sentence| text.push_str(&format!("  {sentence}\n")));
    told.would.iter().for_each(|would| text.push_str(&format!("  -> {would}\n")));
    text
}

#[test]
fn what_is_said_is_what_has_been_reviewed() {
    let told: Vec<String> =
        situations().iter().map(|(name, (report, policy))| told(name, report, Some(policy))).collect();
    let (told, golden) = (told.join("\n"), include_str!("explained/golden.txt"));
    assert!(told == golden, "tests/explained/golden.txt says something else; this is said now:\n{told}");
}

#[test]
fn without_the_policy_nothing_is_made_up() {
    for (name, (report, policy)) in situations() {
        let (with, without) = (explained(&report, Some(&policy)), explained(&report, None));
        assert_eq!(
            (with.headline, with.sentences, with.stages),
            (without.headline, without.sentences, without.stages),
            "{name}"
        );
        assert!(without.would.iter().all(|would| with.would.contains(would)), "{name}");
    }
}
