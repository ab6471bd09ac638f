//! Writing by Zep's Batch API: the records of many places together, 350 in a request.
//!
//! - `lane`: a draft that is filled with one place after the other, each in order. Several lanes are
//!   filled side by side, if there is more than one batch to fill.
//! - `settle`: full drafts are started and awaited, side by side; what Zep did not store is sent directly.
//!   A session that goes on in the next batch of its lane holds that up until the former one is settled.
//! - `requests`: each request once, whatever becomes of its answer.
//! - `recover`: what a killed run left behind.
//!
//! The ledger knows which records are in which batch from before they are added until it is settled. In
//! memory are the records of the batches under way, without their content.

mod lane;
mod recover;
mod requests;
mod settle;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;

use self::lane::{Full, Lane};
pub(in crate::migration) use self::recover::settle_left_behind;
use self::requests::{Requests, Waits};
use super::Run;
use super::error::Unfinished;
use super::hold::Held;
use crate::memory::batch::BatchName;
use crate::memory::import::ImportTurn;
use crate::memory::model::MemoryKind;
use crate::migration::ledger::{BatchNo, PlaceNo};
use crate::migration::plan::{Amounts, PlannedPlace, SpoolError};
use crate::migration::report::Trouble;
use crate::migration::{Method, lock};
use crate::zep::ThreadId;

/// What is written directly although it takes more requests: it is there at once, and not when Zep has
/// processed it. Ours.
const FEW: u64 = 300;
/// How many batches may be full and not settled, so that memory stays flat. Ours: those of an hour, as
/// long as Zep takes some minutes for each.
const UNDER_WAY: usize = 16;

/// The batches of a run.
pub(super) struct Batches {
    /// The run's name in the metadata of its batches.
    name: String,
    amounts: Amounts,
    /// The number of the next batch, where there is no ledger.
    next: AtomicI64,
    idle: Mutex<Vec<Lane>>,
    lanes: Arc<Semaphore>,
    under_way: Arc<Semaphore>,
    full: Mutex<Option<mpsc::UnboundedSender<Full>>>,
    waits: Waits,
    /// Zep has no Batch API.
    absent: AtomicBool,
    /// The batches whose creation was not answered at first: there may be another draft of the name.
    strays: Mutex<Vec<(BatchNo, String)>>,
}

/// Where records of a batch belong.
pub(super) struct BatchPlace {
    pub(super) place: PlannedPlace,
    /// Its number in the ledger.
    pub(super) at: Option<PlaceNo>,
    pub(super) turn: Option<ImportTurn>,
    /// The session's thread; none for a graph.
    pub(super) thread: Option<ThreadId>,
    /// Whether it was looked at.
    pub(super) seen: bool,
    /// The owner, until all of its batches are settled.
    pub(super) held: Arc<Held>,
}

/// A record in a batch.
struct InBatch {
    /// Its number in the plan.
    n: i64,
    items: u64,
    kind: Option<MemoryKind>,
    place: Arc<BatchPlace>,
}

impl Batches {
    /// Whether these amounts are written by batch.
    pub(super) fn are_wanted(run: &Run<'_>, amounts: Amounts) -> bool {
        let fewer = amounts.items > FEW && amounts.by_batch() < amounts.direct;
        match run.request.method {
            Method::Direct => false,
            Method::Batch => amounts.items > 0,
            // Where nothing is sent anywhere, requests cost nothing.
            Method::Auto => fewer && run.context.service.stats().is_some(),
        }
    }

    /// The batches of a run, and those of them that are full.
    pub(super) fn of(run: &Run<'_>, amounts: Amounts) -> (Self, mpsc::UnboundedReceiver<Full>) {
        let (send, receive) = mpsc::unbounded_channel();
        let most = u64::try_from(run.at_once).unwrap_or(u64::MAX);
        let lanes = usize::try_from(amounts.batches().clamp(1, most)).unwrap_or(1);
        let name = run.book.run_id().map(ToOwned::to_owned);
        let batches = Self {
            name: name.unwrap_or_else(|| Uuid::now_v7().to_string()),
            amounts,
            next: AtomicI64::new(1),
            idle: Mutex::default(),
            lanes: Arc::new(Semaphore::new(lanes)),
            under_way: Arc::new(Semaphore::new(lanes + UNDER_WAY)),
            full: Mutex::new(Some(send)),
            waits: Waits::default(),
            absent: AtomicBool::new(false),
            strays: Mutex::default(),
        };
        (batches, receive)
    }

    /// Whether Zep has no Batch API, so that all is written directly.
    pub(super) fn are_absent(&self) -> bool {
        self.absent.load(Ordering::Relaxed)
    }

    /// A lane of one's own.
    async fn lane(&self) -> (Lane, OwnedSemaphorePermit) {
        let Ok(permit) = self.lanes.clone().acquire_owned().await else {
            // It is never closed.
            return std::future::pending().await;
        };
        // The last one given back: fewer batches stay half full.
        let lane = lock(&self.idle).pop().unwrap_or_default();
        (lane, permit)
    }

    /// Room for one more batch under way.
    async fn room(&self) -> OwnedSemaphorePermit {
        let room = self.under_way.clone();
        if let Ok(permit) = room.clone().try_acquire_owned() {
            return permit;
        }
        self.waits.idle.store(true, Ordering::Relaxed);
        let permit = room.acquire_owned().await;
        self.waits.idle.store(false, Ordering::Relaxed);
        match permit {
            Ok(permit) => permit,
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    fn submit(&self, full: Full) {
        if let Some(send) = lock(&self.full).as_ref() {
            // Its receiver lives as long as the run.
            let _ = send.send(full);
        }
    }
}

impl Run<'_> {
    fn requests<'r>(&'r self, batches: &'r Batches) -> Requests<'r> {
        Requests {
            service: self.context.service,
            caller: self.context.caller,
            watch: self.context.watch.as_ref(),
            stop: &self.stop,
            waits: &batches.waits,
        }
    }

    /// The number of a new batch.
    async fn batch_no(&self, batches: &Batches) -> Result<BatchNo, Unfinished> {
        let known = self.book.with(|run| run.new_batch()).await?;
        Ok(known.unwrap_or_else(|| BatchNo(batches.next.fetch_add(1, Ordering::Relaxed))))
    }

    /// Writes a place by batch. It is settled later.
    pub(super) async fn fill(
        &self,
        batches: &Batches,
        place: BatchPlace,
    ) -> Result<(), Unfinished> {
        let (mut lane, permit) = batches.lane().await;
        let filled = lane.fill(self, batches, &Arc::new(place)).await;
        lock(&batches.idle).push(lane);
        drop(permit);
        filled
    }

    /// Starts what is not full, since nothing follows any more.
    pub(super) async fn finish_filling(&self, batches: &Batches) {
        let lanes = std::mem::take(&mut *lock(&batches.idle));
        for mut lane in lanes {
            if let Err(error) = lane.submit(self, batches).await {
                self.batch_failed(&error);
            }
        }
        batches.waits.idle.store(true, Ordering::Relaxed);
        *lock(&batches.full) = None;
    }

    /// Reports a batch that is left for the next run.
    fn batch_failed(&self, error: &Unfinished) {
        if self.stop.is_cancelled() {
            return;
        }
        self.report().trouble(Trouble::of_run(format!(
            "{error}; what is in it counts as not reached: run it again, and it is settled first"
        )));
        self.stop_after(error);
    }

    /// Deletes drafts that a creation without an answer may have left.
    pub(super) async fn delete_strays(&self, batches: &Batches) {
        let strays = std::mem::take(&mut *lock(&batches.strays));
        if strays.is_empty() || self.stop.is_cancelled() {
            return;
        }
        let requests = self.requests(batches);
        let swept: crate::memory::Result<()> = async {
            for (BatchName { run, number }, id) in requests.drafts().await? {
                let is_stray = |(of, used): &(BatchNo, String)| of.0 == number && *used != id;
                if run == batches.name && strays.iter().any(is_stray) {
                    requests.delete(&id).await?;
                }
            }
            Ok(())
        }
        .await;
        if let Err(error) = swept {
            // It is empty, and the next run deletes it.
            tracing::info!(code = error.code(), "an empty draft may be left in Zep");
        }
    }

    /// How much is left to write, and the batches to write it by.
    pub(super) async fn amounts(&self) -> Result<Amounts, SpoolError> {
        self.context.plan.step(|plan| plan.amounts()).await
    }
}
