//! A short text that would become a large value, and a long one: neither takes others' memory.

use std::fs;

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::program::World;
use crate::common::wait_until;
use crate::http::client::{Events, Mcp, Sse, call, http, succeeded};
use crate::http::server::Server;

const VERSION: &str = "2025-06-18";
/// What all attacks together may take at most, in MB. One of these filters took 1,800 once.
const MOST_MB: u64 = 100;

/// One line of a process's status, in MB.
fn status_mb(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kb = line
        .unwrap()
        .trim_start_matches(':')
        .split_whitespace()
        .next();
    kb.unwrap().parse::<u64>().unwrap() >> 10
}

/// The memory of a process now.
fn memory_mb(pid: u32) -> u64 {
    status_mb(pid, "VmRSS")
}

/// The most memory that a process had at once.
pub fn peak_mb(pid: u32) -> u64 {
    status_mb(pid, "VmHWM")
}

/// A call as text, in which this replaces the string `"HERE"`.
fn call_with(tool: &str, arguments: Value, here: &str) -> String {
    call(7, tool, arguments)
        .to_string()
        .replacen("\"HERE\"", here, 1)
}

/// So many conditions, in 8 bytes each.
fn conditions(count: usize) -> String {
    format!("[{}{{\"a\":1}}]", "{\"a\":1},".repeat(count - 1))
}

/// A call with 1.6 million conditions: 13 MB.
fn many_conditions() -> String {
    let filter = format!("{{\"AND\":{}}}", conditions(1_600_000));
    call_with("get_memories", json!({"filters": "HERE"}), &filter)
}

/// Posts a text as it is.
async fn post(client: &Mcp, body: String) -> reqwest::Response {
    client
        .ask(Method::POST)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap()
}

async fn parsed(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_filter_of_a_million_conditions_takes_no_memory() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, VERSION).await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let idle = memory_mb(server.pid());
    let body = many_conditions();

    let attacks = (0..12).map(|_| async { parsed(post(&client, body.clone()).await).await });
    let health = async {
        for _ in 0..20 {
            let asked = http().get(format!("{}/health", server.url)).send().await;
            assert_eq!(asked.unwrap().status(), StatusCode::OK);
        }
    };
    let (refusals, ()) = tokio::join!(join_all(attacks), health);
    for refusal in refusals {
        assert_eq!(refusal["id"], 7);
        assert_eq!(refusal["error"]["code"], -32602);
        let said = refusal["error"]["message"].as_str().unwrap();
        assert!(
            said.contains("`filters`") && said.contains("100 conditions"),
            "{said}"
        );
    }
    assert_eq!(sse.post_text(body).await.status(), StatusCode::ACCEPTED);
    let refusal = sse.events.answer(7).await;
    assert_eq!(refusal["error"]["code"], -32602);

    let peak = peak_mb(server.pid());
    assert!(peak < idle + MOST_MB, "{peak} MB, idle {idle} MB");
}

/// What may stay of a burst a minute after it, in MB. An allocator that gives nothing back while nothing
/// happens kept 45.
const LEFT_MB: u64 = 20;

#[tokio::test]
async fn memory_is_given_back_after_a_burst() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, VERSION).await;
    let memories: Vec<_> = (0..20_000)
        .map(|n| json!({"id": format!("m{n}"), "memory": format!("Memory {n} of a burst")}))
        .collect();
    let arguments = json!({"user": {"id": "jane"}, "data": {"memories": memories},
                           "dry_run": true});
    let burst = call(7, "migrate_user", arguments);
    let one = json!({"user": {"id": "jane"}, "data": {"memories": [{"memory": "one"}]},
                     "dry_run": true});
    // What a first run of a kind makes and keeps is no part of the burst.
    Events::of(client.post(&call(6, "migrate_user", one)).await)
        .answer(6)
        .await;
    let idle = memory_mb(server.pid());
    let calls = (0..4).map(|_| async { Events::of(client.post(&burst).await).answer(7).await });
    for answer in join_all(calls).await {
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    let taken = peak_mb(server.pid()) - idle;
    assert!(taken > 2 * LEFT_MB, "{taken} MB are no burst");
    // Nobody calls meanwhile.
    wait_until("memory is given back", || {
        memory_mb(server.pid()) < idle + LEFT_MB
    });
}

#[tokio::test]
async fn large_values_are_refused_wherever_they_are() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, VERSION).await;
    let idle = memory_mb(server.pid());
    let values = conditions(250_000);
    for (tool, arguments) in [
        (
            "add_memory",
            json!({"text": "x", "metadata": {"a": "HERE"}}),
        ),
        ("add_memory", json!({"messages": "HERE"})),
        (
            "search_memories",
            json!({"query": "x", "filters": {"OR": "HERE"}}),
        ),
        ("get_session", json!({"session_id": "HERE"})),
        ("no_tool", json!({"a": "HERE"})),
    ] {
        let answer = parsed(post(&client, call_with(tool, arguments, &values)).await).await;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(7), &json!(-32602)),
            "{tool}"
        );
    }
    for (tool, name) in [
        ("get_memories", "filters"),
        ("add_memory", "messages"),
        ("get_memories", "page_size"),
    ] {
        let response = client.post(&call(7, tool, json!({name: values}))).await;
        let answer = Events::of(response).answer(7).await;
        assert_eq!(answer["result"]["isError"], true, "{tool} {name}");
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let deep = call_with(
        "add_memory",
        json!({"text": "x", "metadata": {"a": "HERE"}}),
        &deep,
    );
    assert_eq!(
        parsed(post(&client, deep).await).await["error"]["code"],
        -32602
    );
    let id = format!(r#"{{"jsonrpc": "2.0", "method": "ping", "id": {values}}}"#);
    let answer = post(&client, id).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(parsed(answer).await["id"], json!(null));

    let peak = peak_mb(server.pid());
    assert!(peak < idle + MOST_MB, "{peak} MB, idle {idle} MB");
}

#[tokio::test]
async fn an_error_does_not_repeat_a_long_value() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, VERSION).await;
    let long = "x".repeat(4_000_000);
    for arguments in [
        json!({"page": long}),
        json!({"filters": {long.clone(): 1}}),
        json!({"filters": {"user_id": [[long]]}}),
        json!({"user_id": long}),
        // What only reads ignores it, and says so.
        json!({long.clone(): 1, "page": "first"}),
    ] {
        let response = client.post(&call(7, "get_memories", arguments)).await;
        let answer = Events::of(response).answer(7).await;
        let said = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(
            said.contains("invalid_argument") && said.len() < 8_000,
            "{:.300}",
            said
        );
    }
    let ignored = call(7, "get_memories", json!({long: 1}));
    let answer = Events::of(client.post(&ignored).await).answer(7).await;
    let said = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(said.contains("notes") && said.len() < 8_000, "{said:.300}");
}

/// So many memories.
fn export(memories: usize) -> Vec<Value> {
    let memories = (0..memories).map(|number| {
        json!({
            "id": format!("m{number}"),
            "memory": format!("Note {number}: the lighthouse keeper counted the ships."),
            "user_id": "ann",
            "hash": "d41d8cd98f00b204e9800998ecf8427e",
            "metadata": {"mood": "calm"},
            "categories": ["notes", "ships"],
            "created_at": "2024-06-15T10:30:00Z",
            "updated_at": "2024-06-15T10:30:00Z",
        })
    });
    memories.collect()
}

#[tokio::test]
async fn a_large_export_in_a_call_is_read_item_by_item() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, VERSION).await;
    let idle = memory_mb(server.pid());
    let unknown = conditions(250_000);
    let turns = vec![json!({"role": "user", "content": "Ships passed."}); 1_000];
    for data in [
        json!({"results": export(1_000), "unknown": "HERE"}),
        // Of this user, since it names none.
        json!({"unknown": "HERE", "messages": turns}),
    ] {
        let arguments = json!({"user": {"id": "ann"}, "data": data, "dry_run": true});
        let response = post(&client, call_with("migrate_user", arguments, &unknown)).await;
        let report = succeeded(Events::of(response).answer(7).await);
        assert_eq!(report["memories_migrated"], 1_000, "{report}");
        let errors = report["errors"].as_array().unwrap();
        let reason = errors[0]["reason"].as_str().unwrap();
        assert!(
            errors.len() == 1 && reason.contains("`unknown` is too large"),
            "{report}"
        );
    }
    let turns = vec![json!({"role": "user", "content": "Ships passed."}); 2_000];
    let arguments = json!({"user": {"id": "ann"}, "data": {"messages": turns}});
    let report = client.tool("migrate_user", arguments.clone()).await;
    assert_eq!(
        (&report["success"], &report["messages"]),
        (&json!(true), &json!(2_000))
    );
    let validation = client.tool("validate_migration", arguments).await;
    assert_eq!(validation["valid"], true, "{validation}");

    let peak = peak_mb(server.pid());
    assert!(peak < idle + MOST_MB, "{peak} MB, idle {idle} MB");
}

#[tokio::test]
async fn broken_json_in_a_large_export_is_no_json() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, VERSION).await;
    let broken = format!("[{}}}]", "{\"a\":1},".repeat(100_000));
    let broken = call_with(
        "migrate_user",
        json!({"user": {"id": "ann"}, "data": "HERE"}),
        &broken,
    );
    let answer = parsed(post(&client, broken).await).await;
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(null), &json!(-32700))
    );
}
