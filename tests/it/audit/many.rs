//! Many calls, by several servers at once.

use std::collections::HashMap;
use std::thread;

use serde_json::{Value, json};

use super::{audit, directory, entries, is_intact};
use crate::common::program::{Client, World};

/// How many calls each server gets; more with `AUDIT_CALLS`.
const CALLS: usize = 2_500;
const SERVERS: usize = 4;
/// How many calls are in flight.
const AT_ONCE: usize = 50;

/// A call, and the outcome that the trail must tell of it.
fn mixed(number: usize) -> (&'static str, Value, &'static str) {
    match number % 8 {
        0 => (
            "add_memory",
            json!({"user_id": "ann", "text": format!("likes crimson {number}")}),
            "ok",
        ),
        1 => (
            "search_memory",
            json!({"user_id": "ann", "query": "crimson"}),
            "ok",
        ),
        2 => (
            "get_session",
            json!({"user_id": "bob", "session_id": "nosuch"}),
            "no_such_session",
        ),
        3 => ("list_sessions", json!({"user_id": "ann"}), "ok"),
        4 => (
            "get_memory",
            json!({"user_id": "ann", "memory_id": "b5d0ed0e-0000-4000-8000-000000000000"}),
            "not_found",
        ),
        5 => (
            "search_memory",
            json!({"user_id": "ann"}),
            "invalid_argument",
        ),
        6 => (
            "delete_memory",
            json!({"user_id": "cid", "memory_id": "b5d0ed0e-0000-4000-8000-000000000001"}),
            "not_found",
        ),
        _ => ("list_events", json!({"user_id": "dan"}), "ok"),
    }
}

/// Makes the calls; gives for each the id, the tool and the outcome.
fn calls(world: &World, count: usize) -> Vec<(u64, &'static str, &'static str)> {
    let mut client: Client = world.connect();
    let mut made = Vec::new();
    let mut answered = 0;
    for number in 0..count {
        let (tool, arguments, outcome) = mixed(number);
        made.push((client.ask_tool(tool, &arguments), tool, outcome));
        if made.len() - answered >= AT_ONCE {
            client.answer_to(made[answered].0);
            answered += 1;
        }
    }
    for (id, ..) in &made[answered..] {
        client.answer_to(*id);
    }
    assert_eq!(client.close().code, Some(0));
    made
}

#[test]
fn every_one_of_ten_thousand_mixed_calls_is_in_the_trail_once() {
    let calls_of_each = std::env::var("AUDIT_CALLS").map_or(CALLS, |text| text.parse().unwrap());
    let world = World::embedded();
    let made = thread::scope(|scope| {
        let servers: Vec<_> = (0..SERVERS)
            .map(|_| scope.spawn(|| calls(&world, calls_of_each)))
            .collect();
        let made = servers.into_iter().map(|server| server.join().unwrap());
        made.collect::<Vec<_>>()
    });
    let trail = directory(&world);
    let report = is_intact(&trail);
    let logins = SERVERS;
    assert_eq!(
        report["entries"],
        SERVERS * calls_of_each + logins,
        "{report:#}"
    );
    let mut entered: HashMap<String, HashMap<u64, (String, String)>> = HashMap::new();
    for (index, entry) in entries(&trail).into_iter().enumerate() {
        assert_eq!(entry["seq"], index + 1);
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        let request = text("request");
        let (server, id) = request.split_once('/').unwrap();
        let calls = entered.entry(server.to_owned()).or_default();
        let before = calls.insert(id.parse().unwrap(), (text("call"), text("outcome")));
        assert_eq!(before, None, "{entry}");
    }
    assert_eq!(entered.len(), SERVERS);
    // Each server counts its requests from the same number on.
    for calls in entered.values() {
        for (id, tool, outcome) in &made[0] {
            let (entered_tool, entered_outcome) = &calls[id];
            assert_eq!(
                (entered_tool.as_str(), entered_outcome.as_str()),
                (*tool, *outcome)
            );
        }
    }
    // One changed byte is found.
    let file = super::files(&trail).pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let output = audit(&world, &trail, &["verify"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("audit-0000000"), "{said}");
}
