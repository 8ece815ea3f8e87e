//! Chapter "Launching" of the contract: where is launched (L4, L6), and what EC2 refuses (L5).

use crate::common::*;
use muster_core::decide::{Decision, decide};
use muster_core::group::{Head, LaunchRefusal, Outcome, Place, PolicyVersion, Scarcity};
use muster_core::intent::{Call, Cause, Intent};
use muster_core::policy::Mode;
use muster_core::report::Rule;
use muster_core::snapshot::{InstanceState, Snapshot};
use muster_core::time::Timestamp;

fn place(zone: &str, instance_type: &str) -> Place {
    Place { zone: zone.into(), instance_type: instance_type.into() }
}

/// Two zones and two types, and `short` members fewer than desired; one launch of the version has answered.
fn places(short: u32) -> Group {
    let group = Group::of(&[50.0; 4]).desired(4 + short).bounds(2, 40).with(|p| {
        p.launch.zones = ["a", "b"].map(String::from).to_vec();
        p.launch.instance_types = ["small", "large"].map(String::from).to_vec();
    });
    group.whose("i-1", |m| m.zone = "a".into()).whose("i-2", |m| m.zone = "b".into())
}

/// Without capacity there until so many seconds from now, or since so many seconds.
fn scarce(zone: &str, instance_type: &str, failures: u32, until: Timestamp) -> Scarcity {
    Scarcity { place: place(zone, instance_type), failures, until }
}

fn launched_at(decision: &Decision) -> Vec<(&str, &str)> {
    decision.launch_specs().iter().map(|spec| (spec.zone.as_str(), spec.instance_type.as_str())).collect()
}

fn no_capacity(at: Timestamp, place: Place) -> Outcome {
    Outcome::NoCapacity { at, place }
}

fn refused(at: Timestamp) -> Outcome {
    Outcome::Refused { at, reason: "UnauthorizedOperation".into() }
}

fn open_at(zone: &str, instance_type: &str) -> Intent {
    let mut intent = open_launch("l-1", 1);
    if let Call::Launch(spec) = &mut intent.call {
        (spec.zone, spec.instance_type) = (zone.into(), instance_type.into());
    }
    intent
}

#[test]
fn l4_the_next_place_is_the_preferred_type_elsewhere_then_the_next_type() {
    let soon = NOW.plus(seconds_of(60));
    let all = [("a", "small"), ("b", "small"), ("a", "large"), ("b", "large")];
    for (without, wanted) in [(0, ("a", "small")), (1, ("b", "small")), (2, ("a", "large")), (3, ("b", "large"))] {
        let list = all[..without].iter().map(|(zone, of_type)| scarce(zone, of_type, 1, soon)).collect();
        let decision = places(1).but(|s| s.head.capacity = list).decide();
        assert_eq!(launched_at(&decision), [wanted], "{without} places are scarce");
    }
    // Whatever is launched, the type comes before the zone with the fewest (L6).
    let many = places(3).but(|s| s.head.capacity = vec![scarce("a", "small", 1, soon)]).decide();
    assert_eq!(launched_at(&many), [("b", "small"); 3]);
}

#[test]
fn l4_what_failed_in_one_claim_is_tried_elsewhere_in_the_next() {
    let group = places(1);
    let first = group.decide();
    let mut next = claim(&group.snapshot, &first.plan);
    next.intents.clear();
    next.head.outcomes = vec![no_capacity(NOW, place("a", "small"))];
    let second = decide(&next, &group.policy);
    assert_eq!(launched_at(&second), [("b", "small")], "as a new intent");
    assert_eq!(second.plan.head.capacity, [scarce("a", "small", 1, NOW.plus(seconds_of(180)))]);
    assert_eq!((second.plan.head.outcomes.len(), second.plan.head.desired), (0, 5));
}

#[test]
fn l4_a_place_is_left_alone_for_three_minutes_doubling_to_ten() {
    let (mut head, mut at, mut minutes) = (Head::default(), NOW, Vec::new());
    for _ in 0..5 {
        let group = places(0).but(|s| {
            (s.head.capacity, s.now) = (head.capacity.clone(), at);
            s.head.outcomes = vec![no_capacity(at, place("a", "small")), no_capacity(at, place("a", "small"))];
        });
        head = group.decide().plan.head;
        minutes.push(head.capacity[0].until.since(at).as_secs() / 60);
        at = head.capacity[0].until;
    }
    assert_eq!(minutes, [3, 6, 10, 10, 10], "what fails together is one failure");
    // One that nothing was heard of for half an hour begins anew.
    for (since, kept) in [(1799, 1), (1800, 0)] {
        let old = places(0).but(|s| s.head.capacity = vec![scarce("a", "small", 3, ago(since))]).decide();
        assert_eq!(old.plan.head.capacity.len(), kept, "{since} s after");
    }
}

#[test]
fn l4_then_one_launch_tries_it_first_and_a_success_clears_it() {
    let tried = |until| places(3).but(|s| s.head.capacity = vec![scarce("a", "small", 2, until)]);
    assert_eq!(launched_at(&tried(NOW.plus(seconds_of(1))).decide()), [("b", "small"); 3]);
    let probe = tried(NOW);
    assert_eq!(launched_at(&probe.decide()), [("a", "small"), ("b", "small"), ("b", "small")]);
    // While that one is open, no second one.
    let open = probe.clone().but(|s| s.intents = vec![open_at("a", "small")]).decide();
    assert_eq!(launched_at(&open), [("b", "small"); 2]);
    let launched = Outcome::Launched { at: NOW, cause: Cause::Bounds, place: place("a", "small") };
    let cleared = probe.clone().but(|s| s.head.outcomes = vec![launched]).decide();
    assert_eq!((cleared.plan.head.capacity.len(), launched_at(&cleared)[0]), (0, ("a", "small")));
    assert_eq!(launched_at(&cleared), [("a", "small"), ("b", "small"), ("a", "small")]);
    // A success elsewhere says nothing of this place.
    let other = Outcome::Launched { at: NOW, cause: Cause::Bounds, place: place("a", "large") };
    assert_eq!(probe.but(|s| s.head.outcomes = vec![other]).decide().plan.head.capacity.len(), 1);
}

#[test]
fn l4_with_every_place_scarce_it_waits_and_desired_stays() {
    let all = || {
        let places = [("a", "small", 90), ("b", "small", 40), ("a", "large", 300), ("b", "large", 200)];
        places.map(|(zone, of_type, s)| scarce(zone, of_type, 1, NOW.plus(seconds_of(s)))).to_vec()
    };
    let decision = places(2).but(|s| s.head.capacity = all()).decide();
    assert_eq!((decision.plan.is_empty(), decision.verdict()), (true, (6, Rule::Z1)));
    let said = decision.waits_text(Rule::L4);
    assert_eq!(said, "2 of 2 launches wait: EC2 has no capacity anywhere, the next try is in 40 s");
    // The replacement of a dead one waits likewise, and the breaker's interval does not begin.
    let dead = places(0).whose("i-1", |m| m.health = dead()).but(|s| s.head.capacity = all()).decide();
    assert!(dead.plan.is_empty() && dead.waits_text(Rule::L4).starts_with("the replacement of i-1 waits"));
    // A place that the policy does not name any more is no place to wait for.
    let strange = |s: &mut Snapshot| s.head.capacity.push(scarce("z", "small", 1, NOW.plus(seconds_of(5))));
    let said = places(2).but(|s| s.head.capacity = all()).but(strange).decide().waits_text(Rule::L4);
    assert!(said.ends_with("in 40 s"), "{said}");
    // The last place is being tried.
    let tried = places(2).but(|s| s.head.capacity = all()).but(|s| s.head.capacity[1].until = NOW);
    let tried = tried.but(|s| s.intents = vec![open_at("b", "small")]).decide();
    assert_eq!(
        tried.waits_text(Rule::L4),
        "1 of 1 launches wait: EC2 had no capacity anywhere, one launch tries first"
    );
}

#[test]
fn l4_without_zones_or_types_ec2_chooses_and_may_have_none() {
    let group = Group::of(&[50.0; 3]).desired(4);
    assert_eq!(launched_at(&group.decide()), [("", "")]);
    let scarce = group.but(|s| s.head.outcomes = vec![no_capacity(ago(5), Place::default())]).decide();
    assert_eq!((scarce.launches(), scarce.waits_for(Rule::L4)), (0, true));
}

#[test]
fn l4_only_so_many_places_are_remembered() {
    let many = (0..80).map(|n| no_capacity(NOW, place(&format!("z{n}"), ""))).collect();
    let kept = places(0).but(|s| s.head.outcomes = many).decide().plan.head.capacity;
    assert_eq!((kept.len(), kept[0].place.zone.as_str()), (64, "z16"));
}

#[test]
fn l5_what_no_place_cures_stops_every_launch_and_is_shown() {
    let group = places(2).whose("i-1", |m| m.health = dead()).but(|s| s.head.outcomes = vec![refused(ago(5))]);
    let decision = group.decide();
    assert_eq!((decision.plan.is_empty(), decision.verdict().0), (true, 6));
    let said = decision.waits_text(Rule::L5);
    assert_eq!(said, "2 of 2 launches wait: EC2 refuses, the next is tried in 55 s: UnauthorizedOperation");
    assert_eq!(decision.report.waits.iter().filter(|wait| wait.rule == Rule::L5).count(), 2, "the replacement's, too");
    // Load may still decide, and drains go on.
    let busy = Group::of(&[90.0; 4]).but(|s| s.head.outcomes = vec![refused(ago(5))]).decide();
    assert_eq!((busy.verdict().0, busy.launches()), (8, 0));
}

#[test]
fn l5_it_backs_off_from_one_minute_doubling_to_ten() {
    let (mut refusal, mut at, mut seconds) = (None, NOW, Vec::new());
    for _ in 0..6 {
        let group = places(0).but(|s| {
            (s.head.launch_refusal, s.now) = (refusal.clone(), at);
            s.head.outcomes = vec![refused(at), refused(at)];
        });
        refusal = group.decide().plan.head.launch_refusal;
        let until = refusal.as_ref().expect("it is refused").until;
        seconds.push(until.since(at).as_secs());
        at = until;
    }
    assert_eq!(seconds, [60, 120, 240, 480, 600, 600], "what fails together is one failure");
}

/// Refused until then, with the policy in force.
fn refusal(until: Timestamp) -> Option<LaunchRefusal> {
    Some(LaunchRefusal { reason: "bad image".into(), failures: 3, until, policy: Some(PolicyVersion(1)) })
}

fn with_refusal(until: Timestamp) -> Group {
    places(3).but(|s| (s.head.launch_refusal, s.head.policy) = (refusal(until), Some(PolicyVersion(1))))
}

#[test]
fn l5_then_one_launch_tries_first() {
    assert_eq!(with_refusal(NOW.plus(seconds_of(1))).decide().launches(), 0);
    let probe = with_refusal(NOW);
    let decision = probe.decide();
    assert_eq!((decision.launches(), decision.waits_for(Rule::L5)), (1, true));
    let mut next = claim(&probe.snapshot, &decision.plan);
    assert_eq!(decide(&next, &probe.policy).launches(), 0, "the one is open");
    next.intents.clear();
    next.head.outcomes = vec![refused(NOW)];
    let again = decide(&next, &probe.policy).plan.head.launch_refusal.expect("it is refused again");
    assert_eq!((again.failures, again.until), (4, NOW.plus(seconds_of(480))));
}

#[test]
fn l5_a_success_or_an_edited_policy_clears_it() {
    let until = NOW.plus(seconds_of(500));
    let launched = Outcome::Launched { at: ago(1), cause: Cause::Load, place: place("a", "small") };
    let success = with_refusal(until).but(|s| s.head.outcomes = vec![launched]).decide();
    assert_eq!((success.launches(), &success.plan.head.launch_refusal), (3, &None));
    assert_eq!(success.plan.head.launch_accepted_at, Some(ago(1)), "and F3's cooldown has started");
    let edited = with_refusal(until).but(|s| s.head.policy = Some(PolicyVersion(2))).decide();
    assert_eq!((edited.launches(), edited.plan.head.launch_refusal), (3, None));
    assert!(with_refusal(until).decide().plan.head.launch_refusal.is_some());
}

#[test]
fn f3_only_a_launch_for_the_loads_sake_starts_the_cooldown_and_the_latest_counts() {
    let at = |cause, at| Outcome::Launched { at, cause, place: Place::default() };
    let outcomes = vec![at(Cause::Load, ago(5)), at(Cause::Load, ago(9)), at(Cause::Bounds, ago(1))];
    let head = Group::example().but(|s| s.head.outcomes = outcomes).decide().plan.head;
    assert_eq!((head.launch_accepted_at, head.outcomes.len()), (Some(ago(5)), 0));
}

#[test]
fn o1_what_calls_have_come_to_is_written_down_in_every_mode() {
    for mode in [Mode::Active, Mode::OutOnly, Mode::Observe, Mode::Paused] {
        let group = places(0).with(|p| p.mode = mode);
        let head = group.but(|s| s.head.outcomes = vec![refused(ago(5)), no_capacity(ago(5), place("a", ""))]).decide();
        let head = head.plan.head;
        let remembered = (head.outcomes.len(), head.capacity.len(), head.launch_refusal.is_some());
        assert_eq!(remembered, (0, 1, true), "{mode:?}");
    }
}

#[test]
fn l6_who_is_under_replacement_or_goes_leaves_the_place_to_those_that_come() {
    // Two in each zone; i-1 of zone a is dead, and its replacement goes where it was.
    let zones = || {
        let group = places(0).with(|p| p.launch.instance_types.clear());
        group.whose("i-3", |m| m.zone = "a".into()).whose("i-4", |m| m.zone = "b".into())
    };
    let zone = |decision: &Decision| launched_at(decision).first().map(|(zone, _)| (*zone).to_owned());
    let pair = zones().whose("i-4", |m| m.health = dead()).and([serving("i-9", 50.0)]).desired(5);
    let pair = pair.whose("i-9", |m| (m.replaces, m.zone) = (Some(id("i-4")), "b".into()));
    // b holds i-2, i-4 and i-9: without i-4 two, as many as a. One more is wanted.
    assert_eq!(zone(&pair.whose("i-9", |m| m.first_answer = Some(ago(5))).decide()), Some("a".to_owned()));
    // Nor does the old one count in a, or b would have fewer.
    let pair = zones().whose("i-3", |m| m.health = dead()).and([serving("i-9", 50.0)]).desired(5);
    let pair = pair.whose("i-9", |m| (m.replaces, m.zone) = (Some(id("i-3")), "a".into()));
    assert_eq!(zone(&pair.whose("i-9", |m| m.first_answer = Some(ago(5))).decide()), Some("a".to_owned()));
    let stopped = zones().ec2_says("i-2", InstanceState::Stopped).decide();
    assert_eq!((zone(&stopped), stopped.launches()), (Some("b".to_owned()), 1), "b has one fewer now");
    // Who is taken back counts again.
    let back = zones().and([draining("i-9", 5, Cause::Load)]).whose("i-9", |m| m.zone = "a".into()).desired(6).decide();
    assert_eq!((back.takes_back(), zone(&back)), (vec!["i-9"], Some("b".to_owned())));
}
