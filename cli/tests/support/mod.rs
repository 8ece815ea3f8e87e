//! A running local world, as a test sees it: it reads the JSON lines of `muster up`, waits for events (never for time),
//! and makes sure at the end that no process is left.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The longest that a world may take to show anything a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// A running `muster up`.
pub(crate) struct World {
    child: Child,
    lines: Receiver<Value>,
    /// Everything said so far.
    pub(crate) seen: Vec<Value>,
    /// Lines before this one have been waited past.
    next: usize,
    /// Every process that was named, with its start time, which tells it from a later one with the same id.
    processes: BTreeMap<u32, Option<String>>,
}

/// A directory for one test's files.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("muster-test-").tempdir().expect("a temporary directory")
}

/// The demo policy with `changes` merged into its top level.
pub(crate) fn policy(changes: Value) -> String {
    let mut policy: Value = serde_json::from_str(include_str!("../../scenarios/policy.json")).expect("the demo policy");
    let (Value::Object(policy_object), Value::Object(changes)) = (&mut policy, changes) else { panic!("objects") };
    policy_object.extend(changes);
    policy.to_string()
}

/// A policy file in `directory`.
pub(crate) fn policy_file(directory: &Path, changes: Value) -> PathBuf {
    let file = directory.join("policy.json");
    std::fs::write(&file, policy(changes)).expect("a policy file");
    file
}

impl World {
    /// Starts `muster up --json` with `args`.
    pub(crate) fn up(args: &[&str]) -> Self {
        Self::up_with(args, &[])
    }

    /// The same with environment variables.
    pub(crate) fn up_with(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_muster"))
            .arg("up")
            .arg("--json")
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("muster up starts");
        let stdout = child.stdout.take().expect("a pipe");
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("not JSON: {error}: {line}"));
                if tell.send(value).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new(), next: 0, processes: BTreeMap::new() }
    }

    /// The process id of `muster up` itself.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line; none at the end.
    fn read(&mut self, patience: Duration) -> Result<bool, RecvTimeoutError> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => {
                for kind in ["process", "instance"] {
                    if let Some(pid) = line[kind]["pid"].as_u64().filter(|_| line[kind]["ended"].is_null()) {
                        let pid = u32::try_from(pid).expect("a process id");
                        self.processes.insert(pid, start_time(pid));
                    }
                }
                self.seen.push(line);
                Ok(true)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(false),
            Err(RecvTimeoutError::Timeout) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The first line after those waited for that `wanted` accepts.
    pub(crate) fn until(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while self.next < self.seen.len() {
                self.next += 1;
                if wanted(&self.seen[self.next - 1]) {
                    return self.seen[self.next - 1].clone();
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.read(left) {
                Ok(true) => {}
                Ok(false) => self.give_up(&format!("the world ended before: {what}")),
                Err(_) => self.give_up(&format!("not seen in {PATIENCE:?}: {what}")),
            }
        }
    }

    fn give_up(&self, why: &str) -> ! {
        let last: Vec<String> = self.seen.iter().rev().take(60).rev().map(short).collect();
        panic!("{why}\nthe last lines were:\n{}", last.join("\n"));
    }

    /// Waits until a decision counts `n` members in service, and nobody is in any other state.
    pub(crate) fn until_settled(&mut self, n: u64) -> Value {
        self.until(&format!("{n} in service and nobody else"), |line| {
            let counts = &line["decision"]["report"]["counts"];
            counts["in_service"] == n && counts["actual"] == n && counts["draining"] == 0 && counts["terminating"] == 0
        })
    }

    /// Waits for an action of `kind`.
    pub(crate) fn until_action(&mut self, kind: &str) -> Value {
        self.until(kind, |line| line["action"]["kind"] == kind)["action"].clone()
    }

    /// The agents' process ids, by instance: the latest of each.
    pub(crate) fn agents(&self) -> BTreeMap<String, u32> {
        let pid = |line: &Value| {
            let instance = line.get("instance")?;
            Some((instance["id"].as_str()?.to_owned(), u32::try_from(instance["pid"].as_u64()?).ok()?))
        };
        self.seen.iter().filter_map(pid).collect()
    }

    /// The latest process id of fleet, monitor or controller, once it has been started.
    pub(crate) fn process(&mut self, name: &str) -> u32 {
        let pid = |line: &Value| line["process"]["pid"].as_u64().filter(|_| line["process"]["name"] == name);
        loop {
            if let Some(pid) = self.seen.iter().rev().find_map(pid) {
                return u32::try_from(pid).expect("a process id");
            }
            if !matches!(self.read(PATIENCE), Ok(true)) {
                self.give_up(&format!("no process {name}"));
            }
        }
    }

    /// The actions of `kind` so far.
    pub(crate) fn actions(&self, kind: &str) -> Vec<&Value> {
        self.seen.iter().map(|line| &line["action"]).filter(|action| action["kind"] == kind).collect()
    }

    /// Reads to the end of a world that ends by itself, and gives its summary.
    pub(crate) fn summary(mut self) -> (Value, Vec<Value>) {
        let summary = self.until("the summary", |line| line.get("summary").is_some());
        let status = self.child.wait().expect("muster up ends");
        assert!(status.success(), "{status}");
        while let Ok(true) = self.read(PATIENCE) {}
        assert_eq!(self.seen.last(), Some(&summary), "the summary is the last line");
        self.assert_nobody_left();
        (summary["summary"].clone(), std::mem::take(&mut self.seen))
    }

    /// Ends the world as Ctrl-C does.
    pub(crate) fn end(self) -> (Value, Vec<Value>) {
        signal(self.child.id(), Signal::INT);
        self.summary()
    }

    /// Kills `muster up` itself: everything must go with it.
    pub(crate) fn kill(self) {
        signal(self.child.id(), Signal::KILL);
        self.wait();
    }

    /// Waits for the end of `muster up`, however it comes: everything must go with it.
    pub(crate) fn wait(mut self) -> ExitStatus {
        while let Ok(true) = self.read(PATIENCE) {}
        let status = self.child.wait().expect("it ends");
        self.assert_nobody_left();
        status
    }

    /// Every process that was named has ended, and so has every agent that one of them started, named or not.
    fn assert_nobody_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let named = || self.processes.iter().filter(|(pid, start)| start.is_some() && start_time(**pid) == **start);
        let agents = || self.processes.keys().flat_map(|pid| children(*pid));
        while named().next().is_some() || agents().next().is_some() {
            let left = (named().collect::<Vec<_>>(), agents().collect::<Vec<_>>());
            assert!(Instant::now() < deadline, "processes are left: {left:?}");
            std::thread::yield_now();
        }
    }

    /// The instances' endpoints for which the present fleet runs an agent, one for each process.
    pub(crate) fn agents_running(&mut self) -> Vec<String> {
        let fleet = self.process("fleet");
        let mut endpoints: Vec<String> = children(fleet).collect();
        endpoints.sort();
        endpoints
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind either.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A line without its long parts.
fn short(line: &Value) -> String {
    match line.get("decision") {
        Some(decision) => {
            let report = &decision["report"];
            json!({"decision": report["headline"], "counts": report["counts"], "remarks": report["remarks"], "waits": report["waits"]})
                .to_string()
        }
        None => line.to_string(),
    }
}

/// When a process started; none when there is none, or it is a zombie.
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    (fields.next()? != "Z").then(|| fields.nth(18).unwrap_or_default().to_owned())
}

/// The endpoints of the agents whose parent was to be `pid`, as their command lines say.
fn children(pid: u32) -> impl Iterator<Item = String> {
    let parent = pid.to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes.filter_map(move |entry| {
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let words: Vec<&str> = line.split('\0').collect();
        let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|n| words.get(n + 1).copied());
        (after("--parent-pid")? == parent).then(|| after("--listen").map(str::to_owned)).flatten()
    })
}

/// Sends a signal to a process that a test's world has named.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("not zero");
    // It may have ended meanwhile.
    let _ended = kill_process(pid, signal);
}

/// The instances that the ledger calls alive, and the tokens that it has ever launched for.
pub(crate) fn ledger(state: &str) -> (BTreeSet<String>, Vec<String>) {
    let text = std::fs::read_to_string(format!("{state}/ledger.json")).expect("a ledger");
    let book: Value = serde_json::from_str(&text).expect("the ledger is whole");
    let instances = book["instances"].as_object().expect("instances");
    let gone = |entry: &Value| matches!(entry["state"].as_str(), Some("shutting-down" | "terminated"));
    let alive = instances.iter().filter(|(_, entry)| !gone(entry)).map(|(id, _)| id.clone()).collect();
    let tokens = instances.values().map(|entry| entry["spec"]["token"].to_string()).collect();
    (alive, tokens)
}

/// The group has `n` members in service; the ledger has the same and no more; each token has one instance, and each instance
/// one agent.
pub(crate) fn assert_whole(world: &mut World, state: &str, n: u64) {
    world.until_settled(n);
    let (alive, tokens) = ledger(state);
    assert_eq!(alive.len() as u64, n, "{alive:?}");
    let agents = world.agents_running();
    let distinct: BTreeSet<&String> = agents.iter().collect();
    assert_eq!((agents.len() as u64, distinct.len() as u64), (n, n), "one agent for each instance: {agents:?}");
    let distinct: BTreeSet<&String> = tokens.iter().collect();
    assert_eq!(distinct.len(), tokens.len(), "a token has launched twice");
    let listening: BTreeSet<String> = world.agents().into_keys().collect();
    assert!(alive.is_subset(&listening), "{alive:?} {listening:?}");
}
