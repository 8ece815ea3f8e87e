//! A load without a machine: it moves towards a target that the parent writes on standard input.
//!
//! The local world steers its agents with it. Like a real load it never jumps: between two samples it
//! moves by at most [`POINTS_PER_SECOND`], noise included. The same seed and the same targets give the
//! same samples.

use std::io::{BufRead, Read};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::ring::Sample;

/// How fast the load moves at most.
pub const POINTS_PER_SECOND: f64 = 10.0;

/// Longest line that is read; what is longer is thrown away up to its end.
pub const MAX_LINE_BYTES: usize = 1024;

/// A simulated load.
#[derive(Debug)]
pub struct Simulated {
    random: fastrand::Rng,
    target: watch::Receiver<f64>,
    /// Largest distance of a sample from the load, in points.
    noise: f64,
    /// Largest step between two samples, in points.
    step: f64,
    /// Where the load is, without noise.
    load: f64,
    /// The sample before.
    shown: Option<f64>,
}

impl Simulated {
    /// A load that starts at `load` (0-100), moves towards `target` and wavers by `noise` points at
    /// most, asked once every `interval`.
    #[must_use]
    pub fn new(seed: u64, load: f64, noise: f64, interval: Duration, target: watch::Receiver<f64>) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let step = POINTS_PER_SECOND * interval.as_secs_f64();
        Self { random, target, noise, step, load, shown: None }
    }

    /// The next sample; the first is the initial load itself.
    pub fn sample(&mut self) -> Sample {
        let Some(before) = self.shown else {
            self.shown = Some(self.load);
            return sample(self.load);
        };
        let target = *self.target.borrow();
        self.load += (target - self.load).clamp(-self.step, self.step);
        let wavering = self.load + self.noise * (2.0 * self.random.f64() - 1.0);
        let cpu = wavering.clamp(before - self.step, before + self.step).clamp(0.0, 100.0);
        self.shown = Some(cpu);
        sample(cpu)
    }
}

/// A sample of a plausible machine under this load: memory follows it slowly, nothing is stolen.
fn sample(cpu: f64) -> Sample {
    Sample { cpu, memory: Some(30.0 + cpu / 4.0), pressure: None, steal: Some(0.0) }
}

/// Reads targets from `input` until it ends; blocks, so it wants a thread of its own.
///
/// A line that is not understood is logged and changes nothing, and so does the end of the input.
pub fn steer(mut input: impl BufRead, target: &watch::Sender<f64>) {
    loop {
        match next_line(&mut input) {
            Ok(None) => return info!("Standard input has ended, the last target stays."),
            Ok(Some(line)) => match parse(&line) {
                Ok(load) => {
                    target.send_replace(load);
                }
                Err(error) => warn!(%error, "Ignored a line on standard input."),
            },
            Err(error) => return warn!(%error, "Standard input cannot be read."),
        }
    }
}

/// The next line without its end, or of a longer one a piece that is too long to be understood.
fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = MAX_LINE_BYTES as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") {
        line.pop();
    } else if line.len() > MAX_LINE_BYTES {
        input.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

/// Why a line is not a target.
#[derive(Debug, PartialEq, thiserror::Error)]
enum LineError {
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    Long,
    #[error("{0:?} is not \"target LOAD\" with a load of 0-100")]
    Unknown(String),
}

fn parse(line: &[u8]) -> Result<f64, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::Long);
    }
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let (name, load, rest) = (words.next(), words.next(), words.next());
    match load.and_then(|load| load.parse().ok()) {
        Some(load) if name == Some("target") && rest.is_none() && (0.0..=100.0).contains(&load) => Ok(load),
        _ => Err(LineError::Unknown(line.chars().take(80).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lines(input: &[u8]) -> f64 {
        let (sender, receiver) = watch::channel(-1.0);
        steer(input, &sender);
        *receiver.borrow()
    }

    #[test]
    fn the_first_sample_is_the_initial_load() {
        let (_sender, target) = watch::channel(90.0);
        let mut simulated = Simulated::new(1, 20.0, 1.0, SECOND, target);
        assert_eq!(simulated.sample().cpu, 20.0);
    }

    #[test]
    fn without_noise_the_load_walks_to_its_target() {
        let (sender, target) = watch::channel(25.0);
        let mut simulated = Simulated::new(1, 0.0, 0.0, SECOND, target);
        let mut walk = |steps| -> Vec<f64> { (0..steps).map(|_| simulated.sample().cpu).collect() };
        assert_eq!(walk(5), [0.0, 10.0, 20.0, 25.0, 25.0]);
        sender.send_replace(3.5);
        assert_eq!(walk(4), [15.0, 5.0, 3.5, 3.5]);
    }

    #[test]
    fn the_same_seed_gives_the_same_samples() {
        let walk = |seed| -> Vec<f64> {
            let (_sender, target) = watch::channel(50.0);
            let mut simulated = Simulated::new(seed, 0.0, 1.0, SECOND, target);
            (0..20).map(|_| simulated.sample().cpu).collect()
        };
        assert_eq!(walk(7), walk(7));
        assert_ne!(walk(7), walk(8));
    }

    proptest! {
        #[test]
        fn the_load_never_jumps(
            seed: u64,
            initial in 0.0..=100.0,
            noise in 0.0..=1.0,
            interval_ms in 50_u64..=10_000,
            targets in proptest::collection::vec(0.0..=100.0, 1..50),
        ) {
            let (sender, target) = watch::channel(initial);
            let interval = Duration::from_millis(interval_ms);
            let mut simulated = Simulated::new(seed, initial, noise, interval, target);
            let bound = POINTS_PER_SECOND * interval.as_secs_f64() + 1e-9;
            let mut before = initial;
            for target in targets {
                sender.send_replace(target);
                let cpu = simulated.sample().cpu;
                prop_assert!((0.0..=100.0).contains(&cpu), "{cpu}");
                prop_assert!((cpu - before).abs() <= bound, "from {before} to {cpu}");
                before = cpu;
            }
        }

        #[test]
        fn the_load_settles_within_its_noise(
            seed: u64,
            initial in 0.0..=100.0,
            noise in 0.0..=1.0,
            goal in 0.0..=100.0,
        ) {
            let (_sender, target) = watch::channel(goal);
            let mut simulated = Simulated::new(seed, initial, noise, SECOND, target);
            let cpu = (0..13).map(|_| simulated.sample().cpu).last().unwrap_or(f64::NAN);
            prop_assert!((cpu - goal).abs() <= noise + 1e-9, "{cpu} for {goal}");
        }

        #[test]
        fn no_input_stops_the_steering(input: Vec<u8>) {
            let load = lines(&[input.as_slice(), b"\ntarget 42\n"].concat());
            prop_assert_eq!(load, 42.0);
        }
    }

    #[test]
    fn lines_that_are_targets() {
        for (line, load) in [("target 63.5", 63.5), (" target\t0 \r", 0.0), ("target 100", 100.0), ("target 1e1", 10.0)]
        {
            assert_eq!(parse(line.as_bytes()), Ok(load), "{line:?}");
        }
    }

    #[test]
    fn lines_that_are_not() {
        for line in [
            "",
            "target",
            "63.5",
            "target -1",
            "target 100.1",
            "target NaN",
            "target inf",
            "target 5 6",
            "load 5",
            "TARGET 5",
            "target 5%",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(LineError::Unknown(line.into())), "{line:?}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_discarded_whole() {
        let long = |bytes: usize| format!("target 1{}", " ".repeat(bytes - 8));
        let over = long(MAX_LINE_BYTES + 1);
        // Its tail would be a target if it were read as a line of its own.
        let tail = format!("{}target 9", "x".repeat(MAX_LINE_BYTES + 1));
        assert_eq!(lines(format!("{}\n", long(MAX_LINE_BYTES)).as_bytes()), 1.0);
        assert_eq!(lines(format!("target 5\n{over}\n{tail}\n").as_bytes()), 5.0);
        assert_eq!(lines(format!("{tail}\ntarget 7").as_bytes()), 7.0);
    }
}
