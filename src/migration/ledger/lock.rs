//! Which runs live: each has a file that it keeps locked. A lock ends with its process, however that
//! ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Where the files are, beside the ledger.
pub(super) const DIRECTORY: &str = "migrations";
/// Somebody who looks whether a run lives holds its lock for a moment: it is tried this often, after
/// pauses of this length.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// The lock of a run that is under way.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
    path: PathBuf,
}

impl RunLock {
    /// Takes the lock of a run; `None` if another process has it.
    pub(super) fn take(directory: &Path, run: &str) -> io::Result<Option<Self>> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
        let path = directory.join(run);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        for _ in 0..TRIES {
            let file = options.open(&path)?;
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { _file: file, path })),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Removes the file of a run that has ended. One that stays does no harm.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the lock of a migration could not be removed");
        }
    }
}

/// Whether a run lives.
pub(super) fn is_alive(directory: &Path, run: &str) -> bool {
    File::open(directory.join(run))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
