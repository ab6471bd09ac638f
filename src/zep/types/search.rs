//! Searching a graph, and what restricts a search or a listing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Entity, Episode, Fact, null_is_default};
use crate::zep::ids::Uuid;

/// What a search looks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchScope {
    /// Facts.
    Edges,
    /// Entities.
    Nodes,
    /// Episodes, messages included.
    Episodes,
    /// Whatever Zep finds useful, as a ready-made context block.
    Auto,
}

/// How a search orders what it found (Zep: searching the graph).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reranker {
    /// By reciprocal rank: `score` is a rank.
    Rrf,
    /// By likeness to the query: `score` is in 0–1.
    CrossEncoder,
}

/// A search in one graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// What to look for, at most 400 characters.
    pub query: String,
    /// What to look through.
    pub scope: SearchScope,
    /// At most 50; `None` for Zep's default of 10, and for [`SearchScope::Auto`], which ignores it.
    pub limit: Option<u32>,
    /// How to order; `None` for Zep's default, `rrf`.
    pub reranker: Option<Reranker>,
    /// What to leave out.
    pub filters: Filters,
}

/// Restrictions on facts and entities (zep-cloud 3.30.0, `SearchFilters`). Lists hold at most 256.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Only these facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge_uuids: Option<Vec<Uuid>>,
    /// Only what was drawn from these episodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode_uuids: Option<Vec<Uuid>>,
    /// By time of creation: any of the lists, all conditions of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Vec<Vec<DateFilter>>>,
    /// Only what was drawn from episodes with such metadata. Experimental in Zep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode_metadata_filters: Option<MetadataFilter>,
}

impl Filters {
    /// Whether nothing is restricted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A condition on a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DateFilter {
    /// `=`, `<>`, `>`, `<`, `>=`, `<=`, `IS NULL`, `IS NOT NULL`.
    pub comparison_operator: String,
    /// What to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// A condition on episodes' metadata, made of conditions on single keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetadataFilter {
    /// `and` or `or`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Conditions on single keys.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub filters: Vec<MetadataCondition>,
    /// Conditions within the condition.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub groups: Vec<MetadataFilter>,
}

impl MetadataFilter {
    /// Exactly this value under this key.
    pub fn equals(key: &str, value: &str) -> Self {
        Self {
            kind: "and".into(),
            filters: vec![MetadataCondition {
                comparison_operator: "=".into(),
                property_name: key.into(),
                property_value: Value::String(value.into()),
            }],
            groups: Vec::new(),
        }
    }
}

/// A condition on one metadata key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetadataCondition {
    /// `=`, `<>`, `>`, `<`, `>=`, `<=`, `IS NULL`, `IS NOT NULL`, `CONTAINS`.
    pub comparison_operator: String,
    /// The key.
    pub property_name: String,
    /// What to compare with; absent for the two `NULL` operators.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub property_value: Value,
}

/// What a search found, in the order of fitness.
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
