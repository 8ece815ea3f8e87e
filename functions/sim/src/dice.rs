//! Randomness: every draw is a function of the seed, its purpose and what it is about, so that one that is no longer made
//! shifts none of the others.

use fastrand::Rng;

use crate::fault::Fault;

/// What a draw is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The group's policy and size.
    Setting,
    /// The load.
    Demand,
    /// How long a call takes.
    Latency,
    /// How long an instance takes to boot.
    Boot,
    /// How long a doorbell takes.
    Stream,
    /// How late a tick is without any fault.
    Tick,
    /// Which decisions are taken again.
    Sample,
    /// Jitter of a reconcile.
    Jitter,
}

/// The source of everything random in one schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

/// The finaliser of SplitMix64: neighbouring numbers come out unrelated.
const fn mix(value: u64) -> u64 {
    let a = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

/// Two numbers as one.
pub(crate) const fn join(a: u64, b: u64) -> u64 {
    mix(a.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(b))
}

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5eed))
    }

    fn at(self, purpose: u64, about: u64) -> Rng {
        Rng::with_seed(join(join(self.0, purpose), about))
    }

    /// The numbers of one purpose, about one thing.
    pub(crate) fn of(self, purpose: Purpose, about: u64) -> Rng {
        self.at(1_000 + purpose as u64, about)
    }

    /// The numbers of one fault, about one thing.
    pub(crate) fn fault(self, fault: Fault, about: u64) -> Rng {
        self.at(fault as u64, about)
    }
}

/// A whole number from `low` to `high`, both included.
pub(crate) fn between(rng: &mut Rng, low: u64, high: u64) -> u64 {
    rng.u64(low..=high.max(low))
}
