//! Several items, written as a whole or not at all.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use muster_control::ports::StoreError;

use super::Tables;
use super::failure::{Unwritable, transaction_failure, unsent};
use super::items::{Item, Key, checked};

/// What DynamoDB takes as one transaction.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub(super) const ITEMS_MAX: usize = 100;

/// An expression with the names and values that it speaks of. Names are never spelled out: DynamoDB reserves 573 words.
#[derive(Clone, Debug, Default)]
pub(super) struct Expression {
    pub(super) text: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// `#name` stands for the attribute `attribute`.
    pub(super) fn name(mut self, name: &str, attribute: impl Into<String>) -> Self {
        self.names.insert(name.to_owned(), attribute.into());
        self
    }

    /// `:value` stands for `is`.
    pub(super) fn value(mut self, value: &str, is: AttributeValue) -> Self {
        self.values.insert(value.to_owned(), is);
        self
    }

    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    pub(super) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

/// The condition that there is no such item.
pub(super) fn absent() -> Expression {
    Expression::new("attribute_not_exists(#pk)").name("#pk", super::schema::PARTITION_KEY)
}

enum Write {
    Put(Item, Option<Expression>),
    Delete(Option<Expression>),
    /// What is set, and the condition; both speak of the same names and values.
    Update(Expression, Option<String>),
}

/// Writes of one transaction. An item is written once in it: the last word on it holds.
#[derive(Default)]
pub(super) struct Transaction<'a>(BTreeMap<(&'a str, Key), Write>);

impl<'a> Transaction<'a> {
    pub(super) fn put(&mut self, table: &'a str, key: Key, item: Item) {
        self.0.insert((table, key), Write::Put(item, None));
    }

    pub(super) fn put_if(&mut self, table: &'a str, key: Key, item: Item, condition: Expression) {
        self.0.insert((table, key), Write::Put(item, Some(condition)));
    }

    pub(super) fn delete(&mut self, table: &'a str, key: Key) {
        self.0.insert((table, key), Write::Delete(None));
    }

    pub(super) fn delete_if(&mut self, table: &'a str, key: Key, condition: Expression) {
        self.0.insert((table, key), Write::Delete(Some(condition)));
    }

    pub(super) fn update_if(&mut self, table: &'a str, key: Key, update: Expression, condition: String) {
        self.0.insert((table, key), Write::Update(update, Some(condition)));
    }

    /// Adds an update without which the transaction is as good, unless the item is written anyway or there is no room.
    pub(super) fn update_if_it_fits(&mut self, table: &'a str, key: Key, update: Expression) {
        if self.0.len() < ITEMS_MAX {
            self.0.entry((table, key)).or_insert(Write::Update(update, None));
        }
    }

    /// Writes all of it or nothing. `table` stands for it in errors.
    pub(super) async fn send(self, tables: &Tables, table: &str) -> Result<(), StoreError> {
        let items = self.0.len();
        if items > ITEMS_MAX {
            return Err(unsent(Unwritable::LargeTransaction { items, max: ITEMS_MAX }));
        }
        let writes = self.0.into_iter().map(|((table, key), write)| write.request(table, &key));
        let writes = writes.collect::<Result<Vec<_>, _>>()?;
        let request = tables.client.transact_write_items().set_transact_items(Some(writes));
        request.send().await.map_err(|error| transaction_failure(table, error))?;
        Ok(())
    }
}

impl Write {
    fn request(self, table: &str, key: &Key) -> Result<TransactWriteItem, StoreError> {
        let request = TransactWriteItem::builder();
        Ok(match self {
            Self::Put(item, condition) => {
                let condition = condition.unwrap_or_default();
                let put = Put::builder()
                    .table_name(table)
                    .set_item(Some(checked(item)?))
                    .set_condition_expression(stated(&condition))
                    .set_expression_attribute_names(condition.names())
                    .set_expression_attribute_values(condition.values());
                request.put(put.build().map_err(unsent)?)
            }
            Self::Delete(condition) => {
                let condition = condition.unwrap_or_default();
                let delete = Delete::builder()
                    .table_name(table)
                    .set_key(Some(key.item()))
                    .set_condition_expression(stated(&condition))
                    .set_expression_attribute_names(condition.names())
                    .set_expression_attribute_values(condition.values());
                request.delete(delete.build().map_err(unsent)?)
            }
            Self::Update(update, condition) => {
                let update = Update::builder()
                    .table_name(table)
                    .set_key(Some(key.item()))
                    .update_expression(&update.text)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(update.names())
                    .set_expression_attribute_values(update.values());
                request.update(update.build().map_err(unsent)?)
            }
        }
        .build())
    }
}

fn stated(condition: &Expression) -> Option<String> {
    (!condition.text.is_empty()).then(|| condition.text.clone())
}
