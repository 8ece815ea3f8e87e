//! The events of AWS in their documented shape, and what we make of them.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::group::{GroupName, Shard};
use muster_lambda::events::{Batch, Doorbell, Ignored, SweepOrder};
use muster_lambda::url::UrlRequest;
use serde_json::{Value, json};

macro_rules! event {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("events/", $name, ".json"))).expect("a JSON file")
    };
}

fn group(name: &str) -> GroupName {
    name.parse().expect("a name")
}

fn groups(names: &[&str]) -> BTreeSet<GroupName> {
    names.iter().map(|name| group(name)).collect()
}

fn batch(event: &Value) -> Batch {
    match Doorbell::read(event) {
        Ok(Doorbell::Batch(batch)) => batch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_schedules_input_names_the_group_that_is_swept() {
    let order = SweepOrder::read(&event!("scheduler-input")).expect("an order");
    assert_eq!(order, SweepOrder { group: group("web"), shard: Shard(0) });
    let order = SweepOrder::read(&event!("scheduler-input-shard")).expect("an order");
    assert_eq!(order, SweepOrder { group: group("web"), shard: Shard(1) });
}

#[test]
fn what_names_no_group_is_not_swept_and_the_refusal_says_what_would_be() {
    let events = [
        event!("scheduler-default"),
        event!("rule-scheduled"),
        event!("stream-inserts"),
        json!({}),
        json!(null),
        json!({"group": ""}),
        json!({"group": "a b"}),
        json!({"group": 7}),
        json!({"group": "web", "shard": -1}),
        json!({"group": "web", "shard": 65_536}),
        json!({"group": "web", "shards": 1}),
    ];
    for event in events {
        let refused = SweepOrder::read(&event).expect_err("no order").to_string();
        assert!(refused.contains(r#"{"group": "web", "shard": 0}"#) && refused.len() < 500, "{refused}");
    }
}

#[test]
fn a_tick_rings_for_every_group() {
    for event in [event!("rule-scheduled"), event!("scheduler-default"), json!({"reconcile": "all"})] {
        assert_eq!(Doorbell::read(&event).expect("a tick"), Doorbell::All);
    }
}

#[test]
fn a_direct_call_names_its_groups() {
    let read = |event| Doorbell::read(&event).expect("a call");
    assert_eq!(read(event!("scheduler-input")), Doorbell::Groups(groups(&["web"])));
    assert_eq!(read(json!({"groups": ["web", "api", "web"]})), Doorbell::Groups(groups(&["api", "web"])));
}

#[test]
fn a_call_that_names_nothing_that_may_be_is_refused() {
    let events = [
        event!("rule-instance-state"),
        event!("scheduler-input-shard"),
        json!({}),
        json!([]),
        json!("web"),
        json!({"reconcile": "web"}),
        json!({"reconcile": "all", "group": "web"}),
        json!({"groups": []}),
        json!({"groups": "web"}),
        json!({"groups": ["a b"]}),
        json!({"groups": (0..1_001).map(|n| format!("g{n}")).collect::<Vec<_>>()}),
        json!({"detail-type": "Scheduled Event"}),
    ];
    for event in events {
        let refused = Doorbell::read(&event).expect_err("no call").to_string();
        assert!(refused.contains("a stream batch") && refused.len() < 600, "{refused}");
    }
}

#[test]
fn a_batch_is_coalesced_into_its_groups() {
    let batch = batch(&event!("stream-inserts"));
    assert_eq!(batch, Batch { groups: groups(&["api", "web"]), ignored: BTreeMap::new() });
}

#[test]
fn v5_a_record_that_is_no_new_sweep_is_counted_by_its_reason_and_fails_nothing() {
    let batch = batch(&event!("stream-mixed"));
    assert_eq!(batch.groups, groups(&["web"]), "one record of the twelve rings");
    let counted = [
        (Ignored::Unreadable, 2),
        (Ignored::Foreign, 1),
        (Ignored::NotAnInsert, 3),
        (Ignored::Keyless, 1),
        (Ignored::NotASweep, 4),
    ];
    assert_eq!(batch.ignored, BTreeMap::from(counted));
}

#[test]
fn v5_no_batch_is_refused_whatever_it_holds() {
    let ignored = |event: Value| batch(&event).ignored.into_values().sum::<u32>();
    assert_eq!(ignored(json!({"Records": []})), 0);
    for records in [json!(null), json!("x"), json!({}), json!([null]), json!([{}]), json!([[]])] {
        assert_eq!(ignored(json!({"Records": records})), 1, "{records}");
    }
}

#[test]
fn an_ignored_record_is_named_in_one_word() {
    let names: BTreeSet<String> =
        [Ignored::Unreadable, Ignored::Foreign, Ignored::NotAnInsert, Ignored::Keyless, Ignored::NotASweep]
            .iter()
            .map(ToString::to_string)
            .collect();
    assert!(names.len() == 5 && names.iter().all(|name| !name.contains(' ')), "{names:?}");
}

#[test]
fn a_request_of_a_url_is_read_as_it_was_sent() {
    let request = UrlRequest::read(&event!("url-get")).expect("a request");
    let domain = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws";
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/api/groups/web/load"));
    assert_eq!((request.query.as_str(), request.domain.as_str()), ("from=1763812800000&points=240", domain));
    assert_eq!(
        (request.headers["if-none-match"].as_str(), request.headers["cookie"].as_str()),
        ("\"5d41402abc4b2a76\"", "a=1; b=2")
    );
    assert!(request.body.is_empty());
}

#[test]
fn a_body_is_the_same_as_text_and_in_base64() {
    let encoded = event!("url-post");
    let request = UrlRequest::read(&encoded).expect("a request");
    assert_eq!((request.method.as_str(), request.body.as_slice()), ("POST", br#"{"reason": "x"}"#.as_slice()));
    let mut plain = encoded;
    (plain["body"], plain["isBase64Encoded"]) = (json!(r#"{"reason": "x"}"#), json!(false));
    assert_eq!(UrlRequest::read(&plain).expect("a request"), request);
}

#[test]
fn what_is_no_request_of_a_url_is_refused_and_nothing_of_it_is_shown() {
    let with = |path: &str, value: Value| {
        let mut event = event!("url-post");
        *event.pointer_mut(path).expect("a field") = value;
        event
    };
    let events = [
        json!({}),
        json!(null),
        json!([]),
        event!("scheduler-input"),
        event!("stream-inserts"),
        with("/version", json!("1.0")),
        with("/rawPath", json!(null)),
        with("/headers", json!({"host": ["a", "b"]})),
        with("/body", json!("c2VjcmV0!")),
        with("/requestContext", json!({"http": {"method": "GET"}})),
        with("/requestContext/http", json!({})),
    ];
    for event in events {
        let refused = UrlRequest::read(&event).expect_err("no request").to_string();
        assert!(refused.contains("rawPath") && refused.len() < 500 && !refused.contains("c2Vj"), "{refused}");
    }
}
