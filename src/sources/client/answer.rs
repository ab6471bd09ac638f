//! Reading answers, within bounds, and what they say of a failure.

use reqwest::Response;
use serde_json::Value;

use super::{Error, Http, Result};
use crate::json::{Bounds, JsonError};
use crate::outgoing::{root_cause, shortened};

/// The largest answer that is read, in bytes. Ours: 200 memories of 300 KB each.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// The largest explanation of an error that is read, in bytes. Ours.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The bounds of an answer: the largest one full of the shortest values of a memory.
pub(super) static ANSWER: Bounds = Bounds {
    depth: 120,
    values: MAX_ANSWER_BYTES / 16,
    parts: &[],
};

impl Http {
    /// The whole body of a success.
    pub(super) async fn body(&self, mut response: Response) -> Result<Vec<u8>> {
        let too_large = || Error::BadAnswer {
            service: self.service,
            message: format!("it is larger than {} MiB", MAX_ANSWER_BYTES >> 20),
            transient: false,
            is_too_large: true,
        };
        if response
            .content_length()
            .is_some_and(|length| length > MAX_ANSWER_BYTES as u64)
        {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.broken(&error))?
        {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The error of a status other than success.
    pub(super) async fn refused(&self, response: Response) -> Error {
        let status = response.status();
        let message = self.explanation(response).await;
        let service = self.service;
        match status.as_u16() {
            status @ (401 | 403) => Error::Unauthorized {
                service,
                status,
                message,
            },
            404 => Error::NotFound {
                service,
                message,
                in_doubt: false,
            },
            status @ 300..=399 => Error::Refused {
                service,
                status,
                message: format!(
                    "it points to another address, which is not followed with a key; check the \
                     address of {service}"
                ),
            },
            status @ (408 | 500..=599) => Error::Failed {
                service,
                status,
                message,
            },
            status => Error::Refused {
                service,
                status,
                message,
            },
        }
    }

    /// The service's explanation, in one of the fields in which mem0 and Qdrant give them. Other bodies come from a
    /// gateway and are not repeated.
    async fn explanation(&self, mut response: Response) -> String {
        let status = response.status();
        let mut body = Vec::new();
        // The status counts even if the explanation breaks off.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR_BYTES {
                break;
            }
        }
        let said = serde_json::from_slice::<Value>(&body).ok();
        let said = said.as_ref().and_then(|said| {
            ["/detail", "/error", "/message", "/status/error"]
                .iter()
                .find_map(|field| said.pointer(field)?.as_str())
                .map(str::trim)
                .filter(|text| !text.is_empty())
        });
        match said {
            Some(said) => shortened(&self.shown(said)),
            None => status
                .canonical_reason()
                .unwrap_or("no explanation")
                .to_lowercase(),
        }
    }

    pub(super) fn unreadable(&self, body: &[u8], error: &JsonError) -> Error {
        let message = match error {
            JsonError::TooMuch(exceeded) => return self.bad_answer(exceeded.to_string()),
            _ if body.trim_ascii_start().starts_with(b"<") => {
                format!("it is HTML; check the address of {}", self.service)
            }
            JsonError::Encoding(_) => error.to_string(),
            // The parser's own text may repeat content.
            JsonError::Json(error) if error.is_eof() => "it is JSON that breaks off".to_owned(),
            JsonError::Json(error) => format!(
                "it is not the JSON that {} documents (line {}, column {})",
                self.service,
                error.line(),
                error.column()
            ),
        };
        Error::BadAnswer {
            service: self.service,
            message,
            transient: true,
            is_too_large: false,
        }
    }

    /// A success that will be no better the next time.
    pub(super) fn bad_answer(&self, message: String) -> Error {
        Error::BadAnswer {
            service: self.service,
            message,
            transient: false,
            is_too_large: false,
        }
    }

    /// The error of a connection that could not be made, or that failed.
    pub(super) fn broken(&self, error: &reqwest::Error) -> Error {
        let message = match error.is_timeout() {
            true => format!("none within {} seconds", self.limits.timeout.as_secs_f64()),
            false => shortened(&self.shown(&root_cause(error))),
        };
        Error::NoAnswer {
            service: self.service,
            host: self.host(),
            message,
            in_doubt: !error.is_connect(),
        }
    }
}
