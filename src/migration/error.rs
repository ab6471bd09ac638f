//! Why a run was not possible at all.

use super::history::HistoryError;
use super::ledger::LedgerError;
use super::plan::PlanError;
use super::undo;
use crate::memory;
use crate::sources::SNAPSHOTS;

/// Why a run was not possible at all. What is wrong with single records is in the report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source was not planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The ledger cannot be used; nothing was written.
    #[error(transparent)]
    Ledger(LedgerError),
    /// There is no such kind of snapshot.
    #[error("`{kind}` is not a kind of snapshot; it may be {}", SNAPSHOTS.join(", "))]
    NotASnapshot {
        /// The kind that was given.
        kind: String,
    },
    /// The backend failed while it was read.
    #[error(transparent)]
    Memory(#[from] memory::Error),
    /// There is no such run.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The run went to another backend.
    #[error("run {run} went to {target}, and the settings name {here}; nothing was removed")]
    AnotherTarget {
        /// The run's id.
        run: String,
        /// Where it went.
        target: String,
        /// What the settings name.
        here: String,
    },
}

impl From<undo::Stopped> for Error {
    fn from(stopped: undo::Stopped) -> Self {
        match stopped {
            undo::Stopped::Memory(error) => error.into(),
            undo::Stopped::Ledger(error) => error.into(),
        }
    }
}
