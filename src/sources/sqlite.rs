//! SQLite files of other programs, which may be running: opened for reading, and never changed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde_json::{Number, Value};

use super::Defect;

/// How a file of SQLite begins, and where it says that it has a log beside it.
const HEADER: &[u8] = b"SQLite format 3\0";
const LOG_VERSION: usize = 18;

/// How long the other program may write at a time. Ours.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Whether a file is one of SQLite.
///
/// # Errors
/// If it cannot be read.
pub(super) fn is_sqlite(path: &Path) -> io::Result<bool> {
    Ok(header(path)?.starts_with(HEADER))
}

fn header(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    File::open(path)?.take(20).read_to_end(&mut header)?;
    Ok(header)
}

/// Opens a file. Keep no statement open for long: it would keep the other program from writing.
///
/// # Errors
/// If it cannot be opened, or is no file of SQLite.
pub(super) fn open(path: &Path) -> io::Result<Connection> {
    let header = header(path)?;
    if !header.starts_with(HEADER) {
        return Err(io::Error::other("it is not a file of SQLite"));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite makes files beside one with a log, even to read it. Nobody has it open if there is no log.
    let has_log = header.get(LOG_VERSION) == Some(&2) && beside(path, "-wal").exists();
    let may_write_beside = has_log || header.get(LOG_VERSION) != Some(&2);
    let opened = match path.to_str() {
        Some(name) if !may_write_beside => {
            let name = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
            let slash = if cfg!(windows) { "/" } else { "" };
            let uri = format!("file:{slash}{}?immutable=1", name.replace("%2F", "/"));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => Connection::open_with_flags(path, flags),
    };
    let connection = opened.map_err(failed)?;
    connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
    Ok(connection)
}

fn beside(path: &Path, end: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The columns of a table; none if there is no such table.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn columns(db: &Connection, table: &str) -> io::Result<Vec<String>> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let names = statement.query_map([table], |row| row.get(0))?;
        names.collect()
    };
    read().map_err(failed)
}

/// What went wrong, and what to do.
pub(super) fn failed(error: rusqlite::Error) -> io::Error {
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has been writing to it for more than 5 seconds; stop that program, and try \
             again"
                .to_owned()
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "it is damaged; what can still be read of it may be recovered with `sqlite3 FILE .recover`"
                .to_owned()
        }
        Some(ErrorCode::ReadOnly) => {
            "its program was interrupted while it wrote; start that program once, so that it completes \
             what it began, and try again"
                .to_owned()
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "it may not be read".to_owned()
        }
        Some(code) => format!("SQLite reports {code:?}"),
        None => "it has another layout than expected".to_owned(),
    };
    io::Error::other(what)
}

/// A value of a column as JSON.
///
/// # Errors
/// What is wrong with it, as a defect of this field.
pub(super) fn json(value: ValueRef<'_>, field: &str) -> Result<Value, Defect> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(number.into()),
        ValueRef::Real(number) => match Number::from_f64(number) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(Defect::of(field, "is a number that JSON does not have")),
        },
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(Defect::of(field, "is not valid Unicode")),
        },
        ValueRef::Blob(_) => Err(Defect::of(field, "is binary")),
    }
}
