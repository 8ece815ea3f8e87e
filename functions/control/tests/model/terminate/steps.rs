//! What can happen next, and what comes of it.

use super::world::{IDLE, Member, Order, Phase, Record, World};
use super::{Design, Leaving};

/// What a claim does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Size(u8),
    Drain(usize),
    Terminate(usize),
    TakeBack(usize),
    Close(usize),
}

/// One step; controllers and members by their place in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    ReadHead(usize),
    ReadMembers(usize),
    ReadIntents(usize),
    Claim(usize, Choice),
    LoseClaim(usize),
    /// `TerminateUnclaimed` only.
    CallUnclaimed(usize, usize),
    Lease(usize, usize),
    LeaseEnds(usize),
    Call(usize),
    Ec2Ends(usize),
    Ec2Refuses(usize),
    Ec2TakesStray(usize),
    Ec2LosesStray(usize),
    Settle(usize),
    Die(usize),
    /// The old member recovers or falls ill, the new one boots.
    HealthChanges(usize),
}

impl Leaving {
    /// What one controller can do, and what can happen to its call.
    pub(super) fn controller_steps(&self, world: &World, at: usize, steps: &mut Vec<Step>) {
        let controller = &world.controllers[at];
        match controller.phase {
            Phase::Idle => {
                steps.push(Step::ReadHead(at));
                let free = |member: &Member| member.order == Order::Free;
                let free = world.members.iter().enumerate().filter(|(_, member)| free(member));
                steps.extend(free.map(|(member, _)| Step::Lease(at, member)));
            }
            Phase::Head { .. } => steps.push(Step::ReadMembers(at)),
            Phase::Members { .. } => steps.push(Step::ReadIntents(at)),
            Phase::Read { desired } => {
                for choice in self.choices(world, &controller.seen, desired) {
                    match choice {
                        Choice::Drain(member) if self.design == Design::TerminateUnclaimed => {
                            steps.push(Step::CallUnclaimed(at, member));
                        }
                        Choice::Size(_)
                        | Choice::Drain(_)
                        | Choice::Terminate(_)
                        | Choice::TakeBack(_)
                        | Choice::Close(_) => steps.push(Step::Claim(at, choice)),
                    }
                }
            }
            Phase::Outdated => steps.push(Step::LoseClaim(at)),
            Phase::Leased { .. } => steps.push(Step::Call(at)),
            Phase::Waiting { .. } => {
                steps.push(Step::Ec2Ends(at));
                if world.refusals > 0 {
                    steps.push(Step::Ec2Refuses(at));
                }
            }
            Phase::Answered { .. } => steps.push(Step::Settle(at)),
        }
        // Who has only read may have nothing to do, or die: neither leaves a trace.
        let acts = matches!(controller.phase, Phase::Leased { .. } | Phase::Waiting { .. } | Phase::Answered { .. });
        if controller.phase.reads() || (acts && world.deaths > 0) {
            steps.push(Step::Die(at));
        }
    }

    /// Records are read in one step, intents in a later one: a query is no snapshot.
    pub(super) fn read_members(&self, world: &mut World, at: usize) {
        let controller = &mut world.controllers[at];
        let Phase::Head { desired } = controller.phase else { return };
        controller.phase = Phase::Members { desired };
        for (seen, member) in controller.seen.iter_mut().zip(&world.members) {
            seen.record = member.record;
        }
    }

    /// The sweep comes last: what it says may have changed since the records were read, and raises no version.
    pub(super) fn read_intents(&self, world: &mut World, at: usize) {
        let controller = &mut world.controllers[at];
        let Phase::Members { desired } = controller.phase else { return };
        controller.phase = Phase::Read { desired };
        for (seen, member) in controller.seen.iter_mut().zip(&world.members) {
            (seen.open, seen.healthy) = (member.order != Order::None, member.healthy);
        }
    }

    /// One transaction on HEAD's version; the member and its intent change together.
    pub(super) fn claim(&self, world: &mut World, at: usize, choice: Choice) {
        world.controllers[at] = IDLE;
        match choice {
            Choice::Size(size) => {
                world.desired = size;
                world.sizes = world.sizes.saturating_sub(1);
            }
            Choice::Drain(member) => world.members[member].record = Record::Draining,
            Choice::Terminate(member) => {
                world.members[member].record = Record::Terminating;
                if world.members[member].order == Order::None {
                    world.members[member].order = Order::Free;
                }
            }
            Choice::TakeBack(member) => {
                (world.members[member].record, world.members[member].order) = (Record::Actual, Order::None);
            }
            Choice::Close(member) => world.members[member].record = Record::Closed,
        }
        if self.design != Design::ClaimAnyVersion {
            world.raise_version();
        }
    }

    /// A new attempt: whoever held an earlier one holds it no longer.
    pub(super) fn lease(&self, world: &mut World, at: usize, member: usize) {
        world.members[member].order = Order::Held;
        for (held, mine) in world.controllers.iter_mut().filter_map(|controller| controller.phase.held_mut()) {
            *mine &= usize::from(*held) != member;
        }
        let member = u8::try_from(member).unwrap_or(u8::MAX);
        world.controllers[at].phase = Phase::Leased { member, mine: true };
    }

    /// The look at the clock comes before the call.
    pub(super) fn call(&self, world: &mut World, at: usize) {
        let Phase::Leased { member, mine } = world.controllers[at].phase else { return };
        let in_time = mine && world.members[usize::from(member)].order == Order::Held;
        world.controllers[at].phase = if in_time { Phase::Waiting { member, mine } } else { Phase::Idle };
    }

    /// EC2 has ended the instance or refused to, and its reply arrives. What has ended ends again without harm.
    pub(super) fn answer(&self, world: &mut World, at: usize, ends: bool) {
        let Phase::Waiting { member, mine } = world.controllers[at].phase else { return };
        if ends {
            world.members[usize::from(member)].ended = true;
        } else {
            world.refusals -= 1;
        }
        world.controllers[at].phase = Phase::Answered { member, mine };
    }

    /// Accepted or refused, the intent ends; a member whose termination was refused stays Terminating.
    pub(super) fn settle(&self, world: &mut World, at: usize) {
        let Phase::Answered { member, mine } = world.controllers[at].phase else { return };
        world.controllers[at] = IDLE;
        let order = &mut world.members[usize::from(member)].order;
        if mine && *order != Order::None {
            *order = Order::None;
            if self.design != Design::ClaimAnyVersion {
                world.raise_version();
            }
        }
    }

    /// The controller is gone, or does not wait any longer; a request that is on its way stays on its way.
    pub(super) fn die(&self, world: &mut World, at: usize) {
        match std::mem::replace(&mut world.controllers[at], IDLE).phase {
            Phase::Waiting { member, .. } => {
                world.members[usize::from(member)].stray = true;
                world.deaths -= 1;
            }
            Phase::Leased { .. } | Phase::Answered { .. } => world.deaths -= 1,
            Phase::Idle | Phase::Outdated | Phase::Head { .. } | Phase::Members { .. } | Phase::Read { .. } => {}
        }
    }
}
