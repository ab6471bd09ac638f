//! What an item holds until it is processed, and messages of drafts that already show in their
//! threads.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid as Raw;

use crate::local::sqlite::{Step, Work};
use crate::local::tables::episodes::{self, Incoming};
use crate::local::tables::threads::ThreadRow;
use crate::local::tables::{entities, owners};
use crate::zep::{DataType, Metadata, NewEpisode, NewMessage, Role};

/// An item's content, as JSON in the file.
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
    /// A message that is already in its thread, unprocessed.
    Stored,
}

impl Payload {
    pub(super) fn episode(episode: &NewEpisode) -> Self {
        Self::Episode {
            data_type: episode.data_type,
            data: episode.data.clone(),
            created_at: episode.created_at,
            metadata: episode.metadata.clone(),
            source_description: episode.source_description.clone(),
        }
    }

    pub(super) fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// Stores a draft's message in its thread, unprocessed.
pub(super) fn show(
    w: &Work<'_>,
    thread: &ThreadRow,
    uuid: Raw,
    message: &NewMessage,
    ignored: &[Role],
) -> Step<()> {
    let id = owners::allocate(w, thread.owner, 1)?;
    let incoming = Incoming::message(message, ignored);
    episodes::insert(w, thread.owner, Some(thread.id), id, uuid, &incoming, None)
}

/// Removes the unprocessed messages of a draft from their threads.
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
