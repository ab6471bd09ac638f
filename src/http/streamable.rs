//! `/mcp`: Streamable HTTP, in every protocol version that rmcp supports.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Extension, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use http_body_util::BodyExt;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorData, JsonRpcMessage, ProtocolVersion,
    RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::access::Subject;
use super::body::GuardedBody;
use super::bounded_sessions::{BoundedSessions, OPENER};
use super::limits::{KEEP_ALIVE, MAX_BODY_BYTES};
use super::mcp_sessions::{McpSessions, SESSION_ID, no_session};
use super::replay::ReplayBuffer;
use super::shares::Account;
use super::sse::is_json;
use crate::mcp::{
    InFlight, MemoryServer, Received, Refusal, Refused, encode, is_ours, member as member_of_batch,
    read, restore,
};

/// The route of Streamable HTTP.
pub(super) const MCP: &str = "/mcp";

/// The header with the client's protocol version.
const PROTOCOL_VERSION: &str = "mcp-protocol-version";

/// rmcp's service with our sessions.
type Service = StreamableHttpService<MemoryServer, BoundedSessions>;

/// The state of `/mcp`.
#[derive(Clone)]
pub(super) struct Streamable {
    service: Service,
    /// By session.
    in_flight: Arc<InFlight<HeaderValue>>,
}

/// The service for `/mcp`, until `end`.
pub(super) fn service(
    server: MemoryServer,
    sessions: Arc<McpSessions>,
    replay: Arc<ReplayBuffer>,
    end: CancellationToken,
) -> Streamable {
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
    let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::new(manager), config);
    Streamable {
        service,
        in_flight: Arc::default(),
    }
}

/// Answers a request.
pub(super) async fn serve(State(streamable): State<Streamable>, request: Request) -> Response {
    if request.method() == Method::POST {
        let mut answer: Answer = Box::pin(streamable.post(request));
        return tokio::select! {
            answer = &mut answer => answer,
            () = tokio::time::sleep(KEEP_ALIVE) => started(answer),
        };
    }
    let method = request.method().clone();
    let mut answer = streamable.service.handle(request).await.map(Body::new);
    // rmcp ends a session with 202, which the Python SDK takes for a failure.
    if method == Method::DELETE && answer.status() == StatusCode::ACCEPTED {
        *answer.status_mut() = StatusCode::NO_CONTENT;
    }
    // A stream that is resumed.
    restored(answer)
}

impl Streamable {
    async fn post(self, request: Request) -> Response {
        if let Some(refused) = request.extensions().get::<Refused>() {
            return refusal(refused.clone());
        }
        if !is_json(request.headers()) {
            // rmcp says what it takes.
            return self.service.handle(request).await.map(Body::new);
        }
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return StatusCode::BAD_REQUEST.into_response(),
        };
        let message = match read(&body) {
            Err(refused) => return refusal(refused),
            Ok(Received::Ignored) => return StatusCode::ACCEPTED.into_response(),
            Ok(Received::Message(message)) => message,
            Ok(Received::Batch(members)) => {
                if !has_batches(&parts.headers) {
                    return refusal(Refused::of(None, Refusal::NO_BATCHES));
                }
                let members = members.into_iter();
                let members = members.map(|member| body.slice_ref(member.as_bytes()));
                return self.batch(parts, members.collect());
            }
        };
        self.pass(parts, message, body).await
    }

    /// Passes a message on to rmcp.
    async fn pass(self, parts: Parts, mut message: ClientJsonRpcMessage, text: Bytes) -> Response {
        let mut own = None;
        let mut in_flight = None;
        let mut as_it_is = text.first() == Some(&b'{');
        match &mut message {
            JsonRpcMessage::Request(request) => {
                if let Some(session) = parts.headers.get(SESSION_ID) {
                    let id = self.in_flight.enter(session.clone(), request.id.clone());
                    request.id = id.clone();
                    in_flight = Some(Flight {
                        all: Arc::clone(&self.in_flight),
                        session: session.clone(),
                        id,
                    });
                }
                as_it_is &= !is_ours(&request.id);
                own = Some(request.id.clone());
            }
            JsonRpcMessage::Notification(notification) => {
                let notification = &notification.notification;
                as_it_is &= !matches!(notification, ClientNotification::CancelledNotification(_));
            }
            _ => {}
        }
        let body = match as_it_is {
            true => text,
            false => match serde_json::to_vec(&message) {
                Ok(message) => message.into(),
                Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            },
        };
        // rmcp parses it again; two copies would take twice the memory.
        drop(message);
        let request = Request::from_parts(parts, Body::from(body));
        let answer = self.service.handle(request).await.map(Body::new);
        let answer = explained(answer, own.clone()).await;
        let answer = match own.is_some_and(|id| is_ours(&id)) {
            true => restored(answer),
            false => answer,
        };
        match in_flight {
            Some(in_flight) => keep(answer, in_flight),
            None => answer,
        }
    }

    /// Answers the messages of a batch one after the other.
    fn batch(self, parts: Parts, members: Vec<Bytes>) -> Response {
        let answers = stream::iter(members).then(move |text| {
            let (streamable, parts) = (self.clone(), parts.clone());
            async move {
                let member = str::from_utf8(&text).map_err(|_| Refusal::NotJson);
                let answer = match member.map(member_of_batch) {
                    Ok(Ok(Received::Message(message))) => {
                        streamable.pass(parts, message, text.clone()).await
                    }
                    Ok(Ok(_)) => StatusCode::ACCEPTED.into_response(),
                    Ok(Err(refused)) => refusal(refused),
                    Err(why) => refusal(Refused::of(None, why)),
                };
                as_events(answer).await
            }
        });
        let headers = [
            (CONTENT_TYPE, "text/event-stream"),
            (CACHE_CONTROL, "no-cache"),
        ];
        (headers, Body::from_stream(answers.flatten())).into_response()
    }
}

/// Whether the client's protocol version has batches: that which has no header for its version, too.
fn has_batches(headers: &HeaderMap) -> bool {
    let version = headers.get(PROTOCOL_VERSION);
    version.is_none_or(|version| version == ProtocolVersion::V_2025_03_26.as_str())
}

/// A request of a session in flight, until this is dropped.
struct Flight {
    all: Arc<InFlight<HeaderValue>>,
    session: HeaderValue,
    id: RequestId,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.all.leave(self.session.clone(), &self.id);
    }
}

/// The response to a message that was refused. As the official servers do: 400 if it is no JSON-RPC,
/// and otherwise 200 with JSON-RPC's error.
pub(super) fn refusal(refused: Refused) -> Response {
    let status = match refused.is_of_params() {
        true => StatusCode::OK,
        false => StatusCode::BAD_REQUEST,
    };
    error(status, &refused.into_answer())
}

fn error(status: StatusCode, answer: &ServerJsonRpcMessage) -> Response {
    match encode(answer) {
        Ok(answer) => (status, [(CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The longest text of an error of rmcp.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The same response, where rmcp refuses a request with a text, as a JSON-RPC error.
async fn explained(answer: Response, id: Option<RequestId>) -> Response {
    let is_text = matches!(
        answer.status(),
        StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE
    ) && !answer.headers().contains_key(CONTENT_TYPE);
    if !is_text {
        return answer;
    }
    let text = axum::body::to_bytes(answer.into_body(), MAX_ERROR_BYTES).await;
    let text = text.unwrap_or_default();
    let why = match str::from_utf8(&text) {
        Ok(text) if text.contains("Session ID is required") => {
            return refusal(Refused::of(id, Refusal::NO_SESSION));
        }
        Ok(text) if text.contains("MCP-Protocol-Version") => text.to_owned(),
        _ => "the message cannot be read".to_owned(),
    };
    let answer = ServerJsonRpcMessage::error(ErrorData::invalid_request(why, None), id);
    error(StatusCode::BAD_REQUEST, &answer)
}

/// The same response with the client's own ids.
fn restored(answer: Response) -> Response {
    answer.map(|body| Body::new(body.map_frame(|frame| frame.map_data(restore))))
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
    Extension(account): Extension<Account>,
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
                return account.refuse_with(exceeded, request.into_body()).await;
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

/// Answers other methods.
pub(super) async fn no_method() -> Response {
    let allowed = [(ALLOW, "GET, POST, DELETE")];
    (StatusCode::METHOD_NOT_ALLOWED, allowed).into_response()
}
