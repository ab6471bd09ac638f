//! A trail that cannot be written stops calls, or by setting warns.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{directory, entries, is_intact};
use crate::common::PATIENCE;
use crate::common::program::{Client, World, outcome};

/// A server whose files may not be larger than this many blocks of 512 bytes: as on a full disk, writes
/// fail.
#[cfg(unix)]
fn confined(world: &World, blocks: usize, mode: &str) -> Client {
    let server = world.command();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("ulimit -f {blocks} && exec \"$0\"")])
        .arg(server.get_program())
        .current_dir(world.directory())
        .env_clear();
    for (name, value) in server.get_envs() {
        shell.env(name, value.unwrap());
    }
    Client::connect(shell.env("ZEP_MCP_AUDIT", mode))
}

fn search(client: &mut Client) -> Result<Value, Value> {
    let id = client.ask_tool("search_memory", &json!({"user_id": "ann", "query": "cat"}));
    outcome(&client.answer_to(id))
}

#[cfg(unix)]
#[test]
fn on_a_full_disk_no_call_is_begun() {
    let world = World::emulated();
    let mut client = confined(&world, 40, "on");
    let mut done = 0;
    let refused = loop {
        match search(&mut client) {
            Ok(_) => done += 1,
            Err(refused) => break refused,
        }
        assert!(done < 2_000, "the limit is never reached");
    };
    assert_eq!(refused["error"], "audit_unavailable", "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("the disk is full") && detail.contains("ZEP_MCP_AUDIT"),
        "{detail}"
    );
    // Writes and deletions neither: Zep is not even asked.
    let before = world.requests();
    for (tool, arguments) in [
        ("add_memory", json!({"user_id": "ann", "text": "has a cat"})),
        ("delete_all_memories", json!({"user_id": "ann"})),
        (
            "migrate_user",
            json!({"user": {"id": "ann"}, "data": {"results": []}}),
        ),
        ("get_memories", json!({"user_id": "ann"})),
    ] {
        assert_eq!(
            client.refused(tool, arguments)["error"],
            "audit_unavailable",
            "{tool}"
        );
    }
    assert_eq!(world.requests(), before);
    let ended = client.close();
    // What was done, and is not in the trail, is said.
    assert!(
        ended.stderr.contains("could not be written and are lost"),
        "{}",
        ended.stderr
    );
    let trail = directory(&world);
    is_intact(&trail);
    let entered = super::entries_on(&trail, "search_memory").len();
    // The call at which the disk became full was begun already.
    assert!(entered + 1 >= done, "{entered} of {done}");
    // With room, the next server goes on.
    let mut client = world.connect();
    search(&mut client).unwrap();
    drop(client);
    assert_eq!(is_intact(&trail)["problems"], json!([]));
}

#[cfg(unix)]
#[test]
fn by_setting_calls_go_on_with_a_warning() {
    let world = World::emulated();
    let mut client = confined(&world, 20, "warn");
    for _ in 0..100 {
        search(&mut client).unwrap();
    }
    let ended = client.close();
    let warnings = ended
        .stderr
        .matches("the audit trail cannot be written")
        .count();
    assert_eq!(warnings, 1, "{}", ended.stderr);
    is_intact(&directory(&world));
}

#[test]
fn without_a_trail_nothing_is_noted() {
    let world = World::embedded();
    let mut client = Client::connect(world.command().env("ZEP_MCP_AUDIT", "off"));
    search(&mut client).unwrap();
    drop(client);
    assert!(!world.directory().join("data/audit").exists());
}

/// The entry of a call that was done is kept, and is written first once that can be done again.
#[test]
fn what_could_not_be_written_is_written_once_there_is_room() {
    let world = World::embedded();
    let mut client = world.connect();
    search(&mut client).unwrap();
    let trail = directory(&world);
    let away = trail.with_file_name("elsewhere");
    fs::rename(&trail, &away).unwrap();
    fs::write(&trail, "in the way").unwrap();
    // The first one is begun before it is known.
    search(&mut client).unwrap();
    let refused = search(&mut client).unwrap_err();
    assert_eq!(refused["error"], "audit_unavailable", "{refused}");
    let doctor = world.command().args(["doctor", "--json"]).output().unwrap();
    assert_eq!(doctor.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let check = report["checks"].as_array().unwrap();
    let check = check
        .iter()
        .find(|check| check["name"] == "audit trail")
        .unwrap();
    assert_eq!(check["state"], "failed", "{check}");
    fs::remove_file(&trail).unwrap();
    fs::rename(&away, &trail).unwrap();
    let begun = Instant::now();
    while search(&mut client).is_err() {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(100));
    }
    drop(client);
    is_intact(&trail);
    let outcomes: Vec<_> = entries(&trail)
        .iter()
        .filter(|entry| entry["call"] == "search_memory")
        .map(|entry| entry["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        outcomes[..3],
        ["ok", "ok", "audit_unavailable"],
        "{outcomes:?}"
    );
    assert_eq!(outcomes.last().unwrap(), "ok");
    let doctor = world.command().args(["doctor", "--json"]).output().unwrap();
    assert!(doctor.status.success(), "{doctor:?}");
}
