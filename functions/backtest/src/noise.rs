//! Chance, as a function of a seed: which number comes out depends on nothing that was drawn before, so two policies meet the
//! same noise at the same moment however they behave in between.

/// Uniform numbers that are added up to a nearly normal one.
const SUMMANDS: u32 = 4;

/// What a number is drawn for; different purposes share nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The group's mean load in one report.
    Mean,
    /// How one instance's load differs from that mean.
    Instance,
    /// How long one instance boots.
    Boot,
}

/// All the chance of one world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    seed: u64,
}

impl Noise {
    /// The noise of `seed`.
    pub const fn seeded(seed: u64) -> Self {
        Self { seed }
    }

    /// A number from -1 to 1, all equally likely.
    pub fn uniform(self, lane: Lane, row: u64, column: u64) -> f64 {
        // 53 bits are what a float holds.
        (self.bits(lane, row, column) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// A number of mean 0 and deviation 1, nearly normal and never beyond 3.5: a sum of uniform ones, because logarithms and
    /// cosines end in another digit on another machine.
    pub fn normal(self, lane: Lane, row: u64, column: u64) -> f64 {
        let bits = self.bits(lane, row, column);
        let sixteenth = |n: u32| f64::from(u16::try_from(bits >> (16 * n) & 0xffff).unwrap_or_default());
        let sum: f64 = (0..SUMMANDS).map(sixteenth).sum();
        // Each is uniform on 0..65535: centred and scaled to a variance of 1/12 each.
        (sum / 65_535.0 - f64::from(SUMMANDS) / 2.0) * (12.0 / f64::from(SUMMANDS)).sqrt()
    }

    fn bits(self, lane: Lane, row: u64, column: u64) -> u64 {
        mix(mix(mix(self.seed ^ lane as u64) ^ row) ^ column)
    }
}

/// SplitMix64, the generator that Java's `SplittableRandom` stands on: every bit of the result depends on every bit of `x`.
/// <https://doi.org/10.1145/2660193.2660195>
const fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_has_mean_0_and_deviation_1_and_stays_small() {
        let noise = Noise::seeded(7);
        let drawn: Vec<f64> = (0..200_000).map(|n| noise.normal(Lane::Mean, n, 0)).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|x| x * x).sum::<f64>() / drawn.len() as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.01, "{mean} {variance}");
        assert!(drawn.iter().all(|x| x.abs() < 3.5));
        let uniform = (0..100_000).map(|n| noise.uniform(Lane::Boot, n, 1));
        assert!(uniform.clone().all(|x| (-1.0..=1.0).contains(&x)));
        assert!((uniform.sum::<f64>() / 100_000.0).abs() < 0.01);
    }

    #[test]
    fn every_purpose_seed_and_place_has_its_own_number() {
        let draw = |seed, lane, row, column| Noise::seeded(seed).normal(lane, row, column).to_bits();
        let base = draw(1, Lane::Mean, 5, 0);
        assert_eq!(base, draw(1, Lane::Mean, 5, 0));
        for other in [draw(2, Lane::Mean, 5, 0), draw(1, Lane::Boot, 5, 0), draw(1, Lane::Mean, 6, 0)] {
            assert_ne!(base, other);
        }
        assert_ne!(draw(1, Lane::Instance, 5, 0), draw(1, Lane::Instance, 5, 1));
    }
}
