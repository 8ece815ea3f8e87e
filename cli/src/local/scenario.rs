//! Scenarios: how much work there is in total, second by second, and what befalls the agents.
//!
//! Demand is counted in instances: 100 keeps one instance busy. It is spread over the instances that run, so scaling out
//! really lowers the load.

use std::path::Path;
use std::time::Duration;

use muster_core::policy::Span;
use serde::Deserialize;

use crate::failure::Failure;
use crate::policy::read;

/// The longest a phase may last, and the latest an event may come.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The most work there may be: ten thousand instances at 100 %.
const MOST_DEMAND: f64 = 1e6;
/// Phases or events that a scenario may have.
const MOST_ENTRIES: usize = 10_000;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line for people.
    #[serde(default)]
    pub title: String,
    /// One after the other; the last one's demand stays.
    #[serde(default, rename = "phase")]
    phases: Vec<Phase>,
    /// What befalls the agents.
    #[serde(default, rename = "event")]
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phase {
    /// How long it lasts.
    #[serde(rename = "for")]
    lasts: Span,
    /// The total demand; 100 is one instance at 100 %.
    demand: f64,
    /// Whether the demand moves there evenly over the phase, instead of at once.
    #[serde(default)]
    ramp: bool,
}

/// Something that befalls agents.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When, from the start.
    pub at: Span,
    /// What.
    #[serde(rename = "do")]
    pub what: What,
    /// How many agents: the oldest running ones. Default: all.
    #[serde(default)]
    pub agents: Option<u32>,
    /// How long a freeze lasts. Default: until a thaw.
    #[serde(default, rename = "for")]
    pub lasts: Option<Span>,
}

/// What can befall an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Its process is stopped: it is silent, its connections stay.
    Freeze,
    /// It goes on.
    Thaw,
    /// Its process is killed; the instance runs on, as EC2 would have it.
    Kill,
}

impl Scenario {
    /// The scenario of that name, or in that TOML file.
    pub fn load(name: &str) -> Result<Self, Failure> {
        let text = match name {
            "calm" => include_str!("../../scenarios/calm.toml").to_owned(),
            "surge" => include_str!("../../scenarios/surge.toml").to_owned(),
            "blackout" => include_str!("../../scenarios/blackout.toml").to_owned(),
            "day" => include_str!("../../scenarios/day.toml").to_owned(),
            "flash" => include_str!("../../scenarios/flash.toml").to_owned(),
            file if file.ends_with(".toml") => read(Path::new(file))?,
            other => {
                return Err(Failure::Input(format!(
                    "--scenario is {other:?}: must be calm, surge, blackout, day, flash or a file that ends in .toml"
                )));
            }
        };
        Self::parse(name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let mut scenario: Self =
            toml::from_str(text).map_err(|error| Failure::input(&format!("the scenario {name} is refused"), &error))?;
        scenario.check().map_err(|why| Failure::Input(format!("the scenario {name} is refused: {why}")))?;
        if scenario.title.is_empty() {
            scenario.title = name.to_owned();
        }
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        if self.phases.is_empty() {
            return Err("it has no [[phase]]".into());
        }
        if self.phases.len().max(self.events.len()) > MOST_ENTRIES {
            return Err(format!("it has more than {MOST_ENTRIES} phases or events"));
        }
        for (n, phase) in self.phases.iter().enumerate() {
            if !(0.0..=MOST_DEMAND).contains(&phase.demand) {
                return Err(format!("phase {} has demand = {}: must be from 0 to {MOST_DEMAND}", n + 1, phase.demand));
            }
            if phase.lasts.0 > LONGEST {
                return Err(format!("phase {} has for = {}: must be at most 24h", n + 1, phase.lasts));
            }
        }
        for (n, event) in self.events.iter().enumerate() {
            if event.at.0 > LONGEST || event.lasts.is_some_and(|lasts| lasts.0 > LONGEST) {
                return Err(format!("event {} has a time beyond 24h", n + 1));
            }
            if event.agents == Some(0) {
                return Err(format!("event {} has agents = 0: must be at least 1", n + 1));
            }
        }
        Ok(())
    }

    /// The total demand after `elapsed`.
    pub fn demand(&self, elapsed: Duration) -> f64 {
        let mut start = Duration::ZERO;
        let mut from = self.phases.first().map_or(0.0, |phase| phase.demand);
        for phase in &self.phases {
            let end = start + phase.lasts.0;
            if elapsed < end {
                if !phase.ramp {
                    return phase.demand;
                }
                let share = (elapsed - start).as_secs_f64() / phase.lasts.0.as_secs_f64();
                return from + (phase.demand - from) * share;
            }
            (start, from) = (end, phase.demand);
        }
        from
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(scenario: &Scenario, seconds: u64) -> f64 {
        scenario.demand(Duration::from_secs(seconds))
    }

    #[test]
    fn demand_steps_ramps_and_stays() {
        let text = "[[phase]]\nfor = \"10s\"\ndemand = 50\n[[phase]]\nfor = \"10s\"\ndemand = 150\nramp = true\n\
                    [[phase]]\nfor = \"5s\"\ndemand = 20";
        let scenario = Scenario::parse("test", text).unwrap();
        let demands = [0, 9, 10, 15, 20, 24, 25, 1_000].map(|s| at(&scenario, s));
        assert_eq!(demands, [50.0, 50.0, 50.0, 100.0, 20.0, 20.0, 20.0, 20.0]);
    }

    #[test]
    fn the_built_in_scenarios_are_valid() {
        for name in ["calm", "surge", "blackout", "day", "flash"] {
            assert!(at(&Scenario::load(name).unwrap(), 0) > 0.0, "{name}");
        }
    }

    #[test]
    fn a_day_takes_five_minutes_and_a_flash_crowd_is_ten_times_the_usual_load() {
        let day = Scenario::load("day").unwrap();
        let lasts: Duration = day.phases.iter().map(|phase| phase.lasts.0).sum();
        assert_eq!(lasts, Duration::from_secs(288), "twelve seconds an hour");
        let hours: Vec<f64> = (0..24).map(|hour| at(&day, 12 * hour)).collect();
        let night = hours.iter().copied().fold(f64::MAX, f64::min);
        let noon = hours.iter().copied().fold(0.0, f64::max);
        assert!(noon / night >= 4.0 && noon <= 350.0, "{hours:?}");
        assert_eq!(at(&day, 0), at(&day, 288), "it ends where it began");
        let flash = Scenario::load("flash").unwrap();
        let usual = at(&flash, 0);
        let most = (0..120).map(|second| at(&flash, second)).fold(0.0, f64::max);
        assert_eq!((most, at(&flash, 1_000)), (10.0 * usual, usual));
    }

    #[test]
    fn a_wrong_scenario_is_refused_with_the_place() {
        for (text, says) in [
            ("", "it has no [[phase]]"),
            ("[[phase]]\nfor = \"10s\"\ndemand = -1", "phase 1 has demand = -1: must be from 0"),
            ("[[phase]]\nfor = \"10s\"\ndemand = nan", "phase 1 has demand = NaN"),
            ("[[phase]]\nfor = \"30h\"\ndemand = 1", "must be at most 24h"),
            ("[[phase]]\nfor = 10\ndemand = 1", "a span with its unit"),
            ("[[phase]]\nfor = \"1s\"\ndemand = 1\nspeed = 2", "unknown field `speed`"),
            ("[[phase]]\nfor = \"1s\"\ndemand = 1\n[[event]]\nat = \"1s\"\ndo = \"burn\"", "unknown variant `burn`"),
            ("[[phase]]\nfor = \"1s\"\ndemand = 1\n[[event]]\nat = \"1s\"\ndo = \"kill\"\nagents = 0", "agents = 0"),
        ] {
            let said = Scenario::parse("test", text).unwrap_err().to_string();
            assert!(said.contains(says), "{text}\nsaid: {said}");
        }
        assert!(
            Scenario::load("rush")
                .unwrap_err()
                .to_string()
                .contains("must be calm, surge, blackout, day, flash or a file")
        );
    }
}
