//! The HTTP responses to requests that are not authenticated (RFC 6750).

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why a request is refused. Reveals nothing about valid tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Refusal {
    /// It has no token.
    Missing,
    /// Its `Authorization` header is not a bearer token.
    Malformed,
    /// Its token is unknown, expired or revoked.
    InvalidToken,
    /// Its token is valid, but grants nothing here.
    InsufficientScope,
    /// Too many wrong tokens came from its address; it may be retried after this time.
    Throttled(Duration),
    /// Its token cannot be verified now.
    Unavailable,
    /// It comes from another machine, and no authentication is configured.
    RemoteWithoutAuth,
}

/// When to retry if a token cannot be verified. Ours.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(5);

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::InsufficientScope | Self::RemoteWithoutAuth => StatusCode::FORBIDDEN,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error code of RFC 6750; none for a request without a token (RFC 6750, 3.1).
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Malformed => Some("invalid_request"),
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::Missing | Self::Throttled(_) | Self::Unavailable | Self::RemoteWithoutAuth => {
                None
            }
        }
    }

    /// Our name for it, in responses and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Missing => "unauthenticated",
            Self::RemoteWithoutAuth => "forbidden",
            Self::Throttled(_) => "too_many_attempts",
            Self::Unavailable => "unavailable",
            Self::Malformed => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Missing => {
                "this server needs a token: send `Authorization: Bearer <token>`; its operator \
                 issues them"
            }
            Self::Malformed => {
                "send one `Authorization` header: `Bearer`, a space, and the token as it was \
                 issued"
            }
            Self::InvalidToken => "this token is unknown, expired or revoked",
            Self::InsufficientScope => {
                "this token grants no role here, or no user's or agent's memories"
            }
            Self::Throttled(_) => {
                "too many wrong tokens came from this address; wait and try again"
            }
            Self::Unavailable => "this token cannot be verified at the moment; try again soon",
            Self::RemoteWithoutAuth => {
                "this server has no authentication configured, so it serves its own machine only"
            }
        }
    }

    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Throttled(wait) => Some(wait),
            Self::Unavailable => Some(UNAVAILABLE_FOR),
            _ => None,
        }
    }

    /// The response. `metadata` is the address of the OAuth metadata, `scope` what clients must
    /// request.
    pub(super) fn into_response(self, metadata: Option<&str>, scope: &str) -> Response {
        let body = Json(json!({ "error": self.name(), "detail": self.detail() }));
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenges = matches!(
            self,
            Self::Missing | Self::Malformed | Self::InvalidToken | Self::InsufficientScope
        );
        if challenges {
            let mut parameters = Vec::new();
            if let Some(code) = self.code() {
                parameters.push(format!("error=\"{code}\""));
            }
            if let Some(metadata) = metadata {
                parameters.push(format!("scope=\"{scope}\""));
                parameters.push(format!("resource_metadata=\"{metadata}\""));
            }
            let challenge = format!("Bearer {}", parameters.join(", "));
            // Our words and an address are valid header text.
            if let Ok(challenge) = HeaderValue::from_str(challenge.trim_end()) {
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
        }
        if let Some(wait) = self.retry_after() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
