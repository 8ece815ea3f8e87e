//! What the calls of EC2 do to the truth: the model's answers, with everything that AWS may put in their way.

use std::time::Duration;

use muster_control::ports::{FleetError, Found, Launched};
use muster_core::intent::{IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;
use muster_core::time::Timestamp;

use crate::agents::Agent;
use crate::dice::{Dice, Purpose, between, join};
use crate::ec2::Instance;
use crate::fault::Fault;
use crate::history::Done;
use crate::story::Weight;
use crate::world::{RunId, World};

/// The furthest that DescribeInstances lies behind.
const LONGEST_LAG: u64 = 20_000;
/// How long a token is remembered; the shortest that Muster must live with is L10's quarter of an hour.
const TOKEN_MEMORY: Duration = Duration::from_secs(24 * 3_600);
const SHORT_TOKEN_MEMORY: Duration = Duration::from_secs(15 * 60 + 10);

/// How far behind EC2 is about each instance.
struct Lag {
    dice: Dice,
    rate: f64,
    now: Timestamp,
}

impl Lag {
    /// It holds for a while: the same replica answers.
    fn of(&self, instance: &Instance) -> Duration {
        if self.rate == 0.0 {
            return Duration::ZERO;
        }
        let number = instance.made.id.0.bytes().fold(0, |sum, byte| join(sum, u64::from(byte)));
        let mut rng = self.dice.fault(Fault::StaleDescribe, join(number, self.now.as_millis() / LONGEST_LAG));
        if rng.f64() < self.rate { Duration::from_millis(between(&mut rng, 500, LONGEST_LAG)) } else { Duration::ZERO }
    }
}

impl World {
    fn lag(&self) -> Lag {
        let rate =
            if self.calm() { 0.0 } else { self.schedule.rates.get(&Fault::StaleDescribe).copied().unwrap_or(0.0) };
        Lag { dice: self.dice, rate, now: self.now }
    }

    fn memory(&self) -> Duration {
        let expiring = self.schedule.script.iter().any(|happening| happening.fault == Fault::TokenExpired);
        if expiring { SHORT_TOKEN_MEMORY } else { TOKEN_MEMORY }
    }

    /// Notes whether what EC2 told lies behind the truth.
    fn told(&mut self, run: RunId, seen: &[FleetInstance]) {
        let now = self.now;
        let behind = |seen: &FleetInstance| {
            self.ec2.get(&seen.id).is_some_and(|instance| instance.state(now) != Some(seen.state))
        };
        let missing = |instance: &Instance| {
            instance.alive(now) && instance.ours(now) && !seen.iter().any(|seen| seen.id == instance.made.id)
        };
        let stale = seen.iter().any(behind) || self.ec2.all().iter().any(missing);
        if stale {
            self.tally.inject(Fault::StaleDescribe);
        }
        if let Some(mine) = self.runs.get_mut(&run) {
            mine.stale |= stale;
        }
    }

    pub(crate) fn list(&mut self, run: RunId) -> Vec<FleetInstance> {
        let lag = self.lag();
        let seen = self.ec2.list(&self.group, self.now, |instance| lag.of(instance));
        self.told(run, &seen);
        if let Some(mine) = self.runs.get_mut(&run) {
            mine.deciding = true;
        }
        seen
    }

    pub(crate) fn describe(&self, _: RunId, ids: &[InstanceId]) -> Vec<FleetInstance> {
        let lag = self.lag();
        self.ec2.describe(&self.group, ids, self.now, |instance| lag.of(instance))
    }

    pub(crate) fn launch(&mut self, run: RunId, spec: &LaunchSpec) -> Result<Launched, FleetError> {
        self.o1_the_mode_is_obeyed(run, false);
        let memory = self.memory();
        if self.ec2.remembered(spec, self.now, memory).is_none() {
            self.may_launch(spec)?;
        }
        let mut rng = self.dice.of(Purpose::Boot, join(self.ec2.made() as u64, 7));
        let pending = Duration::from_millis(between(&mut rng, 3_000, 12_000));
        let made = self.ec2.launch(spec, self.now, pending, memory)?;
        let id = made.launched.id.clone();
        if made.fresh {
            self.tell(Weight::Deed, |w| {
                format!("{} launches {id} in {} for {} as {:?}", w.who(run), spec.zone, spec.intent, spec.replaces)
            });
            self.boot(&id, spec);
            self.record(&id, Done::Launched(spec.template_version));
            self.check_launch(&id, spec);
        } else {
            self.tell(Weight::Deed, |w| format!("{} is told again that {} launched {id}", w.who(run), spec.intent));
        }
        Ok(made.launched)
    }

    /// Capacity and permissions.
    fn may_launch(&mut self, spec: &LaunchSpec) -> Result<(), FleetError> {
        if let Some((_, happening)) = self.under_way(Fault::Capacity) {
            // One zone, two zones, one type everywhere, or nothing anywhere.
            let pick = happening.pick;
            let zone = pick.wrapping_add(u64::from(spec.zone.bytes().last().unwrap_or_default())) % 3;
            let none = match pick / 3 % 5 {
                0 | 1 => zone == 0,
                2 => zone != 0,
                3 => spec.instance_type == "small",
                _ => true,
            };
            if none {
                self.tally.inject(Fault::Capacity);
                return Err(FleetError::NoCapacity("InsufficientInstanceCapacity".into()));
            }
        }
        if self.under_way(Fault::Permission).is_some_and(|(_, happening)| happening.pick % 3 != 0) {
            self.tally.inject(Fault::Permission);
            return Err(FleetError::Refused("UnauthorizedOperation: ec2:RunInstances".into()));
        }
        Ok(())
    }

    /// The agent of a new instance.
    fn boot(&mut self, id: &InstanceId, spec: &LaunchSpec) {
        let about = join(id.0.bytes().fold(0, |sum, byte| join(sum, u64::from(byte))), 3);
        let mut rng = self.dice.of(Purpose::Boot, about);
        let mut boots = Duration::from_millis(between(&mut rng, 15_000, 50_000));
        let drains = Duration::from_millis(between(&mut rng, 1_000, 25_000));
        let mut badly = None;
        let mut never = false;
        // Whoever names no version gets the default one.
        let version = if spec.template_version == 0 { self.template } else { spec.template_version };
        if self.bad_templates.contains(&version) {
            self.tally.inject(Fault::BadImage);
            (badly, never) = (Some(Fault::BadImage), true);
        } else if self.strikes(Fault::BadBoot, about) {
            (badly, never) = (Some(Fault::BadBoot), true);
        } else if self.strikes(Fault::SlowBoot, about) {
            badly = Some(Fault::SlowBoot);
            boots = Duration::from_millis(between(&mut rng, 100_000, 400_000));
        }
        let busy = self.strikes(Fault::Busy, about);
        let boots_at = (!never).then(|| self.now.plus(boots));
        let mut agent = Agent::new(&spec.zone, boots_at, (!busy).then_some(drains));
        agent.boots_badly = badly;
        // Protected by its own word, by a tag, or not at all (D2).
        if !self.calm() && rng.f64() < self.schedule.protected {
            agent.protected = rng.bool();
            if let Some(instance) = self.ec2.get_mut(id) {
                instance.protected = !agent.protected;
            }
        }
        self.agents.insert(id.clone(), agent);
    }

    pub(crate) fn find(&mut self, run: RunId, spec: &LaunchSpec) -> Found {
        // Without the lookup the next launch would be a second one.
        let launched = self.ec2.all().iter().any(|i| i.spec.as_ref().is_some_and(|made| made.token == spec.token));
        if launched && self.ec2.remembered(spec, self.now, self.memory()).is_none() {
            self.tally.change(Fault::TokenExpired);
        }
        let lag = self.lag();
        let found = self.ec2.find(spec, self.now, |instance| lag.of(instance));
        self.tell(Weight::Deed, |w| format!("{} looks {} up: {found:?}", w.who(run), spec.intent));
        found
    }

    pub(crate) fn terminate(&mut self, run: RunId, instance: &InstanceId, intent: &IntentId) -> Result<(), FleetError> {
        self.o1_the_mode_is_obeyed(run, true);
        self.check_termination(instance, intent);
        if self.under_way(Fault::Permission).is_some_and(|(_, happening)| happening.pick % 3 == 0) {
            self.tally.inject(Fault::Permission);
            return Err(FleetError::Refused("UnauthorizedOperation: ec2:TerminateInstances".into()));
        }
        let ended = self.ec2.terminate(&self.group, instance, self.now);
        let said = if ended.is_ok() { "ends" } else { "may not end" };
        self.tell(Weight::Deed, |w| format!("{} {said} {instance} for {intent}", w.who(run)));
        self.check_state();
        ended
    }
}
