//! Who orders the size of a group, and what he may see.

use muster_core::member::InstanceId;

use crate::noise::{Lane, Noise};

/// The deviation of one instance's load from the group's in one report, in points: what `/proc/stat` over ten seconds shows of
/// identical hosts behind one load balancer.
pub const NOISE_POINTS: f64 = 3.0;

/// Fewest and most instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Fewest; at least 1.
    pub min: u32,
    /// Most; not below `min`.
    pub max: u32,
}

impl Bounds {
    /// The size nearest to `size` within the bounds.
    pub const fn clamp(self, size: u32) -> u32 {
        if size < self.min {
            self.min
        } else if size > self.max {
            self.max
        } else {
            size
        }
    }
}

/// An instance of the group.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// When it was ordered, in seconds since the trace's start; what was there before it began lies far before.
    pub ordered_s: f64,
    /// From when it serves.
    pub serves_s: f64,
}

/// What can be seen of the group at one moment. The load is that of the step before: a report takes a step to be seen.
#[derive(Debug)]
pub struct Observation<'a> {
    /// Seconds since the trace's start.
    pub at_s: f64,
    /// Seconds since 1970.
    pub unix_s: f64,
    /// The size ordered last.
    pub desired: u32,
    /// What may be ordered.
    pub bounds: Bounds,
    /// Those that serve, the one that serves longest first.
    pub ready: &'a [Instance],
    /// Those that boot, the one ordered first first.
    pub booting: &'a [Instance],
    /// Mean load of those that served, in percent. It says nothing beyond 100.
    pub cpu: f64,
    /// Requests a second that arrived.
    pub rate: f64,
    /// For what differs from instance to instance.
    pub noise: Noise,
    /// The step; picks this moment's noise.
    pub step: u64,
}

impl Observation<'_> {
    /// Those that are paid for.
    pub fn total(&self) -> u32 {
        count(self.ready.len() + self.booting.len())
    }

    /// Those that have served for at least `span_s` seconds.
    pub fn warm(&self, span_s: f64) -> u32 {
        count(self.ready.partition_point(|instance| instance.serves_s <= self.at_s - span_s))
    }

    /// What each of the ready would report, in percent: around the mean, and within 0 to 100 like any processor.
    pub fn loads(&self) -> impl Iterator<Item = f64> {
        let (noise, step, cpu) = (self.noise, self.step, self.cpu);
        let of = move |nth| noise.normal(Lane::Instance, step, nth) * NOISE_POINTS;
        let ready = u64::from(count(self.ready.len()));
        // They differ around the mean that the group has, whatever the draw.
        let shift = (0..ready).map(of).sum::<f64>() / ready.max(1) as f64;
        (0..ready).map(move |nth| (cpu + of(nth) - shift).clamp(0.0, 100.0))
    }
}

/// Orders the size of a group.
pub trait Scaler {
    /// Seconds between two looks; the world rounds them to whole steps.
    fn interval_s(&self) -> f64;

    /// The size that it wants now, which the world keeps within the bounds; none leaves what was ordered last.
    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32>;
}

/// A count of instances.
pub(crate) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A size from a float: saturating, and 0 for what is no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and NaN becomes 0"
)]
pub(crate) const fn size(size: f64) -> u32 {
    size as u32
}
