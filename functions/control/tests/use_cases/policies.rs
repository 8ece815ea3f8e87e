//! Policy edits: whole, on the next decision, and never a step back to nothing.

use muster_control::activity::Event;
use muster_control::policy::NoPolicy;
use muster_control::ports::GroupStore;
use muster_control::reconcile::ReconcileError;
use muster_control::sweep::interval;
use muster_core::group::PolicyVersion;
use muster_core::report::Rule;
use serde_json::json;

use crate::world::{Call, Fault, INTERVAL, Kind, LEASE, World, group, policy};

async fn refusals(world: &World) -> usize {
    world.logged(|event| matches!(event, Event::PolicyRefused { .. })).await
}

async fn says(world: &World, rule: Rule, words: &str) -> bool {
    let report = world.report().await;
    report.remarks.iter().any(|remark| remark.rule == rule && remark.text.contains(words))
}

async fn says_o7(world: &World, words: &str) -> bool {
    says(world, Rule::O7, words).await
}

#[tokio::test]
async fn o4_an_edit_takes_effect_on_the_next_decision_without_a_new_sweep() {
    let world = World::grown(json!({})).await;
    world.edit(json!({ "min_instances": 3 }));
    world.ring().await;
    let head = world.head().await;
    assert_eq!((head.desired, head.policy, world.running().len()), (3, Some(PolicyVersion(2)), 3));
    let stored = world.store.policy(&group(), PolicyVersion(2)).await.expect("a read").expect("the policy");
    assert_eq!(stored.text, policy(json!({ "min_instances": 3 })));
}

#[tokio::test]
async fn o4_an_edit_that_changes_nothing_for_the_group_is_accepted_once() {
    let world = World::grown(json!({})).await;
    world.edit(json!({ "max_instances": 9 }));
    for _ in 0..3 {
        world.ring().await;
    }
    assert_eq!(world.logged(|event| matches!(event, Event::PolicyAccepted { .. })).await, 2);
    assert_eq!(world.report().await.bounds, (2, 9));
}

#[tokio::test]
async fn o4_intents_keep_the_version_that_they_were_made_with() {
    let world = World::new(json!({}));
    world.always(Call::Launch, Kind::Unavailable);
    world.step().await;
    world.edit(json!({ "min_instances": 3 }));
    world.step().await;
    let versions: Vec<_> = world.state().await.intents.iter().map(|intent| intent.policy).collect();
    assert_eq!(versions, [Some(PolicyVersion(1)), Some(PolicyVersion(1)), Some(PolicyVersion(2))]);
    world.well();
    world.clock.advance(LEASE);
    world.step().await;
    world.assert_whole().await;
}

#[tokio::test]
async fn o4_a_version_number_never_names_two_texts() {
    let world = World::new(json!({}));
    world.policy_version(Some(7));
    world.step().await;
    assert_eq!(world.head().await.policy, Some(PolicyVersion(7)));
    // The parameter was deleted and made anew: its source counts from 1 again.
    world.policy_version(Some(1));
    world.edit(json!({ "max_instances": 6 }));
    world.step().await;
    assert_eq!(world.head().await.policy, Some(PolicyVersion(8)));
    world.policy_version(Some(12));
    world.edit(json!({ "max_instances": 7 }));
    world.step().await;
    assert_eq!(world.head().await.policy, Some(PolicyVersion(12)));
    for (version, max) in [(7, 5), (8, 6), (12, 7)] {
        let stored = world.store.policy(&group(), PolicyVersion(version)).await.expect("a read").expect("a policy");
        assert_eq!(stored.text, policy(json!({ "max_instances": max })));
    }
}

#[tokio::test]
async fn z9_an_invalid_edit_is_refused_once_and_the_last_good_one_stays() {
    let world = World::grown(json!({})).await;
    world.edit(json!({ "min_instances": 9, "max_instances": 3 }));
    world.steps(3).await;
    world.ring().await;
    assert_eq!((refusals(&world).await, world.head().await.policy), (1, Some(PolicyVersion(1))));
    assert_eq!((world.report().await.bounds, world.running().len()), ((2, 5), 2));
    assert!(says(&world, Rule::Z9, "version 1 stays in force").await);
    assert!(!says_o7(&world, "").await, "it is there and can be read");
    world.policies.set(Some("{ not json"));
    world.steps(2).await;
    assert_eq!(refusals(&world).await, 2, "another text is another refusal");
    assert!(world.head().await.refusal.is_some());
}

#[tokio::test]
async fn z9_a_fixed_text_or_the_old_one_again_clears_the_refusal() {
    for (fixed, version) in [(json!({}), 1), (json!({ "max_instances": 6 }), 2)] {
        let world = World::grown(json!({})).await;
        world.policies.set(Some("{ \"max\": 3 }"));
        world.step().await;
        world.edit(fixed);
        world.ring().await;
        let head = world.head().await;
        assert_eq!((head.refusal, head.policy), (None, Some(PolicyVersion(version))));
        world.step().await;
        assert!(!says(&world, Rule::Z9, "").await, "and it is no longer spoken of");
    }
}

#[tokio::test]
async fn o7_a_deleted_or_empty_policy_is_not_zero() {
    for (text, words) in [(None, "missing"), (Some(" \n"), "empty")] {
        let world = World::grown(json!({})).await;
        world.policies.set(text);
        world.steps(3).await;
        assert_eq!((world.running().len(), world.head().await.policy), (2, Some(PolicyVersion(1))));
        assert!(says_o7(&world, words).await);
        assert!(says_o7(&world, "version 1 stays in force").await);
        assert_eq!(refusals(&world).await, 0);
    }
}

#[tokio::test]
async fn o7_a_source_that_cannot_be_read_changes_nothing_and_is_spoken_of() {
    let world = World::grown(json!({})).await;
    world.agents(muster_control::memory::Scripted::Load(90.0));
    world.always(Call::Fetch, Kind::Unavailable);
    world.step().await;
    assert_eq!(world.running().len(), 4, "the last good policy decides");
    assert!(says_o7(&world, "the policy cannot be read").await);
}

#[tokio::test]
async fn z9_a_source_that_fails_for_a_while_does_not_make_a_refusal_new() {
    let world = World::grown(json!({})).await;
    world.policies.set(Some("{ \"max\": 3 }"));
    world.step().await;
    let version = world.head().await.version;
    world.at(Call::Fetch, 1, Fault::Fails(Kind::Unavailable));
    world.ring().await;
    assert_eq!(world.head().await.version, version, "nor is it worth a claim");
    world.at(Call::Fetch, 1, Fault::Fails(Kind::Unavailable));
    world.steps(3).await;
    assert_eq!(refusals(&world).await, 1);
    assert!(world.head().await.refusal.is_some());
}

#[tokio::test]
async fn a_group_that_never_had_a_valid_policy_is_not_made() {
    for text in [None, Some(""), Some("{\"min_instances\": 3, \"max_instances\": 1}")] {
        let world = World::new(json!({}));
        world.policies.set(text);
        world.sweep_all().await;
        let error = world.try_ring("one").await.expect_err("there is nothing to decide with");
        assert!(matches!(error, ReconcileError::Policy(NoPolicy::NoneYet(_))), "{error}");
        assert_eq!(world.store.head(&group()).await.expect("a read"), None);
    }
}

#[tokio::test]
async fn a_last_good_policy_that_cannot_be_read_is_an_error_and_no_default() {
    let world = World::grown(json!({ "min_instances": 4 })).await;
    world.always(Call::Policy, Kind::Unavailable);
    assert!(matches!(world.try_ring("one").await, Err(ReconcileError::Policy(NoPolicy::Store(_)))));
    assert_eq!(world.running().len(), 4);
}

#[tokio::test]
async fn the_sweep_takes_its_interval_and_its_signals_from_the_policy_in_force() {
    let world = World::new(json!({}));
    assert_eq!(interval(None), INTERVAL, "the default, before any");
    world.steps(2).await;
    world.edit(json!({ "sweep_interval": "20s", "signals": [{ "name": "rate", "target": 100 }] }));
    world.ring().await;
    let head = world.head().await;
    assert_eq!(interval(Some(&head)), 2 * INTERVAL);
    assert_eq!(head.signals, ["rate".to_owned()].into());
}
