//! The executor: virtual time, one schedule, one thread. An invocation is a boxed future that is polled when one of its
//! calls has had its time, and dropped when it dies.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::dice::Purpose;
use crate::fault::Tally;
use crate::history::History;
use crate::lambda;
use crate::port::{Port, Shared, lock};
use crate::schedule::Schedule;
use crate::story::{self, Violation};
use crate::weak::Weakness;
use crate::world::{Event, Function, RunId, Start, World};

/// How often somebody looks once faults have stopped.
const LOOK: Duration = Duration::from_secs(30);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What one schedule came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Rules that were broken; the run ends at the first.
    pub violations: Vec<Violation>,
    /// Whether the group did not come right once faults had stopped.
    pub unrecovered: bool,
    /// What its faults did.
    pub tally: Tally,
    /// What was done to the group.
    pub history: History,
    /// Calls of ports.
    pub port_calls: u64,
    /// Names everything that happened: equal digests, equal runs.
    pub digest: u64,
    /// What happened, when somebody asked for it.
    pub story: Option<String>,
}

struct Sim {
    world: Shared,
    tasks: BTreeMap<RunId, Task>,
}

/// Runs one schedule to its end.
pub fn run(schedule: &Schedule) -> Outcome {
    Sim::new(schedule, None, false).run()
}

/// Runs one schedule and tells what happened.
pub fn tell(schedule: &Schedule, weakness: Option<Weakness>) -> Outcome {
    Sim::new(schedule, weakness, true).run()
}

/// Runs one schedule with a weaker design in place of ours.
pub fn run_weak(schedule: &Schedule, weakness: Weakness) -> Outcome {
    Sim::new(schedule, Some(weakness), false).run()
}

impl Sim {
    fn new(schedule: &Schedule, weakness: Option<Weakness>, told: bool) -> Self {
        let mut world = World::new(schedule.clone(), weakness, told);
        world.set_out();
        Self { world: Arc::new(Mutex::new(world)), tasks: BTreeMap::new() }
    }

    fn run(mut self) -> Outcome {
        loop {
            let event = {
                let mut world = lock(&self.world);
                if world.violations.is_empty() { world.next() } else { None }
            };
            let Some(event) = event else { break };
            if self.step(event) {
                break;
            }
        }
        // Whoever is still under way holds the world.
        self.tasks.clear();
        let world = lock(&self.world);
        Outcome {
            seed: world.schedule.seed,
            violations: world.violations.clone(),
            unrecovered: world.liveness.unrecovered,
            tally: world.tally,
            history: world.history.clone(),
            port_calls: world.calls,
            digest: world.digest,
            story: world.story.as_ref().map(|lines| story::tell(lines, &world.violations)),
        }
    }

    /// One event. Says whether it was the last.
    fn step(&mut self, event: Event) -> bool {
        match event {
            Event::Wake(run, waker) => {
                if self.tasks.contains_key(&run) {
                    waker.wake();
                    self.poll(run);
                }
            }
            Event::Invoke(start) => self.invoke(start),
            Event::Limit(run) => {
                if self.tasks.remove(&run).is_some() {
                    let mut world = lock(&self.world);
                    world.expire(run);
                    world.leave(run, true);
                }
            }
            Event::Tick(number) => lock(&self.world).tick(number),
            Event::Reconcile(number) => lock(&self.world).tick_reconcile(number),
            Event::Ring { slot, origin } => lock(&self.world).rung(slot, origin),
            Event::Begin(number) => lock(&self.world).begin(number),
            Event::End(number) => lock(&self.world).end(number),
            Event::Edit(number) => lock(&self.world).scheduled_edit(number),
            Event::Calm => lock(&self.world).calm_down(),
            Event::Look => {
                let mut world = lock(&self.world);
                if world.judge() {
                    return true;
                }
                world.after(LOOK, Event::Look);
            }
        }
        false
    }

    fn invoke(&mut self, start: Start) {
        let mut world = lock(&self.world);
        let (function, key) = (start.function, start.key);
        let jitter = world.dice.of(Purpose::Jitter, key).f64();
        let run = world.enter(start);
        drop(world);
        let port = Port { world: Arc::clone(&self.world), run };
        let name = format!("{run}");
        let task: Task = match function {
            Function::Monitor => Box::pin(lambda::monitor(port, name)),
            Function::Controller => Box::pin(lambda::controller(port, name, jitter)),
        };
        self.tasks.insert(run, task);
        self.poll(run);
    }

    fn poll(&mut self, run: RunId) {
        let Some(task) = self.tasks.get_mut(&run) else { return };
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut context)));
        let died = lock(&self.world).runs.get(&run).is_some_and(|mine| mine.dead);
        let ended = match polled {
            Ok(Poll::Ready(())) => true,
            Ok(Poll::Pending) => false,
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let text = format!("an invocation panics: {}", said.unwrap_or_default());
                lock(&self.world).violate("S11", text);
                true
            }
        };
        if died || ended {
            self.tasks.remove(&run);
            lock(&self.world).leave(run, died);
        }
    }
}
