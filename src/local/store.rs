//! The file: opened on first use, shared by a few connections, changed only in transactions.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use super::behavior::Behavior;
use super::time::Clock;
use super::{progress, schema};
use crate::zep::{Error, Result};

/// How many calls work on the file at once. Each has a connection with a cache of its own.
const CONNECTIONS: usize = 4;
/// How many connections are kept for the next call.
const IDLE_CONNECTIONS: usize = 2;
/// Page cache of one connection, in KiB: small, since the operating system caches the file.
const CACHE_KIB: i64 = 2_048;
/// How long a write waits for another process's write.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// Prepared statements kept by one connection: as many as this module has.
const STATEMENTS: usize = 96;
/// The log is cut back to this after it was written back, in bytes.
const LOG_BYTES: i64 = 16 << 20;

/// Why a piece of work on the file ended: with an answer to the caller, or with the file.
#[derive(Debug)]
pub(super) enum Fault {
    /// What the caller is told.
    Answer(Error),
    /// What SQLite said.
    Sql(rusqlite::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// What a piece of work on the file gives.
pub(super) type Step<T> = std::result::Result<T, Fault>;

type Job = Box<dyn FnOnce(&Work<'_>) -> Step<()> + Send>;

/// One call's transaction, and what it needs to know.
pub(super) struct Work<'a> {
    /// The transaction.
    pub tx: &'a Transaction<'a>,
    /// The switches.
    pub behavior: Behavior,
    /// The time of the call, read when its turn came.
    pub clock: Clock,
}

/// The file and its connections.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    behavior: SyncMutex<Behavior>,
    idle: SyncMutex<Vec<Opened>>,
    slots: Arc<Semaphore>,
    /// Writes of this process queue here, in order, rather than in SQLite's sleep-and-retry.
    writer: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Opened {
    connection: Connection,
    file: Option<FileId>,
}

/// Device and number of a file: a file put in the place of another has others.
type FileId = (u64, u64);

/// The files that this process has made or looked at, by their path. They are not opened again but
/// by SQLite: when a process closes a file, POSIX takes all locks away that it holds on it, through
/// whichever descriptor. Another program then takes the log for left over and deletes it while it
/// is written to (sqlite.org, "How To Corrupt An SQLite Database File", 2.2). Of the process,
/// because those locks are.
static PROVEN: SyncMutex<BTreeMap<PathBuf, FileId>> = SyncMutex::new(BTreeMap::new());

impl Store {
    pub fn new(path: PathBuf, behavior: Behavior) -> Self {
        Self {
            path,
            behavior: SyncMutex::new(behavior),
            idle: SyncMutex::default(),
            slots: Arc::new(Semaphore::new(CONNECTIONS)),
            writer: Arc::default(),
        }
    }

    pub fn behavior(&self) -> Behavior {
        // A copy is put in or taken out whole, whatever happened to a thread that held the lock.
        *self.behavior.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_behavior(&self, behavior: Behavior) {
        *self.behavior.lock().unwrap_or_else(PoisonError::into_inner) = behavior;
    }

    /// Reads: everything within one call sees one state of the file.
    pub async fn read<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Work<'_>) -> Step<T> + Send + 'static,
    {
        self.run(None, work).await
    }

    /// Writes: all of it or, on any error, none of it.
    pub async fn write<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Work<'_>) -> Step<T> + Send + 'static,
    {
        let turn = Arc::clone(&self.writer).lock_owned().await;
        self.run(Some(turn), work).await
    }

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
            .ok_or_else(|| self.unusable("its answer was lost"))
    }

    /// Works in a transaction: one that writes, if it has its turn to. Not generic, so that tokio's
    /// task is compiled once and not for each job.
    async fn run_job(self: &Arc<Self>, turn: Option<OwnedMutexGuard<()>>, work: Job) -> Result<()> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| self.unusable("it was closed"))?;
        let store = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            // Both are held until the work is done, even if nobody waits for it any more.
            let _slot = slot;
            let kind = match &turn {
                Some(_) => TransactionBehavior::Immediate,
                None => TransactionBehavior::Deferred,
            };
            let mut opened = store.take()?;
            let done = store
                .transact(&mut opened.connection, kind, work)
                .map_err(|fault| store.error(fault));
            store.put_back(opened);
            drop(turn);
            done
        });
        task.await.unwrap_or_else(|_| {
            Err(self.unusable("the work on it was broken off; nothing of it was stored"))
        })
    }

    fn transact(
        &self,
        connection: &mut Connection,
        kind: TransactionBehavior,
        work: Job,
    ) -> Step<()> {
        let behavior = self.behavior();
        progress::settle_due(connection, behavior);
        let tx = connection.transaction_with_behavior(kind)?;
        work(&Work {
            tx: &tx,
            behavior,
            clock: Clock::read(&behavior),
        })?;
        tx.commit()?;
        Ok(())
    }

    fn take(&self) -> Result<Opened> {
        let here = file_id(&self.path);
        let kept = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            // Writing on into a file that was moved away would lose what is written.
            idle.retain(|opened| here.is_some() && opened.file == here);
            idle.pop()
        };
        kept.map_or_else(|| self.open(), Ok)
    }

    fn put_back(&self, opened: Opened) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(opened);
        }
    }

    fn open(&self) -> Result<Opened> {
        let first = {
            // Looking at a file that another connection of this process is open on would take that
            // connection's locks away, and with them what is written: see [`PROVEN`].
            let mut proven = PROVEN.lock().unwrap_or_else(PoisonError::into_inner);
            // Opens only what is not there yet.
            make_private(&self.path).map_err(|message| self.unusable(&message))?;
            let here = file_id(&self.path);
            if here.is_some() && proven.get(&self.path).copied() == here {
                None
            } else {
                schema::check_header(&self.path).map_err(|message| self.unusable(&message))?;
                let connection = self.prepared()?;
                if let Some(file) = file_id(&self.path) {
                    proven.insert(self.path.clone(), file);
                }
                Some(connection)
            }
        };
        let connection = first.map_or_else(|| self.prepared(), Ok)?;
        Ok(Opened {
            connection,
            file: file_id(&self.path),
        })
    }

    fn prepared(&self) -> Result<Connection> {
        let mut connection = self
            .connect()
            .map_err(|error| self.error(Fault::Sql(error)))?;
        schema::prepare(&mut connection, Clock::read(&self.behavior()))
            .map_err(|fault| self.error(fault))?;
        Ok(connection)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // FULL: what was answered survives not only the death of the process, which NORMAL would
        // do, but a power cut, too. It costs one fsync a write: about 0.1 ms on a server's disk,
        // 1 ms on a laptop's, within the 2 ms that a write may take.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "temp_store", "memory")?;
        // What was deleted is overwritten, wherever that costs no further writes.
        connection.pragma_update_and_check(None, "secure_delete", "fast", |_| Ok(()))?;
        connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
        Ok(connection)
    }

    fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Answer(Error::Storage { message, .. }) => self.unusable(&message),
            Fault::Answer(error) => error,
            Fault::Sql(error) => self.unusable(&explain(&error)),
        }
    }

    fn unusable(&self, message: &str) -> Error {
        Error::Storage {
            path: self.path.display().to_string(),
            message: message.to_owned(),
        }
    }
}

/// What happened and what to do, without SQL and without anything that was stored.
fn explain(error: &rusqlite::Error) -> String {
    let Some(code) = error.sqlite_error_code() else {
        return "it holds something that this program did not write; restore it from a backup"
            .into();
    };
    match code {
        ErrorCode::DiskFull => {
            "the disk is full; nothing of this call was stored; free some space and try again"
                .into()
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            "it may not be written; make it and its directory writable for this user".into()
        }
        ErrorCode::CannotOpen => {
            "it cannot be opened; check that its directory exists and is writable".into()
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => format!(
            "another process has been writing to it for more than {} seconds; nothing of this \
             call was stored; try again",
            BUSY_WAIT.as_secs()
        ),
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
            "it is damaged or not a memory file; restore it from a backup or move it away".into()
        }
        ErrorCode::SystemIoFailure => {
            "the disk reports an error; nothing of this call was stored; check the disk".into()
        }
        code => format!("SQLite reports {code:?}; nothing of this call was stored"),
    }
}

/// Makes the file, and its directory where there is none, readable by their owner only, and sees
/// that it may be written.
fn make_private(path: &Path) -> std::result::Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err("it is not a file".into()),
        Ok(found) if found.permissions().readonly() => {
            return Err("it is marked read-only; make it writable (chmod u+w)".into());
        }
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(format!("it cannot be reached ({error}); check the path")),
    }
    if let Some(directory) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(directory)
            .map_err(|error| format!("its directory cannot be made ({error})"))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // SQLite gives its log and its shared memory the same permissions.
    options
        .open(path)
        .map_err(|error| format!("it cannot be made ({error}); check the directory"))?;
    Ok(())
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Elsewhere an open file cannot be moved away.
#[cfg(not(unix))]
fn file_id(path: &Path) -> Option<FileId> {
    path.exists().then_some((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::{episodes, threads, users};
    use crate::zep::{NewMessage, NewUser, Role, ThreadId, UserFields, UserId};

    fn store(directory: &tempfile::TempDir) -> Arc<Store> {
        let path = directory.path().join("memory.db");
        Arc::new(Store::new(path, Behavior::default()))
    }

    fn message(text: &str) -> NewMessage {
        NewMessage {
            role: Role::User,
            content: text.into(),
            name: None,
            created_at: None,
            mark: None,
            metadata: crate::zep::Metadata::new(),
        }
    }

    async fn furnish(store: &Arc<Store>) -> ThreadId {
        let thread = ThreadId::new("t").unwrap();
        let name = thread.clone();
        store
            .write(move |w| {
                let user = NewUser {
                    user_id: UserId::new("u").unwrap(),
                    fields: UserFields::default(),
                };
                users::add(w, &user)?;
                threads::create(w, &name, &user.user_id)
            })
            .await
            .unwrap();
        thread
    }

    #[tokio::test]
    async fn a_full_disk_refuses_a_write_whole_and_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        let thread = furnish(&store).await;
        // The file may not grow any more.
        store
            .read(|w| {
                let pages: i64 = w.tx.pragma_query_value(None, "page_count", |r| r.get(0))?;
                w.tx.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
                Ok(())
            })
            .await
            .unwrap();
        let name = thread.clone();
        let many: Vec<_> = (0..30)
            .map(|n| message(&format!("{n} ").repeat(900)))
            .collect();
        let error = store
            .write(move |w| threads::add_messages(w, &name, &many, &[]))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("disk is full"), "{error}");
        let page = store
            .read(move |w| threads::all_messages(w, &thread))
            .await
            .unwrap();
        assert_eq!(page.total_count, Some(0));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        let thread = furnish(&store).await;
        let name = thread.clone();
        let error = store
            .write(move |w| -> Step<()> {
                threads::add_messages(w, &name, &[message("x")], &[])?;
                panic!("as a defect would");
            })
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Storage { .. }));
        let page = store
            .read(move |w| threads::all_messages(w, &thread))
            .await
            .unwrap();
        assert_eq!(page.total_count, Some(0));
    }

    #[tokio::test]
    async fn records_are_looked_up_by_index() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        furnish(&store).await;
        store
            .read(|w| {
                let sql = episodes::record_query().replace('?', "9");
                let record: String =
                    w.tx.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?
                        .query_map([], |row| row.get::<_, String>(3))?
                        .collect::<rusqlite::Result<_>>()?;
                assert!(record.contains("zm_id"), "{record}");
                Ok(())
            })
            .await
            .unwrap();
    }
}
