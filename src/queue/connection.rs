//! How the queue's file is read and written: reads on any thread that may block, changes in turns, those that
//! wait together.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::{file, seal};
use crate::local::{Writes, WrittenFile, write};
use crate::memory::queue::{QueueError, Result};
use crate::seal::SealKey;

/// The queue of one account, as this process sees it.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) path: PathBuf,
    /// Of several accounts in one data directory, only one's jobs can be carried out with its key.
    pub(super) account: String,
    /// Names this process among those that claim.
    pub(super) process: String,
    pub(super) patience: Duration,
    /// Encrypts contents.
    pub(super) key: Option<Arc<SealKey>>,
    db: Mutex<Option<Connection>>,
    /// Whether transactions of the connection survive a power cut.
    is_durable: AtomicBool,
    writes: Writes<QueueError>,
}

/// What a change survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The end of the process.
    InProcess,
    /// A power cut, too.
    OnDisk,
}

impl Rows {
    /// Opens and makes nothing yet.
    pub(super) fn new(path: PathBuf, account: String, patience: Duration) -> Self {
        Self {
            path,
            account,
            process: uuid::Uuid::now_v7().to_string(),
            patience,
            key: None,
            db: Mutex::new(None),
            is_durable: AtomicBool::new(false),
            writes: Writes::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, opened if it is not.
    fn opened<'a>(&self, open: &'a mut Option<Connection>) -> Result<&'a mut Connection> {
        Ok(match open.take() {
            Some(db) => open.insert(db),
            None => {
                let db = file::open(&self.path)?;
                seal::check(&db, &self.path, self.key.as_deref(), false)?;
                self.is_durable.store(true, Ordering::Relaxed);
                open.insert(db)
            }
        })
    }

    /// Looks something up. Where there is no file the answer is `T::default()`.
    pub(super) async fn read<T: Default + Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Rows, &Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        // In the ordinary case there is no file, and a look for it is all that a read costs.
        if !self.path.exists() {
            return Ok(T::default());
        }
        let rows = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let mut open = rows.lock();
            let db = rows.opened(&mut open)?;
            work(&rows, db).map_err(|error| rows.failed(error))
        });
        done.await.unwrap_or_else(|_| Err(self.interrupted()))
    }

    /// Changes something, all or nothing. Where there is no file it is made.
    pub(super) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        kept: Kept,
        work: impl FnOnce(&Rows, &Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let rows = Arc::clone(self);
        let work = move |db: &Connection| work(&rows, db).map_err(|error| rows.failed(error));
        write(self, kept == Kept::OnDisk, work).await
    }

    /// The same where there is a file; where there is none the answer is `T::default()`.
    pub(super) async fn change<T: Default + Send + 'static>(
        self: &Arc<Self>,
        kept: Kept,
        work: impl FnOnce(&Rows, &Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        match self.path.exists() {
            true => self.write(kept, work).await,
            false => Ok(T::default()),
        }
    }
}

impl WrittenFile for Rows {
    type Error = QueueError;
    const DROPS_ABANDONED: bool = false;

    fn writes(&self) -> &Writes<QueueError> {
        &self.writes
    }

    fn connected(&self, work: &mut dyn FnMut(&mut Connection)) -> Result<()> {
        let mut open = self.lock();
        work(self.opened(&mut open)?);
        Ok(())
    }

    fn before(&self, connection: &mut Connection, durable: bool) -> rusqlite::Result<()> {
        if self.is_durable.load(Ordering::Relaxed) == durable {
            return Ok(());
        }
        let synchronous = if durable { "full" } else { "normal" };
        connection.pragma_update(None, "synchronous", synchronous)?;
        self.is_durable.store(durable, Ordering::Relaxed);
        Ok(())
    }

    fn failed(&self, cause: rusqlite::Error) -> QueueError {
        file::failed(&self.path, &cause)
    }

    fn interrupted(&self) -> QueueError {
        file::unusable(&self.path, "the program ends")
    }
}
