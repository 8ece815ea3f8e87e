//! What the use cases need of the world. Named for the domain, few methods each; every implementation passes the suites in
//! `conformance`. Errors carry only what a caller acts on.

mod fleet;
mod policy;
mod probe;
mod store;

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use muster_core::time::Timestamp;

pub use fleet::{Fleet, FleetError, Found, Launched, Mark, Marks};
pub use policy::{PolicyDesk, PolicySource, PolicySourceError, PolicyText, Put, PutError, Revision};
pub use probe::{AgentProbe, Order, Probed, Target};
pub use store::{
    ActivityLog, Claim, GroupState, GroupStore, Groups, HealthStore, LeaseRequest, MOST_PARTS, Parts, Rejected,
    Rejections, Release, Settlement, StoreError, StoredPolicy, SweepLog,
};

/// An error's cause, for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Time. A use case asks it once for its decision, and again only for what has a deadline.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Ends after `span`.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send;
}
