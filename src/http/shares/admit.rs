//! The layer that counts requests.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Extension, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};

use super::refusal::Message;
use super::{Account, Counted, Exceeded, Place, Shares, Subject};
use crate::mcp::CallTurn;

/// The smallest frame whose memory is counted, in bytes.
const LEAST_COUNTED: usize = 1024;

/// Refuses a request whose token has taken its share, and counts what the others take until they are
/// answered. Each request must carry a `Subject` in its extensions.
pub(in crate::http) async fn admit(
    State(shares): State<Arc<Shares>>,
    Extension(subject): Extension<Subject>,
    mut request: Request,
    next: Next,
) -> Response {
    let place = request.extensions().get::<Arc<Place>>().cloned();
    let mut account = shares.account(subject, place);
    if let Err(exceeded) = account.take(request.method()) {
        let (parts, body) = request.into_parts();
        let message = Message::read(body).await;
        // What ends or continues a call in flight is always let through.
        let Some(body) = message
            .body
            .clone()
            .filter(|_| exceeded == Exceeded::Calls && !message.is_request)
        else {
            return account.refuse(exceeded, &message);
        };
        request = Request::from_parts(parts, Body::from(body));
    }
    if account.call.is_some() {
        let turn = CallTurn(Arc::new(account.clone()));
        request.extensions_mut().insert(turn);
    }
    counted(account, request, next).await
}

/// The same for a REST call, which is refused as JSON whatever its method.
pub(in crate::http) async fn admit_call(
    State(shares): State<Arc<Shares>>,
    Extension(subject): Extension<Subject>,
    request: Request,
    next: Next,
) -> Response {
    let place = request.extensions().get::<Arc<Place>>().cloned();
    let mut account = shares.account(subject, place);
    match account.take(&Method::POST) {
        Ok(()) => counted(account, request, next).await,
        Err(exceeded) => {
            account.shares.refused.fetch_add(1, Ordering::Relaxed);
            exceeded.answer_call()
        }
    }
}

/// Runs a request, and counts its answer until it is written.
async fn counted(account: Account, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(account.clone());
    let response = next.run(request).await;
    if response.body().is_end_stream() || response.extensions().get::<Counted>().is_some() {
        return response;
    }
    response.map(|body| Body::new(CountedBody { body, account }))
}

impl Account {
    /// The answer to a request with this body that was refused.
    pub(in crate::http) async fn refuse_with(&self, exceeded: Exceeded, body: Body) -> Response {
        self.refuse(exceeded, &Message::read(body).await)
    }

    fn refuse(&self, exceeded: Exceeded, message: &Message) -> Response {
        self.shares.refused.fetch_add(1, Ordering::Relaxed);
        exceeded.answer(message)
    }

    /// Takes what a request needs.
    fn take(&mut self, method: &Method) -> Result<(), Exceeded> {
        let Self {
            shares,
            subject,
            place,
            ..
        } = self;
        if let Some(place) = place
            && !shares.places.belongs_to(place, subject)
        {
            return Err(Exceeded::Connections);
        }
        shares.count_request(subject)?;
        if method == Method::POST {
            self.call = Some(Arc::new(shares.begin(subject)?));
        }
        Ok(())
    }
}

/// A body whose frames are counted until they are written.
struct CountedBody {
    body: Body,
    account: Account,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        let account = &this.account;
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|data| match data.len() {
                    0..LEAST_COUNTED => data,
                    _ => account.owned(data),
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
