//! Switching a file to a write-ahead log.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// How long it is before it is tried again. Ours: another's switch takes a flush or two.
const PAUSE: Duration = Duration::from_millis(5);

/// Switches a file to a write-ahead log, if it has none, within `wait`; gives the journal that the file has
/// now. Blocks. SQLite's own wait for others does not help: a reader that would become a writer, which the
/// switch is, does not wait for a writer (sqlite.org, "`sqlite3_busy_handler`", on deadlocks). So of two
/// processes that made a file together, one was told that it is locked.
///
/// # Errors
/// SQLite's, if the file cannot be switched: `SQLITE_BUSY` if another process was still at it after `wait`.
pub(crate) fn write_ahead(db: &Connection, wait: Duration) -> rusqlite::Result<String> {
    let begun = Instant::now();
    loop {
        let switched = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
        match switched {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < wait =>
            {
                thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}
