//! The state machine without network or clock: a form and a time in, XML out.

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod launches;
mod protocol;
mod rules;
mod templates;
mod tokens;
mod views;

use std::time::Duration;

use jiff::Timestamp;
use muster_fake_ec2::{Cloud, Config, Settings, Zone};
use support::Tree;

/// An image that always is there.
const IMAGE: &str = "ami-0aaaaaaaaaaaaaaa1";
const INSTANCES: &str = "reservationSet/item/instancesSet/item";

/// A parameter of a request.
type Pair<'a> = (&'a str, &'a str);

/// An EC2, and the time there.
struct World {
    cloud: Cloud,
    now: Timestamp,
}

impl World {
    /// Zones `zone-a` and `zone-b`; instances boot in 10 s and shut down in 5 s.
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let zones = ["zone-a", "zone-b"].map(Zone::named).into();
        let spans = Settings { boot: Duration::from_secs(10), shutdown: Duration::from_secs(5), ..settings };
        Self::of(Config { zones, settings: spans, ..Config::default() })
    }

    fn of(config: Config) -> Self {
        let now = "2026-11-22T10:00:00Z".parse().expect("a time");
        Self { cloud: Cloud::new(config, now), now }
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.checked_add(Duration::from_secs(seconds)).expect("a time");
    }

    /// A call by its form; a failure is its status and code.
    fn try_form(&mut self, form: &str) -> Result<Tree, (u16, String)> {
        let answer = self.cloud.call(self.now, form.as_bytes()).answer.expect("an answer");
        let tree = Tree::read(&answer.body);
        if answer.status == 200 {
            assert_eq!(tree.text("requestId"), answer.request);
            return Ok(tree);
        }
        assert_eq!(tree.name, "Response");
        assert_eq!(tree.text("RequestID"), answer.request);
        assert!(!tree.text("Errors/Error/Message").is_empty());
        Err((answer.status, tree.text("Errors/Error/Code").to_owned()))
    }

    fn form(action: &str, parameters: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2016-11-15").extend_pairs(parameters);
        form.finish()
    }

    fn try_call(&mut self, action: &str, parameters: &[(&str, &str)]) -> Result<Tree, (u16, String)> {
        self.try_form(&Self::form(action, parameters))
    }

    fn call(&mut self, action: &str, parameters: &[(&str, &str)]) -> Tree {
        self.try_call(action, parameters).unwrap_or_else(|failure| panic!("{action} {parameters:?}: {failure:?}"))
    }

    /// The code that a call fails with.
    fn code(&mut self, action: &str, parameters: &[(&str, &str)]) -> String {
        match self.try_call(action, parameters) {
            Ok(tree) => panic!("{action} {parameters:?} succeeded: {tree:?}"),
            Err((_, code)) => code,
        }
    }

    /// Launches one instance, with `more` beside image and type.
    fn try_launch(&mut self, more: &[(&str, &str)]) -> Result<Vec<String>, (u16, String)> {
        let mut all = vec![("ImageId", IMAGE), ("InstanceType", "t3.micro"), ("MinCount", "1"), ("MaxCount", "1")];
        all.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        all.extend(more);
        let tree = self.try_call("RunInstances", &all)?;
        Ok(tree.texts("instancesSet/item/instanceId").into_iter().map(str::to_owned).collect())
    }

    fn launch(&mut self, more: &[(&str, &str)]) -> String {
        let mut made = self.try_launch(more).unwrap_or_else(|failure| panic!("launch {more:?}: {failure:?}"));
        assert_eq!(made.len(), 1);
        made.remove(0)
    }

    fn launch_code(&mut self, more: &[(&str, &str)]) -> String {
        self.try_launch(more).expect_err("no launch").1
    }

    fn terminate(&mut self, id: &str) {
        self.call("TerminateInstances", &[("InstanceId.1", id)]);
    }

    /// The state that `DescribeInstances` shows.
    fn state(&mut self, id: &str) -> String {
        let tree = self.call("DescribeInstances", &[("InstanceId.1", id)]);
        tree.text(&format!("{INSTANCES}/instanceState/name")).to_owned()
    }

    /// The ids that `DescribeInstances` shows.
    fn shown(&mut self, parameters: &[(&str, &str)]) -> Vec<String> {
        let tree = self.call("DescribeInstances", parameters);
        tree.texts(&format!("{INSTANCES}/instanceId")).into_iter().map(str::to_owned).collect()
    }

    /// How many instances there ever were.
    fn ever(&self) -> usize {
        self.cloud.ledger(self.now).instances.len()
    }
}
