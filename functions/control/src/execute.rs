//! Carries out committed intents: lease, call EC2 with the intent's own token, settle. It decides nothing.
//!
//! Whoever holds no lease calls nothing; whoever dies in between leaves an intent whose lease ends, and the next one
//! repeats the call with the same token (L1, L3). Only a definite refusal lets the holder abandon an intent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use muster_core::group::{GroupName, Outcome, Place, Shard};
use muster_core::intent::{Call, Cause, Intent, LaunchSpec};
use muster_core::member::{InstanceId, MemberRecord, MemberState};
use muster_core::policy::Mode;
use muster_core::time::Timestamp;

use crate::activity::{Activity, Event};
use crate::chain::chain;
use crate::claim;
use crate::ports::{
    Clock, Fleet, FleetError, Found, GroupState, GroupStore, Launched, LeaseRequest, Release, Settlement, StoreError,
};
use crate::reconcile::{Controller, Reconciled};

/// Calls to EC2 under way at a time. RunInstances refills two a second for the whole account.
const CALLS_AT_ONCE: usize = 8;
/// Launches that one transaction settles: DynamoDB's holds 100 items, and each needs three beside HEAD and the roster.
const SETTLED_AT_ONCE: usize = 30;
/// How long EC2 is trusted to remember a token: its life is not documented. From then on the instance is looked up before
/// any retry or abandon (L10).
const TOKEN_TRUSTED: Duration = Duration::from_secs(15 * 60);
/// When EC2 throttles, a lease ends after this: the call is known to have done nothing.
const AFTER_THROTTLE: Duration = Duration::from_secs(3);
/// Characters of EC2's refusal that are kept.
const REASON_KEPT: usize = 300;
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
    outcome: Option<Outcome>,
    activity: Activity,
}

/// An intent that is left to the next lease, and why, when that is worth a word.
struct Left(Option<String>);

impl Left {
    fn because(intent: &Intent, error: &dyn std::error::Error) -> Self {
        Self(Some(format!("intent {} is left to its next lease: {}", intent.id, chain(error))))
    }
}

/// Carries out every open intent of the group that nobody else holds. Those that end, and why others do not, go to `done` one
/// after another, so that it holds them also when this is dropped before its end. An error means that no call has been made; a
/// store that fails later is a trouble of the calls that it leaves unsettled.
pub async fn execute<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    allowed: Allowed,
    deadline: Timestamp,
    done: &mut Reconciled,
) -> Result<(), StoreError>
where
    S: GroupStore,
    F: Fleet,
    P: Sync,
    C: Clock,
{
    let Some(state) = controller.store.read(group).await? else { return Ok(()) };
    let now = controller.clock.now();
    let free = |intent: &Intent| intent.lease.as_ref().is_none_or(|lease| lease.until <= now);
    let wanted = |intent: &Intent| match intent.call {
        Call::Launch(_) => allowed.launch,
        Call::Terminate { .. } => allowed.terminate,
    };
    let intents: Vec<Intent> = state.intents.into_iter().filter(|i| free(i) && wanted(i)).collect();
    let ending: BTreeSet<&InstanceId> =
        state.members.iter().filter(|m| matches!(m.state, MemberState::Terminating(_))).map(|m| &m.id).collect();
    let calls = intents.into_iter().map(|intent| {
        let allowed = may_end(&intent, &ending);
        call(controller, group, intent, allowed, deadline)
    });
    let outcomes: Vec<Result<Ended, Left>> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    let mut shards: BTreeMap<Shard, Vec<Ended>> = BTreeMap::new();
    for outcome in outcomes {
        match outcome {
            Ok(end) => shards.entry(end.shard).or_default().push(end),
            Err(Left(why)) => done.troubles.extend(why),
        }
    }
    for (shard, mut ended) in shards {
        while !ended.is_empty() {
            let rest = ended.split_off(ended.len().min(SETTLED_AT_ONCE));
            match settle(controller, group, shard, ended).await {
                Ok(settled) => done.activity.extend(settled),
                Err(error) => {
                    let text = format!("calls of shard {shard} are left to their next lease: {}", chain(&error));
                    done.troubles.push(text);
                }
            }
            ended = rest;
        }
    }
    Ok(())
}

/// Whether the instance that an intent would end is still a member that is Terminating, or a proven orphan (S4). The record of
/// any other was closed: EC2 has said that it is gone, or it was disowned and is not ours to end.
fn may_end(intent: &Intent, ending: &BTreeSet<&InstanceId>) -> bool {
    match &intent.call {
        Call::Launch(_) => true,
        Call::Terminate { instance, .. } => intent.cause == Cause::Orphan || ending.contains(instance),
    }
}

/// Leases one intent and makes its call, unless it is no longer `allowed`: then it only ends. It is left when somebody else has it, no time is left, or the outcome is unknown.
async fn call<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    intent: Intent,
    allowed: bool,
    deadline: Timestamp,
) -> Result<Ended, Left>
where
    S: GroupStore,
    F: Fleet,
    P: Sync,
    C: Clock,
{
    let Controller { store, clock, settings, .. } = controller;
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
        give_back(controller, group, &intent, attempt, clock.now()).await;
        return Err(Left(None));
    }
    let ended = carry_out(controller, group, &intent, attempt, allowed).await;
    let at = clock.now();
    let outcome = outcome(&intent, ended.as_ref().err(), at);
    let (event, member) = match ended {
        Ok(done) => done,
        // A definite refusal ends the intent: nothing has come of it, and nothing will.
        Err(error @ (FleetError::NoCapacity(_) | FleetError::Refused(_) | FleetError::Ended(_))) => {
            (Event::Abandoned { intent: intent.id.clone(), reason: shortened(&chain(&error)) }, None)
        }
        Err(error @ FleetError::Throttled(_)) => {
            give_back(controller, group, &intent, attempt, at.plus(AFTER_THROTTLE)).await;
            return Err(Left::because(&intent, &error));
        }
        Err(error @ (FleetError::Superseded | FleetError::Unavailable(_))) => {
            return Err(Left::because(&intent, &error));
        }
    };
    let shard = match &intent.call {
        Call::Launch(spec) => spec.shard,
        Call::Terminate { shard, .. } => *shard,
    };
    let activity = Activity { group: group.clone(), at, id: format!("intent-{}", intent.id), event };
    Ok(Ended { intent, attempt, shard, member, outcome, activity })
}

/// Makes the call of a leased intent.
async fn carry_out<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    intent: &Intent,
    attempt: u32,
    allowed: bool,
) -> Result<(Event, Option<MemberRecord>), FleetError>
where
    F: Fleet,
    C: Clock,
{
    let Controller { fleet, clock, .. } = controller;
    let id = intent.id.clone();
    match &intent.call {
        Call::Launch(spec) => {
            let made = launch(fleet, intent, spec, attempt, clock.now()).await?;
            let member = claim::launched(intent, spec, &made, clock.now());
            let Launched { id: instance, .. } = made;
            let (zone, replaces) = (spec.zone.clone(), spec.replaces.clone());
            Ok((Event::Launched { intent: id, instance, zone, cause: intent.cause, replaces }, Some(member)))
        }
        Call::Terminate { instance, .. } if !allowed => {
            let known = fleet.describe(group, std::slice::from_ref(instance)).await?;
            let event = if known.iter().any(|known| !known.state.is_gone()) {
                let reason = format!("{instance} is no longer a member: its record was closed");
                Event::Abandoned { intent: id, reason }
            } else {
                // An earlier attempt has done it, and its answer was lost (D6).
                Event::Terminated { intent: id, instance: instance.clone(), cause: intent.cause }
            };
            Ok((event, None))
        }
        Call::Terminate { instance, .. } => {
            fleet.terminate(group, instance, &id, attempt).await?;
            Ok((Event::Terminated { intent: id, instance: instance.clone(), cause: intent.cause }, None))
        }
    }
}

/// Launches, or looks up what an earlier attempt has launched: when EC2 may have forgotten the token, and before an intent is
/// given up that has been tried before (L10).
async fn launch<F: Fleet>(
    fleet: &F,
    intent: &Intent,
    spec: &LaunchSpec,
    attempt: u32,
    now: Timestamp,
) -> Result<Launched, FleetError> {
    let ended = |id| FleetError::Ended(format!("{id} was launched and has ended").into());
    if intent.first_leased_at.is_some_and(|first| now.since(first) >= TOKEN_TRUSTED) {
        return match fleet.find(spec).await? {
            Found::Running(made) => Ok(made),
            Found::Ended(id) => Err(ended(id)),
            Found::Nothing => Err(FleetError::Ended("nothing was launched, and the token may be forgotten".into())),
        };
    }
    match fleet.launch(spec, attempt).await {
        // A permission is looked at before the token: the refusal says nothing of what an earlier attempt has launched.
        Err(refusal @ (FleetError::NoCapacity(_) | FleetError::Refused(_))) if attempt > 1 => {
            match fleet.find(spec).await? {
                Found::Running(made) => Ok(made),
                Found::Ended(id) => Err(ended(id)),
                Found::Nothing => Err(refusal),
            }
        }
        outcome => outcome,
    }
}

/// What the next decision must know of how a launch has ended.
fn outcome(intent: &Intent, error: Option<&FleetError>, at: Timestamp) -> Option<Outcome> {
    let Call::Launch(spec) = &intent.call else { return None };
    let place = Place { zone: spec.zone.clone(), instance_type: spec.instance_type.clone() };
    match error {
        None => Some(Outcome::Launched { at, cause: intent.cause, place }),
        Some(FleetError::NoCapacity(_)) => Some(Outcome::NoCapacity { at, place }),
        Some(error @ FleetError::Refused(_)) => Some(Outcome::Refused { at, reason: shortened(&chain(error)) }),
        Some(FleetError::Ended(_) | FleetError::Throttled(_) | FleetError::Superseded | FleetError::Unavailable(_)) => {
            None
        }
    }
}

/// Ends the lease early. When that fails it ends by itself.
async fn give_back<S: GroupStore, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    intent: &Intent,
    attempt: u32,
    until: Timestamp,
) {
    let release = Release { group: group.clone(), intent: intent.id.clone(), attempt, until };
    let _ends_by_itself = controller.store.release(&release).await;
}

/// The start of a foreign text, which people will read.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REASON_KEPT).collect()
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
    if ended.is_empty() { Ok(Vec::new()) } else { Err(StoreError::Conflict) }
}

/// What the next decision must know of the calls. Many that failed alike have failed once: HEAD must stay small.
fn outcomes(ended: &[Ended]) -> Vec<Outcome> {
    let mut kept: Vec<Outcome> = Vec::new();
    for outcome in ended.iter().filter_map(|end| end.outcome.clone()) {
        let alike = |other: &Outcome| match (other, &outcome) {
            (Outcome::NoCapacity { place: a, .. }, Outcome::NoCapacity { place: b, .. }) => a == b,
            (Outcome::Refused { .. }, Outcome::Refused { .. }) => true,
            _ => false,
        };
        kept.retain(|other| !alike(other));
        kept.push(outcome);
    }
    kept
}

fn settlement(state: &GroupState, shard: Shard, ended: &[Ended]) -> Settlement {
    let group = &state.head.group;
    let roster_seen = state.head.rosters.get(&shard).copied();
    let made: Vec<MemberRecord> = ended.iter().filter_map(|end| end.member.clone()).collect();
    let roster = (!made.is_empty()).then(|| {
        let number = roster_seen.unwrap_or_default().next();
        claim::roster(group, shard, number, state.members.iter().chain(&made))
    });
    Settlement {
        group: group.clone(),
        shard,
        roster_seen,
        settled: ended.iter().map(|end| (end.intent.id.clone(), end.attempt)).collect(),
        outcomes: outcomes(ended),
        put_members: made,
        roster,
        activity: ended.iter().map(|end| end.activity.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_of_a_refusal_the_start_is_kept_without_control_characters() {
        assert_eq!(shortened("Unauthorized\u{1b}[2J\r\nOperation\u{0}"), "Unauthorized[2JOperation");
        let flood = format!("\u{7}{}", "\u{e4}".repeat(REASON_KEPT + 1));
        assert_eq!(shortened(&flood), "\u{e4}".repeat(REASON_KEPT));
    }
}
