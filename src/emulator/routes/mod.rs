//! The routes, by what they are about. Their docs name the call of the official Python client
//! (zep-cloud 3.30.0) that each serves.

mod batches;
mod content;
mod episodes;
mod facts;
mod filters;
mod graph;
mod listing;
mod nodes;
mod project;
mod search;
mod threads;
mod users;

use std::sync::Arc;

use axum::Router;

use super::Emulator;
use super::error::{ApiError, ApiResult};
use crate::zep::{GraphId, Owner, UserId};

/// The routes of a running emulator.
type Routes = Router<Arc<Emulator>>;

/// Everything under `/api/v2`.
pub(super) fn v3() -> Routes {
    Router::new()
        .merge(project::routes())
        .merge(users::routes())
        .merge(threads::routes())
        .merge(graph::routes())
        .merge(episodes::routes())
        .merge(facts::routes())
        .merge(nodes::routes())
        .merge(batches::routes())
}

fn user_owner(id: &str) -> ApiResult<Owner> {
    Ok(Owner::User(UserId::new(id)?))
}

fn graph_owner(id: &str) -> ApiResult<Owner> {
    Ok(Owner::Graph(GraphId::new(id)?))
}

/// The one graph that a body names, by its user or by itself.
fn owner(user_id: Option<&str>, graph_id: Option<&str>) -> ApiResult<Owner> {
    match (user_id, graph_id) {
        (Some(user), None) => user_owner(user),
        (None, Some(graph)) => graph_owner(graph),
        (None, None) => Err(ApiError::bad_request(
            "either user_id or graph_id is required",
        )),
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            "only one of user_id and graph_id may be given",
        )),
    }
}
