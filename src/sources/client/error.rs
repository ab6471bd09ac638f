//! Errors of calls.

use std::io;
use std::time::Duration;

use crate::sources::ReadError;

/// A failed call to a service, which `service` names. The texts say what went wrong and what to change, and never hold the key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The address, the key or a time-out cannot be used. Nothing was sent.
    #[error("the {field} of {service} {problem}")]
    Settings {
        /// Which service.
        service: &'static str,
        /// Which of them.
        field: &'static str,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// 401 or 403.
    #[error("{service} refused the key ({status}): {message}")]
    Unauthorized {
        /// Which service.
        service: &'static str,
        /// The HTTP status.
        status: u16,
        /// The service's explanation.
        message: String,
    },
    /// 404.
    #[error("{service} has no such resource (404): {message}")]
    NotFound {
        /// Which service.
        service: &'static str,
        /// The service's explanation.
        message: String,
        /// Whether an earlier attempt may have been carried out.
        in_doubt: bool,
    },
    /// Another 4xx, or a redirect.
    #[error("{service} refused the request ({status}): {message}")]
    Refused {
        /// Which service.
        service: &'static str,
        /// The HTTP status.
        status: u16,
        /// The service's explanation.
        message: String,
    },
    /// 429, still after waiting.
    #[error("{service}'s rate limit is used up (429), still after waiting for {} seconds; try again later", .waited.as_secs())]
    RateLimited {
        /// Which service.
        service: &'static str,
        /// How long this call waited in all.
        waited: Duration,
        /// How long until it may be accepted, if the service said so.
        retry_after: Option<Duration>,
        /// Whether an earlier attempt may have been carried out.
        in_doubt: bool,
    },
    /// 5xx, still after trying again.
    #[error("{service} failed ({status}): {message}; try again later")]
    Failed {
        /// Which service.
        service: &'static str,
        /// The HTTP status.
        status: u16,
        /// The service's explanation.
        message: String,
    },
    /// The connection failed or broke, or the time ran out.
    #[error("no answer from {service} at {host}: {message}")]
    NoAnswer {
        /// Which service.
        service: &'static str,
        /// Scheme and host.
        host: String,
        /// The cause.
        message: String,
        /// Whether the request, or an earlier attempt of it, may have been carried out: false where
        /// no connection could be made.
        in_doubt: bool,
    },
    /// A success with a body that the service does not document.
    #[error("{service}'s answer cannot be read: {message}")]
    BadAnswer {
        /// Which service.
        service: &'static str,
        /// What is wrong, without the content.
        message: String,
        /// Whether it may be better the next time.
        transient: bool,
        /// Whether it is more than is read: half of it may be had.
        is_too_large: bool,
    },
}

impl Error {
    /// A name for its kind.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "invalid_settings",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound { .. } => "not_found",
            Self::Refused { .. } => "invalid_request",
            Self::RateLimited { .. } => "rate_limited",
            Self::Failed { .. } => "upstream_failed",
            Self::NoAnswer { .. } => "no_answer",
            Self::BadAnswer { .. } => "bad_answer",
        }
    }

    /// Whether the next try may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::NoAnswer { .. } => true,
            Self::BadAnswer { transient, .. } => *transient,
            Self::Settings { .. }
            | Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::RateLimited { .. } => false,
        }
    }

    /// Whether the service may have carried the request out, although the call failed.
    pub(crate) fn is_in_doubt(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::BadAnswer { .. } => true,
            Self::NotFound { in_doubt, .. }
            | Self::NoAnswer { in_doubt, .. }
            | Self::RateLimited { in_doubt, .. } => *in_doubt,
            Self::Settings { .. } | Self::Unauthorized { .. } | Self::Refused { .. } => false,
        }
    }

    /// This error of the last attempt, where an earlier one may have been carried out.
    pub(super) fn after_doubt(mut self) -> Self {
        if let Self::NotFound { in_doubt, .. }
        | Self::NoAnswer { in_doubt, .. }
        | Self::RateLimited { in_doubt, .. } = &mut self
        {
            *in_doubt = true;
        }
        self
    }

    /// Whether the service as a whole did not do its part, so that other calls are likely to fail, too.
    pub(crate) fn is_of_the_service(&self) -> bool {
        matches!(
            self,
            Self::Failed { .. } | Self::NoAnswer { .. } | Self::RateLimited { .. }
        )
    }
}

/// The service as a whole cannot be read.
impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Io(io::Error::other(error))
    }
}

/// The result of a call.
pub(in crate::sources) type Result<T> = std::result::Result<T, Error>;
