//! The read model: what a group is doing and why, one module a subject, as structs that the API sends and the commands print.
//!
//! Times are epoch milliseconds, spans end in `_ms`, loads are percent; a decision's report is the core's own document. Nothing in it
//! is "now" or an age, so that what has not changed is the same to the byte.
//!
//! # Bounds
//!
//! What is read is bounded, however large the group, long its record and curious the asker; on DynamoDB, which charges by what is read
//! and not by what is wanted:
//!
//! - *Sweeps over time* are sampled: the first one of each of equal parts of the time, of each shard. [`sampling::points`] chooses as many
//!   parts as cost [`sampling::BUDGET`] bytes at most: 240 for three members, 40 for fifty, whose sweeps stand readable in the table, 78
//!   for a thousand, whose are packed. With their bases and the decisions beside them a day of a thousand members is read with 1 MB.
//! - *Members* come in pages of as many as the asker wants. Every member's record is read for one, as what they are ordered by may be anything of them,
//!   and 150 kB of sampled sweeps at most for the loads of late of those that are on it. What tells of the group as a whole reads no member's record.
//! - *Activities* come in pages of [`activity::MOST`] at most.
//! - *A policy's history* has [`policy::MOST_VERSIONS`] versions.
//! - *A preview* plays every sweep and so reads every sweep's item, of [`preview::LONGEST`] and [`preview::MOST_LOOKS`] at most: of a thousand
//!   members some 80 MB a day. It is read when somebody asks for it, and by nothing that asks again.
//! - *Groups* are looked at [`groups::AT_ONCE`] at a time.

pub mod activity;
pub mod decisions;
pub mod explain;
pub mod faults;
pub mod groups;
pub mod load;
mod looked;
pub mod members;
pub mod now;
pub mod policy;
pub mod preview;
pub mod record;
pub mod sampling;

use muster_control::ports::{PolicySourceError, StoreError};
use muster_core::group::GroupName;
use muster_core::member::InstanceId;
use muster_core::time::Timestamp;

pub(crate) use looked::Looked;
pub use looked::{Decided, Pause, SweepNow, Thresholds};

/// Milliseconds since 1970.
pub type Ms = u64;

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there.
    #[error("there is no {0}")]
    NotFound(String),
    /// It cannot be asked for so.
    #[error("{0}")]
    BadRequest(String),
    /// The store failed.
    #[error("the group cannot be read")]
    Store(#[from] StoreError),
    /// The policy's source failed.
    #[error(transparent)]
    Policy(#[from] PolicySourceError),
}

impl ReadError {
    /// The group has no such member.
    pub(crate) fn no_member(group: &GroupName, id: &InstanceId) -> Self {
        let id: String = id.0.chars().take(80).collect();
        Self::NotFound(format!("member {id:?} of group {group}"))
    }

    /// There is no such group.
    pub(crate) fn no_group(group: &GroupName) -> Self {
        Self::NotFound(format!("group {group} that was ever decided on"))
    }
}

/// A time as the read model tells it.
pub(crate) const fn ms(at: Timestamp) -> Ms {
    at.as_millis()
}

/// A count as the read model tells it.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// `1 member`, `2 members`.
pub(crate) fn counted(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Percent as a person reads it: at most two decimals.
pub(crate) fn percent(value: f64) -> String {
    format!("{} %", (value * 100.0).round() / 100.0)
}
