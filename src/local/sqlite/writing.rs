//! Writes to a file: those that wait share a transaction, and with it one flush of the disk.
//!
//! The first write starts a thread that goes on until none waits. Each write has a savepoint: if it fails, or
//! panics, only its own changes are undone. It is answered after the commit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

/// The most writes of one transaction. Ours: it bounds how long the first of them waits for the last, and
/// how long other processes wait.
const MOST_TOGETHER: usize = 64;

/// The work of one call, which leaves its answer where its caller looks for it.
pub(super) type Job<E> = Box<dyn FnOnce(&Connection) -> Result<(), E> + Send>;
/// Where a job leaves its answer.
pub(super) type Answer<T> = Arc<Mutex<Option<T>>>;

/// A file that is written in this way.
pub(crate) trait WrittenFile: Send + Sync + Sized + 'static {
    /// Why a write failed.
    type Error: Clone + Send + 'static;
    /// Whether a write is left out whose caller is gone when its turn comes.
    const DROPS_ABANDONED: bool;

    /// The writes that wait.
    fn writes(&self) -> &Writes<Self::Error>;
    /// Does something with the connection that writes. Blocks.
    ///
    /// # Errors
    /// If there is none; nothing is done then.
    fn connected(&self, work: &mut dyn FnMut(&mut Connection)) -> Result<(), Self::Error>;
    /// What precedes a transaction, which is to survive a power cut if it is `durable`.
    ///
    /// # Errors
    /// SQLite's; nothing is written then.
    fn before(&self, connection: &mut Connection, durable: bool) -> rusqlite::Result<()>;
    /// The error of a step that SQLite refused.
    fn failed(&self, cause: rusqlite::Error) -> Self::Error;
    /// The error of a write that was not done: the program ends, or the write panicked.
    fn interrupted(&self) -> Self::Error;
}

/// The writes that wait for their turn, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Writes<E>(Mutex<Waiting<E>>);

#[derive(Debug)]
struct Waiting<E> {
    writes: VecDeque<Write<E>>,
    /// Whether there is a [`Turn`].
    is_turn_taken: bool,
}

/// A write, and who waits for it.
struct Write<E> {
    job: Job<E>,
    durable: bool,
    done: oneshot::Sender<Result<(), E>>,
}

impl<E> std::fmt::Debug for Write<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Write")
    }
}

impl<E> Default for Writes<E> {
    fn default() -> Self {
        Self(Mutex::new(Waiting {
            writes: VecDeque::new(),
            is_turn_taken: false,
        }))
    }
}

impl<E> Writes<E> {
    fn lock(&self) -> MutexGuard<'_, Waiting<E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to write. Only one exists at a time.
struct Turn<F: WrittenFile> {
    file: Arc<F>,
    is_over: bool,
}

impl<F: WrittenFile> Turn<F> {
    /// The next writes; none if none waits: then the turn is over.
    fn next(&mut self) -> VecDeque<Write<F::Error>> {
        let mut waiting = self.file.writes().lock();
        let next = waiting.writes.len().min(MOST_TOGETHER);
        self.is_over = next == 0;
        waiting.is_turn_taken = next > 0;
        waiting.writes.drain(..next).collect()
    }
}

impl<F: WrittenFile> Drop for Turn<F> {
    /// If it ends early (the runtime ends, or a defect), what waits is answered as interrupted.
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.file.writes().lock();
            waiting.is_turn_taken = false;
            waiting.writes.clear();
        }
    }
}

/// Does the work in a transaction with that of others, and waits until it is committed, or failed: then
/// nothing of it is stored. A `durable` one survives a power cut.
///
/// # Errors
/// The work's own, those of the file, and [`WrittenFile::interrupted`].
pub(crate) async fn write<F, T>(
    file: &Arc<F>,
    durable: bool,
    work: impl FnOnce(&Connection) -> Result<T, F::Error> + Send + 'static,
) -> Result<T, F::Error>
where
    F: WrittenFile,
    T: Send + 'static,
{
    let (job, answer) = answering(work);
    write_job(file, durable, job).await?;
    taken(&answer).ok_or_else(|| file.interrupted())
}

/// A job that does the work, and where it leaves its answer.
pub(super) fn answering<T, E>(
    work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
) -> (Job<E>, Answer<T>)
where
    T: Send + 'static,
{
    let answer = Answer::default();
    let answered = Arc::clone(&answer);
    let job = Box::new(move |db: &Connection| {
        let done = work(db)?;
        *answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        Ok(())
    });
    (job, answer)
}

/// The answer that a job has left.
pub(super) fn taken<T>(answer: &Answer<T>) -> Option<T> {
    let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
    answer.take()
}

/// Not generic in the answer, so that it is compiled once and not for each job.
async fn write_job<F: WrittenFile>(
    file: &Arc<F>,
    durable: bool,
    job: Job<F::Error>,
) -> Result<(), F::Error> {
    let (done, answer) = oneshot::channel();
    let is_first = {
        let mut waiting = file.writes().lock();
        waiting.writes.push_back(Write { job, durable, done });
        !std::mem::replace(&mut waiting.is_turn_taken, true)
    };
    if is_first {
        let mut turn = Turn {
            file: Arc::clone(file),
            is_over: false,
        };
        tokio::task::spawn_blocking(move || {
            loop {
                let writes = turn.next();
                if writes.is_empty() {
                    return;
                }
                write_together(&*turn.file, writes);
            }
        });
    }
    answer.await.unwrap_or_else(|_| Err(file.interrupted()))
}

fn write_together<F: WrittenFile>(file: &F, mut writes: VecDeque<Write<F::Error>>) {
    let connected = file.connected(&mut |connection| {
        while !writes.is_empty() {
            transact(file, connection, &mut writes);
        }
    });
    if let Err(error) = connected {
        answer(writes.into_iter().map(|write| write.done), &Err(error));
    }
}

/// Carries out writes in one transaction, and answers them: all of them, unless an error ends the
/// transaction before (a full disk).
fn transact<F: WrittenFile>(
    file: &F,
    connection: &mut Connection,
    writes: &mut VecDeque<Write<F::Error>>,
) {
    let durable = writes.iter().any(|write| write.durable);
    let begun = match file.before(connection, durable) {
        Ok(()) => connection.transaction_with_behavior(TransactionBehavior::Immediate),
        Err(cause) => Err(cause),
    };
    let mut tx = match begun {
        Ok(tx) => tx,
        Err(cause) => {
            let failed = Err(file.failed(cause));
            return answer(writes.drain(..).map(|write| write.done), &failed);
        }
    };
    let mut stored = Vec::new();
    while let Some(Write { job, done, .. }) = writes.pop_front() {
        // Nothing of it was begun.
        if F::DROPS_ABANDONED && done.is_closed() {
            continue;
        }
        match write_one(file, &mut tx, job) {
            Ok(()) => stored.push(done),
            Err(failed) => {
                let failed = Err(failed);
                // SQLite has rolled back what the others wrote, too.
                if tx.is_autocommit() {
                    answer(stored.drain(..), &failed);
                    return answer([done], &failed);
                }
                answer([done], &failed);
            }
        }
    }
    let committed = match stored.is_empty() {
        true => tx.rollback(),
        false => tx.commit(),
    };
    answer(stored, &committed.map_err(|cause| file.failed(cause)));
}

/// Writes all or nothing of one call.
fn write_one<F: WrittenFile>(
    file: &F,
    tx: &mut Transaction<'_>,
    job: Job<F::Error>,
) -> Result<(), F::Error> {
    let savepoint = tx.savepoint().map_err(|cause| file.failed(cause))?;
    let failed = match catch_unwind(AssertUnwindSafe(|| job(&savepoint))) {
        Ok(Ok(())) => return savepoint.commit().map_err(|cause| file.failed(cause)),
        Ok(Err(failed)) => failed,
        Err(_panic) => file.interrupted(),
    };
    // What cannot be undone alone is undone with all others.
    if savepoint.finish().is_err() {
        let _ = tx.execute_batch("ROLLBACK");
    }
    Err(failed)
}

fn answer<E: Clone>(
    waiting: impl IntoIterator<Item = oneshot::Sender<Result<(), E>>>,
    outcome: &Result<(), E>,
) {
    for one in waiting {
        // Its caller may be gone.
        let _ = one.send(outcome.clone());
    }
}
