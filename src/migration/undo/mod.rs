//! Undoing a run: what it wrote is removed, and nothing else. What stays is counted and named.
//!
//! Each stored part names its run, so a run that is only known from Zep can be undone, too. The ledger
//! notes records as sent before they are removed, and as undone after: killed in between, the same
//! command goes on, and a migration that comes first looks for them.

mod look;
mod receipt;
mod remove;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::ledger::{
    self, Ledger, LedgerError, LedgerRun, OwnerEntry, RecordState, RunEntry, RunState,
};
use super::lock;
use super::plan::blocking;
use super::progress::{Phase, Progress, Wait, Waiting, Watch};
use crate::memory::access::Caller;
use crate::memory::model::{Owner, UserId};
use crate::memory::{self, MemoryService};
use crate::zep;

pub use receipt::{KeptRecord, Receipt, UndoFailure};

/// How many owners are worked on at a time.
const OWNERS_AT_ONCE: usize = 4;
/// How many owners are read from the ledger at a time.
const PAGE: usize = 256;

/// What to undo of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollback {
    /// Only of this user.
    pub user: Option<UserId>,
    /// Remove nothing, and say what would be removed.
    pub dry_run: bool,
    /// Remove also what was changed after the run.
    pub include_changed: bool,
}

/// Why undoing stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Memory(#[from] memory::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A run that is being undone.
pub(super) struct Undo<'a> {
    pub(super) service: &'a MemoryService,
    pub(super) caller: &'a Caller,
    pub(super) options: &'a Rollback,
    pub(super) watch: &'a Arc<dyn Watch>,
    pub(super) cancelled: &'a CancellationToken,
    book: Arc<Ledger>,
    run: Arc<LedgerRun>,
    run_id: String,
    begun_at: Timestamp,
    /// Whether the run is known from Zep only: then it is not known what it made.
    is_rebuilt: bool,
    receipt: Mutex<Receipt>,
    done: AtomicU64,
    total: u64,
}

impl<'a> Undo<'a> {
    /// Takes up a run that is over.
    ///
    /// # Errors
    /// If it is under way, or the ledger cannot be used.
    pub(super) async fn new(
        context: (&'a MemoryService, &'a Caller),
        options: &'a Rollback,
        (watch, cancelled): (&'a Arc<dyn Watch>, &'a CancellationToken),
        book: Arc<Ledger>,
        entry: &RunEntry,
    ) -> Result<Self, LedgerError> {
        let (id, ledger) = (entry.id.clone(), book.clone());
        let (run, total) = blocking(move || -> ledger::Result<_> {
            let run = ledger.take_up(&id)?;
            let states = [RecordState::Confirmed, RecordState::Sent];
            let counts = states.map(|state| ledger.count(&id, state));
            let [confirmed, sent] = counts;
            Ok((run, confirmed? + sent?))
        })
        .await?;
        let user = options.user.as_ref().map(ToString::to_string);
        Ok(Self {
            service: context.0,
            caller: context.1,
            options,
            watch,
            cancelled,
            book,
            run: Arc::new(run),
            run_id: entry.id.clone(),
            begun_at: entry.begun_at,
            is_rebuilt: entry.source.is_empty(),
            receipt: Mutex::new(Receipt::new(
                &entry.id,
                &entry.target,
                user,
                options.dry_run,
            )),
            done: AtomicU64::new(0),
            total,
        })
    }

    /// Undoes the run as far as was asked for, and ends it in the ledger with the receipt.
    pub(super) async fn run(self, entry: &RunEntry) -> Result<Receipt, Stopped> {
        self.progress(0);
        let earlier = earlier(entry);
        let (book, id) = (self.book.clone(), self.run_id.clone());
        let gone = blocking(move || book.count(&id, RecordState::Undone)).await?;
        if gone > 0 && earlier.as_ref().is_none_or(|earlier| earlier.complete) {
            self.receipt().note(format!(
                "{gone} records of the run were removed before, by an attempt that was killed or by the \
                 rollback of a single user"
            ));
        }
        if !self.options.dry_run {
            self.ledger(LedgerRun::begin_undo).await?;
            self.await_late_writes(entry).await;
        }
        let undone = self.owners().await;
        let is_cancelled = self.cancelled.is_cancelled();
        if let Err(error) = undone
            && !is_cancelled
        {
            self.failed(None, &error);
        }
        let Self {
            run,
            receipt,
            options,
            ..
        } = self;
        let mut receipt = receipt
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        receipt.cancelled = is_cancelled;
        receipt.complete = !is_cancelled && receipt.failures.is_empty();
        if let Some(earlier) = earlier.filter(|earlier| !earlier.complete && !options.dry_run) {
            receipt.continues(&earlier);
        }
        if !options.dry_run {
            let state = match receipt.complete && options.user.is_none() {
                true => RunState::Undone,
                // The same command migrates again what was removed.
                false => RunState::Stopped,
            };
            let mut report = entry
                .report
                .clone()
                .unwrap_or_else(|| serde_json::json!({}));
            report["rollback"] = serde_json::to_value(&receipt).unwrap_or_default();
            // All steps are done: nobody else holds it.
            if let Some(run) = Arc::into_inner(run) {
                blocking(move || run.end(state, &report)).await?;
            }
        }
        Ok(receipt)
    }

    /// A killed run's last requests may still be carried out: they would come back.
    async fn await_late_writes(&self, entry: &RunEntry) {
        let was_killed = entry.ended_at.is_none() && !self.is_rebuilt;
        let Some(late) = self.service.late_limit().filter(|_| was_killed) else {
            return;
        };
        self.watch.waits(Waiting {
            reason: Wait::LateWrites,
            left: Some(late),
        });
        let waiting = tokio::time::sleep(late);
        self.cancelled.run_until_cancelled(waiting).await;
        self.watch.goes_on(Wait::LateWrites);
    }

    async fn owners(&self) -> Result<(), Stopped> {
        let pages = stream::try_unfold(None, async |after| {
            let (book, id) = (self.book.clone(), self.run_id.clone());
            let page = blocking(move || book.written_owners(&id, after, PAGE)).await?;
            let last = page.last().map(|owner| owner.n);
            Ok::<_, Stopped>(last.map(|last| (stream::iter(page).map(Ok), Some(last))))
        });
        pages
            .try_flatten()
            .try_for_each_concurrent(OWNERS_AT_ONCE, |owner| self.owner(owner))
            .await
    }

    async fn owner(&self, entry: OwnerEntry) -> Result<(), Stopped> {
        let is_meant = match (&entry.owner, &self.options.user) {
            (_, None) => true,
            (Owner::User(user), Some(only)) => user == only,
            (Owner::Graph(_), Some(_)) => false,
        };
        if !is_meant {
            return Ok(());
        }
        self.go_on()?;
        match self.remove_owner(&entry).await {
            Err(Stopped::Ledger(error)) => Err(error.into()),
            Err(error @ Stopped::Memory(_)) if self.cancelled.is_cancelled() => Err(error),
            Err(error) => {
                self.failed(Some(&entry.owner), &error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn failed(&self, owner: Option<&Owner>, error: &Stopped) {
        self.receipt().failed(UndoFailure {
            owner: owner.map_or_else(String::new, ToString::to_string),
            session: None,
            reason: error.to_string(),
        });
    }

    /// Does something with the run in the ledger.
    async fn ledger<T: Send + 'static>(
        &self,
        step: impl FnOnce(&LedgerRun) -> ledger::Result<T> + Send + 'static,
    ) -> ledger::Result<T> {
        let run = self.run.clone();
        blocking(move || step(&run)).await
    }

    fn receipt(&self) -> MutexGuard<'_, Receipt> {
        lock(&self.receipt)
    }

    fn go_on(&self) -> Result<(), Stopped> {
        match self.cancelled.is_cancelled() {
            true => Err(memory::Error::from(zep::Error::Cancelled).into()),
            false => Ok(()),
        }
    }

    /// Reports that this many more records are removed.
    fn progress(&self, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        self.watch.at(Progress {
            phase: Phase::Removing,
            done,
            total: Some(self.total.max(done)),
        });
    }
}

/// The receipt of an earlier attempt.
pub(super) fn earlier(entry: &RunEntry) -> Option<Receipt> {
    let receipt = entry.report.as_ref()?.get("rollback")?;
    serde_json::from_value(receipt.clone()).ok()
}
