//! `MEMORY_BACKEND=mem0`: the entry is switched first, and the data later.

use serde_json::json;

use super::{Both, listed, texts};
use crate::common::mem0_stand_in::{Call, KEY, What};
use crate::common::program::Client;

/// What was sent to mem0, without its lists of entities.
fn sent(both: &Both) -> Vec<Call> {
    both.mem0.state().calls.clone()
}

#[test]
fn every_tool_of_mem0_works_as_with_mem0_mcp_server() {
    let both = Both::new();
    let mut client = both.connect("mem0");
    let added = client.call(
        "add_memory",
        json!({"user_id": "ann", "text": "ann likes tea"}),
    );
    assert_eq!(added["backend"], "mem0", "{added}");
    assert_eq!(added["status"], "PENDING", "{added}");
    let turns = json!([{"role": "user", "content": "I moved to Lima"},
                       {"role": "assistant", "content": "When?"}]);
    client.call(
        "add_memory",
        json!({"user_id": "ann", "run_id": "monday", "agent_id": "bot", "messages": turns,
               "metadata": {"n": 1}}),
    );
    let calls = sent(&both);
    let bodies: Vec<_> = calls.iter().map(|call| call.body.clone()).collect();
    assert_eq!(
        bodies,
        [
            json!({"messages": [{"role": "user", "content": "ann likes tea"}], "user_id": "ann"}),
            json!({"messages": turns, "user_id": "ann", "agent_id": "bot", "run_id": "monday",
                   "metadata": {"n": 1}}),
        ]
    );
    assert!(calls.iter().all(|call| call.path == "/v3/memories/add/"
        && call.header("authorization") == format!("Token {KEY}")));

    let event = json!({"event_id": added["event_id"], "user_id": "ann"});
    assert_eq!(
        client.call("get_event_status", event)["status"],
        "SUCCEEDED"
    );
    let (all, backends) = listed(&mut client, "ann");
    assert_eq!(all, ["I moved to Lima", "When?", "ann likes tea"]);
    assert_eq!(backends, [json!("mem0")]);
    let found = client.call(
        "search_memories",
        json!({"query": "who likes tea", "filters": {"user_id": "ann"}, "limit": 1}),
    );
    assert_eq!(texts(&found["results"]), ["ann likes tea"]);
    let id = found["results"][0]["id"].as_str().unwrap();
    client.call(
        "update_memory",
        json!({"memory_id": id, "text": "ann likes coffee"}),
    );
    let shown = client.call("get_memory", json!({"memory_id": id}));
    assert_eq!(shown["memory"], "ann likes coffee");
    assert_eq!(shown["backend"], "mem0");
    let session = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    assert_eq!(session["backend"], "mem0");
    let contents = session["messages"].as_array().unwrap();
    assert_eq!(contents[0]["content"], "I moved to Lima");
    assert_eq!(contents[1]["content"], "When?");
    let sessions = client.call("list_sessions", json!({"user_id": "ann"}));
    assert_eq!(
        sessions["sessions"][0]["session_id"], "monday",
        "{sessions}"
    );
    let entities = client.call("list_entities", json!({}));
    let names = entities["results"].as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|entity| {
            (
                entity["type"].as_str().unwrap(),
                entity["id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [("agent", "bot"), ("run", "monday"), ("user", "ann")]
    );

    let deleted = client.call("delete_memory", json!({"memory_id": id}));
    assert_eq!(
        (&deleted["removed"], &deleted["backend"]),
        (&json!("all"), &json!("mem0"))
    );
    client.call(
        "delete_all_memories",
        json!({"user_id": "ann", "run_id": "monday"}),
    );
    assert!(both.in_mem0("ann").is_empty());
    client.call(
        "add_memory",
        json!({"user_id": "ben", "text": "ben is new"}),
    );
    client.call("delete_entities", json!({"user_id": "ben"}));
    assert!(both.in_mem0("ben").is_empty());
    assert_eq!(both.world.requests().len(), 0, "nothing goes to Zep");
}

#[test]
fn whose_memory_it_is_decides_as_before() {
    let both = Both::new();
    let mut client = both.connect("mem0");
    client.call("add_memory", json!({"text": "of the default user"}));
    client.call(
        "add_memory",
        json!({"agent_id": "bot", "text": "of the agent"}),
    );
    client.call(
        "add_memory",
        json!({"agent_id": "bot", "user_id": "ann", "text": "of ann"}),
    );
    let calls = sent(&both);
    assert_eq!(calls[0].body["user_id"], "mem0-mcp");
    assert_eq!(calls[1].body["user_id"], json!(null));
    let of_agent = client.call("get_memories", json!({"filters": {"agent_id": "bot"}}));
    // A filter that names no user means the default user's, and the agent's own.
    assert_eq!(texts(&of_agent["results"]), ["of the agent"]);
    let of_all = client.call("get_memories", json!({"filters": {"user_id": "*"}}));
    assert_eq!(texts(&of_all["results"]), ["of ann", "of the default user"]);
    client.call("delete_all_memories", json!({"agent_id": "bot"}));
    assert_eq!(
        both.in_mem0("ann"),
        ["of ann"],
        "a user's memory that names the agent is the user's"
    );
}

#[test]
fn a_failing_mem0_is_an_error_that_says_so_and_nothing_is_sent_twice() {
    let both = Both::new();
    let mut client = both.connect("mem0");
    both.mem0.fault("/v3/memories/add/", 1, What::Lost);
    let error = client.refused(
        "add_memory",
        json!({"user_id": "ann", "text": "ann likes tea"}),
    );
    assert_eq!(error["error"], "mem0_failed", "{error}");
    assert_eq!(
        both.in_mem0("ann"),
        ["ann likes tea"],
        "it was carried out, once"
    );
    both.mem0.fault("/v3/memories/add/", 1, What::Status(401));
    let error = client.refused("add_memory", json!({"user_id": "ann", "text": "another"}));
    assert_eq!(error["status"], 401, "{error}");
    assert!(!error.to_string().contains(KEY), "the key is not shown");
    let nothing = json!({"memory_id": "00000000-0000-4000-8000-00000000ffff"});
    assert_eq!(client.refused("get_memory", nothing)["error"], "not_found");
    let migration = client.refused("migrate_user", json!({"user": {"id": "ann"}}));
    assert!(
        migration["detail"].as_str().unwrap().contains("phased"),
        "{migration}"
    );
}

#[test]
fn a_call_with_a_key_is_stored_once_and_the_time_of_a_turn_is_kept() {
    let both = Both::new();
    let mut client = both.connect("mem0");
    let call = json!({"user_id": "ann", "text": "ann likes tea", "idempotency_key": "note 1"});
    both.mem0.fault("/v3/memories/add/", 1, What::Lost);
    client.refused("add_memory", call.clone());
    client.call("add_memory", call.clone());
    client.call("add_memory", call);
    assert_eq!(both.in_mem0("ann"), ["ann likes tea"]);
    let shown = client.call("get_memories", json!({"user_id": "ann"}));
    assert_eq!(
        shown["results"][0]["metadata"],
        json!({}),
        "our mark is not shown"
    );
    let turns = json!([{"role": "user", "content": "hello", "created_at": "2024-05-01T00:00:00Z"}]);
    client.call(
        "add_memory",
        json!({"user_id": "ben", "run_id": "monday", "messages": turns}),
    );
    let shown = client.call(
        "get_session",
        json!({"user_id": "ben", "session_id": "monday"}),
    );
    assert_eq!(
        shown["messages"][0]["created_at"], "2024-05-01T00:00:00Z",
        "{shown}"
    );
}

#[test]
fn the_settings_are_checked_before_anything_is_served() {
    let both = Both::new();
    let refused = |settings: &[(&str, &str)], named: &str| {
        let mut command = both.world.command();
        command.env_remove("MEM0_API_KEY");
        for (name, value) in settings {
            command.env(name, value);
        }
        let output = command.arg("doctor").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(named), "{named}: {said}");
    };
    refused(&[("MEMORY_BACKEND", "mem0")], "MEM0_API_KEY");
    refused(&[("MEMORY_BACKEND", "phased")], "MEM0_API_KEY");
    refused(&[("MEM0_FALLBACK", "true")], "MEM0_API_KEY");
    refused(&[("MEM0_MIRROR", "maybe")], "MEM0_MIRROR");
    let key = ("MEM0_API_KEY", KEY);
    refused(
        &[("MEMORY_BACKEND", "mem0"), ("MEM0_ENABLED", "false"), key],
        "MEM0_ENABLED",
    );
    refused(
        &[("MEMORY_BACKEND", "phased"), ("ZEP_MCP_QUEUE", "off"), key],
        "ZEP_MCP_QUEUE",
    );
    let doctor = both.run("mem0", &["doctor", "--json"]);
    assert!(doctor.status.success(), "{doctor:?}");
    let status = both.run("mem0", &["status", "--json"]);
    assert!(status.status.success(), "{status:?}");
    let mut client = Client::connect(&mut both.command("mem0"));
    assert_eq!(
        client.call("list_entities", json!({}))["results"],
        json!([])
    );
}
