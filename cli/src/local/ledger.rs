//! The ledger of instances: what EC2 would know. It is written whole before anything is answered, so that a killed fleet
//! forgets nothing it has said.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use muster_control::ports::{Found, Launched, Mark};
use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::{FleetInstance, InstanceState};
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::wire::Response;

/// Ended instances are listed for an hour more, as EC2 does.
const LISTED_AFTER_END: Duration = Duration::from_secs(3600);
/// Addresses of one /16 of the loopback net; an instance's number picks one.
const ADDRESSES: u32 = 64_000;

/// Where the ledger's agents live: a part of the loopback net that other worlds are unlikely to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// 127.`second`.x.y
    pub second: u8,
    /// The port that every agent listens on.
    pub port: u16,
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    book: Book,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Book {
    net: Net,
    /// Instances ever launched.
    launched: u32,
    instances: BTreeMap<InstanceId, Entry>,
    /// The highest attempt seen, by token or intent.
    attempts: BTreeMap<String, u32>,
}

/// One instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: names its address and seeds its simulation.
    pub number: u32,
    /// What it was launched with.
    pub spec: LaunchSpec,
    /// Its state.
    pub state: InstanceState,
    /// When it was launched.
    pub launched_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The intent that ended it.
    #[serde(default)]
    pub ended_by: Option<IntentId>,
    /// Where its agent listens.
    pub endpoint: String,
    /// The marks that it carries.
    #[serde(default)]
    pub marks: BTreeSet<Mark>,
}

impl Entry {
    fn facts(&self, id: &InstanceId, group: &GroupName) -> FleetInstance {
        FleetInstance {
            intent: Some(self.spec.intent.clone()),
            launched_at: Some(self.launched_at),
            ours: self.spec.group == *group,
            protected: self.marks.contains(&Mark::Protected),
            drain: self.marks.contains(&Mark::Drain),
            ..FleetInstance::plain(id.clone(), self.state)
        }
    }
}

impl Ledger {
    /// Opens the ledger at `path`, or begins one in `net`.
    pub fn open(path: &Path, net: Net) -> io::Result<Self> {
        let book = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Book { net, launched: 0, instances: BTreeMap::new(), attempts: BTreeMap::new() }
            }
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), book })
    }

    /// The instances, by id.
    pub const fn instances(&self) -> &BTreeMap<InstanceId, Entry> {
        &self.book.instances
    }

    /// What the group's tag finds.
    pub fn list(&self, group: &GroupName) -> Vec<FleetInstance> {
        let ours = self.book.instances.iter().filter(|(_, entry)| entry.spec.group == *group);
        ours.map(|(id, entry)| entry.facts(id, group)).collect()
    }

    /// What is known of instances, whatever their tags.
    pub fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Vec<FleetInstance> {
        let known = ids.iter().filter_map(|id| Some((id, self.book.instances.get(id)?)));
        known.map(|(id, entry)| entry.facts(id, group)).collect()
    }

    /// Whether nothing has been launched with the token yet.
    pub fn is_new(&self, spec: &LaunchSpec) -> bool {
        self.find(spec) == Found::Nothing
    }

    /// What the launch has come to.
    pub fn find(&self, spec: &LaunchSpec) -> Found {
        match self.book.instances.iter().find(|(_, entry)| entry.spec.token == spec.token) {
            None => Found::Nothing,
            Some((id, entry)) if entry.state.is_gone() => Found::Ended(id.clone()),
            Some((id, entry)) => Found::Running(Launched { id: id.clone(), endpoint: entry.endpoint.clone() }),
        }
    }

    /// Launches at most one instance a token; EC2's idempotency errors otherwise.
    pub fn launch(&mut self, spec: &LaunchSpec, attempt: u32, now: Timestamp) -> io::Result<Response> {
        let mut book = self.book.clone();
        if !book.admit(&spec.token.0, attempt) {
            return Ok(Response::Superseded);
        }
        let known = book.instances.iter().find(|(_, entry)| entry.spec.token == spec.token);
        if let Some((id, entry)) = known {
            let response = if entry.spec != *spec {
                Response::Refused("IdempotentParameterMismatch".into())
            } else if entry.state.is_gone() {
                Response::Ended("IdempotentInstanceTerminated".into())
            } else {
                Response::Launched(Launched { id: id.clone(), endpoint: entry.endpoint.clone() })
            };
            return self.write(book).map(|()| response);
        }
        book.launched += 1;
        let number = book.launched;
        let host = number % ADDRESSES;
        let Net { second, port } = book.net;
        let endpoint = format!("127.{second}.{}.{}:{port}", host / 250, host % 250 + 1);
        let id = InstanceId(format!("i-{number:08x}"));
        let entry = Entry {
            number,
            spec: spec.clone(),
            state: InstanceState::Pending,
            launched_at: now,
            ended_at: None,
            ended_by: None,
            endpoint: endpoint.clone(),
            marks: BTreeSet::new(),
        };
        book.instances.insert(id.clone(), entry);
        self.write(book).map(|()| Response::Launched(Launched { id, endpoint }))
    }

    /// Ends an instance; ending what has ended is success.
    pub fn terminate(
        &mut self,
        group: &GroupName,
        id: &InstanceId,
        intent: &IntentId,
        attempt: u32,
        now: Timestamp,
    ) -> io::Result<Response> {
        let mut book = self.book.clone();
        if !book.admit(&intent.0, attempt) {
            return Ok(Response::Superseded);
        }
        match book.instances.get_mut(id) {
            Some(entry) if entry.spec.group != *group => {
                let why = format!("{id} does not carry the tag of {group}");
                return self.write(book).map(|()| Response::Refused(why));
            }
            Some(entry) if !entry.state.is_gone() => {
                entry.state = InstanceState::ShuttingDown;
                entry.ended_at = Some(now);
                entry.ended_by = Some(intent.clone());
            }
            Some(_) | None => {}
        }
        self.write(book).map(|()| Response::Terminated)
    }

    /// Sets a mark of an instance, or takes it off.
    pub fn mark(&mut self, group: &GroupName, id: &InstanceId, mark: Mark, on: bool) -> io::Result<Response> {
        let mut book = self.book.clone();
        let Some(entry) = book.instances.get_mut(id).filter(|entry| entry.spec.group == *group) else {
            return Ok(Response::Refused(format!("{id} does not carry the tag of {group}")));
        };
        let changed = if on { entry.marks.insert(mark) } else { entry.marks.remove(&mark) };
        if changed {
            self.write(book)?;
        }
        Ok(Response::Marked)
    }

    /// Moves an instance from one state to the next; in any other state it stays as it is: what ends does not come back.
    pub fn advance(&mut self, id: &InstanceId, from: InstanceState, to: InstanceState) -> io::Result<()> {
        let mut book = self.book.clone();
        match book.instances.get_mut(id).filter(|entry| entry.state == from) {
            Some(entry) => entry.state = to,
            None => return Ok(()),
        }
        self.write(book)
    }

    /// Forgets instances that ended more than an hour ago, with their tokens.
    pub fn forget_ended(&mut self, now: Timestamp) {
        let attempts = &mut self.book.attempts;
        self.book.instances.retain(|_, entry| {
            let keep = entry.ended_at.is_none_or(|ended| now.since(ended) < LISTED_AFTER_END);
            if !keep {
                attempts.remove(&entry.spec.token.0);
                if let Some(intent) = &entry.ended_by {
                    attempts.remove(&intent.0);
                }
            }
            keep
        });
    }

    /// Writes the book beside itself and puts it in place in one step; only then it counts. A killed process loses nothing;
    /// a power cut may.
    fn write(&mut self, book: Book) -> io::Result<()> {
        let beside = self.path.with_extension("json.new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(&book)?)?;
        std::fs::rename(&beside, &self.path)?;
        self.book = book;
        Ok(())
    }
}

impl Book {
    /// Whether no higher attempt has been seen for the same thing: who comes with a lower one has lost its lease.
    fn admit(&mut self, what: &str, attempt: u32) -> bool {
        let seen = self.attempts.entry(what.to_owned()).or_insert(attempt);
        let admitted = attempt >= *seen;
        *seen = attempt.max(*seen);
        admitted
    }
}
