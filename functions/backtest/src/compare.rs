//! A policy against another one and against other autoscalers, on one load: figures, money, and a series for a chart.
//!
//! Unlike the worlds of [`crate::matrix`] this one is absolute. An instance serves what it serves, and every policy has its own
//! bounds; models of other autoscalers have the first policy's, the oracle the widest of all.

use muster_core::policy::Policy;
use muster_core::time::spoken;
use schemars::JsonSchema;
use serde::Serialize;

use crate::history::{Gaps, SATURATED};
use crate::matrix::Contender;
use crate::muster::Muster;
use crate::oracle;
use crate::peers;
use crate::price::HOURS_A_MONTH;
use crate::scaler::{Bounds, Observation, Scaler};
use crate::score::Score;
use crate::trace::{Demand, STEP_S};
use crate::world::{OVERLOADED, Run, World, is_above, is_overloaded};

/// Points of a series at most: as many as a chart has pixels.
pub const MOST_POINTS: usize = 720;
/// Policies that are compared at most.
pub const MOST_POLICIES: usize = 8;
/// Models of other autoscalers that are worth a line beside a policy: name of the model, and name in tables.
const PEERS: [(&str, &str); 4] = [
    ("aws_tt60", "EC2 target tracking 60 %"),
    ("aws_tt50", "EC2 target tracking 50 %"),
    ("aws_step", "EC2 step scaling"),
    ("hpa60", "Kubernetes HPA 60 %"),
];
/// Who knew the load.
const ORACLE: &str = "oracle";

/// A load, and what it is played with.
#[derive(Clone, Debug)]
pub struct Setting<'d> {
    /// The load.
    pub demand: &'d Demand,
    /// What one instance serves, in the demand's unit.
    pub capacity: Capacity,
    /// From order to service.
    pub boot: Boot,
    /// US dollars an hour and instance.
    pub price: Option<f64>,
    /// What of the load is not seen but assumed; none when it is no record of a group's own.
    pub gaps: Option<Gaps>,
    /// The utilisation, in percent, above which the minutes of everybody are counted.
    pub threshold: Option<f64>,
    /// Chance.
    pub seed: u64,
}

/// What one instance serves, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Capacity {
    /// The demand is counted in instances.
    Record,
    /// Somebody says so.
    Given {
        /// Requests a second.
        requests_per_second: f64,
    },
    /// The busiest half per cent of the time needs so many instances, fully used.
    Peak {
        /// So many.
        instances: u32,
        /// Whether nobody has said so.
        assumed: bool,
        /// What one instance serves then, requests a second.
        requests_per_second: f64,
    },
}

/// How long booting takes, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Boot {
    /// Seconds.
    pub seconds: f64,
    /// How that is known.
    pub from: BootFrom,
}

/// How a boot time is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootFrom {
    /// Somebody says so.
    Given,
    /// The median of the group's latest boots.
    Measured,
    /// Nobody has measured it.
    Assumed,
}

/// A policy by name.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name in tables.
    pub name: String,
    /// The policy.
    pub policy: Policy,
}

/// What came of it. Its size has a bound, however long the load is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Outcome {
    /// When the load begins, in seconds since 1970.
    pub start_unix_seconds: f64,
    /// How long it lasts.
    pub hours: f64,
    /// What one instance serves.
    pub capacity: Capacity,
    /// The boot time.
    pub boot: Boot,
    /// US dollars an hour and instance.
    pub price_per_hour: Option<f64>,
    /// What of the load is not seen but assumed.
    pub gaps: Option<Gaps>,
    /// The utilisation, in percent, above which `minutes_above` counts: where the policy in force scales out, or else the one in question;
    /// none: neither goes by a threshold.
    pub threshold_percent: Option<f64>,
    /// The load in instances that it keeps fully used, in the mean and at most.
    pub load_mean: f64,
    /// See `load_mean`.
    pub load_most: f64,
    /// The policy, what it is held against, and the oracle at the end.
    pub rows: Vec<Row>,
    /// The load over time.
    pub series: Series,
    /// What this cannot know.
    pub notes: Vec<String>,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The policy in question.
    Policy,
    /// Another policy.
    Against,
    /// A model of another autoscaler.
    Peer,
    /// Who knew the load.
    Oracle,
}

/// How one did.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Fewest and most instances.
    pub bounds: (u32, u32),
    /// The figures.
    #[serde(flatten)]
    pub score: Score,
    /// Instances in the mean, those that boot included.
    pub instances_mean: f64,
    /// Most instances at a time.
    pub instances_most: u32,
    /// Instances that were launched.
    pub launches: u32,
    /// Minutes in which the mean load was above the threshold, the same one for all.
    pub minutes_above: Option<f64>,
    /// US dollars in a month that goes on like this.
    pub cost_per_month: Option<f64>,
    /// How the policy in question differs from it; none for that policy itself.
    pub policy_differs: Option<Difference>,
    /// Instances in each point of the series, those that boot included; the mean.
    pub instances: Vec<f64>,
    /// The share of each point's steps in which the group was overloaded, in percent.
    pub overloaded: Vec<f64>,
}

/// How the policy in question differs from another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Difference {
    /// Requests that meet an overloaded group: points of a percent more.
    pub over_points: f64,
    /// Instance-hours: percent more.
    pub cost_percent: f64,
    /// US dollars more in a month.
    pub cost_per_month: Option<f64>,
}

/// A load, thinned out.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// Seconds from point to point.
    pub step_seconds: f64,
    /// Instances that the load keeps fully used: the mean.
    pub load_mean: Vec<f64>,
    /// The same at most.
    pub load_most: Vec<f64>,
}

impl Capacity {
    /// The capacity with which the busiest half per cent of `demand` keeps `instances` fully used.
    pub fn peak(demand: &Demand, instances: u32, assumed: bool) -> Self {
        let requests_per_second = World::sized(demand, instances, 0.0, 0).capacity;
        Self::Peak { instances, assumed, requests_per_second }
    }

    /// In the demand's unit.
    pub const fn of_instance(self) -> f64 {
        match self {
            Self::Record => 1.0,
            Self::Given { requests_per_second } | Self::Peak { requests_per_second, .. } => requests_per_second,
        }
    }
}

impl Setting<'_> {
    fn world(&self, bounds: Bounds) -> World<'_> {
        let capacity = self.capacity.of_instance().max(f64::MIN_POSITIVE);
        World { capacity, ..World::of(self.demand, 1, bounds, self.boot.seconds, self.seed) }
    }
}

/// Plays `policies`, at most [`MOST_POLICIES`], the first of which is the one in question, and the models of other autoscalers if
/// `peers` says so. `progress` hears now and then which share of it is done.
pub fn compare(setting: &Setting<'_>, policies: &[Named], peers: bool, progress: &mut dyn FnMut(f64)) -> Outcome {
    let policies = &policies[..policies.len().min(MOST_POLICIES)];
    let bounds = |named: &Named| Bounds { min: named.policy.min, max: named.policy.max };
    let first = policies.first().map_or(Bounds { min: 1, max: 1 }, bounds);
    let widest =
        policies.iter().map(bounds).fold(first, |a, b| Bounds { min: a.min.min(b.min), max: a.max.max(b.max) });
    let models: Vec<Contender> = if peers { peers::all() } else { Vec::new() };
    let models = PEERS.iter().filter_map(|(id, name)| Some((*name, models.iter().find(|model| model.name == *id)?)));
    let models: Vec<(&str, &Contender)> = models.collect();

    let best = oracle::play(&setting.world(widest));
    let all = (policies.len() + models.len()).max(1) as f64;
    let mut done = 0.0;
    let mut play = |world: &World<'_>, scaler: Box<dyn Scaler>| {
        let run =
            world.play(&mut Watched { scaler, tell: &mut |share| progress((done + share) / all), of: world.demand });
        done += 1.0;
        run
    };
    let mut rows = Vec::new();
    for (nth, named) in policies.iter().enumerate() {
        let world = setting.world(bounds(named));
        let run = play(&world, Box::new(Muster::new(named.policy.clone(), world.bounds)));
        let kind = if nth == 0 { Kind::Policy } else { Kind::Against };
        rows.push(row(setting, &named.name, kind, &world, &run, &best));
    }
    for (name, model) in models {
        let world = setting.world(first);
        let run = play(&world, model.scaler(&world));
        rows.push(row(setting, name, Kind::Peer, &world, &run, &best));
    }
    rows.push(row(setting, ORACLE, Kind::Oracle, &setting.world(widest), &best, &best));
    differ(&mut rows);
    outcome(setting, policies, rows)
}

/// Tells how far a run is, from look to look.
struct Watched<'a> {
    scaler: Box<dyn Scaler>,
    tell: &'a mut dyn FnMut(f64),
    of: &'a Demand,
}

impl Scaler for Watched<'_> {
    fn interval_s(&self) -> f64 {
        self.scaler.interval_s()
    }

    fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
        (self.tell)(seen.step as f64 / self.of.rates.len().max(1) as f64);
        self.scaler.decide(seen)
    }
}

fn row(setting: &Setting<'_>, name: &str, kind: Kind, world: &World<'_>, run: &Run, best: &Run) -> Row {
    let score = Score::of(world, run, best);
    let totals = || run.ready.iter().zip(&run.booting).map(|(ready, booting)| ready.saturating_add(*booting));
    let steps = run.ready.len().max(1);
    let width = width(run.ready.len());
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len().max(1) as f64;
    let instances: Vec<f64> = totals().map(f64::from).collect();
    let over: Vec<f64> = run.utilisation.iter().map(|used| if is_overloaded(*used) { 100.0 } else { 0.0 }).collect();
    let hours = world.demand.hours().max(f64::MIN_POSITIVE);
    Row {
        name: name.to_owned(),
        kind,
        bounds: (world.bounds.min, world.bounds.max),
        cost_per_month: setting.price.map(|price| score.instance_hours / hours * HOURS_A_MONTH * price),
        score,
        instances_mean: instances.iter().sum::<f64>() / steps as f64,
        instances_most: totals().max().unwrap_or_default(),
        launches: run.launches,
        minutes_above: setting.threshold.map(|threshold| minutes_above(run, threshold)),
        policy_differs: None,
        instances: instances.chunks(width).map(|chunk| rounded(mean(chunk))).collect(),
        overloaded: over.chunks(width).map(|chunk| rounded(mean(chunk))).collect(),
    }
}

/// Minutes in which the group was used above `threshold` percent, beyond what is rounding.
fn minutes_above(run: &Run, threshold: f64) -> f64 {
    let above = run.utilisation.iter().filter(|used| is_above(**used, threshold / 100.0));
    above.count() as f64 * STEP_S / 60.0
}

/// Steps in a point of a series.
fn width(steps: usize) -> usize {
    steps.div_ceil(MOST_POINTS).max(1)
}

/// As exact as a chart can show it.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// Says how the first row differs from each other one.
fn differ(rows: &mut [Row]) {
    let Some((policy, others)) = rows.split_first_mut() else { return };
    for other in others {
        let more = |ours: f64, theirs: f64| if theirs > 0.0 { 100.0 * (ours / theirs - 1.0) } else { 0.0 };
        other.policy_differs = Some(Difference {
            over_points: policy.score.over_percent - other.score.over_percent,
            cost_percent: more(policy.score.instance_hours, other.score.instance_hours),
            cost_per_month: policy.cost_per_month.zip(other.cost_per_month).map(|(ours, theirs)| ours - theirs),
        });
    }
}

fn outcome(setting: &Setting<'_>, policies: &[Named], rows: Vec<Row>) -> Outcome {
    let Setting { demand, capacity, boot, price, gaps, threshold, .. } = setting;
    let instances: Vec<f64> = demand.rates.iter().map(|rate| rate / capacity.of_instance()).collect();
    let width = width(instances.len());
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len().max(1) as f64;
    let most = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    Outcome {
        start_unix_seconds: demand.start_unix_s,
        hours: demand.hours(),
        capacity: *capacity,
        boot: *boot,
        price_per_hour: *price,
        gaps: *gaps,
        threshold_percent: *threshold,
        load_mean: mean(&instances),
        load_most: most(&instances),
        series: Series {
            step_seconds: width as f64 * STEP_S,
            load_mean: instances.chunks(width).map(|chunk| rounded(mean(chunk))).collect(),
            load_most: instances.chunks(width).map(|chunk| rounded(most(chunk))).collect(),
        },
        notes: notes(setting, policies, &rows),
        rows,
    }
}

/// What this cannot know, in the order of how much it may matter.
fn notes(setting: &Setting<'_>, policies: &[Named], rows: &[Row]) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(gaps) = setting.gaps {
        notes.extend(gaps_noted(&gaps));
    }
    if let Capacity::Peak { instances, assumed: true, requests_per_second } = setting.capacity {
        notes.push(format!(
            "What an instance serves is assumed: {requests_per_second:.1} requests a second, so that the busiest half per cent of the time keeps \
             {instances} fully used. Say --capacity or --peak."
        ));
    }
    notes.push(match setting.boot.from {
        BootFrom::Assumed => {
            format!("The boot time of {:.0} s is assumed: nobody has measured it. Say --boot.", setting.boot.seconds)
        }
        BootFrom::Given | BootFrom::Measured => {
            "Every boot takes the same time, give or take a tenth, and every launch succeeds.".to_owned()
        }
    });
    if setting.demand.hours() < 24.0 {
        notes.push("The load is shorter than a day: what comes at other hours is not in it, and a month is more than these hours repeated.".into());
    }
    for Named { name, policy } in policies {
        let played = Muster::new(policy.clone(), Bounds { min: 1, max: 1 }).interval_s();
        if (played - policy.sweep_interval.as_secs_f64()).abs() > f64::EPSILON {
            notes.push(format!(
                "{name} is swept every {}, but played every {played:.0} s: time goes in steps of {STEP_S:.0} s.",
                spoken(policy.sweep_interval)
            ));
        }
    }
    if rows.iter().any(|row| row.kind == Kind::Peer) {
        notes.push(
            "Other autoscalers are models made from their public documents, kindly: no metric is ever missing.".into(),
        );
    }
    notes.push(format!(
        "The load is spread evenly and does not react: whoever waits neither leaves nor tries again. Overloaded means above {:.0} % of what the \
         group can do. Drains end at once; failures, other signals than the processor, and health are not played.",
        100.0 * OVERLOADED
    ));
    notes
}

fn gaps_noted(gaps: &Gaps) -> Vec<String> {
    let mut notes = Vec::new();
    let share = |part: u32| 100.0 * f64::from(part) / f64::from(gaps.sweeps.max(1));
    if gaps.assumed > 0 {
        notes.push(format!(
            "In {:.1} % of the sweeps the group was saturated (above {SATURATED:.0} %) and nobody told the requests: its load there is guessed, at {} \
             times what it could do.",
            share(gaps.assumed),
            gaps.assumed_at
        ));
    }
    if gaps.bridged_percent > 0.0 || gaps.blind + gaps.unanswered > 0 {
        notes.push(format!(
            "{:.1} % of the time is not recorded and bridged by straight lines; {} of {} sweeps were blind, {} had no answer.",
            gaps.bridged_percent, gaps.blind, gaps.sweeps, gaps.unanswered
        ));
    }
    notes
}

/// Whether a policy can be played at all: a group that may have nobody serves nothing.
pub const fn can_be_played(policy: &Policy) -> bool {
    policy.max > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, text: &str) -> Named {
        Named { name: name.into(), policy: Policy::parse(text).unwrap() }
    }

    /// An hour in which 1.2 instances are needed fully used, then one in which it is 6.
    fn demand() -> Demand {
        let rates = std::iter::repeat_n(1.2, 360).chain(std::iter::repeat_n(6.0, 360)).collect();
        Demand { start_unix_s: 0.0, rates }
    }

    fn setting(demand: &Demand) -> Setting<'_> {
        let boot = Boot { seconds: 60.0, from: BootFrom::Measured };
        Setting {
            demand,
            capacity: Capacity::Record,
            boot,
            price: Some(0.1),
            gaps: None,
            threshold: Some(60.0),
            seed: 1,
        }
    }

    #[test]
    fn a_group_that_cannot_change_is_counted_by_hand() {
        let demand = demand();
        let fixed = |size: u32| named("fixed", &format!("{{\"min_instances\": {size}, \"max_instances\": {size}}}"));
        let outcome = compare(&setting(&demand), &[fixed(5), fixed(10)], false, &mut |_| {});
        let [five, ten, oracle] = &outcome.rows[..] else { panic!("{:?}", outcome.rows) };
        // Two hours of five, and of ten, at 0.1 an hour; five do 5 of 6, so that the second hour is overloaded: 6 of 7.2.
        assert_eq!((five.instances_mean, five.score.instance_hours, five.cost_per_month), (5.0, 10.0, Some(365.0)));
        assert!((five.score.over_percent - 100.0 * 6.0 / 7.2).abs() < 1e-9);
        assert_eq!(
            (ten.score.over_percent, ten.cost_per_month, ten.policy_differs.unwrap().cost_per_month),
            (0.0, Some(730.0), Some(-365.0))
        );
        assert_eq!(ten.policy_differs.unwrap().cost_percent, -50.0);
        // Five are used to 24 and to 120 per cent; ten, in the second hour, to the very 60 that is not yet above it.
        assert_eq!(
            (five.minutes_above, ten.minutes_above, outcome.threshold_percent),
            (Some(60.0), Some(0.0), Some(60.0))
        );
        assert_eq!((five.policy_differs, oracle.kind, oracle.bounds), (None, Kind::Oracle, (5, 10)));
        // The oracle: five throughout, and from the second hour on 6 / 0.9 = 6.7, so seven.
        assert!((oracle.score.instance_hours - (10.0 + 2.0 * (1.0 + 60.0 / 3_600.0))).abs() < 1e-9);
        assert_eq!((outcome.load_most, outcome.hours), (6.0, 2.0));
        assert!((outcome.load_mean - 3.6).abs() < 1e-9);
    }

    #[test]
    fn every_policy_has_its_own_bounds_and_the_series_is_short() {
        let week: Vec<f64> = (0..60_480).map(|step| if step % 8_640 < 4_320 { 2.0 } else { 8.0 }).collect();
        let week = Demand { start_unix_s: 0.0, rates: week };
        let policies = [
            named("a", r#"{"min_instances": 3, "max_instances": 9}"#),
            named("b", r#"{"max_instances": 20, "scaling": {"kind": "target"}}"#),
        ];
        let mut heard = Vec::new();
        let outcome = compare(&setting(&week), &policies, true, &mut |share| heard.push(share));
        let bounds: Vec<_> = outcome.rows.iter().map(|row| (row.name.as_str(), row.bounds)).collect();
        assert_eq!(bounds[..3], [("a", (3, 9)), ("b", (2, 20)), ("EC2 target tracking 60 %", (3, 9))]);
        assert_eq!(bounds.last(), Some(&("oracle", (2, 20))));
        assert_eq!(outcome.series.load_mean.len(), MOST_POINTS);
        assert!(
            outcome.rows.iter().all(|row| row.instances.len() == MOST_POINTS && row.overloaded.len() == MOST_POINTS)
        );
        assert!(heard.is_sorted() && heard.iter().all(|share| (0.0..=1.0).contains(share)), "it only goes on");
        let written = serde_json::to_string(&outcome).unwrap();
        assert!(written.len() < 200_000, "{}", written.len());
    }

    #[test]
    fn nothing_to_play_is_no_reason_to_panic() {
        let empty = Demand { start_unix_s: 0.0, rates: Vec::new() };
        for policies in [&[][..], &[named("a", "{}")]] {
            let outcome = compare(&setting(&empty), policies, true, &mut |_| {});
            assert_eq!(outcome.load_mean, 0.0);
            crate::chart::html(&outcome, "<nothing>");
        }
    }
}
