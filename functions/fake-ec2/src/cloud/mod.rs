//! EC2 as a state machine: a call and a time go in, an answer comes out. No clock, no network, no process is in here.
//!
//! What will happen by time alone is written down when it is caused ([`instance::History`]): an instance that is launched at 0 s is
//! `pending` from 0 s and `running` from 2 s, and nothing has to tick for it.

mod change;
mod describe;
pub(crate) mod instance;
mod launch;
mod page;
mod places;
mod record;
mod template;
mod templates;
mod token;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::query::{Params, Texts};
use crate::rules::{Matter, Rules, Stage, Subject, Verdict};
use crate::xml;

use instance::Instance;
use places::Place;
use record::Call;
use template::Template;
use templates::MadeTemplate;
use token::TokenUse;

pub use instance::{Ending, State};
pub(crate) use record::Wanted;
pub use record::{CallRecord, Deed, InstanceRecord, Ledger, NoInstance, TemplateRecord};

/// The most instances ever, so that the ledger stays bounded.
const MOST_EVER: usize = 50_000;
/// The most calls that are kept.
const MOST_CALLS: usize = 10_000;
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
const MOST_TAGS: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// EC2, as it is between two calls.
#[derive(Clone, Debug)]
pub struct Cloud {
    config: Config,
    random: fastrand::Rng,
    places: Vec<Place>,
    instances: Vec<Instance>,
    by_id: BTreeMap<String, usize>,
    tokens: BTreeMap<String, Vec<TokenUse>>,
    templates: Vec<Template>,
    made_templates: BTreeMap<String, MadeTemplate>,
    pub(crate) rules: Rules,
    calls: VecDeque<CallRecord>,
    calls_total: u64,
    demand: f64,
}

/// What comes back for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How long the answer is on its way.
    pub latency: Duration,
    /// The answer; none: the connection is closed without one.
    pub answer: Option<Answer>,
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The request's id, which the body holds, too.
    pub request: String,
    /// XML.
    pub body: String,
}

/// A call on its way.
#[derive(Clone, Debug)]
pub struct Held {
    request: Result<(String, Params), Fault>,
    verdict: Verdict,
}

impl Held {
    /// How long it is on its way.
    pub const fn latency(&self) -> Duration {
        self.verdict.latency
    }
}

/// What an action learns and leaves beside its answer.
struct Context {
    now: Timestamp,
    latency: Duration,
    rule: Option<u32>,
    instances: Vec<String>,
}

impl Cloud {
    /// An empty EC2 with the launch templates of its configuration.
    pub fn new(config: Config, now: Timestamp) -> Self {
        let mut cloud = Self {
            random: fastrand::Rng::with_seed(config.seed),
            places: Place::all(&config),
            instances: Vec::new(),
            by_id: BTreeMap::new(),
            tokens: BTreeMap::new(),
            templates: Vec::new(),
            made_templates: BTreeMap::new(),
            rules: Rules::default(),
            calls: VecDeque::new(),
            calls_total: 0,
            demand: 0.0,
            config,
        };
        cloud.seed_templates(now);
        cloud
    }

    fn seed_templates(&mut self, now: Timestamp) {
        for seed in self.config.templates.clone() {
            let id = seed.id.clone().unwrap_or_else(|| self.fresh_id("lt-"));
            self.templates.push(Template::seeded(&seed, id, now));
        }
    }

    /// Forgets everything but its configuration. Ids and addresses do not come again.
    pub fn reset(&mut self, now: Timestamp) {
        let fresh = Self::new(self.config.clone(), now);
        let (random, places) = (self.random.clone(), self.places.clone());
        *self = Self { random, places, templates: Vec::new(), ..fresh };
        self.seed_templates(now);
    }

    /// Does one call: a form as it comes in the body of a POST. Time stands still meanwhile.
    pub fn call(&mut self, now: Timestamp, form: &[u8]) -> Reply {
        let held = self.hold(now, form);
        let before = held.latency();
        let reply = self.carry_out(now, held);
        Reply { latency: before + reply.latency, ..reply }
    }

    /// The first half of a call: what the rules say before anything is done. Some of them hold it up on its way.
    pub fn hold(&mut self, now: Timestamp, form: &[u8]) -> Held {
        let request = Params::read(form);
        let verdict = request.as_ref().map_or_else(
            |_| Verdict::default(),
            |(action, params)| {
                let subjects = self.subjects(action, params, now);
                self.rules.judge(Stage::Before, &Matter { action, token: params.peek("ClientToken"), subjects })
            },
        );
        Held { request, verdict }
    }

    /// The second half, at the same time or later.
    pub fn carry_out(&mut self, now: Timestamp, held: Held) -> Reply {
        let request = self.request_id();
        let mut context = Context { now, latency: Duration::ZERO, rule: None, instances: Vec::new() };
        let mut call = Call::default();
        let result = match held.request {
            Err(fault) => Some(Err(fault)),
            Ok((action, params)) => {
                call = Call::of(&action, &params);
                match held.verdict.rule {
                    Some((id, rule)) => {
                        context.rule = Some(id);
                        rule.answer().map(Err)
                    }
                    None => self.judged(&action, params, &mut context),
                }
            }
        };
        let answer = result.map(|result| match result {
            Ok(xml) => Answer { status: 200, body: xml.answer(&call.action, &request), request: request.clone() },
            Err(fault) => {
                call.code = Some(fault.code.clone());
                Answer { status: fault.status, body: xml::failure(&fault, &request), request: request.clone() }
            }
        });
        self.log(call, context.rule, context.instances, now, request, answer.as_ref().map(|answer| answer.status));
        Reply { latency: context.latency, answer }
    }

    /// The action, and the rules that speak when it is done; none: no answer.
    fn judged(&mut self, action: &str, params: Params, context: &mut Context) -> Option<Result<xml::Xml, Fault>> {
        let token = params.peek("ClientToken").map(str::to_owned);
        let subjects = self.subjects(action, &params, context.now);
        let result = self.act(action, params, context);
        let after = self.rules.judge(Stage::After, &Matter { action, token: token.as_deref(), subjects });
        context.latency += after.latency;
        match after.rule {
            None => Some(result),
            Some((id, rule)) => {
                context.rule = Some(id);
                rule.answer().map(Err)
            }
        }
    }

    /// What the call is about: the launch, or the instances that it names.
    fn subjects(&self, action: &str, params: &Params, now: Timestamp) -> Vec<Subject> {
        if action == "RunInstances" {
            return vec![self.launch_subject(params)];
        }
        let mut params = params.clone();
        let ids = params.list("InstanceId").unwrap_or_default().into_iter();
        let ids = ids.chain(params.list("ResourceId").unwrap_or_default());
        let known = ids.filter_map(|id| self.by_id.get(&id).copied());
        let subject = |at: usize| {
            let instance = &self.instances[at];
            Subject {
                places: vec![instance.zone.clone(), instance.subnet.clone()],
                instance_type: instance.instance_type.clone(),
                id: Some(instance.id.clone()),
                tags: self.tags_of(at, now),
            }
        };
        known.map(subject).collect()
    }

    fn act(&mut self, action: &str, params: Params, context: &mut Context) -> Result<xml::Xml, Fault> {
        let now = context.now;
        match action {
            "RunInstances" => self.run_instances(context, params),
            "DescribeInstances" => self.describe_instances(now, params),
            "DescribeInstanceStatus" => self.describe_instance_status(now, params),
            "TerminateInstances" => self.terminate_instances(context, params),
            "StopInstances" => self.stop_instances(context, params),
            "StartInstances" => self.start_instances(context, params),
            "CreateTags" => self.create_tags(context, params),
            "DeleteTags" => self.delete_tags(context, params),
            "DescribeTags" => self.describe_tags(now, params),
            "CreateLaunchTemplate" => self.create_launch_template(now, params),
            "CreateLaunchTemplateVersion" => self.create_launch_template_version(now, params),
            "ModifyLaunchTemplate" => self.modify_launch_template(params),
            "DescribeLaunchTemplates" => self.describe_launch_templates(params),
            "DescribeLaunchTemplateVersions" => self.describe_launch_template_versions(params),
            "DescribeSubnets" => self.describe_subnets(params),
            "DescribeAvailabilityZones" => self.describe_availability_zones(params),
            other => {
                let message = format!("The action {other} is not valid for this web service.");
                Err(Fault::new("InvalidAction", message))
            }
        }
    }

    fn add_instance(&mut self, instance: Instance) -> usize {
        let id = self.fresh_id("i-");
        let at = self.instances.len();
        self.by_id.insert(id.clone(), at);
        self.instances.push(Instance { id, ..instance });
        at
    }

    /// An id that has not been given yet: 17 hexadecimal digits, as EC2's.
    fn fresh_id(&mut self, prefix: &str) -> String {
        loop {
            let id = format!("{prefix}0{:016x}", self.random.u64(..));
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    fn request_id(&mut self) -> String {
        let hex = format!("{:032x}", self.random.u128(..));
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// The next moment at which an instance changes by time alone.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.instances.iter().filter_map(|instance| instance.states.next(now)).min()
    }
}

/// Whether `id` has EC2's form: the prefix, and 8 or 17 hexadecimal digits.
fn is_id(id: &str, prefix: &str) -> bool {
    let hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    id.strip_prefix(prefix).is_some_and(|digits| matches!(digits.len(), 8 | 17) && hex(digits))
}

/// What tags must keep to.
fn check_tags(tags: &Texts) -> Result<(), Fault> {
    if tags.len() > MOST_TAGS {
        return Err(Fault::new("TagLimitExceeded", format!("More than {MOST_TAGS} tags.")));
    }
    for (key, value) in tags {
        if key.starts_with("aws:") {
            let message = "Tag keys starting with 'aws:' are reserved for internal use";
            return Err(Fault::new("InvalidParameterValue", message));
        }
        if key.is_empty() || key.chars().count() > LONGEST_KEY || value.chars().count() > LONGEST_VALUE {
            let message = format!("Tag keys have 1-{LONGEST_KEY} characters, values at most {LONGEST_VALUE}.");
            return Err(Fault::new("InvalidParameterValue", message));
        }
    }
    Ok(())
}

/// `TagSpecification.N.ResourceType` with its `Tag.M.Key` and `Tag.M.Value`.
fn take_tag_specifications(params: &mut Params) -> Result<Vec<(String, Texts)>, Fault> {
    let mut specifications = Vec::new();
    for mut part in params.structures("TagSpecification")? {
        let kind = part.need("ResourceType")?;
        let tags = part.tags("Tag")?;
        part.finish()?;
        specifications.push((kind, tags));
    }
    Ok(specifications)
}

/// The tags for one kind of resource; a kind that is not `allowed` there is an error.
fn tags_for(specifications: Vec<(String, Texts)>, kind: &str, allowed: &[&str]) -> Result<Texts, Fault> {
    let mut all = Texts::new();
    for (of, tags) in specifications {
        if !allowed.contains(&of.as_str()) {
            let message = format!("'{of}' is not a valid taggable resource type for this operation.");
            return Err(Fault::new("InvalidParameterValue", message));
        }
        if of == kind {
            all.extend(tags);
        }
    }
    Ok(all)
}

/// `tag-key` and `tag:KEY`.
fn tag_filter(filter: &Filter, tags: &Texts) -> bool {
    match filter.name.strip_prefix("tag:") {
        Some(key) => tags.get(key).is_some_and(|value| filter.accepts(value)),
        None => tags.keys().any(|key| filter.accepts(key)),
    }
}

/// How many instances run at `now`.
fn running(instances: &[Instance], now: Timestamp) -> usize {
    instances.iter().filter(|instance| instance.state(now) == Some(State::Running)).count()
}
