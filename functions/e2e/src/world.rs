//! Everything together: the schedule that invokes MonitorS, the stream that invokes ControllerASG, and what stands around them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use muster_aws::clients::{Connection, Deadlines};
use muster_aws::tables::{Tables, schema};
use muster_control::activity::Event;
use muster_control::ports::{ActivityLog, GroupState, GroupStore};
use muster_core::group::GroupName;
use muster_core::intent::{Call, Intent};
use muster_core::member::{InstanceId, MemberState};
use muster_core::time::Timestamp;
use muster_fake_ec2::{AgentSettings, Config, FakeEc2, InstanceRecord, Running, TemplateSeed, Zone};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cloudformation::CloudFormation;
use crate::function::{Environment, Function, InvokeError};
use crate::parameters::Parameters;
use crate::processes::binary;
use crate::stream::{Delivery, Stream};

/// The launch template that there is.
const TEMPLATE: &str = "lt-0123456789abcdef0";
/// The stack of every world; each has tables of its own.
const STACK: &str = "e2e";
/// How often the stream is read.
const POLL: Duration = Duration::from_millis(100);
/// Deliveries of one batch, as the mapping's retries allow.
const DELIVERIES: u32 = 6;
/// How long a test waits for what must come. Far more than it takes: nothing is measured here.
const PATIENCE: Duration = Duration::from_secs(150);
/// Activities that a check reads.
const ACTIVITIES: usize = 10_000;

/// What a world begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The policy's text.
    pub policy: String,
    /// The lease, in seconds; at least the controller's time-out and a minute.
    pub lease_seconds: u64,
    /// The controller's time-out.
    pub deciding: Duration,
    /// MonitorS' time-out: it sweeps again and again until then.
    pub sweeping: Duration,
    /// Between two events of the schedule. Shorter than `sweeping`, so that invocations overlap as they do on AWS.
    pub schedule: Duration,
    /// What befalls the stream's records.
    pub delivery: Delivery,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: quick_policy(2, 5),
            lease_seconds: 65,
            deciding: Duration::from_secs(5),
            sweeping: Duration::from_secs(8),
            schedule: Duration::from_secs(5),
            delivery: Delivery::default(),
        }
    }
}

/// A policy that lets a test see in seconds what takes minutes elsewhere.
pub fn quick_policy(min: u32, max: u32) -> String {
    json!({
        "min_instances": min, "max_instances": max, "scaling": {"kind": "threshold"},
        "sweep_interval": "1s", "warm_up": "0s", "cooldown_in": "0s", "stabilization_in": "3s",
        "in_window": "1s", "max_in_per_window": {"percent": 100, "at_least": 2},
        "launch": {"template": TEMPLATE, "zones": ["zone-a", "zone-b"], "instance_types": ["small"]},
        "health": {"grace_period": "3s", "unhealthy_after": "3s", "boot_timeout": "30s", "repair_interval": "2s"},
        "drain": {"timeout": "10s"},
    })
    .to_string()
}

/// The two functions and all that they need, on loopback. Everything ends when it is dropped.
#[derive(Debug)]
pub struct World {
    /// EC2.
    pub ec2: FakeEc2,
    _running: Running,
    /// SSM.
    pub parameters: Parameters,
    /// CloudFormation, with the stack's foundation.
    pub cloudformation: CloudFormation,
    /// The tables, as the functions see them.
    pub tables: Tables,
    records: Records,
    /// The group.
    pub group: GroupName,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// The database itself, for what no port shows.
struct Records(Database);

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records")
    }
}

#[derive(Debug)]
struct Shared {
    setup: Setup,
    environment: Environment,
    delivery: Mutex<Delivery>,
    controller: Mutex<Option<Arc<Function>>>,
    monitors: Mutex<Vec<Arc<Function>>>,
    /// Controllers that have died.
    deaths: AtomicU32,
    /// Batches that came after later ones.
    late: AtomicU32,
    /// The group when most members counted at a time, with open launches.
    fullest: Mutex<Option<GroupState>>,
    /// What went wrong in an invocation.
    failures: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Puts everything up, and lets the schedule and the stream run.
    pub async fn start(setup: Setup) -> Self {
        Self::started(setup, |_| {}).await
    }

    /// The same, with EC2 `prepared` before anybody calls it.
    pub async fn started(setup: Setup, prepared: impl FnOnce(&FakeEc2)) -> Self {
        let database = Database::memory().expect("a database in memory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback");
        let dynamodb = format!("http://{}", listener.local_addr().expect("an address"));
        let serving = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let connection = Connection::local(&dynamodb, Deadlines::default()).await;
        schema::create(&connection.dynamodb(), STACK).await.expect("the tables");
        let tables = Tables::new(connection.dynamodb(), STACK);
        let group: GroupName = "web".parse().expect("a name");
        let agents = agents().await;
        let agent_port = agents.1.port;
        let ec2 = start_ec2(agents, prepared).await;
        let parameters = Parameters::start().await.expect("a stub of SSM");
        parameters.set(&muster_aws::parameters::Parameters::name(&group), Some(&setup.policy));
        let cloudformation = CloudFormation::start().await.expect("a stub of CloudFormation");
        cloudformation.seed(&format!("{STACK}-foundation"), &[], &[&format!("{STACK}-ScheduleGroup")]);
        let mut environment = environment(&setup, &dynamodb, &ec2.url(), agent_port, &parameters);
        environment.push(("AWS_ENDPOINT_URL_CLOUDFORMATION".into(), cloudformation.url()));
        let shared = Arc::new(Shared {
            delivery: Mutex::new(setup.delivery),
            setup,
            environment,
            controller: Mutex::default(),
            monitors: Mutex::default(),
            deaths: AtomicU32::new(0),
            late: AtomicU32::new(0),
            fullest: Mutex::default(),
            failures: Mutex::default(),
        });
        let stream = Stream::of(&database, &format!("{STACK}-sweeps"));
        let tasks = vec![
            serving,
            tokio::spawn(deliver(Arc::clone(&shared), stream)),
            tokio::spawn(schedule(Arc::clone(&shared), group.clone())),
            tokio::spawn(watch(Arc::clone(&shared), tables.clone(), group.clone())),
        ];
        Self {
            ec2: ec2.ec2.clone(),
            _running: ec2,
            parameters,
            cloudformation,
            tables,
            records: Records(database),
            group,
            shared,
            tasks,
        }
    }

    /// The sort keys of all that one of the tables holds of the group.
    pub fn keys(&self, table: &str) -> Vec<String> {
        let pk = format!("GROUP#{}", self.group);
        let request = json!({
            "TableName": format!("{STACK}-{table}"), "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}}, "ConsistentRead": true,
        });
        let answer = self.records.0.query(serde_json::from_value(request).expect("a request")).expect("an answer");
        let answer = serde_json::to_value(answer).expect("plain data");
        let items = answer["Items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["sk"]["S"].as_str().map(str::to_owned)).collect()
    }

    /// Changes what befalls the stream's records from now on.
    pub fn deliver(&self, delivery: Delivery) {
        *lock(&self.shared.delivery) = delivery;
    }

    /// Kills the controller's process; the next batch gets a new one.
    pub fn kill_controller(&self) {
        lock(&self.shared.controller).iter().for_each(|controller| controller.kill());
    }

    /// Controllers that have died so far.
    pub fn deaths(&self) -> u32 {
        self.shared.deaths.load(Ordering::Relaxed)
    }

    /// Batches of the stream that came after later ones.
    pub fn late(&self) -> u32 {
        self.shared.late.load(Ordering::Relaxed)
    }

    /// The group as it is stored; none before its first decision.
    pub async fn state(&self) -> Option<GroupState> {
        self.tables.read(&self.group).await.expect("the tables can be read")
    }

    /// Waits until the group is as `wanted`.
    ///
    /// # Panics
    /// When that does not come about in good time; it says what there is instead.
    pub async fn until(&self, what: &str, wanted: impl Fn(&GroupState) -> bool) -> GroupState {
        let come = async {
            loop {
                if let Some(state) = self.state().await.filter(|state| wanted(state)) {
                    return state;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(PATIENCE, come).await {
            Ok(state) => state,
            Err(_) => panic!("{what} has not come about.\n{}", self.story().await),
        }
    }

    /// Waits until something is true of EC2.
    pub async fn until_ec2(&self, what: &str, wanted: impl Fn(&FakeEc2) -> bool) {
        let come = async {
            while !wanted(&self.ec2) {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(PATIENCE, come).await.is_err() {
            panic!("{what} has not come about.\n{}", self.story().await);
        }
    }

    /// What has happened, for a failed test.
    pub async fn story(&self) -> String {
        let state = self.state().await;
        let mut logs = Vec::new();
        for function in lock(&self.shared.monitors).iter().chain(lock(&self.shared.controller).iter()) {
            let lines = function.lines();
            logs.extend(lines.into_iter().rev().filter(|line| !line.contains("_aws")).take(25));
        }
        let failures = lock(&self.shared.failures).join("\n");
        format!("state: {state:#?}\nfailures: {failures}\nlogs:\n{}", logs.join("\n"))
    }

    /// Every line that the functions in place have written as JSON.
    pub fn lines(&self) -> Vec<Value> {
        let monitors = lock(&self.shared.monitors).clone();
        let controller = lock(&self.shared.controller).clone();
        monitors.iter().chain(controller.iter()).flat_map(|function| function.json_lines()).collect()
    }

    /// Invocations that reported an error, ran out of time or died.
    pub fn failures(&self) -> Vec<String> {
        lock(&self.shared.failures).clone()
    }

    /// Every instance that this stack has ever launched.
    pub fn instances(&self) -> Vec<InstanceRecord> {
        let ours = |instance: &InstanceRecord| instance.tags.get("muster:stack").is_some_and(|stack| stack == STACK);
        self.ec2.ledger().instances.into_iter().filter(ours).collect()
    }

    /// What this machine's user would see of everything, for a command: endpoints, region, credentials, stack.
    pub fn environment(&self) -> Environment {
        self.shared.environment.clone()
    }

    /// Checks what must hold of the ledger whatever happened (S1-S3): every instance was launched for an intent, no intent has
    /// two, and the members that count were never more than `max`.
    pub async fn check_ledger(&self, max: u32) {
        let mut instances: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for instance in self.instances() {
            let intent = instance.intent.unwrap_or_else(|| panic!("{} has no intent (S3)", instance.id));
            instances.entry(intent).or_default().push(instance.id);
        }
        let twice: Vec<_> = instances.iter().filter(|(_, ids)| ids.len() > 1).collect();
        assert!(twice.is_empty(), "intents with two instances (S2): {twice:?}");
        let known = self.known_intents().await;
        let unknown: Vec<_> = instances.keys().filter(|intent| !known.contains(*intent)).collect();
        assert!(unknown.is_empty(), "instances without a committed intent (S3): {unknown:?}");
        if let Some(state) = &*lock(&self.shared.fullest) {
            let peak = actual(state);
            assert!(peak <= max, "{peak} members counted at a time, above {max} (S1): {state:#?}");
        }
    }

    /// Every intent that is open or has ended.
    async fn known_intents(&self) -> BTreeSet<String> {
        let open = self.state().await.map(|state| state.intents).unwrap_or_default();
        let open = open.into_iter().map(|intent| intent.id.0);
        let log = self.tables.since(&self.group, Timestamp::EPOCH, ACTIVITIES).await.expect("the activities");
        let ended = log.into_iter().filter_map(|activity| match activity.event {
            Event::Launched { intent, .. } | Event::Terminated { intent, .. } | Event::Abandoned { intent, .. } => {
                Some(intent.0)
            }
            _ => None,
        });
        open.chain(ended).collect()
    }

    /// What happened to the group, in order.
    pub async fn events(&self) -> Vec<Event> {
        let log = self.tables.since(&self.group, Timestamp::EPOCH, ACTIVITIES).await.expect("the activities");
        log.into_iter().map(|activity| activity.event).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Members whose agents have answered and that are to stay.
pub fn serving(state: &GroupState) -> Vec<InstanceId> {
    let active = state.members.iter().filter(|member| member.state == MemberState::Active);
    active.map(|member| member.id.clone()).collect()
}

/// Members that count in *actual*, with open launches (C2, C3).
fn actual(state: &GroupState) -> u32 {
    let counts = |state: &MemberState| matches!(state, MemberState::Pending | MemberState::Active);
    let members = state.members.iter().filter(|member| counts(&member.state)).count();
    // A read is no snapshot: a launch that was settled between its intents and its members is a member by now.
    let settled = |intent: &Intent| state.members.iter().any(|member| member.intent == intent.id);
    let open = |intent: &&Intent| matches!(intent.call, Call::Launch(_)) && !settled(intent);
    let launches = state.intents.iter().filter(open).count();
    u32::try_from(members + launches).unwrap_or(u32::MAX)
}

/// A net of loopback for one world, and a port that is free there: worlds of one process stand side by side.
async fn agents() -> (Ipv4Addr, AgentSettings) {
    static NETS: AtomicU8 = AtomicU8::new(0);
    let network = Ipv4Addr::new(127, 100 + NETS.fetch_add(1, Ordering::Relaxed) % 100, 0, 0);
    let free = TcpListener::bind((Ipv4Addr::from(u32::from(network) + 1), 0)).await.expect("a port of loopback");
    let port = free.local_addr().expect("an address").port();
    (network, AgentSettings { port, ..AgentSettings::new(binary("monitor-c")) })
}

async fn start_ec2((network, agents): (Ipv4Addr, AgentSettings), prepared: impl FnOnce(&FakeEc2)) -> Running {
    let template = TemplateSeed {
        name: "web".into(),
        id: Some(TEMPLATE.into()),
        image: "ami-0123456789abcdef0".into(),
        instance_type: "small".into(),
    };
    let ec2 = FakeEc2::new(Config {
        zones: vec![Zone::named("zone-a"), Zone::named("zone-b")],
        network,
        templates: vec![template],
        agents: Some(agents),
        ..Config::default()
    });
    prepared(&ec2);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback");
    ec2.serve(listener).expect("an EC2")
}

fn environment(setup: &Setup, dynamodb: &str, ec2: &str, agent_port: u16, parameters: &Parameters) -> Environment {
    let own = [
        ("MUSTER_STACK", STACK.to_owned()),
        ("MUSTER_AGENT_PORT", agent_port.to_string()),
        ("MUSTER_LEASE_SECONDS", setup.lease_seconds.to_string()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.to_owned()),
        ("AWS_ENDPOINT_URL_EC2", ec2.to_owned()),
        ("AWS_ENDPOINT_URL_SSM", parameters.url()),
    ];
    own.map(|(key, value)| (key.to_owned(), value)).into()
}

/// The schedule: an event for MonitorS again and again, each to the next of three execution environments.
async fn schedule(shared: Arc<Shared>, group: GroupName) {
    let monitor = binary("monitor-s");
    for _ in 0..3 {
        let function = Function::start(&monitor, &shared.environment).await.expect("monitor-s starts");
        lock(&shared.monitors).push(Arc::new(function));
    }
    let monitors = lock(&shared.monitors).clone();
    for monitor in monitors.iter().cycle() {
        let (monitor, shared_too) = (Arc::clone(monitor), Arc::clone(&shared));
        let event = json!({ "group": group });
        tokio::spawn(async move {
            let outcome = monitor.invoke(&event, shared_too.setup.sweeping).await;
            note(&shared_too, "monitor-s", outcome.err());
        });
        tokio::time::sleep(shared.setup.schedule).await;
    }
}

/// The mapping: reads the stream and hands each batch to the controller, again when that fails.
async fn deliver(shared: Arc<Shared>, mut stream: Stream) {
    loop {
        let delivery = *lock(&shared.delivery);
        let events = stream.events(delivery);
        shared.late.store(stream.late(), Ordering::Relaxed);
        for event in events {
            for _ in 0..DELIVERIES {
                let controller = controller(&shared).await;
                match controller.invoke(&event, shared.setup.deciding).await {
                    Ok(answer) => {
                        if answer["batchItemFailures"].as_array().is_none_or(|failed| !failed.is_empty()) {
                            lock(&shared.failures).push(format!("controller-asg: a batch failed: {answer}"));
                        }
                        break;
                    }
                    Err(error) => {
                        if !matches!(error, InvokeError::Reported(_)) {
                            // Lambda ends an environment that ran out of time; a dead one has ended.
                            controller.kill();
                            *lock(&shared.controller) = None;
                            shared.deaths.fetch_add(1, Ordering::Relaxed);
                        }
                        note(&shared, "controller-asg", Some(error));
                    }
                }
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The controller in place, or a new one.
async fn controller(shared: &Arc<Shared>) -> Arc<Function> {
    let present = lock(&shared.controller).clone();
    if let Some(controller) = present {
        return controller;
    }
    let started = Function::start(&binary("controller-asg"), &shared.environment).await;
    let started = Arc::new(started.expect("controller-asg starts"));
    *lock(&shared.controller) = Some(Arc::clone(&started));
    started
}

fn note(shared: &Shared, function: &str, error: Option<InvokeError>) {
    lock(&shared.failures).extend(error.map(|error| format!("{function}: {error:?}")));
}

/// Looks at the group again and again, and remembers how many members counted at most.
async fn watch(shared: Arc<Shared>, tables: Tables, group: GroupName) {
    loop {
        if let Ok(Some(state)) = tables.read(&group).await {
            let mut fullest = lock(&shared.fullest);
            if fullest.as_ref().is_none_or(|fullest| actual(fullest) < actual(&state)) {
                *fullest = Some(state);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}
