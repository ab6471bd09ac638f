//! Applies faults to calls.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::sleep;

use super::connections::Peer;
use super::plan::Fault;
use super::responses;
use super::state::{Decision, Faults};
use crate::emulator::error::ApiError;
use crate::emulator::wire::MAX_BODY_BYTES;

/// Routes that read, although their method is POST.
const READS: [&str; 7] = [
    "/api/v2/graph/search",
    "/api/v2/graph/episodes/user/{user_id}",
    "/api/v2/graph/episodes/graph/{graph_id}",
    "/api/v2/graph/edge/user/{user_id}",
    "/api/v2/graph/edge/graph/{graph_id}",
    "/api/v2/graph/node/user/{user_id}",
    "/api/v2/graph/node/graph/{graph_id}",
];

/// Applies the call's faults, if it has any.
pub(in crate::emulator) async fn inject(
    State(faults): State<Arc<Faults>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(MatchedPath::as_str);
    let method = request.method();
    let is_write = is_write(method, route);
    let Some(decision) = faults.decide(method, request.uri().path(), route, is_write) else {
        return next.run(request).await;
    };
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let Some(ConnectInfo(peer)) = peer.cloned() else {
        return ApiError::internal().into_response();
    };
    // From here on the whole call has arrived, and is carried out even if the client disconnects.
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            .into_response();
    };
    let request = Request::from_parts(head, Body::from(body));
    let work = act(Arc::clone(&faults), decision, peer, request, next);
    faults
        .tasks
        .spawn(work)
        .await
        .unwrap_or_else(|_| ApiError::internal().into_response())
}

fn is_write(method: &Method, route: Option<&str>) -> bool {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => false,
        Method::POST => route.is_some_and(|route| !READS.contains(&route)),
        _ => true,
    }
}

async fn act(
    faults: Arc<Faults>,
    mut decision: Decision,
    peer: Peer,
    request: Request,
    next: Next,
) -> Response {
    let half = decision.latency / 2;
    pause(half).await;
    let response = match decision.fault {
        None | Some(Fault::Latency { .. }) => next.run(request).await,
        Some(Fault::Fail { status }) => ApiError::failure(status.into()).into_response(),
        Some(Fault::RateLimit { retry_after_secs }) => {
            ApiError::rate_limited(retry_after_secs.into()).into_response()
        }
        Some(Fault::DropRequest) => unanswered(&peer),
        Some(Fault::LateWrite { ms }) => {
            let wait = Duration::from_millis(ms.into());
            faults.late_writes.push(wait, request, next);
            unanswered(&peer)
        }
        Some(Fault::DropAnswer) => {
            next.run(request).await;
            pause(half).await;
            return unanswered(&peer);
        }
        Some(Fault::FailAfter { status }) => {
            next.run(request).await;
            ApiError::failure(status.into()).into_response()
        }
        Some(Fault::HalfAnswer) => responses::truncated(next.run(request).await).await,
        Some(Fault::GarbageAnswer { body }) => {
            responses::garbage(next.run(request).await, body, &mut decision.rng)
        }
        Some(Fault::SlowBody { ms }) => {
            let time = Duration::from_millis(ms.into());
            responses::slow(next.run(request).await, time).await
        }
    };
    pause(half).await;
    response
}

/// Closes the connection, so that this response is never sent.
fn unanswered(peer: &Peer) -> Response {
    peer.disconnect();
    ApiError::internal().into_response()
}

async fn pause(time: Duration) {
    // Even a zero sleep waits for a timer tick of a millisecond.
    if !time.is_zero() {
        sleep(time).await;
    }
}
