//! Episodes.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::{Routes, Store};
use crate::emulator::error::ApiResult;
use crate::emulator::wire::{Answer, Body, PathId, Query, Success, listed, success};
use crate::local::Listing;
use crate::zep::{Episode, Graphs, Metadata, Owner, Uuid};

/// How many episodes are returned by default: the page size that Zep documents for its listing of
/// episodes (zep-cloud 3.30.0, `graph.episode.list_by_user_id`).
const DEFAULT_LAST: u32 = 100;

pub(super) fn routes() -> Routes {
    Router::new()
        .route(
            "/graph/episodes/{uuid}",
            get(show).patch(update).delete(delete),
        )
        .route("/graph/episodes/user/{user_id}", get(last).post(list))
        .route("/graph/episodes/graph/{graph_id}", get(last).post(list))
}

/// Episodes, wrapped in an object (zep-cloud 3.30.0, `EpisodeResponse`).
#[derive(Serialize)]
pub(super) struct Episodes {
    pub episodes: Vec<Episode>,
}

#[derive(Deserialize)]
struct Last {
    lastn: Option<u32>,
}

/// `graph.episode.get`
async fn show(State(zep): Store, PathId(episode): PathId<Uuid>) -> ApiResult<Answer<Episode>> {
    Ok(Answer(zep.episode(&episode).await?))
}

#[derive(Deserialize)]
struct UpdateMetadata {
    metadata: Metadata,
}

/// `graph.episode.update`
async fn update(
    State(zep): Store,
    PathId(episode): PathId<Uuid>,
    Body(body): Body<UpdateMetadata>,
) -> ApiResult<Answer<Episode>> {
    let episode = zep.patch_episode_metadata(&episode, &body.metadata).await?;
    Ok(Answer(episode))
}

/// `graph.episode.delete`
async fn delete(State(zep): Store, PathId(episode): PathId<Uuid>) -> ApiResult<Answer<Success>> {
    zep.delete_episode(&episode).await?;
    Ok(success("episode deleted"))
}

/// `graph.episode.get_by_user_id` and `graph.episode.get_by_graph_id`
async fn last(
    State(zep): Store,
    PathId(owner): PathId<Owner>,
    Query(query): Query<Last>,
) -> ApiResult<Answer<Episodes>> {
    let lastn = query.lastn.unwrap_or(DEFAULT_LAST);
    let episodes = zep.last_episodes(&owner, lastn).await?;
    Ok(Answer(Episodes { episodes }))
}

/// `graph.episode.list_by_user_id` and `graph.episode.list_by_graph_id`
async fn list(
    State(zep): Store,
    PathId(owner): PathId<Owner>,
    Body(listing): Body<Listing>,
) -> ApiResult<Response> {
    listed(zep.list_episodes(&owner, &listing).await?)
}
