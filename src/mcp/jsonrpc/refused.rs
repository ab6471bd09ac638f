//! Messages that are answered with an error, and answers as JSON.

use rmcp::model::{ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use serde_json::json;
use tokio_util::bytes::Bytes;

use super::{id, log};
use crate::json::TooMuch;
use crate::mcp::incoming::advice;

/// A message that is not passed on to rmcp.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused {
    /// The request's id, if it can be read.
    pub(crate) id: Option<RequestId>,
    /// Why.
    pub(crate) why: Refusal,
}

/// Why a message is not passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It has too many values, or they are too deep.
    #[error("the request is too large: {exceeded}; {}", advice(exceeded))]
    TooMuch {
        /// The bound.
        exceeded: TooMuch,
    },
    /// It has too many bytes.
    #[error("the request is too large: it may have at most 16 MB")]
    TooLong,
    /// It is no JSON.
    #[error("the message is not valid JSON in UTF-8")]
    NotJson,
    /// It is no message of JSON-RPC 2.0.
    #[error("{0}")]
    Invalid(&'static str),
    /// The parameters are not those of the method.
    #[error("{0}")]
    Params(String),
}

impl Refusal {
    /// The connection's protocol version has no batches.
    pub(crate) const NO_BATCHES: Self = Self::Invalid(
        "several messages in one: only protocol version 2025-03-26 has batches; send each message by itself",
    );
    /// A request came before the handshake.
    pub(crate) const NO_HANDSHAKE: Self = Self::Invalid("send `initialize` first");
    /// The same over HTTP.
    pub(crate) const NO_SESSION: Self = Self::Invalid(
        "send `initialize` first; its response has the header Mcp-Session-Id, which later requests repeat",
    );
}

impl Refused {
    pub(crate) fn of(id: Option<RequestId>, why: Refusal) -> Self {
        // JSON-RPC 2.0, section 5: null where the message cannot be parsed.
        let id = id.filter(|_| why != Refusal::NotJson);
        Self { id, why }
    }

    /// Whether its parameters were refused, and not the message.
    pub(crate) fn is_of_params(&self) -> bool {
        matches!(self.why, Refusal::TooMuch { .. } | Refusal::Params(_)) && self.id.is_some()
    }

    /// The answer to it. A line of the log says that there was one.
    pub(crate) fn into_answer(self) -> ServerJsonRpcMessage {
        let detail = self.why.to_string();
        let error = match self.why {
            Refusal::TooMuch { .. } if self.id.is_none() => {
                ErrorData::invalid_request(detail, None)
            }
            Refusal::TooMuch { .. } | Refusal::Params(_) => ErrorData::invalid_params(detail, None),
            Refusal::NotJson => ErrorData::parse_error(detail, None),
            Refusal::TooLong | Refusal::Invalid(_) => ErrorData::invalid_request(detail, None),
        };
        log::refused(error.code.0);
        ServerJsonRpcMessage::error(error, self.id)
    }
}

/// A message of the server as JSON, with the client's own id; null if it could not be read.
pub(crate) fn encode(message: &ServerJsonRpcMessage) -> serde_json::Result<Bytes> {
    if let JsonRpcMessage::Error(error) = message
        && error.id.is_none()
    {
        let error = json!({"jsonrpc": "2.0", "id": null, "error": error.error});
        return Ok(error.to_string().into());
    }
    Ok(id::restore(serde_json::to_vec(message)?.into()))
}
