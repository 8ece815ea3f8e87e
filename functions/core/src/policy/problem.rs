//! What is wrong with a policy's text, and where it stands.

use std::fmt;
use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use miette::{Diagnostic, LabeledSpan, SourceCode};

/// Bytes of a key, and of a message, that are kept: both can hold foreign text.
const KEY_KEPT: usize = 128;
const MESSAGE_KEPT: usize = 640;

/// Why a policy text was refused. `Display` is one line; with miette's reporter it points into the text.
#[derive(Debug, thiserror::Error)]
#[error("{}", one_line(.problems))]
pub struct PolicyError {
    pub(super) text: String,
    /// What is wrong, in the order of the text. If it is more than 20 things, the last says so.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a policy text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted; empty for the whole document.
    pub key: String,
    /// The value as it was written; empty when there is none.
    pub value: String,
    /// What is wrong, with the range.
    pub message: String,
    /// Line of the place in the text, from 1.
    pub line: usize,
    /// Column of the place in the text, in characters, from 1.
    pub column: usize,
    pub(super) span: Range<usize>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.is_empty(), self.value.is_empty()) {
            (true, _) => write!(f, "{}", self.message)?,
            (false, true) => write!(f, "{} {}", self.key, self.message)?,
            (false, false) => write!(f, "{} is {}: {}", self.key, self.value, self.message)?,
        }
        write!(f, " (line {}, column {})", self.line, self.column)
    }
}

fn one_line(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

impl Diagnostic for PolicyError {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.problems.iter().map(|problem| {
            LabeledSpan::new(Some(problem.message.clone()), problem.span.start, problem.span.len().max(1))
        })))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("the last valid policy stays in force; `muster policy schema` lists every key and range"))
    }
}

pub(super) fn whole(message: String) -> Problem {
    Problem { key: String::new(), value: String::new(), message, line: 1, column: 1, span: 0..0 }
}

pub(super) fn syntax(text: &str, error: &serde_json::Error) -> Problem {
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    // serde_json's line and column are counted from 1, and its column in bytes: it may lie inside a character.
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = text.floor_char_boundary(before + error.column().saturating_sub(1));
    let start = text.floor_char_boundary(at.min(text.len().saturating_sub(1)));
    Problem {
        message: format!("the policy is not JSON: {said}"),
        line: error.line(),
        column: text[before..at].chars().count() + 1,
        span: start..start,
        ..whole(String::new())
    }
}

/// `text` in at most `most` bytes: its start and its end, since what is expected stands behind what was found.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let half = (most - 3) / 2;
    let (start, end) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    format!("{}...{}", &text[..start], &text[end..])
}

/// The text's syntax tree, which knows where everything stands.
pub(super) struct Tree<'a> {
    text: &'a str,
    root: Option<ast::Value<'a>>,
}

impl<'a> Tree<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let parsed = jsonc_parser::parse_to_ast(text, &Default::default(), &Default::default());
        Self { text, root: parsed.ok().and_then(|parsed| parsed.value) }
    }

    pub(super) fn problem(&self, key: &str, message: &str) -> Problem {
        let key = if key == "." { "" } else { key };
        // A key that the text leaves out has its default; the nearest key that is there is pointed at.
        let outer = key.rmatch_indices(['.', '[']).map(|(end, _)| &key[..end]);
        for at in std::iter::once(key).chain(outer).chain([""]) {
            if let Some((_, value)) = self.find(at) {
                let shown = if at == key { self.text.get(value.clone()).unwrap_or_default() } else { "" };
                return self.place(key, shown, message, value);
            }
        }
        self.place(key, "", message, 0..self.text.len().min(1))
    }

    pub(super) fn problem_at_key(&self, key: &str, message: &str) -> Problem {
        let range = self.find(key).map_or(0..0, |(name, _)| name);
        self.place(key, "", message, range)
    }

    fn place(&self, key: &str, value: &str, message: &str, span: Range<usize>) -> Problem {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let value = if value.chars().count() > 60 {
            value.chars().take(60).chain("...".chars()).collect()
        } else {
            value.to_owned()
        };
        let (key, message) = (shortened(key, KEY_KEPT), shortened(message, MESSAGE_KEPT));
        Problem { key, value, message, line, column, span }
    }

    /// Where the key at a dotted path stands, and where its value does.
    fn find(&self, path: &str) -> Option<(Range<usize>, Range<usize>)> {
        let mut value = self.root.as_ref()?;
        let mut name = span(value);
        for part in path.split(['.', '[']).map(|part| part.trim_end_matches(']')).filter(|part| !part.is_empty()) {
            match value {
                ast::Value::Object(object) => {
                    let property = object.properties.iter().find(|property| property.name.as_str() == part)?;
                    name = property.name.range().start..property.name.range().end;
                    value = &property.value;
                }
                ast::Value::Array(array) => {
                    value = array.elements.get(part.parse::<usize>().ok()?)?;
                    name = span(value);
                }
                ast::Value::StringLit(_)
                | ast::Value::NumberLit(_)
                | ast::Value::BooleanLit(_)
                | ast::Value::NullKeyword(_) => {
                    return None;
                }
            }
        }
        Some((name, span(value)))
    }

    /// Keys that stand twice in one object, `most` of them: which would count is nobody's guess.
    pub(super) fn repeated_keys(&self, most: usize) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut open: Vec<(String, &ast::Value<'_>)> = self.root.iter().map(|root| (String::new(), root)).collect();
        while let Some((path, value)) = open.pop() {
            let ast::Value::Object(object) = value else { continue };
            let mut seen = std::collections::BTreeSet::new();
            for property in &object.properties {
                let name = property.name.as_str();
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                // A long key around many others must not be held once for each of them.
                let path = shortened(&path, KEY_KEPT);
                if !seen.insert(name) && problems.len() < most {
                    let range = property.name.range();
                    problems.push(self.place(&path, "", "stands twice in the same object", range.start..range.end));
                }
                open.push((path, &property.value));
            }
        }
        problems
    }
}

fn span(value: &ast::Value<'_>) -> Range<usize> {
    let range = value.range();
    range.start..range.end
}
