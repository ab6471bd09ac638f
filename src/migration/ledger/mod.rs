//! The ledger of migrations: one file in the data directory that knows each record by its id, so that
//! each is written exactly once, and a run can be continued, reported and undone. It holds ids, states
//! and times, never content.
//!
//! - `schema`: the tables. `file`: opening them, and what is refused. `error`: what went wrong, and what
//!   to do.
//! - `run`: a run that is under way, and what it notes before and after each request. `writer`: commits
//!   what several places note at the same time together. `lock`: which runs live.
//! - `batches`: batches that are under way, and which records are in them.
//! - `planning`: what is known of the records of a plan; `status`: of an owner and a place.
//! - `claim`: one run at a time works on an owner, across processes.
//! - `entries`: reading the ledger, for reports and for undoing.
//!
//! A run is alive while it holds the lock on its file in `migrations/`; a run that did not end and is
//! not alive was killed, and the same command continues it. All methods block.

mod afterwards;
mod batches;
mod claim;
mod entries;
mod error;
mod file;
mod lock;
mod planning;
mod run;
mod schema;
mod status;
#[cfg(test)]
mod tests;
mod values;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rusqlite::Connection;

use super::lock as locked;

pub use afterwards::{RunSample, WrittenPlace};
pub use batches::{BatchNo, OpenBatch, Settled};
pub use claim::Claim;
pub use entries::{OwnerEntry, PlaceCounts, PlaceEntry, RecordEntry, RunEntry};
pub use error::{LedgerError, Result};
pub use planning::{Known, Peek, PlannedEntry, Planning};
pub use run::{LedgerRun, RunStart};
pub use status::{OwnerStatus, PlaceStatus};
pub use values::{Digest, OwnerNo, PlaceNo, RecordState, RunState};
pub use writer::Mark;

/// The ledger of a data directory.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    db: Mutex<Connection>,
}

impl Ledger {
    /// Opens the ledger of a data directory, and makes it if there is none.
    ///
    /// # Errors
    /// [`LedgerError`] if it cannot be used: it is another program's file, another version's, locked, or
    /// cannot be written. It is left as it is.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(file::NAME);
        let db = Mutex::new(file::open(&path)?);
        Ok(Self { path, db })
    }

    /// Opens the ledger of a data directory if there is one. Makes nothing.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_existing(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join(file::NAME);
        if !path.exists() {
            return Ok(None);
        }
        let db = Mutex::new(file::open_existing(&path)?);
        Ok(Some(Self { path, db }))
    }

    /// Where the files of living runs are.
    fn locks(&self) -> PathBuf {
        self.path.with_file_name(lock::DIRECTORY)
    }

    /// The file, for one step. Blocks while another step is at work.
    fn db(&self) -> MutexGuard<'_, Connection> {
        locked(&self.db)
    }

    fn failed(&self, error: impl Into<error::Cause>) -> LedgerError {
        LedgerError::of(&self.path, error)
    }
}
