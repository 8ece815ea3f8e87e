//! Load and size over time, sampled, with what was decided beside them.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use muster_control::ports::{ActivityLog, Clock};
use muster_core::group::GroupName;
use muster_core::report::{Report, Rule};
use muster_core::sweep::SweepFigures;
use muster_core::time::{Timestamp, millis};
use schemars::JsonSchema;
use serde::Serialize;

use super::looked::Decided;
use super::sampling::{self, Asked, Grid};
use super::{Looked, Ms, ReadError, count, ms};
use crate::stand::{Stand, Store};

/// Activities of the time that are read for sizes and marks, the newest: a decision's record has some 2 kB, of a small group more.
const ACTIVITIES: usize = 100;
/// Activities before it among which the decision that was in force then is looked for.
const BEFORE: usize = 10;

/// Load and size over time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LoadOverTime {
    /// From when on.
    pub from: Ms,
    /// Until before when.
    pub until: Ms,
    /// The time from point to point; the first sweep in each such part is the point.
    pub step_ms: u64,
    /// The load.
    pub points: Vec<LoadPoint>,
    /// The size: it stays so until the next one.
    pub sizes: Vec<SizeStep>,
    /// What was decided.
    pub marks: Vec<Mark>,
    /// From when on sizes and marks are whole: before it there were more than are told. None: they are.
    pub whole_from: Option<Ms>,
}

/// The load at a time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LoadPoint {
    /// When.
    pub at: Ms,
    /// Mean load of those that answered, in percent.
    pub mean: Option<f64>,
    /// 90th percentile of the same; over several shards the mean of theirs.
    pub p90: Option<f64>,
    /// Members on the rosters.
    pub members: u32,
    /// Those that answered.
    pub answered: u32,
    /// Those that did not.
    pub silent: u32,
    /// Whether the sweep could not be trusted.
    pub blind: bool,
}

/// A size, from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SizeStep {
    /// From when on.
    pub at: Ms,
    /// How many members the group should have.
    pub desired: u32,
    /// How many it had.
    pub actual: u32,
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
}

/// A decision that is worth a mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Mark {
    /// The decision.
    pub id: String,
    /// When it was first taken.
    pub at: Ms,
    /// What it was.
    pub kind: MarkKind,
    /// In a sentence.
    pub headline: String,
    /// The rule that bound it.
    pub rule: Rule,
    /// Desired before.
    pub before: u32,
    /// Desired after.
    pub after: u32,
}

/// What a marked decision was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MarkKind {
    /// A scale-out by load.
    Out,
    /// A scale-in by load.
    In,
    /// Somebody was replaced.
    Replace,
    /// A bound or the schedule moved the size.
    Bounds,
    /// The load asked for another size and was held back, or nothing could be said.
    Held,
    /// Something else was done.
    Other,
}

/// Load and size of a group over time.
pub async fn load<S: Store, P, F, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    asked: Asked,
) -> Result<LoadOverTime, ReadError> {
    let looked = Looked::at(stand, group).await?;
    let (swept, shards) = (looked.sweep().map_or(0, |sweep| sweep.members), count(looked.head.rosters.len()));
    let most = |wanted| sampling::points(swept, shards, wanted, sampling::BUDGET);
    let grid = asked.grid(looked.now, looked.period(), most)?;
    let sampled = looked.head.rosters.keys();
    let sampled = sampled.map(|shard| stand.store.sampled_figures(group, grid.of(*shard)));
    let sweeps: Vec<SweepFigures> = try_join_all(sampled).await?.into_iter().flatten().collect();
    let (decisions, whole_from) = decisions(&stand.store, group, grid).await?;
    Ok(LoadOverTime {
        from: ms(grid.from),
        until: ms(grid.until),
        step_ms: millis(grid.step),
        points: points(&sweeps, grid),
        sizes: sizes(&decisions),
        marks: decisions.iter().filter(|decided| decided.since >= ms(grid.from)).filter_map(mark).collect(),
        whole_from: whole_from.map(ms),
    })
}

/// The decisions of the time, the one in force at its start before them; and from when on they are whole.
async fn decisions<S: ActivityLog>(
    store: &S,
    group: &GroupName,
    grid: Grid,
) -> Result<(Vec<Decided>, Option<Timestamp>), ReadError> {
    let found = store.between(group, grid.from, Some(grid.until), ACTIVITIES).await?;
    let full = found.len() == ACTIVITIES;
    let whole_from = found.first().filter(|_| full).map(|activity| activity.sort_key().0);
    let before =
        if full { Vec::new() } else { store.between(group, Timestamp::EPOCH, Some(grid.from), BEFORE).await? };
    let mut decisions: Vec<Decided> = before.iter().rev().find_map(Decided::of).into_iter().collect();
    decisions.extend(found.iter().filter_map(Decided::of));
    Ok((decisions, whole_from))
}

fn points(sweeps: &[SweepFigures], grid: Grid) -> Vec<LoadPoint> {
    let mut parts: BTreeMap<Timestamp, Vec<&SweepFigures>> = BTreeMap::new();
    for sweep in sweeps {
        parts.entry(sweep.slot.round_down(grid.step)).or_default().push(sweep);
    }
    parts.into_values().map(|sweeps| point(&sweeps)).collect()
}

/// The shards' sweeps of one part as one.
fn point(sweeps: &[&SweepFigures]) -> LoadPoint {
    let sum = |of: fn(&SweepFigures) -> u32| sweeps.iter().map(|sweep| of(sweep)).fold(0, u32::saturating_add);
    let mean = |of: fn(&SweepFigures) -> Option<f64>| {
        let told = sweeps.iter().filter_map(|sweep| Some((of(sweep)?, f64::from(sweep.counts.answered))));
        let (total, weight) = told.fold((0.0, 0.0), |(total, weight), (mean, n)| (total + mean * n, weight + n));
        (weight > 0.0).then(|| rounded(total / weight))
    };
    LoadPoint {
        at: sweeps.iter().map(|sweep| ms(sweep.slot)).min().unwrap_or_default(),
        mean: mean(|sweep| sweep.counts.mean),
        p90: mean(|sweep| sweep.counts.p90),
        members: sum(|sweep| sweep.counts.members),
        answered: sum(|sweep| sweep.counts.answered),
        silent: sum(|sweep| sweep.counts.silent),
        blind: sweeps.iter().any(|sweep| sweep.blind.is_some()),
    }
}

/// As exact as a chart can show it.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn sizes(decisions: &[Decided]) -> Vec<SizeStep> {
    let of = |decided: &Decided| SizeStep {
        at: decided.since,
        desired: decided.report.desired.after,
        actual: decided.report.counts.actual,
        min: decided.report.bounds.0,
        max: decided.report.bounds.1,
    };
    let mut steps: Vec<SizeStep> = decisions.iter().map(of).collect();
    steps.dedup_by(|next, before| SizeStep { at: before.at, ..*next } == *before);
    steps
}

/// The mark of a decision; none when nothing came of it and nothing was held back.
fn mark(decided: &Decided) -> Option<Mark> {
    let report = &decided.report;
    Some(Mark {
        id: decided.id.clone(),
        at: decided.since,
        kind: kind(report)?,
        headline: report.headline.clone(),
        rule: report.rule,
        before: report.desired.before,
        after: report.desired.after,
    })
}

fn kind(report: &Report) -> Option<MarkKind> {
    let (before, after) = (report.desired.before, report.desired.after);
    let replaces = |rule| matches!(rule, Rule::H1 | Rule::H4);
    if before != after {
        let absolute = report.rule == Rule::F4
            || (report.rule == Rule::Z5 && after == before.clamp(report.bounds.0, report.bounds.1));
        return Some(match (absolute, after > before) {
            (true, _) => MarkKind::Bounds,
            (false, true) => MarkKind::Out,
            (false, false) => MarkKind::In,
        });
    }
    if !report.actions.is_empty() && report.remarks.iter().any(|remark| replaces(remark.rule)) {
        return Some(MarkKind::Replace);
    }
    if !report.actions.is_empty() {
        return Some(MarkKind::Other);
    }
    let still = matches!(report.rule, Rule::Z1 | Rule::Z3 | Rule::Z7 | Rule::Z10 | Rule::S7 | Rule::O1);
    (!still).then_some(MarkKind::Held)
}
