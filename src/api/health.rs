//! Whether it is alive, and what it can do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::state::Api;

/// That the server is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// `healthy`: it answers. Whether its backend does, `/ready` tells.
    #[schema(example = "healthy")]
    status: &'static str,
    /// Its name.
    service: &'static str,
    /// Where memories are.
    #[schema(example = "zep")]
    provider: &'static str,
    /// Its version.
    version: &'static str,
    /// Now.
    #[schema(format = DateTime)]
    timestamp: String,
}

impl HealthBody {
    fn of(api: &Api) -> Self {
        Self {
            status: "healthy",
            service: env!("CARGO_PKG_NAME"),
            provider: api.moves.memories().backend(),
            version: env!("CARGO_PKG_VERSION"),
            timestamp: Timestamp::now().to_string(),
        }
    }
}

/// Whether the server is alive
///
/// Needs no token.
#[utoipa::path(
    get, path = "/api/v1/health", tag = "health", operation_id = "health", security(()),
    responses((status = 200, body = HealthBody, description = "It is"))
)]
pub(super) async fn health(api: State<Arc<Api>>) -> Json<HealthBody> {
    Json(HealthBody::of(&api))
}

/// A capability.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ToolBody {
    /// Its name.
    name: String,
    /// The method of its call.
    method: String,
    /// The path of its call.
    path: String,
}

/// What can be called.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToolsBody {
    /// Every call.
    tools: Vec<ToolBody>,
}

/// List what can be called
#[utoipa::path(
    get, path = "/api/memory/tools", tag = "health", operation_id = "list_tools",
    responses((status = 200, body = ToolsBody, description = "Every call"))
)]
pub(super) async fn tools(Extension(calls): Extension<Calls>) -> Json<ToolsBody> {
    let all = calls.0.iter().cloned();
    let tools = all.map(|(name, method, path)| ToolBody { name, method, path });
    Json(ToolsBody {
        tools: tools.collect(),
    })
}

/// Every call: its name, method and path.
#[derive(Debug, Clone)]
pub(super) struct Calls(pub(super) Arc<[(String, String, String)]>);
