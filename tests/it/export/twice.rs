//! A key that is in an object twice: one line says so, no value is taken for the other, and the rest
//! goes on.

use zep_mcp_server::sources::{Problem, Severity};

use super::{Read, read};

fn of_field<'a>(found: &'a Read, field: &str) -> &'a Problem {
    let problem = found.problem();
    assert_eq!(problem.defect.field.as_deref(), Some(field), "{problem:?}");
    problem
}

#[test]
fn an_item_with_two_values_of_a_key_is_one_line_and_the_rest_is_read() {
    for (item, field) in [
        (r#"{"id":"m","memory":"a","memory":"b"}"#, "memory"),
        (
            r#"{"id":"m","memory":"a","user_id":"u","user_id":"v"}"#,
            "user_id",
        ),
        (
            r#"{"id":"m","user_id":"u","user_id":"v","user_id":"u","memory":"a"}"#,
            "user_id",
        ),
        (
            r#"{"id":"m","memory":"a","metadata":{"x":{"y":1,"y":2}}}"#,
            "metadata.x.y",
        ),
        (
            r#"{"id":"m","memory":"a","metadata":{"x":[{},{"y":1,"z":3,"y":1.5}]}}"#,
            "metadata.x.y",
        ),
        (
            r#"{"id":"m","memory":"a","metadata":{"x":1},"metadata":{"x":1,"y":2}}"#,
            "metadata",
        ),
        (
            r#"{"id":"m","role":"user","content":"a","content":"b"}"#,
            "content",
        ),
        (
            r#"{"id":"m","memory_id":"n","input":[{"role":"user","content":"a","content":"b"}]}"#,
            "input.content",
        ),
        // It holds items in other objects.
        (
            r#"{"id":"m","summary":"s","summary":"t","memory":"a"}"#,
            "summary",
        ),
        (
            r#"{"id":"m","name":"A","name":"B","email":"a@b.c"}"#,
            "name",
        ),
    ] {
        for list in [
            format!(r#"[{{"memory":"before"}},{item},{{"memory":"after"}}]"#),
            format!("{{\"memory\":\"before\"}}\n{item}\n{{\"memory\":\"after\"}}\n"),
        ] {
            let found = read(&list);
            let problem = of_field(&found, field);
            assert_eq!(problem.severity, Severity::Record, "{list}");
            assert_eq!(problem.record.as_deref(), Some("m"), "{list}");
            assert!(found.reason().contains("twice"), "{}", found.reason());
            let said: Vec<_> = found.records().iter().map(|one| &one.content).collect();
            assert_eq!(said, ["before", "after"], "{list}");
            assert_eq!(found.entries().len(), 2, "{list}");
        }
    }
}

#[test]
fn the_same_value_twice_is_a_warning() {
    for (item, field) in [
        (r#"{"memory":"a","memory":"a"}"#, "memory"),
        (
            r#"{"memory":"a","metadata":{"x":[1],"x":[1]}}"#,
            "metadata.x",
        ),
        (
            r#"{"user_id":"u","user_id":"u","messages":[{"role":"user","content":"a"}]}"#,
            "user_id",
        ),
    ] {
        let found = read(item);
        assert_eq!(of_field(&found, field).severity, Severity::Warning);
        assert_eq!(found.records().len(), 1, "{item}");
    }
}

#[test]
fn what_is_in_an_object_of_two_names_belongs_to_nobody() {
    let item = r#"{"role":"user","content":"a"}"#;
    for (holder, field) in [
        (
            format!(r#"{{"user_id":"u","messages":[{item}],"user_id":"v"}}"#),
            "user_id",
        ),
        (
            format!(r#"{{"id":"u","id":"v","name":"A","messages":[{item}]}}"#),
            "id",
        ),
        (
            format!(r#"{{"user_id":"u","session_id":"s","session_id":"t","messages":[{item}]}}"#),
            "session_id",
        ),
        (
            format!(r#"{{"user":{{"id":"u","id":"v"}},"messages":[{item}]}}"#),
            "user.id",
        ),
    ] {
        let found = read(&holder);
        of_field(&found, field);
        let record = found.records()[0];
        let container = found.container(record.origin.container.unwrap()).unwrap();
        assert_eq!(container.unsure.as_deref(), Some(field), "{holder}");
        assert_eq!(found.entries().len(), 1, "somebody is described: {holder}");
    }
}

#[test]
fn other_fields_of_an_object_with_items_are_left_out_and_its_items_are_kept() {
    let found = read(
        r#"{"id":"u","name":"A","name":"B","email":"a@b.c","messages":[{"role":"user","content":"a"}]}"#,
    );
    of_field(&found, "name");
    let user = found.entries().into_iter().find_map(|entry| match entry {
        zep_mcp_server::sources::Entry::User { user, .. } => Some(user),
        _ => None,
    });
    let user = user.unwrap();
    assert_eq!((&user.name, user.email.as_deref()), (&None, Some("a@b.c")));
    assert_eq!(found.records().len(), 1);
    assert_eq!(found.containers()[0].unsure, None);
}

#[test]
fn a_second_list_of_the_same_name_is_not_read_and_that_is_said() {
    for (field, first, second) in [
        (
            "messages",
            r#"[{"role":"user","content":"a"}]"#,
            r#"[{"role":"user","content":"b"}]"#,
        ),
        ("memories", r#"[{"memory":"a"}]"#, r#"[{"memory":"b"}]"#),
        ("insights", r#"["a"]"#, r#"["b"]"#),
        ("insights", r#""a""#, r#"{"b":[{}]}"#),
    ] {
        let found = read(format!(
            r#"{{"user_id":"u","{field}":{first},"{field}":{second}}}"#
        ));
        let problem = of_field(&found, field);
        assert_eq!(problem.severity, Severity::Other);
        let said: Vec<_> = found.records().iter().map(|one| &one.content).collect();
        assert_eq!(said, ["a"]);
    }
}

#[test]
fn a_snapshot_with_a_key_twice_is_left_out_and_its_neighbours_are_kept() {
    let found = read(
        r#"{"user_id":"u","messages":[],"insights":[{"text":"a"},{"text":"b","text":"c"},{"text":"d"}]}"#,
    );
    of_field(&found, "insights[1].text");
    let said: Vec<_> = found.records().iter().map(|one| &one.content).collect();
    assert_eq!(said, ["a", "d"]);
}
