//! The use cases of Muster's control plane, and the ports that they stand on.
//!
//! [`sweep::sweep`] is what MonitorS does, [`reconcile::reconcile`] and [`execute::execute`] are what ControllerASG
//! does. They are generic over [`ports`]: Lambda, laptop and test differ only in what is plugged in. What must never
//! be in here: an SDK type, a clock read, an environment variable, a decision (that is `muster-core`'s).
//!
//! Start reading at [`reconcile`]. [`memory`] holds truthful in-memory ports; `conformance` (a feature) holds the suites
//! that every implementation of a port must pass.

pub mod activity;
pub mod chain;
mod claim;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod execute;
pub mod faulty;
pub mod memory;
pub mod packed;
pub mod policy;
pub mod ports;
pub mod reconcile;
pub mod sweep;
