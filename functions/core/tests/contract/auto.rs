//! The rule `auto`: chapter "Size" of the contract, and what the chapters on measurements and flapping ask of it.

use crate::common::*;
use muster_core::decide::Decision;
use muster_core::health::Health;
use muster_core::policy::{AutoRule, Limit, Mode, Policy, ScalingRule};
use muster_core::report::{Rule, StageName};
use muster_core::signals::{RATE, Signals};
use muster_core::snapshot::SweepFacts;
use muster_core::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Requests a second that keep one instance busy.
const CAPACITY: f64 = 100.0;

/// A group whose members share a demand, sweep after sweep; who is launched boots, who is let go is gone at once.
#[derive(Clone)]
struct World {
    group: Group,
    period: Duration,
    boot: Duration,
    /// When each member answers first.
    ready: Vec<Timestamp>,
    /// Whether members report how many requests come.
    counts: bool,
    /// So many of them, the last, have given no sample.
    missing: usize,
    /// Whether what is learnt is stored after every sweep, and not only when HEAD says that it is.
    stores_always: bool,
}

impl World {
    /// So many members in service, as desired, of 1 to 1,000; a sweep every ten seconds, and a boot takes a minute.
    fn of(n: usize) -> Self {
        let policy = Policy::parse(r#"{"scaling": {"kind": "auto"}}"#).expect("a policy");
        let boot = seconds_of(60);
        let group = Group::of(&[]).with(|p| *p = policy).bounds(1, 1_000).but(|s| {
            s.head.boot_times_ms = vec![60_000; 5];
            s.head.desired = u32::try_from(n).expect("a test group is small");
        });
        let (period, ready) = (seconds_of(10), vec![ago(86_000); n]);
        Self { group, period, boot, ready, counts: false, missing: 0, stores_always: false }
    }

    fn every(mut self, period: u64) -> Self {
        self.period = seconds_of(period);
        self.with(|p| p.sweep_interval = seconds_of(period))
    }

    fn with(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        self.group = self.group.with(change);
        self
    }

    fn desired(&self) -> u32 {
        self.group.snapshot.head.desired
    }

    /// What the members say at the next sweep, of so many fully used instances' work.
    fn look(&mut self, demand: f64) {
        let snapshot = &mut self.group.snapshot;
        snapshot.now = snapshot.now.plus(self.period);
        let now = snapshot.now;
        snapshot.sweep = Some(SweepFacts { slot: now, period_ms: 0, blind: None, awaited: 0 });
        let there = self.ready.iter().filter(|ready| **ready <= now).count().max(1) as f64;
        let load = (100.0 * demand / there).min(100.0);
        let rate = BTreeMap::from([(RATE.to_owned(), CAPACITY * demand / there)]);
        let signals = if self.counts { Signals::of(&rate) } else { Signals::default() };
        let health = Health { last_answer: Some(now), sampled_at: Some(now), signals, ..answering(load) };
        let answer = self.ready.len() - self.missing;
        let members = self.ready.iter().enumerate().map(|(nth, ready)| {
            let name = format!("i-{}", nth + 1);
            match ready {
                ready if *ready > now => pending(&name, 0),
                _ if nth >= answer => {
                    let mut member = serving(&name, load);
                    member.health = Some(silent(5, 1));
                    member
                }
                _ => {
                    let mut member = serving(&name, load);
                    member.health = Some(health.clone());
                    member
                }
            }
        });
        let mut members: Vec<_> = members.collect();
        for (member, ready) in members.iter_mut().zip(&self.ready).filter(|(_, ready)| **ready > now) {
            (member.intended_at, member.launched_at) = (ready.minus(self.boot), ready.minus(self.boot));
        }
        snapshot.members.clear();
        self.group = self.group.clone().and(members);
    }

    /// The stores and EC2 do what was decided.
    fn carry_out(&mut self, decision: &Decision) {
        let snapshot = &mut self.group.snapshot;
        let due = decision.plan.head.auto.stored_at != snapshot.head.auto.stored_at;
        snapshot.head = decision.plan.head.clone();
        if (due || self.stores_always) && decision.plan.learnt.is_some() {
            let text = serde_json::to_string(&decision.plan.learnt).expect("it is plain data");
            snapshot.learnt = serde_json::from_str(&text).expect("it is read back");
        }
        let desired = usize::try_from(snapshot.head.desired).expect("it is small");
        self.ready.resize(desired, snapshot.now.plus(self.boot));
    }

    fn sweep(&mut self, demand: f64) -> Decision {
        self.look(demand);
        let decision = self.group.decide();
        self.carry_out(&decision);
        decision
    }

    /// The sizes after so many seconds of a demand, sweep after sweep.
    fn run(&mut self, seconds: u64, demand: f64) -> Vec<u32> {
        let sweeps = seconds / self.period.as_secs();
        (0..sweeps).map(|_| self.sweep(demand).plan.head.desired).collect()
    }

    /// Changes what is stored.
    fn spoil(&mut self, change: impl FnOnce(&mut Value)) {
        let mut stored = serde_json::to_value(&self.group.snapshot.learnt).expect("it is plain data");
        change(&mut stored);
        self.group.snapshot.learnt = serde_json::from_value(stored).expect("it can be read");
    }
}

/// The sizes, one for each that is not the one before.
fn changes(mut sizes: Vec<u32>) -> Vec<u32> {
    sizes.dedup();
    sizes
}

/// A load that nobody could foretell, the same in every run: 2 to 14, and now and then far too much.
fn restless(nth: u64) -> f64 {
    let mixed = (nth / 7).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(0xD129_0D3D_57C5_21B5) >> 40;
    if mixed.is_multiple_of(11) { 60.0 } else { 2.0 + (mixed % 1_200) as f64 / 100.0 }
}

#[test]
fn z10_from_the_first_sweep_a_busy_group_grows() {
    // The highest of 20 minutes at 67 %: 3.8 / 0.67 = 5.7.
    for (n, demand, desired) in [(4, 3.8, 6), (4, 3.0, 5), (1, 0.9, 2), (10, 9.5, 15), (100, 90.0, 135)] {
        let decision = World::of(n).sweep(demand);
        assert_eq!(decision.verdict(), (desired, Rule::Z10), "{}", decision.report.headline);
    }
    let decision = World::of(4).sweep(3.8);
    let says = "for a demand of 3.8 6: the highest of 20 min at 67 %, where every group begins";
    assert!(decision.report.headline.contains(says), "{}", decision.report.headline);
}

#[test]
fn z10_an_idle_group_shrinks_after_the_stabilisation_and_by_three_quarters_a_minute() {
    let mut world = World::of(12);
    world.group.snapshot.head.remember_recommendation(NOW, 12, seconds_of(30));
    // Until 30 s after the last that asked for 12; 75 % of 12 are 9, and a minute later one more may go.
    let sizes = world.run(120, 1.0);
    assert_eq!(changes(sizes.clone()), [12, 3, 2], "{sizes:?}");
    assert_eq!(sizes.iter().filter(|size| **size == 12).count(), 2);
    assert_eq!(World::of(12).with(|p| p.min = 5).sweep(1.0).verdict().0, 5);
}

#[test]
fn z10_full_processors_are_met_with_a_boost_that_waits_for_who_was_asked_for() {
    // Six were needed: 4.3 x 6 = 25.8, within 2.5 and 3 times as many as there are; and then 3.4 times as many as carry it, when they have come.
    for (n, before, sizes) in [
        (9, 6.0, [26, 89, 303, 1_031]),
        (9, 2.0, [23, 79, 269, 915]),
        (9, 8.0, [35, 119, 405, 1_377]),
        (1, 0.6, [3, 11, 38, 130]),
    ] {
        let mut world = World::of(n).with(|p| p.inward.cooldown = seconds_of(3_600));
        world.group.snapshot.head.scale_in_at = Some(NOW);
        world.run(300, before);
        let had = world.desired();
        let first = world.sweep(5_000.0);
        let carry = format!("the processors of {had} are full, and how much more there is to do cannot be seen");
        assert!(first.report.headline.contains(&carry), "{}", first.report.headline);
        let boost = |nth: u64, decision: &Decision| {
            let raw = &decision.report.stages[0];
            raw.text.starts_with("the processors of ").then_some((10 * nth, raw.desired))
        };
        let later = (1..24).filter_map(|nth| boost(nth, &world.sweep(5_000.0)));
        let mut boosts: Vec<_> = boost(0, &first).into_iter().chain(later).collect();
        boosts.dedup_by_key(|(_, size)| *size);
        // The second as soon as they have booted, the others once they have been seen full for 20 s.
        let [a, b, c, d] = sizes;
        assert_eq!(boosts, [(0, a), (60, b), (140, c), (220, d)], "{before}");
    }
}

#[test]
fn z10_nothing_is_asked_for_twice_within_a_boot_time_however_long_that_is() {
    for (boot, period) in [(30, 10), (90, 10), (300, 10), (120, 60), (20, 2)] {
        let mut world = World::of(9).every(period);
        world.boot = seconds_of(boot);
        world.group.snapshot.head.boot_times_ms = vec![boot * 1_000; 5];
        world.run(300, 6.0);
        world.sweep(500.0);
        let ordered = world.desired();
        assert!((23..=27).contains(&ordered), "{boot} s: {ordered}");
        let sizes = world.run(boot - period, 500.0);
        assert_eq!(changes(sizes), [ordered].repeat(usize::from(boot > period)), "{boot} s");
    }
}

#[test]
fn z10_who_knows_what_an_instance_can_do_guesses_nothing() {
    let mut world = World::of(9);
    world.counts = true;
    world.run(600, 6.0);
    // Sixty: the mean of 20 s has it with the second sweep, and 60 / 0.67 is 90.
    let (first, second) = (world.sweep(60.0), world.sweep(60.0));
    assert_eq!((first.verdict(), second.verdict()), ((50, Rule::Z10), (90, Rule::Z10)), "{}", second.report.headline);
    assert!(!first.report.headline.contains("are full"), "{}", first.report.headline);
    assert_eq!(changes(world.run(600, 60.0)), [90]);
    // Who has not seen it for two minutes does not know it.
    let mut young = World::of(9);
    young.counts = true;
    young.run(60, 6.0);
    assert!(young.sweep(60.0).report.headline.contains("are full"));
}

#[test]
fn z10_a_small_growth_must_last_for_a_minute() {
    // 13.3 / 0.67 takes 20, 15 takes 23, and what the mean of 20 s has of it at first 22.
    let mut world = World::of(20);
    assert_eq!(changes(world.run(300, 13.3)), [20]);
    let first = world.sweep(15.0);
    let says = "(so small a change must last for 1 m)";
    assert!(first.report.headline.contains(says), "{}", first.report.headline);
    assert_eq!(world.run(70, 15.0), [20, 20, 20, 20, 22, 23, 23]);
    // What does not last moves nothing.
    let mut world = World::of(20);
    world.run(300, 13.3);
    world.run(10, 13.8);
    assert_eq!(changes(world.run(300, 13.3)), [20]);
}

#[test]
fn z10_a_small_reduction_must_last_for_five_minutes() {
    // 13.3 / 0.67 takes 20, 12.7 takes 19.
    let mut world = World::of(20).with(|p| p.inward.stabilization = Duration::ZERO);
    world.sweep(13.3);
    let mut waited = Vec::new();
    while world.desired() == 20 {
        let decision = world.sweep(12.7);
        waited.push(decision.report.headline.contains("(so small a change must last for 5 m)"));
        assert!(waited.len() < 200, "it shrinks");
    }
    assert_eq!(world.desired(), 19);
    assert_eq!(waited.iter().filter(|waits| **waits).count(), 30);
}

/// Ten at a load, of whom so many are missing.
fn with_missing(missing: usize, load: f64) -> World {
    World { missing, ..World::of(10) }.with(|p| p.max_unhealthy_percent = 100).demanding(load)
}

impl World {
    /// Each of those who answer is at this load.
    fn demanding(mut self, load: f64) -> Self {
        self.look(load * self.ready.len() as f64 / 100.0);
        self
    }
}

#[test]
fn m2_for_auto_the_missing_are_full_when_scaling_in_and_idle_when_scaling_out() {
    // 2 / 0.67 takes 3; with two of ten at 100 % it is 3.6, which takes 6.
    assert_eq!(with_missing(0, 20.0).group.decide().plan.head.desired, 3);
    let lowered = with_missing(2, 20.0).group.decide();
    assert_eq!(lowered.verdict(), (6, Rule::Z10));
    assert!(lowered.report.headline.contains("but with 2 missing members at 100 % it is 6"));
    let stages: Vec<_> = lowered.report.stages.iter().map(|stage| (stage.stage, stage.desired, stage.rule)).collect();
    assert_eq!(stages, [(StageName::Raw, 3, Rule::Z10), (StageName::Filled, 6, Rule::M2)]);
    // 9 / 0.67 takes 14; without two of them it is 7.2, which takes 11.
    assert_eq!(with_missing(0, 90.0).group.decide().verdict(), (14, Rule::Z10));
    let lowered = with_missing(2, 90.0).group.decide();
    assert_eq!((lowered.verdict(), lowered.report.stages[1].rule), ((11, Rule::Z10), Rule::M4));
    assert!(lowered.report.headline.contains("but without those of whom nothing is known it is 11"));
}

#[test]
fn m3_for_auto_what_turns_round_is_held() {
    // 5.2 takes 8, with two at 100 % 6.16 takes 10; 9 takes 14, without four of them 5.4 takes 9.
    for (world, says) in [
        (with_missing(2, 52.0), "but with 2 missing members at 100 % it is 10"),
        (with_missing(4, 90.0), "but without those of whom nothing is known it is 9"),
    ] {
        let decision = world.group.decide();
        assert_eq!(decision.verdict(), (10, Rule::M3), "{}", decision.report.headline);
        assert!(decision.report.headline.contains(says), "{}", decision.report.headline);
    }
}

#[test]
fn m5_for_auto_too_few_samples_move_nothing_and_teach_nothing() {
    for load in [5.0, 50.0, 95.0, 100.0] {
        let decision = with_missing(6, load).group.decide();
        assert_eq!(decision.verdict(), (10, Rule::M5), "{load} %: {}", decision.report.headline);
        assert_eq!((decision.plan.learnt, decision.plan.head.auto), (None, Default::default()), "{load} %");
    }
    // It is as if there had been no sweep: what was learnt before stays.
    let mut world = World::of(10);
    world.run(300, 6.0);
    let (learnt, recent) = (world.group.snapshot.learnt.clone(), world.group.snapshot.head.auto.clone());
    world.missing = 6;
    world.run(120, 6.0);
    assert_eq!((world.group.snapshot.learnt, world.group.snapshot.head.auto), (learnt, recent));
}

#[test]
fn z10_stored_every_minute_or_every_sweep_it_decides_the_same() {
    for (period, counts, sweeps) in
        [(1, false, 900), (2, true, 900), (10, false, 600), (10, true, 600), (60, false, 300)]
    {
        let mut due = World { counts, ..World::of(9) }.every(period);
        let mut always = World { stores_always: true, ..due.clone() };
        for nth in 0..sweeps {
            let (one, other) = (due.sweep(restless(nth)), always.sweep(restless(nth)));
            assert_eq!(one, other, "{period} s, sweep {nth}");
            assert!(one.plan.head.auto.samples.len() < 64);
        }
    }
}

/// What happens to a state.
type Spoil = fn(&mut Value);

#[test]
fn z10_a_lost_or_foreign_state_begins_anew_and_lets_nobody_go_for_ten_minutes() {
    let spoils: [(&str, Spoil); 13] = [
        ("lost", |stored| *stored = Value::Null),
        ("another form", |stored| stored["form"] = json!(2)),
        ("an older form", |stored| stored["form"] = json!(0)),
        ("fewer rules", |stored| _ = stored["shadows"]["paid"].as_array_mut().unwrap().pop()),
        ("more rules", |stored| stored["shadows"]["asked"].as_array_mut().unwrap().push(json!(1))),
        ("a rule that is none", |stored| stored["shadows"]["weights"] = json!([[105, 1.0]])),
        ("another clock", |stored| stored["at"] = json!("2100-01-01T00:00:00Z")),
        ("careful for good", |stored| stored["careful_until"] = json!("2100-01-01T00:00:00Z")),
        ("huge bills", |stored| stored["shadows"]["paid"][7] = json!(1e38)),
        ("negative bills", |stored| stored["shadows"]["overloaded"][7] = json!(-1.0)),
        ("huge needs", |stored| stored["shadows"]["needed"] = json!(3e38)),
        ("huge weights", |stored| stored["shadows"]["weights"] = json!([[24, 1e30]])),
        ("huge capacity", |stored| stored["capacity"] = json!({"requests": 1e300, "used": 1e-300, "seconds": 1e3})),
    ];
    for (name, spoil) in spoils {
        for stores_always in [false, true] {
            let mut world = World { stores_always, ..World::of(30) };
            // The last sweep is stored: HEAD holds no sample.
            assert_eq!(changes(world.run(610, 20.0)), [30]);
            assert!(world.group.snapshot.head.auto.samples.is_empty());
            world.spoil(spoil);
            let first = world.sweep(2.0);
            let says = "but what it knew is lost, and it lets nobody go for ";
            assert!(first.report.headline.contains(says), "{name}: {}", first.report.headline);
            assert_eq!(first.verdict(), (30, Rule::Z10), "{name}");
            assert_eq!(changes(world.run(590, 2.0)), [30], "{name}");
            // The stabilisation, and three quarters of 30.
            assert_eq!(changes(world.run(60, 2.0)), [30, 8], "{name}");
        }
    }
}

#[test]
fn z10_what_stands_in_head_is_not_lost_with_the_state() {
    let mut world = World::of(30);
    world.run(640, 20.0);
    world.spoil(|stored| *stored = Value::Null);
    // The three samples that HEAD holds are of the highest of 20 minutes; without them it would be 3.
    let first = world.sweep(2.0);
    assert_eq!((first.report.stages[0].desired, first.verdict().0), (24, 30), "{}", first.report.headline);
}

#[test]
fn z10_who_begins_anew_may_grow_at_once() {
    let mut world = World::of(30);
    world.run(600, 20.0);
    world.spoil(|stored| *stored = Value::Null);
    assert!(world.run(20, 28.0).last().is_some_and(|size| *size > 30));
    // A group that has never known anything has lost nothing.
    assert_eq!(World::of(30).sweep(10.0).verdict(), (15, Rule::Z10));
}

#[test]
fn z10_whatever_numbers_are_stored_it_stays_within_the_bounds() {
    fn every_number(value: &mut Value, huge: &Value) {
        match value {
            Value::Number(_) => *value = huge.clone(),
            Value::Array(list) => list.iter_mut().for_each(|inner| every_number(inner, huge)),
            Value::Object(fields) => fields.values_mut().for_each(|inner| every_number(inner, huge)),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    for part in ["record", "prepared", "shadows", "capacity", "strain", "want", "asks"] {
        for huge in [json!(0), json!(65_535), json!(u32::MAX), json!(u64::MAX), json!(1e30), json!(-1e30)] {
            let mut world = World::of(30);
            world.run(600, 20.0);
            let mut stored = serde_json::to_value(&world.group.snapshot.learnt).unwrap();
            every_number(&mut stored[part], &huge);
            // What cannot be read is lost.
            world.group.snapshot.learnt = serde_json::from_value(stored).unwrap_or_default();
            for nth in 0..200 {
                let decision = world.sweep(20.0);
                let desired = decision.plan.head.desired;
                assert!((23..=1_000).contains(&desired), "{part} {huge}, sweep {nth}: {}", decision.report.headline);
            }
        }
    }
}

#[test]
fn z10_a_gap_of_minutes_or_of_a_day_does_not_make_the_size_jump() {
    for gap in [60, 200, 400, 1_800, 86_400, 30 * 86_400] {
        let mut world = World::of(15);
        world.run(3_600, 10.0);
        let before = world.desired();
        world.group.snapshot.now = world.group.snapshot.now.plus(seconds_of(gap));
        let after = world.run(600, 10.0);
        assert!(after.iter().all(|size| size.abs_diff(before) <= 3), "{gap} s: {before}, then {after:?}");
    }
}

#[test]
fn f7_for_auto_a_constant_load_reaches_a_fixed_point_near_it() {
    for (period, n, demand) in [
        (10, 1, 0.3),
        (10, 1, 0.0),
        (10, 4, 2.5),
        (60, 4, 2.5),
        (60, 1, 0.7),
        (10, 20, 3.0),
        (60, 90, 60.0),
        (60, 1_000, 600.0),
        (60, 1_000, 20.0),
    ] {
        let mut world = World::of(n).every(period);
        world.run(7_200, demand);
        let sizes = changes(world.run(3_600, demand));
        let [desired] = sizes[..] else { panic!("{n} for {demand}: {sizes:?}") };
        let load = demand / f64::from(desired);
        assert!(load <= 0.9 && (desired <= 2 || load > 0.6), "{n} for {demand}: {desired}");
    }
}

#[test]
fn z10_observing_teaches_and_pausing_does_not() {
    let mut watched = World::of(10).with(|p| p.mode = Mode::Observe);
    let decision = watched.sweep(9.0);
    assert!(decision.plan.learnt.is_some() && decision.launches() == 0, "{}", decision.report.headline);
    assert_eq!(decision.plan.head.auto.stored_at, Some(watched.group.snapshot.now));
    let mut paused = World::of(10).with(|p| p.mode = Mode::Paused);
    let decision = paused.sweep(9.0);
    assert_eq!((decision.plan.learnt, decision.plan.head.auto), (None, Default::default()));
    assert_eq!(decision.report.rule, Rule::O1);
}

#[test]
fn z10_another_rule_learns_nothing() {
    let other = Policy::parse(r#"{"scaling": {"kind": "target"}}"#).unwrap().scaling;
    let decision = World::of(10).with(|p| p.scaling = other).sweep(6.0);
    assert_eq!((decision.plan.learnt, decision.plan.head.auto), (None, Default::default()));
}

#[test]
fn z10_the_report_says_what_decides() {
    let mut world = World::of(9);
    (0..360).for_each(|nth| _ = world.sweep(4.0 + (nth / 40 % 3) as f64));
    let headline = (0..60).map(|_| world.sweep(5.0).report.headline).find(|text| text.contains("replayed"));
    let headline = headline.expect("the rules decide");
    for part in ["for a demand of 5.0 ", "of 105 rules replayed over 5", " min the cheapest ", " on the mean; first "] {
        assert!(headline.contains(part), "{part}: {headline}");
    }
    for part in [" % (bill ", ", overload ", "), then "] {
        assert!(headline.contains(part), "{part}: {headline}");
    }
    // The last minute speaks where it needs more than the rules ask for.
    let floor = World::of(10).with(|p| p.max = 1).sweep(9.5).report.stages[0].text.clone();
    assert_eq!(floor, "the demand of the last minute, 9.5 now, needs 11 at 90 %");
}

#[test]
fn z10_the_dearer_an_overload_the_more_members() {
    // A base of 4 to 8, and bursts of three minutes that nobody can foretell; the mean of the second half of a day and a half.
    let bursty = |minute: u64| if restless(minute * 3) > 9.0 { 14.0 } else { 4.0 + (minute / 120 % 5) as f64 };
    let mean = |price: &str| {
        let text = format!(r#"{{"scaling": {{"kind": "auto", "price": {price}}}}}"#);
        let scaling = Policy::parse(&text).expect("a policy").scaling;
        let mut world = World::of(9).every(60).with(|p| p.scaling = scaling);
        let sizes: Vec<_> = (0..2_160).map(|minute| f64::from(world.sweep(bursty(minute)).plan.head.desired)).collect();
        sizes[1_440..].iter().sum::<f64>() / 720.0
    };
    let means = [r#""economy""#, r#""balanced""#, r#""safe""#].map(mean);
    assert!(means.is_sorted() && means[0] < means[2], "{means:?}");
}

#[test]
fn z8_for_auto_huge_numbers_saturate() {
    for desired in [u32::MAX, 1 << 31] {
        for load in [1.0, 60.0, 100.0] {
            let mut world = World::of(4).with(|p| p.max = 10_000).demanding(load);
            world.group.snapshot.head.desired = desired;
            assert!(world.group.decide().plan.head.desired <= 10_000, "{load} %");
        }
    }
}

#[test]
fn z9_auto_is_read_with_its_price() {
    for (price, wanted) in
        [(r#""economy""#, 0.05), (r#""balanced""#, 0.1), (r#""safe""#, 0.2), ("0.01", 0.01), ("1", 1.0), ("0.3", 0.3)]
    {
        let policy = Policy::parse(&format!(r#"{{"scaling": {{"kind": "auto", "price": {price}}}}}"#)).unwrap();
        assert_eq!(policy.scaling, ScalingRule::Auto(AutoRule { price: wanted }), "{price}");
    }
    for price in ["0", "0.009", "1.1", "-1", r#""cheap""#, "null"] {
        assert!(Policy::parse(&format!(r#"{{"scaling": {{"kind": "auto", "price": {price}}}}}"#)).is_err(), "{price}");
    }
}

/// What of a policy is by default another for `auto`: warm-up, cooldown, stabilisation, window and percentage of scale-in.
fn defaults(text: &str) -> [u64; 5] {
    let policy = Policy::parse(text).expect("a policy");
    let inward = policy.inward;
    let spans = [policy.warm_up, inward.cooldown, inward.stabilization, inward.window].map(|span| span.as_secs());
    [spans[0], spans[1], spans[2], spans[3], inward.limit.percent.into()]
}

#[test]
fn z9_auto_has_defaults_of_its_own_where_the_text_does_not_say() {
    for (text, wanted) in [
        (r#"{"scaling": {"kind": "auto"}}"#, [0, 0, 30, 60, 75]),
        (r#"{"scaling": {"kind": "target"}}"#, [60, 300, 300, 300, 50]),
        (r#"{"scaling": {"kind": "step"}}"#, [60, 300, 300, 300, 50]),
        (r#"{"scaling": {"kind": "threshold"}}"#, [60, 300, 300, 300, 50]),
        // Who says, says it.
        (r#"{"scaling": {"kind": "auto"}, "warm_up": "60s"}"#, [60, 0, 30, 60, 75]),
        (r#"{"scaling": {"kind": "auto"}, "cooldown_in": "5m"}"#, [0, 300, 30, 60, 75]),
        (r#"{"scaling": {"kind": "auto"}, "stabilization_in": "0s"}"#, [0, 0, 0, 60, 75]),
        (r#"{"scaling": {"kind": "auto"}, "in_window": "300s"}"#, [0, 0, 30, 300, 75]),
        (r#"{"scaling": {"kind": "auto"}, "max_in_per_window": {"percent": 10, "at_least": 2}}"#, [0, 0, 30, 60, 10]),
        (r#"{"scaling": {"kind": "target"}, "warm_up": "0s"}"#, [0, 300, 300, 300, 50]),
    ] {
        assert_eq!(defaults(text), wanted, "{text}");
    }
    let policy = Policy::parse(r#"{"scaling": {"kind": "auto"}}"#).unwrap();
    assert_eq!(policy.inward.limit, Limit { percent: 75, at_least: 1 });
}
