//! Runs calls on the file: each in one transaction, on a blocking thread, with a few connections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use super::connection::{OpenFile, why_unwritable};
use super::error::{Step, error, unusable};
use super::file::file_id;
use super::transaction::{Clock, Work};
use crate::local::behavior::Behavior;
use crate::zep::Result;

/// How many calls work on the file at once. Each has a connection with its own cache.
const CONNECTIONS: usize = 4;
/// How many connections are kept for later calls.
const IDLE_CONNECTIONS: usize = 2;

/// The work of one call.
type Job = Box<dyn FnOnce(&Work<'_>) -> Step<()> + Send>;
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

    /// Why the file, if it exists, cannot be written; `None` if it can be.
    pub(crate) fn why_unwritable(&self) -> Option<String> {
        let why = why_unwritable(&self.path)?;
        Some(unusable(&self.path, &why).to_string())
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
        let answer = Arc::new(SyncMutex::new(None));
        let answered = Arc::clone(&answer);
        let job = Box::new(move |context: &Work<'_>| {
            let done = work(context)?;
            *answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            Ok(())
        });
        self.run_job(turn, job).await?;
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer
            .take()
            .ok_or_else(|| unusable(&self.path, "its answer was lost"))
    }

    /// Not generic, so that the task is compiled once and not for each job.
    async fn run_job(self: &Arc<Self>, turn: Option<OwnedMutexGuard<()>>, work: Job) -> Result<()> {
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
            if let (Some(_), Some(why)) = (&turn, &opened.unwritable) {
                let refusal = unusable(&store.path, why);
                store.put_back(opened);
                return Err(refusal);
            }
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

    fn transact(
        &self,
        connection: &mut Connection,
        kind: TransactionBehavior,
        work: Job,
    ) -> Step<()> {
        let behavior = self.behavior();
        (self.upkeep)(connection, behavior);
        let tx = connection.transaction_with_behavior(kind)?;
        work(&Work {
            tx: &tx,
            behavior,
            clock: Clock::read(&behavior),
        })?;
        tx.commit()?;
        Ok(())
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
        if !opened.lasts {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(opened);
        }
    }
}
