//! What a transport remembers of a connection's messages.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, ProtocolVersion, RequestId,
    ServerJsonRpcMessage, ServerResult,
};
use tokio_util::bytes::Bytes;

use super::{Received, Refusal, Refused, encode, id, member, read};
use crate::mcp::answered;

/// The ids of requests in flight. Of two requests with one id, rmcp answers the first and cancels the
/// second; so the second gets another id.
#[derive(Debug)]
pub(crate) struct InFlight<K>(Mutex<HashSet<(K, RequestId)>>);

impl<K> Default for InFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> InFlight<K> {
    /// The id under which rmcp gets a request with this id.
    pub(crate) fn enter(&self, of: K, id: RequestId) -> RequestId
    where
        K: Clone,
    {
        let mut ids = self.ids();
        if ids.insert((of.clone(), id.clone())) {
            return id;
        }
        let another = id::another(&id);
        ids.insert((of, another.clone()));
        another
    }

    /// The request is answered or cancelled.
    pub(crate) fn leave(&self, of: K, id: &RequestId) {
        self.ids().remove(&(of, id.clone()));
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<(K, RequestId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that carries the messages of one client.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    in_flight: InFlight<()>,
    has_batches: AtomicBool,
}

impl Connection {
    /// The messages in a text, and refusals, which are to be answered.
    pub(crate) fn read(&self, text: &[u8]) -> Vec<Result<ClientJsonRpcMessage, Refused>> {
        let read = match read(text) {
            Ok(Received::Batch(members)) if self.has_batches.load(Ordering::Relaxed) => {
                members.into_iter().map(member).collect()
            }
            read => vec![read],
        };
        read.into_iter()
            .filter_map(|read| match read {
                Ok(Received::Message(message)) => Some(Ok(self.entered(message))),
                Ok(Received::Batch(_)) => Some(Err(Refused::of(None, Refusal::NO_BATCHES))),
                Ok(Received::Ignored) => None,
                Err(refused) => Some(Err(refused)),
            })
            .collect()
    }

    fn entered(&self, mut message: ClientJsonRpcMessage) -> ClientJsonRpcMessage {
        match &mut message {
            JsonRpcMessage::Request(request) => {
                request.id = self.in_flight.enter((), request.id.clone());
            }
            // A cancelled request is not answered.
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.in_flight.leave((), id);
                }
            }
            _ => {}
        }
        message
    }

    /// A message of the server as JSON.
    pub(crate) fn encode(&self, message: &ServerJsonRpcMessage) -> serde_json::Result<Bytes> {
        if let Some(id) = answered(message) {
            self.in_flight.leave((), id);
        }
        if let JsonRpcMessage::Response(response) = message
            && let ServerResult::InitializeResult(result) = &response.result
        {
            let has_batches = result.protocol_version == ProtocolVersion::V_2025_03_26;
            self.has_batches.store(has_batches, Ordering::Relaxed);
        }
        encode(message)
    }
}
