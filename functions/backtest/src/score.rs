//! How good a run was: what its users met, what it cost, how restless it was.

use schemars::JsonSchema;
use serde::Serialize;

use crate::trace::STEP_S;
use crate::world::{Run, World, is_overloaded};

/// What one per cent of overloaded requests is worth, in the bill of a group that knows the future.
pub const PRICE: f64 = 0.1;
/// Minutes that a score names.
const WORST: usize = 5;
/// Steps in a minute.
const STEPS_A_MINUTE: usize = 6;

/// A run in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Score {
    /// Requests that met an overloaded group, in per cent of all.
    pub over_percent: f64,
    /// Those of them that knowing the load before would have spared.
    pub avoidable_percent: f64,
    /// Requests that were lost, in per cent of all.
    pub lost_percent: f64,
    /// Instance-hours that were paid for.
    pub instance_hours: f64,
    /// The same as a multiple of the oracle's.
    pub cost: f64,
    /// Changes of the size that was ordered, an hour.
    pub changes_per_hour: f64,
    /// Minutes in which no more could be ordered.
    pub minutes_at_max: f64,
    /// The minutes in which most requests met an overloaded group, the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub worst_minutes: Vec<Minute>,
}

/// A minute in which the group was overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Minute {
    /// When it began, in seconds since 1970.
    pub unix_seconds: f64,
    /// Requests that met an overloaded group.
    pub overloaded: f64,
    /// The highest utilisation in it, in per cent of what the ready could do.
    pub utilisation_percent: f64,
    /// Instances that served at its end.
    pub ready: u32,
}

impl Score {
    /// The score of `run`, of which `oracle` is the best that was possible.
    pub fn of(world: &World<'_>, run: &Run, oracle: &Run) -> Self {
        let rates = &world.demand.rates;
        let requests = rates.iter().sum::<f64>();
        // Adding 0 turns the -0 of an empty sum into 0.
        let share = |part: f64| if requests > 0.0 { 100.0 * part / requests + 0.0 } else { 0.0 };
        let hours = world.demand.hours();
        let total = run.ready.iter().zip(&run.booting).map(|(ready, booting)| ready.saturating_add(*booting));
        let over_percent = share(overloaded(rates, run));
        Self {
            over_percent,
            avoidable_percent: over_percent - share(overloaded(rates, oracle)),
            lost_percent: share(run.lost / STEP_S),
            instance_hours: run.billed_s / 3_600.0,
            cost: if oracle.billed_s > 0.0 { run.billed_s / oracle.billed_s } else { 1.0 },
            changes_per_hour: if hours > 0.0 { f64::from(run.changes) / hours } else { 0.0 },
            minutes_at_max: total.filter(|total| *total >= world.bounds.max).count() as f64 * STEP_S / 60.0,
            worst_minutes: worst_minutes(world, run),
        }
    }

    /// Bill and overload in one number; less is better. The oracle's is 1 and what nobody could avoid.
    pub fn bill(&self, price: f64) -> f64 {
        self.cost + price * self.over_percent
    }

    /// The mean of `scores`, figure by figure; it names no minutes.
    pub fn mean<'a>(scores: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        let mut n = 0_u32;
        for score in scores {
            n += 1;
            for (to, from) in sum.figures().into_iter().zip(score.clone().figures()) {
                *to += *from;
            }
        }
        sum.figures().into_iter().for_each(|figure| *figure /= f64::from(n.max(1)));
        sum
    }

    fn figures(&mut self) -> [&mut f64; 7] {
        [
            &mut self.over_percent,
            &mut self.avoidable_percent,
            &mut self.lost_percent,
            &mut self.instance_hours,
            &mut self.cost,
            &mut self.changes_per_hour,
            &mut self.minutes_at_max,
        ]
    }
}

/// The sum of the rates of the steps in which the group was overloaded.
fn overloaded(rates: &[f64], run: &Run) -> f64 {
    rates.iter().zip(&run.utilisation).filter(|(_, used)| is_overloaded(**used)).map(|(rate, _)| rate).sum::<f64>()
}

fn worst_minutes(world: &World<'_>, run: &Run) -> Vec<Minute> {
    let rates = world.demand.rates.chunks(STEPS_A_MINUTE);
    let used = run.utilisation.chunks(STEPS_A_MINUTE).zip(run.ready.chunks(STEPS_A_MINUTE));
    let minutes = rates.zip(used).enumerate().map(|(nth, (rates, (used, ready)))| {
        let over = rates.iter().zip(used).filter(|(_, used)| is_overloaded(**used));
        Minute {
            unix_seconds: world.demand.start_unix_s + (nth * STEPS_A_MINUTE) as f64 * STEP_S,
            overloaded: over.map(|(rate, _)| rate * STEP_S).sum(),
            utilisation_percent: 100.0 * used.iter().copied().fold(0.0, f64::max),
            ready: ready.last().copied().unwrap_or_default(),
        }
    });
    let mut bad: Vec<Minute> = minutes.filter(|minute| minute.overloaded > 0.0).collect();
    bad.sort_by(|a, b| b.overloaded.total_cmp(&a.overloaded).then(a.unix_seconds.total_cmp(&b.unix_seconds)));
    bad.truncate(WORST);
    bad
}

/// A policy beside a peer, in the terms that say whether it is worth having.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// By how many per cent the avoidable overload differs from the peer's: -100 is none.
    pub avoidable_percent: f64,
    /// By how many per cent the cost does.
    pub cost_percent: f64,
    /// The share of the way from the peer's bill to the oracle's that it goes, in per cent.
    pub gap_closed_percent: f64,
}

impl Comparison {
    /// `ours` beside `peer`, with `oracle` at the end of the way.
    pub fn of(ours: &Score, peer: &Score, oracle: &Score) -> Self {
        let beyond = |a: f64, b: f64| 100.0 * (a / b.max(1e-9) - 1.0);
        let gap = peer.bill(PRICE) - oracle.bill(PRICE);
        let closed = peer.bill(PRICE) - ours.bill(PRICE);
        Self {
            avoidable_percent: beyond(ours.avoidable_percent, peer.avoidable_percent),
            cost_percent: beyond(ours.cost, peer.cost),
            gap_closed_percent: if gap > 0.0 { 100.0 * closed / gap } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaler::Bounds;
    use crate::trace::Demand;

    #[test]
    fn a_run_is_counted_by_hand() {
        let demand = Demand { start_unix_s: 600.0, rates: vec![10.0, 10.0, 10.0, 20.0, 20.0, 10.0, 10.0] };
        let mut world = World::of(&demand, 2, Bounds { min: 1, max: 3 }, 60.0, 1);
        world.capacity = 10.0;
        let run = Run {
            ready: vec![1, 1, 2, 2, 2, 2, 2],
            booting: vec![0, 1, 0, 0, 1, 1, 0],
            utilisation: vec![1.0, 0.9, 0.5, 1.0, 1.5, 0.5, 0.5],
            lost: 9.0,
            billed_s: 7_200.0,
            changes: 7,
            launches: 3,
        };
        let oracle = Run { utilisation: vec![1.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], billed_s: 3_600.0, ..run.clone() };
        let score = Score::of(&world, &run, &oracle);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        close(score.over_percent, 100.0 * 50.0 / 90.0);
        close(score.avoidable_percent, 100.0 * 40.0 / 90.0);
        close(score.lost_percent, 1.0);
        close(score.cost, 2.0);
        close(score.changes_per_hour, 360.0);
        close(score.minutes_at_max, 2.0 / 6.0);
        close(score.bill(0.1), 2.0 + 50.0 / 9.0);
        let worst = Minute { unix_seconds: 600.0, overloaded: 500.0, utilisation_percent: 150.0, ready: 2 };
        assert_eq!(score.worst_minutes, [worst]);
    }

    #[test]
    fn a_mean_is_taken_figure_by_figure_and_a_comparison_in_per_cent() {
        let score =
            |over_percent, cost| Score { over_percent, avoidable_percent: over_percent, cost, ..Score::default() };
        assert_eq!(Score::mean(&[score(1.0, 2.0), score(3.0, 4.0)]), score(2.0, 3.0));
        assert_eq!(Score::mean(&[]), Score::default());
        let compared = Comparison::of(&score(1.0, 1.3), &score(4.0, 1.3), &score(0.0, 1.0));
        assert!((compared.avoidable_percent + 75.0).abs() < 1e-9);
        assert!(compared.cost_percent.abs() < 1e-9);
        assert!((compared.gap_closed_percent - 100.0 * 0.3 / 0.7).abs() < 1e-9);
    }
}
