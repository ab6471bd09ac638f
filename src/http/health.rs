//! Health checks: liveness (`/health`) and readiness (`/ready`). Operators also see how much of the
//! bounds is taken, and how many writes wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;

use super::access::Access;
use super::mcp_sessions::McpSessions;
use super::shares::{Levels, Shares};
use crate::audit::{State as TrailState, Trail};
use crate::memory::{MemoryService, queue::Counts};

/// How long the backend may take to answer.
const WITHIN: Duration = Duration::from_secs(3);
/// How long a result is reused, so that frequent checks do not load the backend.
const REUSED_FOR: Duration = Duration::from_secs(5);

/// The state of the health checks.
#[derive(Debug)]
pub(super) struct Health {
    memories: MemoryService,
    /// Locked during a check, so that concurrent requests share one.
    last: Mutex<Option<(Instant, Result<(), &'static str>)>>,
    access: Arc<Access>,
    shares: Arc<Shares>,
    sessions: Arc<McpSessions>,
    serves_rest: bool,
    trail: Trail,
}

impl Health {
    pub(super) fn new(
        memories: MemoryService,
        access: Arc<Access>,
        shares: Arc<Shares>,
        sessions: Arc<McpSessions>,
        serves_rest: bool,
        trail: Trail,
    ) -> Arc<Self> {
        Arc::new(Self {
            memories,
            last: Mutex::new(None),
            access,
            shares,
            sessions,
            serves_rest,
            trail,
        })
    }

    fn audit(&self) -> Option<&'static str> {
        match self.trail.state() {
            TrailState::Off | TrailState::Well => None,
            TrailState::Failing { .. } => Some("failing"),
        }
    }

    async fn check(&self) -> Result<(), &'static str> {
        let mut last = self.last.lock().await;
        if let Some((at, result)) = &*last
            && at.elapsed() < REUSED_FOR
        {
            return *result;
        }
        // Only the kind of failure: these routes need no token.
        let result = match tokio::time::timeout(WITHIN, self.memories.check()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.code()),
            Err(_) => Err("no_answer"),
        };
        if let Err(reason) = result {
            tracing::warn!(reason, "not ready: the backend cannot be used");
        }
        *last = Some((Instant::now(), result));
        result
    }
}

/// The body of a health check's response.
#[derive(Debug, Serialize)]
pub(super) struct HealthStatus {
    status: &'static str,
    backend: &'static str,
    /// `failing` while the audit trail cannot be written, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<Levels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueLevels>,
    #[serde(flatten)]
    identity: Option<Identity>,
}

/// What callers of the Memory API expect beside the status.
#[derive(Debug, Serialize)]
struct Identity {
    service: &'static str,
    provider: &'static str,
    version: &'static str,
    timestamp: String,
}

/// How many writes wait until Zep has them.
#[derive(Debug, Serialize)]
struct QueueLevels {
    waiting: u64,
    refused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
}

impl From<Counts> for QueueLevels {
    fn from(counts: Counts) -> Self {
        Self {
            waiting: counts.waiting,
            refused: counts.refused,
            oldest: counts.oldest.map(|time| time.to_string()),
        }
    }
}

/// `/health`: the server is alive if it answers. With the query `shares` it also tells an operator how
/// much of the bounds is taken, and how many writes wait.
pub(super) async fn alive(State(health): State<Arc<Health>>, request: Parts) -> Json<HealthStatus> {
    // Only then, so that a check with a wrong token is no failed attempt.
    let asks = request.uri.query() == Some("shares");
    let (shares, queue) = match asks && health.access.is_operator(&request).await {
        true => (
            Some(health.shares.levels(health.sessions.level())),
            health.memories.queued().await.and_then(Result::ok),
        ),
        false => (None, None),
    };
    let backend = health.memories.backend();
    let identity = health.serves_rest.then(|| Identity {
        service: env!("CARGO_PKG_NAME"),
        provider: backend,
        version: env!("CARGO_PKG_VERSION"),
        timestamp: Timestamp::now().to_string(),
    });
    Json(HealthStatus {
        // The word of MCP's health checks, and that of the Memory API.
        status: if health.serves_rest { "healthy" } else { "ok" },
        backend,
        audit: health.audit(),
        reason: None,
        shares,
        queue: queue.map(QueueLevels::from),
        identity,
    })
}

/// `/ready`: 200 if the backend answers too, else 503 with the reason as a short, stable name.
pub(super) async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, Json<HealthStatus>) {
    // Is tried again, and where it is required, no call is begun.
    let result = match health.trail.ready().await {
        Ok(()) => health.check().await,
        Err(_) => Err("audit_unavailable"),
    };
    let (code, status) = match result {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = HealthStatus {
        status,
        backend: health.memories.backend(),
        audit: health.audit(),
        reason: result.err(),
        shares: None,
        queue: None,
        identity: None,
    };
    (code, Json(body))
}
