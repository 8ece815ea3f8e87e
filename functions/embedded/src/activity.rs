//! The activity log.

use std::time::Duration;

use muster_control::activity::Activity;
use muster_core::time::Timestamp;
use rusqlite::Transaction;

use crate::failure::Failure;
use crate::rows::{all, encode, number, run};

/// How long activities are kept, counted back from the newest that is written: a file in a laptop must not grow for ever.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Rows that one write removes at most; a claim writes fewer.
const REMOVED_AT_ONCE: u32 = 100;

/// Writes activities; what has the same id is replaced. A folded record keeps the place of its first time (`at`), and is
/// kept as long as its last one is young.
pub(crate) fn log(work: &Transaction<'_>, group: &str, activity: &[Activity]) -> Result<(), Failure> {
    let write = "INSERT OR REPLACE INTO activity (grp, id, at, last, doc) VALUES (?1, ?2, ?3, ?4, ?5)";
    for activity in activity {
        let (at, last) = (number(activity.sort_key().0.as_millis())?, number(activity.at.as_millis())?);
        run(work, write, (group, &activity.id, at, last, encode(activity)?))?;
    }
    let Some(newest) = activity.iter().map(|activity| activity.at).max() else { return Ok(()) };
    let old = "DELETE FROM activity WHERE rowid IN
        (SELECT rowid FROM activity WHERE grp = ?1 AND at < ?2 AND last < ?2 ORDER BY at LIMIT ?3)";
    run(work, old, (group, number(newest.minus(KEPT).as_millis())?, REMOVED_AT_ONCE))?;
    Ok(())
}

/// The newest `limit` activities at or after `from` and before `until`, oldest first.
pub(crate) fn between(
    work: &Transaction<'_>,
    group: &str,
    from: Timestamp,
    until: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<Activity>, Failure> {
    let newest = "SELECT doc FROM activity WHERE grp = ?1 AND at >= ?2 AND at < ?3 ORDER BY at DESC, id DESC LIMIT ?4";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let until = until.map_or(Ok(i64::MAX), |until| number(until.as_millis()))?;
    let mut found: Vec<Activity> = all(work, newest, (group, number(from.as_millis())?, until, limit))?;
    found.reverse();
    Ok(found)
}
