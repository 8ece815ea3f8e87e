//! What there is: the tables, EC2, the controllers, and what each of them has read.

use super::Role;

/// Members that a world has at most.
pub(super) const MOST: usize = 4;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Record {
    /// Stored as Pending or Active.
    #[default]
    Actual,
    Draining,
    Terminating,
    /// There is none any more.
    Closed,
}

/// A member's open terminate intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Order {
    None,
    Free,
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Member {
    pub(super) role: Role,
    pub(super) record: Record,
    /// Whether the latest sweep has seen it answer and work.
    pub(super) healthy: bool,
    pub(super) order: Order,
    /// Whether EC2 has ended it.
    pub(super) ended: bool,
    /// A request to end it is on its way, and its maker does not wait for it any more.
    pub(super) stray: bool,
}

/// A member as a controller has read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Seen {
    pub(super) record: Record,
    pub(super) open: bool,
    pub(super) healthy: bool,
}

/// Where a controller is. `mine`: the intent's attempt is still the one of its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    Idle,
    /// It has read HEAD, whose version is still the same.
    Head {
        desired: u8,
    },
    /// It has read the members as well.
    Members {
        desired: u8,
    },
    /// It has read all.
    Read {
        desired: u8,
    },
    /// HEAD's version has risen since it was read: whatever is read and decided now, the claim is lost.
    Outdated,
    Leased {
        member: u8,
        mine: bool,
    },
    Waiting {
        member: u8,
        mine: bool,
    },
    Answered {
        member: u8,
        mine: bool,
    },
}

impl Phase {
    /// Whether it reads or has read, and has done nothing yet.
    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Head { .. } | Self::Members { .. } | Self::Read { .. })
    }

    pub(super) fn held_mut(&mut self) -> Option<(&mut u8, &mut bool)> {
        match self {
            Self::Leased { member, mine } | Self::Waiting { member, mine } | Self::Answered { member, mine } => {
                Some((member, mine))
            }
            Self::Idle | Self::Outdated | Self::Head { .. } | Self::Members { .. } | Self::Read { .. } => None,
        }
    }

    /// Whether it holds or held a lease on the termination of `member`.
    pub(super) fn holds(mut self, member: usize) -> bool {
        self.held_mut().is_some_and(|(held, _)| usize::from(*held) == member)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Controller {
    pub(super) phase: Phase,
    pub(super) seen: [Seen; MOST],
}

pub(super) const IDLE: Controller =
    Controller { phase: Phase::Idle, seen: [Seen { record: Record::Actual, open: false, healthy: false }; MOST] };

/// The tables, EC2, two controllers, and the changes and faults that are still to come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct World {
    pub(super) members: Vec<Member>,
    pub(super) controllers: [Controller; 2],
    pub(super) desired: u8,
    pub(super) sizes: u8,
    pub(super) flips: u8,
    pub(super) deaths: u8,
    pub(super) refusals: u8,
}

impl World {
    /// Whether a request to end this member is on its way.
    pub(super) fn under_way(&self, member: usize) -> bool {
        let waits = |c: &Controller| matches!(c.phase, Phase::Waiting { .. }) && c.phase.holds(member);
        self.members[member].stray || self.controllers.iter().any(waits)
    }

    /// HEAD's version rises: who has read the one before can claim nothing.
    pub(super) fn raise_version(&mut self) {
        for controller in self.controllers.iter_mut().filter(|controller| controller.phase.reads()) {
            *controller = Controller { phase: Phase::Outdated, ..IDLE };
        }
    }

    pub(super) fn count(&self, record: Record) -> usize {
        self.members.iter().filter(|member| member.record == record).count()
    }

    /// The same world with its controllers in the order given, and its members in the one that sorts them.
    fn sorted(&self, controllers: [usize; 2]) -> Self {
        let [a, b] = controllers.map(|at| self.controllers[at]);
        let key = |at: &usize| {
            let holds = (a.phase.holds(*at), b.phase.holds(*at));
            (self.members[*at], a.seen[*at], b.seen[*at], holds)
        };
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_by_key(key);
        let renamed = |mut controller: Controller| {
            let seen = controller.seen;
            for (to, from) in order.iter().enumerate() {
                controller.seen[to] = seen[*from];
            }
            if let Some((member, _)) = controller.phase.held_mut() {
                let to = order.iter().position(|from| from == &usize::from(*member));
                *member = to.and_then(|to| u8::try_from(to).ok()).unwrap_or(u8::MAX);
            }
            controller
        };
        let members = order.iter().map(|at| self.members[*at]).collect();
        Self { members, controllers: [renamed(a), renamed(b)], ..self.clone() }
    }

    /// Brings worlds that differ in names only to one form.
    pub(super) fn tidy(&self) -> Self {
        self.sorted([0, 1]).min(self.sorted([1, 0]))
    }
}
