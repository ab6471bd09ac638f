//! Rollbacks that continue after their call was answered.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::runs::State;
use crate::memory::beside::sides::Sides;
use crate::memory::model::Owner;
use crate::memory::{self, MemoryService};
use crate::migration::{Error, Progress, Receipt, Watch};

/// How many may be under way at once. Ours: they share Zep's rate limit.
const MAX_AT_ONCE: usize = 2;
/// How many are remembered. Ours.
const MAX_KNOWN: usize = 100;
/// How long the end of the server waits for the requests in flight of those under way. Ours.
const STOPPING: Duration = Duration::from_secs(5);

/// The rollbacks of a server.
#[derive(Debug, Default)]
pub(crate) struct Rollbacks {
    known: Mutex<VecDeque<Arc<Undoing>>>,
    tasks: TaskTracker,
    /// Cancelled when the server ends.
    ending: CancellationToken,
}

/// A rollback.
#[derive(Debug)]
pub(crate) struct Undoing {
    /// The run that is undone.
    pub(crate) run: String,
    progress: Mutex<Option<Progress>>,
    /// How it ended; `None` while it is under way.
    ended: Mutex<Option<Result<Undone, String>>>,
}

/// What a rollback did.
#[derive(Debug, Clone)]
pub(crate) struct Undone {
    /// What was removed.
    pub(crate) receipt: Receipt,
    /// How many owners are mem0's again.
    pub(crate) given_back: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete in itself, so a panic elsewhere leaves no partial state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes those mem0's again whose memories were moved one after the other and were undone. How many these
/// are.
///
/// # Errors
/// Zep's, or the queue's.
pub async fn give_back(
    service: &MemoryService,
    sides: &dyn Sides,
    owners: &HashSet<Owner>,
) -> memory::Result<usize> {
    let mut given_back = 0;
    for owner in sides.in_zep().await? {
        if owners.contains(&owner) {
            service.unmark(&owner).await?;
            sides.forget(&owner).await?;
            given_back += 1;
        }
    }
    Ok(given_back)
}

impl Rollbacks {
    /// Begins one. `work` gets it as a watch, and the token that ends it.
    ///
    /// # Errors
    /// If it is under way already, others are, or the server ends.
    pub(super) fn begin<W>(
        &self,
        run: &str,
        work: impl FnOnce(Arc<Undoing>, CancellationToken) -> W + Send + 'static,
    ) -> Result<(), &'static str>
    where
        W: Future<Output = Result<Undone, Error>>,
    {
        let mut known = lock(&self.known);
        let under_way: Vec<_> = known.iter().filter(|it| !it.has_ended()).collect();
        if under_way.iter().any(|it| it.run == run) {
            return Err("this run is being rolled back already");
        }
        if under_way.len() >= MAX_AT_ONCE || self.ending.is_cancelled() {
            return Err("other runs are being rolled back; try again when they are done");
        }
        // The latest of a run counts.
        known.retain(|it| it.run != run);
        if known.len() >= MAX_KNOWN
            && let Some(oldest) = known.iter().position(|it| it.has_ended())
        {
            known.remove(oldest);
        }
        let undoing = Arc::new(Undoing {
            run: run.to_owned(),
            progress: Mutex::new(None),
            ended: Mutex::new(None),
        });
        known.push_back(Arc::clone(&undoing));
        // A panic in it would leave it under way forever.
        let ended = EndedByPanic(Arc::clone(&undoing));
        let stop = self.ending.child_token();
        let runtime = Handle::current();
        // On a thread of its own: the compiler cannot tell that its future may move between threads.
        self.tasks.spawn_blocking(move || {
            let work = work(Arc::clone(&undoing), stop);
            let done = runtime.block_on(work).map_err(|error| error.to_string());
            *lock(&undoing.ended) = Some(done);
            drop(ended);
        });
        Ok(())
    }

    /// All that are remembered, the newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Undoing>> {
        lock(&self.known).iter().rev().cloned().collect()
    }

    /// That of a run.
    pub(crate) fn find(&self, run: &str) -> Option<Arc<Undoing>> {
        lock(&self.known).iter().find(|it| it.run == run).cloned()
    }

    /// Whether a run is being undone.
    pub(crate) fn is_under_way(&self, run: &str) -> bool {
        self.find(run).is_some_and(|undoing| !undoing.has_ended())
    }

    /// Stops those under way, and waits for their requests in flight. The same rollback continues each.
    pub(super) async fn stop(&self) {
        self.ending.cancel();
        self.tasks.close();
        let stopped = tokio::time::timeout(STOPPING, self.tasks.wait()).await;
        if stopped.is_err() {
            tracing::warn!("a rollback did not stop in time; the same rollback continues it");
        }
    }
}

impl Undoing {
    fn has_ended(&self) -> bool {
        lock(&self.ended).is_some()
    }

    /// How it ended; `None` while it is under way.
    pub(crate) fn ended(&self) -> Option<Result<Undone, String>> {
        lock(&self.ended).clone()
    }

    /// How far it is; `None` once it has ended.
    pub(crate) fn progress(&self) -> Option<Progress> {
        lock(&self.progress).filter(|_| !self.has_ended())
    }

    /// Whether it is under way, or how it ended.
    pub(crate) fn state(&self) -> State {
        match &*lock(&self.ended) {
            None => State::Running,
            Some(Ok(undone)) if undone.receipt.cancelled => State::Stopped,
            Some(Ok(undone)) if undone.receipt.complete => State::Done,
            Some(_) => State::Failed,
        }
    }
}

impl Watch for Undoing {
    fn at(&self, progress: Progress) {
        *lock(&self.progress) = Some(progress);
    }
}

/// Ends a rollback whose task is dropped before it has.
struct EndedByPanic(Arc<Undoing>);

impl Drop for EndedByPanic {
    fn drop(&mut self) {
        let mut ended = lock(&self.0.ended);
        if ended.is_none() {
            *ended = Some(Err(
                "the server made a mistake; the same rollback continues it".to_owned(),
            ));
        }
    }
}
