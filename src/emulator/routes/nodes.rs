//! Entities, which Zep calls nodes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};

use super::filters::ListBody;
use super::{Routes, graph_owner, user_owner};
use crate::emulator::Emulator;
use crate::emulator::error::ApiResult;
use crate::emulator::wire::{Answer, Body, Segment, listed};
use crate::zep::{Entity, Uuid};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/graph/node/{uuid}", get(show))
        .route("/graph/node/user/{user_id}", post(list_of_user))
        .route("/graph/node/graph/{graph_id}", post(list_of_graph))
}

/// `graph.node.get`
async fn show(
    State(emulator): State<Arc<Emulator>>,
    Segment(node): Segment,
) -> ApiResult<Answer<Entity>> {
    Ok(Answer(emulator.zep.node(&Uuid(node)).await?))
}

/// `graph.node.get_by_user_id`
async fn list_of_user(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
    Body(body): Body<ListBody>,
) -> ApiResult<Response> {
    let listing = body.into_listing()?;
    listed(
        emulator
            .zep
            .list_nodes(&user_owner(&user)?, &listing)
            .await?,
    )
}

/// `graph.node.get_by_graph_id`
async fn list_of_graph(
    State(emulator): State<Arc<Emulator>>,
    Segment(graph): Segment,
    Body(body): Body<ListBody>,
) -> ApiResult<Response> {
    let listing = body.into_listing()?;
    listed(
        emulator
            .zep
            .list_nodes(&graph_owner(&graph)?, &listing)
            .await?,
    )
}
