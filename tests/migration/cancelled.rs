//! A run that is stopped leaves whole records behind, and is completed by running it again.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::World;
use crate::{contents, is_valid, jane, migrate_all, turns};

#[test]
fn a_cancelled_call_leaves_a_beginning_and_another_one_completes_it() {
    let world = World::emulated_with(&["--latency", "60"]);
    let mut client = world.connect();
    let data = json!({"sessions": [{"id": "s", "messages": turns(300)}]});
    let id = client.ask_tool("migrate_user", &json!({"user": jane(), "data": data}));
    std::thread::sleep(Duration::from_millis(500));
    client.send(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                        "params": {"requestId": id}}),
    );
    // What was in flight is finished.
    std::thread::sleep(Duration::from_millis(300));
    let there = client.read_session("jane", "s");
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
fn progress_is_told_and_grows() {
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
    let mut told = Vec::new();
    loop {
        let message = client.receive();
        if message["id"] == id {
            break;
        }
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(message["params"]["progressToken"], "how-far");
        assert_eq!(message["params"]["total"].as_f64(), Some(100.0));
        told.push(message["params"]["progress"].as_f64().unwrap());
    }
    assert!(told.len() >= 2, "{told:?} in {:?}", begun.elapsed());
    assert!(told.windows(2).all(|two| two[0] < two[1]), "{told:?}");
    assert_eq!(told.last(), Some(&100.0));
}
