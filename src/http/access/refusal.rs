//! Why a request is not let in, as HTTP says it (RFC 6750).

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why a request is not let in. Says nothing of what would have been right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It shows no token.
    Missing,
    /// What it shows is no bearer token.
    Malformed,
    /// Its token is none of ours, or no longer.
    Invalid,
    /// Its token is good, and says of nothing here that its holder may do it.
    Nothing,
    /// Too many wrong tokens came from its address: to be tried again after this.
    HeldBack(Duration),
    /// Whether its token is good cannot be found out now.
    Unknowable,
    /// It comes from another machine, and no authentication is configured.
    Foreign,
}

/// When to come back where it cannot be found out whether a token is good. Ours.
const UNKNOWABLE_FOR: Duration = Duration::from_secs(5);

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Missing | Self::Invalid => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Nothing | Self::Foreign => StatusCode::FORBIDDEN,
            Self::HeldBack(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unknowable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// RFC 6750's word for it. A request that shows no token is told none (RFC 6750, 3.1).
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Malformed => Some("invalid_request"),
            Self::Invalid => Some("invalid_token"),
            Self::Nothing => Some("insufficient_scope"),
            Self::Missing | Self::HeldBack(_) | Self::Unknowable | Self::Foreign => None,
        }
    }

    /// Our word for it, in answers and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Missing => "unauthenticated",
            Self::Foreign => "forbidden",
            Self::HeldBack(_) => "too_many_attempts",
            Self::Unknowable => "unavailable",
            Self::Malformed => "invalid_request",
            Self::Invalid => "invalid_token",
            Self::Nothing => "insufficient_scope",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Missing => {
                "this server wants a token: send `Authorization: Bearer <token>`; whoever runs it \
                 gives them out"
            }
            Self::Malformed => {
                "send one `Authorization` header: `Bearer`, a space, and the token as it was given \
                 out"
            }
            Self::Invalid => "this token is not known here, expired, or was taken back",
            Self::Nothing => {
                "this token does not say whose memories its holder may reach, or as what"
            }
            Self::HeldBack(_) => {
                "too many wrong tokens came from this address; wait, and try again"
            }
            Self::Unknowable => {
                "whether this token is good cannot be found out at the moment; try again soon"
            }
            Self::Foreign => {
                "this server has no authentication configured, and so serves its own machine only"
            }
        }
    }

    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::HeldBack(wait) => Some(wait),
            Self::Unknowable => Some(UNKNOWABLE_FOR),
            _ => None,
        }
    }

    /// The answer. `metadata` is where clients learn who signs tokens, `scope` what they must ask
    /// for.
    pub(super) fn into_response(self, metadata: Option<&str>, scope: &str) -> Response {
        let body = Json(json!({ "error": self.name(), "detail": self.detail() }));
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenges = matches!(
            self,
            Self::Missing | Self::Malformed | Self::Invalid | Self::Nothing
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
            // Made of words of ours and an address, which has no other characters.
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
