//! Chapter "Flapping" of the contract.

use crate::common::*;
use muster_core::decide::decide;
use muster_core::group::{Head, Heading};
use muster_core::history::{RateEntry, RateLog};
use muster_core::intent::Cause;
use muster_core::plan::Step;
use muster_core::policy::Limit;
use muster_core::report::Rule;
use muster_core::snapshot::{InstanceState, Member};
use std::time::Duration;

#[test]
fn f1_scale_in_uses_the_highest_recommendation_of_its_window() {
    for (asked, ago_s, verdict) in [
        (8, 299, (8, Rule::F1)),
        (8, 300, (4, Rule::Z2)),
        (6, 10, (6, Rule::F1)),
        (3, 10, (4, Rule::Z2)),
        (20, 10, (8, Rule::F1)),
    ] {
        let group = Group::of(&[5.0; 8]).but(|s| s.head.remember_recommendation(ago(ago_s), asked, seconds_of(300)));
        assert_eq!(group.decide().verdict(), verdict, "{asked} was asked for {ago_s} s ago");
    }
}

#[test]
fn f1_scale_out_uses_the_lowest_recommendation_of_its_window() {
    for (asked, ago_s, window, verdict) in [
        (4, 10, 0, (8, Rule::Z2)),
        (4, 59, 60, (4, Rule::F1)),
        (4, 60, 60, (8, Rule::Z2)),
        (6, 10, 60, (6, Rule::F1)),
        (2, 10, 60, (4, Rule::F1)),
    ] {
        let group = Group::of(&[90.0; 4]).with(|p| p.out.stabilization = seconds_of(window));
        let group = group.but(|s| s.head.remember_recommendation(ago(ago_s), asked, seconds_of(300)));
        assert_eq!(group.decide().verdict(), verdict, "{asked} was asked for {ago_s} s ago, window {window} s");
    }
}

#[test]
fn f1_what_the_rule_asked_for_is_remembered_not_what_was_decided() {
    let group = Group::of(&[5.0; 8]).but(|s| s.head.remember_recommendation(ago(10), 8, seconds_of(300)));
    let remembered = group.decide().plan.head.recommendations;
    let asked: Vec<_> = remembered.iter().map(|seen| (seen.at, seen.highest, seen.lowest)).collect();
    assert_eq!(asked, [(ago(10), 8, 8), (NOW, 4, 4)]);
}

#[test]
fn f1_the_history_is_bounded_merges_to_the_safe_side_and_still_forgets() {
    let mut head = Head::default();
    let keep = seconds_of(300);
    head.remember_recommendation(ago(1000), 99, keep);
    for second in (0..1000).rev() {
        head.remember_recommendation(ago(second), if second % 2 == 0 { 4 } else { 8 }, keep);
        assert!(head.recommendations.len() <= 64);
    }
    let highest = head.recommendations.iter().map(|seen| seen.highest).max();
    let lowest = head.recommendations.iter().map(|seen| seen.lowest).min();
    assert_eq!((highest, lowest), (Some(8), Some(4)), "99 was asked for long ago");
    let oldest = head.recommendations[0].at;
    assert!(oldest <= ago(280), "the window is still covered: {oldest}");
}

#[test]
fn f1_what_was_asked_for_together_is_kept_with_both_its_ends() {
    // Slices of 5 s: the first two lie in one.
    let asked = |sizes: &[(u64, u32)]| {
        let mut head = Head::default();
        sizes
            .iter()
            .for_each(|(s, size)| head.remember_recommendation(NOW.plus(seconds_of(*s)), *size, seconds_of(300)));
        let ranges = head.recommendations.iter().map(|seen| (seen.at.since(NOW).as_secs(), seen.lowest, seen.highest));
        ranges.collect::<Vec<_>>()
    };
    assert_eq!(asked(&[(0, 6), (4, 8)]), [(4, 6, 8)]);
    assert_eq!(asked(&[(0, 6), (4, 3), (5, 4)]), [(4, 3, 6), (5, 4, 4)]);
    let same: Vec<_> = (0..300).map(|second| (second, 4)).collect();
    assert_eq!(asked(&same), [(299, 4, 4)], "what does not change takes no room");
}

#[test]
fn f1_f8_a_longer_window_makes_no_history_longer_than_64_and_nothing_is_forgotten() {
    // A full history of a short window, and then one of a long one.
    let (mut head, mut log) = (Head::default(), RateLog::default());
    let seconds = (0..60).map(|second| (ago(3_590 - second), 60));
    let minutes = (1..59).map(|minute| (ago(3_530 - minute * 60), 3_600));
    let mut lengths = Vec::new();
    for (n, (at, window)) in (1..).zip(seconds.chain(minutes)) {
        head.remember_recommendation(at, n, seconds_of(window));
        log.record(at, 1, n, seconds_of(window));
        lengths.push((head.recommendations.len(), log.0.len()));
    }
    assert_eq!(lengths.iter().max(), Some(&(64, 64)));
    assert_eq!((head.recommendations[0].lowest, head.recommendations[0].highest), (1, 55));
    let first = log.0[0];
    assert_eq!((first.count, first.actual), (55, 1), "all of the window's start, and *actual* before it");
}

#[test]
fn f2_a_cooldown_blocks_its_own_direction_only() {
    let cooled = |loads: &[f64]| {
        Group::of(loads).with(|p| p.out.cooldown = seconds_of(60)).but(|s| {
            s.head.launch_accepted_at = None;
            s.head.scale_in_at = None;
        })
    };
    let (busy, idle) = ([90.0; 4], [5.0; 4]);
    for (group, launched, scaled_in, verdict) in [
        (cooled(&busy), Some(59), None, (4, Rule::F2)),
        (cooled(&busy), Some(60), None, (8, Rule::Z2)),
        (cooled(&busy), None, Some(1), (8, Rule::Z2)),
        (cooled(&idle), None, Some(299), (4, Rule::F2)),
        (cooled(&idle), None, Some(300), (2, Rule::Z2)),
        (cooled(&idle), Some(1), None, (2, Rule::Z2)),
        (cooled(&[50.0; 4]), Some(1), Some(1), (4, Rule::Z1)),
    ] {
        let group = group.but(|s| {
            s.head.launch_accepted_at = launched.map(ago);
            s.head.scale_in_at = scaled_in.map(ago);
        });
        assert_eq!(group.decide().verdict(), verdict, "{launched:?} {scaled_in:?}");
    }
}

#[test]
fn f3_the_scale_in_cooldown_starts_with_the_claim_and_only_with_one() {
    assert_eq!(Group::of(&[5.0; 4]).decide().plan.head.scale_in_at, Some(NOW));
    let at_min = Group::of(&[5.0; 2]).decide();
    assert_eq!((at_min.verdict(), at_min.plan.head.scale_in_at), ((2, Rule::Z5), None));
    let held = Group::of(&[5.0; 4]).but(|s| s.head.scale_in_at = Some(ago(100))).decide();
    assert_eq!(held.plan.head.scale_in_at, Some(ago(100)));
    let by_bound = Group::of(&[50.0; 9]).decide();
    assert_eq!((by_bound.verdict(), by_bound.plan.head.scale_in_at), ((8, Rule::Z5), None));
}

#[test]
fn f3_the_scale_out_cooldown_waits_for_ec2_to_accept() {
    let head = Group::of(&[90.0; 4]).decide().plan.head;
    assert_eq!((head.launch_accepted_at, head.scale_in_at), (None, None));
}

#[test]
fn f3_no_further_scale_in_by_load_before_the_last_drains_have_ended() {
    let idle = Group::of(&[5.0; 4]).ungated();
    for (member, verdict) in [
        (draining("i-9", 10, Cause::Load), (4, Rule::F3)),
        (draining("i-9", 10, Cause::Bounds), (2, Rule::Z2)),
        (terminating("i-9", 10, Cause::Load), (2, Rule::Z2)),
    ] {
        assert_eq!(idle.clone().and([member]).decide().verdict(), verdict);
    }
}

#[test]
fn f4_health_and_bounds_ignore_cooldowns() {
    let cooled = |group: Group| {
        group.with(|p| p.out.cooldown = seconds_of(600)).but(|s| {
            (s.head.scale_in_at, s.head.launch_accepted_at) = (Some(ago(1)), Some(ago(1)));
        })
    };
    let unhealthy = cooled(Group::example().whose("i-1", |m| m.health = dead())).decide();
    assert_eq!(unhealthy.launches_for(Cause::Unhealthy), 1);
    assert_eq!(cooled(Group::of(&[50.0; 1])).decide().plan.head.desired, 2);
    assert_eq!(cooled(Group::of(&[50.0; 9])).decide().plan.head.desired, 8);
    assert_eq!(cooled(Group::example().ec2_says("i-1", InstanceState::Terminated)).decide().launches(), 1);
}

#[test]
fn f5_a_scale_in_that_would_bring_the_threshold_back_is_made_smaller() {
    // 19 % x 8 / (8 - k) must stay below 70 %: k = 5 gives 50.7 %, k = 6 gives 76 %.
    for (load, factor, verdict) in [
        (19.0, 0.5, (4, Rule::Z2)),
        (19.0, 0.63, (3, Rule::Z2)),
        (19.0, 0.9, (3, Rule::F5)),
        // 17.5 % x 8 / 2 is 70 %: it reaches the threshold.
        (17.5, 0.75, (3, Rule::F5)),
        (17.4, 0.75, (2, Rule::Z2)),
    ] {
        let group = Group::of(&[load; 8]).bounds(1, 8).ungated().with(|p| threshold(p).down_factor = factor);
        assert_eq!(group.decide().verdict(), verdict, "{load} % x {factor}");
    }
    // F8 has room for just as many: it is F5 that binds.
    let group = Group::of(&[19.0; 8]).bounds(1, 8).ungated().with(|p| {
        threshold(p).down_factor = 0.9;
        p.inward.limit = Limit { percent: 0, at_least: 5 };
    });
    assert_eq!(group.decide().verdict(), (3, Rule::F5));
    // Not even one may go.
    let tight = Group::of(&[19.0; 2]).bounds(1, 8).ungated().with(|p| {
        (threshold(p).up, threshold(p).down) = (30.0, 20.0);
    });
    let decision = tight.decide();
    assert_eq!((decision.verdict(), decision.waits_for(Rule::F5)), ((2, Rule::F5), true));
    // The missing are projected at 100 %: (7 x 5 + 100) / 8 = 16.9, x 8 / 2 = 67.5; x 8 / 1 = 135.
    let missing = Group::of(&[5.0; 8]).bounds(1, 8).ungated().with(|p| threshold(p).down_factor = 0.99);
    assert_eq!(missing.decide().verdict(), (1, Rule::Z2));
    let missing = missing.whose("i-8", |m| m.health = Some(silent(5, 1)));
    assert_eq!(missing.decide().verdict(), (2, Rule::F5));
}

#[test]
fn f6_while_launches_are_open_load_takes_back_only_what_is_not_at_work() {
    let idle = || Group::of(&[5.0; 4]).desired(6).ungated();
    // Two Pending of six: they go, and nobody else.
    let decision = idle().and([pending("i-8", 5), pending("i-9", 5)]).decide();
    assert_eq!((decision.verdict(), decision.lets_go()), ((4, Rule::F6), vec!["i-8", "i-9"]));
    assert!(decision.terminates().iter().all(|(_, cause)| *cause == Cause::Load));
    // Two launches that nobody has tried: they are cancelled, the youngest first.
    let decision = idle().but(|s| s.intents = vec![open_launch("l-1", 0), open_launch("l-2", 0)]).decide();
    assert_eq!((decision.verdict(), decision.cancels()), ((4, Rule::F6), vec!["l-2", "l-1"]));
    assert_eq!(decision.launches(), 0);
    // Two launches under way: they may run already, and nothing is taken.
    let decision = idle().but(|s| s.intents = vec![open_launch("l-1", 1), open_launch("l-2", 2)]).decide();
    assert_eq!((decision.verdict(), decision.plan.is_empty()), ((6, Rule::F6), true));
    assert!(decision.waits_for(Rule::F6));
    // A bound is excepted.
    let decision = idle().and([pending("i-8", 5), pending("i-9", 5)]).bounds(1, 3).ungated().decide();
    assert_eq!((decision.verdict(), decision.lets_go().len()), ((3, Rule::Z5), 3));
}

#[test]
fn f6_the_unhealthy_are_not_taken_either_while_launches_are_open() {
    let group = Group::of(&[5.0; 8]).desired(9).bounds(2, 9).ungated().and([pending("i-9", 5)]);
    let decision = group.whose("i-1", |m| m.health = dead()).decide();
    assert_eq!(decision.terminates().iter().filter(|(_, cause)| *cause == Cause::Load).count(), 1);
    assert_eq!(decision.lets_go(), ["i-9"]);
}

#[test]
fn f6_what_is_taken_back_makes_room_below_max() {
    let group = Group::of(&[5.0; 5]).desired(7).bounds(2, 7).ungated().and([pending("i-9", 5)]);
    let group = group.but(|s| s.intents = vec![open_launch("l-1", 0)]).whose("i-1", |m| m.health = dead());
    let decision = group.with(|p| threshold(p).down = 30.0).decide();
    assert_eq!((decision.cancels(), decision.terminates()), (vec!["l-1"], vec![("i-9", Cause::Load)]));
    assert_eq!(decision.launches_for(Cause::Unhealthy), 1, "the replacement comes first: five of seven are left");
}

#[test]
fn f6_a_slow_drain_never_blocks_a_scale_out() {
    // Who does not answer cannot be taken back (D4).
    let slow = |n| Member { health: Some(silent(5, 1)), ..draining(&format!("i-{n}"), 100, Cause::Load) };
    let drains = (5..=8).map(slow);
    let decision = Group::of(&[90.0; 4]).and(drains).decide();
    assert_eq!((decision.verdict(), decision.launches()), ((8, Rule::Z2), 4));
}

#[test]
fn f6_launches_that_nobody_has_tried_are_taken_back_though_no_termination_fits() {
    let full = RateLog(vec![RateEntry { at: ago(10), count: 10_000, actual: 4 }]);
    let untried = |s: &mut muster_core::snapshot::Snapshot| {
        s.intents = vec![open_launch("l-1", 0), open_launch("l-2", 0)];
        s.head.terminations = full;
    };
    let group = Group::of(&[5.0; 4]).desired(6).ungated().with(|p| p.inward.limit.percent = 100).but(untried);
    let decision = group.decide();
    assert_eq!((decision.verdict().0, decision.cancels(), decision.lets_go().len()), (4, vec!["l-2", "l-1"], 0));
    // A bound takes them back, too, and the members beside them wait for the window.
    let decision = group.bounds(1, 3).with(|p| p.inward.limit.percent = 100).decide();
    assert_eq!((decision.verdict(), decision.cancels().len(), decision.lets_go().len()), ((3, Rule::Z5), 2, 0));
    assert!(decision.waits_for(Rule::F8));
}

/// Claims on one sweep, until there is nothing left to claim: the causes of what they let go and launch.
fn causes_of_one_sweep(group: &mut Group) -> Vec<Cause> {
    let mut causes = Vec::new();
    for _ in 0..12 {
        let plan = group.decide().plan;
        causes.extend(plan.steps.iter().filter_map(|step| match step {
            Step::Drain { leaving, .. } | Step::Terminate { leaving, .. } => Some(leaving.cause),
            Step::Launch { intent } => Some(intent.cause),
            Step::Confirm { .. } | Step::Close { .. } | Step::Cancel { .. } => None,
            Step::TakeBack { .. } | Step::Sweep { .. } => None,
        }));
        group.snapshot = claim(&group.snapshot, &plan);
    }
    causes
}

#[test]
fn f3_one_sizing_over_several_claims_has_one_cause() {
    let unlimited = |p: &mut muster_core::policy::Policy| p.out.limit.percent = 10_000;
    let mut idle = Group::of(&[5.0; 100]).bounds(2, 200).ungated();
    assert_eq!(causes_of_one_sweep(&mut idle), [Cause::Load; 50]);
    let mut busy = Group::of(&[90.0; 100]).bounds(2, 200).with(unlimited);
    assert_eq!(causes_of_one_sweep(&mut busy), [Cause::Load; 100]);
    let mut bounded = Group::of(&[50.0; 100]).bounds(160, 200).with(unlimited);
    assert_eq!(causes_of_one_sweep(&mut bounded), [Cause::Bounds; 60]);
}

#[test]
fn f3_a_launch_that_ec2_refused_is_as_load_driven_when_it_is_ordered_again() {
    let group = Group::of(&[60.0; 6]).desired(8).but(|s| s.head.heading = Heading::Out);
    assert_eq!(group.decide().launches_for(Cause::Load), 2);
}

#[test]
fn f3_a_size_is_reached_when_ec2_has_accepted_what_was_launched_for_it() {
    let under_way = |cause| {
        let group = Group::of(&[60.0; 6]).desired(8).but(|s| s.head.heading = Heading::Out);
        let group = group.but(|s| s.intents = vec![open_launch("l-1", 1), open_launch("l-2", 1)]);
        group.but(|s| s.intents.iter_mut().for_each(|open| open.cause = cause)).decide()
    };
    for (cause, heading) in [(Cause::Load, Heading::Out), (Cause::Lost, Heading::There)] {
        let decision = under_way(cause);
        assert_eq!((decision.launches(), decision.plan.head.heading), (0, heading), "{cause}");
    }
}

#[test]
fn f4_who_is_lost_before_or_after_a_size_is_reached_is_no_part_of_it() {
    // On the way: one is lost, two are still to be launched.
    let group = Group::of(&[60.0; 6]).desired(8).but(|s| s.head.heading = Heading::Out);
    let decision = group.ec2_says("i-6", InstanceState::Terminated).decide();
    assert_eq!((decision.launches_for(Cause::Lost), decision.launches_for(Cause::Load)), (1, 2));
    // Reached: whoever is missing later was lost, and the next claim knows.
    let there = Group::of(&[60.0; 6]).but(|s| s.head.heading = Heading::Out).decide();
    assert_eq!(there.plan.head.heading, Heading::There);
    let there = Group::of(&[60.0; 6]).but(|s| s.head.heading = Heading::In).decide();
    assert_eq!(there.plan.head.heading, Heading::There);
    // A scale-in that turns into a gap launches nothing for the load.
    let gap = Group::of(&[60.0; 4]).desired(6).but(|s| s.head.heading = Heading::In).decide();
    assert_eq!((gap.launches_for(Cause::Bounds), gap.plan.head.heading), (2, Heading::There));
}

#[test]
fn s5_what_is_left_of_a_scale_in_waits_while_nobody_answers_or_the_sweep_is_stale() {
    let rest = || Group::of(&[50.0; 8]).desired(6).ungated().but(|s| s.head.heading = Heading::In);
    assert_eq!(rest().decide().drains().len(), 2);
    let dark = rest().but(|s| s.members.iter_mut().for_each(|m| m.health = Some(silent(5, 1)))).decide();
    assert_eq!((dark.lets_go().len(), dark.plan.head.heading), (0, Heading::In));
    // The missing at 100 % are not above 100 %: darkness holds by itself.
    let dark = rest().with(|p| threshold(p).up = 100.0);
    let dark = dark.but(|s| s.members.iter_mut().for_each(|m| m.health = Some(silent(5, 1)))).decide();
    assert_eq!((dark.lets_go().len(), dark.waits_for(Rule::M5)), (0, true));
    // Two have gone by themselves: nothing is left to wait for.
    let dark = rest().but(|s| s.members.iter_mut().for_each(|m| m.health = Some(silent(5, 1))));
    let gone = dark.ec2_says("i-1", InstanceState::Stopped).ec2_says("i-2", InstanceState::Stopped).decide();
    assert_eq!((gone.terminates().len(), gone.waits_text(Rule::M5)), (2, String::new()));
    let stale = rest().but(|s| s.sweep.as_mut().expect("a sweep").slot = ago(600)).decide();
    assert_eq!((stale.lets_go().len(), stale.waits_for(Rule::O8)), (0, true));
    let blind = rest().but(|s| s.sweep.as_mut().expect("a sweep").blind = Some("no descriptors".into())).decide();
    assert_eq!(blind.lets_go().len(), 0);
}

#[test]
fn f7_the_same_decision_on_its_own_result_changes_nothing() {
    for load in [1.0, 5.0, 19.9, 20.0, 50.0, 70.0, 70.1, 99.0] {
        let mut group = Group::of(&[load; 4]);
        let total = load * 4.0;
        let mut quiet = 0;
        for _ in 0..200 {
            let decision = group.decide();
            quiet = if decision.plan.is_empty() && decision.verdict().0 == group.snapshot.head.desired {
                quiet + 1
            } else {
                0
            };
            group.snapshot = claim(&group.snapshot, &decision.plan);
            let again = decide(&group.snapshot, &group.policy);
            assert!(again.plan.is_empty(), "{load}: {:?} after {:?}", again.report, decision.report);
            carry_out(&mut group.snapshot);
            sweep(&mut group.snapshot, Duration::from_secs(10), total);
        }
        assert!(quiet > 60, "{load} %: no fixed point, quiet for {quiet}");
    }
}

#[test]
fn f8_launches_by_load_are_limited_in_their_window() {
    let limited =
        |percent, at_least| Group::of(&[90.0; 4]).bounds(2, 100).with(|p| p.out.limit = Limit { percent, at_least });
    assert_eq!(limited(75, 1).decide().verdict(), (7, Rule::F8));
    assert_eq!(limited(1, 2).decide().verdict(), (6, Rule::F8));
    assert_eq!(limited(100, 1).decide().verdict(), (8, Rule::Z2));
    let after = |seconds, count| {
        let log = RateLog(vec![RateEntry { at: ago(seconds), count, actual: 8 }]);
        limited(50, 1).but(|s| s.head.launches = log).decide()
    };
    // Half of the eight that there were when the window began, less what was launched since.
    assert_eq!(after(59, 1).verdict(), (7, Rule::F8));
    assert_eq!(after(59, 4).verdict(), (4, Rule::F8));
    assert!(after(59, 4).waits_for(Rule::F8));
    assert_eq!(after(60, 4).verdict(), (6, Rule::F8), "the window is over: half of four");
}

#[test]
fn f8_terminations_by_load_are_limited_in_their_window() {
    let limited = |seconds, count| {
        let log = RateLog(vec![RateEntry { at: ago(seconds), count, actual: 8 }]);
        Group::of(&[5.0; 8]).with(|p| p.inward.cooldown = Duration::ZERO).but(|s| s.head.terminations = log).decide()
    };
    assert_eq!(limited(299, 1).verdict(), (5, Rule::F8));
    assert_eq!(limited(299, 4).verdict(), (8, Rule::F8));
    assert_eq!(limited(300, 4).verdict(), (4, Rule::Z2));
}

#[test]
fn f8_every_kind_of_action_is_counted_in_head() {
    let launched = Group::of(&[90.0; 4]).decide().plan.head;
    assert_eq!(launched.launches, RateLog(vec![RateEntry { at: NOW, count: 4, actual: 4 }]));
    let drained = Group::of(&[5.0; 4]).decide().plan.head;
    assert_eq!(drained.terminations, RateLog(vec![RateEntry { at: NOW, count: 2, actual: 4 }]));
    // A drain was counted when it was claimed; its termination is not counted again.
    let ended = Group::example().and([draining("i-9", 600, Cause::Load)]).decide();
    assert_eq!((ended.terminates().len(), ended.plan.head.terminations), (1, RateLog::default()));
}

#[test]
fn f8_lost_members_and_bounds_are_paced_too() {
    let full = |actual| RateLog(vec![RateEntry { at: ago(10), count: 100, actual }]);
    let lost = Group::example().desired(6).but(|s| s.head.launches = full(4)).decide();
    assert_eq!((lost.launches(), lost.waits_for(Rule::F8)), (0, true));
    let excess = Group::example().desired(3).but(|s| s.head.terminations = full(4)).decide();
    assert_eq!((excess.lets_go().len(), excess.waits_for(Rule::F8)), (0, true));
    let exact = Group::example().desired(2).decide();
    assert_eq!((exact.lets_go().len(), exact.waits_for(Rule::F8)), (2, false));
}

#[test]
fn f8_a_group_of_none_empties_as_fast_as_its_window_lets_it() {
    // With the limit of the default half of the group goes, and the rest when the window has moved on.
    let decision = Group::example().bounds(0, 0).decide();
    assert_eq!((decision.plan.head.desired, decision.drains().len(), decision.waits_for(Rule::F8)), (0, 2, true));
    // Of nobody a share is nobody, and `at_least` still lets the last one go.
    let last = Group::of(&[50.0; 1]).bounds(0, 0).with(|p| p.inward.limit = Limit { percent: 0, at_least: 1 });
    assert_eq!((last.decide().drains(), last.decide().waits_for(Rule::F8)), (vec!["i-1"], false));
}

#[test]
fn f8_a_cancelled_launch_keeps_its_place_in_the_window() {
    let group = Group::of(&[5.0; 4]).desired(6).ungated().but(|s| {
        s.intents = vec![open_launch("l-1", 0), open_launch("l-2", 0)];
        s.head.launches = RateLog(vec![RateEntry { at: ago(5), count: 2, actual: 4 }]);
    });
    let decision = group.decide();
    assert_eq!(decision.cancels().len(), 2);
    assert_eq!(decision.plan.head.launches, group.snapshot.head.launches);
    assert_eq!(decision.plan.head.terminations, RateLog::default());
}

#[test]
fn f8_the_log_is_bounded_and_never_forgets_too_early() {
    let limit = Limit { percent: 0, at_least: 1_000 };
    let window = seconds_of(3600);
    let mut log = RateLog::default();
    for second in (0..1_000).rev() {
        log.record(ago(second), 1, 10, window);
        assert!(log.0.len() <= 64);
    }
    assert_eq!(log.room(NOW, window, limit, 10), 0);
    let later = NOW.plus(seconds_of(3600));
    assert_eq!(log.room(later, window, limit, 10), 1_000);
    let halfway = NOW.plus(seconds_of(3100));
    let room = log.room(halfway, window, limit, 10);
    assert!((450..=500).contains(&room), "half of them are out of the window, give or take a merge: {room}");
    log.record(later, 1, 10, window);
    assert_eq!(log.0.len(), 1, "what counts no more is not kept");
}

#[test]
fn f8_boot_timeouts_are_paced() {
    let never = (5..=8).map(|n| pending(&format!("i-{n}"), 601)).collect::<Vec<Member>>();
    let decision = Group::example().and(never).desired(8).decide();
    assert_eq!(decision.terminates().len(), 4);
    let limited = |p: &mut muster_core::policy::Policy| p.inward.limit = Limit { percent: 25, at_least: 1 };
    let never = (5..=8).map(|n| pending(&format!("i-{n}"), 601)).collect::<Vec<Member>>();
    let decision = Group::example().and(never).desired(8).with(limited).decide();
    assert_eq!((decision.terminates().len(), boot_failures(&decision.plan.head)), (2, 2));
    assert!(decision.waits_for(Rule::F8));
}
