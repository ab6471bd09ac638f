//! Errors in Zep's own form: a status and `{"message": …}`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::zep;

/// Why the emulator cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The address is taken or may not be used.
    #[error("cannot listen on {address}: {cause}; choose another --host or --port")]
    Bind {
        /// Host and port.
        address: std::net::SocketAddr,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The temporary directory cannot be created.
    #[error("cannot create a temporary directory: {0}; name a file with --data")]
    Temporary(std::io::Error),
    /// The data file cannot be used.
    #[error(transparent)]
    Store(#[from] zep::Error),
    /// The listening socket failed.
    #[error("the emulator stopped listening: {0}")]
    Serve(std::io::Error),
}

/// The answer to a failed call.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    retry_after_secs: Option<u64>,
}

/// The body of an error (zep-cloud 3.30.0, `ApiError`).
#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
}

/// The result of a handler.
pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after_secs: None,
        }
    }

    /// 400.
    pub(super) fn bad_request(problem: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, problem.to_string())
    }

    /// 401, with Zep's message.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized")
    }

    /// 404.
    pub(super) fn not_found(problem: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, problem)
    }

    /// 429: the call was not carried out, and may be sent again after this many seconds.
    pub(super) fn rate_limited(retry_after_secs: u64) -> Self {
        Self {
            retry_after_secs: Some(retry_after_secs),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded")
        }
    }

    /// An error injected by a fault. A 429 may be sent again after a second.
    pub(super) fn failure(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Self::rate_limited(1);
        }
        let reason = status.canonical_reason().unwrap_or("error");
        Self::new(status, reason.to_ascii_lowercase())
    }

    /// 500, without the cause.
    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(ErrorBody {
            message: &self.message,
        });
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after_secs {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<zep::Error> for ApiError {
    fn from(error: zep::Error) -> Self {
        use zep::Error;
        match error {
            Error::NotFound { message } => Self::new(StatusCode::NOT_FOUND, message),
            Error::Unauthorized { status, message }
            | Error::Conflict { status, message }
            | Error::Invalid { status, message }
            | Error::Upstream { status, message } => Self::new(
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                message,
            ),
            Error::RateLimited { retry_after, .. } => {
                Self::rate_limited(retry_after.map_or(1, |wait| wait.as_secs().max(1)))
            }
            Error::Connect { .. }
            | Error::Cancelled
            | Error::Busy
            | Error::NoAnswer { .. }
            | Error::BadAnswer { .. }
            | Error::Storage { .. } => {
                tracing::error!(error = error.code(), "the store failed: {error}");
                Self::internal()
            }
        }
    }
}

impl From<zep::InvalidId> for ApiError {
    fn from(error: zep::InvalidId) -> Self {
        Self::bad_request(error)
    }
}
