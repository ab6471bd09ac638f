//! `/metrics`: Prometheus' text, for operators.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use prometheus_client::encoding::prometheus_text;

use super::access::{self, Access};
use super::audit::RefusedAs;
use super::mcp_sessions::McpSessions;
use super::shares::Shares;
use crate::audit::{State as TrailState, Trail};
use crate::mcp::MemoryServer;
use crate::memory::access::Caller;
use crate::metrics::{Levels, Metrics};
use crate::traces;

/// The route.
pub(super) const METRICS: &str = "/metrics";

/// What is measured, and where the levels are read.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) metrics: Arc<Metrics>,
    pub(super) server: MemoryServer,
    pub(super) access: Arc<Access>,
    pub(super) shares: Arc<Shares>,
    pub(super) sessions: Arc<McpSessions>,
}

/// Middleware around all routes: counts and traces requests, up to the head of their response.
pub(super) async fn measure(
    State(measured): State<Arc<Measured>>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = method_of(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    // A path may hold ids, so that one without a route is not told.
    let route = route.as_ref().map(MatchedPath::as_str);
    let span = traces::request(method, route, request.headers());
    if let Some(place) = span.place() {
        request.extensions_mut().insert(place);
    }
    let response = span.during(next.run(request)).await;
    let status = response.status().as_u16();
    span.answered(status);
    let route = route.unwrap_or("none");
    measured
        .metrics
        .requested(method, route, status, begun.elapsed());
    response
}

/// A method's name. One of its own may be any text.
pub(super) fn method_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// Answers an operator with all metrics. Each request must carry a [`Caller`] in its extensions.
pub(super) async fn show(
    State(measured): State<Arc<Measured>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    if !access::is_operator(&caller) {
        let text = "the metrics are for tokens of the role operator for all users\n";
        let mut refused = (StatusCode::FORBIDDEN, text).into_response();
        refused.extensions_mut().insert(RefusedAs("forbidden"));
        return refused;
    }
    match measured.text().await {
        Ok(text) => ([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Measured {
    /// All metrics as text.
    pub(super) async fn text(&self) -> Result<String, std::fmt::Error> {
        self.metrics.text(&self.levels().await)
    }

    async fn levels(&self) -> Levels {
        let memories = self.server.memories();
        let shares = self.shares.levels(self.sessions.level());
        let failures = self.access.failures();
        let zep = memories.stats();
        let queue = memories.queued().await.and_then(Result::ok);
        let migrations = self.server.moves().runs().counts();
        let (audit_failing, audit_waiting) = audit_levels(self.server.trail());
        Levels {
            auth_refused: failures.refused,
            auth_throttled: failures.throttled,
            requests_refused: shares.refused,
            connections_cut: shares.cut,
            migrations_done: migrations.done,
            migrations_failed: migrations.failed,
            migrations_stopped: migrations.stopped,
            connections_open: shares.connections.now as u64,
            sessions_open: shares.sessions.now as u64,
            calls_in_flight: shares.calls.now as u64,
            unread_bytes: shares.unread_bytes.now as u64,
            migrations_running: migrations.running,
            audit_failing,
            audit_waiting,
            zep_requests: zep.map(|zep| zep.requests),
            zep_retries: zep.map(|zep| zep.retries),
            zep_resent_writes: zep.map(|zep| zep.resent),
            zep_wait_seconds: zep.map(|zep| zep.waited.as_secs_f64()),
            zep_rate_limit: zep.and_then(|zep| zep.per_minute),
            zep_rate_limit_left: zep.and_then(|zep| zep.left_this_minute),
            queue_waiting: queue.as_ref().map(|queue| queue.waiting),
            queue_refused: queue.as_ref().map(|queue| queue.refused),
            queue_oldest_age_seconds: queue.map(|queue| {
                let age = queue
                    .oldest
                    .map(|oldest| Timestamp::now().duration_since(oldest));
                age.map_or(0.0, |age| age.as_secs_f64().max(0.0))
            }),
            resident_bytes: resident_bytes().await,
        }
    }
}

fn audit_levels(trail: &Trail) -> (u64, u64) {
    match trail.state() {
        TrailState::Off | TrailState::Well => (0, 0),
        TrailState::Failing { waiting, .. } => (1, waiting as u64),
    }
}

/// The resident memory of this process, where the system tells it in `/proc` (Linux: proc(5), VmRSS in
/// kB).
async fn resident_bytes() -> Option<u64> {
    let status = tokio::fs::read_to_string("/proc/self/status").await.ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}
