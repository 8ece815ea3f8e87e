//! A decision in the sentences that an operator would write: what was seen, how the size came about, what was done, what it waits for,
//! and what would have to happen for it to change.
//!
//! It is told from the report alone, and from the policy that it was taken with where that is known: so what is told of a decision of last week is
//! what was decided then.

mod would;

use muster_core::policy::{Mode, Policy};
use muster_core::report::{Report, Rule, StageName};
use schemars::JsonSchema;
use serde::Serialize;

use super::{counted, percent};

/// Steps that a sentence names.
const STEPS_TOLD: usize = 5;

/// A decision in sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explained {
    /// All of it in one.
    pub headline: String,
    /// What was seen, what came of it, what was done and what is waited for.
    pub sentences: Vec<String>,
    /// How the size came about, stage by stage.
    pub stages: Vec<StageLine>,
    /// What would have to happen for it to change.
    pub would: Vec<String>,
}

/// Desired after one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StageLine {
    /// Which.
    pub stage: StageName,
    /// Desired after it.
    pub desired: u32,
    /// The rule that spoke.
    pub rule: Rule,
    /// What it said.
    pub text: String,
}

/// What there is to say of a decision that was taken with `policy`, as it was in force at that moment.
pub fn explained(report: &Report, policy: Option<&Policy>) -> Explained {
    let mut sentences = vec![seen(report)];
    sentences.extend(noticed(report));
    sentences.extend(sized(report));
    sentences.extend(done(report));
    sentences.extend(report.waits.iter().map(|wait| format!("It waits: {} ({}).", wait.text, wait.rule)));
    let line = |stage: &muster_core::report::Stage| StageLine {
        stage: stage.stage,
        desired: stage.desired,
        rule: stage.rule,
        text: stage.text.clone(),
    };
    Explained {
        headline: report.headline.clone(),
        sentences,
        stages: report.stages.iter().map(line).collect(),
        would: would::would(report, policy),
    }
}

/// Who was there, and how busy.
fn seen(report: &Report) -> String {
    let counts = report.counts;
    let phases = [
        (counts.in_service, "in service"),
        (counts.warming, "warming up"),
        (counts.pending, "pending"),
        (counts.suspect, "suspect"),
        (counts.draining, "draining"),
        (counts.terminating, "terminating"),
    ];
    let there: Vec<String> =
        phases.iter().filter(|(many, _)| *many > 0).map(|(many, what)| format!("{many} {what}")).collect();
    let there = if there.is_empty() { "nobody".to_owned() } else { there.join(", ") };
    let load = match report.load {
        None => "no load is known".to_owned(),
        Some(load) => {
            let of = if counts.serving == 1 { "1 member".to_owned() } else { format!("{} members", counts.serving) };
            let missing = match counts.missing {
                0 => String::new(),
                many => format!(
                    ", and {} with the {} missing at 100 %",
                    percent(load.at_most),
                    counted(many, "member").trim_start_matches("1 ")
                ),
            };
            format!("the mean load of {of} is {}{missing}", percent(load.mean))
        }
    };
    format!("Of {} wanted there are {}: {there}; {load}.", report.desired.before, counts.actual)
}

/// What else was noticed.
fn noticed(report: &Report) -> impl Iterator<Item = String> + '_ {
    report.remarks.iter().map(|remark| format!("{} ({}).", capital(&remark.text), remark.rule))
}

/// How the size came about.
fn sized(report: &Report) -> Vec<String> {
    let mut told = Vec::new();
    let mut before = report.desired.before;
    let counts = report.counts;
    let all_known = counts.missing + counts.pending + counts.warming == 0;
    for stage in &report.stages {
        // Where everybody is known and serves there is nothing to assume.
        if stage.stage == StageName::Filled && stage.desired == before && all_known {
            continue;
        }
        let to = stage.desired;
        let what = match stage.stage {
            StageName::Raw if to == before => format!("The load asks for no other size than {to}: {}", stage.text),
            StageName::Raw => format!("The load asks for {to}: {}", stage.text),
            StageName::Filled if to == before => format!("That holds when the unknown is assumed: {}", stage.text),
            StageName::Filled => format!("With what is not known assumed at its worst it is {to}: {}", stage.text),
            StageName::Signals => format!("With the other signals it is {to}: {}", stage.text),
            StageName::Stabilised => format!("Stabilised it is {to}: {}", stage.text),
            StageName::Limited => format!("Limited it is {to}: {}", stage.text),
            StageName::Scheduled => format!("The schedule sets {to}: {}", stage.text),
            StageName::Bounded => format!("Within its bounds it is {to}: {}", stage.text),
        };
        told.push(format!("{what} ({}).", stage.rule));
        before = to;
    }
    told
}

/// What was done, and what the mode kept from being done.
fn done(report: &Report) -> Vec<String> {
    let mut told = Vec::new();
    if !report.actions.is_empty() {
        told.push(format!("Done: {}.", first(&report.actions)));
    }
    if !report.withheld.is_empty() {
        told.push(format!("Not done, for the mode is {}: {}.", mode(report.mode), first(&report.withheld)));
    }
    told
}

/// The first steps, and how many more there are.
fn first(steps: &[String]) -> String {
    let told = steps.iter().take(STEPS_TOLD).cloned().collect::<Vec<_>>().join("; ");
    match steps.len().saturating_sub(STEPS_TOLD) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Active => "active",
        Mode::OutOnly => "out-only",
        Mode::Observe => "observe",
        Mode::Paused => "paused",
    }
}

/// A sentence begins with a capital letter, unless it begins with an instance's id.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !text.starts_with("i-") => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}
