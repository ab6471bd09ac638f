use serde_json::{Value, json};
use zep_mcp_server::sources::{Gone, RecordKind};

use super::{conversation, memory, read, snapshot, turn, user};

fn metadata(fields: Value) -> Value {
    Value::Object(memory(fields).unwrap().metadata)
}

fn created_at(at: Value) -> Result<Option<String>, String> {
    memory(json!({"memory": "m", "created_at": at}))
        .map(|record| record.created_at.map(|at| at.to_string()))
}

#[test]
fn times_are_read_as_they_are_written_and_kept_to_their_precision() {
    for (written, meant) in [
        (json!("2026-01-15T10:30:00Z"), "2026-01-15T10:30:00Z"),
        (
            json!("2026-01-15T10:30:00.123456-08:00"),
            "2026-01-15T18:30:00.123456Z",
        ),
        (
            json!("2026-01-15 10:30:00.123456789+05:30"),
            "2026-01-15T05:00:00.123456789Z",
        ),
        (json!("2026-01-15 10:30:00"), "2026-01-15T10:30:00Z"),
        (json!("2026-01-15T10:30:00.5"), "2026-01-15T10:30:00.5Z"),
        (json!(" 2026-01-15 "), "2026-01-15T00:00:00Z"),
        (json!(0), "1970-01-01T00:00:00Z"),
        (json!(1768473000), "2026-01-15T10:30:00Z"),
        (json!(1768473000.123456), "2026-01-15T10:30:00.123456Z"),
        (json!(1768473000.1), "2026-01-15T10:30:00.1Z"),
        (json!(1768473000123_i64), "2026-01-15T10:30:00.123Z"),
        (json!(1768473000123.25), "2026-01-15T10:30:00.12325Z"),
    ] {
        assert_eq!(created_at(written).unwrap().as_deref(), Some(meant));
    }
    assert_eq!(created_at(json!(null)).unwrap(), None);
    assert_eq!(created_at(json!("")).unwrap(), None);
}

#[test]
fn impossible_times_are_kept_as_they_are_and_named() {
    let warned = |item: Value| {
        let found = read(json!([item]).to_string());
        assert_eq!(found.records().len(), 1, "{item}");
        assert_eq!(found.records()[0].created_at, None, "{item}");
        found.reason()
    };
    for written in [
        json!("2026-02-30"),
        json!("2026-01-15T25:00:00Z"),
        json!("yesterday"),
        json!(-1),
        json!(1e300),
        json!(9_999_999_999_999_i64),
        json!(true),
        json!({"at": 1}),
    ] {
        let why = warned(json!({"memory": "m", "created_at": written}));
        assert!(why.contains("`created_at`"), "{written}: {why}");
    }
    let why = warned(json!({"role": "a", "content": "b", "sent_at": "never"}));
    assert!(why.contains("`sent_at`") && !why.contains("never"), "{why}");
}

#[test]
fn other_names_of_the_time_count_where_the_first_is_missing() {
    for name in ["timestamp", "date", "time", "createdAt", "sent_at"] {
        let turn =
            turn(json!({"role": "a", "content": "b", "created_at": null, name: 60})).unwrap();
        assert_eq!(turn.created_at.unwrap().as_second(), 60, "{name}");
        assert!(turn.metadata.is_empty());
    }
    let both = memory(json!({"memory": "m", "created_at": 60, "time": "evening"})).unwrap();
    assert_eq!(Value::Object(both.metadata), json!({"time": "evening"}));
}

#[test]
fn a_memory_keeps_all_its_fields() {
    let memory = memory(json!({
            "id": 7, "memory": "Likes tea", "user_id": " u ", "agent_id": "a", "app_id": "p", "session_id": "s",
            "metadata": {"k": [1, {"n": null}], "hash": "other", "same": 1}, "hash": "h", "same": 1, "mem0_x": 1,
            "categories": ["food"], "expiration_date": "2026-02-01", "replaced_by": "8", "created_at": 60,
            "updated_at": "2026-01-01", "actor_id": "bob", "name": "n", "empty": "", "none": null, "list": [],
        }),
    )
    .unwrap();
    assert_eq!(memory.kind, RecordKind::Memory);
    assert_eq!(memory.id.as_deref(), Some("7"));
    assert_eq!(memory.names.user.as_deref(), Some(" u "));
    assert_eq!(memory.names.agent.as_deref(), Some("a"));
    assert_eq!(memory.names.app.as_deref(), Some("p"));
    assert_eq!(memory.names.session.as_deref(), Some("s"));
    assert_eq!(memory.role, "user");
    assert_eq!(memory.name.as_deref(), Some("bob"));
    assert!(!memory.states_role);
    assert_eq!(memory.expires.unwrap().to_string(), "2026-02-01");
    assert_eq!(memory.gone, Some(Gone::Retired));
    assert_eq!(
        memory.updated_at.unwrap().to_string(),
        "2026-01-01T00:00:00Z"
    );
    assert_eq!(
        Value::Object(memory.metadata),
        json!({
            "k": [1, {"n": null}], "hash": "other", "same": 1, "mem0_hash": "h", "mem0_x": 1,
            "categories": ["food"], "expiration_date": "2026-02-01", "replaced_by": "8",
            "name": "n",
        })
    );
}

#[test]
fn metadata_need_not_be_an_object() {
    assert_eq!(
        metadata(json!({"memory": "m", "metadata": null})),
        json!({})
    );
    assert_eq!(
        metadata(json!({"memory": "m", "metadata": [1]})),
        json!({"metadata": [1]})
    );
    assert_eq!(
        metadata(json!({"memory": "m", "metadata": "x"})),
        json!({"metadata": "x"})
    );
}

#[test]
fn a_field_whose_name_is_taken_is_renamed_until_it_is_free() {
    assert_eq!(
        metadata(json!({"memory": "m", "metadata": {"a": 1, "mem0_a": 2}, "a": 3})),
        json!({"a": 1, "mem0_a": 2, "mem0_mem0_a": 3})
    );
}

#[test]
fn the_kind_of_memory_is_kept_once() {
    let of = |fields| {
        let memory = memory(fields).unwrap();
        (memory.memory_type, Value::Object(memory.metadata))
    };
    let kind = || Some("insights".to_owned());
    assert_eq!(
        of(json!({"memory": "m", "memory_type": "insights"})),
        (kind(), json!({}))
    );
    assert_eq!(
        of(json!({"memory": "m", "metadata": {"memory_type": "insights", "a": 1}})),
        (kind(), json!({"a": 1}))
    );
    assert_eq!(
        of(
            json!({"memory": "m", "memory_type": "insights", "metadata": {"memory_type": "insights"}})
        ),
        (kind(), json!({}))
    );
    assert_eq!(
        of(json!({"memory": "m", "memory_type": "insights", "metadata": {"memory_type": "other"}})),
        (kind(), json!({"memory_type": "other"}))
    );
}

#[test]
fn a_sentence_may_have_other_names_but_must_be_there() {
    for name in ["memory", "text", "data", "content"] {
        let found = memory(json!({name: " a "})).unwrap();
        assert_eq!(found.content, " a ");
        assert!(found.metadata.is_empty());
        for blank in [json!(" \n"), json!(7)] {
            let why = memory(json!({name: blank})).unwrap_err();
            assert!(why.contains(&format!("`{name}`")), "{why}");
        }
    }
    let why = memory(json!({"id": "x", "memory": null})).unwrap_err();
    assert_eq!(why, "`memory` is missing");
}

#[test]
fn two_sessions_and_unreadable_ids_are_refused() {
    let why = memory(json!({"memory": "m", "session_id": "a", "run_id": "b"})).unwrap_err();
    assert!(why.contains("`session_id` and `run_id`"), "{why}");
    assert!(memory(json!({"memory": "m", "session_id": "a", "run_id": "a"})).is_ok());
    for name in [
        "user_id",
        "agent_id",
        "app_id",
        "session_id",
        "run_id",
        "id",
    ] {
        let why = memory(json!({"memory": "m", name: ["u"]})).unwrap_err();
        assert!(why.contains(&format!("`{name}`")), "{why}");
    }
}

#[test]
fn dates_of_expiry_are_days_and_impossible_ones_are_refused() {
    let expires = |at: Value| {
        memory(json!({"memory": "m", "expiration_date": at})).map(|memory| memory.expires)
    };
    let day = |at| expires(at).unwrap().unwrap().to_string();
    assert_eq!(day(json!("2026-02-01")), "2026-02-01");
    assert_eq!(day(json!("2026-02-01T23:30:00-02:00")), "2026-02-02");
    assert_eq!(expires(json!(null)).unwrap(), None);
    assert_eq!(expires(json!("")).unwrap(), None);
    let why = expires(json!("2026-13-01")).unwrap_err();
    assert!(why.contains("`expiration_date`"), "{why}");
}

#[test]
fn a_memory_is_replaced_only_by_something() {
    for (by, replaced) in [
        (json!(null), false),
        (json!(""), false),
        (json!(false), false),
        (json!("x"), true),
        (json!(3), true),
    ] {
        let memory = memory(json!({"memory": "m", "replaced_by": by})).unwrap();
        assert_eq!(memory.gone, replaced.then_some(Gone::Retired));
    }
}

#[test]
fn every_mark_of_being_gone_counts_and_deletion_outweighs_the_rest() {
    let gone = |fields: Value| {
        let mut whole = json!({"memory": "m"});
        for (name, value) in fields.as_object().unwrap() {
            whole[name] = value.clone();
        }
        memory(whole).unwrap().gone
    };
    for deleted in [
        json!({"deleted_at": "2025-01-01"}),
        json!({"deletedAt": 1735689600}),
        json!({"is_deleted": 1}),
        json!({"is_deleted": true}),
        json!({"isDeleted": "true"}),
        json!({"deleted": true}),
        json!({"state": "deleted"}),
        json!({"state": " Deleted "}),
        json!({"status": "DELETED"}),
        json!({"event": "DELETE"}),
        json!({"state": "archived", "deleted_at": "2025-01-01"}),
        json!({"metadata": {"is_deleted": true}}),
    ] {
        assert_eq!(gone(deleted.clone()), Some(Gone::Deleted), "{deleted}");
    }
    for retired in [
        json!({"state": "archived"}),
        json!({"state": "paused"}),
        json!({"status": "superseded"}),
        json!({"is_active": false}),
        json!({"is_active": 0}),
        json!({"active": "f"}),
        json!({"archived_at": "2025-01-01T00:00:00Z"}),
        json!({"valid_until": "2025-01-01"}),
        json!({"invalid_at": 1735689600}),
        json!({"expires_at": "2025-01-01"}),
        json!({"is_latest": false}),
        json!({"superseded_by": "m-2"}),
    ] {
        assert_eq!(gone(retired.clone()), Some(Gone::Retired), "{retired}");
    }
    for there in [
        json!({"deleted_at": null, "is_deleted": false, "state": "active", "is_active": true}),
        json!({"deleted_at": "", "is_deleted": 0, "event": "ADD", "archived_at": null}),
        json!({"valid_until": "2100-01-01", "expires_at": null, "invalid_at": "never"}),
        json!({"state": "CA", "metadata": {"status": "archived", "state": "deleted nothing"}}),
    ] {
        assert_eq!(gone(there.clone()), None, "{there}");
    }
}

#[test]
fn the_time_of_the_last_change_is_kept_where_it_differs() {
    let updated = |fields: Value| {
        let memory = memory(fields).unwrap();
        (
            memory.updated_at.map(|at| at.as_second()),
            Value::Object(memory.metadata),
        )
    };
    assert_eq!(
        updated(json!({"memory": "m", "created_at": 60, "updated_at": 90})),
        (Some(90), json!({}))
    );
    assert_eq!(
        updated(json!({"memory": "m", "created_at": 60, "updated_at": "1970-01-01T00:01:00Z"})),
        (None, json!({}))
    );
    assert_eq!(
        updated(json!({"memory": "m", "updated_at": "soon"})),
        (None, json!({"updated_at": "soon"}))
    );
}

#[test]
fn a_turn_keeps_its_role_name_and_fields() {
    let turn = turn(json!({
            "id": "t", "role": "Grand Vizier", "content": "b", "name": "Bob", "thread_id": 7, "preferences": {"a": 1},
            "metadata": {"k": 1}, "timestamp": 60, "actor_id": "x",
        }),
    )
    .unwrap();
    assert_eq!(turn.kind, RecordKind::Turn);
    assert_eq!(turn.role, "Grand Vizier");
    assert_eq!(turn.name.as_deref(), Some("Bob"));
    assert_eq!(turn.names.session.as_deref(), Some("7"));
    assert_eq!(turn.memory_type.as_deref(), Some("messages"));
    assert_eq!(turn.created_at.unwrap().as_second(), 60);
    assert_eq!(
        Value::Object(turn.metadata),
        json!({"k": 1, "preferences": {"a": 1}, "actor_id": "x"})
    );
}

#[test]
fn a_turn_needs_a_role_and_content() {
    for (value, field) in [
        (json!({"role": "a"}), "`content`"),
        (json!({"role": "a", "content": null}), "`content`"),
        (json!({"role": "a", "content": " "}), "`content`"),
        (json!({"role": "a", "content": []}), "`content`"),
        (json!({"content": "b"}), "`role`"),
        (json!({"role": " ", "content": "b"}), "`role`"),
        (json!({"role": 1, "content": "b"}), "`role`"),
        (json!({"role": "r".repeat(101), "content": "b"}), "`role`"),
    ] {
        let why = turn(value.clone()).unwrap_err();
        assert!(why.contains(field), "{value}: {why}");
    }
}

#[test]
fn parts_of_text_are_joined_and_anything_else_is_kept_as_json() {
    let content = |content: Value| {
        turn(json!({"role": "a", "content": content}))
            .unwrap()
            .content
    };
    assert_eq!(
        content(json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])),
        "a\nb"
    );
    let image = json!({"type": "image_url", "image_url": {"url": "u"}});
    let parts = json!([{"type": "text", "text": "a"}, image]);
    let kept = turn(json!({"role": "a", "content": parts})).unwrap();
    assert_eq!(kept.content, "a");
    assert_eq!(kept.metadata["content_parts"], json!([image]));
    assert_eq!(content(json!([{"a": 1}])), r#"[{"a":1}]"#);
    assert_eq!(content(json!({"a": 1})), r#"{"a":1}"#);
    assert_eq!(content(json!(7)), "7");
}

#[test]
fn a_snapshot_is_its_text_or_all_of_it() {
    let of = |value: Value| snapshot("insights", value).unwrap();
    let plain = of(json!("calm"));
    assert_eq!(plain.kind, RecordKind::Snapshot);
    assert_eq!(
        (plain.role.as_str(), plain.content.as_str()),
        ("system", "calm")
    );
    assert_eq!(plain.memory_type.as_deref(), Some("insights"));

    for name in ["content", "text", "summary", "insight"] {
        let with_text = of(
            json!({"id": "i", name: "calm", "confidence": 0.5, "date": "2026-01-15", "session_id": "s"}),
        );
        assert_eq!(with_text.content, "calm");
        assert_eq!(with_text.id.as_deref(), Some("i"));
        assert_eq!(with_text.names.session.as_deref(), Some("s"));
        assert!(with_text.created_at.is_some());
        assert_eq!(
            Value::Object(with_text.metadata),
            json!({"confidence": 0.5})
        );
    }

    for whole in [
        json!({"emotions": ["calm"], "time": "evening"}),
        json!({"content": "a", "summary": "b"}),
        json!({"content": "a", "notes": "n".repeat(300)}),
        json!([1, 2]),
        json!(7),
    ] {
        let record = of(whole.clone());
        assert_eq!(record.content, whole.to_string());
        assert!(record.metadata.is_empty());
    }
    let why = snapshot("traits", json!(" ")).unwrap_err();
    assert!(why.contains("`traits`"), "{why}");
}

#[test]
fn a_history_entry_gives_its_turns_with_its_own_scope_and_time() {
    let entry = json!({
        "id": "h", "memory_id": "m", "user_id": "u", "session_id": "s", "created_at": 60, "new_memory": "n",
        "input": [
            {"role": "user", "content": "a", "id": "x"},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": "b", "created_at": 90, "user_id": "v"},
        ],
    });
    let turns = conversation(entry).unwrap().turns;
    assert_eq!(turns.len(), 2);
    assert_eq!(turns[0].id, None);
    assert_eq!(turns[0].names.user.as_deref(), Some("u"));
    assert_eq!(turns[0].names.session.as_deref(), Some("s"));
    assert_eq!(turns[0].created_at.unwrap().as_second(), 60);
    assert_eq!(turns[1].created_at.unwrap().as_second(), 90);
    assert_eq!(turns[1].names.user.as_deref(), Some("v"));

    let why = conversation(
        json!({"memory_id": "m", "input": [{"role": "a", "content": "b"}, {"content": "c"}]}),
    );
    assert_eq!(why.unwrap_err(), "`input[1].role` is missing");
}

#[test]
fn a_user_keeps_all_their_fields() {
    let jane = user(json!({
        "id": "u", "name": "Jane", "email": "j@example.com", "role": "patient", "preferences": {"a": 1},
        "metadata": {"plan": "free"}, "created_at": "2026-01-01",
    }))
    .unwrap();
    assert_eq!(jane.id, "u");
    assert_eq!(jane.name.as_deref(), Some("Jane"));
    assert_eq!(jane.email.as_deref(), Some("j@example.com"));
    assert_eq!(jane.role.as_deref(), Some("patient"));
    assert_eq!(
        Value::Object(jane.metadata),
        json!({"plan": "free", "preferences": {"a": 1}, "created_at": "2026-01-01"})
    );
    assert_eq!(
        user(json!({"name": "Jane"})).unwrap_err(),
        "`id` is missing"
    );
}

#[test]
fn the_id_of_an_entity_is_its_name() {
    let entity = user(json!({"id": "e-1", "name": "jane", "type": "user", "owner": "o"})).unwrap();
    assert_eq!((entity.id.as_str(), entity.name), ("jane", None));
    assert_eq!(
        Value::Object(entity.metadata),
        json!({"id": "e-1", "type": "user", "owner": "o"})
    );
    assert_eq!(
        user(json!({"id": "jane", "type": "user"})).unwrap().id,
        "jane"
    );
}
