//! What the service needs of a living mem0 beside Zep, or in its place.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::zep::Outcome;

/// An object as mem0 answers it.
pub type Object = Map<String, Value>;

/// A failed call to mem0. The texts say what went wrong and what to change, and never hold the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mem0Error {
    /// What went wrong.
    pub message: String,
    /// The HTTP status of mem0's answer, if there was one.
    pub status: Option<u16>,
    /// What became of the request.
    pub outcome: Outcome,
    /// When it may be sent again, if mem0 said so.
    pub retry_after: Option<Duration>,
}

impl Mem0Error {
    /// Whether mem0 has no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }
}

/// The result of a call to mem0.
pub type Result<T> = std::result::Result<T, Mem0Error>;

/// One of mem0's entities: its kind (`user`, `agent`, `app` or `run`) and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Named {
    /// `user`, `agent`, `app` or `run`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
}

/// Memories to add, in the words of mem0's API.
#[derive(Debug, Clone, Default)]
pub struct Addition {
    /// `user_id`, `agent_id`, `app_id`, `run_id`, those that are named.
    pub of: Vec<(&'static str, String)>,
    /// Roles and contents, oldest first.
    pub messages: Vec<(String, String)>,
    /// The caller's own fields.
    pub metadata: Object,
    /// When it happened, in seconds since 1970.
    pub timestamp: Option<i64>,
    /// Whether mem0 draws memories from the messages; else each is kept as it is.
    pub infer: bool,
}

/// What mem0 answered to an addition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// `PENDING`, `SUCCEEDED` or `FAILED`.
    pub status: Option<String>,
    /// What its processing is asked for by.
    pub event: Option<String>,
    /// Ids and texts of the memories, where mem0 made them at once.
    pub memories: Vec<(String, String)>,
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// The items, newest first.
    pub items: Vec<Object>,
    /// How many the list has, as far as mem0 says so.
    pub count: Option<u64>,
    /// Whether another page follows.
    pub has_next: bool,
}

/// The most items of a page of memories (mem0 Platform).
pub const PAGE_ITEMS: u32 = 200;

/// A living mem0.
///
/// Reads are sent again where that may help; what writes is sent once, unless it certainly did not
/// arrive. Every call ends: attempts and waits are bounded.
#[async_trait]
pub trait Mem0: Send + Sync + Debug {
    /// Scheme and host, for people.
    fn host(&self) -> String;

    /// Whether mem0 answers, and accepts the key.
    async fn ping(&self) -> Result<()>;
    /// Adds memories.
    async fn add(&self, new: &Addition) -> Result<Accepted>;
    /// Searches: best first, with `score`. `filters` must name an entity.
    async fn search(
        &self,
        query: &str,
        filters: &Value,
        top_k: u32,
        threshold: Option<f64>,
    ) -> Result<Vec<Object>>;
    /// A page of the memories that pass these filters, newest first. Pages count from 1.
    async fn memories(&self, filters: &Value, page: u32, page_size: u32) -> Result<Listed>;
    /// The memory of this id.
    async fn memory(&self, id: &str) -> Result<Object>;
    /// Changes a memory's text, fields, or both.
    async fn update(&self, id: &str, text: Option<&str>, metadata: Option<&Object>) -> Result<()>;
    /// Deletes a memory.
    async fn delete(&self, id: &str) -> Result<()>;
    /// Deletes all memories that have all of these entities; in the background.
    async fn delete_all(&self, of: &[(&'static str, String)]) -> Result<()>;
    /// All users, agents, apps and runs.
    async fn entities(&self) -> Result<Vec<Named>>;
    /// Deletes an entity with its memories; in the background.
    async fn delete_entity(&self, entity: &Named) -> Result<()>;
    /// The processing of an addition.
    async fn event(&self, id: &str) -> Result<Object>;
}
