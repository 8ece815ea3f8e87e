//! Where the policy is written: the operator's text, and the only way to change it.

use std::future::Future;

use muster_core::group::{GroupName, PolicyVersion};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Cause;

/// Where the operator writes the policy.
pub trait PolicySource: Send + Sync {
    /// The text as it is now; none when there is none.
    fn fetch(&self, group: &GroupName) -> impl Future<Output = Result<Option<PolicyText>, PolicySourceError>> + Send;
}

/// A policy text as its source gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// The text.
    pub text: String,
    /// The source's own version number, if it has one.
    pub version: Option<PolicyVersion>,
}

/// The policy's source cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the policy cannot be read")]
pub struct PolicySourceError(#[source] pub Cause);

/// A policy's text by its digest: so a file and a parameter are alike, and the same text written again is no edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub String);

impl Revision {
    /// The revision that `text` is: the first 32 hexadecimal digits of its SHA-256.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Where the operator writes the policy, for writing it: nobody's edit is lost unseen.
pub trait PolicyDesk: PolicySource {
    /// Writes `text` over the text whose revision is `over`; none: only when there is no text.
    ///
    /// `LostUpdate` when another text is there, or none; then nothing is written. The text is not judged: that is the caller's.
    fn put(
        &self,
        group: &GroupName,
        text: &str,
        over: Option<&Revision>,
    ) -> impl Future<Output = Result<Put, PutError>> + Send;
}

/// A policy that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The source's own version number, if it has one.
    pub version: Option<PolicyVersion>,
    /// What is there now.
    pub revision: Revision,
    /// The version of an edit that came between the look and the write and is now overwritten: a source without conditional
    /// writes can only tell.
    pub overwrote: Option<PolicyVersion>,
}

/// Why a policy was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Another text is there than the one that was to be replaced.
    #[error("somebody else has edited the policy: nothing was written")]
    LostUpdate {
        /// The text that is there; none when there is none.
        found: Option<PolicyText>,
    },
    /// The source keeps no text of this length.
    #[error("the policy has {bytes} bytes, and {most} fit")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest that fits.
        most: usize,
    },
    /// It can never be written as it is: a permission, a parameter, a folder. Nothing was written.
    #[error("the policy cannot be written")]
    Refused(#[source] Cause),
    /// No answer of use: it may or may not have been written.
    #[error("the policy's source did not answer")]
    Unavailable(#[source] Cause),
}
