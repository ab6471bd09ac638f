//! The variables of mem0's configurations, and the choice of tools.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::{Value, json};

use super::add;
use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    a_configuration_of_mem0s_serves_and_its_key_is_never_shown,
    the_chosen_tools_are_listed_and_no_others_can_be_called,
);

const CORE: [&str; 5] = [
    "add_memory",
    "get_session",
    "migrate_user",
    "search_memory",
    "validate_migration",
];
const MEM0S: [&str; 9] = [
    "add_memory",
    "delete_all_memories",
    "delete_entities",
    "delete_memory",
    "get_memories",
    "get_memory",
    "list_entities",
    "search_memories",
    "update_memory",
];

fn listed(client: &mut Client) -> BTreeSet<String> {
    let tools = client.request("tools/list", json!({}))["result"]["tools"].clone();
    tools
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn a_configuration_of_mem0s_serves_and_its_key_is_never_shown(world: &World) {
    const KEY: &str = "m0-9d1f5c3e7a";
    let mut command = world.command();
    command
        .env("MEM0_API_KEY", KEY)
        .env("MEM0_DEFAULT_USER_ID", "ida")
        .env("MEM0_ENABLE_GRAPH_DEFAULT", "true")
        .env("HOST", "0.0.0.0")
        .env("PORT", "8081")
        .env("LOG_LEVEL", "trace");
    let mut client = Client::connect(&mut command);
    add(&mut client, "Keeps bees", &json!({}));
    let page = client.call("get_memories", json!({}));
    assert_eq!(page["results"][0]["user_id"], "ida", "{page}");
    let found = client.call("search_memories", json!({"query": "bees"}));
    assert_eq!(found["results"][0]["user_id"], "ida");
    let ended = client.close();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains(KEY), "{}", ended.stderr);
}

fn the_chosen_tools_are_listed_and_no_others_can_be_called(world: &World) {
    let connect = |tools: &str| Client::connect(world.command().env("ZEP_MCP_TOOLS", tools));
    let all = listed(&mut connect("all"));
    assert!(set(&MEM0S).is_subset(&all) && set(&CORE).is_subset(&all));
    assert_eq!(listed(&mut connect("")), all, "empty is as good as unset");
    assert_eq!(listed(&mut connect(" core ")), set(&CORE));
    assert_eq!(
        listed(&mut connect("core, get_memories,get_memories")),
        &set(&CORE) | &set(&["get_memories"])
    );
    assert_eq!(listed(&mut connect(&MEM0S.join(","))), set(&MEM0S));

    let mut client = connect("search_memories");
    assert_eq!(listed(&mut client), set(&["search_memories"]));
    client.call("search_memories", json!({"query": "bees"}));
    for tool in all.iter().filter(|tool| *tool != "search_memories") {
        let call = json!({"name": tool, "arguments": {"text": "Keeps bees"}});
        let answer = client.request("tools/call", call);
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    let found = client.call("search_memories", json!({"query": "bees"}));
    assert_eq!(found["results"], json!([]), "nothing was stored");
}

#[test]
fn a_tool_that_does_not_exist_ends_the_start_with_code_2_and_names_the_setting() {
    let world = World::embedded();
    for wrong in ["everything", "core,sing", "add-memory", ","] {
        let output = world
            .command()
            .env("ZEP_MCP_TOOLS", wrong)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {said}");
        assert!(said.contains("ZEP_MCP_TOOLS"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn zeps_default_user_comes_before_mem0s() {
    let world = World::embedded();
    let mut command = world.command();
    command
        .env("MEM0_DEFAULT_USER_ID", "ida")
        .env("ZEP_DEFAULT_USER_ID", "zoe");
    let mut client = Client::connect(&mut command);
    add(&mut client, "Keeps bees", &json!({}));
    let whose = |page: &Value| page["results"][0]["user_id"].clone();
    assert_eq!(whose(&client.call("get_memories", json!({}))), "zoe");
    let idas = json!({"filters": {"user_id": "ida"}});
    assert_eq!(client.call("get_memories", idas)["count"], 0);
}
