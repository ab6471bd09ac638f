//! Routes that are not MCP's, and how their calls are refused: as JSON, `{"error", "detail"}`.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::json;

use super::body::{BodyMemory, read_rest_body};
use super::limits::MAX_BODY_BYTES;
use super::shares::{Shares, admit_call};

/// Routes beside MCP's.
#[derive(Debug, Default)]
pub struct RestRoutes {
    /// Those that need a caller.
    pub guarded: Router,
    /// Those that anybody may call.
    pub open: Router,
    /// Whether there are any.
    pub is_served: bool,
}

/// The guarded routes with their bounds. Each request must carry a `Caller` and a `Subject` in its
/// extensions.
pub(super) fn bounded<S: Clone + Send + Sync + 'static>(
    routes: Router,
    shares: Arc<Shares>,
) -> Router<S> {
    let routes = routes
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(
            Arc::<BodyMemory>::default(),
            read_rest_body,
        ))
        .layer(from_fn_with_state(shares, admit_call));
    routes.with_state(())
}

/// A refusal as JSON, with the status and the headers of another.
pub(super) fn refusal(other: Response, name: &str, detail: &str) -> Response {
    let (parts, _) = other.into_parts();
    let mut response =
        (parts.status, Json(json!({"error": name, "detail": detail}))).into_response();
    if let Some(wait) = parts.headers.get(axum::http::header::RETRY_AFTER) {
        let headers = response.headers_mut();
        headers.insert(axum::http::header::RETRY_AFTER, wait.clone());
    }
    response
}

/// A body that cannot be accepted, in FastAPI's shape.
pub(super) fn invalid_body(problem: &str) -> Response {
    let detail = json!([{"loc": ["body"], "msg": problem, "type": "too_much"}]);
    let body = Json(json!({"detail": detail, "error": "validation_error"}));
    (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
}
