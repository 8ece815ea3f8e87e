//! Chapter "Health" of the contract: H6, what an agent says of itself before it falls silent.

use crate::common::*;
use muster_core::health::{AgentState, Health};
use muster_core::intent::Cause;
use muster_core::plan::Step;
use muster_core::policy::{Mode, OnTimeout};
use muster_core::report::Rule;
use muster_core::snapshot::{Member, Snapshot};

fn says(agent: AgentState) -> impl Fn(&mut Member) {
    move |member| member.health.as_mut().expect("it was swept").agent = Some(agent)
}

/// Silent for so many seconds; its last word was that it restarts.
fn restarting(since_ago: u64) -> impl Fn(&mut Member) {
    let sweeps = u32::try_from(since_ago / 10).expect("a test is short");
    move |member| member.health = Some(Health { agent: Some(AgentState::Restarting), ..silent(since_ago, sweeps) })
}

#[test]
fn h6_who_says_that_its_machine_goes_is_drained_and_replaced() {
    let group = Group::example().whose("i-2", says(AgentState::Leaving));
    let decision = group.decide();
    assert_eq!((decision.drains(), decision.launches(), decision.terminates().len()), (vec!["i-2"], 1, 0));
    let Step::Drain { leaving, .. } = &decision.plan.steps[0] else { panic!("{:?}", decision.plan.steps) };
    assert_eq!((leaving.cause, leaving.since, leaving.timeout_ms, leaving.wait), (Cause::Leaving, NOW, 120_000, false));
    assert!(decision.remarks_on(Rule::H6));
    let head = &decision.plan.head;
    assert_eq!((head.desired, head.scale_in_at, head.terminations.0.len()), (4, None, 1), "no cooldown, but a pace");
    let patient = group.with(|p| p.on_timeout = OnTimeout::Wait).decide();
    let Step::Drain { leaving, .. } = &patient.plan.steps[0] else { panic!("{:?}", patient.plan.steps) };
    assert!(leaving.wait);
}

#[test]
fn h6_only_by_the_word_of_the_latest_sweep_that_may_be_judged() {
    let group = || Group::example().whose("i-2", says(AgentState::Leaving));
    let silent_since = Health { agent: Some(AgentState::Leaving), ..silent(5, 1) };
    let others: [fn(&mut Snapshot); 4] = [
        |s| s.sweep.as_mut().unwrap().blind = Some("stalled".into()),
        |s| s.sweep.as_mut().unwrap().slot = ago(31),
        |s| s.head.last_slot = s.sweep.as_ref().map(|sweep| sweep.slot),
        |s| s.members[1].health = None,
    ];
    assert!(group().whose("i-2", |m| m.health = Some(silent_since.clone())).decide().plan.is_empty());
    for spoil in others {
        assert!(group().but(spoil).decide().drains().is_empty());
    }
    for agent in
        [AgentState::Starting, AgentState::Serving, AgentState::Draining, AgentState::Drained, AgentState::Restarting]
    {
        let decision = Group::example().whose("i-2", says(agent)).decide();
        assert_eq!((decision.drains().len(), decision.remarks_on(Rule::H6)), (0, false), "{agent:?}");
    }
}

#[test]
fn h6_f8_those_that_go_are_paced() {
    let all = (1..=4).fold(Group::example(), |group, n| group.whose(&format!("i-{n}"), says(AgentState::Leaving)));
    let decision = all.decide();
    assert_eq!((decision.drains(), decision.waits_for(Rule::F8)), (vec!["i-1", "i-2"], true), "half of four");
    // Some of them Pending: an agent that has just begun to answer may say so, too.
    let young =
        Member { health: Some(Health { agent: Some(AgentState::Leaving), ..answering(1.0) }), ..pending("i-9", 50) };
    let young = Group::of(&[50.0; 3]).and([young]).desired(4).decide();
    assert_eq!((young.drains(), young.plan.steps.len()), (vec!["i-9"], 3), "confirmed, drained, replaced");
}

#[test]
fn h6_o1_where_nobody_is_let_go_the_leaving_are_withheld() {
    for mode in [Mode::OutOnly, Mode::Observe] {
        let group = Group::example().whose("i-2", says(AgentState::Leaving)).with(|p| p.mode = mode);
        let decision = group.decide();
        assert!(decision.drains().is_empty(), "{mode:?}");
        assert!(decision.report.withheld.contains(&"drain i-2 (leaving)".to_owned()), "{:?}", decision.report.withheld);
    }
    // Out-only launches nobody for a place that is still taken.
    let kept = Group::example().whose("i-2", says(AgentState::Leaving)).with(|p| p.mode = Mode::OutOnly);
    assert!(kept.decide().plan.is_empty());
}

#[test]
fn h6_the_silence_of_a_restart_is_excused_for_grace_and_unhealthy_after() {
    // 300 s of grace and 60 s.
    for (since, replaced) in [(100, 0), (350, 0), (359, 0), (360, 1)] {
        let decision = Group::example().whose("i-2", restarting(since)).decide();
        assert_eq!((decision.launches_for(Cause::Unhealthy), decision.lets_go().len()), (replaced, 0), "{since} s");
    }
    // It says what it will do, nothing else: silence without such a word, and failing while it answers, are not excused.
    let silent_only = Group::example().whose("i-2", |m| m.health = Some(silent(100, 10))).decide();
    assert_eq!(silent_only.launches(), 1);
    let fails =
        Group::example().whose("i-2", |m| m.health = Some(failing(100, 10))).whose("i-2", says(AgentState::Restarting));
    assert_eq!(fails.decide().launches(), 1);
    let victim = Group::example().whose("i-2", restarting(100)).bounds(1, 3).decide();
    assert_eq!(victim.drains().len() + victim.terminates().len(), 1);
    assert_ne!(victim.terminates(), [("i-2", Cause::Bounds)], "it is not taken for unhealthy");
}

#[test]
fn h6_many_that_restart_are_no_mass_silence_and_nobody_is_drained() {
    let upgrade =
        |since, n| (1..=n).fold(Group::example(), |group, k| group.whose(&format!("i-{k}"), restarting(since)));
    let decision = upgrade(100, 3).decide();
    assert!(decision.plan.is_empty() && !decision.remarks_on(Rule::H3), "{:?}", decision.report);
    assert_eq!(decision.plan.head.breaker, None);
    let late = upgrade(360, 3).decide();
    assert!(late.remarks_on(Rule::H3) && late.plan.head.breaker.is_some());
    // All of them: nobody answers, so nobody goes, and load moves nothing.
    let all = upgrade(100, 4).decide();
    assert_eq!((all.plan.is_empty(), all.verdict()), (true, (4, Rule::M5)));
    // One silent for no known cause beside them is one.
    let one = upgrade(100, 2).whose("i-4", |m| m.health = dead()).decide();
    assert_eq!((one.launches_for(Cause::Unhealthy), one.plan.head.breaker.is_some()), (1, false));
}
