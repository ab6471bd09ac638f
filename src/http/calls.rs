//! Counting the calls of a session: what is being answered is waited for at the end, keeps its
//! session alive, and is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorData, RequestId, ServerJsonRpcMessage,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

use super::sessions::{Call, Session};
use crate::mcp::answered;

/// The most calls of one session that are answered at once: more than any agent makes, and less
/// than would keep others waiting.
const MOST_CALLS: usize = 256;

/// A transport that counts the calls of its session, and ends with it.
pub(super) struct Counted<T> {
    inner: T,
    session: Session,
    calls: Arc<Mutex<HashMap<RequestId, Call>>>,
}

impl<T> Counted<T> {
    /// Counts what comes through `inner` as calls of this session.
    pub fn new(inner: T, session: Session) -> Self {
        Self {
            inner,
            session,
            calls: Arc::default(),
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Counted<T> {
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
            // Not before: until then it is being answered.
            drop(call);
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let over = self.session.over();
        loop {
            let message = tokio::select! {
                biased;
                () = over.cancelled() => return None,
                message = self.inner.receive() => message?,
            };
            let refused = {
                let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
                match &message {
                    ClientJsonRpcMessage::Request(request) if calls.len() < MOST_CALLS => {
                        calls.insert(request.id.clone(), self.session.call());
                        None
                    }
                    ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
                    ClientJsonRpcMessage::Notification(notification) => {
                        // A cancelled call is not answered.
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
                "too many calls of this session are being answered; wait for some of them",
                None,
            );
            // On its own, since this future may be dropped at any time.
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
