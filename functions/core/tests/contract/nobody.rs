//! A group of none: min and max are 0, everybody goes, and nobody comes (Z5, Z7).

use crate::common::*;
use muster_core::group::{Place, Scarcity};
use muster_core::health::Health;
use muster_core::intent::Cause;
use muster_core::member::MemberState;
use muster_core::policy::{Limit, Mode, Policy};
use muster_core::report::Rule;
use muster_core::snapshot::Member;

/// A group that is to be empty, and may be so as fast as its members drain.
fn emptied(group: Group) -> Group {
    group.bounds(0, 0).with(|p| p.inward.limit = Limit { percent: 10_000, at_least: 10_000 })
}

#[test]
fn z7_a_group_of_none_is_valid_and_needs_no_signal() {
    let policy = Policy::parse(r#"{"min_instances": 0, "max_instances": 0}"#).expect("it is valid");
    assert!(policy.wants_nobody() && !Policy::default().wants_nobody());
    for text in [r#"{"max_instances": 0}"#, r#"{"min_instances": 1, "max_instances": 0}"#] {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.contains("to empty the group set both to 0"), "{error}");
    }
}

#[test]
fn z5_a_group_of_none_drains_everybody_at_once_whatever_its_load() {
    for loads in [[5.0; 4], [50.0; 4], [99.0; 4]] {
        let group = emptied(Group::of(&loads)).but(|s| {
            (s.head.scale_in_at, s.head.launch_accepted_at) = (Some(ago(1)), Some(ago(1)));
            s.head.remember_recommendation(ago(1), 9, seconds_of(300));
        });
        let decision = group.decide();
        assert_eq!(decision.verdict(), (0, Rule::Z5), "{loads:?}");
        assert_eq!(decision.drains(), ["i-1", "i-2", "i-3", "i-4"], "{loads:?}");
        assert_eq!(decision.report.headline, "Scale in 4 -> 0: max_instances is 0.");
        assert_eq!(decision.plan.head.scale_in_at, Some(ago(1)), "a bound starts no cooldown");
    }
    // Bounds need no sweep, and no sight.
    let stale = emptied(Group::example()).but(|s| s.sweep = None).decide();
    assert_eq!((stale.plan.head.desired, stale.drains().len()), (0, 4));
    let blind = emptied(Group::example()).but(|s| s.sweep.as_mut().unwrap().blind = Some("no route".into())).decide();
    assert_eq!((blind.verdict(), blind.drains().len()), ((0, Rule::Z5), 4));
}

#[test]
fn z5_in_a_group_of_none_pending_members_are_ended_and_untried_launches_taken_back() {
    let group = Group::of(&[50.0; 2]).and([pending("i-8", 10)]).but(|s| {
        s.intents = vec![open_launch("l-1", 0), open_launch("l-2", 1)];
    });
    let decision = emptied(group.desired(5)).decide();
    assert_eq!((decision.cancels(), decision.terminates()), (vec!["l-1"], vec![("i-8", Cause::Bounds)]));
    assert_eq!((decision.drains(), decision.launches()), (vec!["i-1", "i-2"], 0));
    // A launch that has been tried may run already: who comes of it goes when it is there.
    assert_eq!(decision.waits_text(Rule::F6), "launches are under way: who comes of them goes at once");
}

#[test]
fn z7_an_empty_group_of_none_is_decided_on_calmly() {
    let empty = emptied(Group::of(&[]));
    let quiet = |group: Group| {
        let decision = group.decide();
        assert!(decision.plan.steps.is_empty() && decision.report.waits.is_empty(), "{:#?}", decision.report);
        assert!(decision.report.remarks.iter().all(|said| said.rule == Rule::H2), "{:#?}", decision.report);
        assert_eq!(decision.verdict(), (0, Rule::Z7));
        assert_eq!(decision.report.headline, "No change at 0: nobody is wanted, and nobody is there: nothing to do.");
    };
    quiet(empty.clone());
    quiet(empty.clone().but(|s| s.sweep.as_mut().unwrap().blind = Some("the event loop stalled".into())));
    quiet(empty.clone().with(|p| (p.min_available_percent, p.max_unhealthy_percent) = (100, 1)));
    quiet(empty.clone().with(|p| p.launch.zones = vec!["a".into(), "b".into()]));
    // What is left on its way out is waited for, and nothing else.
    let last = empty.and([draining("i-9", 30, Cause::Bounds)]).decide();
    assert_eq!((last.verdict(), last.lets_go().len(), last.waits_for(Rule::D3)), ((0, Rule::Z7), 0, true));
    assert_eq!(last.report.headline, "No change at 0: nobody is wanted.");
}

#[test]
fn d2_protected_members_stay_in_a_group_of_none_and_the_report_says_so() {
    let said = |m: &mut Member| m.health.as_mut().unwrap().protected = true;
    let group = emptied(Group::of(&[50.0; 3]).whose("i-2", said));
    let decision = group.decide();
    assert_eq!((decision.plan.head.desired, decision.drains()), (0, vec!["i-1", "i-3"]));
    assert_eq!(decision.waits_text(Rule::D2), "of those that are left, 1 may not go: protected");
    // Alone it stays, too, and so it does when it is silent for long, has never answered, or drains no more.
    let alone = || emptied(Group::of(&[50.0; 1]).whose("i-1", said).desired(0));
    let silent = |m: &mut Member| m.health = Some(Health { protected: true, ..silent(600, 60) });
    let witnessed = emptied(Group::of(&[50.0; 2]).whose("i-1", silent).desired(0));
    for group in [alone(), alone().but(|s| s.sweep = None), witnessed] {
        let decision = group.decide();
        assert!(!decision.lets_go().contains(&"i-1") && decision.waits_for(Rule::D2), "{:#?}", decision.report);
        assert_eq!((decision.plan.head.desired, decision.launches()), (0, 0));
    }
    // Once nobody protects it any more it goes.
    let free = emptied(Group::of(&[50.0; 1]).desired(0)).decide();
    assert_eq!((free.verdict(), free.drains()), ((0, Rule::Z7), vec!["i-1"]));
}

#[test]
fn d3_a_group_of_none_drains_before_it_terminates() {
    let mut world = emptied(Group::example());
    let claimed = world.decide();
    world.snapshot = claim(&world.snapshot, &claimed.plan);
    assert_eq!((claimed.drains().len(), claimed.terminates().len()), (4, 0));
    sweep(&mut world.snapshot, seconds_of(10), 0.0);
    let drained = world.decide();
    assert_eq!(drained.terminates().len(), 4, "{:#?}", drained.report);
    world.snapshot = claim(&world.snapshot, &drained.plan);
    carry_out(&mut world.snapshot);
    sweep(&mut world.snapshot, seconds_of(10), 0.0);
    let closed = world.decide();
    assert_eq!(closed.closes().len(), 4);
    world.snapshot = claim(&world.snapshot, &closed.plan);
    sweep(&mut world.snapshot, seconds_of(10), 0.0);
    let done = world.decide();
    assert_eq!((done.verdict(), done.plan.steps.len()), ((0, Rule::Z7), 0));
    assert_eq!(done.report.headline, "No change at 0: nobody is wanted, and nobody is there: nothing to do.");
}

#[test]
fn s5_a_bound_waits_for_no_answer_and_a_deadline_ends_the_silent() {
    // Nobody answers: nobody is called unhealthy, so everybody is asked to drain, and goes when its time is up.
    let dark = || (1..=3).fold(Group::of(&[50.0; 3]), |group, n| group.whose(&format!("i-{n}"), |m| m.health = dead()));
    let decision = emptied(dark()).decide();
    assert_eq!((decision.drains().len(), decision.terminates().len()), (3, 0), "{:#?}", decision.report);
    let waited = |m: &mut Member| m.state = MemberState::Draining(leaving(600, Cause::Bounds));
    let later = (1..=3).fold(dark(), |group, n| group.whose(&format!("i-{n}"), waited));
    assert_eq!(emptied(later.desired(0)).decide().terminates().len(), 3);
}

#[test]
fn z7_in_a_group_of_none_nobody_is_replaced() {
    // An unhealthy member, with and without a replacement that is under way, and one that was terminated first.
    let silent = || Group::of(&[50.0; 2]).whose("i-1", |m| m.health = dead());
    let decision = emptied(silent()).decide();
    assert_eq!((decision.launches(), decision.terminates()), (0, vec![("i-1", Cause::Bounds)]));
    assert_eq!(decision.drains(), ["i-2"]);
    let paired = silent().and([Member { replaces: Some(id("i-1")), ..pending("i-3", 10) }]);
    let decision = emptied(paired).decide();
    assert_eq!(decision.terminates(), [("i-1", Cause::Bounds), ("i-3", Cause::Bounds)]);
    let mut open = open_replacement("l-1", "i-1");
    open.attempt = 0;
    let decision = emptied(silent().but(|s| s.intents = vec![open])).decide();
    assert_eq!((decision.cancels(), decision.terminates().len(), decision.launches()), (vec!["l-1"], 1, 0));
    let vacated = emptied(Group::of(&[50.0; 1]).and([terminating("i-9", 10, Cause::Unhealthy)])).decide();
    assert_eq!((vacated.drains(), vacated.launches()), (vec!["i-1"], 0));
}

#[test]
fn z7_an_emptied_group_comes_back_to_min_at_once() {
    let empty = emptied(Group::of(&[])).decide().plan.head;
    let back = Group::of(&[]).bounds(2, 5).but(|s| s.head = empty).but(|s| s.now = NOW.plus(seconds_of(1)));
    let decision = back.decide();
    assert_eq!((decision.verdict(), decision.launches_for(Cause::Bounds)), ((2, Rule::Z5), 2));
    // Before that, who still drains for the bound's sake is taken back.
    let drains = [draining("i-8", 30, Cause::Bounds), draining("i-9", 20, Cause::Bounds)];
    let decision = Group::of(&[]).and(drains).desired(0).bounds(2, 5).decide();
    assert_eq!((decision.takes_back().len(), decision.launches()), (2, 0));
}

#[test]
fn o1_a_mode_that_ends_nobody_empties_no_group() {
    let in_mode = |mode| emptied(Group::example()).with(|p| p.mode = mode).decide();
    let kept = in_mode(Mode::OutOnly);
    assert_eq!((kept.plan.head.desired, kept.lets_go().len(), kept.waits_for(Rule::O1)), (0, 0, true));
    for mode in [Mode::Observe, Mode::Paused] {
        assert_eq!((in_mode(mode).plan.head.desired, in_mode(mode).lets_go().len()), (4, 0), "{mode:?}");
    }
}

#[test]
fn l4_an_empty_group_waits_for_no_place() {
    // What a group has met before it was emptied is of no account while nobody is to be launched.
    let place = Place { zone: "a".into(), instance_type: String::new() };
    let scarce = Scarcity { place, failures: 3, until: NOW.plus(seconds_of(300)) };
    let group = emptied(Group::of(&[])).with(|p| p.launch.zones = vec!["a".into()]);
    let decision =
        group.but(|s| (s.head.capacity, s.head.templates) = (vec![scarce], vec![untemplated(3, false)])).decide();
    assert_eq!((decision.verdict(), decision.report.waits.len()), ((0, Rule::Z7), 0));
}
