//! A policy that a test edits.

use std::sync::{Mutex, PoisonError};

use muster_core::group::GroupName;

use crate::ports::{PolicySource, PolicySourceError, PolicyText};

/// A policy text in memory; none stands for a deleted parameter.
#[derive(Debug, Default)]
pub struct MemoryPolicy(Mutex<Option<String>>);

impl MemoryPolicy {
    /// A source that holds `text`.
    pub fn of(text: &str) -> Self {
        Self(Mutex::new(Some(text.to_owned())))
    }

    /// Replaces the text; none deletes it.
    pub fn set(&self, text: Option<&str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.map(str::to_owned);
    }
}

impl PolicySource for MemoryPolicy {
    async fn fetch(&self, _: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(text.map(|text| PolicyText { text, version: None }))
    }
}
