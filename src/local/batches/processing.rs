//! Processing batches: the items that are due are stored in parts, each in one transaction, so that
//! the next call finishes a batch whose process died.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use uuid::Uuid as Raw;

use super::payload::Payload;
use super::row::{BATCH, BatchRow, COLUMNS, FAILED, PENDING, SUCCEEDED, number};
use super::schedule::{Counts, due_items, next_due};
use crate::local::behavior::Behavior;
use crate::local::sqlite::{Clock, Step, Work};
use crate::local::tables::episodes::{self, Incoming};
use crate::local::tables::{entities, index, owners, uuid};
use crate::zep::{BatchStatus, NewEpisode, Role};

/// How many items one transaction stores: few enough that other processes do not wait long.
const PART: u64 = 500;

/// Stores all items that are due. A failure (a full disk) must not keep anybody from reading: the
/// next call tries again.
pub(crate) fn settle_due(connection: &mut Connection, behavior: Behavior) {
    loop {
        match settle_part(connection, behavior) {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                tracing::warn!("a batch could not be processed; the next call tries again");
                return;
            }
        }
    }
}

/// Stores a part of a batch. Returns whether anything was due.
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
    // Another process may have stored it in the meantime.
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
    let outcomes = store_next(&w, batch.id, &batch.ignored, part)?;
    for (seq, outcome) in &outcomes {
        let status = if outcome.is_ok() { SUCCEEDED } else { FAILED };
        w.tx.prepare_cached(
            "UPDATE batch_item SET status = ?3, payload = NULL, error = ?4
             WHERE batch = ?1 AND seq = ?2",
        )?
        .execute((batch.id, seq, status, outcome.as_ref().err()))?;
    }
    let after = before.after(&outcomes);
    if after.pending == 0 {
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

/// A pending item.
struct Pending {
    seq: i64,
    uuid: Raw,
    owner: i64,
    thread: Option<i64>,
    payload: Option<String>,
}

/// Why an item was not stored, without its content.
type Outcome = Result<(), &'static str>;

/// Stores the next items of a batch in order. Returns the place and outcome of each.
fn store_next(w: &Work<'_>, batch: i64, ignored: &[Role], items: u64) -> Step<Vec<(i64, Outcome)>> {
    let pending: Vec<Pending> =
        w.tx.prepare_cached(
            "SELECT seq, uuid, owner, thread, payload FROM batch_item
             WHERE batch = ?1 AND status = ?3 ORDER BY seq LIMIT ?2",
        )?
        .query_map(
            (batch, i64::try_from(items).unwrap_or(i64::MAX), PENDING),
            |row| {
                Ok(Pending {
                    seq: row.get(0)?,
                    uuid: uuid(row, 1)?,
                    owner: row.get(2)?,
                    thread: row.get(3)?,
                    payload: row.get(4)?,
                })
            },
        )?
        .collect::<rusqlite::Result<_>>()?;
    pending
        .into_iter()
        .map(|item| {
            let every = i64::from(w.behavior.failing_items);
            let outcome = match every > 0 && (item.seq + 1) % every == 0 {
                true => Err("the item was made to fail"),
                false => store(w, &item, ignored)?,
            };
            Ok((item.seq, outcome))
        })
        .collect()
}

fn store(w: &Work<'_>, item: &Pending, ignored: &[Role]) -> Step<Outcome> {
    // The batch has already waited for the processing delay: its items arrive processed.
    let arrived = w.clock.now.min(w.clock.processed_until);
    let payload = item.payload.as_deref().map(serde_json::from_str::<Payload>);
    let Some(Ok(payload)) = payload else {
        return Ok(Err("the item can no longer be read"));
    };
    match payload {
        Payload::Stored => return accept(w, item.uuid, arrived),
        Payload::Message(message) => {
            insert(w, item, &Incoming::message(&message, ignored), arrived)?;
        }
        Payload::Episode {
            data_type,
            data,
            created_at,
            metadata,
            source_description,
        } => {
            let episode = NewEpisode {
                data_type,
                data,
                created_at,
                mark: None,
                metadata,
                source_description,
            };
            insert(w, item, &Incoming::episode(&episode), arrived)?;
        }
    }
    Ok(Ok(()))
}

fn insert(w: &Work<'_>, item: &Pending, incoming: &Incoming<'_>, arrived: i64) -> Step<()> {
    let id = owners::allocate(w, item.owner, 1)?;
    let arrived = Some(arrived);
    episodes::insert(w, item.owner, item.thread, id, item.uuid, incoming, arrived)
}

/// Marks a message that is already in its thread as arrived, and indexes it.
fn accept(w: &Work<'_>, uuid: Raw, arrived: i64) -> Step<Outcome> {
    let found: Option<(i64, Option<i64>, String)> =
        w.tx.prepare_cached(
            "UPDATE episode SET ingested_at = ?2 WHERE uuid = ?1 RETURNING id, speaker, content",
        )?
        .query_row((uuid.as_bytes(), arrived), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((id, speaker, content)) = found else {
        return Ok(Err("the message was deleted"));
    };
    let speaker = speaker
        .map(|entity| entities::name(w, entity))
        .transpose()?;
    index::put(w, id, speaker.as_deref(), &content)?;
    Ok(Ok(()))
}
