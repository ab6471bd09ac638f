//! Changing a memory affects exactly that memory, keeps the rest, and answers with the new state.

use serde_json::{Map, Value, json};

use super::{add, get, is_gone, shown};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    a_new_text_keeps_all_but_the_words,
    a_text_may_grow_into_parts_and_shrink_again,
    an_undated_memory_stays_undated,
    fields_of_any_shape_take_the_place_of_the_old_ones,
    a_turns_words_stay_and_its_fields_change,
    what_cannot_be_changed_is_refused_and_stays,
    the_same_words_again_change_nothing,
    an_agents_own_memory_is_changed_in_its_place,
    two_changes_at_once_leave_one_memory,
);

fn a_new_text_keeps_all_but_the_words(world: &World) {
    let mut client = world.connect();
    let fields = json!({"a": {"b": null}, "tag": "x", "zm_id": "mine"});
    let old = add(
        &mut client,
        json!({"text": "Ann drinks tea", "user_id": "ann", "agent_id": "bot", "app_id": "shop",
               "metadata": fields, "memory_type": "traits", "created_at": "2024-01-02T03:04:05.678901Z"}),
    );
    add(&mut client, json!({"text": "Ann runs", "user_id": "ann"}));
    let changed = client.call(
        "update_memory",
        json!({"memory_id": old, "text": "Ann drinks קפה ☕️ e\u{301}"}),
    );
    let new = changed["id"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    for (field, value) in [
        ("previous_id", json!(old)),
        ("kind", json!("episode")),
        ("memory", json!("Ann drinks קפה ☕️ e\u{301}")),
        ("user_id", json!("ann")),
        ("agent_id", json!("bot")),
        ("app_id", json!("shop")),
        ("memory_type", json!("treatment_plan")),
        ("metadata", fields.clone()),
        ("created_at", json!("2024-01-02T03:04:05.678901Z")),
        ("backend", json!(world.backend())),
        ("message", json!("Memory updated successfully!")),
    ] {
        assert_eq!(changed[field], value, "{field}: {changed}");
    }
    assert_ne!(changed["updated_at"], changed["created_at"]);
    for mut client in [client, world.connect()] {
        is_gone(&mut client, &json!({"memory_id": old}));
        let now = get(&mut client, &new);
        for field in [
            "memory",
            "metadata",
            "created_at",
            "updated_at",
            "agent_id",
            "app_id",
            "memory_type",
        ] {
            assert_eq!(now[field], changed[field], "{field}");
        }
        let all = shown(&mut client, "ann", "Ann drinks runs");
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            ["Ann drinks קפה ☕️ e\u{301}", "Ann runs"]
        );
    }
}

fn a_text_may_grow_into_parts_and_shrink_again(world: &World) {
    let mut client = world.connect();
    let long = |word: &str| format!("{word} 😀 and more. ").repeat(1_500);
    let mut id = add(
        &mut client,
        json!({"text": "short", "user_id": "ann", "metadata": {"n": {"m": 1}}, "created_at": "2024-05-05"}),
    );
    for text in [
        long("first"),
        long("second word"),
        "short again".to_owned(),
        long("third"),
    ] {
        let changed = client.call("update_memory", json!({"memory_id": id, "text": text}));
        assert_eq!(changed["previous_id"], json!(id));
        id = changed["id"].as_str().unwrap().to_owned();
        let now = get(&mut client, &id);
        assert!(now["memory"] == text.as_str(), "it changed");
        assert_eq!(now["metadata"], json!({"n": {"m": 1}}));
        assert_eq!(now["created_at"], "2024-05-05T00:00:00Z");
        // No field of the old set is left.
        let question =
            json!({"query": "short first second third", "user_id": "ann", "scope": "episodes"});
        let found = client.search(question);
        assert_eq!(found.len(), 1, "{}", found.len());
        assert_eq!(found[0]["id"], json!(id));
    }
}

fn an_undated_memory_stays_undated(world: &World) {
    let mut client = world.connect();
    let user = json!({"id": "jane", "name": "Jane"});
    let data = json!({"memories": [{"id": "m1", "memory": "Jane likes rain"}]});
    let report = client.call("migrate_user", json!({"user": user, "data": data}));
    assert_eq!(report["undated"], 1, "{report}");
    let source = super::listed(&mut client, "jane")[0]["sources"][0].clone();
    assert_eq!(
        get(&mut client, source.as_str().unwrap())["created_at"],
        Value::Null
    );
    let changed = client.call(
        "update_memory",
        json!({"memory_id": source, "text": "Jane likes sun"}),
    );
    assert_eq!(changed["created_at"], Value::Null, "{changed}");
    assert_ne!(changed["updated_at"], Value::Null);
    let fields = json!({"memory_id": changed["id"], "metadata": {"a": 1}});
    assert_eq!(
        client.call("update_memory", fields)["created_at"],
        Value::Null
    );
    let now = get(&mut client, changed["id"].as_str().unwrap());
    assert_eq!(
        (&now["created_at"], &now["memory"]),
        (&Value::Null, &json!("Jane likes sun"))
    );
}

fn fields_of_any_shape_take_the_place_of_the_old_ones(world: &World) {
    let mut client = world.connect();
    let many: Map<String, Value> = (0..25).map(|n| (format!("key {n}"), json!(n))).collect();
    let long = "word and word. ".repeat(1_500);
    let message = json!([{"role": "user", "content": "speech ".repeat(1_500)}]);
    let mut ids = vec![
        add(
            &mut client,
            json!({"text": "short", "user_id": "ann", "metadata": many}),
        ),
        add(
            &mut client,
            json!({"text": long, "user_id": "ann", "metadata": {"old": 1}}),
        ),
        add(
            &mut client,
            json!({"text": "turn", "user_id": "ann", "session_id": "s", "metadata": {"old": {}}}),
        ),
        add(
            &mut client,
            json!({"messages": message, "user_id": "ann", "session_id": "s", "agent_id": "bot"}),
        ),
    ];
    ids.push(
        super::facts_of(&mut client, "ann", &ids[0])[0]["id"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    for fields in [
        json!({"a": 1}),
        Value::Object(many.clone()),
        json!({"nested": {"deep": [{"er": [null, [], {}]}]}, "null": null, "empty": "", "list": []}),
        json!({"zm_id": "mine", "zm_part": "2/3", "zm_x": "{\"deleted\": true}", "zm_metadata": "{}",
               "memory_type": "mine", "agent_id": "mine", "app_id": 7, "zm_updated_at": "x"}),
        json!({"big": 9007199254740993_u64, "tiny": 5e-324, "quote\"": "\\\"\n\u{0}"}),
        json!({}),
    ] {
        for (n, id) in ids.iter().enumerate() {
            let before = get(&mut client, id);
            let changed = client.call(
                "update_memory",
                json!({"memory_id": id, "metadata": fields}),
            );
            assert_eq!(changed["id"], json!(id));
            assert_eq!(
                (&changed["previous_id"], &changed["metadata"]),
                (&Value::Null, &fields),
                "{n}"
            );
            let now = get(&mut world.connect(), id);
            assert_eq!(now["metadata"], fields, "{n}");
            for field in [
                "memory",
                "created_at",
                "agent_id",
                "app_id",
                "session_id",
                "kind",
            ] {
                assert!(now[field] == before[field], "{n}: {field}");
            }
        }
    }
}

fn a_turns_words_stay_and_its_fields_change(world: &World) {
    let mut client = world.connect();
    let turn = add(
        &mut client,
        json!({"messages": [{"role": "coach", "content": "Well done", "name": "n".repeat(130)}],
               "user_id": "ann", "session_id": "s", "created_at": "2024-01-01"}),
    );
    let error = client.refused(
        "update_memory",
        json!({"memory_id": turn, "text": "Badly done"}),
    );
    assert_eq!(error["error"], "invalid_argument");
    let detail = error["detail"].as_str().unwrap();
    assert!(
        detail.contains("add_memory") && detail.contains("delete_memory"),
        "{detail}"
    );
    // Such a call does not even change its fields.
    let both = json!({"memory_id": turn, "text": "Badly done", "metadata": {"a": 1}});
    client.refuses_argument("update_memory", both, "text");
    assert_eq!(get(&mut client, &turn)["metadata"], json!({}));
    // Its own words are not a change.
    let same = json!({"memory_id": turn, "text": "Well done", "metadata": {"a": {"b": 1}}});
    assert_eq!(
        client.call("update_memory", same)["previous_id"],
        Value::Null
    );
    let read = client.read_session("ann", "s");
    assert_eq!((read.len(), &read[0]["content"]), (1, &json!("Well done")));
    assert_eq!(
        (&read[0]["role"], &read[0]["name"]),
        (&json!("coach"), &json!("n".repeat(130)))
    );
    assert_eq!(read[0]["metadata"], json!({"a": {"b": 1}}));
}

fn what_cannot_be_changed_is_refused_and_stays(world: &World) {
    let mut client = world.connect();
    let id = add(
        &mut client,
        json!({"text": "Ann", "user_id": "ann", "metadata": {"a": 1}}),
    );
    let fact = super::facts_of(&mut client, "ann", &id)[0]["id"].clone();
    let deep = (0..40).fold(json!(1), |inner, _| json!({"a": inner}));
    for id in [json!(id), fact] {
        for (change, named) in [
            (json!({}), "text"),
            (json!({"text": null, "metadata": null}), "text"),
            (json!({"text": ""}), "text"),
            (json!({"text": " \n\t "}), "text"),
            (json!({"text": "", "metadata": {"b": 1}}), "text"),
            (json!({"text": 7}), "text"),
            (json!({"metadata": "x"}), "metadata"),
            (json!({"metadata": deep}), "metadata"),
            (json!({"text": "Other", "metadata": deep}), "metadata"),
            (json!({"metadata": {"a": "x".repeat(70_000)}}), "metadata"),
            (json!({"txet": "Other"}), "txet"),
            (json!({"text": "Other", "user_id": ""}), "user_id"),
        ] {
            let mut arguments = change;
            arguments["memory_id"] = id.clone();
            client.refuses_argument("update_memory", arguments, named);
        }
        let now = get(&mut client, id.as_str().unwrap());
        assert_eq!(
            (&now["memory"], &now["metadata"]),
            (&json!("Ann"), &json!({"a": 1}))
        );
    }
    let endless = json!({"memory_id": id, "text": "x".repeat(1_000_001)});
    client.refuses_argument("update_memory", endless, "text");
    assert_eq!(shown(&mut client, "ann", "Ann").len(), 1);
}

fn the_same_words_again_change_nothing(world: &World) {
    let mut client = world.connect();
    let id = add(
        &mut client,
        json!({"text": "Ann drinks tea", "user_id": "ann", "metadata": {"a": 1}}),
    );
    for _ in 0..2 {
        let changed = client.call(
            "update_memory",
            json!({"memory_id": id, "text": "Ann drinks tea"}),
        );
        assert_eq!(
            (&changed["id"], &changed["previous_id"]),
            (&json!(id), &Value::Null)
        );
        assert_eq!(changed["metadata"], json!({"a": 1}));
    }
    assert_eq!(
        client
            .search(json!({"query": "tea", "user_id": "ann", "scope": "episodes"}))
            .len(),
        1
    );
    // There and back again.
    let other = client.call(
        "update_memory",
        json!({"memory_id": id, "text": "Ann drinks milk"}),
    );
    let back = client.call(
        "update_memory",
        json!({"memory_id": other["id"], "text": "Ann drinks tea"}),
    );
    assert_eq!(back["metadata"], json!({"a": 1}));
    assert_eq!(
        client
            .search(json!({"query": "drinks", "user_id": "ann", "scope": "episodes"}))
            .len(),
        1
    );
}

fn an_agents_own_memory_is_changed_in_its_place(world: &World) {
    let mut client = world.connect();
    let own = add(
        &mut client,
        json!({"text": "I answer shortly", "agent_id": "bot"}),
    );
    let changed = client.call(
        "update_memory",
        json!({"memory_id": own, "text": "I answer at length"}),
    );
    assert_eq!(
        (&changed["user_id"], &changed["agent_id"]),
        (&Value::Null, &json!("bot"))
    );
    let found = client.search(json!({"query": "answer", "agent_id": "bot", "scope": "episodes"}));
    assert_eq!(
        (found.len(), &found[0]["memory"]),
        (1, &json!("I answer at length"))
    );
    assert!(super::listed(&mut client, "mem0-mcp").is_empty());
}

fn two_changes_at_once_leave_one_memory(world: &World) {
    let mut client = world.connect();
    for round in 0..5 {
        let user = format!("user-{round}");
        let id = add(&mut client, json!({"text": "Marker one", "user_id": user}));
        let asked: Vec<u64> = ["Marker two", "Marker three", "Marker two"]
            .iter()
            .map(|text| {
                client.ask_tool(
                    "update_memory",
                    &json!({"memory_id": id, "text": text, "user_id": user}),
                )
            })
            .collect();
        let done = asked
            .into_iter()
            .filter(|id| client.answer_to(*id)["result"]["isError"] != true)
            .count();
        assert!(done >= 1);
        let all = shown(&mut client, &user, "marker");
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(!all.contains("Marker one"));
    }
}
