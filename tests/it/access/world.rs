//! Two people and two agents with memories of their own, and callers with tokens of every kind.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::config::{AccessSettings, Bounds, Confirm, HttpConfig};
use zep_mcp_server::emulator;
use zep_mcp_server::http::access::{Entry, Name, Reach, TokenHash, append, fresh};
use zep_mcp_server::http::{self, RestRoutes, Serving, Stop};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::mcp::MemoryServer;
use zep_mcp_server::memory::access::Role;
use zep_mcp_server::memory::filter::Filter;
use zep_mcp_server::memory::{
    BrowseQuery, Form, MemoryService, NewMemories, NewTurn, PageOf, SessionQuery,
};
use zep_mcp_server::memory::{
    access::Caller,
    model::{AgentId, AppId, MemoryKind, Scope, SessionId, UserId},
};
use zep_mcp_server::zep::Zep;

use crate::common;

/// The words that occur in everything of these owners, and in nothing of others.
pub const SECRETS: [(&str, &str); 4] = [
    ("alice", "turquoise"),
    ("bob", "crimson"),
    ("coach", "ochre"),
    ("spy", "sepia"),
];

pub fn secret(of: &str) -> &'static str {
    SECRETS.iter().find(|(who, _)| *who == of).unwrap().1
}

/// Where memories are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Embedded,
    Zep,
}

/// The transport of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `/mcp`
    Streamable,
    /// `/sse` and `/messages`
    Sse,
}

impl Transport {
    pub const BOTH: [Self; 2] = [Self::Streamable, Self::Sse];
}

/// A caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Without a token.
    Nobody,
    /// With an unknown token.
    Stranger,
    /// With this role for alice, the agent coach and the app journal.
    Alices(Role),
    /// An operator for everybody.
    Everybodys,
    /// A reader of all users, and of no agent.
    AllUsers,
    /// A reader of alice, and of all agents.
    AllAgents,
}

impl Who {
    const WITH_TOKENS: [Self; 6] = [
        Self::Alices(Role::Reader),
        Self::Alices(Role::Writer),
        Self::Alices(Role::Operator),
        Self::Everybodys,
        Self::AllUsers,
        Self::AllAgents,
    ];

    fn entry(self, hash: TokenHash) -> Entry {
        let these = |id: &str| Reach::These(vec![id.to_owned()]);
        let (role, users, agents) = match self {
            Self::Alices(role) => (role, these("alice"), these("coach")),
            Self::Everybodys => (Role::Operator, Reach::everybody(), Reach::default()),
            Self::AllUsers => (Role::Reader, Reach::everybody(), Reach::default()),
            Self::AllAgents => (Role::Reader, these("alice"), Reach::everybody()),
            Self::Nobody | Self::Stranger => unreachable!("they have no token"),
        };
        Entry {
            name: Name::try_from(format!("{self:?}")).unwrap(),
            hash,
            role,
            users,
            agents,
            apps: match self {
                Self::Alices(_) => these("journal"),
                _ => Reach::default(),
            },
            expires: None,
        }
    }
}

/// The ids of an owner's memories, one of each kind.
#[derive(Debug, Clone)]
pub struct Ids {
    pub text: String,
    /// Users only: agents have no sessions.
    pub message: Option<String>,
    pub fact: String,
}

/// The outcome of a call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// The tool's error.
    pub error: Option<String>,
    /// The whole response.
    pub text: String,
    /// The tool's structured answer.
    pub answer: Value,
}

pub struct World {
    pub memories: MemoryService,
    pub ids: HashMap<&'static str, Ids>,
    /// Where MCP is served.
    pub url: String,
    transport: Transport,
    tokens: HashMap<Who, String>,
    /// The requests to Zep since [`World::listen`], if it is used over HTTP.
    asked: Arc<Mutex<Vec<String>>>,
    client: reqwest::Client,
    stop: CancellationToken,
    directory: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub async fn new(backend: Backend) -> Self {
        Self::behind(Transport::Streamable, backend).await
    }

    pub async fn behind(transport: Transport, backend: Backend) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let zep: Arc<dyn Zep> = match backend {
            Backend::Embedded => Arc::new(
                LocalZep::open(&directory.path().join("memory.db"), Behavior::default()).unwrap(),
            ),
            Backend::Zep => {
                let emulator = emulate(stop.clone()).await;
                let url = record_requests(emulator, asked.clone()).await;
                Arc::new(common::cloud(&url, Duration::from_secs(20)))
            }
        };
        // A new service, so that nothing is cached for later callers.
        let seeding = MemoryService::new(zep.clone(), UserId::new("alice").unwrap());
        let mut ids = HashMap::new();
        for (who, _) in SECRETS {
            ids.insert(who, seed(&seeding, who).await);
        }
        for (who, app) in [("alice", "journal"), ("bob", "ledger")] {
            seed_app(&seeding, who, app).await;
        }
        let memories = MemoryService::new(zep, UserId::new("alice").unwrap());
        let file = directory.path().join("tokens.jsonl");
        let tokens = tokens(&file);
        let access = AccessSettings {
            tokens_file: Some(file),
            ..AccessSettings::default()
        };
        let url = serve(memories.clone(), access, stop.clone()).await;
        Self {
            memories,
            ids,
            url,
            transport,
            tokens,
            asked,
            client: client(),
            stop,
            directory,
        }
    }

    /// Forgets the requests to Zep.
    pub fn listen(&self) {
        self.asked.lock().unwrap().clear();
    }

    /// The requests to Zep since: addresses and bodies.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Calls a tool. Only this place knows the transport.
    pub async fn call(&self, who: Who, tool: &str, arguments: &Value) -> Outcome {
        let token = match who {
            Who::Nobody => None,
            Who::Stranger => Some(fresh().unwrap().expose_secret().to_owned()),
            who => Some(self.token(who)),
        };
        let token = token.as_deref();
        let message = json!({
            "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        });
        let (status, text) = match self.transport {
            Transport::Streamable => post_to_mcp(&self.client, &self.url, token, message).await,
            Transport::Sse => match OldClient::open(&self.client, &self.url, token).await {
                Ok(client) => client.call(&message).await,
                Err(refused) => refused,
            },
        };
        outcome(status, text)
    }

    /// Revokes a caller's token.
    pub fn revoke(&self, who: Who) {
        let file = self.directory.path().join("tokens.jsonl");
        let gone = TokenHash::of(&self.tokens[&who]).to_string();
        let lines = std::fs::read_to_string(&file).unwrap();
        let left: Vec<_> = lines.lines().filter(|line| !line.contains(&gone)).collect();
        std::fs::write(file, left.join("\n")).unwrap();
    }

    /// The token of a caller.
    pub fn token(&self, who: Who) -> String {
        self.tokens[&who].clone()
    }

    /// Everything that is stored for an owner, as the operator of the process sees it.
    pub async fn everything_of(&self, who: &str) -> String {
        everything_of(&self.memories, who).await
    }
}

pub fn client() -> reqwest::Client {
    common::http()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// Posts a message as a client of the version without sessions; returns the status and the answer.
async fn post_to_mcp(
    client: &reqwest::Client,
    url: &str,
    token: Option<&str>,
    mut message: Value,
) -> (u16, String) {
    let version = "2026-07-28";
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request = client
        .post(format!("{url}/mcp"))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", version)
        .header("mcp-method", "tools/call")
        .header("mcp-name", message["params"]["name"].as_str().unwrap())
        .body(message.to_string());
    let response = showing(request, token).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    match text.lines().find_map(|line| line.strip_prefix("data: {")) {
        Some(rest) => (status, format!("{{{rest}")),
        None => (status, text),
    }
}

fn showing(request: reqwest::RequestBuilder, token: Option<&str>) -> reqwest::RequestBuilder {
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

/// A client of `/sse` after the handshake.
pub struct OldClient {
    client: reqwest::Client,
    /// Where it posts to.
    pub endpoint: String,
    token: Option<String>,
    stream: reqwest::Response,
    read: String,
}

impl OldClient {
    /// The error is the status and the text of a refusal.
    pub async fn open(
        client: &reqwest::Client,
        url: &str,
        token: Option<&str>,
    ) -> Result<Self, (u16, String)> {
        let stream = showing(client.get(format!("{url}/sse")), token);
        let stream = stream.send().await.unwrap();
        if stream.status() != 200 {
            return Err((stream.status().as_u16(), stream.text().await.unwrap()));
        }
        let mut opened = Self {
            client: client.clone(),
            endpoint: String::new(),
            token: token.map(str::to_owned),
            stream,
            read: String::new(),
        };
        opened.endpoint = format!("{url}{}", opened.data().await);
        let hello = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": "2024-11-05",
                "capabilities": {},
                "clientInfo": {"name": "tests", "version": "1"},
            },
        });
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        for message in [hello, done] {
            assert_eq!(opened.post(&message).await.0, 202);
        }
        Ok(opened)
    }

    /// Posts a message; returns the status and the text.
    async fn post(&self, message: &Value) -> (u16, String) {
        let request = self.client.post(&self.endpoint);
        let request = request
            .header("content-type", "application/json")
            .body(message.to_string());
        let response = showing(request, self.token.as_deref());
        let response = response.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The data of the next event.
    async fn data(&mut self) -> String {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let data = data.map(str::to_owned);
                self.read = rest.to_owned();
                match data {
                    Some(data) => return data,
                    None => continue,
                }
            }
            let chunk = self
                .stream
                .chunk()
                .await
                .unwrap()
                .expect("the stream continues");
            self.read.push_str(str::from_utf8(&chunk).unwrap());
        }
    }

    /// Waits for the end of the stream.
    pub async fn end(&mut self) {
        while let Ok(Some(_)) = self.stream.chunk().await {}
    }

    /// Calls a tool; returns the status and the answer.
    pub async fn call(mut self, message: &Value) -> (u16, String) {
        let (status, said) = self.post(message).await;
        if status != 202 {
            return (status, said);
        }
        loop {
            let data = self.data().await;
            let answer: Value = serde_json::from_str(&data).unwrap();
            if answer["id"] == message["id"] {
                return (200, data);
            }
        }
    }
}

fn outcome(status: u16, text: String) -> Outcome {
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let result = &json["result"];
    let said = result["content"][0]["text"].as_str().unwrap_or_default();
    let error = (result["isError"] == true).then(|| {
        let error: Value = serde_json::from_str(said).unwrap_or_default();
        error["error"].as_str().unwrap_or("unreadable").to_owned()
    });
    assert!(status != 200 || result.is_object(), "{text}");
    Outcome {
        status,
        error,
        answer: result["structuredContent"].clone(),
        text,
    }
}

/// Serves these memories with this authentication, as the program does.
async fn serve(memories: MemoryService, access: AccessSettings, stop: CancellationToken) -> String {
    let serving = Serving {
        config: HttpConfig {
            host: "127.0.0.1".to_owned(),
            port: 0,
            access,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            tls: None,
            bounds: Bounds {
                connections: 1000,
                sessions: 100,
                calls: 1000,
                calls_per_minute: None,
                unread_bytes: 256 << 20,
                share: 50,
            },
            grace: Duration::ZERO,
            api_compat: false,
        },
        server: MemoryServer::new(memories).confirming(Confirm::Never),
        serves_mcp: true,
        rest: RestRoutes::default(),
    };
    let stop = Stop {
        asked: stop.clone(),
        hurry: stop,
    };
    let (sender, receiver) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        http::serve(serving, stop, |addresses| {
            sender.send(addresses[0]).unwrap();
        })
        .await
        .unwrap();
    });
    format!("http://{}", receiver.await.unwrap())
}

/// Serves an app with the address of each request's connection.
pub async fn listen_with(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

fn tokens(file: &Path) -> HashMap<Who, String> {
    let mut tokens = HashMap::new();
    for who in Who::WITH_TOKENS {
        let token = fresh().unwrap().expose_secret().to_owned();
        append(file, &who.entry(TokenHash::of(&token))).unwrap();
        tokens.insert(who, token);
    }
    tokens
}

async fn emulate(stop: CancellationToken) -> SocketAddr {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let options = emulator::Options {
        port: 0,
        ..emulator::Options::default()
    };
    tokio::spawn(emulator::serve(options, stop, |address| {
        sender.send(address).unwrap();
    }));
    receiver.await.unwrap()
}

/// A proxy that records requests.
async fn record_requests(emulator: SocketAddr, asked: Arc<Mutex<Vec<String>>>) -> String {
    let client = client();
    let app = Router::new().fallback(move |request: axum::extract::Request| {
        let (client, asked) = (client.clone(), asked.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let text = String::from_utf8_lossy(&body).into_owned();
            asked
                .lock()
                .unwrap()
                .push(format!("{} {} {text}", head.method, head.uri));
            let mut headers = head.headers;
            headers.remove("host");
            let answer = client
                .request(head.method, format!("http://{emulator}{}", head.uri))
                .headers(headers)
                .body(body)
                .send()
                .await
                .unwrap();
            let mut response = Response::builder().status(answer.status());
            for name in ["content-type", "zep-next-cursor"] {
                if let Some(value) = answer.headers().get(name) {
                    response = response.header(name, value);
                }
            }
            let body = answer.bytes().await.unwrap();
            response.body(Body::from(body)).unwrap()
        }
    });
    listen_with(app).await
}

/// The scope of a name.
pub fn scope_of(who: &str) -> Scope {
    match who {
        "coach" | "spy" => Scope {
            agent: Some(AgentId::new(who).unwrap()),
            ..Scope::default()
        },
        _ => Scope {
            user: Some(UserId::new(who).unwrap()),
            ..Scope::default()
        },
    }
}

fn filter_of(who: &str) -> Filter {
    let field = if matches!(who, "coach" | "spy") {
        "agent_id"
    } else {
        "user_id"
    };
    let mut filter = Map::new();
    filter.insert(field.into(), who.into());
    Filter::parse(Some(&filter)).unwrap()
}

async fn seed(memories: &MemoryService, who: &str) -> Ids {
    let operator = Caller::Operator;
    let text = NewMemories {
        scope: scope_of(who),
        text: Some(format!("{who} likes {}", secret(who))),
        ..NewMemories::default()
    };
    let text = memories
        .add(&operator, text)
        .await
        .unwrap()
        .memories
        .remove(0)
        .id;
    let mut message = None;
    if scope_of(who).user.is_some() {
        let turn = NewTurn {
            role: "user".into(),
            content: format!("I said that I like {}", secret(who)),
            name: None,
            created_at: None,
            metadata: Map::new(),
        };
        let talk = NewMemories {
            scope: Scope {
                session: Some(SessionId::new(&format!("{who}-talk")).unwrap()),
                ..scope_of(who)
            },
            messages: vec![turn],
            kind: Some(MemoryKind::new("insights").unwrap()),
            ..NewMemories::default()
        };
        let added = memories.add(&operator, talk).await.unwrap();
        message = Some(added.memories[0].id.0.clone());
    }
    let page = browse(memories, who).await;
    let fact = page
        .into_iter()
        .find(|memory| memory.form == Form::Fact)
        .unwrap();
    Ids {
        text: text.0,
        message,
        fact: fact.id.0,
    }
}

async fn seed_app(memories: &MemoryService, who: &str, app: &str) {
    let text = NewMemories {
        scope: Scope {
            app: Some(AppId::new(app).unwrap()),
            ..scope_of(who)
        },
        text: Some(format!("{who} uses it for {}", secret(who))),
        ..NewMemories::default()
    };
    memories.add(&Caller::Operator, text).await.unwrap();
    // It is listed in the background.
    memories.settle().await;
}

async fn browse(memories: &MemoryService, who: &str) -> Vec<zep_mcp_server::memory::Memory> {
    let query = BrowseQuery {
        filter: filter_of(who),
        page: 1,
        page_size: 200,
        before: None,
        include_invalid: true,
    };
    memories
        .browse(&Caller::Operator, &query)
        .await
        .unwrap()
        .memories
}

async fn everything_of(memories: &MemoryService, who: &str) -> String {
    let mut all = format!("{:#?}", browse(memories, who).await);
    if scope_of(who).user.is_some() {
        let sessions = memories
            .sessions(&Caller::Operator, &scope_of(who), 0, 100)
            .await
            .unwrap();
        for session in &sessions.sessions {
            let query = SessionQuery {
                scope: Scope {
                    session: Some(SessionId::new(&session.session).unwrap()),
                    ..scope_of(who)
                },
                page: PageOf::Last { count: 200 },
                kind: None,
                include_context: false,
                include_summary: false,
            };
            let page = memories.session(&Caller::Operator, query).await.unwrap();
            all += &format!("{:#?}{:#?}", session.session, page.records);
        }
    }
    all
}
