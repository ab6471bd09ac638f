//! What the items of a batch hold, and how they become messages and episodes.

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use uuid::Uuid as Raw;

use super::batches::PENDING;
use super::episodes::{self, Incoming};
use super::rows::uuid;
use super::store::{Step, Work};
use super::threads::ThreadRow;
use super::{entities, index, owners};
use crate::zep::{DataType, Metadata, NewEpisode, NewMessage, Role};

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
pub(super) fn show(
    w: &Work<'_>,
    thread: &ThreadRow,
    uuid: Raw,
    message: &NewMessage,
    ignored: &[Role],
) -> Step<()> {
    let id = owners::allocate(w, thread.owner, 1)?;
    let incoming = incoming(message, ignored);
    episodes::insert(w, thread.owner, Some(thread.id), id, uuid, &incoming, None)
}

/// A message, from which no fact is drawn if its role is one of these.
pub(super) fn incoming<'a>(message: &'a NewMessage, ignored: &[Role]) -> Incoming<'a> {
    let incoming = Incoming::message(message);
    if ignored.contains(&message.role) {
        incoming.without_fact()
    } else {
        incoming
    }
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
pub(super) fn carry_out(
    w: &Work<'_>,
    batch: i64,
    ignored: &[Role],
    items: u64,
) -> Step<Vec<(i64, Outcome)>> {
    let open: Vec<Open> =
        w.tx.prepare_cached(
            "SELECT seq, uuid, owner, thread, payload FROM batch_item
             WHERE batch = ?1 AND status = ?3 ORDER BY seq LIMIT ?2",
        )?
        .query_map(
            (batch, i64::try_from(items).unwrap_or(i64::MAX), PENDING),
            |row| {
                Ok(Open {
                    seq: row.get(0)?,
                    uuid: uuid(row, 1)?,
                    owner: row.get(2)?,
                    thread: row.get(3)?,
                    payload: row.get(4)?,
                })
            },
        )?
        .collect::<rusqlite::Result<_>>()?;
    let mut outcomes = Vec::with_capacity(open.len());
    for item in open {
        outcomes.push((item.seq, store(w, &item, ignored)?));
    }
    Ok(outcomes)
}

/// Stores one item.
fn store(w: &Work<'_>, item: &Open, ignored: &[Role]) -> Step<Outcome> {
    // It waited in the batch and is done with it: nothing is left to be processed.
    let arrived = w.clock.now.min(w.clock.processed_until);
    let payload = item.payload.as_deref().map(serde_json::from_str::<Payload>);
    let Some(Ok(payload)) = payload else {
        return Ok(Err("the item can no longer be read"));
    };
    match payload {
        Payload::Stored => return accept(w, item.uuid, arrived),
        Payload::Message(message) => {
            let id = owners::allocate(w, item.owner, 1)?;
            let incoming = incoming(&message, ignored);
            let arrived = Some(arrived);
            episodes::insert(
                w,
                item.owner,
                item.thread,
                id,
                item.uuid,
                &incoming,
                arrived,
            )?;
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
            let id = owners::allocate(w, item.owner, 1)?;
            let incoming = Incoming::episode(&episode);
            episodes::insert(w, item.owner, None, id, item.uuid, &incoming, Some(arrived))?;
        }
    }
    Ok(Ok(()))
}

/// Lets a message arrive that stood in its thread unprocessed.
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
