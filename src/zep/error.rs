//! Errors of calls to a backend, and what each says about the outcome of a write.

use std::time::Duration;

/// What is known about a write that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Zep did not process it: it is safe to send again.
    NotSent,
    /// Zep processed and refused it: sending it again changes nothing.
    Refused,
    /// Zep may or may not have carried it out: look before sending it again.
    Unknown,
}

/// A failed call to Zep Cloud or the embedded Zep.
///
/// The texts say what went wrong and what to change. They include Zep's own explanation, shortened,
/// and never a key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// 401 or 403: the key is missing, wrong, or may not do this.
    #[error(
        "Zep refused the API key ({status}): {message}; check ZEP_API_KEY at https://app.getzep.com"
    )]
    Unauthorized {
        /// The HTTP status.
        status: u16,
        /// Zep's explanation.
        message: String,
    },
    /// 404: there is no such user, thread, episode …
    #[error("Zep has no such resource: {message}")]
    NotFound {
        /// Zep's explanation.
        message: String,
    },
    /// It exists already, or its state does not allow this.
    #[error("Zep reports a conflict: {message}")]
    Conflict {
        /// The HTTP status: 409, or 400 where Zep says so in words.
        status: u16,
        /// Zep's explanation.
        message: String,
    },
    /// Another 4xx: what was sent is not acceptable.
    #[error("Zep refused the request ({status}): {message}")]
    Invalid {
        /// The HTTP status.
        status: u16,
        /// Zep's explanation.
        message: String,
    },
    /// 429, still after waiting.
    #[error("Zep's rate limit is used up: {message}; try again{}", in_seconds(.retry_after))]
    RateLimited {
        /// How long Zep asks to wait.
        retry_after: Option<Duration>,
        /// Zep's explanation.
        message: String,
    },
    /// The connection failed, so nothing was sent.
    #[error("Failed to connect to Zep at {host}: {message}; check ZEP_API_URL and your network")]
    Connect {
        /// Scheme and host that were tried.
        host: String,
        /// The cause.
        message: String,
    },
    /// The caller cancelled before this was sent.
    #[error("The call was cancelled before this was sent")]
    Cancelled,
    /// Earlier writes or deletions of the same session or owner did not finish in time, so this one
    /// was not started.
    #[error(
        "Earlier calls for this session or user still wait for Zep, and nothing of this call was \
         sent; try again later"
    )]
    Busy,
    /// The connection broke or the time ran out after the request was sent.
    #[error("No answer from Zep: {message}; whether it was carried out is not known")]
    NoAnswer {
        /// The cause.
        message: String,
    },
    /// 5xx: Zep failed.
    #[error("Zep failed ({status}): {message}; try again later")]
    Upstream {
        /// The HTTP status.
        status: u16,
        /// Zep's explanation.
        message: String,
    },
    /// A success with a body that Zep does not document.
    #[error("Zep's answer could not be read: {message}")]
    BadAnswer {
        /// What is wrong, without the content.
        message: String,
    },
    /// The embedded store's file could not be read or written.
    #[error("The memory file {path} cannot be used: {message}")]
    Storage {
        /// The file.
        path: String,
        /// What happened and what to do.
        message: String,
    },
}

impl Error {
    /// What is known about a write that failed with this error.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::RateLimited { .. } | Self::Connect { .. } | Self::Cancelled | Self::Busy => {
                Outcome::NotSent
            }
            Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Invalid { .. } => Outcome::Refused,
            // The embedded store rolls a failed transaction back.
            Self::Storage { .. } => Outcome::Refused,
            Self::NoAnswer { .. } | Self::Upstream { .. } | Self::BadAnswer { .. } => {
                Outcome::Unknown
            }
        }
    }

    /// A short, stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::Invalid { .. } => "invalid_request",
            Self::RateLimited { .. } => "rate_limited",
            Self::Connect { .. } => "connect_failed",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
            Self::NoAnswer { .. } => "no_answer",
            Self::Upstream { .. } => "zep_failed",
            Self::BadAnswer { .. } => "bad_answer",
            Self::Storage { .. } => "storage_failed",
        }
    }

    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized { status, .. }
            | Self::Conflict { status, .. }
            | Self::Invalid { status, .. }
            | Self::Upstream { status, .. } => Some(*status),
            Self::NotFound { .. } => Some(404),
            Self::RateLimited { .. } => Some(429),
            Self::Connect { .. }
            | Self::Cancelled
            | Self::Busy
            | Self::NoAnswer { .. }
            | Self::BadAnswer { .. }
            | Self::Storage { .. } => None,
        }
    }

    /// Whether the resource does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the resource exists already.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

fn in_seconds(wait: &Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| {
        format!(" in {} seconds", wait.as_secs().max(1))
    })
}

/// The result of a call to a backend.
pub type Result<T> = std::result::Result<T, Error>;
