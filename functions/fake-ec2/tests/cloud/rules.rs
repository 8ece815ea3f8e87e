//! Rules: what goes wrong, when, and how often.

use std::time::Duration;

use muster_fake_ec2::{Reply, Rule, When};

use super::{Pair, World};

fn rule(code: &str) -> Rule {
    Rule { code: Some(code.into()), ..Rule::default() }
}

fn tags(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

impl World {
    fn rule(&mut self, rule: Rule) -> u32 {
        self.cloud.add_rule(rule).expect("a rule")
    }

    fn reply(&mut self, action: &str, parameters: &[(&str, &str)]) -> Reply {
        self.cloud.call(self.now, Self::form(action, parameters).as_bytes())
    }
}

#[test]
fn codes_come_with_their_statuses() {
    let cases = [
        ("InsufficientInstanceCapacity", 500),
        ("RequestLimitExceeded", 503),
        ("UnauthorizedOperation", 403),
        ("InternalError", 500),
        ("Unavailable", 503),
        ("InstanceLimitExceeded", 400),
        ("VcpuLimitExceeded", 400),
        ("AuthFailure", 401),
    ];
    for (code, status) in cases {
        let mut world = World::new();
        world.rule(rule(code));
        assert_eq!(world.try_launch(&[]), Err((status, code.to_owned())));
        assert_eq!(world.ever(), 0);
    }
    let mut world = World::new();
    world.rule(Rule { status: Some(418), message: Some("short".into()), ..rule("Teapot") });
    assert_eq!(world.try_launch(&[]), Err((418, "Teapot".to_owned())));
}

#[test]
fn a_rule_fits_what_it_names() {
    let fits = |when: When, action: &str| Rule { action: Some(action.into()), when, ..rule("InternalError") };
    let launch = |when| fits(when, "RunInstances");
    let a = ("Placement.AvailabilityZone", "zone-a");
    let cases: Vec<(Rule, Vec<Pair<'_>>, bool)> = vec![
        (launch(When::default()), vec![], true),
        (fits(When::default(), "*"), vec![], true),
        (fits(When::default(), "StopInstances"), vec![], false),
        (launch(When { zone: Some("zone-a".into()), ..When::default() }), vec![a], true),
        (launch(When { zone: Some("zone-b".into()), ..When::default() }), vec![a], false),
        (launch(When { instance_type: Some("t3.micro".into()), ..When::default() }), vec![], true),
        (
            launch(When { instance_type: Some("t3.micro".into()), ..When::default() }),
            vec![("InstanceType", "c5.large")],
            false,
        ),
        (launch(When { token: Some("one".into()), ..When::default() }), vec![("ClientToken", "one")], true),
        (launch(When { token: Some("one".into()), ..When::default() }), vec![("ClientToken", "two")], false),
    ];
    for (rule, request, speaks) in cases {
        let mut world = World::new();
        world.rule(rule.clone());
        assert_eq!(world.try_launch(&request).is_err(), speaks, "{rule:?} on {request:?}");
    }
}

/// In one zone only; a launch that names none goes to the other.
#[test]
fn no_capacity_in_one_zone() {
    let mut world = World::new();
    let zone = |zone: &str| When { zone: Some(zone.into()), ..When::default() };
    world.rule(Rule { when: zone("zone-a"), ..rule("InsufficientInstanceCapacity") });
    assert_eq!(world.launch_code(&[("Placement.AvailabilityZone", "zone-a")]), "InsufficientInstanceCapacity");
    world.launch(&[("Placement.AvailabilityZone", "zone-b")]);
    world.launch(&[]);
    world.rule(Rule { when: zone("zone-b"), ..rule("InsufficientInstanceCapacity") });
    assert_eq!(world.launch_code(&[]), "InsufficientInstanceCapacity");
}

/// As an IAM condition on resource tags: one foreign instance among those that are named fails the call.
#[test]
fn foreign_instances_are_not_ended() {
    let mut world = World::new();
    let lacks_tag = tags(&[("muster:stack", "demo")]);
    let when = When { lacks_tag, ..When::default() };
    world.rule(Rule { action: Some("TerminateInstances".into()), when, ..rule("UnauthorizedOperation") });
    let tag = |value: &'static str| {
        [
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "muster:stack"),
            ("TagSpecification.1.Tag.1.Value", value),
        ]
    };
    let (ours, others, bare) = (world.launch(&tag("demo")), world.launch(&tag("prod")), world.launch(&[]));
    world.pass(60);
    for foreign in [&others, &bare] {
        let both = [("InstanceId.1", ours.as_str()), ("InstanceId.2", foreign)];
        assert_eq!(world.code("TerminateInstances", &both), "UnauthorizedOperation");
        assert_eq!(world.code("TerminateInstances", &[("InstanceId.1", foreign)]), "UnauthorizedOperation");
        let dry = [("InstanceId.1", foreign.as_str()), ("DryRun", "true")];
        assert_eq!(world.code("TerminateInstances", &dry), "UnauthorizedOperation", "a dry run asks for permission");
    }
    assert_eq!(world.state(&ours), "running");
    world.terminate(&ours);
}

#[test]
fn a_rule_speaks_as_often_as_it_is_told() {
    let mut world = World::new();
    let id = world.rule(Rule { skip: 1, times: Some(2), ..rule("RequestLimitExceeded") });
    let heard: Vec<bool> = (0..5).map(|_| world.try_launch(&[]).is_err()).collect();
    assert_eq!(heard, [false, true, true, false, false]);
    let ledger = world.cloud.ledger(world.now);
    assert_eq!((ledger.rules[0].id, ledger.rules[0].spoken), (id, 2));
    let by_rule: Vec<_> = ledger.calls.iter().map(|call| call.rule.is_some()).collect();
    assert_eq!(by_rule, heard);
}

#[test]
fn chances_come_from_the_seed() {
    let run = |seed| {
        let mut world = World::new();
        world.rule(Rule { probability: Some(0.5), seed, ..rule("InternalError") });
        (0..64).map(|_| world.try_launch(&[]).is_err()).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let failed = run(1).into_iter().filter(|failed| *failed).count();
    assert!((16..=48).contains(&failed), "{failed} of 64");
    let mut world = World::new();
    assert!(world.cloud.add_rule(Rule { probability: Some(1.5), ..rule("InternalError") }).is_err());
}

#[test]
fn a_lost_answer_is_lost_before_or_after_the_deed() {
    let request = [("ImageId", super::IMAGE), ("MinCount", "1"), ("MaxCount", "1"), ("ClientToken", "one")];
    for (after, ever) in [(false, 0), (true, 1)] {
        let mut world = World::new();
        world.rule(Rule { no_answer: true, after, times: Some(1), ..Rule::default() });
        assert_eq!(world.reply("RunInstances", &request).answer, None);
        assert_eq!(world.ever(), ever);
        let call = &world.cloud.ledger(world.now).calls[0];
        assert_eq!((call.status, call.code.as_deref(), call.instances.len()), (None, None, ever));
        world.call("RunInstances", &request);
        assert_eq!(world.ever(), 1, "the token finds what the lost answer has done");
    }
}

#[test]
fn an_error_after_the_deed_hides_that_it_was_done() {
    let mut world = World::new();
    world.rule(Rule { after: true, times: Some(1), ..rule("InternalError") });
    assert_eq!(world.try_launch(&[("ClientToken", "one")]), Err((500, "InternalError".to_owned())));
    assert_eq!(world.ever(), 1);
    world.launch(&[("ClientToken", "one")]);
    assert_eq!(world.ever(), 1);
}

#[test]
fn a_rule_without_a_code_only_delays() {
    let mut world = World::new();
    world.rule(Rule { latency_ms: 200, ..Rule::default() });
    world.rule(Rule { latency_ms: 50, times: Some(1), ..rule("RequestLimitExceeded") });
    let first = world.reply("DescribeInstances", &[]);
    assert_eq!((first.latency, first.answer.map(|answer| answer.status)), (Duration::from_millis(250), Some(503)));
    let second = world.reply("DescribeInstances", &[]);
    assert_eq!((second.latency, second.answer.map(|answer| answer.status)), (Duration::from_millis(200), Some(200)));
}

/// A call that is held up on its way is done when it arrives, not when it was sent.
#[test]
fn a_call_that_was_held_up_is_done_late() {
    let mut world = World::new();
    world.rule(Rule { latency_ms: 30_000, ..Rule::default() });
    let request = [("ImageId", super::IMAGE), ("MinCount", "1"), ("MaxCount", "1"), ("ClientToken", "one")];
    let held = world.cloud.hold(world.now, World::form("RunInstances", &request).as_bytes());
    assert_eq!(held.latency(), Duration::from_secs(30));
    assert_eq!(world.ever(), 0);
    world.pass(30);
    let reply = world.cloud.carry_out(world.now, held);
    assert_eq!((reply.latency, reply.answer.map(|answer| answer.status)), (Duration::ZERO, Some(200)));
    let ledger = world.cloud.ledger(world.now);
    assert_eq!((ledger.instances[0].launched, ledger.calls[0].time), (world.now, world.now));
}
