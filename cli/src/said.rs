//! What a command has to tell: a text for people, and the same as one JSON object for programs.

use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::policy::{print, say};

/// The answer of a command, both ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub(crate) text: String,
    pub(crate) document: Value,
}

impl Said {
    pub(crate) fn new(text: impl Into<String>, document: &impl Serialize) -> Result<Self, Failure> {
        let document = serde_json::to_value(document);
        let document = document.map_err(|error| Failure::run("the answer cannot be written", &error))?;
        Ok(Self { text: text.into(), document })
    }

    /// Prints one of them.
    pub fn print(&self, json: bool) -> Result<(), Failure> {
        if json { print(&self.document) } else { say(&self.text) }
    }
}
