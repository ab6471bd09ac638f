//! Why the ledger cannot be used, and what to do about it.

use std::io;
use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use super::file::BUSY_WAIT;

/// The result of a step in the ledger.
pub type Result<T> = std::result::Result<T, LedgerError>;

/// The ledger cannot be used. What is in Zep is not touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger of migrations {path} cannot be used: {problem}")]
pub struct LedgerError {
    path: String,
    problem: String,
}

/// What failed.
#[derive(Debug)]
pub(super) enum Cause {
    /// SQLite did.
    Sql(rusqlite::Error),
    /// It is refused, in these words.
    Refused(String),
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<String> for Cause {
    fn from(problem: String) -> Self {
        Self::Refused(problem)
    }
}

impl From<&str> for Cause {
    fn from(problem: &str) -> Self {
        Self::Refused(problem.to_owned())
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl LedgerError {
    pub(super) fn of(path: &Path, cause: impl Into<Cause>) -> Self {
        Self {
            path: path.display().to_string(),
            problem: match cause.into() {
                Cause::Sql(error) => explain(&error),
                Cause::Refused(problem) => problem,
            },
        }
    }
}

/// States the cause and the remedy, without SQL.
fn explain(error: &rusqlite::Error) -> String {
    let Some(code) = error.sqlite_error_code() else {
        return "it holds something that this program did not write; move it away: what is in Zep is \
                recognised without it"
            .into();
    };
    match code {
        ErrorCode::DiskFull => "the disk is full; free some space and run it again".into(),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            "it may not be written; make it and its directory writable for this user".into()
        }
        ErrorCode::CannotOpen => {
            "it cannot be opened; check that its directory exists and is writable".into()
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => format!(
            "another program has kept it locked for more than {} seconds; run it again",
            BUSY_WAIT.as_secs()
        ),
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
            "it is damaged or not a ledger, and was left as it is; move it away: what is in Zep is \
             recognised without it"
                .into()
        }
        ErrorCode::SystemIoFailure if could_not_write(error) => {
            "the system refused to write to it: a quota or a limit of file sizes (ulimit -f) is used \
             up, or the disk is faulty; free some space or raise the limit, and run it again"
                .into()
        }
        ErrorCode::SystemIoFailure => "the disk reports an error; check the disk".into(),
        code => format!("SQLite reports {code:?}"),
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
