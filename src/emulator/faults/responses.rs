//! Damaged responses.

use std::convert::Infallible;
use std::io;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use futures::stream;

/// The number of parts of a slow body.
const PARTS: usize = 20;

/// Bodies that Zep would not send, with their types: as from proxies, balancers and broken
/// services.
const GARBAGE: [(&str, &str); 7] = [
    (
        "text/html",
        "<html><head><title>Sign in</title></head></html>",
    ),
    ("application/json", "{\"message\": \"all is w"),
    ("application/json", "{\"status\":\"ok\"}"),
    ("application/json", "\"ok\""),
    ("application/json", "null"),
    ("application/json", ""),
    ("application/octet-stream", "\u{0}\u{1}\u{2}\u{fffd}"),
];

/// The headers and half of the body; then the connection is closed.
pub(super) async fn truncated(response: Response) -> Response {
    let (mut head, body) = whole(response).await;
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let first = body.slice(..body.len() / 2);
    let mut sent = Some(first);
    let mut flushed = false;
    let rest = stream::poll_fn(move |cx| {
        if let Some(first) = sent.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if !flushed {
            // The server sends what it has while the stream is pending.
            flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Then the server closes the connection.
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionAborted))))
    });
    Response::from_parts(head, Body::from_stream(rest))
}

/// 200 with another body.
pub(super) fn garbage(
    mut response: Response,
    wanted: Option<String>,
    rng: &mut fastrand::Rng,
) -> Response {
    let (kind, body) = match wanted {
        Some(body) => ("application/json", Body::from(body)),
        None => {
            let (kind, body) = GARBAGE[rng.usize(..GARBAGE.len())];
            (kind, Body::from(body))
        }
    };
    *response.status_mut() = StatusCode::OK;
    *response.body_mut() = body;
    response.headers_mut().remove(CONTENT_LENGTH);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The whole response, in parts over this time.
pub(super) async fn slow(response: Response, time: Duration) -> Response {
    let (mut head, body) = whole(response).await;
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let size = body.len().div_ceil(body.len().clamp(1, PARTS)).max(1);
    // One pause between each two parts.
    let pauses = u32::try_from(body.len().div_ceil(size).saturating_sub(1)).unwrap_or(1);
    let pause = time / pauses.max(1);
    let parts = stream::unfold((body, true), move |(mut left, first)| async move {
        if left.is_empty() {
            return None;
        }
        if !first {
            tokio::time::sleep(pause).await;
        }
        let part = left.split_to(size.min(left.len()));
        Some((Ok::<_, Infallible>(part), (left, false)))
    });
    Response::from_parts(head, Body::from_stream(parts))
}

async fn whole(response: Response) -> (axum::http::response::Parts, Bytes) {
    let (head, body) = response.into_parts();
    // Responses are built in memory: reading one cannot fail.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    (head, bytes)
}
