//! Bounds of the queue, and files that are none.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{away, connect, delivered, entries, hurried, queued, stored};
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;

#[test]
fn a_full_queue_is_an_error_before_anything_is_promised() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    away(&service);
    let messages: Vec<Value> = (0..1_000)
        .map(|number| json!({"role": "user", "content": format!("number {number}")}))
        .collect();
    let call = json!({"user_id": "ann", "session_id": "s", "messages": messages});
    for _ in 0..10 {
        queued(&mut client, call.clone());
    }
    let error = client.refused("add_memory", json!({"user_id": "ann", "text": "one more"}));
    assert_eq!(error["error"], "queue_full", "{error}");
    assert!(
        error["detail"].as_str().unwrap().contains("10,000"),
        "{error}"
    );
    // Others are not hindered.
    queued(&mut client, json!({"user_id": "bob", "text": "hello"}));
    assert_eq!(entries(&world).len(), 11);
}

#[test]
fn a_file_that_is_no_queue_is_left_alone_and_nothing_is_promised() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    let cat = json!({"user_id": "ann", "text": "has a cat"});
    stored(&world, &mut client, cat);
    drop(client);
    let file = super::kills::files(&world, "queue.db").pop().unwrap();
    for at_fault in ["queue.db-wal", "queue.db-shm"] {
        let _ = fs::remove_file(file.with_file_name(at_fault));
    }
    fs::write(&file, "Somebody's notes, which are no database at all.").unwrap();
    let mut client = connect(&world);
    let error = client.refused("add_memory", json!({"user_id": "ann", "text": "has a dog"}));
    assert_eq!(error["error"], "storage_failed", "{error}");
    assert!(
        error["detail"].as_str().unwrap().contains("queue.db"),
        "{error}"
    );
    let left = fs::read_to_string(&file).unwrap();
    assert!(left.starts_with("Somebody's notes"));
    assert_eq!(service.texts("ann").len(), 1);
}

/// Files of this server may not be larger than 300 blocks: as on a full disk, writes fail.
#[cfg(unix)]
#[test]
fn on_a_full_disk_nothing_is_promised_and_what_was_promised_is_kept() {
    let world = World::emulated();
    let service = Service::of(&world);
    away(&service);
    let server = hurried(&world);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "ulimit -f 600 && exec \"$0\""])
        .arg(server.get_program())
        .current_dir(world.directory())
        .env_clear();
    for (name, value) in server.get_envs() {
        shell.env(name, value.unwrap());
    }
    let mut client = Client::connect(&mut shell);
    let mut kept = Vec::new();
    let refused = loop {
        let text = format!("Text {} {}", kept.len(), "and so on. ".repeat(300));
        let call = json!({"user_id": "ann", "text": text});
        let id = client.ask_tool("add_memory", &call);
        match outcome(&client.answer_to(id)) {
            Ok(answer) => assert_eq!(answer["status"], "QUEUED"),
            Err(refused) => break refused,
        }
        kept.push(text);
        assert!(kept.len() < 2_000, "the limit is never reached");
    };
    assert_eq!(refused["error"], "storage_failed", "{refused}");
    assert!(kept.len() > 3, "{kept:?}");
    drop(client);
    service.calm();
    let _next = connect(&world);
    delivered(&world);
    let mut stored: Vec<String> = service
        .texts("ann")
        .iter()
        .map(|text| text["content"].as_str().unwrap().trim_end().to_owned())
        .collect();
    let mut kept: Vec<&str> = kept.iter().map(|text| text.trim_end()).collect();
    stored.sort();
    kept.sort_unstable();
    assert_eq!(stored, kept);
}

/// A clock that was years ahead for a while does not keep anything back.
#[test]
fn times_of_a_clock_that_went_wrong_hold_nothing_up() {
    let world = World::emulated();
    let service = Service::of(&world);
    away(&service);
    let mut client = connect(&world);
    queued(&mut client, json!({"user_id": "ann", "text": "has a cat"}));
    drop(client);
    let file = super::kills::files(&world, "queue.db").pop().unwrap();
    let db = rusqlite::Connection::open(file).unwrap();
    let later = "UPDATE waiting SET due = due + 100000000000, claimed_until = due + 100000000000";
    assert_eq!(db.execute(later, ()).unwrap(), 1);
    drop(db);
    service.calm();
    let _next = connect(&world);
    delivered(&world);
    assert_eq!(service.texts("ann").len(), 1);
}
