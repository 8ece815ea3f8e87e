//! What ControllerASG does when the doorbell rings: look again, decide, claim, carry out.
//!
//! A doorbell never says what to do, so a duplicated, late or lost one is harmless (L2). Whoever loses a claim reads again;
//! whoever dies after one leaves intents that the next carries out.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_core::decide::{Decision, decide};
use muster_core::group::{GroupName, Head, Shard};
use muster_core::member::InstanceId;
use muster_core::report::{Report, Rule};
use muster_core::snapshot::{FleetInstance, Member, Snapshot, SweepFacts};
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;

use crate::activity::{Activity, Event};
use crate::chain::chain;
use crate::claim;
use crate::execute::{self, execute};
use crate::policy::{self, InForce, NoPolicy};
use crate::ports::{Clock, Fleet, FleetError, GroupState, GroupStore, HealthStore, PolicySource, StoreError};

/// Decisions that one doorbell may lead to: a step may make room for the next (H4, F8's pacing), but not for ever.
const ROUNDS: usize = 12;
/// Claims lost in a row before the rest is left to the next doorbell.
const LOST_CLAIMS: u32 = 3;
/// Pause after a lost claim, times a random share.
const AFTER_LOST_CLAIM: Duration = Duration::from_millis(200);

/// What a reconcile stands on.
#[derive(Debug)]
pub struct Controller<S, F, P, C> {
    /// Groups, sweeps, activities.
    pub store: S,
    /// EC2.
    pub fleet: F,
    /// Where the operator writes the policy.
    pub policies: P,
    /// Time.
    pub clock: C,
    /// Settings of this controller.
    pub settings: Settings,
}

/// Settings of a controller.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stack; part of every client token.
    pub stack: String,
    /// Who this is: the owner of its leases. No two at a time may share it.
    pub owner: String,
    /// The length of a lease: longer than the longest invocation.
    pub lease: Duration,
    /// How long one call of `reconcile` may take: nothing new is begun after it.
    pub budget: Duration,
}

/// What a reconcile did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reconciled {
    /// Decisions, claims' by-products and settled intents, in order.
    pub activity: Vec<Activity>,
    /// What could not be done now and is left to the next doorbell, in words for the log.
    pub troubles: Vec<String>,
    /// Whether it gave up on losing claims; the next doorbell goes on.
    pub contended: bool,
}

/// Why a reconcile could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The store failed.
    #[error("the group cannot be read or written")]
    Store(#[from] StoreError),
    /// There is no policy to decide with.
    #[error(transparent)]
    Policy(#[from] NoPolicy),
}

/// Looks at the group and does what is to be done. `jitter` is a random share in 0..=1.
pub async fn reconcile<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    jitter: f64,
) -> Result<Reconciled, ReconcileError>
where
    S: GroupStore + HealthStore,
    F: Fleet,
    P: PolicySource,
    C: Clock,
{
    let mut done = Reconciled::default();
    reconcile_into(controller, group, jitter, &mut done).await?;
    Ok(done)
}

/// The same for whoever may drop it before its end: what has been done until then is in `done`.
pub async fn reconcile_into<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    jitter: f64,
    done: &mut Reconciled,
) -> Result<(), ReconcileError>
where
    S: GroupStore + HealthStore,
    F: Fleet,
    P: PolicySource,
    C: Clock,
{
    let Controller { clock, settings, .. } = controller;
    let deadline = clock.now().plus(settings.budget);
    let mut lost_claims = 0;
    for _ in 0..ROUNDS {
        if clock.now() >= deadline {
            break;
        }
        let outcome = match look(controller, group, deadline, done).await {
            Ok(outcome) => outcome,
            Err(error) if done.activity.is_empty() => return Err(error),
            // What has been done is done, whatever comes after it, and is told.
            Err(error) => {
                done.troubles.push(chain(&error));
                break;
            }
        };
        match outcome {
            Round::LostClaim if lost_claims == LOST_CLAIMS => {
                done.contended = true;
                break;
            }
            Round::LostClaim => {
                lost_claims += 1;
                let share = if (0.0..=1.0).contains(&jitter) { jitter } else { 1.0 };
                clock.sleep(AFTER_LOST_CLAIM.mul_f64(share)).await;
            }
            Round::Done => break,
            Round::Again => lost_claims = 0,
        }
    }
    Ok(())
}

enum Round {
    /// There is nothing more to do now.
    Done,
    /// Something was done that may make room for more.
    Again,
    LostClaim,
}

/// One look at the group, and what follows from it. An error means that nothing has been done in it.
async fn look<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    deadline: Timestamp,
    done: &mut Reconciled,
) -> Result<Round, ReconcileError>
where
    S: GroupStore + HealthStore,
    F: Fleet,
    P: PolicySource,
    C: Clock,
{
    let Controller { store, fleet, policies, .. } = controller;
    // EC2 is asked first: an instance that it lists and that no record or intent read later knows is nobody's (V3). When it
    // cannot be asked its facts are unknown, which is not the same as nobody being there.
    let listed = fleet.list(group).await;
    let state = store.read(group).await?;
    let in_force = policy::in_force(store, policies, group, state.as_ref().map(|state| &state.head)).await?;
    match &state {
        None => create(controller, group, &in_force, done).await,
        Some(state) => round(controller, state, listed, &in_force, deadline, done).await,
    }
}

async fn create<S: GroupStore, F, P, C: Clock>(
    controller: &Controller<S, F, P, C>,
    group: &GroupName,
    in_force: &InForce,
    done: &mut Reconciled,
) -> Result<Round, ReconcileError> {
    let claim = claim::first(group, &controller.settings.stack, controller.clock.now(), in_force);
    match controller.store.claim(&claim).await {
        Ok(()) => {
            done.activity.extend(claim.activity);
            Ok(Round::Again)
        }
        Err(StoreError::Conflict) => Ok(Round::LostClaim),
        Err(error) => Err(error.into()),
    }
}

async fn round<S, F, P, C>(
    controller: &Controller<S, F, P, C>,
    state: &GroupState,
    listed: Result<Vec<FleetInstance>, FleetError>,
    in_force: &InForce,
    deadline: Timestamp,
    done: &mut Reconciled,
) -> Result<Round, ReconcileError>
where
    S: GroupStore + HealthStore,
    F: Fleet,
    P: PolicySource,
    C: Clock,
{
    let Controller { store, fleet, clock, .. } = controller;
    let group = &state.head.group;
    let sweeps = latest_sweeps(store, &state.head, &mut done.troubles).await?;
    let mut told = |error: FleetError| done.troubles.push(chain(&error));
    let facts = match listed {
        Ok(listed) => with_unlisted(fleet, state, listed).await,
        Err(error) => Err(error),
    };
    let facts = facts.map_err(&mut told).ok();
    let template = template_version(fleet, in_force).await.map_err(&mut told).ok().flatten();
    let snapshot = Snapshot { template_version: template, ..snapshot(state, &sweeps, facts, in_force, clock.now()) };
    let decision = decide(&snapshot, &in_force.policy);
    let before = done.activity.len();
    if needs_claim(state, &decision, in_force) {
        let claim = claim::of(state, &snapshot, &decision, in_force);
        match store.claim(&claim).await {
            Ok(()) => done.activity.extend(claim.activity),
            Err(StoreError::Conflict) => return Ok(Round::LostClaim),
            Err(error) => return Err(error.into()),
        }
    }
    let allowed = execute::Allowed::by(decision.report.mode);
    match execute(controller, group, allowed, deadline, done).await {
        Ok(()) => {}
        Err(error) if done.activity.len() == before => return Err(error.into()),
        Err(error) => {
            done.troubles.push(chain(&ReconcileError::from(error)));
            return Ok(Round::Done);
        }
    }
    let settled =
        done.activity.iter().skip(before).any(|a| !matches!(a.event, Event::Decision { .. } | Event::Joined { .. }));
    // What is postponed follows only a claim that took some of it: a mode that withholds everything makes no room.
    let plan = &decision.plan;
    let acted = plan.steps.iter().any(|step| !step.is_record()) || (plan.postponed > 0 && !plan.is_empty());
    Ok(if settled || acted { Round::Again } else { Round::Done })
}

/// EC2's listing, and what it says of members that the listing does not hold: they may have lost their tag, or the listing
/// may lag (O5, H7).
async fn with_unlisted<F: Fleet>(
    fleet: &F,
    state: &GroupState,
    mut listed: Vec<FleetInstance>,
) -> Result<Vec<FleetInstance>, FleetError> {
    let known: BTreeSet<&InstanceId> = listed.iter().map(|instance| &instance.id).collect();
    let unlisted: Vec<InstanceId> =
        state.members.iter().map(|member| &member.id).filter(|id| !known.contains(id)).cloned().collect();
    if !unlisted.is_empty() {
        listed.extend(fleet.describe(&state.head.group, &unlisted).await?);
    }
    Ok(listed)
}

/// The version of the launch template that a launch would use now.
async fn template_version<F: Fleet>(fleet: &F, in_force: &InForce) -> Result<Option<u64>, FleetError> {
    let launch = &in_force.policy.launch;
    match (&launch.template, launch.template_version) {
        (None, _) => Ok(Some(0)),
        (Some(_), Some(pinned)) => Ok(Some(pinned)),
        (Some(template), None) => fleet.template_version(template).await.map(Some),
    }
}

/// Whether a decision changes anything that is worth a transaction: every sweep is (O2), a look between sweeps is not.
fn needs_claim(state: &GroupState, decision: &Decision, in_force: &InForce) -> bool {
    let next = &decision.plan.head;
    !decision.plan.is_empty()
        || next.last_slot != state.head.last_slot
        || next.desired != state.head.desired
        || next.mode != decision.report.mode
        || in_force.has_news(&state.head)
        || went_stale(&state.head, &decision.report)
}

/// Whether the sweeps have stopped and nobody has written it down yet (O8).
fn went_stale(head: &Head, report: &Report) -> bool {
    let stale = report.waits.iter().any(|wait| wait.rule == Rule::O8);
    stale && head.last_decision.as_ref().is_none_or(|last| last.fold_key != report.fold_key())
}

/// The latest sweep of each shard. One that cannot be read is none, and the shard's members are unknown: bounds, intents and drains
/// go on, and the next sweep begins anew.
async fn latest_sweeps<S: HealthStore>(
    store: &S,
    head: &Head,
    troubles: &mut Vec<String>,
) -> Result<Vec<(Shard, Option<Sweep>)>, StoreError> {
    let mut sweeps = Vec::new();
    for shard in head.rosters.keys() {
        let latest = match store.latest(&head.group, *shard).await {
            Err(error @ StoreError::Corrupt(_)) => {
                troubles.push(format!("the latest sweep of shard {shard} is taken for none: {}", chain(&error)));
                None
            }
            read => read?,
        };
        sweeps.push((*shard, latest));
    }
    Ok(sweeps)
}

/// Puts together what is known. Members of a shard that has not swept the latest slot keep no health: not knowing is a
/// value. While the slot's time is not up, the shards that lack are awaited; one that lacked in the slot before, too, is
/// not: a dead one would be awaited for ever.
fn snapshot(
    state: &GroupState,
    sweeps: &[(Shard, Option<Sweep>)],
    fleet: Option<Vec<FleetInstance>>,
    in_force: &InForce,
    now: Timestamp,
) -> Snapshot {
    let found = || sweeps.iter().filter_map(|(_, sweep)| sweep.as_ref());
    let newest = found().map(|sweep| sweep.slot).max();
    let facts = newest.map(|slot| {
        let period_ms = found().map(|sweep| sweep.period_ms).max().unwrap_or_default();
        let gaps = found().filter(|sweep| sweep.slot == slot).filter_map(|sweep| sweep.gaps_ms.last());
        let before = gaps.min().map_or(Timestamp::EPOCH, |gap| slot.minus(Duration::from_millis(*gap)));
        let lasts = sweeps.iter().map(|(_, sweep)| sweep.as_ref().map_or(Timestamp::EPOCH, |sweep| sweep.slot));
        let late = lasts.filter(|last| (before..slot).contains(last)).count();
        let in_time = now.since(slot) < Duration::from_millis(period_ms);
        SweepFacts {
            slot,
            period_ms,
            blind: found().filter(|sweep| sweep.slot == slot).find_map(|sweep| sweep.blind.clone()),
            awaited: if in_time { u32::try_from(late).unwrap_or(u32::MAX) } else { 0 },
        }
    });
    let health = |shard, id| {
        let (_, sweep) = sweeps.iter().find(|(s, _)| *s == shard)?;
        sweep.as_ref().filter(|sweep| Some(sweep.slot) == newest)?.members.get(id).cloned()
    };
    let mut head = state.head.clone();
    head.policy = Some(in_force.version);
    Snapshot {
        now,
        head,
        sweep: facts,
        members: state.members.iter().map(|record| Member::of(record, health(record.shard, &record.id))).collect(),
        intents: state.intents.clone(),
        fleet,
        learnt: state.learnt.clone(),
        template_version: None,
        policy_notice: in_force.notice.clone(),
        policy_refused: in_force.refused(),
    }
}
