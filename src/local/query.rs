//! What Zep's HTTP API lets a client ask of lists and searches beyond the port: numbered pages,
//! orders, cursors and filters (generation 3).

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::zep::Uuid;

/// A page of a numbered listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageNumber {
    /// From 1.
    pub number: u32,
    /// Items on it.
    pub size: u32,
}

/// By what a listing of facts or episodes is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// By Zep's id.
    Uuid,
    /// By the time of the event, not of receipt.
    CreatedAt,
}

/// The direction of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Smallest or oldest first.
    Asc,
    /// Largest or newest first.
    Desc,
}

/// One page of a numbered listing.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedPage<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many items the whole listing has.
    pub total_count: u64,
}

/// One page of a listing whose pages are linked by cursors.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorPage<T, C = String> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the next page; `None` on the last one.
    pub next_cursor: Option<C>,
}

/// Which page of which facts or episodes to list, as Zep takes it in the body.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// At most 50.
    pub limit: Option<u32>,
    /// The previous page's [`CursorPage::next_cursor`].
    pub cursor: Option<String>,
    /// Left out, Zep orders by uuid.
    pub order_by: Option<OrderBy>,
    /// Left out, Zep lists downwards.
    pub direction: Option<Direction>,
    /// Facts only: which ones.
    pub filters: Option<Filters>,
    /// Episodes only: these episodes, and those that mention these entities. At most 256.
    pub mentioned_node_uuids: Option<Vec<Uuid>>,
    /// Episodes only: those with such metadata. Experimental in Zep.
    pub episode_metadata_filters: Option<MetadataFilter>,
}

/// Restrictions on facts and entities (zep-cloud 3.30.0, `SearchFilters`). Lists hold at most 256.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Only these facts.
    pub edge_uuids: Option<Vec<Uuid>>,
    /// Only what was drawn from these episodes.
    pub episode_uuids: Option<Vec<Uuid>>,
    /// By time of creation: any of the lists, all conditions of a list.
    pub created_at: Option<Vec<Vec<DateFilter>>>,
    /// Only what was drawn from episodes with such metadata. Experimental in Zep.
    pub episode_metadata_filters: Option<MetadataFilter>,
}

/// A condition on a time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DateFilter {
    /// `=`, `<>`, `>`, `<`, `>=`, `<=`, `IS NULL`, `IS NOT NULL`.
    pub comparison_operator: String,
    /// What to compare with.
    #[serde(default)]
    pub date: Option<String>,
}

/// A condition on episodes' metadata, made of conditions on single keys.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MetadataFilter {
    /// `and` or `or`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Conditions on single keys.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub filters: Vec<MetadataCondition>,
    /// Conditions within the condition.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub groups: Vec<MetadataFilter>,
}

/// A condition on one metadata key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MetadataCondition {
    /// `=`, `<>`, `>`, `<`, `>=`, `<=`, `IS NULL`, `IS NOT NULL`, `CONTAINS`.
    pub comparison_operator: String,
    /// The key.
    pub property_name: String,
    /// What to compare with; absent for the two `NULL` operators.
    #[serde(default)]
    pub property_value: Value,
}

/// Reads `null` as the empty list.
fn null_is_empty<'de, D, T>(input: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(input)?.unwrap_or_default())
}
