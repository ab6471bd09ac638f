//! Starting full drafts, and what becomes of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use tokio::sync::mpsc;

use super::lane::{Full, former_failed, is_settled};
use super::requests;
use super::{BatchPlace, Batches, InBatch};
use crate::migration::ledger::Settled;
use crate::migration::plan::{Plan, PlannedRecord, State};
use crate::migration::write::error::Unfinished;
use crate::migration::write::{Run, Target};
use crate::zep::limits::MESSAGES_PER_CALL;

impl Run<'_> {
    /// Starts and settles batches side by side, until no more are filled.
    pub(in crate::migration::write) async fn settle_batches(
        &self,
        batches: &Batches,
        full: mpsc::UnboundedReceiver<Full>,
    ) {
        futures::stream::unfold(full, |mut full| async move {
            let next = full.recv().await?;
            Some((next, full))
        })
        .for_each_concurrent(None, |full| self.settle_batch(batches, full))
        .await;
    }

    async fn settle_batch(&self, batches: &Batches, mut full: Full) {
        let settled = self.start_and_settle(batches, &mut full).await;
        let _ = full.ended.send(Some(settled.is_ok()));
        if let Err(error) = settled {
            self.batch_failed(&error);
            return;
        }
        let places = full.records.into_iter().chain(full.refused);
        for InBatch { place, .. } in places {
            // The last one that needs the owner gives it up.
            let Some(place) = Arc::into_inner(place) else {
                continue;
            };
            self.release_if_last(place.held).await;
        }
    }

    async fn start_and_settle(&self, batches: &Batches, full: &mut Full) -> Result<(), Unfinished> {
        if let Some(former) = &mut full.after
            && !is_settled(former).await
        {
            return Err(former_failed());
        }
        let requests = self.requests(batches);
        // What was sent again may have arrived twice: then none of it is stored this way.
        let is_spoilt = full.sent_again && !requests.counts(&full.id, full.items).await?;
        let settled = match full.items {
            _ if is_spoilt => match requests.delete(&full.id).await? {
                true => Settled::Deleted,
                false => Settled::Unknown,
            },
            0 => {
                requests.delete(&full.id).await?;
                Settled::Deleted
            }
            items => {
                requests.process(&full.id).await?;
                match requests.end(&full.id, requests::Draft::Ours).await? {
                    (Settled::Processed { items: stored, .. }, _) if stored != items => {
                        Settled::Unknown
                    }
                    (settled, _) => settled,
                }
            }
        };
        let (no, known) = (full.no, settled.clone());
        self.book
            .with(move |run| run.settle_batch(no, &known))
            .await?;
        if settled == Settled::Unknown {
            return Err(Unfinished::Batch(format!(
                "what is stored of {} is not known; the next run looks for each record of it",
                full.id
            )));
        }
        let mut stored = Vec::new();
        let mut direct: Vec<(&InBatch, bool)> = Vec::new();
        let mut first = 0;
        for record in &full.records {
            match settled.is_stored(first, record.items) {
                Some(true) => stored.push(record),
                known => direct.push((record, known.is_none())),
            }
            first += record.items;
        }
        self.count_stored(&stored).await?;
        direct.extend(full.refused.iter().map(|record| (record, false)));
        self.send_rest(direct).await
    }

    /// Counts what is stored by a batch.
    async fn count_stored(&self, records: &[&InBatch]) -> Result<(), Unfinished> {
        let numbers: Vec<_> = records.iter().map(|record| record.n).collect();
        let written = move |plan: &Plan| plan.set_states(&numbers, State::Written);
        self.context.plan.step(written).await?;
        let mut report = self.report();
        for record in records {
            let place = &record.place.place.place;
            report.written(place, record.items, record.kind.as_ref());
        }
        Ok(())
    }

    /// Sends directly what a batch did not store, in order. Of some it is not known whether a part of
    /// them is stored: they are looked up.
    async fn send_rest(&self, records: Vec<(&InBatch, bool)>) -> Result<(), Unfinished> {
        if records.is_empty() {
            return Ok(());
        }
        self.done.fetch_sub(records.len() as u64, Ordering::Relaxed);
        let numbers: Vec<_> = records.iter().map(|(record, _)| record.n).collect();
        let planned = move |plan: &Plan| plan.set_states(&numbers, State::Planned);
        self.context.plan.step(planned).await?;
        let mut loaded: Vec<(&Arc<BatchPlace>, PlannedRecord)> = Vec::with_capacity(records.len());
        for (record, may_be_there) in records {
            let n = record.n;
            let read = move |plan: &Plan, place: &_| plan.record(place, n);
            let mut planned = self.context.plan.step_at(&record.place.place, read).await?;
            planned.sent = may_be_there;
            loaded.push((&record.place, planned));
        }
        loaded.sort_by_key(|(place, record)| (place.place.n, record.order));
        let mut loaded = loaded.into_iter().peekable();
        while let Some((place, first)) = loaded.next() {
            let mut parts = first.parts;
            let mut group = vec![first];
            while let Some((_, next)) = loaded.next_if(|(other, next)| {
                let is_alike = !next.sent && !group[0].sent;
                Arc::ptr_eq(other, place) && is_alike && parts + next.parts <= MESSAGES_PER_CALL
            }) {
                parts += next.parts;
                group.push(next);
            }
            let target = Target {
                seen: !group[0].sent,
                ..place.target()
            };
            self.send(&target, group).await?;
        }
        Ok(())
    }
}
