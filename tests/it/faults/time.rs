//! A Zep that never answers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;

/// `ZEP_TIMEOUT_SECS` of these servers.
const LIMIT: Duration = Duration::from_secs(4);
/// What a busy machine may add: less than the default time-out of 30 s, which must not count here.
const SLACK: Duration = Duration::from_secs(17);

#[test]
fn every_call_ends_in_its_time_and_the_server_recovers() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = Client::connect(world.unqueued().env("ZEP_TIMEOUT_SECS", "4"));
    let add = |n: usize| {
        json!({
            "user_id": "ann", "session_id": "monday", "idempotency_key": format!("key-{n}"),
            "messages": [{"role": "user", "content": format!("message {n}")}],
        })
    };
    client.call("add_memory", add(0));
    // No answer comes while the test lasts.
    service.plan(&json!({"latency_ms": 600_000}));

    let calls = [
        (
            "add_memory",
            json!({"user_id": "ann", "session_id": "new", "text": "x"}),
        ),
        ("add_memory", json!({"user_id": "ann", "text": "x"})),
        (
            "get_session",
            json!({"user_id": "ann", "session_id": "monday"}),
        ),
        ("list_sessions", json!({"user_id": "ann"})),
        ("search_memory", json!({"user_id": "ann", "query": "x"})),
    ];
    // Settling a write may take the time-out once more.
    for (tool, arguments) in &calls {
        let begun = Instant::now();
        client.refused(tool, arguments.clone());
        let most = 2 * LIMIT + SLACK;
        assert!(begun.elapsed() < most, "{tool}: {:?}", begun.elapsed());
    }
    // Writes to one session wait for each other, but no longer than that. The server knows the session
    // for some seconds after a call, so that each of them begins to write.
    service.plan(&json!({}));
    client.call("add_memory", add(5));
    service.plan(&json!({"latency_ms": 600_000}));
    let without_key = |n: usize| {
        let mut arguments = add(n);
        arguments.as_object_mut().unwrap().remove("idempotency_key");
        arguments
    };
    let begun = Instant::now();
    let asked: Vec<u64> = (1..=4)
        .map(|n| client.ask_tool("add_memory", &without_key(n)))
        .collect();
    let outcomes: Vec<Result<Value, Value>> = asked
        .into_iter()
        .map(|id| outcome(&client.answer_to(id)))
        .collect();
    assert!(begun.elapsed() < 3 * LIMIT + SLACK, "{:?}", begun.elapsed());
    let codes: Vec<&str> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().unwrap_err()["error"].as_str().unwrap())
        .collect();
    // Only the one that had the session's lock may have been carried out.
    assert_eq!(
        codes
            .iter()
            .filter(|code| **code == "partly_stored")
            .count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|code| **code == "busy").count(),
        3,
        "{codes:?}"
    );

    service.plan(&json!({}));
    let begun = Instant::now();
    client.call("add_memory", add(9));
    assert!(begun.elapsed() < LIMIT + SLACK, "{:?}", begun.elapsed());
}
