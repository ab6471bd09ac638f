//! What cannot be migrated is named, and the rest is migrated.

use serde_json::{Value, json};

use super::{jane, migrate, turns};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    each_bad_record_is_named_and_the_others_are_migrated,
    records_with_one_id_and_different_content_are_not_migrated,
    the_same_record_twice_is_one,
    a_list_with_more_pages_is_named,
    a_role_that_is_not_a_word_is_not_repeated,
    a_source_without_records_is_an_error,
    files_are_read_only_from_the_import_directory,
    arguments_that_cannot_be_used_are_named,
);

fn each_bad_record_is_named_and_the_others_are_migrated(world: &World) {
    let mut client = world.connect();
    let secret = "the-secret-words";
    let data = json!({
        "messages": [
            {"role": "user", "content": "good"},
            {"role": "user", "content": "  "},
            {"role": "user"},
            {"content": secret},
            {"role": "user", "content": secret, "timestamp": "2024-02-30T10:00:00Z"},
            {"role": ["user"], "content": secret},
            {"role": "stranger", "content": "good as well"},
        ],
        "memories": [
            {"id": "m1", "memory": ""},
            {"id": "m2", "memory": "x".repeat(1_000_001)},
            {"id": "m3", "memory": secret, "session_id": " blank "},
            {"id": "m4", "memory": secret, "session_id": "a::zm::b"},
            {"id": "m5", "memory": "good, too"},
        ],
    });
    let report = migrate(&mut client, &jane(), &data);
    assert_eq!(report["success"], false);
    assert_eq!(
        (&report["memories_migrated"], &report["failed"]),
        (&json!(4), &json!(8)),
        "{report:#}"
    );
    let named: Vec<&str> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["position"].as_str().unwrap())
        .collect();
    assert_eq!(named.len(), 8);
    for (position, place) in [
        ("messages[1]", 0),
        ("messages[2]", 1),
        ("messages[3]", 2),
        ("messages[5]", 3),
        ("memories[0]", 4),
        ("memories[1]", 5),
        ("memories[2]", 6),
        ("memories[3]", 7),
    ] {
        assert!(named[place].contains(position), "{named:?}");
    }
    let warnings = report["warnings"].as_array().unwrap();
    let undated = |warning: &&serde_json::Value| warning["position"] == "messages[4]";
    let undated = warnings
        .iter()
        .find(undated)
        .unwrap_or_else(|| panic!("{report:#}"));
    let reason = undated["reason"].as_str().unwrap();
    assert!(
        reason.contains("`timestamp`") && reason.contains("kept undated"),
        "{reason}"
    );
    assert!(!report.to_string().contains(secret), "{report}");
    let verdict = super::validate(&mut client, &jane(), &data);
    let check = &verdict["checks"][0];
    assert_eq!(check["name"], "source_readable");
    assert_eq!(
        (&verdict["valid"], &check["passed"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(verdict["issues"], json!([]));
}

fn records_with_one_id_and_different_content_are_not_migrated(world: &World) {
    let mut client = world.connect();
    let id = "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001";
    let data = json!({"results": [
        {"id": id, "memory": "one"},
        {"id": id, "memory": "another"},
        {"id": "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0002", "memory": "good"},
    ]});
    let report = migrate(&mut client, &jane(), &data);
    assert_eq!(
        (&report["memories_migrated"], &report["failed"]),
        (&json!(1), &json!(2))
    );
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2);
    for error in errors {
        assert_eq!(error["record"], id);
    }
    // Ids that count from 1 in each session do not conflict.
    let counted = |session: &str, content: &str| json!({"id": session, "messages": [{"id": 1, "role": "user", "content": content}]});
    let data = json!({"sessions": [counted("a", "one"), counted("b", "another")]});
    let report = migrate(&mut client, &jane(), &data);
    assert_eq!(
        (&report["success"], &report["memories_migrated"]),
        (&json!(true), &json!(2))
    );
}

fn the_same_record_twice_is_one(world: &World) {
    let mut client = world.connect();
    let record = json!({"id": "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001", "memory": "one",
                        "metadata": {"a": 1, "b": {"c": 2, "d": 3}}});
    let same = json!({"metadata": {"b": {"d": 3, "c": 2}, "a": 1}, "memory": "one",
                      "id": "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001"});
    let report = migrate(
        &mut client,
        &jane(),
        &json!([{"results": [record]}, {"results": [same]}]),
    );
    assert_eq!(report["success"], true, "{report:#}");
    assert_eq!(
        (&report["memories_migrated"], &report["skipped"]),
        (&json!(1), &json!(1))
    );
}

fn a_list_with_more_pages_is_named(world: &World) {
    let mut client = world.connect();
    let page = |next: Value, memory: &str| json!({"count": 2, "next": next, "previous": null, "results": [{"memory": memory}]});
    let first = page(json!("https://api.mem0.ai/v3/memories/?page=2"), "one");
    let report = super::migrate_all(&mut client, &jane(), &json!([first]));
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
    assert_eq!(report["warnings"][0]["position"], "next");
    let whole = json!([first, page(Value::Null, "two")]);
    let report = super::migrate_all(&mut client, &jane(), &whole);
    assert_eq!(report["warnings"], json!([]));
}

fn a_role_that_is_not_a_word_is_not_repeated(world: &World) {
    let mut client = world.connect();
    let data = json!({"messages": [
        {"role": "narrator", "content": "one"},
        {"role": "I said this", "content": "two"},
    ]});
    let report = super::migrate_all(&mut client, &jane(), &data);
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("`narrator`") && !warnings.contains("I said"),
        "{warnings}"
    );
    super::is_valid(&mut client, &jane(), &data);
}

fn a_source_without_records_is_an_error(world: &World) {
    let mut client = world.connect();
    let report = migrate(&mut client, &jane(), &json!({"foo": 1}));
    assert_eq!(
        (&report["success"], &report["memories_migrated"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(report["errors"].as_array().unwrap().len(), 1);
}

fn files_are_read_only_from_the_import_directory(world: &World) {
    let exports = world.directory().join("exports");
    std::fs::create_dir_all(&exports).unwrap();
    let export = json!({"users": [
        {"id": "jane", "messages": turns(3)},
        {"id": "joe", "messages": turns(4)},
    ]});
    std::fs::write(exports.join("all.json"), export.to_string()).unwrap();
    std::fs::write(world.directory().join("secret.json"), export.to_string()).unwrap();
    let arguments = |file: &str| json!({"user": jane(), "file": file});
    let mut client = world.connect();
    let refused = client.refused("migrate_user", arguments("all.json"));
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("ZEP_MCP_IMPORT_DIR"),
        "{refused}"
    );
    let mut client = crate::common::program::Client::connect(
        world.command().env("ZEP_MCP_IMPORT_DIR", &exports),
    );
    let outside = world.directory().join("secret.json");
    for file in [
        "../secret.json",
        outside.to_str().unwrap(),
        "none.json",
        "",
        ".",
    ] {
        let refused = client.refused("migrate_user", arguments(file));
        assert_eq!(refused["error"], "invalid_argument");
        assert!(
            refused["detail"].as_str().unwrap().contains("`file`"),
            "{refused}"
        );
    }
    let report = client.call("migrate_user", arguments("all.json"));
    assert_eq!(
        (
            &report["success"],
            &report["memories_migrated"],
            &report["skipped"]
        ),
        (&json!(true), &json!(3), &json!(4))
    );
    assert_eq!(
        client.call("validate_migration", arguments("all.json"))["valid"],
        true
    );
    let joe = client.refused(
        "get_session",
        json!({"user_id": "joe", "session_id": "default"}),
    );
    assert_eq!(joe["error"], "no_such_session");
}

fn arguments_that_cannot_be_used_are_named(world: &World) {
    let mut client = world.connect();
    let data = json!({"memories": [{"memory": "m"}]});
    for (arguments, named) in [
        (json!({"data": data}), "user"),
        (json!({"user": {"id": " "}, "data": data}), "user.id"),
        (json!({"user": {"id": "a", "age": 7}, "data": data}), "age"),
        (json!({"user": jane(), "data": "text"}), "data"),
        (json!({"user": jane(), "data": data, "file": "x"}), "file"),
        (
            json!({"user": jane(), "data": data, "session_ids": [""]}),
            "session_id",
        ),
        (
            json!({"user": jane(), "data": data, "dryrun": true}),
            "dryrun",
        ),
    ] {
        client.refuses_argument("migrate_user", arguments, named);
    }
    client.refuses_argument("validate_migration", json!({"user": jane()}), "file");
    let nobody: Value = client.refused(
        "get_session",
        json!({"user_id": "jane", "session_id": "default"}),
    );
    assert_eq!(nobody["error"], "no_such_session");
}
