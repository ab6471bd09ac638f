//! The Memory API, spoken to over TCP as its callers do.

mod access;
mod at_once;
mod conversations;
mod dialects;
mod documents;
mod hostile;
mod migrations;
mod outage;
mod people;

use std::fs;
use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::common::PATIENCE;
use crate::common::program::World;
use crate::http::client::{Mcp, STATELESS, call};
use crate::http::server::Server;

/// A server of the Memory API, and a client of it.
pub struct Api {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    server: Server,
    token: Option<String>,
}

/// The command of such a server.
pub fn command(world: &World, flags: &[&str]) -> Command {
    let mut command = world.command();
    command
        .args(["serve", "--api", "--port", "0"])
        .args(flags)
        .env("LOG_LEVEL", "info");
    command
}

impl Api {
    pub fn of(world: &World) -> Self {
        Self::run(&mut command(world, &[]))
    }

    pub fn run(command: &mut Command) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            client: crate::common::http().build().unwrap(),
            server: Server::run(command),
            token: None,
        }
    }

    /// From now on calls have this token.
    pub fn with_token(&mut self, token: Option<&str>) -> &mut Self {
        self.token = token.map(str::to_owned);
        self
    }

    /// Stops it, and gives what it logged.
    pub fn stop(self) -> String {
        self.runtime.block_on(self.server.stop()).stderr
    }

    /// Sends a call as `curl` would; gives the status and the text of the answer.
    pub fn raw(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> (u16, String) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.server.url);
        let mut request = self.client.request(method, url).timeout(2 * PATIENCE);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            // What `curl -d` says, whatever it sends.
            let kind = "application/x-www-form-urlencoded";
            request = request.header("content-type", kind).body(body);
        }
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    /// The same with JSON.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string().into_bytes());
        let (status, text) = self.raw(method, path, body);
        let answer = serde_json::from_str(&text);
        (
            status,
            answer.unwrap_or_else(|_| panic!("{method} {path}: {status} {text}")),
        )
    }

    /// A call that must succeed.
    pub fn must(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    pub fn get(&self, path: &str) -> Value {
        self.must("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.must("POST", path, Some(body))
    }

    /// A call that must fail with this status; gives its `detail`.
    pub fn refused(&self, method: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let (got, answer) = self.call(method, path, body);
        assert_eq!(got, status, "{method} {path}: {answer}");
        answer["detail"].clone()
    }

    /// Makes a user; gives the id.
    pub fn user(&self) -> String {
        let new = json!({"email": "ann@example.com", "name": "Ann Example"});
        let made = self.post("/api/v1/users", &new);
        made["user_id"].as_str().unwrap().to_owned()
    }

    /// Opens a session; gives the id.
    pub fn session(&self, user: &str) -> String {
        let opened = self.post("/api/v1/sessions", &json!({"user_id": user}));
        opened["session_id"].as_str().unwrap().to_owned()
    }

    /// Says something.
    pub fn say(&self, user: &str, session: &str, content: &str) -> Value {
        let new = json!({"user_id": user, "content": content, "role": "user"});
        self.post(&format!("/api/v1/memory/{session}/messages"), &new)
    }

    /// What was said in a session, as its history has it.
    pub fn said(&self, session: &str) -> Vec<String> {
        let history = self.get(&format!("/api/v1/memory/{session}/history?limit=200"));
        contents(&history)
    }
}

/// A call of a tool over MCP on the same server; gives its structured answer, or its error.
fn tool(api: &Api, name: &str, arguments: Value) -> Value {
    let mut client = Mcp::new(&api.server.url, STATELESS);
    if let Some(token) = &api.token {
        client = client.with_token(token);
    }
    let answer = api.runtime.block_on(async {
        let answer = client.post(&call(1, name, arguments)).await;
        let text = answer.text().await.unwrap();
        // One event, or the message alone.
        let message = text.lines().rev().find_map(|line| {
            let line = line.strip_prefix("data:").unwrap_or(line);
            serde_json::from_str::<Value>(line).ok()
        });
        message.unwrap_or_else(|| panic!("no answer: {text}"))
    });
    let result = &answer["result"];
    match result["isError"] == true {
        true => serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap(),
        false => result["structuredContent"].clone(),
    }
}

/// The contents of a history.
fn contents(history: &Value) -> Vec<String> {
    let messages = history["messages"].as_array().unwrap().iter();
    messages
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

/// The fields that an answer of 422 names.
fn fields(detail: &Value) -> Vec<String> {
    let problems = detail.as_array().unwrap().iter();
    problems
        .map(|problem| problem["loc"].as_array().unwrap().last().unwrap())
        .map(|field| field.as_str().unwrap().to_owned())
        .collect()
}

/// A file of tokens, one for each of these names, roles and users (`None`: everybody). The token of a name
/// is the name 20 times.
pub fn tokens(directory: &Path, entries: &[(&str, &str, Option<&[&str]>)]) -> std::path::PathBuf {
    use zep_mcp_server::http::access::TokenHash;
    let lines = entries.iter().map(|(name, role, users)| {
        let users = match users {
            Some(users) => json!(users),
            None => json!("*"),
        };
        let hash = TokenHash::of(&token(name)).to_string();
        json!({"name": name, "hash": hash, "role": role, "users": users}).to_string()
    });
    let path = directory.join("tokens.jsonl");
    fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    path
}

/// The token of a name in [`tokens`].
pub fn token(name: &str) -> String {
    name.repeat(20)
}

/// Both backends.
fn worlds() -> [World; 2] {
    [World::embedded(), World::emulated()]
}
