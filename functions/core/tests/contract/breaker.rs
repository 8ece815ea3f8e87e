//! Chapter "Health" of the contract: the breaker of H3, and H4 with its width.

use crate::common::*;
use muster_core::decide::{Decision, decide};
use muster_core::group::Breaker;
use muster_core::intent::Cause;
use muster_core::policy::Limit;
use muster_core::report::Rule;
use muster_core::snapshot::{FleetInstance, InstanceState, Member, Snapshot};
use std::time::Duration;

/// Twenty at 50 %, of which the first eight are dead: the breaker is open, and only its width limits.
fn many_dead() -> Group {
    let group = Group::of(&[50.0; 20]).bounds(2, 60).with(|p| p.max_replacing = Limit { percent: 100, at_least: 1 });
    (1..=8).fold(group, |group, n| group.whose(&format!("i-{n}"), |m| m.health = dead()))
}

/// A breaker of this width, whose interval began so many seconds ago with so many replacements.
fn open(width: u32, since: u64, begun: u32) -> Breaker {
    Breaker { since: ago(600), width, begun: (ago(since), begun) }
}

/// A launched replacement of `old`, which EC2 accepted so many seconds ago.
fn replacement(name: &str, old: &str, launched_ago: u64) -> Member {
    Member { replaces: Some(id(old)), ..pending(name, launched_ago) }
}

fn width(decision: &Decision) -> Option<u32> {
    decision.plan.head.breaker.as_ref().map(|breaker| breaker.width)
}

#[test]
fn h3_the_breaker_opens_with_a_width_of_one_and_closes_with_the_silence() {
    let opened = many_dead().decide();
    assert_eq!(opened.plan.head.breaker, Some(Breaker { since: NOW, width: 1, begun: (NOW, 1) }));
    assert_eq!((opened.launches_for(Cause::Unhealthy), opened.remarks_on(Rule::H3)), (1, true));
    assert!(opened.waits_text(Rule::H3).ends_with("1 at a time"), "{:?}", opened.report.waits);
    // It stays what it was while it is open, and is forgotten when it closes.
    let held = many_dead().but(|s| s.head.breaker = Some(open(4, 10, 0))).decide();
    assert_eq!(held.plan.head.breaker, Some(Breaker { begun: (NOW, 4), ..open(4, 10, 0) }));
    let closed = Group::example().but(|s| s.head.breaker = Some(open(4, 10, 4))).decide();
    assert_eq!((closed.plan.head.breaker.as_ref(), closed.remarks_on(Rule::H3)), (None, false));
}

#[test]
fn h3_the_width_is_what_may_begin_in_an_interval() {
    for (width, since, begun, launched) in
        [(1, 0, 1, 0), (1, 59, 1, 0), (1, 60, 1, 1), (4, 59, 3, 1), (4, 59, 4, 0), (4, 60, 4, 4), (2, 30, 0, 2)]
    {
        let decision = many_dead().but(|s| s.head.breaker = Some(open(width, since, begun))).decide();
        assert_eq!(decision.launches_for(Cause::Unhealthy), launched, "{begun} of {width} begun {since} s ago");
        assert!(decision.waits_for(Rule::H3));
    }
    // One that is yet to come was written by a clock that was ahead: it holds nobody up.
    let ahead = Breaker { begun: (NOW.plus(seconds_of(600)), 1), ..open(1, 0, 1) };
    let decision = many_dead().but(|s| s.head.breaker = Some(ahead)).decide();
    assert_eq!(decision.plan.head.breaker.map(|breaker| breaker.begun), Some((NOW, 1)));
    // The interval is counted from the first that begins in it, not from when the breaker opened.
    let late = many_dead().but(|s| s.head.breaker = Some(open(1, 59, 0))).decide();
    assert_eq!(late.plan.head.breaker.map(|breaker| breaker.begun), Some((NOW, 1)));
    let said = many_dead().but(|s| s.head.breaker = Some(open(1, 50, 1))).decide();
    assert!(said.waits_text(Rule::H3).ends_with("1 in 1 m, 10 s left"), "{:?}", said.report.waits);
}

#[test]
fn h3_the_width_is_also_what_may_be_under_way_at_a_time() {
    let busy = |width: u32| {
        let group = many_dead().and([replacement("i-x", "i-1", 5)]);
        group.but(|s| {
            s.intents = vec![open_replacement("l-1", "i-2")];
            s.head.breaker = Some(open(width, 100, 0));
            s.head.templates = vec![untemplated(0, true)];
        })
    };
    for (width, launched) in [(1, 0), (2, 0), (3, 1), (8, 6)] {
        assert_eq!(busy(width).decide().launches_for(Cause::Unhealthy), launched, "width {width}");
    }
}

#[test]
fn h3_the_width_doubles_when_a_replacement_answers_and_falls_when_one_fails() {
    let group = |width| many_dead().but(|s| s.head.breaker = Some(open(width, 10, 64)));
    let healthy = |m: &mut Member| m.health = Some(answering(50.0));
    let answered = |width| group(width).and([replacement("i-x", "i-1", 50)]).whose("i-x", healthy);
    for (before, after) in [(1, 2), (8, 16), (64, 64)] {
        assert_eq!(width(&answered(before).decide()), Some(after));
    }
    let two = answered(2).and([replacement("i-y", "i-2", 50)]).whose("i-y", healthy);
    assert_eq!(width(&two.decide()), Some(8), "each one doubles it");
    // Who was launched for no one's sake proves nothing.
    let other = group(4).and([pending("i-x", 50)]).whose("i-x", healthy);
    assert_eq!(width(&other.decide()), Some(4));
    // One that never answers in time, or is gone before, is a failure, also of a version that is proven.
    let late = group(8).and([replacement("i-x", "i-1", 601)]).decide();
    assert_eq!((late.terminates(), width(&late)), (vec![("i-x", Cause::BootTimeout)], Some(1)));
    let gone = group(8).and([replacement("i-x", "i-1", 50)]).ec2_says("i-x", InstanceState::Terminated).decide();
    assert_eq!(width(&gone), Some(1));
    let older = group(8).and([replacement("i-x", "i-1", 50)]).whose("i-x", |m| m.state = serving("", 0.0).state);
    let older = older.whose("i-x", |m| m.first_answer = Some(ago(20))).ec2_says("i-x", InstanceState::Terminated);
    assert_eq!(width(&older.decide()), Some(8), "it has answered once");
}

#[test]
fn h3_what_a_replacement_proves_counts_on_every_sweep() {
    let group = many_dead().but(|s| s.head.breaker = Some(open(2, 10, 64))).and([replacement("i-x", "i-1", 50)]);
    let group = group.whose("i-x", |m| m.health = Some(answering(50.0)));
    let decided = group.clone().but(|s| s.head.last_slot = s.sweep.as_ref().map(|sweep| sweep.slot));
    assert_eq!(width(&decided.decide()), Some(4));
    let lost = group.ec2_says("i-x", InstanceState::Terminated).but(|s| s.sweep.as_mut().unwrap().slot = ago(600));
    assert_eq!(width(&lost.decide()), Some(2), "it had answered, in a sweep that was too old to say so");
}

/// Twelve in two zones, six each; the first three of zone a are dead, which is a quarter of the group.
fn zone_dead() -> Group {
    let mut group =
        Group::of(&[50.0; 12]).bounds(2, 40).with(|p| p.max_replacing = Limit { percent: 100, at_least: 1 });
    group = group.with(|p| p.launch.zones = vec!["a".into(), "b".into()]);
    for n in 1..=12 {
        group = group.whose(&format!("i-{n}"), |m| m.zone = if n <= 6 { "a".into() } else { "b".into() });
    }
    (1..=3).fold(group, |group, n| group.whose(&format!("i-{n}"), |m| m.health = dead()))
}

#[test]
fn h3_it_is_kept_per_zone() {
    let decision = zone_dead().decide();
    assert_eq!(decision.plan.head.breaker, None);
    let open_in = |decision: &Decision| decision.plan.head.zone_breakers.keys().cloned().collect::<Vec<_>>();
    assert_eq!((open_in(&decision), decision.launches_for(Cause::Unhealthy)), (vec!["a".to_owned()], 1));
    assert!(decision.remark_text(Rule::H3).starts_with("3 of 6 members in a are silent together"));
    // One in the other zone is replaced beside it.
    let other = zone_dead().whose("i-7", |m| m.health = dead()).decide();
    let replaced: Vec<_> = other.launch_specs().iter().filter_map(|spec| spec.replaces.clone()).collect();
    assert_eq!((replaced, open_in(&other)), (vec![id("i-1"), id("i-7")], vec!["a".to_owned()]));
    // With five of twelve the group's own is open as well, and both must let one through.
    let group = zone_dead().whose("i-7", |m| m.health = dead()).whose("i-8", |m| m.health = dead());
    let both = group.decide();
    assert_eq!((both.plan.head.breaker.as_ref().map(|b| b.begun.1), both.launches_for(Cause::Unhealthy)), (Some(1), 1));
    // Wide for the group, it still is one for zone a.
    let wide = group.but(|s| s.head.breaker = Some(open(8, 10, 0))).decide();
    assert_eq!(wide.launches_for(Cause::Unhealthy), 3, "one in a and both in b: {:?}", wide.report.waits);
}

#[test]
fn h3_a_zones_breaker_counts_who_is_under_way_there_and_closes() {
    let busy = zone_dead().but(|s| s.intents = vec![open_replacement("l-1", "i-2")]);
    assert_eq!(busy.decide().launches_for(Cause::Unhealthy), 0);
    let elsewhere = busy.whose("i-7", |m| m.health = dead()).decide();
    assert_eq!(elsewhere.launches_for(Cause::Unhealthy), 1, "its width counts zone a alone");
    let healed = zone_dead().whose("i-1", |m| m.health = Some(answering(50.0)));
    let healed = healed.whose("i-2", |m| m.health = Some(answering(50.0)));
    let healed = healed.but(|s| s.head.zone_breakers = [("a".to_owned(), open(1, 5, 1))].into()).decide();
    assert_eq!((healed.plan.head.zone_breakers.len(), healed.launches_for(Cause::Unhealthy)), (0, 1));
    let left = Group::example().but(|s| s.head.zone_breakers = [("z".to_owned(), open(1, 5, 1))].into()).decide();
    assert_eq!(left.plan.head.zone_breakers.len(), 0, "nobody is there any more");
}

#[test]
fn h3_whoever_begins_now_counts_with_those_that_are_under_way() {
    // A new interval has room for two, and one of the last is under way.
    let under_way = |s: &mut Snapshot| s.intents = vec![open_replacement("l-1", "i-1")];
    let zone = zone_dead().but(|s| s.head.zone_breakers = [("a".to_owned(), open(2, 60, 1))].into());
    let group = many_dead().but(|s| s.head.breaker = Some(open(2, 60, 1)));
    for group in [zone, group] {
        let decision = group.but(under_way).decide();
        assert_eq!((decision.launches_for(Cause::Unhealthy), decision.waits_for(Rule::H3)), (1, true));
    }
}

#[test]
fn h3_a_zone_with_an_open_breaker_is_the_last_resort() {
    // Zone a has one member fewer than b, and three of its five are silent.
    let short = zone_dead().but(|s| s.members.retain(|member| member.id.0 != "i-6"));
    let zones = |group: &Group| group.decide().launch_specs().iter().map(|s| s.zone.clone()).collect::<Vec<_>>();
    assert_eq!(zones(&short), ["b", "b"], "the missing one and the replacement");
    let sound = (1..=3).fold(short.clone(), |g, n| g.whose(&format!("i-{n}"), |m| m.health = Some(answering(50.0))));
    assert_eq!(zones(&sound), ["a"]);
    let only = short.with(|p| p.launch.zones = vec!["a".into()]);
    assert_eq!(zones(&only), ["a", "a"], "there is no other");
}

#[test]
fn h3_the_impaired_are_replaced_though_nobody_answers() {
    let dark = (1..=4).fold(Group::example(), |group, n| group.whose(&format!("i-{n}"), |m| m.health = dead()));
    let impaired = |s: &mut Snapshot| {
        let fleet = s.fleet.as_mut().unwrap().iter_mut();
        fleet.filter(|listed| listed.id.0 == "i-3").for_each(|listed| listed.impaired = true);
    };
    assert!(dark.decide().plan.is_empty());
    let decision = dark.clone().but(impaired).decide();
    let replaced: Vec<_> = decision.launch_specs().iter().filter_map(|spec| spec.replaces.clone()).collect();
    assert_eq!((replaced, decision.lets_go().len(), decision.launches()), (vec![id("i-3")], 0, 1));
    // A group whose only member is impaired and silent is replaced; impaired and answering, it is not.
    let alone = Group::of(&[50.0]).bounds(1, 2).but(|s| s.fleet.as_mut().unwrap()[0].impaired = true);
    assert!(alone.decide().plan.is_empty());
    assert_eq!(alone.whose("i-1", |m| m.health = dead()).decide().launches(), 1);
    // What EC2 says of a young one is not enough: H1 is asked in full.
    let young = dark.but(impaired).whose("i-3", |m| m.health = Some(silent(59, 30)));
    assert!(young.decide().plan.is_empty());
}

/// A world in which the dead stay silent and all others answer, sweep by sweep.
fn next_sweep(world: &mut Snapshot, boots: bool) {
    let silent: Vec<_> = world.members.iter().filter(|m| m.health == dead()).map(|m| m.id.clone()).collect();
    sweep(world, Duration::from_secs(10), 50.0 * world.members.len() as f64);
    for member in &mut world.members {
        let fails = !boots && member.replaces.is_some();
        if silent.contains(&member.id) {
            member.health = dead();
        } else if fails {
            member.health = None;
        }
    }
}

#[test]
fn h3_v4_half_a_group_is_wholly_replaced_within_the_hour_and_never_more_than_the_width_at_a_time() {
    for (n, gone) in [(20, 9), (5, 2), (100, 49), (3, 1)] {
        let dead_ones: Vec<String> = (1..=gone).map(|k| format!("i-{k}")).collect();
        let group = Group::of(&vec![50.0; n]).bounds(1, 200);
        let mut group = dead_ones.iter().fold(group, |group, name| group.whose(name, |m| m.health = dead()));
        let mut rounds = 0;
        while group.snapshot.members.iter().any(|member| dead_ones.contains(&member.id.0)) {
            rounds += 1;
            assert!(rounds <= 360, "{gone} of {n}: not replaced within an hour: {:?}", group.decide().report);
            let before = width(&group.decide());
            let decision = group.decide();
            let begun = decision.launches_for(Cause::Unhealthy);
            assert!(before.is_none_or(|width| begun <= width as usize), "{begun} at a width of {before:?}");
            assert_eq!(decision.plan.head.desired, n as u32);
            group.snapshot = claim(&group.snapshot, &decision.plan);
            carry_out(&mut group.snapshot);
            next_sweep(&mut group.snapshot, true);
        }
        assert_eq!(decide(&group.snapshot, &group.policy).plan.head.breaker, None, "it has closed");
    }
}

#[test]
fn h3_while_replacements_fail_it_stays_narrow_and_never_latches() {
    let mut group = many_dead().with(|p| p.boot_timeout = seconds_of(60));
    group.snapshot.head.templates = vec![untemplated(0, true)];
    let mut begun = 0;
    for _ in 0..60 {
        let decision = group.decide();
        begun += decision.launches_for(Cause::Unhealthy);
        assert_eq!(width(&decision), Some(1));
        group.snapshot = claim(&group.snapshot, &decision.plan);
        // An operator looks after every failure, so that L8 does not stop it.
        group.snapshot.head.templates = vec![untemplated(0, true)];
        carry_out(&mut group.snapshot);
        next_sweep(&mut group.snapshot, false);
    }
    assert!((7..=10).contains(&begun), "one in a boot timeout, for ten minutes: {begun}");
}

#[test]
fn h4_the_breaker_and_max_replacing_bind_together() {
    let wide = |limit| {
        let group = many_dead().with(|p| p.max_replacing = limit);
        group.but(|s| (s.head.breaker, s.head.templates) = (Some(open(8, 10, 0)), vec![untemplated(0, true)]))
    };
    let decision = wide(Limit { percent: 10, at_least: 2 }).decide();
    assert_eq!((decision.launches_for(Cause::Unhealthy), decision.waits_for(Rule::H4)), (2, true));
    assert_eq!(decision.plan.head.breaker.as_ref().map(|breaker| breaker.begun.1), Some(2));
    let decision = wide(Limit { percent: 100, at_least: 2 }).decide();
    assert_eq!((decision.launches_for(Cause::Unhealthy), decision.waits_for(Rule::H4)), (8, false));
}

#[test]
fn h4_at_max_nobody_is_terminated_first_while_nothing_can_be_launched() {
    let full = || Group::example().whose("i-1", |m| m.health = dead()).bounds(2, 4);
    assert_eq!(full().decide().terminates(), [("i-1", Cause::Unhealthy)]);
    let refused = full().but(|s| s.head.templates = vec![untemplated(3, true)]).decide();
    assert_eq!((refused.lets_go().len(), refused.waits_for(Rule::L8)), (0, true), "{:?}", refused.report.actions);
    assert_eq!(refused.plan.head.breaker, None);
}

#[test]
fn h4_a_fleet_that_is_listed_again_says_nothing_new() {
    // What EC2 lists beside the members does not count among the silent.
    let group = many_dead().but(|s| {
        s.fleet.get_or_insert_default().push(FleetInstance::plain(id("i-x"), InstanceState::Running));
    });
    assert!(group.decide().remark_text(Rule::H3).starts_with("8 of 20 members"));
}
