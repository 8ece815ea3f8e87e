//! The ports: each call is one transaction on the connection's thread.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use muster_control::activity::Activity;
use muster_control::ports::{
    ActivityLog, Claim, GroupState, GroupStore, Groups, HealthStore, LeaseRequest, Parts, Rejected, Rejections,
    Release, Settlement, StoreError, StoredPolicy, SweepLog,
};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::Intent;
use muster_core::sweep::{Sweep, SweepFigures, SweepLoads};
use muster_core::time::Timestamp;
use rusqlite::{Transaction, TransactionBehavior};

use crate::failure::Failure;
use crate::schema::{self, Access};
use crate::worker::Worker;
use crate::{activity, group, health, rejected};

/// How long a write waits for other processes before it is [`StoreError::Throttled`]. A write takes under a
/// millisecond; who waits for two seconds stands behind a process that was stopped in the middle of one.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store's file, opened. Clones share one connection; other processes open the same path.
///
/// A call that is given up while it waits is carried out all the same, as on any other store. Dropping the last clone
/// finishes what is queued and closes the file.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Worker>);

impl SqliteStore {
    /// Opens the store at `path`, and makes it when there is none; its folder must exist.
    ///
    /// # Errors
    /// `Corrupt` when the file is not a store of this version: it is left as it is. `Throttled` when others hold it,
    /// `Unavailable` when it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_as(path.as_ref(), Access::Write, PATIENCE)
    }

    /// Opens the store at `path` for tools that only look; every write is then `Unavailable`.
    ///
    /// # Errors
    /// As [`Self::open`]; and `Unavailable` when there is no file, `Corrupt` when there is nothing in it.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_as(path.as_ref(), Access::Read, PATIENCE)
    }

    pub(crate) fn open_as(path: &Path, access: Access, patience: Duration) -> Result<Self, StoreError> {
        let db = schema::open(path, access, patience)?;
        let worker = Worker::start(db).map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Self(Arc::new(worker)))
    }

    /// One snapshot to read from.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Deferred, work).await
    }

    /// One write, all or nothing: an error takes everything back.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Immediate, work).await
    }

    async fn transact<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0
            .call(move |db| {
                let transaction = db.transaction_with_behavior(behavior).map_err(Failure::from)?;
                let outcome = work(&transaction)?;
                transaction.commit().map_err(Failure::from)?;
                Ok(outcome)
            })
            .await
    }
}

impl GroupStore for SqliteStore {
    async fn head(&self, group: &GroupName) -> Result<Option<Head>, StoreError> {
        let group = group.to_string();
        self.look(move |work| group::head(work, &group)).await
    }

    async fn read(&self, group: &GroupName) -> Result<Option<GroupState>, StoreError> {
        let group = group.to_string();
        self.look(move |work| group::read(work, &group)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let claim = claim.clone();
        self.write(move |work| group::claim(work, &claim)).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<u32, StoreError> {
        let request = request.clone();
        self.write(move |work| group::lease(work, &request)).await
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        let release = release.clone();
        self.write(move |work| group::release(work, &release)).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let settlement = settlement.clone();
        self.write(move |work| group::settle(work, &settlement)).await
    }

    async fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        let group = group.to_string();
        self.look(move |work| group::roster(work, &group, shard, number)).await
    }

    async fn policy(&self, group: &GroupName, version: PolicyVersion) -> Result<Option<StoredPolicy>, StoreError> {
        let group = group.to_string();
        self.look(move |work| group::policy(work, &group, version)).await
    }
}

impl HealthStore for SqliteStore {
    async fn take_slot(&self, group: &GroupName, shard: Shard, slot: Timestamp, owner: &str) -> Result<(), StoreError> {
        let (group, owner) = (group.to_string(), owner.to_owned());
        self.write(move |work| health::take_slot(work, &group, shard, slot, &owner)).await
    }

    async fn append(&self, sweep: &Sweep) -> Result<(), StoreError> {
        let sweep = sweep.clone();
        self.write(move |work| health::append(work, &sweep)).await
    }

    async fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        let group = group.to_string();
        self.look(move |work| health::latest(work, &group, shard)).await
    }
}

impl SweepLog for SqliteStore {
    async fn sweeps_after(
        &self,
        group: &GroupName,
        after: (Timestamp, Shard),
        limit: usize,
    ) -> Result<Vec<SweepFigures>, StoreError> {
        let group = group.to_string();
        self.look(move |work| health::sweeps_after(work, &group, after, limit)).await
    }

    async fn sampled(&self, group: &GroupName, parts: Parts) -> Result<Vec<Sweep>, StoreError> {
        let group = group.to_string();
        self.look(move |work| health::sampled(work, &group, parts)).await
    }

    async fn sampled_figures(&self, group: &GroupName, parts: Parts) -> Result<Vec<SweepFigures>, StoreError> {
        let group = group.to_string();
        self.look(move |work| health::sampled(work, &group, parts)).await
    }

    async fn sampled_loads(&self, group: &GroupName, parts: Parts) -> Result<Vec<SweepLoads>, StoreError> {
        let group = group.to_string();
        self.look(move |work| health::sampled(work, &group, parts)).await
    }
}

impl ActivityLog for SqliteStore {
    async fn between(
        &self,
        group: &GroupName,
        from: Timestamp,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        let group = group.to_string();
        self.look(move |work| activity::between(work, &group, from, until, limit)).await
    }
}

impl Groups for SqliteStore {
    async fn groups(&self) -> Result<Vec<GroupName>, StoreError> {
        self.look(group::all_groups).await
    }

    async fn intents(&self, group: &GroupName) -> Result<Vec<Intent>, StoreError> {
        let group = group.to_string();
        self.look(move |work| group::intents(work, &group)).await
    }
}

impl Rejections for SqliteStore {
    async fn reject(&self, records: u32, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        let reason = reason.to_owned();
        self.write(move |work| rejected::add(work, records, &reason, at)).await
    }

    async fn rejected(&self) -> Result<Option<Rejected>, StoreError> {
        self.look(rejected::all).await
    }
}

#[cfg(test)]
mod tests {
    use muster_core::group::Head;
    use rusqlite::Connection;

    use super::*;

    #[tokio::test]
    async fn who_waits_too_long_for_another_writer_is_throttled() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store.db");
        let store = SqliteStore::open_as(&path, Access::Write, Duration::from_millis(10)).expect("a new store");
        let other = Connection::open(&path).expect("another connection");
        other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
        let first = Claim { head: Head { version: 1, ..Head::default() }, ..Claim::default() };
        let waited = store.claim(&first).await;
        assert!(matches!(waited, Err(StoreError::Throttled(_))), "{waited:?}");
        assert_eq!(store.head(&first.head.group).await.expect("a read"), None);
    }
}
