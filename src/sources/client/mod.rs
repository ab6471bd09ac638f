//! The HTTP client of sources that are services.
//!
//! A call sends, waits out rate limits, tries again what may succeed the next time, and reads the
//! answer within bounds. The key goes to the configured host only. Dropping a call's future ends every
//! wait.

mod answer;
mod error;
mod request;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::Instant;

pub use error::Error;
pub(super) use error::Result;
pub(super) use request::{Request, Scheme, segment};

use crate::json;
use crate::outgoing::{self, wait_asked_for, without_key};
use crate::traces::{self, Span};
use answer::ANSWER;

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
                in_doubt: false,
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

    /// Sends a request whose answer says no more than that it was carried out. An earlier attempt
    /// may have deleted what is then not there: that is a success, too.
    pub(super) async fn tell(&self, request: &Request) -> Result<()> {
        let read = |body: &[u8]| match body.trim_ascii().is_empty() {
            true => Ok(()),
            false => json::from_slice::<IgnoredAny>(body, &ANSWER)
                .map(drop)
                .map_err(|error| self.unreadable(body, &error)),
        };
        match self.send(request, &read).await {
            Err(Error::NotFound { in_doubt: true, .. }) if request.method == Method::DELETE => {
                Ok(())
            }
            sent => sent,
        }
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
        // An earlier attempt may have been carried out.
        let mut in_doubt = false;
        let mut attempts = 0;
        loop {
            waited += self.wait_for_the_limit(waited, in_doubt).await?;
            attempts += 1;
            let failed = match self.attempt(request, read, attempts - 1).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            match failed {
                Attempt::Limited(asked) => {
                    let wait = asked.or_else(|| holds.next()).unwrap_or(LONGEST_HOLD);
                    if waited + wait > self.limits.patience {
                        return Err(self.limited(waited, asked, in_doubt));
                    }
                    tracing::debug!(
                        service = self.service,
                        wait_ms = millis(wait),
                        "rate limit: waiting"
                    );
                    self.hold(wait);
                }
                Attempt::Failed(error) => {
                    let again = error.is_transient() && !(request.once && error.is_in_doubt());
                    let Some(wait) = again.then(|| retries.next()).flatten() else {
                        return Err(if in_doubt { error.after_doubt() } else { error });
                    };
                    in_doubt |= error.is_in_doubt();
                    tracing::debug!(
                        service = self.service,
                        wait_ms = millis(wait),
                        "sending a request again"
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        read: Read<'_>,
        retries_before: u32,
    ) -> std::result::Result<(), Attempt> {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{}", request.path));
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let span = traces::exchange(&request.method, &url, retries_before);
        let answered = self.exchange(request, url, read, &span).await;
        match &answered {
            Ok(()) => {}
            Err(Attempt::Limited(_)) => span.failed("rate_limited"),
            Err(Attempt::Failed(error)) => span.failed(error.code()),
        }
        answered
    }

    /// Sends a request once and reads its answer.
    async fn exchange(
        &self,
        request: &Request,
        url: Url,
        read: Read<'_>,
        span: &Span,
    ) -> std::result::Result<(), Attempt> {
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
        span.was_answered(response.status().as_u16());
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

    /// A text without the key.
    fn shown(&self, text: &str) -> String {
        match &self.key {
            Some(key) => without_key(text, key.expose_secret()),
            None => text.to_owned(),
        }
    }

    /// Scheme and host.
    pub(super) fn host(&self) -> String {
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

    /// Waits until requests are accepted again; answers how long that was. A call that waited so long
    /// already waits no longer than its patience in all.
    async fn wait_for_the_limit(&self, waited: Duration, in_doubt: bool) -> Result<Duration> {
        let begun = Instant::now();
        loop {
            let held = *self
                .held_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let left = held.map_or(Duration::ZERO, |until| until.duration_since(Instant::now()));
            let waited = waited + begun.elapsed();
            if left.is_zero() {
                return Ok(begun.elapsed());
            }
            if waited + left > self.limits.patience {
                return Err(self.limited(waited, Some(left), in_doubt));
            }
            tokio::time::sleep(left).await;
        }
    }

    fn limited(&self, waited: Duration, retry_after: Option<Duration>, in_doubt: bool) -> Error {
        Error::RateLimited {
            service: self.service,
            waited,
            retry_after,
            in_doubt,
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
