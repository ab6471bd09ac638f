//! What a mem0 may answer instead.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};

use super::{State, json_answer};

/// A fault on requests.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What is in their method, path, query or body.
    pub on: String,
    /// How many of them meet it.
    pub times: usize,
    pub what: What,
}

/// What happens in place of the answer. Except for the first three, the request is carried out.
#[derive(Debug, Clone)]
pub enum What {
    /// This status; nothing is carried out.
    Status(u16),
    /// 429, which asks for so many seconds, or says nothing; nothing is carried out.
    Limited(Option<u64>),
    /// A redirect to this address; nothing is carried out.
    Redirect(String),
    /// This status, although the request was carried out.
    StatusAfter(u16),
    /// No answer: the connection ends.
    Lost,
    /// A success that is a page for browsers.
    Html,
    /// A success whose JSON ends in the middle.
    Truncated,
    /// A success whose connection ends in the middle.
    BrokenOff,
    /// A success of so many bytes.
    Huge(usize),
    /// A byte now and then, without end.
    Drip,
    /// These fields of the answer instead.
    Fields(Value),
    /// Half of the results.
    Half,
    /// This body, whatever it is.
    Body(String),
    /// The answer as it is, after this time.
    Slow(Duration),
    /// The answer as it is; then this memory is deleted.
    ThenDelete(String),
    /// The answer as it is; then a memory with these fields is added.
    ThenAdd(Value),
    /// The answer as it is; then this point is added to this collection.
    ThenPoint(&'static str, Value, Value),
    /// The answer as it is; then nothing is left.
    ThenVanish,
}

impl What {
    /// Whether the request is not carried out.
    pub(super) fn is_instead(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Limited(_) | Self::Redirect(_))
    }

    /// Carries out what it does to the memories; the answer has been made already.
    pub(super) fn prepared(self, state: &mut State) -> Self {
        match &self {
            Self::ThenDelete(id) => state.delete(id),
            Self::ThenAdd(fields) => {
                state.add(fields.clone());
            }
            Self::ThenPoint(collection, id, payload) => {
                state.qdrant.add(collection, id.clone(), payload.clone());
            }
            Self::ThenVanish => state.memories.clear(),
            _ => {}
        }
        self
    }
}

pub(super) fn answer(what: What, status: u16, mut body: Value) -> Response {
    let response = Response::builder();
    let made = match what {
        What::Status(status) | What::StatusAfter(status) => {
            return json_answer(status, &json!({"detail": "a fault"}));
        }
        What::Lost => {
            let lost = Err::<Bytes, _>(std::io::Error::other("lost"));
            response.body(Body::from_stream(stream::iter([lost])))
        }
        What::Limited(wait) => {
            let response = response.status(429);
            let response = match wait {
                Some(seconds) => response.header("retry-after", seconds),
                None => response,
            };
            response.body(Body::from(r#"{"detail": "Rate limit exceeded"}"#))
        }
        What::Html => response
            .header("content-type", "text/html")
            .body(Body::from("<!doctype html><title>Sign in</title>")),
        What::Truncated => {
            let text = body.to_string();
            response.body(Body::from(text[..text.len() / 2].to_owned()))
        }
        What::BrokenOff => {
            let half = Bytes::from_static(b"{\"count\": 3, \"next\": null, \"results\": [");
            let parts = [Ok(half), Err(std::io::Error::other("lost"))];
            response.body(Body::from_stream(stream::iter(parts)))
        }
        What::Huge(bytes) => {
            let chunk = Bytes::from(vec![b' '; 1 << 20]);
            let chunks = bytes.div_ceil(chunk.len());
            let chunks =
                stream::iter((0..chunks).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
            response.body(Body::from_stream(chunks))
        }
        What::Drip => response.body(Body::from_stream(stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        }))),
        What::Fields(fields) => {
            if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
                body.extend(fields);
            }
            return json_answer(status, &body);
        }
        What::Half => {
            for list in ["/results", "/result/points"] {
                if let Some(results) = body.pointer_mut(list).and_then(Value::as_array_mut) {
                    results.truncate(results.len() / 2);
                }
            }
            return json_answer(status, &body);
        }
        What::Body(text) => response.body(Body::from(text)),
        What::Redirect(to) => response
            .status(307)
            .header("location", to)
            .body(Body::empty()),
        What::Slow(_)
        | What::ThenDelete(_)
        | What::ThenAdd(_)
        | What::ThenPoint(..)
        | What::ThenVanish => {
            return json_answer(status, &body);
        }
    };
    made.expect("a response")
}
