//! A fact is changed in place, and deleting it reports what remains.

use serde_json::{Value, json};

use super::{add, facts_of, found, get, is_gone, listed};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    a_facts_words_and_fields_change_in_their_place,
    deleting_a_fact_reports_its_sources,
    a_fact_too_long_for_zep_is_refused_and_stays,
);

fn a_facts_words_and_fields_change_in_their_place(world: &World) {
    let mut client = world.connect();
    let source = add(
        &mut client,
        json!({"text": "Ann lives in Rome", "user_id": "ann", "metadata": {"from": "source"},
               "created_at": "2024-01-01"}),
    );
    let fact = facts_of(&mut client, "ann", &source)[0]["id"].clone();
    let changed = client.call(
        "update_memory",
        json!({"memory_id": fact, "text": "Ann lives in 東京"}),
    );
    assert_eq!((&changed["id"], &changed["kind"]), (&fact, &json!("fact")));
    assert_eq!(changed["previous_id"], Value::Null);
    assert_eq!(changed["memory"], "Ann lives in 東京");
    // It has no fields of its own yet.
    assert_eq!(changed["metadata"], json!({"from": "source"}));
    assert_eq!(changed["created_at"], "2024-01-01T00:00:00Z");
    assert_ne!(changed["updated_at"], changed["created_at"]);
    let own = json!({"of": {"its": ["own"]}, "categories": ["home"]});
    client.call("update_memory", json!({"memory_id": fact, "metadata": own}));
    for mut client in [client, world.connect()] {
        let id = fact.as_str().unwrap();
        let mut all = vec![get(&mut client, id)];
        for memories in [
            listed(&mut client, "ann"),
            found(&mut client, "ann", "Ann lives"),
        ] {
            assert_eq!(memories.len(), 1, "{memories:?}");
            all.extend(memories);
        }
        for memory in all {
            assert_eq!(memory["id"], fact);
            assert_eq!(memory["memory"], "Ann lives in 東京");
            assert_eq!(memory["metadata"], own);
            assert_eq!(memory["categories"], json!(["home"]));
            assert_eq!(memory["created_at"], "2024-01-01T00:00:00Z");
            assert_eq!(memory["sources"], json!([source]));
        }
        // The source text is unchanged.
        let said = get(&mut client, &source);
        assert_eq!(
            (&said["memory"], &said["metadata"]),
            (&json!("Ann lives in Rome"), &json!({"from": "source"}))
        );
    }
}

fn deleting_a_fact_reports_its_sources(world: &World) {
    let mut client = world.connect();
    let source = add(
        &mut client,
        json!({"text": "Ann lives in Rome", "user_id": "ann"}),
    );
    let fact = facts_of(&mut client, "ann", &source)[0]["id"].clone();
    let deleted = client.call("delete_memory", json!({ "memory_id": fact }));
    assert_eq!(
        (&deleted["kind"], &deleted["removed"]),
        (&json!("fact"), &json!("fact_only"))
    );
    assert_eq!(deleted["sources"], json!([source]));
    assert_eq!(
        (&deleted["id"], &deleted["backend"]),
        (&fact, &json!(world.backend()))
    );
    assert!(
        deleted["detail"].as_str().unwrap().contains("still stored"),
        "{deleted}"
    );
    is_gone(&mut client, &json!({ "memory_id": fact }));
    assert_eq!(
        client.refused("delete_memory", json!({"memory_id": fact}))["error"],
        "not_found"
    );
    assert_eq!(get(&mut client, &source)["memory"], "Ann lives in Rome");
    assert_eq!(
        client.call("delete_memory", json!({"memory_id": source}))["removed"],
        "all"
    );
    assert!(listed(&mut client, "ann").is_empty());
}

fn a_fact_too_long_for_zep_is_refused_and_stays(world: &World) {
    let mut client = world.connect();
    let source = add(
        &mut client,
        json!({"text": "Ann lives in Rome", "user_id": "ann"}),
    );
    let fact = facts_of(&mut client, "ann", &source)[0]["id"].clone();
    let error = client.refused(
        "update_memory",
        json!({"memory_id": fact, "text": "word ".repeat(10_000)}),
    );
    assert!(
        ["invalid_argument", "invalid", "invalid_request"]
            .contains(&error["error"].as_str().unwrap()),
        "{error}"
    );
    assert_eq!(
        get(&mut client, fact.as_str().unwrap())["memory"],
        "Ann lives in Rome"
    );
}
