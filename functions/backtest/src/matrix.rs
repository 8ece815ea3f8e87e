//! Many worlds: every load with every group size and boot time, for one contender after the other.

use serde::Serialize;

use crate::oracle;
use crate::scaler::Scaler;
use crate::score::Score;
use crate::trace::Demand;
use crate::world::{Run, World};

/// Makes a scaler that knows nothing yet, for a world.
type Maker = Box<dyn Fn(&World<'_>) -> Box<dyn Scaler>>;

/// A scaler by name.
pub struct Contender {
    /// Its name in tables.
    pub name: String,
    make: Maker,
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Contender").field(&self.name).finish()
    }
}

impl Contender {
    /// The contender `name`, of which `make` makes a new one for each world.
    pub fn new(name: &str, make: impl Fn(&World<'_>) -> Box<dyn Scaler> + 'static) -> Self {
        Self { name: name.to_owned(), make: Box::new(make) }
    }

    /// What it does in `world`.
    pub fn play(&self, world: &World<'_>) -> Run {
        world.play(&mut *self.scaler(world))
    }

    /// One that knows nothing yet, for `world`.
    pub fn scaler(&self, world: &World<'_>) -> Box<dyn Scaler> {
        (self.make)(world)
    }
}

/// The worlds.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The loads, by name.
    pub loads: Vec<(String, Demand)>,
    /// Instances that the busiest steps need.
    pub peaks: Vec<u32>,
    /// Boot times in seconds.
    pub boots_s: Vec<f64>,
    /// Chance.
    pub seed: u64,
}

/// How one contender did in one world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The load.
    pub load: String,
    /// Instances that the busiest steps need.
    pub peak: u32,
    /// The boot time in seconds.
    pub boot_seconds: f64,
    /// How it did.
    pub score: Score,
}

impl Matrix {
    /// Plays every world; `who` is the oracle when it is none.
    pub fn play(&self, who: Option<&Contender>) -> Vec<Cell> {
        let cell = |(load, demand): &(String, Demand), peak, boot_s| {
            let world = World::sized(demand, peak, boot_s, self.seed);
            let best = oracle::play(&world);
            let score = match who {
                Some(contender) => Score::of(&world, &contender.play(&world), &best),
                None => Score::of(&world, &best, &best),
            };
            Cell { load: load.clone(), peak, boot_seconds: boot_s, score }
        };
        let mut cells = Vec::new();
        for peak in &self.peaks {
            for boot_s in &self.boots_s {
                cells.extend(self.loads.iter().map(|load| cell(load, *peak, *boot_s)));
            }
        }
        cells
    }
}

/// The mean over all worlds.
pub fn mean(cells: &[Cell]) -> Score {
    Score::mean(cells.iter().map(|cell| &cell.score))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers;

    #[test]
    fn every_world_is_played_once() {
        let load = |name: &str, rate| (name.to_owned(), Demand { start_unix_s: 0.0, rates: vec![rate; 60] });
        let matrix = Matrix {
            loads: vec![load("a", 1.0), load("b", 5.0)],
            peaks: vec![20, 4],
            boots_s: vec![60.0, 90.0],
            seed: 1,
        };
        let cells = matrix.play(peers::all().first());
        let worlds: Vec<_> = cells.iter().map(|cell| (cell.load.as_str(), cell.peak, cell.boot_seconds)).collect();
        assert_eq!(worlds[..3], [("a", 20, 60.0), ("b", 20, 60.0), ("a", 20, 90.0)]);
        assert_eq!(worlds.len(), 8);
        assert_eq!(mean(&matrix.play(None)).cost, 1.0);
    }
}
