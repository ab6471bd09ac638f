//! Writes: those that wait share a transaction, and with it one flush of the disk.
//!
//! The first write starts a thread that goes on until none waits. Each write has a savepoint: if it fails, or
//! panics, only its own changes are undone. It is answered after the commit.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::error::{error, unusable};
use super::store::{Job, Store};
use super::transaction::Work;
use crate::local::behavior::Behavior;
use crate::zep::Result;

/// The most writes of one transaction. Ours: it bounds how long the first of them waits for the last, and
/// how long other processes wait.
const MOST_TOGETHER: usize = 64;

/// The writes that wait.
#[derive(Debug, Default)]
pub(super) struct Writes(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// In the order of their arrival.
    writes: VecDeque<Write>,
    /// Whether there is a [`Turn`].
    is_turn_taken: bool,
}

/// A write, and who waits for it.
struct Write {
    work: Job,
    done: oneshot::Sender<Result<()>>,
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Write")
    }
}

impl Writes {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to write. Only one exists at a time.
struct Turn {
    store: Arc<Store>,
    is_over: bool,
}

impl Turn {
    /// The next writes; none if none waits: then the turn is over.
    fn next(&mut self) -> VecDeque<Write> {
        let mut waiting = self.store.writes.lock();
        let next = waiting.writes.len().min(MOST_TOGETHER);
        self.is_over = next == 0;
        waiting.is_turn_taken = next > 0;
        waiting.writes.drain(..next).collect()
    }
}

impl Drop for Turn {
    /// If it ends early (the runtime ends, or a defect), what waits is answered as interrupted.
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.store.writes.lock();
            waiting.is_turn_taken = false;
            waiting.writes.clear();
        }
    }
}

impl Store {
    /// Waits until the work is committed, or failed.
    pub(super) async fn write_job(self: &Arc<Self>, work: Job) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let is_first = {
            let mut waiting = self.writes.lock();
            waiting.writes.push_back(Write { work, done });
            !std::mem::replace(&mut waiting.is_turn_taken, true)
        };
        if is_first {
            let mut turn = Turn {
                store: Arc::clone(self),
                is_over: false,
            };
            tokio::task::spawn_blocking(move || {
                loop {
                    let writes = turn.next();
                    if writes.is_empty() {
                        return;
                    }
                    turn.store.write_together(writes);
                }
            });
        }
        answer.await.unwrap_or_else(|_| Err(self.interrupted()))
    }

    fn write_together(&self, mut writes: VecDeque<Write>) {
        let opened = self.take().and_then(|opened| match &opened.unwritable {
            None => Ok(opened),
            Some(why) => {
                let refusal = unusable(&self.path, why);
                self.put_back(opened);
                Err(refusal)
            }
        });
        match opened {
            Ok(mut opened) => {
                while !writes.is_empty() {
                    self.transact(&mut opened.connection, &mut writes);
                }
                self.put_back(opened);
            }
            Err(error) => answer(writes.into_iter().map(|write| write.done), &Err(error)),
        }
    }

    /// Carries out writes in one transaction, and answers them: all of them, unless an error ends the
    /// transaction before (a full disk).
    fn transact(&self, connection: &mut Connection, writes: &mut VecDeque<Write>) {
        let behavior = self.behavior();
        (self.upkeep)(connection, behavior);
        let mut tx = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(tx) => tx,
            Err(cause) => {
                let failed = Err(error(&self.path, cause.into()));
                return answer(writes.drain(..).map(|write| write.done), &failed);
            }
        };
        let mut stored = Vec::new();
        while let Some(Write { work, done }) = writes.pop_front() {
            // Nobody waits for it any more, and nothing of it was begun.
            if done.is_closed() {
                continue;
            }
            match self.write_one(&mut tx, behavior, work) {
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
        answer(
            stored,
            &committed.map_err(|cause| error(&self.path, cause.into())),
        );
    }

    /// Writes all or nothing of one call.
    fn write_one(&self, tx: &mut Transaction<'_>, behavior: Behavior, work: Job) -> Result<()> {
        let in_file = |cause: rusqlite::Error| error(&self.path, cause.into());
        let savepoint = tx.savepoint().map_err(in_file)?;
        let worked = catch_unwind(AssertUnwindSafe(|| work(&Work::new(&savepoint, behavior))));
        let failed = match worked {
            Ok(Ok(())) => return savepoint.commit().map_err(in_file),
            Ok(Err(fault)) => error(&self.path, fault),
            Err(_panic) => self.interrupted(),
        };
        // What cannot be undone alone is undone with all others.
        if savepoint.finish().is_err() {
            let _ = tx.execute_batch("ROLLBACK");
        }
        Err(failed)
    }
}

fn answer(waiting: impl IntoIterator<Item = oneshot::Sender<Result<()>>>, outcome: &Result<()>) {
    for one in waiting {
        // Its caller may be gone.
        let _ = one.send(outcome.clone());
    }
}
