//! Runs calls on the file: each in one transaction, on a blocking thread, with a few connections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use super::connection::OpenFile;
use super::error::{Step, error, unusable};
use super::file::file_id;
use super::transaction::{Clock, Work};
use crate::local::behavior::Behavior;
use crate::zep::Result;

/// How many calls work on the file at once. Each has a connection with its own cache.
const CONNECTIONS: usize = 4;
/// How many connections are kept for later calls.
const IDLE_CONNECTIONS: usize = 2;

/// Work that precedes every call, in transactions of its own.
type Upkeep = fn(&mut Connection, Behavior);

/// The file and its connections.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    behavior: SyncMutex<Behavior>,
    upkeep: Upkeep,
    idle: SyncMutex<Vec<OpenFile>>,
    slots: Arc<Semaphore>,
    /// Writes of this process wait here, in order, instead of in SQLite's sleep-and-retry.
    writer: Arc<Mutex<()>>,
}

impl Store {
    pub(crate) fn new(path: PathBuf, behavior: Behavior, upkeep: Upkeep) -> Self {
        Self {
            path,
            behavior: SyncMutex::new(behavior),
            upkeep,
            idle: SyncMutex::default(),
            slots: Arc::new(Semaphore::new(CONNECTIONS)),
            writer: Arc::default(),
        }
    }

    pub(crate) fn behavior(&self) -> Behavior {
        // The value is copied as a whole: a panic of another holder cannot leave half of it.
        *self.behavior.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_behavior(&self, behavior: Behavior) {
        *self.behavior.lock().unwrap_or_else(PoisonError::into_inner) = behavior;
    }

    /// Reads from one snapshot of the file.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Work<'_>) -> Step<T> + Send + 'static,
    {
        self.run(None, work).await
    }

    /// Writes all or, on any error, nothing.
    pub(crate) async fn write<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Work<'_>) -> Step<T> + Send + 'static,
    {
        let turn = Arc::clone(&self.writer).lock_owned().await;
        self.run(Some(turn), work).await
    }

    /// Works in a transaction, which may write if the call holds the writers' turn.
    async fn run<T, F>(self: &Arc<Self>, turn: Option<OwnedMutexGuard<()>>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Work<'_>) -> Step<T> + Send + 'static,
    {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| unusable(&self.path, "it was closed"))?;
        let store = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            // Slot and turn are held until the work is done, even if its caller is gone.
            let _slot = slot;
            let kind = match &turn {
                Some(_) => TransactionBehavior::Immediate,
                None => TransactionBehavior::Deferred,
            };
            let mut opened = store.take()?;
            let done = store
                .transact(&mut opened.connection, kind, work)
                .map_err(|fault| error(&store.path, fault));
            store.put_back(opened);
            drop(turn);
            done
        });
        task.await.unwrap_or_else(|_| {
            Err(unusable(
                &self.path,
                "the call was interrupted; nothing of it was stored",
            ))
        })
    }

    fn transact<T, F>(
        &self,
        connection: &mut Connection,
        kind: TransactionBehavior,
        work: F,
    ) -> Step<T>
    where
        F: FnOnce(&Work<'_>) -> Step<T>,
    {
        let behavior = self.behavior();
        (self.upkeep)(connection, behavior);
        let tx = connection.transaction_with_behavior(kind)?;
        let answer = work(&Work {
            tx: &tx,
            behavior,
            clock: Clock::read(&behavior),
        })?;
        tx.commit()?;
        Ok(answer)
    }

    fn take(&self) -> Result<OpenFile> {
        let here = file_id(&self.path);
        let kept = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            // Writing to a file that was moved away would lose the write.
            idle.retain(|opened| here.is_some() && opened.id == here);
            idle.pop()
        };
        kept.map_or_else(
            || OpenFile::open(&self.path, Clock::read(&self.behavior())),
            Ok,
        )
    }

    fn put_back(&self, opened: OpenFile) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(opened);
        }
    }
}
