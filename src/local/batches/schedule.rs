//! When the items of a submitted batch are due: the batch is queued for a part of its delay, and
//! its items follow evenly over the rest.

use super::row::{BatchRow, PENDING, SUCCEEDED};
use crate::local::sqlite::Work;

/// How many items a batch has, in which states.
pub(super) struct Counts {
    pub(super) all: i64,
    pub(super) pending: i64,
    pub(super) stored: i64,
}

impl Counts {
    pub(super) fn read(w: &Work<'_>, batch: i64) -> rusqlite::Result<Self> {
        w.tx.prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE status = ?2),
             count(*) FILTER (WHERE status = ?3) FROM batch_item WHERE batch = ?1",
        )?
        .query_row((batch, PENDING, SUCCEEDED), |row| {
            Ok(Self {
                all: row.get(0)?,
                pending: row.get(1)?,
                stored: row.get(2)?,
            })
        })
    }

    /// The counts after these items were processed.
    pub(super) fn after<E>(&self, outcomes: &[(i64, Result<(), E>)]) -> Self {
        let stored = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
        Self {
            all: self.all,
            pending: self.pending - outcomes.len() as i64,
            stored: self.stored + stored.count() as i64,
        }
    }
}

/// How many of a batch's pending items are due now.
pub(super) fn due_items(batch: &BatchRow, counts: &Counts, now: i64) -> u64 {
    let due = match batch.processing_time() {
        Some((from, until)) if now < until => {
            let passed = i128::from((now - from).max(0));
            let share = i128::from(counts.all) * passed / i128::from(until - from);
            i64::try_from(share).unwrap_or(counts.all)
        }
        _ => counts.all,
    };
    let done = counts.all - counts.pending;
    u64::try_from(due - done).unwrap_or(0)
}

/// When a batch's next pending item is due.
pub(super) fn next_due(batch: &BatchRow, counts: &Counts) -> Option<i64> {
    let (from, until) = batch.processing_time()?;
    let next = i128::from(counts.all - counts.pending + 1);
    // Rounded up: rounded down, the item would not be due yet at this time.
    let all = i128::from(counts.all.max(1));
    let wait = (i128::from(until - from) * next + all - 1) / all;
    Some(
        from + i64::try_from(wait)
            .unwrap_or(until - from)
            .min(until - from),
    )
}
