//! What an operator may change: the policy's text, a pause in it, and marks on instances.
//!
//! Nothing in here touches the tables, launches or terminates: the controller reads policy and tags at its next decision, and does the rest.

pub mod marks;
mod pause;
pub mod policy;

use muster_control::ports::{FleetError, PutError};
use muster_core::policy::PolicyError;

use crate::read::ReadError;

/// Why something was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SteerError {
    /// What it is about cannot be read, or not be asked for so.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The text is no valid policy: nothing was written.
    #[error("the policy is not valid: {0}")]
    Invalid(#[from] PolicyError),
    /// The policy's source did not take it.
    #[error(transparent)]
    Put(#[from] PutError),
    /// The instance was not marked.
    #[error("the instance cannot be marked")]
    Fleet(#[from] FleetError),
}
