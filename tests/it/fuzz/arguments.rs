//! Arguments of tools: each call is answered, by an error that names what is wrong or by a result.

use std::cell::RefCell;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{corpus, faulty_json, fixtures, fuzz};
use crate::common::program::{Client, World};

/// Calls that mem0's recorded ones have no counterpart of.
fn own_calls() -> Vec<Value> {
    let id = "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001";
    let turns = json!([{"role": "user", "content": "Marker", "created_at": "2024-05-01"}]);
    [
        (
            "add_memory",
            json!({"messages": turns, "session_id": "s", "idempotency_key": "k",
                              "memory_type": "insights", "metadata": {"a": {"b": [1]}}}),
        ),
        (
            "get_session",
            json!({"session_id": "s", "limit": 3, "cursor": "x"}),
        ),
        ("list_sessions", json!({"user_id": "ada", "limit": 3})),
        (
            "search_memory",
            json!({"query": "marker", "scope": "facts", "min_score": 0.5}),
        ),
        (
            "update_memory",
            json!({"memory_id": id, "text": "x", "metadata": {}}),
        ),
        ("delete_memory", json!({"memory_id": id})),
        (
            "delete_all_memories",
            json!({"user_id": "ada", "run_id": "s"}),
        ),
        (
            "migrate_user",
            json!({"user": {"id": "ada", "name": "A"}, "dry_run": true,
                                "data": {"sessions": [{"id": "s", "messages": turns}]}}),
        ),
        (
            "validate_migration",
            json!({"user": {"id": "ada"}, "data": {"memories": ["m"]}}),
        ),
    ]
    .map(|(name, arguments)| json!({"name": name, "arguments": arguments}))
    .to_vec()
}

fn recorded() -> Vec<Value> {
    let calls = fixtures("mem0-mcp-server").into_iter();
    let calls = calls.filter_map(|file| serde_json::from_slice::<Value>(&file).ok());
    calls
        .filter_map(|file| file["calls"].as_array().cloned())
        .flatten()
        .map(|call| json!({"name": call["tool"], "arguments": call["arguments"]}))
        .collect()
}

#[test]
fn every_call_is_answered() {
    let world = World::embedded();
    let mut seeds = recorded();
    assert!(!seeds.is_empty());
    seeds.extend(own_calls());
    let kept = corpus("arguments");
    seeds.extend(
        kept.iter()
            .map(|call| serde_json::from_slice::<Value>(call).unwrap()),
    );
    // A call that ends the server leaves none.
    let server: RefCell<Option<Client>> = RefCell::default();
    let written = |input: &Value| input.to_string().into_bytes();
    fuzz("arguments", 200, &faulty_json(seeds), written, |call| {
        let mut client = server
            .borrow_mut()
            .take()
            .unwrap_or_else(|| world.connect());
        let asked = client.ask("tools/call", call.clone());
        let answer = client.answer_to(asked);
        let code = &answer["error"]["code"];
        prop_assert!(
            answer["result"].is_object()
                || [json!(-32600), json!(-32601), json!(-32602)].contains(code),
            "{answer}"
        );
        prop_assert!(!answer.to_string().contains("internal"), "{answer}");
        *server.borrow_mut() = Some(client);
        Ok(())
    });
}
