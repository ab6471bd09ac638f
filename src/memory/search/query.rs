//! The query and the answer of a search.

use crate::memory::{Away, filter::Filter, model::Scope, record::view::Memory};

/// What to look through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchTarget {
    /// Facts, filled up with episodes that no listed fact cites.
    Facts,
    /// Episodes: what was stored, word for word.
    Episodes,
    /// Entities: people and things.
    Entities,
    /// Zep's ready-made context block.
    Context,
}

/// Where to look.
#[derive(Debug, Clone)]
pub enum Selector {
    /// In one owner's memory, or a part of it.
    Scope(Scope),
    /// In all owners that the filter can reach.
    Filter(Filter),
}

/// A search.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    /// Where to look.
    pub whose: Selector,
    /// The query. Shortened at a word to 400 characters (Zep's limit).
    pub query: String,
    /// What to look through. A context block belongs to one owner.
    pub among: SearchTarget,
    /// 1–50.
    pub limit: u32,
    /// The least likeness, 0–1.
    pub min_score: Option<f64>,
    /// Also facts that are no longer true.
    pub include_invalid: bool,
}

/// The results of a search.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Best first.
    pub results: Vec<Memory>,
    /// The context block of [`SearchTarget::Context`].
    pub context: Option<String>,
    /// Whether the query was shortened.
    pub query_shortened: bool,
    /// Whether more may match than was looked at: owners, or episodes of one.
    pub truncated: bool,
    /// Since when Zep does not answer and why, if it did not: then only what waits here is found.
    pub away: Option<Away>,
}

impl Answer {
    /// Notes for the reader of the results, in a sentence.
    pub fn note(&self) -> Option<String> {
        let shortened = self
            .query_shortened
            .then_some("the query was shortened to 400 characters");
        let truncated = self.truncated.then_some(
            "not everything that may match was looked at: narrow the question, or read further \
             with get_memories or get_session",
        );
        let notes: Vec<_> = shortened.into_iter().chain(truncated).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}
