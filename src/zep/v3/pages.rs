//! The objects that carry a page of a list in an answer.

use serde::Deserialize;

use crate::zep::types::{Batch, BatchItemState, Graph, Thread, User, null_is_default};

/// A page of users, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct UserPage {
    /// The users.
    #[serde(deserialize_with = "null_is_default")]
    pub users: Vec<User>,
    /// How many users there are in all.
    pub total_count: Option<u64>,
}

/// A page of threads, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ThreadPage {
    /// The threads.
    #[serde(deserialize_with = "null_is_default")]
    pub threads: Vec<Thread>,
    /// How many threads there are in all.
    pub total_count: Option<u64>,
}

/// A page of graphs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GraphPage {
    /// The graphs.
    #[serde(deserialize_with = "null_is_default")]
    pub graphs: Vec<Graph>,
    /// How many graphs there are in all.
    pub total_count: Option<u64>,
}

/// A page of batches.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BatchPage {
    /// The batches.
    #[serde(deserialize_with = "null_is_default")]
    pub batches: Vec<Batch>,
    /// Asks for the next page.
    pub next_cursor: Option<u64>,
}

/// A page of a batch's items.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct BatchItemPage {
    /// The items.
    #[serde(deserialize_with = "null_is_default")]
    pub items: Vec<BatchItemState>,
    /// Asks for the next page.
    pub next_cursor: Option<u64>,
}
