//! The API as whoever asks meets it: every path of the description, who may ask, and what is answered to nonsense.

mod world;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use muster_web::api::{Guards, router};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{World, group, policy};

const HOST: &str = "127.0.0.1:7718";

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json", "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = TowerToHyperService::new(router.clone()).call(request).await.expect("a router never fails");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes().to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

fn request(method: Method, path: &str, body: Option<&Value>) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path).header(header::HOST, HOST);
    match body {
        Some(body) => builder
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request"),
        None => builder.body(Body::empty()).expect("a request"),
    }
}

async fn get(router: &Router, path: &str) -> Answer {
    send(router, request(Method::GET, path, None)).await
}

async fn router_of(world: &World) -> Router {
    router(world.stand().await, Guards::loopback(7718))
}

/// Whether `value` is what `schema` says, as far as the description uses JSON Schema; else where it is not.
fn fits(value: &Value, schema: &Value, whole: &Value, place: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{place}: {what}: {value} against {schema}"));
    let Some(schema) = schema.as_object() else {
        return if *schema == Value::Bool(false) { wrong("nothing fits") } else { Ok(()) };
    };
    for word in schema.keys() {
        let known = [
            "$ref",
            "type",
            "properties",
            "required",
            "items",
            "enum",
            "const",
            "oneOf",
            "anyOf",
            "allOf",
            "minimum",
            "maximum",
            "additionalProperties",
            "prefixItems",
            "minItems",
            "maxItems",
            "description",
            "format",
            "default",
            "title",
            "minLength",
            "maxLength",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "uniqueItems",
            "unevaluatedProperties",
            "examples",
            "pattern",
        ];
        assert!(known.contains(&word.as_str()) || word.starts_with("x-"), "the check does not know {word}");
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target =
            whole.pointer(reference.trim_start_matches('#')).ok_or_else(|| format!("{reference} is not there"))?;
        fits(value, target, whole, place)?;
    }
    if let Some(kinds) = schema.get("type") {
        let kinds: Vec<&str> = kinds
            .as_str()
            .into_iter()
            .chain(kinds.as_array().into_iter().flatten().filter_map(Value::as_str))
            .collect();
        let is = |kind: &str| match kind {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            _ => value.is_object(),
        };
        if !kinds.iter().any(|kind| is(kind)) {
            return wrong("the type");
        }
    }
    if schema.get("enum").and_then(Value::as_array).is_some_and(|all| !all.contains(value))
        || schema.get("const").is_some_and(|one| one != value)
    {
        return wrong("the value");
    }
    let list = |word: &str| schema.get(word).and_then(Value::as_array).cloned().unwrap_or_default();
    let fitting = |word: &str| list(word).iter().filter(|one| fits(value, one, whole, place).is_ok()).count();
    if (schema.contains_key("oneOf") && fitting("oneOf") != 1)
        || (schema.contains_key("anyOf") && fitting("anyOf") == 0)
    {
        return wrong("none of the alternatives, or several");
    }
    for one in list("allOf") {
        fits(value, &one, whole, place)?;
    }
    if let Some(object) = value.as_object() {
        for name in list("required").iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return wrong(&format!("{name} is missing"));
            }
        }
        let known = schema.get("properties").and_then(Value::as_object);
        for (name, inner) in object {
            let place = format!("{place}.{name}");
            match known.and_then(|known| known.get(name)) {
                Some(schema) => fits(inner, schema, whole, &place)?,
                None => {
                    // What the description does not name nobody may send: so it cannot drift.
                    let more = schema.get("additionalProperties");
                    if let Some(more) = more {
                        fits(inner, more, whole, &place)?;
                    } else if known.is_some()
                        && !schema.contains_key("$ref")
                        && !schema.contains_key("allOf")
                        && !schema.contains_key("oneOf")
                    {
                        return wrong(&format!("{name} is not in the description"));
                    }
                }
            }
        }
    }
    if let Some(items) = value.as_array() {
        let first = list("prefixItems");
        for (nth, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(nth).or_else(|| schema.get("items")) {
                fits(item, schema, whole, &format!("{place}[{nth}]"))?;
            }
        }
    }
    Ok(())
}

/// The schema of what an operation answers with when all goes well.
fn answer_of<'d>(description: &'d Value, path: &str, method: &str) -> &'d Value {
    &description["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
}

/// A world with a history: it has grown, scaled out, lost an agent, and had a policy refused.
async fn eventful() -> World {
    let world = World::grown(json!({})).await;
    world.steps(3, 95.0).await;
    world.steps(3, 50.0).await;
    let first = world.members().await[0].clone();
    world.probe.script(&first, muster_control::memory::Scripted::Silent);
    world.step().await;
    let other = policy(json!({"max_instances": 6, "mode": "out-only"}));
    world.edit(Some(&other));
    world.step().await;
    world.edit(Some("{\"min_instances\": -1}"));
    world.step().await;
    world.edit(Some(&other));
    world.step().await;
    world
}

#[tokio::test]
async fn every_path_answers_as_the_description_says() {
    let world = eventful().await;
    let router = router_of(&world).await;
    let description = get(&router, "/api/openapi.json").await.json();
    let id = world.members().await[1].to_string();
    let decision =
        get(&router, "/api/groups/example").await.json()["decision"]["id"].as_str().expect("a decision").to_owned();
    let text = world.policy_text().await.expect("a policy");
    let revision = get(&router, "/api/groups/example/policy").await.json()["revision"].clone();
    let bodies = [
        ("checkPolicy", json!({"text": "{\"max_instances\": 0}"})),
        ("previewPolicy", json!({"text": text, "since_ms": 86_400_000})),
        ("putPolicy", json!({"text": policy(json!({"max_instances": 7})), "revision": revision})),
        ("resume", json!({})),
        ("protect", json!({"on": true})),
        ("drain", json!({"on": false})),
    ];
    let mut seen = 0;
    for (path, operations) in description["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let name = operation["operationId"].as_str().expect("a name");
            if name == "openapi" || name == "pause" {
                continue;
            }
            let asked = path.replace("{group}", "example");
            let asked = asked.replace("{id}", if name == "decision" { &decision } else { &id });
            let method: Method = method.to_ascii_uppercase().parse().expect("a method");
            let body = bodies.iter().find(|(of, _)| *of == name).map(|(_, body)| body);
            assert_eq!(body.is_some(), method != Method::GET, "{name}");
            let answer = send(&router, request(method.clone(), &asked, body)).await;
            assert_eq!(answer.status, StatusCode::OK, "{name}: {}", String::from_utf8_lossy(&answer.body));
            let schema = answer_of(&description, path, &method.as_str().to_ascii_lowercase());
            fits(&answer.json(), schema, &description, name).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            assert!(answer.headers.contains_key(header::ETAG));
            seen += 1;
        }
    }
    assert_eq!(seen, 20);
    let failed = &description["components"]["schemas"]["Problem"];
    for path in ["/api/groups/nobody", "/api/groups/example/load?from=2&until=1", "/api/nothing"] {
        fits(&get(&router, path).await.json(), failed, &description, path).expect("a problem");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    for path in ["/api/groups", "/api/groups/example", "/api/groups/example/members", "/"] {
        let first = get(&router, path).await;
        let tag = first.headers[header::ETAG].clone();
        let ask = |tag: String| {
            let mut again = request(Method::GET, path, None);
            again.headers_mut().insert(header::IF_NONE_MATCH, tag.parse().expect("a header"));
            again
        };
        let told = tag.to_str().expect("ASCII");
        for known in [told.to_owned(), format!("\"x\", W/{told}"), "*".into()] {
            let again = send(&router, ask(known)).await;
            assert_eq!(
                (again.status, again.body.len(), &again.headers[header::ETAG]),
                (StatusCode::NOT_MODIFIED, 0, &tag),
                "{path}"
            );
        }
        assert_eq!(send(&router, ask("\"x\"".into())).await.body, first.body, "{path}");
    }
}

#[tokio::test]
async fn members_come_page_by_page_and_what_cannot_be_asked_for_is_named() {
    let world = World::grown(json!({})).await;
    world.steps(2, 95.0).await;
    let router = router_of(&world).await;
    let all = get(&router, "/api/groups/example/members").await.json();
    let ids = |found: &Value| -> Vec<String> {
        found["members"].as_array().expect("a list").iter().map(|one| one["id"].to_string()).collect()
    };
    let (count, by_id) = (ids(&all).len(), ids(&all));
    assert!(count >= 3 && by_id.is_sorted() && all["total"] == count);
    let mut found = Vec::new();
    for page in 0..count {
        let query = format!("sort=id&order=down&limit=1&page={page}");
        found.extend(ids(&get(&router, &format!("/api/groups/example/members?{query}")).await.json()));
    }
    found.reverse();
    assert_eq!(found, by_id);
    let first = by_id[0].trim_matches('"');
    let own = get(&router, &format!("/api/groups/example/members/{first}/load")).await.json();
    assert_eq!(own["members"].as_object().expect("loads").keys().collect::<Vec<_>>(), [first]);
    let nobody = get(&router, "/api/groups/example/members/i-nobody").await;
    assert_eq!((nobody.status, nobody.code().as_str()), (StatusCode::NOT_FOUND, "not-found"));
    for (query, matching) in [
        (format!("find={}", first.to_uppercase()), 1),
        ("phase=suspect".into(), 0),
        ("hot=false&page=9999999999".into(), count),
    ] {
        let found = get(&router, &format!("/api/groups/example/members?{query}")).await;
        assert_eq!((found.status, &found.json()["matching"]), (StatusCode::OK, &json!(matching)), "{query}");
    }
    for (query, named) in [
        ("sort=size", "sort is \"size\""),
        ("order=DOWN", "order is \"DOWN\""),
        ("phase=hot", "phase is \"hot\""),
        ("hot=yes", "hot is \"yes\": it must be true or false"),
        ("limit=-1", "limit is \"-1\""),
        ("page=x", "page is \"x\""),
        ("offset=1", "offset"),
        ("find=a&find=b", "\"find\" twice"),
    ] {
        let refused = get(&router, &format!("/api/groups/example/members?{query}")).await;
        let told = String::from_utf8_lossy(&refused.body).replace("\\\"", "\"");
        assert!(refused.status == 400 && told.contains(named), "{query}: {told}");
    }
}

#[tokio::test]
async fn only_this_machine_by_its_own_name_may_ask() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    let with = |headers: &[(&str, &str)], method: Method, path: &str, body: &'static str| {
        let builder = headers
            .iter()
            .fold(Request::builder().method(method).uri(path), |b, (name, value)| b.header(*name, *value));
        builder.body(Body::from(body)).expect("a request")
    };
    for (host, status) in [
        ("127.0.0.1:7718", 200),
        ("localhost:7718", 200),
        ("LOCALHOST:7718", 200),
        ("[::1]:7718", 200),
        ("127.0.0.1:7719", 421),
        ("127.0.0.1", 421),
        ("evil.example:7718", 421),
        ("127.0.0.1:7718.evil.example", 421),
    ] {
        for path in ["/api/groups", "/", "/assets/none.js"] {
            let answer = send(&router, with(&[("host", host)], Method::GET, path, "")).await;
            let expected = if status == 200 && path == "/assets/none.js" { 404 } else { status };
            assert_eq!(answer.status, expected, "{host} {path}");
            assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; ")
                    && policy.ends_with("frame-ancestors 'none'")
            );
        }
    }
    assert_eq!(send(&router, with(&[], Method::GET, "/api/groups", "")).await.status, 421);
    let foreign = with(&[("host", HOST)], Method::GET, "http://evil.example/api/groups", "");
    assert_eq!(send(&router, foreign).await.status, 421);
    let twice = with(&[("host", HOST), ("host", "evil.example")], Method::GET, "/api/groups", "");
    assert_eq!(send(&router, twice).await.status, 400);
    let json = ("content-type", "application/json; charset=utf-8");
    let origin = ("origin", "http://127.0.0.1:7718");
    for (headers, status) in [
        (vec![json], 200),
        (vec![json, origin], 200),
        (vec![json, origin, ("sec-fetch-site", "same-origin")], 200),
        (vec![json, ("sec-fetch-site", "none")], 200),
        (vec![json, ("sec-fetch-site", "same-site")], 403),
        (vec![json, origin, ("sec-fetch-site", "cross-site")], 403),
        (vec![json, ("origin", "null")], 403),
        (vec![json, ("origin", "http://localhost:7718")], 403),
        (vec![json, ("origin", "http://127.0.0.1:7718.evil.example")], 403),
        (vec![json, ("origin", "http://evil.example")], 403),
        (vec![], 403),
        (vec![("content-type", "application/x-www-form-urlencoded")], 403),
        (vec![("content-type", "multipart/form-data; boundary=x")], 403),
        (vec![("content-type", "text/plain")], 403),
    ] {
        let all = [vec![("host", HOST)], headers.clone()].concat();
        let answer = send(&router, with(&all, Method::POST, "/api/policy/check", "{\"text\": \"{}\"}")).await;
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 403 {
            assert_eq!(answer.code(), "forbidden");
        }
        assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
    let asked_before =
        with(&[("host", HOST), ("origin", "http://evil.example")], Method::OPTIONS, "/api/policy/check", "");
    assert_eq!(send(&router, asked_before).await.status, 403, "no preflight is answered");
}

#[tokio::test]
async fn an_edit_names_what_it_replaces_and_is_judged() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    let put = async |text: &str, revision: Value| {
        let body = json!({"text": text, "revision": revision});
        send(&router, request(Method::PUT, "/api/groups/example/policy", Some(&body))).await
    };
    let revision = get(&router, "/api/groups/example/policy").await.json()["revision"].clone();
    let (old, new) = (world.policy_text().await, policy(json!({"max_instances": 9})));
    for (revision, text) in [(json!(null), new.as_str()), (json!("00"), &new)] {
        let lost = put(text, revision).await;
        assert_eq!((lost.status.as_u16(), lost.code()), (409, "lost-update".into()));
        assert_eq!(lost.json()["error"]["found"]["text"].as_str(), old.as_deref());
    }
    let wrong = put("{\"min_instances\": 9}", revision.clone()).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (422, "invalid-policy".into()));
    assert_eq!(wrong.json()["error"]["problems"][0]["key"], "min_instances");
    assert_eq!(world.policy_text().await, old, "nothing was written");
    let written = put(&new, revision).await.json();
    assert_eq!(world.policy_text().await.as_deref(), Some(new.as_str()));
    assert_eq!(get(&router, "/api/groups/example/policy").await.json()["revision"], written["revision"]);
}

/// Pausing is an edit of the policy's field `pause`.
#[tokio::test]
async fn a_pause_is_an_edit_of_the_policy_and_is_taken_back() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    let old = world.policy_text().await;
    let until = world.now() + 3_600_000;
    let post = async |what: &str, body: Value| {
        send(&router, request(Method::POST, &format!("/api/groups/example/{what}"), Some(&body))).await
    };
    assert_eq!(post("pause", json!({"reason": " ", "until": null})).await.code(), "bad-request");
    let paused = post("pause", json!({"reason": "moving house", "until": until})).await;
    assert_eq!(paused.status, StatusCode::OK, "{}", String::from_utf8_lossy(&paused.body));
    world.step().await;
    let now = get(&router, "/api/groups/example").await.json();
    assert_eq!((&now["mode"], &now["pause"]), (&json!("paused"), &json!({"reason": "moving house", "until": until})));
    assert_eq!((&now["attention"], &now["why"]), (&json!("look"), &json!("paused: moving house")));
    assert_eq!(post("resume", json!({})).await.status, StatusCode::OK);
    assert_eq!(world.policy_text().await, old);
}

/// Whoever stops a group has no time to mend a text: what is in force is paused, and takes the place of one that is not valid, or is missing.
#[tokio::test]
async fn a_group_can_be_paused_whatever_its_text_is() {
    for text in [Some("{\"max_instances\": true}"), Some("{"), None] {
        let world = World::grown(json!({})).await;
        let router = router_of(&world).await;
        world.edit(text);
        world.step().await;
        let pause = async |until: Value| {
            let body = json!({"reason": "stop", "until": until});
            send(&router, request(Method::POST, "/api/groups/example/pause", Some(&body))).await
        };
        let past = pause(json!(world.now())).await;
        assert_eq!((past.status.as_u16(), past.code()), (400, "bad-request".into()), "it would never hold");
        let until = world.now() + 60_000;
        let paused = pause(json!(until)).await;
        assert_eq!(paused.status, StatusCode::OK, "{}", String::from_utf8_lossy(&paused.body));
        world.step().await;
        let now = get(&router, "/api/groups/example").await.json();
        assert_eq!((&now["mode"], &now["policy"]["notice"]), (&json!("paused"), &Value::Null), "{text:?}");

        // A paused group's sweeps are decided on, too: nobody is late when the pause has ended by itself, but who stops deciding is.
        while world.now() < until {
            world.step().await;
        }
        let swept_until = async |end: u64| {
            while world.now() < end {
                world.pass(std::time::Duration::from_secs(10));
                world.sweep().await;
            }
            let now = get(&router, "/api/groups/example").await.json();
            let late = now["faults"].as_array().expect("a list").iter().any(|fault| fault["what"] == "stale-decision");
            (now["mode"].clone(), late)
        };
        assert_eq!(swept_until(until + 20_000).await, (json!("active"), false));
        assert_eq!(swept_until(until + 60_000).await, (json!("active"), true));
    }
}

#[tokio::test]
async fn marks_are_set_on_members_alone() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    let id = world.members().await[0].to_string();
    let mark = async |id: &str, what: &str| {
        send(
            &router,
            request(Method::POST, &format!("/api/groups/example/members/{id}/{what}"), Some(&json!({"on": true}))),
        )
        .await
    };
    assert_eq!(mark(&id, "protect").await.json(), json!({"instance": id, "protected": true}));
    assert_eq!(mark(&id, "drain").await.json(), json!({"instance": id, "drain": true}));
    for id in ["i-9999", "..", "%2e%2e%2f", "%00", "%f0%9f%98%80"] {
        assert_eq!(mark(id, "protect").await.code(), "not-found", "{id}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_what_belongs_there() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    let check = async |body: String| {
        let builder = Request::builder().method(Method::POST).uri("/api/policy/check").header(header::HOST, HOST);
        let builder = builder.header(header::CONTENT_TYPE, "application/json");
        send(&router, builder.body(Body::from(body)).expect("a request")).await
    };
    let large = check(json!({"text": "x".repeat(65 * 1024)}).to_string()).await;
    assert_eq!((large.status.as_u16(), large.code()), (413, "too-large".into()));
    for body in ["", "{", "[]", "3", "{}", "{\"text\": 3}", "{\"text\": \"\", \"more\": 1}", "\u{0}"] {
        let answer = check(body.into()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "bad-request".into()), "{body:?}");
    }
    let deep = format!("{{\"text\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(check(deep).await.status, 400);
}

/// Texts that somebody would like to see run, shown as something else, or break a program.
fn hostile() -> Vec<String> {
    let seeds = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'; DROP TABLE heads; --",
        "{{constructor.constructor('x')()}}",
        "${7*7}",
        "javascript:alert(1)",
        "\u{202e}gpj.exe",
        "\u{0}",
        "\r\nSet-Cookie: a=b",
        "</title><svg onload=alert(1)>",
        "\u{1b}[2J",
        "../../etc/passwd",
        "%00%0a",
        "&lt;b&gt;",
        "\u{feff}x",
        "\u{1f600}",
        "-->",
        "]]>",
        "\\u003cscript\\u003e",
        "{\"a\": 1}",
    ];
    (0..10).flat_map(|nth| seeds.iter().map(move |seed| format!("{seed}{nth}"))).collect()
}

#[tokio::test]
async fn hostile_texts_come_back_as_data_and_nothing_else() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    for text in hostile() {
        let checked = send(&router, request(Method::POST, "/api/policy/check", Some(&json!({"text": text})))).await;
        assert_eq!((checked.status, checked.json()["valid"].as_bool()), (StatusCode::OK, Some(false)), "{text:?}");
        let named = json!({"launch": {"template": text}, "min_instances": 0});
        let checked =
            send(&router, request(Method::POST, "/api/policy/check", Some(&json!({"text": named.to_string()})))).await;
        assert_eq!(checked.status, StatusCode::OK, "{text:?}");
        assert_eq!(checked.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in [
            format!("/api/groups/{}", encoded.replace('+', "%20")),
            format!("/api/groups/example/decisions/{}", encoded.replace('+', "%20")),
            format!("/api/groups/example/activity?kind={encoded}"),
            format!("/api/groups/example/load?from={encoded}"),
            format!("/api/groups/example/explain?{encoded}=1"),
        ] {
            let answer = get(&router, &path).await;
            assert!(answer.status == 404 || answer.status == 400, "{path}: {}", answer.status);
            assert!(!answer.code().is_empty(), "{path}");
            assert!(!answer.headers.contains_key(header::SET_COOKIE));
        }
    }
}

#[tokio::test]
async fn a_refused_policy_full_of_markup_is_told_as_data() {
    let world = World::grown(json!({})).await;
    let text = json!({"<script>alert(1)</script>": "\"><img onerror=x>"}).to_string();
    world.edit(Some(&text));
    world.step().await;
    let router = router_of(&world).await;
    for path in [
        "/api/groups",
        "/api/groups/example",
        "/api/groups/example/policy",
        "/api/groups/example/activity",
        "/api/groups/example/explain",
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.json().to_string().contains("<script>alert(1)</script>"), "{path} tells it as it is");
    }
    assert_eq!(get(&router, "/").await.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(!String::from_utf8_lossy(&get(&router, "/").await.body).contains("alert"));
}

#[tokio::test]
async fn whatever_is_asked_the_answer_is_json_and_no_fault_of_ours() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let part = prop_oneof![
            Just("groups".to_owned()),
            Just("example".to_owned()),
            Just("load".to_owned()),
            Just("members".to_owned()),
            Just("policy".to_owned()),
            Just("activity".to_owned()),
            Just("explain".to_owned()),
            Just("check".to_owned()),
            Just("preview".to_owned()),
            "[a-z0-9~.%-]{0,12}",
        ];
        let path = prop::collection::vec(part, 0..6).prop_map(|parts| format!("/api/{}", parts.join("/")));
        let query = prop::option::of(
            "[a-z]{0,6}=[0-9a-z%,-]{0,20}(&(from|until|points|since|limit|page|kind|at)=[0-9]{0,21}){0,3}",
        );
        let method = prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("DELETE"), Just("HEAD"), Just("PATCH")];
        let body = prop_oneof![
            Just("{}".to_owned()),
            Just("{\"text\":\"{}\"}".to_owned()),
            Just("{\"on\":true}".to_owned()),
            ".{0,40}"
        ];
        let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let outcome = runner.run(&(path, query, method, body), |(path, query, method, body)| {
            let uri = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            let builder = Request::builder().method(method).uri(&uri).header(header::HOST, HOST);
            let Ok(request) = builder.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)) else {
                return Ok(());
            };
            let answer = runtime.block_on(send(&router, request));
            prop_assert!(!answer.status.is_server_error(), "{method} {uri}: {}", answer.status);
            if method != "HEAD" && !answer.body.is_empty() {
                prop_assert!(serde_json::from_slice::<Value>(&answer.body).is_ok(), "{method} {uri}");
            }
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{error}"));
    })
    .await
    .expect("it ends");
}

#[tokio::test]
async fn a_group_that_is_not_there_is_told_so_everywhere() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    let description = get(&router, "/api/openapi.json").await.json();
    for path in description["paths"]
        .as_object()
        .expect("paths")
        .keys()
        .filter(|path| path.contains("{group}") && description["paths"][*path].get("get").is_some())
    {
        for name in ["nobody", "a%20b", "x%2fy"] {
            let asked = path.replace("{group}", name).replace("{id}", "1~x");
            let answer = get(&router, &asked).await;
            // The policy of the memory port is any group's.
            let found = path.ends_with("/policy") && name == "nobody";
            let empty = path.ends_with("/activity") && name == "nobody";
            assert!(answer.status == 404 || ((found || empty) && answer.status == 200), "{asked}: {}", answer.status);
        }
    }
    assert_eq!(group().to_string(), "example");
}

#[tokio::test]
async fn the_page_is_served_with_its_types_and_nothing_beside_it() {
    let world = World::grown(json!({})).await;
    let router = router_of(&world).await;
    let index = get(&router, "/").await;
    assert_eq!(
        (index.status, &index.headers[header::CACHE_CONTROL]),
        (StatusCode::OK, &"no-cache".parse().expect("a header"))
    );
    assert_eq!(get(&router, "/index.html").await.body, index.body);
    for path in ["/assets/", "/assets/../Cargo.toml", "/assets/%2e%2e/x", "/build.rs", "//", "/index.htm"] {
        let answer = get(&router, path).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "not-found".into()), "{path}");
    }
    let wrong = send(&router, request(Method::POST, "/", Some(&json!({})))).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (405, "bad-request".into()));
}

/// The page's tests build its form from a copy, because they run without a server of ours. `MUSTER_GOLDEN=write` takes the present one over.
#[test]
fn the_pages_tests_know_the_present_schema() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("page/mock/schema.json");
    let present = muster_core::policy::schema().to_value();
    if std::env::var_os("MUSTER_GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::write(&file, format!("{present:#}\n")).expect("the copy is written");
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("a copy")).expect("JSON");
    assert_eq!(kept, present, "MUSTER_GOLDEN=write takes it over");
}
