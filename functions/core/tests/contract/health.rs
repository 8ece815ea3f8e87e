//! Chapter "Health" of the contract.

use crate::common::*;
use muster_core::decide::decide;
use muster_core::group::Breaker;
use muster_core::health::{Health, Seen};
use muster_core::history::{RateLog, Sightings};
use muster_core::intent::{Call, Cause};
use muster_core::plan::{Departure, Step};
use muster_core::policy::Limit;
use muster_core::report::Rule;
use muster_core::snapshot::InstanceState;

fn replaces(decision: &muster_core::decide::Decision) -> Vec<&str> {
    decision.launch_specs().iter().filter_map(|spec| Some(spec.replaces.as_ref()?.0.as_str())).collect()
}

/// A group of `n` at 50 %, of which the first `dead` are silent for long.
fn half_dead(n: usize, gone: usize) -> Group {
    let mut group = Group::of(&vec![50.0; n]).bounds(1, 100).with(|p| p.max_unhealthy_percent = 100);
    for k in 1..=gone {
        group = group.whose(&format!("i-{k}"), |m| m.health = dead());
    }
    group
}

/// A breaker of this width, in whose present interval, so many seconds old, so many replacements have begun.
fn open(width: u32, since: u64, begun: u32) -> Option<Breaker> {
    Some(Breaker { since: ago(600), width, begun: (ago(since), begun) })
}

#[test]
fn h1_unhealthy_takes_the_span_and_three_sweeps_and_the_grace_period() {
    for (kind, since, sweeps, age, unhealthy) in [
        ("silent", 60, 3, 300, true),
        ("silent", 59, 30, 300, false),
        ("silent", 600, 2, 3000, false),
        ("silent", 60, 3, 299, false),
        ("failing", 60, 3, 300, true),
        ("failing", 59, 30, 300, false),
        ("failing", 600, 2, 3000, false),
        ("failing", 60, 3, 299, false),
    ] {
        let health = if kind == "silent" { silent(since, sweeps) } else { failing(since, sweeps) };
        let group = Group::example().whose("i-1", |m| {
            m.health = Some(health);
            m.launched_at = ago(age);
        });
        let decision = group.decide();
        assert_eq!(replaces(&decision) == ["i-1"], unhealthy, "{kind} {since} s, {sweeps} sweeps, {age} s old");
        assert_eq!(decision.remarks_on(Rule::H1), unhealthy);
        assert_eq!(decision.lets_go(), [""; 0], "the replacement comes first");
    }
}

#[test]
fn h2_the_report_tells_a_silent_agent_a_failing_application_and_our_own_blindness_apart() {
    let said = |group: Group| {
        let remarks = group.decide().report.remarks;
        remarks.into_iter().filter(|r| r.rule == Rule::H2).map(|r| r.text).collect::<Vec<_>>()
    };
    assert_eq!(said(Group::example()), [""; 0]);
    let mixed = Group::example().whose("i-1", |m| m.health = Some(silent(5, 1)));
    let mixed = mixed.whose("i-2", |m| m.health = Some(failing(5, 1)));
    assert_eq!(said(mixed), ["the agent is silent: i-1", "the agent answers, the application fails: i-2"]);
    let blind = Group::example().but(|s| s.sweep.as_mut().unwrap().blind = Some("its canary got no answer".into()));
    assert_eq!(said(blind), ["MonitorS itself was cut off or stalled: its canary got no answer"]);
    // Who fails and then falls silent is silent.
    let both = Group::example().whose("i-1", |m| m.health = Some(Health { failing_sweeps: 2, ..silent(5, 1) }));
    assert_eq!(said(both), ["the agent is silent: i-1"]);
    // Who has never answered, and who is on its way out, is not missed.
    let quiet = Health { first_answer: None, last_answer: None, ..silent(5, 1) };
    let others = Group::example().and([pending("i-8", 50), draining("i-9", 5, Cause::Load)]);
    let others = others.whose("i-8", |m| m.health = Some(quiet)).whose("i-9", |m| m.health = Some(silent(5, 1)));
    assert_eq!(said(others), [""; 0]);
    // At most three names.
    let mut many = Group::of(&[50.0; 8]);
    for n in 1..=5 {
        many = many.whose(&format!("i-{n}"), |m| m.health = Some(silent(5, 1)));
    }
    assert_eq!(said(many), ["the agent is silent: i-1, i-2, i-3 and 2 more"]);
}

#[test]
fn h2_in_a_blind_sweep_nobody_is_replaced_or_given_up() {
    let group = Group::example().whose("i-1", |m| m.health = dead()).and([pending("i-9", 700)]).desired(5);
    assert_eq!(group.decide().launches(), 2);
    let blind = group.but(|s| s.sweep.as_mut().unwrap().blind = Some("stalled".into()));
    assert!(blind.decide().plan.is_empty(), "{:?}", blind.decide().report.actions);
}

#[test]
fn h3_with_nobody_answering_nothing_is_replaced_and_an_alarm_is_raised() {
    for n in [1, 2, 5] {
        let decision = half_dead(n, n).decide();
        assert!(decision.plan.is_empty(), "{n}: {:?}", decision.report.actions);
        assert!(decision.remarks_on(Rule::H3));
    }
    // EC2's word is enough, even then.
    let decision = half_dead(2, 2).ec2_says("i-1", InstanceState::ShuttingDown).decide();
    assert_eq!(decision.launches(), 1);
    // Who is unknown does not answer either.
    let unknown = half_dead(2, 1).whose("i-2", |m| m.health.as_mut().unwrap().seen = Seen::Unknown);
    assert!(unknown.decide().plan.is_empty());
}

#[test]
fn h3_when_many_are_silent_together_one_is_replaced_in_an_interval() {
    // Two of six are 33.3 %, two of five 40 %.
    for (n, gone, percent, replaced) in [(6, 2, 34, 2), (5, 2, 34, 1), (5, 1, 10, 1), (20, 6, 34, 2), (20, 7, 34, 1)] {
        let decision = half_dead(n, gone).with(|p| p.max_unhealthy_percent = percent).decide();
        assert_eq!(replaces(&decision).len(), replaced, "{gone} of {n}");
        assert_eq!(decision.remarks_on(Rule::H3), replaced < gone.min(2));
        let begun = decision.plan.head.breaker.map(|breaker| breaker.begun);
        assert_eq!(begun, (replaced < gone.min(2)).then_some((NOW, 1)));
    }
    let breaker = || half_dead(5, 2).with(|p| p.max_unhealthy_percent = 34);
    for (since, replaced) in [(59, 0), (60, 1)] {
        let decision = breaker().but(|s| s.head.breaker = open(1, since, 1)).decide();
        assert_eq!(replaces(&decision).len(), replaced, "{since} s after the last");
        assert!(decision.waits_for(Rule::H3));
        let begun = if replaced == 1 { (NOW, 1) } else { (ago(since), 1) };
        assert_eq!(decision.plan.head.breaker.map(|breaker| breaker.begun), Some(begun));
    }
    let wide = half_dead(5, 2).but(|s| s.head.breaker = open(1, 1, 1)).decide();
    assert_eq!(replaces(&wide).len(), 2, "the interval is the breaker's alone");
    let under_way = breaker().but(|s| s.intents = vec![open_replacement("l-1", "i-1")]).decide();
    assert_eq!(replaces(&under_way).len(), 0, "width is one");
}

#[test]
fn h3_the_silent_of_one_sweep_open_the_breaker_too() {
    let group = Group::of(&[50.0; 5]).whose("i-1", |m| m.health = dead());
    assert!(!group.decide().remarks_on(Rule::H3));
    let group = group.whose("i-2", |m| m.health = Some(silent(5, 1)));
    assert!(group.decide().remarks_on(Rule::H3));
}

#[test]
fn h4_below_max_the_replacement_comes_first_at_max_the_termination() {
    let below = half_dead(4, 1).decide();
    assert_eq!((replaces(&below), below.terminates()), (vec!["i-1"], vec![]));
    let at_max = half_dead(4, 1).bounds(1, 4).decide();
    assert_eq!((at_max.launches(), at_max.terminates()), (0, vec![("i-1", Cause::Unhealthy)]));
    // Two are unhealthy, one fits: the first way for the first, the second for the second.
    let one_fits = half_dead(4, 2).bounds(1, 5).decide();
    assert_eq!((replaces(&one_fits), one_fits.terminates()), (vec!["i-1"], vec![("i-2", Cause::Unhealthy)]));
}

#[test]
fn h4_who_was_terminated_first_is_replaced_next_and_counts_until_the_new_one_answers() {
    let group = half_dead(4, 3).bounds(1, 4).with(|p| p.max_replacing = Limit { percent: 0, at_least: 1 });
    let mut world = group.snapshot.clone();
    let first = group.decide();
    assert_eq!(first.terminates(), [("i-1", Cause::Unhealthy)]);
    world = claim(&world, &first.plan);
    world.sweep.as_mut().unwrap().slot = ago(1);
    let second = decide(&world, &group.policy);
    assert_eq!((replaces(&second), second.terminates()), (vec!["i-1"], vec![]));
    assert!(second.waits_for(Rule::H4));
    world = claim(&world, &second.plan);
    carry_out(&mut world);
    world.sweep.as_mut().unwrap().slot = NOW;
    let third = decide(&world, &group.policy);
    assert_eq!((third.lets_go().len(), third.launches()), (0, 0), "i-1 is gone, its replacement boots");
    assert!(third.plan.steps.contains(&Step::Close { id: id("i-1"), departure: Departure::Ended }));
}

#[test]
fn h4_the_old_one_goes_once_its_replacement_is_in_service() {
    let pair = half_dead(4, 1).and([serving("i-9", 50.0)]).whose("i-9", |m| m.replaces = Some(id("i-1")));
    let decision = pair.decide();
    assert_eq!((decision.terminates(), decision.launches()), (vec![("i-1", Cause::Unhealthy)], 0));
    assert!(decision.remarks_on(Rule::H4));
    for health in [Some(silent(5, 1)), Some(failing(5, 1)), None] {
        let waiting = pair.clone().whose("i-9", |m| m.health = health).decide();
        assert!(waiting.plan.is_empty(), "{:?}", waiting.report.actions);
    }
    let warming = pair.whose("i-9", |m| m.first_answer = Some(ago(59))).decide();
    assert!(warming.plan.is_empty(), "{:?}", warming.report.actions);
}

#[test]
fn h4_a_replacement_that_is_unhealthy_itself_holds_no_place() {
    let pair = half_dead(4, 1).and([serving("i-9", 50.0)]).whose("i-9", |m| m.replaces = Some(id("i-1")));
    let decision = pair.whose("i-9", |m| m.health = Some(failing(100, 5))).decide();
    assert_eq!(decision.terminates(), [("i-1", Cause::Bounds)], "five are there, and no pair");
    assert_eq!(replaces(&decision), ["i-9"]);
}

#[test]
fn h4_a_replacement_that_warms_up_is_still_under_way() {
    let one = |p: &mut muster_core::policy::Policy| p.max_replacing = Limit { percent: 0, at_least: 1 };
    let pair = half_dead(10, 2).with(one).and([serving("i-x", 50.0)]).whose("i-x", |m| m.replaces = Some(id("i-1")));
    let warming = pair.whose("i-x", |m| m.first_answer = Some(ago(5))).decide();
    assert_eq!((warming.launches(), warming.waits_for(Rule::H4)), (0, true), "{:?}", warming.report.actions);
}

#[test]
fn h4_at_most_max_replacing_at_a_time() {
    for (n, gone, limit, replaced) in [
        (10, 4, Limit { percent: 10, at_least: 2 }, 2),
        (40, 8, Limit { percent: 10, at_least: 2 }, 4),
        (10, 4, Limit { percent: 0, at_least: 1 }, 1),
        (10, 3, Limit { percent: 100, at_least: 1 }, 3),
    ] {
        let decision = half_dead(n, gone).with(|p| p.max_replacing = limit).decide();
        assert_eq!(replaces(&decision).len(), replaced, "{gone} of {n}");
        assert_eq!(decision.waits_for(Rule::H4), replaced < gone);
    }
    let busy = half_dead(10, 3).and([terminating("i-x", 5, Cause::Unhealthy)]);
    assert_eq!(busy.decide().launches(), 1, "one is on its way out");
    let busy = busy.but(|s| s.intents = vec![open_replacement("l-1", "i-1")]);
    assert_eq!(busy.decide().launches(), 0, "and one is launched");
}

#[test]
fn h4_replacements_stay_inside_the_rate_limits() {
    let full = RateLog(vec![muster_core::history::RateEntry { at: ago(5), count: 1000, actual: 4 }]);
    let launch = half_dead(4, 1).but(|s| s.head.launches = full.clone()).decide();
    let at_max = half_dead(4, 1).bounds(1, 4).but(|s| s.head.terminations = full.clone()).decide();
    let pair = half_dead(4, 1).and([serving("i-9", 50.0)]).whose("i-9", |m| m.replaces = Some(id("i-1")));
    let pair = pair.but(|s| s.head.terminations = full).decide();
    for decision in [launch, at_max, pair] {
        assert!(decision.plan.is_empty(), "{:?}", decision.report.actions);
        assert!(decision.waits_for(Rule::F8));
        assert_eq!(decision.plan.head.breaker, None, "nothing was begun");
    }
}

#[test]
fn h5_a_replacement_changes_neither_desired_nor_a_cooldown() {
    for group in [half_dead(4, 1), half_dead(4, 1).bounds(1, 4)] {
        let head = group.decide().plan.head;
        assert_eq!(head.desired, 4);
        assert_eq!((head.scale_in_at, head.launch_accepted_at, head.factor_out_at), (None, None, None));
    }
}

#[test]
fn h7_ec2s_word_that_an_instance_is_gone_outranks_everything() {
    for (state, gone) in [
        (InstanceState::ShuttingDown, true),
        (InstanceState::Terminated, true),
        (InstanceState::Stopping, false),
        (InstanceState::Stopped, false),
        (InstanceState::Pending, false),
        (InstanceState::Running, false),
    ] {
        let decision = Group::example().ec2_says("i-2", state).decide();
        let closed = decision.plan.steps.contains(&Step::Close { id: id("i-2"), departure: Departure::Lost });
        let replaced = gone || state.is_stopped();
        assert_eq!((closed, decision.launches()), (gone, usize::from(replaced)), "{state:?}");
        assert_eq!(decision.remarks_on(Rule::H7), gone);
    }
}

#[test]
fn h7_not_found_is_that_word_only_three_times_over_an_hour() {
    // The listing at hand is one more.
    for (count, since, gone) in [(2, 3600, true), (1, 7200, false), (2, 3599, false), (50, 600, false)] {
        let group = Group::example().ec2_omits("i-2").but(|s| {
            s.head.not_found.insert(id("i-2"), Sightings { first: ago(since), count });
        });
        let decision = group.decide();
        assert_eq!(decision.launches(), usize::from(gone), "{count} times over {since} s");
        let remembered = decision.plan.head.not_found.get(&id("i-2"));
        assert_eq!(remembered.map(|seen| (seen.first, seen.count)), (!gone).then_some((ago(since), count + 1)));
    }
    let first = Group::example().ec2_omits("i-2").decide().plan.head.not_found;
    assert_eq!(first[&id("i-2")].first, NOW);
    // Listed again: forgotten. EC2 not asked: nothing is concluded, nothing is forgotten.
    let seen = |s: &mut muster_core::snapshot::Snapshot| {
        s.head.not_found.insert(id("i-2"), Sightings { first: ago(7200), count: 9 });
    };
    assert!(Group::example().but(seen).decide().plan.head.not_found.is_empty());
    let deaf = Group::example().but(seen).but(|s| s.fleet = None).decide();
    assert_eq!((deaf.plan.is_empty(), deaf.plan.head.not_found.len()), (true, 1));
    assert!(deaf.remarks_on(Rule::H7));
}

#[test]
fn h7_of_more_absent_members_than_head_holds_those_that_are_counted_go_on() {
    let name = |n: usize| id(&format!("i-a{n:03}"));
    let members = (0..=500).map(|n| serving(&name(n).0, 50.0));
    let absent = Group::of(&[]).and(members).desired(501).bounds(2, 600).but(|s| s.fleet = Some(Vec::new()));
    let first = absent.decide().plan.head.not_found;
    assert_eq!((first.len(), first.contains_key(&name(500))), (500, false), "HEAD stays small");
    // All but the first have been counted: it waits, and they do not wait for it.
    let counted = (1..=500).map(|n| (name(n), Sightings { first: ago(60), count: 1 })).collect();
    let again = absent.but(|s| s.head.not_found = counted).decide().plan.head.not_found;
    assert_eq!((again.len(), again.contains_key(&name(0))), (500, false));
    assert!(again.values().all(|seen| (seen.first, seen.count) == (ago(60), 2)));
}

#[test]
fn h7_who_was_told_to_end_is_not_lost() {
    let group = Group::example().and([terminating("i-9", 30, Cause::Load)]);
    let decision = group.ec2_says("i-9", InstanceState::Terminated).decide();
    assert_eq!(decision.plan.steps, [Step::Close { id: id("i-9"), departure: Departure::Ended }]);
    assert!(!decision.remarks_on(Rule::H7));
    let drained = Group::example().and([draining("i-9", 30, Cause::Load)]);
    let decision = drained.ec2_says("i-9", InstanceState::Terminated).decide();
    assert_eq!(
        decision.plan.steps,
        [Step::Close { id: id("i-9"), departure: Departure::Lost }],
        "a drain that dies is over"
    );
}

#[test]
fn a_replacement_names_whom_it_replaces_also_when_that_one_is_already_going() {
    let group = Group::of(&[50.0; 2]).desired(4).and([terminating("i-8", 5, Cause::Unhealthy)]);
    let group = group.and([terminating("i-9", 5, Cause::Load)]);
    let decision = group.decide();
    assert_eq!((decision.launches(), replaces(&decision)), (2, vec!["i-8"]));
    let named = claim(&group.snapshot, &decision.plan);
    assert!(decide(&named, &group.policy).plan.is_empty());
    let Call::Launch(spec) = &named.intents[0].call else { panic!() };
    assert_eq!(spec.replaces, Some(id("i-8")));
}

#[test]
fn h4_a_seat_that_is_filled_is_not_filled_again() {
    let group = Group::of(&[50.0; 2]).desired(4).and([terminating("i-8", 5, Cause::Unhealthy), pending("i-9", 5)]);
    let decision = group.whose("i-9", |m| m.replaces = Some(id("i-8"))).decide();
    assert_eq!((decision.launches(), replaces(&decision)), (1, vec![]));
}

#[test]
fn s5_o8_who_is_silent_without_evidence_drains_as_a_healthy_one_would() {
    let group = Group::example().whose("i-2", |m| m.health = dead()).bounds(1, 1).ungated();
    let stale = group.but(|s| s.sweep.as_mut().expect("a sweep").slot = ago(600)).decide();
    assert_eq!((stale.drains(), stale.terminates()), (vec!["i-1", "i-3", "i-2"], vec![]), "{:?}", stale.report);
}

#[test]
fn s5_o8_silence_that_is_no_evidence_makes_nobody_a_victim() {
    let group = || Group::example().whose("i-2", |m| m.health = dead()).bounds(1, 3);
    let swept = |age| group().but(|s| s.sweep.as_mut().expect("a sweep").slot = ago(age)).decide();
    assert_eq!(swept(30).terminates(), [("i-2", Cause::Bounds)], "its silence is evidence");
    let stale = swept(31);
    let blind = group().but(|s| s.sweep.as_mut().expect("a sweep").blind = Some("lag".into())).decide();
    for decision in [stale, blind] {
        assert!(decision.terminates().is_empty(), "{:?}", decision.report.actions);
        assert_ne!(decision.lets_go(), ["i-2"], "{:?}", decision.report.actions);
    }
    let dark =
        (1..=4).fold(Group::example().bounds(1, 3), |group, n| group.whose(&format!("i-{n}"), |m| m.health = dead()));
    assert!(dark.decide().lets_go().is_empty(), "while nobody answers nobody is taken");
}

#[test]
fn h4_a_seat_vacated_by_terminating_first_is_not_given_to_another_replacement() {
    let ill = |m: &mut muster_core::snapshot::Member| m.health = Some(failing(100, 5));
    let decision = Group::example().whose("i-1", ill).whose("i-2", ill).bounds(1, 4).decide();
    assert_eq!((decision.terminates().len(), decision.launches()), (2, 0), "{:?}", decision.report.actions);
}
