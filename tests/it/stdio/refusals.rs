//! Bad arguments are refused with an error that names them, and nothing is stored.

use serde_json::{Value, json};

use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    what_add_memory_cannot_take_is_refused_and_nothing_is_stored,
    what_is_beyond_its_bounds_is_refused_and_nothing_is_stored,
    what_cannot_be_read_is_refused,
    what_cannot_be_searched_is_refused,
);

/// Nothing is stored for this user, in any session or outside.
fn nothing_is_stored(client: &mut Client, user: &str) {
    let list = client.call("list_sessions", json!({"user_id": user}));
    assert_eq!(list["total_count"], 0, "{list}");
    let found = client.search(json!({"query": "hello", "user_id": user, "scope": "episodes"}));
    assert!(found.is_empty(), "{found:?}");
}

/// The arguments of a call that is valid except for this.
fn hello_but(change: &Value) -> Value {
    let mut arguments = json!({"text": "hello", "user_id": "ann", "session_id": "s"});
    arguments
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    arguments
}

fn what_add_memory_cannot_take_is_refused_and_nothing_is_stored(world: &World) {
    let mut client = world.connect();
    let turn = |change: Value| {
        let mut turn = json!({"role": "user", "content": "hello"});
        turn.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        // A valid one before it is not stored either.
        json!({"messages": [{"role": "user", "content": "hello"}, turn]})
    };
    for (change, named) in [
        (json!({"text": null}), "text"),
        (json!({"text": 7}), "text"),
        (json!({"text": ""}), "text"),
        (json!({"text": " \n\t"}), "text"),
        (json!({"messages": 7}), "messages"),
        (json!({"messages": "[{\"role\""}), "messages"),
        (json!({"messages": ["hello"]}), "messages[0]"),
        (json!({"messages": [{"content": "hello"}]}), "role"),
        (json!({"messages": [{"role": "user"}]}), "content"),
        (turn(json!({"content": 7})), "messages[1].content"),
        (
            json!({"text": "", "messages": [{"role": "user", "content": ""}]}),
            "messages[0].content",
        ),
        (turn(json!({"role": 7})), "messages[1].role"),
        (turn(json!({"name": 7})), "messages[1].name"),
        (
            turn(json!({"created_at": "soon"})),
            "messages[1].created_at",
        ),
        (turn(json!({"metadata": []})), "messages[1].metadata"),
        (json!({"user_id": 7}), "user_id"),
        (json!({"agent_id": ["a"]}), "agent_id"),
        (json!({"agent_id": "null"}), "agent_id"),
        (json!({"app_id": "{{app}}"}), "app_id"),
        (json!({"session_id": "undefined"}), "session_id"),
        (json!({"session_id": "a\nb"}), "session_id"),
        (json!({"session_id": ".."}), "session_id"),
        (json!({"session_id": "a::zm::b"}), "session_id"),
        (json!({"session_id": null, "run_id": "a::zm::b"}), "run_id"),
        (json!({"metadata": "hello"}), "metadata"),
        (json!({"metadata": [1]}), "metadata"),
        (json!({"memory_type": ""}), "memory_type"),
        (json!({"memory_type": 7}), "memory_type"),
        (json!({"created_at": "yesterday"}), "created_at"),
        (json!({"created_at": "2024-13-01"}), "created_at"),
        (json!({"created_at": ""}), "created_at"),
        (json!({"created_at": 1718447400}), "created_at"),
        (json!({"idempotency_key": ""}), "idempotency_key"),
        (json!({"idempotency_key": 7}), "idempotency_key"),
        (json!({"enable_graph": "perhaps"}), "enable_graph"),
        (json!({"user_id": null, "userId": "ann"}), "user_id"),
    ] {
        client.refuses_argument("add_memory", hello_but(&change), named);
    }
    for user in ["null", "${USER}", ".", "..", "a\u{7}b"] {
        let arguments = json!({"text": "hello", "user_id": user});
        client.refuses_argument("add_memory", arguments, "user_id");
    }
    nothing_is_stored(&mut client, "ann");
    nothing_is_stored(&mut client, "mem0-mcp");
}

fn what_is_beyond_its_bounds_is_refused_and_nothing_is_stored(world: &World) {
    let mut client = world.connect();
    let long_id = "i".repeat(501);
    let deep = (0..40).fold(json!(1), |inner, _| json!({"a": inner}));
    let wide: Value = (0..1_001)
        .map(|n| (format!("k{n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let turns = vec![json!({"role": "user", "content": "hello"}); 1_001];
    for (change, named) in [
        (json!({"text": "x".repeat(1_000_001)}), "text"),
        (
            json!({"messages": [{"role": "user", "content": "x".repeat(1_000_001)}]}),
            "messages[0].content",
        ),
        (json!({"messages": turns}), "messages"),
        (json!({"metadata": {"a": "x".repeat(70_000)}}), "metadata"),
        (json!({"metadata": deep}), "metadata"),
        (json!({"metadata": wide}), "metadata"),
        (
            json!({"messages": [{"role": "user", "content": "hello", "metadata": deep}]}),
            "metadata",
        ),
        (json!({"session_id": long_id}), "session_id"),
        (json!({"agent_id": long_id}), "agent_id"),
        (json!({"memory_type": long_id}), "memory_type"),
        (
            json!({"idempotency_key": "k".repeat(601)}),
            "idempotency_key",
        ),
    ] {
        client.refuses_argument("add_memory", hello_but(&change), named);
    }
    client.refuses_argument(
        "add_memory",
        json!({"text": "hello", "user_id": long_id}),
        "user_id",
    );
    nothing_is_stored(&mut client, "ann");
    // Values just within the bounds are accepted.
    let id = "i".repeat(500);
    let whole = "y".repeat(1_000_000);
    client.call(
        "add_memory",
        json!({"text": whole, "user_id": id, "session_id": id}),
    );
    let read = client.read_session(&id, &id);
    assert!(read.len() == 1 && read[0]["content"] == whole.as_str());
}

fn what_cannot_be_read_is_refused(world: &World) {
    let mut client = world.connect();
    for n in 0..3 {
        let call = json!({"text": format!("hello {n}"), "user_id": "ann", "session_id": "s"});
        client.call("add_memory", call);
    }
    for (change, named) in [
        (json!({"session_id": null}), "session_id"),
        (json!({"session_id": "a::zm::b"}), "session_id"),
        (json!({"session_id": ""}), "session_id"),
        (json!({"limit": "ten"}), "limit"),
        (json!({"last": 1.5}), "last"),
        (json!({"last": 2, "limit": 2}), "last"),
        (json!({"last": 2, "cursor": "1.x"}), "last"),
        (json!({"memory_type": ""}), "memory_type"),
        (json!({"summary": "perhaps"}), "summary"),
        (json!({"agent_id": "a"}), "agent_id"),
    ] {
        let mut arguments = json!({"user_id": "ann", "session_id": "s"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        client.refuses_argument("get_session", arguments, named);
    }
    client.refuses_argument("get_session", json!({"user_id": "ann"}), "session_id");
    for (arguments, named) in [
        (json!({"limit": "all"}), "limit"),
        (json!({"offset": []}), "offset"),
        (json!({"user_id": "null"}), "user_id"),
        (json!({"user": "ann"}), "user_id"),
    ] {
        client.refuses_argument("list_sessions", arguments, named);
    }
}

fn what_cannot_be_searched_is_refused(world: &World) {
    let mut client = world.connect();
    client.refuses_argument("search_memory", json!({}), "query");
    for (change, named) in [
        (json!({"query": ""}), "query"),
        (json!({"query": " \n"}), "query"),
        (json!({"query": 7}), "query"),
        (json!({"limit": 1.5}), "limit"),
        (json!({"min_score": -0.1}), "min_score"),
        (json!({"min_score": 1.1}), "min_score"),
        (json!({"min_score": "high"}), "min_score"),
        (json!({"scope": "everything"}), "scope"),
        (json!({"scope": 7}), "scope"),
        (json!({"user_id": "a\nb"}), "user_id"),
        (json!({"session_id": "a::zm::b"}), "session_id"),
        (json!({"include_invalid": 2}), "include_invalid"),
        (json!({"filters": {"user_id": "ann"}}), "filters"),
    ] {
        let mut arguments = json!({"query": "hello"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        client.refuses_argument("search_memory", arguments, named);
    }
}
