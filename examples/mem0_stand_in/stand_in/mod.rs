//! A stand-in for mem0: the routes of mem0 Platform that a migration, a server in front of it and
//! mem0's own client need, and those of mem0's self-hosted server, with its silent limits; and the routes of Qdrant. Misbehaves on
//! demand ([`Fault`]).
//!
//! Answers have the fields and errors of mem0's published OpenAPI document and of the server's code.
//! Every message becomes a memory as it is, at once.
#![allow(dead_code, reason = "each program uses a part")]

mod faults;
mod filters;
mod live;
mod platform;
mod qdrant;
mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Map, Value, json};

pub use faults::{Fault, What};
pub use qdrant::Qdrant;

/// The key that is accepted, of any kind.
pub const KEY: &str = "m0-stand-in-key";

/// mem0's names of the fields that name entities.
pub const ENTITIES: [(&str, &str); 4] = [
    ("user", "user_id"),
    ("agent", "agent_id"),
    ("app", "app_id"),
    ("run", "run_id"),
];

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// With escapes.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Call {
    async fn read(request: Request) -> Self {
        let (head, body) = request.into_parts();
        let url = reqwest::Url::parse(&format!("http://mem0{}", head.uri)).expect("a URL");
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.query.get(name)?.parse().ok()
    }

    /// What faults match: method, path, query and body.
    fn line(&self) -> String {
        let query: Vec<_> = self.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
        format!(
            "{} {}?{} {}",
            self.method,
            self.path,
            query.join("&"),
            self.body
        )
    }
}

/// How a self-hosted server lets people in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// `X-API-Key`, of an administrator.
    Admin,
    /// `X-API-Key`, of somebody else.
    Member,
    /// `Authorization: Bearer`.
    Bearer,
    /// Nobody is asked.
    Disabled,
}

/// A self-hosted server.
#[derive(Debug, Clone)]
pub struct Release {
    pub login: Login,
    /// Only administrators may list entities.
    pub entities_for_admins: bool,
    /// An older release: no entities, and always a list of at most 100 memories.
    pub is_old: bool,
    /// How many memories it looks at to list its entities.
    pub scan_limit: usize,
}

pub struct State {
    /// Oldest first. With `run_id`, `input` and `history` whatever the route.
    pub memories: Vec<Map<String, Value>>,
    /// Entities without memories.
    pub entities: Vec<(&'static str, String)>,
    /// Entities that are not listed.
    pub unlisted: Vec<String>,
    pub server: Release,
    pub qdrant: Qdrant,
    pub faults: Vec<Fault>,
    pub calls: Vec<Call>,
    /// How many entities are on a page.
    pub entities_a_page: usize,
    /// What was done in the background, oldest first, as mem0 shows it.
    pub events: Vec<Value>,
    made: u64,
}

impl State {
    /// Adds a memory with these fields; the others have usual values.
    pub fn add(&mut self, fields: Value) -> String {
        self.made += 1;
        let n = self.made;
        let time = format!(
            "2025-01-01T{:02}:{:02}:{:02}Z",
            n / 3600 % 24,
            n / 60 % 60,
            n % 60
        );
        let id = format!("{n:08x}-0000-4000-8000-{n:012x}");
        let Value::Object(mut memory) = json!({
            "id": id, "memory": format!("memory {n}"), "user_id": null, "agent_id": null,
            "app_id": null, "run_id": null, "metadata": null, "categories": [], "replaced_by": null,
            "expiration_date": null, "created_at": time, "updated_at": time,
        }) else {
            unreachable!("an object")
        };
        let Value::Object(fields) = fields else {
            panic!("a memory is an object")
        };
        memory.extend(fields);
        let history = json!([{
            "id": format!("{n:08x}-0000-4000-9000-{n:012x}"), "event": "ADD", "old_memory": null,
            "new_memory": memory["memory"], "created_at": memory["created_at"],
        }]);
        memory.entry("history").or_insert(history);
        let id = memory["id"].as_str().expect("a text").to_owned();
        self.memories.push(memory);
        id
    }

    pub fn delete(&mut self, id: &str) {
        self.memories.retain(|memory| memory["id"] != id);
        self.qdrant.delete(id);
    }

    /// The fault that this request meets.
    fn fault(&mut self, call: &Call) -> Option<What> {
        let line = call.line();
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.times > 0 && line.contains(&fault.on))?;
        fault.times -= 1;
        Some(fault.what.clone())
    }
}

/// A running stand-in.
#[derive(Clone)]
pub struct StandIn {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl StandIn {
    pub fn start() -> Self {
        Self::listening_on(0)
    }

    pub fn listening_on(port: u16) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State {
            memories: Vec::new(),
            entities: Vec::new(),
            unlisted: Vec::new(),
            server: Release {
                login: Login::Admin,
                entities_for_admins: false,
                is_old: false,
                scan_limit: 10_000,
            },
            qdrant: Qdrant::default(),
            faults: Vec::new(),
            calls: Vec::new(),
            entities_a_page: usize::MAX,
            events: Vec::new(),
            made: 0,
        }));
        let shared = state.clone();
        // Its own runtime, so that a test may wait for a program.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                listener.set_nonblocking(true).expect("a listener");
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let app = Router::new().fallback(move |request: Request| {
                    let shared = shared.clone();
                    async move { answer(&shared, request).await }
                });
                axum::serve(listener, app).await
            })
        });
        Self { url, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Adds a memory, and answers its id.
    pub fn add(&self, fields: Value) -> String {
        self.state().add(fields)
    }

    /// Adds a point to a collection of Qdrant, and answers its id. The text is usual.
    pub fn point(&self, collection: &str, fields: Value) -> String {
        let mut state = self.state();
        state.made += 1;
        let n = state.made;
        let id = format!("{n:08x}-0000-4000-8000-{n:012x}");
        let Value::Object(mut payload) = json!({
            "data": format!("memory {n}"), "hash": format!("{n:032x}"),
            "text_lemmatized": format!("memory {n}"), "created_at": "2025-01-01T10:00:00-07:00",
        }) else {
            unreachable!("an object")
        };
        payload.extend(fields.as_object().expect("an object").clone());
        state
            .qdrant
            .add(collection, json!(id), Value::Object(payload));
        id
    }

    /// The next `times` requests with `on` in their method, path, query or body meet this.
    pub fn fault(&self, on: &str, times: usize, what: What) {
        self.state().faults.push(Fault {
            on: on.to_owned(),
            times,
            what,
        });
    }

    /// The requests so far to paths with this in them.
    pub fn calls_to(&self, path: &str) -> Vec<Call> {
        let state = self.state();
        let calls = state.calls.iter().filter(|call| call.path.contains(path));
        calls.cloned().collect()
    }
}

/// Why a request has no result: a status and a body.
pub(crate) type Refused = (u16, Value);

async fn answer(state: &Mutex<State>, request: Request) -> Response {
    let call = Call::read(request).await;
    let (fault, (status, body)) = {
        let mut state = state.lock().expect("no panic");
        if let Some(control) = call.path.strip_prefix("/_stand_in/") {
            return json_answer(200, &controlled(&mut state, control, &call));
        }
        state.calls.push(call.clone());
        let fault = state.fault(&call);
        let answer = match call.path.split('/').nth(1) {
            _ if fault.as_ref().is_some_and(What::is_instead) => Ok(Value::Null),
            Some("v1" | "v2" | "v3") => platform::answer(&mut state, &call),
            Some("collections" | "") => state.qdrant.answer(&call),
            _ => server::answer(&state, &call),
        };
        let answer = answer.map_or_else(|refused| refused, |body| (200, body));
        (fault.map(|fault| fault.prepared(&mut state)), answer)
    };
    match fault {
        None => json_answer(status, &body),
        Some(what) => {
            if let What::Slow(time) = what {
                tokio::time::sleep(time).await;
            }
            faults::answer(what, status, body)
        }
    }
}

fn controlled(state: &mut State, control: &str, call: &Call) -> Value {
    match control {
        "requests" => state
            .calls
            .iter()
            .map(|call| {
                json!({"method": call.method, "path": call.path, "query": call.query,
                       "headers": call.headers, "body": call.body})
            })
            .collect(),
        "memories" => {
            let memories = call.body.as_array().cloned().unwrap_or_default();
            memories
                .into_iter()
                .map(|memory| state.add(memory))
                .collect()
        }
        _ => Value::Null,
    }
}

fn json_answer(status: u16, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a response")
}
