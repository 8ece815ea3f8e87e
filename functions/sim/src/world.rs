//! The world: everything that is true at one moment of virtual time, and the queue of what comes next.
//!
//! Invocations see it through their [`Port`](crate::port::Port)s only. What must never be in here: a wall clock, an
//! unordered collection, a draw that is not the seed's.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::task::Waker;
use std::time::Duration;

use muster_control::memory::MemoryStore;
use muster_control::ports::{GroupState, PolicyText};
use muster_core::group::{GroupName, PolicyVersion};
use muster_core::intent::IntentId;
use muster_core::member::InstanceId;
use muster_core::policy::Policy;
use muster_core::time::Timestamp;
use serde_json::Value;

use crate::agents::Agent;
use crate::dice::{Dice, join};
use crate::ec2::Ec2;
use crate::fault::{Fault, Tally};
use crate::history::History;
use crate::ledger::Ledger;
use crate::liveness::Liveness;
use crate::safety::Safety;
use crate::schedule::{Happening, START, Schedule};
use crate::story::{Line, Violation, Weight};
use crate::weak::Weakness;

/// Names an invocation.
pub(crate) type RunId = u64;

/// What is to come.
pub(crate) enum Event {
    /// An invocation goes on.
    Wake(RunId, Waker),
    /// EventBridge ticks for the monitor.
    Tick(u64),
    /// EventBridge ticks for the controller.
    Reconcile(u64),
    /// A doorbell arrives.
    Ring {
        slot: Timestamp,
        origin: Option<Fault>,
    },
    /// An invocation begins.
    Invoke(Start),
    /// An invocation has reached its limit.
    Limit(RunId),
    /// A happening of the script begins or ends.
    Begin(usize),
    End(usize),
    /// The operator edits the policy as the schedule says.
    Edit(usize),
    /// Faults stop.
    Calm,
    /// Somebody looks whether all is well.
    Look,
}

/// Which function is invoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Monitor,
    Controller,
}

/// An invocation that is to begin.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) function: Function,
    /// Stable from run to run of a schedule, whatever else is left out of it.
    pub(crate) key: u64,
    /// The fault without which it would not be.
    pub(crate) origin: Option<Fault>,
    /// The doorbells that it was invoked for.
    pub(crate) slots: Vec<Timestamp>,
    /// Whether the stream waits for its end.
    pub(crate) streamed: bool,
    /// How often it has been tried before.
    pub(crate) tries: u32,
}

/// An invocation under way.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) start: Start,
    pub(crate) owner: String,
    pub(crate) began: Timestamp,
    /// What its clock is ahead, in milliseconds; 2,000 is right.
    pub(crate) skew: u64,
    pub(crate) calls: u64,
    pub(crate) dead: bool,
    /// The fault that ends it.
    pub(crate) dying: Option<Fault>,
    /// Intents that it holds, and intents that it has claimed and nobody has leased yet.
    pub(crate) leased: BTreeSet<IntentId>,
    pub(crate) claimed: BTreeSet<IntentId>,
    /// The intent of the call of EC2 that it is about to make.
    pub(crate) calling: Option<IntentId>,
    /// The slot that it sweeps.
    pub(crate) slot: Option<Timestamp>,
    /// Whether it took its slot before its time.
    pub(crate) early: bool,
    pub(crate) claims: u32,
    /// The fault that may keep it from deciding.
    pub(crate) hindered: Option<Fault>,
    /// A conflict that was none; it counts when the invocation tries again.
    pub(crate) conflicted: bool,
    /// What it was told by EC2 lies behind the truth.
    pub(crate) stale: bool,
    /// It has listed EC2 and not read since: what it reads next, it decides on.
    pub(crate) deciding: bool,
}

/// How long the store keeps sweeps: nobody here reads more than the latest.
const SWEEPS_KEPT: Duration = Duration::from_secs(3 * 3_600);
/// The right clock's place among the skews.
pub(crate) const RIGHT: u64 = 2_000;

struct Queued {
    at: Timestamp,
    sequence: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// What the operator has written.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) document: Value,
    pub(crate) text: Option<String>,
    pub(crate) version: u64,
    /// Why it is as it is, for the tally.
    pub(crate) why: Option<Fault>,
}

impl Operator {
    pub(crate) fn policy(&self) -> Option<PolicyText> {
        let version = Some(PolicyVersion(self.version));
        self.text.clone().map(|text| PolicyText { text, version })
    }

    pub(crate) fn write(&mut self, text: Option<String>, why: Option<Fault>) {
        self.text = text;
        self.version += 1;
        self.why = why;
    }
}

/// Everything that is true.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    queue: BinaryHeap<Reverse<Queued>>,
    sequence: u64,
    pub(crate) schedule: Schedule,
    pub(crate) dice: Dice,
    pub(crate) group: GroupName,
    pub(crate) store: MemoryStore,
    /// The group as the tables hold it.
    pub(crate) view: Option<GroupState>,
    /// Every policy that has been in force.
    pub(crate) policies: BTreeMap<PolicyVersion, Policy>,
    pub(crate) ec2: Ec2,
    pub(crate) agents: BTreeMap<InstanceId, Agent>,
    pub(crate) operator: Operator,
    /// The launch template's default version; bad ones never boot.
    pub(crate) template: u64,
    pub(crate) bad_templates: BTreeSet<u64>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) next_run: RunId,
    /// Doorbells that wait for the controller that the stream has invoked.
    pub(crate) waiting: Vec<Timestamp>,
    pub(crate) streaming: bool,
    pub(crate) safety: Safety,
    pub(crate) liveness: Liveness,
    pub(crate) ledger: Ledger,
    pub(crate) history: History,
    pub(crate) tally: Tally,
    pub(crate) calls: u64,
    pub(crate) digest: u64,
    pub(crate) story: Option<Vec<Line>>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) weakness: Option<Weakness>,
}

impl World {
    pub(crate) fn new(schedule: Schedule, weakness: Option<Weakness>, told: bool) -> Self {
        let document = schedule.policy.clone();
        let text = Some(document.to_string());
        Self {
            now: START,
            queue: BinaryHeap::new(),
            sequence: 0,
            dice: Dice::new(schedule.seed),
            schedule,
            group: GroupName::default(),
            store: MemoryStore::default(),
            view: None,
            policies: BTreeMap::new(),
            ec2: Ec2::default(),
            agents: BTreeMap::new(),
            operator: Operator { document, text, version: 1, why: None },
            template: 1,
            bad_templates: BTreeSet::new(),
            runs: BTreeMap::new(),
            next_run: 1,
            waiting: Vec::new(),
            streaming: false,
            safety: Safety::default(),
            liveness: Liveness::default(),
            ledger: Ledger::default(),
            history: History::default(),
            tally: Tally::default(),
            calls: 0,
            digest: 0,
            story: told.then(Vec::new),
            violations: Vec::new(),
            weakness,
        }
    }

    // Time.

    /// Lets go of what nobody can ask for any more, so that a run may last for weeks.
    pub(crate) fn forget(&mut self) {
        for id in self.ec2.forget(self.now) {
            self.agents.remove(&id);
            self.safety.forget(&id);
            self.ledger.silences.remove(&id);
        }
        self.store.forget_sweeps(&self.group, self.now.minus(SWEEPS_KEPT));
    }

    pub(crate) fn passed(&self) -> Duration {
        self.now.since(START)
    }

    pub(crate) fn calm(&self) -> bool {
        self.passed() >= self.schedule.calm
    }

    pub(crate) fn after(&mut self, span: Duration, event: Event) {
        self.at(self.now.plus(span), event);
    }

    pub(crate) fn at(&mut self, at: Timestamp, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse(Queued { at: at.max(self.now), sequence: self.sequence, event }));
    }

    /// The next event; time moves on to it.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse(Queued { at, event, .. }) = self.queue.pop()?;
        self.now = at;
        Some(event)
    }

    // Faults.

    /// Whether a fault with a rate meets what `about` names.
    pub(crate) fn hits(&self, fault: Fault, about: u64) -> bool {
        let Some(rate) = self.schedule.rates.get(&fault) else { return false };
        !self.calm() && self.dice.fault(fault, about).f64() < *rate
    }

    /// The same, and counts it.
    pub(crate) fn strikes(&mut self, fault: Fault, about: u64) -> bool {
        let hits = self.hits(fault, about);
        if hits {
            self.tally.inject(fault);
        }
        hits
    }

    /// The happening of a fault that is under way now, with its number.
    pub(crate) fn under_way(&self, fault: Fault) -> Option<(usize, &Happening)> {
        let now = self.passed();
        if now >= self.schedule.calm {
            return None;
        }
        let mut script = self.schedule.script.iter().enumerate();
        script.find(|(_, happening)| happening.fault == fault && happening.from <= now && now < happening.until)
    }

    // What is told.

    pub(crate) fn note(&mut self, who: RunId, what: u64) {
        self.digest = join(self.digest ^ self.now.as_millis(), join(who, what));
    }

    pub(crate) fn tell(&mut self, weight: Weight, text: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let line = Line { at: self.now, weight, text: text(self) };
            self.story.get_or_insert_default().push(line);
        }
    }

    pub(crate) fn violate(&mut self, rule: &'static str, text: String) {
        self.tell(Weight::Violation, |_| format!("{rule} is violated: {text}"));
        self.violations.push(Violation { rule, at: self.now, text });
    }

    // Facts.

    /// The policy in force by HEAD.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.policies.get(&self.view.as_ref()?.head.policy?)
    }

    /// Whether a member's agent would answer now if nothing lay between.
    pub(crate) fn well(&self, id: &InstanceId) -> bool {
        let running = self.ec2.get(id).is_some_and(|instance| instance.running(self.now));
        running && self.agents.get(id).is_some_and(|agent| agent.silence(self.now).is_none())
    }

    /// Whether nobody in a zone can be reached, and by which happening.
    pub(crate) fn dark(&self, zone: &str) -> Option<(Fault, usize, bool)> {
        if let Some((number, happening)) = self.under_way(Fault::BlackoutAll) {
            return Some((Fault::BlackoutAll, number, happening.pick % 3 == 0));
        }
        let (number, happening) = self.under_way(Fault::BlackoutZone)?;
        let zones = ["zone-a", "zone-b", "zone-c"];
        let picked = zones[usize::try_from(happening.pick % 3).unwrap_or_default()];
        (picked == zone).then_some((Fault::BlackoutZone, number, false))
    }

    /// Each working member's share of the load, in percent.
    pub(crate) fn share(&self) -> f64 {
        let at_work = |id: &InstanceId, agent: &Agent| {
            agent.works(self.now) && self.ec2.get(id).is_some_and(|instance| instance.running(self.now))
        };
        let workers = self.agents.iter().filter(|(id, agent)| at_work(id, agent)).count();
        let total = self.schedule.demand.at(self.passed());
        (total / f64::from(u32::try_from(workers.max(1)).unwrap_or(u32::MAX))).clamp(0.0, 100.0)
    }
}
