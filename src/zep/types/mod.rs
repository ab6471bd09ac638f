//! What is sent to a backend and what it answers. The serialized form has generation 3's field
//! names.
//!
//! Answers are read leniently, as Zep's schemas allow: unknown fields pass, every optional field
//! may be absent or null, and an invalid time reads as absent rather than failing the whole answer.

mod accounts;
mod batches;
pub(crate) mod gap;
mod graphs;
mod mark;
mod search;
mod threads;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

pub use accounts::*;
pub use batches::*;
pub use gap::Gap;
pub use graphs::*;
pub(crate) use mark::OWN_KEYS;
pub use mark::{PartNo, RecordMark};
pub use search::*;
pub use threads::*;

/// A metadata object. Zep takes at most 10 keys, each a string, a number, a boolean or a non-empty
/// array of those.
pub type Metadata = Map<String, Value>;

/// Reads an RFC 3339 time; anything else reads as absent.
fn lenient_time<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let raw = Option::<Value>::deserialize(input)?;
    Ok(raw.and_then(|value| value.as_str()?.parse().ok()))
}

/// Reads `null` as the empty value.
pub(super) fn null_is_default<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}
