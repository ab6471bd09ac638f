//! Searching a graph.

use serde::{Deserialize, Serialize};

use super::{Entity, Episode, Fact, null_is_default};
use crate::zep::ids::Uuid;

/// What a search covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchScope {
    /// Facts.
    Edges,
    /// Entities.
    Nodes,
    /// Episodes, messages included.
    Episodes,
    /// What Zep selects, as a ready-made context block.
    Auto,
}

/// How a search orders its results (Zep: searching the graph).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reranker {
    /// By reciprocal rank: `score` is a rank.
    Rrf,
    /// By similarity to the query: `score` is in 0–1.
    CrossEncoder,
}

/// A search in one graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The query, at most 400 characters.
    pub query: String,
    /// What is searched.
    pub scope: SearchScope,
    /// At most 50; `None` for Zep's default of 10, and for [`SearchScope::Auto`], which ignores it.
    pub limit: Option<u32>,
    /// How to order; `None` for Zep's default, `rrf`.
    pub reranker: Option<Reranker>,
    /// Only facts extracted from these episodes, at most 256; empty for all.
    pub from_episodes: Vec<Uuid>,
}

/// The results of a search, best first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Facts.
    #[serde(deserialize_with = "null_is_default")]
    pub edges: Vec<Fact>,
    /// Entities.
    #[serde(deserialize_with = "null_is_default")]
    pub nodes: Vec<Entity>,
    /// Episodes.
    #[serde(deserialize_with = "null_is_default")]
    pub episodes: Vec<Episode>,
    /// The ready-made context block of [`SearchScope::Auto`].
    pub context: Option<String>,
}
