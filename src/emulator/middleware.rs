//! Middleware of every call: panics, log, rate limit, authentication.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::error::ApiError;
use super::faults::Faults;
use super::rate_limit::RateLimit;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const INCREMENT: HeaderName = HeaderName::from_static("x-ratelimit-increment");

/// Answers a panic with a 500 in Zep's form instead of closing the connection.
pub(super) async fn catch_panics(request: Request, next: Next) -> Response {
    // The call's state is dropped with it.
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| ApiError::internal().into_response())
}

/// Counts and logs each call by its route, which contains no ids.
pub(super) async fn log(
    State(faults): State<Arc<Faults>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let name = route.as_ref().map_or("none", MatchedPath::as_str);
    faults.count_request(&method, name);
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

/// Enforces the rate limit and reports it in the headers of every answer.
pub(super) async fn limit_rate(
    State((faults, rate)): State<(Arc<Faults>, Arc<RateLimit>)>,
    request: Request,
    next: Next,
) -> Response {
    let count = rate.count(Timestamp::now().as_second(), faults.limit());
    let mut response = if count.refused {
        faults.count_rate_limited();
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

/// Requires an API key: the configured one, or any.
pub(super) async fn authenticate(
    State(expected): State<Option<SecretString>>,
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
    let allowed = match (key, &expected) {
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
        // Twice: the emulator must survive the first.
        for _ in 0..2 {
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
            assert!(answer.ends_with(r#"{"message":"internal server error"}"#));
            stream = TcpStream::connect(address).await.unwrap();
        }
    }
}
