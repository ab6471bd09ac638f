//! The best rows that pass a filter.

use rusqlite::OptionalExtension;
use uuid::Uuid as Raw;

use super::ranking::rank;
use crate::local::row_filter::{RowFilter, ShownAs};
use crate::local::sqlite::{Step, Work};
use crate::local::tables::episode_row::{COLUMNS, EpisodeRow, TABLES};
use crate::local::tables::facts;
use crate::local::tables::owners::OwnerRow;

/// A row, and its similarity to the question in 0–1.
pub(super) struct Match {
    pub(super) row: EpisodeRow,
    /// The text that matched, if it is that of a later part of the row's record.
    pub(super) piece: Option<String>,
    pub(super) similarity: f64,
}

/// The best rows that pass the filter, best first.
pub(super) fn best(
    w: &Work<'_>,
    owner: &OwnerRow,
    words: &[String],
    filter: &RowFilter,
    shown_as: ShownAs,
    limit: usize,
) -> Step<Vec<Match>> {
    let mut ranking = rank(w, owner, words)?;
    if let Some(listed) = filter.listed() {
        let mut rows = Vec::with_capacity(2 * listed.len());
        for uuid in listed {
            rows.extend(indexed_rows(w, *uuid)?);
        }
        ranking.hits.retain(|hit| rows.contains(&hit.id));
    }
    let mut matches = Vec::with_capacity(limit);
    while matches.len() < limit {
        let Some(hit) = ranking.hits.pop() else { break };
        let Some(row) = row_of(w, hit.id, shown_as)? else {
            continue;
        };
        if !filter.admits(&row, shown_as) {
            continue;
        }
        let similarity = f64::from((hit.score / ranking.full_score).min(1.0));
        let found = match shown_as {
            ShownAs::Fact => as_fact(w, hit.id, row, similarity)?,
            ShownAs::Episode => Some(Match {
                row,
                piece: None,
                similarity,
            })
            .filter(|found| found.row.in_graph && found.row.processed(w.clock)),
        };
        // Several parts of a record may match, which is one fact: the best of them counts.
        let is_new = |found: &Match| matches.iter().all(|one: &Match| one.row.id != found.row.id);
        matches.extend(found.filter(is_new));
    }
    Ok(matches)
}

/// The fact of a row that matched; `None` if it has none, or if its words are no longer the fact's.
fn as_fact(w: &Work<'_>, indexed: i64, row: EpisodeRow, similarity: f64) -> Step<Option<Match>> {
    let by_its_episode = row.id == indexed;
    let matched = row.id;
    let text = row.split().map(|_| row.text());
    let row = facts::head(w, row)?;
    if !row.is_fact(w.clock) || (by_its_episode && row.fact_was_changed()) {
        return Ok(None);
    }
    Ok(Some(Match {
        piece: text.filter(|_| row.id != matched),
        row,
        similarity,
    }))
}

/// The row of a hit: an episode, whose fact has the same text, or a fact with a text of its own.
fn row_of(w: &Work<'_>, indexed: i64, shown_as: ShownAs) -> Step<Option<EpisodeRow>> {
    let by = |column: &str| {
        w.tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE {column} = ?1"
        ))?
        .query_row([indexed], EpisodeRow::read)
        .optional()
    };
    Ok(match (by("e.id")?, shown_as) {
        (Some(row), _) => Some(row),
        (None, ShownAs::Fact) => by("e.fact_doc")?,
        (None, ShownAs::Episode) => None,
    })
}

/// The row ids under which an episode and its fact are indexed.
fn indexed_rows(w: &Work<'_>, episode: Raw) -> Step<Vec<i64>> {
    let found: Option<(i64, Option<i64>)> =
        w.tx.prepare_cached("SELECT id, fact_doc FROM episode WHERE uuid = ?1")?
            .query_row([episode.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
    Ok(found
        .into_iter()
        .flat_map(|(id, fact)| [Some(id), fact])
        .flatten()
        .collect())
}
