//! The outcome in words.

use std::fmt::Write;
use std::time::Duration;

use muster_backtest::chart::{cells, headings, moment, worst};
use muster_backtest::compare::{BootFrom, Capacity, Kind, Outcome, Row};
use muster_backtest::price;
use muster_core::time::spoken;

/// The table, how the policy differs, its worst minutes, and what is not known.
pub(super) fn told(outcome: &Outcome, load: &str) -> String {
    let mut text = introduced(outcome, load);
    let lines = std::iter::once(headings(outcome)).chain(outcome.rows.iter().map(cells));
    for line in lines {
        let (name, figures) = line.split_first().map_or(("", &line[..]), |(name, rest)| (name.as_str(), rest));
        let figures: String = figures.iter().map(|figure| format!("{figure:>12}")).collect();
        // Writing into a string does not fail.
        let _ = writeln!(text, "{name:<26}{figures}");
    }
    let Some(policy) = outcome.rows.first() else { return text };
    let others = outcome.rows.iter().filter(|row| matches!(row.kind, Kind::Against | Kind::Peer));
    let differences: Vec<String> = others.filter_map(|other| differs(policy, other)).collect();
    let _ = writeln!(text, "\n{}", differences.join("\n"));
    let minutes = worst(policy);
    if minutes.is_empty() {
        let _ = writeln!(text, "\n{} is never overloaded.", policy.name);
    } else {
        let _ = writeln!(text, "\nThe worst minutes of {}:\n  {}", policy.name, minutes.join("\n  "));
    }
    let _ = write!(text, "\nWhat this does not know:\n  - {}", outcome.notes.join("\n  - "));
    text
}

fn introduced(outcome: &Outcome, load: &str) -> String {
    let span = |seconds: f64| spoken(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let mut text = format!(
        "{load}: {} from {}; it keeps {:.1} instances fully used in the mean, {:.1} at most.\n",
        span(outcome.hours * 3_600.0),
        moment(outcome.start_unix_seconds),
        outcome.load_mean,
        outcome.load_most,
    );
    match outcome.capacity {
        Capacity::Record => {}
        Capacity::Given { requests_per_second } => {
            let _ = writeln!(text, "An instance serves {requests_per_second:.1} requests a second.");
        }
        Capacity::Peak { instances, requests_per_second, .. } => {
            let _ = writeln!(
                text,
                "An instance serves {requests_per_second:.1} requests a second: the busiest half per cent of the time needs {instances}."
            );
        }
    }
    let from = match outcome.boot.from {
        BootFrom::Given => "as given",
        BootFrom::Measured => "as the group has measured it",
        BootFrom::Assumed => "assumed",
    };
    let _ = write!(text, "Booting takes {} ({from}).", span(outcome.boot.seconds));
    if let Some(price) = outcome.price_per_hour {
        let of_ours = price::known().any(|known| price::of(known) == Some(price));
        let source = if of_ours { format!(" ({})", price::SOURCE) } else { String::new() };
        let _ = write!(text, " An instance costs ${price} an hour{source}.");
    }
    text + "\n\n"
}

/// How the policy differs from another.
fn differs(policy: &Row, other: &Row) -> Option<String> {
    let difference = other.policy_differs?;
    let money = match difference.cost_per_month {
        Some(cost) if cost > 0.0 => format!(", ${cost:.2} more a month"),
        Some(cost) => format!(", ${:.2} less a month", -cost),
        None => String::new(),
    };
    Some(format!(
        "{} against {}: overload {:.2} % -> {:.2} %, cost {:+.1} %{money}, changes/h {:.1} -> {:.1}",
        policy.name,
        other.name,
        other.score.over_percent,
        policy.score.over_percent,
        difference.cost_percent,
        other.score.changes_per_hour,
        policy.score.changes_per_hour,
    ))
}
