//! Runs calls on the file, in transactions on blocking threads, with a few connections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::{OpenFile, why_unwritable};
use super::error::{Fault, Step, error, unusable};
use super::file::file_id;
use super::transaction::{Clock, Work};
use super::writing::{self, Job, Writes, WrittenFile, answering, taken};
use crate::local::behavior::Behavior;
use crate::zep::{Error, Result};

/// How many calls read the file at once. Each has a connection with its own cache.
const READERS: usize = 4;
/// How many connections are kept for later calls: those of the readers and the writer's. To open one takes
/// longer than most calls.
const KEPT_CONNECTIONS: usize = READERS + 1;

/// Work that precedes every transaction, in transactions of its own.
type Upkeep = fn(&mut Connection, Behavior);

/// The file and its connections.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    behavior: SyncMutex<Behavior>,
    upkeep: Upkeep,
    idle: SyncMutex<Vec<OpenFile>>,
    readers: Arc<Semaphore>,
    /// Writes of this process wait here, in order, instead of in SQLite's sleep-and-retry.
    writes: Writes<Error>,
}

impl Store {
    pub(crate) fn new(path: PathBuf, behavior: Behavior, upkeep: Upkeep) -> Self {
        Self {
            path,
            behavior: SyncMutex::new(behavior),
            upkeep,
            idle: SyncMutex::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            writes: Writes::default(),
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
        let (job, answer) = answering(self.job(work));
        self.read_job(job).await?;
        taken(&answer).ok_or_else(|| self.interrupted())
    }

    /// Writes all or, on any error, nothing.
    pub(crate) async fn write<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Work<'_>) -> Step<T> + Send + 'static,
    {
        writing::write(self, true, self.job(work)).await
    }

    /// The work, on a connection.
    fn job<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&Work<'_>) -> Step<T> + Send + 'static,
    ) -> impl FnOnce(&Connection) -> Result<T> + Send + 'static {
        let store = Arc::clone(self);
        move |connection| {
            let work = work(&Work::new(connection, store.behavior()));
            work.map_err(|fault| error(&store.path, fault))
        }
    }

    /// Not generic, so that the task is compiled once and not for each job.
    async fn read_job(self: &Arc<Self>, job: Job<Error>) -> Result<()> {
        let slot = Arc::clone(&self.readers)
            .acquire_owned()
            .await
            .map_err(|_| unusable(&self.path, "it was closed"))?;
        let store = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            // The slot is held until the work is done, even if its caller is gone.
            let _slot = slot;
            let mut opened = store.take()?;
            let done = store.read_now(&mut opened.connection, job);
            store.put_back(opened);
            done
        });
        task.await.unwrap_or_else(|_| Err(self.interrupted()))
    }

    fn read_now(&self, connection: &mut Connection, job: Job<Error>) -> Result<()> {
        (self.upkeep)(connection, self.behavior());
        let tx = connection
            .transaction()
            .map_err(|cause| self.failed(cause))?;
        job(&tx)?;
        tx.commit().map_err(|cause| self.failed(cause))
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
        if idle.len() < KEPT_CONNECTIONS {
            idle.push(opened);
        }
    }
}

impl WrittenFile for Store {
    type Error = Error;
    const DROPS_ABANDONED: bool = true;

    fn writes(&self) -> &Writes<Error> {
        &self.writes
    }

    fn connected(&self, work: &mut dyn FnMut(&mut Connection)) -> Result<()> {
        let mut opened = self.take()?;
        let done = match &opened.unwritable {
            None => {
                work(&mut opened.connection);
                Ok(())
            }
            Some(why) => Err(unusable(&self.path, why)),
        };
        self.put_back(opened);
        done
    }

    fn before(&self, connection: &mut Connection, _durable: bool) -> rusqlite::Result<()> {
        (self.upkeep)(connection, self.behavior());
        Ok(())
    }

    fn failed(&self, cause: rusqlite::Error) -> Error {
        error(&self.path, Fault::Sql(cause))
    }

    fn interrupted(&self) -> Error {
        let message = "the call was interrupted; nothing of it was stored";
        unusable(&self.path, message)
    }
}
