//! Chapter "Scaling in" of the contract.

use crate::common::*;
use muster_core::health::{AgentState, Seen};
use muster_core::intent::Cause;
use muster_core::plan::Step;
use muster_core::report::Rule;
use muster_core::snapshot::Member;

/// Takes one after another, and says in which order.
fn order_of(mut group: Group) -> Vec<String> {
    let mut order = Vec::new();
    loop {
        group.snapshot.head.desired = group.decide().report.counts.actual - 1;
        if group.snapshot.head.desired < group.policy.min {
            return order;
        }
        let gone: Vec<_> = group.decide().lets_go().into_iter().map(String::from).collect();
        assert_eq!(gone.len(), 1, "{:?}", group.decide().report.waits);
        group.snapshot.members.retain(|member| member.id.0 != gone[0]);
        order.extend(gone);
    }
}

#[test]
fn d1_the_unhealthy_go_first_then_pending_then_the_others() {
    let group = Group::example().whose("i-3", |m| m.health = dead()).and([pending("i-0", 10)]).bounds(1, 9);
    assert_eq!(order_of(group), ["i-3", "i-0", "i-1", "i-2"]);
    // An untried launch goes before a member that runs.
    let group = Group::example().and([pending("i-0", 10)]).but(|s| s.intents = vec![open_launch("l-1", 0)]).desired(4);
    assert_eq!((group.decide().cancels(), group.decide().lets_go()), (vec!["l-1"], vec!["i-0"]));
    // A tried one may run already: it is not to be had.
    let group = Group::example().but(|s| s.intents = vec![open_launch("l-1", 1)]).desired(4);
    assert_eq!((group.decide().cancels().len(), group.decide().lets_go()), (0, vec!["i-1"]));
}

#[test]
fn d1_then_the_outdated_the_least_busy_the_oldest_and_ties_by_id() {
    let group =
        Group::of(&[50.0, 50.0, 30.0, 50.0, 50.0]).bounds(1, 9).with(|p| p.launch.template = Some("lt-2".into()));
    let group = group.whose("i-4", |m| m.launched_at = ago(90_000)).whose("i-5", |m| m.template = "lt-1".into());
    let group = group.whose("i-1", |m| m.template = "lt-2".into());
    assert_eq!(order_of(group), ["i-5", "i-3", "i-4", "i-1"]);
    // Of whom nothing is known counts as full.
    let group = Group::of(&[99.0, 50.0]).bounds(1, 9).whose("i-2", |m| m.health.as_mut().unwrap().load = None);
    assert_eq!(order_of(group), ["i-1"]);
    // Without a template in force nobody is outdated.
    let group = Group::of(&[50.0, 50.0]).bounds(1, 9).whose("i-2", |m| m.template = "lt-1".into());
    assert_eq!(order_of(group), ["i-1"]);
}

#[test]
fn d1_the_zone_with_most_members_comes_first() {
    let group = Group::of(&[10.0, 20.0, 30.0, 40.0, 50.0]).bounds(1, 9);
    let zone = |name: &'static str| move |m: &mut Member| m.zone = name.into();
    let group = group.whose("i-1", zone("a")).whose("i-2", zone("a"));
    let group = group.whose("i-3", zone("b")).whose("i-4", zone("b")).whose("i-5", zone("b"));
    // b has three: its least busy. Then two against two: the least busy of both. Then b has two again.
    assert_eq!(order_of(group), ["i-3", "i-1", "i-4", "i-2"]);
}

#[test]
fn d1_who_is_under_replacement_is_not_chosen_but_counts_in_its_zone() {
    let zone = |name: &'static str| move |m: &mut Member| m.zone = name.into();
    let group = Group::of(&[10.0, 20.0, 30.0, 40.0]).bounds(1, 9);
    let group = group.whose("i-1", zone("a")).whose("i-2", zone("a")).whose("i-3", zone("b")).whose("i-4", zone("b"));
    let group = group.whose("i-4", |m| m.health = dead()).and([serving("i-5", 1.0)]).whose("i-5", zone("b"));
    let group = group.whose("i-5", |m| (m.replaces, m.first_answer) = (Some(id("i-4")), Some(ago(5)))).desired(3);
    let decision = group.decide();
    assert_eq!(decision.lets_go(), ["i-3"], "b has three with the pair, {:?}", decision.report.actions);
    // The launch of a replacement is not taken back either.
    let group = Group::example().whose("i-1", |m| m.health = dead()).desired(3);
    let group = group.but(|s| s.intents = vec![open_replacement("l-1", "i-1")]).but(|s| s.intents[0].attempt = 0);
    assert_eq!((group.decide().cancels().len(), group.decide().lets_go()), (0, vec!["i-2"]));
}

#[test]
fn d1_a_replacement_that_boots_is_no_victim() {
    let pair = Group::example().whose("i-1", |m| m.health = dead()).and([pending("i-9", 5)]).desired(3);
    let decision = pair.whose("i-9", |m| m.replaces = Some(id("i-1"))).decide();
    assert_eq!(decision.lets_go(), ["i-2"], "Pending goes first, but not a member of a pair");
}

#[test]
fn d3_who_works_is_asked_to_drain_and_not_terminated() {
    let decision = Group::of(&[5.0; 4]).decide();
    assert_eq!((decision.drains(), decision.terminates()), (vec!["i-1", "i-2"], vec![]));
    let Step::Drain { leaving, .. } = &decision.plan.steps[0] else { panic!() };
    assert_eq!((leaving.since, leaving.cause, leaving.timeout_ms), (NOW, Cause::Load, 120_000));
    // Pending and unhealthy members have nothing to finish.
    let others = Group::example().whose("i-1", |m| m.health = dead()).and([pending("i-9", 5)]).desired(3).decide();
    assert_eq!((others.drains().len(), others.terminates().len(), others.launches()), (0, 2, 0));
}

#[test]
fn d3_a_drain_ends_when_the_agent_says_so_after_an_unregister() {
    let group = |agent, delivered: Option<u64>| {
        Group::example().and([draining("i-9", 30, Cause::Bounds)]).whose("i-9", |m| {
            let health = m.health.as_mut().unwrap();
            (health.agent, health.unregistered_at) = (Some(agent), delivered.map(ago));
        })
    };
    for (agent, delivered, ends) in [
        (AgentState::Drained, Some(20), true),
        (AgentState::Draining, Some(20), false),
        (AgentState::Drained, None, false),
        (AgentState::Serving, None, false),
    ] {
        let decision = group(agent, delivered).decide();
        assert_eq!(decision.terminates().len(), usize::from(ends), "{agent:?} {delivered:?}");
        assert_eq!((decision.remarks_on(Rule::D3), decision.waits_for(Rule::D3)), (ends, !ends));
        if ends {
            assert_eq!(decision.terminates(), [("i-9", Cause::Bounds)]);
        }
    }
}

#[test]
fn d3_the_deadline_runs_from_the_first_unregister_with_a_hard_cap() {
    // Two minutes; three periods of ten seconds more when nothing was delivered in time.
    for (since, delivered, ends) in [
        (125, Some(120), true),
        (125, Some(119), false),
        (149, None, false),
        (150, None, true),
        (149, Some(40), false),
        (150, Some(40), true),
    ] {
        for cause in [Cause::Load, Cause::Bounds] {
            let group = Group::example().and([draining("i-9", since, cause)]).whose("i-9", |m| {
                let health = m.health.as_mut().unwrap();
                (health.agent, health.unregistered_at) = (Some(AgentState::Draining), delivered.map(ago));
            });
            let ended = group.decide().terminates() == [("i-9", cause)];
            assert_eq!(ended, ends, "{since} s, delivered {delivered:?} s ago, {cause}");
        }
    }
}

#[test]
fn d3_a_drain_for_the_loads_sake_stands_still_while_nobody_answers() {
    for (cause, ends) in [(Cause::Load, 0), (Cause::Bounds, 1)] {
        let mut dark = Group::of(&[50.0; 2]).and([draining("i-9", 600, cause)]);
        for name in ["i-1", "i-2", "i-9"] {
            dark = dark.whose(name, |m| m.health = Some(silent(300, 30)));
        }
        assert_eq!(dark.decide().terminates().len(), ends, "{cause}");
        // Light again: the 500 s of darkness are not counted.
        let light = Group::of(&[50.0; 2]).and([draining("i-9", 600, cause)]).but(|s| {
            s.head.remember_darkness(ago(510), true);
            s.head.remember_darkness(ago(10), true);
            s.head.remember_darkness(ago(10), false);
        });
        assert_eq!(light.decide().terminates().len(), ends, "{cause}, afterwards");
    }
    // What was said before the dark is looked at again afterwards (S5).
    let drained = Group::of(&[50.0; 1]).and([draining("i-9", 30, Cause::Load)]).whose("i-9", |m| {
        let health = m.health.as_mut().unwrap();
        (health.agent, health.unregistered_at) = (Some(AgentState::Drained), Some(ago(20)));
    });
    assert_eq!(drained.decide().terminates().len(), 1);
    let dark = drained.whose("i-1", |m| m.health = Some(silent(5, 1)));
    assert_eq!(dark.decide().terminates().len(), 0);
}

#[test]
fn d5_every_termination_names_its_instance_once() {
    let decision = Group::of(&[50.0; 20]).bounds(2, 4).decide();
    let mut names = decision.lets_go();
    assert_eq!(names.len(), 10);
    names.dedup();
    assert_eq!(names.len(), 10);
    for step in &decision.plan.steps {
        assert!(matches!(step, Step::Drain { .. }), "nothing sets a count: {step:?}");
    }
}

#[test]
fn d5_the_unhealthy_and_the_pending_go_once_also_where_nobody_else_may() {
    let protect = |m: &mut Member| m.health.as_mut().unwrap().protected = true;
    let kept = (1..=4).fold(Group::example(), |group, n| group.whose(&format!("i-{n}"), protect));
    let group = kept.and([serving("i-8", 50.0), pending("i-9", 5)]).whose("i-8", |m| m.health = dead()).desired(2);
    assert_eq!((group.decide().lets_go(), group.decide().waits_for(Rule::D2)), (vec!["i-8", "i-9"], true));
}

#[test]
fn d6_a_record_goes_only_when_ec2_says_so_and_an_end_is_asked_for_again() {
    for (since, open, again) in [(59, false, false), (60, false, true), (600, true, false)] {
        let mut group = Group::example().and([terminating("i-9", since, Cause::Load)]);
        if open {
            let first = Group::example().and([draining("i-9", 600, Cause::Load)]).decide();
            let Step::Terminate { intent, .. } = &first.plan.steps[0] else { panic!() };
            group = group.but(|s| s.intents = vec![intent.clone()]);
        }
        let decision = group.decide();
        assert_eq!(decision.terminates(), if again { vec![("i-9", Cause::Load)] } else { vec![] });
        assert_eq!(decision.remarks_on(Rule::D6), again);
        assert!(!decision.plan.steps.iter().any(|step| matches!(step, Step::Close { .. })));
        assert_eq!(decision.plan.head.terminations.0, [], "it was counted when it was let go");
    }
    // Neither listed nor long absent: nothing is done, and nothing is forgotten.
    let unlisted = Group::example().and([terminating("i-9", 600, Cause::Load)]).ec2_omits("i-9").decide();
    assert!(unlisted.plan.is_empty());
    let deaf = Group::example().and([terminating("i-9", 600, Cause::Load)]).but(|s| s.fleet = None).decide();
    assert!(deaf.plan.is_empty());
}

#[test]
fn d7_no_healthy_member_is_taken_below_min_healthy_ones() {
    // Four, of which one fails and one is silent for a moment: two healthy ones are left, and min is two.
    let group = Group::example().whose("i-3", |m| m.health = Some(failing(5, 1)));
    let group = group.whose("i-4", |m| m.health = Some(silent(5, 1))).bounds(2, 9);
    let by_bound = group.clone().desired(3).decide();
    assert_eq!(by_bound.lets_go(), ["i-3"], "the healthy stay");
    let all = group.clone().desired(2).decide();
    assert_eq!(all.lets_go(), ["i-3", "i-4"]);
    // With min at three there are too few already: an unknown one counts as healthy when it is chosen.
    let below = group.bounds(3, 9).desired(3).decide();
    assert_eq!((below.lets_go().len(), below.waits_for(Rule::D7)), (0, true));
}

#[test]
fn d7_the_unhealthy_and_the_pending_may_always_go() {
    let group = Group::of(&[50.0; 2]).bounds(2, 9).desired(2).and([serving("i-8", 1.0), pending("i-9", 5)]);
    let decision = group.whose("i-8", |m| m.health = dead()).decide();
    assert_eq!(decision.lets_go(), ["i-8", "i-9"]);
}

#[test]
fn d7_limits_a_scale_in_by_load_as_well() {
    // Six idle ones, of which two are unknown: four are healthy, and min is three.
    let mut group = Group::of(&[1.0; 6]).ungated().bounds(3, 9).with(|p| threshold(p).down = 50.0);
    for name in ["i-5", "i-6"] {
        group = group.whose(name, |m| m.health.as_mut().unwrap().seen = Seen::Unknown);
    }
    let decision = group.decide();
    assert_eq!((decision.verdict(), decision.lets_go()), ((3, Rule::Z2), vec!["i-1", "i-5", "i-6"]));
    let tight = group.bounds(1, 9).with(|p| threshold(p).down_factor = 0.9).ungated();
    assert_eq!(tight.decide().verdict(), (3, Rule::F5), "two unknown ones at 100 %");
    // Failing members answer: four of six are healthy, min is four.
    let mut failed = Group::of(&[1.0; 6]).ungated().bounds(4, 9).with(|p| threshold(p).down = 55.0);
    for name in ["i-1", "i-2", "i-3"] {
        failed = failed.whose(name, |m| m.health = Some(failing(5, 1)));
    }
    assert_eq!(failed.decide().verdict(), (6, Rule::D7), "three are healthy, fewer than min already");
}
