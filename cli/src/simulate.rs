//! `muster simulate`: thousands of faulty schedules over the very use cases, in virtual time.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use muster_sim::{Fault, Schedule, Summary, Tally, kept, simulate, tell};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::policy::say;

/// Schedules of one run at most: a night's work.
const MOST: u64 = 10_000_000;
/// How often the bar is drawn anew at most: a schedule takes less than a frame.
const FRAME: Duration = Duration::from_millis(100);

/// Run the control plane through thousands of faulty schedules, in virtual time and without AWS.
///
/// Each schedule is drawn from one number: half an hour of a group with crashes, lost answers, throttles, stale lists, empty
/// zones, dead and lying agents, blackouts, late ticks, lost doorbells and busy operators; then the faults stop and the group
/// must come right. The safety rules S1-S8, S11, O1 and D2 are checked after every step; S9 and S10, which take a decision again
/// with other input, at one of twelve decisions; the liveness rules V1-V6 at the end. Schedules that ever failed are run first.
///
/// Repeat one, and be told what happens in it:  muster simulate --schedules 1 --seed 42
///
/// The exit code is 1 when a rule was broken. Ctrl-C ends the run and tells what was done so far; then it is 130.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct SimulateArgs {
    /// How many schedules, at most 10,000,000.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    schedules: u64,
    /// The first schedule's seed; the others follow it. Without it the schedules that ever failed come first.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Write JSON: an object for each failure or for the one schedule asked for, one with the port calls and what was injected, and last one that sums up.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &SimulateArgs) -> Result<(), Failure> {
    let seeds = seeds(args);
    let ended = interrupted()?;
    let began = Instant::now();
    let bar = bar(args.schedules);
    let mut drawn = began;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let summary = simulate(&seeds, threads, |done| {
        if drawn.elapsed() >= FRAME {
            drawn = Instant::now();
            bar.set_position(done);
        }
        !ended.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let interruption = Interruption::of(&summary, seeds.len());
    let story = story(args, &summary);
    if args.json {
        for failure in &summary.failures {
            let text = failure.violation.to_string();
            say(&json!({"seed": failure.seed, "rule": failure.violation.rule, "violation": text, "story": failure.story}).to_string())?;
        }
        if let Some(story) = story {
            say(&json!({"seed": args.seed, "story": story}).to_string())?;
        }
        let injected: serde_json::Map<String, Value> =
            Fault::ALL.iter().map(|fault| (fault.name().to_owned(), summary.tally.injected(*fault).into())).collect();
        say(&json!({"port_calls": summary.port_calls, "injected": injected}).to_string())?;
        say(&last_line(&summary, interruption.is_some())?)?;
    } else {
        let table = told(&summary, began.elapsed());
        say(&story.map_or_else(|| table.clone(), |story| format!("{story}\n{table}")))?;
    }
    outcome(&summary, interruption)
}

/// A run that was ended before it was through.
struct Interruption {
    done: u64,
    asked: usize,
}

impl Interruption {
    fn of(summary: &Summary, asked: usize) -> Option<Self> {
        let done = summary.schedules;
        (usize::try_from(done).is_ok_and(|done| done < asked)).then_some(Self { done, asked })
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted after {} of {} schedules", self.done, self.asked)
    }
}

/// A rule that was broken says more than that the run was cut short.
fn outcome(summary: &Summary, interruption: Option<Interruption>) -> Result<(), Failure> {
    let broken = match summary.violations {
        0 => None,
        1 => Some("a schedule broke a rule".to_owned()),
        many => Some(format!("{many} schedules broke a rule")),
    };
    match (broken, interruption) {
        (None, None) => Ok(()),
        (None, Some(cut)) => Err(Failure::Interrupted(cut.to_string())),
        (Some(broken), None) => Err(Failure::Run(broken)),
        (Some(broken), Some(cut)) => Err(Failure::Run(format!("{broken}; {cut}"))),
    }
}

/// What happens in the one schedule that was asked for, when nothing in it breaks a rule: a failure tells its own story.
fn story(args: &SimulateArgs, summary: &Summary) -> Option<String> {
    let seed = args.seed.filter(|_| (args.schedules, summary.schedules, summary.violations) == (1, 1, 0))?;
    let schedule = Schedule::of(seed);
    Some(format!("{schedule}{}", tell(&schedule, None).story.unwrap_or_default()))
}

/// The seeds to run, those that ever failed first.
fn seeds(args: &SimulateArgs) -> Vec<u64> {
    let first = args.seed.unwrap_or_default();
    let mut seeds: Vec<u64> = if args.seed.is_none() { kept().map(|(seed, _)| seed).collect() } else { Vec::new() };
    let old: std::collections::BTreeSet<u64> = seeds.iter().copied().collect();
    let count = usize::try_from(args.schedules).unwrap_or(usize::MAX);
    seeds.extend(
        (0..)
            .map(|nth: u64| first.wrapping_add(nth))
            .filter(|seed| !old.contains(seed))
            .take(count.saturating_sub(old.len())),
    );
    seeds.truncate(count);
    seeds
}

/// Set once somebody has pressed Ctrl-C.
fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    let deaf = |error| Failure::run("the signals cannot be listened to", &error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(deaf)?;
    let mut interrupt = {
        let _entered = runtime.enter();
        signal(SignalKind::interrupt()).map_err(deaf)?
    };
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    std::thread::spawn(move || {
        if runtime.block_on(interrupt.recv()).is_some() {
            told.store(true, Ordering::Relaxed);
        }
    });
    Ok(ended)
}

/// A bar on standard error, for those who look at a terminal.
fn bar(schedules: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(schedules);
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} schedules, {per_sec}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What machines read last.
#[derive(Serialize)]
struct LastLine {
    schedules: u64,
    violations: u64,
    unrecovered: u64,
    faults: Tally,
    /// Whether there would have been more; left out when not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
}

fn last_line(summary: &Summary, interrupted: bool) -> Result<String, Failure> {
    let Summary { schedules, violations, unrecovered, tally, .. } = *summary;
    let line = LastLine { schedules, violations, unrecovered, faults: tally, interrupted };
    serde_json::to_string(&line).map_err(|error| Failure::run("the sum cannot be written", &error))
}

fn told(summary: &Summary, took: Duration) -> String {
    let mut text = String::new();
    for failure in &summary.failures {
        let _ = writeln!(text, "Seed {} breaks {}", failure.seed, failure.violation);
        if let Some(story) = &failure.story {
            let _ = writeln!(text, "The smallest schedule that does:\n{story}");
        }
    }
    let _ = writeln!(text, "{:<26}{:>12}{:>24}", "fault", "injected", "changed an outcome");
    for fault in Fault::ALL {
        let (injected, changed) = (summary.tally.injected(*fault), summary.tally.changed(*fault));
        let _ = writeln!(text, "{:<26}{injected:>12}{changed:>24}", fault.name());
    }
    let seconds = took.as_secs_f64();
    let _ = write!(
        text,
        "\n{} schedules in {seconds:.1} s, {} port calls in the median; {} broke a rule, {} groups did not come right.",
        summary.schedules, summary.port_calls, summary.violations, summary.unrecovered
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_rule_says_more_than_that_the_run_was_cut_short() {
        for (violations, asked, code, says) in [
            (0, 7, None, ""),
            (0, 8, Some(130), "interrupted after 7 of 8 schedules"),
            (1, 7, Some(1), "a schedule broke a rule"),
            (2, 8, Some(1), "2 schedules broke a rule; interrupted after 7 of 8 schedules"),
        ] {
            let summary = Summary { schedules: 7, violations, ..Summary::default() };
            let failure = outcome(&summary, Interruption::of(&summary, asked)).err();
            let said = failure.as_ref().map(|failure| (failure.exit_code(), failure.to_string()));
            assert_eq!(said, code.map(|code| (code, says.to_owned())));
        }
    }
}
