//! `get_memories`: which memories are listed, and in what order.

use serde_json::{Value, json};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::memory::model::Uuid;

use super::{add, in_order, listed, texts};
use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    the_newest_come_first_by_when_they_happened,
    memories_migrated_today_are_listed_by_when_they_happened,
    a_page_beyond_the_end_is_empty,
    a_long_text_is_found_by_any_of_its_parts,
    a_user_without_memories_has_an_empty_list,
);

fn everything() -> Value {
    json!({"user_id": "ann"})
}

fn page(client: &mut Client, arguments: Value) -> Value {
    client.call("get_memories", arguments)
}

fn the_newest_come_first_by_when_they_happened(world: &World) {
    let mut client = world.connect();
    for (text, more) in [
        ("of 2022", json!({"created_at": "2022-06-01T00:00:00Z"})),
        ("of today", json!({})),
        (
            "of 2020",
            json!({"created_at": "2020-06-01T00:00:00Z", "run_id": "s"}),
        ),
        (
            "of 2024, later",
            json!({"created_at": "2024-06-01T00:00:00.000000001Z"}),
        ),
        (
            "of 2024",
            json!({"created_at": "2024-06-01T00:00:00Z", "run_id": "s"}),
        ),
    ] {
        add(&mut client, text, &super::with(&more, &everything()));
    }
    let order = [
        "of today",
        "of 2024, later",
        "of 2024",
        "of 2022",
        "of 2020",
    ];
    for size in [1, 2, 5, 200] {
        assert_eq!(in_order(&listed(&mut client, &everything(), size)), order);
    }
}

fn memories_migrated_today_are_listed_by_when_they_happened(world: &World) {
    let mut client = world.connect();
    add(
        &mut client,
        "Lives in Oslo",
        &json!({"user_id": "ann", "created_at": "2024-01-01"}),
    );
    let export = json!({"results": [
        {"id": "m-1", "memory": "Was born in Bergen", "user_id": "ann",
         "created_at": "2019-03-01T10:00:00Z", "metadata": {"topic": "home"}},
        {"id": "m-2", "memory": "Moved to Oslo", "user_id": "ann",
         "created_at": "2021-03-01T10:00:00Z"},
    ]});
    client.call(
        "migrate_user",
        json!({"user": {"id": "ann"}, "data": export}),
    );
    let memories = listed(&mut client, &everything(), 10);
    assert_eq!(
        in_order(&memories),
        ["Lives in Oslo", "Moved to Oslo", "Was born in Bergen"]
    );
    assert_eq!(memories[2]["created_at"], "2019-03-01T10:00:00Z");
    let home = json!({"user_id": "ann", "metadata": {"topic": "home"}});
    assert_eq!(listed(&mut client, &home, 10).len(), 1);
}

fn a_page_beyond_the_end_is_empty(world: &World) {
    let mut client = world.connect();
    for n in 0..3 {
        add(&mut client, &format!("number {n}"), &everything());
    }
    for number in [3, 1_000_000, 4_294_967_294_u64] {
        let arguments = json!({"filters": everything(), "page": number, "page_size": 2});
        let beyond = page(&mut client, arguments);
        assert_eq!(
            (&beyond["results"], &beyond["count"]),
            (&json!([]), &json!(3))
        );
        assert_eq!(beyond["next"], Value::Null);
        assert!(beyond["previous"].is_string());
    }
    let last = page(
        &mut client,
        json!({"filters": everything(), "page": 2, "page_size": 2}),
    );
    assert_eq!(last["results"].as_array().unwrap().len(), 1);
    assert_eq!(last["next"], Value::Null);
    let first = page(
        &mut client,
        json!({"filters": everything(), "page_size": 3}),
    );
    assert_eq!(
        (&first["next"], &first["previous"]),
        (&Value::Null, &Value::Null)
    );
}

fn long_text() -> String {
    let filler = "The rain went on and the river rose. ".repeat(300);
    format!("{filler}We met the zebra. {filler}We fed the okapi. {filler}")
}

fn a_long_text_is_found_by_any_of_its_parts(world: &World) {
    let mut client = world.connect();
    let id = add(&mut client, &long_text(), &everything());
    add(&mut client, "Short", &everything());
    for word in ["zebra", "okapi"] {
        let filters = json!({"user_id": "ann", "keywords": word});
        let memories = listed(&mut client, &filters, 10);
        assert_eq!(memories.len(), 1, "{word}");
        let whole = client.call("get_memory", json!({"memory_id": id}));
        assert!(whole["memory"] == long_text().as_str(), "it is not whole");
    }
}

fn a_user_without_memories_has_an_empty_list(world: &World) {
    let mut client = world.connect();
    for filters in [
        everything(),
        json!({"agent_id": "nobody"}),
        json!({"user_id": "*"}),
    ] {
        let empty = page(&mut client, json!({"filters": filters}));
        assert_eq!(
            (&empty["results"], &empty["count"]),
            (&json!([]), &json!(0))
        );
        assert_eq!(
            (&empty["next"], &empty["previous"]),
            (&Value::Null, &Value::Null)
        );
    }
}

/// Marks a fact in the store's own file as no longer true: no API of Zep does that.
fn make_invalid(world: &World, file: &str, fact: &Value) {
    let path = world.directory().join(file);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = LocalZep::open(&path, Behavior::default()).unwrap();
        let fact = Uuid(fact.as_str().unwrap().to_owned());
        let since = "2024-05-01T00:00:00Z".parse().ok();
        store.set_fact_validity(&fact, since, None).await.unwrap();
    });
}

fn what_is_no_longer_true_is_listed_only_if_asked_for(world: &World, file: &str) {
    let mut client = world.connect();
    let session = json!({"user_id": "ann", "run_id": "s"});
    add(&mut client, "Lives in Bergen", &session);
    add(&mut client, "Lives in Oslo", &session);
    let both = listed(&mut client, &everything(), 10);
    let old = both
        .iter()
        .find(|memory| memory["memory"] == "Lives in Bergen");
    make_invalid(world, file, &old.unwrap()["id"]);

    assert_eq!(
        texts(&listed(&mut client, &everything(), 10)),
        ["Lives in Oslo"]
    );
    let all = json!({"filters": everything(), "include_invalid": true});
    let all = page(&mut client, all);
    assert_eq!(all["count"], 2);
    let results = all["results"].as_array().unwrap();
    let old = results
        .iter()
        .find(|memory| memory["memory"] == "Lives in Bergen");
    assert_eq!(old.unwrap()["invalid_at"], "2024-05-01T00:00:00Z");

    let mut search = json!({"query": "lives", "filters": everything()});
    let found = super::found(&mut client, search.clone());
    let facts = found.iter().filter(|memory| memory["kind"] == "fact");
    assert_eq!(facts.count(), 1, "{found:?}");
    search["include_invalid"] = json!(true);
    assert_eq!(super::found(&mut client, search).len(), 2);
}

#[test]
fn what_is_no_longer_true_is_listed_only_if_asked_for_on_the_embedded_store() {
    what_is_no_longer_true_is_listed_only_if_asked_for(&World::embedded(), "data/memory.db");
}

#[test]
fn what_is_no_longer_true_is_listed_only_if_asked_for_on_zeps_api() {
    let world = World::emulated_with(&["--data", "zep.db"]);
    what_is_no_longer_true_is_listed_only_if_asked_for(&world, "zep.db");
}

#[test]
fn texts_and_turns_are_listed_until_their_facts_are() {
    let world = World::emulated_with(&["--processing-delay", "600000"]);
    let mut client = world.connect();
    let text = add(
        &mut client,
        "Keeps bees",
        &json!({"user_id": "ann", "metadata": {"k": 1}}),
    );
    let turn = add(
        &mut client,
        "Said in passing",
        &json!({"user_id": "ann", "run_id": "s"}),
    );
    let long = add(&mut client, &long_text(), &everything());
    let agents = add(&mut client, "Be brief", &json!({"agent_id": "coach"}));

    let memories = listed(&mut client, &everything(), 1);
    assert_eq!(memories.len(), 3, "{memories:?}");
    let kinds = [("episode", &long), ("message", &turn), ("episode", &text)];
    for (memory, (kind, id)) in memories.iter().zip(kinds) {
        assert_eq!((&memory["kind"], &memory["id"]), (&json!(kind), &json!(id)));
    }
    assert!(
        memories[0]["memory"] == long_text().as_str(),
        "it is not whole"
    );
    assert_eq!(memories[2]["metadata"], json!({"k": 1}));
    for (filters, ids) in [
        (json!({"agent_id": "coach"}), vec![&agents]),
        (json!({"user_id": "ann", "metadata": {"k": 1}}), vec![&text]),
        (json!({"user_id": "ann", "keywords": "okapi"}), vec![&long]),
        (json!({"user_id": "ann", "run_id": "s"}), vec![&turn]),
    ] {
        let memories = listed(&mut client, &filters, 10);
        let there: Vec<_> = memories.iter().map(|memory| &memory["id"]).collect();
        assert_eq!(there, ids, "{filters}");
    }

    world.behave(&json!({"processing_delay_ms": 0}));
    let memories = listed(&mut client, &everything(), 10);
    assert!(
        memories.iter().all(|memory| memory["kind"] == "fact"),
        "{memories:?}"
    );
    let mut sources: Vec<_> = memories
        .iter()
        .map(|memory| memory["sources"][0].as_str().unwrap())
        .collect();
    assert!(sources.contains(&text.as_str()) && sources.contains(&long.as_str()));
    let count = sources.len();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources.len(), count, "each fact once");
}
