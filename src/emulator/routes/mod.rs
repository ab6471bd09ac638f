//! The routes of `/api/v2`. The docs of a handler name the calls of the official Python client
//! (zep-cloud 3.30.0) that it serves.
//!
//! A handler reads the request, makes one call to the store and shapes the answer. What requests
//! share: `content` (messages and episodes), `filters`, `cursor_pages` and `numbered_pages`.

mod batches;
mod content;
mod cursor_pages;
mod episodes;
mod facts;
mod filters;
mod graphs;
mod nodes;
mod numbered_pages;
mod project;
mod search;
mod threads;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;

use super::error::{ApiError, ApiResult};
use crate::local::LocalZep;
use crate::zep::{GraphId, Owner, UserId};

/// Routes over a store.
type Routes = Router<Arc<LocalZep>>;

/// The store, as handlers take it.
type Store = State<Arc<LocalZep>>;

/// Everything under `/api/v2`.
pub(super) fn v3() -> Routes {
    Router::new()
        .merge(project::routes())
        .merge(users::routes())
        .merge(threads::routes())
        .merge(graphs::routes())
        .merge(search::routes())
        .merge(episodes::routes())
        .merge(facts::routes())
        .merge(nodes::routes())
        .merge(batches::routes())
}

/// The owner that a body names.
fn owner(user_id: Option<&str>, graph_id: Option<&str>) -> ApiResult<Owner> {
    match (user_id, graph_id) {
        (Some(user), None) => Ok(Owner::User(UserId::new(user)?)),
        (None, Some(graph)) => Ok(Owner::Graph(GraphId::new(graph)?)),
        (None, None) => Err(ApiError::bad_request(
            "either user_id or graph_id is required",
        )),
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            "only one of user_id and graph_id may be given",
        )),
    }
}
