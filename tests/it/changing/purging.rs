//! Deleting all memories of a user, an agent or a conversation: all of these, nothing else, and the
//! answer counts them.

use serde_json::{Value, json};

use super::{add, add_all, episode, facts_of, is_gone, listed, shown};
use crate::common::on_both_backends;
use crate::common::program::{Client, World};
use crate::common::service::Service;

on_both_backends!(
    all_of_a_users_memories_go_and_the_user_stays,
    a_conversation_goes_and_everything_else_stays,
    an_agents_own_memories_go_and_those_of_users_stay,
    nothing_is_nothing_to_delete,
    deleting_for_everybody_is_refused,
    without_a_scope_nothing_is_deleted,
);

const LONG: &str = "Marker long. ";

/// Two users with the same session names, and an agent with a memory of its own.
fn furnish(client: &mut Client) {
    for user in ["ann", "bob"] {
        for session in ["s", "t", "default"] {
            let said: Vec<Value> = (0..3)
                .map(|n| json!({"role": "user", "content": format!("Marker turn {n}")}))
                .collect();
            add_all(
                client,
                json!({"messages": said, "user_id": user, "session_id": session}),
            );
        }
        for n in 0..60 {
            add(
                client,
                json!({"text": format!("Marker text {n}"), "user_id": user}),
            );
        }
        add(client, json!({"text": LONG.repeat(2_000), "user_id": user}));
    }
    add(
        client,
        json!({"text": "Marker of its own", "agent_id": "ann"}),
    );
}

/// All of it exists.
fn is_whole(client: &mut Client, user: &str) {
    assert_eq!(
        client.call("list_sessions", json!({"user_id": user}))["total_count"],
        3
    );
    for session in ["s", "t", "default"] {
        assert_eq!(client.read_session(user, session).len(), 3);
    }
    lists_all(client, user, 9 + 60);
}

/// This many short memories are listed, and the whole long one: Zep draws a fact from each of its parts,
/// the embedded store one from all.
fn lists_all(client: &mut Client, user: &str, short: usize) {
    let (long, others): (Vec<Value>, Vec<Value>) = listed(client, user)
        .into_iter()
        .partition(|one| one["memory"].as_str().unwrap().contains("long"));
    assert_eq!(others.len(), short);
    let text = |one: &Value| one["memory"].as_str().unwrap().len();
    assert_eq!(long.iter().map(text).sum::<usize>(), LONG.len() * 2_000);
}

fn agent_is_whole(client: &mut Client) {
    let own = client.search(json!({"query": "marker", "agent_id": "ann"}));
    assert_eq!(own.len(), 1, "{own:?}");
}

fn all_of_a_users_memories_go_and_the_user_stays(world: &World) {
    let mut client = world.connect();
    let profile = json!({"user": {"id": "ann", "name": "Ann Lee", "metadata": {"tz": "UTC"}},
                         "data": {"memories": [{"memory": "Marker moved"}]}});
    assert_eq!(client.call("migrate_user", profile)["success"], true);
    furnish(&mut client);
    let deleted = client.call("delete_all_memories", json!({"user_id": "ann"}));
    for (field, value) in [
        ("message", json!("Memories deleted successfully!")),
        ("complete", json!(true)),
        (
            "removed",
            json!({"entity": false, "sessions": 3, "messages": 9, "memories": 1 + 60 + 3, "facts": 0}),
        ),
        ("failures", json!([])),
        ("failures_not_listed", json!(0)),
        ("backend", json!(world.backend())),
    ] {
        assert_eq!(deleted[field], value, "{field}: {deleted}");
    }
    for mut client in [client, world.connect()] {
        assert!(shown(&mut client, "ann", "marker").is_empty());
        assert_eq!(
            client.call("list_sessions", json!({"user_id": "ann"}))["total_count"],
            0
        );
        let entities = client.call("list_entities", json!({}));
        let ann = entities["results"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["id"] == "ann" && one["type"] == "user");
        let ann = ann.unwrap_or_else(|| panic!("the user is gone: {entities}"));
        assert_eq!(
            (&ann["name"], &ann["metadata"]["tz"]),
            (&json!("Ann Lee"), &json!("UTC"))
        );
        is_whole(&mut client, "bob");
        agent_is_whole(&mut client);
        let again = client.call("delete_all_memories", json!({"user_id": "ann"}));
        assert_eq!(again["removed"]["memories"], 0, "{again}");
    }
}

fn a_conversation_goes_and_everything_else_stays(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    let before = listed(&mut client, "ann").len();
    let deleted = client.call(
        "delete_all_memories",
        json!({"user_id": "ann", "run_id": "s"}),
    );
    assert_eq!(
        deleted["removed"],
        json!({"entity": false, "sessions": 1, "messages": 3, "memories": 0, "facts": 0})
    );
    for mut client in [client, world.connect()] {
        let error = client.refused("get_session", json!({"user_id": "ann", "session_id": "s"}));
        assert_eq!(error["error"], "no_such_session");
        assert_eq!(client.read_session("ann", "t").len(), 3);
        assert_eq!(listed(&mut client, "ann").len(), before - 3);
        is_whole(&mut client, "bob");
    }
    let mut client = world.connect();
    // A run alone belongs to the default user.
    add(&mut client, json!({"text": "Marker", "run_id": "s"}));
    assert_eq!(
        client.call("delete_all_memories", json!({"run_id": "s"}))["removed"]["messages"],
        1
    );
    is_whole(&mut client, "bob");
    let error = client.refused("delete_all_memories", json!({"run_id": "t"}));
    assert_eq!(error["error"], "no_such_session", "{error}");
    is_whole(&mut client, "bob");
}

fn an_agents_own_memories_go_and_those_of_users_stay(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    add(
        &mut client,
        json!({"text": "Marker of ann and bot", "user_id": "ann", "agent_id": "bot"}),
    );
    for text in ["Marker one", "Marker two"] {
        add(&mut client, json!({"text": text, "agent_id": "bot"}));
    }
    let deleted = client.call("delete_all_memories", json!({"agent_id": "bot"}));
    assert_eq!(deleted["removed"]["memories"], 2, "{deleted}");
    assert!(
        client
            .search(json!({"query": "marker", "agent_id": "bot"}))
            .is_empty()
    );
    lists_all(&mut client, "ann", 9 + 60 + 1);
    agent_is_whole(&mut client);
    let entities = client.call("list_entities", json!({}));
    assert!(
        entities["results"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["id"] == "bot"),
        "{entities}"
    );
}

fn nothing_is_nothing_to_delete(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    let nothing = json!({"entity": false, "sessions": 0, "messages": 0, "memories": 0, "facts": 0});
    for scope in [
        json!({"user_id": "nobody"}),
        json!({"agent_id": "nobody"}),
        json!({"app_id": "nothing"}),
        json!({"user_id": "ann", "agent_id": "nobody"}),
        json!({"user_id": "nobody", "agent_id": "nobody", "app_id": "nothing"}),
        json!({"user_id": "ann", "run_id": "s", "agent_id": "nobody"}),
    ] {
        let deleted = client.call("delete_all_memories", scope.clone());
        assert_eq!(
            (&deleted["removed"], &deleted["complete"]),
            (&nothing, &json!(true)),
            "{scope}"
        );
    }
    is_whole(&mut client, "ann");
    let entities = client.call("list_entities", json!({}));
    assert!(
        !entities.to_string().contains("nobody"),
        "asking made somebody: {entities}"
    );
}

fn deleting_for_everybody_is_refused(world: &World) {
    let mut client = world.connect();
    furnish(&mut client);
    for field in ["user_id", "agent_id", "app_id", "run_id"] {
        for all in ["*", " * "] {
            for tool in ["delete_all_memories", "delete_entities"] {
                let mut scope = json!({ field: all });
                client.refuses_argument(tool, scope.clone(), field);
                scope[if field == "user_id" {
                    "agent_id"
                } else {
                    "user_id"
                }] = json!("ann");
                client.refuses_argument(tool, scope, field);
            }
        }
        for id in ["", " ", "..", "a\nb"] {
            client.refuses_argument("delete_all_memories", json!({ field: id }), field);
            client.refuses_argument("delete_entities", json!({ field: id }), field);
        }
    }
    is_whole(&mut client, "ann");
    is_whole(&mut client, "bob");
    agent_is_whole(&mut client);
}

fn without_a_scope_nothing_is_deleted(world: &World) {
    let mut client = world.connect();
    add(&mut client, json!({"text": "Marker"}));
    for arguments in [json!({}), json!({"user_id": null, "agent_id": null})] {
        let error = client.refused("delete_all_memories", arguments.clone());
        assert_eq!(error["error"], "scope_missing");
        let detail = error["detail"].as_str().unwrap();
        assert!(
            detail.contains("mem0-mcp") && detail.contains("user_id"),
            "{detail}"
        );
        assert_eq!(
            client.refused("delete_entities", arguments)["error"],
            "scope_missing"
        );
    }
    client.refuses_argument(
        "delete_all_memories",
        json!({"usr_id": "mem0-mcp"}),
        "usr_id",
    );
    assert_eq!(listed(&mut client, "mem0-mcp").len(), 1);
    assert_eq!(
        client.call("delete_all_memories", json!({"user_id": "mem0-mcp"}))["removed"]["memories"],
        1
    );
}

#[test]
fn what_cannot_be_deleted_is_reported_and_the_rest_is_deleted() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    let mut texts = Vec::new();
    for n in 0..70 {
        texts.push(add(
            &mut client,
            json!({"text": format!("Marker {n}"), "user_id": "ann"}),
        ));
    }
    for session in ["s", "t", "u"] {
        add(
            &mut client,
            json!({"text": "Marker", "user_id": "ann", "session_id": session}),
        );
    }
    let refuse = |method: &str, path: &str, times: u32| {
        let fault = json!({"kind": "fail", "status": 403});
        service.next(&json!({"method": method, "path": path, "times": times, "fault": fault}));
    };
    refuse("DELETE", "/api/v2/threads/t", 10);
    for text in &texts[..30] {
        refuse("DELETE", &format!("/api/v2/graph/episodes/{text}"), 10);
    }
    let deleted = client.call("delete_all_memories", json!({"user_id": "ann"}));
    assert_eq!(deleted["complete"], false, "{deleted:#}");
    assert!(
        deleted["message"].as_str().unwrap().contains("call again"),
        "{deleted:#}"
    );
    assert_eq!(
        (
            &deleted["removed"]["sessions"],
            &deleted["removed"]["memories"]
        ),
        (&json!(2), &json!(40))
    );
    let failures = deleted["failures"].as_array().unwrap();
    assert_eq!(
        (failures.len(), &deleted["failures_not_listed"]),
        (20, &json!(11))
    );
    assert_eq!(failures[0]["what"], "session t");
    assert!(
        failures[1]["what"].as_str().unwrap().contains(&texts[0]),
        "{deleted:#}"
    );
    assert_eq!(service.texts("ann").len(), 30);
    assert_eq!(service.threads(), [("t".to_owned(), "ann".to_owned())]);
    service.calm();
    let again = client.call("delete_all_memories", json!({"user_id": "ann"}));
    assert_eq!(
        (&again["complete"], &again["removed"]["sessions"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(again["removed"]["memories"], 30);
    assert!(service.texts("ann").is_empty() && service.threads().is_empty());
    assert_eq!(service.users(), ["ann"]);
}

#[test]
fn what_was_deleted_is_reported_although_the_rest_cannot_be_listed() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    add(&mut client, json!({"text": "Marker", "user_id": "ann"}));
    add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "session_id": "s"}),
    );
    let fault = json!({"kind": "fail", "status": 403});
    service.next(&json!({"path": "/api/v2/graph/episodes/user/", "times": 10, "fault": fault}));
    let deleted = client.call("delete_all_memories", json!({"user_id": "ann"}));
    assert_eq!(
        (&deleted["complete"], &deleted["removed"]["sessions"]),
        (&json!(false), &json!(1)),
        "{deleted}"
    );
    assert_eq!(deleted["failures"].as_array().unwrap().len(), 1);
    service.calm();
    let again = client.call("delete_all_memories", json!({"user_id": "ann"}));
    assert_eq!(
        (&again["complete"], &again["removed"]["memories"]),
        (&json!(true), &json!(1))
    );
}

#[test]
fn a_deletion_with_lost_answers_is_reported_correctly() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    for (n, kind) in [
        json!({"kind": "drop_answer"}),
        json!({"kind": "fail_after", "status": 503}),
    ]
    .iter()
    .enumerate()
    {
        let user = format!("user-{n}");
        let text = add(&mut client, json!({"text": "Marker", "user_id": user}));
        add(
            &mut client,
            json!({"text": "Marker", "user_id": user, "session_id": "s"}),
        );
        service.next(&json!({"method": "DELETE", "path": "/api/v2/threads", "fault": kind}));
        service.next(&json!({"method": "DELETE", "path": "/api/v2/graph/episodes", "fault": kind}));
        let deleted = client.call("delete_all_memories", json!({"user_id": user}));
        assert_eq!(
            deleted["removed"],
            json!({"entity": false, "sessions": 1, "messages": 1, "memories": 1, "facts": 0})
        );
        assert_eq!(episode(&service, &text), None);
        service.next(&json!({"method": "DELETE", "path": "/api/v2/users", "fault": kind}));
        let deleted = client.call("delete_entities", json!({"user_id": user}));
        assert_eq!(
            (&deleted["removed"]["entity"], &deleted["complete"]),
            (&json!(true), &json!(true))
        );
        is_gone(&mut client, &json!({"memory_id": text}));
    }
    assert!(service.users().is_empty());
}

#[test]
fn facts_that_outlive_their_sources_go_too() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    let text = add(&mut client, json!({"text": "Marker", "user_id": "ann"}));
    let fact = facts_of(&mut client, "ann", &text)[0]["id"].clone();
    client.call(
        "update_memory",
        json!({"memory_id": fact, "text": "Marker of a changed fact"}),
    );
    client.call("delete_all_memories", json!({"user_id": "ann"}));
    let (status, _) = service.call("GET", &["graph", "edge", fact.as_str().unwrap()], None);
    assert_eq!(status, 404);
    assert!(shown(&mut client, "ann", "marker").is_empty());
}
