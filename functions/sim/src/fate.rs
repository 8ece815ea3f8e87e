//! What becomes of one call: how long it takes, and what goes wrong with it.

use std::time::Duration;

use muster_control::faulty::{Call, Kind};
use muster_core::time::Timestamp;

use crate::dice::{Purpose, between, join};
use crate::fault::Fault;
use crate::story::Weight;
use crate::world::{Event, RunId, World};

/// Milliseconds before and after the effect, at most.
const fn milliseconds(call: Call) -> (u64, u64) {
    match call {
        Call::Launch => (1_200, 1_500),
        Call::Probe => (700, 300),
        Call::List | Call::Describe | Call::TemplateVersion | Call::Find | Call::Terminate | Call::Mark => (250, 250),
        Call::Fetch => (40, 40),
        _ => (12, 12),
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Fine,
    DiesBefore,
    DiesAfter,
    Fails(Kind),
    /// It has its effect, and its answer is an error.
    Lost,
    /// It has its effect, and is never answered.
    Hangs,
}

/// How long a call takes before and after its effect, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) before: Duration,
    pub(crate) after: Duration,
    pub(crate) turn: Turn,
}

impl World {
    /// Draws what becomes of an invocation's next call.
    pub(crate) fn fate(&mut self, run: RunId, call: Call) -> Fate {
        self.calls += 1;
        let Some(mine) = self.runs.get_mut(&run) else {
            return Fate { before: Duration::ZERO, after: Duration::ZERO, turn: Turn::Fine };
        };
        mine.calls += 1;
        let about = join(mine.start.key, mine.calls);
        let mut rng = self.dice.of(Purpose::Latency, about);
        let (before, after) = milliseconds(call);
        let before = Duration::from_millis(between(&mut rng, before / 8 + 1, before));
        let after = Duration::from_millis(between(&mut rng, after / 8 + 1, after));
        let turn = if self.calm() { Turn::Fine } else { self.turn(run, call, about) };
        Fate { before, after, turn }
    }

    fn turn(&mut self, run: RunId, call: Call, about: u64) -> Turn {
        if call == Call::Launch && self.under_way(Fault::TokenExpired).is_some() {
            self.tally.inject(Fault::TokenExpired);
            return Turn::Lost;
        }
        let possible: [(Fault, bool, Turn); 8] = [
            (Fault::CrashBefore, true, Turn::DiesBefore),
            (Fault::CrashAfter, true, Turn::DiesAfter),
            (Fault::TimeOut, true, Turn::Hangs),
            (Fault::StoreConflict, matches!(call, Call::Claim | Call::Settle), Turn::Fails(Kind::Conflict)),
            (Fault::StoreThrottle, call.is_store(), Turn::Fails(Kind::Throttled)),
            (Fault::LostWrite, call.is_store() && call.changes(), Turn::Lost),
            (Fault::Ec2Throttle, call.is_ec2(), Turn::Fails(Kind::Throttled)),
            (Fault::LostReply, call.is_ec2() && call.changes(), Turn::Lost),
        ];
        for (fault, applies, turn) in possible {
            if applies && self.strikes(fault, about) {
                self.tell(Weight::Deed, |w| format!("{fault} meets {} at {call:?}", w.who(run)));
                self.meets(run, call, fault);
                return turn;
            }
        }
        Turn::Fine
    }

    /// Writes down what an invocation leaves undone by a fault that is about to meet it.
    fn meets(&mut self, run: RunId, call: Call, fault: Fault) {
        match (fault, call) {
            (Fault::StoreConflict, _) => {
                if let Some(mine) = self.runs.get_mut(&run) {
                    mine.conflicted = true;
                }
            }
            (Fault::Ec2Throttle, Call::List | Call::Describe | Call::TemplateVersion) => {}
            (Fault::CrashBefore | Fault::CrashAfter | Fault::TimeOut, _) => {
                if let Some(mine) = self.runs.get_mut(&run) {
                    mine.dying = Some(fault);
                    mine.hindered = Some(fault);
                }
            }
            (Fault::StoreThrottle | Fault::LostWrite, _) => {
                if let Some(mine) = self.runs.get_mut(&run) {
                    mine.hindered = Some(fault);
                }
                self.owe(run, fault);
            }
            _ => self.owe(run, fault),
        }
    }

    /// An invocation dies here and now.
    pub(crate) fn kill(&mut self, run: RunId) {
        let Some(mine) = self.runs.get_mut(&run) else { return };
        mine.dead = true;
        if let Some(fault) = mine.dying {
            self.owe(run, fault);
        }
        self.tell(Weight::Deed, |w| format!("{} dies", w.who(run)));
    }

    /// An invocation is ended at its limit.
    pub(crate) fn expire(&mut self, run: RunId) {
        self.owe(run, Fault::TimeOut);
        self.tell(Weight::Deed, |w| format!("{} is ended at its limit", w.who(run)));
    }

    /// Faults that follow an invocation about.
    pub(crate) fn skew(&mut self, key: u64) -> u64 {
        if !self.strikes(Fault::ClockSkew, key) {
            return crate::world::RIGHT;
        }
        self.dice.fault(Fault::ClockSkew, join(key, 1)).u64(0..=2 * crate::world::RIGHT)
    }

    /// A doorbell, once a sweep is written.
    pub(crate) fn ring(&mut self, slot: Timestamp) {
        let about = slot.as_millis();
        let mut rng = self.dice.of(Purpose::Stream, about);
        let usual = Duration::from_millis(between(&mut rng, 150, 900));
        if self.strikes(Fault::StreamLost, about) {
            self.miss(slot, Fault::StreamLost);
            self.tell(Weight::Deed, |_| format!("the doorbell of {slot} is lost"));
            return;
        }
        let period = self.policy().map_or(Duration::from_secs(10), |policy| policy.sweep_interval);
        if self.strikes(Fault::StreamLate, about) {
            let late = period.mul_f64(1.0 + 3.0 * rng.f64());
            self.miss(slot, Fault::StreamLate);
            self.tell(Weight::Deed, |_| format!("the doorbell of {slot} will be late"));
            return self.after(late, Event::Ring { slot, origin: Some(Fault::StreamLate) });
        }
        if self.strikes(Fault::StreamReorder, about) {
            let late = period + Duration::from_millis(between(&mut rng, 1_500, 4_000));
            self.miss(slot, Fault::StreamReorder);
            return self.after(late, Event::Ring { slot, origin: Some(Fault::StreamReorder) });
        }
        self.after(usual, Event::Ring { slot, origin: None });
        if self.strikes(Fault::StreamDuplicate, about) {
            let again = usual + Duration::from_millis(between(&mut rng, 0, 1_500));
            self.after(again, Event::Ring { slot, origin: Some(Fault::StreamDuplicate) });
        }
    }
}
