//! The tables in memory, with their conditions.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use muster_core::auto::Learnt;
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::{Intent, IntentId, Lease};
use muster_core::member::{InstanceId, MemberRecord};
use muster_core::sweep::{Sweep, SweepFigures, SweepLoads};
use muster_core::time::Timestamp;

use crate::activity::Activity;
use crate::ports::{
    ActivityLog, Claim, GroupState, GroupStore, Groups, HealthStore, LeaseRequest, Parts, Rejected, Rejections,
    Release, Settlement, StoreError, StoredPolicy, SweepLog,
};

/// The tables in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<GroupName, Group>>, Mutex<Option<Rejected>>);

#[derive(Debug, Default)]
struct Group {
    head: Option<Head>,
    members: BTreeMap<InstanceId, MemberRecord>,
    intents: BTreeMap<IntentId, Intent>,
    rosters: BTreeMap<(Shard, RosterNumber), Roster>,
    policies: BTreeMap<PolicyVersion, StoredPolicy>,
    learnt: Option<Box<Learnt>>,
    /// The latest slot that is claimed, and whose it is.
    slots: BTreeMap<Shard, (Timestamp, String)>,
    sweeps: BTreeMap<(Shard, Timestamp), Sweep>,
    activity: BTreeMap<String, Activity>,
    /// The stream: keys only, in the order of the writes.
    doorbells: Vec<(Shard, Timestamp)>,
}

impl MemoryStore {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<GroupName, Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a group's sweeps before `before`, as the tables let theirs expire; each shard's latest stays.
    pub fn forget_sweeps(&self, group: &GroupName, before: Timestamp) {
        let mut groups = self.locked();
        let Some(group) = groups.get_mut(group) else { return };
        let latest: BTreeMap<Shard, Timestamp> = group.sweeps.keys().copied().collect();
        group.sweeps.retain(|(shard, slot), _| *slot >= before || latest.get(shard) == Some(slot));
        group.doorbells.retain(|(_, slot)| *slot >= before);
    }

    /// The doorbells that have rung for a group, in order.
    pub fn doorbells(&self, group: &GroupName) -> Vec<(Shard, Timestamp)> {
        self.locked().get(group).map(|group| group.doorbells.clone()).unwrap_or_default()
    }
}

impl Group {
    fn log(&mut self, activity: &[Activity]) {
        self.activity.extend(activity.iter().map(|activity| (activity.id.clone(), activity.clone())));
    }
}

impl GroupStore for MemoryStore {
    async fn head(&self, group: &GroupName) -> Result<Option<Head>, StoreError> {
        Ok(self.locked().get(group).and_then(|group| group.head.clone()))
    }

    async fn read(&self, group: &GroupName) -> Result<Option<GroupState>, StoreError> {
        let groups = self.locked();
        let Some(group) = groups.get(group) else { return Ok(None) };
        Ok(group.head.clone().map(|head| GroupState {
            head,
            members: group.members.values().cloned().collect(),
            intents: group.intents.values().cloned().collect(),
            learnt: group
                .learnt
                .clone()
                .filter(|_| group.head.as_ref().is_some_and(|head| head.auto.stored_at.is_some())),
        }))
    }

    async fn claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let mut groups = self.locked();
        let group = groups.entry(claim.head.group.clone()).or_default();
        let untried = |id: &IntentId| group.intents.get(id).is_some_and(|intent| intent.attempt == 0);
        if group.head.as_ref().map(|head| head.version) != claim.expected || !claim.cancel_intents.iter().all(untried) {
            return Err(StoreError::Conflict);
        }
        group.head = Some(claim.head.clone());
        group.members.extend(claim.put_members.iter().map(|member| (member.id.clone(), member.clone())));
        group.members.retain(|id, _| !claim.delete_members.contains(id));
        group.intents.extend(claim.put_intents.iter().map(|intent| (intent.id.clone(), intent.clone())));
        group.intents.retain(|id, _| !claim.cancel_intents.contains(id));
        group.rosters.extend(claim.put_rosters.iter().map(|roster| ((roster.shard, roster.number), roster.clone())));
        group.policies.extend(claim.put_policy.iter().map(|policy| (policy.version, policy.clone())));
        group.learnt = claim.put_learnt.clone().or(group.learnt.take());
        group.log(&claim.activity);
        Ok(())
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<u32, StoreError> {
        let mut groups = self.locked();
        let intent = groups.get_mut(&request.group).and_then(|group| group.intents.get_mut(&request.intent));
        let intent = intent.ok_or(StoreError::Conflict)?;
        let held = intent.lease.as_ref().is_some_and(|lease| lease.until > request.now);
        if held || intent.attempt != request.attempt {
            return Err(StoreError::Conflict);
        }
        intent.attempt = intent.attempt.saturating_add(1);
        intent.lease = Some(Lease { owner: request.owner.clone(), until: request.until });
        intent.first_leased_at = intent.first_leased_at.or(Some(request.now));
        Ok(intent.attempt)
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        let mut groups = self.locked();
        let intent = groups.get_mut(&release.group).and_then(|group| group.intents.get_mut(&release.intent));
        let intent = intent.filter(|intent| intent.attempt == release.attempt).ok_or(StoreError::Conflict)?;
        intent.lease = intent.lease.take().map(|lease| Lease { until: release.until, ..lease });
        Ok(())
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let mut groups = self.locked();
        let group = groups.get_mut(&settlement.group).ok_or(StoreError::Conflict)?;
        let ours = |(id, attempt): &(IntentId, u32)| group.intents.get(id).is_some_and(|i| i.attempt == *attempt);
        if !settlement.settled.iter().all(ours) {
            return Err(StoreError::Conflict);
        }
        let head = group.head.as_mut().ok_or(StoreError::Conflict)?;
        if head.rosters.get(&settlement.shard).copied() != settlement.roster_seen {
            return Err(StoreError::Conflict);
        }
        head.version = head.version.saturating_add(1);
        head.outcomes.extend(settlement.outcomes.iter().cloned());
        if let Some(roster) = &settlement.roster {
            head.rosters.insert(roster.shard, roster.number);
            group.rosters.insert((roster.shard, roster.number), roster.clone());
        }
        group.members.extend(settlement.put_members.iter().map(|member| (member.id.clone(), member.clone())));
        group.intents.retain(|id, _| !settlement.settled.iter().any(|(settled, _)| settled == id));
        group.log(&settlement.activity);
        Ok(())
    }

    async fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        Ok(self.locked().get(group).and_then(|group| group.rosters.get(&(shard, number)).cloned()))
    }

    async fn policy(&self, group: &GroupName, version: PolicyVersion) -> Result<Option<StoredPolicy>, StoreError> {
        Ok(self.locked().get(group).and_then(|group| group.policies.get(&version).cloned()))
    }
}

impl HealthStore for MemoryStore {
    async fn take_slot(&self, group: &GroupName, shard: Shard, slot: Timestamp, owner: &str) -> Result<(), StoreError> {
        let mut groups = self.locked();
        let slots = &mut groups.entry(group.clone()).or_default().slots;
        let free = slots.get(&shard).is_none_or(|(taken, by)| *taken < slot || (*taken == slot && by == owner));
        if !free {
            return Err(StoreError::Conflict);
        }
        slots.insert(shard, (slot, owner.to_owned()));
        Ok(())
    }

    async fn append(&self, sweep: &Sweep) -> Result<(), StoreError> {
        let mut groups = self.locked();
        let group = groups.entry(sweep.group.clone()).or_default();
        if group.sweeps.contains_key(&(sweep.shard, sweep.slot)) {
            return Err(StoreError::Conflict);
        }
        group.sweeps.insert((sweep.shard, sweep.slot), sweep.clone());
        group.doorbells.push((sweep.shard, sweep.slot));
        Ok(())
    }

    async fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        let groups = self.locked();
        let Some(group) = groups.get(group) else { return Ok(None) };
        let shards_own = (shard, Timestamp::EPOCH)..=(shard, Timestamp::from_millis(u64::MAX));
        Ok(group.sweeps.range(shards_own).next_back().map(|(_, sweep)| sweep.clone()))
    }
}

impl SweepLog for MemoryStore {
    async fn sweeps_after(
        &self,
        group: &GroupName,
        after: (Timestamp, Shard),
        limit: usize,
    ) -> Result<Vec<SweepFigures>, StoreError> {
        let groups = self.locked();
        let sweeps = groups.get(group).into_iter().flat_map(|group| group.sweeps.values());
        let mut found: Vec<SweepFigures> = sweeps.map(Sweep::figures).collect();
        found.retain(|sweep| (sweep.slot, sweep.shard) > after);
        found.sort_by_key(|sweep| (sweep.slot, sweep.shard));
        found.truncate(limit);
        Ok(found)
    }

    async fn sampled(&self, group: &GroupName, parts: Parts) -> Result<Vec<Sweep>, StoreError> {
        let groups = self.locked();
        let Some(group) = groups.get(group) else { return Ok(Vec::new()) };
        let first = |(start, end)| group.sweeps.range((parts.shard, start)..(parts.shard, end)).next();
        Ok(parts.each().filter_map(first).map(|(_, sweep)| sweep.clone()).collect())
    }

    async fn sampled_figures(&self, group: &GroupName, parts: Parts) -> Result<Vec<SweepFigures>, StoreError> {
        let sweeps = self.sampled(group, parts).await?;
        Ok(sweeps.iter().map(Sweep::figures).collect())
    }

    async fn sampled_loads(&self, group: &GroupName, parts: Parts) -> Result<Vec<SweepLoads>, StoreError> {
        let sweeps = self.sampled(group, parts).await?;
        Ok(sweeps.iter().map(Sweep::loads).collect())
    }
}

impl Groups for MemoryStore {
    async fn groups(&self) -> Result<Vec<GroupName>, StoreError> {
        let groups = self.locked();
        Ok(groups.iter().filter(|(_, group)| group.head.is_some()).map(|(name, _)| name.clone()).collect())
    }

    async fn intents(&self, group: &GroupName) -> Result<Vec<Intent>, StoreError> {
        Ok(self.locked().get(group).map_or_else(Vec::new, |group| group.intents.values().cloned().collect()))
    }
}

impl Rejections for MemoryStore {
    async fn reject(&self, records: u32, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        let mut rejected = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let before = rejected.as_ref().map_or(0, |rejected| rejected.records);
        let records = before.saturating_add(u64::from(records));
        *rejected = Some(Rejected { records, last_at: at, reason: reason.to_owned() });
        Ok(())
    }

    async fn rejected(&self) -> Result<Option<Rejected>, StoreError> {
        Ok(self.1.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl ActivityLog for MemoryStore {
    async fn between(
        &self,
        group: &GroupName,
        from: Timestamp,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        let groups = self.locked();
        let Some(group) = groups.get(group) else { return Ok(Vec::new()) };
        let within = |at: Timestamp| at >= from && until.is_none_or(|until| at < until);
        let mut found: Vec<Activity> = group.activity.values().filter(|a| within(a.sort_key().0)).cloned().collect();
        found.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        found.drain(..found.len().saturating_sub(limit));
        Ok(found)
    }
}
