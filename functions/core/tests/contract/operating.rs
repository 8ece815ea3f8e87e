//! Chapter "Operating" of the contract.

use crate::common::*;
use muster_core::decide::{Decision, decide};
use muster_core::group::PolicyVersion;
use muster_core::health::AgentState;
use muster_core::history::RateLog;
use muster_core::intent::Cause;
use muster_core::plan::Step;
use muster_core::policy::{Mode, Pause};
use muster_core::report::Rule;
use muster_core::snapshot::{InstanceState, Snapshot};

fn in_mode(mode: Mode) -> impl FnOnce(&mut muster_core::policy::Policy) {
    move |policy| policy.mode = mode
}

/// Everything at once: a lost, a dead, an excess, a drained, a booted and an unbooted member.
fn busy() -> Group {
    let group = Group::example().ec2_says("i-2", InstanceState::Terminated).whose("i-3", |m| m.health = dead());
    let members = [draining("i-5", 600, Cause::Load), pending("i-6", 700), pending("i-7", 30)];
    let group = group.but(|s| s.members.extend(members)).whose("i-7", |m| m.health = Some(answering(10.0)));
    ["i-5", "i-6", "i-7"].into_iter().fold(group, |group, name| group.ec2_says(name, InstanceState::Running))
}

fn kinds(decision: &Decision) -> [usize; 4] {
    let count = |wanted: fn(&Step) -> bool| decision.plan.steps.iter().filter(|step| wanted(step)).count();
    [
        count(Step::is_record),
        count(|s| matches!(s, Step::Launch { .. })),
        count(|s| matches!(s, Step::Drain { .. })),
        count(|s| matches!(s, Step::Terminate { .. } | Step::Cancel { .. })),
    ]
}

#[test]
fn o1_each_mode_takes_only_its_own_steps() {
    for (mode, steps, withheld) in [
        (Mode::Active, [2, 1, 0, 2], 0),
        (Mode::OutOnly, [2, 0, 0, 0], 2),
        (Mode::Observe, [2, 0, 0, 0], 3),
        (Mode::Paused, [2, 0, 0, 0], 0),
    ] {
        let decision = busy().with(in_mode(mode)).decide();
        assert_eq!(kinds(&decision), steps, "{mode:?}: {:?}", decision.report.actions);
        assert_eq!(decision.report.withheld.len(), withheld, "{mode:?}: {:?}", decision.report.withheld);
    }
}

#[test]
fn o1_out_only_launches_and_lets_nobody_go() {
    let out = |group: Group| group.with(in_mode(Mode::OutOnly)).decide();
    let busy = out(Group::of(&[90.0; 4]));
    assert_eq!((busy.verdict(), busy.launches()), ((8, Rule::Z2), 4));
    let idle = out(Group::of(&[5.0; 4]));
    assert_eq!((idle.verdict(), idle.plan.is_empty()), ((4, Rule::O1), true));
    assert_eq!(idle.plan.head.scale_in_at, None, "no cooldown for what is withheld");
    let excess = out(Group::of(&[50.0; 9]));
    assert_eq!((excess.verdict(), excess.plan.is_empty(), excess.waits_for(Rule::O1)), ((8, Rule::Z5), true, true));
    let unhealthy = out(Group::example().whose("i-1", |m| m.health = dead()));
    assert_eq!((unhealthy.plan.is_empty(), unhealthy.waits_for(Rule::O1)), (true, true));
    assert_eq!(unhealthy.plan.head.breaker, None);
}

#[test]
fn o1_out_only_neither_counts_nor_fills_the_place_of_whom_it_keeps() {
    let group = Group::of(&[50.0; 3]).and([pending("i-9", 700)]).desired(4).bounds(2, 4);
    let decision = group.with(in_mode(Mode::OutOnly)).decide();
    assert!(decision.plan.is_empty(), "{:?}", decision.report.actions);
    assert_eq!((boot_failures(&decision.plan.head), &decision.plan.head.terminations), (0, &RateLog::default()));
    assert_eq!(decision.report.withheld, ["terminate i-9 (boot timeout)"]);
}

#[test]
fn o1_observe_says_what_it_would_do_and_changes_nothing_but_what_it_saw() {
    let group = Group::of(&[90.0; 4]).with(in_mode(Mode::Observe));
    let decision = group.decide();
    assert_eq!((decision.report.desired.after, decision.report.withheld.len()), (8, 4));
    assert!(decision.report.headline.starts_with("Scale out 4 -> 8"));
    let head = &decision.plan.head;
    assert_eq!((head.desired, head.factor_out_at, &head.launches), (4, None, &RateLog::default()));
    assert_eq!(head.last_slot, group.snapshot.sweep.as_ref().map(|sweep| sweep.slot));
    assert_eq!((head.recommendations.len(), head.version), (1, 8));

    let idle = Group::of(&[5.0; 4]).with(in_mode(Mode::Observe)).decide();
    assert_eq!((idle.report.desired.after, idle.plan.head.desired, idle.plan.head.scale_in_at), (2, 4, None));
    assert_eq!(idle.plan.head.terminations, RateLog::default());

    let seen =
        busy().with(in_mode(Mode::Observe)).but(|s| s.head.templates = vec![untemplated(1, false)]).decide().plan.head;
    assert_eq!((boot_failures(&seen), seen.boot_times_ms.len(), seen.breaker), (0, 1, None));
    let unbooted = Group::example().and([pending("i-9", 700)]).with(in_mode(Mode::Observe)).decide().plan.head;
    assert_eq!(boot_failures(&unbooted), 0, "withheld, so it has not failed yet");

    let mut dark = Group::of(&[50.0; 2]).with(in_mode(Mode::Observe));
    for name in ["i-1", "i-2"] {
        dark = dark.whose(name, |m| m.health = dead());
    }
    assert!(!dark.decide().plan.head.dark.is_empty());
    let absent = Group::example().ec2_omits("i-1").with(in_mode(Mode::Observe)).decide();
    assert_eq!(absent.plan.head.not_found.len(), 1);
}

#[test]
fn o1_paused_decides_nothing() {
    let group = Group::of(&[90.0; 1]).with(in_mode(Mode::Paused));
    let decision = group.decide();
    assert_eq!((decision.verdict(), decision.plan.is_empty()), ((1, Rule::O1), true));
    // That nothing is done about a sweep is a decision on it, too: it is recorded (O2), and nobody is late.
    assert_eq!(decision.plan.head.last_slot, group.snapshot.sweep.as_ref().map(|sweep| sweep.slot));
    assert!(decision.report.stages.is_empty());
}

/// The example under a pause of which so many seconds are left; none: it has no end.
fn under_pause(left: Option<u64>) -> Group {
    let until = left.map(|left| NOW.plus(seconds_of(left)));
    Group::of(&[90.0; 4]).with(|p| p.pause = Some(Pause { reason: "a migration".into(), until }))
}

#[test]
fn o1_a_pause_is_the_mode_paused_until_it_ends_by_itself() {
    for (left, said) in [(Some(1), "Paused: a migration, until 2027-01-15T08:00:01Z."), (None, "Paused: a migration.")]
    {
        for written in [Mode::Active, Mode::Observe, Mode::OutOnly, Mode::Paused] {
            let decision = under_pause(left).with(in_mode(written)).decide();
            assert_eq!((decision.verdict(), decision.plan.is_empty()), ((4, Rule::O1), true), "{written:?}");
            assert_eq!((decision.report.mode, decision.report.headline.as_str()), (Mode::Paused, said), "{written:?}");
            assert!(decision.plan.head.halted.last().is_some_and(|halted| halted.lasts), "clocks stand still in it");
        }
    }
    let over = under_pause(Some(0)).decide();
    assert_eq!((over.report.mode, over.launches()), (Mode::Active, 4));
    let observed = under_pause(Some(0)).with(in_mode(Mode::Observe)).decide();
    assert_eq!((observed.report.mode, observed.launches(), observed.report.withheld.len()), (Mode::Observe, 0, 4));
    let paused = under_pause(Some(0)).with(in_mode(Mode::Paused)).decide();
    assert_eq!(paused.report.headline, "Paused: nothing is decided.", "what is written as the mode has no end");
}

#[test]
fn o1_what_has_happened_is_written_down_during_a_pause() {
    let pause = Some(Pause { reason: "a migration".into(), until: None });
    let decision = busy().with(|p| p.pause = pause).decide();
    assert_eq!(kinds(&decision), [2, 0, 0, 0], "{:?}", decision.report.actions);
}

#[test]
fn o2_a_report_says_what_it_saw_and_why() {
    let group = Group::of(&[90.0; 4]).but(|s| s.head.policy = Some(PolicyVersion(3)));
    let report = group.decide().report;
    assert_eq!((report.at, report.slot, report.policy), (NOW, Some(ago(2)), Some(PolicyVersion(3))));
    assert_eq!((report.bounds, report.mode, report.counts.actual), ((2, 8), Mode::Active, 4));
    assert_eq!((report.desired.before, report.desired.after, report.rule), (4, 8, Rule::Z2));
    assert_eq!((report.stages.len(), report.actions.len()), (2, 4));
    assert!(report.headline.starts_with("Scale out 4 -> 8: mean load 90 %"), "{}", report.headline);
    let hold = Group::example().decide().report;
    assert_eq!((hold.rule, hold.stages.len()), (Rule::Z1, 1), "inaction is explained too");
}

#[test]
fn o2_a_report_of_a_large_group_stays_small() {
    let drains = (0..1_000).map(|n| draining(&format!("i-d{n}"), 10, Cause::Bounds));
    let waits = Group::example().and(drains).decide().report.waits;
    assert_eq!((waits.len(), waits.last().unwrap().text.as_str()), (21, "and 980 more"));
    assert_eq!(waits.last().unwrap().rule, Rule::D3);
}

#[test]
fn o1_o2_of_many_steps_that_the_mode_withholds_twenty_are_told() {
    for (late, told, last) in [(20, 20, "terminate i-d19 (bounds)"), (21, 21, "and 1 more"), (50, 21, "and 30 more")] {
        let drains = (0..late).map(|n| draining(&format!("i-d{n:02}"), 600, Cause::Bounds));
        let decision = Group::example().and(drains).with(in_mode(Mode::OutOnly)).decide();
        let withheld = &decision.report.withheld;
        assert_eq!((withheld.len(), withheld.last().map(String::as_str)), (told, Some(last)), "{late}");
        assert!(decision.plan.is_empty());
    }
}

#[test]
fn o2_equal_decisions_may_be_folded_and_others_not() {
    let key = |group: &Group| group.decide().report.fold_key();
    let quiet = Group::example();
    let later = quiet.clone().but(|s| (s.now, s.sweep.as_mut().unwrap().slot) = (NOW.plus(seconds_of(10)), NOW));
    let slightly_busier = Group::of(&[51.0; 4]);
    assert_eq!(key(&quiet), key(&later));
    assert_eq!(key(&quiet), key(&slightly_busier));
    for other in [
        Group::of(&[90.0; 4]),
        Group::of(&[50.0; 5]),
        quiet.clone().with(in_mode(Mode::Observe)),
        quiet.clone().bounds(1, 8),
        quiet.clone().but(|s| s.head.policy = Some(PolicyVersion(4))),
        quiet.clone().but(|s| s.policy_notice = Some("gone".into())),
        quiet.clone().whose("i-1", |m| m.health = Some(silent(5, 1))),
    ] {
        assert_ne!(key(&quiet), key(&other));
    }
    let lost = |name| Group::example().ec2_says(name, InstanceState::Terminated);
    assert_ne!(key(&lost("i-1")), key(&lost("i-2")), "what is done to different members is not equal");
}

#[test]
fn o3_a_recorded_snapshot_gives_the_same_decision_to_the_bit() {
    for group in [busy(), Group::of(&[33.333_333_333, 66.1, 0.1]), Group::of(&[5.0; 8]), Group::of(&[90.0; 3])] {
        let decision = group.decide();
        let recorded = serde_json::to_string(&group.snapshot).unwrap();
        let read: Snapshot = serde_json::from_str(&recorded).unwrap();
        assert_eq!(read, group.snapshot);
        assert_eq!(decide(&read, &group.policy), decision);
        let written = serde_json::to_string(&decision).unwrap();
        let again: Decision = serde_json::from_str(&written).unwrap();
        assert_eq!(again, decision);
    }
}

#[test]
fn o4_an_edit_counts_at_the_next_decision_and_what_was_begun_keeps_its_own() {
    let old = Group::of(&[5.0; 4]).but(|s| s.head.policy = Some(PolicyVersion(1)));
    let drained = old.decide();
    let Step::Drain { leaving, .. } = &drained.plan.steps[0] else { panic!() };
    assert_eq!(leaving.timeout_ms, 120_000);
    // The edit shortens the drain: whoever drains already keeps the old time, whoever begins now gets the new one.
    let edited = Group { policy: old.policy.clone(), snapshot: claim(&old.snapshot, &drained.plan) };
    let edited = edited.with(|p| (p.drain_timeout, p.min, p.max) = (seconds_of(0), 1, 1));
    let edited = edited.but(|s| s.head.policy = Some(PolicyVersion(2)));
    let decision = edited.decide();
    assert_eq!(decision.verdict(), (1, Rule::Z5));
    assert_eq!(decision.terminates(), []);
    assert!(decision.waits_for(Rule::D3));
    // Intents name the version that they were made with.
    let launch = Group::of(&[50.0; 1]).but(|s| s.head.policy = Some(PolicyVersion(2))).decide();
    let Step::Launch { intent } = &launch.plan.steps[0] else { panic!() };
    assert_eq!(intent.policy, Some(PolicyVersion(2)));
}

#[test]
fn o6_every_claim_asks_for_the_next_version() {
    for group in [Group::example(), Group::of(&[90.0; 4]), Group::example().with(in_mode(Mode::Paused))] {
        assert_eq!(group.decide().plan.head.version, group.snapshot.head.version + 1);
    }
}

#[test]
fn o7_a_policy_that_is_not_the_newest_text_is_said_in_every_mode() {
    for mode in [Mode::Active, Mode::OutOnly, Mode::Observe, Mode::Paused] {
        let group = Group::example().with(in_mode(mode)).but(|s| s.policy_notice = Some("the policy is gone".into()));
        assert!(group.decide().remarks_on(Rule::O7), "{mode:?}");
        assert_eq!(group.decide().plan.head.desired, 4);
    }
}

#[test]
fn z9_a_refused_edit_is_said_as_such() {
    let refused = Group::example().but(|s| {
        s.policy_notice = Some("the policy was refused".into());
        s.policy_refused = true;
    });
    assert!(refused.decide().remarks_on(Rule::Z9) && !refused.decide().remarks_on(Rule::O7));
}

#[test]
fn o8_on_an_old_sweep_load_and_health_wait() {
    let busy = |age| {
        let group = Group::of(&[90.0; 4]).whose("i-1", |m| m.health = dead()).with(|p| p.max_unhealthy_percent = 100);
        group.with(|p| p.max_sample_age = Some(seconds_of(600))).but(|s| s.sweep.as_mut().unwrap().slot = ago(age))
    };
    let fresh = busy(30).decide();
    assert_eq!(fresh.launches(), 1, "{:?}", fresh.report.actions);
    let stale = busy(31).decide();
    assert_eq!((stale.verdict(), stale.plan.is_empty()), ((4, Rule::O8), true));
    assert!(stale.waits_for(Rule::O8));
    assert_eq!(stale.plan.head.last_slot, None);
    assert!(stale.plan.head.recommendations.is_empty());
    // MonitorS's clock may be ahead by a period, and no more.
    for (ahead, rule) in [(10_000, Rule::Z2), (10_001, Rule::O8)] {
        let slot = NOW.plus(std::time::Duration::from_millis(ahead));
        let decision = Group::of(&[90.0; 4]).but(|s| s.sweep.as_mut().unwrap().slot = slot).decide();
        assert_eq!(decision.report.rule, rule, "{ahead} ms ahead");
    }
    // The period is the larger of the sweep's and the policy's.
    let slow = busy(60).but(|s| s.sweep.as_mut().unwrap().period_ms = 20_000).decide();
    assert_eq!(slow.launches(), 1);
    let slow = busy(60).with(|p| p.sweep_interval = seconds_of(20)).decide();
    assert_eq!(slow.launches(), 1);
}

#[test]
fn o8_bounds_lost_members_and_drains_go_on() {
    let stale = |group: Group| group.but(|s| s.sweep.as_mut().unwrap().slot = ago(3600)).decide();
    assert_eq!(stale(Group::of(&[50.0; 1])).launches(), 1);
    assert_eq!(stale(Group::of(&[50.0; 9])).drains().len(), 1);
    assert_eq!(stale(Group::example().ec2_says("i-1", InstanceState::Terminated)).launches(), 1);
    assert_eq!(stale(Group::example().and([draining("i-9", 600, Cause::Load)])).terminates().len(), 1);
    let drained = Group::example().and([draining("i-9", 60, Cause::Load)]).whose("i-9", |m| {
        let health = m.health.as_mut().unwrap();
        (health.agent, health.unregistered_at) = (Some(AgentState::Drained), Some(ago(50)));
    });
    assert_eq!(stale(drained).terminates().len(), 1);
    assert_eq!(stale(Group::of(&[90.0; 4]).and([pending("i-9", 700)]).desired(5)).lets_go().len(), 0);
    assert_eq!(stale(Group::example().and([terminating("i-9", 60, Cause::Load)])).terminates().len(), 1);
}
