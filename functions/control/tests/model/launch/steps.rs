//! What can happen next, and what comes of it.

use super::world::{Held, Outcome, Status, Stray, Worker, World};
use super::{Design, Launching};

/// One step; workers and strays by their place in the world, intents likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    ReadHead(usize),
    ReadMembers(usize),
    ReadIntents(usize),
    /// `CountByDescribe` only: DescribeInstances is eventually consistent and shows some of the instances.
    Describe(usize, u8),
    /// The load takes a launch back that the worker has seen untried.
    WishToCancel(usize, u8),
    Claim(usize),
    /// `CallBeforeClaim` only.
    CallUnclaimed(usize),
    Lease(usize, u8),
    LeaseEnds(u8),
    Call(usize),
    Ec2Launches(usize),
    Ec2HasNoCapacity(usize),
    Ec2Refuses(usize),
    Ec2TakesStray(usize),
    Ec2LosesStray(usize),
    CallOtherZone(usize),
    Settle(usize),
    Die(usize),
}

impl Launching {
    /// What one worker can do, and what can happen to its call.
    pub(super) fn worker_steps(&self, world: &World, at: usize, steps: &mut Vec<Step>) {
        match world.workers[at] {
            Worker::Idle => {
                steps.push(Step::ReadHead(at));
                for (intent, record) in (0..).zip(&world.intents) {
                    if record.status == Status::Open && (!record.held || self.design == Design::NoLease) {
                        steps.push(Step::Lease(at, intent));
                    }
                }
            }
            Worker::Head if self.design == Design::CountByDescribe => {
                steps.extend((0..=world.alive()).map(|shown| Step::Describe(at, shown)));
            }
            Worker::Head => steps.push(Step::ReadMembers(at)),
            Worker::Members { .. } => {
                steps.push(Step::ReadIntents(at));
                for (intent, record) in (0..).zip(&world.intents) {
                    if world.cancels > 0 && record.status == Status::Open && !record.tried {
                        steps.push(Step::WishToCancel(at, intent));
                    }
                }
            }
            Worker::Decided { .. } if self.design == Design::CallBeforeClaim => steps.push(Step::CallUnclaimed(at)),
            Worker::Decided { .. } | Worker::Cancelling { .. } | Worker::Outdated => steps.push(Step::Claim(at)),
            Worker::Leased(_) => steps.push(Step::Call(at)),
            Worker::Waiting(held, zone) => {
                steps.push(Step::Ec2Launches(at));
                let known = world.intents[usize::from(held.intent)].made[usize::from(zone)] > 0;
                if world.shortages > 0 && (!known || self.design == Design::RandomToken) {
                    steps.push(Step::Ec2HasNoCapacity(at));
                }
                if world.refusals > 0 {
                    steps.push(Step::Ec2Refuses(at));
                }
            }
            Worker::Answered(_, 0, Outcome::NoCapacity) if self.design == Design::TokenIntoOtherZone => {
                steps.push(Step::CallOtherZone(at));
            }
            Worker::Answered(..) => steps.push(Step::Settle(at)),
        }
        // Who has only read may die without a trace, and it costs nothing.
        let worker = &world.workers[at];
        if worker.reads() || (worker.held().is_some() && world.deaths > 0) {
            steps.push(Step::Die(at));
        }
    }

    /// Members are counted in one step, intents in a later one: a query is no snapshot.
    pub(super) fn read_members(&self, world: &mut World, at: usize) {
        world.workers[at] = Worker::Members { seen: world.recorded() };
    }

    pub(super) fn read_intents(&self, world: &mut World, at: usize) {
        let Worker::Members { seen } = world.workers[at] else { return };
        self.decide(world, at, seen + world.count(Status::Open));
    }

    /// launches = desired - actual (C4).
    pub(super) fn decide(&self, world: &mut World, at: usize, actual: u8) {
        world.workers[at] = match self.max.saturating_sub(actual) {
            0 => Worker::Idle,
            missing => Worker::Decided { missing },
        };
    }

    /// One transaction, all or nothing. Only those get here whose version still holds, and the outdated, who lose.
    pub(super) fn claim(&self, world: &mut World, at: usize) {
        match std::mem::replace(&mut world.workers[at], Worker::Idle) {
            Worker::Decided { missing } => {
                for _ in 0..missing {
                    world.commit(Status::Open);
                }
            }
            Worker::Cancelling { intent } => {
                let record = &mut world.intents[usize::from(intent)];
                if record.tried && self.design != Design::CancelTried {
                    return;
                }
                record.status = Status::Ended;
                world.cancels -= 1;
            }
            _ => return,
        }
        if self.design != Design::ClaimAnyVersion {
            world.raise_version();
        }
    }

    /// A new attempt: whoever held an earlier one holds it no longer.
    pub(super) fn lease(&self, world: &mut World, at: usize, intent: u8) {
        let record = &mut world.intents[usize::from(intent)];
        // Whether it is the first matters where there are refusals only.
        let first = self.refusals > 0 && !record.tried;
        (record.held, record.tried) = (true, true);
        for held in world.workers.iter_mut().filter_map(Worker::held_mut).filter(|held| held.intent == intent) {
            held.mine = false;
        }
        world.workers[at] = Worker::Leased(Held { intent, mine: true, first });
    }

    /// The look at the clock comes before the call: a lease that was long in coming may be over.
    pub(super) fn call(&self, world: &mut World, at: usize) {
        let Worker::Leased(held) = world.workers[at] else { return };
        let intent = &world.intents[usize::from(held.intent)];
        let in_time = held.mine && intent.held && intent.status == Status::Open;
        let calls = in_time || self.design == Design::NoLease;
        world.workers[at] = if calls { Worker::Waiting(held, intent.zone) } else { Worker::Idle };
    }

    /// EC2 obeys a request: at most one instance for a token and zone, however often it comes.
    pub(super) fn launch(&self, world: &mut World, intent: u8, zone: u8) {
        let made = &mut world.intents[usize::from(intent)].made[usize::from(zone)];
        *made = if self.design == Design::RandomToken { *made + 1 } else { 1 };
    }

    /// EC2 has carried the call out or refused it, and its reply arrives.
    pub(super) fn answer(&self, world: &mut World, at: usize, outcome: Outcome) {
        let Worker::Waiting(held, zone) = world.workers[at] else { return };
        let outcome = match outcome {
            Outcome::Launched => {
                self.launch(world, held.intent, zone);
                outcome
            }
            Outcome::NoCapacity => {
                world.shortages -= 1;
                outcome
            }
            Outcome::Refused => {
                world.refusals -= 1;
                self.look_up(world, held, zone)
            }
        };
        world.workers[at] = Worker::Answered(held, zone, outcome);
    }

    /// What a refusal before the token says of earlier attempts is nothing: the holder looks up what they have launched
    /// (L10). While it holds the lease nobody else can launch, so that looking is one step with the refusal.
    fn look_up(&self, world: &World, held: Held, zone: u8) -> Outcome {
        let launched = world.intents[usize::from(held.intent)].made[usize::from(zone)] > 0;
        let looks = !held.first && self.design != Design::RefusalsEndAnyAttempt;
        if looks && launched { Outcome::Launched } else { Outcome::Refused }
    }

    /// The intent ends, with a member or without, if its attempt is still the worker's own.
    pub(super) fn settle(&self, world: &mut World, at: usize) {
        let Worker::Answered(held, _, outcome) = world.workers[at] else { return };
        world.workers[at] = Worker::Idle;
        let intent = &mut world.intents[usize::from(held.intent)];
        let launched = outcome == Outcome::Launched;
        let attempt = match self.design {
            Design::NoLease | Design::SettleAnyAttempt => true,
            Design::AbandonWhenFree => held.mine || (!launched && !intent.held),
            _ => held.mine,
        };
        if !attempt || !matches!(intent.status, Status::Open | Status::Unwritten) {
            return;
        }
        (intent.status, intent.held) = (if launched { Status::Member } else { Status::Ended }, false);
        world.elsewhere |= outcome == Outcome::NoCapacity;
        if self.design != Design::ClaimAnyVersion {
            world.raise_version();
        }
    }

    /// The worker is gone, or does not wait any longer; a request that is on its way stays on its way.
    pub(super) fn die(&self, world: &mut World, at: usize) {
        match std::mem::replace(&mut world.workers[at], Worker::Idle) {
            Worker::Waiting(held, zone) => {
                world.strays.push(Stray { intent: held.intent, zone });
                world.deaths -= 1;
            }
            Worker::Leased(_) | Worker::Answered(..) => world.deaths -= 1,
            Worker::Idle
            | Worker::Outdated
            | Worker::Head
            | Worker::Members { .. }
            | Worker::Decided { .. }
            | Worker::Cancelling { .. } => {}
        }
    }
}
