//! A memory file that cannot be written, or was lost: an error that says so, and nothing in doubt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::common::program::{Client, World, outcome};

fn file(world: &World) -> PathBuf {
    world.directory().join("data").join("memory.db")
}

fn stored(world: &World) -> Value {
    let mut client = world.connect();
    let turns = json!({"messages": [{"role": "user", "content": "Slept well"}],
                       "user_id": "ann", "session_id": "s", "idempotency_key": "turn"});
    client.call("add_memory", turns);
    let text = json!({"text": "Likes tea", "user_id": "ann", "idempotency_key": "text"});
    let id = client.call("add_memory", text)["results"][0]["id"].clone();
    let ended = client.close();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    id
}

#[test]
fn a_memory_file_that_became_empty_is_an_error_and_stays_as_it_is() {
    let world = World::embedded();
    stored(&world);
    fs::write(file(&world), "").unwrap();
    let mut client = world.connect();
    for (tool, arguments) in [
        ("get_memories", json!({"user_id": "ann"})),
        ("add_memory", json!({"text": "Likes tea", "user_id": "ann"})),
    ] {
        let refused = client.refused(tool, arguments);
        assert_eq!(refused["error"], "storage_failed", "{refused}");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("is empty"), "{detail}");
    }
    assert_eq!(fs::metadata(file(&world)).unwrap().len(), 0);
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_store_that_cannot_be_written_is_read_and_says_so_at_its_start() {
    for only_the_directory in [false, true] {
        let world = World::embedded();
        let id = stored(&world);
        let (file, directory) = (file(&world), world.directory().join("data"));
        let before = fs::read(&file).unwrap();
        match only_the_directory {
            true => set_mode(&directory, 0o500),
            false => set_mode(&file, 0o400),
        }
        let mut client = world.connect();
        assert_eq!(client.read_session("ann", "s").len(), 1);
        let memories = client.call("get_memories", json!({"user_id": "ann"}));
        assert_eq!(memories["count"], 2);
        let got = client.call("get_memory", json!({"memory_id": id}));
        assert_eq!(got["memory"], "Likes tea");
        let asked = json!({"query": "tea", "user_id": "ann"});
        assert_eq!(client.search(asked.clone()).len(), 1);
        let found = json!({"query": "tea", "filters": {"user_id": "ann"}});
        let found = client.call("search_memories", found);
        assert_eq!(found["results"].as_array().unwrap().len(), 1);
        let sessions = client.call("list_sessions", json!({"user_id": "ann"}));
        assert_eq!(sessions["total_count"], 1, "{sessions}");
        let entities = client.call("list_entities", json!({}));
        assert!(!entities["results"].as_array().unwrap().is_empty());
        let event = client.call("get_event_status", json!({"event_id": id}));
        assert_eq!(event["status"], "SUCCEEDED", "{event}");

        for call in [
            json!({"text": "New", "user_id": "ann"}),
            json!({"text": "New", "user_id": "ann", "session_id": "s"}),
            json!({"text": "New", "user_id": "ann", "session_id": "new"}),
            json!({"text": "New", "user_id": "bob"}),
            json!({"text": "New", "agent_id": "cook"}),
        ] {
            for key in [None, Some("k")] {
                let mut call = call.clone();
                call["idempotency_key"] = json!(key);
                let refused = client.refused("add_memory", call.clone());
                assert_eq!(refused["error"], "storage_failed", "{call} {refused}");
                let detail = refused["detail"].as_str().unwrap();
                assert!(detail.contains("cannot be written"), "{detail}");
            }
        }
        // What is stored needs no write.
        let again = json!({"text": "Likes tea", "user_id": "ann", "idempotency_key": "text"});
        assert_eq!(client.call("add_memory", again)["results"][0]["id"], id);
        for (tool, mut arguments) in [
            ("update_memory", json!({"text": "Likes coffee"})),
            ("update_memory", json!({"metadata": {"a": 1}})),
            ("delete_memory", json!({})),
        ] {
            arguments["memory_id"] = id.clone();
            let refused = client.refused(tool, arguments);
            assert_eq!(refused["error"], "storage_failed", "{tool} {refused}");
        }
        assert_eq!(client.search(asked).len(), 1);
        let ended = client.close();
        assert!(
            ended.stderr.contains("cannot be written"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("WARN"), "{}", ended.stderr);
        set_mode(&directory, 0o700);
        assert_eq!(fs::read(&file).unwrap(), before);
    }
}

/// A server on this memory whose files may not be larger than this many blocks of 512 or 1,024 bytes.
#[cfg(unix)]
fn limited(world: &World, blocks: u32) -> Client {
    let server = world.command();
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(format!("ulimit -f {blocks} && exec \"$0\""))
        .arg(server.get_program())
        .current_dir(world.directory())
        .env_clear();
    for (name, value) in server.get_envs() {
        shell.env(name, value.unwrap());
    }
    Client::connect(&mut shell)
}

#[cfg(unix)]
#[test]
fn a_limit_of_file_sizes_refuses_writes_and_ends_nothing() {
    let world = World::embedded();
    let mut client = limited(&world, 600);
    let mut kept = Vec::new();
    let refused = loop {
        let n = kept.len();
        let text = format!("Text {n} {}", "and so on. ".repeat(600));
        let call = json!({"text": text, "user_id": "ann", "idempotency_key": format!("k{n}")});
        let id = client.ask_tool("add_memory", &call);
        match outcome(&client.answer_to(id)) {
            Ok(_) => kept.push(text),
            Err(refused) => break refused,
        }
        assert!(kept.len() < 2_000, "the limit is never reached");
    };
    assert_eq!(refused["error"], "storage_failed", "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("ulimit -f") || detail.contains("is full"),
        "{detail}"
    );
    assert!(
        detail.contains("nothing of this call was stored"),
        "{detail}"
    );
    // It lives, and everything that it confirmed is there.
    for mut client in [client, world.connect()] {
        let mut there: Vec<String> = Vec::new();
        for page in 1.. {
            let asked = json!({"user_id": "ann", "page": page, "page_size": 100});
            let answer = client.call("get_memories", asked);
            let results = answer["results"].as_array().unwrap();
            there.extend(
                results
                    .iter()
                    .map(|one| one["memory"].as_str().unwrap().to_owned()),
            );
            if results.len() < 100 {
                break;
            }
        }
        there.sort();
        kept.sort();
        assert!(there == kept, "{} of {}", there.len(), kept.len());
    }
    // Without the limit, the repeated call is stored.
    let mut client = world.connect();
    let text = json!({"text": "Text", "user_id": "ann", "idempotency_key": "last"});
    client.call("add_memory", text);
}
