//! A row of `batch`, and the statuses of batches and their items.

use rusqlite::Row;
use uuid::Uuid as Raw;

use crate::local::sqlite::{Clock, Step, Work};
use crate::local::tables::{json_object, uuid};
use crate::local::timestamps;
use crate::zep::{Batch, BatchItemStatus, BatchProgress, BatchStatus, Metadata, Role};

/// The share of its delay that a batch is queued for, as a divisor.
const QUEUED_SHARE: i64 = 4;

/// Statuses by their numbers in the file.
pub(super) const BATCH: [BatchStatus; 8] = [
    BatchStatus::Draft,
    BatchStatus::Invalid,
    BatchStatus::Queued,
    BatchStatus::Processing,
    BatchStatus::Succeeded,
    BatchStatus::Partial,
    BatchStatus::Failed,
    BatchStatus::Canceled,
];
pub(super) const DRAFT: i64 = 0;
pub(super) const PROCESSING: i64 = 3;
pub(super) const ITEM: [BatchItemStatus; 7] = [
    BatchItemStatus::Pending,
    BatchItemStatus::Queued,
    BatchItemStatus::Processing,
    BatchItemStatus::Succeeded,
    BatchItemStatus::Failed,
    BatchItemStatus::Skipped,
    BatchItemStatus::Canceled,
];
/// An item that is not processed yet.
pub(super) const PENDING: i64 = 0;
pub(super) const SUCCEEDED: i64 = 3;
pub(super) const FAILED: i64 = 4;

/// The number of a status in the file.
pub(super) fn number<T: PartialEq>(statuses: &[T], status: &T) -> Option<i64> {
    let place = statuses.iter().position(|known| known == status)?;
    i64::try_from(place).ok()
}

/// The status of a number in the file.
pub(super) fn status_of<T: Copy>(statuses: &[T], number: i64) -> Option<T> {
    statuses.get(usize::try_from(number).ok()?).copied()
}

/// A batch.
pub(super) struct BatchRow {
    pub(super) id: i64,
    pub(super) uuid: Raw,
    pub(super) status: i64,
    metadata: Option<Metadata>,
    /// No facts are extracted from messages of these roles.
    pub(super) ignored: Vec<Role>,
    created_at: i64,
    pub(super) processed_at: Option<i64>,
    /// When the last item is due.
    pub(super) ends: Option<i64>,
    completed_at: Option<i64>,
}

/// The columns that [`BatchRow::read`] reads, in its order.
pub(super) const COLUMNS: &str =
    "id, uuid, status, metadata, ignore_roles, created_at, processed_at, ends, completed_at";

impl BatchRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            uuid: uuid(row, 1)?,
            status: row.get(2)?,
            metadata: json_object(row, 3)?,
            ignored: row
                .get::<_, Option<String>>(4)?
                .and_then(|roles| serde_json::from_str(&roles).ok())
                .unwrap_or_default(),
            created_at: row.get(5)?,
            processed_at: row.get(6)?,
            ends: row.get(7)?,
            completed_at: row.get(8)?,
        })
    }

    /// The batch, submitted at this time; its last item is due after the delay.
    pub(super) fn submitted(self, now: i64, delay: i64) -> Self {
        Self {
            processed_at: Some(now),
            ends: Some(now.saturating_add(delay)),
            ..self
        }
    }

    /// The start and the end of its processing.
    pub(super) fn processing_time(&self) -> Option<(i64, i64)> {
        let (started, ends) = self.processed_at.zip(self.ends)?;
        Some((started + (ends - started) / QUEUED_SHARE, ends))
    }

    pub(super) fn status(&self, clock: Clock) -> BatchStatus {
        match self.processing_time() {
            Some((from, _)) if clock.now < from => BatchStatus::Queued,
            _ => status_of(&BATCH, self.status).unwrap_or(BatchStatus::Unknown),
        }
    }

    /// The status of its pending items.
    pub(super) fn pending_as(&self, clock: Clock) -> BatchItemStatus {
        match self.status(clock) {
            BatchStatus::Queued => BatchItemStatus::Queued,
            BatchStatus::Processing => BatchItemStatus::Processing,
            _ => BatchItemStatus::Pending,
        }
    }

    pub(super) fn into_batch(self, w: &Work<'_>) -> Step<Batch> {
        let mut counts = [0_u64; ITEM.len()];
        let mut statement = w.tx.prepare_cached(
            "SELECT status, count(*) FROM batch_item WHERE batch = ?1 GROUP BY status",
        )?;
        for row in statement.query_map([self.id], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (status, count): (i64, i64) = row?;
            if let Some(place) = usize::try_from(status).ok().and_then(|s| counts.get_mut(s)) {
                *place = count.unsigned_abs();
            }
        }
        let [pending, _, _, succeeded, failed, skipped, canceled] = counts;
        let total = counts.iter().sum::<u64>();
        let status = self.status(w.clock);
        let in_status = |wanted| Some(if status == wanted { pending } else { 0 });
        let done = total - pending;
        // A batch that was never processed has no progress.
        let progress = self.processed_at.map(|_| BatchProgress {
            total_items: Some(total),
            queued_items: in_status(BatchStatus::Queued),
            processing_items: in_status(BatchStatus::Processing),
            succeeded_items: Some(succeeded),
            failed_items: Some(failed),
            skipped_items: Some(skipped),
            canceled_items: Some(canceled),
            percent_complete: Some(100.0 * done as f64 / total.max(1) as f64),
        });
        Ok(Batch {
            batch_id: Some(self.uuid.to_string()),
            status: Some(status),
            item_count: Some(total),
            metadata: self.metadata,
            progress,
            created_at: timestamps::from_micros(self.created_at),
            processed_at: self.processed_at.and_then(timestamps::from_micros),
            completed_at: self.completed_at.and_then(timestamps::from_micros),
        })
    }
}
