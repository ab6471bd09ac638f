//! Graphs, and the episodes and facts in them.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{Pages, TimeOrder};
use crate::zep::error::Result;
use crate::zep::ids::{GraphId, Owner, Uuid};
use crate::zep::types::{
    Episode, Fact, FactPatch, Found, Graph, Metadata, NewEpisode, RecordMark, Search,
};

/// Graphs, and the episodes and facts in them. Every message of a thread is an episode of its user's
/// graph.
#[async_trait]
pub trait Graphs: Send + Sync + Debug {
    /// Creates a graph. [`Error::Conflict`](crate::zep::Error::Conflict) if it exists.
    async fn create_graph(&self, graph: &GraphId, name: &str, description: &str) -> Result<Graph>;
    /// A graph.
    async fn graph(&self, graph: &GraphId) -> Result<Graph>;
    /// All graphs of the project.
    fn graphs(&self) -> Pages<'_, Graph>;
    /// Deletes a graph with everything in it.
    async fn delete_graph(&self, graph: &GraphId) -> Result<()>;

    /// Searches a graph. Finds only what has been processed.
    async fn search(&self, owner: &Owner, search: &Search) -> Result<Found>;

    /// Adds an episode to a graph.
    async fn add_episode(&self, owner: &Owner, episode: &NewEpisode) -> Result<Episode>;
    /// An episode, regardless of owner: [`Graphs::episodes_by_id`] proves an owner's.
    async fn episode(&self, episode: &Uuid) -> Result<Episode>;
    /// An owner's episodes by when they happened, messages included, at most 50 a page.
    fn episodes<'a>(
        &'a self,
        owner: &'a Owner,
        order: TimeOrder,
        page_size: u32,
    ) -> Pages<'a, Episode>;
    /// Which of these episodes an owner has, in no particular order.
    async fn episodes_by_id(&self, owner: &Owner, episodes: &[Uuid]) -> Result<Vec<Episode>>;
    /// An owner's episodes of one record, in no particular order.
    async fn find_episodes(&self, owner: &Owner, record: &str) -> Result<Vec<Episode>>;
    /// Replaces an episode's metadata and its mark with this whole set.
    async fn set_episode_metadata(
        &self,
        episode: &Uuid,
        mark: Option<&RecordMark>,
        metadata: &Metadata,
    ) -> Result<Episode>;
    /// Deletes an episode and the facts that only it supports.
    async fn delete_episode(&self, episode: &Uuid) -> Result<()>;

    /// A fact, regardless of owner: [`Graphs::facts_by_id`] proves an owner's.
    async fn fact(&self, fact: &Uuid) -> Result<Fact>;
    /// An owner's facts by when they were extracted, at most 50 a page.
    fn facts<'a>(&'a self, owner: &'a Owner, order: TimeOrder, page_size: u32) -> Pages<'a, Fact>;
    /// Which of these facts an owner has, in no particular order.
    async fn facts_by_id(&self, owner: &Owner, facts: &[Uuid]) -> Result<Vec<Fact>>;
    /// Changes a fact.
    async fn update_fact(&self, fact: &Uuid, patch: &FactPatch) -> Result<Fact>;
    /// Deletes a fact.
    async fn delete_fact(&self, fact: &Uuid) -> Result<()>;
}
