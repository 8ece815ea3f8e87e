//! The record of a group's sweeps as a backtest plays it, read page by page.
//!
//! Every sweep counts here, so nothing is sampled: a table whose items hold the members, too, is charged for all of it. For that it is
//! bounded by the number of sweeps, and read only when somebody asks for a preview or a backtest.

use std::time::Duration;

use muster_backtest::history::Look;
use muster_control::ports::{StoreError, SweepLog};
use muster_core::group::{GroupName, Shard};
use muster_core::time::Timestamp;

/// Sweeps in a page.
const PAGE: usize = 5_000;

/// Why a record was not read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There are more sweeps in it than are asked for.
    #[error("there are more than {most} sweeps in that time: ask for less")]
    TooLong {
        /// As many as may be read.
        most: usize,
    },
    /// The store failed.
    #[error("the sweeps cannot be read")]
    Store(#[from] StoreError),
}

/// Every sweep from `from` on, `most` at most.
pub async fn looks<S: SweepLog>(
    store: &S,
    group: &GroupName,
    from: Timestamp,
    most: usize,
) -> Result<Vec<Look>, RecordError> {
    let mut looks = Vec::new();
    // Behind every sweep before `from`.
    let mut after = (from.minus(Duration::from_millis(1)), Shard(u16::MAX));
    loop {
        let page = store.sweeps_after(group, after, PAGE).await?;
        looks.extend(page.iter().map(Look::of));
        if looks.len() > most {
            return Err(RecordError::TooLong { most });
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = (last.slot, last.shard),
            _ => return Ok(looks),
        }
    }
}
