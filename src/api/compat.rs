//! Answers as the original server gave them: every success is 200, every failure 400.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use super::error::ApiError;

/// Changes what the handlers answer. What authentication and bounds answer stays.
pub(super) async fn like_the_original(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        return error.like_the_original();
    }
    if response.status() == StatusCode::CREATED {
        *response.status_mut() = StatusCode::OK;
    }
    response
}
