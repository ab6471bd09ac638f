//! Entities (Zep: nodes).

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};

use super::cursor_pages::{self, ListBody};
use super::{Routes, Store};
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body, PathId, listed};
use crate::zep::{Entity, Owner, Uuid};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/graph/node/{uuid}", get(show))
        .route("/graph/node/user/{user_id}", post(list))
        .route("/graph/node/graph/{graph_id}", post(list))
}

/// `graph.node.get`
async fn show(State(zep): Store, PathId(node): PathId<Uuid>) -> ApiResult<Answer<Entity>> {
    Ok(Answer(zep.node(&node).await?))
}

/// `graph.node.get_by_user_id` and `graph.node.get_by_graph_id`
async fn list(
    State(zep): Store,
    PathId(owner): PathId<Owner>,
    Body(body): Body<ListBody>,
) -> ApiResult<Response> {
    // Ignoring a filter would return too much.
    if body.is_filtered() {
        return Err(ApiError::bad_request(
            "the embedded Zep does not filter its list of nodes",
        ));
    }
    let page = cursor_pages::page(
        body,
        |node: &Entity| &node.uuid,
        async |listing| zep.list_nodes(&owner, &listing).await,
    )
    .await?;
    listed(page)
}
