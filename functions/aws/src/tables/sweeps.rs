//! The sweeps, and the slots that they need. Appending one rings the doorbell: the table has a stream of keys.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures_util::{StreamExt as _, TryStreamExt as _};
use muster_control::packed::{Base, Standing};
use muster_control::ports::{HealthStore, Parts, StoreError, SweepLog};
use muster_core::group::{GroupName, Shard};
use muster_core::sweep::{Sweep, SweepFigures, SweepLoads};
use muster_core::time::Timestamp;

use super::failure::{Endless, failure, unsent};
use super::items::{Item, Key, SWEEPS, checked, expiry, number, partition, text};
use super::query::PAGES_MAX;
use super::row::{self, READABLE};
use super::schema::{EXPIRES_AT, SORT_KEY};
use super::transaction::{Expression, Transaction, absent};
use super::{Tables, once};

/// Sweeps of all shards that are looked through for one shard's latest, page by page; the last pages are as long as DynamoDB
/// makes them, 1 MB. A shard whose latest lies further back, hours for a group of some thousands, begins anew.
const PAGES: [i32; 7] = [4, 16, 64, 256, i32::MAX, i32::MAX, i32::MAX];

/// Parts of the record that are looked into at a time.
const AT_ONCE: usize = 8;

/// How long a lock is kept after its slot. A group that is swept renews it; one that has been removed may be swept for some minutes yet.
const LOCKS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

impl HealthStore for Tables {
    async fn take_slot(&self, group: &GroupName, shard: Shard, slot: Timestamp, owner: &str) -> Result<(), StoreError> {
        let update = Expression::new("SET #slot = :slot, #owner = :owner, #expires = :expires")
            .name("#slot", "slot")
            .name("#owner", "owner")
            .name("#expires", EXPIRES_AT)
            .value(":slot", number(slot.as_millis()))
            .value(":expires", expiry(slot.plus(LOCKS_KEPT)))
            .value(":owner", text(owner));
        let free = "attribute_not_exists(#slot) OR #slot < :slot OR (#slot = :slot AND #owner = :owner)";
        self.update_once(&Key::lock(group, shard), &update, free).await
    }

    async fn append(&self, sweep: &Sweep) -> Result<(), StoreError> {
        let table = self.names.sweeps.as_str();
        let before = if sweep.members.len() > READABLE { self.before(sweep).await? } else { None };
        let written = row::write(sweep, before)?;
        match written.base {
            None => self.put_once(table, written.item).await,
            // In one transaction, so that there is neither a sweep without its base nor another one's base under its key.
            Some((base_key, base)) => {
                let mut work = Transaction::default();
                work.put(table, base_key.clone(), base);
                work.put_if(table, written.key, written.item, absent());
                work.send(self, table).await?;
                if let Some((_, base)) = written.next {
                    self.bases.remember(base_key, &base);
                }
                Ok(())
            }
        }
    }

    async fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        match self.newest(group, shard, |query| query).await? {
            Some(item) => self.whole(group, shard, item).await.map(Some),
            None => Ok(None),
        }
    }
}

impl SweepLog for Tables {
    /// What is packed is not fetched; DynamoDB counts it as read all the same.
    async fn sweeps_after(
        &self,
        group: &GroupName,
        (slot, shard): (Timestamp, Shard),
        limit: usize,
    ) -> Result<Vec<SweepFigures>, StoreError> {
        let table = &self.names.sweeps;
        let query = self.query(table, &partition(group)).consistent_read(false);
        let query = query.key_condition_expression("#pk = :pk AND #sk BETWEEN :after AND :end");
        // Behind the key and everything that begins with it; `~` stands behind every digit.
        let after = format!("{}~", Key::sweep(group, shard, slot).sk);
        let query = query.expression_attribute_values(":after", text(after));
        let query = query.expression_attribute_values(":end", text(format!("{SWEEPS}~")));
        let query = row::figures_only(query);
        let (mut found, mut start) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let left = limit - found.len();
            if left == 0 {
                return Ok(found);
            }
            let query = query.clone().limit(i32::try_from(left).unwrap_or(i32::MAX));
            let (items, next) = self.page(table, query, start).await?;
            for item in items {
                found.push(row::figures(table, item)?);
            }
            if next.is_none() {
                return Ok(found);
            }
            start = next;
        }
        Err(unsent(Endless { table: table.clone(), pages: PAGES_MAX }))
    }

    /// Each part's first item, whole.
    async fn sampled(&self, group: &GroupName, parts: Parts) -> Result<Vec<Sweep>, StoreError> {
        let items = self.firsts(group, parts, |query| query).await?;
        let mut sweeps = Vec::with_capacity(items.len());
        for item in items {
            sweeps.push(self.whole(group, parts.shard, item).await?);
        }
        Ok(sweeps)
    }

    /// What is packed is neither fetched nor unpacked; DynamoDB counts it as read all the same.
    async fn sampled_figures(&self, group: &GroupName, parts: Parts) -> Result<Vec<SweepFigures>, StoreError> {
        let items = self.firsts(group, parts, row::figures_only).await?;
        items.into_iter().map(|item| row::figures(&self.names.sweeps, item)).collect()
    }

    /// Of the whole ones: what is packed is unpacked whole.
    async fn sampled_loads(&self, group: &GroupName, parts: Parts) -> Result<Vec<SweepLoads>, StoreError> {
        let sweeps = self.sampled(group, parts).await?;
        Ok(sweeps.iter().map(Sweep::loads).collect())
    }
}

impl Tables {
    /// The items of the shard's first sweep in each part, by one Query a part, some at a time. Where a part begins with a slot the first
    /// item that is read is the shard's own; see `first_in`.
    async fn firsts(
        &self,
        group: &GroupName,
        parts: Parts,
        fetched: fn(QueryFluentBuilder) -> QueryFluentBuilder,
    ) -> Result<Vec<Item>, StoreError> {
        let looks = parts.each().map(|part| self.first_in(group, parts.shard, part, fetched));
        let found: Vec<Option<Item>> = futures_util::stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The item of the shard's first sweep in a part of the record.
    ///
    /// The shards of a group lie beside each other, slot by slot: behind the shard's own place in a slot that the part begins with
    /// lies the shard's own item, and nobody else's is read. Else others are read with it, but of a shard that is not swept any more no
    /// more than a few: such a one has none in the part.
    async fn first_in(
        &self,
        group: &GroupName,
        shard: Shard,
        (start, end): (Timestamp, Timestamp),
        fetched: fn(QueryFluentBuilder) -> QueryFluentBuilder,
    ) -> Result<Option<Item>, StoreError> {
        let table = &self.names.sweeps;
        let query = fetched(self.query(table, &partition(group)).consistent_read(false));
        let query = query.key_condition_expression("#pk = :pk AND #sk BETWEEN :start AND :end");
        let query = query.expression_attribute_names("#sk", SORT_KEY);
        let query = query.expression_attribute_values(":start", text(Key::sweep(group, shard, start).sk));
        // A key begins with its slot and goes on with `#`: what is of the end itself stands behind it.
        let query = query.expression_attribute_values(":end", text(format!("{SWEEPS}{:013}", end.as_millis())));
        let query = query.filter_expression("#shard = :shard").expression_attribute_names("#shard", "shard");
        let query = query.expression_attribute_values(":shard", number(shard.0));
        let mut next = None;
        for limit in [1, 4 + i32::from(shard.0), 16 + 2 * i32::from(shard.0)] {
            let (items, more) = self.page(table, query.clone().limit(limit), next).await?;
            if let Some(item) = items.into_iter().next() {
                return Ok(Some(item));
            }
            if more.is_none() {
                break;
            }
            next = more;
        }
        Ok(None)
    }

    /// The sweep that an item holds, with its members unpacked.
    async fn whole(&self, group: &GroupName, shard: Shard, item: Item) -> Result<Sweep, StoreError> {
        let table = &self.names.sweeps;
        let read = row::read(table, group, item)?;
        let base = match read.standing() {
            Some(standing) => self.base(group, shard, standing.base).await?,
            None => None,
        };
        read.whole(table, base)
    }

    /// What the next sweep of a large shard stands on: the base of the latest one in the table, whoever wrote it.
    async fn before(&self, sweep: &Sweep) -> Result<Option<(Standing, Arc<Base>)>, StoreError> {
        let (group, shard) = (&sweep.group, sweep.shard);
        let part = |query: QueryFluentBuilder| {
            let query = query.projection_expression("#pk, #sk, #base, #excess");
            query.expression_attribute_names("#base", "base").expression_attribute_names("#excess", "excess")
        };
        let Some(item) = self.newest(group, shard, part).await? else { return Ok(None) };
        let Some(standing) = row::read_standing(&self.names.sweeps, item)? else { return Ok(None) };
        let base = self.base(group, shard, standing.base).await?;
        Ok(base.map(|base| (standing, base)))
    }

    /// The base made of the sweep at `slot`.
    async fn base(&self, group: &GroupName, shard: Shard, slot: Timestamp) -> Result<Option<Arc<Base>>, StoreError> {
        let (table, key) = (&self.names.sweeps, Key::base(group, shard, slot));
        if let Some(base) = self.bases.get(&key) {
            return Ok(Some(base));
        }
        let Some(item) = self.item(table, &key).await? else { return Ok(None) };
        let base = Arc::new(row::read_base(table, item)?);
        self.bases.remember(key, &base);
        Ok(Some(base))
    }

    /// The shard's item with the latest slot. The shards of a group lie beside each other, so those between are skipped.
    async fn newest(
        &self,
        group: &GroupName,
        shard: Shard,
        part: impl Fn(QueryFluentBuilder) -> QueryFluentBuilder + Send,
    ) -> Result<Option<Item>, StoreError> {
        let table = &self.names.sweeps;
        let query = self.query(table, &partition(group)).scan_index_forward(false);
        let query = query.key_condition_expression("#pk = :pk AND begins_with(#sk, :sweeps)");
        let query = query.expression_attribute_names("#sk", SORT_KEY);
        let query = query.expression_attribute_values(":sweeps", text(SWEEPS));
        let query = query.filter_expression("#shard = :shard").expression_attribute_names("#shard", "shard");
        let query = part(query.expression_attribute_values(":shard", number(shard.0)));
        let mut start = None;
        for limit in PAGES {
            let (items, next) = self.page(table, query.clone().limit(limit), start).await?;
            if let Some(item) = items.into_iter().next() {
                return Ok(Some(item));
            }
            if next.is_none() {
                break;
            }
            start = next;
        }
        Ok(None)
    }

    async fn put_once(&self, table: &str, item: Item) -> Result<(), StoreError> {
        let absent = absent();
        let request = self
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(checked(item)?))
            .condition_expression(&absent.text)
            .set_expression_attribute_names(absent.names());
        let answer = request.customize().config_override(once()).send().await;
        answer.map_err(|error| failure("PutItem", table, error))?;
        Ok(())
    }
}
