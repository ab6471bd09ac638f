//! What waits is encrypted on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use super::{away, contents, hurried, queued};
use crate::common::program::{Client, World};
use crate::common::service::Service;

/// What nobody must find on the disk.
const SAID: &str = "Since the accident I do not sleep";

fn key(world: &World, name: &str) -> PathBuf {
    let file = world.directory().join(name);
    let made = run(
        &mut hurried(world),
        &["key", "new", "--file", file.to_str().unwrap()],
    );
    assert!(made.status.success(), "{made:?}");
    file
}

fn run(command: &mut Command, arguments: &[&str]) -> Output {
    command.args(arguments).output().unwrap()
}

fn with(world: &World, key: Option<&Path>) -> Command {
    let mut command = hurried(world);
    if let Some(key) = key {
        command.env("ZEP_MCP_ENCRYPTION_KEY_FILE", key);
    }
    command
}

/// The files of the queue that hold this text.
fn found_in(world: &World, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![world.directory().to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.to_string_lossy().contains("queue.db") {
                let bytes = fs::read(&path).unwrap();
                if bytes
                    .windows(text.len())
                    .any(|window| window == text.as_bytes())
                {
                    found.push(path);
                }
            }
        }
    }
    found
}

#[track_caller]
fn refused(output: &Output, named: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(named), "{named}: {said}");
}

#[test]
fn what_waits_is_not_readable_without_the_key_and_is_delivered_with_it() {
    let world = World::emulated();
    let service = Service::of(&world);
    let (file, other) = (key(&world, "key"), key(&world, "other"));
    let mut client = Client::connect(&mut with(&world, Some(&file)));
    away(&service);
    let id = queued(
        &mut client,
        json!({"user_id": "ann", "session_id": "monday",
        "messages": [{"role": "user", "content": SAID}]}),
    );
    assert_eq!(
        client.call("get_memory", json!({"memory_id": id}))["memory"],
        SAID
    );
    drop(client);
    assert!(found_in(&world, "queue proof").is_empty() && found_in(&world, SAID).is_empty());

    let mut list = with(&world, None);
    refused(
        &run(&mut list, &["queue", "list"]),
        "ZEP_MCP_ENCRYPTION_KEY_FILE",
    );
    refused(
        &run(&mut with(&world, Some(&other)), &["queue", "list"]),
        "another key",
    );
    let mut wrong = Client::connect(&mut with(&world, Some(&other)));
    let error = wrong.refused("add_memory", json!({"user_id": "ann", "text": "more"}));
    assert_eq!(error["error"], "storage_failed", "{error}");
    drop(wrong);
    let doctor = run(&mut with(&world, Some(&file)), &["doctor", "--json"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("encryption"), "{said}");

    service.calm();
    let flushed = run(
        &mut with(&world, Some(&file)),
        &["queue", "flush", "--wait", "120"],
    );
    assert!(flushed.status.success(), "{flushed:?}");
    assert_eq!(contents(&service.messages("monday")), [SAID]);
}

#[test]
fn an_existing_queue_is_encrypted_on_request_and_its_key_is_changed() {
    let world = World::emulated();
    let service = Service::of(&world);
    let (file, other) = (key(&world, "key"), key(&world, "other"));
    let mut client = Client::connect(&mut with(&world, None));
    away(&service);
    queued(&mut client, json!({"user_id": "ann", "text": SAID}));
    assert!(!found_in(&world, SAID).is_empty());
    let mut convert = with(&world, Some(&file));
    refused(
        &run(&mut with(&world, Some(&file)), &["queue", "list"]),
        "key convert",
    );
    refused(&run(&mut convert, &["key", "convert"]), "stop all servers");
    drop(client);
    let converted = run(&mut with(&world, Some(&file)), &["key", "convert"]);
    assert!(converted.status.success(), "{converted:?}");
    let found = found_in(&world, SAID);
    assert_eq!(found.len(), 1, "only the backup: {found:?}");
    assert!(found[0].to_string_lossy().contains(".backup-"));
    fs::remove_file(&found[0]).unwrap();
    refused(
        &run(&mut with(&world, Some(&file)), &["key", "convert"]),
        "encrypted",
    );

    let to = ["key", "rotate", "--to", other.to_str().unwrap()];
    refused(
        &run(&mut with(&world, None), &to),
        "ZEP_MCP_ENCRYPTION_KEY_FILE",
    );
    let rotated = run(&mut with(&world, Some(&file)), &to);
    assert!(rotated.status.success(), "{rotated:?}");
    refused(
        &run(&mut with(&world, Some(&file)), &["queue", "list"]),
        "another key",
    );
    assert!(found_in(&world, SAID).is_empty());
    service.calm();
    let flushed = run(
        &mut with(&world, Some(&other)),
        &["queue", "flush", "--wait", "120"],
    );
    assert!(flushed.status.success(), "{flushed:?}");
    assert_eq!(contents(&service.texts("ann")), [SAID]);
}

#[test]
fn a_key_is_checked_before_anything_is_served() {
    let world = World::emulated();
    let nonsense = world.directory().join("nonsense");
    fs::write(&nonsense, "my dog's name").unwrap();
    let refuses = |value: &Path, why: &str| {
        let output = run(&mut with(&world, Some(value)), &["serve"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        refused(&output, why);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("dog"));
    };
    refuses(&nonsense, "holds no key");
    refuses(&world.directory().join("nowhere"), "cannot be read");
    let file = key(&world, "key");
    let again = run(
        &mut hurried(&world),
        &["key", "new", "--file", file.to_str().unwrap()],
    );
    assert!(!again.status.success(), "a key is never replaced");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
    let printed = run(&mut hurried(&world), &["key", "new"]);
    let text = String::from_utf8(printed.stdout).unwrap();
    let mut both = with(&world, Some(&file));
    both.env("ZEP_MCP_ENCRYPTION_KEY", text.trim());
    refused(&run(&mut both, &["serve"]), "both set");
}
