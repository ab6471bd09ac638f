//! `MEM0_FALLBACK` and `MEM0_MIRROR`: mem0 is kept beside Zep.

use serde_json::{Value, json};

use super::{Both, listed};
use crate::common::program::Client;
use crate::common::service::Service;

fn connect(both: &Both, settings: &[(&str, &str)]) -> Client {
    let mut command = both.command("zep");
    command.env("ZEP_MCP_WRITE_WAIT_MS", "300");
    for (name, value) in settings {
        command.env(name, value);
    }
    Client::connect(&mut command)
}

#[test]
fn reads_of_users_who_are_not_in_zep_come_from_mem0_and_say_so() {
    let both = Both::new();
    both.remembers("ann", &["ann likes tea"]);
    let mut client = connect(&both, &[("MEM0_FALLBACK", "true")]);
    assert_eq!(
        listed(&mut client, "ann"),
        (vec!["ann likes tea".into()], vec![json!("mem0")])
    );
    let session = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    assert_eq!(session["backend"], "mem0");
    let found = client.call("search_memory", json!({"query": "tea", "user_id": "ann"}));
    assert_eq!(found["results"][0]["backend"], "mem0", "{found}");
    // What is written goes to Zep.
    let added = client.call(
        "add_memory",
        json!({"user_id": "zoe", "text": "zoe is new"}),
    );
    assert_eq!(added["backend"], "zep");
    assert!(both.in_mem0("zoe").is_empty());
}

#[test]
fn while_zep_is_away_mem0_answers_but_not_with_what_was_deleted() {
    let both = Both::new();
    let ids = both.remembers("ann", &["ann likes tea", "ann likes coffee"]);
    let output = both.run("zep", &["migrate", "--from", "mem0", "--user", "ann"]);
    assert!(output.status.success(), "{output:?}");
    let service = Service::of(&both.world);
    let mut client = connect(&both, &[("MEM0_FALLBACK", "true")]);
    let away = || service.plan(&json!({"fail": [{"rate": 1.0, "status": 503}]}));
    listed(&mut client, "ann");
    away();
    let page = client.call("get_memories", json!({"user_id": "ann"}));
    assert_eq!(page["stale"], true, "{page}");
    assert_eq!(page["results"].as_array().unwrap().len(), 2);
    assert_eq!(page["results"][0]["backend"], "mem0");
    let found = client.call(
        "search_memory",
        json!({"query": "coffee", "user_id": "ann"}),
    );
    assert_eq!(found["results"][0]["memory"], "ann likes coffee", "{found}");
    let session = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    assert_eq!(
        session["messages"].as_array().unwrap().len(),
        2,
        "{session}"
    );

    service.calm();
    // mem0 is away when something is deleted in Zep.
    let mut settled = connect(&both, &[("MEM0_FALLBACK", "true")]);
    let turn = settled.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    let first = turn["messages"][0]["id"].clone();
    both.mem0.fault(
        "",
        usize::MAX,
        crate::common::mem0_stand_in::What::Status(503),
    );
    settled.call(
        "delete_memory",
        json!({"memory_id": first, "user_id": "ann"}),
    );
    both.mem0.state().faults.clear();
    away();
    // Until mem0 knows of it, it is not asked.
    let page = settled.call("get_memories", json!({"user_id": "ann"}));
    let shown = page["results"].as_array().unwrap();
    assert!(
        shown
            .iter()
            .all(|memory| memory["memory"] != "ann likes tea"),
        "{page}"
    );
    service.calm();
    let mut flush = both.command("zep");
    flush
        .env("MEM0_FALLBACK", "true")
        .args(["queue", "flush", "--wait", "120"]);
    assert!(flush.output().unwrap().status.success());
    assert_eq!(both.in_mem0("ann"), ["ann likes coffee"], "{ids:?}");
}

#[test]
fn a_mirror_has_what_zep_has_and_is_not_migrated_back() {
    let both = Both::new();
    let old = both.remembers("ann", &["ann likes tea"]);
    let output = both.run("zep", &["migrate", "--from", "mem0", "--user", "ann"]);
    assert!(output.status.success(), "{output:?}");
    let mirror = [("MEM0_MIRROR", "true")];
    let mut client = connect(&both, &mirror);
    let settle = || {
        let mut flush = both.command("zep");
        flush
            .env("MEM0_MIRROR", "true")
            .args(["queue", "flush", "--wait", "120"]);
        let flushed = flush.output().unwrap();
        assert!(flushed.status.success(), "{flushed:?}");
    };
    let cat = client.call(
        "add_memory",
        json!({"user_id": "ann", "text": "ann has a cat"}),
    );
    let turns =
        json!([{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]);
    client.call(
        "add_memory",
        json!({"user_id": "ann", "session_id": "tuesday", "messages": turns}),
    );
    // A call that is repeated with its key is not doubled there.
    for _ in 0..2 {
        client.call(
            "add_memory",
            json!({"user_id": "bea", "text": "bea is shy", "idempotency_key": "1"}),
        );
    }
    settle();
    assert_eq!(
        both.in_mem0("ann"),
        ["ann has a cat", "ann likes tea", "hello", "hi"]
    );
    assert_eq!(both.in_mem0("bea"), ["bea is shy"]);
    let id = cat["results"][0]["id"].clone();
    let changed = client.call(
        "update_memory",
        json!({"memory_id": id, "text": "ann has a tomcat"}),
    );
    settle();
    assert_eq!(
        both.in_mem0("ann"),
        ["ann has a tomcat", "ann likes tea", "hello", "hi"]
    );
    client.call("delete_memory", json!({"memory_id": changed["id"]}));
    // What was migrated is deleted in mem0, too: its record has mem0's id.
    let turn = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    assert_eq!(turn["messages"][0]["content"], "ann likes tea", "{turn}");
    client.call(
        "delete_memory",
        json!({"memory_id": turn["messages"][0]["id"]}),
    );
    settle();
    assert_eq!(both.in_mem0("ann"), ["hello", "hi"], "{old:?}");

    // What mem0 has of Zep is not doubled by a migration.
    let output = both.run(
        "zep",
        &["migrate", "--from", "mem0", "--user", "ann", "--json"],
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["memories_migrated"], 0, "{report:#}");
    // Nor by one of a file that somebody made of what mem0 has.
    let copy = json!({"results": [{"id": "5", "user_id": "ann", "memory": "hello",
                                   "metadata": {"zm_copy": "some record"}}]});
    let file = both.world.directory().join("copies.json");
    std::fs::write(&file, copy.to_string()).unwrap();
    let output = both.run(
        "zep",
        &["migrate", "--file", file.to_str().unwrap(), "--json"],
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["memories_migrated"], 0, "{report:#}");
    assert_eq!(client.read_session("ann", "tuesday").len(), 2);
    client.call("delete_entities", json!({"user_id": "ann"}));
    settle();
    assert!(both.in_mem0("ann").is_empty());
}

#[test]
fn a_failing_mirror_fails_no_call() {
    let both = Both::new();
    // Zep has the time that it needs on a busy machine; mem0 must not take any.
    let settings = [("MEM0_MIRROR", "true"), ("ZEP_MCP_WRITE_WAIT_MS", "60000")];
    let mut client = connect(&both, &settings);
    both.mem0.fault(
        "",
        usize::MAX,
        crate::common::mem0_stand_in::What::Status(503),
    );
    for n in 0..5 {
        let added = client.call(
            "add_memory",
            json!({"user_id": "ann", "text": format!("text {n}")}),
        );
        assert_eq!(added["status"], "PENDING", "{added}");
    }
    drop(client);
    both.mem0.state().faults.clear();
    both.mem0.fault(
        "/v3/memories/add/",
        1,
        crate::common::mem0_stand_in::What::Lost,
    );
    let mut flush = both.command("zep");
    flush
        .env("MEM0_MIRROR", "true")
        .args(["queue", "flush", "--wait", "120"]);
    assert!(flush.output().unwrap().status.success());
    assert_eq!(
        both.in_mem0("ann"),
        ["text 0", "text 1", "text 2", "text 3", "text 4"]
    );
}
