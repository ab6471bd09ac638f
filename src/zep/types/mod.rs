//! What goes to Zep and what comes back, in generation 3's own field names.
//!
//! Answers are read leniently, as Zep's schemas allow: unknown fields pass, every optional field
//! may be absent or null, and a time that is no time reads as absent rather than failing the whole
//! answer.

mod accounts;
mod batches;
mod graphs;
mod search;
mod threads;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use accounts::*;
pub use batches::*;
pub use graphs::*;
pub use search::*;
pub use threads::*;

/// A metadata object. Zep takes at most 10 keys, each a string, a number, a boolean or a non-empty
/// array of those.
pub type Metadata = Map<String, Value>;

/// The metadata key under which every record that this program writes carries its record id.
pub const RECORD_ID_KEY: &str = "zm_id";
/// The metadata key that says which part of a split record this is: `2/3`.
pub const RECORD_PART_KEY: &str = "zm_part";

/// A page of a numbered listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageNumber {
    /// From 1.
    pub number: u32,
    /// Items on it.
    pub size: u32,
}

/// By what a listing of facts or episodes is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// By Zep's id.
    Uuid,
    /// By the time of the event, not of receipt.
    CreatedAt,
}

/// The direction of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Smallest or oldest first.
    Asc,
    /// Largest or newest first.
    Desc,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the next page; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// Reads a time where there is one; anything else (null, or text that is no RFC 3339 time) reads as
/// absent.
fn lenient_time<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let raw = Option::<Value>::deserialize(input)?;
    Ok(raw.and_then(|value| value.as_str()?.parse().ok()))
}

/// Reads `null` as the empty value.
fn null_is_default<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}
