//! The store ports over DynamoDB: three tables, on demand, no index.
//!
//! [`Tables`] keeps the conditions of `muster_control::ports` by condition expressions and transactions, and passes the
//! suite that every store must pass. What must never be in here: a decision, a clock read (what is old is told by the
//! records themselves), an index, or a read that a decision stands on and that is not strongly consistent.
//!
//! **Items** are plain attributes, so that the console shows them as they are; only the members of a large group's sweep
//! are packed (`muster_control::packed`). Beside an item's own attributes stand its keys, `expires_at` (DynamoDB deletes
//! it then), and `leased_until`, since times as people read them do not sort.
//!
//! **Retries** are the SDK's for reads and for transactions, which carry a token: the same one again is the same
//! transaction. A conditional write of one item is made once: after an answer that was lost, the same write again
//! would meet its own condition and report somebody else. Deadlines are the client's.
//!
//! **Where to start reading.** `schema` has the tables, `group`, `sweeps` and `activity` the ports, one each;
//! `transaction` is how they write several items, `items` what an item is, `failure` what an error means.

mod activity;
#[cfg(test)]
mod bytes;
mod failure;
mod forget;
mod group;
mod items;
mod query;
mod rejected;
mod row;
pub mod schema;
mod sweeps;
mod transaction;

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use muster_control::ports::{Groups, StoreError};
use muster_core::group::GroupName;
use muster_core::intent::Intent;

use items::{GROUPS, INTENTS, partition};
use row::Bases;
use schema::Names;

/// The tables of one stack. Clones share one client.
#[derive(Clone)]
pub struct Tables {
    client: Client,
    names: Arc<Names>,
    bases: Arc<Bases>,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Tables {
    /// The tables of `stack`, over a client that has deadlines of its own.
    pub fn new(client: Client, stack: &str) -> Self {
        Self { client, names: Arc::new(Names::of(stack)), bases: Arc::default() }
    }
}

impl Groups for Tables {
    async fn groups(&self) -> Result<Vec<GroupName>, StoreError> {
        let listed = self.all(&self.names.control, GROUPS, "").await?;
        listed.iter().map(|item| items::group_listed(&self.names.control, item)).collect()
    }

    async fn intents(&self, group: &GroupName) -> Result<Vec<Intent>, StoreError> {
        self.documents(&self.names.control, &partition(group), INTENTS).await
    }
}

/// The settings of an operation that must not be tried again by the SDK.
fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}
