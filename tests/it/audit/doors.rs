//! Who did what, in which role, to whose memories, over MCP on a network.

use std::fs;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use zep_mcp_server::http::access::{TokenHash, fresh};

use super::{directory, entries, entries_on, is_intact};
use crate::access::signed;
use crate::common::program::World;
use crate::http::client::{Events, Mcp, STATELESS, Sse, call};
use crate::http::server::{Server, command};

const ROLES: [&str; 3] = ["reader", "writer", "operator"];
const SAID: &str = "The password is turquoise-crimson";

fn token() -> String {
    fresh().unwrap().expose_secret().to_owned()
}

/// A file of tokens: one of each role for alice.
fn tokens(world: &World) -> (PathBuf, Vec<String>) {
    let tokens: Vec<_> = ROLES.iter().map(|_| token()).collect();
    let lines = tokens.iter().zip(ROLES).map(|(token, role)| {
        let hash = TokenHash::of(token).to_string();
        json!({"name": format!("alices-{role}"), "hash": hash, "role": role, "users": ["alice"]})
    });
    let lines: Vec<_> = lines.map(|line| line.to_string()).collect();
    let file = world.directory().join("tokens.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    (file, tokens)
}

async fn outcome(client: &Mcp, id: u64, tool: &str, arguments: &Value) -> String {
    let response = client.post(&call(id, tool, arguments.clone())).await;
    let answer = Events::of(response).answer(id).await;
    let result = &answer["result"];
    if result["isError"] != true {
        return "ok".to_owned();
    }
    let text = result["content"][0]["text"].as_str().unwrap();
    let error: Value = serde_json::from_str(text).unwrap();
    error["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_did_what_to_whose_memories_is_told_for_each_role_and_outcome() {
    let world = World::embedded();
    let (file, tokens) = tokens(&world);
    let server = Server::with(&world, &["--auth-tokens-file", file.to_str().unwrap()]);
    let text = |user: &str| json!({"user_id": user, "text": SAID});
    let by_user = |user: &str| json!({"user_id": user});
    let query = |user: &str| json!({"user_id": user, "query": SAID});
    let calls = [
        ("add_memory", text("alice"), "write", "alice"),
        ("search_memory", query("alice"), "read", "alice"),
        ("get_memories", by_user("alice"), "read", "alice"),
        ("search_memory", query("bob"), "read", "bob"),
        ("add_memory", text("bob"), "write", "bob"),
        ("delete_all_memories", by_user("bob"), "delete", "bob"),
        (
            "migrate_user",
            json!({"user": {"id": "alice"}, "data": {"results": []}}),
            "migrate",
            "alice",
        ),
        ("delete_all_memories", by_user("alice"), "delete", "alice"),
    ];
    let mut expected = Vec::new();
    for (token, role) in tokens.iter().zip(ROLES) {
        let client = Mcp::connect_with(&server.url, "2025-06-18", token).await;
        let who = format!("alices-{role}");
        let entry = |call: &str, action: &str, outcome: &str, owner: Value| {
            (
                who.clone(),
                role.to_owned(),
                call.to_owned(),
                action.to_owned(),
                outcome.to_owned(),
                owner,
            )
        };
        expected.push(entry("initialize", "login", "ok", Value::Null));
        for (id, (tool, arguments, right, owner)) in (10..).zip(&calls) {
            let outcome = outcome(&client, id, tool, arguments).await;
            let may = match *right {
                "read" => true,
                "write" => role != "reader",
                _ => role == "operator",
            };
            let allowed = may && *owner == "alice";
            assert_eq!(outcome == "ok", allowed, "{role} {tool} {owner}: {outcome}");
            if !allowed {
                assert_eq!(outcome, "forbidden", "{role} {tool} {owner}");
            }
            expected.push(entry(
                tool,
                right,
                &outcome,
                json!([{"user": owner, "right": right}]),
            ));
        }
    }
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let trail = directory(&world);
    is_intact(&trail);
    let entries = entries(&trail);
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            assert_eq!(
                (&entry["door"], &entry["auth"]),
                (&json!("mcp"), &json!("token")),
                "{entry}"
            );
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            (
                text("who"),
                text("role"),
                text("call"),
                text("action"),
                text("outcome"),
                entry["owners"].clone(),
            )
        })
        .collect();
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected);
    }
    // The ids of what was added and found, and one label for all calls of a session.
    let added = entries
        .iter()
        .find(|entry| entry["call"] == "add_memory" && entry["outcome"] == "ok");
    assert_eq!(added.unwrap()["ids"].as_array().unwrap().len(), 1);
    let sessions = entries.iter().map(|entry| {
        let request = entry["request"].as_str().unwrap();
        request.split_once('/').unwrap().0.to_owned()
    });
    let mut sessions: Vec<_> = sessions.filter(|label| label != "-").collect();
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), ROLES.len());
    let file = super::files(&trail).pop().unwrap();
    let all = fs::read_to_string(file).unwrap();
    for secret in tokens
        .iter()
        .map(String::as_str)
        .chain(["turquoise", "crimson", "password"])
    {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn refusals_before_a_tool_are_told_and_a_flood_of_them_is_counted() {
    let world = World::embedded();
    let (file, tokens) = tokens(&world);
    let server = Server::with(&world, &["--auth-tokens-file", file.to_str().unwrap()]);
    let stranger = token();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let nobody = Mcp::new(&server.url, "2025-06-18");
    assert_eq!(nobody.post(&hello).await.status(), 401);
    let unknown = nobody.clone().with_token(&stranger);
    assert_eq!(unknown.post(&hello).await.status(), 401);
    let foreign = nobody.clone().with_token(&tokens[0]);
    let foreign = foreign
        .posting(&hello)
        .header("origin", "https://evil.example")
        .send()
        .await;
    assert_eq!(foreign.unwrap().status(), 403);
    for _ in 0..150 {
        assert_eq!(nobody.post(&hello).await.status(), 401);
    }
    server.stop().await;
    let trail = directory(&world);
    is_intact(&trail);
    let entries = entries(&trail);
    let outcomes: Vec<_> = entries
        .iter()
        .map(|entry| entry["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        outcomes[..3],
        ["unauthenticated", "invalid_token", "foreign_origin"],
        "{outcomes:?}"
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry["action"] == "refusal" && entry["call"] == "POST /mcp")
    );
    let counted: u64 = entries
        .iter()
        .map(|entry| entry["count"].as_u64().unwrap_or(1))
        .sum();
    assert_eq!(counted, 153);
    assert!(entries.len() <= 102, "{}", entries.len());
    let all = format!("{entries:?}");
    assert!(!all.contains(&stranger) && !all.contains("evil"), "{all}");
}

#[tokio::test]
async fn callers_without_an_entry_of_their_own_have_names_too() {
    let world = World::embedded();
    let single = token();
    let mut with_token = command(&world, &["--port", "0"]);
    let server = Server::run(with_token.env("MCP_AUTH_TOKEN", &single));
    let client = Mcp::new(&server.url, STATELESS).with_token(&single);
    client
        .tool("list_sessions", json!({"user_id": "ann"}))
        .await;
    server.stop().await;
    let server = Server::start(&world);
    Mcp::new(&server.url, STATELESS)
        .tool("list_sessions", json!({"user_id": "ann"}))
        .await;
    let mut old = Sse::connect(&server.url, "2024-11-05").await;
    let response = old
        .post(&call(5, "list_sessions", json!({"user_id": "ann"})))
        .await;
    assert_eq!(response.status(), 202);
    old.events.answer(5).await;
    drop(old);
    server.stop().await;
    world
        .connect()
        .call("list_sessions", json!({"user_id": "ann"}));
    let trail = directory(&world);
    let told: Vec<_> = entries(&trail)
        .iter()
        .filter(|entry| entry["call"] == "list_sessions")
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            let label = text("request").split_once('/').unwrap().0.len();
            (text("who"), text("role"), text("auth"), label)
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(who, role, auth, label)| (who.as_str(), role.as_str(), auth.as_str(), *label))
        .collect();
    assert_eq!(
        told,
        [
            ("MCP_AUTH_TOKEN", "operator", "token", 1),
            ("local", "operator", "none", 1),
            ("local", "operator", "none", 12),
            ("operator", "operator", "process", 12),
        ]
    );
}

#[tokio::test]
async fn health_and_readiness_tell_whether_the_trail_can_be_written() {
    let world = World::embedded();
    let server = Server::start(&world);
    let get = async |path: &str| {
        let answer = crate::http::client::http()
            .get(format!("{}{path}", server.url))
            .send()
            .await;
        let answer = answer.unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap(),
        )
    };
    assert_eq!(get("/health").await.1["audit"], Value::Null);
    assert_eq!(get("/ready").await.0, 200);
    let trail = directory(&world);
    fs::remove_dir_all(&trail).unwrap();
    fs::write(&trail, "in the way").unwrap();
    let client = Mcp::new(&server.url, STATELESS);
    client
        .tool("list_sessions", json!({"user_id": "ann"}))
        .await;
    assert_eq!(get("/health").await.1["audit"], "failing");
    let (status, body) = get("/ready").await;
    assert_eq!(
        (status, &body["reason"]),
        (503, &json!("audit_unavailable")),
        "{body}"
    );
}

#[tokio::test]
async fn requests_of_the_memory_api_have_entries_too() {
    let world = World::embedded();
    let (file, tokens) = tokens(&world);
    let mut command = world.command();
    command
        .args(["serve", "--api"])
        .env("LOG_LEVEL", "info")
        .env("PORT", "0");
    let server = Server::run(command.env("MCP_AUTH_TOKENS_FILE", file));
    let ask = async |method: reqwest::Method, path: &str, token: &str, body: Option<Value>| {
        let url = format!("{}{path}", server.url);
        let mut ask = crate::http::client::http()
            .request(method, url)
            .bearer_auth(token);
        if let Some(body) = body {
            ask = ask
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = ask.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null),
        )
    };
    let (post, get) = (reqwest::Method::POST, reqwest::Method::GET);
    let memory =
        |user: &str| Some(json!({"content": SAID, "user_id": user, "session_id": "monday"}));
    let (status, _) = ask(post.clone(), "/api/memory/add", &tokens[1], memory("alice")).await;
    assert_eq!(status, 201);
    let question = Some(json!({"query": SAID, "user_id": "alice"}));
    let (status, _) = ask(post.clone(), "/api/memory/search", &tokens[0], question).await;
    assert_eq!(status, 200);
    let (status, _) = ask(post.clone(), "/api/memory/add", &tokens[0], memory("alice")).await;
    assert_eq!(status, 403);
    let (status, _) = ask(get.clone(), "/api/memory/all/bob", &tokens[0], None).await;
    assert!(status == 403 || status == 404, "{status}");
    let (status, _) = ask(
        get.clone(),
        "/api/v1/users/alice",
        "unknown-token-of-nobody",
        None,
    )
    .await;
    assert_eq!(status, 401);
    server.stop().await;
    let trail = directory(&world);
    is_intact(&trail);
    let entries = entries(&trail);
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or("-");
            (text("who"), text("call"), text("action"), text("outcome"))
        })
        .collect();
    assert_eq!(
        told[..3],
        [
            ("alices-writer", "POST /api/memory/add", "write", "ok"),
            ("alices-reader", "POST /api/memory/search", "read", "ok"),
            (
                "alices-reader",
                "POST /api/memory/add",
                "write",
                "forbidden"
            ),
        ]
    );
    assert_eq!(told[3].1, "GET /api/memory/all/{user_id}");
    assert_ne!(told[3].3, "ok");
    assert_eq!(
        told[4],
        (
            "-",
            "GET /api/v1/users/{user_id}",
            "refusal",
            "invalid_token"
        )
    );
    assert_eq!(
        entries[0]["owners"],
        json!([{"user": "alice", "right": "write"}])
    );
    assert_eq!(entries[0]["sessions"], json!(["monday"]));
    assert_eq!(entries[0]["ids"].as_array().unwrap().len(), 1);
    assert_eq!(entries[3]["owners"][0]["user"], "bob");
    let all = format!("{entries:?}");
    assert!(
        !all.contains("turquoise") && !all.contains("unknown-token"),
        "{all}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_signed_token_is_named_by_its_subject() {
    let issuer = signed::World::new().await;
    let world = World::embedded();
    let keys = issuer.issuer.replace("/tenant", "/keys");
    let server = Server::run(
        command(&world, &["--port", "0"])
            .env("MCP_OAUTH_ISSUER", &issuer.issuer)
            .env("MCP_OAUTH_AUDIENCE", signed::AUDIENCE)
            .env("MCP_OAUTH_JWKS_URL", keys),
    );
    let mut claims = issuer.claims();
    claims["scope"] = json!("memory:write");
    let token = issuer.signed(&claims);
    let client = Mcp::new(&server.url, STATELESS).with_token(&token);
    let text = json!({"user_id": "alice", "text": SAID});
    assert_eq!(outcome(&client, 1, "add_memory", &text).await, "ok");
    let other = json!({"user_id": "bob", "text": SAID});
    assert_eq!(outcome(&client, 2, "add_memory", &other).await, "forbidden");
    server.stop().await;
    let found = entries_on(&directory(&world), "add_memory");
    let told = |entry: &Value| ["who", "role", "auth", "outcome"].map(|it| entry[it].clone());
    let told: Vec<_> = found.iter().map(told).collect();
    let expected = |outcome: &str| ["alice", "writer", "oauth", outcome].map(|it| json!(it));
    assert_eq!(told, [expected("ok"), expected("forbidden")]);
    let text = found.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains(&token[..40]), "{text}");
}
