//! Weaker designs, each bent into the ports: what the invariants must find. They exist to test the simulator and the
//! rules, and nothing but a test may ask for one.

use std::borrow::Cow;

use muster_control::ports::{Claim, FleetError, GroupState, Launched, LeaseRequest};
use muster_core::health::{AgentState, Answer, Application, Observation};
use muster_core::intent::{Call, Cause, LaunchSpec, Token};
use muster_core::member::MemberState;
use muster_core::time::Timestamp;

use crate::safety::decision;
use crate::world::World;

/// A design that must be found wanting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Every attempt has a token of its own.
    RandomToken,
    /// What is under way is counted by what EC2 lists: nobody looks at the intents.
    CountByDescribe,
    /// A claim does not ask for HEAD's version.
    UnconditionalClaim,
    /// An attempt that had no answer is repeated in the next zone, with the token that it had.
    SameTokenElsewhere,
    /// While many are silent nobody is replaced at all.
    LatchingBreaker,
    /// An intent whose call had no answer is given up at once.
    AbandonUnanswered,
    /// A lease is no obstacle.
    NoLease,
    /// Whoever does not answer has nothing to do.
    SilenceIsZero,
}

/// What an invocation reads; `deciding` when it decides on it.
pub(crate) fn state(weakness: Option<Weakness>, deciding: bool, state: &mut GroupState) {
    match weakness {
        Some(Weakness::CountByDescribe) if deciding => {
            state.intents.retain(|intent| !matches!(intent.call, Call::Launch(_)));
        }
        Some(Weakness::NoLease) => state.intents.iter_mut().for_each(|intent| intent.lease = None),
        _ => {}
    }
}

/// What a probe saw.
pub(crate) fn observation(weakness: Option<Weakness>, seen: Observation, now: Timestamp) -> Observation {
    match seen {
        Observation::Unreachable { .. } if weakness == Some(Weakness::SilenceIsZero) => Observation::Answered(Answer {
            received_at: now,
            boot_id: String::new(),
            version: String::new(),
            state: AgentState::Serving,
            application: Application::NotProbed,
            load: Some(0.0),
            cursor: 0,
            unregistered: false,
            protected: false,
            signals: Default::default(),
        }),
        seen => seen,
    }
}

pub(crate) fn claim<'c>(world: &World, claim: &'c Claim) -> Cow<'c, Claim> {
    match world.weakness {
        Some(Weakness::UnconditionalClaim) => {
            let mut claim = claim.clone();
            if let (Some(_), Some(view)) = (claim.expected, &world.view) {
                claim.expected = Some(view.head.version);
                claim.head.version = claim.head.version.max(view.head.version + 1);
            }
            Cow::Owned(claim)
        }
        Some(Weakness::LatchingBreaker) if many_silent(claim) => {
            let mut claim = claim.clone();
            strip_replacements(world, &mut claim);
            Cow::Owned(claim)
        }
        _ => Cow::Borrowed(claim),
    }
}

fn many_silent(claim: &Claim) -> bool {
    let Some((report, _)) = decision(claim) else { return false };
    let counts = report.counts;
    let ever = counts.warming + counts.in_service + counts.suspect;
    counts.suspect * 100 >= ever * 34
}

fn strip_replacements(world: &World, claim: &mut Claim) {
    claim.put_intents.retain(|intent| intent.cause != Cause::Unhealthy);
    let members = world.view.iter().flat_map(|view| &view.members);
    let kept: Vec<_> = members.filter(|m| World::in_actual(&m.state)).map(|m| m.id.clone()).collect();
    claim.put_members.retain(|member| {
        let goes = matches!(&member.state, MemberState::Terminating(leaving) if leaving.cause == Cause::Unhealthy);
        !(goes && kept.contains(&member.id))
    });
}

pub(crate) fn lease(world: &World, request: &LeaseRequest) -> LeaseRequest {
    let mut request = request.clone();
    if world.weakness == Some(Weakness::NoLease) {
        let held = world.view.iter().flat_map(|view| &view.intents).find(|intent| intent.id == request.intent);
        let until = held.and_then(|intent| intent.lease.as_ref()).map(|lease| lease.until);
        request.now = until.map_or(request.now, |until| request.now.max(until));
    }
    request
}

pub(crate) fn launch(world: &World, spec: &LaunchSpec, attempt: u32) -> LaunchSpec {
    let mut spec = spec.clone();
    match world.weakness {
        Some(Weakness::RandomToken) => spec.token = Token(format!("{}-{attempt}", spec.token.0)),
        Some(Weakness::SameTokenElsewhere) => {
            let zones = ["zone-a", "zone-b", "zone-c"];
            let own = zones.iter().position(|zone| *zone == spec.zone).unwrap_or_default();
            let next = own + usize::try_from(attempt.saturating_sub(1)).unwrap_or_default();
            spec.zone = zones[next % zones.len()].to_owned();
        }
        _ => {}
    }
    spec
}

pub(crate) fn launched(world: &World, made: Result<Launched, FleetError>) -> Result<Launched, FleetError> {
    match made {
        Err(FleetError::Unavailable(cause)) if world.weakness == Some(Weakness::AbandonUnanswered) => {
            Err(FleetError::NoCapacity(cause))
        }
        made => made,
    }
}
