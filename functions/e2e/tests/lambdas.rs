//! The shipped binaries, the whole way: schedule, sweep, doorbell, decision, launch, drain, replacement - and what goes wrong.
//!
//! Each test has a world of its own and mostly waits: they run side by side.

use muster_control::activity::Event;
use muster_control::ports::Rejections;
use muster_core::group::Outcome;
use muster_core::intent::Cause;
use muster_e2e::{Delivery, Setup, World, quick_policy, serving};
use muster_fake_ec2::{AgentDeed, FakeEc2, Rule, When};
use serde_json::Value;

fn rule(action: &str, code: &str) -> Rule {
    Rule { action: Some(action.into()), code: Some(code.into()), ..Rule::default() }
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_grows_with_its_load_shrinks_by_draining_and_heals() {
    let world = World::start(Setup::default()).await;
    world.until("a group of two that serve", |state| serving(state).len() == 2).await;

    world.ec2.set_demand(170.0);
    world.until("four that serve", |state| serving(state).len() >= 4).await;

    world.ec2.set_demand(40.0);
    let state = world.until("two again", |state| state.members.len() == 2 && serving(state).len() == 2).await;
    let events = world.events().await;
    let drained = events.iter().filter(|event| matches!(event, Event::Draining { cause: Cause::Load, .. })).count();
    let ended = events.iter().filter(|event| matches!(event, Event::Terminated { cause: Cause::Load, .. })).count();
    assert!(drained >= 2 && ended >= 2, "{drained} were drained, {ended} terminated: a scale-in drains first (D3)");

    let victim = state.members[0].id.clone();
    world.ec2.agent(&victim.0, AgentDeed::Kill).expect("its agent");
    world.until("a successor (H4)", |state| serving(state).len() == 2 && !serving(state).contains(&victim)).await;
    let events = world.events().await;
    let successor = |event: &Event| matches!(event, Event::Launched { replaces: Some(of), .. } if *of == victim);
    assert!(events.iter().any(successor), "it was launched to replace {victim}");

    world.check_ledger(5).await;
    assert_eq!(world.failures(), Vec::<String>::new(), "no invocation fails");
    logs_say_what_was_done(&world.lines());
}

/// One line a decision, one an action, and the metrics.
fn logs_say_what_was_done(lines: &[Value]) {
    let said = |what: &str| lines.iter().any(|line| line.to_string().contains(what));
    for what in ["Decided.", "Launched.", "Joined.", "Draining.", "Terminated."] {
        assert!(said(what), "no line says {what:?}");
    }
    let metrics: Vec<&Value> = lines.iter().filter(|line| line.get("_aws").is_some()).collect();
    assert!(metrics.iter().all(|line| text(line, "Group") == "web" && text(line, "Stack") == "e2e"));
    for name in ["Desired", "Actual", "Decisions", "Answered", "BreakerOpen", "SweepDuration", "SweepAge"] {
        assert!(metrics.iter().any(|line| line.get(name).is_some_and(Value::is_number)), "no metric {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o4_z9_o7_an_edit_takes_effect_and_a_bad_or_deleted_one_leaves_the_last_good() {
    let world = World::start(Setup::default()).await;
    world.until("a group of two", |state| serving(state).len() == 2).await;
    let parameter = "/muster/web/policy";

    world.parameters.set(parameter, Some(r#"{"min_instances": 9, "max_instances": 5}"#));
    let state = world.until("a refusal (Z9)", |state| state.head.refusal.is_some()).await;
    assert_eq!((state.head.desired, state.head.policy.map(|version| version.0)), (2, Some(1)));

    world.parameters.set(parameter, Some(&quick_policy(3, 5)));
    let state = world.until("three (O4)", |state| serving(state).len() == 3).await;
    assert_eq!((state.head.refusal, state.head.policy.map(|version| version.0)), (None, Some(3)));

    world.parameters.set(parameter, None);
    let slot = state.head.last_slot;
    let state = world.until("three sweeps more (O7)", |state| state.head.last_slot > slot).await;
    assert_eq!((state.head.desired, state.head.policy.map(|version| version.0)), (3, Some(3)));
    let refused = |event: &Event| matches!(event, Event::PolicyRefused { .. });
    assert_eq!(world.events().await.iter().filter(|event| refused(event)).count(), 1, "a refusal is told once");
    world.check_ledger(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l4_without_capacity_in_a_zone_the_other_is_tried_and_throttles_are_waited_out() {
    let setup = Setup { policy: quick_policy(3, 5), ..Setup::default() };
    let world = World::started(setup, |ec2| {
        let nothing_in_a = Rule {
            when: When { zone: Some("zone-a".into()), ..When::default() },
            ..rule("RunInstances", "InsufficientInstanceCapacity")
        };
        let throttled = Rule { times: Some(3), ..rule("RunInstances", "RequestLimitExceeded") };
        let blind = Rule { times: Some(2), skip: 4, ..rule("DescribeInstances", "InternalError") };
        ec2.add_rules(vec![nothing_in_a, throttled, blind]).expect("rules");
    })
    .await;
    let state = world.until("three, none of them in zone-a", |state| serving(state).len() == 3).await;
    assert!(state.members.iter().all(|member| member.zone == "zone-b"), "{:?}", state.members);
    let places: Vec<&str> = state.head.capacity.iter().map(|scarce| scarce.place.zone.as_str()).collect();
    assert_eq!(places, ["zone-a"], "the empty place is left alone");
    world.check_ledger(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_by_rule_a_group_grows_and_shrinks_all_the_same() {
    let world = World::started(Setup::default(), |ec2| {
        let times = |action, code, times, skip| Rule { times: Some(times), skip, ..rule(action, code) };
        let late = Rule { action: Some("RunInstances".into()), latency_ms: 300, ..Rule::default() };
        let silent = Rule { no_answer: true, times: Some(2), skip: 9, ..Rule::default() };
        ec2.add_rules(vec![
            late,
            times("RunInstances", "InternalError", 1, 0),
            times("RunInstances", "RequestLimitExceeded", 2, 2),
            times("RunInstances", "InsufficientInstanceCapacity", 1, 0),
            times("TerminateInstances", "RequestLimitExceeded", 2, 0),
            times("TerminateInstances", "InternalError", 1, 0),
            times("DescribeInstances", "RequestLimitExceeded", 3, 5),
            times("DescribeInstances", "InternalError", 3, 20),
            Rule { action: Some("DescribeInstances".into()), ..silent },
            times("DescribeLaunchTemplates", "InternalError", 2, 1),
            rule("DescribeInstanceStatus", "UnauthorizedOperation"),
        ])
        .expect("rules");
    })
    .await;
    world.until("a group of two", |state| serving(state).len() == 2).await;
    world.ec2.set_demand(170.0);
    world.until("four that serve", |state| serving(state).len() >= 4).await;
    world.ec2.set_demand(40.0);
    world.until("two again", |state| state.members.len() == 2 && state.intents.is_empty()).await;
    world.check_ledger(5).await;
    assert_eq!(world.failures(), Vec::<String>::new(), "no invocation fails for what EC2 says");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l5_what_ec2_refuses_stops_launching_until_somebody_has_looked() {
    let world = World::started(Setup::default(), |ec2| {
        ec2.add_rules(vec![Rule { times: Some(2), ..rule("RunInstances", "UnauthorizedOperation") }]).expect("a rule");
    })
    .await;
    let told = |state: &muster_control::ports::GroupState| {
        state.head.launch_refusal.is_some() || state.head.outcomes.iter().any(|o| matches!(o, Outcome::Refused { .. }))
    };
    world.until("a refusal (L5)", told).await;
    // An accepted edit says that somebody has looked.
    world.parameters.set("/muster/web/policy", Some(&quick_policy(2, 6)));
    world.until("two, after an edit", |state| serving(state).len() == 2).await;
    world.check_ledger(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_lost_answers_and_repeated_reordered_and_poisoned_batches_launch_nothing_twice() {
    let delivery = Delivery { twice: true, backwards: true, poison: true };
    let world = World::started(Setup { delivery, ..Setup::default() }, |ec2| {
        // EC2 has done it, and the answer is lost: the next lease repeats the call with the same token.
        let lost = Rule { after: true, times: Some(1), ..Rule::default() };
        ec2.add_rules(vec![Rule { action: Some("RunInstances".into()), ..lost }]).expect("a rule");
    })
    .await;
    world.until("two that serve", |state| serving(state).len() == 2 && state.intents.is_empty()).await;
    assert_eq!(world.instances().len(), 2, "one instance for one intent");
    world.check_ledger(5).await;
    let rejected = world.tables.rejected().await.expect("the tables").expect("a count");
    assert!(rejected.records > 3 && rejected.reason == "1 unreadable", "{rejected:?}");
    assert!(world.late() > 3, "{} batches came after later ones", world.late());
    assert_eq!(world.failures(), Vec::<String>::new(), "a poison record fails no batch (V5)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_batches_that_come_after_later_ones_change_nothing_but_the_time_it_takes() {
    let delivery = Delivery { backwards: true, ..Delivery::default() };
    let world = World::start(Setup { delivery, ..Setup::default() }).await;
    world.until("two that serve", |state| serving(state).len() == 2).await;
    world.ec2.set_demand(170.0);
    world.until("four that serve", |state| serving(state).len() >= 4).await;
    world.ec2.set_demand(40.0);
    world.until("two again", |state| state.members.len() == 2 && state.intents.is_empty()).await;
    world.check_ledger(5).await;
    assert!(world.late() > 3, "{} batches came after later ones", world.late());
    assert_eq!(world.failures(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_a_controller_killed_between_the_launch_and_its_settlement_leaks_and_doubles_nothing() {
    let world = World::started(Setup::default(), |ec2| {
        // Two launches are settled together: the second is held up, so the first is launched and not settled meanwhile.
        let held = Rule { skip: 1, times: Some(1), latency_ms: 2_000, ..Rule::default() };
        ec2.add_rules(vec![Rule { action: Some("RunInstances".into()), ..held }]).expect("a rule");
    })
    .await;
    world.until_ec2("a launch", |ec2| !ec2.ledger().instances.is_empty()).await;
    let state = world.state().await.expect("a HEAD");
    assert_eq!((state.members.len(), state.intents.len()), (0, 2), "nothing is settled");
    world.kill_controller();
    world.until("two that serve", |state| serving(state).len() == 2 && state.intents.is_empty()).await;
    assert_eq!(world.deaths(), 1);
    assert_eq!(world.instances().len(), 2, "one instance for one intent");
    world.check_ledger(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_a_foreign_instance_is_never_touched() {
    let world = World::started(Setup::default(), launch_outside).await;
    let state = world.until("a group of two", |state| serving(state).len() == 2).await;
    let slot = state.head.last_slot;
    world.until("a later sweep", |state| state.head.last_slot > slot).await;
    let ledger = world.ec2.ledger();
    let foreign = &ledger.instances[0];
    assert!(foreign.tags.contains_key("precious") && !foreign.state.has_ended(), "{foreign:?}");
    assert!(ledger.calls.iter().all(|call| call.action != "TerminateInstances"));
}

/// Somebody else's instance under the same group's name: another stack's.
fn launch_outside(ec2: &FakeEc2) {
    let form = "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&ImageId=ami-0123456789abcdef0&InstanceType=small\
                &TagSpecification.1.ResourceType=instance\
                &TagSpecification.1.Tag.1.Key=muster%3Agroup&TagSpecification.1.Tag.1.Value=web\
                &TagSpecification.1.Tag.2.Key=muster%3Astack&TagSpecification.1.Tag.2.Value=another\
                &TagSpecification.1.Tag.3.Key=precious&TagSpecification.1.Tag.3.Value=yes";
    let _launched = ec2.call(form.as_bytes());
    assert_eq!(ec2.ledger().instances.len(), 1);
}
