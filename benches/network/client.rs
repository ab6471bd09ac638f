//! A light client of `/mcp`: one connection, one call at a time; answers are checked but not parsed.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::text::Language;

/// Timeout of a call.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Users with stored messages.
const USERS: u64 = 50;
/// Messages of each.
const TURNS: u64 = 20;
/// A user with many long messages.
const HOARDER: &str = "hoarder";

/// The measured protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// With handshake and session.
    Sessions,
    /// Without session.
    Stateless,
}

impl Protocol {
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Sessions => "2025-06-18",
            Self::Stateless => "2026-07-28",
        }
    }
}

/// The tool that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    List,
    Search,
    Get,
    Add,
    /// 200 memories of 2,000 characters.
    GetMuch,
}

impl Call {
    fn method(self) -> &'static str {
        match self {
            Self::List => "tools/list",
            _ => "tools/call",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "tools/list",
            Self::Search => "search_memory",
            Self::Get | Self::GetMuch => "get_memories",
            Self::Add => "add_memory",
        }
    }

    /// The request, different for each caller and id.
    pub(crate) fn request(
        self,
        id: u64,
        protocol: Protocol,
        language: &Language,
        caller: u64,
    ) -> String {
        let user = caller % USERS;
        let mut params = match self {
            Self::List => json!({}),
            Self::Search => json!({"name": self.name(), "arguments": {
                "query": language.question(user, id % TURNS),
                "user_id": format!("user-{user}"),
            }}),
            Self::Get => json!({"name": self.name(), "arguments": {
                "user_id": format!("user-{user}"),
            }}),
            Self::GetMuch => json!({"name": self.name(), "arguments": {
                "user_id": HOARDER,
                "page_size": 200,
            }}),
            Self::Add => json!({"name": self.name(), "arguments": {
                "messages": [{"role": "user", "content": language.turn(caller, id)}],
                "user_id": format!("writer-{caller}"),
                "session_id": format!("session-of-{caller}"),
            }}),
        };
        if protocol == Protocol::Stateless {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": protocol.version(),
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        request(id, self.method(), &params)
    }
}

pub(crate) fn request(id: u64, method: &str, params: &serde_json::Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

pub(crate) fn hello() -> String {
    let params = json!({
        "protocolVersion": Protocol::Sessions.version(),
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    });
    request(0, "initialize", &params)
}

pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Checks that this is the successful answer to the request with this id.
pub(crate) fn check(answer: &[u8], id: u64) -> Result<(), String> {
    let text = str::from_utf8(answer).map_err(|_| "the answer is not UTF-8")?;
    if !text.contains(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#)) {
        return Err(format!("unexpected answer: {}", shortened(text)));
    }
    if text.contains(r#""isError":true"#) {
        return Err(format!("the tool failed: {}", shortened(text)));
    }
    Ok(())
}

pub(crate) fn shortened(text: &str) -> String {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(200).collect()
}

/// A connection over HTTP/1.1.
pub(crate) struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| format!("no connection: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        Self::over(stream, address).await
    }

    pub(crate) async fn over(stream: TcpStream, address: SocketAddr) -> Result<Self, String> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("no connection: {error}"))?;
        // Its errors show in the calls.
        tokio::spawn(connection);
        let host = HeaderValue::from_str(&address.to_string()).expect("it is ASCII");
        Ok(Self { sender, host })
    }

    pub(crate) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<http::Response<hyper::body::Incoming>, String> {
        request.headers_mut().insert(HOST, self.host.clone());
        let dropped = |error: hyper::Error| format!("dropped: {error}");
        self.sender.ready().await.map_err(dropped)?;
        self.sender.send_request(request).await.map_err(dropped)
    }

    /// Sends a request and reads the whole answer into this buffer.
    pub(crate) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        expected: StatusCode,
        answer: &mut Vec<u8>,
    ) -> Result<http::HeaderMap, String> {
        let response = self.send(request).await?;
        let (head, mut body) = response.into_parts();
        answer.clear();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("answer interrupted: {error}"))?;
            if let Some(data) = frame.data_ref() {
                answer.extend_from_slice(data);
            }
        }
        if head.status != expected {
            let text = String::from_utf8_lossy(answer);
            return Err(format!("{}: {}", head.status, shortened(&text)));
        }
        Ok(head.headers)
    }
}

/// A POST request with this body.
pub(crate) fn post(path: &str, body: String) -> Request<Full<Bytes>> {
    Request::post(path)
        .header(ACCEPT, "application/json, text/event-stream")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(body))
        .expect("it is a request")
}

/// An agent on its own connection.
pub(crate) struct Agent {
    line: Line,
    protocol: Protocol,
    pub(crate) session: Option<HeaderValue>,
    caller: u64,
    calls: u64,
    answer: Vec<u8>,
}

impl Agent {
    /// Connects, and initialises a session if the protocol has one.
    pub(crate) async fn connect(
        address: SocketAddr,
        protocol: Protocol,
        caller: u64,
    ) -> Result<Self, String> {
        let mut agent = Self {
            line: Line::open(address).await?,
            protocol,
            session: None,
            caller,
            calls: 0,
            answer: Vec::new(),
        };
        if protocol == Protocol::Sessions {
            let response = agent.ask(post("/mcp", hello()), StatusCode::OK).await?;
            check(&agent.answer, 0)?;
            agent.session = response.get("mcp-session-id").cloned();
            let done = agent.with_session(post("/mcp", INITIALIZED.to_owned()));
            agent.ask(done, StatusCode::ACCEPTED).await?;
        }
        Ok(agent)
    }

    fn with_session(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        let headers = request.headers_mut();
        if let Some(session) = &self.session {
            headers.insert("mcp-session-id", session.clone());
        }
        let version = HeaderValue::from_static(self.protocol.version());
        headers.insert("mcp-protocol-version", version);
        request
    }

    async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        expected: StatusCode,
    ) -> Result<http::HeaderMap, String> {
        self.line.ask(request, expected, &mut self.answer).await
    }

    /// Builds the next call of this kind.
    pub(crate) fn prepare(&mut self, call: Call, language: &Language) -> Prepared {
        self.calls += 1;
        let body = call.request(self.calls, self.protocol, language, self.caller);
        let mut request = self.with_session(post("/mcp", body));
        if self.protocol == Protocol::Stateless {
            let headers = request.headers_mut();
            headers.insert("mcp-method", HeaderValue::from_static(call.method()));
            if call != Call::List {
                headers.insert("mcp-name", HeaderValue::from_static(call.name()));
            }
        }
        Prepared(request)
    }

    /// Sends a call and waits for the whole answer.
    pub(crate) async fn call(&mut self, Prepared(request): Prepared) -> Result<(), String> {
        let answered = timeout(PATIENCE, self.ask(request, StatusCode::OK)).await;
        answered.map_err(|_| "no answer in time".to_owned())??;
        check(&self.answer, self.calls)
    }

    /// Ends the session.
    pub(crate) async fn leave(mut self) -> Result<(), String> {
        let mut request = self.with_session(post("/mcp", String::new()));
        *request.method_mut() = Method::DELETE;
        self.ask(request, StatusCode::NO_CONTENT).await.map(drop)
    }
}

/// A call that is ready to send.
pub(crate) struct Prepared(Request<Full<Bytes>>);

/// Stores a few messages of many users, and many messages of one.
pub(crate) async fn fill(address: SocketAddr, language: &Language) {
    let mut agent = Agent::connect(address, Protocol::Sessions, 0)
        .await
        .expect("the server accepts the client");
    let little = (0..USERS).map(|user| {
        let said: Vec<_> = (0..TURNS).map(|turn| language.turn(user, turn)).collect();
        (format!("user-{user}"), said)
    });
    let long = language.long(2_000);
    let much = (0..10).map(|_| (HOARDER.to_owned(), vec![long.clone(); 20]));
    for (user, said) in little.chain(much) {
        agent.calls += 1;
        let messages: Vec<_> = said
            .iter()
            .map(|content| json!({"role": "user", "content": content}))
            .collect();
        let params = json!({"name": "add_memory", "arguments": {
            "session_id": format!("session-of-{user}"),
            "user_id": user,
            "messages": messages,
        }});
        let body = request(agent.calls, "tools/call", &params);
        let added = agent.with_session(post("/mcp", body));
        agent.call(Prepared(added)).await.expect("it is stored");
    }
    agent.leave().await.expect("the session ends");
}
