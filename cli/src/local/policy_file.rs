//! The policy as a file: it stands where the SSM parameter does on AWS.

use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use muster_control::ports::{PolicySource, PolicySourceError, PolicyText};
use muster_core::group::GroupName;

/// The longest file that is read; the core refuses a longer policy with the reason.
const LONGEST: u64 = 1 << 20;

/// A policy's file. It is read at every decision (O4).
#[derive(Clone, Debug)]
pub struct PolicyFile(pub PathBuf);

impl PolicySource for PolicyFile {
    async fn fetch(&self, _: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        let mut text = Vec::new();
        // Opening a pipe would wait for its writer: only a file is opened.
        match std::fs::metadata(&self.0) {
            Ok(about) if about.is_file() => {}
            Ok(_) => return Err(PolicySourceError(format!("{} is not a file", self.0.display()).into())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PolicySourceError(error.into())),
        }
        let file = std::fs::File::open(&self.0).map_err(|error| PolicySourceError(error.into()))?;
        file.take(LONGEST).read_to_end(&mut text).map_err(|error| PolicySourceError(error.into()))?;
        Ok(Some(PolicyText { text: String::from_utf8_lossy(&text).into_owned(), version: None }))
    }
}
