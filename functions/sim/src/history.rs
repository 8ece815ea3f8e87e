//! What was done to a group, for those who count it.

use std::time::Duration;

use muster_control::ports::{Claim, GroupState};
use muster_core::intent::Cause;
use muster_core::member::{InstanceId, MemberState};

use crate::world::World;

/// Something that was done to an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// When, counted from the start.
    pub at: Duration,
    /// To whom.
    pub id: InstanceId,
    /// What.
    pub done: Done,
}

/// What can be done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// EC2 launched it, from this version of the launch template.
    Launched(u64),
    /// It was asked to drain.
    Drained(Cause),
    /// Its end was committed; whether it would have answered then.
    Terminated {
        /// Why.
        cause: Cause,
        /// Whether nothing was wrong with it.
        healthy: bool,
    },
}

/// The group after a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// When, counted from the start.
    pub at: Duration,
    /// Desired.
    pub desired: u32,
    /// Members at work or on their way.
    pub actual: u32,
    /// Members that would answer.
    pub healthy: u32,
}

/// What was done to a group, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// What was done.
    pub deeds: Vec<Deed>,
    /// The group after every claim.
    pub sizes: Vec<Size>,
}

impl History {
    /// Instances whose end was committed.
    pub fn terminated(&self) -> impl Iterator<Item = &Deed> {
        self.deeds.iter().filter(|deed| matches!(deed.done, Done::Terminated { .. }))
    }

    /// Instances that were asked to drain.
    pub fn drained(&self) -> impl Iterator<Item = &Deed> {
        self.deeds.iter().filter(|deed| matches!(deed.done, Done::Drained(_)))
    }
}

impl World {
    pub(crate) fn record(&mut self, id: &InstanceId, done: Done) {
        let deed = Deed { at: self.passed(), id: id.clone(), done };
        self.history.deeds.push(deed);
    }

    /// Who was let go by a claim, and how large the group is now.
    pub(crate) fn record_claim(&mut self, before: Option<&GroupState>, claim: &Claim) {
        for member in &claim.put_members {
            let was = before.and_then(|before| before.members.iter().find(|was| was.id == member.id));
            match (was.map(|was| &was.state), &member.state) {
                (Some(MemberState::Terminating(_)), _) => {}
                (_, MemberState::Terminating(leaving)) => {
                    let healthy = self.well(&member.id);
                    self.record(&member.id, Done::Terminated { cause: leaving.cause, healthy });
                }
                (Some(MemberState::Pending | MemberState::Active), MemberState::Draining(leaving)) => {
                    self.record(&member.id, Done::Drained(leaving.cause));
                }
                _ => {}
            }
        }
        let Some(view) = &self.view else { return };
        let (desired, actual) = (view.head.desired, crate::safety::actual(view));
        let size = Size { at: self.passed(), desired, actual, healthy: self.healthy() };
        self.history.sizes.push(size);
    }
}
