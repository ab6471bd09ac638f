//! An application: the requests that it sends, and what their answers should have.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;
use tokio::time::timeout;

use super::store::{SESSIONS, TURNS, reading, writing};
use crate::client::{Line, PATIENCE, post, shortened};
use crate::text::Language;

/// Messages that are read at once: the original's default.
pub(super) const LIMIT: u64 = 50;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    History,
    Add,
}

impl Call {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::History => "read a history",
            Self::Add => "write a message",
        }
    }
}

/// The request that adds a message to a session, whose user has the same name.
pub(super) fn message(session: &str, content: String) -> Request<Full<Bytes>> {
    let new = json!({
        "user_id": session,
        "session_id": session,
        "role": "user",
        "content": content,
        "metadata": {"mood": 6},
    });
    post("/api/memory/messages", new.to_string())
}

/// An application on its own connection.
pub(super) struct Caller {
    line: Line,
    number: u64,
    calls: u64,
    answer: Vec<u8>,
}

impl Caller {
    pub(super) async fn connect(address: SocketAddr, number: u64) -> Self {
        let line = Line::open(address).await;
        Self {
            line: line.expect("the server accepts the client"),
            number,
            calls: 0,
            answer: Vec::new(),
        }
    }

    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        expected: StatusCode,
    ) -> Result<(), String> {
        let asked = self.line.ask(request, expected, &mut self.answer);
        let answered = timeout(PATIENCE, asked).await;
        answered.map_err(|_| "no answer in time".to_owned())??;
        Ok(())
    }

    /// Makes a call and checks its answer; gives the time it took.
    pub(super) async fn call(
        &mut self,
        call: Call,
        created: StatusCode,
        language: &Language,
    ) -> (Duration, Result<(), String>) {
        self.calls += 1;
        let session = self.number.wrapping_add(self.calls) % SESSIONS;
        let (request, expected) = match call {
            Call::History => (history(session), StatusCode::OK),
            Call::Add => {
                let content = language.turn(self.number, self.calls);
                (message(&writing(self.number), content), created)
            }
        };
        let sent = Instant::now();
        let answered = self.ask(request, expected).await;
        let took = sent.elapsed();
        (
            took,
            answered.and_then(|()| self.check(call, session, language)),
        )
    }

    /// Whether the answer has what it should have: of a history the first message and the last.
    fn check(&self, call: Call, session: u64, language: &Language) -> Result<(), String> {
        let text = str::from_utf8(&self.answer).map_err(|_| "the answer is not UTF-8")?;
        let is_right = match call {
            Call::History => {
                let said = |turn| format!(r#""content":{}"#, json!(language.turn(session, turn)));
                text.find(&said(TURNS - LIMIT)) == text.find(r#""content":"#)
                    && text.rfind(&said(TURNS - 1)) == text.rfind(r#""content":"#)
            }
            Call::Add => text.contains("Message added to memory"),
        };
        match is_right && text.starts_with(r#"{"success":true,"#) {
            true => Ok(()),
            false => Err(format!("unexpected answer: {}", shortened(text))),
        }
    }
}

fn history(session: u64) -> Request<Full<Bytes>> {
    let path = format!(
        "/api/memory/conversations/{}?limit={LIMIT}",
        reading(session)
    );
    Request::get(path)
        .body(Full::default())
        .expect("it is a request")
}
