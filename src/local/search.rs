//! Searching a graph, and the context block.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::OptionalExtension;

use super::filter::{Restriction, Seen};
use super::owners::OwnerRow;
use super::query::Filters;
use super::ranking::rank;
use super::rows::{COLUMNS, Row, TABLES};
use super::store::{Step, Work};
use super::words::{question, words};
use super::{check, entities, owners, threads};
use crate::zep::{
    Entity, Fact, Found, Owner, Reranker, Search, SearchScope, ThreadContext, ThreadId, Uuid,
};

/// How many results a search has that does not say (zep-cloud 3.30.0, `graph.search`).
const DEFAULT_RESULTS: u32 = 10;
/// How many facts a context block has. Ours: Zep documents none.
const CONTEXT_FACTS: usize = 20;
/// How many of a thread's latest messages its context block is about. Ours: Zep says "the past few".
const CONTEXT_MESSAGES: u32 = 4;

pub(super) fn search(
    w: &Work<'_>,
    owner: &Owner,
    search: &Search,
    filters: &Filters,
) -> Step<Found> {
    check::search(search, w.behavior.length_counts)?;
    let restriction = Restriction::new(filters)?;
    let found = owners::find(w, owner)?;
    let wanted = search.limit.unwrap_or(DEFAULT_RESULTS) as usize;
    let scoring = Scoring(search.reranker.unwrap_or(Reranker::Rrf));
    let words = question(&search.query);
    let facts = |wanted| -> Step<Vec<Fact>> {
        let found = best(w, &found, &words, &restriction, Seen::AsFact, wanted)?;
        let ranked = found.into_iter().enumerate();
        Ok(ranked
            .map(|(rank, fit)| fit.row.into_fact(Some(scoring.score(rank, fit.likeness))))
            .collect())
    };
    let mut answer = Found::default();
    match search.scope {
        SearchScope::Edges => answer.edges = facts(wanted)?,
        SearchScope::Episodes => {
            answer.episodes = best(w, &found, &words, &restriction, Seen::AsEpisode, wanted)?
                .into_iter()
                .enumerate()
                .map(|(rank, fit)| {
                    let score = scoring.score(rank, fit.likeness);
                    fit.row.into_episode(w.clock, Some(score))
                })
                .collect();
        }
        SearchScope::Nodes => {
            answer.nodes = nodes(w, &found, &words, filters, &restriction, wanted)?
                .into_iter()
                .enumerate()
                .map(|(rank, (likeness, mut node))| {
                    node.score = Some(scoring.score(rank, likeness));
                    node
                })
                .collect();
        }
        SearchScope::Auto => {
            answer.edges = facts(CONTEXT_FACTS)?;
            answer.context = Some(context_block(&answer.edges));
        }
    }
    Ok(answer)
}

/// The context block for what a thread's latest messages are about.
pub(super) fn thread_context(w: &Work<'_>, thread: &ThreadId) -> Step<ThreadContext> {
    let found = threads::find(w, thread)?;
    let texts = threads::latest_texts(w, &found, CONTEXT_MESSAGES)?;
    let owner = owners::find(w, &threads::owner_of(&found)?)?;
    let words = question(&texts.join("\n"));
    let all = Restriction::default();
    let facts: Vec<Fact> = best(w, &owner, &words, &all, Seen::AsFact, CONTEXT_FACTS)?
        .into_iter()
        .map(|fit| fit.row.into_fact(None))
        .collect();
    Ok(ThreadContext {
        context: Some(context_block(&facts)),
    })
}

/// What `score` says.
struct Scoring(Reranker);

impl Scoring {
    fn score(&self, rank: usize, likeness: f64) -> f64 {
        match self.0 {
            Reranker::Rrf => 1.0 / (1.0 + rank as f64),
            Reranker::CrossEncoder => likeness,
        }
    }
}

/// A row that was found, and how like the question it is, in 0–1.
struct Fit {
    row: Row,
    likeness: f64,
}

/// The best rows that may be shown, best first.
fn best(
    w: &Work<'_>,
    owner: &OwnerRow,
    words: &[String],
    restriction: &Restriction,
    seen: Seen,
    wanted: usize,
) -> Step<Vec<Fit>> {
    let mut ranking = rank(w, owner, words)?;
    if let Some(known) = restriction.known() {
        let mut rows = Vec::with_capacity(2 * known.len());
        for uuid in known {
            rows.extend(docs_of(w, *uuid)?);
        }
        ranking.hits.retain(|hit| rows.contains(&hit.id));
    }
    let mut fits = Vec::with_capacity(wanted);
    while fits.len() < wanted {
        let Some(hit) = ranking.hits.pop() else { break };
        let Some(row) = row_of(w, hit.id, seen)? else {
            continue;
        };
        let shown = match seen {
            Seen::AsFact => row.is_fact(w.clock),
            Seen::AsEpisode => row.in_graph && row.processed(w.clock),
        };
        if shown && restriction.admits(&row, seen) {
            fits.push(Fit {
                row,
                likeness: f64::from((hit.score / ranking.full_score).min(1.0)),
            });
        }
    }
    Ok(fits)
}

/// The row that a hit stands for: an episode and the fact of the same text, or a fact's own text.
fn row_of(w: &Work<'_>, doc: i64, seen: Seen) -> Step<Option<Row>> {
    let by = |column: &str| {
        w.tx.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE {column} = ?1"
        ))?
        .query_row([doc], Row::read)
        .optional()
    };
    Ok(match (by("e.id")?, seen) {
        // What was said is no longer what the fact says.
        (Some(row), Seen::AsFact) if row.fact_was_changed() => None,
        (Some(row), _) => Some(row),
        (None, Seen::AsFact) => by("e.fact_doc")?,
        (None, Seen::AsEpisode) => None,
    })
}

/// The rows of the index that belong to an episode.
fn docs_of(w: &Work<'_>, episode: uuid::Uuid) -> Step<Vec<i64>> {
    let found: Option<(i64, Option<i64>)> =
        w.tx.prepare_cached("SELECT id, fact_doc FROM episode WHERE uuid = ?1")?
            .query_row([episode.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
    Ok(found
        .into_iter()
        .flat_map(|(id, doc)| [Some(id), doc])
        .flatten()
        .collect())
}

/// The entities whose name or summary has words of the question, with the share of them that it
/// has.
fn nodes(
    w: &Work<'_>,
    owner: &OwnerRow,
    words_asked: &[String],
    filters: &Filters,
    restriction: &Restriction,
    wanted: usize,
) -> Step<Vec<(f64, Entity)>> {
    if filters.edge_uuids.is_some() {
        return Err(check::invalid("edge_uuids: cannot be used with nodes").into());
    }
    let mut found: Vec<(f64, Entity)> = Vec::new();
    for node in entities::known_to(w, owner)? {
        let there: Vec<String> = words(&node.name).chain(words(&node.summary)).collect();
        let hits = words_asked
            .iter()
            .filter(|word| there.contains(word))
            .count();
        if hits > 0 && restriction.admits_time(node.created_at) {
            found.push((hits as f64 / words_asked.len() as f64, node));
        }
    }
    if filters.episode_uuids.is_some() || filters.episode_metadata_filters.is_some() {
        let mentioned = mentioned_nodes(w, owner, restriction)?;
        found.retain(|(_, node)| mentioned.contains(&node.uuid));
    }
    found.sort_by(|one, other| other.0.total_cmp(&one.0));
    found.truncate(wanted);
    Ok(found)
}

/// The entities of the facts that were drawn from the episodes that pass.
fn mentioned_nodes(
    w: &Work<'_>,
    owner: &OwnerRow,
    restriction: &Restriction,
) -> Step<HashSet<Uuid>> {
    let mut nodes = HashSet::new();
    let mut statement = w.tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM {TABLES} WHERE e.id BETWEEN ?1 AND ?2"
    ))?;
    for row in statement.query_map(owner.range(), Row::read)? {
        let row = row?;
        if row.is_fact(w.clock) && restriction.admits_episode(&row) {
            let fact = row.into_fact(None);
            nodes.extend(fact.source_node_uuid);
            nodes.extend(fact.target_node_uuid);
        }
    }
    Ok(nodes)
}

/// Facts with the times in which they are true, in the form of Zep's own context blocks.
fn context_block(facts: &[Fact]) -> String {
    let mut block = String::from(
        "FACTS represent relevant context to the current conversation.\n\n\
         # These are the most relevant facts and their valid date ranges\n\
         # format: FACT (Date range: from - to)\n<FACTS>\n",
    );
    for fact in facts {
        let from = fact.valid_at.map_or_else(|| "unknown".into(), date);
        let to = fact.invalid_at.map_or_else(|| "present".into(), date);
        block.push_str(&format!("  - {} ({from} - {to})\n", fact.fact));
    }
    block.push_str("</FACTS>\n");
    block
}

fn date(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}
