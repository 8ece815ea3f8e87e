//! The end of a group: what the control table holds of it goes. Its sweeps expire, its activities stay.

use muster_control::ports::{GroupStore, StoreError, StoredPolicy};
use muster_core::group::GroupName;

use super::Tables;
use super::failure::{Endless, unsent};
use super::items::{Key, POLICIES, key_in, number, partition};
use super::query::PAGES_MAX;
use super::schema::SORT_KEY;
use super::transaction::{Expression, ITEMS_MAX, Transaction};

/// Tries of a part of the rest, when somebody else writes an item of it at that moment.
const TRIES: u32 = 5;

impl Tables {
    /// Every policy that has been in force, oldest first.
    ///
    /// # Errors
    /// As any read of the ports.
    pub async fn policies(&self, group: &GroupName) -> Result<Vec<StoredPolicy>, StoreError> {
        self.documents(&self.names.control, &partition(group), POLICIES).await
    }

    /// Forgets a group in which nobody lives: HEAD first, and only at `version`, at which its caller has found neither member nor intent;
    /// none: there must be no HEAD any more. Whoever decides meanwhile loses his claim. Then everything else of it, the list of groups
    /// last: what was cut off is seen there, and goes on with no version.
    ///
    /// # Errors
    /// `Conflict` when HEAD is not as told; then nothing has been deleted. Else as any write of the ports.
    pub async fn forget(&self, group: &GroupName, version: Option<u64>) -> Result<(), StoreError> {
        match version {
            Some(version) => self.forget_head(group, version).await?,
            None if self.head(group).await?.is_some() => return Err(StoreError::Conflict),
            None => {}
        }
        self.forget_rest(group).await?;
        self.delete_all(&[Key::listed(group)]).await
    }

    async fn forget_head(&self, group: &GroupName, version: u64) -> Result<(), StoreError> {
        let table = self.names.control.as_str();
        let same =
            Expression::new("#version = :version").name("#version", "version").value(":version", number(version));
        let mut work = Transaction::default();
        work.delete_if(table, Key::head(group), same);
        work.send(self, table).await
    }

    async fn forget_rest(&self, group: &GroupName) -> Result<(), StoreError> {
        let table = &self.names.control;
        let keys = self.query(table, &partition(group)).projection_expression("#pk, #sk");
        let keys = keys.expression_attribute_names("#sk", SORT_KEY);
        let head = Key::head(group);
        let mut start = None;
        for _ in 0..PAGES_MAX {
            let (items, next) = self.page(table, keys.clone(), start).await?;
            // A HEAD that is there now is another group's of the same name.
            let found: Vec<Key> = items.iter().filter_map(key_in).filter(|key| *key != head).collect();
            self.delete_all(&found).await?;
            if next.is_none() {
                return Ok(());
            }
            start = next;
        }
        Err(unsent(Endless { table: table.clone(), pages: PAGES_MAX }))
    }

    async fn delete_all(&self, keys: &[Key]) -> Result<(), StoreError> {
        let table = self.names.control.as_str();
        for part in keys.chunks(ITEMS_MAX) {
            for left in (0..TRIES).rev() {
                let mut work = Transaction::default();
                part.iter().for_each(|key| work.delete(table, key.clone()));
                match work.send(self, table).await {
                    Ok(()) => break,
                    Err(StoreError::Conflict) if left > 0 => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
