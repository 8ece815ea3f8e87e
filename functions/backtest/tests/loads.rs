//! How calm the rules are on loads of simple shapes, and that a gap in what is known shrinks no group.

use muster_backtest::muster::{Muster, Sighting};
use muster_backtest::scaler::Bounds;
use muster_backtest::trace::{Demand, STEP_S};
use muster_backtest::world::World;
use muster_core::member::InstanceId;
use muster_core::policy::Policy;
use serde_json::json;

const HOURS: usize = 8;
const STEPS_AN_HOUR: usize = 360;
const BOUNDS: Bounds = Bounds { min: 2, max: 40 };

/// Of each kind of rule the defaults.
fn policies() -> Vec<(&'static str, Policy)> {
    let of = |kind| (kind, Policy::parse(&json!({ "scaling": { "kind": kind } }).to_string()).expect(kind));
    ["threshold", "target", "step", "auto"].map(of).into()
}

/// A load in fully used instances, by the hour.
fn load(of: impl Fn(f64) -> f64) -> Demand {
    let rate = |step| of(step as f64 / STEPS_AN_HOUR as f64);
    Demand { start_unix_s: 1e9, rates: (0..HOURS * STEPS_AN_HOUR).map(rate).collect() }
}

/// How often the size changes in each hour.
fn changes(policy: &Policy, demand: &Demand) -> Vec<usize> {
    let world = World { capacity: 1.0, ..World::of(demand, 1, BOUNDS, 90.0, 1) };
    let run = world.play(&mut Muster::new(policy.clone(), BOUNDS));
    let sizes: Vec<u32> = run.ready.iter().zip(&run.booting).map(|(ready, booting)| ready + booting).collect();
    let moved = |hour: &[u32]| hour.windows(2).filter(|pair| pair[0] != pair[1]).count();
    sizes.chunks(STEPS_AN_HOUR).map(moved).collect()
}

/// A number of -1 to 1 for each minute, the same in every run.
fn chance(hour: f64) -> f64 {
    let minute = (hour * 60.0).floor();
    ((minute * 12.9898).sin() * 43_758.547).fract()
}

#[test]
fn f7_under_a_constant_load_the_size_comes_to_rest() {
    let steady = load(|_| 9.3);
    for (kind, policy) in policies() {
        let moved = changes(&policy, &steady);
        let most = if kind == "auto" { 1 } else { 0 };
        assert!(moved.iter().skip(4).all(|moved| *moved <= most), "{kind}: {moved:?}");
    }
}

#[test]
fn no_shape_of_load_makes_a_group_restless() {
    let shapes = [
        ("linear", load(|hour| 3.0 + 2.0 * hour), 20),
        ("sine", load(|hour| 10.0 + 6.0 * (hour * std::f64::consts::PI).sin()), 24),
        ("noisy", load(|hour| 10.0 + 2.0 * chance(hour)), 24),
        ("on and off", load(|hour| if hour.fract() < 0.5 { 4.0 } else { 14.0 }), 24),
    ];
    for (shape, demand, most) in shapes {
        for (kind, policy) in policies() {
            let moved = changes(&policy, &demand);
            println!("{shape} {kind}: {moved:?}");
            assert!(moved.iter().all(|moved| *moved <= most), "{shape}, {kind}: {moved:?}");
        }
    }
}

#[test]
fn m5_a_gap_of_one_to_sixty_minutes_shrinks_nobody() {
    for (kind, policy) in policies() {
        for gap in [1, 5, 20, 60] {
            let mut group = Muster::new(policy.clone(), BOUNDS);
            let ids: Vec<InstanceId> = (0..12).map(|n| InstanceId(format!("i-{n:02}"))).collect();
            let mut at_s = 1e9;
            let mut sweep = |cpu: Option<f64>, members: u32| {
                at_s += STEP_S;
                let seen = ids.iter().take(members as usize);
                let seen = seen.map(|id| Sighting { id, age_s: 1e6, serves: true, cpu, rate: None });
                group.sweep(at_s, 12, seen)
            };
            let mut size = 12;
            for _ in 0..STEPS_AN_HOUR {
                size = sweep(Some(55.0), size).min(12);
            }
            for nth in 0..gap * 6 {
                assert!(sweep(None, size) >= size, "{kind}: {nth} sweeps into a gap of {gap} min");
            }
            assert!(sweep(Some(55.0), size) >= size, "{kind}: after {gap} min");
        }
    }
}
