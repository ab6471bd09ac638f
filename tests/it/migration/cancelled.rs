//! A cancelled run leaves only complete records, and another run completes it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{contents, is_valid, jane, migrate_all, turns};
use crate::common::program::{World, outcome};
use crate::common::service::Service;
use crate::common::wait_until;

/// Waits until some of Jane's messages are stored.
fn has_begun(client: &mut crate::common::program::Client) {
    wait_until("something is stored", || {
        let sessions = client.call("list_sessions", json!({"user_id": "jane"}));
        sessions["sessions"][0]["message_count"].as_u64() > Some(0)
    });
}

#[test]
fn a_cancelled_call_leaves_a_beginning_and_another_one_completes_it() {
    let world = World::emulated_with(&["--latency", "60"]);
    let mut client = world.connect();
    let data = json!({"sessions": [{"id": "s", "messages": turns(300)}]});
    let mut watching = world.connect();
    let id = client.ask_tool("migrate_user", &json!({"user": jane(), "data": data}));
    has_begun(&mut watching);
    client.send(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                        "params": {"requestId": id}}),
    );
    // The request in flight is finished.
    let mut there = Vec::new();
    wait_until("it stops writing", || {
        let before = there.len();
        std::thread::sleep(Duration::from_millis(1_000));
        there = client.read_session("jane", "s");
        there.len() == before
    });
    assert!(there.len() < 300, "it was not stopped");
    assert_eq!(contents(&there), contents(&turns(there.len())));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(client.read_session("jane", "s").len(), there.len());
    let report = migrate_all(&mut client, &jane(), &data);
    assert_eq!(report["already_there"], there.len());
    assert_eq!(
        contents(&client.read_session("jane", "s")),
        contents(&turns(300))
    );
    is_valid(&mut client, &jane(), &data);
}

#[test]
fn a_call_that_follows_a_cancelled_one_at_once_doubles_nothing() {
    let world = World::emulated_with(&["--latency", "100"]);
    let mut client = world.connect();
    let data = json!({"sessions": [{"id": "s", "messages": turns(200)}],
                      "memories": [{"memory": "one"}, {"memory": "two"}]});
    for _ in 0..3 {
        let id = client.ask_tool("migrate_user", &json!({"user": jane(), "data": data}));
        std::thread::sleep(Duration::from_millis(350));
        client.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                            "params": {"requestId": id}}),
        );
    }
    migrate_all(&mut client, &jane(), &data);
    is_valid(&mut client, &jane(), &data);
    let service = Service::of(&world);
    assert_eq!(service.messages("s").len(), 200);
    assert_eq!(service.texts("jane").len(), 2);
}

#[test]
fn two_calls_at_once_wait_for_each_other() {
    let world = World::emulated_with(&["--latency", "40"]);
    let mut client = world.connect();
    let data = json!({"sessions": [{"id": "s", "messages": turns(100)}],
                      "memories": [{"memory": "one"}, {"memory": "two"}]});
    let call = json!({"user": jane(), "data": data});
    let ids: Vec<u64> = (0..3)
        .map(|_| client.ask_tool("migrate_user", &call))
        .collect();
    let mut written = 0;
    for id in ids {
        let report = outcome(&client.answer_to(id)).unwrap();
        assert_eq!(report["success"], true, "{report:#}");
        written += report["memories_migrated"].as_u64().unwrap();
    }
    assert_eq!(written, 102);
    assert_eq!(Service::of(&world).messages("s").len(), 100);
    is_valid(&mut client, &jane(), &data);
}

#[test]
fn what_two_servers_wrote_at_once_is_single_after_another_run() {
    for world in [
        World::emulated_with(&["--latency", "20"]),
        World::embedded(),
    ] {
        let data = json!({"sessions": [{"id": "s", "messages": turns(100)}],
                          "memories": [{"memory": "one"}, {"memory": "x".repeat(20_000)}]});
        let call = json!({"user": jane(), "data": data});
        let mut servers = [world.connect(), world.connect()];
        let ids = servers
            .each_mut()
            .map(|server| server.ask_tool("migrate_user", &call));
        for (server, id) in servers.iter_mut().zip(ids) {
            outcome(&server.answer_to(id)).unwrap();
        }
        let mut client = world.connect();
        migrate_all(&mut client, &jane(), &data);
        is_valid(&mut client, &jane(), &data);
        assert_eq!(
            contents(&client.read_session("jane", "s")),
            contents(&turns(100))
        );
    }
}

#[test]
fn progress_is_reported_and_grows() {
    let world = World::emulated_with(&["--latency", "80"]);
    let mut client = world.connect();
    let data = json!({"sessions": [{"id": "s", "messages": turns(300)}]});
    let params = json!({
        "name": "migrate_user",
        "arguments": {"user": jane(), "data": data},
        "_meta": {"progressToken": "how-far"},
    });
    let id = client.ask("tools/call", params);
    let begun = Instant::now();
    let mut reported = Vec::new();
    loop {
        let message = client.receive();
        if message["id"] == id {
            break;
        }
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(message["params"]["progressToken"], "how-far");
        assert_eq!(message["params"]["total"].as_f64(), Some(100.0));
        reported.push(message["params"]["progress"].as_f64().unwrap());
    }
    assert!(reported.len() >= 2, "{reported:?} in {:?}", begun.elapsed());
    assert!(
        reported.windows(2).all(|two| two[0] < two[1]),
        "{reported:?}"
    );
    assert_eq!(reported.last(), Some(&100.0));
}
