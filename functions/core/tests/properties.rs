//! What holds for every snapshot, however odd: the invariants that no single decision may break.
//!
//! The cases are the same in every run. One that fails is written to `properties.regressions` and committed.

mod common;

use std::time::Duration;

use common::*;
use muster_core::decide::{Decision, decide};
use muster_core::group::{Heading, RateEntry, RateLog, Recommendation, Sightings};
use muster_core::health::{AgentState, Health, Load, Seen};
use muster_core::intent::{Call, Cause, Intent};
use muster_core::member::{InstanceId, Leaving, MemberState};
use muster_core::plan::{Departure, Step};
use muster_core::policy::{Limit, Mode, Policy};
use muster_core::report::StageName;
use muster_core::snapshot::{FleetInstance, InstanceState, Member, Snapshot, SweepFacts};
use muster_core::time::Timestamp;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

/// `PROPTEST_CASES` asks for more cases than usual; some properties take a part of them.
fn config(part: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases / part,
        rng_seed: RngSeed::Fixed(20_261_122),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/properties.regressions"))),
        ..usual
    }
}

fn instants() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        20 => (0_u64..1_000).prop_map(ago),
        4 => (0_u64..20_000).prop_map(ago),
        1 => Just(NOW.plus(Duration::from_secs(100))),
        1 => Just(Timestamp::EPOCH),
        1 => Just(Timestamp::from_millis(u64::MAX)),
    ]
}

/// Mostly small, sometimes as large as it gets.
fn counts() -> impl Strategy<Value = u32> {
    prop_oneof![30 => 0_u32..14, 1 => Just(u32::MAX), 1 => Just(10_000)]
}

fn causes() -> impl Strategy<Value = Cause> {
    prop::sample::select(vec![Cause::Load, Cause::Bounds, Cause::Lost, Cause::Unhealthy, Cause::BootTimeout])
}

fn states() -> impl Strategy<Value = MemberState> {
    let leaving = || {
        let timeouts = prop_oneof![10 => 0_u64..200_000, 1 => Just(u64::MAX)];
        (instants(), causes(), timeouts).prop_map(|(since, cause, timeout_ms)| Leaving {
            since,
            cause,
            timeout_ms,
            wait: false,
        })
    };
    prop_oneof![
        30 => Just(MemberState::Active),
        2 => Just(MemberState::Pending),
        1 => leaving().prop_map(MemberState::Draining),
        1 => leaving().prop_map(MemberState::Terminating),
    ]
}

fn healths() -> impl Strategy<Value = Health> {
    let seen = prop_oneof![30 => Just(Seen::Answered), 2 => Just(Seen::Silent), 1 => Just(Seen::Unknown)];
    // Around a level that the snapshot's members share.
    let loads = 0.0..=10.0;
    let agents = prop::sample::select(vec![AgentState::Serving, AgentState::Draining, AgentState::Drained]);
    let silence = (option::of(instants()), 0_u32..6);
    let failure = (option::of(instants()), prop_oneof![20 => Just(0), 1 => 0_u32..6]);
    let ages = prop_oneof![20 => 0_u64..10, 1 => 0_u64..100];
    let sample = (option::weighted(0.95, loads), option::weighted(0.9, ages.prop_map(ago)));
    (seen, silence, failure, sample, agents, option::of(instants()), option::of(instants())).prop_map(
        |(seen, silence, failure, (load, sampled_at), agent, unregistered_at, first_answer)| Health {
            seen,
            first_answer,
            silent_since: if seen == Seen::Answered { None } else { silence.0 },
            silent_sweeps: if seen == Seen::Answered { 0 } else { silence.1 },
            failing_since: failure.0,
            failing_sweeps: failure.1,
            load: load.and_then(Load::new),
            sampled_at,
            agent: Some(agent),
            unregistered_at,
            ..Health::default()
        },
    )
}

fn raised(load: Load, by: f64) -> Load {
    Load::new((load.percent() + by).min(100.0)).expect("it is at most 100")
}

fn names() -> impl Strategy<Value = InstanceId> {
    (0_u32..14).prop_map(|n| InstanceId(format!("i-{n}")))
}

prop_compose! {
    fn members()(
        health in option::weighted(0.9, healths()),
        state in states(),
        zone in prop::sample::select(vec!["", "a", "b", "c"]),
        template in prop::sample::select(vec!["", "lt-1", "lt-2"]),
        (intended_at, launched_at) in (instants(), instants()),
        first_answer in option::weighted(0.3, instants()),
        replaces in option::weighted(0.05, names()),
    ) -> Member {
        Member { health, state, zone: zone.into(), template: template.into(), intended_at, launched_at, first_answer,
            replaces, ..serving("", 0.0) }
    }
}

fn intents() -> impl Strategy<Value = Vec<Intent>> {
    let one = || (0_u32..3, option::weighted(0.3, names()), option::weighted(0.3, names()));
    let several = prop_oneof![4 => Just(0..1), 1 => Just(0..4)];
    several.prop_flat_map(move |range| prop::collection::vec(one(), range)).prop_map(|drawn| {
        (0..)
            .zip(drawn)
            .map(|(n, (attempt, replaced, ended))| {
                let mut intent = open_launch(&format!("l-{n}"), attempt);
                match (&mut intent.call, ended) {
                    (call, Some(instance)) => *call = Call::Terminate { instance, shard: Default::default() },
                    (Call::Launch(spec), None) => spec.replaces = replaced,
                    (Call::Terminate { .. }, None) => {}
                }
                intent
            })
            .collect()
    })
}

fn fleets() -> impl Strategy<Value = Option<Vec<FleetInstance>>> {
    let instance_states = prop_oneof![
        30 => Just(InstanceState::Running),
        1 => prop::sample::select(vec![InstanceState::Terminated, InstanceState::ShuttingDown, InstanceState::Stopped]),
    ];
    let listed = prop::collection::vec(option::weighted(0.95, instance_states), 14);
    let list = listed.prop_map(|listed| {
        let named = (0_u32..).zip(listed);
        named.filter_map(|(n, state)| Some(FleetInstance::plain(InstanceId(format!("i-{n}")), state?))).collect()
    });
    option::weighted(0.9, list)
}

fn logs() -> impl Strategy<Value = RateLog> {
    let entry = (instants(), 0_u32..4, counts()).prop_map(|(at, count, actual)| RateEntry { at, count, actual });
    prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(entry, 0..3)].prop_map(RateLog)
}

prop_compose! {
    fn heads()(
        desired in counts(),
        version in prop_oneof![10 => 0_u64..100, 1 => Just(u64::MAX)],
        marks in prop::array::uniform4(option::weighted(0.15, instants())),
        asked in prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec((instants(), counts()), 0..3)],
        boots in prop::collection::vec(prop_oneof![5 => 0_u64..100_000, 1 => Just(u64::MAX)], 0..5),
        (launches, terminations) in (logs(), logs()),
        not_found in prop::collection::btree_map(names(), (instants(), 0_u32..5), 0..3),
        heading in prop::sample::select(vec![Heading::There, Heading::Out, Heading::In]),
    ) -> muster_core::group::Head {
        let [factor_out_at, launch_accepted_at, scale_in_at, dark_since] = marks;
        let mut head = muster_core::group::Head { desired, heading, version, factor_out_at, launch_accepted_at, scale_in_at,
            launches, terminations, boot_times_ms: boots, ..Default::default() };
        head.recommendations =
            asked.into_iter().map(|(at, n)| Recommendation { at, highest: n, lowest: n }).collect();
        head.not_found = not_found.into_iter().map(|(id, (first, count))| (id, Sightings { first, count })).collect();
        if let Some(since) = dark_since {
            head.remember_darkness(since, true);
        }
        head
    }
}

prop_compose! {
    fn snapshots()(
        members in prop::collection::vec(members(), 0..14),
        head in heads(),
        level in prop_oneof![0.0..20.0, 60.0..90.0, 0.0..90.0],
        beside in option::weighted(0.9, -2_i64..3),
        sweep in option::weighted(0.97, (0_u64..32, prop_oneof![20 => 0_u64..20_000, 1 => Just(u64::MAX)],
            option::weighted(0.05, Just("cut off".to_owned())))),
        intents in intents(),
        fleet in fleets(),
    ) -> Snapshot {
        let sweep = sweep.map(|(age, period_ms, blind)| SweepFacts { slot: ago(age), period_ms, blind, awaited: 0 });
        let (mut members, mut head) = (members, head);
        for (n, member) in members.iter_mut().enumerate() {
            member.id = InstanceId(format!("i-{n}"));
            let load = member.health.as_mut().and_then(|health| health.load.as_mut());
            load.into_iter().for_each(|load: &mut Load| *load = raised(*load, level));
        }
        if let Some(beside) = beside {
            head.desired = u32::try_from(members.len() as i64 + beside).unwrap_or(0);
        }
        Snapshot { now: NOW, head, sweep, members, intents, fleet, template_version: Some(1), policy_notice: None, policy_refused: false }
    }
}

fn limits() -> impl Strategy<Value = Limit> {
    (prop_oneof![0_u32..200, Just(10_000)], 1_u32..6).prop_map(|(percent, at_least)| Limit { percent, at_least })
}

prop_compose! {
    fn policies()(
        (min, more) in (1_u32..4, prop_oneof![10_u32..20, 0_u32..12]),
        (up, down) in (50.0..100.0, 2.0..40.0),
        (up_factor, down_factor) in (1.01..10.0, 0.01..0.99),
        (cooldown_out, cooldown_in, stable_out, stable_in) in (0_u64..100, 0_u64..300, 0_u64..100, 0_u64..300),
        (limit_out, limit_in, max_replacing) in (limits(), limits(), limits()),
        (grace, unhealthy_after, boot, warm_up) in (0_u64..600, 1_u64..120, 1_u64..900, 0_u64..120),
        (available, together) in (prop_oneof![0_u32..=60, 0_u32..=100], 1_u32..=100),
        zones in prop::sample::select(vec![vec![], vec!["a", "b"], vec!["c"]]),
    ) -> Policy {
        let mut policy = Policy { min, max: min + more, ..Policy::default() };
        policy.threshold = muster_core::policy::ThresholdRule { up, down, up_factor, down_factor };
        (policy.out.cooldown, policy.inward.cooldown) = (seconds_of(cooldown_out), seconds_of(cooldown_in));
        (policy.out.stabilization, policy.inward.stabilization) = (seconds_of(stable_out), seconds_of(stable_in));
        (policy.out.limit, policy.inward.limit, policy.max_replacing) = (limit_out, limit_in, max_replacing);
        (policy.grace_period, policy.unhealthy_after) = (seconds_of(grace), seconds_of(unhealthy_after));
        (policy.boot_timeout, policy.warm_up) = (seconds_of(boot), seconds_of(warm_up));
        (policy.min_available_percent, policy.max_unhealthy_percent) = (available, together);
        policy.launch.template = Some("lt-2".into());
        policy.launch.zones = zones.into_iter().map(String::from).collect();
        policy
    }
}

/// The same group, but of the chosen members nobody knows anything any more, or they miss one sweep.
fn knowing_less(snapshot: &Snapshot, whom: u16, silent: bool) -> Snapshot {
    let mut less = snapshot.clone();
    let chosen = less.members.iter_mut().zip(0_u16..).filter(|(_, n)| whom >> n & 1 == 1);
    for health in chosen.filter_map(|(member, _)| member.health.as_mut()).filter(|h| h.seen == Seen::Answered) {
        // That it has answered once is not forgotten.
        health.first_answer.get_or_insert(NOW);
        if silent {
            (health.seen, health.silent_since, health.silent_sweeps) = (Seen::Silent, Some(NOW), 1);
        } else {
            health.seen = Seen::Unknown;
        }
    }
    less
}

fn member<'s>(snapshot: &'s Snapshot, id: &InstanceId) -> &'s Member {
    snapshot.members.iter().find(|member| member.id == *id).expect("a step names a member of the snapshot")
}

/// Members that this decision drains or terminates for one of `causes`, besides those that were Terminating already.
fn gone<'d>(snapshot: &Snapshot, decision: &'d Decision, causes: &[Cause]) -> Vec<&'d InstanceId> {
    let steps = decision.plan.steps.iter().filter_map(|step| match step {
        Step::Drain { id, leaving } | Step::Terminate { id, leaving, .. } => Some((id, leaving.cause)),
        Step::Confirm { .. } | Step::Close { .. } | Step::Cancel { .. } | Step::Launch { .. } => None,
        Step::TakeBack { .. } | Step::Sweep { .. } => None,
    });
    let ended = |id: &InstanceId| matches!(member(snapshot, id).state, MemberState::Terminating(_));
    steps.filter(|(id, cause)| causes.contains(cause) && !ended(id)).map(|(id, _)| id).collect()
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn s9_the_order_of_the_input_does_not_matter(snapshot in snapshots(), policy in policies(), by in 0_usize..14) {
        let mut other = snapshot.clone();
        other.members.reverse();
        let by_members = by % other.members.len().max(1);
        other.members.rotate_left(by_members);
        other.intents.reverse();
        other.fleet.iter_mut().for_each(|fleet| fleet.reverse());
        prop_assert_eq!(decide(&snapshot, &policy), decide(&other, &policy));
    }

    #[test]
    fn s9_a_decision_and_what_it_leaves_behind_can_be_decided_on_again(
        snapshot in snapshots(), policy in policies(), mode in prop::sample::select(vec![Mode::Active, Mode::OutOnly,
        Mode::Observe, Mode::Paused]),
    ) {
        let policy = Policy { mode, ..policy };
        let decision = decide(&snapshot, &policy);
        let mut next = claim(&snapshot, &decision.plan);
        carry_out(&mut next);
        sweep(&mut next, policy.sweep_interval, 100.0);
        decide(&next, &policy);
        let mut named: Vec<_> = decision.lets_go();
        let all = named.len();
        named.sort_unstable();
        named.dedup();
        prop_assert_eq!(named.len(), all, "nobody is let go twice: {:?}", decision.report.actions);
        let acts = decision.plan.steps.iter().filter(|step| !step.is_record()).count();
        match mode {
            Mode::Active => {}
            Mode::OutOnly => prop_assert_eq!(acts, decision.launches() + decision.takes_back().len()),
            Mode::Observe | Mode::Paused => prop_assert_eq!(acts, 0),
        }
    }

    #[test]
    fn s10_more_load_never_lowers_desired(
        snapshot in snapshots(), policy in policies(), more in prop::collection::vec(0.0..100.0_f64, 14),
    ) {
        let mut busier = snapshot.clone();
        for (member, more) in busier.members.iter_mut().zip(more) {
            let load = member.health.as_mut().and_then(|health| health.load.as_mut());
            load.into_iter().for_each(|load: &mut Load| *load = raised(*load, more));
        }
        let (calm, busy) = (decide(&snapshot, &policy), decide(&busier, &policy));
        let headlines = [&calm.report.headline, &busy.report.headline];
        prop_assert!(busy.plan.head.desired >= calm.plan.head.desired, "{:#?}", headlines);
    }

    #[test]
    fn s10_knowing_less_never_terminates_more(
        snapshot in snapshots(), policy in policies(), whom in any::<u16>(), silent in any::<bool>(),
    ) {
        let less = knowing_less(&snapshot, whom, silent);
        let (before, after) = (decide(&snapshot, &policy), decide(&less, &policy));
        let many = |decision| gone(&snapshot, decision, &[Cause::Load, Cause::BootTimeout]).len();
        prop_assert!(many(&after) <= many(&before), "{:#?}\n{:#?}", before.report, after.report);
        // Whom we merely know less of is not replaced for it.
        for id in gone(&snapshot, &after, &[Cause::Unhealthy]) {
            let health = member(&snapshot, id).health.clone().unwrap_or_default();
            let draining = matches!(member(&snapshot, id).state, MemberState::Draining(_));
            prop_assert!(draining || health.silent_sweeps >= 3 || health.failing_sweeps >= 3, "{}", id);
        }
        let lowered = |decision: &Decision| decision.plan.head.desired < decision.report.desired.before;
        prop_assert!(!lowered(&after) || lowered(&before), "{:#?}\n{:#?}", before.report, after.report);
    }

    #[test]
    fn s1_actual_stays_below_max_and_desired_inside_the_bounds(
        snapshot in snapshots(), policy in policies(), out_only in any::<bool>(),
    ) {
        let policy = Policy { mode: if out_only { Mode::OutOnly } else { Mode::Active }, ..policy };
        let decision = decide(&snapshot, &policy);
        let desired = decision.plan.head.desired;
        prop_assert!((policy.min..=policy.max).contains(&desired), "{}", desired);
        let after = decide(&claim(&snapshot, &decision.plan), &Policy { mode: Mode::Paused, ..policy.clone() });
        let (before, after) = (decision.report.counts.actual, after.report.counts.actual);
        prop_assert!(after <= policy.max.max(before), "{} -> {}, max {}", before, after, policy.max);
    }

    #[test]
    fn z6_inside_the_bounds_nothing_moves_against_the_rule(snapshot in snapshots(), policy in policies()) {
        let (min, max) = (policy.min, policy.max);
        let decision = decide(&snapshot, &policy);
        let before = snapshot.head.desired;
        let raw = decision.report.stages.first().filter(|stage| stage.stage == StageName::Raw);
        if let Some(raw) = raw && (min..=max).contains(&before) {
            let after = decision.plan.head.desired;
            prop_assert!(after == before || (after > before) == (raw.desired > before), "{:#?}", decision.report);
        }
    }

    #[test]
    fn f2_nothing_moves_inside_its_cooldown(
        snapshot in snapshots(), policy in policies(), desired in 0_u32..20, part in 0.0..1.0,
    ) {
        let mut snapshot = snapshot;
        let desired = desired.clamp(policy.min, policy.max);
        snapshot.head.desired = desired;
        snapshot.head.scale_in_at = Some(NOW.minus(policy.inward.cooldown.mul_f64(part)));
        snapshot.head.launch_accepted_at = Some(NOW.minus(policy.out.cooldown.mul_f64(part)));
        let after = decide(&snapshot, &policy).plan.head.desired;
        let cools = |cooldown: Duration| NOW.since(NOW.minus(cooldown.mul_f64(part))) < cooldown;
        prop_assert!(after >= desired || !cools(policy.inward.cooldown));
        prop_assert!(after <= desired || !cools(policy.out.cooldown));
    }

    #[test]
    fn f8_a_claim_stays_inside_its_windows(snapshot in snapshots(), policy in policies()) {
        let decision = decide(&snapshot, &policy);
        let (head, actual) = (&snapshot.head, decision.report.counts.actual);
        let room = head.launches.room(NOW, policy.out.window, policy.out.limit, actual);
        prop_assert!(decision.launches() <= room as usize);
        let room = head.terminations.room(NOW, policy.inward.window, policy.inward.limit, actual);
        let counted = |id: &str| !matches!(member(&snapshot, &InstanceId::from(id)).state,
            MemberState::Draining(_) | MemberState::Terminating(_));
        let begun = decision.lets_go().into_iter().filter(|id| counted(id)).count();
        prop_assert!(begun <= room as usize, "{} of {}", begun, room);
    }

    #[test]
    fn l2_there_are_never_two_launches_for_one_gap(snapshot in snapshots(), policy in policies()) {
        let first = decide(&snapshot, &policy);
        let second = decide(&claim(&snapshot, &first.plan), &policy);
        // Who is terminated to be replaced leaves a gap of its own, and so does who is found lost only now.
        let vacated = first.terminates().iter().filter(|(_, cause)| *cause == Cause::Unhealthy).count();
        let lost = second.plan.steps.iter().filter(|step| matches!(step, Step::Close { departure: Departure::Lost, .. })).count();
        if first.plan.postponed == 0 {
            prop_assert!(second.launches() <= vacated + lost, "{:#?}\n{:#?}", first.report, second.report);
        }
        // The same sweep is not decided on twice (S7).
        if first.plan.head.last_slot.is_some() {
            prop_assert_eq!(second.launches_for(Cause::Load), 0);
            prop_assert_eq!(second.launches_for(Cause::Unhealthy), 0);
        }
    }

    #[test]
    fn s5_while_nobody_answers_nobody_is_terminated_for_load_or_health(
        snapshot in snapshots(), policy in policies(), silent in any::<bool>(),
    ) {
        let mut dark = knowing_less(&snapshot, u16::MAX, silent);
        // At least one has answered once, and EC2 does not call it gone.
        dark.members.push(Member { health: dead(), ..serving("i-99", 1.0) });
        let listed = FleetInstance::plain(id("i-99"), InstanceState::Running);
        dark.fleet.iter_mut().for_each(|fleet| fleet.push(listed.clone()));
        let decision = decide(&dark, &policy);
        let lost = gone(&dark, &decision, &[Cause::Load, Cause::Unhealthy, Cause::BootTimeout]);
        // A drain that did not begin for the load's sake may end in the dark.
        let may = |id: &InstanceId| {
            matches!(&member(&dark, id).state, MemberState::Draining(leaving) if leaving.cause != Cause::Load)
        };
        prop_assert!(lost.into_iter().all(may), "{:#?}", decision.report);
    }

    #[test]
    fn s8_the_young_are_never_terminated_for_health(snapshot in snapshots(), policy in policies()) {
        for (name, cause) in decide(&snapshot, &policy).terminates() {
            let member = member(&snapshot, &InstanceId::from(name));
            if matches!(member.state, MemberState::Draining(_) | MemberState::Terminating(_)) {
                continue;
            }
            let age = NOW.since(member.launched_at);
            prop_assert!(cause != Cause::Unhealthy || age >= policy.grace_period, "{} is {:?} old", name, age);
            prop_assert!(cause != Cause::BootTimeout || age >= policy.boot_timeout, "{} is {:?} old", name, age);
        }
    }
}

proptest! {
    #![proptest_config(config(8))]

    #[test]
    fn f7_a_constant_load_reaches_a_fixed_point(policy in policies(), members in 1_usize..12, total in 0.0..900.0_f64) {
        let policy = Policy { out: policy.out, warm_up: seconds_of(20), boot_timeout: seconds_of(600), ..policy };
        let share = (total / members as f64).min(100.0);
        let mut world = Group::of(&vec![share; members]).snapshot;
        let mut quiet = 0;
        for _ in 0..900 {
            let decision = decide(&world, &policy);
            let still = decision.plan.is_empty() && decision.plan.head.desired == world.head.desired;
            quiet = if still { quiet + 1 } else { 0 };
            if quiet > 100 {
                return Ok(());
            }
            world = claim(&world, &decision.plan);
            carry_out(&mut world);
            sweep(&mut world, Duration::from_secs(10), total);
        }
        prop_assert!(false, "still moving after 900 sweeps: {:?}", decide(&world, &policy).report);
    }
}
