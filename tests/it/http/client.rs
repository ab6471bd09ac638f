//! Minimal clients: JSON-RPC over HTTP, with events parsed by hand.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::common::PATIENCE;

/// The protocol versions with sessions and a handshake.
pub const WITH_SESSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The version without sessions.
pub const STATELESS: &str = "2026-07-28";

/// An HTTP client without a proxy.
pub fn http() -> reqwest::Client {
    crate::common::http().build().unwrap()
}

/// A request.
pub fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A call of a tool.
pub fn call(id: u64, tool: &str, arguments: Value) -> Value {
    request(
        id,
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    )
}

/// The parameters of `initialize`.
pub fn hello(version: &str) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"},
    })
}

/// Events of a response, one by one.
pub struct Events {
    response: Response,
    buffer: String,
}

/// An event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its kind; `message` if it has none.
    pub kind: String,
    /// Its data.
    pub data: String,
    /// Whether it is a comment instead of an event.
    pub comment: bool,
}

impl Events {
    /// The events of this response, which must be an event stream.
    pub fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self {
            response,
            buffer: String::new(),
        }
    }

    /// The next event or comment; `None` at the end of the stream, also if it ends early.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let event = parse(event);
                self.buffer = rest.to_owned();
                return Some(event);
            }
            let chunk = timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("something within the time").ok()??;
            self.buffer.push_str(str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Option<Value> {
        let text = self.text().await?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// The next message, as it was written.
    pub async fn text(&mut self) -> Option<String> {
        let message = async {
            loop {
                let event = self.next().await?;
                if !event.comment && event.kind == "message" && !event.data.is_empty() {
                    return Some(event.data);
                }
            }
        };
        timeout(PATIENCE, message)
            .await
            .expect("a message within the time")
    }

    /// The response to the request with this id.
    pub async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.message().await.expect("the stream continues");
            if message["id"] == id {
                return message;
            }
        }
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event {
        kind: "message".to_owned(),
        comment: true,
        ..Event::default()
    };
    for line in text.lines() {
        if line.starts_with(':') {
            continue;
        }
        event.comment = false;
        match line.split_once(": ").or_else(|| line.split_once(':')) {
            Some(("event", kind)) => event.kind = kind.to_owned(),
            Some(("data", data)) => event.data.push_str(data),
            _ => {}
        }
    }
    event
}

/// A client of `/mcp`.
#[derive(Debug, Clone)]
pub struct Mcp {
    http: reqwest::Client,
    url: String,
    version: String,
    /// The session's id, once there is one.
    pub session: Option<String>,
    token: Option<String>,
}

impl Mcp {
    /// A client that has sent nothing yet.
    pub fn new(url: &str, version: &str) -> Self {
        Self {
            http: http(),
            url: format!("{url}/mcp"),
            version: version.to_owned(),
            session: None,
            token: None,
        }
    }

    /// A client after the handshake, if its version has one.
    pub async fn connect(url: &str, version: &str) -> Self {
        let mut client = Self::new(url, version);
        if version != STATELESS {
            client.initialize().await;
        }
        client
    }

    /// A client with this token, after the handshake.
    pub async fn connect_with(url: &str, version: &str, token: &str) -> Self {
        let mut client = Self::new(url, version).with_token(token);
        client.initialize().await;
        client
    }

    /// The same with this token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The same at this address.
    pub fn at(mut self, url: &str) -> Self {
        self.url = url.to_owned();
        self
    }

    /// The same through this HTTP client.
    pub fn through(mut self, http: reqwest::Client) -> Self {
        self.http = http;
        self
    }

    /// A request with the headers that a client of this version sends.
    pub fn ask(&self, method: Method) -> RequestBuilder {
        let mut ask = self
            .http
            .request(method, &self.url)
            .header(ACCEPT, "application/json, text/event-stream");
        if let Some(session) = &self.session {
            ask = ask.header("mcp-session-id", session);
        }
        // From 2025-06-18 on, clients send it once it is negotiated.
        if self.version.as_str() >= "2025-06-18" && (self.session.is_some() || self.is_stateless())
        {
            ask = ask.header("mcp-protocol-version", &self.version);
        }
        if let Some(token) = &self.token {
            ask = ask.bearer_auth(token);
        }
        ask
    }

    fn is_stateless(&self) -> bool {
        self.version == STATELESS
    }

    /// Posts a message as a client of this version does.
    pub fn posting(&self, message: &Value) -> RequestBuilder {
        let mut message = message.clone();
        let mut ask = self.ask(Method::POST);
        if self.is_stateless() {
            message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] =
                self.version.as_str().into();
            message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
            ask = ask.header("mcp-method", message["method"].as_str().unwrap());
            if let Some(name) = message["params"]["name"].as_str() {
                ask = ask.header("mcp-name", name);
            }
        }
        ask.header(CONTENT_TYPE, "application/json")
            .body(message.to_string())
    }

    /// Posts a message.
    pub async fn post(&self, message: &Value) -> Response {
        let posted = timeout(PATIENCE, self.posting(message).send());
        posted.await.expect("an answer within the time").unwrap()
    }

    /// Does the handshake; returns the server's answer.
    pub async fn initialize(&mut self) -> Value {
        let answer = self.begin().await;
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let accepted = self.post(&done).await;
        assert_eq!(accepted.status(), StatusCode::ACCEPTED);
        answer
    }

    /// Does the first half of the handshake.
    pub async fn begin(&mut self) -> Value {
        let message = request(1, "initialize", hello(&self.version));
        let response = self.post(&message).await;
        assert_eq!(response.status(), StatusCode::OK);
        let session = response.headers()["mcp-session-id"].to_str().unwrap();
        self.session = Some(session.to_owned());
        Events::of(response).answer(1).await["result"].clone()
    }

    /// Sends a request; returns its answer.
    pub async fn request(&self, id: u64, method: &str, params: Value) -> Value {
        let response = self.post(&request(id, method, params)).await;
        Events::of(response).answer(id).await
    }

    /// Calls a tool that must succeed; returns its structured answer.
    pub async fn tool(&self, tool: &str, arguments: Value) -> Value {
        let response = self.post(&call(7, tool, arguments)).await;
        succeeded(Events::of(response).answer(7).await)
    }

    /// Opens the stream for messages that the server initiates.
    pub async fn listen(&self) -> Response {
        let opened = timeout(PATIENCE, self.ask(Method::GET).send());
        opened.await.expect("an answer within the time").unwrap()
    }
}

/// A client of `/sse`.
pub struct Sse {
    http: reqwest::Client,
    /// Where it posts to.
    pub endpoint: String,
    /// The events of its stream.
    pub events: Events,
}

impl Sse {
    /// A client that has sent nothing yet.
    pub async fn open(url: &str) -> Self {
        Self::open_through(http(), url).await
    }

    /// The same through this HTTP client.
    pub async fn open_through(http: reqwest::Client, url: &str) -> Self {
        let response = http
            .get(format!("{url}/sse"))
            .header(ACCEPT, "text/event-stream")
            .send()
            .await
            .unwrap();
        let mut events = Events::of(response);
        let first = events.next().await.unwrap();
        assert_eq!(first.kind, "endpoint");
        assert!(first.data.starts_with("/messages?sessionId="), "{first:?}");
        Self {
            http,
            endpoint: format!("{url}{}", first.data),
            events,
        }
    }

    /// A client after the handshake.
    pub async fn connect(url: &str, version: &str) -> Self {
        let mut client = Self::open(url).await;
        client.initialize(version).await;
        client
    }

    /// Does the handshake; returns the server's answer.
    pub async fn initialize(&mut self, version: &str) -> Value {
        let answer = self.request(1, "initialize", hello(version)).await;
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.send(&done).await;
        answer["result"].clone()
    }

    /// Posts a message.
    pub async fn post(&self, message: &Value) -> Response {
        self.post_text(message.to_string()).await
    }

    /// Posts a text as it is.
    pub async fn post_text(&self, text: String) -> Response {
        self.post_bytes(text.into_bytes()).await
    }

    /// Posts bytes as they are.
    pub async fn post_bytes(&self, bytes: Vec<u8>) -> Response {
        let posted = self
            .http
            .post(&self.endpoint)
            .header(CONTENT_TYPE, "application/json")
            .body(bytes)
            .send();
        let posted = timeout(PATIENCE, posted);
        posted.await.expect("an answer within the time").unwrap()
    }

    /// Posts a message that must be accepted.
    pub async fn send(&self, message: &Value) {
        let response = self.post(message).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
    }

    /// Sends a request; returns its answer.
    pub async fn request(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(&request(id, method, params)).await;
        self.events.answer(id).await
    }

    /// Calls a tool that must succeed; returns its structured answer.
    pub async fn tool(&mut self, tool: &str, arguments: Value) -> Value {
        self.send(&call(7, tool, arguments)).await;
        succeeded(self.events.answer(7).await)
    }
}

/// The structured answer of a tool, which must have succeeded.
pub fn succeeded(answer: Value) -> Value {
    let result = &answer["result"];
    assert!(result.is_object() && result["isError"] != true, "{answer}");
    result["structuredContent"].clone()
}
