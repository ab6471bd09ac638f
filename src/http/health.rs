//! Health checks: liveness (`/health`) and readiness (`/ready`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::zep::Zep;

/// How long the backend may take to answer.
const WITHIN: Duration = Duration::from_secs(3);
/// How long a result is reused, so that frequent checks do not load the backend.
const REUSED_FOR: Duration = Duration::from_secs(5);

/// The state of the health checks.
#[derive(Debug)]
pub(super) struct Health {
    zep: Arc<dyn Zep>,
    /// Locked during a check, so that concurrent requests share one.
    last: Mutex<Option<(Instant, Result<(), &'static str>)>>,
}

impl Health {
    pub(super) fn new(zep: Arc<dyn Zep>) -> Arc<Self> {
        Arc::new(Self {
            zep,
            last: Mutex::new(None),
        })
    }

    async fn check(&self) -> Result<(), &'static str> {
        let mut last = self.last.lock().await;
        if let Some((at, result)) = &*last
            && at.elapsed() < REUSED_FOR
        {
            return *result;
        }
        // Only the kind of failure: these routes need no token.
        let result = match tokio::time::timeout(WITHIN, self.zep.project()).await {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// `/health`: the server is alive if it answers.
pub(super) async fn alive(State(health): State<Arc<Health>>) -> Json<HealthStatus> {
    Json(HealthStatus {
        status: "ok",
        backend: health.zep.backend(),
        reason: None,
    })
}

/// `/ready`: 200 if the backend answers too, else 503 with the reason as a short, stable name.
pub(super) async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, Json<HealthStatus>) {
    let result = health.check().await;
    let (code, status) = match result {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = HealthStatus {
        status,
        backend: health.zep.backend(),
        reason: result.err(),
    };
    (code, Json(body))
}
