//! What must hold of any load, any scaler and any text.

use muster_backtest::muster::Muster;
use muster_backtest::oracle;
use muster_backtest::peers;
use muster_backtest::scaler::{Bounds, Observation, Scaler};
use muster_backtest::score::Score;
use muster_backtest::stream::{Reply, Stream};
use muster_backtest::trace::{Demand, Trace};
use muster_backtest::world::{Run, World, is_overloaded};
use muster_core::policy::Policy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

/// `PROPTEST_CASES` asks for more cases than usual.
fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: if asked { usual.cases } else { 48 },
        rng_seed: RngSeed::Fixed(20_261_122),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/properties.regressions"))),
        ..usual
    }
}

/// Orders these sizes, one look after the other, and begins anew at the end.
struct Orders(Vec<Option<u32>>, usize);

impl Scaler for Orders {
    fn interval_s(&self) -> f64 {
        20.0
    }

    fn decide(&mut self, _: &Observation<'_>) -> Option<u32> {
        self.1 += 1;
        self.0.get(self.1 % self.0.len().max(1)).copied().flatten()
    }
}

fn always(size: u32) -> Orders {
    Orders(vec![Some(size)], 0)
}

fn demand() -> impl Strategy<Value = Demand> {
    let rate = prop_oneof![3 => 0.0..100.0, 1 => Just(0.0), 1 => 0.0..1e9];
    vec((rate, 1_usize..40), 1..12).prop_map(|spans| {
        let rates = spans.into_iter().flat_map(|(rate, steps)| std::iter::repeat_n(rate, steps));
        Demand { start_unix_s: 1e9, rates: rates.collect() }
    })
}

/// Two instances at least, so that the group can always do something.
fn peak() -> impl Strategy<Value = u32> {
    2_u32..25
}

fn boot_s() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 10.0..600.0, Just(f64::NAN), Just(1e9)]
}

fn score(world: &World<'_>, run: &Run) -> Score {
    Score::of(world, run, &oracle::play(world))
}

fn is_finite(score: &Score) -> bool {
    let Score { over_percent, avoidable_percent, lost_percent, cost, changes_per_hour, minutes_at_max, .. } = score;
    [over_percent, avoidable_percent, lost_percent, cost, changes_per_hour, minutes_at_max]
        .iter()
        .all(|f| f.is_finite())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_is_refused_or_is_a_load(text in "[0-9a-z,.\\-# \n]{0,200}") {
        if let Ok(trace) = Trace::parse(&text) {
            let demand = trace.demand();
            prop_assert!(!demand.rates.is_empty());
            prop_assert!(demand.rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0));
        }
    }

    #[test]
    fn any_bins_are_refused_or_played(bins in vec((0_u32..5_000, prop_oneof![any::<f64>(), 0.0..1e12]), 0..20)) {
        let text: String = bins.iter().map(|(at, rate)| format!("{at},{rate}\n")).collect();
        if let Ok(trace) = Trace::parse(&text) {
            let demand = trace.demand();
            let world = World::sized(&demand, 4, 90.0, 1);
            for peer in peers::all() {
                prop_assert!(is_finite(&score(&world, &peer.play(&world))), "{}", peer.name);
            }
        }
    }

    #[test]
    fn whatever_is_ordered_the_group_stays_within_its_bounds(
        demand in demand(), peak in peak(), boot_s in boot_s(), seed: u64,
        orders in vec(proptest::option::of(prop_oneof![0_u32..80, Just(u32::MAX)]), 1..20),
    ) {
        let world = World::sized(&demand, peak, boot_s, seed);
        let run = world.play(&mut Orders(orders, 0));
        let Bounds { min, max } = world.bounds;
        for (ready, booting) in run.ready.iter().zip(&run.booting) {
            prop_assert!((min..=max).contains(&(ready + booting)) && *ready >= 1);
        }
        let served_s = run.ready.iter().map(|ready| f64::from(*ready) * 10.0).sum::<f64>();
        prop_assert!(run.billed_s >= served_s);
        let score = score(&world, &run);
        prop_assert!(is_finite(&score));
        prop_assert!(score.avoidable_percent >= -1e-9, "nobody does better than the oracle: {score:?}");
        prop_assert!(score.lost_percent <= 100.0 + 1e-9 && score.over_percent <= 100.0 + 1e-9);
    }

    #[test]
    fn more_instances_are_never_worse(demand in demand(), peak in peak(), size in 1_u32..60, more in 0_u32..20) {
        let world = World::of(&demand, peak, Bounds { min: 1, max: 100 }, 0.0, 1);
        let [fewer, more] = [size, size + more].map(|size| score(&world, &world.play(&mut always(size))));
        prop_assert!(more.over_percent <= fewer.over_percent);
        prop_assert!(more.lost_percent <= fewer.lost_percent);
        prop_assert!(more.cost >= fewer.cost);
    }

    #[test]
    fn the_oracle_lets_nobody_wait_that_the_bounds_allow(demand in demand(), peak in peak(), boot_s in boot_s()) {
        let world = World::sized(&demand, peak, boot_s, 1);
        let run = oracle::play(&world);
        for ((need, ready), used) in world.need().zip(&run.ready).zip(&run.utilisation) {
            prop_assert!(*ready >= need && *ready <= world.bounds.max);
            prop_assert!(need == world.bounds.max || !is_overloaded(*used), "{used}");
        }
    }

    #[test]
    fn only_the_shape_of_a_load_matters(demand in demand(), peak in peak(), doublings in -3_i32..4) {
        // A power of two changes no digit of a float.
        let scaled = Demand { start_unix_s: 1e9, rates: demand.rates.iter().map(|rate| rate * f64::from(doublings).exp2()).collect() };
        prop_assume!(demand.quantile(0.995) > 1.0);
        let play = |demand: &Demand| {
            let world = World::sized(demand, peak, 90.0, 3);
            let run = world.play(&mut Muster::new(Policy::default(), world.bounds));
            (run.ready, run.booting, run.utilisation)
        };
        prop_assert_eq!(play(&demand), play(&scaled));
    }

    #[test]
    fn the_same_seed_gives_the_same_run(demand in demand(), peak in peak(), seed: u64) {
        let play = || {
            let world = World::sized(&demand, peak, 60.0, seed);
            let all = peers::all().into_iter().map(|peer| peer.play(&world));
            all.chain([world.play(&mut Muster::new(Policy::default(), world.bounds))]).collect::<Vec<_>>()
        };
        prop_assert_eq!(play(), play());
    }

    #[test]
    fn no_line_makes_a_stream_panic(
        lines in vec(prop_oneof![
            ".{0,60}",
            r#"\{"type":"(init|tick|end)","min":[0-9]{1,3},"max":[0-9]{1,5},"interval_s":[0-9]{1,4},"unix":-?[0-9]{1,12},"desired":[0-9]{1,11},"samples":\[(\{"instance_id":"[ab]","state":"(ready|booting)","age_s":[0-9]{1,13},"cpu":(null|-?[0-9]{1,3})\})?\]\}"#,
        ], 0..12),
    ) {
        let mut stream = Stream::new(Policy::default());
        for line in lines {
            match stream.take(&line) {
                Ok(Reply::Line(answer)) => {
                    let whole = serde_json::from_str::<serde_json::Value>(&answer).is_ok();
                    prop_assert!(whole, "a line of JSON");
                },
                Ok(Reply::End) => break,
                Err(error) => prop_assert!(error.line >= 1),
            }
        }
    }
}
