//! Ids of requests: rmcp holds texts and 64-bit integers only.
//!
//! Any other id, and one that is in use by another request in flight, is replaced by a text that
//! contains it, and restored when its answer is written.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use rmcp::model::RequestId;
use tokio_util::bytes::Bytes;

use super::Refusal;

/// The longest id, as JSON. Each answer repeats it; no id that a client makes is longer.
pub(crate) const MAX_ID_BYTES: usize = 64 * 1024;

/// The beginning of a replaced id; a number and the id's JSON follow.
const OURS: &str = "zep-mcp-server/id/";
/// The beginning of an answer with a replaced id, as rmcp and serde write it.
const ANSWER: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":\"zep-mcp-server/id/";
/// What precedes a message in an event.
const EVENT: &[u8] = b"data: ";

/// The id with this JSON.
pub(crate) fn read(json: &str) -> Result<RequestId, Refusal> {
    if json.len() > MAX_ID_BYTES {
        return Err(Refusal::Invalid("`id` is too long: it may have 64 KB"));
    }
    match json.as_bytes() {
        [b'"', ..] => {
            let text: String = serde_json::from_str(json).map_err(|_| Refusal::NotJson)?;
            match text.starts_with(OURS) {
                true => Ok(replace(json)),
                false => Ok(RequestId::String(text.into())),
            }
        }
        [b'-' | b'0'..=b'9', ..] => match json.parse::<i64>() {
            Ok(number) if number.to_string() == json => Ok(RequestId::Number(number)),
            _ => Ok(replace(json)),
        },
        _ => Err(Refusal::Invalid("`id` must be a text or a number")),
    }
}

/// An id for rmcp that differs from all others and is answered as this one.
pub(super) fn another(id: &RequestId) -> RequestId {
    match id {
        RequestId::Number(number) => replace(&number.to_string()),
        RequestId::String(text) => match original(text) {
            Some(json) => replace(json),
            None => replace(&serde_json::Value::from(&**text).to_string()),
        },
    }
}

/// Whether this replaces a client's id.
pub(crate) fn is_ours(id: &RequestId) -> bool {
    matches!(id, RequestId::String(text) if original(text).is_some())
}

fn replace(json: &str) -> RequestId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    RequestId::String(format!("{OURS}{number}:{json}").into())
}

/// The client's own id, as JSON.
pub(crate) fn as_sent(id: &RequestId) -> Cow<'_, str> {
    match id {
        RequestId::Number(number) => number.to_string().into(),
        RequestId::String(text) => match original(text) {
            Some(json) => json.into(),
            None => Cow::Borrowed(text),
        },
    }
}

fn original(text: &str) -> Option<&str> {
    Some(text.strip_prefix(OURS)?.split_once(':')?.1)
}

/// An answer, or an event with one, with the client's own id.
pub(crate) fn restore(answer: Bytes) -> Bytes {
    let start = match answer.starts_with(EVENT) {
        true => EVENT.len(),
        false => 0,
    };
    if !answer[start..].starts_with(ANSWER) {
        return answer;
    }
    let id_start = start + ANSWER.len() - OURS.len() - 1;
    let mut ids = serde_json::Deserializer::from_slice(&answer[id_start..]).into_iter::<String>();
    let id = ids.next();
    let id_end = id_start + ids.byte_offset();
    let Some(Ok(id)) = id else {
        return answer;
    };
    let Some(id) = original(&id) else {
        return answer;
    };
    [&answer[..id_start], id.as_bytes(), &answer[id_end..]]
        .concat()
        .into()
}
