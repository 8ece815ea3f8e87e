//! The figures beside those of an independent implementation of the same model, in another language, by somebody else.
//!
//! Its chance is another one, so means over several seeds are compared: on the week of tweets chance hardly matters, in the
//! eight hours of bursts one scale-in more or less moves a run's overload by a fifth. The oracle knows no chance, and has to
//! agree to the last digit.

use muster_backtest::matrix::Contender;
use muster_backtest::oracle;
use muster_backtest::peers;
use muster_backtest::score::Score;
use muster_backtest::trace::{Demand, Trace};
use muster_backtest::world::World;

const TWEETS: &str = include_str!("../traces/nab_tweets_goog.csv");
const BURSTS: &str = include_str!("../traces/azure_fn374.csv");
/// Groups whose busiest steps need so many instances ...
const PEAK: u32 = 20;
/// ... which boot for so many seconds.
const BOOT_S: f64 = 90.0;

/// What an independent implementation gave: a peer's overloaded requests in per cent, its cost as a multiple of the
/// oracle's, and its changes of the size an hour.
type Figures = (&'static str, f64, f64, f64);

/// On the week of tweets; means over the seeds 1 to 5.
const ON_TWEETS: [Figures; 6] = [
    ("aws_tt60", 7.499, 1.655, 5.260),
    ("aws_tt50", 3.496, 1.990, 5.626),
    ("aws_step", 14.448, 1.392, 9.211),
    ("hpa60", 1.900, 1.625, 19.232),
    ("nomad60", 10.807, 1.355, 10.629),
    ("seeds60s", 0.981, 2.213, 3.977),
];

/// On the eight hours of bursts; means over the seeds 1 to 30.
const ON_BURSTS: [Figures; 6] = [
    ("aws_tt60", 9.248, 1.530, 2.142),
    ("aws_tt50", 5.298, 1.868, 2.192),
    ("aws_step", 20.500, 1.285, 9.829),
    ("hpa60", 7.879, 1.758, 21.121),
    ("nomad60", 39.849, 1.084, 11.996),
    ("seeds60s", 12.686, 2.036, 17.150),
];

fn demand(text: &str) -> Demand {
    Trace::parse(text).expect("a shipped trace").demand()
}

fn peer(name: &str) -> Contender {
    peers::all().into_iter().find(|peer| peer.name == name).expect("a peer of that name")
}

/// Asserts that `name` does on `text` as it did elsewhere, within `tolerance`, a share of each figure.
fn assert_agrees(text: &str, (name, over, cost, changes): Figures, seeds: u64, tolerance: f64) {
    let (demand, peer) = (demand(text), peer(name));
    let scores: Vec<Score> = (1..=seeds)
        .map(|seed| {
            let world = World::sized(&demand, PEAK, BOOT_S, seed);
            Score::of(&world, &peer.play(&world), &oracle::play(&world))
        })
        .collect();
    let mean = Score::mean(&scores);
    let near = |ours: f64, theirs: f64, tolerance: f64| (ours / theirs - 1.0).abs() <= tolerance;
    assert!(near(mean.over_percent, over, tolerance), "{name}: over {} against {over}", mean.over_percent);
    assert!(near(mean.cost, cost, tolerance / 4.0), "{name}: cost {} against {cost}", mean.cost);
    assert!(
        near(mean.changes_per_hour, changes, tolerance),
        "{name}: changes {} against {changes}",
        mean.changes_per_hour
    );
}

#[test]
fn the_peers_do_on_a_week_of_tweets_as_they_did_elsewhere() {
    for figures in ON_TWEETS {
        assert_agrees(TWEETS, figures, 5, 0.05);
    }
}

#[test]
fn the_peers_do_on_hours_of_bursts_as_they_did_elsewhere() {
    for figures in ON_BURSTS {
        assert_agrees(BURSTS, figures, 30, 0.08);
    }
}

#[test]
fn the_oracle_pays_to_the_second_what_it_paid_elsewhere() {
    for (text, hours, changes) in [(TWEETS, 914.352_777_8, 18.797_619), (BURSTS, 88.808_333_3, 36.25)] {
        let demand = demand(text);
        let world = World::sized(&demand, PEAK, BOOT_S, 1);
        let run = oracle::play(&world);
        let score = Score::of(&world, &run, &run);
        assert!((score.instance_hours - hours).abs() < 1e-6, "{}", score.instance_hours);
        assert!((score.changes_per_hour - changes).abs() < 1e-6, "{}", score.changes_per_hour);
        assert_eq!((score.over_percent, score.lost_percent, score.cost), (0.0, 0.0, 1.0));
    }
}
