//! The requests of a batch, each settled before the next is sent: what has an unknown outcome is looked at
//! first.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::memory::access::Caller;
use crate::memory::batch::{BatchItems, BatchName};
use crate::memory::{self, MemoryService};
use crate::migration::ledger::Settled;
use crate::migration::lock;
use crate::migration::progress::{Wait, Waiting, Watch};
use crate::migration::retry::with_retries;
use crate::zep::{self, Batch, BatchStatus, Outcome};

/// How long it is waited before a batch in process is looked at: doubled each time, at most to the second
/// one. Ours: Zep needs seconds to minutes, and each look is a request.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long a batch may stand still. Ours: a run that waits for ever tells nobody that something is wrong.
const STANDSTILL: Duration = Duration::from_secs(60 * 60);
/// How often the reason of a wait is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Sends the requests of batches.
pub(super) struct Requests<'a> {
    pub(super) service: &'a MemoryService,
    pub(super) caller: &'a Caller,
    pub(super) watch: &'a dyn Watch,
    pub(super) stop: &'a CancellationToken,
    pub(super) waits: &'a Waits,
}

/// What to do with a batch that is still a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draft {
    /// Start it again: the answer to the first time was none.
    Ours,
    /// Delete it.
    LeftBehind,
}

/// Who waits for batches.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// How many batches are waited for.
    count: AtomicUsize,
    /// Whether nothing else is done meanwhile, so that the wait is told.
    pub(super) idle: AtomicBool,
}

/// Whether it is not known if a call was carried out.
fn is_unknown(error: &memory::Error) -> bool {
    error
        .cause()
        .is_some_and(|cause| cause.outcome() == Outcome::Unknown)
}

impl Requests<'_> {
    /// Creates a draft. Answers its id, and whether there may be another one of its name.
    pub(super) async fn create(&self, name: &BatchName) -> memory::Result<(String, bool)> {
        let in_doubt = AtomicBool::new(false);
        let doubt = &in_doubt;
        let id = with_retries(self.stop, || async move {
            if doubt.load(Ordering::Relaxed) {
                let drafts = self.service.batch_drafts(self.caller).await?;
                if let Some((_, id)) = drafts.into_iter().find(|(of, _)| of == name) {
                    return Ok(id);
                }
            }
            let created = self.service.create_batch(self.caller, name).await;
            if created.as_ref().is_err_and(is_unknown) {
                doubt.store(true, Ordering::Relaxed);
            }
            created
        })
        .await?;
        Ok((id, in_doubt.into_inner()))
    }

    /// Appends items to a draft that has so many items before. Answers whether they were sent again, so
    /// that the first ones may still arrive.
    pub(super) async fn add(
        &self,
        batch: &str,
        items: &BatchItems,
        before: u64,
    ) -> memory::Result<bool> {
        let late: Mutex<Option<Instant>> = Mutex::default();
        let late = &late;
        with_retries(self.stop, || async move {
            let until = *lock(late);
            if let Some(until) = until {
                if self.has(batch, before, items).await? {
                    return Ok(false);
                }
                // It may still arrive, and must not arrive after it was sent again.
                self.await_late(until).await;
                if self.has(batch, before, items).await? {
                    return Ok(false);
                }
            }
            let added = self.service.add_to_batch(self.caller, batch, items).await;
            if added.as_ref().is_err_and(is_unknown) {
                let limit = self.service.late_limit().unwrap_or_default();
                *lock(late) = Some(Instant::now() + limit);
            }
            added.map(|()| until.is_some())
        })
        .await
    }

    /// Whether a draft has so many items.
    pub(super) async fn counts(&self, batch: &str, items: u64) -> memory::Result<bool> {
        let draft = with_retries(self.stop, || self.service.batch(self.caller, batch)).await?;
        Ok(draft.item_count == Some(items))
    }

    /// Whether a draft has these items, after so many others.
    async fn has(&self, batch: &str, before: u64, items: &BatchItems) -> memory::Result<bool> {
        let there = self.service.batch(self.caller, batch).await?.item_count;
        match there {
            Some(there) if there == before + items.len() as u64 => Ok(true),
            Some(there) if there == before => Ok(false),
            _ => Err(zep::Error::BadAnswer {
                message: "a draft does not have as many items as were added".into(),
            }
            .into()),
        }
    }

    async fn await_late(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        self.watch.waits(Waiting {
            reason: Wait::LateWrites,
            left: Some(left),
        });
        let waiting = tokio::time::sleep(left);
        self.stop.run_until_cancelled(waiting).await;
        self.watch.goes_on(Wait::LateWrites);
    }

    /// All drafts of this program.
    pub(super) async fn drafts(&self) -> memory::Result<Vec<(BatchName, String)>> {
        with_retries(self.stop, || self.service.batch_drafts(self.caller)).await
    }

    /// Deletes a draft. Answers whether it is gone; if not, it is being processed.
    pub(super) async fn delete(&self, batch: &str) -> memory::Result<bool> {
        with_retries(self.stop, || self.service.delete_draft(self.caller, batch)).await
    }

    /// Starts a draft.
    pub(super) async fn process(&self, batch: &str) -> memory::Result<()> {
        with_retries(self.stop, || self.service.process_batch(self.caller, batch)).await
    }

    /// Waits until a batch is processed, and deletes it if it is a draft that another process left.
    /// Answers what became of it, and why where that is not known.
    pub(super) async fn end(
        &self,
        batch: &str,
        draft: Draft,
    ) -> memory::Result<(Settled, Option<String>)> {
        self.waits.count.fetch_add(1, Ordering::Relaxed);
        let end = self.until_processed(batch, draft).await;
        if self.waits.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.watch.goes_on(Wait::Batch);
        }
        let unknown = |why: &str| Ok((Settled::Unknown, Some(why.to_owned())));
        let Some(end) = end? else {
            return unknown("somebody has deleted it");
        };
        if end.status == Some(BatchStatus::Draft) {
            return Ok((Settled::Deleted, None));
        }
        let Some(items) = end.item_count else {
            return unknown("Zep does not say how many items it has");
        };
        let missing =
            with_retries(self.stop, || self.service.not_stored(self.caller, &end)).await?;
        Ok((Settled::Processed { items, missing }, None))
    }

    /// `None` if it is not there any more, a draft if it was deleted here.
    async fn until_processed(&self, batch: &str, draft: Draft) -> memory::Result<Option<Batch>> {
        let mut pause = FIRST_PAUSE;
        let mut moved = (Instant::now(), None);
        loop {
            self.sleep(pause).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let looked = with_retries(self.stop, || self.service.batch(self.caller, batch)).await;
            let now = match looked {
                Err(error) if error.cause().is_some_and(zep::Error::is_not_found) => {
                    return Ok(None);
                }
                now => now?,
            };
            match now.status {
                Some(
                    BatchStatus::Succeeded
                    | BatchStatus::Partial
                    | BatchStatus::Failed
                    | BatchStatus::Invalid
                    | BatchStatus::Canceled,
                ) => return Ok(Some(now)),
                Some(BatchStatus::Draft) => match draft {
                    Draft::Ours => self.process(batch).await?,
                    Draft::LeftBehind if self.delete(batch).await? => return Ok(Some(now)),
                    Draft::LeftBehind => {}
                },
                _ => {}
            }
            if moved.1.as_ref() != Some(&now) {
                moved = (Instant::now(), Some(now));
            } else if moved.0.elapsed() > STANDSTILL {
                return Err(zep::Error::BadAnswer {
                    message: format!(
                        "Zep has not gone on with batch {batch} for {} minutes; run it again later",
                        STANDSTILL.as_secs() / 60
                    ),
                }
                .into());
            }
        }
    }

    async fn sleep(&self, pause: Duration) -> memory::Result<()> {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if self.waits.idle.load(Ordering::Relaxed) {
                self.watch.waits(Waiting {
                    reason: Wait::Batch,
                    left: None,
                });
            }
            let waiting = tokio::time::sleep(left.min(TELL_EVERY));
            if self.stop.run_until_cancelled(waiting).await.is_none() {
                return Err(zep::Error::Cancelled.into());
            }
        }
    }
}
