//! How work on the file fails, and what the user is told about it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

use crate::zep::Error;

/// How long a write waits for another process's write.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(10);

/// Why a transaction was rolled back.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The call is refused.
    Refused(Error),
    /// SQLite failed.
    Sql(rusqlite::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The result of a part of a transaction.
pub(crate) type Step<T> = Result<T, Fault>;

/// The port's error for a failure on this file.
pub(super) fn error(path: &Path, fault: Fault) -> Error {
    match fault {
        Fault::Refused(Error::Storage { message, .. }) => unusable(path, &message),
        Fault::Refused(error) => error,
        Fault::Sql(error) => unusable(path, &explain(&error)),
    }
}

/// The file cannot be used, for this reason.
pub(super) fn unusable(path: &Path, message: &str) -> Error {
    Error::Storage {
        path: path.display().to_string(),
        message: message.to_owned(),
    }
}

/// States the cause and the remedy, without SQL or stored content.
fn explain(error: &rusqlite::Error) -> String {
    let Some(code) = error.sqlite_error_code() else {
        return "it holds something that this program did not write; restore it from a backup"
            .into();
    };
    match code {
        ErrorCode::DiskFull => {
            "the disk is full; nothing of this call was stored; free some space and try again"
                .into()
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            "it may not be written; make it and its directory writable for this user".into()
        }
        ErrorCode::CannotOpen => {
            "it cannot be opened; check that its directory exists and is writable".into()
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => format!(
            "another process has been writing to it for more than {} seconds; nothing of this \
             call was stored; try again",
            BUSY_WAIT.as_secs()
        ),
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
            "it is damaged or not a memory file; restore it from a backup or move it away".into()
        }
        ErrorCode::SystemIoFailure if could_not_write(error) => {
            "the system refused to write to it: a quota or a limit of file sizes (ulimit -f) is used \
             up, or the disk is faulty; nothing of this call was stored; free some space or raise \
             the limit, and try again"
                .into()
        }
        ErrorCode::SystemIoFailure => {
            "the disk reports an error; nothing of this call was stored; check the disk".into()
        }
        code => format!("SQLite reports {code:?}; nothing of this call was stored"),
    }
}

/// Whether writing or growing a file failed; a full disk has a code of its own.
fn could_not_write(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_IOERR_SHMSIZE,
    ]
    .map(Some)
    .contains(&code)
}
