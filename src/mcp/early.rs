//! Calls that come before the handshake.
//!
//! rmcp answers a request before `initialize` with an error and ends the connection on a
//! notification. Hosts send both: what comes early waits here until `initialize` has been seen, and
//! is then served in its order.

use std::{collections::VecDeque, time::Duration};

use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ClientRequest, GetMeta},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::time::{Instant, sleep_until};

/// How many messages wait at most. Behind them rmcp answers as it does.
const MOST_WAITING: usize = 256;
/// How long the first of them waits. A client that never initializes then gets rmcp's error.
const WAITS_FOR: Duration = Duration::from_secs(10);

/// A transport that delivers `initialize` first.
pub(crate) struct InitializeFirst<T> {
    inner: T,
    waiting: VecDeque<ClientJsonRpcMessage>,
    deadline: Option<Instant>,
    open: bool,
}

impl<T> InitializeFirst<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            waiting: VecDeque::new(),
            deadline: None,
            open: false,
        }
    }
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

impl<T: Transport<RoleServer>> Transport<RoleServer> for InitializeFirst<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        while !self.open {
            let message = match self.deadline {
                None => self.inner.receive().await,
                Some(deadline) => tokio::select! {
                    message = self.inner.receive() => message,
                    () = sleep_until(deadline) => {
                        self.open = true;
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
                self.deadline
                    .get_or_insert_with(|| Instant::now() + WAITS_FOR);
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
