//! What mem0's library says of a memory beside its words is kept, shown, found by filters, and
//! compared. The export is a dump that the real library wrote.

use serde_json::{Value, json};

use super::cli::run;
use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    what_the_library_says_of_a_memory_is_shown_and_found,
    a_field_that_the_target_lacks_is_a_difference,
);

const EXPORT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/export/mem0-get-all.jsonl"
);

fn migrate(world: &World) {
    let arguments = ["migrate", "--file", EXPORT, "--validate", "--json"];
    let report = run(world, &arguments).report(0);
    let count = |field: &str| report[field].as_u64().unwrap();
    // The dump lists some memories twice.
    let left_out = count("expired") + count("skipped");
    assert_eq!(count("memories_migrated") + left_out, 198, "{report:#}");
    assert_eq!(report["validation"]["valid"], true);
}

fn listed(client: &mut Client, filters: Value) -> Vec<Value> {
    let page = client.call(
        "get_memories",
        json!({"filters": filters, "page_size": 200}),
    );
    page["results"].as_array().unwrap().clone()
}

fn what_the_library_says_of_a_memory_is_shown_and_found(world: &World) {
    migrate(world);
    let mut client = world.connect();

    let changed = json!({"AND": [{"user_id": "user-0"}, {"updated_at": {"gt": "2026-11-28T07:24:03.4Z", "lt": "2026-11-28T07:24:03.5Z"}}]});
    let edited = listed(&mut client, changed);
    assert_eq!(edited.len(), 1, "{edited:#?}");
    assert_eq!(edited[0]["memory"], "Updated text 0 again");
    assert_eq!(edited[0]["updated_at"], "2026-11-28T07:24:03.466821Z");
    assert_eq!(edited[0]["created_at"], "2026-11-28T07:23:56.032317Z");
    assert_eq!(edited[0]["role"], "user");
    assert!(edited[0]["metadata"].get("updated_at").is_none());
    let one = client.call("get_memory", json!({"memory_id": edited[0]["id"]}));
    assert_eq!(one["updated_at"], edited[0]["updated_at"]);

    let of_bot = |more: Value| json!({"AND": [{"agent_id": "bot"}, {"user_id": null}, more]});
    let procedures = listed(
        &mut client,
        of_bot(json!({"memory_type": "procedural_memory"})),
    );
    assert_eq!(procedures.len(), 1, "{procedures:#?}");
    assert_eq!(procedures[0]["memory_type"], "procedural_memory");
    let said = listed(&mut client, of_bot(json!({"role": "assistant"})));
    assert_eq!(said.len(), 10);
    assert!(said.iter().all(|one| one["role"] == "assistant"));
    let found = client.search(json!({"query": "Agent fact 3", "agent_id": "bot", "limit": 50}));
    let third = found
        .iter()
        .find(|one| one["memory"] == "Agent fact 3")
        .unwrap();
    assert_eq!(third["role"], "assistant", "{third:#}");

    let by_jane = json!({"AND": [{"user_id": "user-0"}, {"actor_id": "Jane"}]});
    let named = listed(&mut client, by_jane);
    assert!(!named.is_empty());
    let run_0 = client.read_session("user-0", "run-0");
    let said: Vec<_> = run_0
        .iter()
        .map(|one| (&one["role"], &one["name"]))
        .collect();
    assert!(said.contains(&(&json!("user"), &json!("Jane"))), "{said:?}");
    assert!(
        said.contains(&(&json!("assistant"), &Value::Null)),
        "{said:?}"
    );
    // What is usual in a session is not repeated in lists.
    assert!(
        named
            .iter()
            .all(|one| one.get("actor_id").is_none() && one.get("role").is_none())
    );
    let whole = client.call("get_memory", json!({"memory_id": named[0]["id"]}));
    assert_eq!(
        (&whole["actor_id"], &whole["role"]),
        (&json!("Jane"), &json!("user"))
    );
}

/// Migrates memories without these fields, and then compares them with memories that have them.
fn a_field_that_the_target_lacks_is_a_difference(world: &World) {
    let memory = json!({"id": "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001", "memory": "Likes tea",
        "user_id": "ann", "created_at": "2024-03-01T08:30:15Z"});
    let file = |name: &str, memory: &Value| {
        let file = world.directory().join(name);
        std::fs::write(&file, memory.to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let bare = file("bare.json", &memory);
    run(world, &["migrate", "--file", &bare, "--json"]).report(0);
    run(world, &["validate", "--file", &bare, "--json"]).report(0);
    for (field, value, named) in [
        ("updated_at", "2024-03-02T00:00:00Z", "updated_at"),
        ("memory_type", "procedural_memory", "memory_type"),
        ("role", "user", "role"),
        ("role", "assistant", "role"),
        ("actor_id", "Jane", "name"),
    ] {
        let mut memory = memory.clone();
        memory[field] = value.into();
        let fuller = file("fuller.json", &memory);
        let found = run(world, &["validate", "--file", &fuller, "--json"]).report(1);
        let issues = found["issues"].as_array().unwrap();
        assert!(
            issues.iter().any(|one| one["field"] == named),
            "{field}: {issues:#?}"
        );
    }
}
