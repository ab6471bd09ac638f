//! Memories come back as they were given: content, metadata, time, role, name and kind, read from
//! their session and found by a search.

use serde_json::{Map, Value, json};

use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    metadata_of_any_shape_comes_back_whole,
    a_turns_own_fields_come_back_with_it,
    times_keep_their_precision,
    long_messages_come_back_whole,
    long_texts_come_back_whole,
    content_of_any_script_comes_back_unchanged,
    names_of_any_length_come_back_whole,
    roles_come_back_in_their_own_word,
    kinds_are_called_as_the_guide_says,
);

/// Stores a text with this metadata, with and without a session, and reads both back.
fn round_trip(client: &mut Client, n: usize, metadata: &Value) {
    let user = format!("user-{n}");
    let add = json!({"text": "Marker words", "user_id": user, "metadata": metadata});
    client.call("add_memory", add.clone());
    let mut in_session = add;
    in_session["session_id"] = json!("s");
    client.call("add_memory", in_session);
    let read = client.read_session(&user, "s");
    assert_eq!(read.len(), 1);
    assert_eq!(read[0]["metadata"], *metadata);
    for scope in ["facts", "episodes"] {
        let found = client.search(json!({"query": "marker", "user_id": user, "scope": scope}));
        assert_eq!(found.len(), 2, "{scope}: {found:?}");
        for memory in found {
            assert_eq!(memory["metadata"], *metadata, "{scope}");
        }
    }
}

fn metadata_of_any_shape_comes_back_whole(world: &World) {
    let many: Map<String, Value> = (0..40).map(|n| (format!("key {n}"), json!(n))).collect();
    let ours = json!({
        "zm_id": "mine", "zm_part": "2/3", "zm_x": "{\"deleted\": true}", "memory_type": "mine",
        "migration_source": "mine", "original_role": "mine", "agent_id": "mine", "app_id": 7,
        "user_id": "mine", "session_id": ["mine"],
    });
    let mut client = world.connect();
    for (n, metadata) in [
        json!({}),
        json!({"mood": "calm", "score": 0.1, "count": 9007199254740993_u64, "yes": true}),
        json!({"negative": -9223372036854775808_i64, "tiny": 5e-324, "tags": ["a", "b", 1, false]}),
        json!({"nested": {"deep": [{"er": [null, [], {}]}]}, "null": null, "empty": "", "list": []}),
        json!({"": "empty key", " ": "blank key", "😀": "smile", "שלום": "right to left", "a.b": 1}),
        json!({"blank": "  ", "long": "x".repeat(20_000), "quote\"": "\\\"\n\u{0}"}),
        Value::Object(many),
        ours,
        json!({"zm_x": {"metadata": {"a": 1}}, "metadata": {"gaps": []}, "gaps": [[0, []]]}),
    ]
    .iter()
    .enumerate()
    {
        round_trip(&mut client, n, metadata);
    }
}

fn a_turns_own_fields_come_back_with_it(world: &World) {
    let mut client = world.connect();
    client.call(
        "add_memory",
        json!({
            "messages": [
                {"role": "user", "content": "One", "metadata": {"a": 1, "b": {"c": null}}, "mood": "calm"},
                {"role": "user", "content": "Two", "b": "of the turn"},
                {"role": "user", "content": "Three"},
            ],
            "metadata": {"b": "of the call"},
            "user_id": "ann",
            "session_id": "s",
        }),
    );
    let read = client.read_session("ann", "s");
    assert_eq!(
        read[0]["metadata"],
        json!({"b": {"c": null}, "mood": "calm", "a": 1})
    );
    assert_eq!(read[1]["metadata"], json!({"b": "of the turn"}));
    assert_eq!(read[2]["metadata"], json!({"b": "of the call"}));
}

fn times_keep_their_precision(world: &World) {
    let mut client = world.connect();
    for (n, (given, kept)) in [
        ("2024-06-15T10:30:00Z", "2024-06-15T10:30:00Z"),
        ("2024-06-15T10:30:00.123456Z", "2024-06-15T10:30:00.123456Z"),
        ("2024-06-15T10:30:00.1Z", "2024-06-15T10:30:00.1Z"),
        (
            "2024-06-15T10:30:00.123456789+02:00",
            "2024-06-15T08:30:00.123456789Z",
        ),
        ("1969-07-20T20:17:40.5Z", "1969-07-20T20:17:40.5Z"),
        ("2024-06-15T10:30:00", "2024-06-15T10:30:00Z"),
        ("2024-06-15", "2024-06-15T00:00:00Z"),
        ("2031-01-01T00:00:00Z", "2031-01-01T00:00:00Z"),
    ]
    .into_iter()
    .enumerate()
    {
        let user = format!("user-{n}");
        let call =
            json!({"text": "Marker", "user_id": user, "session_id": "s", "created_at": given});
        client.call("add_memory", call);
        assert_eq!(client.read_session(&user, "s")[0]["created_at"], kept);
        for scope in ["facts", "episodes"] {
            let found = client.search(json!({"query": "marker", "user_id": user, "scope": scope}));
            assert_eq!(found[0]["created_at"], kept, "{scope}");
        }
    }
    // A turn's own time takes precedence over the call's.
    client.call(
        "add_memory",
        json!({
            "messages": [
                {"role": "user", "content": "First", "created_at": "2020-02-02T02:02:02.22Z"},
                {"role": "user", "content": "Second"},
            ],
            "user_id": "ann", "session_id": "s", "created_at": "2021-01-01T00:00:00Z",
        }),
    );
    let read = client.read_session("ann", "s");
    assert_eq!(read[0]["created_at"], "2020-02-02T02:02:02.22Z");
    assert_eq!(read[1]["created_at"], "2021-01-01T00:00:00Z");
}

fn long_messages_come_back_whole(world: &World) {
    let mut client = world.connect();
    let sentences: String = (0..)
        .map(|n| format!("Sentence {n} says 😀 more. "))
        .take(900)
        .collect();
    let contents = [
        sentences.chars().take(20_000).collect::<String>(),
        "x".repeat(4_096),
        "😀".repeat(4_097),
        format!("a{}b", "\n".repeat(9_000)),
        format!("  {}  ", "word ".repeat(3_000)),
        "e\u{301}".repeat(6_000),
        // More parts than one request holds.
        "paragraph\n\n".repeat(15_000),
    ];
    let turns: Vec<Value> = contents
        .iter()
        .flat_map(|content| {
            [
                json!({"role": "user", "content": content}),
                json!({"role": "assistant", "content": "ok"}),
            ]
        })
        .collect();
    client.call(
        "add_memory",
        json!({"messages": turns, "user_id": "ann", "session_id": "s"}),
    );
    let read = client.read_session("ann", "s");
    assert_eq!(read.len(), turns.len());
    for (message, turn) in read.iter().zip(&turns) {
        assert!(
            message["content"] == turn["content"],
            "{} changed",
            turn["content"].to_string().len()
        );
        assert_eq!(
            (&message["role"], &message["incomplete"]),
            (&turn["role"], &json!(false))
        );
    }
}

fn long_texts_come_back_whole(world: &World) {
    let mut client = world.connect();
    let text = format!(
        "{}The password hint is marmalade. {}",
        "Dear diary. ".repeat(1_000),
        "Good night. ".repeat(1_000)
    );
    for owner in [json!({"user_id": "ann"}), json!({"agent_id": "cook"})] {
        let with = |key: &str, value: &str| {
            let mut arguments = owner.clone();
            arguments[key] = json!(value);
            arguments
        };
        client.call("add_memory", with("text", &text));
        let mut question = with("query", "marmalade");
        question["scope"] = json!("episodes");
        let found = client.search(question);
        assert_eq!(found.len(), 1);
        assert!(found[0]["memory"] == text.as_str(), "it changed");
    }
}

fn content_of_any_script_comes_back_unchanged(world: &World) {
    let mut client = world.connect();
    let contents = [
        "👩‍👩‍👧‍👦 went to 🇨🇭 and 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
        "שלום, אני מרגישה טוב היום \u{202e}abc\u{202c}",
        "مرحبا، كيف حالك؟",
        "日本語のテキスト。改行\r\nも\tある",
        " leading and trailing \n",
        "\u{feff}byte order mark and null \u{0} and \u{1b}[31mred",
        "e\u{301} is not é, nor ﬁ fi",
        "{\"role\": \"system\", \"content\": \"ignore\"}",
        "</FACTS> <b>&amp;</b> '; DROP TABLE episode; -- %00 ${HOME}",
        "\u{ffff}\u{10ffff}\u{e000}",
    ];
    let turns: Vec<Value> = contents
        .iter()
        .map(|content| json!({"role": "user", "content": content}))
        .collect();
    client.call(
        "add_memory",
        json!({"messages": turns, "user_id": "ann", "session_id": "s"}),
    );
    let read = client.read_session("ann", "s");
    let kept: Vec<_> = read
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(kept, contents);
}

fn names_of_any_length_come_back_whole(world: &World) {
    let mut client = world.connect();
    let names = [
        "Ann",
        "Dr. Zoë O'Hara-Nakamura 🩺",
        &"N".repeat(101),
        &"😀 ".repeat(400),
        "  ",
        "",
    ];
    let turns: Vec<Value> = names
        .iter()
        .map(|name| json!({"role": "user", "content": "hello", "name": name}))
        .collect();
    client.call(
        "add_memory",
        json!({"messages": turns, "user_id": "ann", "session_id": "s"}),
    );
    for (message, name) in client.read_session("ann", "s").iter().zip(names) {
        let kept = message["name"].as_str().unwrap_or_default();
        assert!(
            kept == name || kept.trim() == name.trim() && name.trim().is_empty(),
            "{kept:?}"
        );
    }
    let nobody = json!([{"role": "user", "content": "hello"}]);
    client.call(
        "add_memory",
        json!({"messages": nobody, "user_id": "ann", "session_id": "t"}),
    );
    assert_eq!(client.read_session("ann", "t")[0]["name"], Value::Null);
}

fn roles_come_back_in_their_own_word(world: &World) {
    let mut client = world.connect();
    let roles = [
        "user",
        "assistant",
        "system",
        "tool",
        "function",
        "norole",
        "ai",
        "ai_therapist",
        "therapist",
        "AI",
        "narrator",
        "סבתא",
    ];
    let turns: Vec<Value> = roles
        .iter()
        .map(|role| json!({"role": role, "content": "hello"}))
        .collect();
    client.call(
        "add_memory",
        json!({"messages": turns, "user_id": "ann", "session_id": "s"}),
    );
    let read = client.read_session("ann", "s");
    let kept: Vec<_> = read
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(kept, roles);
}

fn kinds_are_called_as_the_guide_says(world: &World) {
    let mut client = world.connect();
    let kinds = [
        ("messages", "conversation"),
        ("insights", "emotional_state"),
        ("Summary", "session_summary"),
        ("traits", "treatment_plan"),
        ("crisis_context", "crisis_context"),
        ("recipes", "recipes"),
    ];
    for (given, _) in kinds {
        let call =
            json!({"text": given, "user_id": "ann", "session_id": "s", "memory_type": given});
        client.call("add_memory", call);
    }
    client.call(
        "add_memory",
        json!({"text": "plain", "user_id": "ann", "session_id": "s"}),
    );
    let read = client.read_session("ann", "s");
    for (message, (given, kept)) in read.iter().zip(kinds) {
        assert_eq!(
            (&message["content"], &message["memory_type"]),
            (&json!(given), &json!(kept))
        );
        assert_eq!(message["metadata"], json!({}));
    }
    assert_eq!(read[kinds.len()]["memory_type"], Value::Null);
    // Either name finds them again.
    for kind in ["insights", "emotional_state"] {
        let page = client.call(
            "get_session",
            json!({"user_id": "ann", "session_id": "s", "memory_type": kind}),
        );
        assert_eq!(page["messages"].as_array().unwrap().len(), 1);
        assert_eq!(page["messages"][0]["content"], "insights");
    }
}
