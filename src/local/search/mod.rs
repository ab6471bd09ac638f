//! Search in an owner's graph, and context blocks.
//!
//! - `ranking`: ranks an owner's rows; `matches`: reads the best of them that pass the filter.
//! - `likeness`: the same for texts that are in no file.
//! - `nodes`: entities, matched by name; `context`: context blocks.

mod context;
mod likeness;
mod matches;
mod nodes;
mod ranking;

use super::check;
use super::query::Filters;
use super::row_filter::{RowFilter, ShownAs};
use super::sqlite::{Step, Work};
use super::tables::{facts, owners};
use super::words::question;
use crate::zep::{Found, Owner, Reranker, Search, SearchScope};
pub(super) use context::thread_context;
pub use likeness::likeness;
use matches::best;

/// How many results a search has by default (zep-cloud 3.30.0, `graph.search`).
const DEFAULT_RESULTS: u32 = 10;

pub(super) fn search(
    w: &Work<'_>,
    owner: &Owner,
    search: &Search,
    filters: &Filters,
) -> Step<Found> {
    check::search(search, w.behavior.length_counts)?;
    let filter = RowFilter::new(filters)?;
    let owner = owners::find(w, owner)?;
    let limit = search.limit.unwrap_or(DEFAULT_RESULTS) as usize;
    let scoring = Scoring(search.reranker.unwrap_or(Reranker::Rrf));
    let words = question(&search.query);
    let mut answer = Found::default();
    match search.scope {
        SearchScope::Edges => {
            answer.edges = best(w, &owner, &words, &filter, ShownAs::Fact, limit)?
                .into_iter()
                .enumerate()
                .map(|(rank, found)| {
                    let score = scoring.score(rank, found.similarity);
                    facts::whole(w, found.row, Some(score))
                })
                .collect::<Step<_>>()?;
        }
        SearchScope::Episodes => {
            answer.episodes = best(w, &owner, &words, &filter, ShownAs::Episode, limit)?
                .into_iter()
                .enumerate()
                .map(|(rank, found)| {
                    let score = scoring.score(rank, found.similarity);
                    found.row.into_episode(w.clock, Some(score))
                })
                .collect();
        }
        SearchScope::Nodes => {
            answer.nodes = nodes::best(w, &owner, &words, filters, &filter, limit)?
                .into_iter()
                .enumerate()
                .map(|(rank, (similarity, mut node))| {
                    node.score = Some(scoring.score(rank, similarity));
                    node
                })
                .collect();
        }
        SearchScope::Auto => {
            let found = best(w, &owner, &words, &filter, ShownAs::Fact, context::FACTS)?;
            answer.edges = context::facts(found);
            answer.context = Some(context::block(&answer.edges));
        }
    }
    Ok(answer)
}

/// What `score` means.
struct Scoring(Reranker);

impl Scoring {
    fn score(&self, rank: usize, similarity: f64) -> f64 {
        match self.0 {
            Reranker::Rrf => 1.0 / (1.0 + rank as f64),
            Reranker::CrossEncoder => similarity,
        }
    }
}
