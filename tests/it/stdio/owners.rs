//! Owners are separate: no user reads, finds or writes another's memories, whatever the ids look
//! like.

use serde_json::json;

use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    two_users_of_one_session_id_each_have_their_own,
    a_search_never_finds_what_is_anothers,
    ids_of_any_kind_reach_their_own_memories,
    a_cursor_of_another_session_is_refused,
    reading_and_searching_make_nothing,
    servers_side_by_side_keep_one_session_id_apart,
);

fn two_users_of_one_session_id_each_have_their_own(world: &World) {
    let mut client = world.connect();
    for round in 0..3 {
        for user in ["ann", "bob", "cleo"] {
            let text = format!("{user} in round {round}");
            client.call(
                "add_memory",
                json!({"text": text, "user_id": user, "session_id": "monday"}),
            );
        }
    }
    // A server without cached sessions sees the same.
    for mut client in [client, world.connect()] {
        for user in ["ann", "bob", "cleo"] {
            let read = client.read_session(user, "monday");
            let said: Vec<_> = read
                .iter()
                .map(|message| message["content"].clone())
                .collect();
            let expected: Vec<_> = (0..3)
                .map(|round| json!(format!("{user} in round {round}")))
                .collect();
            assert_eq!(said, expected);
            let list = client.call("list_sessions", json!({"user_id": user}));
            assert_eq!(list["total_count"], 1);
            assert_eq!(list["sessions"][0]["session_id"], "monday");
            assert_eq!(list["sessions"][0]["message_count"], 3);
        }
        let error = client.refused(
            "get_session",
            json!({"user_id": "dan", "session_id": "monday"}),
        );
        assert_eq!(error["error"], "no_such_session", "{error}");
    }
}

fn a_search_never_finds_what_is_anothers(world: &World) {
    let mut client = world.connect();
    for (user, colour) in [("ann", "turquoise"), ("bob", "crimson")] {
        for n in 0..5 {
            let text = format!("My favourite colour is {colour}, number {n}");
            client.call(
                "add_memory",
                json!({"text": text, "user_id": user, "session_id": "s"}),
            );
            client.call("add_memory", json!({"text": text, "user_id": user}));
        }
    }
    client.call(
        "add_memory",
        json!({"text": "favourite colour: sepia", "agent_id": "painter"}),
    );
    for (user, own, other) in [
        ("ann", "turquoise", "crimson"),
        ("bob", "crimson", "turquoise"),
    ] {
        for scope in ["facts", "episodes"] {
            for session in [json!(null), json!("s")] {
                let found = client.search(json!({
                    "query": format!("favourite colour turquoise crimson sepia"),
                    "user_id": user, "scope": scope, "session_id": session, "limit": 50,
                }));
                assert_eq!(found.len(), if session.is_null() { 10 } else { 5 });
                for memory in found {
                    assert!(memory["memory"].as_str().unwrap().contains(own), "{memory}");
                    assert_eq!(memory["user_id"], user);
                }
            }
        }
        for session in [json!(null), json!("s")] {
            let answer = client.call("search_memory", json!({
                "query": "favourite colour", "user_id": user, "scope": "context", "session_id": session,
            }));
            let context = answer["context"].as_str().unwrap();
            assert!(
                context.contains(own) && !context.contains(other),
                "{context}"
            );
        }
        let entities = client.search(json!({"query": user, "user_id": user, "scope": "entities"}));
        assert!(!json!(entities).to_string().contains(other));
    }
}

fn ids_of_any_kind_reach_their_own_memories(world: &World) {
    let ids = [
        "a/b",
        "a",
        "b",
        "a?b=c",
        "a#b",
        "100%",
        "%2F",
        "a%2Fb",
        "a b",
        "a+b",
        "../a",
        "../../users",
        "...",
        "a\\b",
        "a:b",
        "::zm:",
        "é",
        "e\u{301}",
        "😀",
        "שלום",
        "A",
        "user_id",
        "0",
        "nulla",
        "a&b=c",
        "a;b",
        "{id}",
        "\"a\"",
        "ordered",
        "messages",
    ];
    let mut client = world.connect();
    for id in ids {
        for session in ["s", id] {
            let text = format!("I am {id} in {session}");
            client.call(
                "add_memory",
                json!({"text": text, "user_id": id, "session_id": session}),
            );
        }
        client.call(
            "add_memory",
            json!({"text": format!("{id} alone"), "user_id": id}),
        );
        client.call(
            "add_memory",
            json!({"text": format!("{id} for itself"), "agent_id": id}),
        );
    }
    let mut fresh = world.connect();
    for id in ids {
        for session in ["s", id] {
            let read = fresh.read_session(id, session);
            assert_eq!(read.len(), 1, "{id} in {session}");
            assert_eq!(read[0]["content"], format!("I am {id} in {session}"));
        }
        let alone = fresh.search(json!({"query": "alone", "user_id": id, "scope": "episodes"}));
        let texts: Vec<_> = alone
            .iter()
            .filter(|memory| memory["kind"] == "episode")
            .collect();
        assert_eq!(
            (texts.len(), &texts[0]["memory"]),
            (1, &json!(format!("{id} alone")))
        );
        let own = fresh.search(json!({"query": "itself", "agent_id": id, "scope": "episodes"}));
        assert_eq!(
            (own.len(), &own[0]["memory"]),
            (1, &json!(format!("{id} for itself")))
        );
        let list = fresh.call("list_sessions", json!({"user_id": id}));
        let mut sessions: Vec<_> = list["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|session| session["session_id"].as_str().unwrap())
            .collect();
        sessions.sort_unstable();
        let mut expected = ["s", id];
        expected.sort_unstable();
        assert_eq!(sessions, expected);
    }
}

fn a_cursor_of_another_session_is_refused(world: &World) {
    let mut client = world.connect();
    for user in ["ann", "bob"] {
        let turns: Vec<_> = (0..5)
            .map(|n| json!({"role": "user", "content": format!("{user} {n}")}))
            .collect();
        client.call(
            "add_memory",
            json!({"messages": turns, "user_id": user, "session_id": "s"}),
        );
    }
    let page = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "s", "limit": 2}),
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    let arguments = json!({"user_id": "bob", "session_id": "s", "cursor": cursor});
    client.refuses_argument("get_session", arguments, "cursor");
}

fn reading_and_searching_make_nothing(world: &World) {
    let mut client = world.connect();
    client.refused("get_session", json!({"user_id": "ann", "session_id": "s"}));
    client.refused(
        "get_session",
        json!({"user_id": "ann", "session_id": "default"}),
    );
    for scope in ["facts", "episodes", "entities", "context"] {
        for session in [json!(null), json!("s")] {
            let question =
                json!({"query": "tea", "user_id": "ann", "scope": scope, "session_id": session});
            let answer = client.call("search_memory", question);
            assert_eq!(
                (&answer["results"], &answer["context"]),
                (&json!([]), &json!(null))
            );
        }
    }
    assert!(
        client
            .search(json!({"query": "tea", "agent_id": "cook"}))
            .is_empty()
    );
    assert_eq!(
        client.call("list_sessions", json!({"user_id": "ann"}))["total_count"],
        0
    );
    // Another user may take the id that was only read.
    client.call(
        "add_memory",
        json!({"text": "mine", "user_id": "bob", "session_id": "s"}),
    );
    assert_eq!(
        client.call("list_sessions", json!({"user_id": "ann"}))["total_count"],
        0
    );
    assert_eq!(client.read_session("bob", "s").len(), 1);
}

fn servers_side_by_side_keep_one_session_id_apart(world: &World) {
    let mut servers = [world.connect(), world.connect()];
    let mut waiting = Vec::new();
    for n in 0..20 {
        for (server, user) in servers.iter_mut().zip(["ann", "bob"]) {
            let text = format!("{user} {n}");
            let call = json!({"text": text, "user_id": user, "session_id": "race"});
            waiting.push((user, server.ask_tool("add_memory", &call)));
        }
    }
    for (user, id) in waiting {
        let answer = servers[usize::from(user == "bob")].answer_to(id);
        assert_ne!(answer["result"]["isError"], true, "{answer}");
    }
    for user in ["ann", "bob"] {
        for server in &mut servers {
            let read = server.read_session(user, "race");
            assert_eq!(read.len(), 20);
            for message in read {
                assert!(
                    message["content"].as_str().unwrap().starts_with(user),
                    "{message}"
                );
            }
        }
    }
}
