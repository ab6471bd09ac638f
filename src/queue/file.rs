//! Opening the queue's file, and what is said where it cannot be used.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;
use crate::local::{make_private, write_ahead};
use crate::memory::queue::QueueError;

/// How long a step waits for another process's. Ours: each takes milliseconds.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);
/// The log is written back when it has so many pages of 4 KiB. Ours: the call that does so waits for the
/// disk, and should be one in hundreds.
const LOG_PAGES: i64 = 4_000;
/// How many statements are kept prepared: those of a write and its delivery, which each call makes.
const STATEMENTS: usize = 48;
/// How much of the file is kept in memory, in KiB.
const CACHE_KIB: i64 = 512;
/// The log is cut to this size after a checkpoint, in bytes.
const LOG_BYTES: i64 = 4 << 20;

/// Opens the file, and makes it if there is none.
pub(super) fn open(path: &Path) -> Result<Connection, QueueError> {
    make_private(path).map_err(|problem| unusable(path, problem))?;
    open_existing(path)
}

/// Opens a file that exists, whatever key it is encrypted with.
pub(super) fn open_existing(path: &Path) -> Result<Connection, QueueError> {
    let prepared = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY_WAIT)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let refused = schema::prepare(&mut db)?;
        write_ahead(&db, BUSY_WAIT)?;
        // Until something else is said.
        db.pragma_update(None, "synchronous", "full")?;
        db.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
        db.pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_| Ok(()))?;
        Ok((db, refused))
    };
    match prepared() {
        Ok((db, None)) => Ok(db),
        Ok((_, Some(refused))) => Err(unusable(path, refused)),
        Err(error) => Err(failed(path, &error)),
    }
}

/// The error of a step that SQLite refused, without SQL.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> QueueError {
    let problem = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; free some space",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "it may not be written; make it and its directory writable for this user"
        }
        Some(ErrorCode::CannotOpen) => {
            "it cannot be opened; check that its directory exists and is writable"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process holds it; try again"
        }
        Some(ErrorCode::NotADatabase) => schema::NOT_OURS,
        Some(ErrorCode::DatabaseCorrupt) => {
            "it is damaged; move it away: what waited in it was not stored"
        }
        _ => "it could not be read or written; check the disk",
    };
    unusable(path, problem)
}

pub(super) fn unusable(path: &Path, problem: impl Into<String>) -> QueueError {
    QueueError::Unusable {
        path: path.display().to_string(),
        problem: problem.into(),
    }
}
