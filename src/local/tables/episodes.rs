//! Episodes: everything stored in a graph, including the messages of threads.

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use uuid::Uuid as Raw;

use super::columns::{object_text, role_number, source_number};
use super::episode_row::{COLUMNS, EpisodeRow, TABLES};
use super::{entities, index, owners, threads};
use crate::local::behavior::{EpisodeDeletion, MetadataPatch};
use crate::local::sqlite::{Fault, Step, Work};
use crate::local::{check, timestamps, uuids};
use crate::zep::{
    DataType, Episode, Metadata, NewEpisode, NewMessage, Owner, RecordMark, Role, ThreadId, Uuid,
};

/// The content of a new row: a message or an episode.
pub(crate) struct Incoming<'a> {
    role: Option<Role>,
    speaker: Option<&'a str>,
    source: DataType,
    content: &'a str,
    source_description: Option<&'a str>,
    created_at: Option<Timestamp>,
    /// With the mark.
    metadata: Metadata,
    has_fact: bool,
    /// Whether its record may not be stored a second time: whatever has a mark, that is all that this
    /// program writes. Zep's HTTP API knows no marks and keeps doubles.
    once: bool,
}

impl<'a> Incoming<'a> {
    /// A message; no fact is extracted from it if its role is one of `ignored`.
    pub(crate) fn message(message: &'a NewMessage, ignored: &[Role]) -> Self {
        Self {
            role: Some(message.role),
            speaker: message.name.as_deref(),
            source: DataType::Message,
            content: &message.content,
            source_description: None,
            created_at: message.created_at,
            metadata: RecordMark::encode(message.mark.as_ref(), &message.metadata),
            has_fact: !ignored.contains(&message.role),
            once: message.mark.is_some(),
        }
    }

    pub(crate) fn episode(episode: &'a NewEpisode) -> Self {
        Self {
            role: None,
            speaker: None,
            source: episode.data_type,
            content: &episode.data,
            source_description: episode.source_description.as_deref(),
            created_at: episode.created_at,
            metadata: RecordMark::encode(episode.mark.as_ref(), &episode.metadata),
            has_fact: true,
            once: episode.mark.is_some(),
        }
    }
}

/// Stores a row that arrived at this time, in microseconds, and indexes it. A row without an
/// arrival is in a draft and is not indexed yet. A conflict if the part of its record is stored
/// already and may not be twice.
pub(crate) fn insert(
    w: &Work<'_>,
    owner: i64,
    thread: Option<i64>,
    id: i64,
    uuid: Raw,
    incoming: &Incoming<'_>,
    arrived: Option<i64>,
) -> Step<()> {
    let speaker = incoming
        .speaker
        .map(|name| entities::mention(w, owner, name))
        .transpose()?;
    let (created_at, created_ns) = incoming
        .created_at
        .map_or((w.clock.now, 0), timestamps::split);
    if incoming.once && is_stored(w, owner, thread, &incoming.metadata)? {
        return Err(already_stored());
    }
    w.tx.prepare_cached(
        "INSERT INTO episode (id, owner, uuid, thread, role, speaker, source, created_at,
         created_ns, ingested_at, content, source_description, metadata, has_fact, once)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute((
        id,
        owner,
        uuid.as_bytes(),
        thread,
        incoming.role.map(role_number),
        speaker,
        source_number(incoming.source),
        created_at,
        created_ns,
        arrived,
        incoming.content,
        incoming.source_description,
        object_text(&incoming.metadata),
        incoming.has_fact,
        incoming.once,
    ))
    .map_err(stored_twice)?;
    if arrived.is_some() {
        index::put(w, id, incoming.speaker, incoming.content)?;
    }
    Ok(())
}

/// A violation of the index `episode_once` as a conflict.
fn stored_twice(error: rusqlite::Error) -> Fault {
    let violated = error.sqlite_error().map(|error| error.extended_code);
    if violated == Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE) {
        return already_stored();
    }
    error.into()
}

fn already_stored() -> Fault {
    check::conflict(409, "the record is stored already").into()
}

/// Whether a row that is not stored once, and so not in the index `episode_once`, is this part of a record
/// in this place. What is stored once repeats nothing.
fn is_stored(w: &Work<'_>, owner: i64, thread: Option<i64>, metadata: &Metadata) -> Step<bool> {
    let Some(mark) = RecordMark::decode(metadata) else {
        return Ok(false);
    };
    Ok(w.tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM episode WHERE metadata ->> '$.zm_id' = ?1 AND once = 0
               AND +owner = ?2 AND +thread IS ?3
               AND CAST(coalesce(metadata ->> '$.zm_part', '1') AS INTEGER) = ?4)",
        )?
        .query_row((mark.record, owner, thread, mark.part.number), |row| {
            row.get(0)
        })?)
}

pub(crate) fn add(w: &Work<'_>, owner: &Owner, episode: &NewEpisode) -> Step<Episode> {
    check::episode(episode, w.behavior.length_counts)?;
    let found = owners::find(w, owner)?;
    let id = owners::allocate(w, found.id, 1)?;
    let uuid = uuids::fresh();
    insert(
        w,
        found.id,
        None,
        id,
        uuid,
        &Incoming::episode(episode),
        Some(w.clock.now),
    )?;
    let row = by_uuid(w, uuid)?.ok_or_else(|| check::not_found("episode"))?;
    Ok(row.into_episode(w.clock, None))
}

/// An episode's row, in the graph or not.
pub(crate) fn find(w: &Work<'_>, episode: &Uuid) -> Step<Option<EpisodeRow>> {
    match uuids::parse(episode) {
        Some(uuid) => by_uuid(w, uuid),
        None => Ok(None),
    }
}

pub(crate) fn by_uuid(w: &Work<'_>, uuid: Raw) -> Step<Option<EpisodeRow>> {
    Ok(w.tx
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE e.uuid = ?1"))?
        .query_row([uuid.as_bytes()], EpisodeRow::read)
        .optional()?)
}

fn in_graph(w: &Work<'_>, episode: &Uuid) -> Step<EpisodeRow> {
    find(w, episode)?
        .filter(|row| row.in_graph)
        .ok_or_else(|| check::not_found("episode").into())
}

pub(crate) fn get(w: &Work<'_>, episode: &Uuid) -> Step<Episode> {
    Ok(in_graph(w, episode)?.into_episode(w.clock, None))
}

/// The query by record id; the `+` makes SQLite use the index of record ids, not the owner's rows.
pub(crate) fn record_query() -> String {
    format!(
        "SELECT {COLUMNS} FROM {TABLES}
         WHERE e.metadata ->> '$.zm_id' = ?1 AND +e.owner = ?2 ORDER BY e.id"
    )
}

/// All rows of a record of one owner, in the graph or not.
pub(crate) fn of_record(w: &Work<'_>, owner: i64, record: &str) -> Step<Vec<EpisodeRow>> {
    let rows: Vec<EpisodeRow> =
        w.tx.prepare_cached(&record_query())?
            .query_map((record, owner), EpisodeRow::read)?
            .collect::<rusqlite::Result<_>>()?;
    // SQLite does not tell the number 1 from the text "1".
    Ok(rows
        .into_iter()
        .filter(|row| row.metadata.as_ref().and_then(RecordMark::record_in) == Some(record))
        .collect())
}

pub(crate) fn find_record(w: &Work<'_>, owner: &Owner, record: &str) -> Step<Vec<Episode>> {
    let found = owners::find(w, owner)?;
    Ok(of_record(w, found.id, record)?
        .into_iter()
        .filter(|row| row.in_graph)
        .map(|row| row.into_episode(w.clock, None))
        .collect())
}

/// The last episodes to arrive, in order of arrival.
pub(crate) fn last(w: &Work<'_>, owner: &Owner, episodes: u32) -> Step<Vec<Episode>> {
    let found = owners::find(w, owner)?;
    let (first, last) = found.range();
    let mut newest = select(
        w,
        "e.in_graph AND e.id BETWEEN ?1 AND ?2 ORDER BY e.id DESC LIMIT ?3",
        (first, last, episodes),
    )?;
    newest.reverse();
    Ok(newest)
}

/// All episodes of a thread, in order of arrival.
pub(crate) fn of_thread(w: &Work<'_>, thread: &ThreadId) -> Step<Vec<Episode>> {
    let found = threads::find(w, thread)?;
    select(w, "e.in_graph AND e.thread = ?1 ORDER BY e.id", [found.id])
}

fn select(w: &Work<'_>, condition: &str, values: impl rusqlite::Params) -> Step<Vec<Episode>> {
    Ok(w.tx
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE {condition}"))?
        .query_map(values, |row| {
            Ok(EpisodeRow::read(row)?.into_episode(w.clock, None))
        })?
        .collect::<rusqlite::Result<_>>()?)
}

/// Replaces an episode's metadata.
pub(crate) fn set_metadata(w: &Work<'_>, episode: &Uuid, metadata: &Metadata) -> Step<Episode> {
    let row = in_graph(w, episode)?;
    let row = store_metadata(w, row.uuid, metadata)?;
    Ok(row.into_episode(w.clock, None))
}

/// Changes an episode's metadata as configured for PATCH.
pub(crate) fn patch_metadata(w: &Work<'_>, episode: &Uuid, patch: &Metadata) -> Step<Episode> {
    let row = in_graph(w, episode)?;
    let metadata = patched(w, row.metadata, patch);
    let row = store_metadata(w, row.uuid, &metadata)?;
    Ok(row.into_episode(w.clock, None))
}

/// Checks and replaces a row's metadata; returns the new row.
pub(crate) fn store_metadata(w: &Work<'_>, uuid: Raw, metadata: &Metadata) -> Step<EpisodeRow> {
    check::metadata("metadata", metadata)?;
    w.tx.prepare_cached("UPDATE episode SET metadata = ?2 WHERE uuid = ?1")?
        .execute((uuid.as_bytes(), object_text(metadata)))
        .map_err(stored_twice)?;
    by_uuid(w, uuid)?.ok_or_else(|| check::not_found("episode").into())
}

/// Metadata after a PATCH; a key set to null is removed.
pub(crate) fn patched(w: &Work<'_>, before: Option<Metadata>, patch: &Metadata) -> Metadata {
    let mut metadata = match w.behavior.metadata_patch {
        MetadataPatch::Merges => before.unwrap_or_default(),
        MetadataPatch::Replaces => Metadata::new(),
    };
    merge(&mut metadata, patch);
    metadata
}

/// Merges a patch into an object; a key set to null is removed.
pub(crate) fn merge(object: &mut Metadata, patch: &Metadata) {
    for (key, value) in patch {
        if value.is_null() {
            object.shift_remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
}

pub(crate) fn delete(w: &Work<'_>, episode: &Uuid) -> Step<()> {
    let row = in_graph(w, episode)?;
    let (thread, fact_doc): (Option<i64>, Option<i64>) =
        w.tx.prepare_cached("SELECT thread, fact_doc FROM episode WHERE id = ?1")?
            .query_row([row.id], |found| Ok((found.get(0)?, found.get(1)?)))?;
    index::remove(w, row.id)?;
    if let Some(doc) = fact_doc {
        index::remove(w, doc)?;
    }
    let keeps_message =
        thread.is_some() && w.behavior.episode_deletion == EpisodeDeletion::KeepsMessage;
    if keeps_message {
        w.tx.prepare_cached(
            "UPDATE episode SET in_graph = 0, has_fact = 0, fact = NULL, fact_doc = NULL,
             fact_attributes = NULL, fact_invalid_at = NULL, fact_expired_at = NULL WHERE id = ?1",
        )?
        .execute([row.id])?;
    } else {
        if let Some(speaker) = row.speaker {
            entities::release(w, speaker)?;
        }
        w.tx.prepare_cached("DELETE FROM episode WHERE id = ?1")?
            .execute([row.id])?;
    }
    Ok(())
}
