//! Why writing stopped.

use jiff::Timestamp;

use crate::memory;
use crate::migration::ledger::LedgerError;
use crate::migration::plan::SpoolError;
use crate::migration::retry::Failure;
use crate::zep;

/// Why a place was not finished.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Unfinished {
    #[error("{}", in_a_report(.0))]
    Memory(#[from] memory::Error),
    /// The plan cannot be read.
    #[error("{0}")]
    Spool(String),
    /// The ledger cannot be used.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// It was deleted in Zep since a run wrote there.
    #[error(
        "was deleted in Zep since it was migrated, and is not written again; --rebuild-ledger looks at \
         Zep anew and migrates what is not there"
    )]
    Gone,
    /// Zep has no Batch API.
    #[error(
        "cannot be written by batch: Zep answers that it has no Batch API (404); leave out --method \
         batch (`method`), and it is written directly"
    )]
    NoBatches,
    /// A batch cannot be finished.
    #[error("a batch: {0}")]
    Batch(String),
    /// The session is in use: the records to write are older than what is there.
    #[error(
        "is in use: it holds a message of {newest}, and the {remaining} records to write begin at \
         {oldest}; older turns would follow newer ones. Migrate before agents write, or give \
         --append (`append`) to put them at the end"
    )]
    InUse {
        newest: Timestamp,
        oldest: Timestamp,
        remaining: u64,
    },
}

impl From<SpoolError> for Unfinished {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error.to_string())
    }
}

impl Failure for Unfinished {
    fn cause(&self) -> Option<&zep::Error> {
        match self {
            Self::Memory(error) => error.cause(),
            Self::Spool(_)
            | Self::Ledger(_)
            | Self::Gone
            | Self::NoBatches
            | Self::Batch(_)
            | Self::InUse { .. } => None,
        }
    }
}

/// What stopped a write, in words for the operator of a migration, who continues it by running it
/// again and needs no idempotency key.
pub(super) fn in_a_report(error: &memory::Error) -> String {
    match error {
        memory::Error::PartlyStored(stopped) if stopped.in_doubt => format!(
            "{}. Run it again: what is stored is recognised",
            stopped.cause
        ),
        memory::Error::PartlyStored(stopped) => stopped.cause.to_string(),
        memory::Error::Invalid { field, .. } if field == "idempotency_key" => {
            "is stored under its record id with other content; `validate` names it".into()
        }
        error => error.to_string(),
    }
}
