//! What makes a write store each record once: turns between the calls of this process, and a look at
//! what is stored already.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::job::{Known, WriteJob};
use crate::memory::{
    Error, Result,
    model::Owner,
    record::assemble::StoredPart,
    record::draft::{Draft, Stored},
};
use crate::zep::{self, Graphs, RecordMark, SentAgain, SentTo, ThreadId, Threads};

impl WriteJob {
    /// Waits until no other call of this process holds these locks, taken in this order: at most as
    /// long as a call to Zep may take, and only while the caller waits.
    pub(super) async fn take_turns(
        &self,
        locks: Vec<Arc<tokio::sync::Mutex<()>>>,
        abandoned: &CancellationToken,
    ) -> zep::Result<Vec<OwnedMutexGuard<()>>> {
        let turns = self.service.inner.in_time(async {
            let mut turns = Vec::with_capacity(locks.len());
            for lock in locks {
                turns.push(lock.lock_owned().await);
            }
            turns
        });
        only_while_awaited(turns, abandoned).await
    }

    /// The locks of these records in the owner's graph: two calls with one record id would each find
    /// nothing stored. Sorted, so that calls with several records in common do not block each other.
    pub(super) fn record_locks(&self) -> Vec<Arc<tokio::sync::Mutex<()>>> {
        let keys: BTreeSet<_> = self.records.iter().map(|record| record.id()).collect();
        let owner = self.place.owner();
        keys.into_iter()
            .map(|record| (owner.clone(), record.to_owned()))
            .map(|key| self.service.inner.records.of(&key))
            .collect()
    }

    /// What is known once it is this write's turn: what an importer looked up may be outdated where
    /// other calls of this process wrote the same records.
    pub(super) fn known_now(&self, known: Known) -> Known {
        let keyed = &self.service.inner.keyed;
        match known {
            Known::Stored(_)
                if self
                    .records
                    .iter()
                    .any(|one| keyed.contains(&self.keyed(one))) =>
            {
                Known::LookFirst
            }
            known => known,
        }
    }

    /// Tells that these records count as stored, also if they were deleted before.
    pub(super) async fn tell_stored(&self, to: SentTo) {
        let records = self.records.iter().map(|record| record.id().to_owned());
        self.service.tell_deleted(to, records, false).await;
    }

    /// Notes that what an earlier attempt sent, and is not stored, may arrive twice.
    pub(super) async fn note_sent_again(&self, to: SentTo, stored: &Stored) {
        let Some(resends) = self.service.zep().resends().filter(|_| self.sent_before) else {
            return;
        };
        for record in &self.records {
            if !stored.is_whole(record.id()) {
                let (to, record, deleted) = (to.clone(), record.id().to_owned(), false);
                resends
                    .note(SentAgain {
                        to,
                        record,
                        deleted,
                    })
                    .await;
            }
        }
    }

    pub(super) fn keyed(&self, record: &Draft) -> (Owner, String) {
        (self.place.owner(), record.id().to_owned())
    }

    /// What is stored after the backend refused to store a record a second time: another process was
    /// faster, and its records are the answer. An error if nothing new was found.
    pub(super) fn overtaken(
        &self,
        before: Stored,
        found: Stored,
        refusal: zep::Error,
    ) -> Result<Stored> {
        if found.part_count() > before.part_count() {
            return Ok(found);
        }
        Err(self.stopped(&before, refusal))
    }

    pub(super) async fn look_in_thread(
        &self,
        zep: &dyn Threads,
        thread: &ThreadId,
    ) -> Result<Stored> {
        let wanted: HashSet<String> = self
            .records
            .iter()
            .map(|record| record.id().to_owned())
            .collect();
        let found = match zep.find_messages(thread, &wanted).await {
            // A thread deleted since it was resolved holds nothing; writing creates it again.
            Err(error) if error.is_not_found() => Vec::new(),
            found => found?,
        };
        self.noted(found.into_iter().map(StoredPart::from).collect())
    }

    /// Notes what is stored, and checks that it is what this call stores.
    fn noted(&self, parts: Vec<StoredPart>) -> Result<Stored> {
        let mut stored = Stored::default();
        for part in &parts {
            if let Some(mark) = RecordMark::decode(&part.metadata) {
                stored.note(part.uuid.clone(), &mark);
            }
        }
        let other = self
            .records
            .iter()
            .any(|record| !record.is_stored_as(&parts));
        if other {
            return Err(Error::invalid(
                "idempotency_key",
                "was used before, for another memory; nothing was stored. A key belongs to one \
                 call: take a new one",
            ));
        }
        Ok(stored)
    }

    pub(super) async fn look_in_graph(&self, zep: &dyn Graphs, owner: &Owner) -> Result<Stored> {
        let mut parts = Vec::new();
        for record in &self.records {
            match zep.find_episodes(owner, record.id()).await {
                Ok(found) => parts.extend(found.into_iter().map(StoredPart::from)),
                // An unknown owner has nothing stored.
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.noted(parts)
    }
}

/// Waits for a turn while the caller waits.
pub(super) async fn only_while_awaited<T>(
    turn: impl Future<Output = zep::Result<T>>,
    abandoned: &CancellationToken,
) -> zep::Result<T> {
    tokio::select! {
        turn = turn => turn,
        () = abandoned.cancelled() => Err(zep::Error::Cancelled),
    }
}
