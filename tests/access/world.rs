//! Two people and two agents with memories of their own, and callers with tokens of every kind.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use axum::{Router, middleware};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::config::{AccessSettings, Confirm};
use zep_mcp_server::emulator;
use zep_mcp_server::http::access::{
    Access, Entry, Name, Reach, TokenHash, append, authenticate, fresh, protected_resource,
};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::mcp::MemoryServer;
use zep_mcp_server::memory::access::Role;
use zep_mcp_server::memory::filter::Filter;
use zep_mcp_server::memory::model::{AgentId, AppId, Caller, MemoryKind, Scope, SessionId, UserId};
use zep_mcp_server::memory::{
    BrowseQuery, Form, MemoryService, NewMemories, NewTurn, PageOf, SessionQuery,
};
use zep_mcp_server::zep::Zep;

use crate::common;

/// The words that stand in everything of these, and in nothing of others.
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

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Nobody who shows a token.
    Nobody,
    /// Somebody whose token is none.
    Stranger,
    /// Somebody who may this for alice, the agent coach and the app journal.
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

/// The ids of somebody's memories, one of each kind.
#[derive(Debug, Clone)]
pub struct Ids {
    pub text: String,
    /// Of a user only: agents have no sessions.
    pub message: Option<String>,
    pub fact: String,
}

/// What came of a call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Of HTTP.
    pub status: u16,
    /// The tool's, if it could not do it.
    pub error: Option<String>,
    /// All that was said.
    pub text: String,
    /// The tool's structured answer.
    pub answer: Value,
}

pub struct World {
    pub memories: MemoryService,
    pub ids: HashMap<&'static str, Ids>,
    /// Where MCP is served.
    url: String,
    tokens: HashMap<Who, String>,
    /// What Zep was asked since [`World::listen`], where it is asked over HTTP.
    asked: Arc<Mutex<Vec<String>>>,
    client: reqwest::Client,
    stop: CancellationToken,
    _directory: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub async fn new(backend: Backend) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let zep: Arc<dyn Zep> = match backend {
            Backend::Embedded => Arc::new(
                LocalZep::open(&directory.path().join("memory.db"), Behavior::default()).unwrap(),
            ),
            Backend::Zep => {
                let emulator = emulate(stop.clone()).await;
                let url = overhear(emulator, asked.clone()).await;
                Arc::new(common::cloud(&url, Duration::from_secs(20)))
            }
        };
        // Nobody has resolved or seen anything yet for those who call later.
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
        let access = Access::new(AccessSettings {
            tokens_file: Some(file),
            ..AccessSettings::default()
        });
        let url = serve(memories.clone(), Arc::new(access.unwrap())).await;
        Self {
            memories,
            ids,
            url,
            tokens,
            asked,
            client: client(),
            stop,
            _directory: directory,
        }
    }

    /// Forgets what Zep was asked.
    pub fn listen(&self) {
        self.asked.lock().unwrap().clear();
    }

    /// What Zep was asked since: addresses and bodies.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Calls a tool. This is the only place that knows by which door.
    pub async fn call(&self, who: Who, tool: &str, arguments: &Value) -> Outcome {
        let token = match who {
            Who::Nobody => None,
            Who::Stranger => Some(fresh().unwrap().expose_secret().to_owned()),
            who => Some(self.tokens[&who].clone()),
        };
        call(&self.client, &self.url, token.as_deref(), tool, arguments).await
    }

    /// Everything that is stored of somebody, as the operator of the process sees it.
    pub async fn everything_of(&self, who: &str) -> String {
        everything_of(&self.memories, who).await
    }
}

pub fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

pub async fn call(
    client: &reqwest::Client,
    url: &str,
    token: Option<&str>,
    tool: &str,
    arguments: &Value,
) -> Outcome {
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    });
    let mut request = client
        .post(format!("{url}/mcp"))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2025-06-18")
        .body(body.to_string());
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    let result = &json["result"];
    let said = result["content"][0]["text"].as_str().unwrap_or_default();
    let error = (result["isError"] == true).then(|| {
        let error: Value = serde_json::from_str(said).unwrap_or_default();
        error["error"].as_str().unwrap_or("unreadable").to_owned()
    });
    assert!(
        status != 200 || result.is_object(),
        "{tool} {arguments}: {text}"
    );
    Outcome {
        status,
        error,
        answer: result["structuredContent"].clone(),
        text,
    }
}

/// Serves these memories to whom the door lets in.
pub async fn serve(memories: MemoryService, access: Arc<Access>) -> String {
    let server = MemoryServer::new(memories)
        .on_a_network()
        .confirming(Confirm::Never);
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = false;
    config.json_response = true;
    let mcp = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let app = Router::new()
        .route_service("/mcp", mcp)
        .layer(middleware::from_fn_with_state(access.clone(), authenticate))
        .merge(protected_resource(access));
    listen_with(app).await
}

/// Serves an app that knows where its requests come from.
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

/// Stands between and notes what is asked.
async fn overhear(emulator: SocketAddr, asked: Arc<Mutex<Vec<String>>>) -> String {
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

/// Whose memory a name stands for.
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
    // It is listed behind the writer's back.
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
