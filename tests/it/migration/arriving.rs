//! Everything in the source is stored as the source has it.

use serde_json::json;

use super::{contents, is_valid, jane, migrate_all, turns};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    everything_of_a_user_arrives_as_it_was,
    roles_and_kinds_follow_the_guide,
    long_and_strange_content_comes_back_whole,
    undated_turns_keep_their_place_and_are_shown_as_undated,
    a_list_with_the_newest_first_is_put_in_order,
    memories_without_a_session_are_found_by_a_search,
    the_turns_that_memories_were_made_from_arrive_once,
    a_sessions_own_fields_are_kept_with_it,
    no_more_requests_are_made_than_the_writes_need,
);

fn everything_of_a_user_arrives_as_it_was(world: &World) {
    let mut client = world.connect();
    let data = json!({
        "messages": turns(3),
        "sessions": [
            {"id": "monday", "messages": turns(65)},
            {"id": "tuesday", "messages": turns(1), "summary": "A calm day."},
        ],
        "memories": [
            {"id": "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001", "memory": "Likes tea",
             "created_at": "2024-03-01T08:30:15.123456Z", "metadata": {"nested": {"a": [1, null]}},
             "categories": ["food"], "updated_at": "2024-03-02T00:00:00Z"},
        ],
        "preferences": {"tone": "calm"},
    });
    let report = migrate_all(&mut client, &jane(), &data);
    assert_eq!(report["users_migrated"], 1);
    assert_eq!(report["memories_migrated"], 3 + 65 + 2 + 1);
    assert_eq!(
        (&report["messages"], &report["episodes"]),
        (&json!(70), &json!(1))
    );
    assert_eq!(report["sessions"], 3);
    assert_eq!(report["target_system"], world.backend());
    is_valid(&mut client, &jane(), &data);
    let monday = client.read_session("jane", "monday");
    let said = turns(65);
    assert_eq!(contents(&monday), contents(&said));
    for (read, said) in monday.iter().zip(&said) {
        assert_eq!(read["role"], said["role"]);
        assert_eq!(read["created_at"], said["timestamp"]);
    }
}

fn roles_and_kinds_follow_the_guide(world: &World) {
    let mut client = world.connect();
    let data = json!({
        "sessions": [{
            "id": "s",
            "messages": [
                {"role": "user", "content": "one"},
                {"role": "ai", "content": "two"},
                {"role": "therapist", "content": "three", "preferences": {"pace": "slow"}},
                {"role": "narrator", "content": "four"},
            ],
            "insights": [{"emotions": ["calm"]}],
            "summary": "five",
            "traits": {"open": true},
        }],
    });
    migrate_all(&mut client, &jane(), &data);
    is_valid(&mut client, &jane(), &data);
    let read = client.read_session("jane", "s");
    let said: Vec<_> = read
        .iter()
        .map(|one| {
            (
                one["role"].as_str().unwrap(),
                one["memory_type"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("user", "conversation"),
            ("ai", "conversation"),
            ("therapist", "conversation"),
            ("narrator", "conversation"),
            ("system", "emotional_state"),
            ("system", "session_summary"),
            ("system", "treatment_plan"),
        ]
    );
    assert_eq!(
        read[2]["metadata"],
        json!({"preferences": {"pace": "slow"}})
    );
    assert_eq!(read[4]["content"], r#"{"emotions":["calm"]}"#);
}

fn long_and_strange_content_comes_back_whole(world: &World) {
    let mut client = world.connect();
    let metadata: serde_json::Map<_, _> = (0..14)
        .map(|n| (format!("k{n}"), json!({"deep": [n, null, ""]})))
        .collect();
    let data = json!({
        "sessions": [{"id": "a/b?c#d %41", "messages": [
            {"role": "user", "content": "😀 שלום مرحبا ".repeat(2_000), "metadata": metadata},
            {"role": "user", "content": "e\u{301}".repeat(9_000)},
            {"role": "user", "content": "ok", "metadata": {"zm_id": "x", "memory_type": 7, "zm_x": "{}"}},
            {"role": "user", "content": "ok"},
            {"role": "user", "content": "ok"},
        ]}],
        "memories": [{"memory": "long ".repeat(5_000), "metadata": {"": null}}],
    });
    let report = migrate_all(&mut client, &jane(), &data);
    assert_eq!(
        (&report["memories_migrated"], &report["split"]),
        (&json!(6), &json!(3))
    );
    is_valid(&mut client, &jane(), &data);
    let read = client.read_session("jane", "a/b?c#d %41");
    for (read, said) in read
        .iter()
        .zip(data["sessions"][0]["messages"].as_array().unwrap())
    {
        assert_eq!(read["content"], said["content"]);
        assert_eq!(
            read["metadata"],
            *said.get("metadata").unwrap_or(&json!({}))
        );
    }
}

fn undated_turns_keep_their_place_and_are_shown_as_undated(world: &World) {
    let mut client = world.connect();
    let turn = |content: &str, time: Option<&str>| match time {
        Some(time) => json!({"role": "user", "content": content, "timestamp": time}),
        None => json!({"role": "user", "content": content}),
    };
    let data = json!({"sessions": [{"id": "s", "messages": [
        turn("a", None),
        turn("b", Some("2024-01-01T10:00:00Z")),
        turn("c", None),
        turn("d", Some("2024-01-01T12:00:00Z")),
        turn("e", None),
        turn("f", None),
    ]}]});
    let report = migrate_all(&mut client, &jane(), &data);
    assert_eq!(report["undated"], 4);
    is_valid(&mut client, &jane(), &data);
    let read = client.read_session("jane", "s");
    assert_eq!(contents(&read), ["a", "b", "c", "d", "e", "f"]);
    let dated: Vec<bool> = read
        .iter()
        .map(|one| one["created_at"].is_string())
        .collect();
    assert_eq!(dated, [false, true, false, true, false, false]);
}

fn a_list_with_the_newest_first_is_put_in_order(world: &World) {
    let mut client = world.connect();
    let memory = |id: usize, text: &str, time: &str| {
        json!({"id": format!("0b0f4a5c-6f0e-4a3c-9a53-{id:012}"), "memory": text,
               "session_id": "s", "user_id": "jane", "created_at": time})
    };
    // The order of mem0 Platform: newest first, and turns of one call with the same time.
    let data = json!({"count": 4, "next": null, "previous": null, "results": [
        memory(4, "fourth", "2024-01-03T10:00:00Z"),
        memory(3, "third", "2024-01-02T10:00:00Z"),
        memory(2, "second", "2024-01-02T10:00:00Z"),
        memory(1, "first", "2024-01-01T10:00:00Z"),
    ]});
    migrate_all(&mut client, &jane(), &data);
    is_valid(&mut client, &jane(), &data);
    let read = client.read_session("jane", "s");
    assert_eq!(contents(&read), ["first", "second", "third", "fourth"]);
}

fn memories_without_a_session_are_found_by_a_search(world: &World) {
    let mut client = world.connect();
    let data = json!({"results": [
        {"id": "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001", "memory": "Jane is allergic to walnuts",
         "user_id": "jane", "created_at": "2024-01-01T10:00:00Z", "metadata": {"source": "intake"}},
    ]});
    migrate_all(&mut client, &jane(), &data);
    let found = client.search(json!({"query": "walnuts", "user_id": "jane"}));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["memory"], "Jane is allergic to walnuts");
    assert_eq!(found[0]["created_at"], "2024-01-01T10:00:00Z");
    assert_eq!(found[0]["metadata"], json!({"source": "intake"}));
    assert!(
        client
            .search(json!({"query": "walnuts", "user_id": "joe"}))
            .is_empty()
    );
}

fn the_turns_that_memories_were_made_from_arrive_once(world: &World) {
    let mut client = world.connect();
    let input = json!([
        {"role": "user", "content": "I am allergic to walnuts and to cats"},
        {"role": "assistant", "content": "ok"},
    ]);
    let entry = |memory: &str, time: &str| {
        json!({"id": format!("h-{memory}-{time}"), "memory_id": memory, "input": input,
               "old_memory": null, "new_memory": "x", "event": "ADD", "user_id": "jane",
               "created_at": time})
    };
    // One call made two memories; the same words were said again a day later.
    let data = json!([
        entry("m1", "2024-01-01T10:00:00Z"),
        entry("m2", "2024-01-01T10:00:01Z"),
        entry("m3", "2024-01-02T10:00:00Z"),
    ]);
    let report = migrate_all(&mut client, &jane(), &data);
    assert_eq!(report["messages"], 4);
    is_valid(&mut client, &jane(), &data);
    // Listed with another memory that was made from it, it is still the same conversation.
    let more = json!([
        entry("m0", "2024-01-01T09:59:58Z"),
        data[0],
        data[1],
        data[2]
    ]);
    let again = migrate_all(&mut client, &jane(), &more);
    assert_eq!(
        (&again["messages"], &again["already_there"]),
        (&json!(0), &json!(4))
    );
    let read = client.read_session("jane", "default");
    assert_eq!(read[0]["created_at"], "2024-01-01T10:00:00Z");
    assert_eq!(read[2]["created_at"], "2024-01-02T10:00:00Z");
}

fn a_sessions_own_fields_are_kept_with_it(world: &World) {
    let mut client = world.connect();
    let data = json!({"sessions": [{
        "id": "s", "title": "First visit", "created_at": "2024-04-30T09:00:00Z",
        "metadata": {"room": 4}, "messages": turns(2),
    }]});
    let report = migrate_all(&mut client, &jane(), &data);
    assert_eq!(
        (&report["messages"], &report["notes"]),
        (&json!(3), &json!([]))
    );
    is_valid(&mut client, &jane(), &data);
    let first = &client.read_session("jane", "s")[0];
    assert_eq!(first["memory_type"], "session_fields");
    assert_eq!(first["created_at"], "2024-04-30T09:00:00Z");
    let kept = format!("{} {}", first["content"], first["metadata"]);
    assert!(
        kept.contains("First visit") && kept.contains("room"),
        "{first:#}"
    );
}

fn no_more_requests_are_made_than_the_writes_need(world: &World) {
    let mut client = world.connect();
    // Fewer than batches are taken for.
    let sessions: Vec<_> = (0..4)
        .map(|n| json!({"id": format!("s{n}"), "messages": turns(61)}))
        .collect();
    let data = json!({"sessions": sessions, "memories": [{"memory": "one"}, {"memory": "two"}]});
    let report = migrate_all(&mut client, &jane(), &data);
    // The user; for each session itself and three calls for its messages; the memories.
    let least = 1 + 4 * (1 + 3) + 2;
    assert_eq!(report["least_requests"], least);
    let made = match world.backend() {
        "zep" => least,
        _ => 0,
    };
    assert_eq!(report["requests"], made);
}
