//! Carries out committed intents: lease, call EC2 with the intent's own token, settle. It decides nothing.
//!
//! Whoever holds no lease calls nothing; whoever dies in between leaves an intent whose lease ends, and the next one
//! repeats the call with the same token (L1, L3). Only a definite refusal lets the holder abandon an intent.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use muster_core::group::{GroupName, Shard};
use muster_core::intent::{Call, Cause, Intent};
use muster_core::member::MemberRecord;
use muster_core::policy::Mode;
use muster_core::time::Timestamp;

use crate::activity::{Activity, Event};
use crate::chain::chain;
use crate::claim;
use crate::ports::{Clock, Fleet, FleetError, GroupState, GroupStore, LeaseRequest, Settlement, StoreError};
use crate::reconcile::Controller;

/// Calls to EC2 under way at a time. RunInstances refills two a second for the whole account.
const CALLS_AT_ONCE: usize = 8;
/// Launches that one transaction settles: DynamoDB's holds 100 items, and each needs three beside HEAD and the roster.
const SETTLED_AT_ONCE: usize = 30;
/// Settlements lost in a row before the intents are left to the next lease: the token makes the repetition harmless.
const LOST_SETTLEMENTS: u32 = 5;

/// Which calls the mode allows (O1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    launch: bool,
    terminate: bool,
}

impl Allowed {
    /// What `mode` allows.
    pub const fn by(mode: Mode) -> Self {
        match mode {
            Mode::Active => Self { launch: true, terminate: true },
            Mode::OutOnly => Self { launch: true, terminate: false },
            Mode::Observe | Mode::Paused => Self { launch: false, terminate: false },
        }
    }
}

/// A call that has had an answer, not settled yet.
struct Ended {
    intent: Intent,
    attempt: u32,
    shard: Shard,
    member: Option<MemberRecord>,
    activity: Activity,
}

/// What carrying out intents came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Executed {
    /// Intents that have ended.
    pub settled: Vec<Activity>,
    /// Why others have not, beyond that somebody else holds them: for the log.
    pub troubles: Vec<String>,
}

/// An intent that is left to the next lease, and why, when that is worth a word.
struct Left(Option<String>);

impl Left {
    fn because(intent: &Intent, error: &dyn std::error::Error) -> Self {
        Self(Some(format!("intent {} is left to its next lease: {}", intent.id, chain(error))))
    }
}

/// Carries out every open intent of the group that nobody else holds. An error means that no call has been made; a store
/// that fails later is a trouble of the calls that it leaves unsettled.
pub async fn execute<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    allowed: Allowed,
    deadline: Timestamp,
) -> Result<Executed, StoreError>
where
    S: GroupStore,
    F: Fleet,
    P: Sync,
    C: Clock,
{
    let mut executed = Executed::default();
    let Some(state) = controller.store.read(group).await? else { return Ok(executed) };
    let now = controller.clock.now();
    let free = |intent: &Intent| intent.lease.as_ref().is_none_or(|lease| lease.until <= now);
    let wanted = |intent: &Intent| match intent.call {
        Call::Launch(_) => allowed.launch,
        Call::Terminate { .. } => allowed.terminate,
    };
    let intents: Vec<Intent> = state.intents.into_iter().filter(|i| free(i) && wanted(i)).collect();
    let calls = intents.into_iter().map(|intent| call(controller, group, intent, deadline));
    let outcomes: Vec<Result<Ended, Left>> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    let mut shards: BTreeMap<Shard, Vec<Ended>> = BTreeMap::new();
    for outcome in outcomes {
        match outcome {
            Ok(end) => shards.entry(end.shard).or_default().push(end),
            Err(Left(why)) => executed.troubles.extend(why),
        }
    }
    for (shard, mut ended) in shards {
        while !ended.is_empty() {
            let rest = ended.split_off(ended.len().min(SETTLED_AT_ONCE));
            match settle(controller, group, shard, ended).await {
                Ok(settled) => executed.settled.extend(settled),
                Err(error) => {
                    let text = format!("calls of shard {shard} are left to their next lease: {}", chain(&error));
                    executed.troubles.push(text);
                }
            }
            ended = rest;
        }
    }
    Ok(executed)
}

/// Leases one intent and makes its call. It is left when somebody else has it, no time is left, or the outcome is unknown.
async fn call<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    intent: Intent,
    deadline: Timestamp,
) -> Result<Ended, Left>
where
    S: GroupStore,
    F: Fleet,
    P: Sync,
    C: Clock,
{
    let Controller { store, fleet, clock, settings, .. } = controller;
    let now = clock.now();
    if now >= deadline {
        return Err(Left(None));
    }
    let request = LeaseRequest {
        group: group.clone(),
        intent: intent.id.clone(),
        attempt: intent.attempt,
        owner: settings.owner.clone(),
        now,
        until: now.plus(settings.lease),
    };
    let attempt = match store.lease(&request).await {
        Ok(attempt) => attempt,
        Err(StoreError::Conflict) => return Err(Left(None)),
        Err(error) => return Err(Left::because(&intent, &error)),
    };
    // A lease that was long in coming may be over: no call outlives its handler or its lease.
    if clock.now() >= deadline.min(request.until) {
        return Err(Left(None));
    }
    let (shard, member, event) = match &intent.call {
        Call::Launch(spec) => {
            let outcome = fleet.launch(spec, attempt).await;
            let at = clock.now();
            let (member, event) = match outcome {
                Ok(made) => {
                    let event = Event::Launched {
                        intent: intent.id.clone(),
                        instance: made.id.clone(),
                        zone: spec.zone.clone(),
                        cause: intent.cause,
                        replaces: spec.replaces.clone(),
                    };
                    (Some(claim::launched(&intent, spec, &made, at)), event)
                }
                Err(error) => (None, abandoned(&intent, &error)?),
            };
            (spec.shard, member, event)
        }
        Call::Terminate { instance, shard } => {
            let event = match fleet.terminate(group, instance, attempt).await {
                Ok(()) => {
                    Event::Terminated { intent: intent.id.clone(), instance: instance.clone(), cause: intent.cause }
                }
                Err(error) => abandoned(&intent, &error)?,
            };
            (*shard, None, event)
        }
    };
    let activity = Activity { group: group.clone(), at: clock.now(), id: format!("intent-{}", intent.id), event };
    Ok(Ended { intent, attempt, shard, member, activity })
}

/// What a failed call leads to: a definite refusal ends the intent, anything else leaves it for the next lease.
fn abandoned(intent: &Intent, error: &FleetError) -> Result<Event, Left> {
    match error {
        FleetError::NoCapacity(_) | FleetError::Refused(_) => {
            Ok(Event::Abandoned { intent: intent.id.clone(), reason: chain(error) })
        }
        FleetError::Throttled(_) | FleetError::Superseded | FleetError::Unavailable(_) => {
            Err(Left::because(intent, error))
        }
    }
}

/// Settles one shard's ended calls together, built again from fresh reads whenever somebody else was first.
async fn settle<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    shard: Shard,
    mut ended: Vec<Ended>,
) -> Result<Vec<Activity>, StoreError>
where
    S: GroupStore,
{
    for _ in 0..LOST_SETTLEMENTS {
        let Some(state) = controller.store.read(group).await? else { break };
        // What another holder has settled or leased since is no longer ours.
        ended.retain(|end| state.intents.iter().any(|i| i.id == end.intent.id && i.attempt == end.attempt));
        if ended.is_empty() {
            break;
        }
        match controller.store.settle(&settlement(&state, shard, &ended)).await {
            Ok(()) => return Ok(ended.into_iter().map(|end| end.activity).collect()),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Vec::new())
}

fn settlement(state: &GroupState, shard: Shard, ended: &[Ended]) -> Settlement {
    let group = &state.head.group;
    let roster_seen = state.head.rosters.get(&shard).copied();
    let made: Vec<MemberRecord> = ended.iter().filter_map(|end| end.member.clone()).collect();
    let roster = (!made.is_empty()).then(|| {
        let number = roster_seen.unwrap_or_default().next();
        claim::roster(group, shard, number, state.members.iter().chain(&made))
    });
    let by_load = ended.iter().filter(|end| end.intent.cause == Cause::Load);
    Settlement {
        group: group.clone(),
        shard,
        roster_seen,
        settled: ended.iter().map(|end| (end.intent.id.clone(), end.attempt)).collect(),
        launch_accepted_at: by_load.filter_map(|end| Some(end.member.as_ref()?.launched_at)).max(),
        put_members: made,
        roster,
        activity: ended.iter().map(|end| end.activity.clone()).collect(),
    }
}
