//! Before memories are deleted in bulk, the person is asked if their host supports it; what they
//! did not agree to is not done.

use std::time::Duration;

use serde_json::{Value, json};

use super::{add, listed};
use crate::common::PATIENCE;
use crate::common::on_both_backends;
use crate::common::program::{Client, World, outcome};

on_both_backends!(
    a_yes_deletes,
    anything_but_a_yes_deletes_nothing,
    without_a_scope_the_default_users_memories_go_after_a_yes,
    who_is_not_answered_keeps_everything_and_other_calls_go_on,
    the_operator_can_switch_asking_off,
    a_host_that_cannot_ask_is_not_asked,
    what_is_wrong_is_refused_before_anybody_is_asked,
);

/// A client that can ask the person.
fn asking(world: &World) -> Client {
    let mut client = Client::spawn(&mut world.command());
    let mut hello = Client::hello();
    hello["capabilities"] = json!({"elicitation": {}});
    client.request("initialize", hello);
    client.notify("notifications/initialized");
    client
}

pub fn furnish(client: &mut Client) {
    for user in ["ann", "bob", "mem0-mcp"] {
        add(client, json!({"text": "Marker", "user_id": user}));
    }
}

/// The question in the answer.
fn question(client: &mut Client) -> Value {
    let asked = client.receive();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let schema = &asked["params"]["requestedSchema"];
    assert_eq!(
        schema["properties"]["confirm"]["type"], "boolean",
        "{asked}"
    );
    assert_eq!(schema["required"], json!(["confirm"]));
    asked
}

fn reply(client: &mut Client, asked: &Value, result: &Value) {
    client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}));
}

/// Calls a tool and answers the question that it asks.
fn call(
    client: &mut Client,
    tool: &str,
    arguments: &Value,
    person: &Value,
) -> (Value, Result<Value, Value>) {
    let id = client.ask_tool(tool, arguments);
    let asked = question(client);
    reply(client, &asked, person);
    let answer = client.answer_to(id);
    (asked["params"]["message"].clone(), outcome(&answer))
}

pub fn yes() -> Value {
    json!({"action": "accept", "content": {"confirm": true}})
}

fn a_yes_deletes(world: &World) {
    let mut client = asking(world);
    furnish(&mut client);
    let (question, deleted) = call(
        &mut client,
        "delete_all_memories",
        &json!({"user_id": "ann"}),
        &yes(),
    );
    let question = question.as_str().unwrap();
    assert!(
        question.contains("user “ann”") && question.contains(world.backend()),
        "{question}"
    );
    assert_eq!(deleted.unwrap()["removed"]["memories"], 1);
    assert!(listed(&mut client, "ann").is_empty());
    let (question, deleted) = call(
        &mut client,
        "delete_entities",
        &json!({"user_id": "bob"}),
        &yes(),
    );
    assert!(
        question.as_str().unwrap().contains("user “bob”"),
        "{question}"
    );
    assert_eq!(deleted.unwrap()["removed"]["entity"], true);
    assert_eq!(listed(&mut client, "mem0-mcp").len(), 1);
}

fn anything_but_a_yes_deletes_nothing(world: &World) {
    let mut client = asking(world);
    furnish(&mut client);
    for person in [
        json!({"action": "accept", "content": {"confirm": false}}),
        json!({"action": "accept", "content": {}}),
        json!({"action": "accept"}),
        json!({"action": "accept", "content": {"confirm": "true"}}),
        json!({"action": "accept", "content": {"other": true}}),
        json!({"action": "decline"}),
        json!({"action": "decline", "content": {"confirm": true}}),
        json!({"action": "cancel"}),
        json!({"action": "cancel", "content": {"confirm": true}}),
    ] {
        for (tool, arguments) in [
            ("delete_all_memories", json!({"user_id": "ann"})),
            ("delete_all_memories", json!({})),
            ("delete_entities", json!({"user_id": "ann"})),
        ] {
            let (_, outcome) = call(&mut client, tool, &arguments, &person);
            let error = outcome.unwrap_err();
            assert_eq!(error["error"], "declined", "{person}: {error}");
            assert!(
                error["detail"]
                    .as_str()
                    .unwrap()
                    .contains("nothing was deleted"),
                "{error}"
            );
        }
    }
    // A host that fails while asking has not said yes.
    let id = client.ask_tool("delete_entities", &json!({"user_id": "ann"}));
    let asked = question(&mut client);
    client.send(
        &json!({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32603, "message": "x"}}),
    );
    assert_eq!(
        outcome(&client.answer_to(id)).unwrap_err()["error"],
        "declined"
    );
    for user in ["ann", "mem0-mcp"] {
        assert_eq!(listed(&mut client, user).len(), 1);
    }
}

fn without_a_scope_the_default_users_memories_go_after_a_yes(world: &World) {
    let mut client = asking(world);
    furnish(&mut client);
    let (question, deleted) = call(&mut client, "delete_all_memories", &json!({}), &yes());
    assert!(
        question
            .as_str()
            .unwrap()
            .contains("the default user “mem0-mcp”"),
        "{question}"
    );
    assert_eq!(deleted.unwrap()["removed"]["memories"], 1);
    assert!(listed(&mut client, "mem0-mcp").is_empty());
    assert_eq!(listed(&mut client, "ann").len(), 1);
    assert_eq!(
        client.refused("delete_entities", json!({}))["error"],
        "scope_missing"
    );
}

fn who_is_not_answered_keeps_everything_and_other_calls_go_on(world: &World) {
    let mut client = asking(world);
    furnish(&mut client);
    let waiting = client.ask_tool("delete_entities", &json!({"user_id": "ann"}));
    let asked = question(&mut client);
    assert_eq!(listed(&mut client, "ann").len(), 1);
    add(
        &mut client,
        json!({"text": "Marker of meanwhile", "user_id": "ann"}),
    );
    // A different question needs a new answer.
    let (_, deleted) = call(
        &mut client,
        "delete_all_memories",
        &json!({"user_id": "bob"}),
        &yes(),
    );
    assert_eq!(deleted.unwrap()["removed"]["memories"], 1);
    assert_eq!(client.receive_within(Duration::from_millis(300)), None);
    assert_eq!(listed(&mut client, "ann").len(), 2);
    // A late yes deletes nothing after the call was cancelled.
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": waiting}}));
    client.request("ping", json!({}));
    reply(&mut client, &asked, &yes());
    client.request("ping", json!({}));
    assert_eq!(listed(&mut client, "ann").len(), 2);
    // A pending question does not keep the server alive.
    client.ask_tool("delete_entities", &json!({"user_id": "ann"}));
    question(&mut client);
    let ended = client.close();
    assert!(ended.took < PATIENCE / 2, "{ended:?}");
    assert_eq!(listed(&mut world.connect(), "ann").len(), 2);
}

fn the_operator_can_switch_asking_off(world: &World) {
    let mut client = Client::spawn(world.command().env("ZEP_MCP_CONFIRM", "never"));
    let mut hello = Client::hello();
    hello["capabilities"] = json!({"elicitation": {}});
    client.request("initialize", hello);
    client.notify("notifications/initialized");
    furnish(&mut client);
    assert_eq!(
        client.call("delete_all_memories", json!({"user_id": "ann"}))["removed"]["memories"],
        1
    );
    assert_eq!(
        client.call("delete_entities", json!({"user_id": "bob"}))["removed"]["entity"],
        true
    );
    // What needs a yes is refused without one.
    assert_eq!(
        client.refused("delete_all_memories", json!({}))["error"],
        "scope_missing"
    );
    assert_eq!(listed(&mut client, "mem0-mcp").len(), 1);
}

fn a_host_that_cannot_ask_is_not_asked(world: &World) {
    for capabilities in [
        json!({}),
        json!({"elicitation": {"url": {}}}),
        json!({"roots": {}}),
    ] {
        let mut client = Client::spawn(&mut world.command());
        let mut hello = Client::hello();
        hello["capabilities"] = capabilities;
        client.request("initialize", hello);
        client.notify("notifications/initialized");
        furnish(&mut client);
        assert_eq!(
            client.call("delete_all_memories", json!({"user_id": "ann"}))["removed"]["memories"],
            1
        );
        assert_eq!(
            client.refused("delete_all_memories", json!({}))["error"],
            "scope_missing"
        );
    }
}

fn what_is_wrong_is_refused_before_anybody_is_asked(world: &World) {
    let mut client = asking(world);
    furnish(&mut client);
    for tool in ["delete_all_memories", "delete_entities"] {
        for arguments in [
            json!({"user_id": "*"}),
            json!({"user_id": ""}),
            json!({"user_id": 7}),
            json!({"x": 1}),
        ] {
            assert_eq!(client.refused(tool, arguments)["error"], "invalid_argument");
        }
    }
    let several = json!({"user_id": "ann", "agent_id": "bot"});
    assert_eq!(
        client.refused("delete_entities", several)["error"],
        "invalid_argument"
    );
    // The agent confirms the deletion of a single memory.
    let id = add(&mut client, json!({"text": "Marker", "user_id": "ann"}));
    assert_eq!(
        client.call("delete_memory", json!({"memory_id": id}))["removed"],
        "all"
    );
}
