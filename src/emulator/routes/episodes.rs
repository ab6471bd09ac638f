//! Episodes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::Routes;
use crate::emulator::Emulator;
use crate::emulator::error::ApiResult;
use crate::emulator::wire::{Answer, Body, PathId, Query, Success, listed, success};
use crate::zep::{Episode, Listing, Metadata, Owner, Uuid, Zep};

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
async fn show(
    State(emulator): State<Arc<Emulator>>,
    PathId(episode): PathId<Uuid>,
) -> ApiResult<Answer<Episode>> {
    Ok(Answer(emulator.zep.episode(&episode).await?))
}

#[derive(Deserialize)]
struct UpdateMetadata {
    metadata: Metadata,
}

/// `graph.episode.update`
async fn update(
    State(emulator): State<Arc<Emulator>>,
    PathId(episode): PathId<Uuid>,
    Body(body): Body<UpdateMetadata>,
) -> ApiResult<Answer<Episode>> {
    let episode = emulator
        .zep
        .patch_episode_metadata(&episode, &body.metadata)
        .await?;
    Ok(Answer(episode))
}

/// `graph.episode.delete`
async fn delete(
    State(emulator): State<Arc<Emulator>>,
    PathId(episode): PathId<Uuid>,
) -> ApiResult<Answer<Success>> {
    emulator.zep.delete_episode(&episode).await?;
    Ok(success("episode deleted"))
}

/// `graph.episode.get_by_user_id` and `graph.episode.get_by_graph_id`
async fn last(
    State(emulator): State<Arc<Emulator>>,
    PathId(owner): PathId<Owner>,
    Query(query): Query<Last>,
) -> ApiResult<Answer<Episodes>> {
    let lastn = query.lastn.unwrap_or(DEFAULT_LAST);
    let episodes = emulator.zep.last_episodes(&owner, lastn).await?;
    Ok(Answer(Episodes { episodes }))
}

/// `graph.episode.list_by_user_id` and `graph.episode.list_by_graph_id`
async fn list(
    State(emulator): State<Arc<Emulator>>,
    PathId(owner): PathId<Owner>,
    Body(listing): Body<Listing>,
) -> ApiResult<Response> {
    listed(emulator.zep.list_episodes(&owner, &listing).await?)
}
