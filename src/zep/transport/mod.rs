//! Requests to Zep Cloud: authentication, time-outs, safe retries, and pacing. Shared by the
//! generations of Zep's API.
//!
//! A failed call says what is known about its outcome ([`crate::zep::Outcome`]). Requests that were
//! not processed, or are harmless twice, are retried here; all others are left to the adapter, which
//! can look first. Dropping a call's future ends every wait.

mod answer;
mod clock;
mod connection;
mod pace;
mod request;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use connection::{Connection, InvalidConnection};
pub(crate) use connection::{check_key, check_url};
pub(crate) use request::Request;

use self::answer::Attempt;
use self::pace::{Pace, Slot};
use self::request::Repeat;
use crate::json::{self, Bounds, JsonError};
use crate::traces::{self, Span};
use crate::zep::error::{Error, Outcome};
use clock::Clock;

/// The most retries of a request. Ours.
const RETRIES: usize = 4;
/// The wait before the first retry. It doubles with each retry, and up to as much is added at random,
/// so that many clients do not come back at once. Ours.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest such wait, unless Zep asks for more. Ours.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// The bounds of an answer: the largest one full of the shortest messages, of 32 bytes a value.
static ANSWER: Bounds = Bounds {
    depth: 120,
    values: answer::MAX_ANSWER_BYTES / 32,
    parts: &[],
};

/// What the transport did since the program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportStats {
    /// Requests sent, retries included.
    pub requests: u64,
    /// How many of them were retries.
    pub retries: u64,
    /// Writes in doubt that were looked for, not found, and sent again: should the first one arrive
    /// after all, it is stored twice.
    pub resent: u64,
    /// Time spent waiting: before retries, and to keep within the rate limit.
    pub waited: Duration,
    /// The requests that the account may make in a minute, where an answer said so.
    pub per_minute: Option<u64>,
    /// How many of them are left in this minute, where an answer said so.
    pub left_this_minute: Option<u64>,
    /// How long calls still wait for the rate limit, the longest of them; none if none does.
    pub rate_limited: Option<Duration>,
    /// How long calls still wait before a retry, the longest of them; none if none does.
    pub backing_off: Option<Duration>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    resent: AtomicU64,
    waited_micros: AtomicU64,
    /// When the last wait of a kind is over, for those that are on.
    rate_limited_until: Mutex<Option<Instant>>,
    backing_off_until: Mutex<Option<Instant>>,
}

/// Notes that a call waits.
fn waits_until(latest: &Mutex<Option<Instant>>, until: Instant) {
    let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
    *latest = (*latest).max(Some(until));
}

/// How long the longest wait still lasts.
fn wait_left(latest: &Mutex<Option<Instant>>) -> Option<Duration> {
    let latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
    latest.and_then(|until| until.checked_duration_since(Instant::now()))
}

impl Counters {
    fn waited(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.waited_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

/// Reads the body of an answer.
type Read<'a> = &'a (dyn Fn(&[u8]) -> Result<(), Error> + Sync);

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    /// The header `Zep-Next-Cursor`: asks for the next page.
    pub(crate) next_cursor: Option<String>,
}

/// A failed call.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// An earlier attempt of this call may have been carried out, so that a conflict or "not found"
    /// may be its own effect.
    pub(crate) after_doubt: bool,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// One pooled client, created on first use, and what it knows about the rate limit.
pub(crate) struct Transport {
    connection: Connection,
    prefix: &'static str,
    client: OnceCell<reqwest::Client>,
    pace: Pace,
    clock: Clock,
    counters: Counters,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("connection", &self.connection)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Sends nothing. `prefix` is the path of a generation: `/api/v2`.
    pub(crate) fn new(connection: Connection, prefix: &'static str) -> Self {
        Self {
            connection,
            prefix,
            client: OnceCell::new(),
            pace: Pace::default(),
            clock: Clock::default(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn stats(&self) -> TransportStats {
        TransportStats {
            requests: self.counters.requests.load(Ordering::Relaxed),
            retries: self.counters.retries.load(Ordering::Relaxed),
            resent: self.counters.resent.load(Ordering::Relaxed),
            waited: Duration::from_micros(self.counters.waited_micros.load(Ordering::Relaxed)),
            per_minute: self.pace.per_minute(),
            left_this_minute: self.pace.left(),
            rate_limited: wait_left(&self.counters.rate_limited_until),
            backing_off: wait_left(&self.counters.backing_off_until),
        }
    }

    /// Counts a write in doubt that is sent again.
    pub(crate) fn resends(&self) {
        self.counters.resent.fetch_add(1, Ordering::Relaxed);
    }

    /// See [`crate::zep::Zep::clock_ahead_secs`].
    pub(crate) fn clock_ahead_secs(&self) -> Option<i64> {
        self.clock.ahead_secs()
    }

    /// How long a whole call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.connection.timeout()
    }

    /// When a call that begins now must be over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout()
    }

    /// Sends a request and reads its answer as JSON.
    pub(crate) async fn ask<T: DeserializeOwned + Send>(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer<T>, Failure> {
        let parsed = Mutex::new(None);
        let read = |body: &[u8]| {
            let value: T = json::from_slice(body, &ANSWER).map_err(|error| Error::BadAnswer {
                message: match error {
                    JsonError::TooMuch(exceeded) => exceeded.to_string(),
                    JsonError::Encoding(_) => error.to_string(),
                    // The parser's own text may repeat content.
                    JsonError::Json(error) => format!(
                        "it is not the JSON that Zep documents (line {}, column {})",
                        error.line(),
                        error.column()
                    ),
                },
            })?;
            *parsed.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(())
        };
        let next_cursor = self.send(request, deadline, &read).await?;
        let parsed = parsed.into_inner().unwrap_or_else(PoisonError::into_inner);
        match parsed {
            Some(value) => Ok(Answer { value, next_cursor }),
            None => Err(Failure {
                error: Error::BadAnswer {
                    message: "it was not read".into(),
                },
                after_doubt: false,
            }),
        }
    }

    /// Sends a request that is answered without content.
    pub(crate) async fn tell(&self, request: &Request, deadline: Instant) -> Result<(), Failure> {
        self.send(request, deadline, &|_| Ok(())).await?;
        Ok(())
    }

    /// Sends until an answer is read, and returns the next page's cursor. Not generic, so that it is
    /// compiled once and not for each kind of answer.
    async fn send(
        &self,
        request: &Request,
        deadline: Instant,
        read: Read<'_>,
    ) -> Result<Option<String>, Failure> {
        let doubt = AtomicBool::new(false);
        let attempts = AtomicU32::new(0);
        let attempt = || {
            let retries_before = attempts.fetch_add(1, Ordering::Relaxed);
            self.attempt(request, deadline, read, retries_before)
        };
        let result = attempt
            .retry(
                ExponentialBuilder::default()
                    .with_min_delay(FIRST_WAIT)
                    .with_max_delay(LONGEST_WAIT)
                    .with_max_times(RETRIES)
                    .with_jitter(),
            )
            .when(|attempt: &Attempt| {
                !attempt.hopeless
                    && match attempt.outcome() {
                        Outcome::NotSent => true,
                        Outcome::Unknown => request.repeat == Repeat::Freely,
                        Outcome::Refused => false,
                    }
            })
            .adjust(|attempt: &Attempt, wait: Option<Duration>| {
                let wait = wait?.max(attempt.retry_after.unwrap_or_default());
                // An attempt that cannot even connect in the time left would turn "not sent" into
                // "unknown".
                let needed = match attempt.error {
                    Error::Connect { .. } => wait.saturating_add(self.connection.connect_timeout()),
                    _ => wait,
                };
                (needed < deadline.saturating_duration_since(Instant::now())).then_some(wait)
            })
            .notify(|attempt: &Attempt, wait: Duration| {
                if attempt.outcome() == Outcome::Unknown {
                    doubt.store(true, Ordering::Relaxed);
                }
                self.counters.retries.fetch_add(1, Ordering::Relaxed);
                self.counters.waited(wait);
                let waits = match attempt.error {
                    Error::RateLimited { .. } => &self.counters.rate_limited_until,
                    _ => &self.counters.backing_off_until,
                };
                waits_until(waits, Instant::now() + wait);
                tracing::debug!(
                    method = %request.method,
                    code = attempt.error.code(),
                    status = attempt.error.status(),
                    wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "sending a request to Zep again"
                );
            })
            .await;
        let after_doubt = doubt.into_inner();
        result.map_err(|attempt| Failure {
            error: match attempt.error {
                // Only the last attempt was certainly not processed.
                error if after_doubt && error.outcome() == Outcome::NotSent => Error::NoAnswer {
                    message: format!("an earlier try got none, and the last one failed: {error}"),
                },
                error => error,
            },
            after_doubt,
        })
    }

    async fn attempt(
        &self,
        request: &Request,
        deadline: Instant,
        read: Read<'_>,
        retries_before: u32,
    ) -> Result<Option<String>, Attempt> {
        let url = request.url(self.connection.base(), self.prefix)?;
        let client = self.client().await?;
        let slot = self
            .pace
            .reserve(deadline)
            .map_err(|wait| Error::RateLimited {
                retry_after: Some(wait),
                message: "the requests that the account may make in this minute are used up".into(),
            })
            .map_err(|error| Attempt {
                hopeless: true,
                ..error.into()
            })?;
        let now = Instant::now();
        if slot.at > now {
            self.counters.waited(slot.at.duration_since(now));
            waits_until(&self.counters.rate_limited_until, slot.at);
            tokio::time::sleep_until(slot.at).await;
        }
        let span = traces::exchange(&request.method, &url, retries_before);
        let answered = self
            .exchange(
                request,
                client.request(request.method.clone(), url),
                slot,
                deadline,
                read,
                &span,
            )
            .await;
        if let Err(attempt) = &answered {
            span.failed(attempt.error.code());
        }
        answered
    }

    /// Sends a request once and reads its answer.
    async fn exchange(
        &self,
        request: &Request,
        sending: reqwest::RequestBuilder,
        slot: Slot<'_>,
        deadline: Instant,
        read: Read<'_>,
        span: &Span,
    ) -> Result<Option<String>, Attempt> {
        let mut sending = sending.timeout(deadline.saturating_duration_since(Instant::now()));
        if let Some(body) = &request.body {
            sending = sending
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.to_string());
        }
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let response = sending
            .send()
            .await
            .map_err(|error| answer::broken(&error, &self.connection))?;
        self.clock.learn(response.headers());
        self.pace.learn(response.headers());
        span.was_answered(response.status().as_u16());
        drop(slot);

        if !response.status().is_success() {
            let attempt = answer::refused(response, &self.connection).await;
            if let (Error::RateLimited { .. }, Some(wait)) = (&attempt.error, attempt.retry_after) {
                self.pace.hold(wait);
            }
            return Err(attempt);
        }
        let next_cursor = response
            .headers()
            .get("zep-next-cursor")
            .and_then(|cursor| cursor.to_str().ok())
            .filter(|cursor| !cursor.is_empty())
            .map(str::to_owned);
        let body = answer::body(response, &self.connection).await?;
        read(&body)?;
        Ok(next_cursor)
    }

    async fn client(&self) -> Result<&reqwest::Client, Error> {
        self.client
            .get_or_try_init(async || self.connection.client())
            .await
            .map_err(|message| Error::Connect {
                host: self.connection.host(),
                message,
            })
    }
}
