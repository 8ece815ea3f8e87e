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
    let chosen: Vec<&Line> = lines.iter().filter(matters).collect();
    let mut rows = rows(&chosen);
    if violations.is_empty() {
        return whole(&rows);
    }
    // The end matters most, and before it what the violation names.
    let early = rows.len().saturating_sub(LINES);
    let mut nth = 0;
    rows.retain(|row| {
        nth += 1;
        nth > early || subjects.iter().any(|subject| row.text.contains(subject))
    });
    let dropped = rows.len().saturating_sub(2 * LINES);
    rows.drain(..dropped);
    rows.iter().map(Row::printed).collect()
}

/// What was done where no rule was broken; of a long story the middle is left out.
fn whole(rows: &[Row]) -> String {
    let (most, printed) = (2 * LINES, |rows: &[Row]| rows.iter().map(Row::printed).collect::<String>());
    match (rows.get(..most), rows.get(most..).and_then(|rest| rest.len().checked_sub(most))) {
        (Some(first), Some(dropped)) if dropped > 0 => {
            let last = rows.get(most + dropped..).unwrap_or_default();
            format!("{}  ... {dropped} lines are left out ...\n{}", printed(first), printed(last))
        }
        _ => printed(rows),
    }
}

/// One line as it is printed, and how many more were like it.
struct Row {
    shape: String,
    text: String,
    more: u32,
}

impl Row {
    fn printed(&self) -> String {
        match self.more {
            0 => format!("{}\n", self.text),
            more => format!("{} (and {more} more like it)\n", self.text),
        }
    }
}

/// What two lines have in common that differ in numbers only.
fn shape(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).take(120).collect()
}

/// One line each, and those that only repeat one of the last few as a count.
fn rows(lines: &[&Line]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in lines {
        let shape = shape(&line.text);
        let recent = rows.len().saturating_sub(REPEATED_WITHIN);
        let before = rows.iter_mut().skip(recent).find(|row| row.shape == shape);
        if let (Some(row), true) = (before, line.weight < Weight::Deed) {
            row.more += 1;
            continue;
        }
        let ms = line.at.since(START).as_millis();
        let short: String = line.text.chars().take(LONGEST).collect();
        let text = format!("  {:>3}:{:02}.{:03}  {short}", ms / 60_000, ms / 1_000 % 60, ms % 1_000);
        rows.push(Row { shape, text, more: 0 });
    }
    rows
}
