//! Where samples come from: the kernel's `/proc`, or a simulated load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use procfs::{CpuPressure, CpuTime, Current, CurrentSI, KernelStats, Meminfo};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::agent::Agent;
use crate::ring::{Sample, percent};
use crate::simulate::Simulated;

/// A source of samples, asked once a sample interval.
#[derive(Debug)]
pub enum Source {
    /// This machine.
    Proc(Proc),
    /// A load that moves towards a target.
    Simulated(Simulated),
}

impl Source {
    /// The next sample. `Ok(None)` when there is nothing to say yet.
    ///
    /// # Errors
    /// When `/proc` cannot be read or understood.
    pub fn sample(&mut self) -> Result<Option<Sample>, SourceError> {
        match self {
            Self::Proc(proc) => proc.sample(),
            Self::Simulated(simulated) => Ok(Some(simulated.sample())),
        }
    }
}

/// Takes a sample every `every`, for ever, and gives it to `agent`.
pub async fn run(mut source: Source, every: Duration, agent: Arc<Agent>) {
    let mut ticks = interval(every);
    // A late sample is late: two at once would say nothing of the time between them.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let sample = source.sample();
        if let Err(error) = &sample
            && !failing
        {
            warn!(error = error as &dyn std::error::Error, "Cannot measure.");
        }
        failing = sample.is_err();
        if let Ok(Some(sample)) = sample {
            agent.sample(sample);
        }
    }
}

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
#[error("/proc/stat cannot be read")]
pub struct SourceError(#[from] procfs::ProcError);

/// The counters of `/proc`, read as differences between two readings.
///
/// The kernel's own averages are not used: they reach further back than one sample.
#[derive(Debug, Default)]
pub struct Proc {
    before: Option<(Times, Option<Stall>)>,
}

impl Proc {
    /// What happened since the call before; `Ok(None)` at the first, and when no time has passed.
    fn sample(&mut self) -> Result<Option<Sample>, SourceError> {
        let times = Times::from(&KernelStats::current()?.total);
        // Pressure and memory are extras: a kernel without them still has a load.
        let stall = CpuPressure::current()
            .ok()
            .map(|pressure| Stall { at: Instant::now(), waited: Duration::from_micros(pressure.some.total) });
        let Some((times_before, stall_before)) = self.before.replace((times, stall)) else {
            return Ok(None);
        };
        Ok(times.since(times_before).map(|(cpu, steal)| Sample {
            cpu,
            memory: memory(),
            pressure: stall.zip(stall_before).and_then(|(now, before)| now.since(before)),
            steal: Some(steal),
        }))
    }
}

/// Processor time since the machine's start, in clock ticks over all processors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Times {
    busy: u64,
    idle: u64,
    steal: u64,
}

impl From<&CpuTime> for Times {
    fn from(time: &CpuTime) -> Self {
        // Guests' time is part of user and nice already.
        let busy = [time.user, time.nice, time.system];
        let interrupts = [time.irq, time.softirq].into_iter().flatten();
        Self {
            busy: busy.into_iter().chain(interrupts).fold(0, u64::saturating_add),
            // A processor that waits for a disk is free for others.
            idle: time.idle.saturating_add(time.iowait.unwrap_or(0)),
            steal: time.steal.unwrap_or(0),
        }
    }
}

impl Times {
    /// Shares in use and stolen, in percent. Stolen time counts as in use: a machine whose
    /// hypervisor gives it nothing more is full, however little it gets done.
    fn since(self, before: Self) -> Option<(f64, f64)> {
        // The kernel lets the waiting time run backwards now and then.
        let busy = self.busy.saturating_sub(before.busy) as f64;
        let idle = self.idle.saturating_sub(before.idle) as f64;
        let steal = self.steal.saturating_sub(before.steal) as f64;
        let total = busy + idle + steal;
        Some((percent(100.0 * (busy + steal) / total)?, percent(100.0 * steal / total)?))
    }
}

/// How long tasks have waited for a processor since the machine's start.
#[derive(Clone, Copy, Debug)]
struct Stall {
    at: Instant,
    waited: Duration,
}

impl Stall {
    fn since(self, before: Self) -> Option<f64> {
        let passed = self.at.saturating_duration_since(before.at).as_secs_f64();
        percent(100.0 * self.waited.saturating_sub(before.waited).as_secs_f64() / passed)
    }
}

/// Share of memory that no new program could have, in percent.
fn memory() -> Option<f64> {
    let memory = Meminfo::current().ok()?;
    let used = memory.mem_total.checked_sub(memory.mem_available?)?;
    percent(100.0 * used as f64 / memory.mem_total as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_processor_time() {
        // busy, idle, steal: before and after; in use, stolen
        let cases = [
            ((0, 0, 0), (50, 50, 0), Some((50.0, 0.0))),
            ((10, 10, 0), (10, 110, 0), Some((0.0, 0.0))),
            ((0, 0, 0), (25, 50, 25), Some((50.0, 25.0))),
            ((0, 0, 0), (0, 0, 100), Some((100.0, 100.0))),
            // The idle counter ran backwards.
            ((0, 100, 0), (50, 90, 0), Some((100.0, 0.0))),
            // No time has passed.
            ((7, 7, 7), (7, 7, 7), None),
        ];
        for (before, after, expected) in cases {
            let times = |(busy, idle, steal)| Times { busy, idle, steal };
            assert_eq!(times(after).since(times(before)), expected, "{before:?} -> {after:?}");
        }
    }

    #[test]
    fn shares_of_waiting_time() {
        let at = Instant::now();
        let before = Stall { at, waited: Duration::from_secs(5) };
        let cases =
            [(1_000, 5_000, Some(0.0)), (1_000, 5_250, Some(25.0)), (1_000, 9_000, Some(100.0)), (0, 5_000, None)];
        for (passed_ms, waited_ms, expected) in cases {
            let at = at + Duration::from_millis(passed_ms);
            let now = Stall { at, waited: Duration::from_millis(waited_ms) };
            assert_eq!(now.since(before), expected, "{passed_ms} ms, {waited_ms} ms");
        }
    }

    #[test]
    fn this_machine_can_be_read() -> Result<(), SourceError> {
        let mut source = Source::Proc(Proc::default());
        assert_eq!(source.sample()?, None, "one reading makes no difference");
        // Ticks pass every 10 ms; asking until they do waits for the event itself.
        let sample = loop {
            if let Some(sample) = source.sample()? {
                break sample;
            }
        };
        assert!((0.0..=100.0).contains(&sample.cpu), "{sample:?}");
        assert!(sample.memory.is_some_and(|memory| memory > 0.0), "{sample:?}");
        Ok(())
    }
}
