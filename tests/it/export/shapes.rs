use zep_mcp_server::sources::{Entry, Names, SourceItem};

use super::{Read, origin, read};

fn fixture(name: &str) -> String {
    let path = format!(
        "{}/tests/fixtures/export/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

fn lines(export: impl AsRef<[u8]>) -> Vec<String> {
    read(export).whole().lines()
}

#[test]
fn a_page_of_the_platform_is_read() {
    let found = read(fixture("platform-list.json")).whole();
    assert_eq!(
        found.lines(),
        [
            "results[0] memory jane/-/-/run-1 user: User moved to San Francisco from New York in \
             January 2026",
            "results[1] memory jane/-/web/- user: User lives in New York",
            "results[2] memory -/coach/-/- user: Keeps answers short",
        ]
    );
    assert_eq!(found.containers().len(), 1);
    assert!(found.unplaced().is_empty());
}

#[test]
fn a_search_answer_of_the_platform_is_read() {
    assert_eq!(
        lines(fixture("platform-search.json")),
        ["results[0] memory jane/-/-/run-1 user: User likes tea ☕"]
    );
}

#[test]
fn pages_one_after_the_other_are_read() {
    let pages = fixture("platform-list.json") + &fixture("platform-list.json");
    let found = lines(pages);
    assert_eq!(found.len(), 6);
    assert!(found[0].starts_with("results[0] memory jane"));
    assert!(
        found[3].starts_with("line 50, results[0] memory jane"),
        "{}",
        found[3]
    );
}

#[test]
fn pages_one_a_line_are_read_and_a_spread_one_among_them() {
    let page = fixture("platform-search.json");
    let export = format!("{page}{page}{}{page}", fixture("platform-list.json"));
    let found = lines(export);
    assert_eq!(found.len(), 6);
    assert!(found[0].starts_with("line 1, results[0] memory jane"));
    assert!(found[1].starts_with("line 2, results[0] memory jane"));
    assert!(found[2].starts_with("line 3, results[0] memory jane"));
    assert!(
        found[5].starts_with("line 52, results[0] memory jane"),
        "{}",
        found[5]
    );
}

#[test]
fn answers_of_a_self_hosted_server_and_of_the_library_are_read() {
    let of_a_server = r#"{"results":[{"id":"1","memory":"a","user_id":"u","agent_id":null,"run_id":"r",
        "hash":"h","expiration_date":null,"metadata":{"k":1},"created_at":"2025-01-01 10:00:00.5"}]}"#;
    assert_eq!(lines(of_a_server), ["results[0] memory u/-/-/r user: a"]);

    let of_the_library = r#"{"results":[{"id":"1","memory":"a","user_id":"u","mood":"calm","data":{"x":1},
        "summary":["s"],"role":"assistant","actor_id":"bob"}],"relations":[{"source":"a"}]}"#;
    let found = read(of_the_library).whole();
    assert_eq!(found.lines(), ["results[0] memory u/-/-/- assistant: a"]);
    assert_eq!(found.unplaced(), ["relations"]);

    let bare =
        r#"[{"id":"1","data":"a","user_id":"u","run_id":"r"},{"id":2,"text":"b","agent_id":"x"}]"#;
    assert_eq!(
        lines(bare),
        ["[0] memory u/-/-/r user: a", "[1] memory -/x/-/- user: b"]
    );
    assert_eq!(read(bare).containers().len(), 0);
}

#[test]
fn histories_are_read_with_the_turns_that_memories_were_made_from() {
    assert_eq!(
        lines(fixture("history.json")),
        [
            "[0] turn jane/-/-/run-1 user: I moved here in January",
            "[0] turn jane/-/-/run-1 assistant: Welcome!",
            "[1] memory -/-/-/- user: deleted",
        ]
    );
    let with_its_memory = r#"[{"id":"m-1","memory":"a","user_id":"u","history":[{"id":"h","memory_id":"m-1",
        "input":[{"role":"user","content":"b"}],"event":"ADD","new_memory":"a"}]}]"#;
    let found = read(with_its_memory).whole();
    assert_eq!(
        found.lines(),
        [
            "[0].history[0] turn u/-/-/- user: b",
            "[0] memory u/-/-/- user: a"
        ]
    );
}

#[test]
fn entities_are_told_apart_and_users_among_them_are_users() {
    let found = read(fixture("entities.json")).whole();
    assert_eq!(
        found.lines(),
        ["results[0] user jane"],
        "agents, apps and runs come with their memories"
    );
    assert_eq!(
        lines(r#"{"entities":[{"id":"jane","type":"user","total_memories":3}]}"#),
        ["entities[0] user jane"]
    );
}

#[test]
fn users_of_the_guide_are_read_with_all_that_they_hold() {
    let found = read(fixture("guide.json")).whole();
    assert_eq!(
        found.lines(),
        [
            "users[0].messages[0] turn user-123/-/-/- user: I've been feeling anxious",
            "users[0].messages[1] turn user-123/-/-/- therapist: Tell me more about that...",
            "users[0].insights[0] snapshot user-123/-/-/- system: Sleep matters to her",
            "users[0].insights[1] snapshot user-123/-/-/- system: Anxious on Mondays",
            "users[0].summary snapshot user-123/-/-/- system: A first session about work.",
            r#"users[0].traits snapshot user-123/-/-/- system: {"openness":0.8}"#,
            "users[0] user user-123",
            "users[1].sessions[0].messages[0] turn 42/-/-/s-1 user: שלום",
            "users[1].sessions[0].summary snapshot 42/-/-/s-1 system: A greeting.",
            r#"users[1].sessions[0].preferences snapshot 42/-/-/s-1 system: {"tone":"warm"}"#,
            r#"users[1].sessions[0] snapshot 42/-/-/s-1 system: {"title":"Monday"}"#,
            "users[1] user 42",
            "users[2] user user-quiet",
        ]
    );
    let document = found.containers().into_iter().next_back().unwrap();
    assert_eq!(document.parent, None);
    assert_eq!(document.names, Names::default());
    assert_eq!(found.unplaced(), ["tool"]);
    assert_eq!(
        document.exported_at.unwrap().to_string(),
        "2026-01-20T00:00:00Z"
    );
    let Entry::User { user: jane, .. } = found.entries()[6] else {
        panic!("not a user");
    };
    let fields: Vec<_> = jane.metadata.keys().collect();
    assert_eq!(fields, ["preferences"]);
}

#[test]
fn a_user_is_recognised_in_a_list_alone_and_on_a_line() {
    let user =
        r#"{"name":"Jane","messages":[{"role":"user","content":"hi"}],"insights":["i"],"id":"u"}"#;
    let expected = |at: &str, dot: &str| {
        [
            format!("{at}{dot}messages[0] turn u/-/-/- user: hi"),
            format!("{at}{dot}insights[0] snapshot u/-/-/- system: i"),
            format!("{} user u", if at.is_empty() { "line 1" } else { at }),
        ]
    };
    assert_eq!(lines(user), expected("", ""));
    assert_eq!(lines(format!("[{user}]")), expected("[0]", "."));
    let two = lines(format!("{user}\n{user}\n"));
    assert_eq!(two[..3], expected("line 1", ", "));
    assert_eq!(two[3..], expected("line 2", ", "));
}

#[test]
fn users_and_sessions_may_be_listed_by_id() {
    let export = r#"{"users":{
        "u1":{"name":"Jane","sessions":{"s1":{"messages":[{"role":"user","content":"a"}]},
                                        "s2":[{"role":"user","content":"b"}]}},
        "u2":[{"memory":"c"},{"role":"user","content":"d"}]}}"#;
    assert_eq!(
        lines(export),
        [
            r#"users["u1"].sessions["s1"].messages[0] turn u1/-/-/s1 user: a"#,
            r#"users["u1"].sessions["s2"][0] turn u1/-/-/s2 user: b"#,
            r#"users["u1"] user u1"#,
            r#"users["u2"][0] memory u2/-/-/- user: c"#,
            r#"users["u2"][1] turn u2/-/-/- user: d"#,
            r#"users["u2"] user u2"#,
        ]
    );
    assert_eq!(
        lines(r#"{"users":{"id":"u","name":"n","messages":[{"role":"user","content":"a"}]}}"#),
        ["users.messages[0] turn u/-/-/- user: a", "users user u"]
    );
}

#[test]
fn memories_and_turns_one_a_line_are_read() {
    let export = concat!(
        r#"{"id":"1","memory":"a","user_id":"u"}"#,
        "\n\r\n",
        r#"{"role":"user","content":"b","user_id":"u","session_id":"s"}"#,
        "\r\n",
        r#"{"user_id":"u","session_id":"s","messages":[{"role":"ai","content":"c"}]}"#,
        "\n",
        r#"{"messages":[{"role":"user","content":"d"}],"thread_id":7,"user_id":"v"}"#,
        "\n",
        r#"{"id":"u","name":"Jane","email":"j@example.com"}"#,
    );
    assert_eq!(
        lines(export),
        [
            "line 1 memory u/-/-/- user: a",
            "line 3 turn u/-/-/s user: b",
            "line 4, messages[0] turn u/-/-/s ai: c",
            "line 5, messages[0] turn v/-/-/7 user: d",
            "line 6 user u",
        ]
    );
}

#[test]
fn what_is_called_conversations_or_threads_is_a_session() {
    for name in ["sessions", "conversations", "threads"] {
        let export = format!(
            r#"{{"user_id":"u","{name}":[{{"id":"s","messages":[{{"role":"user","content":"a"}}]}}]}}"#
        );
        assert_eq!(
            lines(export),
            [
                format!("{name}[0].messages[0] turn u/-/-/s user: a"),
                "line 1 user u".to_owned()
            ]
        );
    }
}

#[test]
fn an_id_names_a_session_where_a_user_is_named_beside_it() {
    let export = r#"{"id":"s","user_id":"u","messages":[{"role":"user","content":"a"}]}"#;
    assert_eq!(lines(export), ["messages[0] turn u/-/-/s user: a"]);
}

#[test]
fn data_of_a_person_without_an_id_is_read() {
    let export =
        r#"{"messages":[{"role":"user","content":"a"}],"insights":["b"],"preferences":{"c":1}}"#;
    assert_eq!(
        lines(export),
        [
            "messages[0] turn -/-/-/- user: a",
            "insights[0] snapshot -/-/-/- system: b",
            r#"preferences snapshot -/-/-/- system: {"c":1}"#,
        ]
    );
}

#[test]
fn names_count_wherever_they_are_in_an_object() {
    let before = read(r#"{"user_id":"u","run_id":"r","results":[{"memory":"a"}]}"#).whole();
    let after = read(r#"{"results":[{"memory":"a"}],"run_id":"r","user_id":"u"}"#).whole();
    assert_eq!(before, after);
    assert_eq!(after.lines(), ["results[0] memory u/-/-/r user: a"]);
}

#[test]
fn containers_follow_everything_in_them() {
    let found = read(fixture("guide.json"));
    let mut ended = Vec::new();
    for item in &found.items {
        match item {
            SourceItem::Entry(entry) => {
                let container = origin(entry).container;
                assert!(container.is_none_or(|container| !ended.contains(&container)));
            }
            SourceItem::Container(container) => {
                let parent = container.parent;
                assert!(parent.is_none_or(|parent| !ended.contains(&parent)));
                ended.push(container.id);
            }
            SourceItem::Problem(problem) => panic!("{problem:?}"),
            _ => {}
        }
    }
    let records = found.records().into_iter();
    let named: Vec<_> = records
        .filter_map(|record| record.origin.container)
        .collect();
    assert!(!named.is_empty() && named.iter().all(|container| ended.contains(container)));
}

#[test]
fn a_byte_order_mark_does_not_matter() {
    let export = fixture("guide.json");
    assert_eq!(read(format!("\u{feff}{export}")), read(export));
}

#[test]
fn empty_snapshots_are_ignored() {
    let export = r#"{"id":"u","name":"n","insights":[null,"",{}],"summary":null,"traits":{},"messages":null}"#;
    let found: Read = read(export).whole();
    assert_eq!(found.lines(), ["line 1 user u"]);
}

#[test]
fn a_user_beside_the_messages_is_theirs() {
    let export = r#"{"user":{"id":"u","name":"n"},"messages":[{"role":"user","content":"a"}]}"#;
    assert_eq!(
        lines(export),
        ["messages[0] turn u/-/-/- user: a", "user user u"]
    );
}
