//! Why a decision is what it is: what it saw, the value after each stage, the rule that bound it, what it waits for.
//! The dashboard, the log and the activity show this same report (O2).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::group::PolicyVersion;
use crate::policy::{Mode, Window};
use crate::time::Timestamp;

/// The rules of the contract that a report may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each variant is the id of a rule; functions/README.md has their text")]
pub enum Rule {
    C1,
    C4,
    D2,
    D3,
    D4,
    D6,
    D7,
    D8,
    F1,
    F2,
    F3,
    F4,
    F5,
    F6,
    F8,
    H1,
    H2,
    H3,
    H4,
    H6,
    H7,
    L1,
    L4,
    L5,
    L8,
    L9,
    M2,
    M3,
    M4,
    M5,
    O1,
    O5,
    O7,
    O8,
    S1,
    S7,
    V3,
    Z1,
    Z2,
    Z3,
    Z4,
    Z5,
    Z7,
    Z9,
    Z10,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A sentence and the rule that speaks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remark {
    /// The rule.
    pub rule: Rule,
    /// The sentence.
    pub text: String,
}

/// Desired after one stage of the way from rule to bounds (Z5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Which stage.
    pub stage: StageName,
    /// Desired after it.
    pub desired: u32,
    /// The rule that spoke.
    pub rule: Rule,
    /// What it said.
    pub text: String,
}

/// The stages, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// The rule on the mean of the serving members.
    Raw,
    /// The same with missing and warming members assumed (M2, M4).
    Filled,
    /// The largest of what the rule and the signals so far ask for (Z4).
    Signals,
    /// After the stabilisation window (F1).
    Stabilised,
    /// After cooldown, projection and the rate limits (F2, F3, F5, F6, F8, D7).
    Limited,
    /// After what a window of the schedule sets when it opens (F4).
    Scheduled,
    /// After min and max (Z5).
    Bounded,
}

/// The members, by phase, as the decision counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Open launch intents and launched members that have never answered (C3).
    pub pending: u32,
    /// Answering, not yet warm.
    pub warming: u32,
    /// In service.
    pub in_service: u32,
    /// Silent or failing.
    pub suspect: u32,
    /// Finishing their work.
    pub draining: u32,
    /// On their way out.
    pub terminating: u32,
    /// Pending + Warming + InService + Suspect.
    pub actual: u32,
    /// In service with a fresh sample.
    pub serving: u32,
    /// In service or suspect without one.
    pub missing: u32,
}

/// The loads that the decision looked at, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadFigures {
    /// Mean of the serving members (M1).
    pub mean: f64,
    /// The same with every missing member at 100 % (M2): what a scale-in must believe.
    pub at_most: f64,
    /// The same sum over max(desired, actual) (M4): what a scale-out must believe.
    pub at_least: f64,
}

/// Desired before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Desired {
    /// As stored.
    pub before: u32,
    /// As decided.
    pub after: u32,
}

/// What a remark says while so many instances are in no record that the records may be wrong (V3).
pub const LOOK_ORPHANED: &str = "instances look orphaned";

/// Why a decision is what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// When it was decided.
    pub at: Timestamp,
    /// On which sweep.
    pub slot: Option<Timestamp>,
    /// With which policy.
    pub policy: Option<PolicyVersion>,
    /// In which mode.
    pub mode: Mode,
    /// One sentence for a person.
    pub headline: String,
    /// The rule that bound it.
    pub rule: Rule,
    /// Desired before and after.
    pub desired: Desired,
    /// min and max.
    pub bounds: (u32, u32),
    /// The window of the schedule that is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The members.
    pub counts: Counts,
    /// The loads; none when nobody serves.
    pub load: Option<LoadFigures>,
    /// Desired after each stage.
    pub stages: Vec<Stage>,
    /// What else was noticed.
    pub remarks: Vec<Remark>,
    /// What it waits for.
    pub waits: Vec<Remark>,
    /// The steps, in words.
    pub actions: Vec<String>,
    /// Steps that the mode kept from being taken, in words (O1).
    pub withheld: Vec<String>,
}

impl Report {
    /// What makes two decisions equal: consecutive equal ones are folded into one record (O2). Actions name what they
    /// act on, so two decisions that do something are never equal.
    pub fn fold_key(&self) -> String {
        let rules = |remarks: &[Remark]| remarks.iter().map(|r| r.rule.to_string()).collect::<Vec<_>>().join(",");
        format!(
            "{}|{:?}|{}>{}|{:?}|{:?}|{}|{}|{}|{}|{}{}",
            self.rule,
            self.mode,
            self.desired.before,
            self.desired.after,
            self.policy,
            self.bounds,
            self.stages.iter().map(|s| format!("{}{}", s.rule, s.desired)).collect::<Vec<_>>().join(","),
            rules(&self.remarks),
            rules(&self.waits),
            self.actions.join(","),
            self.withheld.len(),
            self.window.as_ref().map_or(String::new(), |window| format!("|{} {}", window.name, window.since)),
        )
    }
}
