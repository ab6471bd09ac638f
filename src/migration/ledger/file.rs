//! Opening the ledger's file. Only SQLite opens it: when a process closes any descriptor of a file,
//! POSIX drops all locks that the process holds on it (sqlite.org, "How To Corrupt An SQLite Database
//! File", 2.2).

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{Cause, LedgerError, Result};
use super::schema;
use crate::local::{make_private, write_ahead};

/// The file in the data directory.
pub(super) const NAME: &str = "migrations.db";
/// How long a step waits for another process's. Ours: longer than planning a page of records takes.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(30);
/// How much of the file is kept in memory, in KiB: what the requests in flight need, whatever its size.
const CACHE_KIB: i64 = 8 * 1024;
/// The log is cut to this size after a checkpoint, in bytes.
const LOG_BYTES: i64 = 16 << 20;
/// Of every file of SQLite (sqlite.org, "Database File Format", 1.3).
const HEADER_BYTES: u64 = 100;
/// Prepared statements that are kept: more than this module has.
const STATEMENTS: usize = 64;

/// Opens the file, and makes it if there is none.
pub(super) fn open(path: &Path) -> Result<Connection> {
    make_private(path).map_err(|problem| LedgerError::of(path, problem))?;
    open_existing(path)
}

/// Opens a file that exists.
pub(super) fn open_existing(path: &Path) -> Result<Connection> {
    prepared(path).map_err(|cause| LedgerError::of(path, cause))
}

fn prepared(path: &Path) -> std::result::Result<Connection, Cause> {
    // SQLite takes a file that is shorter than its header for an empty one.
    if (1..HEADER_BYTES).contains(&fs::metadata(path)?.len()) {
        return Err(schema::NOT_OURS.into());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_WAIT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    schema::prepare(&mut db)?;
    write_ahead(&db, BUSY_WAIT)?;
    // A note that precedes a request must survive a power cut as the request may.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    Ok(db)
}
