//! A host of the stateless protocol asks the person by repeating the call: the answer counts only
//! for the question that was asked.

use serde_json::{Value, json};

use super::asking::{furnish, yes};
use super::listed;
use crate::common::on_both_backends;
use crate::common::program::{Client, World, outcome};

on_both_backends!(
    a_stateless_host_is_asked_by_the_answer,
    an_answer_counts_for_the_question_that_was_asked,
);

/// A call of the stateless protocol (2026-07-28).
fn stateless(client: &mut Client, tool: &str, arguments: &Value, again: &Value) -> Value {
    let mut params = json!({
        "name": tool,
        "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
        },
    });
    params
        .as_object_mut()
        .unwrap()
        .extend(again.as_object().unwrap().clone());
    client.request("tools/call", params)
}

/// The state that a call asks to be sent back.
fn state(asked: &Value) -> String {
    let result = &asked["result"];
    assert_eq!(result["resultType"], "input_required", "{asked}");
    let request = &result["inputRequests"]["confirm_deletion"];
    assert_eq!(request["method"], "elicitation/create", "{asked}");
    assert!(
        request["params"]["message"]
            .as_str()
            .unwrap()
            .contains("for good"),
        "{asked}"
    );
    result["requestState"].as_str().unwrap().to_owned()
}

fn again(person: &Value, state: &Value) -> Value {
    json!({"inputResponses": {"confirm_deletion": person}, "requestState": state})
}

fn a_stateless_host_is_asked_by_the_answer(world: &World) {
    furnish(&mut world.connect());
    let mut client = Client::spawn(&mut world.command());
    for (tool, arguments, user) in [
        ("delete_all_memories", json!({"user_id": "ann"}), "ann"),
        ("delete_entities", json!({"user_id": "bob"}), "bob"),
        ("delete_all_memories", json!({}), "mem0-mcp"),
    ] {
        let asked = stateless(&mut client, tool, &arguments, &json!({}));
        let state = state(&asked);
        for person in [
            json!({"action": "decline"}),
            json!({"action": "cancel"}),
            json!({"action": "accept", "content": {"confirm": false}}),
            json!({"action": "accept"}),
        ] {
            let refused = stateless(
                &mut client,
                tool,
                &arguments,
                &again(&person, &json!(state)),
            );
            assert_eq!(
                outcome(&refused).unwrap_err()["error"],
                "declined",
                "{person}"
            );
        }
        assert_eq!(listed(&mut world.connect(), user).len(), 1);
        let done = stateless(&mut client, tool, &arguments, &again(&yes(), &json!(state)));
        assert_eq!(outcome(&done).unwrap()["complete"], true);
        assert!(listed(&mut world.connect(), user).is_empty());
    }
}

fn an_answer_counts_for_the_question_that_was_asked(world: &World) {
    furnish(&mut world.connect());
    let mut client = Client::spawn(&mut world.command());
    let asked = stateless(
        &mut client,
        "delete_all_memories",
        &json!({"user_id": "bob"}),
        &json!({}),
    );
    let of_bob = state(&asked);
    for (tool, arguments, given) in [
        (
            "delete_all_memories",
            json!({"user_id": "ann"}),
            json!(of_bob),
        ),
        ("delete_all_memories", json!({}), json!(of_bob)),
        (
            "delete_all_memories",
            json!({"user_id": "bob", "agent_id": "bot"}),
            json!(of_bob),
        ),
        ("delete_entities", json!({"user_id": "bob"}), json!(of_bob)),
        (
            "delete_all_memories",
            json!({"user_id": "bob"}),
            json!("made up"),
        ),
        (
            "delete_all_memories",
            json!({"user_id": "bob"}),
            Value::Null,
        ),
        (
            "delete_all_memories",
            json!({"agent_id": "bob"}),
            json!(of_bob),
        ),
        // An id that reads like two.
        (
            "delete_all_memories",
            json!({"user_id": "bob”, agent “bot"}),
            json!(of_bob),
        ),
    ] {
        let answer = stateless(&mut client, tool, &arguments, &again(&yes(), &given));
        // The question names what is meant now.
        state(&answer);
    }
    let two = json!({"user_id": "bob", "agent_id": "bot"});
    let of_two = state(&stateless(
        &mut client,
        "delete_all_memories",
        &two,
        &json!({}),
    ));
    let one = json!({"user_id": "bob”, agent “bot"});
    let answer = stateless(
        &mut client,
        "delete_all_memories",
        &one,
        &again(&yes(), &json!(of_two)),
    );
    assert_ne!(state(&answer), of_two);
    let mut fresh = world.connect();
    for user in ["ann", "bob", "mem0-mcp"] {
        assert_eq!(listed(&mut fresh, user).len(), 1);
    }
}
