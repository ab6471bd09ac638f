//! Progress as it happens: server-sent events of migrations and rollbacks that are under way.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Serialize;
use tokio::time::Instant;

use super::visit::Visit;
use crate::moves::{State, Status, Undoing};

/// How often progress is told. Ours: as often as a person can follow.
const EVERY: Duration = Duration::from_millis(500);
/// How long a stream lasts; browsers open it again. Ours.
const LASTS: Duration = Duration::from_secs(10 * 60);

/// [`Told::kind`] of a migration; that of what undoes one is `rollback`.
pub(super) const MIGRATION: &str = "migration";

/// How far one is. Ids and counts only.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// The id.
    pub(super) run: String,
    /// The id in the ledger, where its report is.
    pub(super) ledger: Option<String>,
    /// [`MIGRATION`] or `rollback`.
    pub(super) kind: &'static str,
    /// Whether it is under way, or how it ended.
    pub(super) state: State,
    /// What it does.
    pub(super) phase: Option<&'static str>,
    /// How much of that is done.
    pub(super) done: Option<u64>,
    /// Of how much.
    pub(super) total: Option<u64>,
}

/// Everything that this process migrates or undoes, the newest first.
pub(super) fn told(visit: &Visit) -> Vec<Told> {
    let moves = &visit.ui.moves;
    let runs = moves.runs().all().into_iter().map(|begun| {
        let Status {
            run,
            state,
            phase,
            done,
            total,
            ..
        } = begun.status();
        Told {
            run,
            ledger: begun.noted_as().map(ToOwned::to_owned),
            kind: MIGRATION,
            state,
            phase,
            done,
            total,
        }
    });
    let undone = moves.rollbacks().all().into_iter();
    let undone = undone.map(|undoing: Arc<Undoing>| {
        let progress = undoing.progress();
        Told {
            run: undoing.run.clone(),
            ledger: Some(undoing.run.clone()),
            kind: "rollback",
            state: undoing.state(),
            phase: progress.map(|progress| progress.phase.as_str()),
            done: progress.map(|progress| progress.done),
            total: progress.and_then(|progress| progress.total),
        }
    });
    undone.chain(runs).collect()
}

/// `GET /ui/migrations/events`.
pub(super) async fn events(visit: Visit) -> Response {
    let streams = Arc::clone(&visit.ui.streams);
    let Ok(place) = streams.try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let ending = visit.host.ending();
    let state = (visit, place, None::<String>, Instant::now());
    let stream = stream::unfold(state, move |(visit, place, mut before, begun)| {
        let ending = ending.clone();
        async move {
            let is_first = before.is_none();
            if !is_first {
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = ending.cancelled() => return None,
                }
            }
            // A stream keeps nobody signed in.
            let lasts = visit.ui.sessions.lasts(&visit.session).await;
            if !lasts || begun.elapsed() >= LASTS {
                return None;
            }
            let text = serde_json::to_string(&told(&visit)).unwrap_or_default();
            let event = match before.as_ref() == Some(&text) {
                // A comment: it shows whether the browser is still there.
                true => Event::default().comment("no change"),
                false => Event::default().event("progress").data(&text),
            };
            before = Some(text);
            Some((Ok::<_, Infallible>(event), (visit, place, before, begun)))
        }
    });
    Sse::new(stream).into_response()
}
