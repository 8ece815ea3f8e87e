//! What the calls of the stores do to the truth, each observed as it happens.

use futures_util::FutureExt;
use muster_control::ports::{
    Claim, GroupState, GroupStore, HealthStore, LeaseRequest, Release, Settlement, StoreError, StoredPolicy,
};
use muster_core::group::{GroupName, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::policy::Policy;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;

use crate::story::Weight;
use crate::weak;
use crate::world::{Function, RunId, World};

/// A call of the tables in memory: it never waits.
fn at_once<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    call.now_or_never().unwrap_or_else(|| Err(StoreError::Unavailable("the tables in memory never wait".into())))
}

/// Nobody here reads the log, and it would hold every snapshot of a run.
fn without_activity(claim: &Claim) -> Claim {
    Claim {
        expected: claim.expected,
        head: claim.head.clone(),
        put_members: claim.put_members.clone(),
        delete_members: claim.delete_members.clone(),
        put_intents: claim.put_intents.clone(),
        cancel_intents: claim.cancel_intents.clone(),
        put_rosters: claim.put_rosters.clone(),
        put_policy: claim.put_policy.clone(),
        put_learnt: claim.put_learnt.clone(),
        activity: Vec::new(),
    }
}

impl World {
    /// Reads the truth again after a write.
    fn look(&mut self) -> Option<GroupState> {
        let next = at_once(self.store.read(&self.group)).ok().flatten();
        std::mem::replace(&mut self.view, next)
    }

    pub(crate) fn read(&mut self, run: RunId) -> Option<GroupState> {
        self.tries_again(run);
        let mut state = self.view.clone();
        let deciding = self.runs.get_mut(&run).is_some_and(|mine| std::mem::take(&mut mine.deciding));
        if let Some(state) = &mut state {
            weak::state(self.weakness, deciding, state);
        }
        state
    }

    pub(crate) fn claim(&mut self, run: RunId, claim: &Claim) -> Result<(), StoreError> {
        if let Err(error) = at_once(self.store.claim(&without_activity(claim))) {
            self.lost_claim(run);
            return Err(error);
        }
        if let Some(put) = &claim.put_policy
            && let Ok(policy) = Policy::parse(&put.text)
        {
            self.policies.insert(put.version, policy);
        }
        let before = self.look();
        self.writes_head(run);
        self.tell_claim(run, claim);
        self.claimed(run, before.as_ref(), claim);
        self.record_claim(before.as_ref(), claim);
        self.check_claim(before.as_ref(), claim);
        if let Some((report, _)) = crate::safety::decision(claim) {
            self.v6_a_blackout_is_over(report);
        }
        self.check_state();
        Ok(())
    }

    fn tell_claim(&mut self, run: RunId, claim: &Claim) {
        let acts = !claim.put_intents.is_empty() || claim.put_policy.is_some() || !claim.delete_members.is_empty();
        let weight = if acts || !claim.put_members.is_empty() { Weight::Deed } else { Weight::Change };
        self.tell(weight, |world| {
            let report = crate::safety::decision(claim).map(|(report, _)| report);
            let said = report.map(|report| format!("{} [{}]", report.headline, report.actions.join("; ")));
            let waits: Vec<String> = report
                .map(|report| report.waits.iter().map(|wait| format!("{}: {}", wait.rule, wait.text)).collect())
                .unwrap_or_default();
            let said = said.unwrap_or_else(|| "the group's first HEAD".into());
            format!("{} claims version {}: {said} ({})", world.who(run), claim.head.version, waits.join("; "))
        });
    }

    pub(crate) fn lease(&mut self, run: RunId, request: &LeaseRequest) -> Result<u32, StoreError> {
        let attempt = at_once(self.store.lease(&weak::lease(self, request)));
        match &attempt {
            Ok(attempt) => {
                let (attempt, intent) = (*attempt, request.intent.clone());
                self.look();
                self.tell(Weight::Change, |w| format!("{} leases {intent}, attempt {attempt}", w.who(run)));
                self.leased(run, &request.intent);
            }
            Err(_) => self.lost_lease(run, &request.intent),
        }
        attempt
    }

    pub(crate) fn release(&mut self, run: RunId, release: &Release) -> Result<(), StoreError> {
        at_once(self.store.release(release))?;
        self.look();
        self.tell(Weight::Change, |w| format!("{} gives {} back", w.who(run), release.intent));
        Ok(())
    }

    pub(crate) fn settle(&mut self, run: RunId, settlement: &Settlement) -> Result<(), StoreError> {
        if let Err(error) = at_once(self.store.settle(settlement)) {
            self.lost_claim(run);
            return Err(error);
        }
        let before = self.look();
        self.writes_head(run);
        self.tell(Weight::Deed, |w| {
            let ids: Vec<String> = settlement.settled.iter().map(|(id, attempt)| format!("{id}/{attempt}")).collect();
            let made: Vec<String> = settlement.put_members.iter().map(|member| member.id.to_string()).collect();
            format!("{} settles {}: {} {:?}", w.who(run), ids.join(", "), made.join(", "), settlement.outcomes)
        });
        self.settled(settlement);
        self.check_settlement(settlement);
        self.check_version(before.as_ref());
        self.check_state();
        Ok(())
    }

    pub(crate) fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        at_once(self.store.roster(group, shard, number))
    }

    pub(crate) fn stored_policy(
        &self,
        group: &GroupName,
        version: PolicyVersion,
    ) -> Result<Option<StoredPolicy>, StoreError> {
        at_once(self.store.policy(group, version))
    }

    pub(crate) fn take_slot(
        &mut self,
        run: RunId,
        group: &GroupName,
        shard: Shard,
        slot: Timestamp,
        owner: &str,
    ) -> Result<(), StoreError> {
        let taken = at_once(self.store.take_slot(group, shard, slot, owner));
        self.takes_slot(run, slot, taken.is_ok());
        taken
    }

    pub(crate) fn append(&mut self, run: RunId, sweep: &Sweep) -> Result<(), StoreError> {
        at_once(self.store.append(sweep))?;
        self.tell(Weight::Change, |w| {
            let counts = &sweep.counts;
            let blind = sweep.blind.as_ref().map_or("", |_| ", blind");
            let mean = counts.mean.map_or_else(|| "no mean".into(), |mean| format!("mean {mean:.0} %"));
            let silent: Vec<&str> = sweep
                .members
                .iter()
                .filter(|(_, health)| health.seen != muster_core::health::Seen::Answered)
                .map(|(id, _)| id.0.as_str())
                .collect();
            format!(
                "{} writes a sweep: {} of {} answer, {mean}{blind} {}",
                w.who(run),
                counts.answered,
                counts.members,
                silent.join(" ")
            )
        });
        self.swept(run, sweep);
        self.check_sweep(sweep);
        self.ring(sweep.slot);
        Ok(())
    }

    pub(crate) fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        at_once(self.store.latest(group, shard))
    }

    /// An invocation's name.
    pub(crate) fn who(&self, run: RunId) -> String {
        self.runs.get(&run).map_or_else(
            || format!("#{run}"),
            |run| match run.start.function {
                Function::Monitor => format!("monitor {}", run.owner),
                Function::Controller => format!("controller {}", run.owner),
            },
        )
    }
}
