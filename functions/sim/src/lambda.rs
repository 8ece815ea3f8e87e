//! Lambda and what invokes it: the schedule's ticks, the stream's doorbells, limits, retries, and at least once.

use std::time::Duration;

use muster_control::ports::Clock;
use muster_control::reconcile::{Controller, Settings, reconcile};
use muster_control::sweep::{Monitor, Swept, sweep};
use muster_core::group::Shard;
use muster_core::time::Timestamp;

use crate::dice::{Purpose, between, join};
use crate::fault::Fault;
use crate::port::{Port, lock};
use crate::story::Weight;
use crate::world::{Event, Function, Run, RunId, Start, World};

/// The schedule's period.
const TICK: Duration = Duration::from_secs(60);
/// The second schedule's, which calls the controller whatever the stream does.
const RECONCILE: Duration = Duration::from_secs(300);
/// How long a monitor goes on at most.
const MONITOR_GOES_ON: Duration = Duration::from_secs(150);
/// Lambda's limits, the lease that is longer than the longest invocation, and what a reconcile may take.
const MONITOR_LIMIT: Duration = Duration::from_secs(180);
const CONTROLLER_LIMIT: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(120);
const BUDGET: Duration = Duration::from_secs(45);
/// How often a batch comes again.
const RETRIES: u32 = 3;
/// Doorbells of one batch.
const BATCH: usize = 10;

/// Sweeps until a newer invocation has taken over.
pub(crate) async fn monitor(port: Port, name: String) {
    let group = lock(&port.world).group.clone();
    let monitor = Monitor { store: port.clone(), probe: port.clone(), clock: port.clone(), name };
    let began = port.now();
    let mut swept = false;
    loop {
        let shards: Vec<Shard> = lock(&port.world).shards();
        let mut taken = false;
        for shard in shards {
            match sweep(&monitor, &group, shard).await {
                Ok(Swept::Written(_)) => swept = true,
                Ok(Swept::Taken) => taken = true,
                Err(_) => {}
            }
        }
        if taken && swept {
            return;
        }
        let interval = lock(&port.world).policy().map_or(Duration::from_secs(10), |policy| policy.sweep_interval);
        let now = port.now();
        let next = now.round_down(interval).plus(interval);
        if interval >= TICK || next.since(began) > MONITOR_GOES_ON {
            return;
        }
        port.sleep(next.since(now)).await;
    }
}

/// Looks at the group, for whatever doorbells.
pub(crate) async fn controller(port: Port, owner: String, jitter: f64) {
    let group = lock(&port.world).group.clone();
    let settings = Settings { stack: "stack".into(), owner, lease: LEASE, budget: BUDGET };
    let controller =
        Controller { store: port.clone(), fleet: port.clone(), policies: port.clone(), clock: port.clone(), settings };
    let done = reconcile(&controller, &group, jitter).await;
    let mut world = lock(&port.world);
    match done {
        Err(error) => {
            world.tell(Weight::Change, |w| format!("{} fails: {error:?}", w.who(port.run)));
        }
        Ok(done) if !done.troubles.is_empty() => {
            world.tell(Weight::Change, |w| format!("{} leaves behind: {}", w.who(port.run), done.troubles.join("; ")));
        }
        Ok(_) => {}
    }
}

impl World {
    fn shards(&self) -> Vec<Shard> {
        self.view.as_ref().map_or(vec![Shard(0)], |view| view.head.rosters.keys().copied().collect())
    }

    /// Everything that is known to come.
    pub(crate) fn set_out(&mut self) {
        self.at(self.now, Event::Tick(0));
        self.after(RECONCILE, Event::Reconcile(1));
        for number in 0..self.schedule.script.len() {
            let from = self.schedule.script.get(number).map_or(Duration::ZERO, |happening| happening.from);
            self.after(from, Event::Begin(number));
        }
        for number in 0..self.schedule.edits.len() {
            let at = self.schedule.edits.get(number).map_or(Duration::ZERO, |(at, _)| *at);
            self.after(at, Event::Edit(number));
        }
        self.after(self.schedule.calm, Event::Calm);
        self.after(self.schedule.calm + Duration::from_secs(15), Event::Look);
    }

    pub(crate) fn tick(&mut self, number: u64) {
        self.after(TICK, Event::Tick(number + 1));
        if self.under_way(Fault::TickMissing).is_some() {
            return self.tell(Weight::Deed, |_| "a tick is missing".to_owned());
        }
        let mut rng = self.dice.of(Purpose::Tick, number);
        let mut wait = Duration::from_millis(between(&mut rng, 0, 2_000));
        if self.strikes(Fault::TickLate, number) {
            self.ledger.late_tick = Some(self.now);
            wait += Duration::from_millis(between(&mut rng, 25_000, 115_000));
        }
        let start = |key, origin| Start {
            function: Function::Monitor,
            key,
            origin,
            slots: Vec::new(),
            streamed: false,
            tries: 0,
        };
        self.after(wait, Event::Invoke(start(join(1, number), None)));
        if self.strikes(Fault::TickDoubled, number) {
            let again = wait + Duration::from_millis(between(&mut rng, 0, 1_500));
            self.after(again, Event::Invoke(start(join(5, number), Some(Fault::TickDoubled))));
        }
    }

    pub(crate) fn tick_reconcile(&mut self, number: u64) {
        self.after(RECONCILE, Event::Reconcile(number + 1));
        self.forget();
        let start = Start {
            function: Function::Controller,
            key: join(3, number),
            origin: None,
            slots: Vec::new(),
            streamed: false,
            tries: 0,
        };
        self.invoke_controller(start);
    }

    /// A doorbell has come. What comes beside the usual way comes from another shard of the stream, beside the others.
    pub(crate) fn rung(&mut self, slot: Timestamp, origin: Option<Fault>) {
        match origin {
            None => {
                self.waiting.push(slot);
                self.listen();
            }
            Some(_) => {
                let key = join(4, join(slot.as_millis(), origin.map_or(0, |fault| fault as u64)));
                let start =
                    Start { function: Function::Controller, key, origin, slots: vec![slot], streamed: false, tries: 0 };
                self.invoke_controller(start);
            }
        }
    }

    /// The stream's own invocation, one at a time.
    pub(crate) fn listen(&mut self) {
        if self.streaming || self.waiting.is_empty() {
            return;
        }
        let rest = self.waiting.split_off(self.waiting.len().min(BATCH));
        let slots = std::mem::replace(&mut self.waiting, rest);
        self.streaming = true;
        let key = join(2, slots.first().map_or(0, |slot| slot.as_millis()));
        self.invoke_controller(Start {
            function: Function::Controller,
            key,
            origin: None,
            slots,
            streamed: true,
            tries: 0,
        });
    }

    fn invoke_controller(&mut self, start: Start) {
        if start.origin.is_none() && self.strikes(Fault::Overlap, start.key) {
            let wait = self.dice.fault(Fault::Overlap, join(start.key, 1)).u64(0..600);
            let twin =
                Start { key: join(start.key, 11), origin: Some(Fault::Overlap), streamed: false, ..start.clone() };
            self.after(Duration::from_millis(wait), Event::Invoke(twin));
        }
        self.after(Duration::from_millis(5), Event::Invoke(start));
    }

    /// An invocation begins; its future is the caller's.
    pub(crate) fn enter(&mut self, start: Start) -> RunId {
        let run = self.next_run;
        self.next_run += 1;
        let limit = match start.function {
            Function::Monitor => MONITOR_LIMIT,
            Function::Controller => CONTROLLER_LIMIT,
        };
        self.after(limit, Event::Limit(run));
        let skew = self.skew(start.key);
        self.note(run, start.key);
        let mine = Run {
            owner: format!("#{run}"),
            began: self.now,
            skew,
            calls: 0,
            dead: false,
            dying: None,
            leased: std::collections::BTreeSet::new(),
            claimed: std::collections::BTreeSet::new(),
            calling: None,
            slot: None,
            early: false,
            claims: 0,
            hindered: None,
            conflicted: false,
            stale: false,
            deciding: false,
            start,
        };
        self.runs.insert(run, mine);
        run
    }

    /// An invocation has ended, one way or the other.
    pub(crate) fn leave(&mut self, run: RunId, died: bool) {
        self.ended(run);
        let Some(mine) = self.runs.remove(&run) else { return };
        let start = mine.start;
        if start.function != Function::Controller {
            return;
        }
        if !died && start.origin.is_none() && self.strikes(Fault::InvokedTwice, start.key) {
            let twice =
                Start { key: join(start.key, 12), origin: Some(Fault::InvokedTwice), streamed: false, ..start.clone() };
            // Soon, or when the next doorbell rings.
            let mut rng = self.dice.fault(Fault::InvokedTwice, join(start.key, 1));
            let period = self.policy().map_or(Duration::from_secs(10), |policy| policy.sweep_interval);
            let from = if rng.bool() { self.now } else { self.now.round_down(period).plus(period) };
            self.at(from.plus(Duration::from_millis(between(&mut rng, 200, 3_000))), Event::Invoke(twice));
        }
        if start.streamed {
            if died && start.tries < RETRIES {
                // The batch comes again; the stream waits for it.
                let again = Start { key: join(start.key, 13), tries: start.tries + 1, ..start };
                return self.after(Duration::from_millis(1_200), Event::Invoke(again));
            }
            self.streaming = false;
            self.listen();
        }
    }
}
