//! Several signals: Z4, and what the chapters on measurements and flapping ask of them.

use crate::common::*;
use muster_core::group::Heading;
use muster_core::health::Health;
use muster_core::policy::{Policy, ScalingRule, SignalRule, TargetRule};
use muster_core::report::{Rule, StageName};
use muster_core::signals::Signals;
use std::collections::BTreeMap;

fn aimed_at(name: &str, target: f64) -> SignalRule {
    SignalRule { name: name.into(), target, tolerance: 0.1 }
}

fn reporting(load: f64, signals: &[(&str, f64)]) -> Health {
    let sent: BTreeMap<_, _> = signals.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    Health { signals: Signals::of(&sent), ..answering(load) }
}

/// A member for each rate, all at `load`, in a group whose members are to bear a rate of 100 each.
fn serving_rates(load: f64, rates: &[f64]) -> Group {
    let group = Group::of(&vec![load; rates.len()]).bounds(1, 100).ungated();
    let group = group.with(|p| p.signals = vec![aimed_at("rate", 100.0)]);
    (1..).zip(rates).fold(group, |group, (n, rate)| {
        group.whose(&format!("i-{n}"), |m| m.health = Some(reporting(load, &[("rate", *rate)])))
    })
}

#[test]
fn z4_the_largest_size_that_the_rule_or_a_signal_asks_for_wins() {
    // Load, rate of each of four; desired. The load alone doubles above 70 % and halves below 20 %.
    for (load, rate, desired, rule) in [
        (50.0, 100.0, 4, Rule::Z1),
        (50.0, 110.0, 4, Rule::Z1),
        (50.0, 110.1, 5, Rule::Z4),
        (50.0, 300.0, 12, Rule::Z4),
        // The rule's factor asks for eight: more than that the signal must ask for.
        (80.0, 100.0, 8, Rule::Z2),
        (80.0, 200.0, 8, Rule::Z2),
        (80.0, 201.0, 9, Rule::Z4),
        (80.0, 0.0, 8, Rule::Z2),
        // In only if both let it, to the larger of both.
        (50.0, 10.0, 4, Rule::Z1),
        (10.0, 10.0, 2, Rule::Z2),
        (10.0, 50.0, 2, Rule::Z2),
        (10.0, 51.0, 3, Rule::Z4),
        (10.0, 90.0, 4, Rule::Z4),
        (10.0, 200.0, 8, Rule::Z4),
    ] {
        let decision = serving_rates(load, &[rate; 4]).decide();
        assert_eq!(decision.verdict(), (desired, rule), "{load} %, {rate}: {}", decision.report.headline);
    }
}

#[test]
fn z4_it_is_the_same_on_top_of_every_rule_and_with_several_signals() {
    let target = ScalingRule::Target(TargetRule { target: 60.0, tolerance: 0.1 });
    let step = Policy::parse(r#"{"scaling": {"kind": "step"}}"#).expect("a policy").scaling;
    for (rule, rate, desired) in [(&target, 100.0, 6), (&target, 200.0, 8), (&step, 100.0, 5), (&step, 200.0, 8)] {
        let decision = serving_rates(85.0, &[rate; 4]).with(|p| p.scaling = rule.clone()).decide();
        assert_eq!(decision.verdict().0, desired, "{}", decision.report.headline);
    }
    let both = |rate, memory| {
        let policy = |p: &mut Policy| p.signals = vec![aimed_at("rate", 100.0), aimed_at("memory", 70.0)];
        (1..=4).fold(serving_rates(50.0, &[0.0; 4]).with(policy), |group, n| {
            let health = reporting(50.0, &[("rate", rate), ("memory", memory)]);
            group.whose(&format!("i-{n}"), |m| m.health = Some(health))
        })
    };
    assert_eq!(both(150.0, 90.0).decide().verdict(), (6, Rule::Z4));
    assert_eq!(both(115.0, 98.0).decide().verdict(), (6, Rule::Z4));
    let report = both(115.0, 98.0).decide().report;
    let stages: Vec<_> = report.stages.iter().map(|stage| (stage.stage, stage.desired)).collect();
    assert_eq!(stages, [(StageName::Raw, 4), (StageName::Signals, 5), (StageName::Signals, 6)]);
    assert_eq!(report.headline, "Scale out 4 -> 6: mean memory 98 % is above the target 70 %.");
}

#[test]
fn z4_while_a_signal_is_not_known_the_group_may_grow_and_not_shrink() {
    let silent_on_rate = |load: f64| {
        (1..=4).fold(serving_rates(load, &[0.0; 4]), |group, n| {
            group.whose(&format!("i-{n}"), |m| m.health = Some(answering(load)))
        })
    };
    assert_eq!(silent_on_rate(80.0).decide().verdict(), (8, Rule::Z2));
    assert_eq!(silent_on_rate(50.0).decide().verdict(), (4, Rule::Z1));
    let held = silent_on_rate(10.0).decide();
    assert_eq!(held.verdict(), (4, Rule::Z4));
    assert_eq!(held.report.headline, "Hold at 4: mean load 10 % is below 20 %, but nobody reports rate.");
    // Too few: three of four must, one does. What it says counts for nothing, and the other signal may still grow.
    let few = silent_on_rate(10.0).whose("i-1", |m| m.health = Some(reporting(10.0, &[("rate", 9e9)])));
    let few = few.with(|p| p.min_available_percent = 51).decide();
    assert_eq!(few.verdict(), (4, Rule::Z4));
    let text = "only 1 of 4 members in service report rate, 51 % must";
    assert!(few.report.headline.ends_with(&format!("{text}.")), "{}", few.report.headline);
    assert!(few.report.stages.iter().any(|stage| stage.text == text));
    // A bound is absolute all the same.
    assert_eq!(silent_on_rate(10.0).bounds(1, 3).decide().verdict().0, 3);
}

#[test]
fn m2_of_a_signal_the_missing_bear_nothing_when_scaling_out_and_no_less_than_the_target_when_scaling_in() {
    let silent_last = |group: Group, rate: f64| {
        let mut health = silent(5, 1);
        health.signals = reporting(0.0, &[("rate", rate)]).signals;
        group.whose("i-8", |m| m.health = Some(health))
    };
    let group = || serving_rates(10.0, &[20.0; 8]).with(|p| p.scaling = idle());
    assert_eq!(group().decide().verdict().0, 2);
    // (7 x 20 + 100) / 8 = 30; and what it last bore, if that was more.
    assert_eq!(silent_last(group(), 0.0).decide().verdict().0, 3);
    assert_eq!(silent_last(group(), 460.0).decide().verdict().0, 6);
    let busy = || serving_rates(50.0, &[150.0; 8]);
    assert_eq!(busy().decide().verdict().0, 12);
    assert_eq!(silent_last(busy(), 1e9).decide().verdict().0, 11);
}

/// A rule that always wants to shrink to one.
fn idle() -> ScalingRule {
    ScalingRule::Target(TargetRule { target: 95.0, tolerance: 0.0 })
}

#[test]
fn m4_for_a_signal_whoever_is_ordered_counts() {
    let held = serving_rates(50.0, &[150.0; 2]).desired(4).decide();
    assert_eq!(held.verdict().0, 4);
    let text = "mean rate 150 is above the target 100, but over the 4 members there or ordered it is 75";
    assert!(held.report.stages.iter().any(|stage| stage.text == text), "{:?}", held.report.stages);
    assert_eq!(serving_rates(50.0, &[250.0; 2]).desired(4).decide().verdict(), (5, Rule::Z4));
}

#[test]
fn f5_a_scale_in_pushes_no_signal_to_where_it_would_bring_the_members_back() {
    // Halving is what both ask for: 2 x 52.5 is within the tolerance of 100, 2 x 55 is not.
    assert_eq!(serving_rates(10.0, &[50.0; 4]).decide().verdict(), (2, Rule::Z2));
    let one = serving_rates(10.0, &[80.0; 3]);
    assert_eq!(one.decide().verdict(), (3, Rule::F5), "3 x 80 / 2 = 120");
    let text = "Hold at 3: mean load 10 % is below 20 %, but without 1 member the mean rate would be 120.";
    assert_eq!(one.decide().report.headline, text);
}

#[test]
fn z8_huge_signals_saturate() {
    let decision = serving_rates(50.0, &[1e12; 4]).bounds(1, 10_000).decide();
    let wished = decision.report.stages.iter().find(|stage| stage.stage == StageName::Signals);
    assert_eq!(wished.map(|stage| stage.desired), Some(u32::MAX));
    assert_eq!(decision.verdict().1, Rule::F8);
}

#[test]
fn s10_what_is_left_of_a_scale_in_waits_while_a_signal_is_not_known_or_may_be_high() {
    let rest = |rate: f64| {
        let group = serving_rates(10.0, &[rate; 4]).desired(3).but(|s| s.head.heading = Heading::In);
        group.with(|p| p.scaling = idle())
    };
    assert_eq!(rest(70.0).decide().lets_go().len(), 1);
    let busy = rest(105.0).whose("i-4", |m| m.health = Some(reporting(10.0, &[("rate", 140.0)]))).decide();
    assert_eq!(busy.lets_go().len(), 0, "{}", busy.report.headline);
    let unknown =
        (1..=4).fold(rest(0.0), |group, n| group.whose(&format!("i-{n}"), |m| m.health = Some(answering(10.0))));
    let decision = unknown.decide();
    assert_eq!(decision.lets_go().len(), 0);
    assert_eq!(decision.waits_text(Rule::Z4), "the rest of the scale-in waits: nobody reports rate");
}
