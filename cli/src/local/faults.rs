//! `muster up --faults`: what goes wrong between the processes of the local world, how often, and until when.
//!
//! Each process injects its own part, from a seed that `muster up` gives it, and says each fault as a line. The controller
//! and the monitor do it by [`Faulty`](muster_control::faulty::Faulty) around their ports; the fleet by
//! [`mishaps`](super::mishaps); `muster up` itself kills. The use cases know nothing of it.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, ValueEnum};
use muster_control::faulty::{Call, End, Fate, Kind, Rates, Schedule, Seeded};
use muster_control::ports::Clock;
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::clock::SystemClock;
use super::line::Line;
use super::process::say;

/// How much goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Nothing.
    #[default]
    None,
    /// Something now and then.
    Mild,
    /// Something every couple of seconds.
    Rough,
}

/// How often what goes wrong. Rates are in a thousand.
#[derive(Clone, Debug)]
pub struct Intensity {
    /// Launches and terminations: there are few of them, and most depends on them.
    ec2: Rates,
    /// Writes to the store.
    writes: Rates,
    /// Calls that only ask.
    reads: Rates,
    /// Doorbells that are lost, and as many that ring twice.
    pub doorbells: u16,
    /// Launches into one zone for which there is no capacity.
    pub no_capacity: u16,
    /// Milliseconds between two agents that are frozen, killed or restarted.
    pub agents_every_ms: RangeInclusive<u64>,
    /// Milliseconds between two kills of the controller or the monitor. More than a process needs to have started well.
    pub kills_every_ms: RangeInclusive<u64>,
}

/// Rates of what can befall a call.
const fn rates(throttled: u16, unavailable: u16, lost: u16, late: u16, latest_ms: u64) -> Rates {
    Rates { throttled, unavailable, lost, no_capacity: 0, late, latest: Duration::from_millis(latest_ms) }
}

impl Level {
    /// The level in numbers; none: nothing goes wrong.
    pub const fn intensity(self) -> Option<Intensity> {
        match self {
            Self::None => None,
            Self::Mild => Some(Intensity {
                ec2: rates(20, 20, 50, 20, 500),
                writes: rates(4, 4, 6, 10, 500),
                reads: rates(1, 1, 0, 2, 500),
                doorbells: 20,
                no_capacity: 100,
                agents_every_ms: 30_000..=90_000,
                kills_every_ms: 30_000..=90_000,
            }),
            Self::Rough => Some(Intensity {
                ec2: rates(100, 80, 250, 100, 1_500),
                writes: rates(30, 30, 50, 60, 1_500),
                reads: rates(6, 6, 0, 12, 1_500),
                doorbells: 150,
                no_capacity: 300,
                agents_every_ms: 2_000..=6_000,
                kills_every_ms: 3_000..=8_000,
            }),
        }
    }

    /// What the level does, for people; none when it does nothing.
    pub fn told(self, seed: u64, lasts: Option<Duration>) -> Option<String> {
        let Intensity { ec2, writes, doorbells, no_capacity, agents_every_ms, kills_every_ms, .. } =
            self.intensity()?;
        let name = self.to_possible_value()?.get_name().to_owned();
        let percent = |rate: u16| f64::from(rate) / 10.0;
        let seconds = |range: &RangeInclusive<u64>| format!("{}-{} s", range.start() / 1_000, range.end() / 1_000);
        let until = lasts.map_or("until the end".to_owned(), |lasts| format!("for {} s", lasts.as_secs()));
        let calls = |rates: Rates| {
            format!(
                "{:.1} % are throttled, {:.1} % not answered, {:.1} % done without an answer, {:.1} % late by up to {} ms",
                percent(rates.throttled),
                percent(rates.unavailable),
                percent(rates.lost),
                percent(rates.late),
                rates.latest.as_millis(),
            )
        };
        Some(format!(
            "{name} {until} (seed {seed}): of launches and terminations {}; of writes to the store {}; of what is only asked fewer; \
             {:.0} % of doorbells are lost and as many ring twice; one zone has no capacity for {:.0} % of launches; every {} an \
             agent is frozen, killed or restarted; every {} the controller or the monitor is killed",
            calls(ec2),
            calls(writes),
            percent(doorbells),
            percent(no_capacity),
            seconds(&agents_every_ms),
            seconds(&kills_every_ms),
        ))
    }
}

/// What a process is told of the faults that it shall inject.
#[derive(Clone, Debug, Args)]
pub struct FaultArgs {
    /// How much goes wrong.
    #[arg(long, value_enum, default_value_t)]
    pub(super) faults: Level,
    /// Until when, in milliseconds since 1970.
    #[arg(long, default_value_t = u64::MAX)]
    pub(super) faults_until_ms: u64,
    /// Seeds them.
    #[arg(long, default_value_t)]
    pub(super) faults_seed: u64,
}

impl FaultArgs {
    /// The arguments of a process that is started with these.
    pub(super) fn as_arguments(&self) -> Vec<String> {
        let level = self.faults.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let (until, seed) = (self.faults_until_ms.to_string(), self.faults_seed.to_string());
        ["--faults", &level, "--faults-until-ms", &until, "--faults-seed", &seed].map(String::from).into()
    }

    /// What goes wrong now; none: nothing any more, or at all.
    pub(super) fn now(&self) -> Option<Intensity> {
        let over = SystemClock.now() >= Timestamp::from_millis(self.faults_until_ms);
        self.faults.intensity().filter(|_| !over)
    }

    /// The schedule of the ports of the process `who`.
    pub(super) fn injecting(&self, who: &'static str) -> Injecting {
        let seeded = |of: fn(&Intensity) -> Rates, seed| {
            Seeded::new(self.faults.intensity().as_ref().map(of).unwrap_or_default(), seed)
        };
        let seed = self.faults_seed;
        Injecting {
            who,
            args: self.clone(),
            ec2: seeded(|intensity| intensity.ec2, seed.rotate_left(21)),
            writes: seeded(|intensity| intensity.writes, seed),
            reads: seeded(|intensity| intensity.reads, !seed),
        }
    }
}

/// A fault that was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injected {
    /// A call was throttled.
    Throttled,
    /// A call was not made and not answered.
    Unavailable,
    /// A call was made and not answered.
    Lost,
    /// A call, or its answer, was late.
    Late,
    /// A launch found no capacity.
    NoCapacity,
    /// A doorbell was lost.
    DoorbellLost,
    /// A doorbell rang twice.
    DoorbellDoubled,
    /// An agent was stopped for a moment.
    AgentFrozen,
    /// An agent was killed, and stays dead.
    AgentKilled,
    /// An agent was killed and is started again.
    AgentRestarted,
    /// The controller or the monitor was killed.
    ProcessKilled,
}

/// Says that a fault was injected: `what` is the call, the instance or the process.
pub(super) fn injected(from: &str, fault: Injected, what: &(impl ToString + ?Sized)) -> Line {
    Line::Fault { from: from.to_owned(), fault, what: what.to_string() }
}

/// A schedule that says what it injects.
#[derive(Debug)]
pub struct Injecting {
    who: &'static str,
    args: FaultArgs,
    ec2: Seeded,
    writes: Seeded,
    reads: Seeded,
}

impl Schedule for Injecting {
    fn fate(&self, call: Call) -> Fate {
        if self.args.now().is_none() {
            return Fate::GOES;
        }
        let fate = match call {
            Call::Launch | Call::Terminate => self.ec2.fate(call),
            call if call.changes() => self.writes.fate(call),
            call => self.reads.fate(call),
        };
        let name = serde_json::to_value(call).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default();
        let told = |fault| say(&injected(self.who, fault, &name));
        match fate.end {
            End::Answered => {}
            End::Fails(Kind::Throttled) => told(Injected::Throttled),
            End::Fails(Kind::NoCapacity) => told(Injected::NoCapacity),
            End::Fails(Kind::Conflict | Kind::Refused | Kind::Unavailable) => told(Injected::Unavailable),
            End::Lost => told(Injected::Lost),
        }
        if !(fate.before + fate.after).is_zero() {
            told(Injected::Late);
        }
        fate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rough_is_rougher_than_mild_and_none_is_nothing() {
        assert!(Level::None.intensity().is_none() && Level::None.told(1, None).is_none());
        let (mild, rough) = (Level::Mild.intensity().expect("faults"), Level::Rough.intensity().expect("faults"));
        assert!(mild.writes.lost < rough.writes.lost && mild.kills_every_ms.start() > rough.kills_every_ms.end());
        let told = Level::Rough.told(7, Some(Duration::from_secs(40))).expect("words");
        assert!(told.starts_with("rough for 40 s (seed 7): "), "{told}");
    }
}
