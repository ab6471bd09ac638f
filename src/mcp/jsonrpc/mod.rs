//! JSON-RPC messages of clients: one reader for all transports.
//!
//! rmcp ignores what it cannot parse, and takes a known method with bad parameters for an unknown one.
//! Here every message that wants an answer gets one, with the client's own id.

mod connection;
mod id;
mod log;
mod refused;
mod request;

use std::borrow::Cow;

use rmcp::model::{
    CancelledNotification, CancelledNotificationParam, ClientJsonRpcMessage, ClientNotification,
    JsonRpcMessage, RequestId,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub(crate) use connection::{Connection, InFlight};
pub(crate) use id::{MAX_ID_BYTES, as_sent, is_ours, read as read_id, restore};
pub(crate) use refused::{Refusal, Refused, encode};

/// The most messages in a batch. Ours: a client that has more to say sends a second one.
const MAX_BATCH: usize = 50;

/// A text from a client.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "taken apart at once")]
pub(crate) enum Received<'a> {
    /// A message.
    Message(ClientJsonRpcMessage),
    /// The messages of a batch (MCP 2025-03-26), at least one.
    Batch(Vec<&'a str>),
    /// A notification or a response that cannot be read: these are never answered.
    Ignored,
}

/// Reads a text from a client.
///
/// # Errors
/// If it is to be answered with an error.
pub(crate) fn read(text: &[u8]) -> Result<Received<'_>, Refused> {
    let text = str::from_utf8(text).map_err(|_| Refused::of(None, Refusal::NotJson))?;
    // RFC 8259, section 8.1: a byte order mark may be ignored.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    if text.starts_with('[') {
        return batch(text);
    }
    member(text)
}

/// Reads a message of a batch.
///
/// # Errors
/// If it is to be answered with an error.
pub(crate) fn member(text: &str) -> Result<Received<'_>, Refused> {
    let refused = |why| Err(Refused::of(None, why));
    if !text.starts_with('{') {
        return match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => refused(Refusal::Invalid("a message must be a JSON object")),
            Err(_) => refused(Refusal::NotJson),
        };
    }
    match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => envelope.message(text),
        Err(error) if error.is_data() => refused(Refusal::Invalid("the message has a key twice")),
        Err(_) => refused(Refusal::NotJson),
    }
}

fn batch(text: &str) -> Result<Received<'_>, Refused> {
    let refused = |why| Err(Refused::of(None, why));
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Err(_) => refused(Refusal::NotJson),
        Ok(members) if members.is_empty() => refused(Refusal::Invalid("the batch is empty")),
        Ok(members) if members.len() > MAX_BATCH => {
            refused(Refusal::Invalid("a batch may have at most 50 messages"))
        }
        Ok(members) => Ok(Received::Batch(
            members.into_iter().map(RawValue::get).collect(),
        )),
    }
}

/// A message whose fields are not parsed yet, so that its id is known whatever is wrong with the others.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// A field that is there, even if it is null.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(field).map(Some)
}

impl<'a> Envelope<'a> {
    fn message(self, text: &str) -> Result<Received<'a>, Refused> {
        let id = self.id.map(|id| id::read(id.get())).transpose();
        let refused = |why| {
            let id = id.as_ref().ok().cloned().flatten();
            Err(Refused::of(id, why))
        };
        let is_answer = self.result.is_some() || self.error.is_some();
        let Some(method) = self.method else {
            return match is_answer {
                true => Ok(answer(text)),
                false => refused(Refusal::Invalid("the message has no `method`")),
            };
        };
        let id = match &id {
            Ok(id) => id.clone(),
            Err(why) => return refused(why.clone()),
        };
        if self
            .jsonrpc
            .is_none_or(|version| version.get() != "\"2.0\"")
        {
            return refused(Refusal::Invalid("`jsonrpc` must be \"2.0\""));
        }
        let method = match serde_json::from_str::<Cow<'_, str>>(method.get()) {
            Ok(method) => method,
            Err(error) if error.is_data() => {
                return refused(Refusal::Invalid("`method` must be a text"));
            }
            Err(_) => return refused(Refusal::NotJson),
        };
        if is_answer {
            return refused(Refusal::Invalid("a request has no `result` and no `error`"));
        }
        let Some(id) = id else {
            return Ok(notification(&method, self.params, text));
        };
        match request::read(&method, self.params) {
            Ok(request) => Ok(Received::Message(JsonRpcMessage::request(request, id))),
            Err(why) => refused(why),
        }
    }
}

/// A response of the client to a request of the server.
fn answer(text: &str) -> Received<'static> {
    match serde_json::from_str::<ClientJsonRpcMessage>(text) {
        Ok(message) => Received::Message(message),
        Err(_) => Received::Ignored,
    }
}

fn notification(method: &str, params: Option<&RawValue>, text: &str) -> Received<'static> {
    let notification = match (method, params) {
        ("notifications/cancelled", Some(params)) => cancelled(params),
        _ => serde_json::from_str(text).ok(),
    };
    match notification {
        Some(notification) => Received::Message(JsonRpcMessage::notification(notification)),
        None => Received::Ignored,
    }
}

/// A cancellation names a request's id, which rmcp may not be able to hold.
fn cancelled(params: &RawValue) -> Option<ClientNotification> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, rename = "requestId")]
        request: &'a RawValue,
        reason: Option<String>,
    }
    let params: Params<'_> = serde_json::from_str(params.get()).ok()?;
    let id: RequestId = id::read(params.request.get()).ok()?;
    let params = CancelledNotificationParam::new(Some(id), params.reason);
    Some(CancelledNotification::new(params).into())
}

#[cfg(test)]
mod tests;
