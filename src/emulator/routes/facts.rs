//! Facts (Zep: edges).

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::cursor_pages::{self, ListBody};
use super::{Routes, Store};
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body, PathId, Success, listed, success};
use crate::zep::{Fact, FactPatch, Graphs, Owner, Uuid};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/graph/edge/{uuid}", get(show).patch(update).delete(delete))
        .route("/graph/edge/user/{user_id}", post(list))
        .route("/graph/edge/graph/{graph_id}", post(list))
}

/// `graph.edge.get`
async fn show(State(zep): Store, PathId(fact): PathId<Uuid>) -> ApiResult<Answer<Fact>> {
    Ok(Answer(zep.fact(&fact).await?))
}

#[derive(Deserialize)]
struct UpdateFact {
    #[serde(flatten)]
    patch: FactPatch,
    name: Option<Value>,
    valid_at: Option<Value>,
    invalid_at: Option<Value>,
    expired_at: Option<Value>,
}

/// `graph.edge.update`, for text and attributes. Other fields are refused, because the embedded Zep
/// cannot change them.
async fn update(
    State(zep): Store,
    PathId(fact): PathId<Uuid>,
    Body(body): Body<UpdateFact>,
) -> ApiResult<Answer<Fact>> {
    let fixed = [
        ("name", &body.name),
        ("valid_at", &body.valid_at),
        ("invalid_at", &body.invalid_at),
        ("expired_at", &body.expired_at),
    ];
    if let Some((name, _)) = fixed.into_iter().find(|(_, value)| value.is_some()) {
        return Err(ApiError::bad_request(format_args!(
            "the embedded Zep does not change a fact's {name}"
        )));
    }
    Ok(Answer(zep.update_fact(&fact, &body.patch).await?))
}

/// `graph.edge.delete`
async fn delete(State(zep): Store, PathId(fact): PathId<Uuid>) -> ApiResult<Answer<Success>> {
    zep.delete_fact(&fact).await?;
    Ok(success("edge deleted"))
}

/// `graph.edge.get_by_user_id` and `graph.edge.get_by_graph_id`
async fn list(
    State(zep): Store,
    PathId(owner): PathId<Owner>,
    Body(body): Body<ListBody>,
) -> ApiResult<Response> {
    let page = cursor_pages::page(
        body,
        |fact: &Fact| &fact.uuid,
        async |listing| zep.list_facts(&owner, &listing).await,
    )
    .await?;
    listed(page)
}
