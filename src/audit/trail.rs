//! The handle of the trail in a process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::append::Dated;
use super::entry::Entry;
use super::error::Unwritable;
use super::folder::Folder;
use super::writer::Writer;

/// How long a call waits until its entry is written. Ours: beyond that the trail counts as unwritable,
/// and the entry is written later.
const WRITTEN_WITHIN: Duration = Duration::from_secs(6);

/// How a trail is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The directory. It is made when the first entry is written.
    pub directory: PathBuf,
    /// Whether calls are refused while the trail cannot be written.
    pub is_required: bool,
    /// How long entries are kept.
    pub keep: Duration,
    /// A new file is begun after this length, in bytes.
    pub max_bytes: u64,
}

impl Options {
    /// The length after which a new file is begun, in bytes. Ours: it opens in any editor, and is searched
    /// in a second.
    pub const MAX_BYTES: u64 = 64 << 20;

    /// In this directory, kept for so many days.
    pub fn new(directory: PathBuf, is_required: bool, days: u32) -> Self {
        Self {
            directory,
            is_required,
            keep: Duration::from_secs(u64::from(days) * 24 * 3600),
            max_bytes: Self::MAX_BYTES,
        }
    }
}

/// Whether the trail can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Off,
    /// Yes, as far as is known.
    Well,
    /// No: why, and how many entries wait until it can.
    Failing {
        /// What is wrong, and what to do.
        problem: String,
        /// Entries of calls that were done.
        waiting: usize,
    },
}

/// The audit trail. Cheap to clone. The last clone that is dropped writes what is left.
#[derive(Debug, Clone, Default)]
pub struct Trail(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    writer: Writer,
    is_required: bool,
    directory: PathBuf,
}

impl Trail {
    /// No trail: everything goes on, and nothing is noted.
    pub fn off() -> Self {
        Self::default()
    }

    /// The trail in a directory. Touches nothing yet.
    pub fn new(options: Options) -> Self {
        let Options {
            directory,
            is_required,
            keep,
            max_bytes,
        } = options;
        let folder = Folder(directory.clone());
        Self(Some(Arc::new(Inner {
            writer: Writer::new(folder, max_bytes, keep),
            is_required,
            directory,
        })))
    }

    /// Whether there is a trail.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The directory.
    pub fn directory(&self) -> Option<&Path> {
        self.0.as_ref().map(|inner| inner.directory.as_path())
    }

    /// Whether calls are refused at present.
    pub fn refuses(&self) -> bool {
        let failing = matches!(self.state(), State::Failing { .. });
        failing && self.0.as_ref().is_some_and(|inner| inner.is_required)
    }

    /// Whether it can be written.
    pub fn state(&self) -> State {
        match &self.0 {
            None => State::Off,
            Some(inner) => inner.writer.state(),
        }
    }

    /// Makes sure that the trail can be written, before a call is begun.
    ///
    /// # Errors
    /// [`Unwritable`], if calls are refused then.
    pub async fn ready(&self) -> Result<(), Unwritable> {
        let Some(inner) = &self.0 else {
            return Ok(());
        };
        if inner.writer.is_ready() {
            return Ok(());
        }
        let tried = inner.writer.probe();
        let _ = tokio::time::timeout(WRITTEN_WITHIN, tried).await;
        match inner.writer.state() {
            State::Failing { problem, .. } if inner.is_required => Err(Unwritable {
                directory: inner.directory.display().to_string(),
                problem,
            }),
            _ => Ok(()),
        }
    }

    /// Waits until an entry is written, or it is known that it cannot be now: then it is written first
    /// once there is room.
    pub async fn record(&self, entry: &Entry) {
        let Some(inner) = &self.0 else {
            return;
        };
        let (done, written) = oneshot::channel();
        if inner.writer.push(Dated::now(entry), Some(done)) {
            let waited = tokio::time::timeout(WRITTEN_WITHIN, written).await;
            if waited.is_err() {
                inner.writer.is_stuck();
            }
        }
    }

    /// The same without waiting.
    pub fn note(&self, entry: &Entry) {
        if let Some(inner) = &self.0 {
            inner.writer.push(Dated::now(entry), None);
        }
    }

    /// Writes what is left, and makes it survive a power cut. Blocks. Entries that come later are lost.
    pub fn close(&self) {
        if let Some(inner) = &self.0 {
            inner.writer.close();
        }
    }
}
