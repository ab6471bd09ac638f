//! Counts the calls of a session: calls in flight are bounded, keep their session alive, and are
//! waited for at shutdown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorData, RequestId, ServerJsonRpcMessage,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

use super::limits::MAX_CALLS;
use super::mcp_sessions::{Call, McpSession};
use crate::mcp::answered;

/// A transport that counts the calls of its session, and ends with the session.
pub(super) struct CountedTransport<T> {
    inner: T,
    session: McpSession,
    calls: Arc<Mutex<HashMap<RequestId, Call>>>,
}

impl<T> CountedTransport<T> {
    /// Counts the calls that `inner` receives as calls of this session.
    pub(super) fn new(inner: T, session: McpSession) -> Self {
        Self {
            inner,
            session,
            calls: Arc::default(),
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for CountedTransport<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let call = answered(&item).and_then(|id| {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.remove(id)
        });
        let sent = self.inner.send(item);
        async move {
            let sent = sent.await;
            // Until its response is sent, the call is in flight.
            drop(call);
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let ended = self.session.ended();
        loop {
            let message = tokio::select! {
                biased;
                () = ended.cancelled() => return None,
                message = self.inner.receive() => message?,
            };
            let refused = {
                let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
                match &message {
                    ClientJsonRpcMessage::Request(request) if calls.len() < MAX_CALLS => {
                        calls.insert(request.id.clone(), self.session.call());
                        None
                    }
                    ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
                    ClientJsonRpcMessage::Notification(notification) => {
                        // A cancelled call gets no response.
                        if let ClientNotification::CancelledNotification(cancelled) =
                            &notification.notification
                            && let Some(id) = &cancelled.params.request_id
                        {
                            calls.remove(id);
                        }
                        None
                    }
                    _ => None,
                }
            };
            let Some(id) = refused else {
                return Some(message);
            };
            let error = ErrorData::internal_error(
                "too many calls of this session are in flight; wait for some of them",
                None,
            );
            // In a task of its own, since this future may be dropped at any time.
            tokio::spawn(
                self.inner
                    .send(ServerJsonRpcMessage::error(error, Some(id))),
            );
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}
