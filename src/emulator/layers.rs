//! What happens around every call: keys, rate limits, panics, and the log.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::Emulator;
use super::error::ApiError;
use super::faults::Limit;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const INCREMENT: HeaderName = HeaderName::from_static("x-ratelimit-increment");

/// Turns a panic into a 500 in Zep's form: one broken call must not close the connection on others.
pub(super) async fn catch_panics(request: Request, next: Next) -> Response {
    // Nothing that a panicking call was working on is used again.
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| ApiError::internal().into_response())
}

/// Counts and notes each call by its route, which holds no ids.
pub(super) async fn log(
    State(emulator): State<Arc<Emulator>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let name = route.as_ref().map_or("none", MatchedPath::as_str);
    emulator.faults.note_request(&method, name);
    let start = Instant::now();
    let response = next.run(request).await;
    tracing::debug!(
        %method,
        route = name,
        status = response.status().as_u16(),
        micros = start.elapsed().as_micros(),
        "answered"
    );
    response
}

/// Counts the call and says on every answer how many are left.
pub(super) async fn limit_rate(
    State(emulator): State<Arc<Emulator>>,
    request: Request,
    next: Next,
) -> Response {
    let limit = emulator.faults.limit();
    let count = emulator.rate.count(Timestamp::now().as_second(), limit);
    let mut response = if count.refused {
        emulator.faults.note_rate_limited();
        ApiError::rate_limited(count.seconds_to_reset).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(LIMIT, HeaderValue::from(count.limit));
    headers.insert(REMAINING, HeaderValue::from(count.remaining));
    headers.insert(RESET, HeaderValue::from(count.reset));
    headers.insert(INCREMENT, HeaderValue::from(1));
    response
}

/// Lets through who shows a key: any, or the one that was set.
pub(super) async fn authenticate(
    State(emulator): State<Arc<Emulator>>,
    request: Request,
    next: Next,
) -> Response {
    let key = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Api-Key"))
        .map(|(_, key)| key.trim())
        .filter(|key| !key.is_empty());
    let allowed = match (key, &emulator.api_key) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(key), Some(expected)) => key == expected.expose_secret(),
    };
    if allowed {
        next.run(request).await
    } else {
        ApiError::unauthorized().into_response()
    }
}

/// How many calls were answered in a window.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// The end of the window, in Unix seconds.
    reset: i64,
    calls: u32,
}

/// Where an account stands after a call.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    limit: u32,
    remaining: u32,
    /// Unix seconds.
    reset: i64,
    seconds_to_reset: u64,
    refused: bool,
}

impl RateLimit {
    /// Counts one call at this time, in Unix seconds.
    fn count(&self, now: i64, limit: Limit) -> Count {
        let reset = (now.div_euclid(limit.window) + 1) * limit.window;
        // The two numbers are always whole, whatever happened to a thread that held the lock.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.reset != reset {
            *used = Used { reset, calls: 0 };
        }
        let refused = used.calls >= limit.calls;
        if !refused {
            used.calls += 1;
        }
        Count {
            limit: limit.calls,
            remaining: limit.calls.saturating_sub(used.calls),
            reset,
            seconds_to_reset: reset.abs_diff(now),
            refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn breaks() {
        panic!("on purpose");
    }

    #[tokio::test]
    async fn a_panic_is_answered_as_zep_answers_a_failure() {
        let app = Router::new()
            .route("/breaks", get(breaks))
            .layer(from_fn(catch_panics));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /breaks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        // Twice, to see that the emulator lives on.
        for _ in 0..2 {
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
            assert!(answer.ends_with(r#"{"message":"internal server error"}"#));
            stream = TcpStream::connect(address).await.unwrap();
        }
    }

    #[test]
    fn calls_beyond_the_limit_are_refused_until_the_minute_is_over() {
        let rate = RateLimit::default();
        let two = Limit {
            calls: 2,
            window: 60,
        };
        assert_eq!(rate.count(70, two).remaining, 1);
        assert_eq!(rate.count(71, two).remaining, 0);
        let over = rate.count(72, two);
        assert!(over.refused);
        assert_eq!((over.reset, over.seconds_to_reset), (120, 48));
        let next = rate.count(120, two);
        assert!(!next.refused);
        assert_eq!(next.remaining, 1);
        // Calls that were answered count against a limit that has dropped since.
        let one = Limit { calls: 1, ..two };
        let dropped = rate.count(121, one);
        assert!(dropped.refused);
        assert_eq!((dropped.limit, dropped.remaining), (1, 0));
    }
}
