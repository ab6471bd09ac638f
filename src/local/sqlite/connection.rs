//! Opening a connection to the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{BUSY_WAIT, Fault, error, unusable};
use super::file::{FileId, check_header, file_id, has_log, make_private, note_made, unwritable};
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
static CHECKED: Mutex<BTreeMap<PathBuf, Checked>> = Mutex::new(BTreeMap::new());

/// A file that was created or checked.
#[derive(Debug, Clone)]
struct Checked {
    file: FileId,
    /// Why it cannot be written, if it cannot.
    unwritable: Option<String>,
}

/// A connection, and the file it is open on.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) id: Option<FileId>,
    /// Why it cannot be written, if it cannot.
    pub(super) unwritable: Option<String>,
    /// Whether later calls may use it: one that ignores the log must not outlive its call.
    pub(super) lasts: bool,
}

impl OpenFile {
    /// Opens the file, which is created if it is missing and refused if it is not ours.
    pub(super) fn open(path: &Path, clock: Clock) -> Result<Self> {
        let (unwritable, first) = {
            // Held so that no other connection of this process is open while the file is read: see
            // [`CHECKED`].
            let mut checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
            // Opens the file only if it does not exist yet.
            make_private(path).map_err(|message| unusable(path, &message))?;
            match known(&checked, path) {
                Some(known) => (known.unwritable, None),
                None => {
                    let unwritable = unwritable(path);
                    check_header(path).map_err(|message| unusable(path, &message))?;
                    let opened = match &unwritable {
                        None => prepared(path, clock)?,
                        Some(_) => read_only(path)?,
                    };
                    if unwritable.is_none() {
                        note_made(path);
                    }
                    if let Some(file) = file_id(path) {
                        let unwritable = unwritable.clone();
                        checked.insert(path.to_owned(), Checked { file, unwritable });
                    }
                    (unwritable, Some(opened))
                }
            }
        };
        let opened = match (first, &unwritable) {
            (Some(opened), _) => opened,
            (None, None) => prepared(path, clock)?,
            (None, Some(_)) => read_only(path)?,
        };
        let (connection, lasts) = opened;
        Ok(Self {
            connection,
            id: file_id(path),
            unwritable,
            lasts,
        })
    }
}

fn known(checked: &BTreeMap<PathBuf, Checked>, path: &Path) -> Option<Checked> {
    let here = file_id(path)?;
    checked
        .get(path)
        .filter(|known| known.file == here)
        .cloned()
}

/// Why a file that exists cannot be written; `None` if it can be.
pub(super) fn why_unwritable(path: &Path) -> Option<String> {
    let checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    match known(&checked, path) {
        Some(known) => known.unwritable,
        None => path.exists().then(|| unwritable(path)).flatten(),
    }
}

/// A connection, and whether later calls may use it.
type Opened = (Connection, bool);

fn prepared(path: &Path, clock: Clock) -> Result<Opened> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let mut connection = connect(path, flags).map_err(|cause| error(path, Fault::Sql(cause)))?;
    schema::prepare(&mut connection, path, clock).map_err(|fault| error(path, fault))?;
    Ok((connection, true))
}

/// Opens a file that cannot be written. SQLite needs to write beside a file with a log; without one, the
/// file is opened as one that nobody changes, for the time of a call.
fn read_only(path: &Path) -> Result<Opened> {
    let has_log = has_log(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let opened = match path.to_str() {
        Some(name) if !has_log => {
            let name = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
            let slash = if cfg!(windows) { "/" } else { "" };
            let uri = format!("file:{slash}{}?immutable=1", name.replace("%2F", "/"));
            connect(Path::new(&uri), flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => connect(path, flags),
    };
    let connection = opened.map_err(|cause| error(path, Fault::Sql(cause)))?;
    schema::check_readable(&connection).map_err(|fault| error(path, fault))?;
    Ok((connection, has_log))
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // FULL: a committed write survives a power cut, too, not only the death of the process as with
    // NORMAL. It costs one fsync per transaction: about 0.1 ms on a server's disk, 1 ms on a laptop's,
    // within the 2 ms that a write may take.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Plans do not depend on the values. Otherwise each `LIMIT ?` is compiled again for every call, which
    // takes longer than reading a page of messages.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Deleted content is overwritten where that costs no further writes.
    connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    Ok(connection)
}
