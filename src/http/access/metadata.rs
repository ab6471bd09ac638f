//! The metadata by which clients find the issuer of tokens (RFC 9728).

use axum::{Json, Router, http::header, routing::get};
use reqwest::Url;
use serde_json::json;

use super::claims::SCOPES;
use crate::config::OauthSettings;

/// The route of the metadata (RFC 9728, 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The address of the metadata of a resource: the resource's path comes after the route (RFC 9728,
/// 3.1).
pub(super) fn address(resource: &Url) -> String {
    let mut address = resource.clone();
    let path = resource.path().trim_end_matches('/');
    address.set_path(&format!("{WELL_KNOWN}{path}"));
    address.set_query(None);
    address.into()
}

/// All known scopes, as a challenge lists them.
pub(super) fn scopes() -> Vec<&'static str> {
    SCOPES.iter().map(|(scope, _)| *scope).collect()
}

/// `GET /.well-known/oauth-protected-resource`, also with a path behind it (`/mcp`). Needs no token.
pub(super) fn router(settings: &OauthSettings) -> Router {
    let document = json!({
        "resource": settings.resource.as_str(),
        "resource_name": env!("CARGO_PKG_NAME"),
        "authorization_servers": [settings.issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": scopes(),
    });
    let headers = [
        (header::CACHE_CONTROL, "public, max-age=300"),
        // Clients in browsers need it too.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    let answer = get(async move || (headers, Json(document)));
    Router::new()
        .route(WELL_KNOWN, answer.clone())
        .route(&format!("{WELL_KNOWN}/{{*path}}"), answer)
}
