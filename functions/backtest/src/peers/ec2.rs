//! Amazon EC2 Auto Scaling, by what CloudWatch shows of a group.

use std::collections::VecDeque;

use crate::scaler::{Observation, Scaler, size};
use crate::trace::STEP_S;

/// Seconds after a minute's end until CloudWatch shows its datapoint and the alarm has looked at it. Detailed monitoring sends
/// one a minute. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/manage-detailed-monitoring.html>
const SHOWN_AFTER_S: f64 = 30.0;
/// Seconds in a datapoint of detailed monitoring.
const DATAPOINT_S: f64 = 60.0;
/// Seconds that EC2 leaves a launched instance out of what a policy measures: the default cooldown, where no other warm-up is set.
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-default-instance-warmup.html>
const WARM_UP_S: f64 = 300.0;

/// One-minute means, as CloudWatch shows them.
#[derive(Debug, Default)]
struct Minutes {
    sum: f64,
    reports: u32,
    /// Sent, not shown yet: from when on it is, and the value.
    sent: VecDeque<(f64, f64)>,
    /// The newest last.
    shown: VecDeque<f64>,
}

impl Minutes {
    /// Datapoints that any alarm looks at.
    const KEPT: usize = 15;

    /// Takes a report, and says whether a datapoint has come to be shown.
    fn take(&mut self, seen: &Observation<'_>) -> bool {
        self.sum += seen.cpu;
        self.reports += 1;
        if f64::from(self.reports) * STEP_S >= DATAPOINT_S {
            self.sent.push_back((seen.at_s + SHOWN_AFTER_S, self.sum / f64::from(self.reports)));
            (self.sum, self.reports) = (0.0, 0);
        }
        let before = self.shown.len();
        while let Some((_, value)) = self.sent.pop_front_if(|(from_s, _)| *from_s <= seen.at_s) {
            self.shown.push_back(value);
        }
        let news = self.shown.len() > before;
        while self.shown.len() > Self::KEPT {
            self.shown.pop_front();
        }
        news
    }

    /// The latest `n`, when there are so many.
    fn latest(&self, n: usize) -> Option<impl Iterator<Item = f64> + Clone> {
        let older = self.shown.len().checked_sub(n)?;
        Some(self.shown.iter().skip(older).copied())
    }

    /// Forgets all but the latest `n`: an alarm that has acted on its state must breach anew.
    fn keep(&mut self, n: usize) {
        self.shown.drain(..self.shown.len().saturating_sub(n));
    }
}

/// EC2 target tracking on mean CPU: capacity in proportion to the metric, out at once and in gradually.
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-target-tracking.html>
///
/// While instances warm up they count as capacity but not in the metric, and nothing is scaled in. The guide gives its
/// alarms no numbers: these are the ones that the policy creates, as the CloudWatch console of any account shows them.
#[derive(Debug)]
pub struct TargetTracking {
    target: f64,
    minutes: Minutes,
}

impl TargetTracking {
    /// `AlarmHigh`: this many minutes in a row above the target.
    const HIGH: usize = 3;
    /// `AlarmLow`: this many in a row below ...
    const LOW: usize = 15;
    /// ... this share of it.
    const LOW_SHARE: f64 = 0.9;
    /// Scaling in goes by the highest of the last minutes.
    const IN_BY: usize = 3;

    /// Tracks `target` per cent.
    pub fn new(target: f64) -> Self {
        Self { target, minutes: Minutes::default() }
    }
}

impl Scaler for TargetTracking {
    fn interval_s(&self) -> f64 {
        STEP_S
    }

    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
        if !self.minutes.take(seen) {
            return None;
        }
        let (total, warm, target) = (seen.total(), seen.warm(WARM_UP_S), self.target);
        let latest = self.minutes.latest(1)?.next()?;
        if self.minutes.latest(Self::HIGH)?.all(|mean| mean > target) {
            let wanted = size((f64::from(warm.max(1)) * latest / target).ceil());
            return (wanted > total).then_some(wanted);
        }
        let low = self.minutes.latest(Self::LOW)?.all(|mean| mean < target * Self::LOW_SHARE);
        if !low || warm != total {
            return None;
        }
        let highest = self.minutes.latest(Self::IN_BY)?.fold(0.0, f64::max);
        let wanted = size((f64::from(total) * highest / target).ceil());
        if wanted >= total {
            return None;
        }
        self.minutes.keep(Self::IN_BY);
        Some(wanted)
    }
}

/// EC2 step scaling with the steps of the user guide's example for a metric around 50: ten per cent of the capacity beyond
/// ten points, thirty beyond twenty, in both directions.
/// <https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html>
#[derive(Debug, Default)]
pub struct StepScaling {
    minutes: Minutes,
}

impl StepScaling {
    /// Minutes in a row that breach: the guide's alarm.
    const BREACHES: usize = 2;
    /// Where scaling out begins, and where its second step does.
    const OUT: (f64, f64) = (60.0, 70.0);
    /// Where scaling in begins, and where its second step does.
    const IN: (f64, f64) = (40.0, 30.0);
    /// The share of the capacity that each of the two steps moves; at least one instance.
    const SHARES: (f64, f64) = (0.1, 0.3);

    fn step(capacity: u32, far: bool) -> u32 {
        let share = if far { Self::SHARES.1 } else { Self::SHARES.0 };
        size(f64::from(capacity) * share).max(1)
    }
}

impl Scaler for StepScaling {
    fn interval_s(&self) -> f64 {
        STEP_S
    }

    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
        if !self.minutes.take(seen) {
            return None;
        }
        let (total, warm) = (seen.total(), seen.warm(WARM_UP_S));
        let latest = self.minutes.latest(1)?.next()?;
        let mut breaches = self.minutes.latest(Self::BREACHES)?;
        if breaches.clone().all(|mean| mean >= Self::OUT.0) {
            // What is warming up counts towards the step.
            let wanted = warm.saturating_add(Self::step(warm, latest >= Self::OUT.1));
            return (wanted > total).then_some(wanted);
        }
        let low = breaches.all(|mean| mean <= Self::IN.0);
        (low && warm == total).then(|| total.saturating_sub(Self::step(total, latest <= Self::IN.1)))
    }
}
