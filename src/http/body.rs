//! Reads request bodies within limits of size, time and memory.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::access::Subject;
use super::json_refusal;
use super::limits::{
    BODY_WITHIN, MAX_BODIES_BYTES, MAX_BODIES_SHARE, MAX_BODY_BYTES, MAX_DISCARDED_BYTES,
    QUICK_BODY_BYTES, VALUE_BYTES,
};
use crate::json::{Bounds, Scanner};
use crate::mcp::Incoming;

/// The memory that the requests of all clients share, and what each takes of it.
#[derive(Debug, Default)]
pub(super) struct BodyMemory {
    used: Mutex<Used>,
}

/// Bytes of memory.
#[derive(Debug, Default)]
struct Used {
    by_all: usize,
    by: HashMap<Subject, usize>,
}

/// The memory of one request. In its extensions, so that it is counted until its call is over.
#[derive(Debug)]
struct Held {
    memory: Arc<BodyMemory>,
    holder: Subject,
    bytes: usize,
}

impl Held {
    fn grow_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let more = bytes.saturating_sub(self.bytes);
        let mut used = self.memory.used();
        let Used { by_all, by } = &mut *used;
        let own = by.get(&self.holder).copied().unwrap_or(0);
        if own + more > MAX_BODIES_SHARE {
            return Err(BodyError::NoShare);
        }
        if *by_all + more > MAX_BODIES_BYTES {
            return Err(BodyError::NoMemory);
        }
        *by_all += more;
        by.insert(self.holder.clone(), own + more);
        self.bytes += more;
        Ok(())
    }

    fn release(&mut self) {
        let mut used = self.memory.used();
        used.by_all -= self.bytes;
        if let Some(own) = used.by.get_mut(&self.holder) {
            *own -= self.bytes;
            if *own == 0 {
                used.by.remove(&self.holder);
            }
        }
        self.bytes = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

/// Why a body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyError {
    TooLarge,
    TooSlow,
    NoShare,
    NoMemory,
    Broken,
}

impl BodyError {
    fn why(self) -> &'static str {
        match self {
            Self::TooLarge => "a request may have at most 16 MB",
            Self::TooSlow => "the request took too long",
            Self::NoShare => {
                "too many large requests of this client at once; wait for some of them"
            }
            Self::NoMemory => "too many large requests at once; try again",
            Self::Broken => "the request body is incomplete",
        }
    }

    /// Our name for it.
    fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::NoShare | Self::NoMemory => "too_many_large_requests",
            Self::Broken => "invalid_request",
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoShare => StatusCode::TOO_MANY_REQUESTS,
            Self::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_REQUEST,
        };
        let mut response = (status, format!("{}\n", self.why())).into_response();
        if matches!(self, Self::NoShare | Self::NoMemory) {
            response.headers_mut().insert(RETRY_AFTER, 1.into());
        }
        response
    }
}

impl BodyMemory {
    /// Reads the body of a request, in the time that one may take.
    async fn read_in_time<C: Counting>(
        self: &Arc<Self>,
        parts: &Parts,
        body: Body,
        holder: Subject,
    ) -> Result<Read<C>, BodyError> {
        let announced = parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > MAX_DISCARDED_BYTES) {
            return Err(BodyError::TooLarge);
        }
        let read = self.read(body, holder, announced);
        let read = tokio::time::timeout(BODY_WITHIN, read).await;
        read.unwrap_or(Err(BodyError::TooSlow))
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a body of at most [`MAX_BODY_BYTES`]. What follows a refusal is discarded.
    async fn read<C: Counting>(
        self: &Arc<Self>,
        mut body: Body,
        holder: Subject,
        announced: Option<usize>,
    ) -> Result<Read<C>, BodyError> {
        let mut held = Held {
            memory: Arc::clone(self),
            holder,
            bytes: 0,
        };
        let mut incoming = C::default();
        // Room for all of it, so that it does not move. Untouched room is no memory yet.
        let mut read = Vec::with_capacity(announced.unwrap_or(0).min(MAX_BODY_BYTES));
        let mut length = 0;
        let mut discards = false;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
                continue;
            };
            length += data.len();
            if length > MAX_DISCARDED_BYTES {
                return Err(BodyError::TooLarge);
            }
            let accepted = incoming.feed(&data);
            if discards {
                continue;
            }
            if !accepted || length > MAX_BODY_BYTES {
                read = Vec::new();
                held.release();
                discards = true;
                continue;
            }
            held.grow_to(length + incoming.values() * VALUE_BYTES)?;
            read.extend_from_slice(&data);
        }
        if length > MAX_BODY_BYTES {
            return Err(BodyError::TooLarge);
        }
        Ok(Read {
            incoming,
            body: read.into(),
            held,
        })
    }
}

/// A body that was read.
#[derive(Debug)]
struct Read<C> {
    incoming: C,
    body: Bytes,
    held: Held,
}

/// Counts what a body has while it arrives.
trait Counting: Default {
    /// Counts the next piece. False if the body is refused and need not be kept any more.
    fn feed(&mut self, piece: &[u8]) -> bool;
    /// How many values a parser would make of it.
    fn values(&self) -> usize;
}

impl Counting for Incoming {
    fn feed(&mut self, piece: &[u8]) -> bool {
        Self::feed(self, piece)
    }

    fn values(&self) -> usize {
        Self::values(self)
    }
}

/// Reads the whole body before the request is handled, so that its limits are in one place.
pub(super) async fn read_body(
    State(memory): State<Arc<BodyMemory>>,
    Extension(holder): Extension<Subject>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Read {
        incoming,
        body,
        held,
    } = match memory.read_in_time::<Incoming>(&parts, body, holder).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let is_quick = body.len() <= QUICK_BODY_BYTES;
    let answer = async move {
        let body = match incoming.finish(body) {
            Ok((body, inline)) => {
                parts.extensions.insert(Arc::new(held));
                inline.map(|inline| parts.extensions.insert(inline));
                body
            }
            // The transport answers.
            Err(refused) => {
                parts.extensions.insert(refused);
                Bytes::new()
            }
        };
        next.run(Request::from_parts(parts, Body::from(body))).await
    };
    if is_quick {
        answer.await
    } else {
        letting_others_run(answer).await
    }
}

/// What the body of a REST call may have: as a message of MCP.
static REST: Bounds = Bounds {
    depth: 120,
    values: 64 * 1024,
    parts: &[],
};

/// Counts the body of a REST call.
#[derive(Debug)]
struct RestBody(Scanner);

impl Default for RestBody {
    fn default() -> Self {
        Self(Scanner::new(&REST))
    }
}

impl Counting for RestBody {
    fn feed(&mut self, piece: &[u8]) -> bool {
        self.0.feed(piece);
        self.0.exceeded().is_none()
    }

    fn values(&self) -> usize {
        self.0.values_outside(usize::MAX)
    }
}

/// The same for a REST call, whose refusals are JSON.
pub(super) async fn read_rest_body(
    State(memory): State<Arc<BodyMemory>>,
    Extension(holder): Extension<Subject>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let read = memory.read_in_time::<RestBody>(&parts, body, holder).await;
    let Read {
        incoming,
        body,
        held,
    } = match read {
        Ok(read) => read,
        Err(error) => {
            return json_refusal::refusal(error.into_response(), error.name(), error.why());
        }
    };
    if let Some(exceeded) = incoming.0.exceeded() {
        return json_refusal::invalid_body(&format!("the body is refused: {exceeded}"));
    }
    let is_quick = body.len() <= QUICK_BODY_BYTES;
    parts.extensions.insert(Arc::new(held));
    let answer = next.run(Request::from_parts(parts, Body::from(body)));
    match is_quick {
        true => answer.await,
        false => letting_others_run(answer).await,
    }
}

/// Polls a future that parses much, while other tasks of this thread move to another one.
async fn letting_others_run<F: Future>(future: F) -> F::Output {
    let has_others = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    let mut future = pin!(future);
    poll_fn(|context| match has_others {
        true => tokio::task::block_in_place(|| future.as_mut().poll(context)),
        false => future.as_mut().poll(context),
    })
    .await
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

    async fn read(
        memory: &Arc<BodyMemory>,
        who: &str,
        sizes: &[usize],
    ) -> Result<Read<Incoming>, BodyError> {
        memory.read(chunks(sizes), Subject::named(who), None).await
    }

    #[tokio::test]
    async fn memory_of_bodies_is_counted_and_released() {
        let memory = Arc::<BodyMemory>::default();
        let quarter = MAX_BODIES_SHARE / 4;
        let mut all = Vec::new();
        for who in ["ann", "ben"] {
            for _ in 0..4 {
                all.push(read(&memory, who, &[1, quarter - 1]).await.unwrap());
            }
            let refused = read(&memory, who, &[1]).await;
            assert_eq!(refused.unwrap_err(), BodyError::NoShare);
        }
        assert_eq!(memory.used().by_all, MAX_BODIES_BYTES);
        let refused = read(&memory, "cem", &[1]).await;
        assert_eq!(refused.unwrap_err(), BodyError::NoMemory);
        drop(all);
        assert_eq!(memory.used().by_all, 0);
        assert!(memory.used().by.is_empty());
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_takes_no_memory() {
        let memory = Arc::<BodyMemory>::default();
        let exact = read(&memory, "ann", &[MAX_BODY_BYTES]).await;
        assert_eq!(exact.unwrap().body.len(), MAX_BODY_BYTES);
        for sizes in [&[MAX_BODY_BYTES, 1, 1][..], &[MAX_DISCARDED_BYTES + 1, 1]] {
            let refused = read(&memory, "ann", sizes).await;
            assert_eq!(refused.unwrap_err(), BodyError::TooLarge);
        }
        assert_eq!(memory.used().by_all, 0);
    }
}
