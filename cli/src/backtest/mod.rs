//! `muster backtest`: what a policy would have done to a load that was, beside others.
//!
//! Everything that is calculated is [`muster_backtest`]'s; here it is read ([`record`]), told ([`told`]) and printed.

pub(crate) mod record;
mod told;

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use muster_backtest::compare::{Boot, BootFrom, Capacity, Named, Setting, can_be_played, compare};
use muster_backtest::history::SATURATED_AT;
use muster_backtest::{chart, price};
use muster_core::group::GroupName;
use muster_core::policy::{Policy, Span};
use muster_web::read::preview::threshold;

use crate::failure::Failure;
use crate::place::StackArgs;
use crate::policy::{load, print, say};

/// A boot time that nobody has given or measured: a common Linux image, its agent and its application.
const BOOT: Duration = Duration::from_secs(90);
/// The longest boot time that is taken.
const LONGEST_BOOT: Duration = Duration::from_secs(3_600);
/// Instances of the busiest time, as a share of the maximum, when nobody says what one serves: the maximum has room.
const PEAK_OF_MAX: u32 = 2;
/// How often the bar is drawn anew at most.
const FRAME: Duration = Duration::from_millis(100);
const SEED: u64 = 1;

/// Play a load that was against a policy, and tell how it would have done: overload, cost, restlessness.
///
/// The load is a trace, the sweeps that a local world has kept, or those of a stack. Beside the policy stand another one
/// (--against; of a group's own record the policy in force there), and models of EC2 target tracking, EC2 step scaling and the
/// Kubernetes HPA (--peers; also when there is nothing else to stand beside it), and always an oracle that knew the load.
///
///   muster backtest --policy new.json --against old.json --trace load.csv --capacity 120 --price t3.medium
///   muster backtest --policy new.json --state DIR --peers --chart week.html
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct BacktestArgs {
    /// The policy's file; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Another policy's file to stand beside it.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Let models of other autoscalers stand beside it.
    #[arg(long)]
    peers: bool,
    /// The load: CSV, `unix_seconds,requests_per_second`, a line for each bin with its start and the mean rate in it.
    #[arg(long, value_name = "FILE.csv", conflicts_with = "state")]
    trace: Option<PathBuf>,
    /// The load: the sweeps that `muster up --state DIR` has kept.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The group whose sweeps are played. Default: `local`, or the only one of the stack.
    #[arg(long, conflicts_with = "trace")]
    pub(crate) group: Option<GroupName>,
    /// Only the sweeps of this long until now, such as 90m or 7d. Default: all that a local world has kept; 7d of a stack.
    #[arg(long, value_name = "DURATION", value_parser = since, conflicts_with = "trace")]
    pub(crate) since: Option<Duration>,
    /// What a saturated group is taken to have been asked for, as a multiple of what it could do: its sweeps do not tell.
    #[arg(long, value_name = "FACTOR", value_parser = saturated, conflicts_with = "trace")]
    saturated: Option<f64>,
    /// From order to service, up to 1h, such as 90s. Default: as the group has measured it, else 90s.
    #[arg(long, value_name = "DURATION", value_parser = boot)]
    boot: Option<Duration>,
    /// Requests a second of the trace that keep one instance fully used.
    #[arg(long, value_name = "N", value_parser = capacity, conflicts_with_all = ["peak", "state"])]
    capacity: Option<f64>,
    /// Instances that the trace's busiest half per cent keeps fully used. Default: half of the policy's maximum.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "state")]
    peak: Option<u32>,
    /// US dollars an hour and instance, or an instance type. Default: the policy's first instance type, if it is a common one.
    #[arg(long, value_name = "USD|TYPE", value_parser = cost)]
    price: Option<f64>,
    /// Draw it: a picture, or a page that needs nothing else.
    #[arg(long, value_name = "FILE.svg|FILE.html", value_parser = picture)]
    chart: Option<PathBuf>,
    /// Print one JSON object with everything.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &BacktestArgs, stack: &StackArgs) -> Result<(), Failure> {
    let policy = named(&args.policy)?;
    let against = args.against.as_deref().map(named).transpose()?;
    let source = match (&args.trace, &args.state) {
        (Some(trace), _) => record::trace(trace)?,
        (None, Some(state)) => record::state(state, args)?,
        #[cfg(feature = "aws")]
        (None, None) if stack.named().is_some() => crate::stack::recorded(stack, args)?,
        #[cfg(not(feature = "aws"))]
        (None, None) if stack.named().is_some() => {
            return Err(crate::place::without_aws(stack.named().unwrap_or_default()));
        }
        (None, None) => {
            return Err(Failure::Input(
                "which load? Say --trace FILE.csv or --state DIR, or --stack NAME with a muster that is built with the feature aws".into(),
            ));
        }
    };
    let capacity = match (source.gaps, args.capacity) {
        (Some(_), _) => Capacity::Record,
        (None, Some(requests_per_second)) => Capacity::Given { requests_per_second },
        (None, None) => {
            let usual = (policy.policy.max / PEAK_OF_MAX).max(1);
            Capacity::peak(&source.demand, args.peak.unwrap_or(usual), args.peak.is_none())
        }
    };
    let first_type = policy.policy.launch.instance_types.first();
    let price = args.price.or_else(|| first_type.and_then(|first| price::of(first)));
    let title = format!("{} on {}", policy.name, source.name);
    let peers = args.peers || (against.is_none() && source.in_force.is_none());
    let policies: Vec<Named> = std::iter::once(policy).chain(against.or(source.in_force)).collect();
    let setting = Setting {
        demand: &source.demand,
        capacity,
        boot: boot_of(args.boot, source.boot),
        price,
        gaps: source.gaps,
        threshold: threshold(&policies),
        seed: SEED,
    };
    let bar = bar();
    let mut drawn = Instant::now();
    let outcome = compare(&setting, &policies, peers, &mut |share| {
        if drawn.elapsed() >= FRAME {
            drawn = Instant::now();
            bar.set_position((share * 1_000.0) as u64);
        }
    });
    bar.finish_and_clear();
    if let Some(file) = &args.chart {
        let draw = if is_page(file) { chart::html } else { chart::svg };
        std::fs::write(file, draw(&outcome, &title))
            .map_err(|error| Failure::run(&format!("--chart {} cannot be written", file.display()), &error))?;
    }
    if args.json {
        return print(&outcome);
    }
    let mut text = told::told(&outcome, &source.name);
    if let Some(file) = &args.chart {
        let _ = write!(text, "\nThe chart is in {}.", file.display());
    }
    say(&text)
}

impl BacktestArgs {
    /// What a saturated group is taken to have been asked for.
    fn saturated(&self) -> f64 {
        self.saturated.unwrap_or(SATURATED_AT)
    }
}

/// The policy in `file`, by the file's name.
fn named(file: &Path) -> Result<Named, Failure> {
    let (policy, _) = load(file)?;
    let name = file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned());
    playable(name, policy)
}

fn playable(name: String, policy: Policy) -> Result<Named, Failure> {
    if !can_be_played(&policy) {
        return Err(Failure::Input(format!(
            "{name} cannot be played: max_instances is 0, so that nobody would ever serve"
        )));
    }
    Ok(Named { name, policy })
}

fn boot_of(given: Option<Duration>, measured: Option<Duration>) -> Boot {
    let (span, from) = match (given, measured) {
        (Some(given), _) => (given, BootFrom::Given),
        (None, Some(measured)) => (measured, BootFrom::Measured),
        (None, None) => (BOOT, BootFrom::Assumed),
    };
    Boot { seconds: span.as_secs_f64(), from }
}

/// A bar on standard error, for those who look at a terminal.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent} % played, {eta} left");
    ProgressBar::new(1_000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn span(text: &str) -> Result<Duration, String> {
    let span: Span = serde_json::from_value(text.into())
        .map_err(|_| "must be a span with its unit, such as 90s or 5m".to_owned())?;
    Ok(span.0)
}

fn boot(text: &str) -> Result<Duration, String> {
    let span = span(text)?;
    if span > LONGEST_BOOT { Err("must be at most 1h".into()) } else { Ok(span) }
}

/// A span that may be in days, which a policy's may not.
fn since(text: &str) -> Result<Duration, String> {
    let days = text.trim().strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok());
    let span = match days {
        Some(days) => Duration::from_secs(u64::from(days) * 86_400),
        None => span(text).map_err(|_| "must be a span with its unit, such as 90m, 12h or 7d".to_owned())?,
    };
    if span.is_zero() || span > Duration::from_secs(366 * 86_400) {
        return Err("must be above 0 and at most 366d".into());
    }
    Ok(span)
}

fn between(text: &str, least: f64, most: f64, what: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("must be {what}"))?;
    if (least..=most).contains(&number) { Ok(number) } else { Err(format!("must be {what}, from {least} to {most}")) }
}

fn saturated(text: &str) -> Result<f64, String> {
    between(text, 1.0, 100.0, "a multiple")
}

fn capacity(text: &str) -> Result<f64, String> {
    between(text, 1e-6, 1e9, "requests a second")
}

fn cost(text: &str) -> Result<f64, String> {
    if let Some(price) = price::of(text) {
        return Ok(price);
    }
    between(text, 0.0, 1_000.0, "US dollars an hour")
        .map_err(|problem| format!("{problem}, or one of {}", price::known().collect::<Vec<_>>().join(", ")))
}

fn picture(text: &str) -> Result<PathBuf, String> {
    let file = PathBuf::from(text);
    let known = is_page(&file) || file.extension().is_some_and(|ending| ending == "svg");
    if known { Ok(file) } else { Err("must end in .svg or .html".into()) }
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "html")
}
