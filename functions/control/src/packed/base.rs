//! The whole members of one sweep, on which the next ones stand.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use muster_core::health::Health;
use muster_core::member::InstanceId;

use super::{INFLATED_MAX, PackedError};

/// The whole members of one sweep, in the order of their ids. Immutable: any copy of it will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    members: BTreeMap<InstanceId, Health>,
    bytes: Vec<u8>,
}

impl Base {
    /// The base that is made of a sweep's members.
    ///
    /// # Errors
    /// When they are more than fit, or one is not what can be read back.
    pub fn of(members: &BTreeMap<InstanceId, Health>) -> Result<Self, PackedError> {
        let text = serde_json::to_vec(members).map_err(PackedError::NotOurs)?;
        let base = Self::from_bytes(&deflate(&text)?)?;
        if base.members == *members { Ok(base) } else { Err(PackedError::Lossy) }
    }

    /// The base that [`Self::as_bytes`] has written down.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PackedError> {
        let members = serde_json::from_slice(&inflate(bytes)?).map_err(PackedError::NotOurs)?;
        Ok(Self { members, bytes: bytes.to_vec() })
    }

    /// The base as it is stored: JSON, deflated.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn members(&self) -> &BTreeMap<InstanceId, Health> {
        &self.members
    }
}

/// Deflates what [`inflate`] would inflate again.
pub(super) fn deflate(plain: &[u8]) -> Result<Vec<u8>, PackedError> {
    if u64::try_from(plain.len()).is_ok_and(|length| length <= INFLATED_MAX) {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).and_then(|()| encoder.finish()).map_err(PackedError::NotDeflate)
    } else {
        Err(PackedError::TooLarge)
    }
}

/// Inflates a stream to its bound and no further, whatever it says.
pub(super) fn inflate(bytes: &[u8]) -> Result<Vec<u8>, PackedError> {
    let mut plain = Vec::new();
    let read = DeflateDecoder::new(bytes).take(INFLATED_MAX + 1).read_to_end(&mut plain);
    let length = u64::try_from(read.map_err(PackedError::NotDeflate)?).unwrap_or(u64::MAX);
    if length <= INFLATED_MAX { Ok(plain) } else { Err(PackedError::TooLarge) }
}
