//! What EC2 says of an instance, as the port's own types.

use aws_sdk_ec2::types::{Instance, InstanceStateName, Tag};
use muster_control::ports::Mark;
use muster_core::group::GroupName;
use muster_core::intent::IntentId;
use muster_core::member::InstanceId;
use muster_core::snapshot::{FleetInstance, InstanceState};
use muster_core::time::Timestamp;

/// The stack that has launched an instance.
pub(super) const STACK: &str = "muster:stack";
/// The group that it belongs to.
pub(super) const GROUP: &str = "muster:group";
/// The intent that it was launched for.
pub(super) const INTENT: &str = "muster:intent";
/// The tags of an instance.
#[derive(Clone, Copy)]
pub(super) struct Tags<'a>(pub(super) &'a Instance);

impl<'a> Tags<'a> {
    fn get(self, key: &str) -> Option<&'a str> {
        self.0.tags().iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
    }

    /// Whether they name this group of this stack.
    pub(super) fn name(self, stack: &str, group: &GroupName) -> bool {
        self.get(STACK) == Some(stack) && self.get(GROUP) == Some(&group.to_string())
    }

    /// Whether there are none.
    pub(super) fn are_none(self) -> bool {
        self.0.tags().is_empty()
    }

    /// The intent that they name.
    pub(super) fn intent(self) -> Option<IntentId> {
        self.get(INTENT).map(|intent| IntentId(intent.to_owned()))
    }

    /// Whether they carry an operator's mark (D2, D8).
    fn carry(self, mark: Mark) -> bool {
        self.get(mark.key()) == Some(Mark::VALUE)
    }
}

/// What an instance must say and does not.
#[derive(Debug, thiserror::Error)]
pub(super) enum Odd {
    #[error("an instance has no id")]
    NoId,
    #[error("{id} is in the state {state:?}, which is not one of EC2's six")]
    State { id: String, state: String },
}

/// The facts of an instance. A state that we do not know makes the answer useless: nothing can be concluded from it.
pub(super) fn facts(instance: &Instance, stack: &str, group: &GroupName, impaired: bool) -> Result<FleetInstance, Odd> {
    let id = instance.instance_id().filter(|id| !id.is_empty()).ok_or(Odd::NoId)?;
    let tags = Tags(instance);
    let launched_at = instance.launch_time().and_then(|time| u64::try_from(time.to_millis().ok()?).ok());
    Ok(FleetInstance {
        id: InstanceId::from(id),
        state: state(instance)?,
        intent: tags.intent(),
        launched_at: launched_at.map(Timestamp::from_millis),
        ours: tags.name(stack, group),
        protected: tags.carry(Mark::Protected),
        drain: tags.carry(Mark::Drain),
        impaired,
    })
}

/// The state of an instance.
pub(super) fn state(instance: &Instance) -> Result<InstanceState, Odd> {
    let name = instance.state().and_then(|state| state.name());
    match name {
        Some(InstanceStateName::Pending) => Ok(InstanceState::Pending),
        Some(InstanceStateName::Running) => Ok(InstanceState::Running),
        Some(InstanceStateName::Stopping) => Ok(InstanceState::Stopping),
        Some(InstanceStateName::Stopped) => Ok(InstanceState::Stopped),
        Some(InstanceStateName::ShuttingDown) => Ok(InstanceState::ShuttingDown),
        Some(InstanceStateName::Terminated) => Ok(InstanceState::Terminated),
        other => Err(Odd::State {
            id: instance.instance_id().unwrap_or_default().to_owned(),
            state: other.map(|name| name.as_str().chars().take(40).collect()).unwrap_or_default(),
        }),
    }
}

/// Whether EC2 says that it will not come back.
pub(super) fn is_gone(instance: &Instance) -> bool {
    state(instance).is_ok_and(InstanceState::is_gone)
}
