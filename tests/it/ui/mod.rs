//! The operators' page, spoken to as a browser does.

mod actions;
mod escaping;
mod login;
mod migrations;

use std::collections::HashMap;
use std::process::Command;

use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::api::{command, tokens};
use crate::common::PATIENCE;
use crate::common::program::World;
use crate::http::server::Server;

/// The operator's token, and those of others.
const OPERATOR: &str = "operator";

/// A server with its page, and a browser without redirects.
struct Browser {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    server: Server,
    /// The cookie, as the server gave it.
    cookie: Option<String>,
}

/// An answer.
struct Shown {
    status: StatusCode,
    headers: HashMap<String, String>,
    text: String,
}

impl Shown {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The CSRF token of its forms.
    fn csrf(&self) -> String {
        let (_, rest) = self.text.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| {
        text.bytes()
            .map(|b| format!("%{b:02x}"))
            .collect::<String>()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Browser {
    /// On a server with tokens of an operator, a reader, and an operator of one user.
    fn of(world: &World) -> Self {
        let file = tokens(
            world.directory(),
            &[
                (OPERATOR, "operator", None),
                ("reader", "reader", None),
                ("narrow", "operator", Some(&["ann"])),
            ],
        );
        Self::run(world, &["--auth-tokens-file", file.to_str().unwrap()])
    }

    fn run(world: &World, flags: &[&str]) -> Self {
        Self::start(&mut command(world, flags))
    }

    fn start(command: &mut Command) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            client: crate::common::http()
                .redirect(Policy::none())
                .build()
                .unwrap(),
            server: Server::run(command),
            cookie: None,
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        extra: &[(&str, &str)],
    ) -> Shown {
        let url = format!("{}{path}", self.server.url);
        let mut request = self.client.request(method.parse().unwrap(), url);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            let kind = "application/x-www-form-urlencoded";
            request = request.header("content-type", kind).body(body);
        }
        let shown = async |answer: Response| Shown {
            status: answer.status(),
            headers: answer
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            text: answer.text().await.unwrap(),
        };
        self.runtime
            .block_on(async { shown(request.timeout(PATIENCE).send().await.unwrap()).await })
    }

    fn get(&self, path: &str) -> Shown {
        self.send("GET", path, None, &[])
    }

    /// A page that must be shown.
    fn page(&self, path: &str) -> String {
        let shown = self.get(path);
        assert_eq!(shown.status, 200, "{path}: {}", shown.text);
        shown.text
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        self.send("POST", path, Some(form(fields)), &[])
    }

    /// Tries to sign in.
    fn try_token(&self, token: &str) -> Shown {
        self.post("/ui/login", &[("token", token)])
    }

    /// Signs in as the operator.
    fn signed_in(self) -> Self {
        let token = crate::api::token(OPERATOR);
        self.signed_in_with(&[("token", &token)])
    }

    /// Signs in with these fields; without any where no token is configured.
    fn signed_in_with(mut self, fields: &[(&str, &str)]) -> Self {
        let shown = self.post("/ui/login", fields);
        assert_eq!(shown.status, 303, "{}", shown.text);
        let cookie = shown.header("set-cookie");
        self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        self
    }

    /// A call of the Memory API as the operator.
    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", crate::api::token(OPERATOR));
        self.called(method, path, body, &[("authorization", &bearer)])
    }

    /// The same of a server that wants no token.
    fn anonymous(&self, method: &str, path: &str, body: &Value) -> Value {
        self.called(method, path, body, &[])
    }

    fn called(&self, method: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Value {
        let shown = self.send(method, path, Some(body.to_string()), headers);
        assert!(shown.status.is_success(), "{path}: {}", shown.text);
        serde_json::from_str(&shown.text).unwrap()
    }

    /// Begins a migration of so many memories, and waits until it has ended; gives the id.
    fn migrate(&self, count: usize) -> String {
        let run = self.begin_migration(count);
        crate::common::wait_until("the migration ends", || {
            let path = format!("/api/v1/migrations/{run}");
            self.api("GET", &path, &Value::Null)["state"] != "running"
        });
        run
    }

    fn begin_migration(&self, count: usize) -> String {
        let memories: Vec<Value> = (0..count)
            .map(|n| {
                json!({
                    "id": format!("m{n}"), "memory": format!("remembers {n}"), "user_id": "moved",
                    "created_at": "2024-05-01T10:00:00Z",
                })
            })
            .collect();
        let asked = json!({"user": {"id": "moved"}, "data": {"results": memories}});
        let begun = self.api("POST", "/api/v1/migrations", &asked);
        begun["run_id"].as_str().unwrap().to_owned()
    }

    /// The id of the newest run in the ledger, which is another one than the call's.
    fn newest_run(&self) -> String {
        let page = self.page("/ui/migrations");
        let (_, rest) = page.split_once("/ui/migrations/run?id=").expect("a run");
        rest.split('"').next().unwrap().to_owned()
    }
}
