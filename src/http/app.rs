//! The routes, and what every call passes on the way to them.
//!
//! From the outside in: panics are caught, the call is noted, its host and origin are checked, pages
//! of other origins are told what they may; then, but for the health routes, who asks is
//! established, the body is read, and the session must be theirs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::access::{Access, authenticate};
use super::bounds::{Bounds, MAX_BODY_BYTES, read_body};
use super::health::Health;
use super::hosts::Hosts;
use super::sessions::Sessions;
use super::{MCP, MESSAGES, SSE, health, hosts, sse, streamable};
use crate::mcp::MemoryServer;

/// What the routes share.
pub(super) struct Parts {
    /// The server, as it is on a network.
    pub server: MemoryServer,
    /// All sessions, of both doors.
    pub sessions: Arc<Sessions>,
    /// Who may come in.
    pub access: Arc<Access>,
    /// Under which names, from which pages.
    pub hosts: Arc<Hosts>,
    /// Whether all is well.
    pub health: Arc<Health>,
    /// Ends streams and sessions.
    pub end: CancellationToken,
}

/// The whole app.
pub(super) fn router(parts: Parts) -> Router {
    let Parts {
        server,
        sessions,
        access,
        hosts,
        health,
        end,
    } = parts;
    let service = streamable::service(server.clone(), Arc::clone(&sessions), end);
    let streamable = get(streamable::serve)
        .post(streamable::serve)
        .delete(streamable::serve)
        .fallback(streamable::no_method)
        .layer(from_fn_with_state(Arc::clone(&sessions), streamable::guard))
        .with_state(service);
    let door = sse::Door::new(server, sessions);
    let app = Router::new()
        .route(MCP, streamable)
        .route(SSE, get(sse::open).with_state(Arc::clone(&door)))
        .route(MESSAGES, post(sse::post).with_state(door))
        // The last one added is the first one passed.
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(Arc::<Bounds>::default(), read_body))
        .layer(from_fn_with_state(access, authenticate))
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .fallback(no_route)
        .with_state(health);
    let app = match hosts.cors() {
        Some(cors) => app.layer(cors),
        None => app,
    };
    app.layer(from_fn_with_state(hosts, hosts::check))
        .layer(from_fn(note))
        .layer(from_fn(catch_panics))
}

async fn no_route() -> Response {
    let found = format!("nothing is here; agents are served at {MCP} and {SSE}\n");
    (StatusCode::NOT_FOUND, found).into_response()
}

/// Notes each call by its route, which holds no ids.
async fn note(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let begun = Instant::now();
    let response = next.run(request).await;
    tracing::debug!(
        %method,
        route = route.as_ref().map_or("none", MatchedPath::as_str),
        status = response.status().as_u16(),
        micros = begun.elapsed().as_micros(),
        "answered"
    );
    response
}

/// Turns a panic into a 500: one broken call must not close the connection on others.
async fn catch_panics(request: Request, next: Next) -> Response {
    // Nothing that a panicking call was working on is used again.
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
