//! What MonitorS saw of an agent, and how its health follows from what was seen before.
//!
//! Not knowing is a value: a probe that timed out is [`Observation::Unreachable`], never a load of 0 %, and silence
//! that may be our own fault is [`Observation::Unknown`]. An agent's clock is never used (M8): what counts is when
//! MonitorS received the answer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::signals::Signals;
use crate::time::Timestamp;

/// A load in percent, finite and within 0..=100 (M6).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Load(f64);

impl Load {
    /// The load, unless it is NaN, infinite or outside 0..=100: then it is a missing sample.
    pub fn new(percent: f64) -> Option<Self> {
        // Adding 0 turns -0 into 0, so that loads sort as their bits do.
        (0.0..=100.0).contains(&percent).then_some(Self(percent + 0.0))
    }

    /// Percent, 0..=100.
    pub const fn percent(self) -> f64 {
        self.0
    }

    /// The nearest hundredth of a percent: no rule looks closer, and a large group's sweep is stored in whole hundredths.
    pub fn rounded(self) -> Self {
        Self((self.0 * 100.0).round() / 100.0)
    }
}

impl TryFrom<f64> for Load {
    type Error = String;

    fn try_from(percent: f64) -> Result<Self, Self::Error> {
        Self::new(percent).ok_or_else(|| format!("a load of {percent} is not within 0 to 100 %"))
    }
}

impl From<Load> for f64 {
    fn from(load: Load) -> Self {
        load.0
    }
}

/// A load outside 0..=100 is a missing sample here, too.
fn read_load<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Load>, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.and_then(Load::new))
}

/// What one probe of one member gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation {
    /// The agent answered.
    Answered(Answer),
    /// No answer in time, or no way there.
    Unreachable {
        /// What happened.
        detail: String,
    },
    /// The host answered that nothing listens there.
    Refused {
        /// What happened.
        detail: String,
    },
    /// Something answered, but not as an agent does.
    BadAnswer {
        /// What was wrong.
        detail: String,
    },
    /// Silence that may be our own fault: says nothing about the member.
    Unknown,
}

/// An agent's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// When MonitorS received it.
    pub received_at: Timestamp,
    /// Another value means that the agent was started again.
    pub boot_id: String,
    /// The agent's version; empty when it says none.
    #[serde(default)]
    pub version: String,
    /// Where the agent is in its life.
    pub state: AgentState,
    /// What the agent says of the application.
    pub application: Application,
    /// Mean load since the last sweep in percent, as sent; anything that is not a load is a missing sample (M6).
    pub load: Option<f64>,
    /// Give it back in the next sweep.
    pub cursor: u64,
    /// Whether an `Unregister` was accepted in this sweep.
    pub unregistered: bool,
    /// Whether the agent says that its instance is protected from scale-in (D2).
    #[serde(default)]
    pub protected: bool,
    /// What was measured beside the load, by name, as sent; of the same samples, so without a load it says nothing.
    #[serde(default)]
    pub signals: BTreeMap<String, f64>,
}

/// Where an agent is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// The application has not been seen healthy yet.
    Starting,
    /// In service.
    #[default]
    Serving,
    /// Asked to drain, still busy.
    Draining,
    /// Nothing is left to do.
    Drained,
    /// About to end and come back.
    Restarting,
    /// The machine is about to go.
    Leaving,
}

/// What the agent's probe of the application says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Application {
    /// Not probed: nothing is held against the member.
    #[default]
    NotProbed,
    /// The probe succeeds.
    Healthy,
    /// The probe fails.
    Failing {
        /// Why, in a few words.
        detail: String,
    },
}

/// What is known of a member's health after a sweep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// How the last probe ended.
    pub seen: Seen,
    /// When the agent first answered.
    pub first_answer: Option<Timestamp>,
    /// When it last answered.
    pub last_answer: Option<Timestamp>,
    /// When the present silence was first noticed.
    pub silent_since: Option<Timestamp>,
    /// Sweeps in a row without an answer; unknown ones do not count.
    pub silent_sweeps: u32,
    /// Since when the application fails while the agent answers.
    pub failing_since: Option<Timestamp>,
    /// Sweeps in a row in which the application failed.
    pub failing_sweeps: u32,
    /// The latest load, in percent, rounded to hundredths; what is none is a missing sample (M6).
    #[serde(deserialize_with = "read_load")]
    pub load: Option<Load>,
    /// When it was received. None with a load means: in the snapshot's own sweep.
    pub sampled_at: Option<Timestamp>,
    /// What else came with that load, of what the group may be scaled by (Z4).
    #[serde(skip_serializing_if = "Signals::is_empty")]
    pub signals: Signals,
    /// The agent's state in its last answer.
    pub agent: Option<AgentState>,
    /// The agent's process in its last answer.
    pub boot_id: String,
    /// The agent's version in its last answer; for people.
    pub version: String,
    /// The cursor for the next `GetMetrics`.
    pub cursor: u64,
    /// When the first `Unregister` of the present drain was delivered (D3).
    pub unregistered_at: Option<Timestamp>,
    /// Whether the agent said in its last answer that its instance is protected from scale-in (D2).
    pub protected: bool,
    /// Why the last probe gave no answer, or why the application fails; for people.
    pub detail: String,
}

/// How the last probe of a member ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// An answer.
    #[default]
    Answered,
    /// None.
    Silent,
    /// Nobody can say.
    Unknown,
}

impl Health {
    /// The latest value of a signal, by its name; none when it was not reported.
    pub fn signal(&self, name: &str) -> Option<f64> {
        self.signals.get(name)
    }
}

/// A member's health after `observation`, made at `now`, given its health before.
pub fn fold(before: Option<&Health>, observation: &Observation, now: Timestamp) -> Health {
    let before = before.cloned().unwrap_or_default();
    match observation {
        Observation::Answered(answer) => fold_answer(&before, answer),
        Observation::Unreachable { detail } | Observation::Refused { detail } | Observation::BadAnswer { detail } => {
            Health {
                seen: Seen::Silent,
                silent_since: before.silent_since.or(Some(now)),
                silent_sweeps: before.silent_sweeps.saturating_add(1),
                detail: shortened(detail),
                ..before
            }
        }
        Observation::Unknown => Health { seen: Seen::Unknown, ..before },
    }
}

fn fold_answer(before: &Health, answer: &Answer) -> Health {
    let at = answer.received_at;
    let load = answer.load.and_then(Load::new).map(Load::rounded);
    let (failing_since, failing_sweeps, detail) = match &answer.application {
        Application::Failing { detail } => {
            (before.failing_since.or(Some(at)), before.failing_sweeps.saturating_add(1), shortened(detail))
        }
        Application::NotProbed | Application::Healthy => (None, 0, String::new()),
    };
    let leaving = matches!(answer.state, AgentState::Draining | AgentState::Drained);
    let unregistered_at = if answer.unregistered && leaving { before.unregistered_at.or(Some(at)) } else { None };
    Health {
        seen: Seen::Answered,
        first_answer: before.first_answer.or(Some(at)),
        last_answer: Some(at),
        silent_since: None,
        silent_sweeps: 0,
        failing_since,
        failing_sweeps,
        load: load.or(before.load),
        sampled_at: if load.is_some() { Some(at) } else { before.sampled_at },
        signals: if load.is_some() { Signals::of(&answer.signals) } else { before.signals.clone() },
        agent: Some(answer.state),
        boot_id: shortened(&answer.boot_id),
        version: shortened(&answer.version),
        cursor: answer.cursor,
        unregistered_at,
        protected: answer.protected,
        detail,
    }
}

/// The start of a foreign text: a lying agent cannot grow our tables (M7, S11).
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    pub(crate) fn answer(ms: u64, load: f64) -> Answer {
        Answer {
            received_at: at(ms),
            boot_id: "b".into(),
            version: "0.1.0".into(),
            state: AgentState::Serving,
            application: Application::NotProbed,
            load: Some(load),
            cursor: 1,
            unregistered: false,
            protected: false,
            signals: BTreeMap::new(),
        }
    }

    pub(crate) fn silence() -> Observation {
        Observation::Unreachable { detail: "no answer within 1 s".into() }
    }

    #[test]
    fn m6_what_is_not_a_load_is_a_missing_sample() {
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 100.1] {
            assert_eq!(Load::new(wrong), None, "{wrong}");
            let health = fold(None, &Observation::Answered(answer(1, wrong)), at(1));
            assert_eq!((health.load, health.sampled_at), (None, None), "{wrong}");
        }
        assert_eq!(Load::new(0.0).map(Load::percent), Some(0.0));
        assert_eq!(Load::new(100.0).map(Load::percent), Some(100.0));
    }

    #[test]
    fn m6_a_signal_that_is_no_amount_is_missing_and_all_belong_to_the_load_they_came_with() {
        let sent = |signals: &[(&str, f64)], load| {
            let signals = signals.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            Observation::Answered(Answer { signals, ..answer(1, load) })
        };
        let odd = [
            ("rate", 12.346),
            ("lost", f64::NAN),
            ("endless", f64::INFINITY),
            ("negative", -0.1),
            ("memory", 100.1),
            ("pressure", 100.0),
            ("Not a name", 1.0),
        ];
        let health = fold(None, &sent(&odd, 50.0), at(1));
        let kept: Vec<_> = health.signals.iter().collect();
        assert_eq!(kept, [("pressure", 100.0), ("rate", 12.35)]);
        // Without a new sample the old ones stand, as old as they are; with one, what is not reported any more is gone.
        let stale = fold(Some(&health), &sent(&[("rate", 1.0)], f64::NAN), at(2));
        assert_eq!((stale.signal("rate"), stale.sampled_at), (Some(12.35), Some(at(1))));
        let silent = fold(Some(&health), &silence(), at(2));
        assert_eq!(silent.signals, health.signals);
        assert_eq!(fold(Some(&health), &sent(&[], 50.0), at(2)).signal("rate"), None);
    }

    #[test]
    fn s11_a_member_keeps_few_signals() {
        let signals = (0..1_000).map(|n| (format!("s{n}"), 1.0)).collect();
        let health = fold(None, &Observation::Answered(Answer { signals, ..answer(1, 50.0) }), at(1));
        assert_eq!(health.signals.iter().count(), 18);
    }

    #[test]
    fn a_load_is_taken_to_the_hundredth() {
        for (sent, taken) in [(70.0 / 3.0, 23.33), (0.004, 0.0), (0.005, 0.01), (99.996, 100.0), (0.29, 0.29)] {
            let health = fold(None, &Observation::Answered(answer(1, sent)), at(1));
            assert_eq!(health.load.map(Load::percent), Some(taken), "{sent}");
        }
    }

    #[test]
    fn h1_silence_is_counted_from_the_first_miss_and_ends_with_an_answer() {
        let answered = fold(None, &Observation::Answered(answer(1_000, 50.0)), at(1_000));
        let once = fold(Some(&answered), &silence(), at(2_000));
        let twice = fold(Some(&once), &silence(), at(3_000));
        assert_eq!((twice.silent_since, twice.silent_sweeps), (Some(at(2_000)), 2));
        assert_eq!(twice.load, answered.load, "the last load is kept, its age tells");
        let back = fold(Some(&twice), &Observation::Answered(answer(4_000, 50.0)), at(4_000));
        assert_eq!((back.silent_since, back.silent_sweeps, back.first_answer), (None, 0, Some(at(1_000))));
    }

    #[test]
    fn h2_a_blind_sweep_neither_raises_nor_clears_silence() {
        let silent = fold(None, &silence(), at(1_000));
        let unknown = fold(Some(&silent), &Observation::Unknown, at(2_000));
        assert_eq!((unknown.seen, unknown.silent_sweeps, unknown.silent_since), (Seen::Unknown, 1, Some(at(1_000))));
    }

    #[test]
    fn h2_a_failing_application_is_told_apart_from_a_silent_agent() {
        let failing = Answer { application: Application::Failing { detail: "503".into() }, ..answer(1_000, 5.0) };
        let health = fold(None, &Observation::Answered(failing.clone()), at(1_000));
        let health =
            fold(Some(&health), &Observation::Answered(Answer { received_at: at(2_000), ..failing }), at(2_000));
        assert_eq!((health.failing_sweeps, health.failing_since, health.silent_sweeps), (2, Some(at(1_000)), 0));
        let well = fold(Some(&health), &Observation::Answered(answer(3_000, 5.0)), at(3_000));
        assert_eq!((well.failing_sweeps, well.failing_since), (0, None));
        let silent = fold(Some(&well), &silence(), at(4_000));
        let said = [&health, &well, &silent].map(|health| health.detail.as_str());
        assert_eq!(said, ["503", "", "no answer within 1 s"], "each says why, for people");
    }

    #[test]
    fn d3_the_drain_deadline_runs_from_the_first_unregister_delivered() {
        let busy = |ms| Answer { unregistered: true, state: AgentState::Draining, ..answer(ms, 5.0) };
        let first = fold(None, &Observation::Answered(busy(1_000)), at(1_000));
        let second = fold(Some(&first), &Observation::Answered(busy(2_000)), at(2_000));
        assert_eq!(second.unregistered_at, Some(at(1_000)));
        let taken_back = fold(Some(&second), &Observation::Answered(answer(3_000, 5.0)), at(3_000));
        assert_eq!(taken_back.unregistered_at, None);
        // Its acceptance and its effect both belong to a drain.
        for answer in
            [Answer { unregistered: true, ..answer(1_000, 5.0) }, Answer { unregistered: false, ..busy(1_000) }]
        {
            assert_eq!(fold(None, &Observation::Answered(answer), at(1_000)).unregistered_at, None);
        }
    }

    #[test]
    fn m7_a_flood_of_text_is_cut() {
        let text = "x".repeat(1 << 20);
        let flood = Answer { boot_id: text.clone(), version: text, ..answer(1, 1.0) };
        let kept = fold(None, &Observation::Answered(flood), at(1));
        assert_eq!([kept.boot_id.len(), kept.version.len()], [120, 120]);
    }
}
