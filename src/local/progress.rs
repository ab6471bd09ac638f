//! Carrying out batches: each waits for a part of its processing delay, and its items follow one by
//! one over the rest. What is due is carried out in parts that each are one transaction, so that a
//! batch that was broken off (or whose process died) is finished by the next call.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::batches::{BATCH, BatchRow, COLUMNS, FAILED, PENDING, SUCCEEDED, number};
use super::behavior::Behavior;
use super::draft;
use super::store::{Step, Work};
use super::time::Clock;
use crate::zep::BatchStatus;

/// How many items one transaction carries out: so many that it is quick, so few that other
/// processes are not kept waiting.
const PART: u64 = 500;

/// How far the items of a batch are.
pub(super) struct Counts {
    pub all: i64,
    open: i64,
    stored: i64,
}

impl Counts {
    fn after<E>(&self, outcomes: &[(i64, Result<(), E>)]) -> Self {
        let stored = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
        Self {
            all: self.all,
            open: self.open - outcomes.len() as i64,
            stored: self.stored + stored.count() as i64,
        }
    }

    pub fn read(w: &Work<'_>, batch: i64) -> rusqlite::Result<Self> {
        w.tx.prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE status = ?2),
             count(*) FILTER (WHERE status = ?3) FROM batch_item WHERE batch = ?1",
        )?
        .query_row((batch, PENDING, SUCCEEDED), |row| {
            Ok(Self {
                all: row.get(0)?,
                open: row.get(1)?,
                stored: row.get(2)?,
            })
        })
    }
}

/// How many of a batch's open items are due by now.
fn due_items(batch: &BatchRow, counts: &Counts, now: i64) -> u64 {
    let due = match batch.work() {
        Some((from, until)) if now < until => {
            let passed = i128::from((now - from).max(0));
            let share = i128::from(counts.all) * passed / i128::from(until - from);
            i64::try_from(share).unwrap_or(counts.all)
        }
        _ => counts.all,
    };
    let done = counts.all - counts.open;
    u64::try_from(due - done).unwrap_or(0)
}

/// When a batch's next open item is due.
pub(super) fn next_due(batch: &BatchRow, counts: &Counts) -> Option<i64> {
    let (from, until) = batch.work()?;
    let next = i128::from(counts.all - counts.open + 1);
    // Rounded up, so that the item is due when its time has come.
    let all = i128::from(counts.all.max(1));
    let wait = (i128::from(until - from) * next + all - 1) / all;
    Some(
        from + i64::try_from(wait)
            .unwrap_or(until - from)
            .min(until - from),
    )
}

/// Carries out the batches whose time has come. Failing (a full disk) keeps nobody from reading:
/// the next call tries again.
pub(super) fn settle_due(connection: &mut Connection, behavior: Behavior) {
    loop {
        match settle_part(connection, behavior) {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                tracing::warn!("a batch could not be carried on; the next call tries again");
                return;
            }
        }
    }
}

/// Carries out a part of a batch. Whether there was one.
fn settle_part(connection: &mut Connection, behavior: Behavior) -> Step<bool> {
    let due = |connection: &Connection, now: i64| -> rusqlite::Result<Option<BatchRow>> {
        connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM batch WHERE due <= ?1 ORDER BY due, id LIMIT 1"
            ))?
            .query_row([now], BatchRow::read)
            .optional()
    };
    if due(connection, Clock::read(&behavior).now)?.is_none() {
        return Ok(false);
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let clock = Clock::read(&behavior);
    // Another process may have been quicker.
    let Some(batch) = due(&tx, clock.now)? else {
        return Ok(false);
    };
    let w = Work {
        tx: &tx,
        behavior,
        clock,
    };
    let before = Counts::read(&w, batch.id)?;
    let part = due_items(&batch, &before, clock.now).min(PART);
    let outcomes = draft::carry_out(&w, batch.id, &batch.ignored, part)?;
    for (seq, outcome) in &outcomes {
        let status = if outcome.is_ok() { SUCCEEDED } else { FAILED };
        w.tx.prepare_cached(
            "UPDATE batch_item SET status = ?3, payload = NULL, error = ?4
             WHERE batch = ?1 AND seq = ?2",
        )?
        .execute((batch.id, seq, status, outcome.as_ref().err()))?;
    }
    let after = before.after(&outcomes);
    if after.open == 0 {
        finish(&w, batch.id, &after)?;
    } else {
        w.tx.prepare_cached("UPDATE batch SET due = ?2 WHERE id = ?1")?
            .execute((batch.id, next_due(&batch, &after)))?;
    }
    tx.commit()?;
    Ok(true)
}

fn finish(w: &Work<'_>, batch: i64, counts: &Counts) -> Step<()> {
    let status = match counts.stored {
        stored if stored == counts.all => BatchStatus::Succeeded,
        0 => BatchStatus::Failed,
        _ => BatchStatus::Partial,
    };
    w.tx.execute(
        "UPDATE batch SET status = ?2, due = NULL, completed_at = ?3 WHERE id = ?1",
        (batch, number(&BATCH, &status), w.clock.now),
    )?;
    Ok(())
}
