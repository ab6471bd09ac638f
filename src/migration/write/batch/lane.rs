//! A draft that is filled with one place after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{BatchPlace, Batches, InBatch};
use crate::memory;
use crate::memory::batch::{BatchItems, BatchName};
use crate::memory::import::Imported;
use crate::memory::model::Place;
use crate::migration::Method;
use crate::migration::ledger::{BatchNo, Mark};
use crate::migration::lock;
use crate::migration::plan::{Order, Plan, PlannedRecord, State};
use crate::migration::write::error::Unfinished;
use crate::migration::write::{Run, Target};
use crate::zep::limits::{BATCH_ITEMS_PER_CALL, SAFE_BATCH_ITEMS};
use crate::zep::{self, Outcome};

/// How many records are read from the plan at a time.
const PAGE: usize = BATCH_ITEMS_PER_CALL;
/// A batch that is at least so full is started if the next session does not fit: a session in two batches
/// makes the second wait for the first. Ours.
const FULL_ENOUGH: u64 = SAFE_BATCH_ITEMS as u64 / 2;

/// How a batch ended: `true` if it is settled, and what follows in its sessions may be stored.
type Ended = watch::Receiver<Option<bool>>;

/// A draft that is filled.
struct Draft {
    no: BatchNo,
    id: String,
    /// How many items it has.
    items: u64,
    records: Vec<InBatch>,
    /// Records that Zep refused, to be sent directly.
    refused: Vec<InBatch>,
    /// Whether items were sent again.
    sent_again: bool,
    /// The former batch of the session that this one begins with.
    after: Option<Ended>,
    ended: watch::Sender<Option<bool>>,
    permit: OwnedSemaphorePermit,
}

/// A batch to start.
pub(in crate::migration::write) struct Full {
    pub(super) no: BatchNo,
    pub(super) id: String,
    pub(super) items: u64,
    pub(super) records: Vec<InBatch>,
    pub(super) refused: Vec<InBatch>,
    /// Whether items were sent again, so that they may be in it twice.
    pub(super) sent_again: bool,
    pub(super) after: Option<Ended>,
    pub(super) ended: watch::Sender<Option<bool>>,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// What is added with the next request.
#[derive(Default)]
struct Next {
    items: BatchItems,
    records: Vec<(InBatch, String)>,
}

impl Next {
    fn len(&self) -> u64 {
        self.items.len() as u64
    }

    /// Cuts off its second half.
    fn halve(&mut self) -> Self {
        let records = self.records.split_off(self.records.len() / 2);
        let first: u64 = self.records.iter().map(|(record, _)| record.items).sum();
        Self {
            items: self
                .items
                .split_off(usize::try_from(first).unwrap_or(usize::MAX)),
            records,
        }
    }
}

/// See [`Draft`].
#[derive(Default)]
pub(super) struct Lane {
    draft: Option<Draft>,
    next: Next,
    /// The last batch that was started.
    former: Option<Ended>,
}

impl Lane {
    /// Takes in all records of a place that are planned, in order.
    pub(super) async fn fill(
        &mut self,
        run: &Run<'_>,
        batches: &Batches,
        to: &Arc<BatchPlace>,
    ) -> Result<(), Unfinished> {
        let is_session = matches!(to.place.place, Place::Session(..));
        let used = self.draft.as_ref().map_or(0, |draft| draft.items) + self.next.len();
        let room = (SAFE_BATCH_ITEMS as u64).saturating_sub(used);
        if is_session && to.place.parts > room && used >= FULL_ENOUGH {
            self.submit(run, batches).await?;
        }
        // Whether earlier records of the session are in a batch, and in one that was started.
        let mut has_begun = false;
        let mut goes_on = false;
        let mut after = Order::START;
        loop {
            let next = move |plan: &Plan, place: &_| plan.planned_after(place, after, PAGE);
            let page = run.context.plan.step_at(&to.place, next).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.order;
            let is_last = page.len() < PAGE;
            for record in page {
                if run.stop.is_cancelled() {
                    return Err(memory::Error::from(zep::Error::Cancelled).into());
                }
                let Some(items) = prepare(run, to, &record)? else {
                    if has_begun {
                        self.submit(run, batches).await?;
                        self.settled().await?;
                    }
                    (has_begun, goes_on) = (false, false);
                    run.send(&to.target(), vec![record]).await?;
                    continue;
                };
                let used = self.draft.as_ref().map_or(0, |draft| draft.items) + self.next.len();
                if used + items.len() as u64 > SAFE_BATCH_ITEMS as u64 {
                    self.submit(run, batches).await?;
                    goes_on = has_begun;
                }
                if self.draft.is_none() && !self.open(run, batches, goes_on).await? {
                    // There is no Batch API.
                    self.settled().await?;
                    return run.write_records(&to.target()).await;
                }
                if self.next.items.len() + items.len() > BATCH_ITEMS_PER_CALL {
                    self.add(run, batches).await?;
                }
                self.push(to, &record, items);
                has_begun = is_session;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn push(&mut self, to: &Arc<BatchPlace>, record: &PlannedRecord, items: BatchItems) {
        let in_batch = InBatch {
            n: record.n,
            items: items.len() as u64,
            kind: record.record.kind.clone(),
            place: to.clone(),
        };
        let id = record.record.id.to_string();
        self.next.records.push((in_batch, id));
        self.next.items.push(items);
    }

    /// Waits until the last batch is settled.
    async fn settled(&mut self) -> Result<(), Unfinished> {
        if let Some(former) = &mut self.former
            && !is_settled(former).await
        {
            return Err(former_failed());
        }
        Ok(())
    }

    /// Creates a draft; `false` if there is no Batch API and it may be done without.
    async fn open(
        &mut self,
        run: &Run<'_>,
        batches: &Batches,
        goes_on: bool,
    ) -> Result<bool, Unfinished> {
        if batches.are_absent() {
            return Ok(false);
        }
        let permit = batches.room().await;
        let no = run.batch_no(batches).await?;
        let name = BatchName {
            run: batches.name.clone(),
            number: no.0,
        };
        let (id, in_doubt) = match run.requests(batches).create(&name).await {
            Err(error) if error.cause().is_some_and(zep::Error::is_not_found) => {
                if run.request.method == Method::Batch {
                    return Err(Unfinished::NoBatches);
                }
                if !batches.absent.swap(true, Ordering::Relaxed) {
                    run.report().least_requests -= batches.amounts.by_batch();
                    run.note("Zep has no Batch API here (404): written call by call".into());
                }
                return Ok(false);
            }
            created => created?,
        };
        if in_doubt {
            lock(&batches.strays).push((no, id.clone()));
        }
        let named = id.clone();
        run.book
            .with(move |run| run.batch_created(no, &named))
            .await?;
        self.draft = Some(Draft {
            no,
            id,
            items: 0,
            records: Vec::new(),
            refused: Vec::new(),
            sent_again: false,
            after: self.former.clone().filter(|_| goes_on),
            ended: watch::channel(None).0,
            permit,
        });
        Ok(true)
    }

    /// Adds what was taken in. What Zep refuses is found and left out; the rest goes on.
    async fn add(&mut self, run: &Run<'_>, batches: &Batches) -> Result<(), Unfinished> {
        let next = std::mem::take(&mut self.next);
        if next.items.is_empty() {
            return Ok(());
        }
        let Some(draft) = &mut self.draft else {
            return Ok(());
        };
        let added = draft.add(run, batches, next).await;
        if let Err(error) = &added {
            // What it holds is not known: the next run deletes it.
            self.draft = None;
            run.batch_failed(error);
        }
        added
    }

    /// Hands the draft over to be started.
    pub(super) async fn submit(
        &mut self,
        run: &Run<'_>,
        batches: &Batches,
    ) -> Result<(), Unfinished> {
        self.add(run, batches).await?;
        let Some(draft) = self.draft.take() else {
            return Ok(());
        };
        self.former = Some(draft.ended.subscribe());
        batches.submit(Full {
            no: draft.no,
            id: draft.id,
            items: draft.items,
            records: draft.records,
            refused: draft.refused,
            sent_again: draft.sent_again,
            after: draft.after,
            ended: draft.ended,
            _permit: draft.permit,
        });
        Ok(())
    }
}

impl Draft {
    async fn add(
        &mut self,
        run: &Run<'_>,
        batches: &Batches,
        next: Next,
    ) -> Result<(), Unfinished> {
        let mut to_add = vec![next];
        while let Some(mut next) = to_add.pop() {
            run.book.note(self.marks(&next)).await?;
            let requests = run.requests(batches);
            match requests.add(&self.id, &next.items, self.items).await {
                Ok(again) => {
                    self.sent_again |= again;
                    self.items += next.len();
                    let numbers: Vec<_> = next.records.iter().map(|(one, _)| one.n).collect();
                    run.progress(numbers.len() as u64);
                    let added = move |plan: &Plan| plan.set_states(&numbers, State::InBatch);
                    run.context.plan.step(added).await?;
                    self.records
                        .extend(next.records.into_iter().map(|(record, _)| record));
                }
                Err(error) if is_refused(&error) => {
                    let (batch, first) = (self.no, self.items);
                    run.book
                        .note(vec![Mark::NotBatched { batch, first }])
                        .await?;
                    if next.records.len() > 1 {
                        let second = next.halve();
                        to_add.push(second);
                        to_add.push(next);
                        continue;
                    }
                    let numbers: Vec<_> = next.records.iter().map(|(one, _)| one.n).collect();
                    let refused = move |plan: &Plan| plan.set_states(&numbers, State::InBatch);
                    run.context.plan.step(refused).await?;
                    let records = next.records.into_iter();
                    self.refused.extend(records.map(|(record, _)| record));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What the ledger is told before these are added: those of one place in one mark.
    fn marks(&self, next: &Next) -> Vec<Mark> {
        let mut marks: Vec<Mark> = Vec::new();
        let mut first = self.items;
        for (record, id) in &next.records {
            let Some(at) = record.place.at else { continue };
            match marks.last_mut() {
                Some(Mark::Batched { place, records, .. }) if *place == at => {
                    records.push((id.clone(), record.items));
                }
                _ => marks.push(Mark::Batched {
                    batch: self.no,
                    first,
                    place: at,
                    records: vec![(id.clone(), record.items)],
                }),
            }
            first += record.items;
        }
        marks
    }
}

impl BatchPlace {
    pub(super) fn target(&self) -> Target<'_> {
        Target {
            place: &self.place,
            at: self.at,
            turn: self.turn.as_ref(),
            seen: self.seen,
        }
    }
}

/// The items of a record; `None` if it must be written directly: it may be stored already, in part or
/// whole, or takes more than one request.
fn prepare(
    run: &Run<'_>,
    to: &BatchPlace,
    record: &PlannedRecord,
) -> Result<Option<BatchItems>, Unfinished> {
    let may_be_there = !record.stored.is_empty() || (record.sent && !to.seen);
    if may_be_there || record.parts > BATCH_ITEMS_PER_CALL {
        return Ok(None);
    }
    let imported = Imported {
        run: run.book.run_id().map(ToOwned::to_owned),
        ..record.record.clone()
    };
    let (service, caller) = (run.context.service, run.context.caller);
    match service.batch_items(caller, &to.place.place, to.thread.as_ref(), imported) {
        Ok(items) => Ok(items.filter(|items| !items.is_empty())),
        // Writing it directly says why.
        Err(memory::Error::Invalid { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether Zep refused the items themselves, so that others may be added.
fn is_refused(error: &memory::Error) -> bool {
    error.cause().is_some_and(|cause| {
        cause.outcome() == Outcome::Refused && !matches!(cause, zep::Error::Unauthorized { .. })
    })
}

/// Waits until a batch has ended; whether it is settled.
pub(super) async fn is_settled(batch: &mut Ended) -> bool {
    // One that is dropped is not settled.
    let ended = batch.wait_for(Option::is_some).await;
    ended.is_ok_and(|ended| *ended == Some(true))
}

pub(super) fn former_failed() -> Unfinished {
    Unfinished::Batch("the one before it is not settled, and the order must be kept".into())
}
