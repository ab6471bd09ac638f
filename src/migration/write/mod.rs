//! Writing a plan: owners side by side, their places side by side, the records of each in order.

mod batch;
mod changed;
mod doubles;
mod error;
mod hold;
mod named;
mod owner;
mod place;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::batch::Batches;
use self::doubles::Doubts;
use self::error::Unfinished;
use self::hold::Held;
use super::book::{self, Book};
use super::context::Context;
use super::ledger::{LedgerError, Mark, PlaceNo, RecordState};
use super::plan::{self, Plan, PlannedOwner, PlannedPlace, PlannedRecord, SpoolError, State};
use super::progress::{Phase, Progress};
use super::report::{Report, Trouble};
use super::{Request, lock};
use crate::memory;
use crate::memory::import::{ImportTurn, UserSessions};
use crate::memory::model::SessionId;
use crate::zep;

/// How many owners, and how many places of all of them, are written at a time where the request does not
/// say. Ours: enough to hide the latency of Zep; its rate limits are the transport's business.
const AT_ONCE: usize = 8;

pub(super) use self::batch::settle_left_behind;

/// A run that writes.
pub(super) struct Run<'a> {
    context: Context<'a>,
    book: Book,
    request: &'a Request,
    /// Nothing more is begun once this is cancelled: by the caller, or by an error that repeats.
    stop: CancellationToken,
    report: Mutex<Report>,
    doubts: Mutex<Doubts>,
    /// Whether anything was to be done that the ledger did not know as done.
    worked: AtomicBool,
    /// How many owners and places are written at a time.
    at_once: usize,
    places: Semaphore,
    /// The batches, if it is written by batch.
    batches: Option<Batches>,
    done: AtomicU64,
}

/// An owner whose places can be written.
struct Ready {
    /// Whether the owner was there before.
    existed: bool,
    /// The owner's sessions, if it was.
    sessions: Option<UserSessions>,
    /// The owner, with the turn to write for it.
    held: Arc<Held>,
}

/// Where records are written.
struct Target<'a> {
    place: &'a PlannedPlace,
    /// Its number in the ledger.
    at: Option<PlaceNo>,
    turn: Option<&'a ImportTurn>,
    /// Whether it was looked at: otherwise what an earlier process sent is looked up.
    seen: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        context: Context<'a>,
        book: Book,
        request: &'a Request,
        cancelled: &CancellationToken,
        report: Report,
    ) -> Self {
        let at_once = request.concurrency.map_or(AT_ONCE, NonZeroUsize::get);
        Self {
            context,
            book,
            request,
            stop: cancelled.child_token(),
            report: Mutex::new(report),
            doubts: Mutex::default(),
            worked: AtomicBool::new(false),
            at_once,
            places: Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)),
            batches: None,
            done: AtomicU64::new(0),
        }
    }

    /// Writes everything, and deletes doubles that late writes left. Answers also whether anything was
    /// to be done.
    ///
    /// # Errors
    /// If the plan cannot be read. What the backend refuses is in the report.
    pub(super) async fn write(mut self) -> Result<(Report, bool), SpoolError> {
        self.progress(self.report().already_there);
        self.list_named().await?;
        let amounts = self.amounts().await?;
        let mut full = None;
        if Batches::are_wanted(&self, amounts) {
            self.report().least_requests += amounts.by_batch();
            let (batches, of_them) = Batches::of(&self, amounts);
            self.batches = Some(batches);
            full = Some(of_them);
        }
        match (&self.batches, full) {
            (Some(batches), Some(full)) => {
                let fill = async {
                    let filled = self.owners().await;
                    self.finish_filling(batches).await;
                    filled
                };
                let (filled, ()) = tokio::join!(fill, self.settle_batches(batches, full));
                filled?;
                self.delete_strays(batches).await;
            }
            _ => self.owners().await?,
        }
        doubles::delete_doubles(&self).await;
        let not_reached = self.context.plan.step(|plan| plan.not_reached()).await?;
        let mut report = self
            .report
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        report.not_reached = not_reached;
        Ok((report, self.worked.into_inner()))
    }

    async fn owners(&self) -> Result<(), SpoolError> {
        plan::owners(self.context.plan)
            .try_for_each_concurrent(self.at_once, |owner| self.owner(owner))
            .await
    }

    /// When what is sent now has arrived, however late it is; `None` if nothing is late.
    fn late_until(&self) -> Option<Timestamp> {
        self.late_after(Timestamp::now())
    }

    /// When what was sent at a time has arrived, however late it is; `None` if nothing is late.
    fn late_after(&self, sent: Timestamp) -> Option<Timestamp> {
        let late = self.context.service.late_limit()?;
        sent.checked_add(late).ok()
    }

    /// One owner, with all its places.
    async fn owner(&self, owner: PlannedOwner) -> Result<(), SpoolError> {
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let held = match self.hold(&owner).await {
            Ok(Some(held)) => Arc::new(held),
            Ok(None) => return Ok(()),
            Err(error) => {
                self.ledger_failed(&error);
                return Ok(());
            }
        };
        if self.is_settled(&owner, &held).await? {
            self.settled(&owner).await?;
        } else {
            self.worked.store(true, Ordering::Relaxed);
            match self.prepare_owner(&owner, &held).await {
                Ok(ready) => {
                    plan::places(self.context.plan, owner.n)
                        .try_for_each_concurrent(self.at_once, |place| {
                            let ready = &ready;
                            async move {
                                self.place(&place, ready).await;
                                Ok(())
                            }
                        })
                        .await?;
                }
                Err(error) => self.fail_owner(&owner, &error).await?,
            }
        }
        self.release_if_last(held).await;
        Ok(())
    }

    async fn place(&self, place: &PlannedPlace, ready: &Ready) {
        // The semaphore is never closed.
        let _permit = self.places.acquire().await;
        if self.stop.is_cancelled() {
            return;
        }
        let resent = self.resent();
        let outcome = self.write_place(place, ready).await;
        // The count is of all places at work: a place too many is read once more, which is harmless.
        if self.resent() != resent {
            self.sent_again(place);
        }
        if let Err(error) = outcome {
            self.fail_place(place, &error).await;
        }
    }

    async fn fail_place(&self, place: &PlannedPlace, error: &Unfinished) {
        if self.was_stopped(error) {
            return;
        }
        let given_up = self.context.plan.step_at(place, Plan::give_up).await;
        let failed = given_up.unwrap_or(0);
        let mut report = self.report();
        report.failed += failed;
        report.trouble(Trouble {
            owner: Some(place.place.owner().to_string()),
            session: place.place.session().map(SessionId::to_string),
            ..Trouble::of_run(format!("{error} ({failed} records are not migrated)"))
        });
        drop(report);
        self.stop_after(error);
    }

    /// Stops the run if it cannot go on.
    fn stop_after(&self, error: &Unfinished) {
        match error {
            Unfinished::Memory(error) => self.stop_if_hopeless(error),
            // What is not noted must not be sent.
            Unfinished::Ledger(_) | Unfinished::NoBatches => self.stop.cancel(),
            Unfinished::Spool(_)
            | Unfinished::Gone
            | Unfinished::Batch(_)
            | Unfinished::InUse { .. } => {}
        }
    }

    /// Reports that the ledger cannot be used, and stops: what is not noted must not be sent.
    fn ledger_failed(&self, error: &LedgerError) {
        self.report().trouble(Trouble::of_run(error.to_string()));
        self.stop.cancel();
    }

    /// Whether this is only the cancellation.
    fn was_stopped(&self, error: &Unfinished) -> bool {
        let is_cancelled = matches!(
            error,
            Unfinished::Memory(memory::Error::Zep(zep::Error::Cancelled))
        );
        self.stop.is_cancelled() && is_cancelled
    }

    /// Stops the run after an error that every place would meet.
    fn stop_if_hopeless(&self, error: &memory::Error) {
        let hopeless = matches!(
            error.cause(),
            Some(zep::Error::Unauthorized { .. } | zep::Error::Storage { .. })
        );
        if hopeless || self.request.strict {
            self.stop.cancel();
        }
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        lock(&self.report)
    }

    fn note(&self, note: String) {
        self.report().note(note);
    }

    /// Reports that this many more records are done.
    fn progress(&self, records: u64) {
        let done = self.done.fetch_add(records, Ordering::Relaxed) + records;
        self.context.watch.at(Progress {
            phase: Phase::Writing,
            done,
            total: Some(self.context.plan.counts.records),
        });
    }

    /// Notes that something is stored twice at a place.
    fn stored_twice(&self, place: &PlannedPlace) {
        if !self.request.dry_run {
            lock(&self.doubts).stored_twice(place);
        }
    }

    /// Notes that something was sent again to a place.
    fn sent_again(&self, place: &PlannedPlace) {
        let arrives = self.late_until();
        lock(&self.doubts).sent_again(place, arrives);
    }

    /// How many writes with an unknown outcome were sent again so far.
    fn resent(&self) -> u64 {
        self.context.service.stats().map_or(0, |stats| stats.resent)
    }

    /// Notes that records are stored by this run.
    async fn written(
        &self,
        place: &PlannedPlace,
        at: Option<PlaceNo>,
        records: &[PlannedRecord],
        late: Option<Timestamp>,
    ) -> Result<(), Unfinished> {
        if records.is_empty() {
            return Ok(());
        }
        if let Some(at) = at {
            let mut marks = vec![book::records(at, ids(records), RecordState::Confirmed)];
            marks.extend(late.map(|until| Mark::Late { place: at, until }));
            self.book.note(marks).await?;
        }
        let numbers: Vec<_> = records.iter().map(|record| record.n).collect();
        let written = move |plan: &Plan| plan.set_states(&numbers, State::Written);
        self.context.plan.step(written).await?;
        {
            let mut report = self.report();
            for record in records {
                let kind = record.record.kind.as_ref();
                report.written(&place.place, record.parts as u64, kind);
            }
        }
        self.progress(records.len() as u64);
        Ok(())
    }
}

/// The ids of records.
fn ids(records: &[PlannedRecord]) -> Vec<String> {
    let ids = records.iter().map(|record| record.record.id.to_string());
    ids.collect()
}
