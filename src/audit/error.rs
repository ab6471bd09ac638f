//! Errors of the trail.

use std::io;
use std::path::{Path, PathBuf};

/// The trail cannot be written, so that no call is begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the audit trail in {directory} cannot be written: {problem}. Until it can, nothing is read or \
     changed; ZEP_MCP_AUDIT=warn lets calls go on without it"
)]
pub struct Unwritable {
    /// The directory of the trail.
    pub directory: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// The trail cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no trail.
    #[error("there is no audit trail in {0}")]
    None(PathBuf),
    /// A file cannot be read.
    #[error("{file} cannot be read: {cause}", file = .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// What was found cannot be written.
    #[error(transparent)]
    Output(io::Error),
}

impl ReadError {
    pub(super) fn file(file: &Path, cause: io::Error) -> Self {
        Self::File {
            file: file.to_owned(),
            cause,
        }
    }
}

/// What is wrong with the disk, in words, and what to do.
pub(super) fn problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::FileTooLarge
        | io::ErrorKind::WriteZero => "the disk is full; free some space".to_owned(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "it may not be written; make it writable for the user of this process".to_owned()
        }
        io::ErrorKind::WouldBlock => {
            "another process holds its lock for too long; look for one that is stopped".to_owned()
        }
        _ => format!("{error}; check the directory and the disk"),
    }
}
