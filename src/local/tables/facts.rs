//! Facts: an episode's own text, until the fact is changed or deleted. A record of several parts is
//! one fact, that of its first part: its text is the whole record's, its sources are all parts.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid as Raw;

use super::columns::{object_text, uuid};
use super::episode_row::{COLUMNS, EpisodeRow, TABLES};
use super::{episodes, index, owners};
use crate::local::sqlite::{Step, Work};
use crate::local::{check, timestamps, uuids};
use crate::zep::{Fact, FactPatch, RecordMark, Uuid, limits};

/// The row of a fact, or 404.
fn find(w: &Work<'_>, fact: &Uuid) -> Step<EpisodeRow> {
    let row = match uuids::parse(fact).and_then(uuids::episode_of) {
        Some(episode) => episodes::by_uuid(w, episode)?,
        None => None,
    };
    let row = row.map(|row| head(w, row)).transpose()?;
    row.filter(|row| row.is_fact(w.clock))
        .ok_or_else(|| check::not_found("edge").into())
}

pub(crate) fn get(w: &Work<'_>, fact: &Uuid) -> Step<Fact> {
    whole(w, find(w, fact)?, None)
}

/// The row that has the fact of this row: the first part of its record.
pub(crate) fn head(w: &Work<'_>, row: EpisodeRow) -> Step<EpisodeRow> {
    let first = match row.follows() {
        Some(mark) => parts(w, &row, &mark, 1)?.pop(),
        None => None,
    };
    Ok(first.unwrap_or(row))
}

/// These episodes, and instead of later parts of records the first ones, which have their facts.
pub(crate) fn heads(w: &Work<'_>, mut episodes: HashSet<Raw>) -> Step<HashSet<Raw>> {
    let ids: Vec<String> = episodes.iter().map(|id| id.simple().to_string()).collect();
    // Parts are few: whole rows are read of them alone.
    let later: Vec<Raw> =
        w.tx.prepare_cached(
            "SELECT uuid FROM episode WHERE uuid IN (SELECT unhex(value) FROM json_each(?1))
             AND once = 1 AND metadata ->> '$.zm_part' NOT LIKE '1/%'",
        )?
        .query_map([Value::from(ids).to_string()], |row| uuid(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    for part in later {
        if let Some(row) = episodes::by_uuid(w, part)? {
            episodes.insert(head(w, row)?.uuid);
        }
    }
    Ok(episodes)
}

/// The fact of a row that has one, whole.
pub(crate) fn whole(w: &Work<'_>, row: EpisodeRow, score: Option<f64>) -> Step<Fact> {
    let Some(mark) = row.split() else {
        return Ok(row.into_fact(score));
    };
    let parts = parts(w, &row, &mark, mark.part.total)?;
    let was_changed = row.fact_was_changed();
    let mut fact = row.into_fact(score);
    if !was_changed {
        fact.fact = parts.iter().map(EpisodeRow::text).collect();
    }
    fact.episodes = parts.iter().map(|part| uuids::to_zep(part.uuid)).collect();
    Ok(fact)
}

/// The stored parts of this row's record up to this number, in order.
fn parts(w: &Work<'_>, row: &EpisodeRow, mark: &RecordMark, up_to: u32) -> Step<Vec<EpisodeRow>> {
    // As the index `episode_once` has them.
    const NUMBER: &str = "CAST(coalesce(e.metadata ->> '$.zm_part', '1') AS INTEGER)";
    let mut parts: Vec<EpisodeRow> =
        w.tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE e.once = 1 AND e.owner = ?1
             AND coalesce(e.thread, 0) = (SELECT coalesce(thread, 0) FROM episode WHERE id = ?2)
             AND e.metadata ->> '$.zm_id' = ?3 AND {NUMBER} <= ?4 AND e.in_graph
             ORDER BY {NUMBER}"
        ))?
        .query_map((row.owner(), row.id, &mark.record, up_to), EpisodeRow::read)?
        .collect::<rusqlite::Result<_>>()?;
    parts.retain(|part| {
        let other = part.split();
        other.is_some_and(|other| other.part.total == mark.part.total)
    });
    Ok(parts)
}

pub(crate) fn update(w: &Work<'_>, fact: &Uuid, patch: &FactPatch) -> Step<Fact> {
    let row = find(w, fact)?;
    if let Some(text) = &patch.fact {
        // The limit of episodes, from which facts are extracted.
        check::text(
            "fact",
            text,
            limits::EPISODE_CHARS,
            w.behavior.length_counts,
        )?;
        set_text(w, &row, text)?;
    }
    if let Some(attributes) = &patch.attributes {
        let mut merged: Map<String, Value> = row.attributes().cloned().unwrap_or_default();
        episodes::merge(&mut merged, attributes);
        w.tx.prepare_cached("UPDATE episode SET fact_attributes = ?2 WHERE id = ?1")?
            .execute((row.id, object_text(&merged)))?;
    }
    get(w, fact)
}

/// A changed text is indexed in a row of its own; the episode keeps its content.
fn set_text(w: &Work<'_>, row: &EpisodeRow, text: &str) -> Step<()> {
    let doc: Option<i64> =
        w.tx.prepare_cached("SELECT fact_doc FROM episode WHERE id = ?1")?
            .query_row([row.id], |found| found.get(0))?;
    let doc = match doc {
        Some(doc) => doc,
        None => owners::allocate(w, row.owner(), 1)?,
    };
    w.tx.prepare_cached("UPDATE episode SET fact = ?2, fact_doc = ?3 WHERE id = ?1")?
        .execute((row.id, text, doc))?;
    index::put(w, doc, None, text)
}

/// Sets since when a fact is no longer true, and when that was learned; `None` changes nothing.
pub(crate) fn set_validity(
    w: &Work<'_>,
    fact: &Uuid,
    invalid_at: Option<Timestamp>,
    expired_at: Option<Timestamp>,
) -> Step<Fact> {
    let row = find(w, fact)?;
    let micros = |time: Option<Timestamp>| time.map(|time| timestamps::split(time).0);
    w.tx.prepare_cached(
        "UPDATE episode SET fact_invalid_at = coalesce(?2, fact_invalid_at),
         fact_expired_at = coalesce(?3, fact_expired_at) WHERE id = ?1",
    )?
    .execute((row.id, micros(invalid_at), micros(expired_at)))?;
    get(w, fact)
}

pub(crate) fn delete(w: &Work<'_>, fact: &Uuid) -> Step<()> {
    let row = find(w, fact)?;
    let doc: Option<i64> =
        w.tx.prepare_cached(
            "UPDATE episode SET has_fact = 0, fact = NULL, fact_attributes = NULL,
             fact_invalid_at = NULL, fact_expired_at = NULL WHERE id = ?1 RETURNING fact_doc",
        )?
        .query_row([row.id], |found| found.get(0))?;
    if let Some(doc) = doc {
        index::remove(w, doc)?;
        w.tx.prepare_cached("UPDATE episode SET fact_doc = NULL WHERE id = ?1")?
            .execute([row.id])?;
    }
    Ok(())
}
