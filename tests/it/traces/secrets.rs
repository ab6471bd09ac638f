//! What no span tells, and who is never told of a trace.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use secrecy::ExposeSecret;
use serde_json::json;
use zep_mcp_server::http::access::{TokenHash, fresh};

use super::collector::Collector;
use super::traceparent;
use crate::common::program::{API_KEY, Client, World};
use crate::common::wait_until;
use crate::http::client::{Mcp, http};
use crate::http::server::{self, Server};

#[tokio::test]
async fn no_person_no_content_and_no_token_is_told() {
    let (world, collector) = (World::emulated(), Collector::start());
    let token = fresh().unwrap();
    let token = token.expose_secret();
    let hash = TokenHash::of(token).to_string();
    let entry = json!({"name": "ops", "hash": hash, "role": "operator", "users": "*"});
    let file = world.directory().join("tokens.jsonl");
    fs::write(&file, entry.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let mut command = server::command(&world, &["--port", "0", "--auth-tokens-file", file]);
    let server = Server::run(collector.of(&mut command));
    let client = Mcp::connect_with(&server.url, "2025-06-18", token).await;
    let session = client.session.clone().unwrap();
    let text = json!({"user_id": "zoe-7", "session_id": "monday-9", "agent_id": "kim-8",
        "metadata": {"colour": "crimson"},
        "messages": [{"role": "user", "content": "likes turquoise", "name": "Zoe Zebra"}]});
    let added = client.tool("add_memory", text).await;
    let id = added["results"][0]["id"].as_str().unwrap();
    let of_zoe = json!({"user_id": "zoe-7"});
    client
        .tool(
            "add_memory",
            json!({"user_id": "zoe-7", "text": "owns a violet kite"}),
        )
        .await;
    client.tool("list_sessions", of_zoe.clone()).await;
    client.tool("get_memories", of_zoe).await;
    let search = json!({"user_id": "zoe-7", "query": "magenta"});
    client.tool("search_memory", search).await;
    let read = json!({"user_id": "zoe-7", "session_id": "monday-9"});
    client.tool("get_session", read).await;
    let deletion = json!({"memory_id": id, "user_id": "zoe-7"});
    client.tool("delete_memory", deletion).await;
    let params = json!({"name": "no_such_tool_crimson", "arguments": {}});
    client.request(9, "tools/call", params).await;
    for path in [
        "/users/zoe-7?token=crimson",
        "/mcp?user=zoe-7",
        "/messages?sessionId=crimson",
    ] {
        http()
            .get(format!("{}{path}", server.url))
            .send()
            .await
            .unwrap();
    }
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0));
    let unknown = collector.wait_for("tools/call unknown");
    assert_eq!(unknown.attribute("error.type"), "unknown_tool");
    collector.wait_for("tools/call delete_memory");
    let secrets = [
        "zoe-7",
        "monday-9",
        "kim-8",
        "Zebra",
        "turquoise",
        "violet",
        "crimson",
    ];
    collector.holds_none_of(&secrets);
    collector.holds_none_of(&["magenta", token, session.as_str(), id, API_KEY]);
    let templates: Vec<_> = collector.spans();
    let templates = templates.iter().map(|span| span.attribute("url.template"));
    assert!(
        templates
            .filter(|template| template.contains("{id}"))
            .count()
            > 3
    );
}

#[test]
fn neither_zep_nor_anybody_else_is_told_of_the_trace() {
    let (world, collector) = (World::embedded(), Collector::start());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(String::new()));
    let kept = heard.clone();
    thread::spawn(move || {
        for line in listener.incoming() {
            let (mut line, mut buffer) = (line.unwrap(), [0; 16 * 1024]);
            let read = line.read(&mut buffer).unwrap_or_default();
            let text = String::from_utf8_lossy(&buffer[..read]).to_lowercase();
            kept.lock().unwrap().push_str(&text);
            let refused =
                "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = line.write_all(refused.as_bytes());
        }
    });
    let mut command = world.command();
    command
        .env("ZEP_API_URL", address)
        .env("ZEP_API_KEY", API_KEY);
    let mut client = Client::connect(collector.of(&mut command));
    let arguments = json!({"user_id": "zoe-7", "query": "turquoise"});
    let id = client.ask(
        "tools/call",
        json!({"name": "search_memory", "arguments": arguments, "_meta": {
            "traceparent": traceparent(), "tracestate": "vendor=1", "baggage": "who=zoe",
        }}),
    );
    client.answer_to(id);
    wait_until("Zep was asked", || {
        heard.lock().unwrap().contains("/api/v2/")
    });
    let heard = heard.lock().unwrap();
    for header in ["traceparent", "tracestate", "baggage", "vendor=1"] {
        assert!(!heard.contains(header), "{header}: {heard}");
    }
}
