//! Facts, which Zep calls edges.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::filters::{self, ListBody};
use super::{Routes, graph_owner, user_owner};
use crate::emulator::Emulator;
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::{Answer, Body, Segment, Success, listed, success};
use crate::zep::{Fact, FactPatch, Graphs, Owner, Uuid};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/graph/edge/{uuid}", get(show).patch(update).delete(delete))
        .route("/graph/edge/user/{user_id}", post(list_of_user))
        .route("/graph/edge/graph/{graph_id}", post(list_of_graph))
}

/// `graph.edge.get`
async fn show(
    State(emulator): State<Arc<Emulator>>,
    Segment(fact): Segment,
) -> ApiResult<Answer<Fact>> {
    Ok(Answer(emulator.zep.fact(&Uuid(fact)).await?))
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

/// `graph.edge.update`, for its words and attributes. What the embedded Zep does not change is
/// refused, not passed over.
async fn update(
    State(emulator): State<Arc<Emulator>>,
    Segment(fact): Segment,
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
    let fact = Uuid(fact);
    Ok(Answer(emulator.zep.update_fact(&fact, &body.patch).await?))
}

/// `graph.edge.delete`
async fn delete(
    State(emulator): State<Arc<Emulator>>,
    Segment(fact): Segment,
) -> ApiResult<Answer<Success>> {
    emulator.zep.delete_fact(&Uuid(fact)).await?;
    Ok(success("edge deleted"))
}

/// `graph.edge.get_by_user_id`
async fn list_of_user(
    State(emulator): State<Arc<Emulator>>,
    Segment(user): Segment,
    Body(body): Body<ListBody>,
) -> ApiResult<Response> {
    list(&emulator, user_owner(&user)?, body).await
}

/// `graph.edge.get_by_graph_id`
async fn list_of_graph(
    State(emulator): State<Arc<Emulator>>,
    Segment(graph): Segment,
    Body(body): Body<ListBody>,
) -> ApiResult<Response> {
    list(&emulator, graph_owner(&graph)?, body).await
}

async fn list(emulator: &Emulator, owner: Owner, body: ListBody) -> ApiResult<Response> {
    let page = filters::page(
        body,
        |fact: &Fact| &fact.uuid,
        async |listing| emulator.zep.list_facts(&owner, &listing).await,
    )
    .await?;
    listed(page)
}
