//! The one EC2 that a server's connections, the control API, the agents and a test share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use crate::agents::{self, AgentDeed, AgentRecord};
use crate::cloud::{Answer, Cloud, Deed, Ledger, NoInstance, Reply, State};
use crate::config::{Config, Settings};
use crate::http;
use crate::rules::{Rule, RuleError};

/// The most deeds to agents that wait.
const MOST_DEEDS: usize = 1024;

/// A fake EC2. Clones are the same one.
#[derive(Clone, Debug)]
pub struct FakeEc2(pub(crate) Arc<Shared>);

/// What everybody shares.
#[derive(Debug)]
pub(crate) struct Shared {
    cloud: Mutex<Cloud>,
    /// The wall's time when this began, and the steady clock's: time never goes back.
    began: (Timestamp, Instant),
    /// Something may have changed that agents follow.
    pub(crate) changed: Notify,
    reported: Mutex<BTreeMap<String, AgentRecord>>,
    /// What comes out of it goes to who follows the agents, which is one server at most.
    deeds: mpsc::Sender<(String, AgentDeed)>,
    received: Mutex<Option<mpsc::Receiver<(String, AgentDeed)>>>,
    agents: Option<crate::config::AgentSettings>,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        let (wall, steady) = self.began;
        wall.checked_add(steady.elapsed()).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn report(&self, records: &BTreeMap<String, AgentRecord>) {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).clone_from(records);
    }
}

impl FakeEc2 {
    /// An EC2 that nobody serves yet: [`Self::call`] and the other methods work, agents do not run.
    pub fn new(config: Config) -> Self {
        let began = (Timestamp::now(), Instant::now());
        let (deeds, received) = mpsc::channel(MOST_DEEDS);
        Self(Arc::new(Shared {
            agents: config.agents.clone(),
            cloud: Mutex::new(Cloud::new(config, began.0)),
            began,
            changed: Notify::new(),
            reported: Mutex::default(),
            deeds,
            received: Mutex::new(Some(received)),
        }))
    }

    /// Serves on `listener` and runs the agents, until the returned value is dropped.
    ///
    /// Agents die with the thread that started them: a runtime of several threads must not use `block_in_place` beside this, which
    /// lets a thread go. Only the first server of an EC2 runs agents.
    pub fn serve(&self, listener: TcpListener) -> std::io::Result<Running> {
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        let server = tasks.spawn(http::serve(self.clone(), listener));
        let received = self.0.received.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(settings), Some(received)) = (self.0.agents.clone(), received) {
            tasks.spawn(agents::follow(self.0.clone(), settings, received));
        }
        Ok(Running { ec2: self.clone(), address, server, _tasks: tasks })
    }

    /// An EC2 on `address` (port 0: the system chooses), until the returned value is dropped.
    pub async fn start(config: Config, address: SocketAddr) -> std::io::Result<Running> {
        Self::new(config).serve(TcpListener::bind(address).await?)
    }

    /// Does one call at once: a form, as in the body of a POST. How long it would have taken is only said.
    pub fn call(&self, form: &[u8]) -> Reply {
        let now = self.0.now();
        let reply = self.0.cloud().call(now, form);
        self.0.changed.notify_one();
        reply
    }

    /// Does one call, with the times that it is on its way.
    pub(crate) async fn call_in_time(&self, form: &[u8]) -> Option<Answer> {
        let held = self.0.cloud().hold(self.0.now(), form);
        tokio::time::sleep(held.latency()).await;
        let reply = self.0.cloud().carry_out(self.0.now(), held);
        self.0.changed.notify_one();
        tokio::time::sleep(reply.latency).await;
        reply.answer
    }

    /// Everything that there is to know, the agents included.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.0.cloud().ledger(self.0.now());
        let reported = self.0.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for instance in &mut ledger.instances {
            // What was reported a moment ago may have ended since.
            let runs = instance.state == State::Running;
            instance.agent = reported.get(&instance.id).filter(|_| runs).cloned();
        }
        ledger
    }

    /// Adds rules, all or none, and says their ids.
    pub fn add_rules(&self, rules: Vec<Rule>) -> Result<Vec<u32>, RuleError> {
        let mut cloud = self.0.cloud();
        let mut all = cloud.rules.clone();
        let ids = rules.into_iter().map(|rule| all.add(rule)).collect::<Result<_, _>>()?;
        cloud.rules = all;
        Ok(ids)
    }

    /// Takes one rule away, or all. Says how many there were.
    pub fn remove_rules(&self, id: Option<u32>) -> usize {
        self.0.cloud().rules.remove(id)
    }

    /// Sets the load that the running instances share, in per cent of one; none has more than 100.
    pub fn set_demand(&self, demand: f64) {
        self.0.cloud().set_demand(demand);
        self.0.changed.notify_one();
    }

    /// Sets an instance's own load; none: its share of the demand.
    pub fn set_load(&self, id: &str, load: Option<f64>) -> Result<(), NoInstance> {
        self.0.cloud().set_load(id, load)?;
        self.0.changed.notify_one();
        Ok(())
    }

    /// Does something to an instance, as somebody outside.
    pub fn deed(&self, id: &str, deed: Deed) -> Result<(), NoInstance> {
        let now = self.0.now();
        self.0.cloud().deed(now, id, deed)?;
        self.0.changed.notify_one();
        Ok(())
    }

    /// Does something to an instance's agent. It is done a moment later.
    pub fn agent(&self, id: &str, deed: AgentDeed) -> Result<(), NoInstance> {
        let known = self.0.reported.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id);
        let sent = known && self.0.deeds.try_send((id.into(), deed)).is_ok();
        if sent { Ok(()) } else { Err(NoInstance(format!("{id} with an agent"))) }
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        self.0.cloud().settings().clone()
    }

    /// Changes the settings. What has been set in motion keeps its times.
    pub fn set_settings(&self, settings: Settings) {
        self.0.cloud().set_settings(settings);
        self.0.changed.notify_one();
    }

    /// Forgets instances, tokens, templates, rules and calls. Settings stay.
    pub fn reset(&self) {
        let now = self.0.now();
        self.0.cloud().reset(now);
        self.0.changed.notify_one();
    }
}

/// A served EC2. It ends, its agents with it, when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// The EC2.
    pub ec2: FakeEc2,
    /// Where it listens.
    pub address: SocketAddr,
    server: AbortHandle,
    _tasks: JoinSet<()>,
}

impl Running {
    /// Where to send calls, as clients want it for `endpoint_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether the server has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.server.is_finished()
    }
}
