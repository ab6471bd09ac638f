//! Whether the server is alive, and whether it can do its work.

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
/// How long an answer counts: whoever asks often does not make us ask the backend often.
const COUNTS_FOR: Duration = Duration::from_secs(5);

/// Looks whether the backend answers.
#[derive(Debug)]
pub(super) struct Health {
    zep: Arc<dyn Zep>,
    /// Held while it is looked, so that it is asked once, however many want to know.
    last: Mutex<Option<(Instant, Result<(), &'static str>)>>,
}

impl Health {
    pub fn new(zep: Arc<dyn Zep>) -> Arc<Self> {
        Arc::new(Self {
            zep,
            last: Mutex::new(None),
        })
    }

    async fn look(&self) -> Result<(), &'static str> {
        let mut last = self.last.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < COUNTS_FOR
        {
            return *found;
        }
        // Only what kind of failure it is: whoever asks has shown no token.
        let found = match tokio::time::timeout(WITHIN, self.zep.project()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.code()),
            Err(_) => Err("no_answer"),
        };
        if let Err(reason) = found {
            tracing::warn!(reason, "not ready: the backend cannot be used");
        }
        *last = Some((Instant::now(), found));
        found
    }
}

/// What is told of the server's state.
#[derive(Debug, Serialize)]
pub(super) struct Condition {
    status: &'static str,
    backend: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// `/health`: it answers, so it is alive.
pub(super) async fn alive(State(health): State<Arc<Health>>) -> Json<Condition> {
    Json(Condition {
        status: "ok",
        backend: health.zep.backend(),
        reason: None,
    })
}

/// `/ready`: 200 if the backend answers too, else 503 with the reason as a short, stable name.
pub(super) async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, Json<Condition>) {
    let found = health.look().await;
    let (code, status) = match found {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let condition = Condition {
        status,
        backend: health.zep.backend(),
        reason: found.err(),
    };
    (code, Json(condition))
}
