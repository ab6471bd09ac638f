//! The answer to a token that has taken its share.

use axum::body::{Body, Bytes};
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Collected, Limited};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::http::audit::RefusedAs;
use crate::http::limits::{MAX_REFUSED_BYTES, REFUSED_WITHIN};

/// JSON-RPC's code of errors that a server defines itself.
const SERVER_ERROR: i64 = -32000;
/// When to retry where it is not known when there is room again.
const SOON_SECS: u64 = 5;

/// Which bound would be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Exceeded {
    /// Connections of the token.
    Connections,
    /// Sessions of the token, all in use.
    Sessions,
    /// Sessions of all tokens, all in use.
    AllSessions,
    /// Calls in flight.
    Calls,
    /// Requests in a minute; so many seconds of it are left.
    CallsPerMinute { left: u64 },
}

impl Exceeded {
    /// Our name for it, in answers and logs.
    fn name(self) -> &'static str {
        match self {
            Self::Connections => "too_many_connections",
            Self::Sessions | Self::AllSessions => "too_many_sessions",
            Self::Calls => "too_many_calls",
            Self::CallsPerMinute { .. } => "too_many_calls_per_minute",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Connections => {
                "this token has as many connections as one may have; close some of them"
            }
            Self::Sessions => {
                "as many sessions of this token are in use as one may have; end some of them"
            }
            Self::AllSessions => {
                "as many sessions are in use as this server allows; try again later"
            }
            Self::Calls => {
                "as many calls of this token are in flight as one may have; wait for some of them"
            }
            Self::CallsPerMinute { .. } => {
                "this token has sent as many requests in this minute as one may send; wait"
            }
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::AllSessions => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn retry_after(self) -> u64 {
        match self {
            Self::CallsPerMinute { left } => left,
            _ => SOON_SECS,
        }
    }

    /// The answer to this message.
    pub(super) fn answer(self, message: &Message) -> Response {
        tracing::debug!(reason = self.name(), "refused a request");
        let body = json!({
            "jsonrpc": "2.0",
            "id": message.id,
            "error": {
                "code": SERVER_ERROR,
                "message": self.detail(),
                "data": {"error": self.name(), "retry_after": self.retry_after()},
            },
        });
        self.answered(&body)
    }

    /// The answer to a call that is no message.
    pub(super) fn answer_call(self) -> Response {
        tracing::debug!(reason = self.name(), "refused a request");
        self.answered(&json!({"error": self.name(), "detail": self.detail()}))
    }

    fn answered(self, body: &Value) -> Response {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (self.status(), headers, body.to_string()).into_response();
        response.extensions_mut().insert(RefusedAs(self.name()));
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, self.retry_after().into());
        if self == Self::Connections {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// What is known of a message that may be refused.
pub(super) struct Message {
    /// Its text, if it is small and arrives soon.
    pub(super) body: Option<Bytes>,
    /// Whether it is a request, and no notification or answer.
    pub(super) is_request: bool,
    /// Its id; null if that is not known.
    id: Value,
}

impl Message {
    /// Reads a message, if it is small.
    pub(super) async fn read(body: Body) -> Self {
        #[derive(Deserialize)]
        struct Parts {
            #[serde(default)]
            id: Value,
            method: Option<IgnoredAny>,
        }
        let read = Limited::new(body, MAX_REFUSED_BYTES).collect();
        let read = tokio::time::timeout(REFUSED_WITHIN, read).await;
        let body = read.ok().and_then(Result::ok).map(Collected::to_bytes);
        let parts = body
            .as_ref()
            .and_then(|body| serde_json::from_slice::<Parts>(body).ok());
        let (id, is_request) = match parts {
            Some(Parts { id, method }) => {
                let is_request = method.is_some() && !id.is_null();
                (id, is_request)
            }
            None => (Value::Null, true),
        };
        Self {
            body,
            is_request,
            id: match id {
                Value::String(_) | Value::Number(_) => id,
                _ => Value::Null,
            },
        }
    }
}
