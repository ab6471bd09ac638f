//! `MEMORY_BACKEND=phased`: each user is Zep's or mem0's, and is moved without losing a write.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Both, listed, texts};
use crate::common::mem0_stand_in::What;
use crate::common::program::Client;
use crate::common::service::Service;

fn add(client: &mut Client, user: &str, text: &str) -> Value {
    client.call("add_memory", json!({"user_id": user, "text": text}))
}

#[test]
fn whoever_is_new_is_zeps_and_others_are_mem0s_until_they_are_moved() {
    let both = Both::new();
    let old = both.remembers("ann", &["ann likes tea"]);
    let mut client = both.connect("phased");
    assert_eq!(add(&mut client, "ann", "ann has a cat")["backend"], "mem0");
    assert_eq!(add(&mut client, "new", "new to both")["backend"], "zep");
    assert_eq!(both.in_mem0("ann"), ["ann has a cat", "ann likes tea"]);
    assert!(both.in_mem0("new").is_empty());
    assert_eq!(listed(&mut client, "ann").1, [json!("mem0")]);
    let status = both.run("phased", &["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(
        (&status["users_in_zep"], &status["users_in_mem0"]),
        (&json!(1), &json!(1))
    );

    let report = both.migrate(&["ann"]);
    assert_eq!(report["success"], true, "{report:#}");
    assert_eq!(report["validation"]["valid"], true, "{report:#}");
    // A server that ran all the time knows at once.
    let (all, backends) = listed(&mut client, "ann");
    assert_eq!(all, ["ann has a cat", "ann likes tea"]);
    assert_eq!(backends, [Value::Null]);
    assert_eq!(add(&mut client, "ann", "ann moved")["backend"], "zep");
    assert_eq!(both.in_mem0("ann").len(), 2, "mem0 stays as it was");
    let (_, user) = Service::of(&both.world).call("GET", &["users", "ann"], None);
    assert_eq!(user["metadata"]["memory_backend"], "zep", "{user}");
    // An id that mem0 gave still leads to the memory.
    let shown = client.call("get_memory", json!({"memory_id": old[0]}));
    assert_eq!(shown["memory"], "ann likes tea");
    client.call("delete_memory", json!({"memory_id": old[0]}));
    both.settle("phased");
    assert_eq!(listed(&mut client, "ann").0, ["ann has a cat", "ann moved"]);
    assert_eq!(
        both.in_mem0("ann"),
        ["ann has a cat"],
        "what is deleted is deleted in both"
    );
    let status = both.run("phased", &["status"]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("2 users are in Zep, 0 in mem0"), "{said}");
}

#[test]
fn reading_decides_nothing() {
    let both = Both::new();
    let mut client = both.connect("phased");
    assert!(listed(&mut client, "ann").0.is_empty());
    both.remembers("ann", &["ann likes tea"]);
    let mut later = both.connect("phased");
    assert_eq!(listed(&mut later, "ann").1, [json!("mem0")]);
    assert_eq!(add(&mut later, "ann", "ann has a cat")["backend"], "mem0");
}

#[test]
fn another_machine_learns_from_zep_who_was_moved() {
    let both = Both::new();
    both.remembers("ann", &["ann likes tea"]);
    both.migrate(&["ann"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = both.command("phased");
    command.env("ZEP_MCP_DATA_DIR", elsewhere.path());
    let mut client = Client::connect(&mut command);
    assert_eq!(listed(&mut client, "ann").1, [Value::Null]);
    assert_eq!(add(&mut client, "ann", "ann has a cat")["backend"], "zep");
}

#[test]
fn what_is_written_while_somebody_is_moved_arrives_once_and_after_what_was_there() {
    let both = Both::new();
    both.remembers("ann", &["first", "second"]);
    let mut client = both.connect("phased");
    // Each page takes a while, so that there is time to write.
    both.mem0.fault(
        "POST /v3/memories/?",
        2,
        What::Slow(Duration::from_millis(1_500)),
    );
    let mut moving = both.command("phased");
    moving.args(["migrate", "--from", "mem0", "--user", "ann", "--json"]);
    let moving = moving.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut during = Vec::new();
    let mut queued = 0;
    for n in 0..40 {
        let text = format!("during {n}");
        let answer = add(&mut client, "ann", &text);
        queued += usize::from(answer["status"] == "QUEUED");
        during.push(text);
        std::thread::sleep(Duration::from_millis(50));
    }
    let moved = moving.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(report["success"], true, "{report:#}");
    both.settle("phased");
    let (all, backends) = listed(&mut client, "ann");
    during.extend(["first".to_owned(), "second".to_owned()]);
    during.sort();
    assert_eq!(all, during, "{queued} waited");
    assert_eq!(backends, [Value::Null]);
}

#[test]
fn nobody_is_moved_who_did_not_arrive_whole_and_nothing_is_lost() {
    let both = Both::new();
    both.remembers("ann", &["ann likes tea"]);
    both.remembers("ben", &["ben likes tea"]);
    // A memory that cannot be migrated.
    both.mem0.add(
        json!({"user_id": "ben", "memory": "ben's wrong day", "created_at": "yesterday-ish",
                         "expiration_date": "never"}),
    );
    let report = both.migrate(&[]);
    assert_eq!(report["success"], false, "{report:#}");
    let mut client = both.connect("phased");
    assert_eq!(add(&mut client, "ben", "ben has a cat")["backend"], "mem0");
    assert_eq!(
        both.in_mem0("ben"),
        ["ben has a cat", "ben likes tea", "ben's wrong day"]
    );
    assert_eq!(listed(&mut client, "ben").0.len(), 3);
}

#[test]
fn an_undone_migration_gives_users_back() {
    let both = Both::new();
    both.remembers("ann", &["ann likes tea"]);
    both.migrate(&["ann"]);
    let undone = both.run("phased", &["rollback", "--run", "latest", "--yes"]);
    assert!(undone.status.success(), "{undone:?}");
    let mut client = both.connect("phased");
    let (all, backends) = listed(&mut client, "ann");
    assert_eq!(
        (all, backends),
        (vec!["ann likes tea".to_owned()], vec![json!("mem0")])
    );
    assert_eq!(add(&mut client, "ann", "ann has a cat")["backend"], "mem0");
    let report = both.migrate(&["ann"]);
    assert_eq!(report["success"], true, "{report:#}");
    assert_eq!(
        listed(&mut client, "ann").0,
        ["ann has a cat", "ann likes tea"]
    );
    assert_eq!(listed(&mut client, "ann").1, [Value::Null]);
}

#[test]
fn while_zep_is_away_mem0s_users_go_on_and_nobody_is_guessed() {
    let both = Both::new();
    both.remembers("ann", &["ann likes tea"]);
    both.remembers("ben", &["ben likes tea"]);
    let mut hurried = both.command("phased");
    hurried.env("ZEP_MCP_WRITE_WAIT_MS", "300");
    let mut client = Client::connect(&mut hurried);
    assert_eq!(listed(&mut client, "ann").1, [json!("mem0")]);
    let service = Service::of(&both.world);
    service.plan(&json!({"fail": [{"rate": 1.0, "status": 503}]}));
    assert_eq!(add(&mut client, "ann", "ann has a cat")["backend"], "mem0");
    assert_eq!(
        listed(&mut client, "ann").0,
        ["ann has a cat", "ann likes tea"]
    );
    // Another machine may have moved him.
    let queued = add(&mut client, "ben", "ben has a cat");
    assert_eq!(queued["status"], "QUEUED", "{queued}");
    service.calm();
    both.settle("phased");
    assert_eq!(both.in_mem0("ben"), ["ben has a cat", "ben likes tea"]);
    assert!(!service.users().contains(&"ben".to_owned()));
}

#[test]
fn the_tool_moves_a_user_too() {
    let both = Both::new();
    both.remembers("ann", &["ann likes tea"]);
    let mut client = both.connect("phased");
    let report = client.call(
        "migrate_user",
        json!({"user": {"id": "ann"}, "background": false}),
    );
    assert_eq!(report["success"], true, "{report:#}");
    assert_eq!(add(&mut client, "ann", "ann has a cat")["backend"], "zep");
    assert_eq!(
        listed(&mut client, "ann").0,
        ["ann has a cat", "ann likes tea"]
    );
    // A part moves nobody.
    both.remembers("ben", &["ben likes tea"]);
    let part = json!({"user": {"id": "ben"}, "session_ids": ["monday"], "background": false});
    client.call("migrate_user", part);
    assert_eq!(add(&mut client, "ben", "ben has a cat")["backend"], "mem0");
}

#[test]
fn a_mem0_that_is_away_fails_no_call_of_zeps_users_and_loses_no_write_of_its_own() {
    let both = Both::new();
    let ids = both.remembers("ann", &["ann likes tea"]);
    let mut client = both.connect("phased");
    add(&mut client, "zoe", "zoe is Zep's");
    assert_eq!(listed(&mut client, "ann").1, [json!("mem0")]);
    both.mem0.fault("", usize::MAX, What::Status(503));
    assert_eq!(add(&mut client, "zoe", "zoe has a cat")["backend"], "zep");
    assert_eq!(
        listed(&mut client, "zoe").0,
        ["zoe has a cat", "zoe is Zep's"]
    );
    let error = client.refused("get_memories", json!({"user_id": "ann"}));
    assert_eq!(error["error"], "mem0_failed", "{error}");
    // It is not known to be gone.
    for tool in ["get_memory", "delete_memory"] {
        let error = client.refused(tool, json!({"memory_id": ids[0]}));
        assert_eq!(error["error"], "mem0_failed", "{tool}: {error}");
    }
    let mut hurried = both.command("phased");
    hurried.env("ZEP_MCP_WRITE_WAIT_MS", "200");
    let mut client = Client::connect(&mut hurried);
    assert_eq!(add(&mut client, "ann", "ann has a cat")["status"], "QUEUED");
    both.mem0.state().faults.clear();
    both.settle("phased");
    assert_eq!(both.in_mem0("ann"), ["ann has a cat", "ann likes tea"]);
    // An answer that is lost does not double it.
    both.mem0.fault("/v3/memories/add/", 1, What::Lost);
    add(&mut client, "ann", "ann has a dog");
    both.settle("phased");
    assert_eq!(
        both.in_mem0("ann"),
        ["ann has a cat", "ann has a dog", "ann likes tea"]
    );
    let found = client.call("search_memories", json!({"query": "dog", "user_id": "ann"}));
    assert_eq!(texts(&found["results"])[0], "ann has a dog");
}
