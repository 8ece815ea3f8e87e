//! The figures as text.

use std::fmt::Write;

use muster_backtest::matrix::Matrix;
use muster_backtest::score::PRICE;

use crate::{CROWD_BOOT_S, PEER, Row};

const HEADINGS: [&str; 9] =
    ["policy", "over %", "avoidable %", "lost %", "cost", "bill", "changes/h", "min at max", "gap closed %"];

fn fields(row: &Row) -> [String; 9] {
    let score = &row.mean;
    [
        row.name.clone(),
        format!("{:.2}", score.over_percent),
        format!("{:.2}", score.avoidable_percent),
        format!("{:.2}", score.lost_percent),
        format!("{:.2}", score.cost),
        format!("{:.2}", row.bill),
        format!("{:.1}", score.changes_per_hour),
        format!("{:.0}", score.minutes_at_max),
        row.compared.map_or_else(String::new, |compared| format!("{:+.0}", compared.gap_closed_percent)),
    ]
}

/// How a flash crowd went: seconds until it was over, and most instances.
fn crowds(row: &Row) -> Vec<String> {
    let each = row.crowds.iter().map(|crowd| {
        let took = crowd.seconds.map_or_else(|| "over an hour".to_owned(), |seconds| format!("{seconds:.0} s"));
        format!("{took}, {} instances", crowd.most)
    });
    std::iter::once(row.name.clone()).chain(each).collect()
}

/// Its headings.
fn crowd_headings(rows: &[Row]) -> Vec<String> {
    let factors = rows.iter().map(|row| &row.crowds).find(|crowds| !crowds.is_empty()).into_iter().flatten();
    std::iter::once("flash crowd".to_owned()).chain(factors.map(|crowd| format!("x{}", crowd.factor))).collect()
}

/// For a terminal: two tables, and a line for each policy of ours.
pub(crate) fn plain(rows: &[Row]) -> String {
    let mut text = String::new();
    let lines = std::iter::once(HEADINGS.map(String::from)).chain(rows.iter().map(fields));
    for [name, figures @ ..] in lines {
        let figures: String = figures.iter().map(|figure| format!("{figure:>13}")).collect();
        // Writing into a string does not fail.
        let _ = writeln!(text, "{name:<24}{figures}");
    }
    text.push('\n');
    for line in
        std::iter::once(crowd_headings(rows)).chain(rows.iter().filter(|row| !row.crowds.is_empty()).map(crowds))
    {
        let (name, rest) = line.split_first().map_or(("", &line[..]), |(name, rest)| (name.as_str(), rest));
        let rest: String = rest.iter().map(|crowd| format!("{crowd:>30}")).collect();
        let _ = writeln!(text, "{name:<24}{rest}");
    }
    text.push('\n');
    for (row, compared) in rows.iter().filter(|row| row.ours).filter_map(|row| Some((row, row.compared?))) {
        let _ = writeln!(
            text,
            "SCORE vs {PEER}: {}: avoidable overload {:+.1} %  cost {:+.1} %  oracle gap closed {:.1} %  changes/h {:.1}",
            row.name,
            compared.avoidable_percent,
            compared.cost_percent,
            compared.gap_closed_percent,
            row.mean.changes_per_hour
        );
    }
    text
}

/// For a document.
pub(crate) fn markdown(rows: &[Row], matrix: &Matrix) -> String {
    let line = |fields: &[String]| format!("| {} |\n", fields.join(" | "));
    let mut text = line(&HEADINGS.map(String::from));
    text += &line(&HEADINGS.map(|_| "---".to_owned()));
    for row in rows {
        let mut fields = fields(row);
        if row.ours {
            fields[0] = format!("**{}**", fields[0]);
        }
        text += &line(&fields);
    }
    let names: Vec<&str> = matrix.loads.iter().map(|(name, _)| name.as_str()).collect();
    let all = |numbers: Vec<String>| numbers.join(", ");
    let _ = write!(
        text,
        "\nMeans over the loads {}, groups whose busiest steps need {} instances, and boot times of {} s (seed {}). *over*: requests that \
         arrive while utilisation is above 90 %; *avoidable*: the part of it that the oracle, who knows the load but has to boot like \
         everybody, is spared; *cost*: instance-hours, the oracle's are 1; *bill*: cost and {PRICE} for each per cent of *over*; *gap \
         closed*: how far it goes from {PEER}'s bill to the oracle's.\n",
        names.join(", "),
        all(matrix.peaks.iter().map(u32::to_string).collect()),
        all(matrix.boots_s.iter().map(f64::to_string).collect()),
        matrix.seed,
    );
    let headings = crowd_headings(rows);
    let _ =
        write!(text, "\n{}{}", line(&headings), line(&headings.iter().map(|_| "---".to_owned()).collect::<Vec<_>>()));
    for row in rows.iter().filter(|row| !row.crowds.is_empty()) {
        let mut fields = crowds(row);
        if row.ours {
            fields[0] = format!("**{}**", fields[0]);
        }
        text += &line(&fields);
    }
    let _ = write!(
        text,
        "\nSix instances at 60 % for two hours, then suddenly so many times the load, for an hour; booting takes {CROWD_BOOT_S} s. Seconds until \
         utilisation is at or below 90 % for good, and most instances at a time.\n"
    );
    text
}
