//! What a fake EC2 is made of, and what of it may change while it runs.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a fake EC2 is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// The region's name.
    pub region: String,
    /// The account that owns everything: 12 digits.
    pub account: String,
    /// The zones, at most 16, each with one subnet.
    pub zones: Vec<Zone>,
    /// The network that private addresses come from: the first two bytes count. Inside 127.0.0.0/8, but not 127.0.
    pub network: Ipv4Addr,
    /// The instance types that exist; empty: any.
    pub instance_types: Vec<String>,
    /// The images that exist; empty: any well-formed id.
    pub images: Vec<String>,
    /// Launch templates that are there from the beginning, each with version 1.
    pub templates: Vec<TemplateSeed>,
    /// Seed of ids and of rules by chance.
    pub seed: u64,
    /// How to start an agent for each running instance; none: instances are only records.
    pub agents: Option<AgentSettings>,
    /// What the control API may change.
    pub settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            region: "us-east-1".into(),
            account: "123456789012".into(),
            zones: ["us-east-1a", "us-east-1b", "us-east-1c"].map(Zone::named).into(),
            network: Ipv4Addr::new(127, 77, 0, 0),
            instance_types: Vec::new(),
            images: Vec::new(),
            templates: Vec::new(),
            seed: 0,
            agents: None,
            settings: Settings::default(),
        }
    }
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name, as in `us-east-1a`.
    pub name: String,
    /// The id of its subnet; none: one is made from its place in the list.
    pub subnet: Option<String>,
}

impl Zone {
    /// A zone whose subnet gets a made-up id.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), subnet: None }
    }
}

/// A launch template that is there from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSeed {
    /// Its name.
    pub name: String,
    /// Its id; none: one is made up.
    pub id: Option<String>,
    /// The image of version 1.
    pub image: String,
    /// The instance type of version 1.
    pub instance_type: String,
}

/// How an agent is started.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The `monitor-c` binary.
    pub binary: PathBuf,
    /// The port that all agents listen on, each at its instance's private address.
    pub port: u16,
    /// How long a drain keeps an agent busy.
    pub drain: Duration,
}

impl AgentSettings {
    /// Agents of `binary` on the agent's own default port, whose drains take a second.
    pub fn new(binary: PathBuf) -> Self {
        Self { binary, port: 7717, drain: Duration::from_secs(1) }
    }
}

/// What may change while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long an instance is `pending`.
    #[serde(rename = "boot_ms", with = "millis")]
    pub boot: Duration,
    /// How long it is `shutting-down` or `stopping`.
    #[serde(rename = "shutdown_ms", with = "millis")]
    pub shutdown: Duration,
    /// How far behind the truth the describing calls are.
    #[serde(rename = "lag_ms", with = "millis")]
    pub lag: Duration,
    /// How long its status checks say `initializing` once it runs.
    #[serde(rename = "checks_ms", with = "millis")]
    pub checks: Duration,
    /// How long a terminated instance is still shown: about an hour at EC2.
    #[serde(rename = "terminated_shown_ms", with = "millis")]
    pub terminated_shown: Duration,
    /// How long a client token is remembered; none: for ever. EC2 documents no time.
    pub token_memory_ms: Option<u64>,
    /// How many instances may live at once: `InstanceLimitExceeded` beyond.
    pub max_instances: u32,
    /// The largest page, whatever `MaxResults` asks for, and without it.
    pub page_size: u32,
    /// How many instances may live in a place at once; every entry that fits a place counts.
    pub capacity: Vec<Capacity>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(2),
            shutdown: Duration::from_secs(1),
            lag: Duration::ZERO,
            checks: Duration::ZERO,
            terminated_shown: Duration::from_secs(3600),
            token_memory_ms: None,
            max_instances: 2000,
            page_size: 1000,
            capacity: Vec::new(),
        }
    }
}

/// A limit on a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// In this zone; none: in any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Of this type; none: of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// At most so many.
    pub instances: u32,
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
