//! How much anybody may take: of connections, time and memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most connections at once; fewer where the system lets us have fewer files. HTTP/1.1 answers
/// one request of a connection after the other, so this bounds requests too.
pub(super) const MOST_CONNECTIONS: usize = 4096;
/// Files that are not connections: stores, logs, connections to Zep.
pub(super) const OTHER_FILES: usize = 128;
/// The most connections that have not sent a whole request yet: more than clients that all come back
/// at once after a restart. One more ends the oldest of them: who means it sends its request at once.
pub(super) const MOST_WAITING: usize = 2048;
/// How long a new connection has for its first request, TLS included.
pub(super) const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection stays open without a request: longer than balancers keep theirs (60 s), so
/// that it is not us who close one that is just being used.
pub(super) const IDLE_CONNECTION: Duration = Duration::from_secs(75);
/// The largest header of a request, in bytes: tokens are some kilobytes at most.
pub(super) const MAX_HEADER_BYTES: usize = 32 * 1024;
/// How long somebody may not read what we write, until the connection is closed.
pub(super) const STALLED_WRITE: Duration = Duration::from_secs(30);

/// The largest body that is read, in bytes: as over stdio, a call with the longest content, twice
/// escaped.
pub(super) const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// How much of a body that is too large is read all the same, so that its sender gets to read why.
const MAX_DISCARDED_BYTES: usize = 4 * MAX_BODY_BYTES;
/// How long a body may take: 16 MB at 2 Mbit/s.
const BODY_WITHIN: Duration = Duration::from_secs(64);
/// What all bodies that are being read take together, in units of [`UNIT`].
const MOST_UNITS: usize = 16 * 1024;
/// 16 KiB: the unit in which memory is counted.
const UNIT: usize = 16 * 1024;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Bounds {
    memory: Arc<Semaphore>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            memory: Arc::new(Semaphore::new(MOST_UNITS)),
        }
    }
}

/// Why a body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    TooLarge,
    TooSlow,
    NoMemory,
    Broken,
}

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "a request may have 16 MB at most\n",
            ),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n"),
            Self::NoMemory => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large requests at once; try again\n",
            ),
            Self::Broken => (StatusCode::BAD_REQUEST, "the request broke off\n"),
        };
        let mut response = (status, why).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, 1.into());
        }
        response
    }
}

impl Bounds {
    async fn read(&self, mut body: Body) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Unread> {
        let mut read = Vec::new();
        let mut discarded = 0;
        let mut memory: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
                continue;
            };
            let length = read.len() + data.len();
            if length > MAX_BODY_BYTES {
                read.clear();
                discarded += data.len();
                if discarded > MAX_DISCARDED_BYTES {
                    return Err(Unread::TooLarge);
                }
                continue;
            }
            if discarded > 0 {
                discarded += data.len();
                continue;
            }
            let has = memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let needs = length.div_ceil(UNIT).saturating_sub(has);
            let more = u32::try_from(needs).map_err(|_| Unread::NoMemory)?;
            let more = Arc::clone(&self.memory)
                .try_acquire_many_owned(more)
                .map_err(|_| Unread::NoMemory)?;
            match &mut memory {
                Some(memory) => memory.merge(more),
                None => memory = Some(more),
            }
            read.extend_from_slice(&data);
        }
        if discarded > 0 {
            return Err(Unread::TooLarge);
        }
        Ok((read.into(), memory))
    }
}

/// Reads the body whole before anybody works with it, so that one place knows how large and how
/// slow it may be.
pub(super) async fn read_body(
    State(bounds): State<Arc<Bounds>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_DISCARDED_BYTES) {
        return Unread::TooLarge.into_response();
    }
    let read = tokio::time::timeout(BODY_WITHIN, bounds.read(body)).await;
    match read.unwrap_or(Err(Unread::TooSlow)) {
        Ok((body, _memory)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(unread) => unread.into_response(),
    }
}

/// A body that keeps something until it is sent or given up.
pub(super) struct Holding<T> {
    body: Body,
    _kept: T,
}

impl<T: Send + Unpin + 'static> Holding<T> {
    /// The response, whose body keeps `kept`.
    pub fn keep(response: Response, kept: T) -> Response {
        response.map(|body| Body::new(Self { body, _kept: kept }))
    }
}

impl<T: Unpin> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(sizes: &[usize]) -> Body {
        let chunks: Vec<_> = sizes
            .iter()
            .map(|size| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; *size])))
            .collect();
        Body::from_stream(futures::stream::iter(chunks))
    }

    #[tokio::test]
    async fn memory_of_bodies_is_counted_and_given_back() {
        let bounds = Bounds::default();
        let (body, memory) = bounds.read(chunks(&[1, UNIT, UNIT])).await.unwrap();
        assert_eq!(body.len(), 2 * UNIT + 1);
        assert_eq!(bounds.memory.available_permits(), MOST_UNITS - 3);
        let all = bounds.memory.try_acquire_many((MOST_UNITS - 3) as u32);
        let refused = bounds.read(chunks(&[1])).await;
        assert_eq!(refused.unwrap_err(), Unread::NoMemory);
        drop((all, memory));
        assert_eq!(bounds.memory.available_permits(), MOST_UNITS);
    }

    #[tokio::test]
    async fn what_is_too_large_takes_no_memory() {
        let bounds = Bounds::default();
        let exact = bounds.read(chunks(&[MAX_BODY_BYTES])).await;
        assert_eq!(exact.unwrap().0.len(), MAX_BODY_BYTES);
        for sizes in [&[MAX_BODY_BYTES, 1, 1][..], &[MAX_DISCARDED_BYTES + 1, 1]] {
            let refused = bounds.read(chunks(sizes)).await;
            assert_eq!(refused.unwrap_err(), Unread::TooLarge);
        }
        assert_eq!(bounds.memory.available_permits(), MOST_UNITS);
    }
}
