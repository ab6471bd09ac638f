//! Answers that are given before the request's body was read: the rest of a small body is read and
//! discarded, so that the client can read the answer, and otherwise the answer says that the
//! connection closes.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::sync::oneshot;

use super::limits::{MAX_REFUSED_BYTES, REFUSED_WITHIN};

/// A request's body that is given back if it is dropped before its end.
struct ReturnedBody<B: HttpBody> {
    body: Option<B>,
    back: Option<oneshot::Sender<B>>,
}

impl<B: HttpBody> Drop for ReturnedBody<B> {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits for it if the connection has ended.
            let _ = back.send(body);
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for ReturnedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            this.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// The rest of a request, once it is answered.
pub(super) struct Rest<B> {
    body: oneshot::Receiver<B>,
    /// The client sends its body only if it is asked to.
    waits: bool,
}

/// A request whose body can be read further after it is answered.
pub(super) fn watch<B>(request: Request<B>) -> (Request<Body>, Rest<B>)
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    let waits = request.headers().contains_key(EXPECT);
    let (back, body) = oneshot::channel();
    let request = request.map(|body| {
        Body::new(ReturnedBody {
            body: Some(body),
            back: Some(back),
        })
    });
    (request, Rest { body, waits })
}

impl<B> Rest<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    /// Discards what is left of a small body; if more is left, the answer closes the connection.
    pub(super) async fn discard<T>(mut self, answer: &mut Response<T>) {
        let Ok(body) = self.body.try_recv() else {
            return;
        };
        let is_small = !self.waits && discard(Body::new(body)).await;
        if !is_small {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Reads a body within limits; whether that was all of it.
async fn discard(body: Body) -> bool {
    let mut body = Limited::new(body, MAX_REFUSED_BYTES);
    let read = async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => return true,
            }
        }
    };
    tokio::time::timeout(REFUSED_WITHIN, read)
        .await
        .unwrap_or(false)
}
