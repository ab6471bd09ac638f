//! A memory by its id: of any form, owner and writer.

use serde_json::{Value, json};

use super::{add, add_all, facts_of, foreign_text, get, is_gone, make_user};
use crate::common::on_both_backends;
use crate::common::program::World;
use crate::common::service::Service;

on_both_backends!(
    an_id_names_a_text_a_message_or_a_fact_and_says_which,
    every_part_of_a_long_memory_names_all_of_it,
    an_id_finds_its_owner,
    the_wrong_owner_has_no_such_memory,
    what_is_no_id_is_refused,
    an_agents_own_memory_is_found_by_its_id,
);

/// An id that no memory has.
const NOBODYS: &str = "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001";

fn an_id_names_a_text_a_message_or_a_fact_and_says_which(world: &World) {
    let mut client = world.connect();
    let fields = json!({"a": {"b": [1, null]}, "categories": ["food", "tea"]});
    let text = add(
        &mut client,
        json!({"text": "Ann drinks tea", "user_id": "ann", "agent_id": "bot", "app_id": "shop",
               "metadata": fields, "memory_type": "traits", "created_at": "2024-01-02T03:04:05.678Z"}),
    );
    let turn = add(
        &mut client,
        json!({"messages": [{"role": "therapist", "content": "Since when?", "name": "Eve"}],
               "user_id": "ann", "session_id": "monday", "metadata": fields}),
    );
    let fact = facts_of(&mut client, "ann", &text).remove(0);
    for mut client in [client, world.connect()] {
        let memory = get(&mut client, &text);
        for (field, value) in [
            ("id", json!(text)),
            ("kind", json!("episode")),
            ("memory", json!("Ann drinks tea")),
            ("user_id", json!("ann")),
            ("agent_id", json!("bot")),
            ("app_id", json!("shop")),
            ("run_id", Value::Null),
            ("session_id", Value::Null),
            ("memory_type", json!("treatment_plan")),
            ("metadata", fields.clone()),
            ("categories", json!(["food", "tea"])),
            ("created_at", json!("2024-01-02T03:04:05.678Z")),
            ("updated_at", json!("2024-01-02T03:04:05.678Z")),
        ] {
            assert_eq!(memory[field], value, "{field}: {memory}");
        }
        let memory = get(&mut client, &turn);
        assert_eq!(memory["kind"], "message");
        assert_eq!(memory["memory"], "Since when?");
        assert_eq!(
            (&memory["run_id"], &memory["session_id"]),
            (&json!("monday"), &json!("monday"))
        );
        assert_eq!(memory["metadata"], fields);
        let memory = get(&mut client, fact["id"].as_str().unwrap());
        assert_eq!(memory["kind"], "fact");
        assert_eq!(memory["memory"], "Ann drinks tea");
        assert_eq!(memory["sources"], json!([text]));
        assert_eq!(memory["metadata"], fields);
        assert_eq!(memory["created_at"], "2024-01-02T03:04:05.678Z");
    }
}

fn every_part_of_a_long_memory_names_all_of_it(world: &World) {
    let mut client = world.connect();
    let long = |word: &str, times| format!("{word} 😀. ").repeat(times);
    let text = long("letter", 2_000);
    let said = long("speech", 1_500);
    let text_id = add(&mut client, json!({"text": text, "user_id": "ann"}));
    let turn_id = add(
        &mut client,
        json!({"messages": [{"role": "user", "content": said}], "user_id": "ann", "session_id": "s"}),
    );
    // To Zep each part is a memory of its own, and a fact is drawn from each.
    let parts: Vec<String> = super::listed(&mut client, "ann")
        .iter()
        .flat_map(|fact| fact["sources"].as_array().unwrap().clone())
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(parts.len(), 3 + 4, "{parts:?}");
    for id in parts {
        let memory = get(&mut client, &id);
        let (first, whole) = match memory["kind"].as_str().unwrap() {
            "episode" => (&text_id, &text),
            _ => (&turn_id, &said),
        };
        assert_eq!(memory["id"], json!(first));
        assert!(memory["memory"] == whole.as_str(), "it is not whole");
    }
}

fn an_id_finds_its_owner(world: &World) {
    let mut client = world.connect();
    let text = add(&mut client, json!({"text": "Zoe sings", "user_id": "zoe"}));
    let turn = add(
        &mut client,
        json!({"text": "hello", "user_id": "yan", "session_id": "s"}),
    );
    // Another user's session of the same id has another thread.
    let other = add(
        &mut client,
        json!({"text": "hi", "user_id": "xia", "session_id": "s"}),
    );
    let fact = facts_of(&mut client, "zoe", &text).remove(0)["id"].clone();
    for mut client in [client, world.connect()] {
        assert_eq!(get(&mut client, &other)["user_id"], "xia");
        assert_eq!(get(&mut client, &other)["run_id"], "s");
        assert_eq!(get(&mut client, &turn)["user_id"], "yan");
        assert_eq!(get(&mut client, &text)["user_id"], "zoe");
    }
    // Nothing was shown to this server before.
    assert_eq!(
        get(&mut world.connect(), fact.as_str().unwrap())["user_id"],
        "zoe"
    );
}

fn the_wrong_owner_has_no_such_memory(world: &World) {
    let mut client = world.connect();
    let text = add(&mut client, json!({"text": "Zoe sings", "user_id": "zoe"}));
    let turn = add(
        &mut client,
        json!({"text": "hello", "user_id": "zoe", "session_id": "s"}),
    );
    let fact = facts_of(&mut client, "zoe", &text).remove(0)["id"].clone();
    add(
        &mut client,
        json!({"text": "Bob", "user_id": "bob", "session_id": "s"}),
    );
    add(&mut client, json!({"text": "Bot", "agent_id": "bot"}));
    for id in [json!(text), json!(turn), fact] {
        for whose in [
            json!({"user_id": "bob"}),
            json!({"user_id": "nobody"}),
            json!({"agent_id": "bot"}),
        ] {
            let mut arguments = whose.clone();
            arguments["memory_id"] = id.clone();
            is_gone(&mut client, &arguments);
            arguments["metadata"] = json!({"a": 1});
            assert_eq!(
                client.refused("update_memory", arguments.clone())["error"],
                "not_found"
            );
            arguments.as_object_mut().unwrap().remove("metadata");
            assert_eq!(
                client.refused("delete_memory", arguments.clone())["error"],
                "not_found"
            );
            assert_eq!(
                client.refused(
                    "get_event_status",
                    json!({"event_id": id, "user_id": "bob"})
                )["error"],
                "not_found"
            );
        }
        assert_eq!(
            client.call("get_memory", json!({"memory_id": id, "user_id": "zoe"}))["user_id"],
            "zoe"
        );
    }
}

fn what_is_no_id_is_refused(world: &World) {
    let mut client = world.connect();
    add(&mut client, json!({"text": "I am here"}));
    for id in [
        "",
        " ",
        "x",
        "../users",
        "mem0-mcp",
        "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a000",
        "%00",
        "*",
    ] {
        client.refuses_argument("get_memory", json!({"memory_id": id}), "memory_id");
        client.refuses_argument("delete_memory", json!({"memory_id": id}), "memory_id");
        client.refuses_argument(
            "update_memory",
            json!({"memory_id": id, "text": "x"}),
            "memory_id",
        );
        client.refuses_argument("get_event_status", json!({"event_id": id}), "_id");
    }
    for id in [json!(null), json!(7), json!([NOBODYS])] {
        client.refuses_argument("get_memory", json!({"memory_id": id}), "memory_id");
    }
    for id in [
        NOBODYS.to_owned(),
        NOBODYS.to_uppercase(),
        format!(" {NOBODYS} "),
    ] {
        is_gone(&mut client, &json!({"memory_id": id}));
        is_gone(&mut client, &json!({"memory_id": id, "user_id": "nobody"}));
        assert_eq!(
            client.refused("delete_memory", json!({"memory_id": id}))["error"],
            "not_found"
        );
        let change = json!({"memory_id": id, "text": "x"});
        assert_eq!(
            client.refused("update_memory", change)["error"],
            "not_found"
        );
    }
    assert_eq!(super::listed(&mut client, "mem0-mcp").len(), 1);
}

fn an_agents_own_memory_is_found_by_its_id(world: &World) {
    let mut client = world.connect();
    let own = add(
        &mut client,
        json!({"text": "I answer shortly", "agent_id": "bot"}),
    );
    for mut client in [client, world.connect()] {
        let memory = get(&mut client, &own);
        assert_eq!(
            (&memory["user_id"], &memory["agent_id"]),
            (&Value::Null, &json!("bot"))
        );
        let by_agent = json!({"memory_id": own, "agent_id": "bot"});
        assert_eq!(
            client.call("get_memory", by_agent)["memory"],
            "I answer shortly"
        );
    }
}

#[test]
fn what_other_clients_of_zep_wrote_is_shown_as_it_is() {
    let world = World::emulated();
    let service = Service::of(&world);
    make_user(&service, "zoe");
    let text = foreign_text(&service, "zoe", "Zoe paints");
    let thread = json!({"thread_id": "theirs", "user_id": "zoe"});
    assert!(service.call("POST", &["threads"], Some(&thread)).0 < 300);
    let said = json!({"messages": [{"role": "user", "content": "hello", "metadata": {"k": 1, "zm_x": "{"}}]});
    let path = ["threads", "theirs", "messages"];
    let (_, added) = service.call("POST", &path, Some(&said));
    let turn = added["message_uuids"][0].as_str().unwrap().to_owned();
    let mut client = world.connect();
    let memory = get(&mut client, &turn);
    assert_eq!(
        (&memory["kind"], &memory["memory"]),
        (&json!("message"), &json!("hello"))
    );
    assert_eq!(memory["metadata"], json!({"k": 1, "zm_x": "{"}));
    assert_eq!(
        (&memory["user_id"], &memory["run_id"]),
        (&json!("zoe"), &json!("theirs"))
    );
    let memory = get(&mut client, &text);
    assert_eq!(
        (&memory["kind"], &memory["memory"]),
        (&json!("episode"), &json!("Zoe paints"))
    );
    assert_eq!(
        (&memory["user_id"], &memory["metadata"]),
        (&json!("zoe"), &json!({}))
    );
    // It can be changed and deleted like any other.
    let changed = client.call(
        "update_memory",
        json!({"memory_id": text, "text": "Zoe draws", "metadata": {"a": {}}}),
    );
    assert_eq!(
        (&changed["memory"], &changed["metadata"]),
        (&json!("Zoe draws"), &json!({"a": {}}))
    );
    assert_eq!(service.texts("zoe").len(), 1);
    client.call(
        "update_memory",
        json!({"memory_id": turn, "metadata": {"k": 2}}),
    );
    assert_eq!(get(&mut client, &turn)["metadata"], json!({"k": 2}));
    assert_eq!(
        client.call("delete_memory", json!({"memory_id": turn}))["removed"],
        "all"
    );
    assert!(service.messages("theirs").is_empty());
}

#[test]
fn graphs_of_other_programs_are_not_looked_through() {
    let world = World::emulated();
    let service = Service::of(&world);
    let graph = json!({"graph_id": "of-another-program", "name": "x"});
    assert!(service.call("POST", &["graph", "create"], Some(&graph)).0 < 300);
    let body = json!({"graph_id": "of-another-program", "type": "text", "data": "secret"});
    let (_, answer) = service.call("POST", &["graph"], Some(&body));
    let mut client = world.connect();
    is_gone(&mut client, &json!({"memory_id": answer["uuid"]}));
    let error = client.refused("delete_memory", json!({"memory_id": answer["uuid"]}));
    assert_eq!(error["error"], "not_found");
    let listed = client.call("list_entities", json!({}));
    assert!(
        !listed.to_string().contains("of-another-program"),
        "{listed}"
    );
}

#[test]
fn among_too_many_users_an_id_needs_its_user() {
    let world = World::emulated();
    let service = Service::of(&world);
    for n in 0..120 {
        make_user(&service, &format!("user-{n:03}"));
    }
    let mut client = world.connect();
    let late = add_all(
        &mut client,
        json!({"text": "I am late", "user_id": "user-119"}),
    )
    .remove(0);
    let turn = add(
        &mut client,
        json!({"text": "hi", "user_id": "user-118", "session_id": "s"}),
    );
    // It was never shown to this server.
    let mut fresh = world.connect();
    for tool in ["get_memory", "delete_memory"] {
        fresh.refuses_argument(tool, json!({"memory_id": late}), "user_id");
    }
    assert_eq!(get(&mut fresh, &turn)["user_id"], "user-118");
    let named = json!({"memory_id": late, "user_id": "user-119"});
    assert_eq!(fresh.call("get_memory", named)["memory"], "I am late");
    assert_eq!(get(&mut fresh, &late)["memory"], "I am late");
    is_gone(&mut fresh, &json!({"memory_id": NOBODYS}));
}
