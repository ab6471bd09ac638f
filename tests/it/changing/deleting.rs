//! Deleting one memory removes exactly that memory, and `removed` says what is gone.

use serde_json::{Value, json};

use super::{add, episode, get, is_gone, listed, shown};
use crate::common::on_both_backends;
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;

on_both_backends!(
    a_text_is_deleted_with_all_its_parts_and_facts,
    others_stay_when_one_is_deleted,
    what_was_deleted_is_not_there_to_be_deleted_again,
);

fn a_text_is_deleted_with_all_its_parts_and_facts(world: &World) {
    let mut client = world.connect();
    for text in ["Marker".to_owned(), "Marker 😀. ".repeat(2_000)] {
        let id = add(&mut client, json!({"text": text, "user_id": "ann"}));
        let deleted = client.call("delete_memory", json!({ "memory_id": id }));
        assert_eq!(
            (&deleted["kind"], &deleted["removed"]),
            (&json!("episode"), &json!("all"))
        );
        assert_eq!(deleted["message"], "Memory deleted successfully!");
        assert_eq!(deleted.get("detail"), None, "{deleted}");
        assert!(shown(&mut client, "ann", "marker").is_empty());
        is_gone(&mut client, &json!({ "memory_id": id }));
    }
    assert!(shown(&mut world.connect(), "ann", "marker").is_empty());
}

fn others_stay_when_one_is_deleted(world: &World) {
    let mut client = world.connect();
    let mut ids = Vec::new();
    for user in ["ann", "bob"] {
        for session in [Value::Null, json!("s")] {
            for _ in 0..2 {
                // People say the same thing twice.
                let same = json!({"text": "Marker", "user_id": user, "session_id": session});
                ids.push(add(&mut client, same));
            }
        }
    }
    for id in [ids.remove(6), ids.remove(0)] {
        client.call("delete_memory", json!({ "memory_id": id }));
        is_gone(&mut client, &json!({ "memory_id": id }));
    }
    assert_eq!(ids.len(), 6);
    for id in ids {
        assert_eq!(get(&mut client, &id)["memory"], "Marker");
    }
    assert_eq!(
        (
            listed(&mut client, "ann").len(),
            listed(&mut client, "bob").len()
        ),
        (3, 3)
    );
    assert_eq!(client.read_session("bob", "s").len(), 1);
    assert_eq!(client.read_session("ann", "s").len(), 2);
}

fn what_was_deleted_is_not_there_to_be_deleted_again(world: &World) {
    let mut client = world.connect();
    let text = add(&mut client, json!({"text": "Marker", "user_id": "ann"}));
    let turn = add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "session_id": "s"}),
    );
    for id in [text, turn] {
        client.call("delete_memory", json!({ "memory_id": id }));
        for arguments in [
            json!({"memory_id": id}),
            json!({"memory_id": id, "user_id": "ann"}),
        ] {
            assert_eq!(
                client.refused("delete_memory", arguments.clone())["error"],
                "not_found"
            );
            let mut change = arguments;
            change["text"] = json!("back");
            assert_eq!(
                client.refused("update_memory", change)["error"],
                "not_found"
            );
        }
    }
    assert!(shown(&mut client, "ann", "marker back").is_empty());
}

/// A turn of one part, and one of several.
fn turns(client: &mut Client) -> Vec<(String, String)> {
    let add_turn = |(n, words): (usize, String)| {
        let said = json!([{"role": "user", "content": words, "metadata": {"secret": "of words"}}]);
        let call = json!({"messages": said, "user_id": "ann", "session_id": format!("s{n}"),
                          "agent_id": "bot"});
        (add(client, call), format!("s{n}"))
    };
    ["Marker secret".to_owned(), "Marker secret. ".repeat(900)]
        .into_iter()
        .enumerate()
        .map(add_turn)
        .collect()
}

#[test]
fn a_turn_that_zep_removes_is_gone_and_said_to_be() {
    for patch in ["merges", "replaces"] {
        let flags = [
            "--episode-deletion",
            "removes-message",
            "--metadata-patch",
            patch,
        ];
        let world = World::emulated_with(&flags);
        let service = Service::of(&world);
        let mut client = world.connect();
        for (id, session) in turns(&mut client) {
            let deleted = client.call("delete_memory", json!({ "memory_id": id }));
            assert_eq!(
                (&deleted["kind"], &deleted["removed"]),
                (&json!("message"), &json!("all"))
            );
            assert!(service.messages(&session).is_empty(), "it is still there");
            assert_eq!(episode(&service, &id), None);
        }
        assert!(shown(&mut client, "ann", "marker").is_empty());
    }
}

#[test]
fn a_turn_that_zep_keeps_is_blanked_as_far_as_can_be_and_said_to_be_kept() {
    for patch in ["merges", "replaces"] {
        let flags = [
            "--episode-deletion",
            "keeps-message",
            "--metadata-patch",
            patch,
        ];
        let world = World::emulated_with(&flags);
        let service = Service::of(&world);
        let mut client = world.connect();
        for (id, session) in turns(&mut client) {
            let parts = service.messages(&session).len();
            let deleted = client.call("delete_memory", json!({ "memory_id": id }));
            assert_eq!(
                (&deleted["kind"], &deleted["removed"]),
                (&json!("message"), &json!("facts_only"))
            );
            let detail = deleted["detail"].as_str().unwrap();
            assert!(
                detail.contains(&format!("`{session}`")) && detail.contains("run_id"),
                "{detail}"
            );
            let kept = service.messages(&session);
            assert_eq!(kept.len(), parts);
            for message in kept {
                let metadata = message["metadata"].to_string();
                assert!(
                    !metadata.contains("secret") && !metadata.contains("bot"),
                    "{patch}: {metadata}"
                );
                assert!(metadata.contains("deleted"), "{metadata}");
                assert_eq!(episode(&service, message["uuid"].as_str().unwrap()), None);
            }
            // The advice in the answer works.
            let whole = json!({"user_id": "ann", "run_id": session});
            assert_eq!(
                client.call("delete_all_memories", whole)["removed"]["sessions"],
                1
            );
            assert_eq!(
                service
                    .call("GET", &["threads", &session, "messages"], None)
                    .0,
                404
            );
        }
    }
}

/// Deletes a memory with everything failing from each request on, then deletes it again.
fn interrupted(flags: &[&str], fault: &Value, make: impl Fn(&mut Client, &str) -> String) {
    let world = World::emulated_with(flags);
    let service = Service::of(&world);
    let mut client = Client::connect(world.unqueued().env("ZEP_TIMEOUT_SECS", "4"));
    for after in 0..40 {
        let user = format!("user-{after}");
        let id = make(&mut client, &user);
        service
            .next(&json!({"after": after, "times": 100_000, "path": "/api/v2/", "fault": fault}));
        let call = json!({"memory_id": id, "user_id": user});
        let asked = client.ask_tool("delete_memory", &call);
        let first = outcome(&client.answer_to(asked));
        service.calm();
        let untouched = service.counted() == json!({});
        service.count_anew();
        // After a reported deletion no reader sees any of it.
        if first.is_ok() {
            assert!(shown(&mut client, &user, "marker").is_empty(), "{after}");
        }
        let asked = client.ask_tool("delete_memory", &call);
        let again = outcome(&client.answer_to(asked));
        if first.is_ok() {
            assert_eq!(again.unwrap_err()["error"], "not_found", "{after}");
        } else if let Err(error) = again {
            assert_eq!(error["error"], "not_found", "{after}: {first:?}");
        }
        for mut client in [world.connect(), world.connect()] {
            let left = shown(&mut client, &user, "marker");
            assert!(
                left.is_empty(),
                "{after}: {} left after {first:?}",
                left.len()
            );
            let sessions = client.call("list_sessions", json!({"user_id": user}));
            if sessions["total_count"] == 1 {
                assert!(
                    client.read_session(&user, &user).is_empty(),
                    "{after}: {first:?}"
                );
            }
            is_gone(&mut client, &call);
        }
        if untouched {
            assert!(first.is_ok() && after > 3);
            return;
        }
    }
    panic!("deleting takes more than 40 requests");
}

/// A turn of several parts.
fn long_turn(client: &mut Client, user: &str) -> String {
    let said = json!([{"role": "user", "content": "Marker words. ".repeat(900)}]);
    add(
        client,
        json!({"messages": said, "user_id": user, "session_id": user}),
    )
}

fn long_text(client: &mut Client, user: &str) -> String {
    add(
        client,
        json!({"text": "Marker words. ".repeat(2_000), "user_id": user}),
    )
}

#[test]
fn deleting_a_text_again_finishes_what_was_interrupted() {
    interrupted(&[], &json!({"kind": "fail", "status": 401}), long_text);
}

#[test]
fn deleting_a_text_again_finishes_what_was_not_answered() {
    interrupted(&[], &json!({"kind": "drop_answer"}), long_text);
}

#[test]
fn deleting_a_turn_again_finishes_what_was_interrupted() {
    interrupted(
        &["--episode-deletion", "keeps-message"],
        &json!({"kind": "fail", "status": 401}),
        long_turn,
    );
}

#[test]
fn deleting_a_turn_again_finishes_what_was_not_answered() {
    interrupted(
        &["--episode-deletion", "keeps-message"],
        &json!({"kind": "drop_answer"}),
        long_turn,
    );
}

#[test]
fn deleting_a_turn_that_goes_wholly_finishes_what_was_interrupted() {
    interrupted(&[], &json!({"kind": "fail", "status": 401}), long_turn);
}
