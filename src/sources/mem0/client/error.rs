//! Errors of calls to mem0.

use std::time::Duration;

/// A failed call to mem0. The texts say what went wrong and what to change, and never hold the key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The address, the key or a time-out cannot be used. Nothing was sent.
    #[error("the {field} of mem0 {problem}")]
    Settings {
        /// Which of them.
        field: &'static str,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// 401 or 403.
    #[error("mem0 refused the key ({status}): {message}")]
    Unauthorized {
        /// The HTTP status.
        status: u16,
        /// mem0's explanation.
        message: String,
    },
    /// 404.
    #[error("mem0 has no such resource (404): {message}")]
    NotFound {
        /// mem0's explanation.
        message: String,
    },
    /// Another 4xx, or a redirect.
    #[error("mem0 refused the request ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// mem0's explanation.
        message: String,
    },
    /// 429, still after waiting.
    #[error("mem0's rate limit is used up (429), still after waiting for {} seconds; try again later", .waited.as_secs())]
    RateLimited {
        /// How long this call waited in all.
        waited: Duration,
    },
    /// 5xx, still after trying again.
    #[error("mem0 failed ({status}): {message}; try again later")]
    Failed {
        /// The HTTP status.
        status: u16,
        /// mem0's explanation.
        message: String,
    },
    /// The connection failed or broke, or the time ran out.
    #[error("no answer from mem0 at {host}: {message}")]
    NoAnswer {
        /// Scheme and host.
        host: String,
        /// The cause.
        message: String,
    },
    /// A success with a body that mem0 does not document.
    #[error("mem0's answer cannot be read: {message}")]
    BadAnswer {
        /// What is wrong, without the content.
        message: String,
        /// Whether it may be better the next time.
        transient: bool,
    },
}

impl Error {
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

    /// Whether mem0 as a whole did not do its part, so that other calls are likely to fail, too.
    pub(crate) fn is_of_the_service(&self) -> bool {
        matches!(
            self,
            Self::Failed { .. } | Self::NoAnswer { .. } | Self::RateLimited { .. }
        )
    }
}

/// The result of a call to mem0.
pub type Result<T> = std::result::Result<T, Error>;
