//! Opening a connection to the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::error::{BUSY_WAIT, Fault, error, unusable};
use super::file::{FileId, check_header, file_id, make_private};
use super::schema;
use super::transaction::Clock;
use crate::zep::Result;

/// Page cache of one connection, in KiB: small, because the operating system caches the file.
const CACHE_KIB: i64 = 2_048;
/// Prepared statements cached by one connection: as many as this module has.
const STATEMENTS: usize = 96;
/// The log is truncated to this size after a checkpoint, in bytes.
const LOG_BYTES: i64 = 16 << 20;

/// Files that this process has created or checked, by path. They are opened by SQLite only: when a
/// process closes any descriptor of a file, POSIX drops all locks that the process holds on it.
/// Another program then takes the log for a leftover and deletes it while it is written to
/// (sqlite.org, "How To Corrupt An SQLite Database File", 2.2). The map is per process because
/// those locks are.
static CHECKED: Mutex<BTreeMap<PathBuf, FileId>> = Mutex::new(BTreeMap::new());

/// A connection, and the file it is open on.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) id: Option<FileId>,
}

impl OpenFile {
    /// Opens the file, which is created if it is missing and refused if it is not ours.
    pub(super) fn open(path: &Path, clock: Clock) -> Result<Self> {
        let first = {
            // Held so that no other connection of this process is open while the file is read: see
            // [`CHECKED`].
            let mut checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
            // Opens the file only if it does not exist yet.
            make_private(path).map_err(|message| unusable(path, &message))?;
            let here = file_id(path);
            if here.is_some() && checked.get(path).copied() == here {
                None
            } else {
                check_header(path).map_err(|message| unusable(path, &message))?;
                let connection = prepared(path, clock)?;
                if let Some(file) = file_id(path) {
                    checked.insert(path.to_owned(), file);
                }
                Some(connection)
            }
        };
        Ok(Self {
            connection: first.map_or_else(|| prepared(path, clock), Ok)?,
            id: file_id(path),
        })
    }
}

fn prepared(path: &Path, clock: Clock) -> Result<Connection> {
    let mut connection = connect(path).map_err(|cause| error(path, Fault::Sql(cause)))?;
    schema::prepare(&mut connection, clock).map_err(|fault| error(path, fault))?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // FULL: a committed write survives a power cut, too, not only the death of the process as with
    // NORMAL. It costs one fsync per write: about 0.1 ms on a server's disk, 1 ms on a laptop's,
    // within the 2 ms that a write may take.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Deleted content is overwritten where that costs no further writes.
    connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    Ok(connection)
}
