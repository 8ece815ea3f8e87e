//! EC2 as it is: states that take their time, tokens that are zonal and forgotten, lists that lag, tags that decide.
//!
//! The model is truthful and knows no faults: its callers say how far what they are told lies behind, and what fails. It
//! must never know what Muster wants.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_control::ports::{Fleet, FleetError, Found, Launched, Mark, Marks};
use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec, Token};
use muster_core::member::InstanceId;
use muster_core::snapshot::{FleetInstance, InstanceState};
use muster_core::time::Timestamp;

use crate::fault::Fault;

/// How long EC2 lists what has ended.
const LISTED_AFTER_END: Duration = Duration::from_secs(3_600);
/// What has ended is forgotten after this: its token is (a day at most), nobody lists it, and no record names it.
const FORGOTTEN_AFTER_END: Duration = Duration::from_secs(25 * 3_600);
/// From shutting down to terminated.
const SHUTTING_DOWN: Duration = Duration::from_secs(25);

/// One instance, with its past.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) made: Launched,
    pub(crate) group: GroupName,
    /// The launch that made it; none when somebody else did.
    pub(crate) spec: Option<LaunchSpec>,
    pub(crate) launched_at: Timestamp,
    /// Its states, each from a time on, oldest first; those to come are there already.
    states: Vec<(Timestamp, InstanceState)>,
    /// Whether it carries the group's tag, likewise.
    tagged: Vec<(Timestamp, bool)>,
    pub(crate) impaired: bool,
    pub(crate) protected: bool,
    /// Whether an operator has marked it for draining, likewise.
    marked: Vec<(Timestamp, bool)>,
    /// What took it away, when that was nobody of ours.
    pub(crate) taken_by: Option<Fault>,
}

fn at<T: Copy>(history: &[(Timestamp, T)], now: Timestamp) -> Option<T> {
    history.iter().rev().find(|(from, _)| *from <= now).map(|(_, value)| *value)
}

impl Instance {
    /// Its state at a time; none before its launch.
    pub(crate) fn state(&self, now: Timestamp) -> Option<InstanceState> {
        at(&self.states, now)
    }

    /// Whether EC2 runs it, or will.
    pub(crate) fn alive(&self, now: Timestamp) -> bool {
        self.state(now).is_some_and(|state| !state.is_gone())
    }

    pub(crate) fn running(&self, now: Timestamp) -> bool {
        self.state(now) == Some(InstanceState::Running)
    }

    /// Whether it carries the group's tag.
    pub(crate) fn ours(&self, now: Timestamp) -> bool {
        at(&self.tagged, now).unwrap_or(false)
    }

    /// Whether an operator has marked it for draining.
    pub(crate) fn marked(&self, now: Timestamp) -> bool {
        at(&self.marked, now).unwrap_or(false)
    }

    /// An operator marks it for draining, or takes the mark off.
    pub(crate) fn mark(&mut self, now: Timestamp, on: bool) {
        self.marked.push((now, on));
    }

    /// What EC2 says of it when it is `lag` behind.
    fn seen(&self, now: Timestamp, lag: Duration) -> Option<FleetInstance> {
        let then = now.minus(lag);
        let state = self.state(then)?;
        let (last, _) = *self.states.last()?;
        if state == InstanceState::Terminated && then.since(last) >= LISTED_AFTER_END {
            return None;
        }
        Some(FleetInstance {
            intent: self.spec.as_ref().map(|spec| spec.intent.clone()),
            launched_at: Some(self.launched_at),
            ours: self.ours(then),
            protected: self.protected,
            drain: self.marked(then),
            impaired: self.impaired,
            ..FleetInstance::plain(self.made.id.clone(), state)
        })
    }

    /// Goes through `states` from now on, whatever was to come.
    fn become_now(&mut self, now: Timestamp, states: &[(Duration, InstanceState)]) {
        self.states.retain(|(from, _)| *from <= now);
        self.states.extend(states.iter().map(|(after, state)| (now.plus(*after), *state)));
    }

    /// Ends it.
    pub(crate) fn end(&mut self, now: Timestamp) {
        if self.alive(now) {
            let ending = [(Duration::ZERO, InstanceState::ShuttingDown), (SHUTTING_DOWN, InstanceState::Terminated)];
            self.become_now(now, &ending);
        }
    }

    /// Stops it.
    pub(crate) fn stop(&mut self, now: Timestamp) {
        let stopping = [(Duration::ZERO, InstanceState::Stopping), (Duration::from_secs(20), InstanceState::Stopped)];
        self.become_now(now, &stopping);
    }

    pub(crate) fn tag(&mut self, now: Timestamp, ours: bool) {
        self.tagged.push((now, ours));
    }
}

#[derive(Clone, Debug)]
struct Remembered {
    spec: LaunchSpec,
    instance: InstanceId,
    at: Timestamp,
}

/// All instances of a region.
#[derive(Debug, Default)]
pub(crate) struct Ec2 {
    /// In the order of their launches, without those that are forgotten.
    instances: Vec<Instance>,
    index: BTreeMap<InstanceId, usize>,
    /// Those that were ever made.
    made: usize,
    /// Zonal: the same token in another zone is another token.
    tokens: BTreeMap<(String, Token), Remembered>,
}

/// A launch as EC2 answered it.
pub(crate) struct Made {
    pub(crate) launched: Launched,
    /// Whether it is new, and not the answer of an earlier call with this token.
    pub(crate) fresh: bool,
}

impl Ec2 {
    pub(crate) fn all(&self) -> &[Instance] {
        &self.instances
    }

    /// How many were ever made.
    pub(crate) const fn made(&self) -> usize {
        self.made
    }

    /// Forgets what ended long ago, and gives its ids: a run of a week must not carry its whole past along.
    pub(crate) fn forget(&mut self, now: Timestamp) -> Vec<InstanceId> {
        let gone = |instance: &Instance| {
            let last = instance.states.last().is_some_and(|(at, _)| now.since(*at) > FORGOTTEN_AFTER_END);
            last && instance.state(now) == Some(InstanceState::Terminated)
        };
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.instances).into_iter().partition(gone);
        self.instances = kept;
        let places = self.instances.iter().enumerate().map(|(at, instance)| (instance.made.id.clone(), at));
        self.index = places.collect();
        self.tokens.retain(|_, known| self.index.contains_key(&known.instance));
        gone.into_iter().map(|instance| instance.made.id).collect()
    }

    pub(crate) fn get(&self, id: &InstanceId) -> Option<&Instance> {
        self.index.get(id).and_then(|at| self.instances.get(*at))
    }

    /// Nobody carries the tag that protects from scale-in any more.
    pub(crate) fn unprotect(&mut self) {
        self.instances.iter_mut().for_each(|instance| instance.protected = false);
    }

    pub(crate) fn get_mut(&mut self, id: &InstanceId) -> Option<&mut Instance> {
        self.index.get(id).and_then(|at| self.instances.get_mut(*at))
    }

    /// What a token means now: its instance, the mismatch, or nothing.
    pub(crate) fn remembered(
        &self,
        spec: &LaunchSpec,
        now: Timestamp,
        memory: Duration,
    ) -> Option<Result<Launched, FleetError>> {
        let known = self.tokens.get(&(spec.zone.clone(), spec.token.clone()))?;
        if now.since(known.at) >= memory {
            return None;
        }
        let instance = self.get(&known.instance)?;
        Some(match (known.spec == *spec, instance.alive(now)) {
            (true, true) => Ok(instance.made.clone()),
            (true, false) => Err(FleetError::Ended("IdempotentInstanceTerminated".into())),
            (false, _) => Err(FleetError::Refused("IdempotentParameterMismatch".into())),
        })
    }

    /// RunInstances: a token launches once in its zone while it is remembered.
    pub(crate) fn launch(
        &mut self,
        spec: &LaunchSpec,
        now: Timestamp,
        pending: Duration,
        memory: Duration,
    ) -> Result<Made, FleetError> {
        if let Some(known) = self.remembered(spec, now, memory) {
            return known.map(|launched| Made { launched, fresh: false });
        }
        self.made += 1;
        let number = self.made;
        let id = InstanceId(format!("i-{number:05}"));
        let launched = Launched { id: id.clone(), endpoint: format!("10.0.{}.{}:7070", number / 250, number % 250) };
        self.tokens.insert(
            (spec.zone.clone(), spec.token.clone()),
            Remembered { spec: spec.clone(), instance: id.clone(), at: now },
        );
        self.index.insert(id, self.instances.len());
        self.instances.push(Instance {
            made: launched.clone(),
            group: spec.group.clone(),
            spec: Some(spec.clone()),
            launched_at: now,
            states: vec![(now, InstanceState::Pending), (now.plus(pending), InstanceState::Running)],
            tagged: vec![(now, true)],
            impaired: false,
            protected: false,
            marked: Vec::new(),
            taken_by: None,
        });
        Ok(Made { launched, fresh: true })
    }

    /// Somebody else's instance: it carries no intent.
    pub(crate) fn add_foreign(&mut self, group: &GroupName, now: Timestamp) -> InstanceId {
        self.made += 1;
        let id = InstanceId(format!("i-f{:04}", self.made));
        self.index.insert(id.clone(), self.instances.len());
        self.instances.push(Instance {
            made: Launched { id: id.clone(), endpoint: String::new() },
            group: group.clone(),
            spec: None,
            launched_at: now,
            states: vec![(now, InstanceState::Running)],
            tagged: vec![(now, false)],
            impaired: false,
            protected: false,
            marked: Vec::new(),
            taken_by: None,
        });
        id
    }

    /// TerminateInstances, allowed for the group's tag only.
    pub(crate) fn terminate(&mut self, group: &GroupName, id: &InstanceId, now: Timestamp) -> Result<(), FleetError> {
        match self.get_mut(id) {
            None => Ok(()),
            Some(known) if known.group != *group || !known.ours(now) => {
                Err(FleetError::Refused("UnauthorizedOperation: not tagged as this group's".into()))
            }
            Some(known) => {
                known.end(now);
                Ok(())
            }
        }
    }

    /// Instances under the group's tag, each as far behind as `lag` says.
    pub(crate) fn list(
        &self,
        group: &GroupName,
        now: Timestamp,
        lag: impl Fn(&Instance) -> Duration,
    ) -> Vec<FleetInstance> {
        let own = self.instances.iter().filter(|instance| instance.group == *group);
        own.filter_map(|instance| instance.seen(now, lag(instance))).filter(|seen| seen.ours).collect()
    }

    /// Instances by their ids, likewise.
    pub(crate) fn describe(
        &self,
        group: &GroupName,
        ids: &[InstanceId],
        now: Timestamp,
        lag: impl Fn(&Instance) -> Duration,
    ) -> Vec<FleetInstance> {
        let named = ids.iter().filter_map(|id| self.get(id));
        let seen = named.filter_map(|instance| {
            let seen = instance.seen(now, lag(instance))?;
            Some(FleetInstance { ours: seen.ours && instance.group == *group, ..seen })
        });
        seen.collect()
    }

    /// What a launch has come to, by client token and intent tag: these are attributes of the instance and outlive the
    /// token's own memory.
    pub(crate) fn find(&self, spec: &LaunchSpec, now: Timestamp, lag: impl Fn(&Instance) -> Duration) -> Found {
        let made = |instance: &&Instance| instance.spec.as_ref().is_some_and(|made| made.token == spec.token);
        let found = self.instances.iter().rev().filter(made);
        let seen = found.filter_map(|instance| Some((instance, instance.seen(now, lag(instance))?)));
        match seen.max_by_key(|(_, seen)| !seen.state.is_gone()) {
            None => Found::Nothing,
            Some((instance, seen)) if seen.state.is_gone() => Found::Ended(instance.made.id.clone()),
            Some((instance, _)) => Found::Running(instance.made.clone()),
        }
    }
}

/// The model behind a port without latency and faults: for the suite that every fleet must pass.
#[derive(Debug, Default)]
pub struct CalmFleet(Mutex<Ec2>);

impl CalmFleet {
    const NOW: Timestamp = crate::schedule::START;

    fn model(&self) -> MutexGuard<'_, Ec2> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fleet for CalmFleet {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        Ok(self.model().list(group, Self::NOW, |_| Duration::ZERO))
    }

    async fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        Ok(self.model().describe(group, ids, Self::NOW, |_| Duration::ZERO))
    }

    async fn template_version(&self, _: &str) -> Result<u64, FleetError> {
        Ok(1)
    }

    async fn launch(&self, spec: &LaunchSpec, _: u32) -> Result<Launched, FleetError> {
        let made = self.model().launch(spec, Self::NOW, Duration::ZERO, Duration::MAX)?;
        Ok(made.launched)
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        Ok(self.model().find(spec, Self::NOW, |_| Duration::ZERO))
    }

    async fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        _: &IntentId,
        _: u32,
    ) -> Result<(), FleetError> {
        self.model().terminate(group, instance, Self::NOW)
    }
}

impl Marks for CalmFleet {
    async fn mark(&self, group: &GroupName, instance: &InstanceId, mark: Mark, on: bool) -> Result<(), FleetError> {
        let mut model = self.model();
        let known = model.get_mut(instance).filter(|known| known.group == *group && known.ours(Self::NOW));
        let Some(known) = known else {
            return Err(FleetError::Refused("InvalidInstanceID.NotFound, or not tagged as this group's".into()));
        };
        match mark {
            Mark::Protected => known.protected = on,
            Mark::Drain => known.mark(Self::NOW, on),
        }
        Ok(())
    }
}
