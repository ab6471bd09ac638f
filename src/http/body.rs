//! Reads request bodies within limits of size, time and memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{BODY_WITHIN, MAX_BODIES_BYTES, MAX_BODY_BYTES, MAX_DISCARDED_BYTES};

/// The unit in which memory is counted, in bytes.
const UNIT: usize = 16 * 1024;
/// [`MAX_BODIES_BYTES`] in units.
const MAX_UNITS: usize = MAX_BODIES_BYTES / UNIT;

/// The memory that all bodies share.
#[derive(Debug)]
pub(super) struct BodyMemory {
    units: Arc<Semaphore>,
}

impl Default for BodyMemory {
    fn default() -> Self {
        Self {
            units: Arc::new(Semaphore::new(MAX_UNITS)),
        }
    }
}

/// Why a body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyError {
    TooLarge,
    TooSlow,
    NoMemory,
    Broken,
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "a request may have at most 16 MB\n",
            ),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n"),
            Self::NoMemory => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large requests at once; try again\n",
            ),
            Self::Broken => (StatusCode::BAD_REQUEST, "the request body is incomplete\n"),
        };
        let mut response = (status, why).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, 1.into());
        }
        response
    }
}

impl BodyMemory {
    async fn read(
        &self,
        mut body: Body,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), BodyError> {
        let mut read = Vec::new();
        let mut discarded = 0;
        let mut memory: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
                continue;
            };
            let length = read.len() + data.len();
            if discarded > 0 || length > MAX_BODY_BYTES {
                (read, memory) = (Vec::new(), None);
                discarded += data.len();
                if discarded > MAX_DISCARDED_BYTES {
                    return Err(BodyError::TooLarge);
                }
                continue;
            }
            let has = memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let needs = length.div_ceil(UNIT).saturating_sub(has);
            let more = u32::try_from(needs).map_err(|_| BodyError::NoMemory)?;
            let more = Arc::clone(&self.units)
                .try_acquire_many_owned(more)
                .map_err(|_| BodyError::NoMemory)?;
            match &mut memory {
                Some(memory) => memory.merge(more),
                None => memory = Some(more),
            }
            read.extend_from_slice(&data);
        }
        if discarded > 0 {
            return Err(BodyError::TooLarge);
        }
        Ok((read.into(), memory))
    }
}

/// Reads the whole body before the request is handled, so that its limits are in one place.
pub(super) async fn read_body(
    State(memory): State<Arc<BodyMemory>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_DISCARDED_BYTES) {
        return BodyError::TooLarge.into_response();
    }
    let read = tokio::time::timeout(BODY_WITHIN, memory.read(body)).await;
    match read.unwrap_or(Err(BodyError::TooSlow)) {
        Ok((body, _memory)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(error) => error.into_response(),
    }
}

/// A body that keeps a value until it is sent or dropped.
pub(super) struct GuardedBody<T> {
    body: Body,
    _kept: T,
}

impl<T: Send + Unpin + 'static> GuardedBody<T> {
    /// Makes the response's body keep `kept`.
    pub(super) fn wrap(response: Response, kept: T) -> Response {
        response.map(|body| Body::new(Self { body, _kept: kept }))
    }
}

impl<T: Unpin> HttpBody for GuardedBody<T> {
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
    async fn memory_of_bodies_is_counted_and_released() {
        let bodies = BodyMemory::default();
        let (body, memory) = bodies.read(chunks(&[1, UNIT, UNIT])).await.unwrap();
        assert_eq!(body.len(), 2 * UNIT + 1);
        assert_eq!(bodies.units.available_permits(), MAX_UNITS - 3);
        let all = bodies.units.try_acquire_many((MAX_UNITS - 3) as u32);
        let refused = bodies.read(chunks(&[1])).await;
        assert_eq!(refused.unwrap_err(), BodyError::NoMemory);
        drop((all, memory));
        assert_eq!(bodies.units.available_permits(), MAX_UNITS);
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_takes_no_memory() {
        let bodies = BodyMemory::default();
        let exact = bodies.read(chunks(&[MAX_BODY_BYTES])).await;
        assert_eq!(exact.unwrap().0.len(), MAX_BODY_BYTES);
        for sizes in [&[MAX_BODY_BYTES, 1, 1][..], &[MAX_DISCARDED_BYTES + 1, 1]] {
            let refused = bodies.read(chunks(sizes)).await;
            assert_eq!(refused.unwrap_err(), BodyError::TooLarge);
        }
        assert_eq!(bodies.units.available_permits(), MAX_UNITS);
    }
}
