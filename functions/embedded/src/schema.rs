//! The tables, and how a file is known to be ours.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::failure::{Failure, corrupt, is_busy};

/// "Must" in ASCII: marks a file as Muster's. <https://www.sqlite.org/pragma.html#pragma_application_id>
const APPLICATION_ID: i32 = 0x4d75_7374;

/// The tables below. Another number is another layout.
const SCHEMA_VERSION: i32 = 4;

/// Prepared statements kept; the transactions use about 30.
const STATEMENTS_KEPT: usize = 64;

/// Pause between attempts to open a file that several processes are making.
const RETRY: Duration = Duration::from_millis(5);

/// `doc` is the item as JSON; the other columns are its keys, and of a sweep what charts read of very many: they stand before the document, since
/// SQLite reads a row from its beginning. Times are epoch milliseconds. No `WITHOUT ROWID`: documents
/// of many kilobytes make such trees slow. <https://www.sqlite.org/withoutrowid.html>
const TABLES: &str = "
    CREATE TABLE heads    (grp TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;
    CREATE TABLE members  (grp TEXT, id TEXT, doc TEXT NOT NULL, PRIMARY KEY (grp, id)) STRICT;
    CREATE TABLE intents  (grp TEXT, id TEXT, doc TEXT NOT NULL, PRIMARY KEY (grp, id)) STRICT;
    CREATE TABLE rosters  (grp TEXT, shard INTEGER, number INTEGER, doc TEXT NOT NULL,
                           PRIMARY KEY (grp, shard, number)) STRICT;
    CREATE TABLE policies (grp TEXT, version INTEGER, doc TEXT NOT NULL, PRIMARY KEY (grp, version)) STRICT;
    CREATE TABLE learnt   (grp TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT;
    CREATE TABLE slots    (grp TEXT, shard INTEGER, slot INTEGER NOT NULL, owner TEXT NOT NULL,
                           PRIMARY KEY (grp, shard)) STRICT;
    CREATE TABLE sweeps   (grp TEXT, shard INTEGER, slot INTEGER, roster INTEGER, figures TEXT NOT NULL,
                           loads TEXT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (grp, shard, slot)) STRICT;
    CREATE TABLE activity (grp TEXT, id TEXT, at INTEGER NOT NULL, last INTEGER NOT NULL, doc TEXT NOT NULL,
                           PRIMARY KEY (grp, id)) STRICT;
    CREATE INDEX activity_by_time ON activity (grp, at, id);
    CREATE TABLE rejected (one INTEGER PRIMARY KEY CHECK (one = 1), records INTEGER NOT NULL, last_at INTEGER NOT NULL,
                           reason TEXT NOT NULL) STRICT;
";

/// Why a file is not opened.
#[derive(Debug, thiserror::Error)]
enum NotOurs {
    #[error("the file is a database of another application (application_id {0:#010x})")]
    Foreign(i32),
    #[error(
        "the file has schema version {found}, this program knows version {SCHEMA_VERSION}: another release of Muster has \
         written it, and goes on with it; this one begins with another file"
    )]
    OtherVersion { found: i32 },
    #[error("the file is empty: nothing has been stored yet")]
    Empty,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To read and write; made when it is not there.
    Write,
    /// To read what is there.
    Read,
}

/// Opens the file at `path`; this, and every write later, waits for others for at most `patience`.
pub(crate) fn open(path: &Path, access: Access, patience: Duration) -> Result<Connection, Failure> {
    let may = match access {
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let mut db = Connection::open_with_flags(path, may | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(patience)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    let give_up = Instant::now() + patience;
    loop {
        match prepare(&mut db, access) {
            // SQLite does not wait when two processes turn a new file to write-ahead logging: one is told at once.
            Err(Failure::Sqlite(error)) if is_busy(&error) && Instant::now() < give_up => thread::sleep(RETRY),
            outcome => return outcome.map(|()| db),
        }
    }
}

/// Sees that the file is ours, and makes it so when it is empty and may be written.
fn prepare(db: &mut Connection, access: Access) -> Result<(), Failure> {
    // Nothing is written before the file is known to be ours or empty, not even the journal mode.
    let ours = is_ours(&db.transaction()?)?;
    match (ours, access) {
        (true, Access::Read) => return Ok(()),
        (false, Access::Read) => return Err(corrupt(NotOurs::Empty)),
        (_, Access::Write) => {}
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    let work = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made the tables since.
    if !is_ours(&work)? {
        work.execute_batch(TABLES)?;
        work.pragma_update(None, "application_id", APPLICATION_ID)?;
        work.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    Ok(work.commit()?)
}

/// Whether the file holds our tables; false when it holds nothing. One snapshot: another process may be making them.
fn is_ours(db: &Transaction<'_>) -> Result<bool, Failure> {
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = number("application_id")?;
    let found = number("user_version")?;
    let objects: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, found, objects) {
        (APPLICATION_ID, SCHEMA_VERSION, _) => Ok(true),
        (APPLICATION_ID, found, _) => Err(corrupt(NotOurs::OtherVersion { found })),
        (0, 0, 0) => Ok(false),
        (application, ..) => Err(corrupt(NotOurs::Foreign(application))),
    }
}
