//! `/sse` and `/messages`: the transport of MCP 2024-11-05, which many hosts still speak.
//!
//! The client opens a stream, is told in its first event where to post, and gets all answers on the
//! stream. The session lives as long as the stream.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::common::server_side_http::session_id;
use rmcp::{RoleServer, ServiceExt};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::access::Subject;
use super::bounds::Holding;
use super::calls::Counted;
use super::sessions::Sessions;
use super::{KEEP_ALIVE, MESSAGES, streamable};
use crate::mcp::{InitializeFirst, MemoryServer};

/// How many messages of a client wait, before it does.
const MOST_QUEUED: usize = 16;
/// How many answers wait to be read. An answer can have a megabyte, and many may not read.
const MOST_UNREAD: usize = 4;
/// How long a message may wait to be taken in.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// The older door.
#[derive(Debug)]
pub(super) struct Door {
    server: MemoryServer,
    sessions: Arc<Sessions>,
    /// Where what is posted goes, by session.
    inboxes: Mutex<HashMap<Arc<str>, mpsc::Sender<ClientJsonRpcMessage>>>,
}

impl Door {
    pub fn new(server: MemoryServer, sessions: Arc<Sessions>) -> Arc<Self> {
        Arc::new(Self {
            server,
            sessions,
            inboxes: Mutex::default(),
        })
    }

    fn inbox(&self, id: &str) -> Option<mpsc::Sender<ClientJsonRpcMessage>> {
        let inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.get(id).cloned()
    }
}

/// Takes the inbox of a session away and ends it, when its stream is no longer read.
struct Hanging {
    door: Arc<Door>,
    id: Arc<str>,
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let mut inboxes = self
            .door
            .inboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        inboxes.remove(&self.id);
        drop(inboxes);
        self.door.sessions.end(&self.id);
    }
}

/// `GET /sse`: a new session and its stream.
pub(super) async fn open(
    State(door): State<Arc<Door>>,
    Extension(holder): Extension<Subject>,
) -> Response {
    let id = session_id();
    let Ok(session) = door.sessions.open(Arc::clone(&id), Some(holder.clone())) else {
        return streamable::no_room();
    };
    // Its own, so that nothing makes room by ending it.
    let in_use = door.sessions.enter(&id, &holder);
    let (outbox, answers) = mpsc::channel(MOST_UNREAD);
    let (inbox, calls) = mpsc::channel(MOST_QUEUED);
    let over = session.over();
    door.inboxes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(Arc::clone(&id), inbox);
    let hanging = Hanging {
        door: Arc::clone(&door),
        id: Arc::clone(&id),
    };
    let wire = InitializeFirst::new(Wire { outbox, calls }).resumable();
    let transport = Counted::new(wire, session);
    let server = door.server.clone();
    tokio::spawn(async move {
        match server.serve(transport).await {
            Ok(running) => {
                if running.waiting().await.is_err() {
                    tracing::error!("a task of a session died");
                }
            }
            // Its text can repeat what was sent.
            Err(_) => tracing::debug!("a client left before the handshake"),
        }
    });
    let endpoint = Event::default()
        .event("endpoint")
        .data(format!("{MESSAGES}?sessionId={id}"));
    let events = stream::once(async { Ok(endpoint) }).chain(events(answers, over));
    let response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response();
    Holding::keep(response, (hanging, in_use))
}

/// The answers as events, until all are sent that there were when the session was over.
fn events(
    answers: mpsc::Receiver<ServerJsonRpcMessage>,
    over: CancellationToken,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    stream::unfold((answers, over), |(mut answers, over)| async {
        let answer = tokio::select! {
            biased;
            answer = answers.recv() => answer,
            () = over.cancelled(), if !answers.is_closed() => {
                answers.close();
                answers.recv().await
            }
        }?;
        // It is a message because it was made from one; were it none, the stream had to end.
        let event = Event::default().event("message").json_data(answer).ok()?;
        Some((Ok(event), (answers, over)))
    })
}

/// Where a message belongs.
#[derive(Debug, Deserialize)]
pub(super) struct Address {
    /// The name that the first event gives it; the one that some clients make of it.
    #[serde(rename = "sessionId", alias = "session_id")]
    session: String,
}

/// `POST /messages?sessionId=…`: one message of a session. Its answer goes to the stream.
pub(super) async fn post(
    State(door): State<Arc<Door>>,
    Extension(holder): Extension<Subject>,
    Query(address): Query<Address>,
    parts: Parts,
    body: Bytes,
) -> Response {
    if !is_json(&parts.headers) {
        return (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a message is application/json\n",
        )
            .into_response();
    }
    let session = door
        .sessions
        .enter(&address.session, &holder)
        .zip(door.inbox(&address.session));
    let Some((_in_use, inbox)) = session else {
        // Be it over or somebody else's: whoever reconnects gets a new one.
        return (StatusCode::NOT_FOUND, "there is no such session\n").into_response();
    };
    let Ok(mut message) = serde_json::from_slice::<ClientJsonRpcMessage>(&body) else {
        return (StatusCode::BAD_REQUEST, "this is no JSON-RPC message\n").into_response();
    };
    message.insert_extension(parts);
    match inbox.send_timeout(message, TAKEN_WITHIN).await {
        Ok(()) => (StatusCode::ACCEPTED, "Accepted").into_response(),
        Err(mpsc::error::SendTimeoutError::Closed(_)) => {
            (StatusCode::NOT_FOUND, "the session is over\n").into_response()
        }
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the session has too much to do; try again\n",
        )
            .into_response(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A session's messages, in both directions.
struct Wire {
    outbox: mpsc::Sender<ServerJsonRpcMessage>,
    calls: mpsc::Receiver<ClientJsonRpcMessage>,
}

impl Transport<RoleServer> for Wire {
    type Error = mpsc::error::SendError<ServerJsonRpcMessage>;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let outbox = self.outbox.clone();
        async move { outbox.send(item).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        // Whoever does not read is not listened to: each further call would be one more answer that
        // waits in memory. Places are given in turn, so all answers that wait have theirs before.
        drop(self.outbox.reserve().await.ok()?);
        self.calls.recv().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.calls.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn no_call_is_taken_in_before_the_answers_are_read() {
        let (outbox, mut answers) = mpsc::channel(1);
        let (inbox, calls) = mpsc::channel(1);
        let mut wire = Wire { outbox, calls };
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        inbox
            .send(serde_json::from_value(ping).unwrap())
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
        assert!(wire.receive().await.is_none(), "nobody is left to read");
    }
}
