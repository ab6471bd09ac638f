//! Episodes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::{Routes, graph_owner, user_owner};
use crate::emulator::Emulator;
use crate::emulator::error::ApiResult;
use crate::emulator::wire::{Answer, Body, Query, Segment, Success, listed, success};
use crate::local::Listing;
use crate::zep::{Episode, Graphs, Metadata, Owner, Uuid};

/// Episodes that are answered where the client does not say how many: the page size that Zep
/// documents for its list of episodes (zep-cloud 3.30.0, `graph.episode.list_by_user_id`).
const DEFAULT_LAST: u32 = 100;

pub(super) fn routes() -> Routes {
    Router::new()
        .route(
            "/graph/episodes/{uuid}",
            get(show).patch(update).delete(delete),
        )
        .route(
            "/graph/episodes/user/{user_id}",
            get(last_of_user).post(list_of_user),
        )
        .route(
            "/graph/episodes/graph/{graph_id}",
            get(last_of_graph).post(list_of_graph),
        )
}

/// Episodes in an object (zep-cloud 3.30.0, `EpisodeResponse`).
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
    Segment(episode): Segment,
) -> ApiResult<Answer<Episode>> {
    Ok(Answer(emulator.zep.episode(&Uuid(episode)).await?))
}

#[derive(Deserialize)]
struct Changed {
    metadata: Metadata,
}

/// `graph.episode.update`
async fn update(
    State(emulator): State<Arc<Emulator>>,
    Segment(episode): Segment,
    Body(body): Body<Changed>,
) -> ApiResult<Answer<Episode>> {
    let episode = emulator
        .zep
        .patch_episode_metadata(&Uuid(episode), &body.metadata)
        .await?;
    Ok(Answer(episode))
}

/// `graph.episode.delete`
async fn delete(
    State(emulator): State<Arc<Emulator>>,
    Segment(episode): Segment,
) -> ApiResult<Answer<Success>> {
    emulator.zep.delete_episode(&Uuid(episode)).await?;
    Ok(success("episode deleted"))
}

/// `graph.episode.get_by_user_id`
async fn last_of_user(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
    Query(query): Query<Last>,
) -> ApiResult<Answer<Episodes>> {
    last(&emulator, &user_owner(&user)?, &query).await
}

/// `graph.episode.get_by_graph_id`
async fn last_of_graph(
    State(emulator): State<Arc<Emulator>>,
    Segment(graph): Segment,
    Query(query): Query<Last>,
) -> ApiResult<Answer<Episodes>> {
    last(&emulator, &graph_owner(&graph)?, &query).await
}

async fn last(emulator: &Emulator, owner: &Owner, query: &Last) -> ApiResult<Answer<Episodes>> {
    let lastn = query.lastn.unwrap_or(DEFAULT_LAST);
    let episodes = emulator.zep.last_episodes(owner, lastn).await?;
    Ok(Answer(Episodes { episodes }))
}

/// `graph.episode.list_by_user_id`
async fn list_of_user(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
    Body(listing): Body<Listing>,
) -> ApiResult<Response> {
    listed(
        emulator
            .zep
            .list_episodes(&user_owner(&user)?, &listing)
            .await?,
    )
}

/// `graph.episode.list_by_graph_id`
async fn list_of_graph(
    State(emulator): State<Arc<Emulator>>,
    Segment(graph): Segment,
    Body(listing): Body<Listing>,
) -> ApiResult<Response> {
    listed(
        emulator
            .zep
            .list_episodes(&graph_owner(&graph)?, &listing)
            .await?,
    )
}
