//! What SQLite's errors mean to a caller of the ports.

use muster_control::ports::{Cause, StoreError};
use rusqlite::ErrorCode;

/// Why a transaction was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// A port's own outcome: a conflict, or a document that cannot be understood.
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Store(error) => return error,
            Failure::Sqlite(error) => error,
        };
        match error.sqlite_error_code() {
            _ if is_busy(&error) => Self::Throttled(error.into()),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Corrupt(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

/// Whether another process stands in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// A condition did not hold.
pub(crate) fn conflict() -> Failure {
    StoreError::Conflict.into()
}

/// What is stored, or is to be stored, cannot be understood.
pub(crate) fn corrupt(cause: impl Into<Cause>) -> Failure {
    StoreError::Corrupt(cause.into()).into()
}
