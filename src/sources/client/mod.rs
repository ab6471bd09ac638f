//! The HTTP client of sources that are services.
//!
//! A call sends, waits out rate limits, tries again what may succeed the next time, and reads the
//! answer within bounds. The key goes to the configured host only. Dropping a call's future ends every
//! wait.

mod error;
mod request;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

pub use error::Error;
pub(super) use error::Result;
pub(super) use request::{Request, Scheme, segment};

use crate::json::{self, Bounds, JsonError};
use crate::outgoing::{self, root_cause, shortened, wait_asked_for, without_key};

/// How long an attempt may take, unless the caller says otherwise: far more than a page takes.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a call waits for the rate limit in all, unless the caller says otherwise: more than the
/// windows of minutes that such limits have.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long connecting may take at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most retries of a call that failed, apart from those for the rate limit. Ours.
const RETRIES: usize = 4;
/// The wait before the first retry. It doubles, and up to as much is added at random.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait before a retry.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// The wait after a 429 that says nothing of one. It doubles, and up to as much is added at random.
const FIRST_HOLD: Duration = Duration::from_millis(500);
/// The longest such wait: limits are counted in minutes.
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes. Ours: 200 memories of 300 KB each.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// The largest explanation of an error that is read, in bytes. Ours.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The bounds of an answer: the largest one full of the shortest values of a memory.
static ANSWER: Bounds = Bounds {
    depth: 120,
    values: MAX_ANSWER_BYTES / 16,
    parts: &[],
};

/// How long to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one attempt of a call, from connecting to the last byte.
    pub timeout: Duration,
    /// For the rate limit, in all waits of one call.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            patience: PATIENCE,
        }
    }
}

/// One pooled client of a service, and what it knows of the rate limit.
pub(super) struct Http {
    /// What errors call the service.
    service: &'static str,
    url: Url,
    key: Option<SecretString>,
    client: reqwest::Client,
    limits: Limits,
    /// The service said that nothing is accepted before.
    held_until: Mutex<Option<Instant>>,
}

/// Reads the body of an answer.
type Read<'a> = &'a (dyn Fn(&[u8]) -> Result<()> + Sync);

impl Http {
    /// Checks everything and sends nothing.
    pub(super) fn new(
        service: &'static str,
        url: &Url,
        key: Option<(&SecretString, Scheme)>,
        limits: Limits,
    ) -> Result<Self> {
        let headers = match key {
            Some((key, scheme)) => scheme.headers(key),
            None => Ok(HeaderMap::new()),
        };
        let client = headers.and_then(|headers| {
            outgoing::client(url, headers, CONNECT_TIMEOUT.min(limits.timeout))
        });
        Ok(Self {
            service,
            url: url.clone(),
            key: key.map(|(key, _)| key.clone()),
            client: client.map_err(|message| Error::NoAnswer {
                service,
                host: url.origin().ascii_serialization(),
                message,
            })?,
            limits,
            held_until: Mutex::default(),
        })
    }

    /// Sends a request and reads its answer as JSON.
    pub(super) async fn ask<T: DeserializeOwned + Send>(&self, request: &Request) -> Result<T> {
        let parsed = Mutex::new(None);
        let read = |body: &[u8]| {
            let value: T =
                json::from_slice(body, &ANSWER).map_err(|error| self.unreadable(body, &error))?;
            *parsed.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(())
        };
        self.send(request, &read).await?;
        let parsed = parsed.into_inner().unwrap_or_else(PoisonError::into_inner);
        parsed.ok_or_else(|| self.bad_answer("it was not read".into()))
    }

    /// Sends until an answer is read. Not generic, so that it is compiled once.
    async fn send(&self, request: &Request, read: Read<'_>) -> Result<()> {
        let waits = |first, longest| {
            ExponentialBuilder::default()
                .with_min_delay(first)
                .with_max_delay(longest)
                .with_jitter()
        };
        let mut retries = waits(FIRST_WAIT, LONGEST_WAIT)
            .with_max_times(RETRIES)
            .build();
        let mut holds = waits(FIRST_HOLD, LONGEST_HOLD).without_max_times().build();
        let mut waited = Duration::ZERO;
        loop {
            waited += self.wait_for_the_limit().await;
            let failed = match self.attempt(request, read).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            match failed {
                Attempt::Limited(asked) => {
                    let wait = asked.or_else(|| holds.next()).unwrap_or(LONGEST_HOLD);
                    if waited + wait > self.limits.patience {
                        let service = self.service;
                        return Err(Error::RateLimited { service, waited });
                    }
                    tracing::debug!(
                        service = self.service,
                        wait_ms = millis(wait),
                        "rate limit: waiting"
                    );
                    self.hold(wait);
                }
                Attempt::Failed(error) if error.is_transient() => {
                    let Some(wait) = retries.next() else {
                        return Err(error);
                    };
                    tracing::debug!(
                        service = self.service,
                        wait_ms = millis(wait),
                        "sending a request again"
                    );
                    tokio::time::sleep(wait).await;
                }
                Attempt::Failed(error) => return Err(error),
            }
        }
    }

    async fn attempt(&self, request: &Request, read: Read<'_>) -> std::result::Result<(), Attempt> {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{}", request.path));
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut sending = self
            .client
            .request(request.method.clone(), url)
            .timeout(self.limits.timeout);
        if let Some(body) = &request.body {
            sending = sending
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.to_string());
        }
        let response = sending.send().await.map_err(|error| self.broken(&error))?;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            return Err(Attempt::Limited(wait_asked_for(response.headers())));
        }
        if let Some(wait) = used_up(response.headers()) {
            self.hold(wait);
        }
        if !response.status().is_success() {
            return Err(Attempt::Failed(self.refused(response).await));
        }
        let body = self.body(response).await?;
        Ok(read(&body)?)
    }

    /// The whole body of a success.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>> {
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
    async fn refused(&self, response: Response) -> Error {
        let status = response.status();
        let message = self.explanation(response).await;
        let service = self.service;
        match status.as_u16() {
            status @ (401 | 403) => Error::Unauthorized {
                service,
                status,
                message,
            },
            404 => Error::NotFound { service, message },
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

    fn unreadable(&self, body: &[u8], error: &JsonError) -> Error {
        let message = match error {
            JsonError::TooMuch(exceeded) => return self.bad_answer(exceeded.to_string()),
            _ if body.trim_ascii_start().starts_with(b"<") => {
                format!("it is HTML; check the address of {}", self.service)
            }
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
    fn bad_answer(&self, message: String) -> Error {
        Error::BadAnswer {
            service: self.service,
            message,
            transient: false,
            is_too_large: false,
        }
    }

    fn broken(&self, error: &reqwest::Error) -> Error {
        let message = match error.is_timeout() {
            true => format!("none within {} seconds", self.limits.timeout.as_secs_f64()),
            false => shortened(&self.shown(&root_cause(error))),
        };
        Error::NoAnswer {
            service: self.service,
            host: self.host(),
            message,
        }
    }

    /// A text without the key.
    fn shown(&self, text: &str) -> String {
        match &self.key {
            Some(key) => without_key(text, key.expose_secret()),
            None => text.to_owned(),
        }
    }

    fn host(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// No call sends before that.
    fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut held = self
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = Some(held.map_or(until, |known| known.max(until)));
    }

    /// Waits until requests are accepted again; answers how long that was.
    async fn wait_for_the_limit(&self) -> Duration {
        let begun = Instant::now();
        loop {
            let held = *self
                .held_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match held {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return begun.elapsed(),
            }
        }
    }
}

/// Why an attempt failed.
enum Attempt {
    /// 429, with the wait that it asks for.
    Limited(Option<Duration>),
    Failed(Error),
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// How long until the next request is accepted, where an answer says that it was the last one:
/// `X-RateLimit-Reset` is a Unix time or a number of seconds.
fn used_up(headers: &HeaderMap) -> Option<Duration> {
    let number =
        |name: &str| -> Option<u64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    if number("x-ratelimit-remaining")? > 0 {
        return None;
    }
    let reset = number("x-ratelimit-reset")?;
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let wait = Duration::from_secs(reset.checked_sub(now).unwrap_or(reset));
    // A longer time is an error of clocks or units.
    (wait <= 2 * LONGEST_HOLD).then_some(wait)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
