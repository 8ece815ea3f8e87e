//! The rule `auto`: of a family of simple rules those that would have been cheapest lately decide.
//!
//! A rule is a [`features::Feature`] of the demand - the highest of the last 20 minutes, what most minutes of the last hour needed,
//! where the last two minutes lead to - and a utilisation to aim at: it asks for feature / utilisation. All of them are replayed in
//! shadow against the demand that was really seen ([`shadows`]), and each is billed: the instances that it would have paid for, over
//! those that were needed, and the policy's price for every request that would have met an overloaded group. What a shadow would
//! have had in service needs no simulation: the least that it asked for in the last boot time. The cheaper a rule, the more it
//! weighs; the mean of what they ask for is asked for. On top of it stand a floor, for the minute just seen, and a boost, for
//! processors that are full ([`want`]); small changes must last.
//!
//! Demand is counted in *fully used instances*, so that nothing has to be known of what an instance can do: 10 members at 50 %
//! are a demand of 5. Everything in here is a function of the samples, one a sweep, in their order: state in, state out. The state
//! is [`Learnt`]; it is stored once a minute, and the samples since then stand in HEAD, so that none is lost or counted twice.
//!
//! What must never be in here: a clock, a member, a limit. What the rule asks for goes through the same stages as any other's.

mod features;
mod record;
mod shadows;
mod want;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use features::Prepared;
use record::Record;
use shadows::Shadows;
use want::{Asks, Strain, Want};

/// The form of [`Learnt`]. A state of another form is forgotten: nobody could say what its numbers mean.
const FORM: u32 = 1;
/// How often the state is stored.
pub const STORED_EVERY: Duration = Duration::from_secs(60);
/// Samples that stand in HEAD at most, before the state is stored sooner.
const SAMPLES_KEPT: usize = 64;
/// For so long after its state was lost, the rule lets nobody go: what it no longer knows may be why the group is as large as it is.
const LETS_NOBODY_GO: Duration = Duration::from_secs(600);
/// A state that is so far ahead of the clock is of another clock.
const AHEAD: Duration = Duration::from_secs(3_600);
/// Utilisation above which a request counts as overloaded, and the highest that the rule ever lets a minute have.
pub(crate) const OVERLOADED: f64 = 0.9;
/// The mean load, in percent, from which on a processor says nothing of how much more there is to do.
const SATURATED: f64 = 96.0;

/// The mean load, in percent, below which a rate says little of what an instance can do: idling costs something, too.
const BUSY_ENOUGH: f64 = 15.0;
/// How long it is remembered what instances could do, fading.
const CAPACITY_MEMORY: Duration = Duration::from_secs(3_600);
/// So many seconds it must have been seen.
const CAPACITY_SEEN_S: f64 = 120.0;

/// What one sweep says of the demand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The sweep's slot.
    pub at: Timestamp,
    /// The demand, in thousandths of a fully used instance.
    pub demand: u32,
    /// How many carried it.
    pub carried_by: u32,
    /// Whether there may be more than is seen: the processors are full, and nobody counts what comes.
    pub saturated: bool,
    /// What came a second, by the members' own count, where it says what an instance can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

impl Sample {
    /// A mean load in percent, carried by so many, to whom so many requests came a second, if they all say so. Where processors are
    /// full, those and what an instance has been able to do say what the load cannot.
    pub fn of(at: Timestamp, mean: f64, carried_by: u32, rate: Option<f64>, capacity: Option<f64>) -> Self {
        let by_load = mean / 100.0 * f64::from(carried_by);
        let full = mean >= SATURATED;
        let by_rate = rate.zip(capacity).filter(|_| full).map(|(rate, capacity)| rate / capacity);
        let demand = thousandths(by_rate.map_or(by_load, |by_rate| by_rate.max(by_load)));
        let rate = rate.filter(|_| !full && mean >= BUSY_ENOUGH);
        Self { at, demand, carried_by, saturated: full && by_rate.is_none(), rate }
    }
}

/// What the rule must be told besides the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// What one per cent of overloaded requests is worth, in the bill of a group that is always of the right size.
    pub price: f64,
    /// Fewest members.
    pub min: u32,
    /// Most members.
    pub max: u32,
    /// From intent to first answer.
    pub boot: Duration,
    /// From sweep to sweep.
    pub period: Duration,
}

impl Setting {
    /// How long it takes until what is asked for now serves: a boot, which varies, and the sweep that notices.
    fn lead(&self) -> Duration {
        self.boot.mul_f64(1.05).saturating_add(self.period)
    }
}

/// All that the rule knows. Under 64 KB as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    form: u32,
    /// Until when nobody is let go.
    careful_until: Timestamp,
    /// The latest sample.
    at: Timestamp,
    record: Record,
    prepared: Prepared,
    shadows: Shadows,
    capacity: Capacity,
    strain: Strain,
    want: Want,
    asks: Asks,
}

/// Requests and the fully used instances that served them; seconds of both, fading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Capacity {
    requests: f64,
    used: f64,
    seconds: f64,
}

/// What the rule asks for, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) desired: u32,
    pub(crate) why: String,
}

impl Learnt {
    /// One that knows nothing.
    fn begin(at: Timestamp, lost: bool) -> Self {
        Self {
            form: FORM,
            careful_until: if lost { at.plus(LETS_NOBODY_GO) } else { at },
            at: Timestamp::EPOCH,
            record: Record::begin(at),
            prepared: Prepared::default(),
            shadows: Shadows::begin(),
            capacity: Capacity::default(),
            strain: Strain::default(),
            want: Want::default(),
            asks: Asks::default(),
        }
    }

    /// What `stored` and the `recent` samples have taught; one that begins when it is lost, foreign, or of another clock.
    pub fn recall(stored: Option<&Self>, recent: &Recent, now: Timestamp, setting: &Setting) -> Self {
        let usable = |learnt: &&Self| {
            learnt.form == FORM
                && learnt.at <= now.plus(AHEAD)
                && learnt.careful_until <= learnt.at.plus(LETS_NOBODY_GO)
                && learnt.capacity().is_none_or(f64::is_normal)
                && learnt.shadows.fits()
        };
        let first = recent.samples.first().map_or(now, |sample| sample.at.min(now));
        let begin = || Self::begin(first, recent.stored_at.is_some());
        let mut learnt = stored.filter(usable).cloned().unwrap_or_else(begin);
        for sample in &recent.samples {
            learnt.see(sample, setting);
        }
        learnt
    }

    /// Learns from a sample; one that is not later than the last is no news.
    pub(crate) fn see(&mut self, sample: &Sample, setting: &Setting) {
        if sample.at <= self.at {
            return;
        }
        // By what was known before: a sample that asks for more must not make those rules weigh more that ask for less (S10).
        self.shadows.weigh(sample.at, setting.price);
        let before = std::mem::replace(&mut self.at, sample.at);
        self.capacity.learn(sample, sample.at.since(before).min(setting.period.saturating_mul(2)));
        self.strain.feel(sample, &self.record, setting);
        if self.record.add(sample) || before == Timestamp::EPOCH {
            self.prepared = Prepared::of(&self.record, setting.lead());
        }
        let values = features::values(&self.record, &self.prepared, setting.lead(), self.strain.blurs(sample.at));
        self.shadows.bill(sample, sample.at.since(before), setting);
        self.shadows.ask(sample.at, &values, setting);
        self.want = Want::of(sample, &self.shadows.blend(&values), &self.record, &self.strain, setting);
        self.asks.add(sample.at, self.want.size());
    }

    /// What is asked for of a group of `desired`.
    pub(crate) fn asks(&self, desired: u32, setting: &Setting) -> Asked {
        let (size, settled) = self.asks.settle(desired, &self.want, self.at, setting.period);
        let why = [self.want.account(&self.shadows, setting.price), settled].concat();
        Asked { desired: size, why }
    }

    /// Requests a second that a fully used instance serves; none before it is known.
    pub(crate) fn capacity(&self) -> Option<f64> {
        let Capacity { requests, used, seconds } = self.capacity;
        (seconds >= CAPACITY_SEEN_S && used > 0.0 && requests > 0.0).then(|| requests / used)
    }

    /// For how long it lets nobody go yet.
    pub(crate) fn is_careful(&self) -> Option<Duration> {
        let left = self.careful_until.since(self.at);
        (!left.is_zero()).then_some(left)
    }
}

impl Capacity {
    fn learn(&mut self, sample: &Sample, lasted: Duration) {
        let Some(rate) = sample.rate else { return };
        let seconds = lasted.as_secs_f64();
        let fades = (-seconds / CAPACITY_MEMORY.as_secs_f64()).exp();
        self.requests = self.requests * fades + rate * seconds;
        self.used = self.used * fades + f64::from(sample.demand) / 1_000.0 * seconds;
        self.seconds = self.seconds * fades + seconds;
    }
}

/// What HEAD holds of the rule: the samples that the stored state does not know yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recent {
    /// The latest sample that the stored state knows; none before there is one.
    pub stored_at: Option<Timestamp>,
    /// Those after it, oldest first.
    pub samples: Vec<Sample>,
}

impl Recent {
    /// Adds a sample, or lets the state be stored with it: then none is left that it does not know.
    pub(crate) fn add(&mut self, sample: Sample) {
        let due = self.stored_at.is_none_or(|at| sample.at.since(at) >= STORED_EVERY);
        if due || self.samples.len() + 1 >= SAMPLES_KEPT {
            (self.stored_at, self.samples) = (Some(sample.at), Vec::new());
        } else {
            self.samples.push(sample);
        }
    }
}

/// A size that is at least `size`, but for rounding; saturating.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and NaN becomes 0"
)]
fn rounded_up(size: f64) -> u32 {
    (size - 1e-9).ceil() as u32
}

/// Thousandths of a whole number of instances; saturating.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and NaN becomes 0"
)]
fn thousandths(instances: f64) -> u32 {
    (instances * 1_000.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// So many seconds after the beginning of a minute.
    pub(super) fn at(seconds: u64) -> Timestamp {
        BEGIN.plus(Duration::from_secs(seconds))
    }

    pub(super) fn sample(seconds: u64, demand: u32) -> Sample {
        Sample { at: at(seconds), demand, carried_by: 10, saturated: false, rate: None }
    }

    const fn setting(max: u32, boot_s: u64, period_s: u64) -> Setting {
        let (boot, period) = (Duration::from_secs(boot_s), Duration::from_secs(period_s));
        Setting { price: 0.1, min: 1, max, boot, period }
    }

    #[test]
    fn z10_a_sample_counts_in_fully_used_instances() {
        // Mean, who carries, rate, capacity; demand, whether it is saturated, the rate that teaches.
        for (mean, carried_by, rate, capacity, demand, saturated, teaches) in [
            (50.0, 10, None, None, 5_000, false, None),
            (0.0, 10, None, None, 0, false, None),
            (33.33, 3, None, None, 1_000, false, None),
            (95.99, 10, Some(1e3), None, 9_599, false, Some(1e3)),
            (96.0, 10, None, None, 9_600, true, None),
            (100.0, 10, None, Some(100.0), 10_000, true, None),
            (100.0, 10, Some(1e3), None, 10_000, true, None),
            // The rate says what full processors cannot; less than they show is never believed.
            (100.0, 10, Some(10_000.0), Some(100.0), 100_000, false, None),
            (100.0, 10, Some(500.0), Some(100.0), 10_000, false, None),
            (100.0, 10, Some(1e12), Some(1e-9), u32::MAX, false, None),
            // Who idles teaches nothing.
            (14.99, 10, Some(1e3), Some(100.0), 1_499, false, None),
            (15.0, 10, Some(1e3), Some(100.0), 1_500, false, Some(1e3)),
        ] {
            let seen = Sample::of(at(0), mean, carried_by, rate, capacity);
            assert_eq!((seen.demand, seen.saturated, seen.rate), (demand, saturated, teaches), "{mean} %, {rate:?}");
        }
    }

    #[test]
    fn z10_what_an_instance_can_do_is_known_after_two_minutes() {
        let (setting, mut learnt) = (setting(100, 30, 10), Learnt::begin(at(0), false));
        for nth in 1..=12 {
            assert_eq!(learnt.capacity(), None, "{nth}");
            learnt.see(&Sample { rate: Some(1_000.0), ..sample(10 * nth, 5_000) }, &setting);
        }
        let capacity = learnt.capacity().expect("it is known");
        assert!((capacity - 200.0).abs() < 1e-9, "{capacity}");
        // It follows, fading in an hour; a gap counts for two periods.
        (13..=600).for_each(|nth| learnt.see(&Sample { rate: Some(500.0), ..sample(10 * nth, 5_000) }, &setting));
        let capacity = learnt.capacity().expect("it is known");
        assert!((100.0..125.0).contains(&capacity), "{capacity}");
        let before = learnt.capacity.seconds;
        learnt.see(&Sample { rate: Some(500.0), ..sample(86_400, 5_000) }, &setting);
        assert!(learnt.capacity.seconds <= before + 20.0);
    }

    #[test]
    fn z10_a_sample_that_is_not_later_than_the_last_is_no_news() {
        let (setting, mut learnt) = (setting(100, 30, 10), Learnt::begin(at(0), false));
        learnt.see(&sample(100, 5_000), &setting);
        let before = learnt.clone();
        learnt.see(&sample(100, 9_000), &setting);
        learnt.see(&sample(90, 9_000), &setting);
        assert_eq!(learnt, before);
    }

    #[test]
    fn z10_head_holds_the_samples_that_the_stored_state_does_not_know_and_few() {
        for (step_ms, most) in [(100, 63), (1_000, 59), (10_000, 5), (60_000, 0), (300_000, 0)] {
            let (mut recent, mut longest) = (Recent::default(), 0);
            for nth in 0..1_000 {
                let at = at(0).plus(Duration::from_millis(step_ms) * nth);
                recent.add(Sample { at, ..sample(0, 1) });
                longest = longest.max(recent.samples.len());
                let known = recent.stored_at.expect("it is stored at once");
                assert_eq!(recent.samples.last().map_or(known, |last| last.at), at, "{step_ms} ms");
            }
            assert_eq!(longest, most, "{step_ms} ms");
        }
    }

    #[test]
    fn z10_the_state_of_a_day_is_under_64_kb_and_is_read_back_as_it_was() {
        for (period_s, boot_s) in [(1, 30), (1, 1), (2, 900), (10, 120), (60, 30), (60, 900)] {
            let (setting, mut learnt) = (setting(10_000, boot_s, period_s), Learnt::begin(at(0), false));
            for second in (0..86_400 + 3_600).step_by(usize::try_from(period_s).unwrap()) {
                let wave = (second as f64 / 600.0).sin() + (second as f64 / 47.0).sin();
                let seen = Sample::of(at(second), 50.0 + 20.3 * wave, 9_999, Some(1e6 + 7e5 * wave), None);
                let seen = Sample { saturated: second % 7_000 < 60, ..seen };
                learnt.see(&seen, &setting);
            }
            let text = serde_json::to_string(&learnt).unwrap();
            assert!(text.len() < 64 * 1_024, "{period_s} s, {boot_s} s: {} bytes", text.len());
            let read: Learnt = serde_json::from_str(&text).unwrap();
            assert_eq!(read, learnt, "{period_s} s, {boot_s} s");
        }
    }
}
