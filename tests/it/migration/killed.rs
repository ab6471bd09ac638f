//! A run that follows a killed one leaves nothing twice, although the killed one's last write lands
//! after this run has looked.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{is_valid, jane, migrate_all, turns};
use crate::common::program::{Client, World};
use crate::common::service::Service;
use crate::common::wait_until;

/// Shorter than a late write may take, longer than a run.
const LATE_MS: u64 = 4_000;

fn command(world: &World) -> Command {
    let mut command = world.command();
    command
        .env("ZEP_TIMEOUT_SECS", "5")
        .env("ZEP_MCP_DATA_DIR", world.directory().join("data"));
    command
}

/// The files of runs that have not ended.
fn unended(world: &World) -> Vec<PathBuf> {
    let directory = world.directory().join("data").join("migrations");
    let files = std::fs::read_dir(directory).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// Migrates with a server that is killed while its last write to a route is on its way.
fn killed(world: &World, service: &Service, route: &str, writes_before: usize, data: &Value) {
    service.next(&json!({
        "method": "POST", "route": route, "after": writes_before,
        "fault": {"kind": "late_write", "ms": LATE_MS},
    }));
    let mut client = Client::connect(&mut command(world));
    client.ask_tool("migrate_user", &json!({"user": jane(), "data": data}));
    wait_until("the last write is on its way", || {
        service.counted()["late_write"] == 1
    });
    drop(client);
    assert_eq!(unended(world).len(), 1);
}

/// What landed late was removed, unless the machine is so slow that it landed before the run looked.
fn was_late(report: &Value, seen: u64) {
    if report["already_there"] == seen {
        assert!(report["doubles_removed"].as_u64() > Some(0), "{report:#}");
    }
}

#[test]
fn what_a_killed_run_sent_last_is_single_after_the_next_one() {
    let world = World::emulated();
    let service = Service::of(&world);
    let data = json!({"sessions": [{"id": "s", "messages": turns(60)}]});
    let route = "/api/v2/threads/{thread_id}/messages";
    killed(&world, &service, route, 1, &data);
    let mut client = Client::connect(&mut command(&world));
    let report = migrate_all(&mut client, &jane(), &data);
    service.calm();
    was_late(&report, 30);
    assert_eq!(service.messages("s").len(), 60);
    is_valid(&mut client, &jane(), &data);
    assert_eq!(unended(&world), [] as [PathBuf; 0]);
}

#[test]
fn a_killed_run_is_remembered_where_nothing_of_it_is_to_be_seen_yet() {
    let world = World::emulated();
    let service = Service::of(&world);
    let data = json!({"memories": [{"id": "m", "memory": "y".repeat(100)}]});
    killed(&world, &service, "/api/v2/graph", 0, &data);
    // Another user's run is no reason to forget it before what it sent has arrived.
    let others = json!({"sessions": [{"id": "t", "messages": turns(2)}]});
    let mut stopped = Client::connect(&mut command(&world));
    stopped.ask_tool(
        "migrate_user",
        &json!({"user": {"id": "ann"}, "data": others}),
    );
    wait_until("another run has begun", || unended(&world).len() == 2);
    drop(stopped);
    let mut client = Client::connect(&mut command(&world));
    let report = migrate_all(&mut client, &jane(), &data);
    service.calm();
    was_late(&report, 0);
    assert_eq!(service.texts("jane").len(), 1);
    is_valid(&mut client, &jane(), &data);
    // The other user's.
    assert_eq!(unended(&world).len(), 1);
}

#[test]
fn a_run_that_follows_none_sends_as_little_as_possible() {
    let world = World::emulated();
    let mut client = Client::connect(&mut command(&world));
    let data = json!({"sessions": [{"id": "s", "messages": turns(60)}]});
    let report = migrate_all(&mut client, &jane(), &data);
    assert_eq!(report["requests"], report["least_requests"], "{report:#}");
    assert_eq!(unended(&world), [] as [PathBuf; 0]);
}
