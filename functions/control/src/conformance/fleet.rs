//! What every [`Fleet`] must do: what the port promises, and EC2 holds. Another zone with the same token is not among it: to EC2
//! that is another launch, and nobody here ever asks for it, since a token belongs to one spec.
#![expect(missing_docs, reason = "each case's name is its sentence")]

use std::collections::BTreeSet;

use futures_util::future::join;
use muster_core::group::{GroupName, Shard};
use muster_core::intent::{IntentId, LaunchSpec, Token};
use muster_core::member::InstanceId;

use crate::ports::{Fleet, FleetError, Found, Mark, Marks};

/// The template of every launch. A fleet that knows its templates knows this one, with one version.
const TEMPLATE: &str = "lt-0123456789abcdef0";
/// Another instance type than [`spec`]'s.
pub(super) const OTHER_TYPE: &str = "t3.large";

/// An id that no instance has.
pub(super) fn unknown() -> InstanceId {
    InstanceId::from("i-0123456789abcdef0")
}

pub(super) fn spec(token: &str) -> LaunchSpec {
    LaunchSpec {
        group: GroupName::default(),
        shard: Shard(0),
        zone: "us-east-1a".into(),
        instance_type: "t3.small".into(),
        template: TEMPLATE.into(),
        template_version: 1,
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

pub async fn a_token_launches_once_also_for_two_at_once<F: Fleet>(fleet: &F) {
    let (one, same) = (spec("one"), spec("one"));
    let (first, second) = join(fleet.launch(&one, 1), fleet.launch(&same, 1)).await;
    let made = fleet.launch(&spec("one"), 1).await.expect("what was launched");
    for answer in [first, second].into_iter().flatten() {
        assert_eq!(answer, made);
    }
    let listed = fleet.list(&GroupName::default()).await.expect("a listing");
    assert_eq!(listed.iter().map(|i| &i.id).collect::<Vec<_>>(), vec![&made.id]);
}

pub async fn a_launch_tells_where_the_agent_listens<F: Fleet>(fleet: &F) {
    let made = fleet.launch(&spec("one"), 1).await.expect("a launch");
    let address: Result<std::net::SocketAddr, _> = made.endpoint.parse();
    assert!(address.is_ok_and(|address| address.port() != 0), "{made:?}");
}

pub async fn a_token_with_other_parameters_is_refused<F: Fleet>(fleet: &F) {
    fleet.launch(&spec("one"), 1).await.expect("a launch");
    let other = LaunchSpec { instance_type: OTHER_TYPE.into(), ..spec("one") };
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
    fleet.terminate(&GroupName::default(), &unknown(), &ending(), 1).await.expect("it has ended");
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
    let ids = [made.id.clone(), unknown()];
    let own = fleet.describe(&GroupName::default(), &ids).await.expect("a description");
    assert_eq!(own.iter().map(|i| (&i.id, i.ours)).collect::<Vec<_>>(), vec![(&made.id, true)]);
    assert_eq!(own[0].intent, Some(spec("one").intent), "the tags travel with the launch (L7)");
    let other: GroupName = "other".parse().expect("a name");
    let foreign = fleet.describe(&other, &ids).await.expect("a description");
    assert_eq!(foreign.iter().map(|i| (&i.id, i.ours)).collect::<Vec<_>>(), vec![(&made.id, false)]);
}

pub async fn all_of_many_are_listed_and_described<F: Fleet>(fleet: &F) {
    let mut made = BTreeSet::new();
    for n in 0..12 {
        made.insert(fleet.launch(&spec(&format!("launch-{n}")), 1).await.expect("a launch").id);
    }
    assert_eq!(made.len(), 12);
    let listed = fleet.list(&GroupName::default()).await.expect("a listing");
    assert_eq!(listed.into_iter().map(|i| i.id).collect::<BTreeSet<_>>(), made);
    let ids: Vec<InstanceId> = made.iter().cloned().collect();
    let described = fleet.describe(&GroupName::default(), &ids).await.expect("a description");
    assert_eq!(described.into_iter().map(|i| i.id).collect::<BTreeSet<_>>(), made);
}

pub async fn of_nobody_nothing_is_described<F: Fleet>(fleet: &F) {
    fleet.launch(&spec("one"), 1).await.expect("a launch");
    assert_eq!(fleet.describe(&GroupName::default(), &[]).await.expect("a description"), Vec::new());
}

pub async fn a_template_has_a_default_version<F: Fleet>(fleet: &F) {
    assert_eq!(fleet.template_version(TEMPLATE).await.expect("a version"), 1);
}

pub async fn a_launch_is_found_by_its_token<F: Fleet>(fleet: &F) {
    assert_eq!(fleet.find(&spec("one")).await.expect("an answer"), Found::Nothing);
    let made = fleet.launch(&spec("one"), 1).await.expect("a launch");
    assert_eq!(fleet.find(&spec("one")).await.expect("an answer"), Found::Running(made.clone()));
    fleet.terminate(&GroupName::default(), &made.id, &ending(), 1).await.expect("a termination");
    assert_eq!(fleet.find(&spec("one")).await.expect("an answer"), Found::Ended(made.id));
}

/// What is listed of one instance: whether it is protected, and whether it is marked for draining.
async fn marks<F: Fleet>(fleet: &F, id: &InstanceId) -> (bool, bool) {
    let listed = fleet.list(&GroupName::default()).await.expect("a listing");
    let one = listed.iter().find(|instance| instance.id == *id).expect("it is listed");
    let described = fleet.describe(&GroupName::default(), std::slice::from_ref(id)).await.expect("a description");
    assert_eq!(described.iter().map(|i| (i.protected, i.drain)).collect::<Vec<_>>(), [(one.protected, one.drain)]);
    (one.protected, one.drain)
}

pub async fn a_mark_is_set_and_taken_off_by_itself<F: Fleet + Marks>(fleet: &F) {
    let group = GroupName::default();
    let made = fleet.launch(&spec("one"), 1).await.expect("a launch");
    let other = fleet.launch(&spec("two"), 1).await.expect("another launch");
    assert_eq!(marks(fleet, &made.id).await, (false, false), "a launch carries none");
    for (mark, on, so) in [
        (Mark::Drain, true, (false, true)),
        (Mark::Drain, true, (false, true)),
        (Mark::Protected, true, (true, true)),
        (Mark::Drain, false, (true, false)),
        (Mark::Drain, false, (true, false)),
        (Mark::Protected, false, (false, false)),
    ] {
        fleet.mark(&group, &made.id, mark, on).await.expect("a mark");
        assert_eq!(marks(fleet, &made.id).await, so, "{mark:?} {on}");
        assert_eq!(marks(fleet, &other.id).await, (false, false), "another's are its own");
    }
    let again = fleet.launch(&spec("one"), 1).await.expect("the same launch");
    assert_eq!(again, made, "a mark is no other instance");
}

pub async fn only_an_instance_of_the_group_is_marked<F: Fleet + Marks>(fleet: &F) {
    let other: GroupName = "other".parse().expect("a name");
    let made = fleet.launch(&spec("one"), 1).await.expect("a launch");
    for mark in [Mark::Protected, Mark::Drain] {
        for on in [true, false] {
            let foreign = fleet.mark(&other, &made.id, mark, on).await;
            assert!(matches!(foreign, Err(FleetError::Refused(_))), "{foreign:?}");
            let nobody = fleet.mark(&GroupName::default(), &unknown(), mark, on).await;
            assert!(matches!(nobody, Err(FleetError::Refused(_))), "{nobody:?}");
        }
        assert_eq!(marks(fleet, &made.id).await, (false, false), "a foreign instance is never touched (C1)");
    }
}
