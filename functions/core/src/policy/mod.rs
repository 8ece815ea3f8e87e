//! The policy of a group: [`PolicyDocument`] is how it is written, [`Policy`] is what the core decides with, and
//! [`Policy::parse`] is the only way from one to the other. A policy that is not valid is refused whole (Z9).

mod document;
mod problem;
mod read;
mod span;

use std::time::Duration;

pub use document::{
    DrainDocument, HealthDocument, LaunchDocument, Limit, Mode, OnTimeout, PolicyDocument, ScalingDocument, ScalingKind,
};
pub use problem::{PolicyError, Problem};
pub use span::Span;

/// A valid policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What may be done.
    pub mode: Mode,
    /// Fewest members.
    pub min: u32,
    /// Most members; not below `min`.
    pub max: u32,
    /// The rule.
    pub threshold: ThresholdRule,
    /// How often the agents are swept.
    pub sweep_interval: Duration,
    /// Older samples are missing; none means three effective periods.
    pub max_sample_age: Option<Duration>,
    /// M5's share of members that must answer, in percent.
    pub min_available_percent: u32,
    /// M4's span.
    pub warm_up: Duration,
    /// Gates of the scale-out direction.
    pub out: Pace,
    /// Gates of the scale-in direction.
    pub inward: Pace,
    /// What to launch.
    pub launch: LaunchDocument,
    /// H1, L8: times.
    pub grace_period: Duration,
    /// H1's span.
    pub unhealthy_after: Duration,
    /// L8's span.
    pub boot_timeout: Duration,
    /// H3's share in percent.
    pub max_unhealthy_percent: u32,
    /// H3's interval.
    pub repair_interval: Duration,
    /// H4's limit.
    pub max_replacing: Limit,
    /// D3's span.
    pub drain_timeout: Duration,
    /// What follows on it.
    pub on_timeout: OnTimeout,
}

/// The threshold rule (Z1, Z2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdRule {
    /// Scale out above, in percent.
    pub up: f64,
    /// Scale in below, in percent.
    pub down: f64,
    /// Desired is multiplied by it.
    pub up_factor: f64,
    /// The share of desired that is removed.
    pub down_factor: f64,
}

/// What holds one direction back (F1, F2, F8).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// F2's span.
    pub cooldown: Duration,
    /// F1's span.
    pub stabilization: Duration,
    /// F8's window.
    pub window: Duration,
    /// F8's limit.
    pub limit: Limit,
}

impl Policy {
    /// The policy that `text` holds, or everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        read::document(text).map(|document| Self::of(&document))
    }

    /// The policy of a valid document.
    fn of(document: &PolicyDocument) -> Self {
        let PolicyDocument { scaling, health, drain, launch, .. } = document;
        Self {
            mode: document.mode,
            min: document.min_instances,
            max: document.max_instances,
            threshold: ThresholdRule {
                up: scaling.cpu_up_threshold,
                down: scaling.cpu_down_threshold,
                up_factor: scaling.scale_up_factor,
                down_factor: scaling.scale_down_factor,
            },
            sweep_interval: document.sweep_interval.0,
            max_sample_age: document.max_sample_age.map(|age| age.0),
            min_available_percent: document.min_available_percent,
            warm_up: document.warm_up.0,
            out: Pace {
                cooldown: document.cooldown_out.0,
                stabilization: document.stabilization_out.0,
                window: document.out_window.0,
                limit: document.max_out_per_window,
            },
            inward: Pace {
                cooldown: document.cooldown_in.0,
                stabilization: document.stabilization_in.0,
                window: document.in_window.0,
                limit: document.max_in_per_window,
            },
            launch: launch.clone(),
            grace_period: health.grace_period.0,
            unhealthy_after: health.unhealthy_after.0,
            boot_timeout: health.boot_timeout.0,
            max_unhealthy_percent: health.max_unhealthy_percent,
            repair_interval: health.repair_interval.0,
            max_replacing: health.max_replacing,
            drain_timeout: drain.timeout.0,
            on_timeout: drain.on_timeout,
        }
    }
}

impl Default for Policy {
    /// The policy of a document that says nothing.
    fn default() -> Self {
        Self::of(&PolicyDocument::default())
    }
}

/// The JSON Schema of [`PolicyDocument`].
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(PolicyDocument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_tells_of_each_setting_in_its_own_place() {
        let schema = schema();
        let cooldown = schema.pointer("/properties/cooldown_in").expect("a setting");
        assert_eq!((&cooldown["type"], &cooldown["format"]), (&"string".into(), &"span".into()));
        assert_eq!(cooldown["default"], "300s");
        let said = cooldown["description"].as_str().expect("help");
        assert_eq!(said, "After a scale-in by load, how long there is no further one, 0s-1h.");
    }
}
