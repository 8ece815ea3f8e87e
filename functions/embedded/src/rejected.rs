//! Records that rang for nobody: one row, which no group owns.

use muster_control::ports::Rejected;
use muster_core::time::Timestamp;
use rusqlite::{OptionalExtension, Transaction};

use crate::failure::{Failure, corrupt};
use crate::rows::{number, run};

pub(crate) fn add(work: &Transaction<'_>, records: u32, reason: &str, at: Timestamp) -> Result<(), Failure> {
    let sql = "INSERT INTO rejected (one, records, last_at, reason) VALUES (1, ?1, ?2, ?3)
               ON CONFLICT (one) DO UPDATE SET records = records + ?1, last_at = ?2, reason = ?3";
    run(work, sql, (records, number(at.as_millis())?, reason)).map(|_| ())
}

pub(crate) fn all(work: &Transaction<'_>) -> Result<Option<Rejected>, Failure> {
    let sql = "SELECT records, last_at, reason FROM rejected";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
    let Some((records, last_at, reason)) = work.prepare_cached(sql)?.query_row([], row).optional()? else {
        return Ok(None);
    };
    let unsigned = |value: i64| u64::try_from(value).map_err(corrupt);
    Ok(Some(Rejected { records: unsigned(records)?, last_at: Timestamp::from_millis(unsigned(last_at)?), reason }))
}
