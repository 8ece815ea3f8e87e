//! What happened, as a person reads it after a failure.

use std::fmt;

use muster_core::time::{Timestamp, spoken};

use crate::schedule::START;

/// Lines of a story that are printed at most.
const LINES: usize = 60;
/// Characters of a line that are printed.
const LONGEST: usize = 420;
/// A line that repeats one of so many before it is only counted.
const REPEATED_WITHIN: usize = 3;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// A call that changed nothing.
    Call,
    /// Something changed in the tables, or a sweep was written.
    Change,
    /// A fault, a deed of the operator, a launch, a termination, a decision with consequences.
    Deed,
    /// A rule was broken.
    Violation,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) weight: Weight,
    pub(crate) text: String,
}

/// A rule of the contract that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's id.
    pub rule: &'static str,
    /// When.
    pub at: Timestamp,
    /// What happened, in a sentence.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {}: {}", self.rule, spoken(self.at.since(START)), self.text)
    }
}

/// The names in a sentence: instances and intents.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.len() > 5 && word.contains('-') && word.bytes().any(|b| b.is_ascii_digit()))
}

/// The shortest telling: every deed of the last minutes, and every change that names what the violation names.
pub(crate) fn tell(lines: &[Line], violations: &[Violation]) -> String {
    let subjects: Vec<&str> = violations.iter().flat_map(|violation| names(&violation.text)).collect();
    let about = |line: &&Line| subjects.iter().any(|subject| line.text.contains(subject));
    let matters = |line: &&Line| line.weight >= Weight::Deed || (line.weight == Weight::Change && about(line));
    let mut chosen: Vec<&Line> = lines.iter().filter(matters).collect();
    if chosen.len() > LINES {
        // The subject's own past stays whole before anything else does.
        let own = chosen.iter().filter(|line| about(line)).count();
        let mut others = LINES.saturating_sub(own);
        let mut kept: Vec<&Line> = Vec::new();
        for line in chosen.into_iter().rev() {
            if about(&line) {
                kept.push(line);
            } else if others > 0 {
                others -= 1;
                kept.push(line);
            }
        }
        kept.truncate(LINES * 2);
        kept.reverse();
        chosen = kept;
    }
    printed(&chosen)
}

/// What two lines have in common that differ in numbers only.
fn shape(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).take(120).collect()
}

/// One line each, and those that only repeat one of the last few as a count.
fn printed(lines: &[&Line]) -> String {
    let mut told: Vec<(String, String, u32)> = Vec::new();
    for line in lines {
        let shape = shape(&line.text);
        let recent = told.len().saturating_sub(REPEATED_WITHIN);
        if line.weight < Weight::Deed
            && let Some((.., more)) = told[recent..].iter_mut().find(|(known, ..)| *known == shape)
        {
            *more += 1;
            continue;
        }
        let ms = line.at.since(START).as_millis();
        let short: String = line.text.chars().take(LONGEST).collect();
        let row = format!("  {:>3}:{:02}.{:03}  {short}", ms / 60_000, ms / 1_000 % 60, ms % 1_000);
        told.push((shape, row, 0));
    }
    let mut text = String::new();
    for (_, row, more) in told {
        text.push_str(&row);
        if more > 0 {
            text.push_str(&format!(" (and {more} more like it)"));
        }
        text.push('\n');
    }
    text
}
