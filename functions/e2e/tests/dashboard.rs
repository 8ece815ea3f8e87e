//! Dashboard as it is shipped: requests of its URL by way of the Runtime API, of a group that lives.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_e2e::{Function, InvokeError, Setup, World, binary, serving};
use serde_json::{Value, json};

/// As infra/functions.json has it.
const TIMEOUT: Duration = Duration::from_secs(30);

fn request(method: &str, path: &str, document: Option<&Value>) -> Value {
    let fixture = include_str!("../../lambda/tests/events/url-get.json");
    let mut event: Value = serde_json::from_str(fixture).expect("a JSON file");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    event["requestContext"]["http"]["method"] = json!(method);
    (event["rawPath"], event["rawQueryString"]) = (json!(path), json!(query));
    event["headers"].as_object_mut().expect("headers").remove("if-none-match");
    if let Some(document) = document {
        event["headers"]["content-type"] = json!("application/json");
        event["body"] = json!(document.to_string());
    }
    event
}

async fn ask(function: &Function, event: &Value) -> (u64, Value) {
    let answer = function.invoke(event, TIMEOUT).await.expect("an answer");
    let text = answer["body"].as_str().expect("a body");
    (answer["statusCode"].as_u64().expect("a status"), serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}

async fn get(function: &Function, path: &str) -> Value {
    let (status, body) = ask(function, &request("GET", path, None)).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn send(function: &Function, method: &str, path: &str, document: &Value) -> (u64, Value) {
    ask(function, &request(method, path, Some(document))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_a_group_that_lives_and_steers_it() {
    let world = World::start(Setup::default()).await;
    let state = world.until("a group of two that serve", |state| serving(state).len() == 2).await;
    let dashboard = Function::start(&binary("dashboard"), &world.environment()).await.expect("it starts");

    assert!(get(&dashboard, "/").await.as_str().is_some_and(|page| page.contains("<html")));
    let groups = get(&dashboard, "/api/groups").await;
    assert_eq!((&groups["place"], &groups["groups"][0]["group"]), (&json!("stack e2e"), &json!("web")));
    let group = get(&dashboard, "/api/groups/web").await;
    assert_eq!((&group["desired"], &group["bounds"]), (&json!(2), &json!({"min": 2, "max": 5})));
    let members = get(&dashboard, "/api/groups/web/members").await;
    let shown = members["members"].as_array().expect("members").iter().filter_map(|one| one["id"].as_str());
    let serving_now = serving(&state);
    assert_eq!(shown.collect::<BTreeSet<_>>(), serving_now.iter().map(|id| id.0.as_str()).collect::<BTreeSet<_>>());
    for part in ["load", "activity", "explain", "policy", "policy/history"] {
        get(&dashboard, &format!("/api/groups/web/{part}")).await;
    }

    let member = serving_now[0].0.clone();
    let protected = || tag(&world, &member, "muster:protected");
    let path = format!("/api/groups/web/members/{member}/protect");
    for (on, expected) in [(true, Some("true")), (false, None)] {
        let (status, body) = send(&dashboard, "POST", &path, &json!({"on": on})).await;
        assert_eq!((status, &body["protected"]), (200, &json!(on)), "{body}");
        assert_eq!(protected().as_deref(), expected);
    }

    let before = get(&dashboard, "/api/groups/web/policy").await;
    let pause = json!({"reason": "we look into it", "until": null});
    let (status, body) = send(&dashboard, "POST", "/api/groups/web/pause", &pause).await;
    assert_eq!(status, 200, "{body}");
    let stored = world.parameters.get("/muster/web/policy").expect("a policy");
    assert!(stored.0 == 2 && stored.1.contains("we look into it"), "{stored:?}");
    let stale = json!({"text": stored.1, "revision": before["revision"]});
    let (status, body) = send(&dashboard, "PUT", "/api/groups/web/policy", &stale).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("lost-update")));

    logs_are_one_line_a_request(&dashboard);
    let refused = dashboard.invoke(&json!({"group": "web"}), TIMEOUT).await;
    assert!(matches!(&refused, Err(InvokeError::Reported(error)) if error["errorType"] == "Event"), "{refused:?}");
    world.check_ledger(5).await;
}

fn tag(world: &World, instance: &str, key: &str) -> Option<String> {
    let instances = world.instances();
    instances.into_iter().find(|one| one.id == instance).and_then(|one| one.tags.get(key).cloned())
}

fn logs_are_one_line_a_request(dashboard: &Function) {
    let lines = dashboard.json_lines();
    let answered: Vec<&Value> =
        lines.iter().map(|line| &line["fields"]).filter(|fields| fields["message"] == "Answered.").collect();
    assert!(answered.len() >= 13, "{lines:#?}");
    let paused = answered.iter().find(|fields| fields["path"] == "/api/groups/web/pause").expect("a line");
    assert_eq!((&paused["method"], &paused["status"], &paused["group"]), (&json!("POST"), &json!(200), &json!("web")));
    assert!(paused["ms"].is_number(), "{paused}");
    assert!(dashboard.lines().iter().all(|line| !line.contains("we look into it")), "a body is nobody's business");
}

#[tokio::test]
async fn without_its_stack_every_request_is_told_so() {
    let dashboard = Function::start(&binary("dashboard"), &Vec::new()).await.expect("it starts");
    for path in ["/", "/api/groups"] {
        let (status, body) = ask(&dashboard, &request("GET", path, None)).await;
        assert_eq!((status, &body["error"]["code"]), (500, &json!("unavailable")));
        assert!(
            body["error"]["message"].as_str().is_some_and(|text| text.contains("MUSTER_STACK is missing")),
            "{body}"
        );
    }
}
