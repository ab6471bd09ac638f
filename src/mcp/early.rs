//! Calls that come before the handshake.
//!
//! rmcp answers a request before `initialize` with an error and ends the connection on a
//! notification. Hosts send both: what comes early waits here until `initialize` has been seen, and
//! is then served in its order.

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

/// How many messages wait at most. Behind them rmcp answers as it does.
const MOST_WAITING: usize = 256;
/// How long the first of them waits. A client that never initializes then gets rmcp's error.
const WAITS_FOR: Duration = Duration::from_secs(10);
/// How long it waits where clients come back without a handshake.
const WAITS_FOR_THE_RETURNED: Duration = Duration::from_secs(1);
/// The id of the handshake that is made for those, and the name that it gives them.
const IN_THEIR_NAME: &str = "zep-mcp-server: returned without a handshake";

/// A transport that delivers `initialize` first.
pub(crate) struct InitializeFirst<T> {
    inner: T,
    waiting: VecDeque<ClientJsonRpcMessage>,
    deadline: Option<Instant>,
    open: bool,
    /// Whether clients come back without a handshake.
    returning: bool,
    /// The answer to the handshake that was made in the client's name, which it does not expect.
    unexpected: Option<RequestId>,
}

impl<T> InitializeFirst<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            waiting: VecDeque::new(),
            deadline: None,
            open: false,
            returning: false,
            unexpected: None,
        }
    }

    /// The same for clients that open their stream anew when it broke and go on as if nothing had
    /// happened, as event sources do: the handshake is then made in their name.
    pub(crate) fn letting_return(mut self) -> Self {
        self.returning = true;
        self
    }

    fn waits_for(&self) -> Duration {
        if self.returning {
            WAITS_FOR_THE_RETURNED
        } else {
            WAITS_FOR
        }
    }

    fn handshake_in_their_name(&mut self) -> ClientJsonRpcMessage {
        let id = RequestId::String(IN_THEIR_NAME.into());
        self.unexpected = Some(id.clone());
        let params = InitializeRequestParams::new(
            // What they can do was told to a server that is gone.
            ClientCapabilities::default(),
            Implementation::new(IN_THEIR_NAME, "unknown"),
        );
        let params = params.with_protocol_version(ProtocolVersion::V_2024_11_05);
        let request = ClientRequest::InitializeRequest(InitializeRequest::new(params));
        ClientJsonRpcMessage::request(request, id)
    }
}

/// Whether this client came back without a handshake, so that nothing is known of what it can do.
pub(super) fn has_returned(client: &InitializeRequestParams) -> bool {
    client.client_info.name == IN_THEIR_NAME
}

/// Whether rmcp can deal with this message before the handshake: it begins one, is a ping, or is a
/// request of the stateless protocol (2026-07-28), which has none.
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

/// Whether the connection is open behind this message.
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
        let unexpected = self.unexpected.is_some() && answered(&item) == self.unexpected.as_ref();
        if unexpected {
            self.unexpected = None;
        }
        let sent = (!unexpected).then(|| self.inner.send(item));
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
                        if self.returning {
                            return Some(self.handshake_in_their_name());
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
            // Before the handshake there is nothing that a notification or an answer could mean.
            if matches!(message, ClientJsonRpcMessage::Request(_)) {
                let waits_for = self.waits_for();
                self.deadline
                    .get_or_insert_with(|| Instant::now() + waits_for);
                self.waiting.push_back(message);
                if self.waiting.len() == MOST_WAITING {
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
