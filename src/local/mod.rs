//! The embedded Zep: the port over one SQLite file, without a network.
//!
//! It keeps the port's contract as Zep Cloud does: owners, limits, order, cascades, counts, and the
//! same refusals. It extracts nothing: each episode is its own fact, at once. Where Zep's behaviour
//! is not documented, [`Behavior`] has a switch.
//!
//! The file is opened on first use and may be used by several processes at once. A write is stored
//! whole or not at all, and what was confirmed survives a crash and a power cut.
//!
//! Arrows only point down this list:
//!
//! - `port`: implements the port; each call stores all or nothing. `http_api`: the calls of Zep's HTTP
//!   API that the port does not have.
//! - `search`, `listing`, `batches`: operations over several tables; `row_filter` and
//!   `metadata_filter` serve the first two.
//! - `tables`: one file per table.
//! - `sqlite`: the file, its layout, and transactions on a blocking thread.
//! - `query`, `check`, `words`, `uuids`, `timestamps`, `behavior`: parameters, limits, values.

mod batches;
mod behavior;
mod check;
mod http_api;
mod listing;
mod metadata_filter;
mod port;
mod query;
mod row_filter;
mod search;
mod sqlite;
mod tables;
#[cfg(test)]
mod tests;
mod timestamps;
mod uuids;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use behavior::{
    Behavior, CursorMeaning, DraftMessages, EpisodeDeletion, ExistingThread, LengthCounts,
    MetadataPatch,
};
pub use query::{
    CursorPage, DateFilter, Direction, Filters, Listing, MetadataCondition, MetadataFilter,
    NumberedPage, OrderBy, PageNumber,
};
pub use tables::messages::DEFAULT_MESSAGES;
pub use tables::threads::ThreadOrder;
pub use tables::users::UserOrder;

use crate::zep::{Error, Result};
pub use search::likeness;
use sqlite::Store;
pub(crate) use sqlite::{Writes, WrittenFile, make_private, write, write_ahead};

/// The embedded Zep over one file. Cheap to clone; clones share its connections.
///
/// Besides the port it has the calls of Zep's HTTP API that the port does not need.
#[derive(Debug, Clone)]
pub struct LocalZep {
    store: Arc<Store>,
}

impl LocalZep {
    /// The embedded Zep over this file, which is opened, or created, on first use.
    ///
    /// # Errors
    /// [`Error::Storage`] if the path is not valid. A file that cannot be used fails the first call,
    /// for instance [`project`](crate::zep::Accounts::project).
    pub fn open(path: &Path, behavior: Behavior) -> Result<Self> {
        // A later change of the working directory must not select another file.
        let path: PathBuf = std::path::absolute(path).map_err(|error| Error::Storage {
            path: path.display().to_string(),
            message: format!("it is not a path ({error})"),
        })?;
        Ok(Self {
            store: Arc::new(Store::new(path, behavior, batches::settle_due)),
        })
    }

    /// Why the file, if it exists, can only be read; `None` if it can be written.
    pub fn why_unwritable(&self) -> Option<String> {
        self.store.why_unwritable()
    }

    /// The current behaviour.
    pub fn behavior(&self) -> Behavior {
        self.store.behavior()
    }

    /// Sets the behaviour from the next call on.
    pub fn set_behavior(&self, behavior: Behavior) {
        self.store.set_behavior(behavior);
    }
}
