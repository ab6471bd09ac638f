//! The recorded `tools/list` and `prompts/list` of mem0-mcp-server 0.2.1: every call it accepted is
//! accepted here.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::{add, with};
use crate::common::on_both_backends;
use crate::common::program::{Client, World, outcome};

on_both_backends!(
    each_recorded_tool_is_listed_and_takes_each_recorded_argument_set,
    what_mem0_requires_is_required_but_for_two_that_may_stand_for_each_other,
    a_call_with_mem0s_arguments_succeeds,
    nothing_in_the_place_of_something_is_as_good_as_left_out,
    the_prompt_is_listed_as_recorded_and_helps,
);

pub fn fixture(name: &str) -> Value {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/mem0-mcp-server/"
    );
    serde_json::from_str(&std::fs::read_to_string(format!("{file}{name}")).unwrap()).unwrap()
}

fn recorded() -> Vec<Value> {
    fixture("tools.json").as_array().unwrap().clone()
}

fn name(tool: &Value) -> &str {
    tool["name"].as_str().unwrap()
}

fn required(tool: &Value) -> Vec<&str> {
    let required = tool["inputSchema"]["required"].as_array();
    required
        .into_iter()
        .flatten()
        .map(|name| name.as_str().unwrap())
        .collect()
}

/// Our input schemas by tool name, compiled as a host compiles them.
fn schemas(client: &mut Client) -> Map<String, Value> {
    let tools = client.request("tools/list", json!({}))["result"]["tools"].clone();
    let tools = tools.as_array().unwrap().iter();
    tools
        .map(|tool| (name(tool).to_owned(), tool["inputSchema"].clone()))
        .collect()
}

pub fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap()
}

/// A value for an argument; `memory` is the id of a memory.
fn sample(argument: &str, memory: &str) -> Value {
    match argument {
        "text" => json!("Plays the cello"),
        "messages" => json!([
            {"role": "user", "content": "I play the cello"},
            {"role": "assistant", "content": "Since when?"},
        ]),
        "user_id" | "agent_id" | "app_id" | "run_id" => json!(format!("some-{argument}")),
        "metadata" => json!({"topic": "music", "nested": {"deep": [1, null]}, "none": null}),
        "filters" => json!({"AND": [{"user_id": "some-user_id"}]}),
        "query" => json!("cello"),
        "limit" | "page_size" => json!(5),
        "page" => json!(1),
        "enable_graph" => json!(false),
        "memory_id" => json!(memory),
        other => panic!("{other} is new"),
    }
}

/// The argument sets that a recorded tool accepts: the required ones, each optional one left out,
/// null, at its default, or set; and all of them.
fn argument_sets(tool: &Value, memory: &str) -> Vec<Value> {
    let schema = &tool["inputSchema"];
    let arguments = schema["properties"].as_object().unwrap();
    let required = required(tool);
    let optional = || {
        arguments
            .iter()
            .filter(|(name, _)| !required.contains(&name.as_str()))
    };
    let set = |names: &mut dyn Iterator<Item = &str>| -> Value {
        names
            .map(|name| (name.to_owned(), sample(name, memory)))
            .collect()
    };
    let least = set(&mut required.iter().copied());
    let nulls: Value = optional()
        .map(|(name, _)| (name.clone(), Value::Null))
        .collect();
    let defaults: Value = optional()
        .map(|(name, argument)| (name.clone(), argument["default"].clone()))
        .collect();
    let all = set(&mut arguments.keys().map(String::as_str));
    let mut sets = vec![
        least.clone(),
        with(&least, &nulls),
        with(&least, &defaults),
        all.clone(),
    ];
    for (name, _) in optional() {
        sets.push(with(&least, &json!({ name: null })));
        sets.push(with(&all, &json!({ name: null })));
        sets.push(with(&least, &json!({ name: sample(name, memory) })));
    }
    let recorded = validator(schema);
    for set in &sets {
        assert!(recorded.is_valid(set), "not what was recorded: {set}");
    }
    sets
}

fn each_recorded_tool_is_listed_and_takes_each_recorded_argument_set(world: &World) {
    let schemas = schemas(&mut world.connect());
    let recorded = recorded();
    assert_eq!(recorded.len(), 9);
    for tool in &recorded {
        let schema = schemas
            .get(name(tool))
            .unwrap_or_else(|| panic!("{} is not listed", name(tool)));
        let ours = validator(schema);
        for mut set in argument_sets(tool, "018f2b3a-0000-7000-8000-000000000000") {
            // Null is taken, too, but not stated: several hosts convert one plain type only.
            set.as_object_mut()
                .unwrap()
                .retain(|_, value| !value.is_null());
            let problem = ours.validate(&set).err().map(|wrong| wrong.to_string());
            assert_eq!(problem, None, "{} {set}", name(tool));
        }
    }
}

fn what_mem0_requires_is_required_but_for_two_that_may_stand_for_each_other(world: &World) {
    let mut client = world.connect();
    let schemas = schemas(&mut client);
    let wider = [("add_memory", "text"), ("update_memory", "text")];
    for tool in &recorded() {
        let tool_name = name(tool);
        let memory = add(&mut client, "Sings", &json!({}));
        for missing in required(tool) {
            let mut set = argument_sets(tool, &memory)[0].clone();
            set.as_object_mut().unwrap().remove(missing);
            let valid = validator(&schemas[tool_name]).is_valid(&set);
            assert_eq!(valid, wider.contains(&(tool_name, missing)), "{tool_name}");
            client.refuses_argument(tool_name, set.clone(), missing);
            set[missing] = Value::Null;
            client.refuses_argument(tool_name, set, missing);
        }
    }
    let messages = json!([{"role": "user", "content": "I sing"}]);
    client.call("add_memory", json!({"messages": messages}));
    let memory = add(&mut client, "Sings alto", &json!({}));
    let changed = json!({"memory_id": memory, "metadata": {"a": 1}});
    let changed = client.call("update_memory", changed);
    assert_eq!(changed["memory"], "Sings alto");
    client.refused("update_memory", json!({"memory_id": memory}));
    client.refused("add_memory", json!({}));
}

fn a_call_with_mem0s_arguments_succeeds(world: &World) {
    let mut client = world.connect();
    for tool in &recorded() {
        let sets = argument_sets(tool, "").len();
        for n in 0..sets {
            let memory = add(&mut client, "Sings", &json!({"user_id": "some-user_id"}));
            let mut set = argument_sets(tool, &memory).swap_remove(n);
            if name(tool).starts_with("delete_") {
                // Shared memories are not deleted.
                let alone = set
                    .to_string()
                    .replace("some-", &format!("{}-{n}-", name(tool)));
                set = serde_json::from_str(&alone).unwrap();
                if name(tool) != "delete_memory" {
                    add(&mut client, "Sings", &set);
                }
            }
            let ids = set.as_object().unwrap().iter();
            let ids = ids
                .filter(|(name, id)| name.ends_with("_id") && !id.is_null())
                .count();
            let asked = client.ask_tool(name(tool), &set);
            let answer = outcome(&client.answer_to(asked));
            match (name(tool), ids) {
                // Memories are deleted only if their owner is named, or if a person was asked.
                ("delete_all_memories" | "delete_entities", 0) => {
                    assert_eq!(answer.unwrap_err()["error"], "scope_missing");
                }
                // mem0 deletes the first kind only, and does not say so.
                ("delete_entities", 2..) => {
                    assert_eq!(answer.unwrap_err()["error"], "invalid_argument");
                }
                _ => {
                    assert!(answer.is_ok(), "{} {set}: {answer:?}", name(tool));
                }
            }
        }
    }
    // A call may omit the arguments altogether.
    let answer = client.request("tools/call", json!({"name": "list_entities"}));
    assert!(outcome(&answer).is_ok());
}

fn nothing_in_the_place_of_something_is_as_good_as_left_out(world: &World) {
    let mut client = world.connect();
    let turn = json!([{"role": "user", "content": "I sing"}]);
    for nothing in [
        json!({"text": "Sings", "messages": [], "metadata": {}}),
        json!({"text": "", "messages": turn}),
        json!({"text": null, "messages": turn, "metadata": null}),
    ] {
        client.call("add_memory", nothing);
    }
    for filters in [Value::Null, json!({}), json!({"AND": []})] {
        for named in [
            json!({}),
            json!({"user_id": "mem0-mcp"}),
            json!({"user_id": null}),
        ] {
            let arguments = with(&json!({"filters": filters}), &named);
            let page = client.call("get_memories", arguments.clone());
            assert_eq!(page["count"], 3, "{arguments}");
            let arguments = with(&arguments, &json!({"query": "sing"}));
            let found = client.call("search_memories", arguments);
            assert_eq!(found["results"].as_array().unwrap().len(), 3);
        }
    }
    for tool in ["get_memory", "update_memory", "delete_memory"] {
        let nulls = json!({"memory_id": add(&mut client, "Hums", &json!({})), "user_id": null, "agent_id": null});
        let more = match tool {
            "update_memory" => json!({"text": "Hums softly", "metadata": null}),
            _ => json!({}),
        };
        client.call(tool, with(&nulls, &more));
    }
    let nulls = |names: &[&str]| -> Value {
        names
            .iter()
            .map(|name| ((*name).to_owned(), Value::Null))
            .collect()
    };
    let search = nulls(&[
        "filters",
        "limit",
        "top_k",
        "threshold",
        "user_id",
        "agent_id",
        "app_id",
        "run_id",
        "include_invalid",
        "rerank",
        "enable_graph",
    ]);
    client.call("search_memories", with(&json!({"query": "sing"}), &search));
    client.call(
        "get_memories",
        nulls(&[
            "filters",
            "page",
            "page_size",
            "before",
            "include_invalid",
            "user_id",
            "agent_id",
            "app_id",
            "run_id",
            "enable_graph",
        ]),
    );
    client.call("list_events", nulls(&["user_id", "agent_id", "limit"]));
}

fn the_prompt_is_listed_as_recorded_and_helps(world: &World) {
    let mut client = world.connect();
    let listed = client.request("prompts/list", json!({}))["result"]["prompts"].clone();
    let [recorded] = fixture("prompts.json")
        .as_array()
        .unwrap()
        .clone()
        .try_into()
        .unwrap();
    let prompts = listed.as_array().unwrap();
    let ours = prompts
        .iter()
        .find(|prompt| prompt["name"] == recorded["name"])
        .unwrap();
    assert_eq!(ours["description"], recorded["description"]);
    assert!(ours.get("arguments").is_none_or(|none| *none == json!([])));
    for params in [
        json!({"name": "memory_assistant"}),
        json!({"name": "memory_assistant", "arguments": {}}),
    ] {
        let got = client.request("prompts/get", params);
        let message = &got["result"]["messages"][0];
        let text = message["content"]["text"].as_str().unwrap();
        assert_eq!(message["role"], "user");
        for helpful in [
            "add_memory",
            "search_memories",
            r#"{"AND": [{"user_id": "john"}]}"#,
        ] {
            assert!(text.contains(helpful), "{helpful} is not in: {text}");
        }
    }
    let unknown = client.request("prompts/get", json!({"name": "nobody"}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
}
