//! The control API: the methods of [`FakeEc2`] as JSON over HTTP.

use axum::http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::agents::AgentDeed;
use crate::cloud::{Deed, NoInstance};
use crate::config::Settings;
use crate::rules::{Rule, RuleError};
use crate::shared::FakeEc2;

/// The most rules in one request.
const MOST_AT_ONCE: usize = 1000;

/// What `POST /_fake/demand` takes: either the demand that all share, or one instance's own load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Demand {
    /// For all.
    Shared {
        /// In per cent of one instance.
        demand: f64,
    },
    /// For one.
    Own {
        /// Its id.
        instance: String,
        /// In per cent; none: its share again.
        load: Option<f64>,
    },
}

/// One rule or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Rule>),
    One(Box<Rule>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeedBody {
    deed: Deed,
}

/// Why a request of the control API was refused.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No such path, or not with this method.
    #[error("no such request: see the crate's documentation")]
    Unknown,
    /// The body is not what it should be.
    #[error("the body is not understood: {0}")]
    Body(#[from] serde_json::Error),
    /// The rule cannot be.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// No instance or rule has this id.
    #[error(transparent)]
    NoInstance(#[from] NoInstance),
}

impl ControlError {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Unknown | Self::NoInstance(_) => StatusCode::NOT_FOUND,
            Self::Body(_) | Self::Rule(_) => StatusCode::BAD_REQUEST,
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlError> {
    Ok(serde_json::from_slice(body)?)
}

/// A deed by its name in a path.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, ControlError> {
    serde_json::from_value(Value::from(name)).map_err(|_| ControlError::Unknown)
}

/// Does a request; `path` is what comes after `/_fake/`.
pub(crate) fn handle(ec2: &FakeEc2, method: &Method, path: &str, body: &[u8]) -> Result<Value, ControlError> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let done = json!({});
    match (method.as_str(), &parts[..]) {
        ("GET", ["ledger"]) => return Ok(serde_json::to_value(ec2.ledger())?),
        ("GET", ["settings"]) => return Ok(serde_json::to_value(ec2.settings())?),
        ("POST", ["settings"]) => {
            // What is not named stays: the body is laid over what there is.
            let mut all = serde_json::to_value(ec2.settings())?;
            let changes: serde_json::Map<String, Value> = read(body)?;
            if let Some(all) = all.as_object_mut() {
                all.extend(changes);
            }
            let settings: Settings = serde_json::from_value(all)?;
            ec2.set_settings(settings.clone());
            return Ok(serde_json::to_value(settings)?);
        }
        ("POST", ["rules"]) => {
            let rules = match read(body)? {
                OneOrMany::Many(rules) => rules,
                OneOrMany::One(rule) => vec![*rule],
            };
            if rules.len() > MOST_AT_ONCE {
                return Err(RuleError::Many.into());
            }
            return Ok(json!({ "ids": ec2.add_rules(rules)? }));
        }
        ("DELETE", ["rules"]) => {
            ec2.remove_rules(None);
        }
        ("DELETE", ["rules", id]) => {
            let removed = id.parse().map_or(0, |id| ec2.remove_rules(Some(id)));
            if removed == 0 {
                return Err(ControlError::Unknown);
            }
        }
        ("POST", ["demand"]) => match read(body)? {
            Demand::Shared { demand } => ec2.set_demand(demand),
            Demand::Own { instance, load } => ec2.set_load(&instance, load)?,
        },
        ("POST", ["instances", id]) => ec2.deed(id, read::<DeedBody>(body)?.deed)?,
        ("POST", ["agents", id, deed]) => ec2.agent(id, named::<AgentDeed>(deed)?)?,
        ("POST", ["reset"]) => ec2.reset(),
        _ => return Err(ControlError::Unknown),
    }
    Ok(done)
}
