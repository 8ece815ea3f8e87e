//! What holds for every snapshot, however odd: the invariants that no single decision may break.
//!
//! The cases are the same in every run. One that fails is written to `properties.regressions` and committed.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::*;
use muster_core::auto::{Learnt, Recent, Sample, Setting};
use muster_core::decide::{Decision, decide};
use muster_core::group::{
    Breaker, Head, Heading, LaunchRefusal, Outcome, Place, PolicyVersion, Scarcity, TemplateRecord,
};
use muster_core::health::{AgentState, Health, Load, Seen};
use muster_core::history::{Lapse, RateEntry, RateLog, Recommendation, Sightings};
use muster_core::intent::{Call, Cause, Intent, IntentId, LaunchSpec};
use muster_core::member::{InstanceId, Leaving, MemberState};
use muster_core::plan::{Departure, Step};
use muster_core::policy::{
    AutoRule, Change, Limit, Mode, OnTimeout, Policy, ScalingRule, SignalRule, StepRule, Stride, TargetRule,
    ThresholdRule,
};
use muster_core::report::{Rule, StageName};
use muster_core::signals::Signals;
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
    let rare = vec![Cause::Lost, Cause::Unhealthy, Cause::BootTimeout, Cause::Leaving, Cause::Stopped, Cause::Operator];
    prop_oneof![3 => Just(Cause::Load), 2 => Just(Cause::Bounds), 2 => prop::sample::select(rare)]
}

fn states() -> impl Strategy<Value = MemberState> {
    let leaving = || {
        let timeouts = prop_oneof![10 => 0_u64..200_000, 1 => Just(u64::MAX)];
        (instants(), causes(), timeouts, prop::bool::weighted(0.2))
            .prop_map(|(since, cause, timeout_ms, wait)| Leaving { since, cause, timeout_ms, wait })
    };
    prop_oneof![
        30 => Just(MemberState::Active),
        2 => Just(MemberState::Pending),
        2 => leaving().prop_map(MemberState::Draining),
        1 => leaving().prop_map(MemberState::Terminating),
    ]
}

fn healths() -> impl Strategy<Value = Health> {
    let seen = prop_oneof![30 => Just(Seen::Answered), 2 => Just(Seen::Silent), 1 => Just(Seen::Unknown)];
    // Around a level that the snapshot's members share.
    let loads = 0.0..=10.0;
    let rare = vec![AgentState::Starting, AgentState::Draining, AgentState::Drained, AgentState::Restarting];
    let agents = prop_oneof![
        20 => Just(AgentState::Serving),
        8 => prop::sample::select(rare),
        1 => Just(AgentState::Leaving),
    ];
    let silence = (option::of(instants()), 0_u32..6);
    let failure = (option::of(instants()), prop_oneof![20 => Just(0), 1 => 0_u32..6]);
    let ages = prop_oneof![20 => 0_u64..10, 1 => 0_u64..100];
    let sample = (option::weighted(0.95, loads), option::weighted(0.9, ages.prop_map(ago)));
    let times = (option::of(instants()), option::of(instants()), option::of(instants()));
    let flag = prop::bool::weighted(0.05);
    (seen, silence, failure, sample, agents, times, (flag, signals())).prop_map(
        |(
            seen,
            silence,
            failure,
            (load, sampled_at),
            agent,
            (unregistered_at, first_answer, last_answer),
            (protected, signals),
        )| Health {
            last_answer,
            protected,
            signals,
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

fn signals() -> impl Strategy<Value = Signals> {
    let amounts = || prop_oneof![9 => 0.0..250.0, 1 => Just(1e12)];
    let sent = (option::weighted(0.9, amounts()), option::weighted(0.9, 0.0..100.0_f64));
    sent.prop_map(|(rate, memory)| {
        let named = [("rate", rate), ("memory", memory)].into_iter();
        Signals::of(&named.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    })
}

fn raised(load: Load, by: f64) -> Load {
    Load::new((load.percent() + by).min(100.0)).expect("it is at most 100")
}

fn names() -> impl Strategy<Value = InstanceId> {
    (0_u32..14).prop_map(|n| InstanceId(format!("i-{n}")))
}

prop_compose! {
    fn members()(
        health in option::weighted(0.9, healths().boxed()),
        state in states().boxed(),
        zone in prop::sample::select(vec!["", "a", "b", "c"]),
        (template, template_version) in (prop::sample::select(vec!["", "lt-1", "lt-2"]), 0_u64..4),
        (intended_at, launched_at) in (instants(), instants()),
        first_answer in option::weighted(0.3, instants()),
        replaces in option::weighted(0.05, names()),
    ) -> Member {
        Member { health, state, zone: zone.into(), template: template.into(), template_version, intended_at, launched_at, first_answer,
            replaces, ..serving("", 0.0) }
    }
}

fn places() -> impl Strategy<Value = Place> {
    (prop::sample::select(vec!["", "a", "b", "c"]), prop::sample::select(vec!["", "small", "large"]))
        .prop_map(|(zone, instance_type)| Place { zone: zone.into(), instance_type: instance_type.into() })
}

fn intents() -> impl Strategy<Value = Vec<Intent>> {
    let one = || (0_u32..3, option::weighted(0.3, names()), option::weighted(0.3, names()), places(), 0_u64..4);
    let several = prop_oneof![4 => Just(0..1), 1 => Just(0..4)];
    several.prop_flat_map(move |range| prop::collection::vec(one(), range)).prop_map(|drawn| {
        (0..)
            .zip(drawn)
            .map(|(n, (attempt, replaced, ended, place, version))| {
                let mut intent = open_launch(&format!("l-{n}"), attempt);
                match (&mut intent.call, ended) {
                    (call, Some(instance)) => *call = Call::Terminate { instance, shard: Default::default() },
                    (Call::Launch(spec), None) => {
                        (spec.replaces, spec.zone, spec.instance_type) = (replaced, place.zone, place.instance_type);
                        (spec.template, spec.template_version) = ("lt-2".into(), version);
                    }
                    (Call::Terminate { .. }, None) => {}
                }
                intent
            })
            .collect()
    })
}

/// What EC2 lists: most of the members, and at times others that carry our tag. `i-14` and above are no members.
fn fleets() -> impl Strategy<Value = Option<Vec<FleetInstance>>> {
    let rare =
        vec![InstanceState::Terminated, InstanceState::ShuttingDown, InstanceState::Stopped, InstanceState::Stopping];
    let states = prop_oneof![60 => Just(InstanceState::Running), 1 => prop::sample::select(rare)];
    let flag = |often| prop::bool::weighted(often);
    let flags = (flag(0.98), flag(0.05), flag(0.05), flag(0.08));
    let born = option::weighted(0.8, prop_oneof![1 => instants(), 1 => (900_u64..9_000).prop_map(ago)]);
    let of = option::weighted(0.7, 0_u32..12);
    let one = (states, flags, born, of).prop_map(|(state, (ours, protected, impaired, drain), launched_at, of)| {
        FleetInstance {
            intent: of.map(|n| IntentId(format!("l-{n}"))),
            launched_at,
            ours,
            protected,
            drain,
            impaired,
            ..FleetInstance::plain(InstanceId::default(), state)
        }
    });
    let listed = prop::collection::vec(option::weighted(0.95, one.clone()), 14);
    let strangers = prop_oneof![3 => Just(0..1), 1 => Just(0..6)]
        .prop_flat_map(move |range| prop::collection::vec(one.clone().prop_map(Some), range));
    let list = (listed, strangers).prop_map(|(listed, strangers)| {
        let named = (0_u32..).zip(listed.into_iter().chain(strangers));
        named.filter_map(|(n, listed)| Some(FleetInstance { id: InstanceId(format!("i-{n}")), ..listed? })).collect()
    });
    option::weighted(0.9, list)
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (instants(), causes(), places()).prop_map(|(at, cause, place)| Outcome::Launched { at, cause, place }),
        (instants(), places()).prop_map(|(at, place)| Outcome::NoCapacity { at, place }),
        instants().prop_map(|at| Outcome::Refused { at, reason: "no".into() }),
    ]
}

fn breakers() -> impl Strategy<Value = Breaker> {
    (instants(), counts(), instants(), counts()).prop_map(|(since, width, at, begun)| Breaker {
        since,
        width,
        begun: (at, begun),
    })
}

/// Around now, so that what is stored as to come may still be to come.
fn deadlines() -> impl Strategy<Value = Timestamp> {
    prop_oneof![instants(), (0_u64..600).prop_map(|s| NOW.plus(seconds_of(s)))]
}

fn policy_versions() -> impl Strategy<Value = Option<PolicyVersion>> {
    prop_oneof![4 => Just(None), 1 => Just(Some(PolicyVersion(1)))]
}

prop_compose! {
    /// What HEAD remembers of calls and instances.
    fn memories()(
        outcomes in prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(outcomes(), 0..4)],
        capacity in prop_oneof![2 => Just(BTreeMap::new()),
            1 => prop::collection::btree_map(places(), (counts(), deadlines()), 0..9)],
        refusal in option::weighted(0.1, (counts(), deadlines(), policy_versions())),
        templates in prop::collection::btree_map((prop::sample::select(vec!["lt-1", "lt-2"]), 0_u64..4),
            (any::<bool>(), prop_oneof![4 => Just(0_u32), 1 => 0_u32..5, 1 => counts()], policy_versions()), 0..5),
        (breaker, zone_breakers) in (option::weighted(0.2, breakers()),
            prop::collection::btree_map(prop::sample::select(vec!["", "a", "b", "z"]), breakers(), 0..3)),
        orphans in prop::collection::btree_map((0_u32..20).prop_map(|n| InstanceId(format!("i-{n}"))),
            (instants(), counts()), 0..8),
        orphan_swept_at in option::weighted(0.2, instants()),
        dark in prop::collection::vec((instants(), instants()), 0..3),
        policy in policy_versions(),
    ) -> Head {
        let scarcity = |(place, (failures, until))| Scarcity { place, failures, until };
        let record = |((template, version), (proven, failures, policy)): ((&str, u64), (bool, u32, Option<PolicyVersion>))|
            TemplateRecord { template: template.into(), version, proven, failures, policy };
        Head {
            outcomes,
            capacity: capacity.into_iter().map(scarcity).collect(),
            launch_refusal: refusal.map(|(failures, until, policy)|
                LaunchRefusal { reason: "no".into(), failures, until, policy }),
            templates: templates.into_iter().map(record).collect(),
            breaker,
            zone_breakers: zone_breakers.into_iter().map(|(zone, breaker)| (zone.to_owned(), breaker)).collect(),
            orphans: orphans.into_iter().map(|(id, (first, count))| (id, Sightings { first, count })).collect(),
            orphan_swept_at,
            dark: dark.into_iter().map(|(since, until)| Lapse { since, until, lasts: false }).collect(),
            policy,
            ..Head::default()
        }
    }
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
        marked in prop::collection::btree_map(names(), instants(), 0..4),
        memory in memories().boxed(),
    ) -> Head {
        let [factor_out_at, launch_accepted_at, scale_in_at, dark_since] = marks;
        let mut head = Head { desired, heading, marked, version, factor_out_at, launch_accepted_at, scale_in_at,
            launches, terminations, boot_times_ms: boots, ..memory };
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
        members in prop::collection::vec(members().boxed(), 0..14),
        head in heads().boxed(),
        level in prop_oneof![0.0..20.0, 60.0..90.0, 0.0..90.0],
        beside in option::weighted(0.9, -2_i64..3),
        sweep in option::weighted(0.97, (0_u64..32, prop_oneof![20 => 0_u64..20_000, 1 => Just(u64::MAX)],
            option::weighted(0.05, Just("cut off".to_owned())))),
        intents in intents().boxed(),
        (fleet, template_version) in (fleets().boxed(), option::weighted(0.95, 1_u64..4)),
        learnt in learnts().boxed(),
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
        Snapshot { now: NOW, head, sweep, members, intents, fleet, template_version, learnt, policy_notice: None, policy_refused: false }
    }
}

fn limits() -> impl Strategy<Value = Limit> {
    (prop_oneof![0_u32..200, Just(10_000)], 1_u32..6).prop_map(|(percent, at_least)| Limit { percent, at_least })
}

/// A rule of any kind.
fn rules() -> impl Strategy<Value = ScalingRule> {
    let threshold = (50.0..100.0, 2.0..40.0, 1.01..10.0, 0.01..0.99).prop_map(|(up, down, up_factor, down_factor)| {
        ScalingRule::Threshold(ThresholdRule { up, down, up_factor, down_factor })
    });
    let target = (10.0..66.0, prop_oneof![0.0..0.5, Just(0.0), Just(0.1)])
        .prop_map(|(target, tolerance)| ScalingRule::Target(TargetRule { target, tolerance }));
    let change = || prop_oneof![(1_u32..12).prop_map(Change::Members), (1_u32..99).prop_map(Change::Percent)];
    let strides = |bounds: std::ops::Range<u32>, steps| {
        // In no order of size: of the steps that speak the one that changes most counts.
        let stride = (bounds, change()).prop_map(|(bound, change)| Stride { bound: f64::from(bound), change });
        prop::collection::vec(stride, steps).prop_map(|mut strides| {
            strides.sort_by(|a, b| a.bound.total_cmp(&b.bound));
            strides.dedup_by_key(|stride| stride.bound);
            strides
        })
    };
    let step = (strides(50..100, 1..5), strides(2..40, 0..5)).prop_map(|(out, mut inward)| {
        inward.reverse();
        ScalingRule::Step(StepRule { out, inward })
    });
    let auto = (0.01..1.0).prop_map(|price| ScalingRule::Auto(AutoRule { price }));
    prop_oneof![threshold, target, step, auto]
}

/// What the rule `auto` may have learnt before now.
fn learnts() -> impl Strategy<Value = Option<Box<Learnt>>> {
    let samples = prop::collection::vec((5_u64..400, 0.0..100.0, 1_u32..30), 0..150);
    let (boot, period) = (Duration::from_secs(60), Duration::from_secs(10));
    let setting = Setting { price: 0.1, min: 1, max: 30, boot, period };
    prop::option::of(samples.prop_map(move |seen| {
        let mut before: u64 = seen.iter().map(|(gap, ..)| gap).sum();
        let sample = |(gap, mean, carried_by)| {
            before -= gap;
            Sample::of(ago(before + 1), mean, carried_by, None, None)
        };
        let samples = seen.into_iter().map(sample).collect();
        let recent = Recent { stored_at: None, samples };
        Box::new(Learnt::recall(None, &recent, NOW, &setting))
    }))
}

/// What a policy asks of the signals, mostly nothing.
fn signal_rules() -> impl Strategy<Value = Vec<SignalRule>> {
    let rule = |name: &'static str| {
        let aims = (10.0..60.0, prop_oneof![0.0..0.5, Just(0.1)]);
        aims.prop_map(move |(target, tolerance)| SignalRule { name: name.into(), target, tolerance })
    };
    let both = (option::of(rule("rate")), option::of(rule("memory")));
    prop_oneof![1 => Just(Vec::new()), 1 => both.prop_map(|(rate, memory)| rate.into_iter().chain(memory).collect())]
}

prop_compose! {
    fn policies()(
        (min, more) in prop_oneof![15 => (1_u32..4, prop_oneof![10_u32..20, 0_u32..12]), 1 => Just((0, 0))],
        (scaling, signals) in (rules().boxed(), signal_rules().boxed()),
        (cooldown_out, cooldown_in, stable_out, stable_in) in (0_u64..100, 0_u64..300, 0_u64..100, 0_u64..300),
        (limit_out, limit_in, max_replacing) in (limits(), limits(), limits()),
        (grace, unhealthy_after, boot, warm_up) in (0_u64..600, 1_u64..120, 1_u64..900, 0_u64..120),
        (available, together) in (prop_oneof![0_u32..=60, 0_u32..=100], 1_u32..=100),
        (zones, types) in (prop::sample::select(vec![vec![], vec!["a", "b"], vec!["c"]]),
            prop::sample::select(vec![vec![], vec!["small", "large"]])),
        (waits, pinned) in (any::<bool>(), option::weighted(0.1, 1_u64..4)),
    ) -> Policy {
        let mut policy = Policy { min, max: min + more, scaling, signals, ..thresholds() };
        (policy.out.cooldown, policy.inward.cooldown) = (seconds_of(cooldown_out), seconds_of(cooldown_in));
        (policy.out.stabilization, policy.inward.stabilization) = (seconds_of(stable_out), seconds_of(stable_in));
        (policy.out.limit, policy.inward.limit, policy.max_replacing) = (limit_out, limit_in, max_replacing);
        (policy.grace_period, policy.unhealthy_after) = (seconds_of(grace), seconds_of(unhealthy_after));
        (policy.boot_timeout, policy.warm_up) = (seconds_of(boot), seconds_of(warm_up));
        (policy.min_available_percent, policy.max_unhealthy_percent) = (available, together);
        policy.launch.template = Some("lt-2".into());
        policy.launch.template_version = pinned;
        policy.launch.zones = zones.into_iter().map(String::from).collect();
        policy.launch.instance_types = types.into_iter().map(String::from).collect();
        policy.on_timeout = if waits { OnTimeout::Wait } else { OnTimeout::Terminate };
        policy
    }
}

/// The same group, but of the chosen members nobody knows anything any more, or they miss one sweep.
fn knowing_less(snapshot: &Snapshot, whom: u16, silent: bool) -> Snapshot {
    let mut less = snapshot.clone();
    let slot = less.sweep.as_ref().map_or(NOW, |sweep| sweep.slot);
    let chosen = less.members.iter_mut().zip(0_u16..).filter(|(_, n)| whom >> n & 1 == 1).map(|(member, _)| member);
    for member in chosen {
        let pending = member.state == MemberState::Pending;
        let Some(health) = member.health.as_mut().filter(|health| health.seen == Seen::Answered) else { continue };
        // That it has answered once is not forgotten; who is Active did long ago.
        health.first_answer = health.first_answer.or(pending.then_some(slot));
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

fn listed<'s>(snapshot: &'s Snapshot, id: &InstanceId) -> Option<&'s FleetInstance> {
    snapshot.fleet.iter().flatten().find(|listed| listed.id == *id)
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

/// Two windows over bounds of 2 to 8, on the clocks of a place.
fn scheduled() -> impl Strategy<Value = Policy> {
    let zones =
        prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]);
    let minutes = prop::sample::select(vec!["*/20", "0", "30", "7,55"]);
    let hours = prop::sample::select(vec!["*", "2", "1-3", "8-18/5", "0,23"]);
    let days = prop::sample::select(vec!["* * *", "* * mon-fri", "1,31 * *", "* mar,oct,nov sun", "29 2 *"]);
    let sets = prop::sample::select(vec![
        r#""min_instances": 5"#,
        r#""max_instances": 3"#,
        r#""desired": 6"#,
        r#""min_instances": 0, "max_instances": 0"#,
        r#""min_instances": 0, "max_instances": 20, "desired": 0"#,
    ]);
    let window = (zones, minutes, hours, days, sets, prop::sample::select(vec!["5m", "1h", "25h", "744h"]));
    let kinds = prop::sample::select(vec!["threshold", "target", "step", "auto"]);
    (window.clone(), window, kinds).prop_map(|(first, second, kind)| {
        let text = |name: &str, (zone, minute, hour, days, sets, lasts): (&str, &str, &str, &str, &str, &str)| {
            format!(
                r#"{{"name": "{name}", "cron": "{minute} {hour} {days}", "time_zone": "{zone}", "lasts": "{lasts}", {sets}}}"#
            )
        };
        let windows = [text("first", first), text("second", second)].join(", ");
        let scaling = format!(r#""scaling": {{"kind": "{kind}"}}"#);
        let text = format!(r#"{{"min_instances": 2, "max_instances": 8, {scaling}, "schedule": [{windows}]}}"#);
        Policy::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    })
}

/// Instants of two years, many of them around the changes of the clocks in 2026.
fn hours_of_years() -> impl Strategy<Value = Timestamp> {
    let second = |from: u64, most: u64| (0..most).prop_map(move |after| Timestamp::from_millis((from + after) * 1_000));
    // 2026-01-01, 2026-03-08, 2026-03-29, 2026-10-03, 2026-10-25 and 2026-11-01.
    let changes = [1_772_928_000, 1_774_742_400, 1_790_985_600, 1_792_886_400, 1_793_491_200];
    let changes: Vec<_> = changes.into_iter().map(|from| second(from, 2 * 86_400)).collect();
    prop_oneof![second(1_767_225_600, 2 * 365 * 86_400), prop::strategy::Union::new(changes)]
}

proptest! {
    #![proptest_config(config(1))]

    #[test]
    fn z5_a_window_depends_on_the_time_alone_and_its_bounds_are_valid(
        policy in scheduled(), now in hours_of_years(), part in 0.0..=1.0_f64,
    ) {
        let held = policy.at(now);
        prop_assert!(held.min <= held.max && held.max <= 20);
        prop_assert_eq!(held.at(now), policy.at(now), "an effective policy holds as it is");
        if let Some(window) = &held.window {
            prop_assert!(window.since <= now && now < window.until);
            prop_assert!(window.desired.is_none_or(|desired| (held.min..=held.max).contains(&desired)));
            // It is in force from its start on; what opened later, and has closed, was so meanwhile.
            let since = window.since;
            let opened = |at: Timestamp| policy.at(at).window.as_ref().map(|window| window.since);
            prop_assert_eq!(opened(since), Some(since));
            prop_assert!(opened(since.plus(now.since(since).mul_f64(part))) >= Some(since));
            prop_assert!(opened(since.minus(Duration::from_millis(1))) < Some(since));
        } else {
            prop_assert_eq!((held.min, held.max), (2, 8));
        }
    }

    #[test]
    fn z5_f4_desired_is_inside_the_windows_bounds_and_set_once(
        snapshot in snapshots(), policy in scheduled(), now in hours_of_years(), lost in 0_u64..7_200,
    ) {
        let mut snapshot = snapshot;
        (snapshot.now, snapshot.head.schedule_seen) = (now, Some(now.minus(seconds_of(lost))));
        let first = decide(&snapshot, &policy);
        let held = policy.at(now);
        prop_assert!((held.min..=held.max).contains(&first.plan.head.desired), "{:#?}", first.report);
        let desired = held.window.as_ref().and_then(|window| window.desired.filter(|_| now.since(window.since) < seconds_of(lost)));
        prop_assert_eq!(first.report.rule == Rule::F4, desired.is_some(), "{:#?}", first.report);
        prop_assert!(desired.is_none_or(|desired| first.plan.head.desired == desired));
        let again = decide(&claim(&snapshot, &first.plan), &policy);
        prop_assert!(again.report.rule != Rule::F4, "{:#?}", again.report);
    }

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
    fn z4_s10_more_of_a_signal_never_lowers_desired_and_a_signal_more_never_does(
        snapshot in snapshots(), policy in policies(), more in prop::collection::vec(0.0..300.0_f64, 14),
    ) {
        let mut busier = snapshot.clone();
        for (member, more) in busier.members.iter_mut().zip(more) {
            if let Some(health) = &mut member.health {
                let sent = health.signals.iter().map(|(name, value)| {
                    let most = if name == "memory" { 100.0 } else { 1e12 };
                    (name.to_owned(), (value + more).min(most))
                });
                health.signals = Signals::of(&sent.collect());
            }
        }
        let without = Policy { signals: Vec::new(), ..policy.clone() };
        let [none, calm, busy] = [(&snapshot, &without), (&snapshot, &policy), (&busier, &policy)]
            .map(|(snapshot, policy)| decide(snapshot, policy));
        let headlines = [&none.report.headline, &calm.report.headline, &busy.report.headline];
        prop_assert!(busy.plan.head.desired >= calm.plan.head.desired, "{:#?}", headlines);
        prop_assert!(calm.plan.head.desired >= none.plan.head.desired, "{:#?}", headlines);
    }

    #[test]
    fn s10_knowing_less_never_terminates_more(
        snapshot in snapshots(), policy in policies(), whom in any::<u16>(), silent in any::<bool>(),
    ) {
        let less = knowing_less(&snapshot, whom, silent);
        let (before, after) = (decide(&snapshot, &policy), decide(&less, &policy));
        // Who leaves by its own word takes the place of another in the window (F8).
        let many = |decision| gone(&snapshot, decision, &[Cause::Load, Cause::BootTimeout, Cause::Leaving]).len();
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
    fn z7_a_group_of_none_only_shrinks_and_spares_the_protected(snapshot in snapshots(), policy in policies()) {
        let policy = Policy { min: 0, max: 0, ..policy };
        let decision = decide(&snapshot, &policy);
        prop_assert_eq!(decision.plan.head.desired, 0);
        prop_assert_eq!((decision.launches(), decision.takes_back().len()), (0, 0), "{:#?}", decision.report);
        let listed = |id: &InstanceId| snapshot.fleet.iter().flatten().any(|seen| seen.id == *id && seen.protected);
        for id in gone(&snapshot, &decision, &[Cause::Bounds, Cause::Unhealthy]) {
            let member = member(&snapshot, id);
            let said = member.health.as_ref().is_some_and(|health| health.protected);
            let at_work = matches!(member.state, MemberState::Pending | MemberState::Active);
            prop_assert!(!at_work || !(said || listed(id)), "{} is protected", id);
        }
    }

    #[test]
    fn z6_inside_the_bounds_nothing_moves_against_the_rule(snapshot in snapshots(), policy in policies()) {
        let (min, max) = (policy.min, policy.max);
        let decision = decide(&snapshot, &policy);
        let before = snapshot.head.desired;
        let asked = decision.report.stages.iter().filter(|s| matches!(s.stage, StageName::Raw | StageName::Signals));
        if let Some(asked) = asked.map(|stage| stage.desired).max() && (min..=max).contains(&before) {
            let after = decision.plan.head.desired;
            prop_assert!(after == before || (after > before) == (asked > before), "{:#?}", decision.report);
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
        // Who is terminated to be replaced, or goes first by its mark, leaves a gap of its own, and so does who is found lost only now.
        let vacated = first.terminates().iter().filter(|(_, cause)| *cause == Cause::Unhealthy).count();
        let vacated = vacated + gone(&snapshot, &first, &[Cause::Operator]).len();
        let lost = second.plan.steps.iter().filter(|step| matches!(step, Step::Close { departure: Departure::Lost, .. })).count();
        if first.plan.postponed == 0 {
            prop_assert!(second.launches() <= vacated + lost, "{:#?}\n{:#?}", first.report, second.report);
        }
        // The same sweep is not decided on twice (S7).
        if first.plan.head.last_slot.is_some() {
            // What room below max was too small for takes the room of who is terminated to be replaced.
            prop_assert!(second.launches_for(Cause::Load) <= vacated, "{:#?}\n{:#?}", first.report, second.report);
            prop_assert_eq!((second.launches_for(Cause::Unhealthy), second.launches_for(Cause::Operator)), (0, 0));
        }
    }

    #[test]
    fn s5_while_nobody_answers_nobody_is_terminated_for_load_or_health(
        snapshot in snapshots(), policy in policies(), silent in any::<bool>(),
    ) {
        let mut dark = knowing_less(&snapshot, u16::MAX, silent);
        // At least one has answered once, and EC2 does not call it gone.
        dark.members.push(Member { health: dead(), ..serving("i-99", 1.0) });
        let running = FleetInstance::plain(id("i-99"), InstanceState::Running);
        dark.fleet.iter_mut().for_each(|fleet| fleet.push(running.clone()));
        let decision = decide(&dark, &policy);
        let lost = gone(&dark, &decision, &[Cause::Load, Cause::Unhealthy, Cause::BootTimeout]);
        // A drain that did not begin for the load's sake may end in the dark, and EC2's word needs no light (H3).
        let may = |id: &InstanceId| {
            let draining = matches!(&member(&dark, id).state, MemberState::Draining(l) if l.cause != Cause::Load);
            draining || listed(&dark, id).is_some_and(|listed| listed.impaired)
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
    #![proptest_config(config(1))]

    #[test]
    fn d2_the_protected_are_never_scale_in_victims(snapshot in snapshots(), policy in policies()) {
        let decision = decide(&snapshot, &policy);
        for id in gone(&snapshot, &decision, &[Cause::Load, Cause::Bounds]) {
            let member = member(&snapshot, id);
            let says = member.health.as_ref().is_some_and(|health| health.protected);
            let tagged = listed(&snapshot, id).is_some_and(|listed| listed.protected);
            // Whose drain had begun before is not chosen now.
            let chosen = !matches!(member.state, MemberState::Draining(_));
            prop_assert!(!chosen || !(says || tagged), "{}: {:#?}", id, decision.report);
        }
    }

    #[test]
    fn c1_o5_nobody_foreign_or_disowned_is_ever_named(snapshot in snapshots(), policy in policies()) {
        let launches = snapshot.intents.iter().filter(|intent| matches!(intent.call, Call::Launch(_)));
        let open: BTreeSet<_> = launches.map(|intent| &intent.id).collect();
        for step in &decide(&snapshot, &policy).plan.steps {
            let ours = |id| listed(&snapshot, id).is_none_or(|listed| listed.ours);
            match step {
                Step::Confirm { id, .. } | Step::TakeBack { id } | Step::Drain { id, .. } | Step::Terminate { id, .. } => {
                    // In the minute after its launch EC2 may not show the tags yet: nobody is disowned for that.
                    let young = NOW.since(member(&snapshot, id).launched_at) < Duration::from_secs(60);
                    prop_assert!(ours(id) || young, "{:?}", step);
                }
                Step::Close { id, departure } => {
                    member(&snapshot, id);
                    prop_assert!(ours(id) || *departure != Departure::Ended || listed(&snapshot, id).is_some(), "{:?}", step);
                }
                Step::Sweep { id, .. } => {
                    let listed = listed(&snapshot, id).expect("only what EC2 lists is swept");
                    prop_assert!(listed.ours && !listed.state.is_gone(), "{:?}", listed);
                    prop_assert!(listed.intent.as_ref().is_some_and(|intent| !open.contains(intent)), "{:?}", listed);
                    prop_assert!(!snapshot.members.iter().any(|member| member.id == *id), "{:?}", listed);
                }
                Step::Cancel { .. } | Step::Launch { .. } => {}
            }
        }
    }

    #[test]
    fn l1_l4_l5_l8_l9_nothing_is_launched_where_nothing_may_be(snapshot in snapshots(), policy in policies()) {
        let decision = decide(&snapshot, &policy);
        let (head, specs) = (&decision.plan.head, decision.launch_specs());
        let Some(spec) = specs.first() else { return Ok(()) };
        let version = policy.launch.template_version.or(snapshot.template_version);
        prop_assert_eq!(Some(spec.template_version), version);
        let open: Vec<_> = snapshot.intents.iter().filter_map(|intent| match &intent.call {
            Call::Launch(spec) => Some(spec),
            Call::Terminate { .. } => None,
        }).collect();
        if let Some(refusal) = &head.launch_refusal {
            prop_assert!(refusal.until <= NOW && specs.len() == 1 && open.is_empty(), "{:?}", refusal);
        }
        let at = |place: &Place, spec: &LaunchSpec| (&spec.zone, &spec.instance_type) == (&place.zone, &place.instance_type);
        for scarce in &head.capacity {
            let there = specs.iter().copied().chain(open.iter().copied()).filter(|spec| at(&scarce.place, spec)).count();
            let new = specs.iter().filter(|spec| at(&scarce.place, spec)).count();
            prop_assert!(new == 0 || (scarce.until <= NOW && there == 1), "{:?}", scarce);
        }
        let record = head.templates.iter().find(|known| known.template == "lt-2" && Some(known.version) == version);
        let failed = record.map_or(0, |record| record.failures);
        prop_assert!(failed < 3, "{:?}", record);
        let of = |member: &&Member| matches!(member.template.as_str(), "" | "lt-2")
            && (member.template_version == 0 || Some(member.template_version) == version);
        let proven = record.is_some_and(|record| record.proven) || snapshot.members.iter().filter(of).any(|member| {
            member.state != MemberState::Pending || member.first_answer.is_some()
        });
        let same = open.iter().filter(|open| Some(open.template_version) == version).count();
        prop_assert!(proven || specs.len() + same + failed as usize <= 3, "{:?}", decision.report);
    }

    #[test]
    fn d4_what_is_taken_back_is_needed_and_was_not_finished(snapshot in snapshots(), policy in policies()) {
        let decision = decide(&snapshot, &policy);
        let mut taken = decision.takes_back();
        let drains_for = |name: &str| match &member(&snapshot, &InstanceId::from(name)).state {
            MemberState::Draining(leaving) => leaving.cause,
            MemberState::Pending | MemberState::Active | MemberState::Terminating(_) => panic!("{name} does not drain"),
        };
        for name in &taken {
            let (member, cause) = (member(&snapshot, &InstanceId::from(*name)), drains_for(name));
            // What an operator has asked for ends with his mark, and no other way (D8).
            let unmarked = listed(&snapshot, &member.id).is_some_and(|listed| !listed.drain);
            prop_assert!(matches!(cause, Cause::Load | Cause::Bounds) || (cause == Cause::Operator && unmarked), "{:?}", cause);
            prop_assert!(member.health.as_ref().is_some_and(|health| health.seen == Seen::Answered));
        }
        taken.retain(|name| drains_for(name) != Cause::Operator);
        let let_go = gone(&snapshot, &decision, &[Cause::Load, Cause::Bounds]);
        let chosen = |id: &&&InstanceId| !matches!(member(&snapshot, id).state, MemberState::Draining(_));
        prop_assert!(taken.is_empty() || let_go.iter().filter(chosen).count() == 0, "{:?}", decision.report.actions);
    }

    #[test]
    fn d8_only_the_marked_go_for_an_operator_and_min_healthy_members_stay(snapshot in snapshots(), policy in policies()) {
        let decision = decide(&snapshot, &policy);
        let at_work = |member: &Member| matches!(member.state, MemberState::Pending | MemberState::Active);
        let for_operator = gone(&snapshot, &decision, &[Cause::Operator]);
        let begun: Vec<_> = for_operator.into_iter().filter(|id| at_work(member(&snapshot, id))).collect();
        for id in &begun {
            let said = listed(&snapshot, id);
            prop_assert!(said.is_some_and(|said| said.drain && !said.protected), "{}: {:?}", id, said);
            let says = member(&snapshot, id).health.as_ref().is_some_and(|health| health.protected);
            prop_assert!(!says, "{} is protected by its agent's word", id);
        }
        let replaced = decision.plan.steps.iter().filter_map(|step| match step {
            Step::Launch { intent } if intent.cause == Cause::Operator => Some(&intent.call),
            _ => None,
        });
        for call in replaced {
            let Call::Launch(spec) = call else { panic!("a launch launches") };
            let old = spec.replaces.as_ref().expect("it replaces somebody");
            prop_assert!(listed(&snapshot, old).is_some_and(|said| said.drain && !said.protected), "{}", old);
        }
        let drains = decision.drains().into_iter().filter(|name| begun.iter().any(|id| id.0 == *name)).count();
        let goes: BTreeSet<&str> = decision.lets_go().into_iter().collect();
        let healthy = snapshot.members.iter().filter(|member| {
            let well = |health: &Health| health.seen == Seen::Answered && health.failing_sweeps == 0;
            at_work(member) && !goes.contains(member.id.0.as_str()) && member.health.as_ref().is_some_and(well)
        });
        prop_assert!(drains == 0 || healthy.count() >= policy.min as usize, "D7: {:#?}", decision.report);
    }

    #[test]
    fn o1_observe_and_paused_keep_what_is_decided(
        snapshot in snapshots(), policy in policies(), paused in any::<bool>(),
    ) {
        let policy = Policy { mode: if paused { Mode::Paused } else { Mode::Observe }, ..policy };
        let decision = decide(&snapshot, &policy);
        prop_assert!(decision.plan.steps.iter().all(Step::is_record));
        let (before, after) = (&snapshot.head, &decision.plan.head);
        let decided = |head: &Head| {
            let marks = (head.factor_out_at, head.scale_in_at, head.orphan_swept_at);
            (head.desired, head.heading, marks, head.launches.clone(), head.terminations.clone(), head.rosters.clone())
        };
        prop_assert_eq!(decided(before), decided(after));
        let open = |head: &Head| {
            let zones = head.zone_breakers.iter().map(|(zone, breaker)| (zone.clone(), breaker.begun)).collect::<Vec<_>>();
            (head.breaker.as_ref().map(|breaker| breaker.begun), zones)
        };
        prop_assert_eq!(open(before), open(after));
        if paused {
            prop_assert_eq!((&before.orphans, &before.dark), (&after.orphans, &after.dark));
        }
    }

    #[test]
    fn h3_no_more_replacements_begin_than_the_breaker_lets_through(snapshot in snapshots(), policy in policies()) {
        let decision = decide(&snapshot, &policy);
        let Some(breaker) = &decision.plan.head.breaker else { return Ok(()) };
        let begun = decision.launches_for(Cause::Unhealthy);
        prop_assert!(begun <= breaker.width as usize, "{} at {:?}", begun, breaker);
        prop_assert!(begun == 0 || breaker.begun.1 >= begun as u32, "{:?}", breaker);
    }

    #[test]
    fn v3_orphans_go_slowly(snapshot in snapshots(), policy in policies()) {
        let decision = decide(&snapshot, &policy);
        let swept = decision.sweeps();
        prop_assert!(swept.len() <= 2);
        for name in swept {
            let seen = &snapshot.head.orphans[&InstanceId::from(name)];
            prop_assert!(seen.count >= 1 && NOW.since(seen.first) >= seconds_of(30), "{:?}", seen);
            prop_assert!(!decision.plan.head.orphans.contains_key(&InstanceId::from(name)));
        }
        prop_assert!(decision.plan.head.orphans.len() <= 100);
    }
}

proptest! {
    #![proptest_config(config(8))]

    #[test]
    fn f7_a_constant_load_reaches_a_fixed_point(
        policy in policies(), members in 1_usize..12, total in 0.0..900.0_f64, rate in 0.0..900.0_f64,
    ) {
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
            let answering = world.members.iter_mut().filter_map(|member| member.health.as_mut());
            let answering: Vec<_> = answering.filter(|health| health.load.is_some()).collect();
            let shares = [("rate", rate), ("memory", total)].map(|(name, all)| (name, all / answering.len() as f64));
            let shares = Signals::of(&shares.map(|(name, share)| (name.to_owned(), share.min(100.0))).into());
            answering.into_iter().for_each(|health| health.signals = shares.clone());
        }
        prop_assert!(false, "still moving after 900 sweeps: {:?}", decide(&world, &policy).report);
    }
}
