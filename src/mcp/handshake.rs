//! Requests that arrive before the handshake.
//!
//! rmcp answers a request before `initialize` with an error and ends the connection on a
//! notification. Some hosts send both: early requests wait here until `initialize` arrives and are
//! then served in order.

use std::{collections::VecDeque, time::Duration};

use rmcp::{
    RoleServer,
    model::{
        ClientCapabilities, ClientJsonRpcMessage, ClientRequest, GetMeta, Implementation,
        InitializeRequest, InitializeRequestParams, ProtocolVersion, RequestId,
        ServerJsonRpcMessage,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::time::{Instant, sleep_until};

/// How many requests wait at most; rmcp answers further ones with its error.
const MAX_WAITING: usize = 256;
/// How long the first request waits. A client that never initializes then gets rmcp's error.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// The same on connections where clients may resume without a handshake.
const MAX_WAIT_RESUMED: Duration = Duration::from_secs(1);
/// Request id and client name of the handshake that is made for resumed clients.
const RESUMED_CLIENT: &str = "zep-mcp-server: returned without a handshake";

/// A transport that delivers `initialize` first.
pub(crate) struct InitializeFirst<T> {
    inner: T,
    waiting: VecDeque<ClientJsonRpcMessage>,
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

    fn max_wait(&self) -> Duration {
        if self.resumable {
            MAX_WAIT_RESUMED
        } else {
            MAX_WAIT
        }
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
                None => self.inner.receive().await,
                Some(deadline) => tokio::select! {
                    message = self.inner.receive() => message,
                    () = sleep_until(deadline) => {
                        self.open = true;
                        if self.resumable {
                            return Some(self.handshake_on_behalf());
                        }
                        break;
                    }
                },
            };
            let Some(message) = message else {
                self.open = true;
                break;
            };
            if begins(&message) {
                self.open = opens(&message);
                return Some(message);
            }
            // Before the handshake, notifications and responses have no meaning.
            if matches!(message, ClientJsonRpcMessage::Request(_)) {
                let max_wait = self.max_wait();
                self.deadline
                    .get_or_insert_with(|| Instant::now() + max_wait);
                self.waiting.push_back(message);
                if self.waiting.len() == MAX_WAITING {
                    self.open = true;
                }
            }
        }
        match self.waiting.pop_front() {
            Some(message) => Some(message),
            None => self.inner.receive().await,
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}
