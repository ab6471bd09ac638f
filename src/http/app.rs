//! The routes and their layers.
//!
//! From the outside in, a request passes the layers that catch panics, log the request, note it in the
//! audit trail if it is refused, check `Host` and `Origin`, and handle CORS; then, except at the health checks and the OAuth metadata, the layers
//! that authenticate it, check its token's share, read its body, and check that it may use its session.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, MatchedPath, Request};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

use super::access::{Access, authenticate};
use super::audit::{self, HttpAudit};
use super::body::{BodyMemory, read_body};
use super::health::{self, Health};
use super::host_check::{self, Allowlist};
use super::json_refusal;
use super::limits::MAX_BODY_BYTES;
use super::mcp_sessions::McpSessions;
use super::metrics::{self, METRICS, Measured};
use super::operators::Operators;
use super::replay::ReplayBuffer;
use super::rest::{self, RestRoutes};
use super::shares::{Shares, admit};
use super::sse::{self, MESSAGES, SSE, SseTransport};
use super::streamable::{self, MCP};
use crate::mcp::MemoryServer;
use crate::ui::Host;

/// The state of all routes.
pub(super) struct App {
    /// What is served beside MCP.
    pub(super) rest: RestRoutes,
    pub(super) serves_mcp: bool,
    pub(super) transports: Transports,
    pub(super) access: Arc<Access>,
    pub(super) audit: Arc<HttpAudit>,
    pub(super) measured: Arc<Measured>,
    /// Whether connections are TLS's.
    pub(super) is_encrypted: bool,
    pub(super) allowlist: Arc<Allowlist>,
    pub(super) health: Arc<Health>,
}

/// Both transports of MCP, behind authentication.
pub(super) struct Transports {
    /// The server, as it is on a network.
    pub(super) server: MemoryServer,
    /// The sessions of both transports.
    pub(super) sessions: Arc<McpSessions>,
    /// The responses that are kept for clients that reconnect.
    pub(super) replay: Arc<ReplayBuffer>,
    /// What each token may take.
    pub(super) shares: Arc<Shares>,
    /// Ends streams and sessions.
    pub(super) end: CancellationToken,
}

impl App {
    pub(super) fn router(self) -> Router {
        let Self {
            rest,
            serves_mcp,
            transports,
            access,
            audit,
            measured,
            is_encrypted,
            allowlist,
            health,
        } = self;
        let metadata = access.protected_resource();
        let host: Arc<dyn Host> = Arc::new(Operators {
            access: Arc::clone(&access),
            measured: Arc::clone(&measured),
            is_encrypted,
            end: transports.end.clone(),
        });
        // The layer that is added last runs first.
        let show = get(metrics::show).with_state(Arc::clone(&measured));
        let audited = from_fn_with_state(Arc::clone(&audit), audit::routes);
        let guarded = rest::bounded(rest.guarded, Arc::clone(&transports.shares)).layer(audited);
        let guarded = match serves_mcp {
            true => transports.routes().merge(guarded),
            false => guarded,
        };
        let app = guarded
            .route(METRICS, show)
            .layer(from_fn_with_state(access, authenticate))
            .route("/health", get(health::alive))
            .route("/ready", get(health::ready))
            .fallback(async move || no_route(rest.is_served))
            .with_state(health)
            .merge(rest.open.layer(Extension(host)))
            .merge(metadata);
        let app = match allowlist.cors() {
            Some(cors) => app.layer(cors),
            None => app,
        };
        // Only the route is logged: paths and queries hold ids of sessions.
        let log = TraceLayer::new_for_http()
            .make_span_with(|request: &Request| {
                let route = request.extensions().get::<MatchedPath>();
                let route = route.map_or("none", MatchedPath::as_str);
                tracing::debug_span!("request", method = %request.method(), route)
            })
            .on_request(())
            .on_response(|response: &Response, latency: Duration, _: &Span| {
                let status = response.status().as_u16();
                tracing::debug!(status, micros = latency.as_micros(), "answered");
            })
            .on_failure(());
        app.layer(from_fn_with_state(allowlist, host_check::check))
            .layer(from_fn_with_state(audit, audit::refusals))
            .layer(from_fn_with_state(measured, metrics::measure))
            .layer(log)
            // The panic hook logs the panic; tower-http's own handler would log its text.
            .layer(CatchPanicLayer::custom(|_| {
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }))
    }
}

impl Transports {
    /// The routes of both. Each request must carry a `Caller` and a `Subject` in its extensions.
    fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let Self {
            server,
            sessions,
            replay,
            shares,
            end,
        } = self;
        let service = streamable::service(server.clone(), Arc::clone(&sessions), replay, end);
        let streamable = get(streamable::serve)
            .post(streamable::serve)
            .delete(streamable::serve)
            .fallback(streamable::no_method)
            .layer(from_fn_with_state(Arc::clone(&sessions), streamable::guard))
            .with_state(service);
        let sse = SseTransport::new(server, sessions);
        let open = get(sse::open).with_state(Arc::clone(&sse));
        let post = post(sse::post).with_state(sse);
        // People write the address with a slash at its end too.
        Router::new()
            .route(MCP, streamable.clone())
            .route(&format!("{MCP}/"), streamable)
            .route(SSE, open.clone())
            .route(&format!("{SSE}/"), open)
            .route(MESSAGES, post.clone())
            .route(&format!("{MESSAGES}/"), post)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(from_fn_with_state(Arc::<BodyMemory>::default(), read_body))
            .layer(from_fn_with_state(shares, admit))
    }
}

/// The answer to a path that leads nowhere, as JSON where callers of the Memory API may ask.
fn no_route(serves_rest: bool) -> Response {
    let text = format!("there is nothing here; MCP is at {MCP} and {SSE}\n");
    let answer = (StatusCode::NOT_FOUND, text).into_response();
    match serves_rest {
        true => json_refusal::refusal(answer, "not_found", "there is nothing here; see /docs"),
        false => answer,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::HeaderMap;
    use axum::middleware::{Next, from_fn};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::Bounds;
    use crate::http::access::Subject;
    use crate::http::shares::Places;
    use crate::local::{Behavior, LocalZep};
    use crate::memory::MemoryService;
    use crate::memory::access::Caller;
    use crate::zep::UserId;

    /// Both transports, where the header `who` names the subject.
    async fn serve(store: &std::path::Path) -> SocketAddr {
        let zep = Arc::new(LocalZep::open(store, Behavior::default()).unwrap());
        let memories = MemoryService::new(zep, UserId::new("ann").unwrap());
        let bounds = Bounds {
            connections: 100,
            sessions: 10,
            calls: 100,
            calls_per_minute: None,
            unread_bytes: 1 << 20,
            share: 100,
        };
        let transports = Transports {
            server: MemoryServer::new(memories).on_a_network(),
            sessions: McpSessions::new(&bounds),
            replay: ReplayBuffer::new(),
            shares: Shares::new(bounds, Places::new(100, &bounds)),
            end: CancellationToken::new(),
        };
        let named = |headers: &HeaderMap| Subject::named(headers["who"].to_str().unwrap());
        let name = move |mut request: Request, next: Next| {
            let holder = named(request.headers());
            request.extensions_mut().insert(holder);
            request.extensions_mut().insert(Caller::Operator);
            next.run(request)
        };
        let app: Router = transports.routes().layer(from_fn(name));
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
    async fn only_its_opener_can_use_a_session() {
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
