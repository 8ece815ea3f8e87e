//! What DynamoDB's errors mean to a caller of the ports.

use std::error::Error;
use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use muster_control::ports::{Cause, StoreError};

/// An operation that was not done, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on the table {table:?} failed")]
struct Failed {
    operation: &'static str,
    table: String,
    #[source]
    source: Cause,
}

/// A transaction that was cancelled: why, item by item.
#[derive(Debug, thiserror::Error)]
#[error("the transaction was cancelled: {0}")]
struct Cancelled(String);

/// What cannot be written at all. Nothing has been sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    #[error("the item {key:?} has {bytes} bytes, DynamoDB takes {max}")]
    LargeItem { key: String, bytes: usize, max: usize },
    #[error("a transaction of {items} items, DynamoDB takes {max}")]
    LargeTransaction { items: usize, max: usize },
}

/// An answer that does not come to an end.
#[derive(Debug, thiserror::Error)]
#[error("a query of the table {table:?} has more than {pages} pages")]
pub(super) struct Endless {
    pub(super) table: String,
    pub(super) pages: usize,
}

/// What is stored and is not what we write.
#[derive(Debug, thiserror::Error)]
#[error("the item {key:?} of the table {table:?} is not a {what}")]
struct BadItem {
    table: String,
    key: String,
    what: &'static str,
    #[source]
    source: Cause,
}

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Conflict,
    Throttled,
    Other,
}

impl Meaning {
    /// The names are those of errors and of the reasons for which transactions are cancelled.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
    fn of(code: Option<&str>) -> Self {
        match code.unwrap_or_default() {
            "ConditionalCheckFailed"
            | "ConditionalCheckFailedException"
            | "TransactionConflict"
            | "TransactionConflictException" => Self::Conflict,
            "ProvisionedThroughputExceeded"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingError"
            | "ThrottlingException" => Self::Throttled,
            _ => Self::Other,
        }
    }
}

/// What the failure of an operation on one item or one query means.
pub(super) fn failure<E, R>(operation: &'static str, table: &str, error: SdkError<E, R>) -> StoreError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    let meaning = Meaning::of(error.code());
    meant(meaning, operation, table, error.into())
}

/// What the failure of a transaction means.
pub(super) fn transaction_failure<R>(table: &str, error: SdkError<TransactWriteItemsError, R>) -> StoreError
where
    R: Debug + Send + Sync + 'static,
{
    let operation = "TransactWriteItems";
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return failure(operation, table, error);
    };
    let reasons = cancelled.cancellation_reasons();
    let meanings: Vec<Meaning> = reasons.iter().map(|reason| Meaning::of(reason.code())).collect();
    // A condition that does not hold outweighs the rest: the same transaction again would come to nothing.
    let meaning = [Meaning::Conflict, Meaning::Throttled].into_iter().find(|meaning| meanings.contains(meaning));
    let said = reasons.iter().enumerate().filter_map(|(n, reason)| {
        let code = reason.code().filter(|code| *code != "None")?;
        Some(format!("item {n}: {code}: {}", reason.message().unwrap_or("no message")))
    });
    let said = Cancelled(said.collect::<Vec<_>>().join(", "));
    meant(meaning.unwrap_or(Meaning::Other), operation, table, said.into())
}

fn meant(meaning: Meaning, operation: &'static str, table: &str, source: Cause) -> StoreError {
    let failed = Failed { operation, table: table.to_owned(), source };
    match meaning {
        Meaning::Conflict => StoreError::Conflict,
        Meaning::Throttled => StoreError::Throttled(failed.into()),
        Meaning::Other => StoreError::Unavailable(failed.into()),
    }
}

/// A request that was not even sent.
pub(super) fn unsent(cause: impl Into<Cause>) -> StoreError {
    StoreError::Unavailable(cause.into())
}

/// What is stored cannot be understood.
pub(super) fn corrupt<T>(table: &str, key: String, cause: impl Into<Cause>) -> StoreError {
    let what = std::any::type_name::<T>().rsplit("::").next().unwrap_or("document");
    StoreError::Corrupt(BadItem { table: table.to_owned(), key, what, source: cause.into() }.into())
}
