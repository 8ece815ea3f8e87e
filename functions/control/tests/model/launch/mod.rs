//! The launch saga: reading, claim, lease, RunInstances, settlement, and everything that can come between two of them.
//!
//! | step | the code |
//! |---|---|
//! | `ReadHead`, `ReadMembers`, `ReadIntents` | `GroupStore::read`, in its order; `decide::launches::launch_missing` counts |
//! | `WishToCancel` | `decide::victims::untried` (F6) |
//! | `Claim` | `reconcile::round` -> `GroupStore::claim`: on HEAD's version, and for a cancel on its intent being untried |
//! | `Lease` | `execute::call` -> `GroupStore::lease`: on the attempt as read, and the end of the lease before |
//! | `Call` | `execute::call` -> `Fleet::launch`, after its look at the clock |
//! | `Ec2...` | EC2: one instance for a token and zone; a known token is answered before capacity is looked at |
//! | `Settle` | `execute::call`, `execute::launch` (which looks up before it gives up), `execute::settle` -> `GroupStore::settle`: on the attempt; launched or given up |
//! | `Die` | a controller that is killed, or a call whose reply is lost: its maker goes on to the next doorbell |
//!
//! What is left out, and why that loses nothing:
//! - *Who a controller is.* Whatever a process knows it has read since its doorbell, so workers have no names and are kept
//!   as a sorted list. One that carries out several intents is as many workers here: `execute` settles them in one
//!   transaction, and transactions one after the other allow all that one allows, and more.
//! - *Numbers that are only compared.* Versions and attempts only grow. Of a version one needs to know whether it has risen
//!   since it was read (then the worker is `Outdated`); of an attempt, whether it is still the one's own (`mine`) and
//!   whether it was the first.
//! - *The clock.* A lease may end at any moment at which no call made under it is on its way, be its holder dead or slow:
//!   that is what "no call outlives its lease" says. `Design::CallOutlivesLease` shows what hangs on it: `execute` looks at
//!   the clock before a call, and that the call then ends in time is the `Fleet`'s to keep.
//! - *Zones by their load, rosters, shards, causes, limits*: they order or delay launches; here they come in any order.
//! - *Lost replies of the store*: the writer goes on to its next doorbell whether it has written or not, and `Die` before
//!   and after each write does the same.
//! - *Instances that end by themselves*, the orphan sweep, the age of a token (L10): nothing here may need the sweep.

mod designs;
mod steps;
mod world;

use stateright::{Model, Property};

use steps::Step;
use world::{Held, MOST, Outcome, Status, Stray, Worker, World};

const S1_BOUNDED: &str = "S1 members and open intents never exceed max";
const S1_ALIVE: &str = "S1 instances never exceed max";
const S2_ONE_PER_INTENT: &str = "S2 an intent has one instance at most";
const S3_INTENT_FIRST: &str = "S3 an instance has an intent committed before it";
const NO_LEAK: &str = "every instance is a member or its intent is open";

/// The protocol as it is, and what it would be without one of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Design {
    /// The code.
    Shipped,
    /// A refusal ends an intent at any attempt, without a look at what earlier ones have launched.
    RefusalsEndAnyAttempt,
    /// *actual* is what DescribeInstances shows.
    CountByDescribe,
    /// EC2 is called before the claim that holds the intent.
    CallBeforeClaim,
    /// A claim asks for no version.
    ClaimAnyVersion,
    /// Every attempt has a token of its own.
    RandomToken,
    /// Nobody needs a lease to call, to settle or to give up.
    NoLease,
    /// Giving up asks that nobody else holds the intent now, not that the attempt is one's own.
    AbandonWhenFree,
    /// A settlement asks that the intent is there, not that the attempt is one's own. (Harmless for the settlements that
    /// write a member, since there is but one instance to write down; not for those that give up.)
    SettleAnyAttempt,
    /// Calls may be under way after the end of their lease.
    CallOutlivesLease,
    /// Without capacity the same intent, with its token, is tried in the other zone.
    TokenIntoOtherZone,
    /// A launch is taken back without asking whether it has been tried.
    CancelTried,
}

/// The bounds of a search.
#[derive(Clone, Copy, Debug)]
struct Launching {
    design: Design,
    workers: u8,
    /// Desired, and `max_instances`.
    max: u8,
    /// Deaths and lost replies.
    deaths: u8,
    /// Calls that find no capacity.
    shortages: u8,
    /// Calls that EC2 refuses before it looks at their token: a permission, a parameter.
    refusals: u8,
    /// Launches that the load takes back.
    cancels: u8,
}

impl Model for Launching {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            members: 0,
            intents: Vec::new(),
            workers: vec![Worker::Idle; usize::from(self.workers)],
            strays: Vec::new(),
            elsewhere: false,
            deaths: self.deaths,
            shortages: self.shortages,
            refusals: self.refusals,
            cancels: self.cancels,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for at in 0..world.workers.len() {
            // Workers are sorted; of equal ones, one may act for all.
            if at == 0 || world.workers[at] != world.workers[at - 1] {
                self.worker_steps(world, at, steps);
            }
        }
        for at in 0..world.strays.len() {
            steps.extend([Step::Ec2TakesStray(at), Step::Ec2LosesStray(at)]);
        }
        for (intent, record) in (0..).zip(&world.intents) {
            let may_end = !world.under_way(intent) || self.design == Design::CallOutlivesLease;
            if record.held && may_end {
                steps.push(Step::LeaseEnds(intent));
            }
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::ReadHead(at) => world.workers[at] = Worker::Head,
            Step::ReadMembers(at) => self.read_members(&mut world, at),
            Step::ReadIntents(at) => self.read_intents(&mut world, at),
            Step::Describe(at, shown) => self.decide(&mut world, at, shown),
            Step::WishToCancel(at, intent) => world.workers[at] = Worker::Cancelling { intent },
            Step::Claim(at) => self.claim(&mut world, at),
            Step::CallUnclaimed(at) => {
                let intent = world.commit(Status::Unwritten);
                let zone = world.intents[usize::from(intent)].zone;
                world.workers[at] = Worker::Waiting(Held { intent, mine: true, first: false }, zone);
            }
            Step::Lease(at, intent) => self.lease(&mut world, at, intent),
            Step::LeaseEnds(intent) => world.intents[usize::from(intent)].held = false,
            Step::Call(at) => self.call(&mut world, at),
            Step::Ec2Launches(at) => self.answer(&mut world, at, Outcome::Launched),
            Step::Ec2HasNoCapacity(at) => self.answer(&mut world, at, Outcome::NoCapacity),
            Step::Ec2Refuses(at) => self.answer(&mut world, at, Outcome::Refused),
            Step::Ec2TakesStray(at) => {
                let Stray { intent, zone } = world.strays.remove(at);
                self.launch(&mut world, intent, zone);
            }
            Step::Ec2LosesStray(at) => {
                world.strays.remove(at);
            }
            Step::CallOtherZone(at) => {
                if let Worker::Answered(held, ..) = world.workers[at] {
                    world.workers[at] = Worker::Waiting(held, 1);
                }
            }
            Step::Settle(at) => self.settle(&mut world, at),
            Step::Die(at) => self.die(&mut world, at),
        }
        world.tidy();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(S1_BOUNDED, |model, world| {
                world.recorded() + world.count(Status::Open) <= model.max
            }),
            Property::<Self>::always(S1_ALIVE, |model, world| world.alive() <= model.max),
            Property::<Self>::always(S2_ONE_PER_INTENT, |_, world| world.intents.iter().all(|i| i.instances() <= 1)),
            Property::<Self>::always(S3_INTENT_FIRST, |_, world| {
                world.intents.iter().all(|i| i.instances() == 0 || i.status != Status::Unwritten)
            }),
            Property::<Self>::always(NO_LEAK, |_, world| {
                world.intents.iter().all(|intent| match intent.status {
                    Status::Open | Status::Unwritten => true,
                    Status::Member => intent.instances() == 1,
                    Status::Ended => intent.instances() == 0,
                })
            }),
            Property::<Self>::sometimes("all slots are filled", |model, world| world.recorded() == model.max),
            Property::<Self>::sometimes("a claim is lost", |_, world| world.workers.contains(&Worker::Outdated)),
        ];
        if self.deaths > 0 {
            properties.extend([
                Property::<Self>::sometimes("a lease is taken over from a holder that lives", |_, world| {
                    let superseded = |worker: &Worker| matches!(worker, Worker::Answered(held, ..) if !held.mine);
                    world.workers.iter().any(superseded)
                }),
                Property::<Self>::sometimes("a launch whose reply was lost is repeated", |_, world| {
                    world.workers.iter().any(|worker| world.repeats_lost_launch(worker))
                }),
                Property::<Self>::sometimes("a request outlives its maker", |_, world| !world.strays.is_empty()),
            ]);
        }
        if self.shortages > 0 {
            properties.push(Property::<Self>::sometimes("a fallback is launched", |_, world| {
                world.intents.iter().any(|intent| intent.zone == 1 && intent.instances() > 0)
            }));
        }
        if self.cancels > 0 {
            properties.push(Property::<Self>::sometimes("a launch is taken back", |model, world| {
                world.cancels < model.cancels
            }));
        }
        properties
    }

    /// Weaker designs can commit intents without end; a search that must see everything is not cut.
    fn within_boundary(&self, world: &World) -> bool {
        self.design == Design::Shipped || world.intents.len() < MOST
    }
}
