//! Chapter "Launching" of the contract, as far as the core holds it: intents, tokens and places. That a doorbell may be
//! late or double, and that no call is made without a lease, is tested with the use cases.

use crate::common::*;
use muster_core::decide::decide;
use muster_core::group::{PolicyVersion, Shard};
use muster_core::intent::{Call, Cause, IntentId, Token};
use muster_core::plan::Step;
use muster_core::report::Rule;
use muster_core::snapshot::{Member, Snapshot};
use std::collections::BTreeSet;

fn zoned(zone: &str) -> impl FnOnce(&mut Member) {
    move |member| member.zone = zone.into()
}

fn placed(group: &Group) -> Vec<String> {
    group.decide().launch_specs().iter().map(|spec| spec.zone.clone()).collect()
}

#[test]
fn l1_an_intent_holds_every_parameter_and_its_own_token() {
    let group = Group::of(&[50.0; 2]).desired(4).but(|s| s.head.policy = Some(PolicyVersion(3))).with(|p| {
        p.launch.template = Some("lt-1".into());
        p.launch.zones = vec!["subnet-a".into()];
        p.launch.instance_types = vec!["t3.small".into(), "t3.large".into()];
    });
    let decision = group.decide();
    let mut tokens = BTreeSet::new();
    for step in &decision.plan.steps {
        let Step::Launch { intent } = step else { panic!("{step:?}") };
        let Call::Launch(spec) = &intent.call else { panic!("{intent:?}") };
        assert_eq!((intent.at, intent.attempt, intent.policy, &intent.lease), (NOW, 0, Some(PolicyVersion(3)), &None));
        let given = (spec.template.as_str(), spec.zone.as_str(), spec.instance_type.as_str());
        assert_eq!(given, ("lt-1", "subnet-a", "t3.small"));
        let head = &group.snapshot.head;
        assert_eq!(spec.token, Token::derive(&head.stack, &head.group, &intent.id));
        tokens.insert(spec.token.clone());
    }
    assert_eq!(tokens.len(), 2, "no token serves two intents");
}

#[test]
fn l1_no_other_intent_group_or_stack_has_the_same_token() {
    let token = |stack, group: &str, intent: &str| {
        let token = Token::derive(stack, &group.parse().expect("a name"), &IntentId(intent.into()));
        assert!(token.0.len() == 64 && token.0.is_ascii());
        token
    };
    let all = [("s", "web", "1"), ("t", "web", "1"), ("s", "api", "1"), ("s", "web", "2")];
    let tokens: BTreeSet<Token> = all.iter().map(|(stack, group, intent)| token(stack, group, intent)).collect();
    assert_eq!(tokens.len(), all.len());
    assert_eq!(token("s", "web", "1"), token("s", "web", "1"));
}

#[test]
fn l1_a_termination_is_an_intent_too() {
    let decision =
        Group::example().and([draining("i-9", 600, Cause::Load)]).whose("i-9", |m| m.shard = Shard(3)).decide();
    let [Step::Terminate { intent, .. }] = &decision.plan.steps[..] else { panic!("{:?}", decision.plan.steps) };
    assert_eq!(intent.call, Call::Terminate { instance: id("i-9"), shard: Shard(3) });
    assert_eq!(intent.id, IntentId::of_next_claim(&Group::example().snapshot.head, 0));
}

#[test]
fn l2_the_same_look_after_the_claim_launches_nothing_new() {
    let group = Group::of(&[90.0; 4]);
    let first = group.decide();
    assert_eq!(first.launches(), 4);
    let mut after = claim(&group.snapshot, &first.plan);
    for _ in 0..3 {
        let again = decide(&after, &group.policy);
        assert!(again.plan.is_empty(), "{:?}", again.report);
        after = claim(&after, &again.plan);
    }
    carry_out(&mut after);
    assert!(decide(&after, &group.policy).plan.is_empty());
}

#[test]
fn l3_what_came_counts_and_the_rest_is_tried_again() {
    let group = Group::of(&[90.0; 4]);
    let mut after: Snapshot = claim(&group.snapshot, &group.decide().plan);
    // Three of four came; the fourth was abandoned, so its intent is settled without a member.
    let lost = after.intents.pop().unwrap();
    carry_out(&mut after);
    let next = decide(&after, &group.policy);
    assert_eq!((next.launches(), next.plan.head.desired), (1, 8));
    let Some(Step::Launch { intent }) = next.plan.steps.last() else { panic!("{:?}", next.plan.steps) };
    assert_ne!(intent.id, lost.id, "as a new intent");
}

#[test]
fn l6_new_members_go_where_there_are_fewest_ties_in_the_configured_order() {
    let zones = |p: &mut muster_core::policy::Policy| p.launch.zones = ["c", "a", "b"].map(String::from).to_vec();
    let empty = Group::of(&[50.0; 2]).desired(6).with(zones);
    assert_eq!(placed(&empty), ["c", "a", "b", "c"], "members in no zone of ours count nowhere");
    let uneven = empty.whose("i-1", zoned("c")).whose("i-2", zoned("a"));
    assert_eq!(placed(&uneven), ["b", "c", "a", "b"]);
    // An open launch counts where it goes, who is on the way out counts no more.
    let open = uneven.clone().but(|s| {
        let mut intent = open_launch("l-1", 1);
        if let Call::Launch(spec) = &mut intent.call {
            spec.zone = "b".into();
        }
        s.intents.push(intent);
    });
    assert_eq!(placed(&open), ["c", "a", "b"]);
    let leaving = uneven.and([terminating("i-9", 5, Cause::Bounds)]).whose("i-9", zoned("b"));
    assert_eq!(placed(&leaving), ["b", "c", "a", "b"]);
    assert_eq!(placed(&Group::of(&[50.0; 3]).desired(4)), [""], "no zones: EC2 chooses");
}

#[test]
fn l6_a_replacement_is_placed_by_the_same_rule() {
    let group = Group::example().with(|p| p.launch.zones = vec!["a".into(), "b".into()]);
    let group = group.whose("i-1", zoned("a")).whose("i-2", |m| (m.zone, m.health) = ("b".into(), dead()));
    let group = group.whose("i-3", zoned("a")).whose("i-4", zoned("b"));
    let group = group.and([serving("i-5", 50.0)]).whose("i-5", zoned("a")).desired(5);
    assert_eq!(placed(&group), ["b"]);
}

#[test]
fn a_shard_that_is_full_gets_nobody() {
    let full = Group::of(&vec![50.0; 499]).bounds(2, 600).desired(502);
    let shards: Vec<_> = full.decide().launch_specs().iter().map(|spec| spec.shard).collect();
    assert_eq!(shards, [Shard(0), Shard(1), Shard(1)]);
}

#[test]
fn l8_who_never_answers_in_time_is_terminated_replaced_and_counted() {
    let group = |age| {
        Group::of(&[50.0; 3])
            .and([pending("i-9", age)])
            .desired(4)
            .but(|s| s.head.templates = vec![untemplated(1, true)])
    };
    let early = group(599).decide();
    assert!(early.plan.is_empty(), "{:?}", early.report.actions);
    let late = group(600).decide();
    assert_eq!(late.terminates(), [("i-9", Cause::BootTimeout)]);
    assert_eq!((late.launches(), boot_failures(&late.plan.head)), (1, 2));
    assert!(late.remarks_on(Rule::L8));
}

#[test]
fn l8_the_boot_clock_stands_still_while_all_who_ever_answered_are_silent() {
    let mut dark = Group::of(&[50.0; 2]).and([pending("i-9", 700)]).desired(3);
    for name in ["i-1", "i-2"] {
        dark = dark.whose(name, |m| m.health = Some(silent(200, 20)));
    }
    let decision = dark.decide();
    assert_eq!(decision.terminates(), []);
    let span = decision.plan.head.dark[0];
    assert!((span.since, span.until, span.lasts) == (NOW, NOW, true));
    // It was dark for 200 of the 700 s; then one answers again.
    let after = |launched_ago| {
        let group = Group::of(&[50.0; 2]).and([pending("i-9", launched_ago)]).desired(3);
        group.but(|s| {
            s.head.remember_darkness(ago(210), true);
            s.head.remember_darkness(ago(10), true);
        })
    };
    assert_eq!(after(700).decide().terminates(), [], "500 s of light");
    assert_eq!(after(800).decide().terminates(), [("i-9", Cause::BootTimeout)], "600 s of light");
    assert!(!after(700).decide().plan.head.dark[0].lasts);
}

#[test]
fn l8_a_new_darkness_begins_when_the_light_goes_out_again() {
    let mut head = muster_core::group::Head::default();
    for (at, dark) in [(100, true), (90, true), (80, false), (20, true), (10, true)] {
        head.remember_darkness(ago(at), dark);
    }
    let span = head.dark[1];
    assert_eq!((span.since, span.until, span.lasts), (ago(20), ago(10), true));
    assert_eq!(head.lit_since(ago(50), NOW), seconds_of(30), "it is still dark");
    head.remember_darkness(ago(5), false);
    assert_eq!(head.lit_since(ago(50), NOW), seconds_of(40));
    assert_eq!(head.lit_since(ago(15), NOW), seconds_of(10));
    assert_eq!(head.lit_since(ago(5), NOW), seconds_of(5));
}

#[test]
fn l8_where_nobody_has_ever_answered_the_boot_clock_runs() {
    let decision = Group::of(&[]).and([pending("i-1", 601), pending("i-2", 10)]).desired(2).decide();
    assert_eq!(decision.terminates(), [("i-1", Cause::BootTimeout)]);
}

#[test]
fn l8_a_first_answer_is_written_down_measured_and_ends_the_row_of_failures() {
    let group = Group::of(&[50.0; 3]).and([pending("i-9", 45)]).desired(4);
    let group = group.whose("i-9", |m| m.health = Some(answering(10.0)));
    let group = group.whose("i-9", |m| m.health.as_mut().unwrap().first_answer = Some(ago(5)));
    let group = group.but(|s| s.head.templates = vec![untemplated(2, false)]);
    let decision = group.decide();
    assert_eq!(decision.plan.steps, [Step::Confirm { id: id("i-9"), first_answer: ago(5) }]);
    assert_eq!((boot_failures(&decision.plan.head), &decision.plan.head.boot_times_ms[..]), (0, &[40_000][..]));
    assert_eq!((decision.report.counts.warming, decision.report.counts.pending), (1, 0));
}

#[test]
fn the_boot_time_is_the_median_of_the_last_five() {
    let mut head = muster_core::group::Head::default();
    assert_eq!(head.boot_time(), seconds_of(30));
    for span in [900, 10, 20, 30, 40, 50] {
        head.remember_boot_time(seconds_of(span));
    }
    assert_eq!((head.boot_times_ms.len(), head.boot_time()), (5, seconds_of(30)));
}
