//! What every [`Fleet`] must do.
#![expect(missing_docs, reason = "each case's name is its sentence")]

use std::collections::BTreeSet;

use muster_core::group::{GroupName, Shard};
use muster_core::intent::{IntentId, LaunchSpec, Token};
use muster_core::member::InstanceId;

use crate::ports::{Fleet, FleetError, Found};

pub(super) fn spec(token: &str) -> LaunchSpec {
    LaunchSpec {
        group: GroupName::default(),
        shard: Shard(0),
        zone: "zone-a".into(),
        instance_type: "small".into(),
        template: String::new(),
        template_version: 0,
        intent: IntentId(format!("intent-{token}")),
        token: Token(token.into()),
        replaces: None,
    }
}

fn ending() -> IntentId {
    IntentId("ending".into())
}

pub async fn a_token_launches_once<F: Fleet>(fleet: &F) {
    let first = fleet.launch(&spec("one"), 1).await.expect("a launch");
    let again = fleet.launch(&spec("one"), 2).await.expect("the same launch");
    let other = fleet.launch(&spec("two"), 1).await.expect("another launch");
    assert_eq!(first, again);
    assert_ne!(first.id, other.id);
    let listed = fleet.list(&GroupName::default()).await.expect("a listing");
    let ids: BTreeSet<_> = listed.iter().filter(|i| !i.state.is_gone()).map(|i| i.id.clone()).collect();
    assert_eq!(ids, BTreeSet::from([first.id, other.id]));
}

pub async fn a_token_with_other_parameters_is_refused<F: Fleet>(fleet: &F) {
    fleet.launch(&spec("one"), 1).await.expect("a launch");
    let other = LaunchSpec { instance_type: "large".into(), ..spec("one") };
    assert!(matches!(fleet.launch(&other, 2).await, Err(FleetError::Refused(_))));
}

pub async fn a_token_of_an_ended_instance_launches_nothing<F: Fleet>(fleet: &F) {
    let made = fleet.launch(&spec("one"), 1).await.expect("a launch");
    fleet.terminate(&GroupName::default(), &made.id, &ending(), 1).await.expect("a termination");
    assert!(matches!(fleet.launch(&spec("one"), 2).await, Err(FleetError::Ended(_))));
    let listed = fleet.list(&GroupName::default()).await.expect("a listing");
    assert!(listed.iter().all(|instance| instance.state.is_gone()));
}

pub async fn a_lower_attempt_than_seen_is_refused<F: Fleet>(fleet: &F) {
    let made = fleet.launch(&spec("one"), 3).await.expect("a launch");
    assert!(matches!(fleet.launch(&spec("one"), 2).await, Err(FleetError::Superseded)));
    fleet.terminate(&GroupName::default(), &made.id, &ending(), 3).await.expect("a termination");
    let late = fleet.terminate(&GroupName::default(), &made.id, &ending(), 2).await;
    assert!(matches!(late, Err(FleetError::Superseded)));
}

pub async fn an_ended_instance_is_listed_as_gone_and_may_be_ended_again<F: Fleet>(fleet: &F) {
    let made = fleet.launch(&spec("one"), 1).await.expect("a launch");
    fleet.terminate(&GroupName::default(), &made.id, &ending(), 1).await.expect("a termination");
    fleet.terminate(&GroupName::default(), &made.id, &ending(), 1).await.expect("the same termination");
    let listed = fleet.list(&GroupName::default()).await.expect("a listing");
    assert!(listed.iter().any(|instance| instance.id == made.id && instance.state.is_gone()));
}

pub async fn ending_what_is_unknown_is_success<F: Fleet>(fleet: &F) {
    fleet.terminate(&GroupName::default(), &InstanceId::from("i-unknown"), &ending(), 1).await.expect("it has ended");
}

pub async fn groups_are_listed_apart<F: Fleet>(fleet: &F) {
    let other: GroupName = "other".parse().expect("a name");
    let ours = fleet.launch(&spec("one"), 1).await.expect("a launch");
    fleet.launch(&LaunchSpec { group: other.clone(), ..spec("two") }, 1).await.expect("a launch");
    let listed = fleet.list(&GroupName::default()).await.expect("a listing");
    assert_eq!(listed.iter().map(|i| &i.id).collect::<Vec<_>>(), vec![&ours.id]);
    let foreign = fleet.terminate(&other, &ours.id, &ending(), 1).await;
    assert!(matches!(foreign, Err(FleetError::Refused(_))), "{foreign:?}");
    let listed = fleet.list(&GroupName::default()).await.expect("a listing");
    assert!(listed.iter().all(|instance| !instance.state.is_gone()), "a foreign instance is never touched (C1)");
}

pub async fn an_instance_is_described_by_its_id_whatever_its_group<F: Fleet>(fleet: &F) {
    let made = fleet.launch(&spec("one"), 1).await.expect("a launch");
    let ids = [made.id.clone(), InstanceId::from("i-unknown")];
    let own = fleet.describe(&GroupName::default(), &ids).await.expect("a description");
    assert_eq!(own.iter().map(|i| (&i.id, i.ours)).collect::<Vec<_>>(), vec![(&made.id, true)]);
    assert_eq!(own[0].intent, Some(spec("one").intent), "the tags travel with the launch (L7)");
    let other: GroupName = "other".parse().expect("a name");
    let foreign = fleet.describe(&other, &ids).await.expect("a description");
    assert_eq!(foreign.iter().map(|i| (&i.id, i.ours)).collect::<Vec<_>>(), vec![(&made.id, false)]);
}

pub async fn a_launch_is_found_by_its_token<F: Fleet>(fleet: &F) {
    assert_eq!(fleet.find(&spec("one")).await.expect("an answer"), Found::Nothing);
    let made = fleet.launch(&spec("one"), 1).await.expect("a launch");
    assert_eq!(fleet.find(&spec("one")).await.expect("an answer"), Found::Running(made.clone()));
    fleet.terminate(&GroupName::default(), &made.id, &ending(), 1).await.expect("a termination");
    assert_eq!(fleet.find(&spec("one")).await.expect("an answer"), Found::Ended(made.id));
}
