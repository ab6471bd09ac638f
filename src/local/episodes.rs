//! Episodes: everything that a graph was told, messages of threads included.

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use uuid::Uuid as Raw;

use super::behavior::{EpisodeDeletion, MetadataPatch};
use super::rows::{COLUMNS, Row, TABLES, json_text, role_number, source_number};
use super::store::{Step, Work};
use super::threads::happened;
use super::{check, entities, ids, index, owners, threads};
use crate::zep::{
    DataType, Episode, Metadata, NewEpisode, NewMessage, Owner, RecordMark, Role, ThreadId, Uuid,
};

/// What is stored: a message or an episode.
pub(super) struct Incoming<'a> {
    role: Option<Role>,
    speaker: Option<&'a str>,
    source: DataType,
    content: &'a str,
    source_description: Option<&'a str>,
    created_at: Option<Timestamp>,
    metadata: &'a Metadata,
    has_fact: bool,
}

impl<'a> Incoming<'a> {
    pub fn message(message: &'a NewMessage) -> Self {
        Self {
            role: Some(message.role),
            speaker: message.name.as_deref(),
            source: DataType::Message,
            content: &message.content,
            source_description: None,
            created_at: message.created_at,
            metadata: &message.metadata,
            has_fact: true,
        }
    }

    /// No fact is drawn from it.
    pub fn without_fact(self) -> Self {
        Self {
            has_fact: false,
            ..self
        }
    }

    pub fn episode(episode: &'a NewEpisode) -> Self {
        Self {
            role: None,
            speaker: None,
            source: episode.data_type,
            content: &episode.data,
            source_description: episode.source_description.as_deref(),
            created_at: episode.created_at,
            metadata: &episode.metadata,
            has_fact: true,
        }
    }
}

/// Stores one row that arrived at this time, in microseconds, and indexes it. A row that has not
/// arrived is in a draft, and not indexed yet.
pub(super) fn insert(
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
    let (created_at, created_ns) = happened(w, incoming.created_at);
    w.tx.prepare_cached(
        "INSERT INTO episode (id, owner, uuid, thread, role, speaker, source, created_at,
         created_ns, ingested_at, content, source_description, metadata, has_fact)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
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
        json_text(incoming.metadata),
        incoming.has_fact,
    ))?;
    if arrived.is_some() {
        index::put(w, id, incoming.speaker, incoming.content)?;
    }
    Ok(())
}

pub(super) fn add(w: &Work<'_>, owner: &Owner, episode: &NewEpisode) -> Step<Episode> {
    check::episode(episode, w.behavior.length_counts)?;
    let found = owners::find(w, owner)?;
    let id = owners::allocate(w, found.id, 1)?;
    let uuid = ids::fresh();
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

/// The row of an id, in the graph or not.
pub(super) fn find(w: &Work<'_>, episode: &Uuid) -> Step<Option<Row>> {
    match ids::parse(episode) {
        Some(uuid) => by_uuid(w, uuid),
        None => Ok(None),
    }
}

pub(super) fn by_uuid(w: &Work<'_>, uuid: Raw) -> Step<Option<Row>> {
    Ok(w.tx
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE e.uuid = ?1"))?
        .query_row([uuid.as_bytes()], Row::read)
        .optional()?)
}

fn in_graph(w: &Work<'_>, episode: &Uuid) -> Step<Row> {
    find(w, episode)?
        .filter(|row| row.in_graph)
        .ok_or_else(|| check::not_found("episode").into())
}

pub(super) fn get(w: &Work<'_>, episode: &Uuid) -> Step<Episode> {
    Ok(in_graph(w, episode)?.into_episode(w.clock, None))
}

/// Asks the index of record ids; the `+` keeps SQLite from going through the owner's rows instead.
pub(super) fn record_query() -> String {
    format!(
        "SELECT {COLUMNS} FROM {TABLES}
         WHERE e.metadata ->> '$.zm_id' = ?1 AND +e.owner = ?2 ORDER BY e.id"
    )
}

/// All rows of a record in one owner's range, in the graph or not.
pub(super) fn of_record(w: &Work<'_>, owner: i64, record: &str) -> Step<Vec<Row>> {
    let rows: Vec<Row> =
        w.tx.prepare_cached(&record_query())?
            .query_map((record, owner), Row::read)?
            .collect::<rusqlite::Result<_>>()?;
    // A number and a text that look alike are two.
    Ok(rows
        .into_iter()
        .filter(|row| row.metadata.as_ref().and_then(RecordMark::record_in) == Some(record))
        .collect())
}

pub(super) fn find_record(w: &Work<'_>, owner: &Owner, record: &str) -> Step<Vec<Episode>> {
    let found = owners::find(w, owner)?;
    Ok(of_record(w, found.id, record)?
        .into_iter()
        .filter(|row| row.in_graph)
        .map(|row| row.into_episode(w.clock, None))
        .collect())
}

/// The last ones to arrive, in the order of their arrival.
pub(super) fn last(w: &Work<'_>, owner: &Owner, episodes: u32) -> Step<Vec<Episode>> {
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

/// All of a thread, in the order of their arrival.
pub(super) fn of_thread(w: &Work<'_>, thread: &ThreadId) -> Step<Vec<Episode>> {
    let found = threads::find(w, thread)?;
    select(w, "e.in_graph AND e.thread = ?1 ORDER BY e.id", [found.id])
}

fn select(w: &Work<'_>, condition: &str, values: impl rusqlite::Params) -> Step<Vec<Episode>> {
    Ok(w.tx
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE {condition}"))?
        .query_map(
            values,
            |row| Ok(Row::read(row)?.into_episode(w.clock, None)),
        )?
        .collect::<rusqlite::Result<_>>()?)
}

/// Puts this whole set in the place of an episode's metadata.
pub(super) fn set_metadata(w: &Work<'_>, episode: &Uuid, metadata: &Metadata) -> Step<Episode> {
    let row = in_graph(w, episode)?;
    let row = store_metadata(w, row.uuid, metadata)?;
    Ok(row.into_episode(w.clock, None))
}

/// Changes an episode's metadata as PATCH does.
pub(super) fn patch_metadata(w: &Work<'_>, episode: &Uuid, patch: &Metadata) -> Step<Episode> {
    let row = in_graph(w, episode)?;
    let metadata = patched(w, row.metadata, patch);
    let row = store_metadata(w, row.uuid, &metadata)?;
    Ok(row.into_episode(w.clock, None))
}

/// Checks and stores a whole set; answers the row as it now is.
pub(super) fn store_metadata(w: &Work<'_>, uuid: Raw, metadata: &Metadata) -> Step<Row> {
    check::metadata("metadata", metadata)?;
    w.tx.prepare_cached("UPDATE episode SET metadata = ?2 WHERE uuid = ?1")?
        .execute((uuid.as_bytes(), json_text(metadata)))?;
    by_uuid(w, uuid)?.ok_or_else(|| check::not_found("episode").into())
}

/// What PATCH makes of metadata: a key set to null goes.
pub(super) fn patched(w: &Work<'_>, before: Option<Metadata>, patch: &Metadata) -> Metadata {
    let mut metadata = match w.behavior.metadata_patch {
        MetadataPatch::Merges => before.unwrap_or_default(),
        MetadataPatch::Replaces => Metadata::new(),
    };
    merge(&mut metadata, patch);
    metadata
}

/// Lays a patch over an object: a key set to null goes.
pub(super) fn merge(object: &mut Metadata, patch: &Metadata) {
    for (key, value) in patch {
        if value.is_null() {
            object.shift_remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
}

pub(super) fn delete(w: &Work<'_>, episode: &Uuid) -> Step<()> {
    let row = in_graph(w, episode)?;
    let (thread, fact_doc): (Option<i64>, Option<i64>) =
        w.tx.prepare_cached("SELECT thread, fact_doc FROM episode WHERE id = ?1")?
            .query_row([row.id], |found| Ok((found.get(0)?, found.get(1)?)))?;
    index::remove(w, row.id)?;
    if let Some(doc) = fact_doc {
        index::remove(w, doc)?;
    }
    let stays = thread.is_some() && w.behavior.episode_deletion == EpisodeDeletion::KeepsMessage;
    if stays {
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
