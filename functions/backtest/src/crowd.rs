//! A flash crowd: after two hours of a constant load there is suddenly a multiple of it, and stays for an hour. How long does it
//! take until nobody meets an overloaded group any more?

use serde::Serialize;

use crate::matrix::Contender;
use crate::scaler::Bounds;
use crate::trace::{Demand, STEP_S};
use crate::world::{World, is_overloaded};

/// Steps before it: as long as any window or cooldown that would still know the start.
const BEFORE: usize = 720;
/// Steps of it.
const DURING: usize = 360;
/// Instances that the load before keeps busy at 60 %.
const INSTANCES: f64 = 6.0;
const BUSY: f64 = 0.6;
/// More than any crowd needs.
const BOUNDS: Bounds = Bounds { min: 1, max: 400 };

/// How one did in a flash crowd.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Crowd {
    /// What the load is multiplied by.
    pub factor: f64,
    /// Seconds until the group was overloaded for the last time; none when it still was at the end.
    pub seconds: Option<f64>,
    /// Most instances at a time, those that boot included.
    pub most: u32,
}

/// What `who` does when the load is multiplied by `factor` and booting takes `boot_s` seconds.
pub fn play(who: &Contender, factor: f64, boot_s: f64, seed: u64) -> Crowd {
    let load = INSTANCES * BUSY;
    let rates = std::iter::repeat_n(load, BEFORE).chain(std::iter::repeat_n(load * factor, DURING)).collect();
    let demand = Demand { start_unix_s: 0.0, rates };
    let world = World { capacity: 1.0, ..World::of(&demand, 1, BOUNDS, boot_s, seed) };
    let run = who.play(&world);
    let mut crowd = run.utilisation.iter().skip(BEFORE);
    let steps = crowd.rposition(|used| is_overloaded(*used)).map_or(0, |last| last + 1);
    let totals = run.ready.iter().zip(&run.booting).map(|(ready, booting)| ready.saturating_add(*booting));
    Crowd { factor, seconds: (steps < DURING).then_some(steps as f64 * STEP_S), most: totals.max().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaler::{Observation, Scaler};

    /// Orders `instances` once the load has risen.
    #[derive(Clone, Copy)]
    struct Once(u32);

    impl Scaler for Once {
        fn interval_s(&self) -> f64 {
            STEP_S
        }

        fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
            (seen.rate > INSTANCES * BUSY).then_some(self.0)
        }
    }

    #[test]
    fn the_seconds_count_from_the_crowd_to_the_last_overload() {
        let play = |instances| super::play(&Contender::new("once", move |_| Box::new(Once(instances))), 2.0, 0.0, 1);
        // 7.2 instances' worth for six: 120 %; seen a step late and served one later: 140 %; then 24 s of work wait: 96 % of ten.
        let enough = play(10);
        assert_eq!((enough.seconds, enough.most), (Some(30.0), 10));
        assert_eq!(play(7).seconds, None, "that is never enough");
    }
}
