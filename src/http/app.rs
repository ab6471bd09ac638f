//! The routes, and what every call passes on the way to them.
//!
//! From the outside in: panics are caught, the call is noted, its host and origin are checked, pages
//! of other origins are told what they may; then, but for the health routes and the metadata of those
//! who sign tokens, who asks is established, the body is read, and the session must be theirs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::access::{Access, authenticate, protected_resource};
use super::bounds::{Bounds, MAX_BODY_BYTES, read_body};
use super::health::Health;
use super::hosts::Hosts;
use super::sessions::Sessions;
use super::{MCP, MESSAGES, SSE, health, hosts, sse, streamable};
use crate::mcp::MemoryServer;

/// What the routes share.
pub(super) struct Parts {
    /// What agents reach.
    pub doors: Doors,
    /// Who may come in.
    pub access: Arc<Access>,
    /// Under which names, from which pages.
    pub hosts: Arc<Hosts>,
    /// Whether all is well.
    pub health: Arc<Health>,
}

/// What agents reach, once it is known who they are.
pub(super) struct Doors {
    /// The server, as it is on a network.
    pub server: MemoryServer,
    /// All sessions, of both doors.
    pub sessions: Arc<Sessions>,
    /// Ends streams and sessions.
    pub end: CancellationToken,
}

/// The whole app.
pub(super) fn router(parts: Parts) -> Router {
    let Parts {
        doors,
        access,
        hosts,
        health,
    } = parts;
    // The last layer added is the first one passed.
    let app = doors
        .routes()
        .layer(from_fn_with_state(Arc::clone(&access), authenticate))
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .fallback(no_route)
        .with_state(health)
        .merge(protected_resource(access));
    let app = match hosts.cors() {
        Some(cors) => app.layer(cors),
        None => app,
    };
    app.layer(from_fn_with_state(hosts, hosts::check))
        .layer(from_fn(note))
        .layer(from_fn(catch_panics))
}

impl Doors {
    /// Both doors. Each request must say who asks, as a `Caller` and a `Subject`.
    fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let Self {
            server,
            sessions,
            end,
        } = self;
        let service = streamable::service(server.clone(), Arc::clone(&sessions), end);
        let streamable = get(streamable::serve)
            .post(streamable::serve)
            .delete(streamable::serve)
            .fallback(streamable::no_method)
            .layer(from_fn_with_state(Arc::clone(&sessions), streamable::guard))
            .with_state(service);
        let door = sse::Door::new(server, sessions);
        Router::new()
            .route(MCP, streamable)
            .route(SSE, get(sse::open).with_state(Arc::clone(&door)))
            .route(MESSAGES, post(sse::post).with_state(door))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(from_fn_with_state(Arc::<Bounds>::default(), read_body))
    }
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::HeaderMap;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::*;
    use crate::http::access::Subject;
    use crate::local::{Behavior, LocalZep};
    use crate::memory::MemoryService;
    use crate::memory::access::Caller;
    use crate::zep::UserId;

    /// Both doors, where everybody is who they say they are.
    async fn serve(store: &std::path::Path) -> SocketAddr {
        let zep = Arc::new(LocalZep::open(store, Behavior::default()).unwrap());
        let memories = MemoryService::new(zep, UserId::new("ann").unwrap());
        let doors = Doors {
            server: MemoryServer::new(memories).on_a_network(),
            sessions: Sessions::new(10),
            end: CancellationToken::new(),
        };
        let named = |headers: &HeaderMap| Subject::named(headers["who"].to_str().unwrap());
        let name = move |mut request: Request, next: Next| {
            let holder = named(request.headers());
            request.extensions_mut().insert(holder);
            request.extensions_mut().insert(Caller::Operator);
            next.run(request)
        };
        let app: Router = doors.routes().layer(from_fn(name));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    async fn ask(
        method: &str,
        url: &str,
        who: &str,
        session: &str,
        body: &Value,
    ) -> reqwest::Response {
        // Fails only if it was done already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client
            .request(method.parse().unwrap(), url)
            .header("who", who)
            .header("mcp-session-id", session)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_session_opens_nothing_for_anybody_but_whoever_opened_it() {
        let directory = tempfile::tempdir().unwrap();
        let address = serve(&directory.path().join("memory.db")).await;
        let url = format!("http://{address}/mcp");
        let hello = json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "tests", "version": "1"},
            },
        });
        let opened = reqwest::Client::builder().no_proxy();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let opened = opened.build().unwrap().post(&url);
        let opened = opened
            .header("who", "ann")
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(hello.to_string());
        let opened = opened.send().await.unwrap();
        let session = opened.headers()["mcp-session-id"].to_str().unwrap();
        let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
        for (method, right) in [("POST", 200), ("GET", 200), ("DELETE", 204)] {
            let foreign = ask(method, &url, "ben", session, &list).await;
            assert_eq!(foreign.status(), 404, "{method}");
            let own = ask(method, &url, "ann", session, &list).await;
            assert_eq!(own.status(), right, "{method}");
        }

        let mut stream = ask(
            "GET",
            &format!("http://{address}/sse"),
            "ann",
            "",
            &json!(null),
        )
        .await;
        let first = stream.chunk().await.unwrap().unwrap();
        let first = str::from_utf8(&first).unwrap();
        let path = first.split("data: ").nth(1).unwrap().trim();
        let url = format!("http://{address}{path}");
        assert_eq!(ask("POST", &url, "ben", "", &hello).await.status(), 404);
        assert_eq!(ask("POST", &url, "ann", "", &hello).await.status(), 202);
    }
}
