//! Odd but common calls of models, workflow tools and hosts: what mem0-mcp-server takes is taken
//! with the same meaning, and what could reach the wrong memories is refused and named.

use serde_json::{Map, Value, json};

use super::{add, contract::fixture, with};
use crate::common::on_both_backends;
use crate::common::program::{Client, World, outcome};

on_both_backends!(
    each_recorded_odd_call_is_taken_or_refused_as_recorded,
    an_odd_call_stores_what_its_plain_form_stores,
    an_odd_call_finds_what_its_plain_form_finds,
    what_a_refused_call_named_is_still_there,
);

/// The arguments, with this memory's id in the place of `$memory`.
fn filled(arguments: &Value, memory: &str) -> Value {
    let text = arguments.to_string().replace("$memory", memory);
    serde_json::from_str(&text).unwrap()
}

fn each_recorded_odd_call_is_taken_or_refused_as_recorded(world: &World) {
    let mut client = world.connect();
    let recorded = fixture("odd_calls.json");
    for call in recorded["calls"].as_array().unwrap() {
        let memory = add(&mut client, "I play the cello", &json!({"user_id": "odd"}));
        let tool = call["tool"].as_str().unwrap();
        let arguments = filled(&call["arguments"], &memory);
        let asked = client.ask_tool(tool, &arguments);
        let outcome = outcome(&client.answer_to(asked));
        let name = &call["name"];
        assert_eq!(
            outcome.is_ok(),
            call["ours"] == "takes",
            "{name}: {outcome:?}"
        );
        let (said, named) = match &outcome {
            Ok(answer) => (&answer["notes"], &call["notes"]),
            Err(error) => (&error["detail"], &call["names"]),
        };
        if call["ours"] == "takes" {
            assert_eq!(said.is_array(), named.is_array(), "{name}: {said}");
        }
        for word in named.as_array().into_iter().flatten() {
            let (said, word) = (said.to_string(), word.as_str().unwrap());
            assert!(said.contains(word), "{name}: `{word}` is not in {said}");
        }
    }
    for user in ["null", "undefined", "none", "{{user}}", "${USER}"] {
        let page = client.call("get_memories", json!({"filters": {"user_id": user}}));
        assert_eq!(page["count"], 0, "{user}");
    }
}

/// What a session of its own holds after a call.
fn stored(client: &mut Client, session: &str, arguments: &Value) -> Vec<Value> {
    let call = with(arguments, &json!({"user_id": "odd", "run_id": session}));
    client.call("add_memory", call);
    let kept = |message: Value| -> Value {
        ["role", "content", "metadata"]
            .into_iter()
            .map(|field| (field.to_owned(), message[field].clone()))
            .collect::<Map<_, _>>()
            .into()
    };
    let messages = client.read_session("odd", session);
    messages.into_iter().map(kept).collect()
}

fn an_odd_call_stores_what_its_plain_form_stores(world: &World) {
    let mut client = world.connect();
    let turn = json!({"role": "user", "content": "I sing"});
    let image = json!({"type": "image_url", "image_url": {"url": "https://x.example/y.png"}});
    let text = |text: &str| json!({"type": "text", "text": text});
    let call = json!({"id": "t", "type": "function"});
    for (number, (odd, plain)) in [
        (
            json!({"text": "I sing", "metadata": "{\"topic\": \"music\", \"n\": 1}"}),
            json!({"text": "I sing", "metadata": {"topic": "music", "n": 1}}),
        ),
        (
            json!({"messages": json!([turn]).to_string()}),
            json!({"messages": [turn]}),
        ),
        (json!({"messages": turn}), json!({"messages": [turn]})),
        (json!({"messages": "I sing"}), json!({"messages": [turn]})),
        (
            json!({"messages": [turn, {"role": "assistant", "content": " "}, turn]}),
            json!({"messages": [turn, turn]}),
        ),
        (
            json!({"text": "I sing", "messages": [{"role": "user", "content": null}]}),
            json!({"text": "I sing"}),
        ),
        (
            json!({"messages": [{"role": "user", "content": [text("look"), image, text("here")]}]}),
            json!({"messages": [{"role": "user", "content": "look\nhere",
                                 "metadata": {"content_parts": [image]}}]}),
        ),
        (
            json!({"messages": [{"role": "model", "parts": [{"text": "I sing"}]}]}),
            json!({"messages": [{"role": "model", "content": "I sing"}]}),
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "wait", "tool_calls": [call]}]}),
            json!({"messages": [{"role": "assistant", "content": "wait",
                                 "metadata": {"tool_calls": [call]}}]}),
        ),
        (
            json!({"text": "null", "metadata": "null", "created_at": "null", "agent_id": ""}),
            json!({"text": "null"}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let in_odd = stored(&mut client, &format!("odd-{number}"), &odd);
        let in_plain = stored(&mut client, &format!("plain-{number}"), &plain);
        assert_eq!(in_odd, in_plain, "{odd}");
    }
    // An empty user is the default user, as for mem0.
    client.call("add_memory", json!({"text": "I hum", "user_id": ""}));
    let page = client.call("get_memories", json!({"user_id": "mem0-mcp"}));
    assert_eq!(page["results"][0]["memory"], "I hum");
}

fn an_odd_call_finds_what_its_plain_form_finds(world: &World) {
    let mut client = world.connect();
    for number in 0..4 {
        add(
            &mut client,
            &format!("I sing in choir {number}"),
            &json!({"user_id": "odd", "created_at": format!("2024-01-0{}", number + 1)}),
        );
    }
    add(&mut client, "I sing alone", &json!({}));
    let filter = json!({"AND": [{"user_id": "odd"}]});
    for (tool, odd, plain) in [
        (
            "get_memories",
            json!({"filters": filter.to_string(), "page": "2", "page_size": "2"}),
            json!({"filters": filter, "page": 2, "page_size": 2}),
        ),
        (
            "get_memories",
            json!({"filters": filter, "page": 0, "page_size": 9_999, "toolCallId": "x"}),
            json!({"filters": filter}),
        ),
        ("get_memories", json!({"user_id": ""}), json!({})),
        (
            "search_memories",
            json!({"query": "sing", "filters": filter.to_string(), "limit": "2"}),
            json!({"query": "sing", "filters": filter, "limit": 2}),
        ),
        (
            "search_memories",
            json!({"query": "sing", "filters": filter, "limit": -3}),
            json!({"query": "sing", "filters": filter, "limit": 1}),
        ),
    ] {
        let mut found = |arguments: &Value| {
            let answer = client.call(tool, arguments.clone());
            super::in_order(answer["results"].as_array().unwrap())
        };
        let (in_odd, in_plain) = (found(&odd), found(&plain));
        assert!(!in_plain.is_empty());
        assert_eq!(in_odd, in_plain, "{odd}");
    }
}

fn what_a_refused_call_named_is_still_there(world: &World) {
    let mut client = world.connect();
    let memory = add(&mut client, "I sing", &json!({}));
    for (tool, arguments) in [
        ("delete_all_memories", json!({"user_id": ""})),
        ("delete_all_memories", json!({"user_id": "null"})),
        ("delete_all_memories", json!({"user_id": "{{user}}"})),
        (
            "delete_all_memories",
            json!({"user_id": "mem0-mcp", "run_id": ""}),
        ),
        (
            "delete_all_memories",
            json!({"user_id": "mem0-mcp", "x": null}),
        ),
        ("delete_entities", json!({"user_id": "undefined"})),
        ("delete_memory", json!({"memory_id": memory, "action": "x"})),
        ("delete_memory", json!({"memory_id": memory, "user_id": ""})),
        (
            "update_memory",
            json!({"memory_id": memory, "content": "I hum"}),
        ),
        (
            "update_memory",
            json!({"memory_id": memory, "text": "I hum", "agent_id": ""}),
        ),
    ] {
        client.refused(tool, arguments);
    }
    assert_eq!(
        client.call("get_memory", json!({"memory_id": memory}))["memory"],
        "I sing"
    );
    // The default user's memories are not shown in the place of somebody else's either.
    for (tool, more) in [
        ("search_memory", json!({"user": "ann"})),
        ("search_memory", json!({"filters": {"user_id": "ann"}})),
        ("search_memories", json!({"userId": "ann"})),
        ("search_memories", json!({"user_id": "null"})),
        ("search_memory", json!({"usr_id": "ann"})),
    ] {
        client.refused(tool, with(&json!({"query": "sing"}), &more));
    }
}
