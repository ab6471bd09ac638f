//! Migrations that continue after their call was answered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{MoveError, shortened};
use crate::memory::access::{Caller, Right};
use crate::memory::model::{Owner, UserId};
use crate::migration::{Error, Outcome, Progress, Report, Watch};

/// How many may be under way at once. Ours: each holds a plan on disk and shares Zep's rate limit.
const MAX_AT_ONCE: usize = 8;
/// How many are remembered once they have ended. Ours.
const MAX_ENDED: usize = 100;
/// How long the end of the server waits for the requests in flight of those under way. Ours: hosts kill
/// a server that takes longer.
const STOPPING: Duration = Duration::from_secs(5);

/// The migrations of a server. Clones of the server share them.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    known: Mutex<VecDeque<Arc<Run>>>,
    tasks: TaskTracker,
    /// Cancelled when the server ends.
    ending: CancellationToken,
    counts: Mutex<MigrationCounts>,
}

/// How many migrations there were by tools, in the background or within their calls.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MigrationCounts {
    /// Under way in the background.
    pub(crate) running: u64,
    /// Everything is moved.
    pub(crate) done: u64,
    /// It failed, or something is not moved.
    pub(crate) failed: u64,
    /// It was stopped.
    pub(crate) stopped: u64,
}

/// A migration.
#[derive(Debug)]
pub(crate) struct Run {
    id: String,
    user: UserId,
    begun_at: Timestamp,
    /// Cancelled when the server ends, or when it is asked to stop.
    pub(crate) stop: CancellationToken,
    progress: Mutex<Option<Progress>>,
    /// Its id in the ledger, where an earlier process may have begun it.
    noted: OnceLock<String>,
    /// How it ended; `None` while it is under way.
    ended: Mutex<Option<Ended>>,
}

/// How a migration ended: with a report, or with the reason why there is none.
#[derive(Debug, Clone)]
struct Ended {
    state: State,
    outcome: Result<Report, String>,
}

/// How far a migration is.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// Its id.
    pub(crate) run: String,
    /// Whether it is under way, or how it ended.
    pub(crate) state: State,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<&'static str>,
    /// How many records of that are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<u64>,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// What it did, at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<Report>,
    /// Why there is no report: it failed, or was stopped, before anything was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// Whether a migration is under way, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MigrationState)]
pub(crate) enum State {
    /// It is under way.
    Running,
    /// It was stopped; the same call continues it.
    Stopped,
    /// Everything is moved.
    Done,
    /// Not everything is.
    Failed,
}

impl State {
    /// How a migration ended that was stopped by this token, if it was.
    fn of(outcome: &Result<Outcome, Error>, stop: &CancellationToken) -> Self {
        match outcome {
            Ok(outcome) if outcome.report.cancelled => Self::Stopped,
            Ok(outcome) if outcome.report.success => Self::Done,
            Err(_) if stop.is_cancelled() => Self::Stopped,
            _ => Self::Failed,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete in itself, so a panic elsewhere leaves no partial state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runs {
    /// Begins a migration of this user's memories. It gets its entry here as a watch and a token.
    ///
    /// # Errors
    /// If too many are under way, or the server ends.
    pub(crate) fn begin<W>(
        &self,
        user: UserId,
        work: impl FnOnce(Arc<Run>) -> W,
    ) -> Result<Arc<Run>, MoveError>
    where
        W: Future<Output = Result<Outcome, Error>> + Send + 'static,
    {
        let mut known = lock(&self.known);
        let under_way = known.iter().filter(|run| !run.has_ended()).count();
        if under_way >= MAX_AT_ONCE || self.ending.is_cancelled() {
            return Err(MoveError::Failed(
                "too_many_migrations",
                format!(
                    "{under_way} migrations are under way; call again when one of them has ended, or \
                     without `background`"
                ),
            ));
        }
        while known.len() >= MAX_AT_ONCE + MAX_ENDED {
            let Some(oldest) = known.iter().position(|run| run.has_ended()) else {
                break;
            };
            known.remove(oldest);
        }
        let run = Arc::new(Run {
            id: Uuid::now_v7().to_string(),
            user,
            begun_at: Timestamp::now(),
            stop: self.ending.child_token(),
            progress: Mutex::new(None),
            noted: OnceLock::new(),
            ended: Mutex::new(None),
        });
        known.push_back(run.clone());
        let (begun, work) = (run.clone(), work(run.clone()));
        // A panic in it would leave it under way forever.
        let ended = EndedByPanic(run.clone());
        self.tasks.spawn(async move {
            let outcome = work.await;
            run.end(outcome);
            drop(ended);
        });
        Ok(begun)
    }

    /// Counts a migration that has ended, and that this token stops.
    pub(crate) fn count(&self, outcome: &Result<Outcome, Error>, stop: &CancellationToken) {
        let mut counts = lock(&self.counts);
        match State::of(outcome, stop) {
            State::Stopped => counts.stopped += 1,
            State::Done => counts.done += 1,
            State::Failed | State::Running => counts.failed += 1,
        }
    }

    /// How many migrations there were.
    pub(crate) fn counts(&self) -> MigrationCounts {
        let known = lock(&self.known);
        let running = known.iter().filter(|run| !run.has_ended()).count() as u64;
        drop(known);
        MigrationCounts {
            running,
            ..*lock(&self.counts)
        }
    }

    /// All that are remembered, the newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Run>> {
        lock(&self.known).iter().rev().cloned().collect()
    }

    /// A migration that this caller may know of.
    pub(crate) fn find(&self, id: &str, caller: &Caller) -> Option<Arc<Run>> {
        let known = lock(&self.known);
        let run = known.iter().find(|run| run.id == id)?;
        let owner = Owner::User(run.user.clone());
        caller
            .may(Right::Migrate, &owner)
            .is_ok()
            .then(|| run.clone())
    }

    /// Stops those under way, and waits for their requests in flight. The same call continues each.
    pub(crate) async fn stop(&self) {
        self.ending.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOPPING, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("a migration did not stop in time; the same call continues it");
        }
    }
}

impl Run {
    /// When it began.
    pub(crate) fn begun_at(&self) -> Timestamp {
        self.begun_at
    }

    /// Its id in the ledger, once it is known.
    pub(crate) fn noted_as(&self) -> Option<&str> {
        self.noted.get().map(String::as_str)
    }

    fn has_ended(&self) -> bool {
        lock(&self.ended).is_some()
    }

    fn end(&self, outcome: Result<Outcome, Error>) {
        let state = State::of(&outcome, &self.stop);
        let outcome = match outcome {
            Ok(outcome) => Ok(shortened(outcome.report)),
            Err(error) => Err(error.to_string()),
        };
        *lock(&self.ended) = Some(Ended { state, outcome });
    }

    /// How far it is.
    pub(crate) fn status(&self) -> Status {
        let ended = lock(&self.ended).clone();
        let progress = lock(&self.progress).filter(|_| ended.is_none());
        let state = ended.as_ref().map_or(State::Running, |ended| ended.state);
        let (report, error) = match ended.map(|ended| ended.outcome) {
            Some(Ok(report)) => (Some(report), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        Status {
            run: self.id.clone(),
            state,
            phase: progress.map(|progress| progress.phase.as_str()),
            done: progress.map(|progress| progress.done),
            total: progress.and_then(|progress| progress.total),
            report,
            error,
        }
    }
}

impl Watch for Run {
    fn at(&self, progress: Progress) {
        let mut latest = lock(&self.progress);
        // Tasks report concurrently, so a smaller count may come later.
        let before = latest.filter(|before| before.phase == progress.phase);
        let done = before.map_or(progress.done, |before| before.done.max(progress.done));
        *latest = Some(Progress { done, ..progress });
    }

    fn noted(&self, run: &str) {
        // A run is begun once.
        let _ = self.noted.set(run.to_owned());
    }
}

/// Ends a run whose task is dropped before it has.
struct EndedByPanic(Arc<Run>);

impl Drop for EndedByPanic {
    fn drop(&mut self) {
        let mut ended = lock(&self.0.ended);
        if ended.is_none() {
            let why = "the server made a mistake; the same call continues it".to_owned();
            *ended = Some(Ended {
                state: State::Failed,
                outcome: Err(why),
            });
        }
    }
}
