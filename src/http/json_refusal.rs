//! Refusals as JSON, `{"error", "detail"}`, for callers that are no MCP clients.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal as JSON, with the status and the headers of another.
pub(super) fn refusal(other: Response, name: &str, detail: &str) -> Response {
    let (parts, _) = other.into_parts();
    let mut response =
        (parts.status, Json(json!({"error": name, "detail": detail}))).into_response();
    if let Some(wait) = parts.headers.get(RETRY_AFTER) {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, wait.clone());
    }
    response
}

/// A body that cannot be accepted, in FastAPI's shape.
pub(super) fn invalid_body(problem: &str) -> Response {
    let detail = json!([{"loc": ["body"], "msg": problem, "type": "too_much"}]);
    let body = Json(json!({"detail": detail, "error": "validation_error"}));
    (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
}
