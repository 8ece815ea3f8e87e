//! One group of identical instances under a recorded load, in steps of ten seconds.
//!
//! - An instance serves a fixed number of requests a second. It is chosen so that all but the half per cent of the busiest steps
//!   need `peak` instances at most, fully used: so loads of any size can be compared.
//! - What cannot be served at once waits, up to five seconds' worth of what the ready can do; the rest is lost.
//! - Utilisation is what has come and waits, over what can be served in the step. It may exceed 1; what agents report of it
//!   cannot: a processor saturates, so how far beyond capacity the demand is cannot be seen.
//! - An instance is paid for from its order, at least a minute, and serves after the boot time, give or take a tenth.
//! - Scaling in takes the youngest: first of those that boot, then of those that serve, at once.
//! - A report can be seen one step later.

use muster_core::member::InstanceId;

use crate::noise::{Lane, Noise};
use crate::scaler::{Bounds, Instance, NOISE_POINTS, Observation, Scaler, count, size};
use crate::trace::{Demand, STEP_S};

/// Utilisation above which a request meets an overloaded group.
pub const OVERLOADED: f64 = 0.9;
/// Seconds of the ready instances' work that can wait.
const QUEUE_S: f64 = 5.0;
/// Seconds that are paid for at least; EC2's own minimum. <https://aws.amazon.com/ec2/pricing/on-demand/>
pub const BILLED_AT_LEAST_S: f64 = 60.0;
/// The share of the boot time by which it varies.
const BOOT_VARIES: f64 = 0.1;
/// Steps that decide what an instance can serve lie below this share of all.
const PEAK_SHARE: f64 = 0.995;
/// The utilisation at which every run starts.
const STARTS_AT: f64 = 0.6;
/// When those that are there at the start were ordered: long ago.
const LONG_AGO_S: f64 = -1e6;
/// How much less a saturated processor's report varies: there is no idle time left that could.
const SATURATED_VARIES: f64 = 0.3;
/// What a requirement may exceed a whole number by, for the dust of floating point.
const ROUNDING: f64 = 1e-9;

/// A group and the load that it meets.
#[derive(Clone, Debug)]
pub struct World<'d> {
    /// The load.
    pub demand: &'d Demand,
    /// Requests a second that an instance can serve.
    pub capacity: f64,
    /// Fewest and most instances.
    pub bounds: Bounds,
    /// Seconds from order to service.
    pub boot_s: f64,
    /// Chance.
    pub noise: Noise,
}

/// What happened, step by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Instances that served.
    pub ready: Vec<u32>,
    /// Instances that booted.
    pub booting: Vec<u32>,
    /// Utilisation; above 1 something waits.
    pub utilisation: Vec<f64>,
    /// Requests that were lost.
    pub lost: f64,
    /// Seconds of instances that were paid for.
    pub billed_s: f64,
    /// How often the size that was ordered changed.
    pub changes: u32,
    /// Instances that were launched.
    pub launches: u32,
}

/// Whether requests meet an overloaded group at this utilisation. The need of a step is a whole number but for rounding, and so
/// whoever has what is needed is not overloaded.
pub fn is_overloaded(utilisation: f64) -> bool {
    is_above(utilisation, OVERLOADED)
}

/// Whether a utilisation is above `bound`, and not by rounding.
pub(crate) fn is_above(utilisation: f64, bound: f64) -> bool {
    utilisation > bound + ROUNDING
}

impl<'d> World<'d> {
    /// The world in which the busiest steps need `peak` instances; it may have from a tenth of them to three times as many.
    pub fn sized(demand: &'d Demand, peak: u32, boot_s: f64, seed: u64) -> Self {
        let peak = peak.clamp(1, 10_000);
        let bounds = Bounds { min: (peak / 10).max(1), max: peak.saturating_mul(3) };
        Self::of(demand, peak, bounds, boot_s, seed)
    }

    /// The same with bounds of one's own.
    pub fn of(demand: &'d Demand, peak: u32, bounds: Bounds, boot_s: f64, seed: u64) -> Self {
        let min = bounds.min.max(1);
        let bounds = Bounds { min, max: bounds.max.max(min) };
        let capacity = demand.quantile(PEAK_SHARE).max(ROUNDING) / f64::from(peak.max(1));
        // A boot time that is no number is none.
        let boot_s = if boot_s > 0.0 { boot_s.min(86_400.0) } else { 0.0 };
        Self { demand, capacity, bounds, boot_s, noise: Noise::seeded(seed) }
    }

    /// Instances that each step needs so that nobody meets an overloaded group, as far as the bounds allow.
    pub fn need(&self) -> impl Iterator<Item = u32> {
        self.demand.rates.iter().map(|rate| self.needed(*rate, OVERLOADED))
    }

    fn needed(&self, rate: f64, utilisation: f64) -> u32 {
        self.bounds.clamp(size((rate / (utilisation * self.capacity) - ROUNDING).ceil()))
    }

    /// Plays the whole load.
    pub fn play(&self, scaler: &mut dyn Scaler) -> Run {
        let rates = &self.demand.rates;
        let Some(first) = rates.first() else { return Run::default() };
        let mut fleet = Fleet::of(self, self.needed(*first, STARTS_AT));
        let mut run = Run::with_capacity(rates.len());
        let looks_every = u64::from(size((scaler.interval_s() / STEP_S).round()).max(1));
        let mut desired = count(fleet.ready.len());
        let mut report = (100.0 * (first / (f64::from(desired) * self.capacity)).min(1.0), *first);
        let mut backlog = 0.0;
        for (step, rate) in (0_u64..).zip(rates) {
            let at_s = step as f64 * STEP_S;
            fleet.boot(at_s);
            if step % looks_every == 0 {
                let seen = self.observation(&fleet, step, desired, report);
                let wanted = scaler.decide(&seen).map_or(desired, |wanted| self.bounds.clamp(wanted));
                run.changes += u32::from(wanted != desired);
                desired = wanted;
                fleet.resize(wanted, at_s);
            }
            let ready = f64::from(count(fleet.ready.len()));
            let (work, could) = (rate * STEP_S + backlog, ready * self.capacity * STEP_S);
            let utilisation = work / could;
            let waits = (work - could).max(0.0);
            backlog = waits.min(QUEUE_S * ready * self.capacity);
            run.lost += waits - backlog;
            run.ready.push(count(fleet.ready.len()));
            run.booting.push(count(fleet.booting.len()));
            run.utilisation.push(utilisation);
            report = (self.reported(utilisation, ready, step), *rate);
        }
        let paid_steps = run.ready.iter().chain(&run.booting).map(|n| u64::from(*n)).sum::<u64>();
        run.billed_s = paid_steps as f64 * STEP_S + fleet.billed_more_s;
        run.launches = fleet.launches;
        run
    }

    fn observation<'a>(&self, fleet: &'a Fleet, step: u64, desired: u32, (cpu, rate): (f64, f64)) -> Observation<'a> {
        let at_s = step as f64 * STEP_S;
        Observation {
            at_s,
            unix_s: self.demand.start_unix_s + at_s,
            desired,
            bounds: self.bounds,
            ready: &fleet.ready,
            booting: &fleet.booting,
            cpu,
            rate,
            noise: self.noise,
            step,
        }
    }

    /// The mean of what the ready report, in percent.
    fn reported(&self, utilisation: f64, ready: f64, step: u64) -> f64 {
        let noise = self.noise.normal(Lane::Mean, step, 0) * NOISE_POINTS / ready.max(1.0).sqrt();
        if utilisation < 1.0 {
            (100.0 * utilisation + noise).clamp(0.0, 100.0)
        } else {
            100.0 - noise.abs() * SATURATED_VARIES
        }
    }
}

impl Run {
    fn with_capacity(steps: usize) -> Self {
        let (ready, booting) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        Self { ready, booting, utilisation: Vec::with_capacity(steps), ..Self::default() }
    }
}

/// The instances.
struct Fleet {
    /// In the order in which they began to serve.
    ready: Vec<Instance>,
    /// In the order in which they were ordered.
    booting: Vec<Instance>,
    launched: u64,
    launches: u32,
    /// Seconds that are paid for beyond those that were used.
    billed_more_s: f64,
    boot_s: f64,
    noise: Noise,
}

impl Fleet {
    fn of(world: &World<'_>, members: u32) -> Self {
        let instance = |nth: u64| Instance { id: named(nth), ordered_s: LONG_AGO_S, serves_s: LONG_AGO_S };
        Self {
            ready: (0..u64::from(members)).map(instance).collect(),
            booting: Vec::new(),
            launched: u64::from(members),
            launches: 0,
            billed_more_s: 0.0,
            boot_s: world.boot_s,
            noise: world.noise,
        }
    }

    /// Lets those that have booted by `at_s` serve.
    fn boot(&mut self, at_s: f64) {
        if self.booting.iter().all(|instance| instance.serves_s > at_s) {
            return;
        }
        let (mut done, booting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.booting).into_iter().partition(|instance| instance.serves_s <= at_s);
        done.sort_by(|a, b| a.serves_s.total_cmp(&b.serves_s));
        self.ready.extend(done);
        self.booting = booting;
    }

    /// Orders or ends instances until there are `wanted`.
    fn resize(&mut self, wanted: u32, at_s: f64) {
        let total = count(self.ready.len() + self.booting.len());
        for _ in total..wanted {
            let boot_s = self.boot_s * (1.0 + BOOT_VARIES * self.noise.uniform(Lane::Boot, self.launched, 0));
            self.booting.push(Instance { id: named(self.launched), ordered_s: at_s, serves_s: at_s + boot_s });
            self.launched += 1;
            self.launches += 1;
        }
        for _ in wanted..total {
            if let Some(gone) = self.booting.pop().or_else(|| self.ready.pop()) {
                self.billed_more_s += (BILLED_AT_LEAST_S - (at_s - gone.ordered_s)).max(0.0);
            }
        }
    }
}

fn named(nth: u64) -> InstanceId {
    InstanceId(format!("i-{nth}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders these sizes, a step each, and takes down what it sees.
    struct Script {
        sizes: Vec<u32>,
        seen: Vec<(Vec<String>, usize, f64)>,
    }

    impl Scaler for Script {
        fn interval_s(&self) -> f64 {
            STEP_S
        }

        fn decide(&mut self, seen: &Observation<'_>) -> Option<u32> {
            let ready = seen.ready.iter().map(|instance| instance.id.to_string()).collect();
            self.seen.push((ready, seen.booting.len(), seen.cpu));
            self.sizes.get(self.seen.len() - 1).copied()
        }
    }

    /// Plays `rates` while `sizes` are ordered; an instance serves 10 requests a second after 20 s, give or take 2.
    fn play(rates: &[f64], sizes: &[u32]) -> (Run, Script) {
        let demand = Demand { start_unix_s: 0.0, rates: rates.to_vec() };
        let mut world = World::of(&demand, 1, Bounds { min: 1, max: 9 }, 20.0, 1);
        world.capacity = 10.0;
        let mut script = Script { sizes: sizes.to_vec(), seen: Vec::new() };
        (world.play(&mut script), script)
    }

    #[test]
    fn what_cannot_be_served_waits_for_five_seconds_of_work_and_the_rest_is_lost() {
        // One instance: 100 requests a step, 50 may wait.
        let (run, script) = play(&[6.0, 12.0, 12.0, 6.0, 6.0, 0.0], &[1; 6]);
        assert_eq!(run.ready, [1; 6]);
        let used: Vec<f64> = run.utilisation.iter().map(|used| (used * 1e6).round() / 1e6).collect();
        assert_eq!(used, [0.6, 1.2, 1.4, 1.0, 0.6, 0.0], "20 wait, then 40, then 0 and what has come is served");
        assert_eq!(run.lost, 0.0);
        let (run, _) = play(&[6.0, 20.0, 6.0], &[1; 3]);
        assert!((run.lost - 50.0).abs() < 1e-9 && (run.utilisation[2] - 1.1).abs() < 1e-9, "{run:?}");
        let reports: Vec<f64> = script.seen.iter().map(|(_, _, cpu)| *cpu).collect();
        assert!((reports[1] - 60.0).abs() < 11.0 && reports[2] > 96.0 && reports[3] > 96.0, "a step late: {reports:?}");
        assert!(reports.iter().all(|cpu| (0.0..=100.0).contains(cpu)));
    }

    #[test]
    fn an_instance_is_paid_for_from_its_order_and_a_minute_at_least() {
        // Ordered in step 1, it serves from step 3 or 4.
        let (run, script) = play(&[6.0; 9], &[1, 2, 2, 2, 2, 1]);
        let total: Vec<u32> = run.ready.iter().zip(&run.booting).map(|(ready, booting)| ready + booting).collect();
        assert_eq!(total, [1, 2, 2, 2, 2, 1, 1, 1, 1]);
        assert_eq!((run.booting[1], run.booting[2], run.ready[4]), (1, 1, 2));
        assert_eq!(run.billed_s, 90.0 + 60.0, "40 s were used");
        assert_eq!((run.changes, run.launches), (2, 1));
        assert_eq!(script.seen[5].0, ["i-0", "i-1"]);
    }

    #[test]
    fn the_youngest_goes_first_and_those_that_boot_before_those_that_serve() {
        let (run, script) = play(&[6.0; 9], &[3, 3, 3, 3, 5, 2, 1, 1, 1]);
        assert_eq!(run.launches, 4);
        assert_eq!((script.seen[4].0.len(), script.seen[4].1, script.seen[5].1), (3, 0, 2));
        let after: Vec<&[String]> = script.seen[6..8].iter().map(|(ready, ..)| &ready[..]).collect();
        let oldest = &script.seen[4].0;
        assert_eq!(after, [&oldest[..2], &oldest[..1]], "both that booted went, and then the youngest");
    }

    #[test]
    fn the_busiest_steps_need_the_peak() {
        let rates: Vec<f64> = (0..1_000).map(f64::from).collect();
        let demand = Demand { start_unix_s: 0.0, rates };
        let world = World::sized(&demand, 20, 90.0, 1);
        assert_eq!(world.bounds, Bounds { min: 2, max: 60 });
        assert!((world.capacity * 20.0 - 994.005).abs() < 1e-9);
        assert_eq!((world.need().next(), world.need().last()), (Some(2), Some(23)));
    }

    #[test]
    fn whoever_has_what_is_needed_is_not_overloaded_whatever_is_rounded() {
        // The need is 20 but for rounding, and then the utilisation is 0.9 but for rounding.
        let demand = Demand { start_unix_s: 0.0, rates: vec![63.840_658_290_102_425] };
        let world = World::sized(&demand, 18, 0.0, 0);
        assert_eq!(world.need().next(), Some(20));
        assert!(!is_overloaded(63.840_658_290_102_425 / (20.0 * world.capacity)));
        assert!(is_overloaded(63.840_658_290_102_425 / (19.0 * world.capacity)));
    }
}
