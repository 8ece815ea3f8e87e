//! The policy as it is written: one JSON document. This struct is its only definition; validation, JSON Schema,
//! defaults and the documents' tables come from it. The doc comments are the help that an operator reads.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{
    affordable, aim, apart, bearable, down_factor, each_once, each_signal_once, either, fewest, ladder, percentage,
    ranged, reachable, sample_age, signal_name, signed, tolerable, up_factor, within,
};
use super::pause::PauseDocument;
use super::problem::PolicyError;
use super::schedule::{WindowDocument, fit};
use super::span::Span;

/// The policy of a group. Every field has a default: `{"min_instances": 2, "max_instances": 5}` is a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Muster policy")]
pub struct PolicyDocument {
    /// What Muster may do: `active` everything, `out-only` launches only, `observe` decides and records but changes
    /// nothing, `paused` nothing.
    #[garde(skip)]
    pub mode: Mode,
    /// While it holds, nothing is done, as in the mode `paused`, and reports say why. It may end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    #[schemars(with = "PauseDocument")]
    pub pause: Option<PauseDocument>,
    /// Fewest instances, 1-10000, not above `max_instances`; 0 together with `max_instances` 0, which empties the group, or
    /// with a window of `schedule` that asks for somebody.
    #[garde(range(max = 10_000), custom(fewest(self.max_instances, &self.schedule)))]
    pub min_instances: u32,
    /// Most instances, 1-10000, not below `min_instances`; 0 together with `min_instances` 0 empties the group.
    #[garde(range(max = 10_000))]
    pub max_instances: u32,
    /// The rule that turns load into a size.
    #[garde(dive)]
    pub scaling: ScalingDocument,
    /// Windows of time with bounds of their own, at most 32. Of those that are open the one that opened last is in force, of
    /// those that opened together the last of the list.
    #[garde(length(max = 32), dive, custom(fit(self.min_instances, self.max_instances)))]
    #[schemars(length(max = 32))]
    pub schedule: Vec<WindowDocument>,
    /// What else may ask for members, at most 8: each signal for as many as bring its mean to its target. The largest size
    /// that the rule or a signal asks for wins; while one of them is not known the group may grow and not shrink.
    #[garde(length(max = 8), dive, custom(each_signal_once))]
    #[schemars(length(max = 8))]
    pub signals: Vec<SignalDocument>,
    /// How often the agents are swept, 1s-1h.
    #[garde(custom(within(1, 3_600)))]
    #[schemars(transform = ranged(1, 3_600))]
    pub sweep_interval: Span,
    /// Older samples count as missing. From one period to 10m; null means three effective periods.
    #[garde(custom(sample_age(self.sweep_interval)))]
    #[schemars(extend("x-maximum" = "600s"))]
    pub max_sample_age: Option<Span>,
    /// With a smaller share of the members in service answering, load moves nothing, 0-100 %.
    #[garde(range(max = 100))]
    pub min_available_percent: u32,
    /// How long after its first answer a member's load is left out, 0s-30m.
    #[garde(custom(within(0, 1_800)))]
    #[schemars(transform = ranged(0, 1_800))]
    pub warm_up: Span,
    /// After EC2 accepted a launch, how long load starts no further one, 0s-1h.
    #[garde(custom(within(0, 3_600)))]
    #[schemars(transform = ranged(0, 3_600))]
    pub cooldown_out: Span,
    /// After a scale-in by load, how long there is no further one, 0s-1h.
    #[garde(custom(within(0, 3_600)))]
    #[schemars(transform = ranged(0, 3_600))]
    pub cooldown_in: Span,
    /// Scale-out uses the lowest size that was asked for in this span, 0s-1h.
    #[garde(custom(within(0, 3_600)))]
    #[schemars(transform = ranged(0, 3_600))]
    pub stabilization_out: Span,
    /// Scale-in uses the highest size that was asked for in this span, 0s-1h.
    #[garde(custom(within(0, 3_600)))]
    #[schemars(transform = ranged(0, 3_600))]
    pub stabilization_in: Span,
    /// The window of `max_out_per_window`, 1s-1h.
    #[garde(custom(within(1, 3_600)))]
    #[schemars(transform = ranged(1, 3_600))]
    pub out_window: Span,
    /// Most launches in a window, as a share of the members at its start.
    #[garde(dive)]
    pub max_out_per_window: Limit,
    /// The window of `max_in_per_window`, 1s-1h.
    #[garde(custom(within(1, 3_600)))]
    #[schemars(transform = ranged(1, 3_600))]
    pub in_window: Span,
    /// Most terminations in a window, as a share of the members at its start.
    #[garde(dive)]
    pub max_in_per_window: Limit,
    /// What to launch, and where.
    #[garde(dive)]
    pub launch: LaunchDocument,
    /// When a member counts as unhealthy, and how fast the unhealthy are replaced.
    #[garde(dive)]
    pub health: HealthDocument,
    /// How members are let go.
    #[garde(dive)]
    pub drain: DrainDocument,
}

/// What Muster may do to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything.
    #[default]
    Active,
    /// Launches only: starts no drain and no termination.
    OutOnly,
    /// Decides and records, changes nothing.
    Observe,
    /// Nothing.
    Paused,
}

/// The rule that turns load into a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct ScalingDocument {
    /// `auto`, `threshold`, `target` or `step`. What belongs to another kind moves nothing. Left out it is the kind whose
    /// settings are given, and `auto` without any.
    #[garde(skip)]
    pub kind: ScalingKind,
    /// Of `threshold`: scale out when the mean load is above this, above 1 to 100 %.
    #[garde(custom(percentage), custom(apart(self.cpu_down_threshold)))]
    #[schemars(range(max = 100.0), extend("exclusiveMinimum" = 1))]
    pub cpu_up_threshold: f64,
    /// Of `threshold`: scale in when the mean load is below this, above 1 to 100 %, at least 10 below `cpu_up_threshold`.
    #[garde(custom(percentage))]
    #[schemars(range(max = 100.0), extend("exclusiveMinimum" = 1))]
    pub cpu_down_threshold: f64,
    /// Of `threshold`: scaling out multiplies desired by this, above 1 to 10.
    #[garde(custom(up_factor))]
    #[schemars(range(max = 10.0), extend("exclusiveMinimum" = 1))]
    pub scale_up_factor: f64,
    /// Of `threshold`: scaling in removes this share of desired, above 0, below 1: 0.5 halves.
    #[garde(custom(down_factor))]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub scale_down_factor: f64,
    /// Of `target`: the mean load that is aimed at, 10 to 95 %; with `tolerance` above it still below 100 %.
    #[garde(custom(aim), custom(reachable(self.tolerance)))]
    #[schemars(range(min = 10.0, max = 95.0))]
    pub target: f64,
    /// Of `target`: how far the mean may be from it, as a share of it, before anything is done, 0 to 0.5.
    #[garde(custom(tolerable))]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub tolerance: f64,
    /// Of `step`: what to do beyond which mean load, 1 to 10 steps, one `above` at least. Of those that speak the one that
    /// changes most counts. Every `above` is at least 10 over every `below`.
    #[garde(length(min = 1, max = 10), dive, custom(ladder))]
    #[schemars(length(min = 1, max = 10))]
    pub steps: Vec<StepDocument>,
    /// Of `auto`: what one per cent of overloaded requests is worth, as a share of the bill of a group that is always of the right
    /// size: `economy` (0.05), `balanced` (0.1), `safe` (0.2), or a number of 0.01 to 1.
    #[garde(custom(affordable))]
    pub price: Price,
}

/// What overload is worth: a name or a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Price {
    /// One of the names.
    Named(PriceName),
    /// A number of one's own, 0.01 to 1.
    Number(#[schemars(range(min = 0.01, max = 1.0))] f64),
}

/// The prices that have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PriceName {
    /// 0.05: a smaller bill matters more.
    Economy,
    /// 0.1: one per cent of overloaded requests is worth a tenth of the bill.
    Balanced,
    /// 0.2: overload matters more.
    Safe,
}

impl Price {
    /// It as a number.
    pub const fn value(self) -> f64 {
        match self {
            Self::Named(PriceName::Economy) => 0.05,
            Self::Named(PriceName::Balanced) => 0.1,
            Self::Named(PriceName::Safe) => 0.2,
            Self::Number(price) => price,
        }
    }
}

/// A step: a mean load, and what to do beyond it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct StepDocument {
    /// Speaks when the mean load is above this, above 1 to 100 %. A step has this or `below`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(either("below", self.below.is_some())), inner(custom(percentage)))]
    #[schemars(range(max = 100.0), extend("exclusiveMinimum" = 1))]
    pub above: Option<f64>,
    /// Speaks when the mean load is below this, above 1 to 100 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(percentage)))]
    #[schemars(range(max = 100.0), extend("exclusiveMinimum" = 1))]
    pub below: Option<f64>,
    /// Members more, 1 to 10000, or less, -10000 to -1. A step has this or `change_percent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(either("change_percent", self.change_percent.is_some())), custom(signed(self.outward(), 10_000, 10_000)))]
    #[schemars(range(min = -10_000, max = 10_000))]
    pub change: Option<i32>,
    /// The same as a share of desired, rounded up, and one member at least: 1 to 1000 %, or -99 to -1 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(signed(self.outward(), 1_000, 99)))]
    #[schemars(range(min = -99, max = 1_000))]
    pub change_percent: Option<i32>,
}

impl StepDocument {
    /// Whether it is a step out; none when it has no bound, or both.
    const fn outward(&self) -> Option<bool> {
        match (self.above, self.below) {
            (Some(_), None) => Some(true),
            (None, Some(_)) => Some(false),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    /// A step with every key, as no valid one has them.
    pub(super) const fn every_key() -> Self {
        Self { above: Some(0.0), below: Some(0.0), change: Some(0), change_percent: Some(0) }
    }
}

/// A signal to scale by, and how much of it one member is to bear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct SignalDocument {
    /// `memory` or `pressure`, which the agent measures, or what the application reports to it, such as `rate` or
    /// `queue_depth`: 1-32 characters of a-z, 0-9 and _, the first a letter.
    #[garde(custom(signal_name))]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]{0,31}$"))]
    pub name: String,
    /// How much of it each member is to bear: of `memory` and `pressure` 10 to 95 %, with `tolerance` above it still below
    /// 100 %; of others 0.1 to 1000000000000 in their own unit.
    #[garde(custom(bearable(&self.name, self.tolerance)))]
    #[schemars(range(min = 0.1, max = 1e12))]
    pub target: f64,
    /// How far the mean may be from it, as a share of it, before anything is done, 0 to 0.5.
    #[garde(custom(tolerable))]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub tolerance: f64,
}

impl Default for SignalDocument {
    /// No valid one: a signal needs a name and a target.
    fn default() -> Self {
        Self { name: String::new(), target: 0.0, tolerance: 0.1 }
    }
}

/// The kinds of rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingKind {
    /// Two thresholds and two factors.
    Threshold,
    /// Target tracking: as many members as bring the mean to the target.
    Target,
    /// Steps: a mean load, and what to do beyond it.
    Step,
    /// Chooses among many rules, by what they would have cost.
    #[default]
    Auto,
}

/// A limit as a share of the members, and never less than a fixed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Share of the members, 0-10000 %, rounded down.
    #[garde(range(max = 10_000))]
    pub percent: u32,
    /// At least this many, 1-10000.
    #[garde(range(min = 1, max = 10_000))]
    pub at_least: u32,
}

impl Limit {
    /// The limit for a group of `members`.
    pub fn of(self, members: u32) -> u32 {
        let share = u64::from(members) * u64::from(self.percent) / 100;
        u32::try_from(share).unwrap_or(u32::MAX).max(self.at_least)
    }
}

/// What to launch, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct LaunchDocument {
    /// The launch template's id, `lt-...`; at most 128 characters.
    #[garde(inner(length(chars, min = 1, max = 128)))]
    #[schemars(length(min = 1, max = 128))]
    pub template: Option<String>,
    /// Its version, from 1. Null means the template's default version at the time of each launch.
    #[garde(inner(range(min = 1)))]
    #[schemars(range(min = 1))]
    pub template_version: Option<u64>,
    /// Zones or subnets in the order of preference, at most 16. None lets EC2 choose.
    #[garde(length(max = 16), inner(length(chars, min = 1, max = 64)), custom(each_once))]
    #[schemars(extend("uniqueItems" = true))]
    pub zones: Vec<String>,
    /// Instance types in the order of preference, at most 32. None lets the template choose.
    #[garde(length(max = 32), inner(length(chars, min = 1, max = 64)), custom(each_once))]
    #[schemars(extend("uniqueItems" = true))]
    pub instance_types: Vec<String>,
}

/// When a member counts as unhealthy, and how fast the unhealthy are replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct HealthDocument {
    /// After its launch a member is not judged for this long, 0s-2h.
    #[garde(custom(within(0, 7_200)))]
    #[schemars(transform = ranged(0, 7_200))]
    pub grace_period: Span,
    /// Silent, or its application failing, for this long and three sweeps: unhealthy, 1s-1h.
    #[garde(custom(within(1, 3_600)))]
    #[schemars(transform = ranged(1, 3_600))]
    pub unhealthy_after: Span,
    /// A launch whose agent has not answered by then is terminated and replaced, 1s-2h.
    #[garde(custom(within(1, 7_200)))]
    #[schemars(transform = ranged(1, 7_200))]
    pub boot_timeout: Span,
    /// With at least two members and this share silent together, our own fault is assumed, 1-100 %.
    #[garde(range(min = 1, max = 100))]
    pub max_unhealthy_percent: u32,
    /// While that holds, one member is replaced in this span, 1s-1h.
    #[garde(custom(within(1, 3_600)))]
    #[schemars(transform = ranged(1, 3_600))]
    pub repair_interval: Span,
    /// Most members under replacement at a time.
    #[garde(dive)]
    pub max_replacing: Limit,
}

/// How members are let go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
pub struct DrainDocument {
    /// How long a member may take to finish its work, 0s-48h.
    #[garde(custom(within(0, 172_800)))]
    #[schemars(transform = ranged(0, 172_800))]
    pub timeout: Span,
    /// What happens when it takes longer: `terminate`, or `wait` until it has drained or its agent is found dead.
    #[garde(skip)]
    pub on_timeout: OnTimeout,
}

/// What happens when a drain takes longer than its timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnTimeout {
    /// The member is terminated.
    #[default]
    Terminate,
    /// The member stays until it has drained, or its agent is found dead.
    Wait,
}

impl PolicyDocument {
    /// The valid document that `text` holds, with everything written out that it leaves to its kind of rule; or all that is
    /// wrong with it.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        super::read::document(text)
    }

    /// The document that says nothing but its kind of rule. `auto` looks back by itself, and what has just booted serves: to wait
    /// longer would only make it late, and what it asked for in vain must be gone before it is there.
    pub fn of(kind: ScalingKind) -> Self {
        let auto = kind == ScalingKind::Auto;
        let spans = |auto_s, other_s| Span::seconds(if auto { auto_s } else { other_s });
        Self {
            mode: Mode::Active,
            pause: None,
            min_instances: 2,
            max_instances: 5,
            scaling: ScalingDocument { kind, ..ScalingDocument::default() },
            schedule: Vec::new(),
            signals: Vec::new(),
            sweep_interval: Span::seconds(10),
            max_sample_age: None,
            min_available_percent: 50,
            warm_up: spans(0, 60),
            cooldown_out: Span::seconds(0),
            cooldown_in: spans(0, 300),
            stabilization_out: Span::seconds(0),
            stabilization_in: spans(30, 300),
            out_window: Span::seconds(60),
            max_out_per_window: Limit { percent: 1_000, at_least: 4 },
            in_window: spans(60, 300),
            max_in_per_window: Limit { percent: if auto { 75 } else { 50 }, at_least: 1 },
            launch: LaunchDocument::default(),
            health: HealthDocument::default(),
            drain: DrainDocument::default(),
        }
    }
}

impl Default for PolicyDocument {
    fn default() -> Self {
        Self::of(ScalingKind::default())
    }
}

impl Default for ScalingDocument {
    fn default() -> Self {
        Self {
            kind: ScalingKind::default(),
            cpu_up_threshold: 70.0,
            cpu_down_threshold: 20.0,
            scale_up_factor: 2.0,
            scale_down_factor: 0.5,
            target: 60.0,
            tolerance: 0.1,
            steps: vec![
                StepDocument { above: Some(70.0), change: Some(1), ..StepDocument::default() },
                StepDocument { below: Some(25.0), change: Some(-1), ..StepDocument::default() },
            ],
            price: Price::Named(PriceName::Balanced),
        }
    }
}

impl Default for HealthDocument {
    fn default() -> Self {
        Self {
            grace_period: Span::seconds(300),
            unhealthy_after: Span::seconds(60),
            boot_timeout: Span::seconds(600),
            max_unhealthy_percent: 34,
            repair_interval: Span::seconds(60),
            max_replacing: Limit { percent: 10, at_least: 2 },
        }
    }
}

impl Default for DrainDocument {
    fn default() -> Self {
        Self { timeout: Span::seconds(120), on_timeout: OnTimeout::Terminate }
    }
}
