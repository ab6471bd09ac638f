//! Graphs, and the episodes and facts in them.

use async_trait::async_trait;
use serde_json::json;

use super::ZepCloud;
use super::answers::NotStrange;
use super::calls::owner_field;
use super::lists::{EPISODES, FACTS, NUMBERED_PAGE, in_time_order};
use super::metadata::Replacing;
use super::pages::GraphPage;
use crate::zep::error::Result;
use crate::zep::ids::{GraphId, Owner, Uuid};
use crate::zep::limits;
use crate::zep::port::{Graphs, Pages, TimeOrder};
use crate::zep::transport::Request;
use crate::zep::types::{
    Episode, Fact, FactPatch, Found, Graph, Metadata, NewEpisode, RecordMark, Search, SearchScope,
};

#[async_trait]
impl Graphs for ZepCloud {
    async fn create_graph(&self, graph: &GraphId, name: &str, description: &str) -> Result<Graph> {
        let body = json!({ "graph_id": graph, "name": name, "description": description });
        let request = Request::post(&["graph", "create"]).json(&body)?;
        let existing = Request::get(&["graph", graph.as_str()]);
        self.once(request, existing, |there: Graph| {
            let is_same = there.graph_id.as_deref() == Some(graph.as_str())
                && there.name.as_deref() == Some(name);
            is_same.then_some(there)
        })
        .await
    }

    async fn graph(&self, graph: &GraphId) -> Result<Graph> {
        self.ask(Request::get(&["graph", graph.as_str()])).await
    }

    fn graphs(&self) -> Pages<'_, Graph> {
        Pages::by_number(NUMBERED_PAGE, move |number| async move {
            let request = Request::get(&["graph", "list-all"])
                .query("pageNumber", number)
                .query("pageSize", NUMBERED_PAGE);
            let page: GraphPage = self.ask(request).await?;
            Ok((page.graphs, page.total_count))
        })
    }

    async fn delete_graph(&self, graph: &GraphId) -> Result<()> {
        self.delete(&["graph", graph.as_str()]).await
    }

    async fn search(&self, owner: &Owner, search: &Search) -> Result<Found> {
        let (owner, id) = owner_field(owner);
        let mut body = json!({ "query": search.query, "scope": search.scope, owner: id });
        if let Some(limit) = search.limit.filter(|_| search.scope != SearchScope::Auto) {
            body["limit"] = limit.into();
        }
        if let Some(reranker) = search.reranker {
            body["reranker"] = json!(reranker);
        }
        if !search.from_episodes.is_empty() {
            body["search_filters"] = json!({ "episode_uuids": search.from_episodes });
        }
        // It only reads.
        let request = Request::post(&["graph", "search"])
            .json(&body)?
            .repeatable();
        Ok(self.ask::<NotStrange<Found>>(request).await?.0)
    }

    async fn add_episode(&self, owner: &Owner, episode: &NewEpisode) -> Result<Episode> {
        self.write_episode(owner, episode).await
    }

    async fn episode(&self, episode: &Uuid) -> Result<Episode> {
        self.ask(Request::get(&["graph", "episodes", episode.as_str()]))
            .await
    }

    fn episodes<'a>(
        &'a self,
        owner: &'a Owner,
        order: TimeOrder,
        page_size: u32,
    ) -> Pages<'a, Episode> {
        self.pages(EPISODES, owner, in_time_order(order, page_size))
    }

    async fn episodes_by_id(&self, owner: &Owner, episodes: &[Uuid]) -> Result<Vec<Episode>> {
        // These episodes, and those that mention these entities.
        let listing = |some: &[Uuid]| json!({ "mentioned_node_uuids": some });
        self.by_id(EPISODES, owner, episodes, listing, |episode: &Episode| {
            &episode.uuid
        })
        .await
    }

    async fn find_episodes(&self, owner: &Owner, record: &str) -> Result<Vec<Episode>> {
        let condition = json!({
            "comparison_operator": "=",
            "property_name": RecordMark::RECORD_KEY,
            "property_value": record,
        });
        let mut listing = in_time_order(TimeOrder::OldestFirst, limits::PAGE_ITEMS);
        listing["episode_metadata_filters"] = json!({ "type": "and", "filters": [condition] });
        let mut found: Vec<Episode> = self.pages(EPISODES, owner, listing).all().await?;
        // The filter is experimental in Zep: what it lets through is checked.
        found.retain(|episode| episode.mark().is_some_and(|mark| mark.record == record));
        Ok(found)
    }

    async fn set_episode_metadata(
        &self,
        episode: &Uuid,
        mark: Option<&RecordMark>,
        metadata: &Metadata,
    ) -> Result<Episode> {
        let stored = self.episode(episode).await?.metadata;
        let new = Replacing::new(mark, metadata, stored.as_ref());
        let path = ["graph", "episodes", episode.as_str()];
        if let Some(patch) = new.in_one_patch() {
            return self.patch_metadata(&path, &patch).await;
        }
        // Removed keys go first: what stays is lost at no time.
        self.remove_keys(episode, &new).await?;
        self.patch_metadata(&path, new.whole()).await
    }

    async fn delete_episode(&self, episode: &Uuid) -> Result<()> {
        self.delete(&["graph", "episodes", episode.as_str()]).await
    }

    async fn fact(&self, fact: &Uuid) -> Result<Fact> {
        self.ask(Request::get(&["graph", "edge", fact.as_str()]))
            .await
    }

    fn facts<'a>(&'a self, owner: &'a Owner, order: TimeOrder, page_size: u32) -> Pages<'a, Fact> {
        self.pages(FACTS, owner, in_time_order(order, page_size))
    }

    async fn facts_by_id(&self, owner: &Owner, facts: &[Uuid]) -> Result<Vec<Fact>> {
        let listing = |some: &[Uuid]| json!({ "filters": { "edge_uuids": some } });
        self.by_id(FACTS, owner, facts, listing, |fact: &Fact| &fact.uuid)
            .await
    }

    async fn update_fact(&self, fact: &Uuid, patch: &FactPatch) -> Result<Fact> {
        // Setting fields is the same twice.
        self.ask(Request::patch(&["graph", "edge", fact.as_str()]).json(patch)?)
            .await
    }

    async fn delete_fact(&self, fact: &Uuid) -> Result<()> {
        self.delete(&["graph", "edge", fact.as_str()]).await
    }
}
