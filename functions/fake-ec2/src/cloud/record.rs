//! What is remembered of everything, for whoever checks a run; and the deeds that come from outside.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::config::Settings;
use crate::query::{Params, Texts};
use crate::rules::{Rule, RuleError, RuleState};

use super::instance::{Ending, State};
use super::{Cloud, MOST_CALLS, running};

/// The tag that names the intent of a launch.
const INTENT_TAG: &str = "muster:intent";

/// Everything that there is to know.
#[derive(Clone, Debug, Serialize)]
pub struct Ledger {
    /// When this was.
    #[serde(serialize_with = "shown")]
    pub now: Timestamp,
    /// Every instance ever, in the order of their launches.
    pub instances: Vec<InstanceRecord>,
    /// The launch templates.
    pub templates: Vec<TemplateRecord>,
    /// The latest calls, oldest first.
    pub calls: Vec<CallRecord>,
    /// How many calls there have been, those that are no longer here included.
    pub calls_total: u64,
    /// The rules.
    pub rules: Vec<RuleState>,
    /// The settings.
    pub settings: Settings,
    /// The load that the running instances share, in per cent of one.
    pub demand: f64,
}

/// An instance.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceRecord {
    /// Its id.
    pub id: String,
    /// Its reservation: the launch that made it.
    pub reservation: String,
    /// Its state now, in truth.
    pub state: State,
    /// The client token of its launch.
    pub token: Option<String>,
    /// Its tag `muster:intent`.
    pub intent: Option<String>,
    /// Its tags now.
    pub tags: Texts,
    /// Its zone's name.
    pub zone: String,
    /// Its subnet.
    pub subnet: String,
    /// Its type.
    pub instance_type: String,
    /// Its image.
    pub image: String,
    /// The launch template's id.
    pub template: Option<String>,
    /// The launch template's version.
    pub template_version: Option<u64>,
    /// Its private address.
    pub address: Ipv4Addr,
    /// When it was launched, or started for the last time.
    #[serde(serialize_with = "shown")]
    pub launched: Timestamp,
    /// When its shutting down began.
    #[serde(serialize_with = "shown_if")]
    pub ended: Option<Timestamp>,
    /// Who ended it.
    pub ended_by: Option<Ending>,
    /// Its own load, when the demand does not count for it.
    pub load: Option<f64>,
    /// Its agent, where agents are started; filled in by who runs them.
    pub agent: Option<crate::agents::AgentRecord>,
}

/// A launch template.
#[derive(Clone, Debug, Serialize)]
pub struct TemplateRecord {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its default version.
    pub default_version: u64,
    /// Its latest version.
    pub latest_version: u64,
}

/// A call.
#[derive(Clone, Debug, Serialize)]
pub struct CallRecord {
    /// Its number, from 1.
    pub number: u64,
    /// When it came.
    #[serde(serialize_with = "shown")]
    pub time: Timestamp,
    /// Its action; empty when it had none.
    pub action: String,
    /// The code that it failed with; none when it succeeded, or was not answered.
    pub code: Option<String>,
    /// The HTTP status; none when the connection was closed.
    pub status: Option<u16>,
    /// The request's id.
    pub request: String,
    /// The client token.
    pub token: Option<String>,
    /// The instances that it has launched, ended or changed, or in a repeated launch found.
    pub instances: Vec<String>,
    /// The rule that spoke.
    pub rule: Option<u32>,
}

/// Times are RFC 3339 texts.
fn shown<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn shown_if<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(serializer)
}

/// What of a call is known before it is done.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub(super) action: String,
    pub(super) token: Option<String>,
    pub(super) code: Option<String>,
}

impl Call {
    pub(super) fn of(action: &str, params: &Params) -> Self {
        // What a caller makes up is cut: the log stays bounded.
        let short = |text: &str| text.chars().take(128).collect();
        Self { action: short(action), token: params.peek("ClientToken").map(short), code: None }
    }
}

/// What somebody outside does to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Terminates it.
    Terminate,
    /// EC2 takes it back: Spot.
    SpotTake,
    /// Stops it.
    Stop,
    /// Starts it.
    Start,
    /// Its status checks fail.
    Impair,
    /// Its status checks pass again.
    Heal,
}

/// No instance has this id.
#[derive(Debug, thiserror::Error)]
#[error("no instance {0}")]
pub struct NoInstance(pub String);

/// An instance that has to have an agent, and its load.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) id: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) number: usize,
    /// When this life of it began: a stopped instance that is started again boots anew.
    pub(crate) life: Timestamp,
    pub(crate) load: f64,
}

impl Cloud {
    pub(super) fn log(
        &mut self,
        call: Call,
        rule: Option<u32>,
        instances: Vec<String>,
        time: Timestamp,
        request: String,
        status: Option<u16>,
    ) {
        self.calls_total += 1;
        if self.calls.len() == MOST_CALLS {
            self.calls.pop_front();
        }
        let Call { action, token, code } = call;
        let number = self.calls_total;
        self.calls.push_back(CallRecord { number, time, action, code, status, request, token, instances, rule });
    }

    /// Everything that there is to know.
    pub fn ledger(&self, now: Timestamp) -> Ledger {
        let instances = self.instances.iter().enumerate().filter_map(|(at, instance)| {
            let tags = self.tags_of(at, now);
            Some(InstanceRecord {
                id: instance.id.clone(),
                reservation: instance.reservation.clone(),
                state: instance.state(now)?,
                token: instance.token.clone(),
                intent: tags.get(INTENT_TAG).cloned(),
                tags,
                zone: instance.zone.clone(),
                subnet: instance.subnet.clone(),
                instance_type: instance.instance_type.clone(),
                image: instance.image.clone(),
                template: instance.template.as_ref().map(|(id, _)| id.clone()),
                template_version: instance.template.as_ref().map(|(_, version)| *version),
                address: instance.address,
                launched: instance.launched,
                ended: instance.ending.and_then(|_| instance.states.since(|state| *state == State::ShuttingDown)),
                ended_by: instance.ending,
                load: instance.load,
                agent: None,
            })
        });
        let templates = self.templates.iter().map(|template| TemplateRecord {
            id: template.id.clone(),
            name: template.name.clone(),
            default_version: template.default,
            latest_version: template.latest(),
        });
        Ledger {
            now,
            instances: instances.collect(),
            templates: templates.collect(),
            calls: self.calls.iter().cloned().collect(),
            calls_total: self.calls_total,
            rules: self.rules.states().to_vec(),
            settings: self.config.settings.clone(),
            demand: self.demand,
        }
    }

    /// Does a deed to an instance, without any call.
    pub fn deed(&mut self, now: Timestamp, id: &str, deed: Deed) -> Result<(), NoInstance> {
        let settings = self.config.settings.clone();
        let at = self.by_id.get(id).ok_or_else(|| NoInstance(id.into()))?;
        let instance = &mut self.instances[*at];
        match deed {
            Deed::Terminate => instance.terminate(now, settings.shutdown, Ending::Outside),
            Deed::SpotTake => instance.terminate(now, settings.shutdown, Ending::Spot),
            Deed::Stop if instance.state(now) == Some(State::Running) => instance.stop(now, settings.shutdown),
            Deed::Start if instance.state(now) == Some(State::Stopped) => instance.start(now, settings.boot),
            Deed::Stop | Deed::Start => {}
            Deed::Impair => instance.impaired.set(now, true),
            Deed::Heal => instance.impaired.set(now, false),
        }
        Ok(())
    }

    /// Adds a rule and says its id.
    pub fn add_rule(&mut self, rule: Rule) -> Result<u32, RuleError> {
        self.rules.add(rule)
    }

    /// Sets the load that the running instances share.
    pub fn set_demand(&mut self, demand: f64) {
        self.demand = if demand.is_finite() { demand.max(0.0) } else { 0.0 };
    }

    /// Sets an instance's own load; none: its share of the demand.
    pub fn set_load(&mut self, id: &str, load: Option<f64>) -> Result<(), NoInstance> {
        let at = self.by_id.get(id).ok_or_else(|| NoInstance(id.into()))?;
        self.instances[*at].load = load.filter(|load| load.is_finite());
        Ok(())
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.config.settings
    }

    /// Changes the settings. What has been set in motion keeps its times.
    pub fn set_settings(&mut self, settings: Settings) {
        self.config.settings = settings;
    }

    /// Every running instance, with the load that its agent should show.
    pub(crate) fn wanted_agents(&self, now: Timestamp) -> Vec<Wanted> {
        let running = running(&self.instances, now);
        let count = f64::from(u32::try_from(running).unwrap_or(u32::MAX).max(1));
        let share = self.demand / count;
        let instances = self.instances.iter().enumerate();
        let wanted = instances.filter(|(_, instance)| instance.state(now) == Some(State::Running));
        let wanted = wanted.map(|(number, instance)| Wanted {
            id: instance.id.clone(),
            address: instance.address,
            number,
            life: instance.launched,
            load: instance.load.unwrap_or(share).clamp(0.0, 100.0),
        });
        wanted.collect()
    }
}
