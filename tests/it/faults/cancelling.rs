//! Cancelled calls.

use serde_json::{Value, json};

use crate::common::program::{ADD_MESSAGES, Client, World};
use crate::common::service::Service;
use crate::common::wait_until;

/// Each of these messages takes this many requests of its own: 31 parts of 4,000 characters.
const LONG: usize = 31 * 4_000 - 2_000;

fn said_by_record(service: &Service, thread: &str) -> Vec<(String, usize, usize)> {
    let mut records: Vec<(String, usize, usize)> = Vec::new();
    for message in service.messages(thread) {
        let metadata = &message["metadata"];
        let record = metadata["zm_id"].as_str().unwrap().to_owned();
        let total = metadata["zm_part"]
            .as_str()
            .map_or(1, |part| part.split_once('/').unwrap().1.parse().unwrap());
        match records.iter_mut().find(|known| known.0 == record) {
            Some(known) => known.1 += 1,
            None => records.push((record, 1, total)),
        }
    }
    records
}

#[test]
fn a_cancelled_call_finishes_the_record_it_is_at_and_begins_no_other() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = Client::connect(&mut world.unqueued());
    client.call(
        "add_memory",
        json!({"text": "before", "user_id": "ann", "session_id": "monday"}),
    );
    let before = world.requests_to(ADD_MESSAGES);
    service.plan(&json!({"latency_ms": 300}));
    let word = "word ".repeat(LONG / 5);
    let messages: Vec<Value> = (0..4)
        .map(|_| json!({"role": "user", "content": word}))
        .collect();
    let arguments = json!({
        "user_id": "ann", "session_id": "monday", "messages": messages, "idempotency_key": "key",
    });
    let id = client.ask_tool("add_memory", &arguments);
    wait_until("the first record is being written", || {
        world.requests_to(ADD_MESSAGES) > before
    });
    client.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id},
    }));
    // The session is free again as soon as the record is whole.
    client.call(
        "add_memory",
        json!({"text": "after", "user_id": "ann", "session_id": "monday"}),
    );

    service.calm();
    let records = said_by_record(&service, "monday");
    let (first, last) = (records.first().unwrap(), records.last().unwrap());
    assert_eq!((first.1, last.1), (1, 1), "{records:?}");
    let of_call = &records[1..records.len() - 1];
    assert!(of_call.len() < 4, "it was carried on: {records:?}");
    for (record, parts, total) in of_call {
        assert_eq!(parts, total, "half a record: {record}");
    }

    // The same key continues from there.
    client.call("add_memory", arguments);
    let records = said_by_record(&service, "monday");
    assert_eq!(records.len(), 6, "{records:?}");
    assert!(records.iter().all(|(_, parts, total)| parts == total));
}

#[test]
fn a_call_that_is_cancelled_while_it_waits_for_its_turn_writes_nothing() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = Client::connect(&mut world.unqueued());
    let add = |text: &str| json!({"text": text, "user_id": "ann", "session_id": "monday"});
    client.call("add_memory", add("before"));
    let before = world.requests_to(ADD_MESSAGES);
    service.plan(&json!({"latency_ms": 5_000}));
    let first = client.ask_tool("add_memory", &add("first"));
    wait_until("the first is being written", || {
        world.requests_to(ADD_MESSAGES) > before
    });
    let second = client.ask_tool("add_memory", &add("second"));
    client.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": second},
    }));
    client.answer_to(first);
    service.plan(&json!({}));
    client.call("add_memory", add("after"));
    let said: Vec<Value> = service
        .messages("monday")
        .into_iter()
        .map(|message| message["content"].clone())
        .collect();
    assert_eq!(said, ["before", "first", "after"]);
}
