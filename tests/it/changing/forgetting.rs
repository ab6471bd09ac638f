//! A deleted turn appears nowhere any more, whether or not Zep keeps its words, and does not
//! return.
//! not come back.

use serde_json::{Value, json};

use super::{add_all, is_gone, listed, shown};
use crate::common::program::{Client, World};
use crate::common::service::Service;

/// A thread that keeps deleted turns.
const KEEPS: [&str; 2] = ["--episode-deletion", "keeps-message"];

/// No read shows the word.
fn is_nowhere(client: &mut Client, user: &str, session: &str, word: &str) {
    let mut answers = vec![
        client.call(
            "get_session",
            json!({"user_id": user, "session_id": session, "limit": 200}),
        ),
        client.call(
            "get_session",
            json!({"user_id": user, "session_id": session, "last": 200}),
        ),
        client.call(
            "get_session",
            json!({"user_id": user, "session_id": session, "include_context": true,
                                          "summary": true}),
        ),
        client.call("list_events", json!({"user_id": user, "limit": 100})),
        json!(listed(client, user)),
        client.call(
            "get_memories",
            json!({"user_id": user, "run_id": session, "include_invalid": true}),
        ),
        client.call(
            "search_memories",
            json!({"user_id": user, "query": word, "run_id": session}),
        ),
        client.call(
            "search_memories",
            json!({"query": word, "filters": {"user_id": "*"}}),
        ),
    ];
    for scope in ["facts", "episodes", "entities", "context"] {
        for session in [Value::Null, json!(session)] {
            let question =
                json!({"user_id": user, "query": word, "scope": scope, "session_id": session});
            answers.push(client.call("search_memory", question));
        }
    }
    for answer in answers {
        assert!(!answer.to_string().contains(word), "{answer:#}");
    }
}

#[test]
fn a_deleted_turn_is_seen_nowhere() {
    for flags in [&KEEPS[..], &[]] {
        let world = World::emulated_with(flags);
        let mut client = world.connect();
        let words = ["apple", "xylophone", "pear"];
        let said: Vec<Value> = words
            .iter()
            .map(|word| json!({"role": "user", "content": format!("I say {word}")}))
            .collect();
        let call = json!({"messages": said, "user_id": "ann", "session_id": "s"});
        let ids = add_all(&mut client, call);
        client.call("delete_memory", json!({"memory_id": ids[1]}));
        for mut client in [client, world.connect()] {
            is_nowhere(&mut client, "ann", "s", "xylophone");
            is_gone(&mut client, &json!({"memory_id": ids[1]}));
            is_gone(&mut client, &json!({"memory_id": ids[1], "user_id": "ann"}));
            let status = client.refused("get_event_status", json!({"event_id": ids[1]}));
            assert_eq!(status["error"], "not_found");
            let events = client.call("list_events", json!({"user_id": "ann"}));
            assert_eq!(events["count"], 2, "{events}");
            let read = client.read_session("ann", "s");
            assert_eq!(read.len(), 2);
            assert_eq!(
                (&read[0]["content"], &read[1]["content"]),
                (&json!("I say apple"), &json!("I say pear"))
            );
            assert_eq!(client.read_session_by("ann", "s", 1).len(), 2);
            assert_eq!(shown(&mut client, "ann", "say").len(), 2);
        }
    }
}

#[test]
fn a_half_deleted_turn_appears_nowhere() {
    let world = World::emulated_with(&KEEPS);
    let service = Service::of(&world);
    let mut client = world.connect();
    let call = json!({"text": "I say xylophone", "user_id": "ann", "session_id": "s"});
    let id = add_all(&mut client, call).remove(0);
    service.next(
        &json!({"method": "DELETE", "times": 100_000, "fault": {"kind": "fail", "status": 403}}),
    );
    client.refused("delete_memory", json!({"memory_id": id}));
    service.calm();
    for mut client in [world.connect(), world.connect()] {
        let read = [
            json!(shown(&mut client, "ann", "xylophone")),
            client.call("get_session", json!({"user_id": "ann", "session_id": "s"})),
            client.call("list_events", json!({"user_id": "ann"})),
        ];
        for answer in read {
            assert!(
                !answer.to_string().contains("xylophone") && !answer.to_string().contains(&id),
                "{answer}"
            );
        }
        is_gone(&mut client, &json!({"memory_id": id}));
    }
    // Repeating the call finishes it.
    assert_eq!(
        client.call("delete_memory", json!({"memory_id": id}))["removed"],
        "facts_only"
    );
    is_nowhere(&mut client, "ann", "s", "xylophone");
}

#[test]
fn a_hidden_turn_does_not_come_back_when_its_source_is_migrated_again() {
    let world = World::emulated_with(&KEEPS);
    let service = Service::of(&world);
    let mut client = world.connect();
    let said: Vec<Value> = ["apple", "xylophone", "pear"]
        .iter()
        .enumerate()
        .map(|(n, word)| {
            let long = format!("I say {word}. ").repeat(if n == 1 { 700 } else { 1 });
            json!({"id": word, "role": "user", "content": long, "timestamp": format!("2024-01-01T00:0{n}:00Z")})
        })
        .collect();
    let arguments = json!({"user": {"id": "jane", "name": "Jane"},
                           "data": {"sessions": [{"id": "s", "messages": said}]}});
    assert_eq!(
        client.call("migrate_user", arguments.clone())["success"],
        true
    );
    let read = client.read_session("jane", "s");
    let id = read[1]["id"].clone();
    assert_eq!(
        client.call("delete_memory", json!({"memory_id": id}))["removed"],
        "facts_only"
    );
    let stored = service.messages("s").len();
    for mut client in [client, world.connect()] {
        let again = client.call("migrate_user", arguments.clone());
        assert_eq!(again["memories_migrated"], 0, "{again:#}");
        assert_eq!(service.messages("s").len(), stored);
        is_nowhere(&mut client, "jane", "s", "xylophone");
        assert_eq!(client.read_session("jane", "s").len(), 2);
    }
}
