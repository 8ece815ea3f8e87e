//! The dashboard of a local world: where it says that it is, for whoever sits here, and gone with the world.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{World, directory, policy_file, signal};

/// Asks a server on loopback, as HTTP/1.1 is written: status and body.
fn ask(port: u16, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("it is heard");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn port(world: &mut World) -> u16 {
    let line = world.until("the introduction", |line| line.get("world").is_some());
    let url = line["world"]["dashboard"].as_str().expect("an address").to_owned();
    url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

#[test]
fn a_world_is_shown_steered_and_found_and_the_loop_goes_on_when_the_dashboard_is_killed() {
    let files = directory();
    let policy = policy_file(files.path(), json!({"max_instances": 3}));
    let runtime = files.path().join("runtime");
    std::fs::create_dir(&runtime).expect("a folder");
    let args = ["--scenario", "calm", "--policy", policy.to_str().expect("a path")];
    let mut world = World::up_with(&args, &[("XDG_RUNTIME_DIR", runtime.to_str().expect("a path"))]);
    let port = port(&mut world);
    world.until_settled(2);
    let (status, groups) = ask(port, "GET", "/api/groups", None);
    assert_eq!((status, &groups["place"], &groups["groups"][0]["group"]), (200, &json!("local"), &json!("local")));
    assert_eq!(ask(port, "GET", "/api/groups/local/members", None).1["members"].as_array().map(Vec::len), Some(2));
    assert_eq!(ask(port, "GET", "/", None).0, 200);
    // Where it is stands in a file of this user's alone.
    let folder = runtime.join(format!("muster-{}", rustix::process::getuid().as_raw())).join("worlds");
    let entry = folder.join(format!("{}.json", world.pid()));
    let entered: Value = serde_json::from_slice(&std::fs::read(&entry).expect("an entry")).expect("JSON");
    assert_eq!(entered["dashboard"], format!("http://127.0.0.1:{port}/"));
    assert_eq!((&entered["pid"], &entered["group"]), (&json!(world.pid()), &json!("local")));
    // An edit takes effect.
    let (_, view) = ask(port, "GET", "/api/groups/local/policy", None);
    let text = std::fs::read_to_string(&policy).expect("a file").replace("\"max_instances\":3", "\"max_instances\":4");
    let edit = json!({"text": text, "revision": view["revision"]});
    assert_eq!(ask(port, "PUT", "/api/groups/local/policy", Some(&edit)).0, 200);
    assert_eq!(ask(port, "PUT", "/api/groups/local/policy", Some(&edit)).0, 409, "it is another text now");
    world.until("the edit in force", |line| line["decision"]["report"]["bounds"] == json!([2, 4]));
    // Killed, it comes back at the same address, and nobody waits for it.
    let before = world.process("dashboard");
    signal(before, Signal::KILL);
    world.until("another dashboard", |line| {
        line["process"]["name"] == "dashboard"
            && line["process"]["ended"].is_null()
            && line["process"]["pid"] != json!(before)
    });
    assert_eq!(ask(port, "GET", "/api/groups/local", None).0, 200);
    world.until("the loop goes on", |line| line.get("sweep").is_some());
    world.end();
    assert!(!entry.exists(), "the entry goes with the world");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
}

#[test]
fn a_world_without_a_dashboard_has_none_and_a_port_that_is_taken_is_told() {
    let mut world = World::up(&["--scenario", "calm", "--no-dashboard"]);
    let line = world.until("the introduction", |line| line.get("world").is_some());
    assert!(line["world"].get("dashboard").is_none());
    world.until("a sweep", |line| line.get("sweep").is_some());
    let (_, lines) = world.end();
    assert!(!lines.iter().any(|line| line["process"]["name"] == "dashboard"));
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(["up", "--dashboard", &port])
        .output()
        .expect("it runs");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&format!("port {port} of 127.0.0.1")));
}
