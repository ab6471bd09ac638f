//! Requests that arrive before the handshake.
//!
//! rmcp answers a request before `initialize` with an error and ends the connection on a
//! notification. Some hosts send both at once with `initialize`: early requests wait here for a moment
//! until it arrives and are then served in order. Without it they are answered with an error.

use std::{collections::VecDeque, time::Duration};

use rmcp::{
    RoleServer,
    model::{
        ClientCapabilities, ClientJsonRpcMessage, ClientRequest, GetMeta, Implementation,
        InitializeRequest, InitializeRequestParams, JsonRpcRequest, ProtocolVersion, RequestId,
        ServerJsonRpcMessage,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::time::{Instant, sleep_until};

use super::jsonrpc::{Refusal, Refused};

/// How many requests wait at most; further ones are answered with an error.
const MAX_WAITING: usize = 256;
/// How long the first request waits: a client that sends `initialize` too sends it at once.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Request id and client name of the handshake that is made for resumed clients.
const RESUMED_CLIENT: &str = "zep-mcp-server: returned without a handshake";

/// A transport that delivers `initialize` first.
pub(crate) struct InitializeFirst<T> {
    inner: T,
    waiting: VecDeque<JsonRpcRequest<ClientRequest>>,
    /// Until when requests wait, once one does.
    deadline: Option<Instant>,
    open: bool,
    /// Whether clients may resume without a handshake.
    resumable: bool,
    /// The request id of the handshake made on the client's behalf: its answer is not sent.
    suppressed: Option<RequestId>,
}

impl<T> InitializeFirst<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            waiting: VecDeque::new(),
            deadline: None,
            open: false,
            resumable: false,
            suppressed: None,
        }
    }

    /// The same for clients that reopen a broken stream and continue without a handshake, as event
    /// sources do: the handshake is then made on their behalf.
    pub(crate) fn resumable(mut self) -> Self {
        self.resumable = true;
        self
    }

    fn handshake_on_behalf(&mut self) -> ClientJsonRpcMessage {
        let id = RequestId::String(RESUMED_CLIENT.into());
        self.suppressed = Some(id.clone());
        let params = InitializeRequestParams::new(
            // Capabilities were negotiated with the previous process.
            ClientCapabilities::default(),
            Implementation::new(RESUMED_CLIENT, "unknown"),
        );
        let params = params.with_protocol_version(ProtocolVersion::V_2024_11_05);
        let request = ClientRequest::InitializeRequest(InitializeRequest::new(params));
        ClientJsonRpcMessage::request(request, id)
    }
}

impl<T: Transport<RoleServer>> InitializeFirst<T> {
    /// Answers the requests that wait with an error.
    async fn refuse_waiting(&mut self) {
        while let Some(request) = self.waiting.pop_front() {
            let refused = Refused::of(Some(request.id), Refusal::NO_HANDSHAKE);
            // Fails if the client is gone, which ends the input too.
            let _ = self.inner.send(refused.into_answer()).await;
        }
    }
}

/// Whether this client resumed without a handshake, so that its capabilities are not known.
pub(super) fn has_returned(client: &InitializeRequestParams) -> bool {
    client.client_info.name == RESUMED_CLIENT
}

/// Whether rmcp accepts this message before the handshake: it begins one, is a ping, or is a request
/// of the stateless protocol (2026-07-28), which has no handshake.
fn begins(message: &ClientJsonRpcMessage) -> bool {
    match message {
        ClientJsonRpcMessage::Request(request) => {
            matches!(
                request.request,
                ClientRequest::InitializeRequest(_)
                    | ClientRequest::DiscoverRequest(_)
                    | ClientRequest::PingRequest(_)
            ) || request.request.get_meta().protocol_version().is_some()
        }
        _ => false,
    }
}

/// Whether the handshake is done after this message.
fn opens(message: &ClientJsonRpcMessage) -> bool {
    match message {
        ClientJsonRpcMessage::Request(request) => !matches!(
            request.request,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_)
        ),
        _ => false,
    }
}

/// The request that a message answers.
pub(crate) fn answered(message: &ServerJsonRpcMessage) -> Option<&RequestId> {
    match message {
        ServerJsonRpcMessage::Response(response) => Some(&response.id),
        ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
        _ => None,
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for InitializeFirst<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let suppressed = self.suppressed.is_some() && answered(&item) == self.suppressed.as_ref();
        if suppressed {
            self.suppressed = None;
        }
        let sent = (!suppressed).then(|| self.inner.send(item));
        async move {
            match sent {
                Some(sent) => sent.await,
                None => Ok(()),
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        while !self.open {
            let message = match self.deadline {
                Some(deadline) if !self.waiting.is_empty() => tokio::select! {
                    message = self.inner.receive() => message,
                    () = sleep_until(deadline) => {
                        if self.resumable {
                            self.open = true;
                            return Some(self.handshake_on_behalf());
                        }
                        self.refuse_waiting().await;
                        continue;
                    }
                },
                _ => self.inner.receive().await,
            };
            let Some(message) = message else {
                self.refuse_waiting().await;
                return None;
            };
            if begins(&message) {
                self.open = opens(&message);
                return Some(message);
            }
            // Before the handshake, notifications and responses have no meaning.
            if let ClientJsonRpcMessage::Request(request) = message {
                self.deadline
                    .get_or_insert_with(|| Instant::now() + MAX_WAIT);
                self.waiting.push_back(request);
                if self.waiting.len() > MAX_WAITING {
                    self.refuse_waiting().await;
                }
            }
        }
        match self.waiting.pop_front() {
            Some(request) => Some(ClientJsonRpcMessage::Request(request)),
            None => self.inner.receive().await,
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}
