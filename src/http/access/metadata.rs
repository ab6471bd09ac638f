//! Where hosts learn who signs tokens for this server (RFC 9728).

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::header, response::IntoResponse, routing::get};
use reqwest::Url;
use serde_json::{Value, json};

use super::{Access, claims::SCOPES};
use crate::config::OauthSettings;

/// Where a server says what protects it (RFC 9728, 3).
pub(super) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The address of the metadata of a resource: its path stands behind ours (RFC 9728, 3.1).
pub(super) fn address(resource: &Url) -> String {
    let mut address = resource.clone();
    let path = resource.path().trim_end_matches('/');
    address.set_path(&format!("{WELL_KNOWN}{path}"));
    address.set_query(None);
    address.into()
}

/// All scopes that are known, as a challenge lists them.
pub(super) fn scopes() -> Vec<&'static str> {
    SCOPES.iter().map(|(scope, _)| *scope).collect()
}

fn document(settings: &OauthSettings) -> Value {
    json!({
        "resource": settings.resource.as_str(),
        "resource_name": env!("CARGO_PKG_NAME"),
        "authorization_servers": [settings.issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": scopes(),
    })
}

/// `GET /.well-known/oauth-protected-resource`, and the same with a path behind it (`/mcp`): who
/// signs tokens for this server. They need no token. Without an issuer there are none (404).
pub fn protected_resource(access: Arc<Access>) -> Router {
    if access.issuer().is_none() {
        return Router::new();
    }
    Router::new()
        .route(WELL_KNOWN, get(answer))
        .route(&format!("{WELL_KNOWN}/{{*path}}"), get(answer))
        .with_state(access)
}

async fn answer(State(access): State<Arc<Access>>) -> impl IntoResponse {
    let document = access.issuer().map(document).unwrap_or_default();
    (
        [
            (header::CACHE_CONTROL, "public, max-age=300"),
            // It is for everybody, and browsers' clients need it, too.
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        ],
        Json(document),
    )
}
