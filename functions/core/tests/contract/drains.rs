//! Chapter "Scaling in" of the contract: who is protected (D2), drains that are waited for (D3) and drains that are taken
//! back (D4).

use crate::common::*;
use muster_core::decide::{ACTIONS_PER_CLAIM, decide};
use muster_core::group::Head;
use muster_core::health::{AgentState, Health};
use muster_core::history::Lapse;
use muster_core::intent::Cause;
use muster_core::member::MemberState;
use muster_core::plan::Step;
use muster_core::policy::{Mode, OnTimeout, Policy};
use muster_core::report::Rule;
use muster_core::snapshot::{FleetInstance, InstanceState, Member, Snapshot};

/// The instance carries the tag.
fn tagged(name: &'static str) -> impl Fn(&mut Snapshot) {
    move |snapshot| {
        let fleet = snapshot.fleet.as_mut().expect("EC2 was asked").iter_mut();
        fleet.filter(|listed| listed.id.0 == name).for_each(|listed| listed.protected = true);
    }
}

/// The agent says so.
fn says_protected(member: &mut Member) {
    member.health.as_mut().expect("it was swept").protected = true;
}

#[test]
fn d2_the_protected_are_never_victims_by_tag_or_by_their_agents_word() {
    let idle = || Group::of(&[5.0; 4]).ungated();
    assert_eq!(idle().decide().drains(), ["i-1", "i-2"]);
    let decision = idle().but(tagged("i-1")).whose("i-2", says_protected).decide();
    assert_eq!((decision.verdict(), decision.drains()), ((2, Rule::Z2), vec!["i-3", "i-4"]));
    // The word is the last one that the agent gave: silence since does not take it back.
    let silent_since = |m: &mut Member| m.health = Some(Health { protected: true, ..silent(5, 1) });
    let group = Group::of(&[50.0; 5]).desired(4).whose("i-1", silent_since);
    assert_eq!(group.decide().drains(), ["i-2"]);
    // Not for a bound, not while Pending, and not as an unhealthy one either.
    let bound = Group::of(&[50.0; 4]).bounds(1, 3).but(tagged("i-1"));
    assert_eq!(bound.decide().drains(), ["i-2"]);
    let pending = Group::example().and([pending("i-0", 5)]).but(tagged("i-0"));
    assert_eq!(pending.decide().drains(), ["i-1"]);
    let ill = Group::example().bounds(1, 3).whose("i-4", |m| m.health = dead()).but(tagged("i-4"));
    assert_eq!(ill.decide().terminates(), [("i-4", Cause::Unhealthy)], "it is replaced, not let go");
    assert_eq!(ill.decide().drains(), ["i-1"]);
}

#[test]
fn d2_with_only_the_protected_left_nobody_goes_and_the_report_says_so() {
    let all = (1..=4).fold(Group::of(&[5.0; 4]).ungated(), |group, n| group.whose(&format!("i-{n}"), says_protected));
    let decision = all.decide();
    assert_eq!((decision.verdict(), decision.plan.is_empty()), ((4, Rule::D2), true));
    assert!(decision.waits_text(Rule::D2).contains("4 may not go: protected"), "{:?}", decision.report.waits);
    assert_eq!(decision.plan.head.scale_in_at, None);
    let bound = all.bounds(1, 2).decide();
    assert_eq!((bound.verdict(), bound.plan.is_empty(), bound.waits_for(Rule::D2)), ((2, Rule::Z5), true, true));
    // One of them may go: it alone does, and desired follows.
    let one = (1..=3).fold(Group::of(&[5.0; 4]).ungated(), |group, n| group.whose(&format!("i-{n}"), says_protected));
    assert_eq!((one.decide().verdict(), one.decide().drains()), ((3, Rule::D2), vec!["i-4"]));
    // Where it is min that holds the rest, min is what is told.
    let min = Group::example().whose("i-1", |m| m.health = Some(failing(5, 1))).whose("i-1", says_protected);
    let min = min.bounds(3, 9).desired(3);
    assert!(min.decide().waits_for(Rule::D7), "{:?}", min.decide().report.waits);
}

#[test]
fn d2_protection_is_from_scaling_in_alone() {
    let pair = Group::example().whose("i-1", |m| m.health = dead()).and([serving("i-9", 50.0)]);
    let pair = pair.whose("i-9", |m| m.replaces = Some(id("i-1"))).but(tagged("i-1"));
    assert_eq!(pair.decide().terminates(), [("i-1", Cause::Unhealthy)]);
    let unbooted = Group::example().and([pending("i-9", 601)]).desired(5).but(tagged("i-9"));
    assert_eq!(unbooted.decide().terminates(), [("i-9", Cause::BootTimeout)]);
}

#[test]
fn d2_while_ec2_cannot_be_asked_its_last_word_holds() {
    let asked = Group::of(&[5.0; 4]).ungated().but(tagged("i-1")).decide();
    assert_eq!(asked.plan.head.protected, [id("i-1")].into());
    let deaf = |group: Group| group.but(|s| s.fleet = None).but(|s| s.head.protected = [id("i-1")].into());
    let decision = deaf(Group::of(&[5.0; 4]).ungated()).decide();
    assert_eq!(decision.lets_go(), ["i-2", "i-3"]);
    assert_eq!(decision.plan.head.protected, [id("i-1")].into(), "nothing new is known");
    // Whoever is asked and no longer calls it protected is believed.
    let freed = Group::of(&[5.0; 4]).ungated().but(|s| s.head.protected = [id("i-1")].into()).decide();
    assert_eq!((freed.lets_go()[0], freed.plan.head.protected.len()), ("i-1", 0));
}

/// A member in its drain, whose agent answers so.
fn drains(name: &str, since_ago: u64, cause: Cause, agent: AgentState, delivered: Option<u64>) -> Member {
    let health = Health { agent: Some(agent), unregistered_at: delivered.map(ago), ..answering(50.0) };
    Member { health: Some(health), ..draining(name, since_ago, cause) }
}

fn waited_for(since_ago: u64, health: Option<Health>) -> Group {
    let patient =
        MemberState::Draining(muster_core::member::Leaving { wait: true, ..leaving(since_ago, Cause::Bounds) });
    Group::example().and([draining("i-9", 0, Cause::Bounds)]).whose("i-9", |m| (m.state, m.health) = (patient, health))
}

#[test]
fn d3_a_drain_that_waits_ends_when_it_has_drained() {
    let said = |agent| Health { agent: Some(agent), unregistered_at: Some(ago(5000)), ..answering(50.0) };
    for (agent, ends) in [(AgentState::Draining, false), (AgentState::Serving, false), (AgentState::Drained, true)] {
        let decision = waited_for(6000, Some(said(agent))).decide();
        assert_eq!(decision.terminates().len(), usize::from(ends), "{agent:?}");
        assert_eq!(decision.waits_text(Rule::D3).contains("is waited for"), !ends);
    }
    assert!(waited_for(60, Some(said(AgentState::Draining))).decide().waits_text(Rule::D3).contains("left"));
}

#[test]
fn d3_a_drain_that_waits_ends_when_its_agent_is_found_dead() {
    let restarting = Health { agent: Some(AgentState::Restarting), ..silent(300, 30) };
    for (health, ends) in [
        (dead(), true),
        (Some(silent(60, 3)), true),
        (Some(silent(59, 30)), false),
        (Some(silent(600, 2)), false),
        (Some(restarting), false),
        (None, false),
        // An application that drains may well answer its health check with an error.
        (Some(failing(600, 60)), false),
    ] {
        let decision = waited_for(6000, health.clone()).decide();
        assert_eq!(decision.terminates().len(), usize::from(ends), "{health:?}");
    }
    // Before its deadline it has its time like any other; and silence that is no evidence ends nobody.
    assert_eq!(waited_for(60, dead()).decide().terminates().len(), 0);
    let blind = waited_for(6000, dead()).but(|s| s.sweep.as_mut().unwrap().blind = Some("cut off".into()));
    assert_eq!(blind.decide().terminates().len(), 0);
    let stale = waited_for(6000, dead()).but(|s| s.sweep.as_mut().unwrap().slot = ago(31));
    assert_eq!(stale.decide().terminates().len(), 0);
}

#[test]
fn d3_what_follows_a_missed_deadline_is_frozen_with_the_drain() {
    for (on_timeout, wait) in [(OnTimeout::Terminate, false), (OnTimeout::Wait, true)] {
        let idle = Group::of(&[5.0; 4]).with(|p| p.on_timeout = on_timeout).decide();
        let Step::Drain { leaving, .. } = &idle.plan.steps[0] else { panic!("{:?}", idle.plan.steps) };
        assert_eq!(leaving.wait, wait);
        // The edit is for those that begin to drain after it.
        let begun = waited_for(6000, Some(answering(50.0))).with(|p| p.on_timeout = on_timeout);
        assert_eq!(begun.decide().terminates().len(), 0);
    }
    let policy = Policy::parse(r#"{"drain": {"on_timeout": "wait"}}"#).expect("a policy");
    assert_eq!(policy.on_timeout, OnTimeout::Wait);
}

#[test]
fn d3_what_an_earlier_drain_has_left_behind_does_not_count() {
    // Drained, or told to, before it was taken back; this drain is 30 s old.
    let early = |agent| drains("i-9", 30, Cause::Bounds, agent, Some(200));
    let told = Group::example().and([early(AgentState::Draining)]).decide();
    assert_eq!((told.terminates().len(), told.waits_for(Rule::D3)), (0, true));
    assert!(told.waits_text(Rule::D3).contains("1 m 30 s left"), "{}", told.waits_text(Rule::D3));
    let answered = |at: u64| {
        let group = Group::example().and([early(AgentState::Drained)]);
        group.whose("i-9", |m| m.health.as_mut().unwrap().last_answer = Some(ago(at))).decide()
    };
    assert_eq!(answered(31).terminates().len(), 0, "it said so in the earlier one");
    assert_eq!(answered(30).terminates().len(), 1, "it says so now");
}

#[test]
fn d3_a_clock_stands_still_in_every_darkness() {
    let mut head = Head::default();
    for (at, dark) in [(1000, true), (900, true), (890, false), (500, true), (300, true), (300, false), (40, true)] {
        head.remember_darkness(ago(at), dark);
    }
    // 100 s, 200 s, and 40 s that still last.
    assert_eq!(head.lit_since(ago(2000), NOW), seconds_of(2000 - 100 - 200 - 40));
    assert_eq!(head.lit_since(ago(950), NOW), seconds_of(950 - 50 - 200 - 40));
    assert_eq!(head.lit_since(ago(400), NOW), seconds_of(400 - 100 - 40));
    let drained = |since| {
        let dark = [(190, 140), (100, 20)];
        let dark = dark.map(|(since, until)| Lapse { since: ago(since), until: ago(until), lasts: false }).to_vec();
        let group = Group::example().and([drains("i-9", since, Cause::Load, AgentState::Draining, None)]);
        group.but(|s| s.head.dark = dark).decide().terminates().len()
    };
    // Two minutes and three periods of light, and 130 s of darkness.
    assert_eq!((drained(279), drained(280)), (0, 1));
    // Only so many spans are kept.
    for n in 0..20 {
        head.remember_darkness(ago(30 - n), true);
        head.remember_darkness(ago(30 - n), false);
    }
    assert_eq!((head.dark.len(), head.dark[7].since), (8, ago(11)));
}

/// Three at 50 % of the four desired, and one that began to drain so many seconds ago.
fn short_of_one(member: Member) -> Group {
    Group::of(&[50.0; 3]).desired(4).and([member])
}

#[test]
fn d4_a_drain_is_taken_back_before_anything_is_launched() {
    for cause in [Cause::Load, Cause::Bounds] {
        let decision = short_of_one(draining("i-9", 30, cause)).decide();
        assert_eq!((decision.takes_back(), decision.launches(), decision.lets_go().len()), (vec!["i-9"], 0, 0));
        assert!(decision.remarks_on(Rule::D4));
    }
    let busy = Group::of(&[90.0; 3]).and([draining("i-8", 30, Cause::Load), draining("i-9", 30, Cause::Load)]).decide();
    assert_eq!((busy.verdict().0, busy.takes_back(), busy.launches()), (6, vec!["i-8", "i-9"], 1));
    let at = busy.plan.steps.iter().position(|step| matches!(step, Step::TakeBack { .. }));
    assert!(at < busy.plan.steps.iter().position(|step| matches!(step, Step::Launch { .. })));
    // With nobody short nobody comes back; and who serves again is a member like any other.
    assert_eq!(Group::example().and([draining("i-9", 30, Cause::Load)]).decide().takes_back(), [""; 0]);
    let group = short_of_one(draining("i-9", 30, Cause::Load));
    let after = decide(&claim(&group.snapshot, &group.decide().plan), &group.policy);
    assert_eq!((after.report.counts.actual, after.plan.is_empty()), (4, true));
}

#[test]
fn d3_d4_who_is_taken_back_or_ended_for_another_reason_is_not_waited_for_as_well() {
    let back = short_of_one(draining("i-9", 30, Cause::Load)).decide();
    assert_eq!((back.takes_back(), &back.report.waits[..]), (vec!["i-9"], &[][..]));
    let late = Group::example().and([draining("i-9", 600, Cause::Bounds)]).ec2_says("i-9", InstanceState::Stopped);
    assert_eq!(late.decide().terminates(), [("i-9", Cause::Stopped)], "once");
}

#[test]
fn d4_never_one_that_has_drained_that_goes_or_that_nobody_hears() {
    let stopped = |group: Group| group.ec2_says("i-9", InstanceState::Stopped);
    let with = |health| short_of_one(Member { health, ..draining("i-9", 30, Cause::Load) });
    let failed = with(Some(failing(600, 60)));
    let flickers = with(Some(failing(5, 1)));
    assert_eq!(flickers.decide().takes_back(), ["i-9"], "a moment's failure is no illness");
    for (why, group) in [
        ("drained", short_of_one(drains("i-9", 30, Cause::Load, AgentState::Drained, Some(20)))),
        ("leaving", short_of_one(drains("i-9", 30, Cause::Load, AgentState::Leaving, Some(20)))),
        ("for its own sake", short_of_one(draining("i-9", 30, Cause::Leaving))),
        ("ill", short_of_one(draining("i-9", 30, Cause::Unhealthy))),
        ("its application fails", failed),
        ("silent", with(Some(silent(5, 1)))),
        ("unknown", with(None)),
        ("stopped", stopped(short_of_one(draining("i-9", 30, Cause::Load)))),
        ("had its time", short_of_one(draining("i-9", 150, Cause::Load))),
        ("ending", short_of_one(terminating("i-9", 30, Cause::Load))),
    ] {
        let decision = group.decide();
        assert_eq!((decision.takes_back(), decision.launches()), (vec![], 1), "{why}: {:?}", decision.report.actions);
    }
    let patient = waited_for(6000, Some(answering(50.0))).desired(5).decide();
    assert_eq!(patient.takes_back(), ["i-9"], "one that is waited for is not finished");
}

#[test]
fn d4_the_youngest_drain_first_ties_by_id() {
    let ages = [("i-5", 30), ("i-6", 10), ("i-7", 20), ("i-8", 10)];
    let group = Group::of(&[50.0; 2]).and(ages.map(|(name, age)| draining(name, age, Cause::Load)));
    for (desired, taken) in [(3, vec!["i-6"]), (4, vec!["i-6", "i-8"]), (5, vec!["i-6", "i-8", "i-7"])] {
        let decision = group.clone().desired(desired).decide();
        assert_eq!((decision.takes_back(), decision.launches()), (taken, 0));
    }
}

#[test]
fn d4_s1_only_below_max_and_only_as_many_as_are_short() {
    let group = Group::of(&[50.0; 3]).and([draining("i-8", 10, Cause::Load), draining("i-9", 20, Cause::Load)]);
    let full = group.clone().desired(4).bounds(2, 4).whose("i-1", |m| m.health = dead());
    let full = full.but(|s| s.intents = vec![open_replacement("l-1", "i-1")]).decide();
    assert_eq!((full.takes_back(), full.waits_for(Rule::S1)), (vec![], true), "four are there with the pair");
    assert_eq!(group.desired(9).bounds(2, 4).decide().takes_back(), ["i-8"]);
}

#[test]
fn d4_in_out_only_too_but_not_while_nothing_may_be_changed_nor_on_an_unjudged_sweep() {
    let group = || short_of_one(draining("i-9", 30, Cause::Load));
    let mode = |mode| group().with(|p| p.mode = mode).decide();
    assert_eq!(mode(Mode::OutOnly).takes_back(), ["i-9"]);
    let observed = mode(Mode::Observe);
    assert_eq!((observed.plan.is_empty(), &observed.report.withheld[..]), (true, &["take i-9 back".to_owned()][..]));
    assert!(mode(Mode::Paused).plan.is_empty());
    let unjudged: [fn(&mut Snapshot); 3] = [
        |s| s.sweep = None,
        |s| s.sweep.as_mut().unwrap().slot = ago(31),
        |s| s.sweep.as_mut().unwrap().blind = Some("stalled".into()),
    ];
    for spoil in unjudged {
        let decision = group().but(spoil).decide();
        assert_eq!((decision.takes_back(), decision.launches()), (vec![], 1), "{:?}", decision.report.waits);
    }
    let decided = group().but(|s| s.head.last_slot = s.sweep.as_ref().map(|sweep| sweep.slot)).decide();
    assert_eq!(decided.takes_back(), ["i-9"], "what a sweep has shown it still shows");
}

#[test]
fn f3_a_scale_in_that_lets_nobody_go_starts_no_cooldown() {
    // Desired falls to what is there: the launch that is missing is not made.
    let short = Group::of(&[5.0; 4]).desired(8).with(|p| p.inward.stabilization = seconds_of(0)).decide();
    assert_eq!((short.verdict().0, short.plan.is_empty(), short.plan.head.scale_in_at), (4, true, None));
    let goes = Group::of(&[5.0; 8]).decide();
    assert_eq!((goes.verdict().0, goes.plan.head.scale_in_at), (4, Some(NOW)));
    // A launch taken back is a scale-in as well.
    let cancelled = Group::of(&[5.0; 3]).desired(4).but(|s| s.intents = vec![open_launch("l-1", 0)]).decide();
    assert_eq!((cancelled.cancels(), cancelled.plan.head.scale_in_at), (vec!["l-1"], Some(NOW)));
    let bound = Group::of(&[50.0; 4]).bounds(1, 3).decide();
    assert_eq!((bound.drains().len(), bound.plan.head.scale_in_at), (1, None), "a bound is no load");
}

#[test]
fn h6_d3_who_is_about_to_go_is_drained_once_and_ends_like_any_other() {
    let group = Group::example().and([drains("i-9", 60, Cause::Leaving, AgentState::Leaving, Some(50))]);
    assert!(group.decide().plan.is_empty(), "{:?}", group.decide().report.actions);
    let gone = group.clone().ec2_says("i-9", InstanceState::Terminated);
    assert_eq!(gone.decide().closes().len(), 1);
    let late = group.whose("i-9", |m| m.state = MemberState::Draining(leaving(200, Cause::Leaving))).decide();
    assert_eq!(late.terminates(), [("i-9", Cause::Leaving)]);
    let listed = FleetInstance::plain(id("i-9"), InstanceState::Running);
    assert!(listed.ours && !listed.protected);
}

#[test]
fn o1_a_drains_clock_stands_still_while_the_mode_changes_nothing() {
    let mode = |group: Group, mode| group.with(move |policy| policy.mode = mode);
    let group = Group::example().and([drains("i-9", 100, Cause::Bounds, AgentState::Draining, None)]);
    for halting in [Mode::Paused, Mode::Observe] {
        let paused = mode(group.clone(), halting).decide();
        assert!(paused.lets_go().is_empty());
        let later =
            |group: Group| group.but(|s| (s.head, s.now) = (paused.plan.head.clone(), NOW.plus(seconds_of(3_600))));
        let resumed = later(group.clone()).but(|s| s.sweep.as_mut().expect("a sweep").slot = s.now).decide();
        assert_eq!(resumed.terminates(), [], "{halting:?}: nobody could tell it to drain meanwhile");
        assert!(resumed.waits_for(Rule::D3));
        let halted = resumed.plan.head.halted.clone();
        assert!(!halted.last().expect("a span").lasts);
        let next = later(group.clone()).but(|s| s.head = resumed.plan.head).decide();
        assert_eq!(next.plan.head.halted, halted, "now it goes on");
    }
}

#[test]
fn d4_what_has_no_room_in_one_claim_is_taken_back_in_the_next_before_anything_is_launched() {
    let drained: Vec<Member> =
        (0..30).map(|n| drains(&format!("i-d{n:02}"), 10, Cause::Load, AgentState::Draining, Some(5))).collect();
    let group = Group::of(&[90.0; 30]).bounds(2, 200).and(drained);
    let first = group.decide();
    assert_eq!((first.plan.head.desired, first.launches(), first.plan.steps.len()), (60, 0, ACTIONS_PER_CLAIM));
    let second = Group { snapshot: claim(&group.snapshot, &first.plan), ..group }.decide();
    assert_eq!((second.launches(), second.plan.steps.len()), (0, 30 - ACTIONS_PER_CLAIM));
}

#[test]
fn d2_who_has_just_lost_the_groups_tag_is_remembered_as_protected() {
    let retagged = Group::example().whose("i-1", |m| m.launched_at = ago(10)).but(tagged("i-1"));
    let decision = retagged.but(|s| s.fleet.as_mut().expect("EC2 answers")[0].ours = false).decide();
    assert_eq!(decision.plan.head.protected, [id("i-1")].into(), "it is a member still, and may have its tag again");
}

#[test]
fn d2_who_is_listed_as_protected_before_it_is_a_member_is_remembered_and_so_is_who_is_not_listed_now() {
    let early = Group::example().ec2_says("i-9", InstanceState::Running).but(tagged("i-9")).decide();
    assert_eq!(early.plan.head.protected, [id("i-9")].into(), "its launch may settle while EC2 is out of reach");
    let omitted =
        Group::of(&[5.0; 4]).ungated().but(|s| s.head.protected = [id("i-1")].into()).ec2_omits("i-1").decide();
    assert_eq!((omitted.lets_go(), &omitted.plan.head.protected), (vec!["i-2", "i-3"], &[id("i-1")].into()));
}
