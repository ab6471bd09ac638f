//! `/sse` and `/messages`: HTTP with SSE, the transport of MCP 2024-11-05, which many hosts still use.
//!
//! The client opens a stream. Its first event names the address to post messages to; all responses
//! arrive on the stream. The session lives as long as the stream.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::common::server_side_http::session_id;
use rmcp::{RoleServer, ServiceExt};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::access::Subject;
use super::body::GuardedBody;
use super::calls::CountedTransport;
use super::limits::KEEP_ALIVE;
use super::mcp_sessions::{McpSessions, no_session};
use super::shares::{Account, Counted};
use super::streamable::refusal;
use crate::mcp::{Connection, InitializeFirst, MemoryServer, Refused};

/// The route of the stream.
pub(super) const SSE: &str = "/sse";
/// The route that clients post messages to.
pub(super) const MESSAGES: &str = "/messages";

/// How many messages of a session are queued.
const MAX_QUEUED: usize = 16;
/// How many responses of a session may be unread before it takes no more calls. Their memory is
/// bounded by the shares of their token.
const MAX_UNREAD: usize = 4;
/// A comment keeps a stream of events alive (HTML: server-sent events).
const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// How long a posted message waits for room in the queue.
const QUEUED_WITHIN: Duration = Duration::from_secs(30);

/// A message that was posted, or one that was refused and is answered on the stream.
type Posted = Result<ClientJsonRpcMessage, Refused>;

/// Where the messages of a session are posted to.
#[derive(Debug, Clone)]
struct Inbox {
    queue: mpsc::Sender<Posted>,
    connection: Arc<Connection>,
}

/// The state of both routes.
#[derive(Debug)]
pub(super) struct SseTransport {
    server: MemoryServer,
    sessions: Arc<McpSessions>,
    /// By session.
    inboxes: Mutex<HashMap<Arc<str>, Inbox>>,
}

impl SseTransport {
    pub(super) fn new(server: MemoryServer, sessions: Arc<McpSessions>) -> Arc<Self> {
        Arc::new(Self {
            server,
            sessions,
            inboxes: Mutex::default(),
        })
    }

    fn inbox(&self, id: &str) -> Option<Inbox> {
        let inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.get(id).cloned()
    }
}

/// Ends a session and removes its inbox when its stream is dropped.
struct OpenStream {
    transport: Arc<SseTransport>,
    id: Arc<str>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut inboxes = self
            .transport
            .inboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        inboxes.remove(&self.id);
        drop(inboxes);
        self.transport.sessions.end(&self.id);
    }
}

/// `GET /sse`: opens a session and its stream.
pub(super) async fn open(
    State(transport): State<Arc<SseTransport>>,
    Extension(holder): Extension<Subject>,
    Extension(account): Extension<Account>,
) -> Response {
    let id = session_id();
    let session = match transport.sessions.open(Arc::clone(&id), holder.clone()) {
        Ok(session) => session,
        Err(exceeded) => return account.refuse_with(exceeded, Body::empty()).await,
    };
    // In use as long as its stream: it is not ended to make room.
    let in_use = transport.sessions.enter(&id, &holder);
    let (outbox, answers) = mpsc::channel(MAX_UNREAD);
    let (queue, calls) = mpsc::channel(MAX_QUEUED);
    let connection = Arc::<Connection>::default();
    let inbox = Inbox {
        queue,
        connection: Arc::clone(&connection),
    };
    let ended = session.ended();
    transport
        .inboxes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(Arc::clone(&id), inbox);
    let stream = OpenStream {
        transport: Arc::clone(&transport),
        id: Arc::clone(&id),
    };
    let wire = Wire {
        outbox,
        calls,
        account,
        connection,
    };
    let wire = InitializeFirst::new(wire).resumable();
    let wire = CountedTransport::new(wire, session);
    let server = transport.server.clone();
    tokio::spawn(async move {
        match server.serve(wire).await {
            Ok(running) => {
                if running.waiting().await.is_err() {
                    tracing::error!("the task of a session panicked");
                }
            }
            // The error's text can repeat the message.
            Err(_) => tracing::debug!("a client left before the handshake"),
        }
    });
    let endpoint = format!("event: endpoint\ndata: {MESSAGES}?sessionId={id}\n\n");
    let events = stream::once(async { Ok(endpoint.into()) }).chain(events(answers, ended));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
    ];
    let mut response = (headers, Body::from_stream(events)).into_response();
    response.extensions_mut().insert(Counted);
    GuardedBody::wrap(response, (stream, in_use))
}

/// The responses as events, up to the last one that was queued when the session ended, and comments
/// while there is none.
fn events(
    answers: mpsc::Receiver<Bytes>,
    ended: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    stream::unfold((answers, ended), |(mut answers, ended)| async {
        let event = tokio::select! {
            biased;
            answer = answers.recv() => answer?,
            () = ended.cancelled(), if !answers.is_closed() => {
                answers.close();
                answers.recv().await?
            }
            () = tokio::time::sleep(KEEP_ALIVE) => COMMENT,
        };
        Some((Ok(event), (answers, ended)))
    })
}

/// A message's JSON as an event.
fn event(message: &[u8]) -> Bytes {
    [b"event: message\ndata: ", message, b"\n\n"]
        .concat()
        .into()
}

/// The query of `/messages`.
#[derive(Debug, Deserialize)]
pub(super) struct Address {
    /// Under the name in the first event, or the variant that some clients send.
    #[serde(rename = "sessionId", alias = "session_id")]
    session: String,
}

/// `POST /messages?sessionId=…`: queues one message of a session. Its response goes to the stream.
pub(super) async fn post(
    State(transport): State<Arc<SseTransport>>,
    Extension(holder): Extension<Subject>,
    Query(address): Query<Address>,
    mut parts: Parts,
    body: Bytes,
) -> Response {
    if !is_json(&parts.headers) {
        return (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a message must be application/json\n",
        )
            .into_response();
    }
    let session = transport
        .sessions
        .enter(&address.session, &holder)
        .zip(transport.inbox(&address.session));
    let Some((_in_use, inbox)) = session else {
        return no_session();
    };
    let read = match parts.extensions.remove::<Refused>() {
        Some(refused) => vec![Err(refused)],
        None => inbox.connection.read(&body),
    };
    for message in read {
        let message = match message {
            Ok(mut message) => {
                message.insert_extension(parts.clone());
                Ok(message)
            }
            // Nobody waits for it on the stream.
            Err(refused) if refused.id.is_none() => return refusal(refused),
            Err(refused) => Err(refused),
        };
        match inbox.queue.send_timeout(message, QUEUED_WITHIN).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                return (StatusCode::NOT_FOUND, "the session has ended\n").into_response();
            }
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                return (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the session has too many messages in its queue; try again\n",
                )
                    .into_response();
            }
        }
    }
    (StatusCode::ACCEPTED, "Accepted").into_response()
}

/// Whether the body is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The messages of a session, in both directions.
struct Wire {
    /// Events, whose memory counts until they are written.
    outbox: mpsc::Sender<Bytes>,
    calls: mpsc::Receiver<Posted>,
    /// Of the request that opened the stream.
    account: Account,
    connection: Arc<Connection>,
}

/// A message cannot be sent.
#[derive(Debug, thiserror::Error)]
enum WireError {
    #[error("the client is gone")]
    Closed,
    #[error("the message cannot be serialised")]
    Message(#[from] serde_json::Error),
}

impl Transport<RoleServer> for Wire {
    type Error = WireError;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        // At once, so that only the event waits to be read, which is smaller than the message.
        let message = self.connection.encode(&item);
        let event = message.map(|message| self.account.owned(event(&message)));
        let outbox = self.outbox.clone();
        async move { outbox.send(event?).await.map_err(|_| WireError::Closed) }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        // Takes no call while responses are unread, since each call adds one to memory. The channel
        // is fair: responses that wait for room get it first.
        loop {
            drop(self.outbox.reserve().await.ok()?);
            match self.calls.recv().await? {
                Ok(message) => return Some(message),
                // In a task of its own, since this future may be dropped at any time.
                Err(refused) => tokio::spawn(self.send(refused.into_answer())),
            };
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.calls.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::ServerJsonRpcMessage;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn no_call_is_taken_before_the_responses_are_read() {
        let (outbox, mut answers) = mpsc::channel(1);
        let (inbox, calls) = mpsc::channel(1);
        let mut wire = Wire {
            outbox,
            calls,
            account: Account::of("ann"),
            connection: Arc::default(),
        };
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        inbox
            .send(Ok(serde_json::from_value(ping).unwrap()))
            .await
            .unwrap();
        let answer = json!({"jsonrpc": "2.0", "id": 0, "result": {}});
        let answer: ServerJsonRpcMessage = serde_json::from_value(answer).unwrap();
        wire.send(answer.clone()).await.unwrap();
        let late = tokio::spawn(wire.send(answer));
        let moment = Duration::from_millis(50);
        for _ in 0..2 {
            assert!(tokio::time::timeout(moment, wire.receive()).await.is_err());
            answers.recv().await.unwrap();
        }
        late.await.unwrap().unwrap();
        assert!(wire.receive().await.is_some());
        drop(answers);
        assert!(wire.receive().await.is_none(), "the client is gone");
    }
}
