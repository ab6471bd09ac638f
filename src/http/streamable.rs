//! `/mcp`: Streamable HTTP, in every protocol version that rmcp supports.

use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Extension, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::future::Either;
use futures::{Stream, StreamExt, stream};
use http_body_util::BodyExt;
use rmcp::model::{ClientJsonRpcMessage, GetExtensions, ProtocolVersion, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, LocalSessionWorker,
};
use rmcp::transport::streamable_http_server::session::{
    ServerSseMessage, SessionId, SessionManager,
};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, WorkerTransport};
use tokio_util::sync::CancellationToken;

use super::access::Subject;
use super::body::GuardedBody;
use super::calls::CountedTransport;
use super::limits::{KEEP_ALIVE, MAX_BODY_BYTES};
use super::mcp_sessions::{McpSessions, SESSION_ID, no_session};
use super::replay::ReplayBuffer;
use super::shares::{Account, Exceeded};
use crate::mcp::{MemoryServer, Refused};

/// The route of Streamable HTTP.
pub(super) const MCP: &str = "/mcp";

/// The header with the client's protocol version.
const PROTOCOL_VERSION: &str = "mcp-protocol-version";

/// rmcp's service with our sessions.
pub(super) type Service = StreamableHttpService<MemoryServer, BoundedSessions>;

/// The service for `/mcp`, until `end`.
pub(super) fn service(
    server: MemoryServer,
    sessions: Arc<McpSessions>,
    replay: Arc<ReplayBuffer>,
    end: CancellationToken,
) -> Service {
    let mut inner = LocalSessionManager::default();
    // rmcp would end a session during a migration, which is silent for hours; `McpSessions` ends
    // unused sessions.
    inner.session_config.keep_alive = None;
    let config = StreamableHttpServerConfig::default()
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_cancellation_token(end)
        .with_max_request_body_bytes(MAX_BODY_BYTES)
        // `host_check` checks both, for every route.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let manager = BoundedSessions {
        inner,
        sessions,
        replay,
    };
    StreamableHttpService::new(move || Ok(server.clone()), Arc::new(manager), config)
}

/// Answers a request.
pub(super) async fn serve(State(service): State<Service>, request: Request) -> Response {
    if let Some(refused) = request.extensions().get::<Refused>() {
        let status = match refused.id {
            Some(_) => StatusCode::OK,
            None => StatusCode::BAD_REQUEST,
        };
        return (status, Json(refused.clone().into_answer())).into_response();
    }
    let method = request.method().clone();
    let answer = async move { service.handle(request).await.map(Body::new) };
    if method != Method::POST {
        let mut answer = answer.await;
        // rmcp ends a session with 202, which the Python SDK takes for a failure.
        if method == Method::DELETE && answer.status() == StatusCode::ACCEPTED {
            *answer.status_mut() = StatusCode::NO_CONTENT;
        }
        return answer;
    }
    let mut answer: Answer = Box::pin(answer);
    tokio::select! {
        answer = &mut answer => answer,
        () = tokio::time::sleep(KEEP_ALIVE) => started(answer),
    }
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Starts the response to a slow call. For clients without a session rmcp sends nothing, not even
/// headers, before the first event, so that proxies would give up: comments keep the stream alive
/// until then.
fn started(answer: Answer) -> Response {
    enum Stage {
        Waiting(Answer),
        Streaming(Pin<Box<dyn Stream<Item = Result<Bytes, axum::Error>> + Send>>),
    }
    let frames = stream::unfold(Stage::Waiting(answer), |mut stage| async {
        loop {
            stage = match stage {
                Stage::Waiting(mut answer) => tokio::select! {
                    answer = &mut answer => Stage::Streaming(as_events(answer).await),
                    () = tokio::time::sleep(KEEP_ALIVE) => {
                        return Some((Ok(COMMENT), Stage::Waiting(answer)));
                    }
                },
                Stage::Streaming(mut events) => {
                    let event = events.next().await?;
                    return Some((event, Stage::Streaming(events)));
                }
            }
        }
    });
    let frames = stream::once(async { Ok(COMMENT) }).chain(frames);
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(frames)).into_response()
}

/// A comment keeps a stream of events alive (HTML: server-sent events).
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// A response as events of a stream that was started already.
async fn as_events(
    answer: Response,
) -> Pin<Box<dyn Stream<Item = Result<Bytes, axum::Error>> + Send>> {
    let (head, body) = answer.into_parts();
    let is = |kind: &str| {
        let found = head.headers.get(CONTENT_TYPE);
        found.is_some_and(|found| found.as_bytes().starts_with(kind.as_bytes()))
    };
    if is("text/event-stream") {
        return Box::pin(body.into_data_stream());
    }
    if !is("application/json") {
        // The server is stopping: no answer follows.
        return Box::pin(stream::empty());
    }
    match body.collect().await {
        Ok(body) => {
            let mut event = b"data: ".to_vec();
            event.extend_from_slice(&body.to_bytes());
            event.extend_from_slice(b"\n\n");
            Box::pin(stream::once(async { Ok(event.into()) }))
        }
        Err(error) => Box::pin(stream::once(async { Err(error) })),
    }
}

/// Lets only its holder use a session, and sets the holder of a new one.
pub(super) async fn guard(
    State(sessions): State<Arc<McpSessions>>,
    Extension(holder): Extension<Subject>,
    request: Request,
    next: Next,
) -> Response {
    let named = request.headers().get(SESSION_ID).cloned();
    let call = (request.method() == Method::POST).then(|| sessions.calls.token());
    let Some(named) = named else {
        // Clients that try the older transport first take this for the word to use the newer one.
        if request.method() == Method::GET {
            return no_method().await;
        }
        if request.method() == Method::POST && !is_stateless(request.headers()) {
            // Only `initialize` opens a session; every other request is refused anyway.
            if let Err(exceeded) = sessions.make_room(&holder) {
                return exceeded.answer(request.into_body()).await;
            }
        }
        let response = OPENER.scope(holder, next.run(request)).await;
        return keep(response, call);
    };
    let in_use = named
        .to_str()
        .ok()
        .and_then(|id| sessions.enter(id, &holder));
    match in_use {
        Some(in_use) => keep(next.run(request).await, (in_use, call)),
        None => no_session(),
    }
}

/// Keeps `kept` until the body is sent.
fn keep<T: Send + Unpin + 'static>(response: Response, kept: T) -> Response {
    if response.body().is_end_stream() {
        return response;
    }
    GuardedBody::wrap(response, kept)
}

/// Whether the client's protocol version has no sessions.
fn is_stateless(headers: &HeaderMap) -> bool {
    let version = headers.get(PROTOCOL_VERSION);
    version.is_some_and(|version| {
        version.as_bytes() >= ProtocolVersion::V_2026_07_28.as_str().as_bytes()
    })
}

tokio::task_local! {
    /// The subject of the request that opens a session.
    static OPENER: Subject;
}

/// Answers other methods.
pub(super) async fn no_method() -> Response {
    let allowed = [(ALLOW, "GET, POST, DELETE")];
    (StatusCode::METHOD_NOT_ALLOWED, allowed).into_response()
}

/// rmcp's sessions, registered in [`McpSessions`] and with responses kept for reconnecting clients.
pub(super) struct BoundedSessions {
    inner: LocalSessionManager,
    sessions: Arc<McpSessions>,
    replay: Arc<ReplayBuffer>,
}

/// Errors of sessions.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// There are too many.
    #[error("there are too many sessions: {0:?}")]
    Exceeded(Exceeded),
    /// The request carries no subject or no account.
    #[error("the caller is not known")]
    NoCaller,
    /// rmcp's own.
    #[error(transparent)]
    Local(#[from] LocalSessionManagerError),
}

/// The account of a request, which rmcp passes on with it.
fn account_of(message: &ClientJsonRpcMessage) -> Option<Account> {
    let ClientJsonRpcMessage::Request(request) = message else {
        return None;
    };
    let parts = request.request.extensions().get::<Parts>()?;
    parts.extensions.get::<Account>().cloned()
}

impl SessionManager for BoundedSessions {
    type Error = SessionError;
    type Transport = CountedTransport<WorkerTransport<LocalSessionWorker>>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let holder = OPENER.try_with(Subject::clone);
        let holder = holder.map_err(|_| SessionError::NoCaller)?;
        let (id, transport) = self.inner.create_session().await?;
        match self.sessions.open(Arc::clone(&id), holder) {
            Ok(session) => Ok((id, CountedTransport::new(transport, session))),
            Err(exceeded) => {
                self.inner.close_session(&id).await?;
                Err(SessionError::Exceeded(exceeded))
            }
        }
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        Ok(self.inner.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.sessions.end(id);
        Ok(self.inner.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let account = account_of(&message).ok_or(SessionError::NoCaller)?;
        let events = self.inner.create_stream(id, message).await?;
        Ok(self.replay.record(Arc::clone(id), account, events))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        Ok(self.inner.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.inner.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(match self.replay.resume(id, &last_event_id) {
            Some(events) => Either::Left(events),
            None => Either::Right(self.inner.resume(id, last_event_id).await?),
        })
    }
}
