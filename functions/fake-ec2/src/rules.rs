//! Rules: what goes wrong, when, and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, usual_message};
use crate::query::Texts;

/// The most rules at once.
const MOST_RULES: usize = 1000;

/// Codes that speak of a place to launch in. A repeated token never meets them: its instance is there already.
const OF_A_PLACE: &[&str] = &[
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "InsufficientFreeAddressesInSubnet",
    "InstanceLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "SpotMaxPriceTooLow",
    "Unsupported",
    "VcpuLimitExceeded",
];

/// What happens to the calls that it fits. The first rule that fits a call speaks, besides those that only delay it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The action; none, or `*`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The code to fail with. Without it and `no_answer` the rule only delays, or with `after` loses the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The error's message; none: EC2's usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The error's HTTP status; none: the code's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Which calls it fits.
    pub when: When,
    /// Fits so many calls first without doing anything.
    pub skip: u32,
    /// Speaks so many times; none: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Speaks with this probability; none: always. The chances come from `seed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// The seed of its chances.
    pub seed: u64,
    /// How long the call is on its way before anything is done, and is done then even when the caller has given up. Of a rule `after`, and
    /// of one about a place's capacity: how long the answer is.
    pub latency_ms: u64,
    /// The call is done first; then comes the error, or without a code the connection is closed.
    pub after: bool,
    /// The connection is closed without an answer, and nothing is done.
    pub no_answer: bool,
}

/// Which calls a rule fits: all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// A zone's name or a subnet's id: where a launch goes, or where a named instance is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The type of a launch or of a named instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The launch's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A named instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Tags that the launch gives, or that a named instance has.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub tag: Texts,
    /// Any of the named instances (of a launch: its tags) lacks one of these: as an IAM condition on resource tags refuses.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub lacks_tag: Texts,
}

/// A rule and what has come of it.
#[derive(Clone, Debug, Serialize)]
pub struct RuleState {
    /// Its number.
    pub id: u32,
    /// The rule.
    pub rule: Rule,
    /// How many calls it has fitted.
    pub fitted: u32,
    /// How many times it has spoken.
    pub spoken: u32,
    #[serde(skip)]
    chances: Rng,
}

#[derive(Clone, Debug)]
struct Rng(fastrand::Rng);

/// A rule that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A probability outside 0-1.
    #[error("probability is {0}, not within 0-1")]
    Probability(f64),
    /// Too many.
    #[error("there are {MOST_RULES} rules, the most that there may be")]
    Many,
}

/// The thing that a call is about, as rules see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// Zone and subnet.
    pub(crate) places: Vec<String>,
    pub(crate) instance_type: String,
    pub(crate) id: Option<String>,
    pub(crate) tags: Texts,
}

/// A call, as rules see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matter<'a> {
    pub(crate) action: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) subjects: Vec<Subject>,
}

/// When a rule may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before anything else.
    Before,
    /// For each place that a new launch tries.
    Place,
    /// When all is done.
    After,
}

impl Rule {
    fn stage(&self) -> Stage {
        match &self.code {
            _ if self.after => Stage::After,
            Some(code) if OF_A_PLACE.contains(&code.as_str()) && !self.no_answer => Stage::Place,
            _ => Stage::Before,
        }
    }

    /// The error that it speaks.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let code = self.code.as_ref()?;
        let mut fault = Fault::new(code, self.message.clone().unwrap_or_else(|| usual_message(code)));
        fault.status = self.status.unwrap_or(fault.status);
        Some(fault)
    }

    /// The error that the caller hears; none: nothing at all.
    pub(crate) fn answer(&self) -> Option<Fault> {
        self.fault().filter(|_| !self.no_answer)
    }

    fn only_delays(&self) -> bool {
        self.code.is_none() && !self.no_answer && !self.after
    }

    fn fits(&self, matter: &Matter<'_>) -> bool {
        let any = |holds: &dyn Fn(&Subject) -> bool| matter.subjects.iter().any(holds);
        let when = &self.when;
        self.action.as_ref().is_none_or(|action| action == "*" || action == matter.action)
            && when.token.as_ref().is_none_or(|token| matter.token == Some(token))
            && when.zone.as_ref().is_none_or(|zone| any(&|s| s.places.contains(zone)))
            && when.instance_type.as_ref().is_none_or(|kind| any(&|s| s.instance_type == *kind))
            && when.instance.as_ref().is_none_or(|id| any(&|s| s.id.as_ref() == Some(id)))
            && (when.tag.is_empty() || any(&|s| holds_all(&s.tags, &when.tag)))
            && (when.lacks_tag.is_empty() || any(&|s| !holds_all(&s.tags, &when.lacks_tag)))
    }
}

fn holds_all(tags: &Texts, wanted: &Texts) -> bool {
    wanted.iter().all(|(key, value)| tags.get(key) == Some(value))
}

/// What the rules say to a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// How long it waits.
    pub(crate) latency: Duration,
    /// The rule that speaks.
    pub(crate) rule: Option<(u32, Rule)>,
}

/// All rules, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    all: Vec<RuleState>,
    last: u32,
}

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule) -> Result<u32, RuleError> {
        if let Some(bad) = rule.probability.filter(|p| !(0.0..=1.0).contains(p)) {
            return Err(RuleError::Probability(bad));
        }
        if self.all.len() >= MOST_RULES {
            return Err(RuleError::Many);
        }
        self.last += 1;
        let chances = Rng(fastrand::Rng::with_seed(rule.seed));
        self.all.push(RuleState { id: self.last, rule, fitted: 0, spoken: 0, chances });
        Ok(self.last)
    }

    /// Takes one rule away, or all. Returns how many there were.
    pub(crate) fn remove(&mut self, id: Option<u32>) -> usize {
        let before = self.all.len();
        self.all.retain(|state| id.is_some_and(|id| id != state.id));
        before - self.all.len()
    }

    pub(crate) fn states(&self) -> &[RuleState] {
        &self.all
    }

    /// What the rules say to a call at this stage; counts them.
    pub(crate) fn judge(&mut self, stage: Stage, matter: &Matter<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for state in self.all.iter_mut().filter(|state| state.rule.stage() == stage) {
            if !state.rule.fits(matter) || !state.speaks() {
                continue;
            }
            verdict.latency += Duration::from_millis(state.rule.latency_ms);
            if !state.rule.only_delays() {
                verdict.rule = Some((state.id, state.rule.clone()));
                break;
            }
        }
        verdict
    }
}

impl RuleState {
    fn speaks(&mut self) -> bool {
        if self.rule.times.is_some_and(|times| self.spoken >= times) {
            return false;
        }
        self.fitted = self.fitted.saturating_add(1);
        if self.fitted <= self.rule.skip {
            return false;
        }
        let speaks = self.rule.probability.is_none_or(|probability| self.chances.0.f64() < probability);
        self.spoken += u32::from(speaks);
        speaks
    }
}
