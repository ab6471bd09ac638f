//! The tools read from the mem0 of the settings, and continue in the background.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Newcomer, StandIn};
use crate::common::mem0_stand_in::{KEY, What};
use crate::common::program::{Client, World};
use crate::common::{service::Service, wait_until};

fn command(newcomer: &Newcomer) -> Command {
    let mut command = newcomer.zep.command();
    command
        .env("MEM0_API_KEY", KEY)
        .env("MEM0_BASE_URL", &newcomer.mem0.url)
        .env("ZEP_MCP_DATA_DIR", newcomer.zep.directory().join("data"));
    command
}

fn user(id: &str) -> Value {
    json!({"user": {"id": id}})
}

fn background(id: &str) -> Value {
    json!({"user": {"id": id}, "background": true})
}

/// The status once it is no longer running.
fn ended(client: &mut Client, run: &Value) -> Value {
    let mut status = Value::Null;
    wait_until("the migration ends", || {
        status = client.call("migration_status", json!({"run": run}));
        status["state"] != "running"
    });
    status
}

#[test]
fn a_users_id_is_enough_where_the_server_knows_mem0() {
    let newcomer = Newcomer::new().remembers(4);
    let mut client = Client::connect(&mut command(&newcomer));
    let report = client.call("migrate_user", user("jane"));
    assert_eq!(report["success"], true, "{report:#}");
    assert_eq!(report["memories_migrated"], 9);
    assert_eq!(Service::of(&newcomer.zep).users(), ["jane"]);
    let found = client.call("validate_migration", user("jane"));
    assert_eq!(found["valid"], true, "{found:#}");
    assert_eq!(found["memory_count"], 9);
    // What is given counts.
    let mut given = user("joe");
    given["data"] = json!({"messages": [{"role": "user", "content": "hello"}]});
    assert_eq!(client.call("migrate_user", given)["memories_migrated"], 1);
    let all = client.close();
    assert!(!all.stderr.contains(KEY), "{}", all.stderr);
}

#[test]
fn a_self_hosted_mem0_is_read_where_the_settings_name_it() {
    let newcomer = Newcomer::new().remembers(4);
    let mut command = newcomer.zep.command();
    command
        .env("MEM0_SERVER_URL", &newcomer.mem0.url)
        .env("MEM0_SERVER_KEY", KEY);
    let mut client = Client::connect(&mut command);
    let report = client.call("migrate_user", user("joe"));
    assert_eq!(report["memories_migrated"], 8, "{report:#}");
}

#[test]
fn a_mem0_that_refuses_the_key_is_an_error_and_not_an_empty_one() {
    let newcomer = Newcomer::new().remembers(1);
    newcomer.mem0.fault("/v", usize::MAX, What::Status(401));
    let mut client = Client::connect(&mut command(&newcomer));
    let answer = client.refused("migrate_user", user("jane"));
    assert_eq!(answer["error"], "migration_failed", "{answer:#}");
    assert!(!answer.to_string().contains(KEY));
}

#[test]
fn a_migration_in_the_background_answers_at_once_and_tells_how_far_it_is() {
    let newcomer = Newcomer::with_zep(&["--latency", "40"]).remembers(40);
    let mut client = Client::connect(&mut command(&newcomer));
    let begun = client.call("migrate_user", background("jane"));
    assert_eq!(begun["state"], "running", "{begun:#}");
    let status = ended(&mut client, &begun["run"]);
    assert_eq!(status["state"], "done", "{status:#}");
    assert_eq!(status["report"]["memories_migrated"], 81);
    let unknown = client.refused("migration_status", json!({"run": "no-such-run"}));
    assert_eq!(unknown["error"], "not_found");
}

#[test]
fn a_migration_in_the_background_can_be_stopped_and_the_same_call_continues_it() {
    let newcomer = Newcomer::with_zep(&["--latency", "150"]).remembers(100);
    let mut client = Client::connect(&mut command(&newcomer));
    let begun = client.call("migrate_user", background("jane"));
    wait_until("it writes", || newcomer.writes() > 3);
    client.call(
        "migration_status",
        json!({"run": begun["run"], "cancel": true}),
    );
    let status = ended(&mut client, &begun["run"]);
    assert_eq!(status["state"], "stopped", "{status:#}");
    let begun = client.call("migrate_user", background("jane"));
    let status = ended(&mut client, &begun["run"]);
    assert_eq!(status["state"], "done", "{status:#}");
    assert_eq!(Service::of(&newcomer.zep).messages("jane-0").len(), 100);
}

#[test]
fn a_migration_that_is_stopped_before_it_writes_has_not_failed() {
    let newcomer = Newcomer::new().remembers(4);
    let slow = What::Slow(Duration::from_secs(20));
    newcomer.mem0.fault("/v", usize::MAX, slow);
    let mut client = Client::connect(&mut command(&newcomer));
    let begun = client.call("migrate_user", background("jane"));
    let stopping = json!({"run": begun["run"], "cancel": true});
    client.call("migration_status", stopping);
    let status = ended(&mut client, &begun["run"]);
    assert_eq!(status["state"], "stopped", "{status:#}");
    let why = status["error"].as_str().unwrap();
    assert!(why.contains("stopped before anything was written"), "{why}");
    assert_eq!(newcomer.writes(), 0);
}

#[test]
fn a_server_that_ends_stops_its_migrations_and_the_next_one_continues_them() {
    let newcomer = Newcomer::with_zep(&["--latency", "150"]).remembers(100);
    let mut client = Client::connect(&mut command(&newcomer));
    client.call("migrate_user", background("jane"));
    wait_until("it writes", || newcomer.writes() > 3);
    client.close();
    let stored = newcomer.writes();
    let mut client = Client::connect(&mut command(&newcomer));
    let report = client.call("migrate_user", user("jane"));
    assert_eq!(report["success"], true, "{report:#}");
    assert!(newcomer.writes() > stored);
    for session in ["jane-0", "jane-1"] {
        assert_eq!(Service::of(&newcomer.zep).messages(session).len(), 100);
    }
    let found = client.call("validate_migration", user("jane"));
    assert_eq!(found["valid"], true, "{found:#}");
}

#[test]
fn nothing_is_read_from_mem0_without_its_settings() {
    let world = World::embedded();
    let mem0 = StandIn::start();
    let mut client = world.connect();
    let report = client.call("migrate_user", user("jane"));
    assert_eq!(report["users_migrated"], 1, "{report:#}");
    client.refused("validate_migration", user("jane"));
    assert!(mem0.calls_to("/").is_empty());
}

#[test]
fn a_client_that_follows_tasks_gets_a_migration_as_a_task() {
    let newcomer = Newcomer::with_zep(&["--latency", "40"]).remembers(40);
    let connect = || {
        let mut client = Client::spawn(&mut command(&newcomer));
        let mut hello = Client::hello();
        hello["capabilities"] = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        client.request("initialize", hello);
        client.notify("notifications/initialized");
        client
    };
    let mut client = connect();
    let call = |who: &str| json!({"name": "migrate_user", "arguments": user(who)});
    let begun = client.request("tools/call", call("jane"))["result"].clone();
    assert_eq!(begun["resultType"], "task", "{begun:#}");
    assert_eq!(begun["status"], "working", "{begun:#}");
    let id = json!({"taskId": begun["taskId"]});
    let mut task = Value::Null;
    wait_until("the task ends", || {
        task = client.request("tasks/get", id.clone())["result"].clone();
        task["status"] != "working"
    });
    assert_eq!(task["status"], "completed", "{task:#}");
    let report = &task["result"]["structuredContent"];
    assert_eq!(report["memories_migrated"], 81, "{task:#}");
    // It can be cancelled, and who asks for the answer itself gets that.
    let begun = client.request("tools/call", call("joe"))["result"].clone();
    let id = json!({"taskId": begun["taskId"]});
    client.request("tasks/cancel", id.clone());
    wait_until("the task is over", || {
        let task = client.request("tasks/get", id.clone());
        task["result"]["status"] != "working"
    });
    let mut at_once = user("joe");
    at_once["background"] = json!(false);
    let report = client.call("migrate_user", at_once);
    assert_eq!(report["success"], true, "{report:#}");
    let unknown = client.request("tasks/get", json!({"taskId": "none"}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown:#}");
}
