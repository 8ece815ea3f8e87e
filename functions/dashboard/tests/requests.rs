//! Requests of a function URL as Lambda hands them over, over ports in memory.

use std::time::Duration;

use dashboard::Dashboard;
use muster_control::memory::{ManualClock, MemoryFleet, MemoryPolicy, MemoryStore};
use muster_control::reconcile::{Controller, Settings, reconcile};
use muster_core::group::GroupName;
use muster_core::time::Timestamp;
use muster_lambda::Failure;
use muster_lambda::url::{UrlAnswer, UrlRequest};
use muster_web::stand::Stand;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);
const POLICY: &str = r#"{"min_instances": 2, "max_instances": 5}"#;
const DOMAIN: &str = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws";

type World = Controller<MemoryStore, MemoryFleet, MemoryPolicy, ManualClock>;

/// A group of which one decision was taken: two are being launched.
async fn decided() -> (World, GroupName) {
    let group: GroupName = "web".parse().expect("a name");
    let settings = Settings {
        stack: "prod".into(),
        owner: "x".into(),
        lease: Duration::from_secs(180),
        budget: Duration::from_secs(60),
    };
    let world = Controller {
        store: MemoryStore::default(),
        fleet: MemoryFleet::default(),
        policies: MemoryPolicy::of(POLICY),
        clock: ManualClock::at(NOW),
        settings,
    };
    reconcile(&world, &group, 0.5).await.expect("a decision");
    (world, group)
}

async fn dashboard() -> Dashboard {
    let (world, _) = decided().await;
    let World { store, fleet, policies, clock, .. } = world;
    Dashboard::new(Stand { store, policies, fleet, clock, place: "stack prod".into() })
}

/// A request as it comes in, from the fixture of the method.
fn request(method: &str, path: &str) -> Value {
    let fixture = match method {
        "GET" | "HEAD" => include_str!("../../lambda/tests/events/url-get.json"),
        _ => include_str!("../../lambda/tests/events/url-post.json"),
    };
    let mut event: Value = serde_json::from_str(fixture).expect("a JSON file");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    event["requestContext"]["http"]["method"] = json!(method);
    (event["rawPath"], event["rawQueryString"]) = (json!(path), json!(query));
    event["headers"].as_object_mut().expect("headers").remove("if-none-match");
    event
}

fn with(mut event: Value, header: &str, value: &str) -> Value {
    event["headers"][header] = json!(value);
    event
}

fn saying(mut event: Value, document: &Value) -> Value {
    (event["body"], event["isBase64Encoded"]) = (json!(document.to_string()), json!(false));
    event
}

async fn ask(dashboard: &Dashboard, event: &Value) -> (u16, Value, Value) {
    shown(dashboard.answer(UrlRequest::read(event).expect("a request")).await)
}

/// Status, headers, and the body as JSON where it is some.
fn shown(answer: UrlAnswer) -> (u16, Value, Value) {
    let status = answer.status();
    let told = serde_json::to_value(answer).expect("plain data");
    let text = told["body"].as_str().expect("a body");
    (status, told["headers"].clone(), serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}

fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn the_page_and_its_files_are_served_with_what_guards_them() {
    let dashboard = dashboard().await;
    let (status, headers, page) = ask(&dashboard, &request("GET", "/")).await;
    assert_eq!((status, &headers["content-type"]), (200, &json!("text/html; charset=utf-8")));
    assert!(headers["content-security-policy"].as_str().is_some_and(|policy| policy.starts_with("default-src 'none'")));
    let page = page.as_str().expect("text").to_owned();
    let linked = page.split('"').filter(|part| part.starts_with("/assets/"));
    for file in linked {
        let (status, headers, text) = ask(&dashboard, &request("GET", file)).await;
        assert_eq!(status, 200, "{file}");
        assert!(
            headers["content-type"].as_str().is_some_and(|kind| kind.starts_with("text/")) && text != json!(""),
            "{file}"
        );
    }
}

#[tokio::test]
async fn a_group_is_shown_as_the_tables_have_it() {
    let dashboard = dashboard().await;
    let (status, headers, groups) = ask(&dashboard, &request("GET", "/api/groups")).await;
    assert_eq!((status, &headers["content-type"]), (200, &json!("application/json")));
    assert_eq!((&groups["place"], &groups["groups"][0]["group"]), (&json!("stack prod"), &json!("web")));
    let (status, _, web) = ask(&dashboard, &request("GET", "/api/groups/web")).await;
    assert_eq!((status, &web["desired"], &web["mode"]), (200, &json!(2), &json!("active")));
    let (status, _, activity) =
        ask(&dashboard, &request("GET", "/api/groups/web/activity?limit=1&kind=decision")).await;
    assert_eq!((status, activity["items"].as_array().map(Vec::len)), (200, Some(1)));
    let (status, _, body) = ask(&dashboard, &request("GET", "/api/groups/nobody")).await;
    assert_eq!((status, code(&body)), (404, "not-found"));
}

#[tokio::test]
async fn what_the_asker_has_already_is_not_told_again() {
    let dashboard = dashboard().await;
    let (_, headers, _) = ask(&dashboard, &request("GET", "/api/groups/web")).await;
    let tag = headers["etag"].as_str().expect("a tag");
    let (status, _, body) = ask(&dashboard, &with(request("GET", "/api/groups/web"), "if-none-match", tag)).await;
    assert_eq!((status, body), (304, json!("")));
    let (status, _, body) = ask(&dashboard, &request("HEAD", "/api/groups/web")).await;
    assert_eq!((status, body), (200, json!("")));
}

#[tokio::test]
async fn a_group_is_paused_and_resumed_with_a_body_as_text_and_in_base64() {
    let dashboard = dashboard().await;
    let pause = request("POST", "/api/groups/web/pause");
    let (status, _, body) =
        ask(&dashboard, &saying(pause.clone(), &json!({"reason": "maintenance", "until": null}))).await;
    assert_eq!(status, 200, "{body}");
    let (_, _, web) = ask(&dashboard, &request("GET", "/api/groups/web/policy")).await;
    assert!(web["text"].as_str().is_some_and(|text| text.contains("maintenance")), "{web}");
    // The fixture's own body, which is in Base64.
    let (status, _, body) = ask(&dashboard, &pause).await;
    assert_eq!(status, 200, "{body}");
    let (status, _, body) = ask(&dashboard, &saying(request("POST", "/api/groups/web/resume"), &json!({}))).await;
    assert_eq!(status, 200, "{body}");
    let edit = json!({"text": POLICY, "revision": "0".repeat(64)});
    let (status, _, body) = ask(&dashboard, &saying(request("PUT", "/api/groups/web/policy"), &edit)).await;
    assert_eq!((status, code(&body)), (409, "lost-update"));
}

#[tokio::test]
async fn another_host_and_another_page_get_nothing() {
    let dashboard = dashboard().await;
    let (status, _, body) = ask(&dashboard, &with(request("GET", "/api/groups"), "host", "rebound.example.com")).await;
    assert_eq!((status, code(&body)), (421, "forbidden"));
    let (status, ..) = ask(&dashboard, &with(request("GET", "/api/groups"), "host", &DOMAIN.to_uppercase())).await;
    assert_eq!(status, 200, "a name has no case");
    let mut unnamed = request("GET", "/api/groups");
    unnamed["headers"].as_object_mut().expect("headers").remove("host");
    assert_eq!(ask(&dashboard, &unnamed).await.0, 200, "the context says where it has come to");

    let pause = saying(request("POST", "/api/groups/web/pause"), &json!({"reason": "x", "until": null}));
    for (header, value) in [
        ("origin", "https://example.com"),
        ("origin", "null"),
        ("origin", "http://localhost:8080"),
        ("sec-fetch-site", "cross-site"),
        ("content-type", "text/plain"),
    ] {
        let (status, _, body) = ask(&dashboard, &with(pause.clone(), header, value)).await;
        assert_eq!((status, code(&body)), (403, "forbidden"), "{header}: {value}");
    }
    assert_eq!(ask(&dashboard, &pause).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_read_or_is_not_there_is_told_as_json() {
    let dashboard = dashboard().await;
    let mut odd_method = request("GET", "/");
    odd_method["requestContext"]["http"]["method"] = json!("G T");
    let cases = [
        (odd_method, 400, "bad-request"),
        (request("GET", ""), 400, "bad-request"),
        (request("GET", "api/groups"), 400, "bad-request"),
        (request("GET", "/a b"), 400, "bad-request"),
        (request("GET", "http://elsewhere.example.com/api/groups"), 400, "bad-request"),
        (with(request("GET", "/"), "x\ny", "z"), 400, "bad-request"),
        (with(request("GET", "/"), "x", "a\r\nb: c"), 400, "bad-request"),
        (request("GET", "//elsewhere.example.com/api/groups"), 404, "not-found"),
        (request("GET", "/api/groups/../../etc"), 404, "not-found"),
        (request("GET", "/api/nothing"), 404, "not-found"),
        (request("DELETE", "/api/groups/web"), 405, "bad-request"),
        (saying(request("POST", "/api/policy/check"), &json!({"text": "x".repeat(70_000)})), 413, "too-large"),
    ];
    for (event, expected, named) in cases {
        let (status, headers, body) = ask(&dashboard, &event).await;
        assert_eq!((status, code(&body)), (expected, named), "{}", event["rawPath"]);
        assert_eq!(headers["content-type"], json!("application/json"));
    }
}

#[tokio::test]
async fn a_cold_one_and_a_warm_one_answer_alike() {
    let warm = dashboard().await;
    let asked =
        ["/api/groups", "/api/groups/web", "/api/groups/web/members", "/api/groups/web/explain", "/api/openapi.json"];
    for path in asked {
        let event = request("GET", path);
        let before = ask(&warm, &event).await;
        let cold = dashboard().await;
        assert_eq!(ask(&warm, &event).await, before, "{path}");
        assert_eq!(ask(&cold, &event).await, before, "{path}");
    }
}

#[tokio::test]
async fn with_a_wrong_setting_every_request_hears_which() {
    let problem = "MUSTER_STACK is missing; it must be 1 to 32 characters of a-z, 0-9 and '-'";
    let dashboard = Dashboard::unwired(Failure { name: "Settings", text: problem.into() });
    for path in ["/", "/api/groups", "/nothing"] {
        let (status, headers, body) = ask(&dashboard, &request("GET", path)).await;
        assert_eq!((status, &headers["content-type"], code(&body)), (500, &json!("application/json"), "unavailable"));
        assert_eq!(body["error"]["message"], json!(problem));
    }
}
