//! Anything happens to anybody, at any moment of a look: what is drawn comes from the seed alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use muster_core::health::Observation;
use tokio::time::sleep;
use turmoil::{partition_oneway, repair};

use crate::world::{AGENTS, DEADLINE, MONITOR, Monitor, Outside, Seen, name, tell, tell_once};

/// How often something happens to somebody.
const ROUNDS: usize = 5;

/// What every message takes, so that a visit takes some 60 ms.
const LATENCY: Duration = Duration::from_millis(10);

/// A moment within a visit over a new connection, and some time after it.
const MOMENTS_MS: std::ops::Range<u64> = 0..90;

/// What happens to an agent in a look.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Nothing.
    Spared,
    /// The ways are cut before the look and repaired after it.
    CutOff(Ways),
    /// They are cut somewhere within the visit, and repaired after the look.
    CutAt(Ways, Duration),
    /// They are cut somewhere within the visit, and repaired before the second pass.
    CutShortly(Ways, Duration),
    /// The host starts again somewhere within the visit.
    Bounced(Duration),
}

/// To the agent, back from it, or both.
type Ways = (bool, bool);

impl Fate {
    fn draw(random: &mut Rng) -> Self {
        let moment = Duration::from_millis(random.u64(MOMENTS_MS));
        let ways = *random.choice(&[(true, false), (false, true), (true, true)]).expect("three");
        match random.u8(..6) {
            0 => Self::CutOff(ways),
            1 => Self::CutAt(ways, moment),
            2 => Self::CutShortly(ways, moment),
            3 => Self::Bounced(moment),
            _ => Self::Spared,
        }
    }

    /// Lets it happen to the agent's host, from the beginning of a look on.
    async fn befall(self, host: String, outside: Outside) {
        let cut = |(to, back): Ways| {
            if to {
                partition_oneway(MONITOR, host.as_str());
            }
            if back {
                partition_oneway(host.as_str(), MONITOR);
            }
        };
        match self {
            Self::Spared => {}
            Self::CutOff(ways) => cut(ways),
            Self::CutAt(ways, moment) => {
                sleep(moment).await;
                cut(ways);
            }
            Self::CutShortly(ways, moment) => {
                sleep(moment).await;
                cut(ways);
                sleep(DEADLINE * 9 / 10 - moment).await;
                repair(MONITOR, host.as_str());
            }
            Self::Bounced(moment) => {
                sleep(moment).await;
                outside.bounce(&host).await;
            }
        }
    }

    /// What a look may say of it, and what it may not.
    fn check(self, seen: &Seen, number: usize) {
        match self {
            Self::Spared | Self::CutShortly(..) | Self::Bounced(_) => drop(seen.answered(number).clone()),
            Self::CutOff(_) => seen.silent(number),
            Self::CutAt(..) => match seen.of(&name(number)) {
                Observation::Answered(_) => drop(seen.answered(number).clone()),
                _ => seen.silent(number),
            },
        }
    }
}

/// Whoever answers says the truth, who cannot is silent, and when nothing happens any more everybody answers in the first look.
async fn live_through(seed: u64, mut monitor: Monitor) -> Vec<String> {
    let mut random = Rng::with_seed(seed);
    for number in 0..AGENTS {
        monitor.outside.delay(&name(number), LATENCY).await;
    }
    let mut lines = Vec::new();
    for _ in 0..ROUNDS {
        let fates = [(); AGENTS].map(|()| Fate::draw(&mut random));
        let mut befallen = Vec::new();
        for (number, fate) in fates.into_iter().enumerate() {
            let befalls = fate.befall(name(number), monitor.outside.clone());
            if let Fate::CutOff(_) = fate {
                befalls.await;
            } else {
                befallen.push(tokio::spawn(befalls));
            }
        }
        println!("{fates:?}");
        let seen = monitor.look().await;
        for befalls in befallen {
            befalls.await.expect("it happens");
        }
        for (number, fate) in fates.into_iter().enumerate() {
            fate.check(&seen, number);
            repair(MONITOR, name(number));
        }
        lines.push(seen.line());
        let seen = monitor.look().await;
        seen.only_silent(&[]);
        lines.push(seen.line());
    }
    lines
}

#[test]
fn whatever_happens_nobody_is_told_what_is_not_so_and_after_it_everybody_answers() {
    tell(&[], |seed, monitor| async move {
        live_through(seed, monitor).await;
    });
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let told = |seed| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        tell_once(seed, &[], move |seed, monitor| {
            let kept = Arc::clone(&kept);
            async move {
                let lines = live_through(seed, monitor).await;
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = lines;
            }
        });
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(lines.len(), 2 * ROUNDS);
        lines
    };
    assert_eq!(told(11), told(11));
    assert_ne!(told(11), told(12));
}
