//! Measures looks at real agents: processor and wall time an agent. `bench/run` calls it.
//!
//! `sweep fresh|kept LOOKS` reads endpoints on standard input, one a line, and looks at all of them, once to warm up
//! and then LOOKS times: `fresh` over new connections each time, `kept` over those of the look before. Prints, as JSON,
//! each look's time in microseconds an agent. Fails unless every agent answers every time: a quick look that misses
//! some is no quick look.

use std::error::Error;
use std::io::stdin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use muster_control::ports::{AgentProbe, Clock, Order, Target};
use muster_core::health::Observation;
use muster_core::time::{Timestamp, millis};
use muster_probe::{GrpcProbe, Settings};
use rustix::time::{ClockId, clock_gettime};

/// The machine's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

// One thread, as in a Lambda below 1,769 MB.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const USAGE: &str = "usage: sweep fresh|kept LOOKS, with endpoints on standard input";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (keep, looks) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fresh", looks] => (false, looks.parse::<usize>()?),
        ["kept", looks] => (true, looks.parse::<usize>()?),
        _ => return Err(USAGE.into()),
    };
    let targets = stdin().lines().map(|line| line.map(target)).collect::<Result<Vec<_>, _>>()?;
    let agents = f64::from(u32::try_from(targets.len())?);

    let probe = || GrpcProbe::new(SystemClock, Settings::default());
    let mut current = probe();
    let (mut cpu_us, mut wall_us) = (Vec::new(), Vec::new());
    for look in 0..=looks {
        let (wall, cpu) = (Instant::now(), cpu_seconds());
        let probed = current.probe(&targets).await;
        if !keep {
            current = probe();
            // The tasks of the connections just dropped end in here.
            tokio::task::yield_now().await;
        }
        let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
        let silent = probed.observations.values().find(|seen| !matches!(seen, Observation::Answered(_)));
        if let Some(seen) = silent {
            return Err(format!("an agent did not answer: {seen:?} (blind: {:?})", probed.blind).into());
        }
        if look > 0 {
            cpu_us.push(cpu * 1e6 / agents);
            wall_us.push(wall * 1e6 / agents);
        }
    }
    println!(r#"{{"cpu_us": {cpu_us:?}, "wall_us": {wall_us:?}}}"#);
    Ok(())
}

fn target(endpoint: String) -> Target {
    Target { id: endpoint.as_str().into(), endpoint, cursor: 0, boot_id: String::new(), order: Order::Look }
}

/// Processor time that this process has used, all threads together.
fn cpu_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(spent).unwrap_or_default().as_secs_f64()
}
