//! What the items of a batch hold, and how they become messages and episodes.
//!
//! A batch is carried out in parts that each are one transaction, so that one that was broken off
//! (or whose process died) is finished by the next call of anybody who uses the file.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use serde::{Deserialize, Serialize};
use uuid::Uuid as Raw;

use super::batches::{BATCH, FAILED, PENDING, SUCCEEDED, number};
use super::behavior::Behavior;
use super::episodes::{self, Incoming};
use super::rows::uuid;
use super::store::{Step, Work};
use super::threads::ThreadRow;
use super::time::Clock;
use super::{entities, index, owners};
use crate::zep::{BatchStatus, DataType, Metadata, NewEpisode, NewMessage};

/// How many items one transaction carries out: so many that it is quick, so few that other
/// processes are not kept waiting.
const PART: u32 = 500;

/// An item's content, until the item is carried out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Payload {
    /// A message that is not in its thread yet.
    Message(NewMessage),
    /// An episode that is not in its graph yet.
    Episode {
        data_type: DataType,
        data: String,
        created_at: Option<Timestamp>,
        metadata: Metadata,
        source_description: Option<String>,
    },
    /// A message that stands in its thread already, unprocessed.
    Stored,
}

impl Payload {
    pub fn episode(episode: &NewEpisode) -> Self {
        Self::Episode {
            data_type: episode.data_type,
            data: episode.data.clone(),
            created_at: episode.created_at,
            metadata: episode.metadata.clone(),
            source_description: episode.source_description.clone(),
        }
    }

    /// As the file keeps it.
    pub fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// Puts a draft's message into its thread, unprocessed.
pub(super) fn show(w: &Work<'_>, thread: &ThreadRow, uuid: Raw, message: &NewMessage) -> Step<()> {
    let id = owners::allocate(w, thread.owner, 1)?;
    let incoming = Incoming::message(message);
    episodes::insert(w, thread.owner, Some(thread.id), id, uuid, &incoming, false)
}

/// Takes the messages of a draft out of their threads again.
pub(super) fn withdraw(w: &Work<'_>, batch: i64) -> Step<()> {
    const SHOWN: &str = "ingested_at IS NULL
        AND uuid IN (SELECT uuid FROM batch_item WHERE batch = ?1)";
    let speakers: Vec<i64> =
        w.tx.prepare_cached(&format!(
            "SELECT speaker FROM episode WHERE speaker IS NOT NULL AND {SHOWN}"
        ))?
        .query_map([batch], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for speaker in speakers {
        entities::release(w, speaker)?;
    }
    w.tx.execute(&format!("DELETE FROM episode WHERE {SHOWN}"), [batch])?;
    Ok(())
}

/// An item that is to be carried out.
struct Open {
    seq: i64,
    uuid: Raw,
    owner: i64,
    thread: Option<i64>,
    payload: Option<String>,
}

/// Why an item was not stored, without its content.
type Outcome = Result<(), &'static str>;

/// Stores the next items of a batch, in order. Answers each one's place and outcome; none, if none
/// are left.
fn carry_out(w: &Work<'_>, batch: i64, items: u32) -> Step<Vec<(i64, Outcome)>> {
    let open: Vec<Open> =
        w.tx.prepare_cached(
            "SELECT seq, uuid, owner, thread, payload FROM batch_item
             WHERE batch = ?1 AND status = ?3 ORDER BY seq LIMIT ?2",
        )?
        .query_map((batch, items, PENDING), |row| {
            Ok(Open {
                seq: row.get(0)?,
                uuid: uuid(row, 1)?,
                owner: row.get(2)?,
                thread: row.get(3)?,
                payload: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut outcomes = Vec::with_capacity(open.len());
    for item in open {
        outcomes.push((item.seq, store(w, &item)?));
    }
    Ok(outcomes)
}

/// Stores one item.
fn store(w: &Work<'_>, item: &Open) -> Step<Outcome> {
    let payload = item.payload.as_deref().map(serde_json::from_str::<Payload>);
    let Some(Ok(payload)) = payload else {
        return Ok(Err("the item can no longer be read"));
    };
    match payload {
        Payload::Stored => return accept(w, item.uuid),
        Payload::Message(message) => {
            let id = owners::allocate(w, item.owner, 1)?;
            let incoming = Incoming::message(&message);
            episodes::insert(w, item.owner, item.thread, id, item.uuid, &incoming, true)?;
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
                metadata,
                source_description,
            };
            let id = owners::allocate(w, item.owner, 1)?;
            let incoming = Incoming::episode(&episode);
            episodes::insert(w, item.owner, None, id, item.uuid, &incoming, true)?;
        }
    }
    Ok(Ok(()))
}

/// Lets a message arrive that stood in its thread unprocessed.
fn accept(w: &Work<'_>, uuid: Raw) -> Step<Outcome> {
    let found: Option<(i64, Option<i64>, String)> =
        w.tx.prepare_cached(
            "UPDATE episode SET ingested_at = ?2 WHERE uuid = ?1 RETURNING id, speaker, content",
        )?
        .query_row((uuid.as_bytes(), w.clock.now), |row| {
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
    let due = |connection: &Connection, now: i64| -> rusqlite::Result<Option<i64>> {
        connection
            .prepare_cached("SELECT id FROM batch WHERE due <= ?1 ORDER BY due, id LIMIT 1")?
            .query_row([now], |row| row.get(0))
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
    let outcomes = carry_out(&w, batch, PART)?;
    for (seq, outcome) in &outcomes {
        let status = if outcome.is_ok() { SUCCEEDED } else { FAILED };
        w.tx.prepare_cached(
            "UPDATE batch_item SET status = ?3, payload = NULL, error = ?4
             WHERE batch = ?1 AND seq = ?2",
        )?
        .execute((batch, seq, status, outcome.as_ref().err()))?;
    }
    if outcomes.is_empty() {
        finish(&w, batch)?;
    }
    tx.commit()?;
    Ok(true)
}

fn finish(w: &Work<'_>, batch: i64) -> Step<()> {
    let (all, stored): (i64, i64) =
        w.tx.prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE status = ?2) FROM batch_item WHERE batch = ?1",
        )?
        .query_row((batch, SUCCEEDED), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let status = match stored {
        stored if stored == all => BatchStatus::Succeeded,
        0 => BatchStatus::Failed,
        _ => BatchStatus::Partial,
    };
    w.tx.execute(
        "UPDATE batch SET status = ?2, due = NULL, completed_at = ?3 WHERE id = ?1",
        (batch, number(&BATCH, &status), w.clock.now),
    )?;
    Ok(())
}
