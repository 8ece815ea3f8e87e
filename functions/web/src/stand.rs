//! What everything in this crate stands on.

use muster_control::ports::{ActivityLog, GroupStore, Groups, HealthStore, Rejections, SweepLog};

/// The tables: every port of a store.
pub trait Store: GroupStore + HealthStore + SweepLog + ActivityLog + Groups + Rejections {}
impl<S: GroupStore + HealthStore + SweepLog + ActivityLog + Groups + Rejections> Store for S {}

/// The ports that the read model and the steering stand on.
#[derive(Clone, Debug)]
pub struct Stand<S, P, F, C> {
    /// Groups, sweeps, activities; they are read alone.
    pub store: S,
    /// Where the operator writes the policy.
    pub policies: P,
    /// Where instances are marked.
    pub fleet: F,
    /// Time.
    pub clock: C,
    /// Which world this is, for people: `local`, `stack prod`.
    pub place: String,
}
