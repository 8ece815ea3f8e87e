//! Letting members go: choosing, draining, taking back, terminating, closing.
//!
//! | step | the code |
//! |---|---|
//! | `ReadHead`, `ReadMembers`, `ReadIntents` | `GroupStore::read`, in its order; with the intents comes the latest sweep |
//! | `Choice::Size` | `decide::size`: the load moves desired |
//! | `Choice::Drain`, `Terminate` | `decide::victims` (D1, D7), `decide::saga` (D3, D6, L8), `decide::repair` (H4) |
//! | `Choice::TakeBack` | D4, a claim as any other. The design has it, the code does not do it yet |
//! | `Choice::Close` | `decide::saga::record_facts`: EC2 says that the instance is gone (D6) |
//! | `Claim` | `claim::of` -> `GroupStore::claim`: member states and intents in one transaction, on HEAD's version |
//! | `Lease`, `LeaseEnds`, `Call`, `Settle`, `Die` | as in the launch saga |
//!
//! What is left out, and why that loses nothing:
//! - *The order of D1 among those at work*: it hangs on loads that change from sweep to sweep, so any of them may be chosen.
//!   That the unhealthy and the Pending go first is kept.
//! - *Time*: a drain may end, a boot may be given up, and a call may be repeated at any moment.
//! - *Several actions in one claim*: claims one after the other allow all that one allows.
//! - *EC2's list*: it may show what has ended as running for as long as it likes, and never the other way round.
//! - *Launches*: everybody is there at the beginning, and max is far. So the way of H4 that terminates first, at max, is not
//!   here: it has no pair.

mod choices;
mod designs;
mod steps;
mod world;

use stateright::{Model, Property};

use steps::Step;
use world::{Controller, IDLE, Member, Order, Phase, Record, World};

const S4_TERMINATING: &str = "S4 whoever is terminated is a member in Terminating";
const D6_CLOSED_LAST: &str = "D6 a record is closed only after EC2 has ended the instance";
const D7_MIN_STAYS: &str = "D7 min healthy members stay";
const H4_ONE_STAYS: &str = "H4 a member and its replacement never both leave";

/// The protocol as it is, and what it would be without one of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Design {
    /// The code, and D4.
    Shipped,
    /// A claim asks for no version.
    ClaimAnyVersion,
    /// The chosen member is terminated at once, and nothing is claimed.
    TerminateUnclaimed,
    /// A member is taken back even when its termination has been committed.
    TakeBackTerminating,
    /// A Terminating member that DescribeInstances does not show once is taken for gone.
    CloseUnlisted,
    /// A pair counts as two towards desired, and either of it may be chosen.
    PairIsTwo,
}

/// What a member is in this world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Role {
    /// It is healthy for good.
    Plain,
    /// It is unhealthy, may recover and fall ill again.
    Old,
    /// It replaces the old one: Pending at first, healthy for good once it has booted.
    New,
}

/// The bounds of a search.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    design: Design,
    group: &'static [Role],
    min: u8,
    desired: u8,
    /// Changes of desired.
    sizes: u8,
    /// Changes of the old member's health.
    flips: u8,
    /// Deaths and lost replies.
    deaths: u8,
    /// Calls that EC2 refuses.
    refusals: u8,
}

impl Model for Leaving {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let members = self.group.iter().map(|role| Member {
            role: *role,
            record: Record::Actual,
            healthy: *role == Role::Plain,
            order: Order::None,
            ended: false,
            stray: false,
        });
        let world = World {
            members: members.collect(),
            controllers: [IDLE; 2],
            desired: self.desired,
            sizes: self.sizes,
            flips: self.flips,
            deaths: self.deaths,
            refusals: self.refusals,
        };
        vec![world.tidy()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for at in 0..world.controllers.len() {
            self.controller_steps(world, at, steps);
        }
        for (at, member) in world.members.iter().enumerate() {
            if member.stray {
                steps.extend([Step::Ec2TakesStray(at), Step::Ec2LosesStray(at)]);
            }
            if member.order == Order::Held && !world.under_way(at) {
                steps.push(Step::LeaseEnds(at));
            }
            if world.flips > 0 && (member.role == Role::Old || (member.role == Role::New && !member.healthy)) {
                steps.push(Step::HealthChanges(at));
            }
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::ReadHead(at) => world.controllers[at].phase = Phase::Head { desired: world.desired },
            Step::ReadMembers(at) => self.read_members(&mut world, at),
            Step::ReadIntents(at) => self.read_intents(&mut world, at),
            Step::LoseClaim(at) => world.controllers[at] = IDLE,
            Step::Claim(at, choice) => self.claim(&mut world, at, choice),
            Step::CallUnclaimed(at, member) => {
                let member = u8::try_from(member).unwrap_or(u8::MAX);
                world.controllers[at] = Controller { phase: Phase::Waiting { member, mine: false }, ..IDLE };
            }
            Step::Lease(at, member) => self.lease(&mut world, at, member),
            Step::LeaseEnds(member) => world.members[member].order = Order::Free,
            Step::Call(at) => self.call(&mut world, at),
            Step::Ec2Ends(at) => self.answer(&mut world, at, true),
            Step::Ec2Refuses(at) => self.answer(&mut world, at, false),
            Step::Ec2TakesStray(member) => (world.members[member].stray, world.members[member].ended) = (false, true),
            Step::Ec2LosesStray(member) => world.members[member].stray = false,
            Step::Settle(at) => self.settle(&mut world, at),
            Step::Die(at) => self.die(&mut world, at),
            Step::HealthChanges(member) => {
                world.members[member].healthy ^= true;
                world.flips -= 1;
            }
        }
        Some(world.tidy())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(S4_TERMINATING, |_, world| {
                world.members.iter().all(|m| !m.ended || matches!(m.record, Record::Terminating | Record::Closed))
            }),
            Property::<Self>::always(D6_CLOSED_LAST, |_, world| {
                world.members.iter().all(|m| m.record != Record::Closed || m.ended)
            }),
            Property::<Self>::sometimes("a record is closed", |_, world| world.count(Record::Closed) > 0),
            Property::<Self>::sometimes("a claim is lost", |_, world| {
                world.controllers.iter().any(|controller| controller.phase == Phase::Outdated)
            }),
        ];
        if self.sizes > 0 {
            properties.push(Property::<Self>::sometimes("a drain may be taken back", |_, world| {
                world.count(Record::Draining) > 0 && world.count(Record::Actual) < usize::from(world.desired)
            }));
        }
        if self.flips == 0 {
            properties.push(Property::<Self>::always(D7_MIN_STAYS, |model, world| {
                world.count(Record::Actual) >= usize::from(model.min)
            }));
        } else {
            properties.push(Property::<Self>::always(H4_ONE_STAYS, |_, world| {
                let leaves = |m: &Member| m.role != Role::Plain && m.record != Record::Actual;
                world.members.iter().filter(|member| leaves(member)).count() <= 1
            }));
            properties.extend([
                Property::<Self>::sometimes("the old one is replaced", |_, world| {
                    world.members.iter().any(|m| m.role == Role::Old && m.ended)
                }),
                Property::<Self>::sometimes("the new one is terminated", |_, world| {
                    world.members.iter().any(|m| m.role == Role::New && m.ended)
                }),
            ]);
        }
        if self.deaths > 0 {
            properties.push(Property::<Self>::sometimes("what has ended is terminated again", |_, world| {
                let again = |c: &Controller, at| matches!(c.phase, Phase::Waiting { .. }) && c.phase.holds(at);
                let ended = world.members.iter().enumerate().filter(|(_, member)| member.ended);
                ended.into_iter().any(|(at, _)| world.controllers.iter().any(|c| again(c, at)))
            }));
        }
        properties
    }
}
