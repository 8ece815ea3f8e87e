//! What EC2 is to us, as two tables: instances and the attempts that have been seen, read off the documentation of
//! [`Fleet`].

use std::collections::BTreeMap;
use std::future::Future;

use muster_core::group::GroupName;
use muster_core::intent::LaunchSpec;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::fleet_calls::{FleetCall, Made, draw, play};
use super::{Answer, Case, Dice, draw_fate};
use crate::faulty::Fate;
use crate::ports::Fleet;

/// What a call answers. An instance is known here by its place among those launched: EC2 gives it its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// This instance.
    Launched(usize),
    /// It has ended or will.
    Ended,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Not {
    /// The parameters do not fit what is there.
    Refused,
    /// The token's instance has ended.
    Ended,
    /// A later attempt has been seen.
    Superseded,
}

/// One instance ever launched.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) spec: LaunchSpec,
    pub(super) gone: bool,
}

/// The tables, and the answer to the last call. `FENCING`: attempts lower than one that has been seen are refused; a fleet that
/// knows no attempts answers by the token and the tags alone.
#[derive(Clone, Debug, Default)]
pub struct FleetModel<const FENCING: bool> {
    pub(super) instances: Vec<Instance>,
    attempts: BTreeMap<String, u32>,
    pub(super) answer: Answer<Done, Not>,
}

impl<const FENCING: bool> FleetModel<FENCING> {
    fn make(&mut self, made: &Made) -> Result<Done, Not> {
        match made {
            Made::Launch { spec, attempt } => {
                self.admit(&spec.token.0, *attempt)?;
                match self.place(spec) {
                    Some(n) if self.instances[n].spec != *spec => Err(Not::Refused),
                    Some(n) if self.instances[n].gone => Err(Not::Ended),
                    Some(n) => Ok(Done::Launched(n)),
                    None => {
                        self.instances.push(Instance { spec: spec.clone(), gone: false });
                        Ok(Done::Launched(self.instances.len() - 1))
                    }
                }
            }
            Made::Terminate { group, instance, intent, attempt } => {
                self.admit(&intent.0, *attempt)?;
                match instance.and_then(|n| self.instances.get_mut(n)) {
                    Some(instance) if instance.spec.group != *group => Err(Not::Refused),
                    Some(instance) => {
                        instance.gone = true;
                        Ok(Done::Ended)
                    }
                    None => Ok(Done::Ended),
                }
            }
        }
    }

    /// Whoever comes with a lower attempt than one that has been seen for the same thing has lost its lease.
    fn admit(&mut self, what: &str, attempt: u32) -> Result<(), Not> {
        let seen = self.attempts.entry(what.to_owned()).or_default();
        *seen = attempt.max(*seen);
        if FENCING && attempt < *seen { Err(Not::Superseded) } else { Ok(()) }
    }

    /// Where the instance of the launch's token is.
    pub(super) fn place(&self, spec: &LaunchSpec) -> Option<usize> {
        self.instances.iter().position(|instance| instance.spec.token == spec.token)
    }

    /// The instances of a group, by their places.
    pub(super) fn of(&self, group: &GroupName) -> Vec<usize> {
        (0..self.instances.len()).filter(|n| self.instances[*n].spec.group == *group).collect()
    }
}

impl<const FENCING: bool> ReferenceStateMachine for FleetModel<FENCING> {
    type State = Self;
    type Transition = FleetCall;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<FleetCall> {
        let launched = state.instances.len();
        Dice::build(move |dice| {
            let fate: Fate = draw_fate(dice);
            FleetCall { fate, made: draw(launched, dice) }
        })
    }

    /// A termination names an instance that has been launched: shrinking may have taken its launch away.
    fn preconditions(state: &Self, call: &FleetCall) -> bool {
        !matches!(call.made, Made::Terminate { instance: Some(n), .. } if n >= state.instances.len())
    }

    fn apply(mut state: Self, call: &FleetCall) -> Self {
        state.answer = Answer::meeting(call.fate, || state.make(&call.made));
        state
    }
}

/// Runs random calls against the fleet that `make` gives for each case. `block_on` runs a future to its end.
pub fn check<const FENCING: bool, F: Fleet, G, M: Future<Output = (F, G)>>(
    cases: u32,
    failures: &'static str,
    make: impl Fn() -> M,
    block_on: impl Fn(std::pin::Pin<Box<dyn Future<Output = ()> + '_>>),
) {
    super::run::<FleetModel<FENCING>>(cases, failures, |case: Case<FleetModel<FENCING>>| {
        block_on(Box::pin(async {
            let (fleet, _guard) = make().await;
            play(fleet, case).await;
        }));
    });
}
