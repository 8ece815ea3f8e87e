//! Other autoscalers, modelled from their public documents: what they would have ordered from what they would have seen.
//!
//! A model is kind where a document leaves it open: metrics are never missing, and instances boot as fast as anybody's. Each
//! constant says where it comes from.

mod ec2;

use std::collections::VecDeque;

use crate::matrix::Contender;
use crate::scaler::{Observation, Scaler, size};
use crate::trace::STEP_S;

pub use ec2::{StepScaling, TargetTracking};

/// All of them, by the names that tables show.
pub fn all() -> Vec<Contender> {
    vec![
        Contender::new("aws_tt60", |_| Box::new(TargetTracking::new(60.0))),
        Contender::new("aws_tt50", |_| Box::new(TargetTracking::new(50.0))),
        Contender::new("aws_step", |_| Box::new(StepScaling::default())),
        Contender::new("hpa60", |_| Box::new(Hpa::new(60.0))),
        Contender::new("nomad60", |_| Box::new(TargetValue::new(60.0))),
        Contender::new("seeds60s", |_| Box::new(Seeds)),
    ]
}

/// The Kubernetes Horizontal Pod Autoscaler on CPU, with its defaults and the instances for pods.
/// <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/>
#[derive(Debug)]
pub struct Hpa {
    target: f64,
    /// The latest reports.
    reports: VecDeque<f64>,
    looks: u64,
    /// What was asked for, and when.
    asked: VecDeque<(f64, u32)>,
}

impl Hpa {
    /// Reports in the metric: the metrics server's window is about half a minute.
    const REPORTS: usize = 3;
    /// `--horizontal-pod-autoscaler-sync-period` is 15 s; of the world's steps every second one is nearest.
    const EVERY: u64 = 2;
    /// `--horizontal-pod-autoscaler-tolerance`.
    const TOLERANCE: f64 = 0.1;
    /// `--horizontal-pod-autoscaler-downscale-stabilization`, seconds.
    const STABILISED_S: f64 = 300.0;
    /// `behavior.scaleUp` by default: the larger of a doubling and this many in a period of 15 s.
    const AT_LEAST_OUT: u32 = 4;

    /// Keeps the mean at `target` per cent.
    pub fn new(target: f64) -> Self {
        Self { target, reports: VecDeque::new(), looks: 0, asked: VecDeque::new() }
    }

    fn wanted(&self, seen: &Observation<'_>) -> u32 {
        let (total, ready) = (seen.total(), f64::from(crate::scaler::count(seen.ready.len())));
        let mean = self.reports.iter().sum::<f64>() / self.reports.len().max(1) as f64;
        let ratio = mean / self.target;
        if (ratio - 1.0).abs() <= Self::TOLERANCE {
            return total;
        }
        if ratio < 1.0 {
            return size((ready * ratio).ceil());
        }
        // Who is not ready yet counts as idle when scaling out.
        let with_idle = ratio * ready / f64::from(total.max(1));
        if with_idle <= 1.0 + Self::TOLERANCE { total } else { size((f64::from(total) * with_idle).ceil()) }
    }
}

impl Scaler for Hpa {
    fn interval_s(&self) -> f64 {
        STEP_S
    }

    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
        self.reports.push_back(seen.cpu);
        self.reports.drain(..self.reports.len().saturating_sub(Self::REPORTS));
        self.looks += 1;
        if !self.looks.is_multiple_of(Self::EVERY) {
            return None;
        }
        let (total, wanted) = (seen.total(), self.wanted(seen));
        self.asked.push_back((seen.at_s, wanted));
        while self.asked.pop_front_if(|(at_s, _)| *at_s <= seen.at_s - Self::STABILISED_S).is_some() {}
        let stable = if wanted < total {
            self.asked.iter().map(|(_, asked)| *asked).max().unwrap_or(wanted).min(total)
        } else {
            wanted
        };
        Some(stable.min(total.saturating_mul(2).max(total.saturating_add(Self::AT_LEAST_OUT))))
    }
}

/// The Nomad Autoscaler's strategy `target-value` on a minute's mean.
/// <https://developer.hashicorp.com/nomad/docs/autoscaling/plugins/strategy/target-value>
#[derive(Debug)]
pub struct TargetValue {
    target: f64,
    reports: VecDeque<f64>,
    acted_s: Option<f64>,
}

impl TargetValue {
    /// Reports in the query's window.
    const REPORTS: usize = 6;
    /// How far the factor must be from 1: the strategy's `threshold`.
    const THRESHOLD: f64 = 0.01;
    /// Seconds without an action after one: the agent's `default_cooldown`.
    /// <https://developer.hashicorp.com/nomad/docs/autoscaling/agent/policy>
    const COOLDOWN_S: f64 = 300.0;

    /// Keeps the mean at `target` per cent.
    pub fn new(target: f64) -> Self {
        Self { target, reports: VecDeque::new(), acted_s: None }
    }
}

impl Scaler for TargetValue {
    /// The agent's `default_evaluation_interval`.
    fn interval_s(&self) -> f64 {
        10.0
    }

    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
        self.reports.push_back(seen.cpu);
        self.reports.drain(..self.reports.len().saturating_sub(Self::REPORTS));
        if self.acted_s.is_some_and(|acted_s| seen.at_s - acted_s < Self::COOLDOWN_S) {
            return None;
        }
        let factor = self.reports.iter().sum::<f64>() / self.reports.len().max(1) as f64 / self.target;
        let wanted = size((f64::from(seen.total()) * factor).ceil());
        if (factor - 1.0).abs() <= Self::THRESHOLD || wanted == seen.total() {
            return None;
        }
        self.acted_s = Some(seen.at_s);
        Some(wanted)
    }
}

/// The rule that Muster began with, as two earlier projects had it, looked at once a minute: above 70 % twice as many, below
/// 20 % half of them go. Launched instances count, and there is no cooldown.
#[derive(Clone, Copy, Debug)]
pub struct Seeds;

impl Seeds {
    const UP: f64 = 70.0;
    const DOWN: f64 = 20.0;
}

impl Scaler for Seeds {
    fn interval_s(&self) -> f64 {
        60.0
    }

    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
        let total = seen.total();
        if seen.cpu > Self::UP {
            Some(total.saturating_mul(2))
        } else if seen.cpu < Self::DOWN {
            // Half of them, but not below the minimum; the larger half stays.
            Some(total - (total / 2).min(total.saturating_sub(seen.bounds.min)))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;
    use crate::scaler::{Bounds, Instance};
    use muster_core::member::InstanceId;

    /// What `scaler` orders, looked at every ten seconds while `count` instances, all warm, show each of `loads` for a minute.
    fn orders(scaler: &mut dyn Scaler, count: usize, loads: &[f64]) -> Vec<(usize, u32)> {
        let ready: Vec<Instance> =
            (0..count).map(|n| Instance { id: InstanceId(n.to_string()), ordered_s: -1e6, serves_s: -1e6 }).collect();
        let total = u32::try_from(count).unwrap();
        let minutes = loads.iter().flat_map(|load| [*load; 6]);
        let looks = minutes.enumerate().filter_map(|(step, cpu)| {
            let step_s = step as f64 * STEP_S;
            let seen = Observation {
                at_s: step_s,
                unix_s: step_s,
                desired: total,
                bounds: Bounds { min: 1, max: 1_000 },
                ready: &ready,
                booting: &[],
                cpu,
                rate: 0.0,
                noise: Noise::seeded(1),
                step: step as u64,
            };
            if step_s % scaler.interval_s() != 0.0 {
                return None;
            }
            scaler.decide(&seen).filter(|wanted| *wanted != total).map(|wanted| (step / 6, wanted))
        });
        looks.collect()
    }

    #[test]
    fn target_tracking_waits_for_three_high_minutes_and_fifteen_low_ones() {
        let high = orders(&mut TargetTracking::new(50.0), 10, &[80.0, 80.0, 80.0, 80.0]);
        assert_eq!(high.first(), Some(&(3, 16)), "three minutes, shown half a minute later");
        let low = orders(&mut TargetTracking::new(50.0), 10, &[20.0; 40]);
        assert_eq!(low.first(), Some(&(15, 4)));
        assert_eq!(low.get(1), Some(&(27, 4)), "twelve more minutes");
        assert_eq!(orders(&mut TargetTracking::new(50.0), 10, &[46.0; 40]), [], "between 90 % of the target and it");
    }

    #[test]
    fn step_scaling_takes_its_steps_after_two_minutes() {
        assert_eq!(orders(&mut StepScaling::default(), 20, &[65.0; 3]), [(2, 22)]);
        assert_eq!(orders(&mut StepScaling::default(), 20, &[75.0; 3]), [(2, 26)]);
        assert_eq!(orders(&mut StepScaling::default(), 20, &[35.0; 3]), [(2, 18)]);
        assert_eq!(orders(&mut StepScaling::default(), 20, &[30.0; 3]), [(2, 14)]);
        assert_eq!(orders(&mut StepScaling::default(), 20, &[50.0; 9]), []);
    }

    #[test]
    fn the_hpa_goes_out_at_once_and_in_after_five_minutes() {
        assert_eq!(orders(&mut Hpa::new(60.0), 10, &[90.0])[0], (0, 15));
        assert_eq!(orders(&mut Hpa::new(60.0), 10, &[66.0; 9]), [], "within the tolerance");
        let low = orders(&mut Hpa::new(60.0), 10, &[&[60.0][..], &[30.0; 8][..]].concat());
        assert_eq!(low[0], (5, 7), "300 s ago it asked for ten; then half of the window was low");
        assert_eq!(low.last(), Some(&(8, 5)));
        assert_eq!(orders(&mut Hpa::new(10.0), 10, &[100.0])[0], (0, 20), "at most a doubling");
    }

    #[test]
    fn target_value_acts_once_in_five_minutes() {
        assert_eq!(orders(&mut TargetValue::new(60.0), 10, &[90.0; 10]), [(0, 15), (5, 15)]);
        assert_eq!(orders(&mut TargetValue::new(60.0), 100, &[60.5; 10]), [], "within the threshold");
    }

    #[test]
    fn the_seeds_double_and_halve() {
        assert_eq!(orders(&mut Seeds, 5, &[71.0]), [(0, 10)]);
        assert_eq!(orders(&mut Seeds, 5, &[19.0]), [(0, 3)]);
        assert_eq!(orders(&mut Seeds, 5, &[70.0, 20.0]), []);
        assert_eq!(orders(&mut Seeds, 1, &[0.0]), []);
    }
}
