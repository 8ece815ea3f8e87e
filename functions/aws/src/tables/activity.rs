//! The activity log: one partition a group, in the order of time.

use muster_control::activity::Activity;
use muster_control::ports::{ActivityLog, StoreError};
use muster_core::group::GroupName;
use muster_core::time::Timestamp;

use super::Tables;
use super::failure::{Endless, unsent};
use super::items::{Key, decode, encode, partition, text, time_key};
use super::query::PAGES_MAX;
use super::schema::SORT_KEY;
use super::transaction::Transaction;

/// Writes activities; what has the same id has the same key, and is replaced.
pub(super) fn log<'a>(
    work: &mut Transaction<'a>,
    table: &'a str,
    group: &GroupName,
    activities: &[Activity],
) -> Result<(), StoreError> {
    for activity in activities {
        let (at, id) = activity.sort_key();
        let key = Key::activity(group, at, id);
        let item = encode(&key, activity)?;
        work.put(table, key, item);
    }
    Ok(())
}

impl ActivityLog for Tables {
    async fn between(
        &self,
        group: &GroupName,
        from: Timestamp,
        until: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Activity>, StoreError> {
        let table = &self.names.activity;
        // DynamoDB refuses a range that ends before it begins.
        if until.is_some_and(|until| until <= from) {
            return Ok(Vec::new());
        }
        let query = self.query(table, &partition(group)).scan_index_forward(false);
        let query = query.expression_attribute_names("#sk", SORT_KEY);
        let query = query.expression_attribute_values(":from", text(time_key(from)));
        // A key begins with its time and goes on with `#`: so what is of the last moment itself stands behind `until`.
        let query = match until {
            None => query.key_condition_expression("#pk = :pk AND #sk >= :from"),
            Some(until) => query
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :until")
                .expression_attribute_values(":until", text(time_key(until))),
        };
        let (mut found, mut start) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            let query = query.clone().limit(i32::try_from(left).unwrap_or(i32::MAX));
            let (items, next) = self.page(table, query, start).await?;
            found.extend(items);
            if next.is_none() {
                return oldest_first(table, found);
            }
            start = next;
        }
        if found.len() == limit {
            oldest_first(table, found)
        } else {
            Err(unsent(Endless { table: table.clone(), pages: PAGES_MAX }))
        }
    }
}

fn oldest_first(table: &str, newest_first: Vec<super::items::Item>) -> Result<Vec<Activity>, StoreError> {
    newest_first.into_iter().rev().map(|item| decode(table, item)).collect()
}
