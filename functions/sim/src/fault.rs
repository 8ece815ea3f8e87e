//! What can go wrong, each kind by its name, and how often it was tried and how often it changed what came out.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};

macro_rules! faults {
    ($($(#[doc = $what:literal])* $fault:ident $name:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[doc = $what])* $fault,)*
        }

        impl Fault {
            /// All of them, in the order of their table.
            pub const ALL: &[Self] = &[$(Self::$fault,)*];

            /// Its name, as tables and JSON show it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    /// An invocation dies before a call of a port has any effect.
    CrashBefore "crash-before-call",
    /// An invocation dies after a call has had its effect.
    CrashAfter "crash-after-call",
    /// A call never comes back, and the invocation runs into its limit.
    TimeOut "time-out",
    /// An invocation is delivered again after the first has ended.
    InvokedTwice "invoked-twice",
    /// An invocation is delivered twice at the same time.
    Overlap "overlap",
    /// Clocks of invocations differ by up to 2 s each way.
    ClockSkew "clock-skew",
    /// A write to the tables has its effect, the answer is lost.
    LostWrite "lost-write-reply",
    /// The tables throttle.
    StoreThrottle "store-throttle",
    /// A transaction conflicts with another that leaves no trace.
    StoreConflict "transaction-conflict",
    /// A doorbell rings twice.
    StreamDuplicate "stream-duplicate",
    /// A doorbell rings late.
    StreamLate "stream-late",
    /// Doorbells overtake one another.
    StreamReorder "stream-reorder",
    /// A doorbell never rings.
    StreamLost "stream-lost",
    /// A tick of the schedule comes late.
    TickLate "tick-late",
    /// A tick of the schedule comes twice.
    TickDoubled "tick-doubled",
    /// Ticks of the schedule do not come.
    TickMissing "tick-missing",
    /// EC2 does what it was asked, the answer is lost.
    LostReply "lost-ec2-reply",
    /// EC2 throttles.
    Ec2Throttle "ec2-throttle",
    /// A place has no capacity.
    Capacity "no-capacity",
    /// EC2 refuses launches or terminations.
    Permission "permission",
    /// What EC2 lists lags by up to 20 s.
    StaleDescribe "stale-describe",
    /// EC2 answers no launch for so long that it forgets their tokens.
    TokenExpired "token-expired",
    /// Spot takes an instance away.
    Spot "spot-takes",
    /// A machine says that it is about to go, and goes.
    Leaving "agent-leaving",
    /// EC2's own checks of an instance fail.
    Impaired "impaired",
    /// An instance boots too slowly.
    SlowBoot "slow-boot",
    /// An instance never answers.
    BadBoot "bad-boot",
    /// A new version of the launch template never answers.
    BadImage "bad-image",
    /// An agent is silent for a while.
    Silence "agent-silent",
    /// An agent dies for good.
    Dead "agent-dead",
    /// An agent says what cannot be.
    Lie "agent-lies",
    /// Agents are upgraded, one after another.
    Upgrade "agent-upgrade",
    /// The application fails while the agent answers.
    Failing "application-failing",
    /// A member never drains.
    Busy "never-drained",
    /// Nobody in a zone can be reached.
    BlackoutZone "blackout-zone",
    /// Nobody can be reached.
    BlackoutAll "blackout-all",
    /// The operator edits the policy.
    PolicyEdit "policy-edit",
    /// The operator writes a policy that is not valid.
    PolicyInvalid "policy-invalid",
    /// The operator deletes the policy.
    PolicyDeleted "policy-deleted",
    /// The operator pauses, observes, or lets launches through only.
    Mode "mode-change",
    /// The operator terminates a member by hand.
    HandTerminate "hand-terminate",
    /// The operator stops a member by hand.
    HandStop "hand-stop",
    /// The operator takes a member's tag away, or puts it back.
    HandRetag "hand-retag",
    /// The operator empties the group, and fills it again.
    Emptied "group-emptied",
    /// The operator marks a member for draining, and now and then thinks better of it.
    HandDrain "hand-drain",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const KINDS: usize = Fault::ALL.len();

/// How often each fault was injected, and how often it changed an outcome: a run took a branch that only a fault causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    injected: [u64; KINDS],
    changed: [u64; KINDS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { injected: [0; KINDS], changed: [0; KINDS] }
    }
}

impl Tally {
    pub(crate) const fn inject(&mut self, fault: Fault) {
        self.injected[fault as usize] += 1;
    }

    pub(crate) const fn change(&mut self, fault: Fault) {
        self.changed[fault as usize] += 1;
    }

    /// How often the fault was injected.
    pub const fn injected(&self, fault: Fault) -> u64 {
        self.injected[fault as usize]
    }

    /// How often it changed an outcome.
    pub const fn changed(&self, fault: Fault) -> u64 {
        self.changed[fault as usize]
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (mine, more) in self.injected.iter_mut().zip(other.injected) {
            *mine += more;
        }
        for (mine, more) in self.changed.iter_mut().zip(other.changed) {
            *mine += more;
        }
    }
}

impl Serialize for Tally {
    /// Name to changed outcomes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(KINDS))?;
        for fault in Fault::ALL {
            map.serialize_entry(fault.name(), &self.changed(*fault))?;
        }
        map.end()
    }
}
