//! A policy's text. What is accepted is valid, and means the same when it is written again; what is refused is refused
//! with places inside the text, and in a message that a table can hold.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use muster_core::policy::{Change, Limit, Policy, PolicyDocument, PolicyError, ScalingRule, SignalRule, Stride};
use muster_core::signals;
use muster_core::time::Timestamp;

/// A refusal becomes a part of HEAD, and an item of DynamoDB holds 400 KB.
const LONGEST_REFUSAL: usize = 32 * 1024;
/// The first and the last there are, and some around Europe's changes of the clocks in 2026.
const INSTANTS_MS: [u64; 6] = [0, 1_774_746_000_000, 1_774_747_800_000, 1_792_888_200_000, 1_792_891_800_000, u64::MAX];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    muster_fuzz::mutate(data, size, max_size, seed)
});

fuzz_target!(|text: &str| {
    match Policy::parse(text) {
        Ok(policy) => {
            is_valid(&policy);
            let document = PolicyDocument::parse(text).expect("it has just been read");
            for written in [serde_json::to_string(&document), serde_json::to_string_pretty(&document)] {
                let written = written.expect("a policy is plain data");
                assert_eq!(Policy::parse(&written).as_ref().ok(), Some(&policy), "{written}");
            }
        }
        Err(refusal) => tells(text, &refusal),
    }
});

/// The ranges that the README names (Z9).
fn is_valid(policy: &Policy) {
    let limit = |limit: Limit| limit.percent <= 10_000 && (1..=10_000).contains(&limit.at_least);
    let holds = [
        policy.min <= policy.max && policy.max <= 10_000,
        policy.min > 0 || policy.wants_nobody() || !policy.schedule.is_empty(),
        policy.schedule.len() <= 32
            && INSTANTS_MS.into_iter().all(|ms| window_is_valid(policy, Timestamp::from_millis(ms))),
        rule_is_valid(&policy.scaling),
        policy.signals.len() <= 8 && policy.signals.iter().all(signal_is_valid),
        policy.signals.iter().all(|signal| policy.wanted_signals().contains(&signal.name)),
        policy.wanted_signals().len() <= policy.signals.len() + 1,
        (1..=3_600).contains(&policy.sweep_interval.as_secs()),
        policy.max_sample_age.is_none_or(|age| age >= policy.sweep_interval && age.as_secs() <= 600),
        policy.min_available_percent <= 100 && (1..=100).contains(&policy.max_unhealthy_percent),
        limit(policy.out.limit) && limit(policy.inward.limit) && limit(policy.max_replacing),
        policy.launch.zones.len() <= 16 && policy.launch.instance_types.len() <= 32,
        policy.boot_timeout.as_secs() >= 1 && policy.unhealthy_after.as_secs() >= 1,
    ];
    assert!(holds.iter().all(|holds| *holds), "{holds:?} {policy:?}");
}

/// Whatever the time is, its bounds are valid, and a window that is open is open then (Z5).
fn window_is_valid(policy: &Policy, now: Timestamp) -> bool {
    let held = policy.at(now);
    let open = held.window.as_ref().is_none_or(|window| {
        let desired = window.desired.is_none_or(|desired| (held.min..=held.max).contains(&desired));
        desired && window.since <= now && now < window.until
    });
    held.min <= held.max && held.max <= 10_000 && open
}

fn signal_is_valid(signal: &SignalRule) -> bool {
    let SignalRule { name, target, tolerance } = signal;
    let share = signals::is_percentage(name);
    let reachable =
        if share { (10.0..=95.0).contains(target) && target * (1.0 + tolerance) < 100.0 } else { *target >= 0.1 };
    signals::is_name(name) && reachable && *target <= signals::MOST && (0.0..=0.5).contains(tolerance)
}

fn rule_is_valid(rule: &ScalingRule) -> bool {
    match rule {
        ScalingRule::Auto(rule) => (0.01..=1.0).contains(&rule.price),
        ScalingRule::Threshold(rule) => {
            let apart = rule.down > 1.0 && rule.up <= 100.0 && rule.up - rule.down >= 10.0;
            let out = rule.up_factor > 1.0 && rule.up_factor <= 10.0;
            apart && out && rule.down_factor > 0.0 && rule.down_factor < 1.0
        }
        ScalingRule::Target(rule) => {
            let ends = (10.0..=95.0).contains(&rule.target) && (0.0..=0.5).contains(&rule.tolerance);
            ends && rule.target * (1.0 + rule.tolerance) < 100.0
        }
        ScalingRule::Step(rule) => {
            let all = || rule.out.iter().chain(&rule.inward);
            let apart = |up: &Stride| rule.inward.iter().all(|down| up.bound - down.bound >= 10.0);
            let changes = |step: &Stride| match step.change {
                Change::Members(members) => (1..=10_000).contains(&members),
                Change::Percent(percent) => (1..=1_000).contains(&percent),
            };
            let shares = rule.inward.iter().all(|step| !matches!(step.change, Change::Percent(100..)));
            let rising = rule.out.is_sorted_by(|a, b| a.bound < b.bound);
            let falling = rule.inward.is_sorted_by(|a, b| a.bound > b.bound);
            let bounded = all().all(|step| step.bound > 1.0 && step.bound <= 100.0 && changes(step));
            (1..=10).contains(&all().count())
                && bounded
                && rule.out.iter().all(apart)
                && shares
                && rising
                && falling
                && !rule.out.is_empty()
        }
    }
}

fn tells(text: &str, refusal: &PolicyError) {
    assert!(!refusal.problems.is_empty());
    assert!(refusal.to_string().len() <= LONGEST_REFUSAL, "{} bytes: {text:?}", refusal.to_string().len());
    for problem in &refusal.problems {
        // The end of the text is a place, too, and so is the line after a last line break.
        assert!((1..=text.matches('\n').count() + 1).contains(&problem.line), "{problem}");
        assert!(problem.column >= 1, "{problem}");
    }
    for label in refusal.labels().into_iter().flatten() {
        assert!(label.offset() <= text.len() && text.is_char_boundary(label.offset()), "{label:?}: {refusal}");
    }
    let mut shown = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_wrap_lines(false);
    handler.render_report(&mut shown, refusal).expect("a String takes it");
    assert!(!shown.is_empty());
}
