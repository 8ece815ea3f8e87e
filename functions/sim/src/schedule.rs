//! A schedule: everything that will happen to a group from outside, drawn from one number.
//!
//! Rates hold for every call, doorbell or boot; happenings have their time. A fault that is left out takes only its own
//! draws with it (see `dice`), so that a failing schedule can be made smaller.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use muster_core::time::{Timestamp, spoken};
use serde_json::{Value, json};

use crate::dice::{Dice, Purpose, between};
use crate::fault::Fault;

/// When every schedule begins: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Faults begin no earlier: a group that does not exist yet has nothing to lose.
const FIRST_FAULT: Duration = Duration::from_secs(60);
/// How long faults go on.
const FAULTY: Duration = Duration::from_secs(31 * 60);

/// Something that happens at a time, and lasts until another.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// What.
    pub fault: Fault,
    /// From when, counted from the start.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
    /// Chooses whom it meets.
    pub pick: u64,
}

/// The total load, as corners of a line: percent of one member's processor, summed over the group.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand(pub Vec<(Duration, f64)>);

impl Demand {
    /// The same load all the time.
    pub fn constant(total: f64) -> Self {
        Self(vec![(Duration::ZERO, total)])
    }

    /// The load at a time.
    pub fn at(&self, at: Duration) -> f64 {
        let next = self.0.iter().position(|(corner, _)| *corner > at).unwrap_or(self.0.len());
        let Some(before) = next.checked_sub(1).and_then(|n| self.0.get(n)) else {
            return self.0.first().map_or(0.0, |(_, load)| *load);
        };
        let Some(after) = self.0.get(next) else { return before.1 };
        let (span, passed) = ((after.0 - before.0).as_secs_f64(), (at - before.0).as_secs_f64());
        before.1 + (after.1 - before.1) * passed / span.max(0.001)
    }
}

/// Everything that will happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Where it comes from.
    pub seed: u64,
    /// The policy at the start.
    pub policy: Value,
    /// The load.
    pub demand: Demand,
    /// When faults stop.
    pub calm: Duration,
    /// Faults that may meet any call, doorbell or boot, and how probably.
    pub rates: BTreeMap<Fault, f64>,
    /// The share of members that are protected from scale-in until faults stop.
    pub protected: f64,
    /// What happens at a time.
    pub script: Vec<Happening>,
    /// What the operator merges into the policy, and when.
    pub edits: Vec<(Duration, Value)>,
}

/// Faults that have a rate: the rates of a mild and of a rough schedule, and how many schedules of a hundred have it.
const RATES: &[(Fault, f64, f64, u64)] = &[
    (Fault::CrashBefore, 0.002, 0.01, 40),
    (Fault::CrashAfter, 0.002, 0.01, 40),
    (Fault::TimeOut, 0.002, 0.006, 30),
    (Fault::InvokedTwice, 0.1, 0.3, 40),
    (Fault::Overlap, 0.05, 0.3, 30),
    (Fault::ClockSkew, 0.3, 1.0, 50),
    (Fault::LostWrite, 0.005, 0.03, 30),
    (Fault::StoreThrottle, 0.003, 0.02, 30),
    (Fault::StoreConflict, 0.03, 0.15, 30),
    (Fault::StreamDuplicate, 0.05, 0.3, 30),
    (Fault::StreamLate, 0.05, 0.2, 30),
    (Fault::StreamReorder, 0.05, 0.2, 25),
    (Fault::StreamLost, 0.05, 0.2, 25),
    (Fault::TickLate, 0.1, 0.4, 30),
    (Fault::TickDoubled, 0.1, 0.4, 30),
    (Fault::LostReply, 0.1, 0.4, 40),
    (Fault::Ec2Throttle, 0.05, 0.3, 30),
    (Fault::StaleDescribe, 0.2, 0.8, 40),
    (Fault::SlowBoot, 0.05, 0.15, 30),
    (Fault::BadBoot, 0.05, 0.15, 30),
    (Fault::Busy, 0.3, 0.7, 45),
];

/// Faults that happen at a time: how many schedules of a hundred have it, how often at most, and how long it lasts in
/// seconds at least and at most.
const SCRIPTED: &[(Fault, u64, u64, u64, u64)] = &[
    (Fault::TickMissing, 30, 2, 120, 420),
    (Fault::Capacity, 35, 2, 120, 900),
    (Fault::Permission, 25, 1, 60, 400),
    (Fault::TokenExpired, 35, 1, 1_100, 1_600),
    (Fault::Spot, 30, 3, 0, 0),
    (Fault::Leaving, 25, 3, 60, 120),
    (Fault::Impaired, 25, 1, 0, 0),
    (Fault::BadImage, 25, 1, 300, 900),
    (Fault::Silence, 40, 4, 20, 300),
    (Fault::Dead, 40, 3, 0, 0),
    (Fault::Lie, 35, 4, 30, 400),
    (Fault::Upgrade, 25, 1, 60, 300),
    (Fault::Failing, 30, 2, 60, 600),
    (Fault::BlackoutZone, 25, 2, 60, 500),
    (Fault::BlackoutAll, 25, 2, 60, 600),
    (Fault::PolicyEdit, 35, 4, 0, 0),
    (Fault::PolicyInvalid, 20, 2, 60, 400),
    (Fault::PolicyDeleted, 20, 1, 60, 400),
    (Fault::Mode, 25, 2, 60, 500),
    (Fault::HandTerminate, 30, 3, 0, 0),
    (Fault::HandStop, 25, 2, 0, 0),
    (Fault::HandRetag, 30, 2, 60, 500),
    (Fault::Emptied, 20, 2, 60, 600),
    (Fault::HandDrain, 40, 4, 10, 500),
];

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let mut rng = dice.of(Purpose::Setting, 0);
        let rough = rng.u8(0..3) == 0;
        let min = between(&mut rng, 5, 6);
        let max = min + between(&mut rng, 3, 8);
        let mut policy = policy(&mut rng, min, max);
        merge(&mut policy, scaling(dice));
        let calm = FAULTY + Duration::from_secs(between(&mut rng, 0, 240));
        let mut schedule = Self {
            seed,
            policy,
            demand: demand(dice, calm, min, max),
            calm,
            rates: BTreeMap::new(),
            protected: 0.0,
            script: Vec::new(),
            edits: Vec::new(),
        };
        let mut rng = dice.of(Purpose::Setting, 1);
        if rng.u8(0..4) == 0 {
            schedule.protected = 0.6 * rng.f64();
        }
        schedule.draw_rates(dice, rough);
        schedule.draw_script(dice, rough);
        schedule
    }

    /// A schedule in which nothing goes wrong before anything is added: `policy` is merged into a quick one.
    pub fn quiet(seed: u64, changes: Value, demand: Demand, calm: Duration) -> Self {
        let mut policy = base(10);
        merge(&mut policy, changes);
        let (rates, script, edits) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { seed, policy, demand, calm, rates, protected: 0.0, script, edits }
    }

    /// The same, and `fault` at every opportunity with probability `rate`.
    #[must_use]
    pub fn rate(mut self, fault: Fault, rate: f64) -> Self {
        self.rates.insert(fault, rate);
        self
    }

    /// The same, and `fault` from `from` to `until`, both in seconds.
    #[must_use]
    pub fn at(mut self, fault: Fault, from: u64, until: u64, pick: u64) -> Self {
        let seconds = Duration::from_secs;
        self.script.push(Happening { fault, from: seconds(from), until: seconds(until), pick });
        self
    }

    /// The same, and an edit of the policy: `change` is merged into it after `at` seconds.
    #[must_use]
    pub fn edit(mut self, at: u64, change: Value) -> Self {
        self.edits.push((Duration::from_secs(at), change));
        self
    }

    /// The same without one kind of fault.
    #[must_use]
    pub fn without(&self, fault: Fault) -> Self {
        let mut less = self.clone();
        less.rates.remove(&fault);
        less.script.retain(|happening| happening.fault != fault);
        less
    }

    /// The kinds of fault in it.
    pub fn faults(&self) -> Vec<Fault> {
        let scripted = |fault: &Fault| self.script.iter().any(|happening| happening.fault == *fault);
        Fault::ALL.iter().copied().filter(|fault| self.rates.contains_key(fault) || scripted(fault)).collect()
    }

    fn draw_rates(&mut self, dice: Dice, rough: bool) {
        for (fault, mild, hard, share) in RATES {
            let mut rng = dice.fault(*fault, u64::MAX);
            let share = if rough { share * 2 } else { *share };
            if rng.u64(0..100) < share {
                let most = if rough { *hard } else { *mild };
                self.rates.insert(*fault, most * (0.3 + 0.7 * rng.f64()));
            }
        }
    }

    fn draw_script(&mut self, dice: Dice, rough: bool) {
        for (fault, share, times, shortest, longest) in SCRIPTED {
            let mut rng = dice.fault(*fault, u64::MAX);
            let share = if rough { share * 3 / 2 } else { share * 2 / 3 };
            if rng.u64(0..100) >= share {
                continue;
            }
            for _ in 0..between(&mut rng, 1, *times) {
                let seconds = between(&mut rng, FIRST_FAULT.as_secs(), self.calm.as_secs().saturating_sub(30));
                let from = Duration::from_secs(seconds);
                let until = from + Duration::from_secs(between(&mut rng, *shortest, *longest));
                self.script.push(Happening { fault: *fault, from, until: until.min(self.calm), pick: rng.u64(..) });
            }
        }
    }
}

/// A policy that is quick enough for half an hour to hold several decisions each way.
fn base(interval: u64) -> Value {
    json!({
        "min_instances": 5, "max_instances": 10, "scaling": { "kind": "threshold" },
        "sweep_interval": format!("{interval}s"), "warm_up": "20s", "cooldown_in": "60s", "stabilization_in": "60s",
        "in_window": "120s",
        "launch": { "template": "lt-1", "zones": ["zone-a", "zone-b", "zone-c"], "instance_types": ["small", "medium"] },
        "health": { "grace_period": "90s", "unhealthy_after": "45s", "boot_timeout": "180s" },
        "drain": { "timeout": "45s" },
    })
}

fn policy(rng: &mut Rng, min: u64, max: u64) -> Value {
    let interval = [10, 20, 20, 20, 30, 30, 30, 30, 30, 60][rng.usize(0..10)];
    let mut policy = base(interval);
    let grace = between(rng, 60, 120);
    let boot = between(rng, 150, 240);
    let wait = if rng.u8(0..5) == 0 { "wait" } else { "terminate" };
    merge(
        &mut policy,
        json!({
            "min_instances": min, "max_instances": max,
            "warm_up": format!("{}s", between(rng, 0, 60)),
            "cooldown_out": format!("{}s", [0, 0, 30][rng.usize(0..3)]),
            "health": { "grace_period": format!("{grace}s"), "boot_timeout": format!("{boot}s") },
            "drain": { "on_timeout": wait },
        }),
    );
    policy
}

/// One of the kinds of rule.
fn scaling(dice: Dice) -> Value {
    let mut rng = dice.of(Purpose::Setting, 2);
    match rng.u8(0..4) {
        0 => {
            let (target, tolerance) = (between(&mut rng, 40, 75), [0.0, 0.1, 0.2][rng.usize(0..3)]);
            json!({"scaling": {"kind": "target", "target": target, "tolerance": tolerance}})
        }
        1 => json!({"scaling": {"kind": "step", "steps": [
            {"above": 70, "change": between(&mut rng, 1, 2)}, {"above": 85, "change_percent": 50},
            {"below": 25, "change": -1}, {"below": 10, "change_percent": -30},
        ]}}),
        2 => {
            let price = ["economy", "balanced", "safe"][rng.usize(0..3)];
            json!({"scaling": {"kind": "auto", "price": price}})
        }
        _ => json!({}),
    }
}

/// A JSON merge.
pub(crate) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Steps, ramps and spikes between a tenth and the whole of what the group can carry, and constant from `calm` on.
fn demand(dice: Dice, calm: Duration, min: u64, max: u64) -> Demand {
    let mut rng = dice.of(Purpose::Demand, 0);
    let level = |rng: &mut Rng| {
        let size = between(rng, min, max);
        f64::from(u32::try_from(size).unwrap_or(u32::MAX)) * (10.0 + 75.0 * rng.f64())
    };
    let mut corners = vec![(Duration::ZERO, level(&mut rng))];
    let mut at = Duration::from_secs(120);
    while at < calm {
        let last = corners.last().map_or(0.0, |(_, load)| *load);
        let next = level(&mut rng);
        match rng.u8(0..4) {
            0 => {}
            1 => corners.extend([(at, last), (at + Duration::from_secs(1), next)]),
            2 => corners.push((at, next)),
            _ => {
                let (up, down) = (at + Duration::from_secs(1), at + Duration::from_secs(90));
                corners.extend([
                    (at, last),
                    (up, next * 1.5),
                    (down, next * 1.5),
                    (down + Duration::from_secs(1), last),
                ]);
            }
        }
        at += Duration::from_secs(between(&mut rng, 120, 600));
    }
    let last = level(&mut rng);
    corners.retain(|(corner, _)| *corner < calm);
    corners.push((calm, last));
    Demand(corners)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}; faults stop after {}", self.seed, spoken(self.calm))?;
        writeln!(f, "policy {}", self.policy)?;
        if self.protected > 0.0 {
            writeln!(f, "  {:.0} % of the members are protected", self.protected * 100.0)?;
        }
        for (fault, rate) in &self.rates {
            writeln!(f, "  {fault}: {:.2} %", rate * 100.0)?;
        }
        for happening in &self.script {
            let span = match happening.until.saturating_sub(happening.from) {
                Duration::ZERO => String::new(),
                span => format!(" for {}", spoken(span)),
            };
            writeln!(f, "  {}: at {}{span}", happening.fault, spoken(happening.from))?;
        }
        Ok(())
    }
}
