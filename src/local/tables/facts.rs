//! Facts: an episode's own text, until the fact is changed or deleted.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::columns::object_text;
use super::episode_row::EpisodeRow;
use super::{episodes, index, owners};
use crate::local::sqlite::{Step, Work};
use crate::local::{check, timestamps, uuids};
use crate::zep::{Fact, FactPatch, Uuid, limits};

/// The row of a fact, or 404.
fn find(w: &Work<'_>, fact: &Uuid) -> Step<EpisodeRow> {
    let row = match uuids::parse(fact).and_then(uuids::episode_of) {
        Some(episode) => episodes::by_uuid(w, episode)?,
        None => None,
    };
    row.filter(|row| row.is_fact(w.clock))
        .ok_or_else(|| check::not_found("edge").into())
}

pub(crate) fn get(w: &Work<'_>, fact: &Uuid) -> Step<Fact> {
    Ok(find(w, fact)?.into_fact(None))
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
