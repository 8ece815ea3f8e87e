//! Invocations over ports in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use controller_asg::counted::Counted;
use controller_asg::told::{Summary, notify};
use controller_asg::{Answer, Handled, handle};
use muster_control::activity::{Activity, Event};
use muster_control::memory::{MemoryFleet, MemoryStore};
use muster_control::ports::{
    ActivityLog, Clock, GroupStore, PolicySource, PolicySourceError, PolicyText, Rejections, StoreError,
};
use muster_control::reconcile::{Controller, Settings};
use muster_core::group::{GroupName, PolicyVersion};
use muster_core::time::Timestamp;
use muster_lambda::Failure;
use muster_lambda::events::Doorbell;
use muster_webhook::{Format, Webhook};
use serde_json::{Value, json};
use tokio::time::Instant;

const MINUTE: Timestamp = Timestamp::from_millis(1_795_341_600_000);
const TWO: &str = r#"{"min_instances": 2, "max_instances": 5}"#;

/// Tokio's paused time, counted from the minute: it moves on when everybody sleeps.
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        MINUTE.plus(self.0.elapsed())
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Parameters as an operator has left them. A group of which nothing is said has none; one that hangs is never answered for, and
/// neither is the nth next question, if n is not 0.
#[derive(Default)]
struct Parameters(Mutex<BTreeMap<GroupName, PolicyText>>, Mutex<usize>);

const HANGS: &str = "hangs";

impl Parameters {
    fn of(texts: &[(&str, &str)]) -> Self {
        let parameters = Self::default();
        texts.iter().for_each(|(group, text)| parameters.set(group, text, 1));
        parameters
    }

    fn set(&self, group: &str, text: &str, version: u64) {
        let text = PolicyText { text: text.into(), version: Some(PolicyVersion(version)) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(self::group(group), text);
    }
}

impl PolicySource for Parameters {
    async fn fetch(&self, group: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(group).cloned();
        let unanswered = {
            let mut nth = self.1.lock().unwrap_or_else(PoisonError::into_inner);
            *nth > 0 && {
                *nth -= 1;
                *nth == 0
            }
        };
        if unanswered || found.as_ref().is_some_and(|found| found.text == HANGS) {
            return std::future::pending().await;
        }
        Ok(found)
    }
}

type World = Controller<MemoryStore, Counted<MemoryFleet>, Parameters, Paused>;

fn world(texts: &[(&str, &str)]) -> World {
    Controller {
        store: MemoryStore::default(),
        fleet: Counted::new(MemoryFleet::default()),
        policies: Parameters::of(texts),
        clock: Paused(Instant::now()),
        settings: Settings {
            stack: "prod".into(),
            owner: "request-1".into(),
            lease: Duration::from_secs(180),
            budget: Duration::ZERO,
        },
    }
}

fn group(name: &str) -> GroupName {
    name.parse().expect("a name")
}

/// A batch of new sweeps of these groups.
fn batch(groups: &[&str]) -> Value {
    let record = |group: &&str| {
        let keys = json!({"pk": {"S": format!("GROUP#{group}")}, "sk": {"S": "S#1795341600000#0"}});
        json!({
            "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "awsRegion": "eu-central-1",
            "dynamodb": {"Keys": keys, "SizeBytes": 40, "SequenceNumber": "1", "StreamViewType": "KEYS_ONLY"},
        })
    };
    json!({"Records": groups.iter().map(record).collect::<Vec<_>>()})
}

/// What an invocation of so many seconds comes to, and its metrics.
async fn invoked_for(world: &mut World, event: &Value, seconds: u64) -> (Result<Handled, Failure>, Vec<Value>) {
    let doorbell = Doorbell::read(event).expect("an event");
    let deadline = world.clock.now().plus(Duration::from_secs(seconds));
    let groups = async || Ok(vec![group("api"), group("web")]);
    let mut out = Vec::new();
    let handled = handle(world, doorbell, deadline, groups, || 0.0, &mut out).await;
    let lines = String::from_utf8(out).expect("text");
    (handled, lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

async fn invoked(world: &mut World, event: &Value) -> (Handled, Vec<Value>) {
    let (handled, lines) = invoked_for(world, event, 60).await;
    (handled.expect("handled"), lines)
}

fn launched(world: &World) -> usize {
    world.fleet.inner().ever().len()
}

fn metric(lines: &[Value], group: &str, name: &str) -> Option<f64> {
    lines.iter().find(|line| line["Group"] == group)?[name].as_f64()
}

async fn log(world: &World, name: &str) -> Vec<Activity> {
    world.store.since(&group(name), Timestamp::EPOCH, 1_000).await.expect("memory")
}

#[tokio::test(start_paused = true)]
async fn a_doorbell_leads_to_a_decision_and_its_actions() {
    let mut world = world(&[("web", TWO)]);
    let (handled, lines) = invoked(&mut world, &batch(&["web", "web", "web"])).await;
    assert_eq!(serde_json::to_value(&handled.answer).expect("plain"), json!({"batchItemFailures": []}));
    assert_eq!(launched(&world), 2);
    let expected = [("Desired", 2.0), ("Launches", 2.0), ("LaunchFailures", 0.0), ("Failures", 0.0), ("Refusals", 0.0)];
    for (name, value) in expected {
        assert_eq!(metric(&lines, "web", name), Some(value), "{name}: {lines:?}");
    }
    assert!(metric(&lines, "web", "Decisions") >= Some(1.0) && lines.len() == 1, "{lines:?}");
    let [(name, happened)] = &handled.happened[..] else { panic!("one group: {handled:?}") };
    let launches = happened.iter().filter(|activity| matches!(activity.event, Event::Launched { .. })).count();
    assert_eq!((name, launches), (&group("web"), 2));
}

#[tokio::test(start_paused = true)]
async fn l2_a_doubled_or_late_batch_launches_nothing_new() {
    let mut world = world(&[("web", TWO), ("api", TWO)]);
    for event in [batch(&["web", "api"]), batch(&["api", "web"]), batch(&["web", "api"]), json!({"reconcile": "all"})] {
        let _handled = invoked(&mut world, &event).await;
        assert_eq!(launched(&world), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn v5_one_groups_trouble_fails_neither_the_batch_nor_the_others() {
    let mut world = world(&[("api", HANGS), ("web", TWO)]);
    let before = world.clock.now();
    let (handled, lines) = invoked(&mut world, &batch(&["api", "none", "web"])).await;
    assert_eq!(serde_json::to_value(&handled.answer).expect("plain"), json!({"batchItemFailures": []}));
    let failures = ["api", "none", "web"].map(|name| metric(&lines, name, "Failures"));
    assert_eq!(failures, [Some(1.0), Some(1.0), Some(0.0)], "{lines:?}");
    assert_eq!((launched(&world), handled.happened.len()), (2, 1));
    assert!(world.clock.now().since(before) < Duration::from_secs(57), "the one that hangs has its share, and no more");
}

#[tokio::test(start_paused = true)]
async fn what_was_done_before_the_time_was_up_is_told() {
    let mut world = world(&[("web", TWO)]);
    // The first HEAD is claimed, two are launched; then nobody answers for the policy any more.
    *world.policies.1.lock().expect("nobody panics") = 3;
    let (handled, lines) = invoked(&mut world, &batch(&["web"])).await;
    assert_eq!((launched(&world), metric(&lines, "web", "Failures")), (2, Some(0.0)), "{lines:?}");
    let [(_, happened)] = &handled.happened[..] else { panic!("one group: {handled:?}") };
    assert_eq!(happened.len(), log(&world, "web").await.len());
    assert_eq!(happened.iter().filter(|activity| matches!(activity.event, Event::Launched { .. })).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn v5_a_record_that_is_not_understood_is_counted_and_acknowledged() {
    let mut world = world(&[("web", TWO)]);
    let mut event = batch(&["web", "web"]);
    event["Records"][0]["eventName"] = json!("REMOVE");
    event["Records"].as_array_mut().expect("records").push(json!("poison"));
    let (handled, lines) = invoked(&mut world, &event).await;
    assert_eq!(serde_json::to_value(&handled.answer).expect("plain"), json!({"batchItemFailures": []}));
    assert!(lines.iter().any(|line| line["IgnoredRecords"] == 2.0 && line["Stack"] == "prod"), "{lines:?}");
    assert_eq!(launched(&world), 2);
    let rejected = world.store.rejected().await.expect("memory").expect("a count");
    assert_eq!((rejected.records, rejected.reason.as_str()), (2, "1 unreadable, 1 not-an-insert"));
}

#[tokio::test(start_paused = true)]
async fn o4_the_policy_is_read_at_every_decision_and_the_last_good_one_is_kept() {
    let mut world = world(&[("web", TWO)]);
    let (_, _) = invoked(&mut world, &batch(&["web"])).await;
    assert_eq!(launched(&world), 2);
    // An edit takes effect on the next one.
    world.policies.set("web", r#"{"min_instances": 3, "max_instances": 5}"#, 2);
    let (_, lines) = invoked(&mut world, &batch(&["web"])).await;
    assert_eq!((launched(&world), metric(&lines, "web", "Desired")), (3, Some(3.0)));
    // One that is refused is recorded once, and changes nothing: its min would launch two more.
    world.policies.set("web", r#"{"min_instances": 5, "max_instances": 4}"#, 3);
    let (_, lines) = invoked(&mut world, &batch(&["web"])).await;
    assert_eq!((launched(&world), metric(&lines, "web", "Refusals")), (3, Some(1.0)));
    let _again = invoked(&mut world, &batch(&["web"])).await;
    let refused = |activity: &&Activity| matches!(activity.event, Event::PolicyRefused { .. });
    assert_eq!(log(&world, "web").await.iter().filter(refused).count(), 1);
    let head = world.store.head(&group("web")).await.expect("memory").expect("a HEAD");
    assert_eq!((head.policy, head.refusal.is_some()), (Some(PolicyVersion(2)), true));
    let stored = world.store.policy(&group("web"), PolicyVersion(2)).await.expect("memory").expect("kept");
    assert!(stored.text.contains("\"min_instances\": 3"));
    // O7: a deleted one changes nothing either, even for whoever has never seen it.
    world.policies = Parameters::default();
    let (_, lines) = invoked(&mut world, &batch(&["web"])).await;
    assert_eq!((launched(&world), metric(&lines, "web", "Failures")), (3, Some(0.0)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_the_invocation_may_outlive_is_refused_before_anything_is_done() {
    let mut world = world(&[("web", TWO)]);
    let (handled, _) = invoked_for(&mut world, &batch(&["web"]), 121).await;
    let failure = handled.expect_err("181 s are needed");
    assert!(failure.name == "Settings" && failure.text.starts_with("MUSTER_LEASE_SECONDS is \"180\""), "{failure}");
    assert_eq!(launched(&world), 0);
    let (handled, _) = invoked_for(&mut world, &batch(&["web"]), 120).await;
    assert!(handled.is_ok() && launched(&world) == 2);
}

#[tokio::test(start_paused = true)]
async fn a_direct_call_is_told_what_became_of_each_group() {
    let mut world = world(&[("web", TWO)]);
    let (handled, _) = invoked(&mut world, &json!({"groups": ["api", "web"]})).await;
    let Answer::Groups { groups } = handled.answer else { panic!("{handled:?}") };
    assert_eq!(groups[&group("web")].launched, 2);
    assert_eq!(groups[&group("api")], Summary { failure: Some("Policy"), ..Summary::default() });
    let (handled, _) = invoked_for(&mut world, &json!({"group": "api"}), 60).await;
    assert_eq!(handled.expect_err("no group could be looked at").name, "Policy");
}

#[tokio::test(start_paused = true)]
async fn a_tick_looks_at_every_group_or_says_why_it_cannot() {
    let mut all = world(&[("api", TWO), ("web", TWO)]);
    let _handled = invoked(&mut all, &json!({"reconcile": "all"})).await;
    assert_eq!(launched(&all), 4);
    let throttled = async || Err(StoreError::Throttled("too many".into()));
    let deadline = MINUTE.plus(Duration::from_secs(60));
    let failed = handle(&mut all, Doorbell::All, deadline, throttled, || 0.5, &mut Vec::new()).await;
    assert_eq!(failed.expect_err("throttled").name, "Store.Throttled");
}

#[tokio::test(start_paused = true)]
async fn what_ec2_refuses_is_counted_and_no_failure_of_the_group() {
    let mut world = world(&[("web", TWO)]);
    world.fleet.inner().set_no_capacity(true);
    let (_, lines) = invoked(&mut world, &batch(&["web"])).await;
    assert!(metric(&lines, "web", "LaunchFailures") >= Some(1.0), "{lines:?}");
    assert_eq!(["Launches", "Failures"].map(|name| metric(&lines, "web", name)), [Some(0.0), Some(0.0)]);
}

/// A receiver that keeps what it is sent.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let posted = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&posted);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let take = move |body: axum::body::Bytes| {
        let body = serde_json::from_slice(&body).expect("JSON");
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        async {}
    };
    let router = axum::Router::new().fallback(take);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/"), posted)
}

fn webhook(url: &str) -> Webhook {
    // Another test may have been first.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Webhook::new("prod", url.parse().expect("loopback"), None, Format::Json).expect("a client")
}

#[tokio::test]
async fn the_webhook_is_told_afterwards_of_each_group_that_has_something_to_tell() {
    let (url, posted) = receiver().await;
    let mut world = world(&[("api", TWO), ("web", TWO)]);
    let (handled, _) = invoked(&mut world, &batch(&["web", "api", "none"])).await;
    assert!(posted.lock().unwrap_or_else(PoisonError::into_inner).is_empty(), "nobody hears of it before it is done");
    notify(&webhook(&url), &world.clock, &handled.happened).await;
    let (handled, _) = invoked(&mut world, &batch(&["web", "api"])).await;
    let quiet = handled.happened.into_iter().map(|(group, _)| (group, Vec::new())).collect::<Vec<_>>();
    notify(&webhook(&url), &world.clock, &quiet).await;
    let posted = posted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let told: Vec<_> = posted.iter().map(|body| body["group"].as_str().unwrap_or_default()).collect();
    assert_eq!(told, ["api", "web"]);
    let kinds =
        |body: &Value| body["events"].as_array().map_or(0, |e| e.iter().filter(|e| e["kind"] == "launched").count());
    assert!(posted.iter().all(|body| kinds(body) == 2), "{posted:?}");
}

#[tokio::test]
async fn a_webhook_that_is_gone_changes_nothing() {
    let mut world = world(&[("web", TWO)]);
    let (handled, _) = invoked(&mut world, &batch(&["web"])).await;
    // Nothing listens on the port of a listener that is no more.
    let gone = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback").local_addr().expect("bound");
    notify(&webhook(&format!("http://{gone}/")), &world.clock, &handled.happened).await;
    assert_eq!(launched(&world), 2);
}
