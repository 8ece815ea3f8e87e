//! What a store is, as plain tables: the conditions of [`GroupStore`](crate::ports::GroupStore) and
//! [`HealthStore`](crate::ports::HealthStore) read off their documentation.

use std::collections::BTreeMap;
use std::future::Future;

use muster_core::auto::Learnt;
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::{Intent, IntentId, Lease};
use muster_core::member::{InstanceId, MemberRecord};
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::store_calls::{Made, StoreCall, draw, play};
use super::{Answer, Case, Dice, draw_fate};
use crate::activity::Activity;
use crate::conformance::store::Store;
use crate::faulty::Fate;
use crate::ports::{Claim, GroupState, LeaseRequest, Release, Settlement, StoredPolicy};

/// A condition did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict;

/// What a write answers: the attempt of a lease, 0 otherwise.
type Written = Result<u32, Conflict>;

/// The tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) heads: BTreeMap<GroupName, Head>,
    pub(super) members: BTreeMap<(GroupName, InstanceId), MemberRecord>,
    pub(super) intents: BTreeMap<(GroupName, IntentId), Intent>,
    pub(super) rosters: BTreeMap<(GroupName, Shard, RosterNumber), Roster>,
    pub(super) policies: BTreeMap<(GroupName, PolicyVersion), StoredPolicy>,
    pub(super) learnt: BTreeMap<GroupName, Box<Learnt>>,
    pub(super) slots: BTreeMap<(GroupName, Shard), (Timestamp, &'static str)>,
    pub(super) sweeps: BTreeMap<(GroupName, Shard, Timestamp), Sweep>,
    pub(super) activities: BTreeMap<(GroupName, String), Activity>,
}

fn holds(condition: bool) -> Result<(), Conflict> {
    condition.then_some(()).ok_or(Conflict)
}

impl Tables {
    /// What a call does here.
    fn make(&mut self, made: &Made) -> Written {
        match made {
            Made::Claim(claim) => self.claim(claim),
            Made::Lease(request) => self.lease(request),
            Made::Release(release) => self.release(release),
            Made::Settle(settlement) => self.settle(settlement),
            Made::TakeSlot(group, shard, slot, owner) => self.take_slot(group, *shard, *slot, owner),
            Made::Append(sweep) => self.append(sweep),
        }
    }

    fn claim(&mut self, claim: &Claim) -> Written {
        let group = &claim.head.group;
        let untried = |id: &IntentId| self.intents.get(&(group.clone(), id.clone())).is_some_and(|i| i.attempt == 0);
        holds(self.heads.get(group).map(|head| head.version) == claim.expected)?;
        holds(claim.cancel_intents.iter().all(untried))?;
        self.heads.insert(group.clone(), claim.head.clone());
        self.put_members(group, &claim.put_members);
        for id in &claim.delete_members {
            self.members.remove(&(group.clone(), id.clone()));
        }
        for intent in &claim.put_intents {
            self.intents.insert((group.clone(), intent.id.clone()), intent.clone());
        }
        for id in &claim.cancel_intents {
            self.intents.remove(&(group.clone(), id.clone()));
        }
        self.put_rosters(group, &claim.put_rosters);
        if let Some(policy) = &claim.put_policy {
            self.policies.insert((group.clone(), policy.version), policy.clone());
        }
        if let Some(learnt) = &claim.put_learnt {
            self.learnt.insert(group.clone(), learnt.clone());
        }
        self.log(&claim.activity);
        Ok(0)
    }

    fn lease(&mut self, request: &LeaseRequest) -> Written {
        let intent = self.intents.get_mut(&(request.group.clone(), request.intent.clone())).ok_or(Conflict)?;
        holds(intent.attempt == request.attempt)?;
        holds(intent.lease.as_ref().is_none_or(|lease| lease.until <= request.now))?;
        intent.attempt += 1;
        intent.lease = Some(Lease { owner: request.owner.clone(), until: request.until });
        intent.first_leased_at.get_or_insert(request.now);
        Ok(intent.attempt)
    }

    fn release(&mut self, release: &Release) -> Written {
        let intent = self.intents.get_mut(&(release.group.clone(), release.intent.clone())).ok_or(Conflict)?;
        holds(intent.attempt == release.attempt)?;
        if let Some(lease) = &mut intent.lease {
            lease.until = release.until;
        }
        Ok(0)
    }

    fn settle(&mut self, settlement: &Settlement) -> Written {
        let Settlement { group, shard, .. } = settlement;
        for (id, attempt) in &settlement.settled {
            holds(self.intents.get(&(group.clone(), id.clone())).is_some_and(|i| i.attempt == *attempt))?;
        }
        let head = self.heads.get_mut(group).ok_or(Conflict)?;
        holds(head.rosters.get(shard).copied() == settlement.roster_seen)?;
        head.version += 1;
        head.outcomes.extend(settlement.outcomes.clone());
        if let Some(roster) = &settlement.roster {
            head.rosters.insert(*shard, roster.number);
        }
        for (id, _) in &settlement.settled {
            self.intents.remove(&(group.clone(), id.clone()));
        }
        self.put_members(group, &settlement.put_members);
        self.put_rosters(group, settlement.roster.as_slice());
        self.log(&settlement.activity);
        Ok(0)
    }

    fn take_slot(&mut self, group: &GroupName, shard: Shard, slot: Timestamp, owner: &'static str) -> Written {
        let key = (group.clone(), shard);
        holds(self.slots.get(&key).is_none_or(|taken| slot > taken.0 || (slot, owner) == *taken))?;
        self.slots.insert(key, (slot, owner));
        Ok(0)
    }

    fn append(&mut self, sweep: &Sweep) -> Written {
        let key = (sweep.group.clone(), sweep.shard, sweep.slot);
        holds(!self.sweeps.contains_key(&key))?;
        self.sweeps.insert(key, sweep.clone());
        Ok(0)
    }

    fn put_members(&mut self, group: &GroupName, members: &[MemberRecord]) {
        for member in members {
            self.members.insert((group.clone(), member.id.clone()), member.clone());
        }
    }

    fn put_rosters(&mut self, group: &GroupName, rosters: &[Roster]) {
        for roster in rosters {
            self.rosters.insert((group.clone(), roster.shard, roster.number), roster.clone());
        }
    }

    fn log(&mut self, activities: &[Activity]) {
        for activity in activities {
            self.activities.insert((activity.group.clone(), activity.id.clone()), activity.clone());
        }
    }

    /// What `read` gives: everything of the group, in the order of the ids.
    pub(super) fn state(&self, group: &GroupName) -> Option<GroupState> {
        let members = self.members.iter().filter(|((of, _), _)| of == group);
        let intents = self.intents.iter().filter(|((of, _), _)| of == group);
        Some(GroupState {
            head: self.heads.get(group)?.clone(),
            members: members.map(|(_, member)| member.clone()).collect(),
            intents: intents.map(|(_, intent)| intent.clone()).collect(),
            learnt: self.learnt.get(group).cloned(),
        })
    }

    /// What `latest` gives.
    pub(super) fn latest(&self, group: &GroupName, shard: Shard) -> Option<Sweep> {
        let own = self.sweeps.values().filter(|sweep| sweep.group == *group && sweep.shard == shard);
        own.max_by_key(|sweep| sweep.slot).cloned()
    }

    /// What `since` gives.
    pub(super) fn since(&self, group: &GroupName, from: Timestamp, limit: usize) -> Vec<Activity> {
        let own = self.activities.values().filter(|activity| activity.group == *group);
        let mut found: Vec<Activity> = own.filter(|activity| activity.sort_key().0 >= from).cloned().collect();
        found.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        found.split_off(found.len().saturating_sub(limit))
    }
}

/// The tables, and the answer to the last call.
#[derive(Clone, Debug, Default)]
pub struct StoreModel {
    pub(super) tables: Tables,
    pub(super) answer: Answer<u32, Conflict>,
}

impl ReferenceStateMachine for StoreModel {
    type State = Self;
    type Transition = StoreCall;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<StoreCall> {
        let tables = state.tables.clone();
        Dice::build(move |dice| {
            let fate: Fate = draw_fate(dice);
            StoreCall { fate, made: draw(&tables, dice) }
        })
    }

    fn apply(mut state: Self, call: &StoreCall) -> Self {
        state.answer = Answer::meeting(call.fate, || state.tables.make(&call.made));
        state
    }
}

/// Runs random calls against the store that `make` gives for each case. `block_on` runs a future to its end.
pub fn check<S: Store, G, F: Future<Output = (S, G)>>(
    cases: u32,
    failures: &'static str,
    make: impl Fn() -> F,
    block_on: impl Fn(std::pin::Pin<Box<dyn Future<Output = ()> + '_>>),
) {
    super::run::<StoreModel>(cases, failures, |case: Case<StoreModel>| {
        block_on(Box::pin(async {
            let (store, _guard) = make().await;
            play(store, case).await;
        }));
    });
}
