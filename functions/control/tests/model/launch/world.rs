//! What there is: the tables, EC2, the workers, and what each of them knows.

/// Intents that a world has room for: the open ones, and those that have ended and that somebody still refers to.
pub(super) const MOST: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Status {
    /// Meant by a worker, written nowhere.
    Unwritten,
    Open,
    /// Settled: its member is in the records.
    Member,
    /// Abandoned or cancelled.
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Intent {
    pub(super) status: Status,
    /// Whether its latest lease has not ended.
    pub(super) held: bool,
    /// Whether it has ever been leased.
    pub(super) tried: bool,
    /// Its zone: 1 once a shortage in zone 0 is known.
    pub(super) zone: u8,
    /// The instances that its token has made, in each zone.
    pub(super) made: [u8; 2],
}

impl Intent {
    pub(super) fn instances(&self) -> u8 {
        self.made[0] + self.made[1]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Outcome {
    Launched,
    NoCapacity,
    Refused,
}

/// A lease as its taker knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Held {
    pub(super) intent: u8,
    /// Whether the intent's attempt is still the one of this lease.
    pub(super) mine: bool,
    /// Whether that is the first attempt.
    pub(super) first: bool,
}

/// Where a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Worker {
    Idle,
    /// It has read HEAD, whose version is still the same.
    Head,
    /// It has counted the members as well.
    Members {
        seen: u8,
    },
    /// It has read all, and this many are missing.
    Decided {
        missing: u8,
    },
    /// It has read all, and takes back a launch that it has seen untried.
    Cancelling {
        intent: u8,
    },
    /// HEAD's version has risen since it was read: whatever is read and decided now, the claim is lost.
    Outdated,
    Leased(Held),
    /// Its call is on its way, into this zone.
    Waiting(Held, u8),
    Answered(Held, u8, Outcome),
}

impl Worker {
    pub(super) fn held(&self) -> Option<&Held> {
        match self {
            Self::Leased(held) | Self::Waiting(held, _) | Self::Answered(held, ..) => Some(held),
            Self::Idle | Self::Outdated => None,
            Self::Head | Self::Members { .. } | Self::Decided { .. } | Self::Cancelling { .. } => None,
        }
    }

    pub(super) fn held_mut(&mut self) -> Option<&mut Held> {
        match self {
            Self::Leased(held) | Self::Waiting(held, _) | Self::Answered(held, ..) => Some(held),
            Self::Idle | Self::Outdated => None,
            Self::Head | Self::Members { .. } | Self::Decided { .. } | Self::Cancelling { .. } => None,
        }
    }

    /// Whether it reads or has read, and nobody has seen it do anything.
    pub(super) fn reads(&self) -> bool {
        matches!(self, Self::Head | Self::Members { .. } | Self::Decided { .. } | Self::Cancelling { .. })
    }

    /// The intent that it refers to.
    fn intent(&self) -> Option<u8> {
        match self {
            Self::Cancelling { intent } => Some(*intent),
            _ => self.held().map(|held| held.intent),
        }
    }

    fn intent_mut(&mut self) -> Option<&mut u8> {
        match self {
            Self::Cancelling { intent } => Some(intent),
            _ => self.held_mut().map(|held| &mut held.intent),
        }
    }

    /// A small number for each kind of reference to an intent, below 16.
    fn kind(&self) -> u32 {
        match self {
            Self::Idle | Self::Outdated | Self::Head | Self::Members { .. } | Self::Decided { .. } => 0,
            Self::Cancelling { .. } => 1,
            Self::Leased(held) => 3 + u32::from(held.mine),
            Self::Waiting(held, zone) => 5 + u32::from(held.mine) + 2 * u32::from(*zone),
            Self::Answered(held, _, outcome) => 9 + u32::from(held.mine) + 2 * (*outcome as u32),
        }
    }
}

/// A request on its way whose maker does not wait for it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Stray {
    pub(super) intent: u8,
    pub(super) zone: u8,
}

/// The tables, EC2, the workers, and the faults that are still to come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// Members to whose intent nobody refers any more: one record and one instance each.
    pub(super) members: u8,
    pub(super) intents: Vec<Intent>,
    pub(super) workers: Vec<Worker>,
    pub(super) strays: Vec<Stray>,
    /// HEAD remembers a shortage: the next launches go to the other zone.
    pub(super) elsewhere: bool,
    pub(super) deaths: u8,
    pub(super) shortages: u8,
    pub(super) refusals: u8,
    pub(super) cancels: u8,
}

impl World {
    pub(super) fn count(&self, status: Status) -> u8 {
        u8::try_from(self.intents.iter().filter(|intent| intent.status == status).count()).unwrap_or(u8::MAX)
    }

    /// Members in the records.
    pub(super) fn recorded(&self) -> u8 {
        self.members + self.count(Status::Member)
    }

    /// Instances that EC2 runs.
    pub(super) fn alive(&self) -> u8 {
        self.members + self.intents.iter().map(Intent::instances).sum::<u8>()
    }

    /// Whether a request for this intent is on its way.
    pub(super) fn under_way(&self, intent: u8) -> bool {
        let waiting = |worker: &Worker| matches!(worker, Worker::Waiting(held, _) if held.intent == intent);
        self.workers.iter().any(waiting) || self.strays.iter().any(|stray| stray.intent == intent)
    }

    /// Whether `worker` repeats a call that has launched and of whose instance nobody knows.
    pub(super) fn repeats_lost_launch(&self, worker: &Worker) -> bool {
        let Worker::Waiting(Held { intent, .. }, zone) = worker else { return false };
        let told = |worker: &Worker| matches!(worker, Worker::Answered(held, ..) if held.intent == *intent);
        self.intents[usize::from(*intent)].made[usize::from(*zone)] > 0 && !self.workers.iter().any(told)
    }

    /// HEAD's version rises: who has read the one before can claim nothing.
    pub(super) fn raise_version(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.reads()) {
            *worker = Worker::Outdated;
        }
    }

    /// Adds an intent, and says where it is.
    pub(super) fn commit(&mut self, status: Status) -> u8 {
        let zone = u8::from(self.elsewhere);
        self.intents.push(Intent { status, held: false, tried: false, zone, made: [0; 2] });
        u8::try_from(self.intents.len() - 1).unwrap_or(u8::MAX)
    }

    /// Brings worlds that differ in names only to one form, and forgets intents that nothing can touch any more: what can
    /// come of them is the same, so one of them is searched for all.
    pub(super) fn tidy(&mut self) {
        let mut keys = [0_u128; MOST];
        for (intent, key) in self.intents.iter().zip(&mut keys) {
            let own = [intent.status as u8, u8::from(intent.held), u8::from(intent.tried), intent.zone];
            *key = own.into_iter().chain(intent.made).fold(0, |key, part| key << 4 | u128::from(part));
            *key <<= 72;
        }
        // Three bits count the references of each of 16 kinds, and 16 bits those of strays in each zone.
        for worker in &self.workers {
            if let Some(intent) = worker.intent() {
                keys[usize::from(intent)] += 1 << (3 * worker.kind());
            }
        }
        for stray in &self.strays {
            keys[usize::from(stray.intent)] += 1 << (54 + 8 * u32::from(stray.zone));
        }
        let referred = |at: usize| keys[at] << 56 != 0;
        let mut order: Vec<usize> = Vec::with_capacity(self.intents.len());
        for (at, intent) in self.intents.iter().enumerate() {
            match intent.status {
                Status::Member if !referred(at) && intent.instances() == 1 => self.members += 1,
                Status::Ended if !referred(at) && intent.instances() == 0 => {}
                Status::Member | Status::Ended | Status::Open | Status::Unwritten => order.push(at),
            }
        }
        order.sort_by_key(|at| keys[*at]);
        let mut place = [0_u8; MOST];
        for (to, from) in (0..).zip(&order) {
            place[*from] = to;
        }
        self.intents = order.into_iter().map(|at| self.intents[at].clone()).collect();
        for worker in &mut self.workers {
            if let Some(intent) = worker.intent_mut() {
                *intent = place[usize::from(*intent)];
            }
        }
        for stray in &mut self.strays {
            stray.intent = place[usize::from(stray.intent)];
        }
        self.workers.sort_unstable();
        self.strays.sort_unstable();
    }
}
