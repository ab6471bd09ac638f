//! Changes that meet other events: a cancelled caller, fields set part by part, a repeated
//! migration of what was changed.

use std::time::Duration;

use serde_json::{Value, json};

use super::{add, get, listed, shown};
use crate::common::on_both_backends;
use crate::common::program::{World, outcome};
use crate::common::service::Service;
use crate::common::wait_until;

on_both_backends!(what_was_changed_here_stays_changed_when_its_source_is_migrated_again,);

fn what_was_changed_here_stays_changed_when_its_source_is_migrated_again(world: &World) {
    let mut client = world.connect();
    let arguments = json!({
        "user": {"id": "jane", "name": "Jane"},
        "data": {"memories": [
            {"id": "m1", "memory": "Jane likes rain", "created_at": "2024-01-01T00:00:00Z"},
            {"id": "m2", "memory": "Jane likes snow", "created_at": "2024-01-02T00:00:00Z"},
        ]},
    });
    assert_eq!(
        client.call("migrate_user", arguments.clone())["memories_migrated"],
        2
    );
    let rain = listed(&mut client, "jane").pop().unwrap();
    assert_eq!(rain["memory"], "Jane likes rain");
    client.call(
        "update_memory",
        json!({"memory_id": rain["sources"][0], "text": "Jane likes sun"}),
    );
    let again = client.call("migrate_user", arguments.clone());
    assert_eq!(
        (&again["memories_migrated"], &again["already_there"]),
        (&json!(0), &json!(2)),
        "{again}"
    );
    let all: Vec<String> = shown(&mut client, "jane", "Jane likes")
        .into_iter()
        .collect();
    assert_eq!(all, ["Jane likes snow", "Jane likes sun"]);
}

#[test]
fn a_change_that_is_cancelled_neither_loses_nor_doubles() {
    let world = World::emulated_with(&["--latency", "30"]);
    let service = Service::of(&world);
    let mut client = world.connect();
    let text = |word: &str| format!("Marker of {word}. ").repeat(1_500);
    for wait in (20..600).step_by(60) {
        let user = format!("user-{wait}");
        let id = add(&mut client, json!({"text": text("old"), "user_id": user}));
        let change = json!({"memory_id": id, "text": text("new"), "user_id": user});
        let asked = client.ask_tool("update_memory", &change);
        std::thread::sleep(Duration::from_millis(wait));
        client.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                            "params": {"requestId": asked}}),
        );
        let asked = client.ask_tool("update_memory", &change);
        if let Err(error) = outcome(&client.answer_to(asked)) {
            assert_eq!(error["error"], "not_found", "{error}");
        }
        wait_until("one of the two is deleted", || {
            let question = json!({"query": "marker", "user_id": user, "scope": "episodes"});
            let found = client.search(question);
            assert_eq!(found.len(), 1, "after {wait} ms");
            assert!(
                found[0]["memory"] == text("new").as_str(),
                "after {wait} ms: it is not the new one"
            );
            service.texts(&user).len() == 3
        });
    }
}

#[test]
fn fields_that_are_set_in_some_parts_only_are_set_in_all_by_the_same_call() {
    for patch in ["merges", "replaces"] {
        let world = World::emulated_with(&["--metadata-patch", patch]);
        let service = Service::of(&world);
        let mut client = world.connect();
        let many = |word: &str| -> Value {
            (0..12)
                .map(|n| (format!("{word} {n}"), json!(n)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let (old, new) = (many("old"), many("new"));
        for after in 0..40 {
            let user = format!("user-{after}");
            let text = "Marker words. ".repeat(2_000);
            let id = add(
                &mut client,
                json!({"text": text, "user_id": user, "metadata": old}),
            );
            let fault = json!({"kind": "fail", "status": 401});
            service.next(
                &json!({"after": after, "times": 100_000, "path": "/api/v2/", "fault": fault}),
            );
            let change = json!({"memory_id": id, "metadata": new, "user_id": user});
            let asked = client.ask_tool("update_memory", &change);
            let first = outcome(&client.answer_to(asked));
            service.calm();
            let now = get(&mut client, &id);
            assert!(now["memory"] == text.as_str(), "{after}: it is not whole");
            if first.is_ok() {
                assert_eq!(now["metadata"], new);
            }
            assert_eq!(
                client.call("update_memory", change)["metadata"],
                new,
                "{after}"
            );
            for part in service.texts(&user) {
                let metadata = part["metadata"].as_object().unwrap();
                assert!(
                    metadata.len() <= 10 && !part["metadata"].to_string().contains("old"),
                    "{metadata:?}"
                );
            }
            if first.is_ok() {
                assert!(after > 3);
                break;
            }
            assert!(after < 39, "setting fields takes 40 requests");
        }
    }
}
