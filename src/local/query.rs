//! Parameters of Zep's HTTP API (generation 3) that the port does not have: numbered pages, orders,
//! cursors and filters.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::zep::Uuid;

/// A page of a numbered listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageNumber {
    /// From 1.
    pub number: u32,
    /// Items per page.
    pub size: u32,
}

/// The order of a listing of facts or episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// By UUID.
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
    /// The cursor of the next page; `None` on the last one.
    pub next_cursor: Option<C>,
}

/// The body of a listing of facts or episodes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Listing {
    /// At most 50.
    pub limit: Option<u32>,
    /// The previous page's [`CursorPage::next_cursor`].
    pub cursor: Option<String>,
    /// By UUID, if absent.
    pub order_by: Option<OrderBy>,
    /// Descending, if absent.
    pub direction: Option<Direction>,
    /// Facts only.
    pub filters: Option<Filters>,
    /// Episodes only: these episodes, and those that mention these entities. At most 256.
    pub mentioned_node_uuids: Option<Vec<Uuid>>,
    /// Episodes only: those with matching metadata. Experimental in Zep.
    pub episode_metadata_filters: Option<MetadataFilter>,
}

/// Filters of facts and entities (zep-cloud 3.30.0, `SearchFilters`). Lists hold at most 256.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Only these facts.
    pub edge_uuids: Option<Vec<Uuid>>,
    /// Only facts and entities of these episodes.
    pub episode_uuids: Option<Vec<Uuid>>,
    /// By creation time: any of the lists, with all its conditions.
    pub created_at: Option<Vec<Vec<DateFilter>>>,
    /// Only facts and entities of episodes with matching metadata. Experimental in Zep.
    pub episode_metadata_filters: Option<MetadataFilter>,
}

/// A condition on a time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DateFilter {
    /// `=`, `<>`, `>`, `<`, `>=`, `<=`, `IS NULL`, `IS NOT NULL`.
    pub comparison_operator: String,
    /// The time to compare with.
    #[serde(default)]
    pub date: Option<String>,
}

/// A filter of episodes by metadata.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MetadataFilter {
    /// `and` or `or`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Conditions on single keys.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub filters: Vec<MetadataCondition>,
    /// Nested filters.
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
    /// The value to compare with; absent for the two `NULL` operators.
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
