//! A schedule by rates and a seed: the same seed gives the same fates to the same calls in the same order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Call, End, Fate, Kind, Schedule};

/// How often calls meet which fault, in calls of a thousand; together at most a thousand. One call has one fault, and beside
/// it perhaps a delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// It is throttled.
    pub throttled: u16,
    /// It is not made, and nobody answers.
    pub unavailable: u16,
    /// It is made, and its answer is lost.
    pub lost: u16,
    /// It is a launch, and there is no capacity.
    pub no_capacity: u16,
    /// It comes late, or its answer does.
    pub late: u16,
    /// By this at most.
    pub latest: Duration,
}

/// [`Rates`], drawn from a seed.
#[derive(Debug)]
pub struct Seeded {
    rates: Rates,
    drawn: AtomicU64,
}

impl Seeded {
    /// The schedule of `rates` that begins at `seed`.
    pub const fn new(rates: Rates, seed: u64) -> Self {
        Self { rates, drawn: AtomicU64::new(seed) }
    }

    /// A number below `bound`, which is not 0: SplitMix64, whose states are a counter, so that it needs no lock.
    /// <https://prng.di.unimi.it/splitmix64.c>
    fn draw(&self, bound: u64) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let z = self.drawn.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

impl Schedule for Seeded {
    fn fate(&self, call: Call) -> Fate {
        let Rates { throttled, unavailable, lost, no_capacity, late, latest } = self.rates;
        // Always the same number of draws a call: what one call meets does not move what the next ones meet.
        let (fault, delay, span, side) = (self.draw(1_000), self.draw(1_000), self.draw(1_000), self.draw(2));
        let mut below = 0;
        let mut drawn = |rate: u16| {
            below += u64::from(rate);
            fault < below
        };
        let end = if drawn(throttled) {
            End::Fails(Kind::Throttled)
        } else if drawn(unavailable) {
            End::Fails(Kind::Unavailable)
        } else if drawn(lost) {
            End::Lost
        } else if drawn(no_capacity) && call == Call::Launch {
            End::Fails(Kind::NoCapacity)
        } else {
            End::Answered
        };
        let span = if delay < u64::from(late) { latest.mul_f64((span + 1) as f64 / 1_000.0) } else { Duration::ZERO };
        let (before, after) = if side == 0 { (span, Duration::ZERO) } else { (Duration::ZERO, span) };
        Fate { before, end, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rates_are_met_and_a_seed_repeats_itself() {
        let rates = Rates {
            throttled: 100,
            unavailable: 50,
            lost: 200,
            no_capacity: 50,
            late: 300,
            latest: Duration::from_secs(1),
        };
        let fates = |seed| {
            let schedule = Seeded::new(rates, seed);
            (0..20_000).map(|_| schedule.fate(Call::Launch)).collect::<Vec<_>>()
        };
        let drawn = fates(7);
        let share = |of: &dyn Fn(&Fate) -> bool| drawn.iter().filter(|fate| of(fate)).count() / 200;
        let near = |share: usize, percent: usize| share.abs_diff(percent) <= 1;
        assert!(near(share(&|fate| fate.end == End::Fails(Kind::Throttled)), 10));
        assert!(near(share(&|fate| fate.end == End::Fails(Kind::Unavailable)), 5));
        assert!(near(share(&|fate| fate.end == End::Lost), 20));
        assert!(near(share(&|fate| fate.end == End::Fails(Kind::NoCapacity)), 5));
        assert!(near(share(&|fate| !fate.before.is_zero()), 15) && near(share(&|fate| !fate.after.is_zero()), 15));
        assert!(drawn.iter().all(|fate| fate.before + fate.after <= rates.latest));
        assert_eq!(drawn, fates(7));
        assert_ne!(drawn, fates(8));
        let others = Seeded::new(Rates { no_capacity: 1_000, ..Rates::default() }, 7);
        assert_eq!(others.fate(Call::Terminate), Fate::GOES, "only launches want for capacity");
    }
}
