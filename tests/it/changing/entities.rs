//! Deleting an entity removes everything of its own; the list names the entities that have
//! memories.

use serde_json::{Value, json};

use super::{add, facts_of, get, is_gone, listed, shown};
use crate::common::program::{Client, World};
use crate::common::{on_both_backends, wait_until};

on_both_backends!(
    a_user_goes_with_everything,
    an_agent_goes_with_its_own_memory,
    with_an_agent_or_app_goes_what_the_default_user_has_of_it,
    a_run_of_the_default_user_goes,
    exactly_one_entity_is_deleted,
    what_is_not_there_is_not_deleted,
    a_session_id_of_a_deleted_user_is_free_and_nothing_of_theirs_is_reachable,
    entities_are_listed_with_counts,
);

/// The listed entities, as `type id`.
fn entities(client: &mut Client) -> Vec<String> {
    let all = client.call("list_entities", json!({}));
    let all = all["results"].as_array().unwrap();
    let mut all: Vec<String> = all
        .iter()
        .map(|one| {
            format!(
                "{} {}",
                one["type"].as_str().unwrap(),
                one["id"].as_str().unwrap()
            )
        })
        .collect();
    all.sort();
    all
}

/// The list once it has this length: marker graphs are created after the write.
fn until_listed(client: &mut Client, count: u64) -> Value {
    let mut all = Value::Null;
    wait_until("all of them are listed", || {
        all = client.call("list_entities", json!({}));
        all["count"] == count
    });
    all
}

fn furnish(client: &mut Client) {
    for user in ["ann", "bob", "mem0-mcp"] {
        add(client, json!({"text": "Marker", "user_id": user}));
        add(
            client,
            json!({"text": "Marker", "user_id": user, "session_id": "s"}),
        );
    }
    for agent in ["ann", "bot"] {
        add(client, json!({"text": "Marker", "agent_id": agent}));
    }
}

const ALL: [&str; 8] = [
    "agent ann",
    "agent bot",
    "run s",
    "run s",
    "run s",
    "user ann",
    "user bob",
    "user mem0-mcp",
];

fn all_but(gone: &[&str]) -> Vec<&'static str> {
    let mut all = ALL.to_vec();
    for gone in gone {
        let place = all.iter().position(|one| one == gone).unwrap();
        all.remove(place);
    }
    all
}

fn a_user_goes_with_everything(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    assert_eq!(entities(&mut client), ALL);
    let deleted = client.call("delete_entities", json!({"user_id": "ann"}));
    assert_eq!(
        (&deleted["complete"], &deleted["backend"]),
        (&json!(true), &json!(world.backend()))
    );
    assert_eq!(
        deleted["removed"],
        json!({"entity": true, "sessions": 1, "messages": null, "memories": null, "facts": null})
    );
    for mut client in [client, world.connect()] {
        assert_eq!(entities(&mut client), all_but(&["user ann", "run s"]));
        assert!(shown(&mut client, "ann", "marker").is_empty());
        assert_eq!(listed(&mut client, "bob").len(), 2);
    }
}

fn an_agent_goes_with_its_own_memory(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "agent_id": "ann"}),
    );
    assert_eq!(
        client.call("delete_entities", json!({"agent_id": "ann"}))["removed"]["entity"],
        true
    );
    assert_eq!(entities(&mut client), all_but(&["agent ann"]));
    assert!(
        client
            .search(json!({"query": "marker", "agent_id": "ann"}))
            .is_empty()
    );
    assert_eq!(listed(&mut client, "ann").len(), 3);
    // It is created again when needed.
    add(&mut client, json!({"text": "Marker", "agent_id": "ann"}));
    assert_eq!(entities(&mut client), ALL);
}

fn with_an_agent_or_app_goes_what_the_default_user_has_of_it(world: &World) {
    let mut client = world.connect();
    for user in ["ann", "mem0-mcp"] {
        for (agent, app) in [("bot", "shop"), ("cat", "desk")] {
            let marked =
                json!({"text": "Marker", "user_id": user, "agent_id": agent, "app_id": app});
            add(&mut client, marked);
        }
    }
    add(&mut client, json!({"text": "Marker", "agent_id": "bot"}));
    // Two users, two agents, two apps.
    assert_eq!(until_listed(&mut client, 6)["count"], 6);
    let gone = client.call("delete_entities", json!({"agent_id": "bot"}));
    assert_eq!(
        (&gone["removed"]["entity"], &gone["removed"]["memories"]),
        (&json!(true), &json!(1))
    );
    assert!(
        client
            .search(json!({"query": "marker", "agent_id": "bot"}))
            .is_empty()
    );
    let gone = client.call("delete_entities", json!({"app_id": "desk"}));
    assert_eq!(
        (&gone["removed"]["entity"], &gone["removed"]["memories"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        entities(&mut client),
        ["agent cat", "app shop", "user ann", "user mem0-mcp"]
    );
    assert!(listed(&mut client, "mem0-mcp").is_empty());
    assert_eq!(listed(&mut client, "ann").len(), 2);
    for named in [json!({"agent_id": "bot"}), json!({"app_id": "desk"})] {
        assert_eq!(
            client.refused("delete_entities", named)["error"],
            "not_found"
        );
    }
}

fn a_run_of_the_default_user_goes(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    let deleted = client.call("delete_entities", json!({"run_id": "s"}));
    assert_eq!(
        (
            &deleted["removed"]["sessions"],
            &deleted["removed"]["messages"]
        ),
        (&json!(1), &json!(1))
    );
    assert_eq!(entities(&mut client), all_but(&["run s"]));
    assert_eq!(listed(&mut client, "mem0-mcp").len(), 1);
    for user in ["ann", "bob"] {
        assert_eq!(client.read_session(user, "s").len(), 1);
    }
}

fn exactly_one_entity_is_deleted(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    let ids = [
        ("user_id", "ann"),
        ("agent_id", "bot"),
        ("app_id", "x"),
        ("run_id", "s"),
    ];
    for (n, (one, id)) in ids.iter().enumerate() {
        for (other, with) in &ids[n + 1..] {
            let error = client.refused("delete_entities", json!({ *one: id, *other: with }));
            assert_eq!(error["error"], "invalid_argument");
            assert!(
                error["detail"].as_str().unwrap().contains("exactly one"),
                "{error}"
            );
        }
    }
    assert_eq!(
        client.refused("delete_entities", json!({}))["error"],
        "scope_missing"
    );
    assert_eq!(entities(&mut client), ALL);
}

fn what_is_not_there_is_not_deleted(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    for entity in [
        json!({"user_id": "nobody"}),
        json!({"agent_id": "nobody"}),
        json!({"run_id": "t"}),
    ] {
        let error = client.refused("delete_entities", entity);
        assert_eq!(error["error"], "not_found");
        assert!(
            error["detail"].as_str().unwrap().contains("list_entities"),
            "{error}"
        );
    }
    assert_eq!(entities(&mut client), ALL);
}

fn a_session_id_of_a_deleted_user_is_free_and_nothing_of_theirs_is_reachable(world: &World) {
    let mut client = world.connect();
    let mut other = world.connect();
    let turn = add(
        &mut client,
        json!({"text": "Marker of ann", "user_id": "ann", "session_id": "s"}),
    );
    let text = add(
        &mut client,
        json!({"text": "Marker of ann", "user_id": "ann"}),
    );
    let fact = facts_of(&mut client, "ann", &text)[0]["id"].clone();
    let ids = [json!(turn), json!(text), fact];
    for id in &ids {
        for client in [&mut client, &mut other] {
            // Now the owner is known.
            assert_eq!(get(client, id.as_str().unwrap())["user_id"], "ann");
            client.read_session("ann", "s");
        }
    }
    client.call("delete_entities", json!({"user_id": "ann"}));
    add(
        &mut client,
        json!({"text": "Marker of bob", "user_id": "bob", "session_id": "s"}),
    );
    for mut client in [client, other, world.connect()] {
        for id in &ids {
            for whose in [
                json!({"memory_id": id}),
                json!({"memory_id": id, "user_id": "ann"}),
                json!({"memory_id": id, "user_id": "bob"}),
            ] {
                is_gone(&mut client, &whose);
            }
        }
        let read = client.read_session("bob", "s");
        assert_eq!(
            (read.len(), &read[0]["content"]),
            (1, &json!("Marker of bob"))
        );
        let error = client.refused("get_session", json!({"user_id": "ann", "session_id": "s"}));
        assert_eq!(error["error"], "no_such_session", "{error}");
        assert!(shown(&mut client, "ann", "marker").is_empty());
        assert_eq!(shown(&mut client, "bob", "marker").len(), 1);
    }
    // The returning user has a conversation of their own with that id.
    let mut client = world.connect();
    add(
        &mut client,
        json!({"text": "Marker again", "user_id": "ann", "session_id": "s"}),
    );
    assert_eq!(client.read_session("ann", "s").len(), 1);
    assert_eq!(client.read_session("bob", "s").len(), 1);
    let deleted = client.call(
        "delete_all_memories",
        json!({"user_id": "ann", "run_id": "s"}),
    );
    assert_eq!(deleted["removed"]["messages"], 1);
    assert_eq!(client.read_session("bob", "s").len(), 1);
}

fn entities_are_listed_with_counts(world: &World) {
    let mut client = world.connect();
    assert_eq!(client.call("list_entities", json!({}))["count"], 0);
    furnish(&mut client);
    add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "session_id": "t"}),
    );
    // An agent or app named beside a user is listed from its first memory on, too.
    for (agent, app) in [("bot", "shop"), ("ann", "desk"), ("bot", "desk")] {
        add(
            &mut client,
            json!({"text": "Marker", "user_id": "ann", "agent_id": agent, "app_id": app}),
        );
    }
    let all = until_listed(&mut client, 11);
    for (field, value) in [
        ("count", json!(11)),
        ("total_users", json!(3)),
        ("total_agents", json!(2)),
        ("total_apps", json!(2)),
        ("total_runs", json!(4)),
        ("truncated", json!(false)),
        ("next", Value::Null),
        ("previous", Value::Null),
    ] {
        assert_eq!(all[field], value, "{field}: {all}");
    }
    let results = all["results"].as_array().unwrap();
    let ann = results
        .iter()
        .find(|one| one["id"] == "ann" && one["type"] == "user")
        .unwrap();
    assert_eq!(
        (&ann["total_runs"], &ann["owner"]),
        (&json!(2), &json!("ann"))
    );
    assert!(
        ann["created_at"].is_string() && ann["updated_at"].is_string(),
        "{ann}"
    );
    // A run is listed by its user's name for it, regardless of its thread's id.
    let runs: Vec<&Value> = results
        .iter()
        .filter(|one| one["type"] == "run" && one["id"] == "s")
        .collect();
    let mut owners: Vec<&str> = runs
        .iter()
        .map(|run| run["user_id"].as_str().unwrap())
        .collect();
    owners.sort_unstable();
    assert_eq!(owners, ["ann", "bob", "mem0-mcp"]);
    assert!(!all.to_string().contains("::zm::"), "{all}");
    let all = client.call("list_entities", json!({"user_id": "ann"}));
    assert!(all["notes"].to_string().contains("`user_id`"), "{all}");
}
