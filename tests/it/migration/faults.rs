//! Under faults everything arrives once, in order, or the report names what did not, and another run
//! completes it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{jane, turns};
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;

/// All faults together.
fn all_of_them() -> Value {
    json!({
        "rate_limit": 300, "rate_window_secs": 1,
        "latency_ms": 3,
        "fail": [{"rate": 0.04, "status": 503}],
        "fail_after": [{"rate": 0.04, "status": 502}],
        "drop_requests": 0.04,
        "drop_answers": 0.04,
        "late_writes": {"rate": 0.04, "ms": 250},
        "half_answers": 0.04,
        "garbage_answers": 0.04,
        "restarts": {"every_ms": 1200, "down_ms": 100},
    })
}

/// How long a run under all faults may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Migrates Jane's data, however long that takes.
fn migrate(client: &mut Client, data: &Value) -> Value {
    let id = client.ask_tool("migrate_user", &json!({"user": jane(), "data": data}));
    loop {
        let message = client.receive_within(PATIENCE).expect("it hangs");
        if message["id"] == id {
            return outcome(&message).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}

#[test]
fn everything_arrives_once_and_in_order_whatever_goes_wrong() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut data_turns = turns(400);
    for turn in data_turns.iter_mut().step_by(37) {
        turn["content"] = json!("long ".repeat(2_000));
    }
    let sessions: Vec<Value> = (0..4)
        .map(|n| json!({"id": format!("s{n}"), "messages": data_turns[n * 100..][..100]}))
        .collect();
    let memories: Vec<Value> = (0..20)
        .map(|n| json!({"memory": format!("m{}", n / 2)}))
        .collect();
    let data = json!({"sessions": sessions, "memories": memories});
    let mut client = Client::connect(world.command().env("ZEP_TIMEOUT_SECS", "5"));
    service.plan(&all_of_them());
    let mut runs = 0;
    loop {
        runs += 1;
        let report = migrate(&mut client, &data);
        if report["success"] == true {
            break;
        }
        assert!(runs < 5, "{report:#}");
    }
    service.calm();
    let mut client = world.connect();
    super::is_valid(&mut client, &jane(), &data);
    for (n, session) in sessions.iter().enumerate() {
        // Zep stores each part once.
        let stored = service.messages(&format!("s{n}"));
        let mut seen = std::collections::HashSet::new();
        for message in &stored {
            let metadata = &message["metadata"];
            let part = (
                metadata["zm_id"].to_string(),
                metadata["zm_part"].to_string(),
            );
            assert!(seen.insert(part), "stored twice: {metadata}");
        }
        let read = client.read_session("jane", &format!("s{n}"));
        let said = session["messages"].as_array().unwrap();
        assert_eq!(super::contents(&read), super::contents(said));
    }
    assert_eq!(service.texts("jane").len(), 20);
}

#[test]
fn doubles_of_late_writes_are_deleted_at_the_end_of_a_run() {
    let world = World::emulated();
    let service = Service::of(&world);
    // After the time-out, and before the run ends.
    service.plan(&json!({"latency_ms": 480}));
    service.next(&json!({
        "method": "POST",
        "route": "/api/v2/threads/{thread_id}/messages",
        "after": 1,
        "fault": {"kind": "late_write", "ms": 14_000},
    }));
    let data = json!({"sessions": [{"id": "s", "messages": turns(1_200)}]});
    let file = super::cli::file_of(&world, &data);
    let mut command = world.command();
    command.args(["migrate", "--method", "direct", "--validate", "--json"]);
    command.args(["--user", "jane", "--file", &file]);
    let output = command.env("ZEP_TIMEOUT_SECS", "4").output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["success"], true, "{report:#}");
    service.calm();
    assert_eq!(service.counted()["late_write"], 1);
    assert_eq!(report["doubles_removed"], 30, "{report:#}");
    assert_eq!(service.messages("s").len(), 1_200);
    assert_eq!(report["validation"]["valid"], true, "{report:#}");
}

#[test]
fn what_could_not_be_written_is_counted_and_told_in_words_for_an_operator() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = Client::connect(world.command().env("ZEP_TIMEOUT_SECS", "10"));
    // Everything is refused from the second session on. Batches are taken for more messages.
    service.next(&json!({
        "method": "POST",
        "route": "/api/v2/threads/{thread_id}/messages",
        "after": 1,
        "times": 1_000,
        "fault": {"kind": "fail", "status": 401},
    }));
    let sessions: Vec<Value> = (0..20)
        .map(|n| json!({"id": format!("s{n}"), "messages": turns(15)}))
        .collect();
    let report = migrate(&mut client, &json!({ "sessions": sessions }));
    assert_eq!(report["success"], false);
    let count = |field: &str| report[field].as_u64().unwrap();
    assert_eq!(
        count("memories_migrated") + count("failed") + count("not_reached"),
        20 * 15,
        "{report:#}"
    );
    assert!(count("not_reached") > 0, "{report:#}");
    assert!(
        !report.to_string().contains("idempotency_key"),
        "{report:#}"
    );
}

#[test]
fn a_key_that_is_refused_ends_the_run_with_one_line() {
    let world = World::emulated_with(&["--api-key", "another-key"]);
    let mut client = world.connect();
    let data =
        json!({"sessions": [{"id": "a", "messages": turns(2)}, {"id": "b", "messages": turns(2)}]});
    let report = super::migrate(&mut client, &jane(), &data);
    assert_eq!(
        (&report["success"], &report["memories_migrated"]),
        (&json!(false), &json!(0))
    );
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{report:#}");
    assert!(
        errors[0]["reason"]
            .as_str()
            .unwrap()
            .contains("ZEP_API_KEY"),
        "{report:#}"
    );
}

#[test]
fn a_validation_goes_on_where_a_page_fails_longer_than_one_call_tries() {
    let world = World::emulated();
    let service = Service::of(&world);
    let memories: Vec<Value> = (0..120)
        .map(|n| json!({"memory": format!("m{n}")}))
        .collect();
    let data = json!({
        "sessions": [{"id": "s", "messages": turns(2_500)}],
        "memories": memories,
    });
    let file = super::cli::file_of(&world, &data);
    let command = |name: &str| {
        let mut command = world.command();
        command.args([name, "--json", "--user", "jane", "--file", &file]);
        super::cli_report(&command.env("ZEP_TIMEOUT_SECS", "1").output().unwrap())
    };
    assert_eq!(command("migrate")["success"], true);
    // The second page of each, more often than one call asks for it.
    for (method, route) in [
        ("GET", "/api/v2/threads/{thread_id}/messages"),
        ("POST", "/api/v2/graph/episodes/user/{user_id}"),
    ] {
        service.next(&json!({
            "method": method,
            "route": route,
            "after": 1,
            "times": 7,
            "fault": {"kind": "fail", "status": 503},
        }));
    }
    let report = command("validate");
    assert_eq!(report["valid"], true, "{report:#}");
    assert_eq!(service.counted()["fail"], 14);
}
