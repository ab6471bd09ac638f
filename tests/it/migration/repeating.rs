//! Running a migration again adds nothing twice, and completes what is incomplete.

use serde_json::{Value, json};

use super::{contents, is_valid, jane, migrate, migrate_all, turns};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    the_same_source_twice_adds_nothing,
    a_longer_source_adds_what_is_new,
    equal_messages_are_kept_as_often_as_they_were_said,
    a_dry_run_says_what_would_be_done_and_does_nothing,
    a_user_who_exists_keeps_what_they_have,
    sessions_can_be_named,
    expired_and_replaced_memories_are_migrated_only_on_request,
    older_turns_follow_newer_ones_only_on_request,
);

fn the_same_source_twice_adds_nothing(world: &World) {
    let mut client = world.connect();
    let data = json!({
        "sessions": [{"id": "s", "messages": turns(70)}],
        "messages": [{"role": "user", "content": "x".repeat(9_000)}, {"role": "user", "content": "ok"}],
        "memories": [{"id": 1, "memory": "one"}, {"memory": "y".repeat(20_000)}],
    });
    let first = migrate_all(&mut client, &jane(), &data);
    assert_eq!(first["memories_migrated"], 74);
    for mut client in [client, world.connect()] {
        let again = migrate_all(&mut client, &jane(), &data);
        assert_eq!(again["memories_migrated"], 0, "{again:#}");
        assert_eq!(again["already_there"], 74);
        assert_eq!(
            (&again["messages"], &again["episodes"]),
            (&json!(0), &json!(0))
        );
        is_valid(&mut client, &jane(), &data);
    }
}

fn a_longer_source_adds_what_is_new(world: &World) {
    let mut client = world.connect();
    let of = |count| json!({"sessions": [{"id": "s", "messages": turns(count)}]});
    migrate_all(&mut client, &jane(), &of(40));
    let more = migrate_all(&mut client, &jane(), &of(75));
    assert_eq!(
        (&more["already_there"], &more["memories_migrated"]),
        (&json!(40), &json!(35))
    );
    is_valid(&mut client, &jane(), &of(75));
}

fn equal_messages_are_kept_as_often_as_they_were_said(world: &World) {
    let mut client = world.connect();
    let ok = json!({"role": "user", "content": "ok", "timestamp": "2024-01-01T10:00:00Z"});
    let of = |count| json!({"sessions": [{"id": "s", "messages": vec![ok.clone(); count]}]});
    migrate_all(&mut client, &jane(), &of(2));
    assert_eq!(client.read_session("jane", "s").len(), 2);
    migrate_all(&mut client, &jane(), &of(3));
    assert_eq!(client.read_session("jane", "s").len(), 3);
    is_valid(&mut client, &jane(), &of(3));
}

fn a_dry_run_says_what_would_be_done_and_does_nothing(world: &World) {
    let mut client = world.connect();
    let data =
        json!({"sessions": [{"id": "s", "messages": turns(35)}], "memories": [{"memory": "m"}]});
    let dry = |client: &mut crate::common::program::Client| {
        client.call(
            "migrate_user",
            json!({"user": jane(), "data": data, "dry_run": true}),
        )
    };
    let report = dry(&mut client);
    assert_eq!(report["dry_run"], true);
    assert_eq!(
        (&report["memories_migrated"], &report["already_there"]),
        (&json!(36), &json!(0))
    );
    let nobody = client.refused("get_session", json!({"user_id": "jane", "session_id": "s"}));
    assert_eq!(nobody["error"], "no_such_session");
    migrate_all(&mut client, &jane(), &data);
    let report = dry(&mut client);
    assert_eq!(
        (&report["memories_migrated"], &report["already_there"]),
        (&json!(0), &json!(36))
    );
}

fn a_user_who_exists_keeps_what_they_have(world: &World) {
    let mut client = world.connect();
    let first = json!({"id": "jane", "name": "Jane Doe", "metadata": {"tz": "UTC"}});
    migrate_all(
        &mut client,
        &first,
        &json!({"memories": [{"memory": "one"}]}),
    );
    let second = json!({"id": "jane", "name": "Janet Roe", "email": "j@example.com",
                        "metadata": {"tz": "CET", "plan": "b"}});
    let report = migrate_all(
        &mut client,
        &second,
        &json!({"memories": [{"memory": "two"}]}),
    );
    assert_eq!(report["users_existing"], 1);
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("first_name, last_name, metadata.tz"),
        "{notes}"
    );
    assert!(
        !notes.contains("Janet") && !notes.contains("CET"),
        "{notes}"
    );
    // Absent fields were added, existing ones kept.
    let verdict = super::validate(
        &mut client,
        &second,
        &json!({"memories": [{"memory": "two"}, {"memory": "one"}]}),
    );
    let fields: Vec<&Value> = verdict["issues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["field"])
        .collect();
    assert_eq!(fields, ["first_name", "last_name", "metadata.tz"]);
}

fn sessions_can_be_named(world: &World) {
    let mut client = world.connect();
    let data = json!({
        "sessions": [{"id": "a", "messages": turns(2)}, {"id": "b", "messages": turns(3)}],
        "memories": [{"memory": "m"}],
    });
    let report = client.call(
        "migrate_user",
        json!({"user": jane(), "data": data, "session_ids": ["b"]}),
    );
    assert_eq!(
        (&report["memories_migrated"], &report["skipped"]),
        (&json!(3), &json!(3))
    );
    let arguments = json!({"user": jane(), "data": data, "session_id": "b"});
    assert_eq!(client.call("validate_migration", arguments)["valid"], true);
    let none = client.call(
        "migrate_user",
        json!({"user": jane(), "data": data, "session_ids": ["c"]}),
    );
    assert_eq!(none["memories_migrated"], 0);
}

fn expired_and_replaced_memories_are_migrated_only_on_request(world: &World) {
    let mut client = world.connect();
    let data = json!({"results": [
        {"memory": "now", "expiration_date": "2999-01-01"},
        {"memory": "past", "expiration_date": "2020-01-01"},
        {"memory": "other", "replaced_by": "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001"},
    ]});
    let report = migrate_all(&mut client, &jane(), &data);
    assert_eq!(
        (&report["memories_migrated"], &report["expired"]),
        (&json!(1), &json!(2))
    );
    let found = client.search(json!({"query": "now", "user_id": "jane"}));
    assert_eq!(found[0]["metadata"]["expiration_date"], "2999-01-01");
    let report = client.call(
        "migrate_user",
        json!({"user": jane(), "data": data, "include_expired": true}),
    );
    assert_eq!(
        (&report["memories_migrated"], &report["expired"]),
        (&json!(2), &json!(0))
    );
}

fn older_turns_follow_newer_ones_only_on_request(world: &World) {
    let mut client = world.connect();
    client.call(
        "add_memory",
        json!({"user_id": "jane", "session_id": "s", "messages": [{"role": "user", "content": "live"}]}),
    );
    let data = json!({"sessions": [
        {"id": "s", "messages": turns(4)},
        {"id": "other", "messages": turns(2)},
    ]});
    let report = migrate(&mut client, &jane(), &data);
    assert_eq!(report["success"], false);
    assert_eq!(
        (&report["failed"], &report["memories_migrated"]),
        (&json!(4), &json!(2))
    );
    let error = &report["errors"][0];
    assert_eq!(error["session"], "s");
    assert!(
        error["reason"].as_str().unwrap().contains("append"),
        "{error}"
    );
    assert_eq!(client.read_session("jane", "s").len(), 1);
    let report = client.call(
        "migrate_user",
        json!({"user": jane(), "data": data, "append": true}),
    );
    assert_eq!(report["success"], true);
    let read = client.read_session("jane", "s");
    assert_eq!(contents(&read), ["live", "ok", "turn 1", "turn 2", "ok"]);
}
