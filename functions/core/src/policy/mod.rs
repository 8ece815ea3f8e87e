//! The policy of a group: [`PolicyDocument`] is how it is written, [`Policy`] is what the core decides with, and
//! [`Policy::parse`] is the only way from one to the other. A policy that is not valid is refused whole (Z9).

mod checks;
mod cron;
mod document;
mod kind;
mod pause;
mod problem;
mod read;
mod schedule;
mod span;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::signals;
use crate::time::Timestamp;

pub use document::{
    DrainDocument, HealthDocument, LaunchDocument, Limit, Mode, OnTimeout, PolicyDocument, Price, PriceName,
    ScalingDocument, ScalingKind, SignalDocument, StepDocument,
};
pub use pause::{Instant, Pause, PauseDocument};
pub use problem::{PolicyError, Problem};
pub use schedule::{Scheduled, Window, WindowDocument};
pub use span::Span;

/// A valid policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What may be done; [`Policy::at`] takes the pause into it.
    pub mode: Mode,
    /// The pause; after [`Policy::at`] only one that holds.
    pub pause: Option<Pause>,
    /// Fewest members; 0 only when `max` is, or when a window of the schedule asks for somebody.
    pub min: u32,
    /// Most members; not below `min`.
    pub max: u32,
    /// The rule that turns load into a size.
    pub scaling: ScalingRule,
    /// Windows with bounds of their own.
    pub schedule: Vec<Scheduled>,
    /// The window whose bounds `min` and `max` are: [`Policy::at`] opens it.
    pub window: Option<Window>,
    /// What may ask for more members than that rule (Z4).
    pub signals: Vec<SignalRule>,
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

/// The rule that turns load into a size, by its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum ScalingRule {
    /// Two thresholds and two factors.
    Threshold(ThresholdRule),
    /// A mean to aim at.
    Target(TargetRule),
    /// Steps out and in.
    Step(StepRule),
    /// The cheapest of many rules.
    Auto(AutoRule),
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

/// The target rule (Z3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetRule {
    /// The mean that is aimed at, in percent.
    pub target: f64,
    /// How far the mean may be from it, as a share of it; the ends are inside.
    pub tolerance: f64,
}

/// The rule `auto` (Z10).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoRule {
    /// What one per cent of overloaded requests is worth, as a share of the bill of a group that is always of the right size.
    pub price: f64,
}

/// The step rule: Z1 and Z2 with a change for each bound.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRule {
    /// Steps out: each speaks above its bound. The lowest bound comes first; there is one at least.
    pub out: Vec<Stride>,
    /// Steps in: each speaks below its bound. The highest bound comes first.
    pub inward: Vec<Stride>,
}

/// One step of a [`StepRule`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stride {
    /// The mean that must be passed, in percent.
    pub bound: f64,
    /// How many members it adds or removes.
    pub change: Change,
}

/// How many members a step adds or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many.
    Members(u32),
    /// A share of desired in percent, rounded up, and one at least.
    Percent(u32),
}

impl Change {
    /// The members that it means for a desired size.
    pub fn of(self, desired: u32) -> u32 {
        match self {
            Self::Members(members) => members,
            Self::Percent(percent) => {
                let share = (u64::from(desired) * u64::from(percent)).div_ceil(100);
                u32::try_from(share).unwrap_or(u32::MAX).max(1)
            }
        }
    }
}

/// A signal and what of it one member is to bear (Z4).
#[derive(Clone, Debug, PartialEq)]
pub struct SignalRule {
    /// Its name: one of ours, or the application's own.
    pub name: String,
    /// What each member is to bear, in the signal's unit.
    pub target: f64,
    /// How far the mean may be from it, as a share of it; the ends are inside.
    pub tolerance: f64,
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
        PolicyDocument::parse(text).map(|document| Self::of(&document))
    }

    /// The policy as it holds at `now`: paused while its pause holds (O1), and with the window of its schedule that is in force.
    pub fn at(&self, now: Timestamp) -> Cow<'_, Self> {
        let mut policy = self.in_window(now);
        if let Some(pause) = &self.pause {
            let policy = policy.to_mut();
            if pause.holds(now) {
                policy.mode = Mode::Paused;
            } else {
                policy.pause = None;
            }
        }
        policy
    }

    /// Whether its bounds empty the group (Z7): neither load nor the health of its members asks for anybody then.
    pub const fn wants_nobody(&self) -> bool {
        self.max == 0
    }

    /// Whether a group of this desired size is to be empty: load lets its last member stay, and cannot wake it (Z7).
    pub const fn empties(&self, desired: u32) -> bool {
        self.wants_nobody() || (self.min == 0 && desired == 0)
    }

    /// The signals that the sweeps must keep for it.
    pub fn wanted_signals(&self) -> BTreeSet<String> {
        let auto = matches!(self.scaling, ScalingRule::Auto(_)).then(|| signals::RATE.to_owned());
        self.signals.iter().map(|signal| signal.name.clone()).chain(auto).collect()
    }

    /// The policy of a valid document.
    fn of(document: &PolicyDocument) -> Self {
        let PolicyDocument { scaling, health, drain, launch, .. } = document;
        Self {
            mode: document.mode,
            pause: document.pause.as_ref().map(Pause::of),
            min: document.min_instances,
            max: document.max_instances,
            scaling: ScalingRule::of(scaling),
            schedule: document.schedule.iter().filter_map(Scheduled::of).collect(),
            window: None,
            signals: document.signals.iter().map(SignalRule::of).collect(),
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

impl ScalingRule {
    /// The rule of a valid document: of its kind's settings, and of no others.
    fn of(document: &ScalingDocument) -> Self {
        match document.kind {
            ScalingKind::Target => Self::Target(TargetRule { target: document.target, tolerance: document.tolerance }),
            ScalingKind::Step => Self::Step(StepRule::of(&document.steps)),
            ScalingKind::Auto => Self::Auto(AutoRule { price: document.price.value() }),
            ScalingKind::Threshold => Self::Threshold(ThresholdRule {
                up: document.cpu_up_threshold,
                down: document.cpu_down_threshold,
                up_factor: document.scale_up_factor,
                down_factor: document.scale_down_factor,
            }),
        }
    }
}

impl SignalRule {
    fn of(document: &SignalDocument) -> Self {
        let SignalDocument { name, target, tolerance } = document;
        Self { name: name.clone(), target: *target, tolerance: *tolerance }
    }
}

impl StepRule {
    fn of(steps: &[StepDocument]) -> Self {
        let strides = |bound: fn(&StepDocument) -> Option<f64>| {
            let change = |step: &StepDocument| match (step.change, step.change_percent) {
                (Some(members), _) => Change::Members(members.unsigned_abs()),
                (None, percent) => Change::Percent(percent.unwrap_or_default().unsigned_abs()),
            };
            let of = |step: &StepDocument| Some(Stride { bound: bound(step)?, change: change(step) });
            let mut strides: Vec<Stride> = steps.iter().filter_map(of).collect();
            strides.sort_by(|a, b| a.bound.total_cmp(&b.bound));
            strides
        };
        let (out, mut inward) = (strides(|step| step.above), strides(|step| step.below));
        inward.reverse();
        Self { out, inward }
    }
}

impl Default for Policy {
    /// The policy of a document that says nothing.
    fn default() -> Self {
        Self::of(&PolicyDocument::default())
    }
}

/// The valid document that `text` holds, with every default filled in, or everything that is wrong with it.
pub fn document(text: &str) -> Result<PolicyDocument, PolicyError> {
    read::document(text)
}

/// The JSON Schema of [`PolicyDocument`].
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(PolicyDocument)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::millis;
    use serde_json::{Value, json};

    #[test]
    fn the_schema_tells_of_each_setting_in_its_own_place() {
        let schema = schema();
        let cooldown = schema.pointer("/properties/cooldown_in").expect("a setting");
        assert_eq!((&cooldown["type"], &cooldown["format"]), (&"string".into(), &"span".into()));
        assert_eq!(cooldown["default"], "0s");
        let said = cooldown["description"].as_str().expect("help");
        assert_eq!(said, "After a scale-in by load, how long there is no further one, 0s-1h.");
    }

    /// Every setting's place in a document, and what the schema says of it.
    fn settings() -> Vec<(String, Value)> {
        let schema = schema().to_value();
        let mut open = vec![(String::new(), schema.clone())];
        let mut settings = Vec::new();
        while let Some((place, said)) = open.pop() {
            let whole = match said["$ref"].as_str() {
                Some(reference) => schema.pointer(reference.trim_start_matches('#')).expect("it is defined").clone(),
                None => said.clone(),
            };
            match whole["properties"].as_object() {
                Some(inner) => open.extend(inner.iter().map(|(key, said)| (format!("{place}/{key}"), said.clone()))),
                None => settings.push((place, said)),
            }
        }
        settings
    }

    /// Values at an end of what the schema allows, each with the next one that it does not.
    fn ends(said: &Value) -> Vec<(Value, Value)> {
        let mut found = Vec::new();
        for (word, step) in [("minimum", -1_i32), ("maximum", 1)] {
            if let Some(end) = said[word].as_i64() {
                found.push((json!(end), json!(end + i64::from(step))));
            } else if let Some(end) = said[word].as_f64() {
                found.push((json!(end), json!(end + 0.01 * f64::from(step))));
            }
            if let Some(end) = said[format!("x-{word}")].as_str() {
                let end: Span = serde_json::from_value(end.into()).expect("a span");
                let ms = i64::try_from(millis(end.0)).expect("it is short");
                found.push((json!(format!("{ms}ms")), json!(format!("{}ms", ms + i64::from(step)))));
            }
        }
        for (word, step) in [("exclusiveMinimum", 0.01), ("exclusiveMaximum", -0.01)] {
            found.extend(said[word].as_f64().map(|end| (json!(end + step), json!(end))));
        }
        if let Some(most) = said["maxLength"].as_u64() {
            let text = |length: u64| (0..length).map(|_| 'x').collect::<String>();
            found.extend([(json!(text(most)), json!(text(most + 1))), (json!("x"), json!(""))]);
        }
        if let Some(most) = said["maxItems"].as_u64() {
            let step = |n| json!({"above": 40 + n, "change": 1});
            let window = |n| json!({"name": format!("a{n}"), "cron": "0 8 * * *", "lasts": "1h", "desired": 3});
            let signal = |n| json!({"name": format!("a{n}"), "target": 1});
            let name = |n| match said["items"]["$ref"].as_str() {
                None => json!(format!("a{n}")),
                Some(of) if of.ends_with("WindowDocument") => window(n),
                Some(of) if of.ends_with("StepDocument") => step(n),
                Some(_) => signal(n),
            };
            let names = |count: u64| (0..count).map(name).collect::<Value>();
            found.extend(said["minItems"].as_u64().map(|least| (names(least), names(least - 1))));
            found.push((names(most), names(most + 1)));
            found.extend(ends(&said["items"]).into_iter().map(|(end, beyond)| (json!([end]), json!([beyond]))));
        }
        if said["uniqueItems"] == true {
            found.push((json!(["a", "b"]), json!(["a", "a"])));
        }
        found.extend(said["enum"].as_array().into_iter().flatten().map(|one| (one.clone(), json!("auto"))));
        found
    }

    #[test]
    fn z9_the_schema_allows_what_is_accepted_and_nothing_else() {
        let accepted = |place: &str, value: &Value| {
            let mut document = serde_json::to_value(PolicyDocument::default()).expect("plain data");
            document["max_instances"] = json!(10_000);
            document["pause"] = json!({"reason": "why", "until": "2026-11-22T18:00:00Z"});
            document["scaling"]["cpu_up_threshold"] = json!(100);
            document["scaling"]["cpu_down_threshold"] = json!(1.01);
            *document.pointer_mut(place).expect("a setting") = value.clone();
            Policy::parse(&document.to_string()).is_ok()
        };
        // No schema can say that the thresholds must be apart, that a target with its tolerance must stay below 100, that min is not above max, and that both are 0 or neither is.
        let related = [
            ("/scaling/cpu_up_threshold", json!(1.01)),
            ("/scaling/cpu_down_threshold", json!(100.0)),
            ("/scaling/target", json!(95.0)),
            ("/min_instances", json!(0)),
            ("/max_instances", json!(0)),
        ];
        let related = |place: &str, end: &Value| related.iter().any(|(at, value)| (place, end) == (*at, value));
        let mut free = Vec::new();
        for (place, said) in settings() {
            let ends = ends(&said);
            for (end, beyond) in &ends {
                assert!(accepted(&place, end) || related(&place, end), "{place}: {end}");
                assert!(!accepted(&place, beyond), "{place}: {beyond}");
            }
            if ends.is_empty() {
                free.push(place);
            }
        }
        free.sort();
        let named = ["/drain/on_timeout", "/mode", "/pause/until", "/scaling/kind", "/scaling/price"];
        assert_eq!(
            free, named,
            "they have names or are times, and no range but a price's, which stands beside its names"
        );
        let price = schema().pointer("/$defs/Price").cloned().expect("a definition").to_string();
        assert!(price.contains(r#""minimum":0.01"#) && price.contains(r#""maximum":1"#), "{price}");
    }
}
