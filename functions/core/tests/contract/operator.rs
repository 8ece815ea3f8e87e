//! D8: what an operator marks for draining is replaced first and then drained.

use crate::common::*;
use muster_core::decide::{Decision, decide};
use muster_core::health::AgentState;
use muster_core::intent::Cause;
use muster_core::member::{InstanceId, MemberState};
use muster_core::plan::Step;
use muster_core::policy::{Limit, Mode, OnTimeout};
use muster_core::report::Rule;
use muster_core::snapshot::{InstanceState, Member};

/// An operator marks a member for draining, or thinks better of it.
fn mark(group: Group, name: &str, on: bool) -> Group {
    group.but(|s| {
        let listed = s.fleet.as_mut().and_then(|fleet| fleet.iter_mut().find(|listed| listed.id.0 == name));
        listed.expect("EC2 lists it").drain = on;
    })
}

fn marked(group: Group, names: &[&str]) -> Group {
    names.iter().fold(group, |group, name| mark(group, name, true))
}

/// The same, and a decision has seen it a minute ago.
fn known(group: Group, name: &str) -> Group {
    marked(group, &[name]).but(|s| {
        s.head.marked.insert(id(name), ago(60));
    })
}

/// Whoever stands in for `old`, ordered so many seconds ago.
fn stand_in(name: &str, old: &str, ordered_ago: u64) -> Member {
    let at = ago(ordered_ago);
    Member { replaces: Some(id(old)), intended_at: at, launched_at: at, ..serving(name, 50.0) }
}

/// Who is drained for the operator's sake.
fn drained(decision: &Decision) -> Vec<&str> {
    let steps = decision.plan.steps.iter().filter_map(|step| match step {
        Step::Drain { id, leaving } if leaving.cause == Cause::Operator => Some(id.0.as_str()),
        _ => None,
    });
    steps.collect()
}

fn replaced(decision: &Decision) -> Vec<&str> {
    decision.launch_specs().into_iter().filter_map(|spec| spec.replaces.as_ref().map(|old| old.0.as_str())).collect()
}

fn at_a_time(at_least: u32) -> impl FnOnce(&mut muster_core::policy::Policy) {
    move |policy| policy.max_replacing = Limit { percent: 0, at_least }
}

#[test]
fn d8_below_max_the_replacement_is_launched_first() {
    let group = marked(Group::example(), &["i-2"]);
    let decision = group.decide();
    assert_eq!((replaced(&decision), decision.launches_for(Cause::Operator)), (vec!["i-2"], 1));
    assert_eq!((decision.lets_go(), decision.plan.head.desired), (Vec::new(), 4));
    assert!(
        decision.report.headline.ends_with("Launches 1 replacement for the marked."),
        "{}",
        decision.report.headline
    );
    assert_eq!(decision.remark_text(Rule::D8), "i-2 is marked for draining: its replacement is launched first");

    // While it boots nothing more happens, however often anybody looks.
    let mut snapshot = claim(&group.snapshot, &decision.plan);
    snapshot.sweep.as_mut().expect("a sweep").slot = ago(1);
    let again = Group { snapshot, ..group.clone() }.decide();
    assert!(again.plan.is_empty(), "{:?}", again.report.actions);
    let booting = known(group.and([Member { replaces: Some(id("i-2")), ..pending("i-9", 20) }]), "i-2").decide();
    assert!(booting.plan.is_empty(), "{:?}", booting.report.actions);
}

#[test]
fn d8_once_the_replacement_is_in_service_the_marked_one_drains() {
    let group = known(Group::example().and([stand_in("i-9", "i-2", 50)]), "i-2");
    let decision = group.decide();
    assert_eq!((drained(&decision), decision.launches(), decision.terminates().len()), (vec!["i-2"], 0, 0));
    assert_eq!(decision.remark_text(Rule::D8), "i-2 is marked for draining: its replacement is in service");
    assert!(decision.report.headline.ends_with("Drains i-2, marked by an operator."), "{}", decision.report.headline);
    // One that is warming up still is not there for anybody.
    let warm = group.clone().whose("i-9", |m| m.first_answer = Some(ago(10))).decide();
    assert!(warm.plan.is_empty(), "{:?}", warm.report.actions);
    let silent = group.whose("i-9", |m| m.health = Some(silent(10, 1))).decide();
    assert!(silent.plan.is_empty(), "{:?}", silent.report.actions);
}

#[test]
fn d8_it_ends_when_it_has_drained_or_had_its_time() {
    let after = |since, health: fn(&mut Member)| {
        let group = Group::example().and([draining("i-9", since, Cause::Operator)]);
        marked(group, &["i-9"]).whose("i-9", health).decide()
    };
    let still = after(60, |_| {});
    assert_eq!((still.plan.is_empty(), still.waits_for(Rule::D3)), (true, true));
    let has = after(60, |m| {
        let health = m.health.as_mut().expect("it answers");
        (health.agent, health.unregistered_at) = (Some(AgentState::Drained), Some(ago(50)));
    });
    assert_eq!(has.terminates(), [("i-9", Cause::Operator)]);
    assert_eq!(after(200, |_| {}).terminates(), [("i-9", Cause::Operator)]);
}

#[test]
fn d8_at_max_it_goes_first() {
    let full = || marked(Group::of(&[50.0; 8]), &["i-2"]);
    let decision = full().decide();
    assert_eq!((drained(&decision), decision.launches()), (vec!["i-2"], 0));
    assert_eq!(decision.remark_text(Rule::D8), "i-2 is marked for draining: at max it goes first");
    let group = full();
    let mut snapshot = claim(&group.snapshot, &decision.plan);
    snapshot.sweep.as_mut().expect("a sweep").slot = ago(1);
    let next = Group { snapshot, ..group }.decide();
    assert_eq!((next.launches(), next.launches_for(Cause::Bounds), next.takes_back().len()), (1, 1, 0), "C4 fills it");

    // Two at once, if so many may be under replacement; and nobody takes the seat that the first has left.
    let two = marked(Group::of(&[50.0; 8]), &["i-2", "i-3"]).with(at_a_time(2)).decide();
    assert_eq!((drained(&two), two.launches()), (vec!["i-2", "i-3"], 0));
    // Where others' replacements have taken the room, it waits for them.
    let pairs = Group::of(&[50.0; 7]).and([stand_in("i-9", "i-2", 20)]);
    let busy = known(pairs.whose("i-9", |m| m.first_answer = Some(ago(5))), "i-2").desired(7);
    let busy = marked(busy, &["i-3"]).decide();
    assert_eq!((busy.plan.is_empty(), busy.waits_for(Rule::S1)), (true, true), "{:?}", busy.report.actions);
    // A gap that is there already counts.
    let gap = Group::of(&[50.0; 7]).and([pending("i-9", 20)]).desired(8);
    let gap = marked(gap, &["i-2"]).with(at_a_time(1)).decide();
    assert_eq!((gap.plan.is_empty(), gap.waits_for(Rule::H4)), (true, true), "{:?}", gap.report.actions);
}

#[test]
fn d8_d7_never_fewer_than_min_healthy_members_are_left() {
    let tight = |min, max| marked(Group::example().bounds(min, max), &["i-2"]).decide();
    let kept = tight(4, 4);
    assert_eq!((kept.plan.is_empty(), kept.waits_for(Rule::D7)), (true, true));
    assert_eq!(drained(&tight(3, 4)), ["i-2"]);
    // Its replacement is there, but another has fallen silent.
    let pair = known(Group::example().bounds(4, 8).and([stand_in("i-9", "i-2", 50)]), "i-2");
    assert_eq!(drained(&pair.decide()), ["i-2"]);
    let ill = pair.whose("i-3", |m| m.health = Some(silent(10, 1))).decide();
    assert_eq!((ill.plan.is_empty(), ill.waits_for(Rule::D7)), (true, true));
}

#[test]
fn d8_d2_the_protected_stay_and_the_report_says_so() {
    let by_tag = marked(Group::example(), &["i-2"]).but(|s| {
        s.fleet.as_mut().expect("EC2 answers")[1].protected = true;
    });
    let by_word = marked(Group::example(), &["i-2"]).whose("i-2", |m| {
        m.health.as_mut().expect("it answers").protected = true;
    });
    for group in [by_tag, by_word] {
        let decision = group.decide();
        assert!(decision.plan.is_empty(), "{:?}", decision.report.actions);
        assert_eq!(decision.remark_text(Rule::D2), "marked for draining and protected, so they stay: i-2");
    }
}

#[test]
fn d8_h4_few_are_under_replacement_at_a_time() {
    let many = |limit| marked(Group::example(), &["i-1", "i-2", "i-3"]).with(at_a_time(limit)).decide();
    assert_eq!(replaced(&many(1)), ["i-1"]);
    assert!(many(1).waits_for(Rule::H4));
    assert_eq!((replaced(&many(2)), many(2).lets_go().len()), (vec!["i-1", "i-2"], 0));
    // The unhealthy come first, and the marked wait for them; they do not wait for the marked.
    let ill = marked(Group::example(), &["i-1"]).whose("i-4", |m| m.health = dead()).with(at_a_time(1));
    let decision = ill.decide();
    assert_eq!((replaced(&decision), decision.launches_for(Cause::Unhealthy)), (vec!["i-4"], 1));
    let pair = known(Group::example().and([stand_in("i-9", "i-1", 50)]), "i-1").bounds(5, 8).desired(4);
    let held = pair.whose("i-4", |m| m.health = dead()).with(at_a_time(1)).bounds(4, 8).decide();
    assert_eq!((held.launches_for(Cause::Unhealthy), drained(&held).len()), (1, 0), "{:?}", held.report.waits);
}

#[test]
fn d8_an_unhealthy_member_is_repairs_whether_marked_or_not() {
    let group = marked(Group::example(), &["i-2"]).whose("i-2", |m| m.health = dead());
    let decision = group.decide();
    assert_eq!((replaced(&decision), decision.launches_for(Cause::Unhealthy)), (vec!["i-2"], 1));
    let pair = known(Group::example().and([stand_in("i-9", "i-2", 50)]), "i-2").whose("i-2", |m| m.health = dead());
    assert_eq!(pair.decide().terminates(), [("i-2", Cause::Unhealthy)]);
}

#[test]
fn d8_a_member_that_never_answered_is_ended_at_once() {
    let group = marked(Group::of(&[50.0; 3]).and([pending("i-9", 20)]).desired(4), &["i-9"]);
    let decision = group.decide();
    assert_eq!((decision.terminates(), decision.launches()), (vec![("i-9", Cause::Operator)], 0));
}

#[test]
fn d8_f8_the_windows_hold_for_the_marked_too() {
    let none = Limit { percent: 0, at_least: 1 };
    let full = |log: &mut muster_core::history::RateLog| log.record(ago(5), 1, 4, seconds_of(60));
    let out = marked(Group::example(), &["i-2"]).with(|p| p.out.limit = none).but(|s| full(&mut s.head.launches));
    assert_eq!((out.decide().launches(), out.decide().waits_for(Rule::F8)), (0, true));
    let pair = known(Group::example().and([stand_in("i-9", "i-2", 50)]), "i-2").with(|p| p.inward.limit = none);
    let one = pair.decide();
    assert_eq!((drained(&one), one.plan.head.terminations.room(NOW, seconds_of(60), none, 4)), (vec!["i-2"], 0));
    let inward = pair.but(|s| full(&mut s.head.terminations)).decide();
    assert_eq!((inward.plan.is_empty(), inward.waits_for(Rule::F8)), (true, true));
}

#[test]
fn d8_f4_h5_neither_desired_nor_a_cooldown_changes() {
    let cooling =
        |group: Group| group.but(|s| (s.head.launch_accepted_at, s.head.scale_in_at) = (Some(ago(5)), Some(ago(6))));
    let first = cooling(marked(Group::example(), &["i-2"])).decide();
    let then = cooling(known(Group::example().and([stand_in("i-9", "i-2", 50)]), "i-2")).decide();
    assert_eq!((first.launches(), drained(&then)), (1, vec!["i-2"]));
    for decision in [first, then] {
        let head = &decision.plan.head;
        assert_eq!((head.desired, head.launch_accepted_at, head.scale_in_at), (4, Some(ago(5)), Some(ago(6))));
    }
}

#[test]
fn d8_o1_each_mode_is_honoured() {
    let pair = || known(Group::example().and([stand_in("i-9", "i-2", 50)]), "i-2");
    for (mode, withheld) in [(Mode::OutOnly, 0), (Mode::Observe, 1), (Mode::Paused, 0)] {
        for group in [marked(Group::example(), &["i-2"]), pair()] {
            let decision = group.with(|p| p.mode = mode).decide();
            assert!(decision.plan.is_empty(), "{mode:?}: {:?}", decision.report.actions);
            assert_eq!(decision.report.withheld.len(), withheld, "{mode:?}");
            assert_eq!(decision.waits_for(Rule::O1), mode == Mode::OutOnly, "{mode:?}");
            assert!(decision.plan.head.marked.contains_key(&id("i-2")), "{mode:?}: it is remembered");
        }
    }
}

#[test]
fn d8_without_its_mark_nothing_happens_and_a_pair_is_dissolved() {
    let group = known(Group::example().and([stand_in("i-9", "i-2", 50)]), "i-2");
    let decision = mark(group, "i-2", false).decide();
    assert_eq!((drained(&decision).len(), decision.plan.head.marked.len()), (0, 0));
    assert_eq!(decision.drains().len(), 1, "five are one too many, and anybody may be it");
}

#[test]
fn d8_d4_a_drain_is_taken_back_with_its_mark_unless_it_has_drained() {
    let group = || Group::example().and([draining("i-9", 60, Cause::Operator)]);
    let decision = group().decide();
    assert_eq!((decision.takes_back(), decision.drains().len()), (vec!["i-9"], 1), "whoever is too many goes instead");
    assert_eq!(decision.remark_text(Rule::D8), "i-9 is no longer marked for draining: its drain is taken back");
    let drained = group().whose("i-9", |m| {
        let health = m.health.as_mut().expect("it answers");
        (health.agent, health.unregistered_at) = (Some(AgentState::Drained), Some(ago(50)));
    });
    assert_eq!((drained.decide().takes_back().len(), drained.decide().terminates().len()), (0, 1));
    let late = group().whose("i-9", |m| m.state = MemberState::Draining(leaving(200, Cause::Operator)));
    assert_eq!((late.decide().takes_back().len(), late.decide().terminates().len()), (0, 1));
    let waiting = late.whose("i-9", |m| {
        let MemberState::Draining(leaving) = &mut m.state else { panic!("it drains") };
        leaving.wait = true;
    });
    assert_eq!(waiting.with(|p| p.on_timeout = OnTimeout::Wait).decide().takes_back(), ["i-9"]);
    let full = Group::of(&[50.0; 8]).and([draining("i-9", 60, Cause::Operator)]).decide();
    assert_eq!((full.takes_back().len(), full.waits_for(Rule::S1)), (0, true), "S1: max is 8");
    let other = Group::example().and([draining("i-9", 60, Cause::Leaving)]).decide();
    assert_eq!(other.takes_back().len(), 0, "what goes for its own sake goes");
}

#[test]
fn d8_d4_load_takes_nobody_back_whom_the_operator_wants_gone() {
    let short = || Group::of(&[50.0; 3]).and([draining("i-9", 60, Cause::Load)]).desired(4);
    assert_eq!(short().decide().takes_back(), ["i-9"]);
    let wanted = marked(short(), &["i-9"]).decide();
    assert_eq!((wanted.takes_back().len(), wanted.launches()), (0, 1));
    let by_mark = marked(Group::of(&[50.0; 3]).and([draining("i-9", 60, Cause::Operator)]).desired(4), &["i-9"]);
    assert_eq!((by_mark.decide().takes_back().len(), by_mark.decide().launches()), (0, 1));
}

#[test]
fn d8_what_ec2_does_not_say_begins_nothing_and_takes_nothing_back() {
    let unknown = |group: Group| group.but(|s| s.fleet = None).decide();
    let first = unknown(known(Group::example(), "i-2"));
    assert!(first.plan.is_empty(), "{:?}", first.report.actions);
    let pair = unknown(known(Group::example().and([stand_in("i-9", "i-2", 50)]), "i-2"));
    assert!(pair.plan.is_empty(), "neither is drained, nor are five one too many: {:?}", pair.report.actions);
    assert_eq!(pair.plan.head.marked.keys().collect::<Vec<_>>(), [&id("i-2")], "it is remembered");
    let drain = unknown(Group::example().and([draining("i-9", 60, Cause::Operator)]));
    assert!(drain.plan.is_empty(), "{:?}", drain.report.actions);
    // The same for one that a listing leaves out.
    let omitted = known(Group::example(), "i-2").ec2_omits("i-2").decide();
    assert_eq!((omitted.plan.is_empty(), omitted.plan.head.marked.len()), (true, 1));
}

#[test]
fn d8_nobody_is_drained_while_nobody_answers_or_many_are_silent() {
    let pair = || known(Group::example().and([stand_in("i-9", "i-2", 50)]), "i-2");
    let dark = ["i-1", "i-2", "i-3", "i-4", "i-9"]
        .iter()
        .fold(pair(), |group, name| group.whose(name, |m| m.health = Some(silent(10, 1))));
    assert!(dark.decide().plan.is_empty());
    let many = ["i-3", "i-4"].iter().fold(pair(), |group, name| group.whose(name, |m| m.health = Some(silent(10, 1))));
    let held = many.decide();
    assert_eq!((held.plan.is_empty(), held.waits_for(Rule::H3)), (true, true));
    let blind = pair().but(|s| s.sweep.as_mut().expect("a sweep").blind = Some("stalled".into())).decide();
    assert!(blind.plan.is_empty(), "{:?}", blind.report.actions);
    let stale = pair().but(|s| s.sweep.as_mut().expect("a sweep").slot = ago(300)).decide();
    assert!(stale.plan.is_empty(), "{:?}", stale.report.actions);
}

#[test]
fn d8_a_launch_of_before_the_mark_replaces_nobody() {
    let decision = known(Group::of(&[50.0; 4]).and([stand_in("i-9", "i-2", 3_600)]).desired(5), "i-2").decide();
    assert_eq!((replaced(&decision), drained(&decision).len()), (vec!["i-2"], 0), "it stands in for nobody any more");
    // Whose clock is behind sees the mark no later.
    let skewed = marked(Group::example(), &["i-2"]).but(|s| {
        s.head.marked.insert(id("i-2"), NOW.plus(seconds_of(3)));
    });
    assert_eq!(skewed.decide().plan.head.marked.get(&id("i-2")), Some(&NOW));
}

#[test]
fn d8_d1_of_those_that_are_too_many_the_marked_go_first() {
    let group = marked(Group::of(&[10.0, 50.0, 30.0, 20.0]).bounds(2, 8), &["i-2"]);
    let surplus = group.clone().desired(3).decide();
    assert_eq!((surplus.drains(), surplus.launches()), (vec!["i-2"], 0), "no replacement is needed");
    let ill = group.desired(3).whose("i-3", |m| m.health = dead()).decide();
    assert_eq!(ill.terminates(), [("i-3", Cause::Bounds)], "the unhealthy before");
    let idle = marked(Group::of(&[5.0; 4]).ungated().bounds(2, 8), &["i-3"]).decide();
    assert_eq!((idle.drains().first(), idle.plan.head.desired), (Some(&"i-3"), 2));
}

#[test]
fn d8_z7_in_a_group_that_is_emptied_everybody_goes_for_the_bounds_sake() {
    let empty = marked(Group::example().bounds(0, 0), &["i-2"]).decide();
    assert_eq!((drained(&empty).len(), empty.launches()), (0, 0));
}

#[test]
fn d8_who_cannot_be_followed_is_not_let_go() {
    let full = marked(Group::of(&[50.0; 8]), &["i-2"]).but(|s| s.head.templates = vec![untemplated(3, true)]);
    let decision = full.decide();
    assert_eq!((decision.plan.is_empty(), decision.waits_for(Rule::L8)), (true, true));
}

#[test]
fn d8_o5_what_is_gone_or_disowned_is_no_longer_remembered() {
    let gone = known(Group::example(), "i-2").ec2_says("i-2", InstanceState::Terminated).decide();
    let none: [&InstanceId; 0] = [];
    assert_eq!(gone.plan.head.marked.keys().collect::<Vec<_>>(), none);
}

#[test]
fn d8_whoever_is_marked_is_gone_in_the_end_and_desired_is_kept() {
    for (bounds, limit) in [((2, 8), 1), ((2, 8), 3), ((3, 4), 1), ((2, 4), 2), ((4, 5), 1), ((4, 6), 3)] {
        let names = ["i-1", "i-2", "i-3", "i-4"];
        let group = marked(Group::example(), &names).bounds(bounds.0, bounds.1).with(at_a_time(limit));
        let mut world = group.snapshot.clone();
        for _ in 0..400 {
            let decision = decide(&world, &group.policy);
            let counts = decision.report.counts;
            assert!(counts.in_service >= bounds.0 && counts.actual <= bounds.1, "{bounds:?}: {counts:?}");
            assert_eq!(decision.plan.head.desired, 4, "{bounds:?}: {}", decision.report.headline);
            world = claim(&world, &decision.plan);
            carry_out(&mut world);
            sweep(&mut world, seconds_of(10), 200.0);
        }
        let left: Vec<_> = world.members.iter().filter(|member| names.contains(&member.id.0.as_str())).collect();
        assert_eq!((left.len(), world.members.len()), (0, 4), "{bounds:?} {limit}: {left:?}");
    }
}
