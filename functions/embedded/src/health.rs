//! The sweeps, the slots that they need, and what is forgotten with them.

use std::time::Duration;

use muster_control::ports::Parts;
use muster_core::group::Shard;
use muster_core::sweep::{Sweep, SweepFigures, SweepLoads};
use muster_core::time::Timestamp;
use rusqlite::Transaction;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, conflict};
use crate::rows::{all, encode, number, one, run};

/// How long sweeps are kept, counted back from the newest slot: a day of charts. One of 500 members has 165 kB.
const SWEEPS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Rows that one append removes at most, so that its length has a bound after a long pause, too.
const REMOVED_AT_ONCE: u32 = 100;

pub(crate) fn take_slot(
    work: &Transaction<'_>,
    group: &str,
    shard: Shard,
    slot: Timestamp,
    owner: &str,
) -> Result<(), Failure> {
    let free = "INSERT INTO slots (grp, shard, slot, owner) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (grp, shard) DO UPDATE SET slot = excluded.slot, owner = excluded.owner
                WHERE slots.slot < excluded.slot
                   OR (slots.slot = excluded.slot AND slots.owner = excluded.owner)";
    match run(work, free, (group, shard.0, number(slot.as_millis())?, owner))? {
        0 => Err(conflict()),
        _ => Ok(()),
    }
}

pub(crate) fn append(work: &Transaction<'_>, sweep: &Sweep) -> Result<(), Failure> {
    let group = sweep.group.to_string();
    let roster = sweep.roster.map(|roster| number(roster.0)).transpose()?;
    let (figures, loads) = (encode(&sweep.figures())?, encode(&sweep.loads())?);
    let row = (&group, sweep.shard.0, number(sweep.slot.as_millis())?, roster, figures, loads, encode(sweep)?);
    let once = "INSERT INTO sweeps (grp, shard, slot, roster, figures, loads, doc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                ON CONFLICT DO NOTHING";
    if run(work, once, row)? == 0 {
        return Err(conflict());
    }
    forget(work, &group, sweep.shard, sweep.slot.minus(SWEEPS_KEPT))
}

/// Removes old sweeps of the shard, and rosters older than every sweep that is left: nothing names them any more. A
/// roster's number only rises, so neither HEAD's nor a later one is among them.
fn forget(work: &Transaction<'_>, group: &str, shard: Shard, before: Timestamp) -> Result<(), Failure> {
    let old_sweeps = "DELETE FROM sweeps WHERE rowid IN
        (SELECT rowid FROM sweeps WHERE grp = ?1 AND shard = ?2 AND slot < ?3 ORDER BY slot LIMIT ?4)";
    run(work, old_sweeps, (group, shard.0, number(before.as_millis())?, REMOVED_AT_ONCE))?;
    let old_rosters = "DELETE FROM rosters WHERE rowid IN
        (SELECT rowid FROM rosters WHERE grp = ?1 AND shard = ?2 AND number <
            (SELECT roster FROM sweeps WHERE grp = ?1 AND shard = ?2 ORDER BY slot LIMIT 1)
         ORDER BY number LIMIT ?3)";
    run(work, old_rosters, (group, shard.0, REMOVED_AT_ONCE))?;
    Ok(())
}

pub(crate) fn latest(work: &Transaction<'_>, group: &str, shard: Shard) -> Result<Option<Sweep>, Failure> {
    let newest = "SELECT doc FROM sweeps WHERE grp = ?1 AND shard = ?2 ORDER BY slot DESC LIMIT 1";
    one(work, newest, (group, shard.0))
}

/// The figures of the first `limit` sweeps after `after`, by slot and shard. The keys alone are sorted: a page reads no more
/// documents than it gives.
pub(crate) fn sweeps_after(
    work: &Transaction<'_>,
    group: &str,
    (slot, shard): (Timestamp, Shard),
    limit: usize,
) -> Result<Vec<SweepFigures>, Failure> {
    let page = "SELECT figures FROM sweeps WHERE rowid IN
        (SELECT rowid FROM sweeps WHERE grp = ?1 AND (slot, shard) > (?2, ?3) ORDER BY slot, shard LIMIT ?4)
        ORDER BY slot, shard";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    all(work, page, (group, number(slot.as_millis())?, shard.0, limit))
}

/// What may be wanted of a sweep.
pub(crate) trait Wanted: DeserializeOwned {
    /// The column that holds it.
    const COLUMN: &str;
}

impl Wanted for Sweep {
    const COLUMN: &str = "doc";
}

impl Wanted for SweepFigures {
    const COLUMN: &str = "figures";
}

impl Wanted for SweepLoads {
    const COLUMN: &str = "loads";
}

/// The first sweep of each part: whole, or as much of it as is wanted.
pub(crate) fn sampled<T: Wanted>(work: &Transaction<'_>, group: &str, parts: Parts) -> Result<Vec<T>, Failure> {
    let first = format!(
        "SELECT {} FROM sweeps WHERE grp = ?1 AND shard = ?2 AND slot >= ?3 AND slot < ?4 ORDER BY slot LIMIT 1",
        T::COLUMN
    );
    let mut found = Vec::new();
    for (start, end) in parts.each() {
        let part = (group, parts.shard.0, number(start.as_millis())?, number(end.as_millis())?);
        found.extend(one(work, &first, part)?);
    }
    Ok(found)
}
