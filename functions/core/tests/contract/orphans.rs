//! Chapter "Counting and ownership" of the contract, and V3 and O5: what EC2 lists that our records do not hold, and what
//! somebody has done outside.

use crate::common::*;
use muster_core::decide::{Decision, decide};
use muster_core::history::Sightings;
use muster_core::intent::{Call, Cause, IntentId};
use muster_core::member::InstanceId;
use muster_core::plan::{Departure, Step};
use muster_core::policy::Mode;
use muster_core::report::Rule;
use muster_core::snapshot::{FleetInstance, InstanceState, Snapshot};
use std::collections::BTreeMap;

/// An instance that we launched so many seconds ago.
fn ours(name: &str, launched_ago: Option<u64>) -> FleetInstance {
    FleetInstance {
        intent: Some(IntentId(format!("0-of-{name}"))),
        launched_at: launched_ago.map(ago),
        ..FleetInstance::plain(id(name), InstanceState::Running)
    }
}

/// EC2 lists them beside the four members.
fn beside(instances: impl IntoIterator<Item = FleetInstance>) -> Group {
    Group::example().but(|s| s.fleet.get_or_insert_default().extend(instances))
}

/// It was seen so often, for so many seconds.
fn seen(name: &'static str, first_ago: u64, count: u32) -> impl Fn(&mut Snapshot) {
    move |snapshot| {
        snapshot.head.orphans.insert(id(name), Sightings { first: ago(first_ago), count });
    }
}

/// An orphan beyond doubt.
fn orphan() -> Group {
    beside([ours("i-x", Some(3600))]).but(seen("i-x", 300, 5))
}

fn sightings(decision: &Decision) -> BTreeMap<InstanceId, Sightings> {
    decision.plan.head.orphans.clone()
}

#[test]
fn v3_an_orphan_is_swept_after_it_was_seen_twice_over_half_a_minute() {
    for (count, first, swept) in [(1, 30, true), (1, 29, false), (0, 3600, false), (9, 29, false), (9, 30, true)] {
        let decision = beside([ours("i-x", Some(3600))]).but(seen("i-x", first, count)).decide();
        assert_eq!(decision.sweeps().len(), usize::from(swept), "{count} times over {first} s");
        let left = sightings(&decision).get(&id("i-x")).map(|seen| (seen.count, seen.first));
        assert_eq!(left, (!swept).then_some((count + 1, ago(first))), "swept ones must be seen again");
        assert_eq!(decision.remarks_on(Rule::V3), swept);
    }
    let first = beside([ours("i-x", Some(3600))]).decide();
    assert_eq!(sightings(&first), [(id("i-x"), Sightings { first: NOW, count: 1 })].into());
    assert_eq!((first.plan.steps.len(), first.plan.head.orphan_swept_at), (0, None));
    // Not listed any more, or known by now: forgotten.
    assert!(sightings(&Group::example().but(seen("i-x", 300, 5)).decide()).is_empty());
    let known = orphan().but(|s| s.members.push(serving("i-x", 50.0))).desired(5).decide();
    assert_eq!((known.sweeps().len(), sightings(&known).len()), (0, 0));
    // EC2 not asked: nothing is concluded, nothing forgotten.
    let deaf = orphan().but(|s| s.fleet = None).decide();
    assert_eq!((deaf.sweeps().len(), sightings(&deaf).len()), (0, 1));
}

#[test]
fn v3_it_is_an_intent_like_any_other_and_counts_nowhere() {
    let decision = orphan().decide();
    let [Step::Sweep { id: swept, intent }] = &decision.plan.steps[..] else { panic!("{:?}", decision.plan.steps) };
    assert_eq!((swept, intent.cause, intent.attempt), (&id("i-x"), Cause::Orphan, 0));
    assert_eq!(intent.call, Call::Terminate { instance: id("i-x"), shard: Default::default() });
    assert_eq!(intent.id, IntentId::of_next_claim(&Group::example().snapshot.head, 0));
    let (head, counts) = (&decision.plan.head, decision.report.counts);
    assert_eq!((counts.actual, head.terminations.0.len(), head.orphan_swept_at), (4, 0, Some(NOW)));
    assert!(decision.report.headline.contains("Terminates i-x, an orphan."), "{}", decision.report.headline);
    assert_eq!(decision.report.actions, ["terminate i-x (orphan)"]);
    // While that is open it is not ended twice, and not even watched.
    let group = orphan();
    let mut next = claim(&group.snapshot, &decision.plan);
    next.now = NOW.plus(seconds_of(600));
    let again = decide(&next, &group.policy);
    assert_eq!((again.sweeps().len(), sightings(&again).len()), (0, 0));
}

#[test]
fn v3_only_what_is_older_than_any_launch_and_no_open_intent_names() {
    for (age, swept) in [(899, 0), (900, 1)] {
        let decision = beside([ours("i-x", Some(age))]).but(seen("i-x", 300, 5)).decide();
        assert_eq!(decision.sweeps().len(), swept, "{age} s old");
        assert_eq!(sightings(&decision).len(), 0, "the young are not even watched");
    }
    // One whose launch time EC2 does not tell is watched for as long.
    for (first, swept) in [(899, 0), (900, 1)] {
        let decision = beside([ours("i-x", None)]).but(seen("i-x", first, 5)).decide();
        assert_eq!(decision.sweeps().len(), swept, "watched for {first} s");
    }
    // The settlement of an open launch is still to come.
    let open = orphan().but(|s| s.intents = vec![open_launch("0-of-i-x", 1)]).desired(5).decide();
    assert_eq!((open.sweeps().len(), sightings(&open).len()), (0, 0));
    let other = orphan().but(|s| s.intents = vec![open_launch("0-of-i-y", 1)]).desired(5).decide();
    assert_eq!(other.sweeps(), ["i-x"]);
}

#[test]
fn v3_whatever_its_state_unless_it_is_gone() {
    for (state, swept) in [
        (InstanceState::Pending, 1),
        (InstanceState::Running, 1),
        (InstanceState::Stopping, 1),
        (InstanceState::Stopped, 1),
        (InstanceState::ShuttingDown, 0),
        (InstanceState::Terminated, 0),
    ] {
        let listed = FleetInstance { state, ..ours("i-x", Some(3600)) };
        let decision = beside([listed]).but(seen("i-x", 300, 5)).decide();
        assert_eq!(decision.sweeps().len(), swept, "{state:?}");
    }
}

#[test]
fn c1_what_we_did_not_launch_is_told_and_left_alone() {
    let foreign = |name| FleetInstance { intent: None, ..ours(name, Some(3600)) };
    let decision = beside([foreign("i-y"), foreign("i-x")]).but(seen("i-x", 3600, 99)).decide();
    assert!(decision.plan.is_empty());
    assert_eq!(sightings(&decision).len(), 0);
    let said = decision.remark_text(Rule::C1);
    assert_eq!(said, "i-x carries the group's tag and was not launched by Muster: left alone");
    // One that carries an intent's tag but not the group's is another group's, or nobody's.
    let stripped = FleetInstance { ours: false, ..ours("i-x", Some(3600)) };
    let decision = beside([stripped]).but(seen("i-x", 3600, 99)).decide();
    assert!(decision.plan.is_empty() && !decision.remarks_on(Rule::C1) && sightings(&decision).is_empty());
    let gone = FleetInstance { state: InstanceState::Terminated, ..foreign("i-x") };
    assert!(!beside([gone]).decide().remarks_on(Rule::C1));
}

/// So many orphans beyond doubt beside a group of `n`.
fn crowd(n: usize, orphans: usize) -> Group {
    let group = Group::of(&vec![50.0; n]).bounds(2, 200);
    let names: Vec<String> = (0..orphans).map(|k| format!("i-x{k:02}")).collect();
    group.but(|s| {
        s.fleet.get_or_insert_default().extend(names.iter().map(|name| ours(name, Some(3600))));
        s.head.orphans = names.iter().map(|name| (id(name), Sightings { first: ago(300), count: 5 })).collect();
    })
}

#[test]
fn v3_at_most_two_in_one_decision() {
    let decision = crowd(4, 2).decide();
    assert_eq!(decision.sweeps(), ["i-x00", "i-x01"]);
    assert_eq!(crowd(20, 4).decide().sweeps(), ["i-x00", "i-x01"], "a fifth of twenty is not many");
}

#[test]
fn v3_when_many_look_orphaned_one_goes_in_five_minutes_and_an_alarm_is_raised() {
    for (n, orphans) in [(4, 3), (20, 5), (14, 3), (0, 3)] {
        let decision = crowd(n, orphans).decide();
        assert_eq!(decision.sweeps(), ["i-x00"], "{orphans} beside {n}");
        assert!(decision.remark_text(Rule::V3).starts_with(&format!("{orphans} instances look orphaned")));
    }
    for (since, swept) in [(299, 0), (300, 1)] {
        let decision = crowd(4, 3).but(|s| s.head.orphan_swept_at = Some(ago(since))).decide();
        assert_eq!((decision.sweeps().len(), decision.waits_for(Rule::V3)), (swept, swept == 0), "{since} s after");
        assert!(decision.remarks_on(Rule::V3), "the alarm stays");
        assert_eq!(decision.plan.head.orphan_swept_at, Some(if swept == 0 { ago(since) } else { NOW }));
    }
    // Those that are watched still are among the many, too; few wait for no interval.
    let watched = crowd(4, 3).but(|s| s.head.orphans.retain(|name, _| name.0 == "i-x01")).decide();
    assert_eq!((watched.sweeps(), watched.remarks_on(Rule::V3)), (vec!["i-x01"], true));
    for (since, swept) in [(9, 0), (10, 2)] {
        let few = crowd(4, 2).but(|s| s.head.orphan_swept_at = Some(ago(since))).decide();
        assert_eq!(few.sweeps().len(), swept, "{since} s after: the rounds of one doorbell are one sweep's");
    }
    // HEAD stays small.
    assert_eq!(sightings(&crowd(4, 150).decide()).len(), 99, "a hundred, and one of them is swept");
}

#[test]
fn v3_however_many_all_are_gone_in_the_end() {
    let mut group = crowd(4, 6);
    let mut swept = Vec::new();
    for _ in 0..(30 * 6) {
        let plan = group.decide().plan;
        swept.extend(
            plan.steps.iter().filter_map(|s| if let Step::Sweep { id, .. } = s { Some(id.clone()) } else { None }),
        );
        group.snapshot = claim(&group.snapshot, &plan);
        carry_out(&mut group.snapshot);
        sweep(&mut group.snapshot, seconds_of(10), 200.0);
    }
    assert_eq!(swept.len(), 6, "each once, within half an hour: {swept:?}");
}

#[test]
fn o1_v3_where_nothing_may_be_ended_nothing_is_swept() {
    let mode = |mode| orphan().with(|p| p.mode = mode).decide();
    for of in [Mode::OutOnly, Mode::Observe] {
        let decision = mode(of);
        assert_eq!(
            (decision.plan.is_empty(), &decision.report.withheld[..]),
            (true, &["terminate i-x (orphan)".into()][..])
        );
        assert_eq!(decision.plan.head.orphan_swept_at, None, "{of:?}");
    }
    let paused = mode(Mode::Paused);
    assert!(paused.plan.is_empty() && paused.report.withheld.is_empty());
    // What observe sees it remembers, or it could never say what it would do.
    let first = beside([ours("i-x", Some(3600))]).with(|p| p.mode = Mode::Observe).decide();
    assert_eq!(sightings(&first).len(), 1);
}

#[test]
fn o5_a_stopped_instance_is_terminated_and_replaced() {
    for state in [InstanceState::Stopping, InstanceState::Stopped] {
        let decision = Group::example().ec2_says("i-2", state).decide();
        assert_eq!((decision.terminates(), decision.launches()), (vec![("i-2", Cause::Stopped)], 1), "{state:?}");
        assert!(decision.remarks_on(Rule::O5) && decision.report.headline.contains("i-2, which somebody stopped"));
        assert_eq!((decision.plan.head.desired, decision.plan.head.scale_in_at), (4, None));
        assert_eq!(decision.plan.head.terminations.0.iter().map(|entry| entry.count).sum::<u32>(), 1);
    }
    // It needs no sweep, only EC2's word; and whoever is under way goes, too.
    let stale = Group::example().ec2_says("i-2", InstanceState::Stopped).but(|s| s.sweep = None).decide();
    assert_eq!(stale.terminates(), [("i-2", Cause::Stopped)]);
    let others = [pending("i-8", 5), draining("i-9", 5, Cause::Load), terminating("i-7", 5, Cause::Load)];
    let group = others.iter().map(|member| member.id.0.clone()).collect::<Vec<_>>();
    let group = group.iter().fold(Group::example().and(others), |g, name| g.ec2_says(name, InstanceState::Stopped));
    let decision = group.desired(5).decide();
    assert_eq!(decision.terminates(), [("i-8", Cause::Stopped), ("i-9", Cause::Stopped)], "one is ended already");
    assert_eq!(boot_failures(&decision.plan.head), 0, "somebody stopped it: no boot has failed");
}

#[test]
fn o5_terminating_the_stopped_is_paced() {
    let full = |s: &mut Snapshot| s.head.terminations.record(ago(5), 9, 4, seconds_of(300));
    let member = Group::example().ec2_says("i-2", InstanceState::Stopped).but(full).decide();
    assert_eq!((member.lets_go().len(), member.waits_for(Rule::F8)), (0, true));
    let counted = Group::example().and([draining("i-9", 5, Cause::Load)]).ec2_says("i-9", InstanceState::Stopped);
    assert_eq!(counted.but(full).decide().terminates().len(), 1, "its drain was counted already");
}

#[test]
fn o5_who_loses_our_tag_is_disowned_and_replaced_and_the_instance_left_alone() {
    let disown = |name: &'static str| {
        move |s: &mut Snapshot| {
            let fleet = s.fleet.as_mut().unwrap().iter_mut();
            fleet.filter(|listed| listed.id.0 == name).for_each(|listed| listed.ours = false);
        }
    };
    let decision = Group::example().but(disown("i-2")).decide();
    assert_eq!((decision.closes(), decision.launches_for(Cause::Lost)), (vec![("i-2", Departure::Disowned)], 1));
    assert_eq!((decision.lets_go().len(), decision.sweeps().len()), (0, 0));
    assert!(decision.remarks_on(Rule::O5) && decision.report.headline.contains("i-2 is disowned."));
    assert_eq!(decision.report.counts.actual, 3);
    // In any state, and whatever its health; EC2's word that it is gone says more.
    let others = [draining("i-8", 600, Cause::Load), terminating("i-9", 600, Cause::Load)];
    let group = Group::example().and(others).whose("i-1", |m| m.health = dead());
    let group = group.but(disown("i-1")).but(disown("i-8")).but(disown("i-9"));
    let closed = ["i-1", "i-8", "i-9"].map(|name| (name, Departure::Disowned));
    assert_eq!((group.decide().closes(), group.decide().lets_go().len()), (closed.to_vec(), 0));
    let gone = Group::example().ec2_says("i-2", InstanceState::Terminated).but(disown("i-2")).decide();
    assert_eq!(gone.closes(), [("i-2", Departure::Lost)]);
    let stopped = Group::example().ec2_says("i-2", InstanceState::Stopped).but(disown("i-2")).decide();
    assert_eq!((stopped.closes(), stopped.lets_go().len()), (vec![("i-2", Departure::Disowned)], 0));
    // It is written down in every mode.
    for mode in [Mode::OutOnly, Mode::Observe, Mode::Paused] {
        let decision = Group::example().but(disown("i-2")).with(|p| p.mode = mode).decide();
        assert_eq!(decision.closes(), [("i-2", Departure::Disowned)], "{mode:?}");
    }
    let forgotten = Group::example().but(disown("i-2")).but(|s| {
        s.head.not_found.insert(id("i-2"), Sightings { first: ago(5), count: 1 });
    });
    assert!(forgotten.decide().plan.head.not_found.is_empty());
}

#[test]
fn o5_who_was_launched_a_moment_ago_may_be_shown_without_tags() {
    let untagged = |s: &mut Snapshot| {
        let fleet = s.fleet.as_mut().unwrap().iter_mut();
        fleet.filter(|listed| listed.id.0 == "i-2").for_each(|listed| listed.ours = false);
    };
    for (age, closes) in [(0, 0), (59, 0), (60, 1)] {
        let launched = move |m: &mut muster_core::snapshot::Member| m.launched_at = ago(age);
        let decision = Group::example().whose("i-2", launched).but(untagged).decide();
        assert_eq!((decision.closes().len(), decision.launches_for(Cause::Lost)), (closes, closes), "{age} s old");
    }
}
