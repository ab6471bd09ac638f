//! Migrations: everything arrives once, in order, with its time and its metadata; what cannot be
//! migrated is named; and the validation relies on nothing but what is stored.

mod again;
mod answering;
mod arriving;
mod batches;
mod cancelled;
mod cli;
mod faults;
mod fields;
mod killed;
mod kills;
mod kinds;
mod named;
mod packed;
mod placing;
mod proving;
mod refusing;
mod repeating;
mod sources;
mod stored;
mod undoing;
mod verdict;

use serde_json::{Value, json};

use crate::common::program::Client;

/// The user of most tests.
fn jane() -> Value {
    json!({"id": "jane", "name": "Jane Doe", "email": "jane@example.com", "role": "user"})
}

/// Migrates data of a user. Answers the report.
fn migrate(client: &mut Client, user: &Value, data: &Value) -> Value {
    client.call("migrate_user", json!({"user": user, "data": data}))
}

/// Migrates data that can be migrated completely.
fn migrate_all(client: &mut Client, user: &Value, data: &Value) -> Value {
    let report = migrate(client, user, data);
    assert_eq!(report["success"], true, "{report:#}");
    report
}

/// Compares what is stored of a user with data.
fn validate(client: &mut Client, user: &Value, data: &Value) -> Value {
    client.call("validate_migration", json!({"user": user, "data": data}))
}

/// Checks that what is stored of a user is what the data says.
fn is_valid(client: &mut Client, user: &Value, data: &Value) {
    let verdict = validate(client, user, data);
    assert_eq!(verdict["valid"], true, "{verdict:#}");
}

/// A conversation of `count` turns, a minute apart.
fn turns(count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| {
            json!({
                "role": if n % 2 == 0 { "user" } else { "assistant" },
                // People say the same thing twice.
                "content": if n % 3 == 0 { "ok".to_owned() } else { format!("turn {n}") },
                "timestamp": format!("2024-05-{:02}T{:02}:{:02}:00Z", 1 + n / 1440, n / 60 % 24, n % 60),
            })
        })
        .collect()
}

/// The contents of messages, in order.
fn contents(messages: &[Value]) -> Vec<&str> {
    let content = |message: &'_ Value| message["content"].as_str().is_some();
    assert!(messages.iter().all(content));
    messages
        .iter()
        .filter_map(|message| message["content"].as_str())
        .collect()
}

/// The report that a command printed with `--json`.
fn cli_report(output: &std::process::Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}
