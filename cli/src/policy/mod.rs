//! `muster policy`: a policy's text on its own ([`PolicyCommand::Validate`] and its like), and the one of a group ([`desk`], [`edit`]).

pub mod desk;
pub mod edit;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use muster_core::policy::{Policy, PolicyDocument, ScalingKind, schema};
use serde_json::json;

use crate::failure::{Failure, PolicyReport};
use crate::place::{self, StackArgs};

/// The longest policy that is read from a file or standard input, in bytes.
const LONGEST: u64 = 1 << 20;

/// What to do with a policy's text.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help of those without is their arguments'")]
pub enum PolicyCommand {
    /// Say whether a policy is valid; if not, point at every place that is wrong. Exit code 2 when it is not.
    Validate {
        /// The policy's file; `-` reads standard input.
        file: PathBuf,
        /// Say it as one JSON object: {"valid": bool, "problems": [{key, value, message, line, column}]}.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of a policy: every key, its range and what it is for.
    Schema,
    /// Print the README's table of settings, written from the schema.
    #[command(hide = true)]
    Settings,
    /// Print the policy that a document is which says nothing but its kind of rule.
    ShowDefaults {
        /// The kind of rule: auto, threshold, target or step.
        #[arg(default_value = "auto", value_parser = kind)]
        kind: ScalingKind,
    },
    /// Print a group's policy as it is written: the file, or the parameter of a stack.
    Get(desk::GetArgs),
    Set(desk::SetArgs),
    Edit(edit::EditArgs),
    Diff(desk::DiffArgs),
    History(desk::HistoryArgs),
    Rollback(desk::RollbackArgs),
}

/// Runs the command.
pub fn run(command: &PolicyCommand, stack: &StackArgs) -> Result<(), Failure> {
    match command {
        PolicyCommand::Validate { file, json } => validate(file, *json),
        PolicyCommand::Schema => print(&schema()),
        PolicyCommand::Settings => say(&crate::settings::table()),
        PolicyCommand::ShowDefaults { kind } => print(&PolicyDocument::of(*kind)),
        PolicyCommand::Get(args) => place::at(stack, &args.place, args),
        PolicyCommand::Set(args) => place::at(stack, &args.place, args)?.print(args.json),
        PolicyCommand::Edit(args) => place::at(stack, &args.place, args)?.print(args.json),
        PolicyCommand::Diff(args) => place::at(stack, &args.place, args),
        PolicyCommand::History(args) => place::at(stack, &args.place, args),
        PolicyCommand::Rollback(args) => place::at(stack, &args.place, args)?.print(args.json),
    }
}

/// A kind of rule by the name that it has in a policy.
fn kind(name: &str) -> Result<ScalingKind, String> {
    serde_json::from_value(name.into()).map_err(|_| "must be auto, threshold, target or step".into())
}

fn validate(file: &Path, json: bool) -> Result<(), Failure> {
    let text = read(file)?;
    let verdict = Policy::parse(&text);
    if json {
        let problems = verdict.as_ref().err().map_or(&[][..], |error| &error.problems);
        let problems: Vec<_> = problems
            .iter()
            .map(|p| json!({"key": p.key, "value": p.value, "message": p.message, "line": p.line, "column": p.column}))
            .collect();
        print(&json!({"valid": verdict.is_ok(), "problems": problems}))?;
    }
    match verdict {
        Ok(_) if json => Ok(()),
        Ok(policy) if policy.wants_nobody() && policy.schedule.is_empty() => {
            say(&format!("{} is valid: it empties the group", file.display()))
        }
        Ok(policy) => {
            let windows = match policy.schedule.len() {
                0 => String::new(),
                windows => format!(", windows of the schedule: {windows}"),
            };
            say(&format!("{} is valid: {} to {} instances{windows}", file.display(), policy.min, policy.max))
        }
        Err(error) => Err(PolicyReport::new(file.display().to_string(), error).into()),
    }
}

/// The policy in `file`, or everything that is wrong with it.
pub fn load(file: &Path) -> Result<(Policy, String), Failure> {
    let text = read(file)?;
    let policy = Policy::parse(&text).map_err(|error| PolicyReport::new(file.display().to_string(), error))?;
    Ok((policy, text))
}

/// The text of a file, or of standard input when it is called `-`.
pub fn read(file: &Path) -> Result<String, Failure> {
    if file.as_os_str() == "-" {
        return read_all("standard input", std::io::stdin(), LONGEST);
    }
    let name = file.display().to_string();
    let input = std::fs::File::open(file).map_err(|error| Failure::input(&format!("{name} cannot be read"), &error))?;
    read_all(&name, input, LONGEST)
}

/// All that `input` holds; more than `most` bytes are refused, not cut.
pub fn read_all(name: &str, input: impl Read, most: u64) -> Result<String, Failure> {
    let mut text = String::new();
    let read = input.take(most + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length as u64 > most => {
            Err(Failure::Input(format!("{name} has more than {most} bytes: at most that many are read")))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::input(&format!("{name} cannot be read"), &error)),
    }
}

/// Prints a document as indented JSON.
pub fn print(document: &impl serde::Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(document).map_err(|error| Failure::run("the answer cannot be written", &error))?;
    say(&text)
}

/// Prints a line; a reader that has gone is no reason to panic.
pub fn say(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| Failure::run("the answer cannot be written", &error))
}
