//! Random calls of a fleet, and what is compared after each.

use std::collections::BTreeSet;

use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;
use muster_core::time::Timestamp;

use super::fleet::{Done, FleetModel, Not};
use super::{Answer, Case, Dice, NextFate, Tested};
use crate::conformance::fleet::{OTHER_TYPE, spec, unknown};
use crate::faulty::{Fate, Faulty};
use crate::memory::ManualClock;
use crate::ports::{Fleet, FleetError, Found};

/// A call that changes something, and its fate.
#[derive(Clone, Debug)]
pub struct FleetCall {
    pub(super) fate: Fate,
    pub(super) made: Made,
}

/// A call that changes something.
#[derive(Clone, Debug)]
pub(super) enum Made {
    Launch {
        spec: LaunchSpec,
        attempt: u32,
    },
    /// `instance` by its place among those launched; none: one that EC2 does not know.
    Terminate {
        group: GroupName,
        instance: Option<usize>,
        intent: IntentId,
        attempt: u32,
    },
}

/// Few, so that they are used again.
const TOKENS: [&str; 5] = ["one", "two", "three", "four", "five"];

fn groups() -> [GroupName; 2] {
    [GroupName::default(), "other".parse().expect("a name")]
}

/// Draws a call of a fleet that has launched so many.
pub(super) fn draw(launched: usize, dice: &mut Dice) -> Made {
    let attempt = u32::try_from(1 + dice.below(3)).expect("small");
    let group = if dice.once_in(4) { groups()[1].clone() } else { GroupName::default() };
    if launched == 0 || dice.below(2) == 0 {
        let spec = LaunchSpec { group, ..spec(dice.one(&TOKENS)) };
        let other = LaunchSpec { instance_type: OTHER_TYPE.into(), ..spec.clone() };
        return Made::Launch { spec: if dice.once_in(8) { other } else { spec }, attempt };
    }
    let instance = (!dice.once_in(8)).then(|| dice.below(launched));
    let intent = IntentId(format!("ending-{}", dice.below(4)));
    Made::Terminate { group, instance, intent, attempt }
}

/// Makes the calls of a case, and compares every answer and all that can be read.
pub(super) async fn play<const FENCING: bool, F: Fleet>(fleet: F, case: Case<FleetModel<FENCING>>) {
    let (next, clock) = (NextFate::default(), ManualClock::at(Timestamp::EPOCH));
    let tested: Tested<'_, F> = Faulty { inner: fleet, schedule: &next, clock: &clock };
    // The ids, by the places of the model's instances.
    let mut ids: Vec<InstanceId> = Vec::new();
    for (call, model) in case.steps() {
        next.set(call.fate);
        let answered = match &call.made {
            Made::Launch { spec, attempt } => match tested.launch(spec, *attempt).await {
                Ok(made) => {
                    if model.answer == Answer::Ok(Done::Launched(ids.len())) {
                        ids.push(made.id.clone());
                    }
                    let place = ids.iter().position(|id| *id == made.id);
                    Ok(Done::Launched(
                        place.unwrap_or_else(|| panic!("an instance more than there should be: {made:?}")),
                    ))
                }
                Err(error) => Err(error),
            },
            Made::Terminate { group, instance, intent, attempt } => {
                let instance = instance.map_or_else(unknown, |n| ids[n].clone());
                tested.terminate(group, &instance, intent, *attempt).await.map(|()| Done::Ended)
            }
        };
        let answered = match answered {
            Ok(done) => Answer::Ok(done),
            Err(FleetError::Refused(_)) => Answer::Err(Not::Refused),
            Err(FleetError::Ended(_)) => Answer::Err(Not::Ended),
            Err(FleetError::Superseded) => Answer::Err(Not::Superseded),
            Err(FleetError::Throttled(_)) => Answer::Throttled,
            Err(FleetError::Unavailable(_)) => Answer::Unavailable,
            Err(error @ FleetError::NoCapacity(_)) => panic!("{error:?} to {call:?}"),
        };
        assert_eq!(answered, model.answer, "the answer to {call:?}");
        find_all(&tested, &model, &mut ids).await;
        compare(&tested, &model, &ids).await;
    }
}

/// Every launch is found by its token, also the one whose answer was lost, and no other.
async fn find_all<const FENCING: bool, F: Fleet>(
    fleet: &Tested<'_, F>,
    model: &FleetModel<FENCING>,
    ids: &mut Vec<InstanceId>,
) {
    for (n, instance) in model.instances.iter().enumerate() {
        let found = fleet.find(&instance.spec).await.expect("an answer");
        let id: &InstanceId = match &found {
            Found::Running(made) if !instance.gone => &made.id,
            Found::Ended(id) if instance.gone => id,
            Found::Nothing | Found::Running(_) | Found::Ended(_) => panic!("{found:?} instead of {instance:?}"),
        };
        if n == ids.len() {
            ids.push(id.clone());
        }
        assert_eq!(*id, ids[n], "the instance of {:?}", instance.spec.token);
    }
    for spec in TOKENS.map(spec).iter().filter(|spec| model.place(spec).is_none()) {
        assert_eq!(fleet.find(spec).await.expect("an answer"), Found::Nothing, "{spec:?}");
    }
}

/// What is listed and described of each group: everything ever launched, with what its launch has tagged it with.
async fn compare<const FENCING: bool, F: Fleet>(
    fleet: &Tested<'_, F>,
    model: &FleetModel<FENCING>,
    ids: &[InstanceId],
) {
    let distinct: BTreeSet<&InstanceId> = ids.iter().collect();
    assert_eq!(distinct.len(), model.instances.len(), "S2: one instance a token");
    let asked: Vec<InstanceId> = ids.iter().cloned().chain([unknown()]).collect();
    for group in groups() {
        let told = |mut instances: Vec<FleetInstance>| {
            instances.sort_by(|a, b| a.id.cmp(&b.id));
            instances.into_iter().map(|i| (i.id, i.state.is_gone(), i.ours, i.intent)).collect::<Vec<_>>()
        };
        let expected = |n: usize| {
            let instance = &model.instances[n];
            (ids[n].clone(), instance.gone, instance.spec.group == group, Some(instance.spec.intent.clone()))
        };
        let sorted = |places: Vec<usize>| {
            let mut all: Vec<_> = places.into_iter().map(expected).collect();
            all.sort();
            all
        };
        assert_eq!(told(fleet.list(&group).await.expect("a listing")), sorted(model.of(&group)), "{group} is listed");
        let all = (0..ids.len()).collect();
        assert_eq!(told(fleet.describe(&group, &asked).await.expect("a description")), sorted(all), "to {group}");
    }
}
