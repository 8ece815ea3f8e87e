//! A snapshot written by hand, and the decision on it. What holds for every snapshot, however odd: the decision is the same
//! whatever the order of the input (S9), keeps desired inside the bounds (Z5, S1), names only who is there, fits into one claim,
//! and can be recorded and read again (O2).
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use muster_core::decide::{ACTIONS_PER_CLAIM, Decision, RECORDS_PER_CLAIM, decide};
use muster_core::plan::Step;
use muster_core::policy::{Mode, Policy};
use muster_core::snapshot::Snapshot;

const MODES: [Mode; 4] = [Mode::Active, Mode::OutOnly, Mode::Observe, Mode::Paused];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    muster_fuzz::mutate(data, size, max_size, seed)
});

fuzz_target!(|text: &str| {
    let snapshot = match Snapshot::parse_strict(text) {
        Ok(snapshot) => snapshot,
        Err(refusal) => {
            // It names ten unknown fields at most, each by its path.
            assert!(refusal.to_string().len() <= 1_024 + 12 * text.len());
            return;
        }
    };
    let written = serde_json::to_string(&snapshot).expect("a snapshot is plain data");
    assert_eq!(Snapshot::parse_strict(&written).expect(&written), snapshot);
    let thresholds = Policy::parse(r#"{"scaling": {"kind": "threshold"}}"#).expect("a policy");
    let autos = MODES.map(|mode| Policy { mode, ..Policy::default() });
    for policy in autos.into_iter().chain([thresholds]) {
        let decision = decide(&snapshot, &policy);
        check(&snapshot, &policy, &decision);
        if ids_are_unique(&snapshot) {
            let mut reversed = snapshot.clone();
            reversed.members.reverse();
            reversed.intents.reverse();
            reversed.fleet.iter_mut().for_each(|fleet| fleet.reverse());
            assert_eq!(decide(&reversed, &policy), decision, "S9");
        }
    }
});

fn check(snapshot: &Snapshot, policy: &Policy, decision: &Decision) {
    let desired = decision.plan.head.desired;
    if matches!(policy.mode, Mode::Active | Mode::OutOnly) {
        assert!((policy.min..=policy.max).contains(&desired), "Z5: {desired}");
    }
    assert!(decision.plan.steps.len() <= ACTIONS_PER_CLAIM + RECORDS_PER_CLAIM, "{}", decision.plan.steps.len());
    for step in &decision.plan.steps {
        let there = match step {
            Step::Confirm { id, .. }
            | Step::Close { id, .. }
            | Step::Drain { id, .. }
            | Step::TakeBack { id }
            | Step::Terminate { id, .. } => snapshot.members.iter().any(|member| member.id == *id),
            Step::Cancel { intent } => snapshot.intents.iter().any(|open| open.id == *intent),
            // Only what EC2 lists under our tags and no record knows.
            Step::Sweep { id, .. } => {
                let mut fleet = snapshot.fleet.iter().flatten();
                fleet.any(|instance| instance.id == *id && instance.ours && instance.intent.is_some())
                    && snapshot.members.iter().all(|member| member.id != *id)
            }
            Step::Launch { .. } => true,
        };
        assert!(there, "C1: {step:?}");
        assert!(step.is_record() || policy.mode == Mode::Active || policy.mode == Mode::OutOnly, "O1: {step:?}");
    }
    let written = serde_json::to_string(decision).expect("a decision is plain data");
    assert_eq!(&serde_json::from_str::<Decision>(&written).expect(&written), decision);
}

/// `muster decide` refuses a snapshot that names somebody twice; a store cannot hold one.
fn ids_are_unique(snapshot: &Snapshot) -> bool {
    let unique = |ids: Vec<&String>| ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
    unique(snapshot.members.iter().map(|member| &member.id.0).collect())
        && unique(snapshot.intents.iter().map(|intent| &intent.id.0).collect())
        && unique(snapshot.fleet.iter().flatten().map(|instance| &instance.id.0).collect())
}
