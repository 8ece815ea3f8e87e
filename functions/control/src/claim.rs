//! From a decision to the one transaction that claims it, and from launches that came to the one that settles them.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::decide::Decision;
use muster_core::group::{DecisionMark, GroupName, Head, Roster, RosterEntry, RosterNumber, Shard, Wanted};
use muster_core::intent::Intent;
use muster_core::member::{InstanceId, MemberRecord, MemberState};
use muster_core::plan::{Departure, Step};
use muster_core::snapshot::Snapshot;
use muster_core::time::{Timestamp, millis};

use crate::activity::{self, Activity, Event};
use crate::policy::InForce;
use crate::ports::{Claim, GroupState};

/// The claim of a group's first HEAD, with an empty roster and the policy's minimum as desired.
pub(crate) fn first(group: &GroupName, stack: &str, now: Timestamp, policy: &InForce) -> Claim {
    let number = RosterNumber(1);
    let mut head = Head {
        group: group.clone(),
        stack: stack.to_owned(),
        born: now,
        version: 1,
        rosters: BTreeMap::from([(Shard(0), number)]),
        desired: policy.policy.at(now).min,
        ..Head::default()
    };
    let keep = policy.policy.out.stabilization.max(policy.policy.inward.stabilization);
    head.remember_recommendation(now, head.desired, keep);
    let roster = Roster { group: group.clone(), shard: Shard(0), number, entries: Vec::new() };
    let mut claim = Claim { expected: None, put_rosters: vec![roster], ..Claim::default() };
    let mut activity = Vec::new();
    policy.note(&mut head, &mut claim, &mut activity, now);
    Claim { head, activity, ..claim }
}

/// The claim that carries out `decision`, taken on `snapshot` of `state`.
pub(crate) fn of(state: &GroupState, snapshot: &Snapshot, decision: &Decision, policy: &InForce) -> Claim {
    let now = snapshot.now;
    let mut head = decision.plan.head.clone();
    let mut claim = Claim { expected: Some(state.head.version), ..Claim::default() };
    if head.auto.stored_at != state.head.auto.stored_at {
        claim.put_learnt = decision.plan.learnt.clone();
    }
    let mut members: BTreeMap<&InstanceId, MemberRecord> = state.members.iter().map(|m| (&m.id, m.clone())).collect();
    let mut changed = BTreeSet::new();
    let mut rosters = BTreeSet::new();
    let mut activity = Vec::new();
    policy.note(&mut head, &mut claim, &mut activity, now);
    activity.push(decision_activity(&mut head, snapshot, decision));
    for step in &decision.plan.steps {
        apply(step, &mut members, &mut changed, &mut rosters, &mut claim);
        activity.extend(activity_of(step, state, now));
    }
    for shard in rosters {
        let number = head.rosters.get(&shard).copied().unwrap_or_default().next();
        head.rosters.insert(shard, number);
        claim.put_rosters.push(roster(&head.group, shard, number, members.values()));
    }
    claim.put_members = changed.iter().filter_map(|id| members.get(id).cloned()).collect();
    Claim { head, activity, ..claim }
}

fn apply<'a>(
    step: &'a Step,
    members: &mut BTreeMap<&'a InstanceId, MemberRecord>,
    changed: &mut BTreeSet<&'a InstanceId>,
    rosters: &mut BTreeSet<Shard>,
    claim: &mut Claim,
) {
    match step {
        Step::Launch { intent } | Step::Sweep { intent, .. } => claim.put_intents.push(intent.clone()),
        Step::Cancel { intent } => claim.cancel_intents.push(intent.clone()),
        Step::Close { id, .. } => {
            if let Some(member) = members.remove(id) {
                claim.delete_members.push(id.clone());
                changed.remove(id);
                rosters.insert(member.shard);
            }
        }
        Step::Confirm { id, first_answer } => {
            if let Some(member) = members.get_mut(id) {
                member.state = MemberState::Active;
                member.first_answer = Some(*first_answer);
                changed.insert(id);
            }
        }
        Step::Drain { id, leaving } => {
            if let Some(member) = members.get_mut(id) {
                member.state = MemberState::Draining(leaving.clone());
                changed.insert(id);
                rosters.insert(member.shard);
            }
        }
        Step::TakeBack { id } => {
            if let Some(member) = members.get_mut(id) {
                member.state = MemberState::Active;
                changed.insert(id);
                rosters.insert(member.shard);
            }
        }
        Step::Terminate { id, leaving, intent, .. } => {
            claim.put_intents.push(intent.clone());
            if let Some(member) = members.get_mut(id) {
                member.state = MemberState::Terminating(leaving.clone());
                changed.insert(id);
                rosters.insert(member.shard);
            }
        }
    }
}

fn activity_of(step: &Step, state: &GroupState, now: Timestamp) -> Option<Activity> {
    let version = state.head.version + 1;
    let (id, what, event) = match step {
        Step::Confirm { id, first_answer } => {
            let intended = state.members.iter().find(|m| m.id == *id).map_or(*first_answer, |m| m.intended_at);
            let boot_ms = millis(first_answer.since(intended));
            (id, "joined", Event::Joined { instance: id.clone(), boot_ms })
        }
        Step::Drain { id, leaving } => (id, "draining", Event::Draining { instance: id.clone(), cause: leaving.cause }),
        Step::TakeBack { id } => (id, "taken-back", Event::TakenBack { instance: id.clone() }),
        Step::Close { id, departure: Departure::Lost } => (id, "lost", Event::Lost { instance: id.clone() }),
        Step::Close { id, departure: Departure::Disowned } => {
            (id, "disowned", Event::Disowned { instance: id.clone() })
        }
        Step::Close { departure: Departure::Ended, .. }
        | Step::Terminate { .. }
        | Step::Cancel { .. }
        | Step::Launch { .. }
        | Step::Sweep { .. } => return None,
    };
    Some(Activity { group: state.head.group.clone(), at: now, id: format!("{version:010}-{id}-{what}"), event })
}

/// The decision's record: a new one, or the last one written again when nothing but time has passed (O2).
fn decision_activity(head: &mut Head, snapshot: &Snapshot, decision: &Decision) -> Activity {
    let now = snapshot.now;
    let fold_key = decision.report.fold_key();
    let mark = match &head.last_decision {
        Some(last) if last.fold_key == fold_key && decision.plan.is_empty() => {
            DecisionMark { count: last.count.saturating_add(1), ..last.clone() }
        }
        Some(_) | None => {
            let id = format!("{:010}-decision", head.version);
            DecisionMark { id, fold_key, since: now, count: 1 }
        }
    };
    head.last_decision = Some(mark.clone());
    let event = Event::Decision {
        report: Box::new(decision.report.clone()),
        version: head.version,
        since: mark.since,
        count: mark.count,
        snapshot: activity::recorded(snapshot),
    };
    Activity { group: head.group.clone(), at: now, id: mark.id, event }
}

/// A shard's roster: everybody who is swept, in the order of their ids, and what is wanted of each.
pub(crate) fn roster<'a>(
    group: &GroupName,
    shard: Shard,
    number: RosterNumber,
    members: impl Iterator<Item = &'a MemberRecord>,
) -> Roster {
    let mut entries: Vec<RosterEntry> = members
        .filter(|member| member.shard == shard)
        .filter_map(|member| {
            let wanted = match &member.state {
                MemberState::Pending | MemberState::Active => Wanted::Serve,
                MemberState::Draining(leaving) => {
                    Wanted::Drain { reason: leaving.cause.to_string(), timeout_ms: leaving.timeout_ms }
                }
                MemberState::Terminating(_) => return None,
            };
            Some(RosterEntry { id: member.id.clone(), endpoint: member.endpoint.clone(), wanted })
        })
        .collect();
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    Roster { group: group.clone(), shard, number, entries }
}

/// The record of the member that a launch has made.
pub(crate) fn launched(
    intent: &Intent,
    spec: &muster_core::intent::LaunchSpec,
    made: &crate::ports::Launched,
    at: Timestamp,
) -> MemberRecord {
    MemberRecord {
        id: made.id.clone(),
        shard: spec.shard,
        endpoint: made.endpoint.clone(),
        zone: spec.zone.clone(),
        template: spec.template.clone(),
        template_version: spec.template_version,
        intent: intent.id.clone(),
        intended_at: intent.at,
        launched_at: at,
        first_answer: None,
        replaces: spec.replaces.clone(),
        state: MemberState::Pending,
    }
}
