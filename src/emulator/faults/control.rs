//! `/_emulator`: the plan, the switches and the counts, for tests.
//!
//! It is only served to this machine, needs no key, is not counted, and has no faults.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONNECTION, HeaderValue};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::connections::Peer;
use super::plan::{OneShot, Plan};
use super::state::{Faults, Stats};
use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::Body;
use crate::local::{Behavior, LocalZep};

/// The default duration of a restart, in milliseconds.
const DEFAULT_DOWN_MS: u32 = 100;

/// The routes of `/_emulator`.
pub(in crate::emulator) fn routes(faults: Arc<Faults>, zep: Arc<LocalZep>) -> Router {
    let switches = Router::new()
        .route(
            "/behavior",
            get(behavior).put(set_behavior).patch(change_behavior),
        )
        .with_state(zep);
    Router::new()
        .route("/faults", get(plan).put(set_plan).patch(change_plan))
        .route("/faults/next", post(order))
        .route("/restart", post(restart))
        .route("/stats", get(stats))
        .route("/reset-stats", post(reset_stats))
        .with_state(faults)
        .merge(switches)
        .layer(from_fn(only_local))
}

/// 404 for other machines.
async fn only_local(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    if peer.is_some_and(|ConnectInfo(peer)| peer.is_loopback()) {
        next.run(request).await
    } else {
        ApiError::not_found("route not found").into_response()
    }
}

async fn plan(State(faults): State<Arc<Faults>>) -> Json<Plan> {
    Json(faults.plan())
}

/// Replaces the plan; fields that are not named get their defaults.
async fn set_plan(
    State(faults): State<Arc<Faults>>,
    Body(body): Body<Value>,
) -> ApiResult<Json<Plan>> {
    faults.set_plan(read(body)?);
    Ok(Json(faults.plan()))
}

/// Changes fields of the plan; null sets the default.
async fn change_plan(
    State(faults): State<Arc<Faults>>,
    Body(patch): Body<Map<String, Value>>,
) -> ApiResult<Json<Plan>> {
    let now = Plan {
        // Only a seed in the patch restarts the random draws.
        seed: None,
        ..faults.plan()
    };
    faults.set_plan(changed(&now, patch)?);
    Ok(Json(faults.plan()))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Orders {
    Many(Vec<Value>),
    One(Value),
}

/// Orders faults for the next matching calls.
async fn order(
    State(faults): State<Arc<Faults>>,
    Body(orders): Body<Orders>,
) -> ApiResult<Json<Plan>> {
    let orders = match orders {
        Orders::Many(orders) => orders,
        Orders::One(order) => vec![order],
    };
    let orders = orders
        .into_iter()
        .map(read)
        .collect::<ApiResult<Vec<OneShot>>>()?;
    faults.order(orders);
    Ok(Json(faults.plan()))
}

async fn behavior(State(zep): State<Arc<LocalZep>>) -> Json<Behavior> {
    Json(zep.behavior())
}

/// Sets all switches; those that are not named get their defaults.
async fn set_behavior(
    State(zep): State<Arc<LocalZep>>,
    Body(body): Body<Value>,
) -> ApiResult<Json<Behavior>> {
    zep.set_behavior(read(body)?);
    Ok(Json(zep.behavior()))
}

/// Changes the named switches.
async fn change_behavior(
    State(zep): State<Arc<LocalZep>>,
    Body(patch): Body<Map<String, Value>>,
) -> ApiResult<Json<Behavior>> {
    let behavior = changed(&zep.behavior(), patch)?;
    zep.set_behavior(behavior);
    Ok(Json(behavior))
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RestartNow {
    down_ms: u32,
}

impl Default for RestartNow {
    fn default() -> Self {
        Self {
            down_ms: DEFAULT_DOWN_MS,
        }
    }
}

/// Restarts, keeping the data. Answered once all other connections are closed and new ones refused.
async fn restart(
    State(faults): State<Arc<Faults>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(body): Body<Value>,
) -> ApiResult<impl IntoResponse> {
    let RestartNow { down_ms } = read(body)?;
    faults.restart(down_ms, Some(&peer)).await;
    // This connection is kept open for the answer only.
    let close = [(CONNECTION, HeaderValue::from_static("close"))];
    Ok((close, Json(Restarted { down_ms })))
}

#[derive(Serialize)]
struct Restarted {
    down_ms: u32,
}

async fn stats(State(faults): State<Arc<Faults>>) -> Json<Stats> {
    Json(faults.stats())
}

async fn reset_stats(State(faults): State<Arc<Faults>>) -> Json<Stats> {
    faults.reset_stats();
    Json(faults.stats())
}

/// Reads a body; an error names the wrong field.
fn read<T: DeserializeOwned>(value: Value) -> ApiResult<T> {
    serde_path_to_error::deserialize(value).map_err(ApiError::bad_request)
}

/// A value with some of its fields changed; null sets the default.
fn changed<T: Serialize + DeserializeOwned>(now: &T, patch: Map<String, Value>) -> ApiResult<T> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(now) else {
        return Err(ApiError::internal());
    };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    read(fields.into())
}
