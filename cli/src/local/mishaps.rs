//! What befalls the fleet under `--faults`: agents that are frozen, killed or restarted, and a zone without capacity.
//!
//! Nothing here may ask for what no autoscaler could give. Agents are frozen for less than the demo policy's patience; one
//! is killed only while all others have theirs, so that somebody answers; and the zone that lacks is always the same one,
//! because a place that lacked is left alone for minutes (L4).

use std::collections::BTreeMap;
use std::time::Duration;

use muster_core::intent::LaunchSpec;
use muster_core::member::InstanceId;
use muster_core::time::Timestamp;
use rustix::process::Signal;

use super::agents::Agents;
use super::faults::{FaultArgs, Injected, injected};
use super::process::say;

/// How long a frozen agent stays so; the demo policy gives a silent member up after 5 s.
const FROZEN_MS: std::ops::RangeInclusive<u64> = 1_000..=3_500;
/// How long an agent is left in peace after it.
const REST: Duration = Duration::from_secs(5);
/// Of a thousand freezes, those that hold every agent.
const FREEZES_OF_ALL: u16 = 250;
/// Agents that must be left when one is killed.
const LEFT: usize = 2;

/// The mishaps of a fleet.
#[derive(Debug)]
pub struct Mishaps {
    args: FaultArgs,
    random: fastrand::Rng,
    /// When the next agent has one.
    next: Option<Timestamp>,
    /// Agents that are frozen, and until when.
    frozen: Vec<(Timestamp, InstanceId)>,
    /// Agents that are left in peace until then: silences must not add up to more than that patience.
    resting: BTreeMap<InstanceId, Timestamp>,
    /// The zone that has no capacity now and then: the first that ever lacked.
    dry: Option<String>,
}

impl Mishaps {
    /// Those that `args` asks for.
    pub fn new(args: &FaultArgs) -> Self {
        let random = fastrand::Rng::with_seed(args.faults_seed);
        Self { args: args.clone(), random, next: None, frozen: Vec::new(), resting: BTreeMap::new(), dry: None }
    }

    /// Whether EC2 has no capacity for a launch that is new to it.
    pub fn lacks_capacity(&mut self, spec: &LaunchSpec) -> bool {
        let Some(intensity) = self.args.now() else { return false };
        // Without a zone there is nowhere else to go.
        let may = !spec.zone.is_empty() && self.dry.as_ref().is_none_or(|zone| *zone == spec.zone);
        let lacks = may && self.random.u16(0..1_000) < intensity.no_capacity;
        if lacks {
            self.dry = Some(spec.zone.clone());
            say(&injected("fleet", Injected::NoCapacity, &spec.zone));
        }
        lacks
    }

    /// Lets happen what is due. `serving` are the instances that run and whose agent has listened, dead agents included; the
    /// agent of whoever is given back is to be started again.
    pub fn befall(&mut self, agents: &mut Agents, serving: &[InstanceId], now: Timestamp) -> Option<InstanceId> {
        self.frozen.retain(|(until, id)| {
            let due = now >= *until;
            if due {
                agents.signal_one(id, Signal::CONT);
            }
            !due
        });
        let intensity = self.args.now()?;
        let due = self.next.is_some_and(|next| now >= next);
        if due || self.next.is_none() {
            self.next = Some(now.plus(Duration::from_millis(self.random.u64(intensity.agents_every_ms))));
        }
        self.resting.retain(|_, until| now < *until);
        let living = serving.iter().filter(|id| agents.has(id)).count();
        let ready: Vec<&InstanceId> =
            serving.iter().filter(|id| agents.has(id) && !self.resting.contains_key(id)).collect();
        if !due || ready.is_empty() {
            return None;
        }
        let one = ready[self.random.usize(0..ready.len())].clone();
        let all_live = living == serving.len();
        match self.random.u8(0..3) {
            0 if all_live && living > LEFT => {
                agents.kill(&one);
                say(&injected("fleet", Injected::AgentKilled, &one));
                None
            }
            1 => {
                agents.kill(&one);
                say(&injected("fleet", Injected::AgentRestarted, &one));
                self.resting.insert(one.clone(), now.plus(REST));
                Some(one)
            }
            _ => {
                let until = now.plus(Duration::from_millis(self.random.u64(FROZEN_MS)));
                let all = self.random.u16(0..1_000) < FREEZES_OF_ALL;
                for id in ready.into_iter().filter(|id| all || **id == one) {
                    agents.signal_one(id, Signal::STOP);
                    say(&injected("fleet", Injected::AgentFrozen, id));
                    self.frozen.push((until, id.clone()));
                    self.resting.insert(id.clone(), until.plus(REST));
                }
                None
            }
        }
    }
}
