//! Entities, which Zep calls nodes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};

use super::filters::{self, ListBody};
use super::{Routes, graph_owner, user_owner};
use crate::emulator::Emulator;
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body, Segment, listed};
use crate::zep::{Entity, Owner, Uuid};

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
    list(&emulator, user_owner(&user)?, body).await
}

/// `graph.node.get_by_graph_id`
async fn list_of_graph(
    State(emulator): State<Arc<Emulator>>,
    Segment(graph): Segment,
    Body(body): Body<ListBody>,
) -> ApiResult<Response> {
    list(&emulator, graph_owner(&graph)?, body).await
}

async fn list(emulator: &Emulator, owner: Owner, body: ListBody) -> ApiResult<Response> {
    // To pass over a filter would answer more than was asked for.
    if body.is_filtered() {
        return Err(ApiError::bad_request(
            "the embedded Zep does not filter its list of nodes",
        ));
    }
    let page = filters::page(
        body,
        |node: &Entity| &node.uuid,
        async |listing| emulator.zep.list_nodes(&owner, &listing).await,
    )
    .await?;
    listed(page)
}
