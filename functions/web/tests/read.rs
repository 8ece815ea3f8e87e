//! The read model over a world that is swept and decided on.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use muster_control::memory::Scripted;
use muster_control::ports::{ActivityLog, Claim, GroupStore, HealthStore, Rejections};
use muster_core::group::{Head, LaunchRefusal, Place, Scarcity, TemplateRecord};
use muster_core::member::{InstanceId, Phase};
use muster_core::time::Timestamp;
use muster_web::read::activity::{ActivityKind, AskedActivity, activity};
use muster_web::read::faults::{Attention, FaultKind};
use muster_web::read::load::{MarkKind, load};
use muster_web::read::members::{AskedMembers, MemberLine, member, member_loads, members};
use muster_web::read::sampling::Asked;
use muster_web::read::{ReadError, decisions, groups, now, policy as policies};
use serde_json::json;
use world::{World, group, policy};

/// Changes HEAD as a claim would.
async fn change(world: &World, change: impl FnOnce(&mut Head)) {
    let store = &world.controller.store;
    let mut head = store.head(&group()).await.expect("a read").expect("a HEAD");
    let expected = Some(head.version);
    head.version += 1;
    change(&mut head);
    store.claim(&Claim { expected, head, ..Claim::default() }).await.expect("a claim");
}

#[tokio::test]
async fn a_calm_group_is_fine_and_says_the_same_twice() {
    let world = World::grown(json!({})).await;
    let stand = world.stand().await;
    let first = now::now(&stand, &group()).await.expect("a group");
    assert_eq!((first.attention, first.why.as_deref()), (Attention::Fine, None));
    assert_eq!((first.desired, first.counts.expect("counted").in_service, first.faults.len()), (2, 2, 0));
    let sweep = first.sweep.as_ref().expect("swept");
    assert_eq!((sweep.members, sweep.answered, sweep.mean, sweep.p90), (2, 2, Some(50.0), Some(50.0)));
    world.pass(Duration::from_secs(3));
    assert_eq!(now::now(&stand, &group()).await.expect("a group"), first, "nothing in it is an age");
    let line = &groups::groups(&stand).await.expect("groups").groups[0];
    assert_eq!((line.actual, line.serving, line.min, line.max), (2, 2, Some(2), Some(5)));
    assert_eq!(line.headline, first.decision.map(|decision| decision.report.headline));
    assert!(matches!(now::now(&stand, &"web".parse().expect("a name")).await, Err(ReadError::NotFound(_))));
}

#[tokio::test]
async fn a_group_that_cannot_be_read_does_not_hide_the_others() {
    let world = World::grown(json!({})).await;
    let head = Head { group: "web".parse().expect("a name"), version: 1, ..Head::default() };
    let claim = Claim { expected: None, head, ..Claim::default() };
    world.controller.store.claim(&claim).await.expect("another group");
    let file = rusqlite::Connection::open(world.file()).expect("the store's file");
    file.execute("UPDATE heads SET doc = '{\"version\": \"<many>\"}' WHERE grp = 'web'", []).expect("a foreign hand");
    let all = groups::groups(&world.stand().await).await.expect("groups");
    assert_eq!(all.groups.iter().map(|line| line.group.clone()).collect::<Vec<_>>(), [group().to_string()]);
    let [unreadable] = &all.unreadable[..] else { panic!("{:?}", all.unreadable) };
    assert_eq!(unreadable.group, "web");
    assert!(unreadable.why.contains("<many>"), "{}", unreadable.why);
}

#[tokio::test]
async fn what_waits_to_be_decided_on_is_counted_and_so_is_what_was_turned_away() {
    let world = World::grown(json!({})).await;
    let stand = world.stand().await;
    let queue = async || now::now(&stand, &group()).await.expect("a group").queue;
    let before = queue().await;
    assert_eq!((before.sweeps, before.calls, before.rejected), (0, 0, None));
    for waiting in 1..=3 {
        world.pass(Duration::from_secs(10));
        world.sweep().await;
        assert_eq!(queue().await.sweeps, waiting);
    }
    world.controller.store.reject(2, "2 unreadable", Timestamp::from_millis(world.now())).await.expect("a count");
    let rejected = queue().await.rejected.expect("a count");
    assert_eq!((rejected.records, rejected.last_at, rejected.reason.as_str()), (2, world.now(), "2 unreadable"));
    world.step().await;
    assert_eq!(queue().await.sweeps, 0, "a decision is on the newest, and nobody waits any more");
    let file = rusqlite::Connection::open(world.file()).expect("the file");
    file.execute("UPDATE rejected SET records = -1", []).expect("a foreign hand");
    assert_eq!(queue().await.rejected, None, "a count that cannot be read hides no group");
}

#[tokio::test]
async fn attention_has_its_reason_in_words() {
    let why = async |world: &World| {
        let now = now::now(&world.stand().await, &group()).await.expect("a group");
        (now.attention, now.why.unwrap_or_default())
    };
    let world = World::grown(json!({"min_instances": 4, "max_instances": 6})).await;
    let ids = world.members().await;
    world.probe.script(&ids[0], Scripted::Silent);
    world.step().await;
    assert_eq!(why(&world).await, (Attention::Look, "1 agent silent".into()));
    for id in &ids[1..] {
        world.probe.script(id, Scripted::Load(1.0));
    }
    world.step().await;
    assert_eq!(why(&world).await.1, "1 agent silent: data too thin to scale in");
    world.pass(Duration::from_secs(250));
    assert_eq!(why(&world).await, (Attention::Bad, "no sweep for 4 min".into()));
    let world = World::grown(json!({"max_instances": 2})).await;
    world.steps(1, 99.0).await;
    assert_eq!(why(&world).await, (Attention::Look, "at max: the load asks for 4, max_instances is 2".into()));
    world.edit(Some("{"));
    world.step().await;
    let (attention, text) = why(&world).await;
    assert!(attention == Attention::Look && text.starts_with("the newest edit of the policy is refused: "), "{text}");
    let world = World::grown(json!({"mode": "observe"})).await;
    assert_eq!(why(&world).await, (Attention::Look, "observes only: what it decides is not done".into()));
}

#[tokio::test]
async fn faults_of_the_loop_are_told_the_worst_first() {
    let world = World::grown(json!({})).await;
    let at = Timestamp::from_millis(world.now() + 60_000);
    change(&world, |head| {
        head.capacity = vec![Scarcity {
            place: Place { zone: "a".into(), instance_type: "t3.small".into() },
            failures: 1,
            until: at,
        }];
        head.launch_refusal =
            Some(LaunchRefusal { reason: "UnauthorizedOperation".into(), failures: 3, until: at, policy: head.policy });
        head.templates = vec![TemplateRecord {
            template: "lt-1".into(),
            version: 4,
            proven: false,
            failures: 3,
            policy: head.policy,
        }];
    })
    .await;
    let now = now::now(&world.stand().await, &group()).await.expect("a group");
    let told: Vec<_> = now.faults.iter().map(|fault| (fault.what, fault.text.as_str())).collect();
    assert_eq!(
        told,
        [
            (FaultKind::LaunchRefused, "EC2 refuses launches: UnauthorizedOperation (3 refusals in a row)"),
            (
                FaultKind::TemplateQuarantined,
                "3 launches in a row from lt-1 version 4 never answered: nothing more is launched from it until the policy is edited"
            ),
            (FaultKind::NoCapacity, "EC2 has no capacity: t3.small in a"),
        ]
    );
    assert_eq!(now.attention, Attention::Bad);
    change(&world, |head| head.templates[0].policy = None).await;
    let now = now::now(&world.stand().await, &group()).await.expect("a group");
    assert!(!now.faults.iter().any(|fault| fault.what == FaultKind::TemplateQuarantined), "an edit has cleared it");
}

#[tokio::test]
async fn a_wait_says_when_it_ends() {
    let world =
        World::grown(json!({"cooldown_out": "120s", "scaling": {"kind": "target", "target": 50, "tolerance": 0.1}}))
            .await;
    world.steps(1, 70.0).await;
    world.steps(4, 90.0).await;
    let now = now::now(&world.stand().await, &group()).await.expect("a group");
    let head = world.controller.store.head(&group()).await.expect("a read").expect("a HEAD");
    let cooled = head.launch_accepted_at.expect("launched").plus(Duration::from_secs(120)).as_millis();
    let waits: Vec<_> = now.waits_until.iter().map(|wait| (wait.rule.to_string(), wait.until)).collect();
    assert!(waits.contains(&("F2".into(), Some(cooled))), "{waits:?}");
}

#[tokio::test]
async fn members_have_their_phase_load_and_loads_of_late() {
    let world = World::grown(json!({})).await;
    world.steps(5, 60.0).await;
    world.steps(2, 80.0).await;
    let stand = world.stand().await;
    let found = members(&stand, &group(), AskedMembers::default()).await.expect("members").members;
    let first = &found[0];
    assert_eq!((first.phase, first.load, first.hot, first.protected), (Phase::InService, Some(80.0), true, false));
    assert_eq!(first.spark.iter().rev().take(3).collect::<Vec<_>>(), [&Some(80.0), &Some(80.0), &Some(60.0)]);
    assert!(first.spark.len() <= 30 && first.spark.len() >= 9, "{:?}", first.spark);
    // The phases are those that the decision counted.
    let counts = now::now(&stand, &group()).await.expect("a group").counts.expect("counted");
    let of = |phase| found.iter().filter(|member| member.phase == phase).count() as u32;
    assert_eq!(
        [of(Phase::InService), of(Phase::Suspect), of(Phase::Warming), of(Phase::Draining)],
        [counts.in_service, counts.suspect, counts.warming, counts.draining]
    );
    let loads = member_loads(&stand, &group(), Asked::default(), None).await.expect("loads");
    assert!(loads.members.values().all(|line| line.len() == loads.at.len()) && loads.at.is_sorted());
    assert_eq!(loads.members[&first.id].last(), Some(&Some(80.0)));
    // One of them alone is the same as among all.
    let alone = member(&stand, &group(), &InstanceId(first.id.clone())).await.expect("a member");
    assert_eq!(MemberLine { spark: first.spark.clone(), ..alone }, *first);
    let id = InstanceId(first.id.clone());
    let own = member_loads(&stand, &group(), Asked::default(), Some(&id)).await.expect("loads");
    assert_eq!((own.at, own.members.len(), &own.members[&first.id]), (loads.at, 1, &loads.members[&first.id]));
    let nobody = member(&stand, &group(), &InstanceId("i-nobody".into())).await;
    assert!(matches!(nobody, Err(ReadError::NotFound(what)) if what.contains("i-nobody")));
    // A page has the loads of late of those that are on it.
    let page = AskedMembers { page: 1, limit: Some(1), ..AskedMembers::default() };
    let page = members(&stand, &group(), page).await.expect("a page");
    assert_eq!(
        (page.members.len(), &page.members[0], page.matching),
        (1, &found[1], u32::try_from(found.len()).expect("few"))
    );
}

#[tokio::test]
async fn load_and_size_are_told_with_what_was_decided() {
    let world = World::grown(json!({})).await;
    world.steps(3, 95.0).await;
    world.steps(2, 50.0).await;
    let stand = world.stand().await;
    let half_an_hour = Timestamp::from_millis(world.now() - 1_800_000);
    let every = Asked { from: Some(half_an_hour), points: Some(720), ..Asked::default() };
    let told = load(&stand, &group(), every).await.expect("a load");
    assert_eq!(told.step_ms % 10_000, 0, "a part begins with a slot");
    assert!(told.points.len() >= 8 && told.points.iter().map(|point| point.at).is_sorted());
    assert!(told.points.iter().any(|point| point.mean == Some(95.0) && point.answered >= 2));
    let out = told.marks.iter().find(|mark| mark.kind == MarkKind::Out).expect("a scale-out");
    assert_eq!((out.before, out.after), (2, 4));
    assert!(told.sizes.iter().any(|size| size.desired == 2) && told.sizes.last().is_some_and(|size| size.desired >= 4));
    assert!(
        decisions::decision(&stand, &group(), &out.id).await.expect("found again").decision.report.desired.after == 4
    );
    let last = told.points.last().expect("a point").at;
    let since = Asked { since: Some(Timestamp::from_millis(last)), ..every };
    assert_eq!(load(&stand, &group(), since).await.expect("a load").points, [], "nothing is told twice");
    world.steps(3, 40.0).await;
    let more = load(&stand, &group(), since).await.expect("a load").points;
    assert!(!more.is_empty() && more.iter().all(|point| point.at > last && point.mean == Some(40.0)), "{more:?}");
}

#[tokio::test]
async fn activities_are_read_page_by_page_and_none_is_lost() {
    let world = World::grown(json!({})).await;
    for load in [95.0, 10.0, 95.0, 50.0] {
        world.steps(4, load).await;
    }
    let stand = world.stand().await;
    let all = world.controller.store.since(&group(), Timestamp::EPOCH, usize::MAX).await.expect("a read");
    for limit in [1, 3, 7, 200] {
        let (mut found, mut until) = (Vec::new(), None);
        loop {
            let asked = AskedActivity { until, limit: Some(limit), ..AskedActivity::default() };
            let page = activity(&stand, &group(), &asked).await.expect("a page");
            assert!(page.items.iter().map(|item| item.since).rev().is_sorted());
            found.extend(page.items.into_iter().map(|item| item.id));
            match page.next_until {
                Some(next) => until = Some(Timestamp::from_millis(next)),
                None => break,
            }
        }
        assert_eq!(found.len(), all.len(), "pages of {limit}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
    let kinds = BTreeSet::from([ActivityKind::Launched]);
    let launched =
        activity(&stand, &group(), &AskedActivity { kinds, ..AskedActivity::default() }).await.expect("a page").items;
    assert!(
        !launched.is_empty()
            && launched.iter().all(|item| item.kind == ActivityKind::Launched && item.instance.is_some())
    );
    assert!(launched.iter().any(|item| item.decision.is_some()), "a launch names the decision that it follows from");
}

#[tokio::test]
async fn a_decision_is_found_by_its_id_and_by_its_time() {
    let world = World::grown(json!({})).await;
    let calm = world.now();
    world.steps(1, 95.0).await;
    let stand = world.stand().await;
    let last = decisions::explain(&stand, &group(), None).await.expect("a decision");
    assert_eq!(decisions::decision(&stand, &group(), &last.decision.id).await.expect("the same"), last);
    let then = decisions::explain(&stand, &group(), Some(Timestamp::from_millis(calm))).await.expect("a decision");
    assert!(then.decision.at <= calm && then.decision.id != last.decision.id);
    for id in ["", "x", "1~", "~", "1~x", "99999999999999999999~x", "1~0000000001-decision"] {
        assert!(matches!(decisions::decision(&stand, &group(), id).await, Err(ReadError::NotFound(_))), "{id}");
    }
    let before_all = decisions::explain(&stand, &group(), Some(Timestamp::EPOCH)).await;
    assert!(matches!(before_all, Err(ReadError::NotFound(_))));
}

#[tokio::test]
async fn a_policys_history_tells_what_changed() {
    let world = World::grown(json!({})).await;
    for max in [6, 7] {
        world.edit(Some(&policy(json!({"max_instances": max}))));
        world.step().await;
    }
    world.edit(Some("{\"max_instances\": true}"));
    world.step().await;
    let stand = world.stand().await;
    let told = policies::history(&stand, &group()).await.expect("a history");
    let versions: Vec<u64> = told.versions.iter().map(|version| version.version.0).collect();
    assert_eq!(versions, [3, 2, 1]);
    let changes = &told.versions[0].changes;
    assert_eq!(
        (changes.len(), changes[0].key.as_str(), &changes[0].before, &changes[0].after),
        (1, "max_instances", &json!(6), &json!(7))
    );
    assert_eq!((told.versions[2].changes.len(), told.refusals.len()), (0, 1));
    let view = policies::policy(&stand, &group()).await.expect("a policy");
    assert!(!view.valid && view.document.is_none() && view.problems.len() == 1);
    assert_eq!(view.in_force.expect("the last good one").version.0, 3);
    assert_eq!(view.notice.as_deref(), Some("the text is not valid; version 3 stays in force"));
}

#[tokio::test]
async fn a_group_without_sweeps_is_told_without_inventing_any() {
    let world = World::new(json!({}));
    let stand = world.stand().await;
    assert_eq!(groups::groups(&stand).await.expect("groups").groups, []);
    muster_control::reconcile::reconcile(&world.controller, &group(), 0.5).await.expect("a decision");
    assert_eq!(stand.store.latest(&group(), muster_core::group::Shard(0)).await.expect("a read"), None);
    let told = now::now(&stand, &group()).await.expect("a group");
    assert_eq!((told.sweep, told.attention), (None, Attention::Fine), "it is too young to miss one");
    assert!(load(&stand, &group(), Asked::default()).await.expect("a load").points.is_empty());
    assert!(
        members(&stand, &group(), AskedMembers::default())
            .await
            .expect("members")
            .members
            .iter()
            .all(|member| member.spark.is_empty())
    );
    world.pass(Duration::from_secs(120));
    let told = now::now(&stand, &group()).await.expect("a group");
    assert_eq!((told.attention, told.why.as_deref()), (Attention::Bad, Some("there has been no sweep yet")));
}
