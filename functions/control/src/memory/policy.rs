//! A policy that a test edits.

use std::sync::{Mutex, PoisonError};

use muster_core::group::GroupName;

use crate::ports::{PolicyDesk, PolicySource, PolicySourceError, PolicyText, Put, PutError, Revision};

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

impl PolicyDesk for MemoryPolicy {
    async fn put(&self, _: &GroupName, text: &str, over: Option<&Revision>) -> Result<Put, PutError> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.as_deref().map(Revision::of).as_ref() != over {
            let found = stored.clone().map(|text| PolicyText { text, version: None });
            return Err(PutError::LostUpdate { found });
        }
        *stored = Some(text.to_owned());
        Ok(Put { version: None, revision: Revision::of(text), overwrote: None })
    }
}
