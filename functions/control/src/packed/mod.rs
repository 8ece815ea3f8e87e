//! The members of a large group's sweep in a few bytes each, for stores that charge by the byte.
//!
//! Like the frames of a film: a [`Base`] holds the whole members of one sweep, and the sweeps after it say of each member
//! in the base's order only what has become of it. Nine in ten sweeps of a member read *as usual*: it answered some
//! milliseconds before the sweep's end, with this load. So neither a roster nor more than one other item is needed to read
//! a sweep.
//!
//! **Lossless by construction.** [`pack`] tries the short descriptions of a member, reads each back and compares it with
//! the truth; what none of them tells goes in as the fields that differ, as JSON. What is unpacked is what was packed, or
//! packing fails.
//!
//! **Hostile bytes** are an error: what a stream inflates to is bounded, and so is every number in it.
//!
//! What must never be in here: a judgement about members, or a store. Start reading at [`next`].

mod base;
mod columns;
mod kind;

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::health::Health;
use muster_core::member::InstanceId;
use muster_core::time::Timestamp;

pub use base::Base;

use columns::Columns;

/// What the members of a sweep may have inflated, in bytes: those of a full shard have 750 kB when each text is as long as a
/// fold leaves it.
const INFLATED_MAX: u64 = 2 << 20;

/// Bytes a member that a packed sweep may have for ever. What is above adds up, and when it has cost as much as a new base
/// would, there is one.
const USUAL_BYTES: usize = 6;

/// Sweeps name a base for this long at most, so that its store knows for how long it must keep it.
pub const BASE_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Why members cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackedError {
    /// The stream does not inflate.
    #[error("the packed members do not inflate")]
    NotDeflate(#[source] std::io::Error),
    /// The stream inflates to more than members ever have.
    #[error("the packed members inflate to more than {INFLATED_MAX} bytes")]
    TooLarge,
    /// The format is another version's.
    #[error("the packed members have format {found}, this program knows format {}", columns::FORMAT)]
    OtherFormat {
        /// The format's number.
        found: u8,
    },
    /// What is inside is cut, or does not belong to this base.
    #[error("the packed members are cut, or another base's")]
    OtherBase,
    /// The part in JSON is not ours.
    #[error("the packed members hold a document that is not ours")]
    NotOurs(#[source] serde_json::Error),
    /// What would be read back is not what was to be packed.
    #[error("the members cannot be packed without loss")]
    Lossy,
}

/// Which base a packed sweep stands on; kept with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The slot of the sweep that the base was made of.
    pub base: Timestamp,
    /// What sweeps on that base have cost above the usual so far, in bytes.
    pub excess: u64,
}

/// A sweep's members, packed.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// Which base they stand on.
    pub standing: Standing,
    /// What [`unpack`] reads.
    pub bytes: Vec<u8>,
    /// The base, when it is a new one: to be written with the sweep, and named by `standing.base`.
    pub new_base: Option<Base>,
}

/// Packs the members of the sweep at `slot`, that ended at `finished_at`, on the base of the sweep before it, or on a new
/// one when there is none, or it is old, or has cost too much.
///
/// A new base costs about ten sweeps, and when members come, go and fall silent all the time it does not help for long. So
/// it is made when not having made it has cost as much: at worst twice the best that could be done.
///
/// # Errors
/// When there are more members than fit, or one is not what can be read back.
pub fn next(
    before: Option<(Standing, &Base)>,
    members: &BTreeMap<InstanceId, Health>,
    slot: Timestamp,
    finished_at: Timestamp,
) -> Result<Packed, PackedError> {
    if let Some((standing, base)) = before.filter(|(standing, _)| slot.since(standing.base) <= BASE_LIFE) {
        let bytes = pack(base, members, finished_at)?;
        let above = bytes.len().saturating_sub(members.len().saturating_mul(USUAL_BYTES));
        let excess = standing.excess.saturating_add(u64::try_from(above).unwrap_or(u64::MAX));
        if excess < u64::try_from(base.as_bytes().len()).unwrap_or(u64::MAX) {
            return Ok(Packed { standing: Standing { excess, ..standing }, bytes, new_base: None });
        }
    }
    let base = Base::of(members)?;
    let bytes = pack(&base, members, finished_at)?;
    Ok(Packed { standing: Standing { base: slot, excess: 0 }, bytes, new_base: Some(base) })
}

/// The members of a sweep that ended at `finished_at`, as `base` and what has become of each.
///
/// # Errors
/// When there are more members than fit, or one is not what can be read back.
pub fn pack(
    base: &Base,
    members: &BTreeMap<InstanceId, Health>,
    finished_at: Timestamp,
) -> Result<Vec<u8>, PackedError> {
    let bytes = Columns::of(base, members, finished_at)?.deflated()?;
    if unpack(base, &bytes, finished_at)? == *members { Ok(bytes) } else { Err(PackedError::Lossy) }
}

/// The members that [`pack`] has packed on the same base.
///
/// # Errors
/// When the bytes are not what `pack` has made of it.
pub fn unpack(base: &Base, bytes: &[u8], finished_at: Timestamp) -> Result<BTreeMap<InstanceId, Health>, PackedError> {
    Columns::inflated(bytes, base.len())?.members(base, finished_at)
}
