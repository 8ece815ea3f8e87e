//! Reads: one item, or every page of a range.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use muster_control::ports::StoreError;
use serde::de::DeserializeOwned;

use super::Tables;
use super::failure::{Endless, failure, unsent};
use super::items::{Item, Key, decode, text};
use super::schema::{PARTITION_KEY, SORT_KEY};

/// Pages that one answer has at most. A page holds 1 MB, more than 2,000 members.
pub(super) const PAGES_MAX: usize = 100;

impl Tables {
    /// The item, read strongly.
    pub(super) async fn item(&self, table: &str, key: &Key) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(table).set_key(Some(key.item())).consistent_read(true);
        let answer = request.send().await.map_err(|error| failure("GetItem", table, error))?;
        Ok(answer.item)
    }

    /// What the item is.
    pub(super) async fn one<T: DeserializeOwned>(&self, table: &str, key: &Key) -> Result<Option<T>, StoreError> {
        self.item(table, key).await?.map(|item| decode(table, item)).transpose()
    }

    /// Every item of a partition whose sort key begins with `prefix`, in their order.
    pub(super) async fn all(&self, table: &str, pk: &str, prefix: &str) -> Result<Vec<Item>, StoreError> {
        let mut query = self.query(table, pk);
        if !prefix.is_empty() {
            query = query.key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)");
            query = query.expression_attribute_names("#sk", SORT_KEY);
            query = query.expression_attribute_values(":prefix", text(prefix));
        }
        let (mut found, mut start) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let (items, next) = self.page(table, query.clone(), start).await?;
            found.extend(items);
            if next.is_none() {
                return Ok(found);
            }
            start = next;
        }
        Err(unsent(Endless { table: table.to_owned(), pages: PAGES_MAX }))
    }

    /// What each of these items is.
    pub(super) async fn documents<T: DeserializeOwned>(
        &self,
        table: &str,
        pk: &str,
        prefix: &str,
    ) -> Result<Vec<T>, StoreError> {
        self.all(table, pk, prefix).await?.into_iter().map(|item| decode(table, item)).collect()
    }

    /// A strong query of a whole partition.
    pub(super) fn query(&self, table: &str, pk: &str) -> QueryFluentBuilder {
        let query = self.client.query().table_name(table).consistent_read(true);
        let query = query.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", PARTITION_KEY);
        query.expression_attribute_values(":pk", text(pk))
    }

    /// The page of a query that begins after `start`, and after what the next one does, if there is one.
    pub(super) async fn page(
        &self,
        table: &str,
        query: QueryFluentBuilder,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let answer = query.set_exclusive_start_key(start).send().await;
        let answer = answer.map_err(|error| failure("Query", table, error))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.filter(|key| !key.is_empty())))
    }
}
