//! Answers, and the errors that failed exchanges become.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::Connection;
use crate::outgoing::{root_cause, shortened, wait_asked_for};
use crate::zep::error::{Error, Outcome};

/// The largest answer that is read, in bytes. Ours: a thousand messages of full length are less,
/// even with each character escaped.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// The largest explanation of an error that is read, in bytes. Ours.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// A failed attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) error: Error,
    /// How long Zep asks to wait before the next one.
    pub(super) retry_after: Option<Duration>,
    /// A retry cannot help.
    pub(super) hopeless: bool,
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
            hopeless: false,
        }
    }
}

impl Attempt {
    pub(super) fn outcome(&self) -> Outcome {
        self.error.outcome()
    }
}

/// The error of a broken exchange: if the connection failed, nothing was sent.
pub(super) fn broken(error: &reqwest::Error, connection: &Connection) -> Error {
    if error.is_builder() {
        return Error::Invalid {
            status: 400,
            message: "the request could not be built".into(),
        };
    }
    let message = match error.is_timeout() {
        true if error.is_connect() => format!(
            "no connection within {} seconds",
            seconds(connection.connect_timeout())
        ),
        true => format!("none within {} seconds", seconds(connection.timeout())),
        false => shortened(&connection.without_key(&root_cause(error))),
    };
    if error.is_connect() {
        Error::Connect {
            host: connection.host(),
            message,
        }
    } else {
        Error::NoAnswer { message }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// The whole body of a success.
///
/// # Errors
/// If it breaks off, or is larger than [`MAX_ANSWER_BYTES`].
pub(super) async fn body(
    mut response: Response,
    connection: &Connection,
) -> Result<Vec<u8>, Attempt> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| broken(&error, connection))?
    {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Attempt {
                hopeless: true,
                ..Error::BadAnswer {
                    message: format!("it is larger than {} MiB", MAX_ANSWER_BYTES >> 20),
                }
                .into()
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error of a status other than success.
pub(super) async fn refused(response: Response, connection: &Connection) -> Attempt {
    let status = response.status();
    let retry_after = wait_asked_for(response.headers());
    let explained = explanation(response, status).await;
    let code = status.as_u16();
    let Ok(message) = explained else {
        // A 400 is a conflict or a refusal: only its text says which.
        return Error::NoAnswer {
            message: format!("it broke off after its status, {code}"),
        }
        .into();
    };
    let message = shortened(&connection.without_key(&message));
    let error = match code {
        429 => Error::RateLimited {
            retry_after,
            message,
        },
        401 | 403 => Error::Unauthorized {
            status: code,
            message,
        },
        404 => Error::NotFound { message },
        409 => Error::Conflict {
            status: code,
            message,
        },
        // zep-ingest 0.3.0: an existing thread answers 400 in these words, or 409.
        400 if message.contains("already exists") => Error::Conflict {
            status: code,
            message,
        },
        // A gateway gave up waiting, which is not a refusal: the request may have gone through.
        408 => Error::Upstream {
            status: code,
            message,
        },
        400..=499 => Error::Invalid {
            status: code,
            message,
        },
        300..=399 => Error::Invalid {
            status: code,
            message: "it points to another address, which is not followed with a key; check \
                      ZEP_API_URL"
                .into(),
        },
        _ => Error::Upstream {
            status: code,
            message,
        },
    };
    Attempt {
        error,
        retry_after,
        hopeless: false,
    }
}

/// Zep's explanation (`{"message": …}`, in generation 4 `{"error": {"message": …}}`). Other bodies
/// come from a gateway or proxy and are not repeated.
///
/// # Errors
/// If it breaks off and the status means nothing without it.
async fn explanation(mut response: Response, status: StatusCode) -> Result<String, BrokenOff> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(_) if status == StatusCode::BAD_REQUEST => return Err(BrokenOff),
            // The status counts even if the explanation breaks off.
            Ok(None) | Err(_) => break,
        }
        if body.len() > MAX_ERROR_BYTES {
            break;
        }
    }
    let said = serde_json::from_slice::<Value>(&body).ok();
    Ok(said
        .as_ref()
        .and_then(|said| {
            said.get("message")
                .or_else(|| said.pointer("/error/message"))
        })
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|message| !message.is_empty())
        .map_or_else(
            || {
                status
                    .canonical_reason()
                    .unwrap_or("no explanation")
                    .to_lowercase()
            },
            str::to_owned,
        ))
}

/// A truncated explanation.
struct BrokenOff;
