//! The project's judge: how good are the sizes that the shipped policies choose, beside those of other autoscalers and of
//! somebody who knew the load? `make quality` runs it.
//!
//! It plays the recorded loads of a folder with groups of several sizes and boot times, prints a table and, where it is told to,
//! writes it as Markdown with a picture. Files and arguments are read here and nowhere else in this package.

mod picture;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use muster_backtest::crowd::{self, Crowd};
use muster_backtest::matrix::{Cell, Contender, Matrix, mean};
use muster_backtest::score::{Comparison, Score};
use muster_backtest::trace::Trace;
use muster_backtest::{muster, peers};
use muster_core::policy::Policy;
use serde::Serialize;

const USAGE: &str = "usage: quality [--json] [--write DIR | --check DIR] [--traces DIR] [--policies DIR] [--peaks 20,4] [--boots 60,90,180] [--seed 1]
  --json      print every cell as JSON instead of a table
  --write     write quality.md and quality.svg into DIR
  --check     fail unless quality.md and quality.svg in DIR are what would be written
  --traces    the *.csv to play; each has lines of unix_seconds,requests_per_second
  --policies  the *.json to judge, beside the peers
  --peaks     instances that the busiest steps need
  --boots     seconds from order to service";

/// What the load of a flash crowd is multiplied by, and the boot time in it.
const CROWDS: [f64; 2] = [2.0, 10.0];
const CROWD_BOOT_S: f64 = 90.0;

/// The peer that the others are measured by.
const PEER: &str = "aws_tt60";

/// One contender's figures.
#[derive(Clone, Debug, Serialize)]
struct Row {
    name: String,
    /// Whether it is one of our policies.
    ours: bool,
    mean: Score,
    bill: f64,
    /// Beside [`PEER`]; none for the oracle.
    compared: Option<Comparison>,
    /// None for the oracle, who has booted before.
    crowds: Vec<Crowd>,
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Arguments {
    json: bool,
    write: Option<PathBuf>,
    check: Option<PathBuf>,
    traces: PathBuf,
    policies: PathBuf,
    peaks: Vec<u32>,
    boots_s: Vec<f64>,
    seed: u64,
}

fn main() -> ExitCode {
    match Arguments::read(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

impl Arguments {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut read = Self {
            json: false,
            write: None,
            check: None,
            traces: home.join("traces"),
            policies: home.join("policies"),
            peaks: vec![20, 4],
            boots_s: vec![60.0, 90.0, 180.0],
            seed: 1,
        };
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or(format!("{name} needs a value\n{USAGE}"));
            match name.as_str() {
                "--json" => read.json = true,
                "--write" => read.write = Some(value()?.into()),
                "--check" => read.check = Some(value()?.into()),
                "--traces" => read.traces = value()?.into(),
                "--policies" => read.policies = value()?.into(),
                "--peaks" => read.peaks = list(&value()?)?,
                "--boots" => read.boots_s = list(&value()?)?,
                "--seed" => read.seed = list(&value()?)?[0],
                _ => return Err(USAGE.into()),
            }
        }
        Ok(read)
    }
}

/// Numbers with commas between them; at least one.
fn list<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, String> {
    text.split(',')
        .map(|number| number.trim().parse().map_err(|_| format!("{number:?} is no number\n{USAGE}")))
        .collect()
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let loads = read_all(&arguments.traces, "csv", |text| Trace::parse(text).map(|trace| trace.demand()))?;
    let policies = read_all(&arguments.policies, "json", Policy::parse)?;
    let ours = policies.into_iter().map(|(name, policy)| muster::contender(&format!("muster {name}"), policy));
    let contenders: Vec<(bool, Contender)> =
        ours.map(|ours| (true, ours)).chain(peers::all().into_iter().map(|peer| (false, peer))).collect();
    let matrix =
        Matrix { loads, peaks: arguments.peaks.clone(), boots_s: arguments.boots_s.clone(), seed: arguments.seed };
    let rows = rows(&matrix, &contenders);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?);
    } else {
        print!("{}", table::plain(&rows));
    }
    let written = [("quality.md", table::markdown(&rows, &matrix)), ("quality.svg", picture::svg(&rows))];
    if let Some(folder) = &arguments.check {
        for (name, text) in &written {
            let path = folder.join(name);
            if std::fs::read_to_string(&path).is_ok_and(|found| found == *text) {
                continue;
            }
            return Err(format!("{} is not what --write would write", path.display()));
        }
        return Ok(());
    }
    if let Some(folder) = &arguments.write {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for (name, text) in &written {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        }
        eprintln!("quality.md and quality.svg are in {}", folder.display());
    }
    Ok(())
}

fn rows(matrix: &Matrix, contenders: &[(bool, Contender)]) -> Vec<Row> {
    let row = |name: &str, ours, who: Option<&Contender>| {
        let cells = matrix.play(who);
        let mean = mean(&cells);
        let bill = mean.bill(muster_backtest::score::PRICE);
        let crowds = who.map(|who| CROWDS.map(|factor| crowd::play(who, factor, CROWD_BOOT_S, matrix.seed)).to_vec());
        Row { name: name.to_owned(), ours, bill, mean, compared: None, crowds: crowds.unwrap_or_default(), cells }
    };
    let oracle = row("oracle", false, None);
    let mut rows: Vec<Row> = contenders.iter().map(|(ours, who)| row(&who.name, *ours, Some(who))).collect();
    if let Some(peer) = rows.iter().find(|row| row.name == PEER).map(|row| row.mean.clone()) {
        for row in &mut rows {
            row.compared = Some(Comparison::of(&row.mean, &peer, &oracle.mean));
        }
    }
    rows.sort_by(|a, b| a.bill.total_cmp(&b.bill));
    rows.insert(0, oracle);
    rows
}

/// What `read` makes of each file of `folder` that ends in `ending`, by its name, in the order of their names.
fn read_all<T, E: std::fmt::Display>(
    folder: &Path,
    ending: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<(String, T)>, String> {
    let of = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let entries = std::fs::read_dir(folder).map_err(|error| of(folder, &error))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(|error| of(folder, &error))?;
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    if paths.is_empty() {
        return Err(of(folder, &format!("there is no *.{ending}")));
    }
    let file = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).map_err(|error| of(&path, &error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, read(&text).map_err(|error| of(&path, &error))?))
    };
    paths.into_iter().map(file).collect()
}
